//! What this machine's own files say of names: the hosts file, and the search list of the resolver.

use std::{
    env,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    net::{IpAddr, SocketAddr},
};

use crate::targets::same_name;

/// Where names are listed that need no server (hosts(5)).
const HOSTS: &str = "/etc/hosts";
/// The most that is read of it, in bytes; long lists of blocked names have as many.
const HOSTS_MAX: u64 = 4 << 20;
/// What the resolver goes by (resolv.conf(5)).
const RESOLV_CONF: &str = "/etc/resolv.conf";
const RESOLV_CONF_MAX: u64 = 1 << 20;

/// Whether these are addresses that the hosts file has for the name.
pub(super) fn is_of_hosts_file(name: &str, addresses: &[SocketAddr]) -> bool {
    let Ok(file) = File::open(HOSTS) else { return false };
    hosts_have(BufReader::new(file.take(HOSTS_MAX)), name, addresses)
}

fn hosts_have(hosts: impl BufRead, name: &str, addresses: &[SocketAddr]) -> bool {
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

/// What the resolver's search list makes of a name, and the name as it is, all as they are looked up
/// without the list; nothing where there is no list to go by.
pub(super) fn searched(name: &str) -> Vec<String> {
    if name.is_empty() || name.ends_with('.') {
        return Vec::new();
    }
    let configured = File::open(RESOLV_CONF)
        .and_then(|file| io::read_to_string(file.take(RESOLV_CONF_MAX)))
        .unwrap_or_default();
    let node = rustix::system::uname();
    let node = node.nodename().to_string_lossy();
    let domains = search_list(env::var("LOCALDOMAIN").ok().as_deref(), &configured, &node);
    if domains.is_empty() {
        return Vec::new();
    }
    let below = domains.iter().map(|domain| domain.trim_matches('.'));
    let below = below.filter(|domain| !domain.is_empty()).map(|domain| format!("{name}.{domain}."));
    below.chain([format!("{name}.")]).collect()
}

/// The search list: what the environment says, else the last of the file's, else the domain of this
/// machine's name.
fn search_list(environment: Option<&str>, configured: &str, node: &str) -> Vec<String> {
    let words = |list: &str| list.split_ascii_whitespace().map(str::to_owned).collect();
    if let Some(list) = environment {
        return words(list);
    }
    let list = configured.lines().rev().find_map(|line| {
        let (keyword, list) = line.split_once([' ', '\t'])?;
        match keyword {
            "search" => Some(words(list)),
            "domain" => Some(words(list).into_iter().take(1).collect()),
            _ => None,
        }
    });
    let own = || node.split_once('.').map(|(_, domain)| domain.to_owned());
    list.unwrap_or_else(|| own().into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_list_comes_from_the_environment_the_file_or_the_machine() {
        let file = "# mine\nnameserver 192.0.2.1\nsearch a.example b.example\noptions ndots:5\n";
        for (environment, configured, node, expected) in [
            (None, file, "vm.corp.example", &["a.example", "b.example"][..]),
            (Some("c.example d.example"), file, "vm", &["c.example", "d.example"]),
            (None, "search a.example\ndomain b.example\n", "vm", &["b.example"]),
            (None, "domain b.example\nsearch\tc.example .\n", "vm", &["c.example", "."]),
            (None, "nameserver 192.0.2.1\n", "vm.corp.example", &["corp.example"]),
            (None, "", "vm", &[]),
        ] {
            assert_eq!(search_list(environment, configured, node), expected, "{configured:?}");
        }
    }

    #[test]
    fn the_hosts_file_has_a_name_with_all_its_addresses() {
        let hosts = "127.0.0.1 localhost\n::1 localhost # both\n\n192.0.2.1\tDB.example db\n\
            192.0.2.2 db.example.\n#192.0.2.3 db\nnonsense db\n";
        let of = |name: &str, addresses: &[[u8; 4]]| {
            let addresses: Vec<_> =
                addresses.iter().map(|&address| SocketAddr::from((address, 0))).collect();
            hosts_have(hosts.as_bytes(), name, &addresses)
        };
        assert!(of("db.example", &[[192, 0, 2, 1]]));
        assert!(of("db.example", &[[192, 0, 2, 2], [192, 0, 2, 1]]));
        assert!(of("db", &[[192, 0, 2, 1]]));
        assert!(!of("db", &[[192, 0, 2, 1], [192, 0, 2, 2]]));
        assert!(!of("db", &[[192, 0, 2, 3]]), "a comment has no names");
        assert!(!of("other", &[[192, 0, 2, 1]]));
    }
}
