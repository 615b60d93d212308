//! Reads the hosts file (hosts(5)), whose names need no server.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    net::{IpAddr, SocketAddr},
};

use crate::targets::same_name;

/// The hosts file.
const HOSTS: &str = "/etc/hosts";
/// How many bytes of the file are read: blocklists of ad servers have a few megabytes.
const HOSTS_MAX: u64 = 4 << 20;

/// Returns whether the hosts file lists all of these addresses for the name.
pub(super) fn lists(name: &str, addresses: &[SocketAddr]) -> bool {
    let Ok(file) = File::open(HOSTS) else { return false };
    text_lists(BufReader::new(file.take(HOSTS_MAX)), name, addresses)
}

fn text_lists(hosts: impl BufRead, name: &str, addresses: &[SocketAddr]) -> bool {
    let mut missing: Vec<IpAddr> = addresses.iter().map(canonical).collect();
    for line in hosts.split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let entry = line.split('#').next().unwrap_or_default();
        let mut words = entry.split_ascii_whitespace();
        let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
        let Some(address) = address.map(|address| address.to_canonical()) else { continue };
        if words.any(|word| same_name(word, name)) {
            missing.retain(|other| *other != address);
        }
    }
    missing.is_empty()
}

fn canonical(address: &SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_listed_when_all_its_addresses_are() {
        let hosts = "127.0.0.1 localhost\n::1 localhost # both\n\n192.0.2.1\tDB.example db\n\
            192.0.2.2 db.example.\n#192.0.2.3 db\nnonsense db\n";
        let of = |name: &str, addresses: &[[u8; 4]]| {
            let addresses: Vec<_> =
                addresses.iter().map(|&address| SocketAddr::from((address, 0))).collect();
            text_lists(hosts.as_bytes(), name, &addresses)
        };
        assert!(of("db.example", &[[192, 0, 2, 1]]));
        assert!(of("db.example", &[[192, 0, 2, 2], [192, 0, 2, 1]]));
        assert!(of("db", &[[192, 0, 2, 1]]));
        assert!(!of("db", &[[192, 0, 2, 1], [192, 0, 2, 2]]));
        assert!(!of("db", &[[192, 0, 2, 3]]), "it is in a comment");
        assert!(!of("other", &[[192, 0, 2, 1]]));
    }
}
