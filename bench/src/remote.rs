//! Another machine: a namespace of its own, at the other end of a wire.
//!
//! What lies behind it answers as real machines do: at the first addresses somebody listens and
//! greets, at the others nobody does. The wire may lose packets, in both directions alike.

use anyhow::Result;

use crate::{
    greeter::{Greeter, Place},
    namespace::{Namespace, sh},
    span::{Span, State, States},
};

/// The ends of the wire.
pub(crate) const NEAR: &str = "near";
const FAR: &str = "far";

/// Addresses and hardware addresses of the ends, for those who make packets themselves.
pub(crate) const NEAR_ADDRESS: &str = "10.255.0.2";
const FAR_ADDRESS: &str = "10.255.0.1";
pub(crate) const NEAR_MAC: &str = "02:00:00:00:00:01";
pub(crate) const FAR_MAC: &str = "02:00:00:00:00:02";

/// What lies behind the far end.
const BEHIND: &str = "10.64.0.0/10";

/// The first of it.
const FIRST: std::net::Ipv4Addr = std::net::Ipv4Addr::new(10, 64, 0, 0);

/// Where ssh listens.
const PORT: u16 = 22;

/// The machine at the other end. It ends with this handle.
pub(crate) struct Remote {
    greeter: Greeter,
}

impl Remote {
    /// Targets behind the wire, so many of which are open.
    pub(crate) fn span(targets: usize, open: usize) -> Span {
        Span { first: FIRST, port: PORT, states: States::OpenFirst(open), ..Span::refused(targets) }
    }

    /// Makes the wire, and what answers at its other end.
    ///
    /// # Errors
    /// The system forbids it.
    pub(crate) fn start(namespace: &mut Namespace, span: Span) -> Result<Self> {
        let place = Place { device: FAR.into(), port: PORT, offer: true, wait: false };
        let mut far = Self { greeter: Greeter::start_apart(&place)? };
        let id = far.greeter.id();
        sh(&format!(
            "ip link add {NEAR} address {NEAR_MAC} type veth \
                peer name {FAR} address {FAR_MAC} netns {id}
            ip addr add {NEAR_ADDRESS}/30 dev {NEAR}
            ip link set {NEAR} up"
        ))?;
        far.sh(&format!(
            "ip link set lo up
            ip addr add {FAR_ADDRESS}/30 dev {FAR}
            ip link set {FAR} up
            ip route add local {BEHIND} dev lo
            echo 65535 >/proc/sys/net/core/somaxconn
            echo 65535 >/proc/sys/net/ipv4/tcp_max_syn_backlog"
        ))?;
        sh(&format!("ip route add {BEHIND} via {FAR_ADDRESS}"))?;
        far.refuse(span)?;
        far.greeter.listen()?;
        namespace.settings.push(format!("a wire to another namespace, behind it {BEHIND}"));
        Ok(far)
    }

    /// Has all refuse that are not among the open.
    fn refuse(&self, span: Span) -> Result<()> {
        let open = span.numbers().take_while(|&number| span.state(number) == State::Open).count();
        let last = span.target(open.saturating_sub(1)).ip();
        self.nft(&format!(
            "table inet refused {{
                chain input {{
                    type filter hook input priority 0
                    ip daddr {BEHIND} tcp dport {PORT} ip daddr != {FIRST}-{last} \
                        reject with tcp reset;
                }}
            }}"
        ))
    }

    /// Loses so many of a hundred packets, at random, in each direction.
    ///
    /// # Errors
    /// nft can't do it.
    pub(crate) fn lose(&self, percent: u32) -> Result<()> {
        let chain = |hook: &str, device: &str| {
            format!(
                "chain {hook} {{
                    type filter hook {hook} priority -10
                    {device} {FAR} numgen random mod 100 < {percent} drop
                }}"
            )
        };
        let (input, output) = (chain("input", "iifname"), chain("output", "oifname"));
        self.nft(&format!(
            "table inet lost
            delete table inet lost
            table inet lost {{
                {input}
                {output}
            }}"
        ))
    }

    fn nft(&self, rules: &str) -> Result<()> {
        self.sh(&format!("nft -f - <<'END'\n{rules}\nEND"))
    }

    /// Runs a line of shell at the other end.
    fn sh(&self, script: &str) -> Result<()> {
        let id = self.greeter.id();
        sh(&format!("nsenter --target {id} --net sh -euc {}", quoted(script)))
    }
}

/// A script as one word of a shell's line.
fn quoted(script: &str) -> String {
    format!("'{}'", script.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_one_word() {
        sh(&format!("test \"$(printf %s {})\" = \"it's\"", quoted("it's")))
            .expect("it is the same");
    }
}
