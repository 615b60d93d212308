//! Checks before a run that its proxy accepts this client, and at which of its addresses.

use super::{context::StartError, threads};
use crate::{
    attempt::{Attempt, ProxyServer, Rules},
    clock::Clock,
    config::Config,
    driver::{
        Driver,
        poll::{IdleSockets, Poll},
    },
    memory::Memory,
    outcome::{Conclusion, PortState, Reason},
    resolver::host_addresses,
    waker::Waker,
};

/// The most addresses of a proxy that are tried, because their timeouts add up.
const ADDRESSES_MAX: usize = 8;
/// Memory for the handshake, in bytes.
const MEMORY: usize = 64 << 10;

/// Returns the proxy of the run, with the first of its addresses at which it accepts this client. `None`:
/// the run has no proxy.
///
/// # Errors
/// It accepts this client at none of its addresses.
pub(crate) fn admitted(config: &Config, clock: Clock) -> Result<Option<ProxyServer>, StartError> {
    let Some(proxy) = config.proxy() else { return Ok(None) };
    let unusable = |reason| StartError::Proxy { proxy: proxy.clone(), reason };
    let mut failed = Reason::NoSuchName;
    let addresses = host_addresses(proxy.host(), proxy.port()).map_err(unusable)?;
    for address in addresses.into_iter().take(ADDRESSES_MAX) {
        let server = ProxyServer { address, credentials: proxy.credentials().cloned() };
        match ask(config, clock, server.clone())? {
            None => return Ok(Some(server)),
            Some(reason) => failed = reason,
        }
    }
    Err(unusable(failed))
}

/// Connects to a proxy and waits until it accepts this client. Returns why it does not.
fn ask(config: &Config, clock: Clock, server: ProxyServer) -> Result<Option<Reason>, StartError> {
    // Never called.
    let stop = Waker::new().map_err(StartError::poller)?;
    let net = Poll::new(clock, config.source(), stop, IdleSockets::new(1), 0);
    let endpoint = server.address;
    let rules = Rules { proxy: Some(server), ..Rules::from(config) };
    let mut driver = Driver::new(net, rules, Memory::new(MEMORY));
    let mut attempt = Attempt::new(endpoint, clock.now()).only_proxy();
    Ok(match threads::run(&mut driver, &mut attempt) {
        Some(Conclusion::Verdict(verdict)) if verdict.state == PortState::Open => None,
        Some(Conclusion::Verdict(verdict)) => Some(verdict.reason),
        Some(Conclusion::Fault(fault)) => Some(Reason::Fault(fault)),
        None => Some(Reason::ProxyUnreachable),
    })
}
