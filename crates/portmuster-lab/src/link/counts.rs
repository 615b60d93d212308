//! What a link did to packets.

use std::{fmt, time::Duration};

/// The most seconds of [`LinkCounts::syns_per_second`]: a day.
const MAX_SECONDS: usize = 86_400;

/// Numbers of packets, by what the link did to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkCounts {
    /// SYNs from the near side, with repetitions and with those that were dropped.
    pub syns: u64,
    /// The same SYNs by whole seconds since the first packet, for a day at most. The forwarder reads
    /// SYNs within a millisecond, unless the machine is too busy.
    pub syns_per_second: Vec<u64>,
    /// Packets that were delivered to hosts.
    pub to_hosts: u64,
    /// Packets that were delivered to the near side, without ICMP refusals.
    pub from_hosts: u64,
    /// Packets that took longer so that others overtook them.
    pub reordered: u64,
    /// Packets to silent addresses.
    pub silent: u64,
    /// Packets that a router refused with ICMP.
    pub refused: u64,
    /// SYNs beyond the limit of the middlebox.
    pub limited: u64,
    /// Packets that the firewall dropped because it blocks the near side.
    pub blocked: u64,
    /// Packets that were lost in a burst.
    pub lost_in_bursts: u64,
    /// Packets to or from hosts that were lost at random.
    pub lost: u64,
    /// SYNs that a host ignored because they were its first ones.
    pub ignored: u64,
    /// Packets that the link lost because it, or the machine, could not keep up. With any, the link
    /// did not do what its settings say.
    pub overflow: u64,
    /// The time since the first packet.
    pub elapsed: Duration,
    /// The time for which the forwarder used a processor. The time in which the system hands packets
    /// to it counts as the sender's.
    pub forwarder_cpu: Duration,
}

impl LinkCounts {
    /// Counts a SYN.
    pub(crate) fn syn(&mut self, now: Duration) {
        self.syns += 1;
        let second = usize::try_from(now.as_secs()).unwrap_or(usize::MAX);
        if second >= MAX_SECONDS {
            return;
        }
        if second >= self.syns_per_second.len() {
            self.syns_per_second.resize(second + 1, 0);
        }
        self.syns_per_second[second] += 1;
    }

    /// The most SYNs in one second.
    #[must_use]
    pub fn peak_syns_per_second(&self) -> u64 {
        self.syns_per_second.iter().copied().max().unwrap_or(0)
    }
}

/// A table with one count per line, without those that are zero.
impl fmt::Display for LinkCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            ("SYNs from the near side", self.syns),
            ("most SYNs in one second", self.peak_syns_per_second()),
            ("delivered to hosts", self.to_hosts),
            ("delivered from hosts", self.from_hosts),
            ("reordered", self.reordered),
            ("to silent addresses", self.silent),
            ("refused with ICMP", self.refused),
            ("dropped by the limit of SYNs", self.limited),
            ("dropped by the block", self.blocked),
            ("lost in bursts", self.lost_in_bursts),
            ("lost at random", self.lost),
            ("ignored first SYNs", self.ignored),
            ("lost because the link was too slow", self.overflow),
        ];
        for (name, count) in counts.into_iter().filter(|&(_, count)| count > 0) {
            writeln!(f, "{count:>12}  {name}")?;
        }
        writeln!(f, "{:>11.1}s  since the first packet", self.elapsed.as_secs_f64())?;
        write!(f, "{:>11.1}s  processor time of the forwarder", self.forwarder_cpu.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syns_are_counted_by_second() {
        let mut counts = LinkCounts::default();
        for second in [0.0, 0.9, 2.0, 2.5, 2.99] {
            counts.syn(Duration::from_secs_f64(second));
        }
        counts.syn(Duration::from_hours(48));
        assert_eq!(counts.syns_per_second, [2, 0, 3]);
        assert_eq!((counts.syns, counts.peak_syns_per_second()), (6, 3));
    }
}
