//! What names turn out to be.

use super::*;
use crate::targets::Family;

fn beside(missing: Missing, last: &[u8]) -> Found {
    Found { missing: Some(missing), ..addresses(last) }
}

fn look_up(schedule: &mut Schedule, lookup: Lookup, now: Instant) {
    let question = schedule.wanted_lookup(now).expect("the name is wanted").clone();
    schedule.lookup_began();
    schedule.lookup_ended(&question, lookup, now);
}

fn each(excludes: &[&str]) -> Schedule {
    let mut unwanted = Excludes::new();
    for item in excludes {
        unwanted.add(item).expect("an item");
    }
    let excludes = Arc::new(unwanted);
    schedule(Policy { addresses: Addresses::Each, excludes, ..unlimited() })
}

/// Ends every attempt as refused. States and reasons, and the position that has them.
fn refused(schedule: &mut Schedule, now: Instant) -> Vec<(PortState, Reason)> {
    schedule.input_ended();
    let mut outcomes = Vec::new();
    while !schedule.is_finished() {
        for start in starts(schedule, now) {
            settle(schedule, start, verdict(PortState::Closed), now);
        }
        outcomes.extend(schedule.take_outcomes());
    }
    outcomes.iter().map(|outcome| (outcome.verdict.state, outcome.verdict.reason)).collect()
}

#[test]
fn resolver_without_an_answer_is_asked_again_after_pauses() {
    let mut schedule = schedule(unlimited());
    named(&mut schedule, &Err(LookupError::NoAnswer));
    assert_eq!(schedule.wanted_lookup(at(1_999)), None);
    assert_eq!(schedule.next_timeout(), Some(at(2_000)));
    look_up(&mut schedule, Err(LookupError::NoAnswer), at(2_000));
    assert_eq!(schedule.next_timeout(), Some(at(8_000)));
    look_up(&mut schedule, Ok(addresses(&[1])), at(8_000));
    let [ref start] = starts(&mut schedule, at(8_000))[..] else { panic!("it was found") };
    assert_eq!(start.endpoint.ip(), IpAddr::from([192, 0, 2, 1]));
}

#[test]
fn part_of_the_addresses_is_not_taken_back_by_a_later_failure() {
    let mut schedule = schedule(unlimited());
    let part = beside(Missing::Family(Family::V6), &[1]);
    named(&mut schedule, &Ok(part));
    look_up(&mut schedule, Err(LookupError::NoAnswer), at(2_000));
    look_up(&mut schedule, Err(LookupError::NoAnswer), at(8_000));
    let verdicts = refused(&mut schedule, at(8_000));
    assert_eq!(verdicts, [(PortState::Closed, Reason::RefusedInPart)]);
}

#[test]
fn resolver_that_answers_nobody_is_not_asked_again() {
    let in_part = Ok(beside(Missing::Family(Family::V6), &[1]));
    for lookup in [Err(LookupError::NoAnswer), in_part] {
        let mut schedule = schedule(unlimited());
        for host in 0..200 {
            schedule.add(Target::from((format!("{host}.example"), 22)), at(0));
        }
        let (mut lookups, mut now) = (0, at(0));
        while !schedule.names.is_idle() {
            match schedule.wanted_lookup(now).cloned() {
                Some(question) => {
                    lookups += 1;
                    schedule.lookup_began();
                    schedule.lookup_ended(&question, lookup.clone(), now);
                }
                None => now = schedule.names.next_due().expect("one is looked up again"),
            }
        }
        assert_eq!(lookups, 200 + OUT_OF_ORDER - 1, "{lookup:?}");
    }
}

/// `closed` counts as proof, so a name with an untried address must not be `closed`.
#[test]
fn name_of_which_an_address_was_not_tried_is_refused_in_part() {
    let whole = || Ok(addresses(&[1, 2]));
    let unspecified = Found::from(vec![
        SocketAddr::from(([0, 0, 0, 0], 0)),
        SocketAddr::from(([192, 0, 2, 1], 0)),
    ]);
    for (exclude, lookup, reason) in [
        ("192.0.2.9", whole(), Reason::Refused),
        ("192.0.2.2", whole(), Reason::RefusedInPart),
        ("192.0.2.2:22", whole(), Reason::RefusedInPart),
        ("192.0.2.2:23", whole(), Reason::Refused),
        ("192.0.2.9", Ok(unspecified), Reason::RefusedInPart),
        ("192.0.2.9", Ok(beside(Missing::Beyond, &[1])), Reason::RefusedInPart),
    ] {
        let mut excludes = Excludes::new();
        excludes.add(exclude).expect("an address");
        let mut schedule = schedule(Policy { excludes: Arc::new(excludes), ..unlimited() });
        named(&mut schedule, &lookup);
        let verdicts = refused(&mut schedule, at(0));
        assert_eq!(verdicts, [(PortState::Closed, reason)], "{exclude} {lookup:?}");
    }
}

#[test]
fn address_without_a_route_leaves_a_refusal_in_part() {
    for states in
        [[PortState::Unchecked, PortState::Closed], [PortState::Closed, PortState::Unchecked]]
    {
        let mut schedule = schedule(unlimited());
        named(&mut schedule, &Ok(addresses(&[1, 2])));
        for state in states {
            let start = schedule.next_start(at(0)).expect("the next address");
            settle(&mut schedule, start, verdict(state), at(0));
        }
        let outcome = outcome(&mut schedule);
        let verdict = (outcome.verdict.state, outcome.verdict.reason);
        assert_eq!(verdict, (PortState::Closed, Reason::RefusedInPart));
    }
}

/// What an earlier round could not try counts no more when the last one could.
#[test]
fn refusal_of_all_addresses_in_the_last_round_is_whole() {
    use PortState::{Closed, Filtered, Unchecked};
    let mut schedule = schedule(Policy { retries: 1, ..unlimited() });
    named(&mut schedule, &Ok(addresses(&[1, 2])));
    schedule.input_ended();
    for state in [Unchecked, Filtered, Closed, Closed] {
        let start = schedule.next_start(at(0)).expect("the next address");
        settle(&mut schedule, start, verdict(state), at(0));
    }
    assert_eq!(outcome(&mut schedule).verdict.reason, Reason::Refused);
}

#[test]
fn unspecified_address_is_never_contacted() {
    for address in ["0.0.0.0", "::", "::ffff:0.0.0.0"] {
        let address: IpAddr = address.parse().expect("an address");
        let mut schedule = schedule(unlimited());
        named(&mut schedule, &Ok(vec![SocketAddr::new(address, 0)].into()));
        schedule.add(Target::from((address.to_string(), 22)), at(0));
        let verdicts = refused(&mut schedule, at(0));
        assert_eq!(verdicts, [(PortState::Unchecked, Reason::UnspecifiedAddress); 2], "{address}");
    }
}

#[test]
fn excludes_are_asked_for_what_an_address_reaches() {
    for address in ["0.0.0.0", "::ffff:127.0.0.9", "::127.0.0.9", "::ffff:0.0.0.0"] {
        let mut excludes = Excludes::new();
        excludes.add("127.0.0.0/8").expect("a network");
        let mut schedule = schedule(Policy { excludes: Arc::new(excludes), ..unlimited() });
        let address: IpAddr = address.parse().expect("an address");
        named(&mut schedule, &Ok(vec![SocketAddr::new(address, 0)].into()));
        schedule.add(Target::from((address.to_string(), 22)), at(0));
        assert_eq!(refused(&mut schedule, at(0)), [], "{address}");
        assert_eq!(schedule.account(at(0)).excluded, 2, "{address}");
    }
}

#[test]
fn each_of_thousands_of_addresses_is_a_target_and_few_are_held() {
    let mut schedule = each(&[]);
    let all: Vec<_> = (0..8_192_u16)
        .map(|place| SocketAddr::from(([10, 0, place.to_be_bytes()[0], place.to_be_bytes()[1]], 0)))
        .collect();
    named(&mut schedule, &Ok(all.into()));
    assert!(schedule.checks.len() <= READY_MAX, "{}", schedule.checks.len());
    assert!(!schedule.has_room(), "the others come first");
    assert_eq!(schedule.take_outcome_counts(), [OutcomeCount { position: 0, outcomes: 8_192 }]);
    let verdicts = refused(&mut schedule, at(0));
    assert_eq!(verdicts, vec![(PortState::Closed, Reason::Refused); 8_192]);
    let account = schedule.account(at(0));
    assert_eq!((account.targets, account.more_addresses, account.left()), (8_192, 8_191, 0));
}

#[test]
fn of_each_address_what_is_not_tried_is_counted_or_told() {
    let mut schedule = each(&["192.0.2.2"]);
    let mut found = beside(Missing::Beyond, &[1, 2, 3]);
    let unspecified = [SocketAddr::from(([0, 0, 0, 0], 0))];
    found.addresses = found.addresses.iter().copied().chain(unspecified).collect();
    named(&mut schedule, &Ok(found));
    assert_eq!(schedule.take_outcome_counts(), [OutcomeCount { position: 0, outcomes: 4 }]);
    let mut verdicts = refused(&mut schedule, at(0));
    verdicts.sort_by_key(|(_, reason)| reason.name());
    assert_eq!(
        verdicts,
        [
            (PortState::Closed, Reason::Refused),
            (PortState::Closed, Reason::Refused),
            (PortState::Unchecked, Reason::TooManyAddresses),
            (PortState::Unchecked, Reason::UnspecifiedAddress),
        ]
    );
    let account = schedule.account(at(0));
    assert_eq!((account.targets, account.excluded, account.left()), (5, 1, 0));
}

#[test]
fn family_without_an_answer_is_a_row_of_its_own_unless_it_is_excluded() {
    for (exclude, unchecked) in [("192.0.2.9", 1), ("::/0", 0), ("[::/0]:22", 0), ("[::/0]:23", 1)]
    {
        let mut schedule = each(&[exclude]);
        let part = beside(Missing::Family(Family::V6), &[1]);
        named(&mut schedule, &Ok(part.clone()));
        look_up(&mut schedule, Ok(part.clone()), at(2_000));
        look_up(&mut schedule, Ok(part), at(8_000));
        let verdicts = refused(&mut schedule, at(8_000));
        let failed = (PortState::Unchecked, Reason::LookupFailed);
        assert_eq!(
            verdicts.iter().filter(|&&verdict| verdict == failed).count(),
            unchecked,
            "{exclude}"
        );
        assert_eq!(verdicts.len(), 1 + unchecked, "{exclude}");
    }
}

#[test]
fn names_whose_addresses_are_still_targets_to_come_are_few() {
    let policy = Policy { in_flight: 1, addresses: Addresses::Each, ..unlimited() };
    let mut schedule = schedule(policy);
    for host in 0..1_000 {
        schedule.add(Target::from((format!("{host}.example"), 22)), at(0));
    }
    let mut lookups = 0;
    while let Some(question) = schedule.wanted_lookup(at(0)).cloned() {
        lookups += 1;
        schedule.lookup_began();
        schedule.lookup_ended(&question, Ok(addresses(&[1; 200])), at(0));
    }
    assert!((EXPANDING_MAX..2 * EXPANDING_MAX).contains(&lookups), "{lookups}");
}

/// That the resolver found addresses of one family says nothing of the other.
#[test]
fn refusal_by_one_family_is_told_when_the_other_is_known() {
    use Missing::{Beyond, Family as Failed, NotAsked};
    let v6 = |last: u16| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, last], 0));
    let both = || Found::from(vec![addresses(&[1]).addresses[0], v6(1)]);
    let failed = || Ok(beside(Failed(Family::V6), &[1]));
    for (excluded, rest, attempts, reason) in [
        ("2001:db8::9", Ok(addresses(&[1])), 1, Reason::Refused),
        ("2001:db8::9", Ok(both()), 2, Reason::Refused),
        ("2001:db8::1", Ok(both()), 1, Reason::RefusedInPart),
        ("2001:db8::9", Ok(Found { missing: Some(Beyond), ..both() }), 2, Reason::RefusedInPart),
        ("2001:db8::9", failed(), 1, Reason::RefusedInPart),
        ("2001:db8::9", Err(LookupError::NoAnswer), 1, Reason::RefusedInPart),
        ("2001:db8::9", Err(LookupError::NoSuchName), 1, Reason::RefusedInPart),
    ] {
        let mut excludes = Excludes::new();
        excludes.add(excluded).expect("an address");
        let mut schedule = schedule(Policy { excludes: Arc::new(excludes), ..unlimited() });
        named(&mut schedule, &Ok(beside(NotAsked(Family::V6), &[1])));
        let [ref start] = starts(&mut schedule, at(0))[..] else { panic!("one address is known") };
        settle(&mut schedule, start, verdict(PortState::Closed), at(0));
        for now in [at(0), at(2_000), at(8_000)] {
            if let Some(question) = schedule.wanted_lookup(now).cloned() {
                assert_eq!(question.scope, Scope::BothFamilies);
                schedule.lookup_began();
                schedule.lookup_ended(&question, rest.clone(), now);
            }
        }
        for start in starts(&mut schedule, at(8_000)) {
            assert_eq!(start.endpoint, SocketAddr::new(v6(1).ip(), 22));
            settle(&mut schedule, start, verdict(PortState::Closed), at(8_000));
        }
        let outcome = outcome(&mut schedule);
        let verdict = (outcome.verdict.state, outcome.verdict.reason, outcome.attempts);
        assert_eq!(verdict, (PortState::Closed, reason, attempts), "{rest:?}");
    }
}

#[test]
fn family_is_asked_for_unless_the_name_is_open() {
    for (excluded, state, is_asked) in [
        ("192.0.2.9", PortState::Open, false),
        ("192.0.2.9", PortState::Filtered, true),
        ("192.0.2.9", PortState::Closed, true),
        ("::/0", PortState::Closed, true),
    ] {
        let mut excludes = Excludes::new();
        excludes.add(excluded).expect("addresses");
        let mut schedule = schedule(Policy { excludes: Arc::new(excludes), ..unlimited() });
        named(&mut schedule, &Ok(beside(Missing::NotAsked(Family::V6), &[1])));
        let [ref start] = starts(&mut schedule, at(0))[..] else { panic!("one address is known") };
        settle(&mut schedule, start, verdict(state), at(0));
        assert_eq!(schedule.wanted_lookup(at(0)).is_some(), is_asked, "{excluded} {state}");
    }
}

#[test]
fn stop_while_the_rest_of_a_name_is_looked_up_leaves_a_refusal_in_part() {
    let mut schedule = schedule(unlimited());
    named(&mut schedule, &Ok(beside(Missing::NotAsked(Family::V6), &[1])));
    let [ref start] = starts(&mut schedule, at(0))[..] else { panic!("one address is known") };
    settle(&mut schedule, start, verdict(PortState::Closed), at(0));
    let question = schedule.wanted_lookup(at(0)).expect("the rest is wanted").clone();
    schedule.lookup_began();
    schedule.stop(at(0));
    let outcome = outcome(&mut schedule);
    assert_eq!(outcome.verdict.reason, Reason::RefusedInPart);
    schedule.lookup_ended(&question, Ok(addresses(&[1])), at(0));
    assert!(schedule.is_finished());
}

/// What becomes of a name with one address when its other family is looked up, at once or later.
fn with_rest(left_out: &str, state: PortState, rest: &Lookup) -> (PortState, Reason) {
    let mut excludes = Excludes::new();
    excludes.add(left_out).expect("addresses");
    let mut schedule = schedule(Policy { excludes: Arc::new(excludes), ..unlimited() });
    named(&mut schedule, &Ok(beside(Missing::NotAsked(Family::V6), &[1])));
    for start in starts(&mut schedule, at(0)) {
        settle(&mut schedule, start, verdict(state), at(0));
    }
    for now in [at(0), at(2_000), at(8_000)] {
        if let Some(question) = schedule.wanted_lookup(now).cloned() {
            schedule.lookup_began();
            schedule.lookup_ended(&question, rest.clone(), now);
        }
    }
    for start in starts(&mut schedule, at(8_000)) {
        settle(&mut schedule, start, verdict(PortState::Closed), at(8_000));
    }
    if schedule.account(at(8_000)).excluded > 0 {
        return (PortState::Unchecked, Reason::NotPermitted);
    }
    let outcome = outcome(&mut schedule);
    (outcome.verdict.state, outcome.verdict.reason)
}

#[test]
fn what_can_not_be_looked_up_is_neither_excluded_nor_silent_nor_refused() {
    use PortState::{Closed, Filtered, Unchecked};
    let v6 = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 0));
    let both = Ok(Found::from(vec![addresses(&[1]).addresses[0], v6]));
    let failed = Ok(beside(Missing::Family(Family::V6), &[1]));
    let (unchecked, excluded) =
        ((Unchecked, Reason::LookupFailed), (Unchecked, Reason::NotPermitted));
    for (exclude, state, rest, expected) in [
        ("0.0.0.0/0", Closed, &failed, unchecked),
        ("0.0.0.0/0", Closed, &Err(LookupError::NoAnswer), unchecked),
        ("0.0.0.0/0", Closed, &Ok(addresses(&[1])), excluded),
        ("0.0.0.0/0", Closed, &both, (Closed, Reason::RefusedInPart)),
        ("192.0.2.9", Filtered, &failed, unchecked),
        ("192.0.2.9", Filtered, &Ok(addresses(&[1])), (Filtered, Reason::NoAnswer)),
        ("192.0.2.9", Filtered, &both, (Filtered, Reason::NoAnswer)),
        ("::/0", Closed, &failed, (Closed, Reason::RefusedInPart)),
        ("::/0", Closed, &both, (Closed, Reason::RefusedInPart)),
        ("::/0", Closed, &Ok(addresses(&[1])), (Closed, Reason::Refused)),
    ] {
        assert_eq!(with_rest(exclude, state, rest), expected, "{exclude} {state} {rest:?}");
    }
}

#[test]
fn refusal_is_in_part_when_the_rest_of_the_addresses_is_given_up() {
    let v6 = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 0));
    let both = || Found::from(vec![addresses(&[1]).addresses[0], v6]);
    for is_stopped_early in [false, true] {
        let mut schedule = schedule(unlimited());
        named(&mut schedule, &Ok(beside(Missing::NotAsked(Family::V6), &[1])));
        let [ref start] = starts(&mut schedule, at(0))[..] else { panic!("one address is known") };
        if is_stopped_early {
            schedule.stop(at(0));
        }
        settle(&mut schedule, start, verdict(PortState::Closed), at(0));
        if let Some(question) = schedule.wanted_lookup(at(0)).cloned() {
            schedule.lookup_began();
            schedule.lookup_ended(&question, Ok(both()), at(0));
            schedule.stop(at(0));
        }
        let outcome = outcome(&mut schedule);
        assert_eq!(outcome.verdict.reason, Reason::RefusedInPart, "{is_stopped_early}");
    }
}
