//! A check whose target did not answer, in as little memory as possible: it waits for another attempt,
//! or for the end of its block.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};

use super::{
    check::{Check, NoAnswer, Purpose},
    stratum::Stratum,
};
use crate::{
    clock::Instant,
    outcome::{PortState, Reason, Verdict},
    targets::{Host, Target},
};

/// The reasons of targets that did not answer. An entry is stored as its index.
const REASONS: [Reason; 6] = [
    Reason::NoAnswer,
    Reason::NetworkUnreachable,
    Reason::HostUnreachable,
    Reason::ProtocolUnreachable,
    Reason::Prohibited,
    Reason::IcmpPortUnreachable,
];

/// A check that did not get an answer.
#[derive(Debug)]
pub(super) enum Silent {
    /// An IPv4 address without a label: 24 bytes, because a million of them wait for the end of their
    /// block.
    Plain {
        address: Ipv4Addr,
        /// The target's position after the first of its block.
        offset: u32,
        /// How long the last attempt took, in microseconds.
        total: u32,
        /// When the last attempt ended, in milliseconds since the start of the run.
        ended: u32,
        port: u16,
        counts: SmallCounts,
    },
    /// A target with one address.
    One(Box<OneSilent>),
    /// Any other check.
    Whole(Box<(Check, Instant)>),
}

#[derive(Debug)]
pub(super) struct OneSilent {
    target: Target,
    endpoint: SocketAddr,
    position: u64,
    total: Duration,
    ended: Instant,
    counts: SmallCounts,
}

/// The small numbers of an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct SmallCounts {
    attempts: u8,
    retries_left: u8,
    /// An index of [`REASONS`].
    reason: u8,
    stratum: Stratum,
}

impl Silent {
    /// Packs a check whose last attempt ended now. `first` is the first position of its block.
    pub(super) fn pack(check: Check, first: u64, now: Instant) -> Self {
        let Some(NoAnswer { endpoint, verdict, retries_left }) = check.only_unanswered() else {
            return Self::Whole(Box::new((check, now)));
        };
        let reason = REASONS.iter().position(|&reason| reason == verdict.reason);
        let small = |number: u32| u8::try_from(number).ok();
        let counts = (|| {
            let reason = u8::try_from(reason?).ok()?;
            let (attempts, retries_left) = (small(check.attempts())?, small(retries_left)?);
            let stratum = check.stratum(verdict.reason);
            Some(SmallCounts { attempts, retries_left, reason, stratum })
        })();
        let Some(counts) = counts else { return Self::Whole(Box::new((check, now))) };
        let total = verdict.times.total;
        let times = (total, now);
        let plain = Self::plain(check.target(), check.position(), first, times, counts);
        if let Some(plain) = plain {
            return plain;
        }
        let position = check.position();
        let target = check.into_target();
        Self::One(Box::new(OneSilent { target, endpoint, position, total, ended: now, counts }))
    }

    /// Restores the check, for this purpose. Returns when its last attempt ended, too.
    pub(super) fn unpack(self, first: u64, purpose: Purpose) -> (Check, Instant) {
        let (mut check, ended) = match self {
            Self::Plain { address, offset, total, ended, port, counts } => {
                let endpoint = SocketAddr::V4(SocketAddrV4::new(address, port));
                let total = Duration::from_micros(total.into());
                let position = first + u64::from(offset);
                let check = counts.restore(Target::from(endpoint), endpoint, position, total);
                (check, Instant::START.after(Duration::from_millis(ended.into())))
            }
            Self::One(one) => {
                let OneSilent { target, endpoint, position, total, ended, counts } = *one;
                (counts.restore(target, endpoint, position, total), ended)
            }
            Self::Whole(whole) => *whole,
        };
        check.set_purpose(purpose);
        (check, ended)
    }

    /// Returns the position of the target.
    pub(super) fn position(&self, first: u64) -> u64 {
        match self {
            Self::Plain { offset, .. } => first + u64::from(*offset),
            Self::One(one) => one.position,
            Self::Whole(whole) => whole.0.position(),
        }
    }

    /// Returns the stratum of the target.
    pub(super) fn stratum(&self) -> Stratum {
        match self {
            Self::Plain { counts, .. } => counts.stratum,
            Self::One(one) => one.counts.stratum,
            Self::Whole(whole) => whole.0.stratum(whole.0.reason().unwrap_or(Reason::NoAnswer)),
        }
    }

    /// Packs an IPv4 address without a label; `None` if it is no such target, or a number is too large.
    fn plain(
        target: &Target,
        position: u64,
        first: u64,
        (total, ended): (Duration, Instant),
        counts: SmallCounts,
    ) -> Option<Self> {
        let &Target { host: Host::Address(IpAddr::V4(address)), port, label: None } = target else {
            return None;
        };
        let ended = u32::try_from(ended.since(Instant::START).as_millis()).ok()?;
        let total = u32::try_from(total.as_micros()).ok()?;
        let offset = u32::try_from(position.checked_sub(first)?).ok()?;
        Some(Self::Plain { address, offset, total, ended, port, counts })
    }
}

impl SmallCounts {
    fn restore(
        self,
        target: Target,
        endpoint: SocketAddr,
        position: u64,
        total: Duration,
    ) -> Check {
        let reason = REASONS[usize::from(self.reason)];
        let verdict = Verdict::unconnected(PortState::Filtered, reason, total);
        let unanswered = NoAnswer { endpoint, verdict, retries_left: self.retries_left.into() };
        Check::after_no_answer(target, position, self.attempts.into(), unanswered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_is_small() {
        assert!(size_of::<Silent>() <= 24, "{}", size_of::<Silent>());
    }

    #[test]
    fn unpacking_reverses_packing() {
        let ended = Instant::START.after(Duration::from_millis(12_345));
        let named = Target {
            label: Some("a router".into()),
            ..Target::from(SocketAddr::from(([192, 0, 2, 1], 22)))
        };
        for (target, is_plain) in [
            (Target::from(SocketAddr::from(([192, 0, 2, 1], 22))), true),
            (named, false),
            (Target::from(SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 23))), false),
        ] {
            let Host::Address(address) = target.host else { panic!("it is an address") };
            let endpoint = SocketAddr::new(address, target.port);
            for reason in REASONS {
                let total = Duration::from_micros(3_200_017);
                let verdict = Verdict::unconnected(PortState::Filtered, reason, total);
                let unanswered = NoAnswer { endpoint, verdict: verdict.clone(), retries_left: 3 };
                let check = Check::after_no_answer(target.clone(), 1007, 2, unanswered);
                let silent = Silent::pack(check, 1000, ended);
                assert_eq!(matches!(silent, Silent::Plain { .. }), is_plain);
                assert_eq!((silent.position(1000), silent.stratum()), (1007, Stratum::of(reason)));
                let (check, at) = silent.unpack(1000, Purpose::Target);
                assert_eq!((at, check.target(), check.position()), (ended, &target, 1007));
                let restored = check.only_unanswered().expect("nothing else is known of it");
                assert_eq!((restored.verdict, restored.retries_left), (verdict, 3));
                assert_eq!((check.attempts(), check.endpoint()), (2, endpoint));
            }
        }
    }
}
