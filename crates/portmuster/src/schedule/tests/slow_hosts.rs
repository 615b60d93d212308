//! Slow and throttling hosts, and the targets that wait for them.

use super::*;

fn per_host(most: u32) -> Policy {
    Policy { per_host: NonZeroU32::new(most), ..unlimited() }
}

/// Reasons of the outcomes that became known, with the number of attempts behind each.
fn reasons(schedule: &mut Schedule) -> Vec<(Reason, u32)> {
    let outcomes = schedule.take_outcomes();
    outcomes.iter().map(|outcome| (outcome.verdict.reason, outcome.attempts)).collect()
}

#[test]
fn two_hosts_that_never_end_an_attempt_delay_no_other() {
    const PORTS: u16 = 40_000;
    let mut schedule = schedule(per_host(4));
    let is_stuck = |endpoint: SocketAddr| {
        [IpAddr::from([192, 0, 2, 3]), IpAddr::from([192, 0, 2, 7])].contains(&endpoint.ip())
    };
    let mut stuck = 0;
    for port in 1..=PORTS {
        for host in 0..10 {
            assert!(schedule.has_room(), "the walk stops at port {port}");
            schedule.add(target(host, port), at(0));
        }
        for start in starts(&mut schedule, at(0)) {
            if is_stuck(start.endpoint) {
                stuck += 1;
            } else {
                settle(&mut schedule, start, verdict(PortState::Closed), at(0));
            }
        }
        schedule.take_outcomes();
    }
    assert_eq!(stuck, 2 * 4);
    assert_eq!(schedule.account(at(0)).settled(), 8 * u64::from(PORTS));
    assert_eq!(schedule.checks.len(), 2 * 4, "what waits is not kept as a check");
}

#[test]
fn waiting_targets_keep_name_label_and_position() {
    let mut schedule = schedule(per_host(1));
    let labelled = Target { label: Some("core".into()), ..target(1, 23) };
    let named = Target::from(("db.example", 24));
    for waiting in [target(1, 22), labelled.clone(), named.clone(), target(1, 25)] {
        schedule.add(waiting, at(0));
    }
    let question = Question::clone(schedule.wanted_lookup(at(0)).expect("the name is wanted"));
    schedule.lookup_began();
    schedule.lookup_ended(&question, Ok(addresses(&[1, 2])), at(0));
    schedule.input_ended();
    let mut found = Vec::new();
    while let [ref start] = starts(&mut schedule, at(0))[..] {
        assert_eq!(schedule.checks.len(), 1, "the others wait without a check");
        settle(&mut schedule, start, verdict(PortState::Open), at(0));
        let outcome = outcome(&mut schedule);
        assert_eq!(outcome.endpoint, Some(start.endpoint));
        found.push((outcome.position, outcome.target));
    }
    found.sort_by_key(|&(position, _)| position);
    let expected = [target(1, 22), labelled, named, target(1, 25)];
    assert_eq!(found, (0..).zip(expected).collect::<Vec<_>>());
    assert!(schedule.is_finished());
}

#[test]
fn host_that_throttles_on_every_port_rests_a_few_times_only() {
    let mut schedule = schedule(per_host(4));
    for port in 1..=1000 {
        schedule.add(target(1, port), at(0));
    }
    schedule.input_ended();
    let mut ended = 0;
    let mut second = 0;
    while !schedule.is_finished() {
        let now = at(1000 * second);
        for start in starts(&mut schedule, now) {
            settle(&mut schedule, start, throttled(), now);
        }
        ended += schedule.take_outcomes().len();
        second += 1;
        assert!(second < 1000, "{ended} of 1000 have ended");
    }
    assert_eq!(ended, 1000);
    let rests = hosts::REST.as_secs() * u64::from(hosts::RESTS_MAX);
    assert!(second >= rests, "it is left alone before it is given up on: {second} s");
}

#[test]
fn host_timeout_ends_waiting_targets() {
    let policy = Policy { host_timeout: Some(Duration::from_mins(1)), retries: 1, ..per_host(2) };
    let mut schedule = schedule(policy);
    let mut begun = Vec::new();
    for port in 1..=5000 {
        schedule.add(target(1, port), at(0));
        begun.extend(starts(&mut schedule, at(0)));
    }
    assert_eq!(begun.len(), 2);
    schedule.next_start(at(59_000));
    assert!(schedule.take_outcomes().is_empty());
    assert_eq!(schedule.account(at(59_000)).backlog.map(|backlog| backlog.targets), Some(4998));

    let mut ended = 0;
    let mut now = at(60_000);
    while ended < 4998 {
        assert_eq!(schedule.next_start(now), None);
        let reasons = reasons(&mut schedule);
        assert!(reasons.iter().all(|&reason| reason == (Reason::HostTimeout, 0)));
        ended += reasons.len();
        now = schedule.next_timeout().unwrap_or(now).max(now);
    }
    schedule.add(target(1, 5001), now);
    schedule.add(target(2, 1), now);
    let [ref other] = starts(&mut schedule, now)[..] else { panic!("the other host's starts") };
    assert_eq!(other.endpoint, SocketAddr::from(([192, 0, 2, 2], 1)));
    assert_eq!(reasons(&mut schedule), [(Reason::HostTimeout, 0)], "it came too late");

    let last = begun.pop().expect("two were in flight");
    settle(&mut schedule, last, verdict(PortState::Open), now);
    assert_eq!(reasons(&mut schedule), [(Reason::Accepted, 1)], "what was in flight counts");
}

#[test]
fn host_timeout_ends_retries_with_their_verdict() {
    let policy = Policy { host_timeout: Some(Duration::from_mins(1)), retries: 1, ..per_host(2) };
    let mut schedule = schedule(policy);
    schedule.add(target(1, 1), at(0));
    schedule.add(target(1, 2), at(0));
    let begun = starts(&mut schedule, at(0));
    settle(&mut schedule, &begun[0], verdict(PortState::Filtered), at(50_000));
    assert_eq!(schedule.next_start(at(80_000)), None);
    assert_eq!(reasons(&mut schedule), [(Reason::NoAnswer, 1)]);
}

#[test]
fn host_that_is_idle_between_attempts_does_not_time_out() {
    let policy = Policy { host_timeout: Some(Duration::from_mins(1)), ..per_host(2) };
    let mut schedule = schedule(policy);
    for minute in 0..10 {
        let now = at(60_000 * minute);
        schedule.add(target(1, 1), now);
        let [ref start] = starts(&mut schedule, now)[..] else { panic!("one starts") };
        settle(&mut schedule, start, verdict(PortState::Closed), at(60_000 * minute + 30_000));
    }
    assert_eq!(states(&mut schedule), [PortState::Closed; 10]);
}

#[test]
fn timed_out_address_leaves_its_name_in_doubt() {
    let policy = Policy { host_timeout: Some(Duration::from_mins(1)), ..per_host(1) };
    let mut schedule = schedule(policy);
    schedule.add(target(1, 1), at(0));
    assert_eq!(starts(&mut schedule, at(0)).len(), 1);
    assert_eq!(schedule.next_start(at(60_000)), None);
    named(&mut schedule, &Ok(addresses(&[1, 2])));
    let start = schedule.next_start(at(60_000)).expect("the other address may start");
    settle(&mut schedule, start, verdict(PortState::Closed), at(60_000));
    assert_eq!(reasons(&mut schedule), [(Reason::HostTimeout, 1)]);
}

#[test]
fn backlog_names_the_slowest_host_and_its_remaining_time() {
    let mut schedule = schedule(per_host(1));
    for port in 1..=101 {
        schedule.add(target(1, port), at(0));
    }
    schedule.add(target(2, 1), at(0));
    schedule.add(target(2, 2), at(0));
    for second in 1..=10 {
        let start = starts(&mut schedule, at(1000 * (second - 1)));
        let slow = start.iter().find(|start| start.endpoint.port() > 2 || second == 1);
        if let Some(start) = slow {
            settle(&mut schedule, start, verdict(PortState::Closed), at(1000 * second));
        }
    }
    schedule.next_start(at(11_000));
    let backlog = schedule.account(at(11_000)).backlog.expect("targets wait");
    assert_eq!(backlog.longest, IpAddr::from([192, 0, 2, 1]));
    assert!(backlog.targets > backlog.longest_targets && backlog.hosts == 2, "{backlog:?}");
    let remaining = backlog.longest_remaining.expect("some have ended");
    assert!(remaining >= Duration::from_secs(80), "{remaining:?}");
}

#[test]
fn resting_hosts_delay_no_other() {
    const PORTS: u16 = 10_000;
    let mut schedule = schedule(per_host(4));
    let asks_for_less = |endpoint: SocketAddr| endpoint.ip() == IpAddr::from([192, 0, 2, 3]);
    let mut targets = (1..=PORTS).flat_map(|port| (0..10).map(move |host| target(host, port)));
    let mut ended = 0;
    for turn in 0..10 * usize::from(PORTS) {
        while schedule.has_room()
            && let Some(target) = targets.next()
        {
            schedule.add(target, at(0));
        }
        let begun = starts(&mut schedule, at(0));
        for start in begun {
            let is_throttled = asks_for_less(start.endpoint);
            let conclusion = if is_throttled { throttled() } else { verdict(PortState::Closed) };
            settle(&mut schedule, start, conclusion, at(0));
        }
        ended += schedule.take_outcomes().len();
        if ended == 9 * usize::from(PORTS) {
            return;
        }
        assert!(turn < usize::from(PORTS), "{ended} have ended");
    }
}

#[test]
fn host_that_rests_again_keeps_its_backlog_without_a_per_host_limit() {
    let mut schedule = schedule(unlimited());
    schedule.add(target(1, 1), at(0));
    let first = schedule.next_start(at(0)).expect("it may start");
    settle(&mut schedule, first, throttled(), at(0));
    for port in 2..=3 * u16::try_from(READY_MAX).expect("it is small") {
        schedule.add(target(1, port), at(0));
        assert_eq!(schedule.next_start(at(0)), None);
    }
    let again = schedule.next_start(at(30_000)).expect("it has rested");
    schedule.settle(Report { id: again.id, conclusion: throttled() }, at(30_000));
    assert_eq!(schedule.next_start(at(30_000)), None, "it rests again");
    assert!(schedule.next_timeout() > Some(at(59_000)), "and nothing is to be done before");
}
