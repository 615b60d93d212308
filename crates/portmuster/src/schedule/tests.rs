//! Tests of the schedule alone, without sockets and clocks.

use std::{borrow::Borrow, collections::HashSet, net::IpAddr, num::NonZeroU32, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::attempt::Opening;

mod lookups;
mod routes;
mod second_attempts;
mod silent_targets;
mod slow_hosts;

fn unlimited() -> Policy {
    Policy {
        in_flight: 1000,
        rate: None,
        per_host: None,
        host_timeout: None,
        waiting: usize::MAX,
        retries: 0,
        speak_first: SpeakFirst::Auto,
        addresses: Addresses::default(),
        excludes: Arc::default(),
        stopped: Stopped::default(),
        route: Route::default(),
        patience: Patience::Full,
        timeout: Duration::from_secs(10),
        blocks: blocks(None),
    }
}

/// Returns the policy of a run over a list, which estimates what it misses if there is a limit.
fn blocks(max_missed: Option<f64>) -> BlockPolicy {
    BlockPolicy {
        positions: Some(1000),
        max_missed,
        seed: 7,
        stored_max: usize::MAX,
        targets_max: BlockPolicy::TARGETS_MAX,
    }
}

fn schedule(policy: Policy) -> Schedule {
    Schedule::new(policy, SystemTime::UNIX_EPOCH)
}

fn at(milliseconds: u64) -> Instant {
    Instant::START.after(Duration::from_millis(milliseconds))
}

fn target(host: u8, port: u16) -> Target {
    Target::from(SocketAddr::from(([192, 0, 2, host], port)))
}

fn verdict(state: PortState) -> Conclusion {
    let reason = match state {
        PortState::Open => Reason::Accepted,
        PortState::Closed => Reason::Refused,
        _ => Reason::NoAnswer,
    };
    Conclusion::Verdict(Verdict::unconnected(state, reason, Duration::ZERO))
}

/// Returns the conclusion of an attempt that waited so many milliseconds for an answer.
fn silence(milliseconds: u64) -> Conclusion {
    let total = Duration::from_millis(milliseconds);
    Conclusion::Verdict(Verdict::unconnected(PortState::Filtered, Reason::NoAnswer, total))
}

fn throttled() -> Conclusion {
    let Conclusion::Verdict(verdict) = verdict(PortState::Open) else { unreachable!() };
    Conclusion::Verdict(Verdict { service: Some(Service::SshThrottled), ..verdict })
}

fn settle(
    schedule: &mut Schedule,
    start: impl Borrow<Start>,
    conclusion: Conclusion,
    now: Instant,
) {
    schedule.settle(Report { id: start.borrow().id, conclusion }, now);
}

fn starts(schedule: &mut Schedule, now: Instant) -> Vec<Start> {
    std::iter::from_fn(|| schedule.next_start(now)).collect()
}

fn states(schedule: &mut Schedule) -> Vec<PortState> {
    schedule.take_outcomes().iter().map(|outcome| outcome.verdict.state).collect()
}

/// Returns the only outcome.
fn outcome(schedule: &mut Schedule) -> Outcome {
    let outcomes = schedule.take_outcomes();
    <[_; 1]>::try_from(outcomes).map(|[outcome]| outcome).expect("one has become known")
}

#[test]
fn attempts_in_flight_never_exceed_the_window() {
    let mut schedule = schedule(Policy { in_flight: 2, ..unlimited() });
    for port in 1..=5 {
        schedule.add(target(1, port), at(0));
    }
    let begun = starts(&mut schedule, at(0));
    assert_eq!(begun.len(), 2);
    settle(&mut schedule, &begun[0], verdict(PortState::Closed), at(1));
    assert_eq!(starts(&mut schedule, at(1)).len(), 1);
}

#[test]
fn full_host_does_not_delay_other_hosts() {
    let mut schedule = schedule(Policy { per_host: NonZeroU32::new(2), ..unlimited() });
    for port in 1..=5 {
        schedule.add(target(1, port), at(0));
    }
    schedule.add(target(2, 1), at(0));
    let begun = starts(&mut schedule, at(0));
    let ports: Vec<_> = begun.iter().map(|start| start.endpoint.to_string()).collect();
    assert_eq!(ports, ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1"]);
    settle(&mut schedule, &begun[1], verdict(PortState::Closed), at(1));
    let next = starts(&mut schedule, at(1));
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].endpoint.port(), 3);
}

#[test]
fn targets_waiting_for_a_host_are_bounded() {
    let policy = Policy { per_host: NonZeroU32::new(1), waiting: 1000, ..unlimited() };
    let mut schedule = schedule(policy);
    let mut added = 0;
    let mut begun = 0;
    while schedule.has_room() {
        schedule.add(target(1, 1), at(0));
        added += 1;
        begun += starts(&mut schedule, at(0)).len();
    }
    assert_eq!(begun, 1);
    assert_eq!(added, 1000 + 1);
}

#[test]
fn attempts_on_a_silent_target_start_five_seconds_apart() {
    let policy = Policy { retries: 1, patience: Patience::Adaptive, ..unlimited() };
    let mut schedule = schedule(policy);
    // The first position whose first attempt does not keep the whole timeout.
    schedule.add(target(1, 1), at(0));
    let first = schedule.next_start(at(0)).expect("it may start");
    assert_eq!(first.patience, Some(Duration::from_millis(3200)));
    settle(&mut schedule, first, silence(3200), at(3200));
    assert_eq!(schedule.next_start(at(4_999)), None);
    assert_eq!(schedule.next_timeout(), Some(at(5_000)));
    let second = schedule.next_start(at(5_000)).expect("it is due");
    settle(&mut schedule, second, verdict(PortState::Open), at(5_001));
    let outcome = outcome(&mut schedule);
    assert_eq!((outcome.attempts, outcome.is_open()), (2, true));
    assert_eq!(schedule.account(at(5_001)).found_on_retry, 1);
}

#[test]
fn attempt_with_the_whole_timeout_stands_for_two() {
    let policy = Policy { retries: 1, patience: Patience::Adaptive, ..unlimited() };
    let mut schedule = schedule(policy);
    for _ in 0..640 {
        schedule.add(target(1, 1), at(0));
    }
    schedule.input_ended();
    let (whole, short): (Vec<_>, Vec<_>) =
        starts(&mut schedule, at(0)).into_iter().partition(|start| start.patience.is_none());
    assert!((2..30).contains(&whole.len()), "{}", whole.len());
    for start in short {
        settle(&mut schedule, start, silence(3200), at(3200));
    }
    let retries = starts(&mut schedule, at(5000));
    assert_eq!(retries.len() + whole.len(), 640);
    for start in whole {
        settle(&mut schedule, start, silence(10_000), at(10_000));
    }
    for start in retries {
        settle(&mut schedule, start, silence(3200), at(10_000));
    }
    assert_eq!(schedule.next_start(at(100_000)), None);
    assert_eq!(states(&mut schedule), [PortState::Filtered; 640]);
    assert!(schedule.is_finished());
}

#[test]
fn targets_are_retried_only_when_all_of_their_block_were_tried() {
    let mut schedule = schedule(Policy { retries: 1, in_flight: 1, ..unlimited() });
    schedule.add(target(1, 1), at(0));
    let first = schedule.next_start(at(0)).expect("it may start");
    schedule.add(target(1, 2), at(0));
    settle(&mut schedule, first, verdict(PortState::Filtered), at(10_000));
    let second = schedule.next_start(at(10_000)).expect("it may start");
    assert_eq!(second.endpoint.port(), 2);
    schedule.add(target(1, 3), at(10_000));
    settle(&mut schedule, second, verdict(PortState::Filtered), at(20_000));
    let third = schedule.next_start(at(20_000)).expect("it may start");
    assert_eq!(third.endpoint.port(), 3, "retries wait while others can start");
    settle(&mut schedule, third, verdict(PortState::Closed), at(20_000));
    schedule.input_ended();
    let retries: Vec<_> = (0..2)
        .map(|_| {
            let retry = schedule.next_start(at(20_000)).expect("only retries are left");
            let port = retry.endpoint.port();
            settle(&mut schedule, retry, verdict(PortState::Closed), at(20_000));
            port
        })
        .collect();
    assert_eq!(retries, [1, 2]);
}

#[test]
fn retries_start_at_once_when_nothing_else_is_left() {
    let mut schedule = schedule(Policy { retries: 2, ..unlimited() });
    schedule.add(target(1, 1), at(0));
    schedule.input_ended();
    for _ in 0..3 {
        let start = schedule.next_start(at(0)).expect("nothing else is left");
        settle(&mut schedule, start, verdict(PortState::Filtered), at(0));
    }
    assert_eq!(states(&mut schedule), [PortState::Filtered]);
    assert!(schedule.is_finished());
}

#[test]
fn fault_shrinks_the_window_and_is_retried() {
    let mut schedule = schedule(unlimited());
    for port in 1..=10 {
        schedule.add(target(1, port), at(0));
    }
    let mut begun = starts(&mut schedule, at(0));
    let short = begun.split_off(4);
    for start in short {
        settle(&mut schedule, start, Conclusion::Fault(Fault::ProcessDescriptors), at(1));
    }
    assert_eq!(schedule.account(at(1)).faults, 6);
    assert_eq!(schedule.next_start(at(1_000)), None, "four is what this machine could hold");
    let mut now = at(1_000);
    while let Some(start) = begun.pop() {
        now = now.after(Duration::from_secs(1));
        settle(&mut schedule, start, verdict(PortState::Closed), now);
        begun.extend(starts(&mut schedule, now));
        assert!(begun.len() <= 6);
    }
    assert_eq!(states(&mut schedule), [PortState::Closed; 10]);
}

#[test]
fn lasting_fault_ends_as_unchecked_never_as_closed() {
    let mut schedule = schedule(Policy { retries: 3, ..unlimited() });
    schedule.add(target(1, 1), at(0));
    schedule.input_ended();
    let mut faults = 0;
    let mut now = at(0);
    while !schedule.checks.is_empty() {
        if let Some(start) = schedule.next_start(now) {
            settle(&mut schedule, start, Conclusion::Fault(Fault::LocalPorts), now);
            faults += 1;
        } else {
            now = schedule.next_timeout().expect("something is due").max(now);
        }
    }
    assert_eq!(faults, 10);
    let outcome = outcome(&mut schedule);
    assert_eq!(outcome.verdict.state, PortState::Unchecked);
    assert_eq!(outcome.verdict.reason, Reason::Fault(Fault::LocalPorts));
    assert_eq!(outcome.attempts, 0);
}

#[test]
fn retry_that_fails_here_keeps_the_earlier_verdict() {
    let mut schedule = schedule(Policy { retries: 1, ..unlimited() });
    schedule.add(target(1, 1), at(0));
    schedule.input_ended();
    let first = schedule.next_start(at(0)).expect("it may start");
    settle(&mut schedule, first, verdict(PortState::Filtered), at(0));
    let second = schedule.next_start(at(0)).expect("nothing else is left");
    settle(&mut schedule, second, verdict(PortState::Unchecked), at(0));
    assert_eq!(states(&mut schedule), [PortState::Filtered]);
}

/// Returns addresses of a name, in the resolver's order.
fn addresses(last: &[u8]) -> Found {
    let address = |&last: &u8| SocketAddr::from(([192, 0, 2, last], 0));
    last.iter().map(address).collect::<Vec<_>>().into()
}

fn named(schedule: &mut Schedule, lookup: &Lookup) {
    schedule.add(Target::from(("db.example", 22)), at(0));
    let question = Question::clone(schedule.wanted_lookup(at(0)).expect("the name is wanted"));
    schedule.lookup_began();
    assert_eq!(schedule.wanted_lookup(at(0)), None);
    schedule.lookup_ended(&question, lookup.clone(), at(0));
}

#[test]
fn addresses_are_tried_in_order_until_one_accepts() {
    let mut schedule = schedule(unlimited());
    named(&mut schedule, &Ok(addresses(&[7, 3, 5])));
    for (last, state) in [(7, PortState::Closed), (3, PortState::Open)] {
        let start = schedule.next_start(at(0)).expect("the next address");
        assert_eq!(start.endpoint, SocketAddr::from(([192, 0, 2, last], 22)));
        assert_eq!(schedule.next_start(at(0)), None, "one address at a time");
        settle(&mut schedule, start, verdict(state), at(0));
    }
    let outcome = outcome(&mut schedule);
    assert_eq!(outcome.endpoint, Some(SocketAddr::from(([192, 0, 2, 3], 22))));
    assert_eq!((outcome.is_open(), outcome.attempts), (true, 2));
}

#[test]
fn most_doubtful_verdict_wins_when_no_address_accepts() {
    use PortState::{Closed, Filtered, Unchecked};
    for (states, expected) in [
        ([Closed, Filtered], (Filtered, 2)),
        ([Filtered, Closed], (Filtered, 1)),
        ([Unchecked, Closed], (Closed, 2)),
        ([Closed, Unchecked], (Closed, 1)),
        ([Unchecked, Unchecked], (Unchecked, 1)),
    ] {
        let mut schedule = schedule(unlimited());
        named(&mut schedule, &Ok(addresses(&[1, 2])));
        for state in states {
            let start = schedule.next_start(at(0)).expect("the next address");
            settle(&mut schedule, start, verdict(state), at(0));
        }
        let outcome = outcome(&mut schedule);
        let address = outcome.endpoint.map(|endpoint| endpoint.ip());
        assert_eq!(outcome.verdict.state, expected.0, "{states:?}");
        assert_eq!(address, Some(IpAddr::from([192, 0, 2, expected.1])), "{states:?}");
    }
}

#[test]
fn name_is_looked_up_once_for_all_waiting_targets() {
    let mut schedule = schedule(unlimited());
    schedule.add(Target::from(("db.example", 22)), at(0));
    schedule.add(Target::from(("db.example", 23)), at(0));
    let question = Question::clone(schedule.wanted_lookup(at(0)).expect("the name is wanted"));
    schedule.lookup_began();
    assert_eq!(schedule.wanted_lookup(at(0)), None);
    schedule.lookup_ended(&question, Ok(addresses(&[1])), at(0));
    schedule.add(Target::from(("db.example", 24)), at(0));
    assert_eq!(schedule.wanted_lookup(at(0)), None, "it is known now");
    assert_eq!(starts(&mut schedule, at(0)).len(), 3);
}

#[test]
fn missing_name_and_failed_lookup_have_different_reasons() {
    for (error, state) in [
        (LookupError::NoSuchName, PortState::Unresolved),
        (LookupError::NoAnswer, PortState::Unchecked),
        (LookupError::NoSuchInterface, PortState::Unchecked),
    ] {
        let mut schedule = schedule(unlimited());
        named(&mut schedule, &Err(error));
        // A resolver without an answer is asked twice more.
        for now in [at(2_000), at(8_000)] {
            if let Some(question) = schedule.wanted_lookup(now).cloned() {
                schedule.lookup_began();
                schedule.lookup_ended(&question, Err(error), now);
            }
        }
        assert_eq!(states(&mut schedule), [state]);
    }
}

#[test]
fn lookup_is_repeated_after_a_fault_of_this_machine() {
    let mut schedule = schedule(unlimited());
    named(&mut schedule, &Err(LookupError::Short(Fault::ProcessDescriptors)));
    assert_eq!(schedule.next_start(at(49)), None);
    assert_eq!(schedule.wanted_lookup(at(49)), None);
    assert_eq!(schedule.next_start(at(50)), None);
    let question = Question::clone(schedule.wanted_lookup(at(0)).expect("its pause is over"));
    schedule.lookup_began();
    schedule.lookup_ended(&question, Ok(addresses(&[1])), at(51));
    assert!(schedule.next_start(at(60)).is_some());
    assert_eq!(schedule.account(at(60)).faults, 1);
}

#[test]
fn targets_that_end_without_a_start_are_bounded() {
    let mut schedule = schedule(unlimited());
    let mut added = 0;
    while schedule.has_room() {
        schedule.add(target(1, 0), at(0));
        added += 1;
    }
    assert_eq!(added, OUTCOMES_MAX);
    assert_eq!(states(&mut schedule), vec![PortState::Unchecked; added]);
}

#[test]
fn stopped_run_starts_nothing_and_counts_targets_left() {
    let mut schedule = schedule(Policy { retries: 1, in_flight: 2, ..unlimited() });
    for port in 1..=5 {
        schedule.add(target(1, port), at(0));
    }
    let begun = starts(&mut schedule, at(0));
    settle(&mut schedule, &begun[0], verdict(PortState::Filtered), at(0));
    schedule.stop(at(0));
    assert_eq!(states(&mut schedule), [PortState::Filtered], "it has a verdict");
    assert!(!schedule.is_finished(), "one is in flight");
    settle(&mut schedule, &begun[1], verdict(PortState::Filtered), at(0));
    assert_eq!(states(&mut schedule), [PortState::Filtered], "there is no later for a retry");
    assert_eq!(schedule.next_start(at(100_000)), None);
    assert_eq!(schedule.next_timeout(), None);
    assert!(schedule.is_finished());
    assert_eq!(schedule.account(at(0)).left(), 3);
}

#[test]
fn stop_of_a_resumable_run_leaves_waiting_targets() {
    let policy = Policy { retries: 1, in_flight: 3, stopped: Stopped::Left, ..unlimited() };
    let mut schedule = schedule(policy);
    for host in 1..=4 {
        schedule.add(target(host, 1), at(0));
    }
    let begun = starts(&mut schedule, at(0));
    settle(&mut schedule, &begun[0], verdict(PortState::Filtered), at(0));
    schedule.stop(at(0));
    settle(&mut schedule, &begun[1], verdict(PortState::Filtered), at(0));
    settle(&mut schedule, &begun[2], throttled(), at(0));
    assert_eq!(states(&mut schedule), [], "each waits for another attempt");
    assert_eq!(schedule.next_start(at(100_000)), None);
    assert_eq!(schedule.next_timeout(), None);
    assert!(schedule.is_finished());
    assert_eq!(schedule.account(at(0)).left(), 4);
}

#[test]
fn throttling_host_rests_and_is_tried_again() {
    let mut schedule = schedule(unlimited());
    schedule.add(target(1, 22), at(0));
    let first = schedule.next_start(at(0)).expect("it may start");
    settle(&mut schedule, first, throttled(), at(1_000));
    schedule.add(target(1, 23), at(1_000));
    schedule.add(target(2, 22), at(1_000));
    let others = starts(&mut schedule, at(1_000));
    assert_eq!(others.len(), 1, "another port of it waits as well, another host does not");
    assert_eq!(schedule.next_start(at(30_999)), None);
    assert_eq!(schedule.next_timeout(), Some(at(31_000)));
    let again = starts(&mut schedule, at(31_000));
    assert_eq!(again.len(), 2);
    settle(&mut schedule, &again[0], throttled(), at(31_001));
    let outcome = outcome(&mut schedule);
    assert_eq!((outcome.verdict.service, outcome.attempts), (Some(Service::SshThrottled), 2));
}

#[test]
fn ssh_that_refuses_later_is_still_ssh() {
    let mut schedule = schedule(unlimited());
    schedule.add(target(1, 22), at(0));
    let first = schedule.next_start(at(0)).expect("it may start");
    settle(&mut schedule, first, throttled(), at(0));
    let second = schedule.next_start(at(30_000)).expect("it has rested");
    settle(&mut schedule, second, verdict(PortState::Closed), at(30_000));
    let outcome = outcome(&mut schedule);
    assert_eq!(outcome.verdict.service, Some(Service::SshThrottled));
}

#[test]
fn stop_keeps_the_verdict_of_a_target_in_retry() {
    for conclusion in [Conclusion::Fault(Fault::Buffers), verdict(PortState::Filtered)] {
        let mut schedule = schedule(Policy { retries: 2, ..unlimited() });
        named(&mut schedule, &Ok(addresses(&[1, 2])));
        schedule.input_ended();
        for _ in 0..2 {
            let start = schedule.next_start(at(0)).expect("the next address");
            settle(&mut schedule, start, verdict(PortState::Filtered), at(0));
        }
        let retry = schedule.next_start(at(0)).expect("nothing else is left");
        schedule.stop(at(0));
        settle(&mut schedule, retry, conclusion, at(0));
        assert_eq!(states(&mut schedule), [PortState::Filtered]);
        assert_eq!(schedule.account(at(0)).left(), 0);
    }
}

#[test]
fn excludes_apply_after_the_lookup() {
    let mut unwanted = Excludes::new();
    unwanted.add("192.0.2.7").expect("an address");
    unwanted.add("old.example").expect("a name");
    let excludes = Arc::new(unwanted);
    let policy = || Policy { excludes: Arc::clone(&excludes), ..unlimited() };
    let mut schedule = schedule(policy());
    named(&mut schedule, &Ok(addresses(&[7, 3])));
    let start = schedule.next_start(at(0)).expect("the other address");
    assert_eq!(start.endpoint.ip(), IpAddr::from([192, 0, 2, 3]));

    let mut schedule = self::schedule(policy());
    named(&mut schedule, &Ok(addresses(&[7])));
    schedule.add(target(7, 22), at(0));
    schedule.add(Target::from(("Old.example.", 22)), at(0));
    schedule.input_ended();
    assert_eq!(schedule.wanted_lookup(at(0)), None);
    assert_eq!(schedule.next_start(at(0)), None);
    assert!(schedule.is_finished());
    assert_eq!(schedule.account(at(0)).excluded, 3);
    assert_eq!(schedule.account(at(0)).left(), 0);
}

#[test]
fn each_address_can_be_a_target_of_its_own() {
    let mut schedule = schedule(Policy { addresses: Addresses::Each, ..unlimited() });
    named(&mut schedule, &Ok(addresses(&[7, 3, 5])));
    let begun = starts(&mut schedule, at(0));
    assert_eq!(begun.len(), 3);
    for start in begun {
        settle(&mut schedule, start, verdict(PortState::Open), at(0));
    }
    assert_eq!(states(&mut schedule).len(), 3);
    let account = schedule.account(at(0));
    assert_eq!((account.targets, account.more_addresses, account.left()), (3, 2, 0));
}

#[test]
fn open_ports_found_on_retry_slow_the_run_down() {
    let mut schedule = schedule(Policy { retries: 1, in_flight: 100, ..unlimited() });
    for place in 0..600_u16 {
        schedule.add(target(1, 1 + place), at(0));
    }
    let mut seen = HashSet::new();
    for now in [at(0), at(30_000)] {
        while let Some(start) = schedule.next_start(now) {
            let lost = start.endpoint.port() % 2 == 0 && seen.insert(start.endpoint.port());
            let state = if lost { PortState::Filtered } else { PortState::Open };
            settle(&mut schedule, start, verdict(state), now);
        }
    }
    let account = schedule.account(at(30_000));
    assert_eq!((account.settled(), account.found_on_retry), (600, 300));
    assert!(account.slowed > 0);
}

#[test]
fn throttle_names_the_limit_in_force() {
    let mut schedule = schedule(Policy { per_host: NonZeroU32::new(1), ..unlimited() });
    assert_eq!(schedule.account(at(0)).throttle, Some(Throttle::Input));
    schedule.add(target(1, 1), at(0));
    schedule.add(target(1, 2), at(0));
    starts(&mut schedule, at(0));
    assert_eq!(schedule.account(at(0)).throttle, Some(Throttle::PerHost));

    let mut schedule = self::schedule(Policy { rate: NonZeroU32::new(1), ..unlimited() });
    schedule.add(target(1, 1), at(0));
    schedule.add(target(1, 2), at(0));
    schedule.add(target(1, 3), at(0));
    starts(&mut schedule, at(0));
    assert_eq!(schedule.account(at(0)).throttle, Some(Throttle::Rate));

    let mut schedule = self::schedule(Policy { in_flight: 1, ..unlimited() });
    schedule.add(target(1, 1), at(0));
    starts(&mut schedule, at(0));
    assert_eq!(schedule.account(at(0)).throttle, Some(Throttle::InFlight));
}

proptest! {
    /// Every target gets one outcome and no limit is exceeded, whatever happens to the attempts.
    #[test]
    fn every_target_gets_exactly_one_outcome(
        hosts in proptest::collection::vec(0_u8..4, 1..60),
        conclusions in proptest::collection::vec((0_u8..12, 0_u64..20), 0..200),
        in_flight in 1_usize..8,
        per_host in 0_u32..3,
        retries in 0_u32..3,
        host_timeout in proptest::option::of(1_u64..200),
    ) {
        let per_host = NonZeroU32::new(per_host);
        let host_timeout = host_timeout.map(Duration::from_secs);
        let policy = Policy { in_flight, per_host, host_timeout, retries, ..unlimited() };
        let mut schedule = schedule(policy);
        for (port, host) in (1_u16..).zip(&hosts) {
            schedule.add(target(*host, port), at(0));
        }
        schedule.input_ended();
        let mut conclusions = conclusions.into_iter();
        let (mut now, mut open, mut seen) = (at(0), Vec::new(), HashSet::new());
        while !schedule.is_finished() {
            open.extend(starts(&mut schedule, now));
            prop_assert!(open.len() <= in_flight);
            if let Some(per_host) = per_host {
                for host in 0..4 {
                    let ip = IpAddr::from([192, 0, 2, host]);
                    let towards = open.iter().filter(|start| start.endpoint.ip() == ip).count();
                    prop_assert!(towards <= per_host.get() as usize);
                }
            }
            for outcome in schedule.take_outcomes() {
                prop_assert!(seen.insert(outcome.target.port));
            }
            if open.is_empty() {
                now = schedule.next_timeout().unwrap_or(now).max(now);
                continue;
            }
            let (conclusion, seconds) = conclusions.next().unzip();
            now = now.after(Duration::from_secs(seconds.unwrap_or(0)));
            let conclusion = match conclusion {
                Some(0..3) => Conclusion::Fault(Fault::Buffers),
                Some(3..6) => verdict(PortState::Filtered),
                Some(6) => verdict(PortState::Open),
                Some(7..9) => throttled(),
                _ => verdict(PortState::Closed),
            };
            let start = open.swap_remove(open.len() / 2);
            settle(&mut schedule, start, conclusion, now);
        }
        prop_assert_eq!(seen.len(), hosts.len());
        prop_assert_eq!(schedule.account(now).settled(), hosts.len() as u64);
    }
}
