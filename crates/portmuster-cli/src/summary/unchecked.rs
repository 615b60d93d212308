//! Why targets were not checked, with the first of them.

use std::net::Ipv6Addr;

use portmuster::{
    Outcome, PortState,
    sink::{escape_line, shorten},
};

use crate::numbers::with_commas;

/// The most reasons that are kept. There are fewer, but errors of the system have numbers.
const REASONS_MAX: usize = 64;

/// The most reasons that are printed.
const SHOWN_MAX: usize = 3;

/// The most columns of a target.
const TARGET_COLUMNS: usize = 60;

/// How many targets were not checked, by reason.
#[derive(Debug, Default)]
pub(crate) struct UncheckedReasons {
    reasons: Vec<Unchecked>,
    has_no_zone: bool,
}

/// The targets that were not checked for one reason.
#[derive(Debug)]
struct Unchecked {
    reason: String,
    count: u64,
    first: String,
}

impl UncheckedReasons {
    /// Counts the outcome of a target if it was not checked.
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        if outcome.verdict.state != PortState::Unchecked {
            return;
        }
        let link_local = |address: Ipv6Addr| address.is_unicast_link_local();
        self.has_no_zone |= outcome.target.host.to_string().parse().is_ok_and(link_local);
        let reason = outcome.verdict.reason.to_string();
        if let Some(known) = self.reasons.iter_mut().find(|known| known.reason == reason) {
            known.count += 1;
        } else if self.reasons.len() < REASONS_MAX {
            let first = outcome.target.to_string();
            self.reasons.push(Unchecked { reason, count: 1, first });
        }
    }

    /// Lists the most frequent reasons; `None`: every target was checked.
    pub(super) fn describe(&self) -> Option<String> {
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|it| std::cmp::Reverse(it.count));
        let listed = reasons.iter().take(SHOWN_MAX).map(|it| {
            let first = escape_line(it.first.as_bytes());
            let more = if it.count > 1 { ", \u{2026}" } else { "" };
            let first = shorten(&first, TARGET_COLUMNS);
            format!("{} {} ({first}{more})", with_commas(it.count), it.reason)
        });
        let mut listed: Vec<_> = listed.collect();
        if reasons.len() > SHOWN_MAX {
            listed.push("\u{2026}".to_owned());
        }
        let zone = if self.has_no_zone {
            "; a link-local address needs a zone, as in fe80::1%eth0"
        } else {
            ""
        };
        let listed = listed.join(", ");
        (!listed.is_empty()).then(|| format!("{listed}; see them with --show unchecked{zone}"))
    }
}

#[cfg(test)]
mod tests {
    use portmuster::{Reason, Target, Verdict};

    use super::*;

    fn outcome(host: &str, state: PortState, reason: Reason) -> Outcome {
        Outcome::new(Target::new(host, 22), Verdict::new(state, reason))
    }

    #[test]
    fn reasons_have_counts_and_the_first_target() {
        let mut reasons = UncheckedReasons::default();
        reasons.add(&outcome("192.0.2.1", PortState::Open, Reason::Accepted));
        assert_eq!(reasons.describe(), None);
        for host in ["a.example", "b.example"] {
            reasons.add(&outcome(host, PortState::Unchecked, Reason::LookupFailed));
        }
        let expected = "2 lookup-failed (a.example:22, \u{2026}); see them with --show unchecked";
        assert_eq!(reasons.describe().as_deref(), Some(expected));
        reasons.add(&outcome("fe80::1", PortState::Unchecked, Reason::NoRoute));
        let described = reasons.describe().expect("there are some");
        assert!(described.contains(", 1 no-route ([fe80::1]:22); see"), "{described}");
        assert!(described.ends_with("fe80::1%eth0"), "{described}");
    }
}
