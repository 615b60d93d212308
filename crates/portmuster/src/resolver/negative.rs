//! Confirms with DNS questions of its own that a name has no addresses of a family.
//!
//! `getaddrinfo` of glibc reports "no such name" or "no address" in cases in which a name server gave
//! no answer: a truncated reply whose repetition over TCP fails, a damaged reply, some error codes, and
//! a failure for one name of the search list before another one that does not exist. No error number
//! tells these apart.
//!
//! Invariant: a name that the system looks up in DNS is absent only if a server said so of each name
//! that the resolver tries for it, up to the one that has addresses.

use super::{
    dns_client::{DnsClient, Existence, Unconfirmed},
    nsswitch::NameSources,
    resolv_conf::ResolvConf,
};
use crate::{
    clock::{Clock, Instant},
    targets::Family,
};

/// Why it is not certain which addresses a name has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// No server gave a usable answer for this family, or servers contradict the system.
    Family(Family),
    /// No question could be asked, or this machine is short of something.
    Unconfirmed(Unconfirmed),
}

impl<E: Into<Unconfirmed>> From<E> for Doubt {
    fn from(error: E) -> Self {
        Self::Unconfirmed(error.into())
    }
}

/// Confirms what the system found for a name: no addresses of the families in `absent`, and, if there
/// are addresses of another family, that no earlier name of the search list went unanswered.
///
/// Succeeds at once for names that the system does not look up in DNS.
pub(super) fn confirm(
    name: &str,
    absent: &[Family],
    clock: Clock,
    deadline: Instant,
) -> Result<(), Doubt> {
    if !NameSources::load()?.ask_dns(name) {
        return Ok(());
    }
    let conf = ResolvConf::load()?;
    let candidates = conf.candidates(name).ok_or(Unconfirmed::NoAnswer)?;
    let client = DnsClient { conf: &conf, clock, deadline };
    confirm_candidates(&candidates, absent, |name, family| client.ask(name, family))
}

fn confirm_candidates(
    candidates: &[String],
    absent: &[Family],
    ask: impl Fn(&str, Family) -> Result<Existence, Unconfirmed>,
) -> Result<(), Doubt> {
    let ask = |name: &str, family| {
        ask(name, family).map_err(|error| match error {
            Unconfirmed::NoAnswer => Doubt::Family(family),
            short @ Unconfirmed::Short(_) => short.into(),
        })
    };
    let is_absent = |name: &str| {
        absent.iter().try_for_each(|&family| match ask(name, family)? {
            Existence::Absent => Ok(()),
            // The system has just reported the opposite.
            Existence::Present => Err(Doubt::Family(family)),
        })
    };
    let Some((last, earlier)) = candidates.split_last() else { return Ok(()) };
    for name in earlier {
        is_absent(name)?;
        let mut is_found = false;
        for family in Family::ALL.into_iter().filter(|family| !absent.contains(family)) {
            is_found |= ask(name, family)? == Existence::Present;
        }
        if is_found {
            return Ok(());
        }
    }
    // What was found is of this name, if it is not of another source than DNS.
    is_absent(last)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const NO_ANSWER: Result<Existence, Unconfirmed> = Err(Unconfirmed::NoAnswer);
    const ABSENT: Result<Existence, Unconfirmed> = Ok(Existence::Absent);
    const PRESENT: Result<Existence, Unconfirmed> = Ok(Existence::Present);

    /// Confirms with these answers for IPv4 and IPv6 of each candidate. Returns the number of questions,
    /// too.
    fn confirm(
        answers: &[[Result<Existence, Unconfirmed>; 2]],
        absent: &[Family],
    ) -> (Result<(), Doubt>, usize) {
        let candidates: Vec<_> = (0..answers.len()).map(|number| number.to_string()).collect();
        let asked = RefCell::new(0);
        let confirmed = confirm_candidates(&candidates, absent, |name, family| {
            *asked.borrow_mut() += 1;
            answers[name.parse::<usize>().expect("a number")][family as usize]
        });
        (confirmed, asked.into_inner())
    }

    #[test]
    fn one_name_takes_one_question_for_each_absent_family() {
        let doubtful = Err(Doubt::Family(Family::V6));
        assert_eq!(confirm(&[[PRESENT, ABSENT]], &[Family::V6]), (Ok(()), 1));
        assert_eq!(confirm(&[[ABSENT, ABSENT]], &Family::ALL), (Ok(()), 2));
        assert_eq!(confirm(&[[PRESENT, PRESENT]], &[]), (Ok(()), 0));
        assert_eq!(confirm(&[[PRESENT, NO_ANSWER]], &[Family::V6]), (doubtful, 1));
        assert_eq!(confirm(&[[PRESENT, PRESENT]], &[Family::V6]), (doubtful, 1));
        assert_eq!(confirm(&[[ABSENT, NO_ANSWER]], &Family::ALL), (doubtful, 2));
    }

    #[test]
    fn names_are_asked_for_up_to_the_one_with_addresses() {
        let (missing, found) = ([ABSENT, ABSENT], [PRESENT, ABSENT]);
        let failing = [NO_ANSWER, NO_ANSWER];
        let doubtful = |family| Err(Doubt::Family(family));
        for (answers, expected) in [
            ([found, failing, failing], (Ok(()), 2)),
            ([missing, found, failing], (Ok(()), 4)),
            ([missing, missing, found], (Ok(()), 5)),
            ([[PRESENT, NO_ANSWER], missing, missing], (doubtful(Family::V6), 1)),
            ([[NO_ANSWER, ABSENT], found, missing], (doubtful(Family::V4), 2)),
            ([missing, [NO_ANSWER, ABSENT], found], (doubtful(Family::V4), 4)),
        ] {
            assert_eq!(confirm(&answers, &[Family::V6]), expected, "{answers:?}");
        }
    }

    /// The system passes over a name that fails for one family, and finds addresses of that family
    /// for a later name.
    #[test]
    fn addresses_of_two_names_are_not_those_of_one() {
        let later = [ABSENT, PRESENT];
        let doubtful = Err(Doubt::Family(Family::V6));
        assert_eq!(confirm(&[[PRESENT, NO_ANSWER], later], &[]), (doubtful, 2));
        assert_eq!(confirm(&[[PRESENT, PRESENT], later], &[]), (Ok(()), 2));
        assert_eq!(confirm(&[[ABSENT, ABSENT], later], &[]), (Ok(()), 2));
    }

    #[test]
    fn shortage_of_this_machine_is_passed_on() {
        let short = Unconfirmed::Short(crate::outcome::Fault::ProcessDescriptors);
        let expected = Err(Doubt::Unconfirmed(short));
        assert_eq!(confirm(&[[ABSENT, Err(short)]], &[Family::V6]).0, expected);
    }
}
