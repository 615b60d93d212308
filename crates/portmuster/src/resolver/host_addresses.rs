//! The addresses of one host that the run needs before it starts.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use super::{excludes::reason, lookup_pool::Resolver};
use crate::{
    outcome::Reason,
    schedule::{Question, Scope},
};

/// Returns the addresses of a host, with this port, and waits for the answer; at least one.
///
/// # Errors
/// The host has no address, or none is known.
pub(crate) fn host_addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, Reason> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let mut resolver = Resolver::new(1);
    resolver.ask(&Question { name: Arc::from(host), scope: Scope::BothFamilies });
    let found = resolver.wait().1.map_err(reason)?;
    let with_port = |mut address: SocketAddr| {
        address.set_port(port);
        address
    };
    Ok(found.addresses.iter().copied().map(with_port).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_port() {
        let endpoint = SocketAddr::from(([192, 0, 2, 1], 7));
        assert_eq!(host_addresses("192.0.2.1", 7), Ok(vec![endpoint]));
        let local = host_addresses("localhost", 7).expect("every system has it");
        assert!(local.iter().all(|address| address.ip().is_loopback() && address.port() == 7));
    }
}
