//! A remote machine: a network namespace at the other end of a virtual link.
//!
//! A server listens at its first addresses; the others refuse. The link can lose packets in both
//! directions.

use std::net::Ipv4Addr;

use anyhow::Result;

use crate::{
    greeter::Greeter,
    namespace::{Namespace, nft, sh},
    span::{Span, StatePattern},
};

/// Names of the link's ends.
pub(crate) const NEAR: &str = "near";
const REMOTE: &str = "remote";

/// IP and MAC addresses of the link's ends; raw scanners need them.
pub(crate) const NEAR_ADDRESS: &str = "10.255.0.2";
const REMOTE_ADDRESS: &str = "10.255.0.1";
pub(crate) const NEAR_MAC: &str = "02:00:00:00:00:01";
pub(crate) const REMOTE_MAC: &str = "02:00:00:00:00:02";

/// The addresses behind the remote end, and the first of them.
const NETWORK: &str = "10.64.0.0/10";
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 0);

/// The port of all targets.
const PORT: u16 = 22;

/// The remote machine. It ends when this is dropped.
pub(crate) struct Remote {
    greeter: Greeter,
}

impl Remote {
    /// Targets behind the link, the first `open` of which are open.
    pub(crate) fn span(targets: usize, open: usize) -> Span {
        let states = StatePattern::OpenFirst(open);
        Span { first: FIRST, port: PORT, states, ..Span::refused(targets) }
    }

    /// Makes the link and the remote machine, where at least one target is `open`.
    pub(crate) fn start(namespace: &mut Namespace, open: usize) -> Result<Self> {
        let mut remote = Self { greeter: Greeter::start_remote(REMOTE, PORT)? };
        let id = remote.greeter.id();
        sh(&format!(
            "ip link add {NEAR} address {NEAR_MAC} type veth \
                peer name {REMOTE} address {REMOTE_MAC} netns {id}
            ip addr add {NEAR_ADDRESS}/30 dev {NEAR}
            ip link set {NEAR} up"
        ))?;
        let last = Self::span(open, open).target(open - 1).ip();
        let refuse = nft(&format!(
            "table inet refused {{
                chain input {{
                    type filter hook input priority 0
                    ip daddr {NETWORK} tcp dport {PORT} ip daddr != {FIRST}-{last} \
                        reject with tcp reset;
                }}
            }}"
        ));
        remote.sh(&format!(
            "ip link set lo up
            ip addr add {REMOTE_ADDRESS}/30 dev {REMOTE}
            ip link set {REMOTE} up
            ip route add local {NETWORK} dev lo
            echo 65535 >/proc/sys/net/core/somaxconn
            echo 65535 >/proc/sys/net/ipv4/tcp_max_syn_backlog
            {refuse}"
        ))?;
        sh(&format!("ip route add {NETWORK} via {REMOTE_ADDRESS}"))?;
        remote.greeter.listen()?;
        namespace.settings.push(format!("a link to another namespace, behind it {NETWORK}"));
        Ok(remote)
    }

    /// Loses this percentage of packets at random, in each direction.
    pub(crate) fn lose(&self, percent: u32) -> Result<()> {
        let chain = |hook: &str, device: &str| {
            format!(
                "chain {hook} {{
                    type filter hook {hook} priority -10
                    {device} {REMOTE} numgen random mod 100 < {percent} drop
                }}"
            )
        };
        let (input, output) = (chain("input", "iifname"), chain("output", "oifname"));
        self.sh(&nft(&format!(
            "table inet lost
            delete table inet lost
            table inet lost {{
                {input}
                {output}
            }}"
        )))
    }

    /// Runs a shell script in the remote namespace.
    fn sh(&self, script: &str) -> Result<()> {
        let (id, script) = (self.greeter.id(), script.replace('\'', r"'\''"));
        sh(&format!("nsenter --target {id} --net sh -euc '{script}'"))
    }
}
