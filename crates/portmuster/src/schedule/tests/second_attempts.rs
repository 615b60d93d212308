//! Further attempts on endpoints that have a verdict.

use super::*;
use crate::{
    outcome::{
        HostKey, HostKeys, KexFailure, KeyExchange, KeyType, KeyTypes, ServiceDetails, Times,
    },
    sink::samples,
};

fn open(service: Service) -> Conclusion {
    let Conclusion::Verdict(verdict) = verdict(PortState::Open) else { unreachable!() };
    Conclusion::Verdict(Verdict { service: Some(service), ..verdict })
}

fn with_details(service: Service, details: ServiceDetails) -> Conclusion {
    let Conclusion::Verdict(verdict) = open(service) else { unreachable!() };
    Conclusion::Verdict(Verdict { details: Some(Box::new(details)), ..verdict })
}

fn disturbed() -> Conclusion {
    let key_exchange = KeyExchange::Missing(KexFailure::Spoiled);
    with_details(Service::Ssh, ServiceDetails { key_exchange, ..ServiceDetails::default() })
}

fn other_when_asked() -> Conclusion {
    with_details(
        Service::Other,
        ServiceDetails { answers_empty_line: true, ..ServiceDetails::default() },
    )
}

fn lasting(conclusion: Conclusion, milliseconds: u64) -> Conclusion {
    let Conclusion::Verdict(verdict) = conclusion else { unreachable!() };
    let total = Duration::from_millis(milliseconds);
    Conclusion::Verdict(Verdict { times: Times { total, ..Times::default() }, ..verdict })
}

/// Starts the one target that may start, and ends its attempt so.
#[track_caller]
fn attempt(schedule: &mut Schedule, conclusion: Conclusion, now: Instant) -> Opening {
    let [ref start] = starts(schedule, now)[..] else { panic!("one starts") };
    settle(schedule, start, conclusion, now);
    start.opening
}

fn with_one_target(policy: Policy) -> Schedule {
    let mut schedule = schedule(policy);
    schedule.add(target(1, 22), at(0));
    schedule
}

#[test]
fn stronger_of_two_verdicts_is_kept_with_its_times() {
    for (first, second, service, total) in [
        (disturbed(), open(Service::Silent), Service::Ssh, 1),
        (disturbed(), open(Service::Ssh), Service::Ssh, 2),
        (disturbed(), verdict(PortState::Closed), Service::Ssh, 1),
        (open(Service::Silent), open(Service::Ssh), Service::Ssh, 2),
        (open(Service::Silent), open(Service::ClosedEarly), Service::Silent, 1),
        (open(Service::Silent), verdict(PortState::Filtered), Service::Silent, 1),
        (other_when_asked(), open(Service::Ssh), Service::Ssh, 2),
        (other_when_asked(), open(Service::TelnetLikely), Service::TelnetLikely, 2),
        (other_when_asked(), open(Service::Silent), Service::Other, 1),
        (other_when_asked(), open(Service::Unknown), Service::Unknown, 2),
        (other_when_asked(), open(Service::Tarpit), Service::Tarpit, 2),
    ] {
        let mut schedule = with_one_target(unlimited());
        let opening = attempt(&mut schedule, lasting(first, 1), at(1));
        assert_eq!(opening, Opening::Listen);
        let opening = attempt(&mut schedule, lasting(second, 2), at(2));
        assert_eq!(opening, Opening::Introduce);
        assert!(starts(&mut schedule, at(100_000)).is_empty());
        let outcome = outcome(&mut schedule);
        assert_eq!((outcome.attempts, outcome.verdict.service), (2, Some(service)));
        assert_eq!(outcome.verdict.times.total, Duration::from_millis(total), "{service}");
    }
}

#[test]
fn verdict_that_no_attempt_can_improve_ends_the_check() {
    for conclusion in [
        open(Service::Ssh),
        open(Service::Telnet),
        open(Service::Unknown),
        with_details(Service::Other, ServiceDetails::default()),
    ] {
        let mut schedule = with_one_target(unlimited());
        attempt(&mut schedule, conclusion, at(0));
        assert_eq!(outcome(&mut schedule).attempts, 1);
    }
}

#[test]
fn speak_first_never_listens_again_after_a_disturbed_kexinit() {
    let policy = || Policy { speak_first: SpeakFirst::Never, ..unlimited() };
    let mut schedule = with_one_target(policy());
    attempt(&mut schedule, open(Service::Silent), at(0));
    assert_eq!(outcome(&mut schedule).attempts, 1);

    let mut schedule = with_one_target(policy());
    attempt(&mut schedule, disturbed(), at(0));
    let opening = attempt(&mut schedule, open(Service::Silent), at(1));
    assert_eq!(opening, Opening::OnlyListen);
    assert_eq!(outcome(&mut schedule).verdict.service, Some(Service::Ssh));
}

/// Returns a server that sent keys of these types, and offers others.
fn with_keys(got: &[KeyType], offered: &[KeyType]) -> Conclusion {
    let keys = got.iter().map(|&key_type| HostKey { key_type, ..samples::plain_key() }).collect();
    let others = offered.iter().fold(KeyTypes::default(), |types, &it| types.with(it));
    let host_keys = HostKeys { keys, missing: None, others };
    with_details(Service::Ssh, ServiceDetails { host_keys, ..ServiceDetails::default() })
}

#[test]
fn each_further_host_key_is_asked_for_after_a_second() {
    use KeyType::{Dss, Ed25519, Rsa};

    let mut schedule = with_one_target(unlimited());
    let [ref first] = starts(&mut schedule, at(0))[..] else { panic!("one starts") };
    assert_eq!(first.known_keys, KeyTypes::default());
    settle(&mut schedule, first, with_keys(&[Ed25519], &[Rsa, Dss]), at(10));
    assert_eq!(starts(&mut schedule, at(1_009)), []);
    let [ref second] = starts(&mut schedule, at(1_010))[..] else { panic!("one starts") };
    assert!(second.known_keys.contains(Ed25519) && !second.known_keys.contains(Rsa));
    settle(&mut schedule, second, with_keys(&[Rsa], &[Dss]), at(1_020));
    let [ref third] = starts(&mut schedule, at(2_020))[..] else { panic!("one starts") };
    assert!(third.known_keys.contains(Rsa) && !third.known_keys.contains(Dss));
    settle(&mut schedule, third, with_keys(&[Dss], &[]), at(2_030));
    let outcome = outcome(&mut schedule);
    let details = outcome.verdict.details.expect("it is ssh");
    let types: Vec<_> = details.host_keys.keys.iter().map(|key| key.key_type).collect();
    assert_eq!((outcome.attempts, types), (3, vec![Ed25519, Rsa, Dss]));
}

#[test]
fn host_keys_stay_if_a_later_connection_fails() {
    let mut schedule = with_one_target(unlimited());
    let [ref first] = starts(&mut schedule, at(0))[..] else { panic!("one starts") };
    settle(&mut schedule, first, with_keys(&[KeyType::Ed25519], &[KeyType::Rsa]), at(10));
    let [ref second] = starts(&mut schedule, at(5_000))[..] else { panic!("one starts") };
    settle(&mut schedule, second, verdict(PortState::Closed), at(5_010));
    let details = outcome(&mut schedule).verdict.details.expect("it is ssh");
    assert_eq!(details.host_keys.keys.len(), 1);
}

#[test]
fn printer_port_gets_no_introduction() {
    let mut schedule = schedule(unlimited());
    schedule.add(target(1, 9100), at(0));
    attempt(&mut schedule, open(Service::Silent), at(0));
    assert_eq!(outcome(&mut schedule).attempts, 1);
}

#[test]
fn server_that_closes_early_is_tried_again_after_a_pause() {
    let mut schedule = with_one_target(Policy { retries: 1, ..unlimited() });
    schedule.input_ended();
    attempt(&mut schedule, lasting(open(Service::ClosedEarly), 7), at(0));
    assert!(starts(&mut schedule, at(4_999)).is_empty());
    assert_eq!(schedule.next_timeout(), Some(at(5_000)));
    assert!(!schedule.is_finished());
    attempt(&mut schedule, lasting(open(Service::ClosedEarly), 8), at(5_000));
    let outcome = outcome(&mut schedule);
    assert_eq!((outcome.attempts, outcome.verdict.service), (2, Some(Service::ClosedEarly)));
    assert!(schedule.is_finished());
}

#[test]
fn server_that_closes_early_is_judged_at_once_without_retries() {
    let mut schedule = with_one_target(unlimited());
    attempt(&mut schedule, open(Service::ClosedEarly), at(0));
    assert_eq!(outcome(&mut schedule).attempts, 1);
}

#[test]
fn busy_server_is_found_on_the_later_attempt() {
    let mut schedule = with_one_target(Policy { retries: 1, ..unlimited() });
    attempt(&mut schedule, open(Service::ClosedEarly), at(0));
    attempt(&mut schedule, open(Service::Ssh), at(5_000));
    let outcome = outcome(&mut schedule);
    assert_eq!((outcome.attempts, outcome.verdict.service), (2, Some(Service::Ssh)));
    assert_eq!(schedule.account(at(5_000)).found_on_retry, 0, "no packet was lost");
}

#[test]
fn server_that_closes_on_an_empty_line_gets_an_introduction_later() {
    let hangs_up = || {
        let details = ServiceDetails { answers_empty_line: true, ..ServiceDetails::default() };
        with_details(Service::ClosedEarly, details)
    };
    let mut schedule = with_one_target(Policy { retries: 1, ..unlimited() });
    attempt(&mut schedule, hangs_up(), at(0));
    let opening = attempt(&mut schedule, open(Service::Ssh), at(5_000));
    assert_eq!(opening, Opening::Introduce);
    assert_eq!(outcome(&mut schedule).verdict.service, Some(Service::Ssh));
}

#[test]
fn label_and_name_survive_the_pause() {
    let mut schedule = schedule(Policy { retries: 1, ..unlimited() });
    let labelled = Target { label: Some("core".into()), ..target(1, 22) };
    schedule.add(labelled.clone(), at(0));
    attempt(&mut schedule, open(Service::ClosedEarly), at(0));
    attempt(&mut schedule, open(Service::ClosedEarly), at(5_000));
    assert_eq!(outcome(&mut schedule).target, labelled);
}

#[test]
fn network_that_closes_early_everywhere_does_not_stop_the_run_and_is_retried_spread_out() {
    const TARGETS: u32 = 200_000;
    let mut schedule = schedule(Policy { retries: 1, ..unlimited() });
    for number in 0..TARGETS {
        assert!(schedule.has_room(), "it stops after {number}");
        let address = IpAddr::from((0x0A00_0000 + number).to_be_bytes());
        schedule.add((address, 22).into(), at(0));
        attempt(&mut schedule, open(Service::ClosedEarly), at(0));
    }
    schedule.input_ended();
    let mut ended = 0;
    for second in 0..=66 {
        let mut begun = 0;
        loop {
            let batch = starts(&mut schedule, at(1000 * second));
            if batch.is_empty() {
                break;
            }
            begun += batch.len();
            for start in batch {
                settle(&mut schedule, start, open(Service::ClosedEarly), at(1000 * second));
            }
            ended += schedule.take_outcomes().len();
        }
        assert!(begun <= 4_000, "{begun} in second {second}");
    }
    assert_eq!(ended, TARGETS as usize);
    assert!(schedule.is_finished());
}

#[test]
fn throttling_hosts_return_one_after_another() {
    let mut schedule = schedule(unlimited());
    for host in 0..100 {
        schedule.add(target(host, 22), at(0));
        attempt(&mut schedule, open(Service::SshThrottled), at(0));
    }
    let mut begun = Vec::new();
    for now in (30_000..36_000).step_by(60) {
        begun.push(starts(&mut schedule, at(now)).len());
    }
    assert_eq!(begun, [1; 100]);
}

#[test]
fn stop_ends_postponed_targets_with_their_verdict() {
    let mut schedule = schedule(Policy { retries: 1, ..unlimited() });
    for (port, conclusion) in [(22, open(Service::ClosedEarly)), (23, open(Service::Silent))] {
        schedule.add(target(1, port), at(0));
        attempt(&mut schedule, conclusion, at(0));
    }
    schedule.stop(at(1));
    assert_eq!(states(&mut schedule), [PortState::Open, PortState::Open]);
    assert!(schedule.is_finished());
    assert_eq!(schedule.account(at(1)).left(), 0);
}
