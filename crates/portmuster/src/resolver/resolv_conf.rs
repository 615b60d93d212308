//! Reads the configuration of the C library's resolver, as glibc does (resolv.conf(5)).

use std::{
    env, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    time::Duration,
};

use super::config_file;

const RESOLV_CONF: &str = "/etc/resolv.conf";
const DNS_PORT: u16 = 53;
/// Name servers that are asked; glibc ignores further ones.
const SERVERS_MAX: usize = 3;
/// The limits that glibc puts on `ndots`, `timeout` and `attempts`.
const NDOTS_MAX: usize = 15;
const TIMEOUT_MAX: u64 = 30;
const ATTEMPTS_MAX: u32 = 5;

/// Where and how questions are sent, and which names are tried for a short one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResolvConf {
    /// The servers in the order in which they are asked; at most three.
    pub(super) servers: Vec<SocketAddr>,
    /// How long one server has to answer one question.
    pub(super) timeout: Duration,
    /// How often the list of servers is gone through; at least once.
    pub(super) attempts: u32,
    /// Whether questions are sent over TCP only.
    pub(super) tcp_only: bool,
    /// The search list; "." is the root.
    domains: Vec<String>,
    /// Dots from which on a name is tried as it is before the search list.
    ndots: usize,
    /// Whether a name without a dot is not tried as it is.
    no_tld_query: bool,
    /// Whether a name without a dot may be an alias (`HOSTALIASES`, hostname(7)).
    has_aliases: bool,
}

/// The environment variables that glibc's resolver reads.
#[derive(Debug, Clone, Default)]
struct Environment {
    /// `LOCALDOMAIN`, which replaces the search list.
    domains: Option<String>,
    /// `RES_OPTIONS`, which are added to the options of the file.
    options: Option<String>,
    has_aliases: bool,
}

impl ResolvConf {
    /// Reads resolv.conf and the environment.
    pub(super) fn load() -> io::Result<Self> {
        let text = |name| Some(env::var_os(name)?.to_string_lossy().into_owned());
        let environment = Environment {
            domains: text("LOCALDOMAIN"),
            options: text("RES_OPTIONS"),
            has_aliases: env::var_os("HOSTALIASES").is_some(),
        };
        let node = rustix::system::uname();
        let node = node.nodename().to_string_lossy();
        Ok(Self::parse(&config_file::read(RESOLV_CONF)?, &environment, &node))
    }

    /// `node` is the name of this machine, whose domain is the search list where none is configured.
    fn parse(text: &str, environment: &Environment, node: &str) -> Self {
        let mut conf = Self {
            servers: servers(text),
            timeout: Duration::from_secs(5),
            attempts: 2,
            tcp_only: false,
            domains: search_list(environment.domains.as_deref(), text, node),
            ndots: 1,
            no_tld_query: false,
            has_aliases: environment.has_aliases,
        };
        let options = text.lines().filter_map(|line| match keyword(line)? {
            ("options", options) => Some(options),
            _ => None,
        });
        for options in options.chain(environment.options.as_deref()) {
            options.split_ascii_whitespace().for_each(|option| conf.set(option));
        }
        conf
    }

    fn set(&mut self, option: &str) {
        let (name, value) = option.split_once(':').unwrap_or((option, ""));
        match (name, value.parse::<u32>()) {
            ("ndots", Ok(value)) => self.ndots = NDOTS_MAX.min(value as usize),
            ("timeout", Ok(value)) => {
                self.timeout = Duration::from_secs(u64::from(value).clamp(1, TIMEOUT_MAX));
            }
            ("attempts", Ok(value)) => self.attempts = value.clamp(1, ATTEMPTS_MAX),
            ("use-vc", _) => self.tcp_only = true,
            ("no-tld-query", _) => self.no_tld_query = true,
            _ => {}
        }
    }

    /// Returns the names that the resolver tries for this one, in its order, each with a dot at its
    /// end. `None` if the name may be an alias, so that the names are not known.
    pub(super) fn candidates(&self, name: &str) -> Option<Vec<String>> {
        if name.is_empty() {
            return Some(Vec::new());
        }
        if name.ends_with('.') {
            return Some(vec![name.to_owned()]);
        }
        let dots = name.bytes().filter(|&byte| byte == b'.').count();
        if dots == 0 && self.has_aliases {
            return None;
        }
        let bare = format!("{name}.");
        let mut candidates = Vec::new();
        if dots >= self.ndots {
            candidates.push(bare.clone());
        }
        for domain in &self.domains {
            let candidate = match domain.trim_matches('.') {
                "" => bare.clone(),
                domain => format!("{name}.{domain}."),
            };
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        let tries_bare = dots > 0 || self.domains.is_empty() || !self.no_tld_query;
        if tries_bare && !candidates.contains(&bare) {
            candidates.push(bare);
        }
        Some(candidates)
    }
}

/// Splits a line into its keyword, which begins the line, and the rest.
fn keyword(line: &str) -> Option<(&str, &str)> {
    line.split_once([' ', '\t'])
}

fn servers(text: &str) -> Vec<SocketAddr> {
    let entries = text.lines().filter_map(|line| match keyword(line)? {
        ("nameserver", address) => Some(address),
        _ => None,
    });
    let entries: Vec<_> = entries.collect();
    if entries.is_empty() {
        return vec![(Ipv4Addr::LOCALHOST, DNS_PORT).into()];
    }
    entries.into_iter().filter_map(server).take(SERVERS_MAX).collect()
}

fn server(entry: &str) -> Option<SocketAddr> {
    let address = entry.trim_start().split([' ', '\t', ';', '#']).next()?;
    if let Ok(address) = address.parse::<IpAddr>() {
        return Some((address, DNS_PORT).into());
    }
    let (address, zone) = address.split_once('%')?;
    let zone = zone.parse().or_else(|_| nix::net::if_::if_nametoindex(zone)).ok()?;
    Some(SocketAddrV6::new(address.parse::<Ipv6Addr>().ok()?, DNS_PORT, 0, zone).into())
}

/// Returns the search list: that of the environment, else the last of the file, else the domain of this
/// machine's name.
fn search_list(environment: Option<&str>, text: &str, node: &str) -> Vec<String> {
    let words = |list: &str| list.split_ascii_whitespace().map(str::to_owned).collect();
    if let Some(list) = environment {
        return words(list);
    }
    let list = text.lines().rev().find_map(|line| match keyword(line)? {
        ("search", list) => Some(words(list)),
        ("domain", list) => Some(words(list).into_iter().take(1).collect()),
        _ => None,
    });
    let own = || node.split_once('.').map(|(_, domain)| domain.to_owned());
    list.unwrap_or_else(|| own().into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_list_comes_from_the_environment_the_file_or_the_machine() {
        let file = "# mine\nnameserver 192.0.2.1\nsearch a.example b.example\noptions ndots:5\n";
        for (environment, text, node, expected) in [
            (None, file, "vm.corp.example", &["a.example", "b.example"][..]),
            (Some("c.example d.example"), file, "vm", &["c.example", "d.example"]),
            (None, "search a.example\ndomain b.example\n", "vm", &["b.example"]),
            (None, "domain b.example\nsearch\tc.example .\n", "vm", &["c.example", "."]),
            (None, "nameserver 192.0.2.1\n", "vm.corp.example", &["corp.example"]),
            (None, "", "vm", &[]),
        ] {
            assert_eq!(search_list(environment, text, node), expected, "{text:?}");
        }
    }

    #[test]
    fn servers_and_options_are_read_within_their_limits() {
        let conf = |text: &str, options: Option<&str>| {
            let options = options.map(str::to_owned);
            ResolvConf::parse(text, &Environment { options, ..Environment::default() }, "vm")
        };
        let plain = conf("", None);
        assert_eq!(plain.servers, ["127.0.0.1:53".parse().expect("an address")]);
        assert_eq!((plain.timeout, plain.attempts), (Duration::from_secs(5), 2));
        assert!(!plain.tcp_only);

        let text = "nameserver 192.0.2.1\nnameserver\t2001:db8::1 # second\nnameserver x\n\
            #nameserver 192.0.2.2\nnameserver fe80::1%7\nnameserver 192.0.2.3\n\
            options timeout:1 attempts:99\noptions use-vc\n";
        let conf = conf(text, Some("timeout:3 ndots:100"));
        let servers: Vec<_> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%7]:53"]);
        assert_eq!((conf.timeout, conf.attempts), (Duration::from_secs(3), 5));
        assert_eq!((conf.tcp_only, conf.ndots), (true, 15));
    }

    #[test]
    fn servers_that_cannot_be_read_are_not_replaced_by_this_machine() {
        assert_eq!(servers("nameserver dns.example\n"), []);
    }

    /// In the order of `res_search` in glibc.
    #[test]
    fn candidates_are_tried_in_the_order_of_glibc() {
        let candidates = |text: &str, name| {
            let conf = ResolvConf::parse(text, &Environment::default(), "vm");
            conf.candidates(name).expect("there are no aliases").join(" ")
        };
        let search = "search a.example b.example.\n";
        assert_eq!(candidates(search, "db"), "db.a.example. db.b.example. db.");
        assert_eq!(candidates(search, "db.c"), "db.c. db.c.a.example. db.c.b.example.");
        assert_eq!(candidates(search, "db."), "db.");
        assert_eq!(candidates("", "db"), "db.");
        assert_eq!(candidates("search . a.example\n", "db"), "db. db.a.example.");
        let ndots = "search a.example\noptions ndots:2\n";
        assert_eq!(candidates(ndots, "db.c"), "db.c.a.example. db.c.");
        let no_tld = "search a.example\noptions no-tld-query\n";
        assert_eq!(candidates(no_tld, "db"), "db.a.example.");
        assert_eq!(candidates("options no-tld-query\n", "db"), "db.");
        assert_eq!(candidates(search, ""), "");

        let aliases = Environment { has_aliases: true, ..Environment::default() };
        let conf = ResolvConf::parse("", &aliases, "vm");
        assert_eq!((conf.candidates("db"), conf.candidates("db.c").is_some()), (None, true));
    }
}
