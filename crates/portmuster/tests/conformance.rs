//! One test suite for every method and the simulator: all give the same answers.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    thread,
    time::Duration,
};

use portmuster::{
    Config, Method, Outcome, Service, Target,
    config::ConfigBuilder,
    simulator::{Action, Network, ServerBehaviour, simulate},
};
use portmuster_lab::{Behaviour, Lab};

#[path = "shared/worker.rs"]
mod worker;

use self::worker::{checker, trial};

fn main() -> ExitCode {
    let by_method = |suite: &'static str, test: fn(Method)| {
        Method::ALL.map(|method| trial(format!("{suite} by {method}"), move || test(method)))
    };
    let trials = by_method("fixtures get expected verdicts", fixtures_get_expected_verdicts)
        .into_iter()
        .chain(by_method("two thousand targets get outcomes", two_thousand_targets_get_outcomes))
        .chain(worker::trials![simulator_gives_fixtures_expected_verdicts]);
    worker::main(trials.collect())
}

/// Limits short enough for a test, and long enough for the slowest honest server of the lab.
fn settings(method: Method) -> ConfigBuilder {
    let (first_byte, deadline) = (Duration::from_secs(6), Duration::from_secs(7));
    Config::builder().method(method).first_byte(first_byte).deadline(deadline).per_host(None)
}

/// The answer that all implementations must agree on. The endpoint identifies the fixture.
type Answer = (SocketAddr, &'static str, Option<&'static str>);

fn lab() -> (Lab, BTreeSet<Answer>) {
    let lab = Lab::start((Ipv4Addr::LOCALHOST, 0).into()).expect("the lab starts");
    let truth = lab
        .fixtures()
        .map(|(fixture, endpoint)| (endpoint, fixture.state, fixture.service))
        .collect();
    (lab, truth)
}

fn answers(outcomes: impl IntoIterator<Item = Outcome>) -> BTreeSet<Answer> {
    let answer = |outcome: Outcome| {
        let endpoint = outcome.endpoint.expect("a connection was tried");
        let verdict = outcome.verdict;
        (endpoint, verdict.state.name(), verdict.service.map(Service::name))
    };
    outcomes.into_iter().map(answer).collect()
}

/// Number of runs that share the fixtures of the serial method, which checks one after another.
const SERIAL_RUNS: usize = 8;

fn fixtures_get_expected_verdicts(method: Method) {
    let (lab, truth) = lab();
    let targets: Vec<_> = lab.fixtures().map(|(_, endpoint)| Target::from(endpoint)).collect();
    let runs = if method == Method::Serial { SERIAL_RUNS } else { 1 };
    let check = |nth| -> Vec<_> {
        let targets: Vec<_> = targets.iter().skip(nth).step_by(runs).cloned().collect();
        checker(settings(method)).check(targets).expect("the run starts").collect()
    };
    let outcomes: Vec<_> = thread::scope(|scope| {
        let check = &check;
        let runs: Vec<_> = (0..runs).map(|nth| scope.spawn(move || check(nth))).collect();
        runs.into_iter().flat_map(|run| run.join().expect("it does not panic")).collect()
    });
    assert_eq!(outcomes.len(), targets.len(), "one outcome each");
    assert_eq!(answers(outcomes), truth);
}

fn simulator_gives_fixtures_expected_verdicts() {
    let (lab, truth) = lab();
    let network = lab.fixtures().fold(Network::new(1).anomalies(30), |network, (fixture, at)| {
        network.endpoint(at, simulated(fixture.behaviour))
    });
    let targets = lab.fixtures().map(|(_, endpoint)| Target::from(endpoint));
    let config = settings(Method::EventLoop).build().expect("the settings are valid");
    let run = simulate(&config, &network, targets);
    assert_eq!(answers(run.outcomes), truth);
}

/// Translates a behaviour of the lab to one of the simulator.
fn simulated(behaviour: Behaviour) -> ServerBehaviour {
    let sends = |parts: &[(u64, &[u8])]| {
        let part = |&(after, bytes): &(u64, &[u8])| {
            (Duration::from_millis(after), Action::Bytes(bytes.to_vec()))
        };
        parts.iter().map(part).collect::<Vec<_>>()
    };
    let accepts =
        |actions| ServerBehaviour::Accepts { after: Duration::ZERO, actions, answer: None };
    let ends = |end| accepts(vec![(Duration::ZERO, end)]);
    let answers = |answer: &[u8]| ServerBehaviour::Accepts {
        after: Duration::ZERO,
        actions: vec![],
        answer: Some(answer.to_vec()),
    };
    match behaviour {
        Behaviour::Refused => ServerBehaviour::Refuses { after: Duration::ZERO },
        Behaviour::Telnet => accepts(sends(&[(0, b"\xff\xfd\x18\xff\xfb\x01"), (300, b"login: ")])),
        Behaviour::TelnetSplit => {
            accepts(sends(&[(0, b"\xff"), (20, b"\xfd"), (20, b"\x18"), (20, b"login: ")]))
        }
        Behaviour::LoginPrompt => accepts(sends(&[(0, b"Debian\r\nhost login: ")])),
        Behaviour::Says(bytes) => accepts(sends(&[(0, bytes)])),
        Behaviour::TelnetWhenAsked => answers(b"\xff\xfd\x18\xff\xfb\x01login: "),
        Behaviour::TelnetRepeats => {
            accepts(sends(&[(0, &b"\xff\xfd\x18\xff\xfb\x01".repeat(20_000))]))
        }
        Behaviour::TelnetToggles => {
            accepts(sends(&[(20, &b"\xff\xfb\x01"[..]), (20, b"\xff\xfc\x01")].repeat(500)))
        }
        Behaviour::Http => answers(b"HTTP/1.1 400 Bad Request\r\n"),
        Behaviour::TlsAlert => answers(b"\x15\x03\x03\x00\x02\x02\x0a"),
        Behaviour::Silent => accepts(vec![]),
        Behaviour::ClosesAtOnce => ends(Action::HangUp),
        Behaviour::Resets => ends(Action::Reset),
        Behaviour::Slow(after) => {
            accepts(vec![(after, Action::Bytes(b"SSH-2.0-slow\r\n".to_vec()))])
        }
        Behaviour::Drip => accepts(sends(&[(1000, &b"x"[..]); 60])),
        Behaviour::EndlessLines => accepts(sends(&[(0, &b"a line\r\n".repeat(2_000))])),
        Behaviour::LateEndlessLines(after) => {
            accepts(vec![(after, Action::Bytes(b"a line\r\n".repeat(2_000)))])
        }
        Behaviour::Garbage => {
            accepts(sends(&[(0, &b"\x00\xfe\x01\x07\xff\xfd\x68".repeat(20_000))]))
        }
        Behaviour::LongLine => accepts(sends(&[(0, &b"a".repeat(100_000))])),
        Behaviour::LimitLine => accepts(sends(&[(0, &b"a".repeat(64 * 1024))])),
        Behaviour::HangsUpMidLine => {
            let mut parts = sends(&[(0, b"SSH-2.0-Ope")]);
            parts.push((Duration::ZERO, Action::HangUp));
            accepts(parts)
        }
        Behaviour::SshAfterPreBanner => {
            accepts(sends(&[(0, &b"authorised use only\r\n".repeat(20)), (5, b"SSH-2.0-x\r\n")]))
        }
        Behaviour::SshBareLf => accepts(sends(&[(0, b"SSH-2.0-x\n")])),
        Behaviour::SshOld => accepts(sends(&[(0, b"SSH-1.5-x\n")])),
        Behaviour::SshBoth => accepts(sends(&[(0, b"SSH-1.99-x\n")])),
        _ => accepts(sends(&[(0, b"SSH-2.0-x\r\n")])),
    }
}

/// Checks many more targets than threads or window slots. Most are refused.
fn two_thousand_targets_get_outcomes(method: Method) {
    let (lab, _) = lab();
    let known = |behaviour| {
        lab.fixtures()
            .find(|(fixture, _)| fixture.behaviour == behaviour)
            .map(|(_, endpoint)| endpoint)
            .expect("it is in the fixtures")
    };
    let (ssh, refused) = (known(Behaviour::Ssh), known(Behaviour::Refused));
    let targets: Vec<_> = (0..2_000_u16)
        .map(|index| match index % 10 {
            0 => Target::from(ssh),
            1 => Target::from(refused),
            // Nothing listens on port 1 of other loopback addresses.
            _ => Target::from((Ipv4Addr::from(0x7F4D_0000 | u32::from(index)), 1)),
        })
        .collect();
    let settings = settings(method).in_flight(50).rate(None);
    let mut outcomes = checker(settings).check(targets).expect("the run starts");
    let open = outcomes.by_ref().filter(Outcome::is_open).count();
    let account = outcomes.account();
    assert_eq!(open, 200);
    assert_eq!(account.service(Service::Ssh), 200);
    assert_eq!((account.settled(), account.left()), (2_000, 0));
}
