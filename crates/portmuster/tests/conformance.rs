//! One suite over every method and over the simulator: all give the same answers.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use portmuster::{
    Config, Limits, Method, Outcome, Service, Target,
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
    let trials = by_method("the fixtures are judged right", the_fixtures_are_judged_right)
        .into_iter()
        .chain(by_method("a crowd is answered", a_crowd_is_answered))
        .chain(worker::trials![the_simulator_judges_the_fixtures_right]);
    worker::main(trials.collect())
}

/// Short enough for a test, long enough for the lab's slowest honest server.
fn config(method: Method) -> Config {
    let limits = Limits {
        first_byte: Duration::from_secs(6),
        deadline: Duration::from_secs(7),
        ..Limits::default()
    };
    Config { method, limits, per_host: None, ..Config::default() }
}

/// What all must agree on; the endpoint tells which fixture it is.
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

fn the_fixtures_are_judged_right(method: Method) {
    let (lab, truth) = lab();
    let targets: Vec<_> = lab.fixtures().map(|(_, endpoint)| Target::from(endpoint)).collect();
    let told: Vec<_> =
        checker(config(method)).check(targets.clone()).expect("the run starts").collect();
    assert_eq!(told.len(), targets.len(), "one outcome each");
    assert_eq!(answers(told), truth);
}

fn the_simulator_judges_the_fixtures_right() {
    let (lab, truth) = lab();
    let network = lab.fixtures().fold(Network::new(1).anomalies(30), |network, (fixture, at)| {
        network.endpoint(at, manner(fixture.behaviour))
    });
    let targets = lab.fixtures().map(|(_, endpoint)| Target::from(endpoint));
    let run = simulate(&config(Method::EventLoop), &network, targets);
    assert_eq!(answers(run.outcomes), truth);
}

/// The lab's behaviour, in the simulator's words.
fn manner(behaviour: Behaviour) -> ServerBehaviour {
    let says = |says: &[(u64, &[u8])]| {
        let say = |&(after, bytes): &(u64, &[u8])| {
            (Duration::from_millis(after), Action::Bytes(bytes.to_vec()))
        };
        says.iter().map(say).collect::<Vec<_>>()
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
        Behaviour::Telnet => accepts(says(&[(0, b"\xff\xfd\x18\xff\xfb\x01"), (300, b"login: ")])),
        Behaviour::TelnetSplit => {
            accepts(says(&[(0, b"\xff"), (20, b"\xfd"), (20, b"\x18"), (20, b"login: ")]))
        }
        Behaviour::LoginPrompt => accepts(says(&[(0, b"Debian\r\nhost login: ")])),
        Behaviour::Says(bytes) => accepts(says(&[(0, bytes)])),
        Behaviour::TelnetWhenAsked => answers(b"\xff\xfd\x18\xff\xfb\x01login: "),
        Behaviour::TelnetRepeats => {
            accepts(says(&[(0, &b"\xff\xfd\x18\xff\xfb\x01".repeat(20_000))]))
        }
        Behaviour::TelnetToggles => {
            accepts(says(&[(20, &b"\xff\xfb\x01"[..]), (20, b"\xff\xfc\x01")].repeat(500)))
        }
        Behaviour::Http => answers(b"HTTP/1.1 400 Bad Request\r\n"),
        Behaviour::TlsAlert => answers(b"\x15\x03\x03\x00\x02\x02\x0a"),
        Behaviour::Silent => accepts(vec![]),
        Behaviour::ClosesAtOnce => ends(Action::HangUp),
        Behaviour::Resets => ends(Action::Reset),
        Behaviour::Slow(after) => {
            accepts(vec![(after, Action::Bytes(b"SSH-2.0-slow\r\n".to_vec()))])
        }
        Behaviour::Drip => accepts(says(&[(1000, &b"x"[..]); 60])),
        Behaviour::EndlessLines => accepts(says(&[(0, &b"a line\r\n".repeat(2_000))])),
        Behaviour::LateEndlessLines(after) => {
            accepts(vec![(after, Action::Bytes(b"a line\r\n".repeat(2_000)))])
        }
        Behaviour::Garbage => {
            accepts(says(&[(0, &b"\x00\xfe\x01\x07\xff\xfd\x68".repeat(20_000))]))
        }
        Behaviour::LongLine => accepts(says(&[(0, &b"a".repeat(100_000))])),
        Behaviour::LimitLine => accepts(says(&[(0, &b"a".repeat(64 * 1024))])),
        Behaviour::HangsUpMidLine => {
            let mut says = says(&[(0, b"SSH-2.0-Ope")]);
            says.push((Duration::ZERO, Action::HangUp));
            accepts(says)
        }
        Behaviour::SshAfterPreBanner => {
            accepts(says(&[(0, &b"authorised use only\r\n".repeat(20)), (5, b"SSH-2.0-x\r\n")]))
        }
        Behaviour::SshBareLf => accepts(says(&[(0, b"SSH-2.0-x\n")])),
        Behaviour::SshOld => accepts(says(&[(0, b"SSH-1.5-x\n")])),
        Behaviour::SshBoth => accepts(says(&[(0, b"SSH-1.99-x\n")])),
        _ => accepts(says(&[(0, b"SSH-2.0-x\x1b[2J\r\n")])),
    }
}

/// Many more targets than threads or window, most of them refused.
fn a_crowd_is_answered(method: Method) {
    let (lab, _) = lab();
    let known = |behaviour| {
        lab.fixtures()
            .find(|(fixture, _)| fixture.behaviour == behaviour)
            .map(|(_, endpoint)| endpoint)
            .expect("it is in the fixtures")
    };
    let (ssh, refused) = (known(Behaviour::Ssh), known(Behaviour::Refused));
    let targets: Vec<_> = (0..2_000_u16)
        .map(|place| match place % 10 {
            0 => Target::from(ssh),
            1 => Target::from(refused),
            // Nothing listens on the lowest port of loopback's other addresses.
            _ => Target::from((Ipv4Addr::from(0x7F4D_0000 | u32::from(place)), 1)),
        })
        .collect();
    let config = Config { in_flight: 50, rate: None, ..config(method) };
    let mut outcomes = checker(config).check(targets).expect("the run starts");
    let open = outcomes.by_ref().filter(Outcome::is_open).count();
    let account = outcomes.account();
    assert_eq!(open, 200);
    assert_eq!(account.service(Service::Ssh), 200);
    assert_eq!((account.settled(), account.left()), (2_000, 0));
}
