//! Complete runs over a seeded network in virtual time.
//!
//! The event loop, the schedule and the attempts are the real ones. A failure names its seed;
//! `cargo xtask simulate SEED` runs that seed alone.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::Write,
    net::SocketAddr,
    num::NonZero,
    ops::Range,
    thread::{self, available_parallelism},
    time::Duration,
};

use portmuster::{
    Config, Outcome, PortState, Reason, Service, Target,
    config::Probing,
    simulator::{Action, Network, ServerBehaviour, Simulation, simulate},
};

#[path = "simulation/certainty.rs"]
mod certainty;
#[path = "shared/settings.rs"]
mod settings;
#[path = "simulation/silent.rs"]
mod silent;

use self::settings::unthrottled;

/// Seeds to run when `PORTMUSTER_SEED` is unset.
const ALL_SEEDS: Range<u64> = 0..2_000;

/// Returns the seeds to run: all of these, or those of `PORTMUSTER_SEED`, which is `SEED` or
/// `FIRST..END`.
fn seeds(all: Range<u64>) -> Range<u64> {
    let Ok(selected) = std::env::var("PORTMUSTER_SEED") else { return all };
    let seed = |text: &str| text.parse::<u64>().expect("PORTMUSTER_SEED is 7, or 0..20");
    match selected.split_once("..") {
        Some((first, end)) => seed(first)..seed(end),
        None => seed(&selected)..seed(&selected) + 1,
    }
}

/// Prints how often each kind of fault occurred, directly to stdout, because the test harness hides
/// the output of passing tests. Asserts that every kind occurred, unless `PORTMUSTER_SEED` selects
/// the seeds.
fn assert_occurred(kinds: &[&str], faults: &BTreeMap<&str, u64>) {
    let seeds = seeds(ALL_SEEDS);
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "faults in the runs of seeds {seeds:?}:").expect("stdout is writable");
    for kind in kinds {
        let times = faults.get(kind).copied().unwrap_or(0);
        writeln!(stdout, "{times:>12}  {kind}").expect("stdout is writable");
        assert!(times > 0 || seeds != ALL_SEEDS, "{kind} never occurred");
    }
    let unnamed = faults.keys().find(|kind| !kinds.contains(kind));
    assert_eq!(unnamed, None, "the kind is not listed");
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn endpoint(host: u8, port: u16) -> SocketAddr {
    ([192, 0, 2, host], port).into()
}

/// Returns every behaviour with the expected state and service.
fn behaviours() -> Vec<(ServerBehaviour, PortState, Option<Service>)> {
    use PortState::{Closed, Filtered, Open, Unchecked};
    let sends = |after: u64, parts: &[(u64, Action)]| ServerBehaviour::Accepts {
        after: ms(after),
        actions: parts.iter().map(|(pause, action)| (ms(*pause), action.clone())).collect(),
        answer: None,
    };
    let bytes = |bytes: &[u8]| Action::Bytes(bytes.to_vec());
    let drip: Vec<_> = (0..60).map(|_| (1000, bytes(b"x"))).collect();
    vec![
        (ServerBehaviour::Refuses { after: ms(0) }, Closed, None),
        (ServerBehaviour::Refuses { after: ms(300) }, Closed, None),
        (ServerBehaviour::Silent, Filtered, None),
        (ServerBehaviour::Unreachable { after: ms(40) }, Filtered, None),
        (ServerBehaviour::RefusedByIcmp { after: ms(0) }, Filtered, None),
        (ServerBehaviour::RefusedByIcmp { after: ms(300) }, Filtered, None),
        (ServerBehaviour::NoRoute, Unchecked, None),
        // The answer arrives just before the limit, or too late.
        (ServerBehaviour::Refuses { after: ms(9_999) }, Closed, None),
        (ServerBehaviour::Refuses { after: ms(10_001) }, Filtered, None),
        (sends(10_001, &[(0, bytes(b"SSH-2.0-too-late\r\n"))]), Filtered, None),
        (ServerBehaviour::greets(b"SSH-2.0-x\r\n"), Open, Some(Service::Ssh)),
        (sends(9_999, &[(11_999, bytes(b"SSH-2.0-late\r\n"))]), Open, Some(Service::Ssh)),
        (sends(1, &[(5, bytes(b"hi\r\nSSH-")), (5, bytes(b"1.99-x\n"))]), Open, Some(Service::Ssh)),
        (sends(1, &[(0, bytes(b"\xff")), (9, bytes(b"\xfb\x01"))]), Open, Some(Service::Telnet)),
        (sends(1, &[(0, bytes(b"login: "))]), Open, Some(Service::TelnetLikely)),
        (sends(1, &[(0, bytes(b"220 mail ESMTP\r\n"))]), Open, Some(Service::Other)),
        (sends(1, &[(0, bytes(b"hello\r\n"))]), Open, Some(Service::Unknown)),
        (
            sends(1, &[(0, bytes(b"hello\r\n")), (3_000, bytes(b"SSH-2.0-x\r\n"))]),
            Open,
            Some(Service::Ssh),
        ),
        (sends(1, &[(0, bytes(b"SSH")), (4_000, bytes(b"-2.0-x\r\n"))]), Open, Some(Service::Ssh)),
        (sends(1, &[]), Open, Some(Service::Silent)),
        (sends(1, &[(5, Action::HangUp)]), Open, Some(Service::ClosedEarly)),
        (sends(1, &[(0, Action::Reset)]), Open, Some(Service::ClosedEarly)),
        (sends(1, &[(5, bytes(b"hello")), (50, Action::Reset)]), Open, Some(Service::Unknown)),
        (sends(1, &[(5, bytes(b"SSH-2.0-x\r\n")), (50, Action::Reset)]), Open, Some(Service::Ssh)),
        (sends(1, &drip), Open, Some(Service::Tarpit)),
        (
            ServerBehaviour::Accepts {
                after: ms(1),
                actions: vec![],
                answer: Some(b"HTTP/1.1 400 No\r\n".to_vec()),
            },
            Open,
            Some(Service::Other),
        ),
    ]
}

/// The expected state and service of each target.
type Truth = HashMap<Target, (PortState, Option<Service>)>;

/// Names without a usable address, and slow ones, with the expected state.
const NAMES: [(&str, PortState); 3] = [
    ("missing.example", PortState::Unresolved),
    ("unanswered.example", PortState::Unchecked),
    ("slow.example", PortState::Closed),
];

/// Simulates 500 targets on twenty hosts, three of them addressed by name, plus unresolvable and
/// slow names, under faults of every kind.
fn run(seed: u64) -> (Config, Simulation, Truth) {
    let behaviours = behaviours();
    let mut network = Network::new(seed)
        .faults(5)
        .anomalies(20)
        .splits(20)
        .losses(3)
        .descriptors(if seed.is_multiple_of(3) { 12 } else { 24 })
        .unanswered_name("unanswered.example", Duration::from_secs(30))
        .slow_name("slow.example", &[endpoint(0, 0).ip()], Duration::from_secs(20));
    let mut truth = HashMap::new();
    for (name, state) in NAMES {
        truth.extend((1..=2).map(|port| (Target::from((name, port)), (state, None))));
    }
    for index in 0..500_u16 {
        let mixed = (u64::from(index) + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let (behaviour, state, service) =
            &behaviours[usize::try_from(mixed).expect("32 bits") % behaviours.len()];
        let host = u8::try_from(index % 20).expect("below 20");
        let endpoint = endpoint(host, 1000 + index);
        network = network.endpoint(endpoint, behaviour.clone());
        let mut target = Target::from(endpoint);
        if host < 3 {
            let name = format!("host{host}.example");
            network = network.slow_name(&name, &[endpoint.ip()], ms(20));
            target = Target::from((name, endpoint.port()));
        }
        truth.insert(target, (*state, *service));
    }
    // From a rate that delays every target to one that delays hardly any.
    let rate = 5 << (seed % 6);
    let settings = Config::builder()
        .in_flight(20 + usize::try_from(seed % 9).expect("the value is small"))
        .rate(rate)
        .per_host(1 + u32::try_from(seed % 4).expect("the value is small"));
    let config = settings.build().expect("the settings are valid");
    let mut targets: Vec<_> = truth.keys().cloned().collect();
    targets.sort();
    let run = simulate(&config, &network, targets);
    (config, run, truth)
}

/// How often each kind of fault occurred.
type FaultCounts = BTreeMap<&'static str, u64>;

/// Calls `run` with each seed, in as many threads as there are processors. Returns its results.
fn run_seeds<T: Send>(seeds: Range<u64>, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let threads = available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let run = &run;
        let share = |nth| {
            let seeds = seeds.clone();
            move || seeds.skip(nth).step_by(threads).map(run).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..threads).map(|nth| scope.spawn(share(nth))).collect();
        let joined = threads.into_iter().map(|it| it.join().expect("each run is as expected"));
        joined.flatten().collect()
    })
}

/// Calls `run` with each seed. Returns the sums of its results.
fn run_all_seeds(run: impl Fn(u64) -> FaultCounts + Sync) -> FaultCounts {
    let mut sums = FaultCounts::new();
    for (kind, times) in run_seeds(seeds(ALL_SEEDS), run).into_iter().flatten() {
        *sums.entry(kind).or_default() += times;
    }
    sums
}

#[test]
fn faults_of_every_kind_change_no_verdict_and_break_no_limit() {
    let faults = run_all_seeds(|seed| {
        let (config, run, mut truth) = run(seed);
        let targets: BTreeSet<_> = truth.keys().cloned().collect();
        let targets: Vec<_> = targets.into_iter().collect();
        for outcome in &run.outcomes {
            let position = usize::try_from(outcome.position).expect("positions are small");
            assert_eq!(targets[position], outcome.target, "seed {seed}: wrong position");
            let actual = (outcome.verdict.state, outcome.verdict.service);
            let target = &outcome.target;
            assert_eq!(truth.remove(target), Some(actual), "seed {seed}: {target}");
            assert_in_time(outcome, &config, seed);
        }
        assert!(truth.is_empty(), "seed {seed}: no outcome for {truth:?}");
        assert!(
            config.in_flight().is_some_and(|most| run.peak_in_flight <= most),
            "seed {seed}: {}",
            run.peak_in_flight
        );
        let per_host = config.per_host().map_or(usize::MAX, |most| most.get() as usize);
        assert!(run.peak_per_host <= per_host, "seed {seed}: {}", run.peak_per_host);
        let rate = config.rate().map_or(usize::MAX, |rate| rate.get() as usize);
        assert_paced(&run.connect_starts, rate, seed);
        run.fault_counts
    });
    assert_occurred(&FAULTS, &faults);
}

/// All kinds of faults except [`STALLS`], which would change what some servers look like.
const FAULTS: [&str; 19] = [
    "no descriptor",
    "no buffer",
    "no local port",
    "registration refused",
    "lookup without a descriptor",
    "lookup without an answer",
    "slow lookup",
    "no such name",
    "stale event",
    "spurious event",
    "delayed event",
    "incomplete events",
    "lost connection",
    "late answer",
    "ICMP only queued",
    "short read",
    "split greeting",
    "drip",
    "reset after bytes",
];

/// Virtual time stands still while the loop works, so limits are exact to the millisecond.
fn assert_in_time(outcome: &Outcome, config: &Config, seed: u64) {
    let times = outcome.verdict.times;
    let accepted = times.connect.unwrap_or(times.total);
    assert!(accepted <= config.timeout(), "seed {seed}: {outcome:?}");
    assert!(times.total <= accepted + config.deadline(), "seed {seed}: {outcome:?}");
    if outcome.verdict.reason == Reason::NoAnswer {
        assert_eq!(times.total, config.timeout(), "seed {seed}: {outcome:?}");
    }
}

/// Asserts that no second starts more connections than the rate plus one burst of 10 ms.
fn assert_paced(started: &[Duration], rate: usize, seed: u64) {
    let most = rate + rate / 100 + 1;
    for (first, start) in started.iter().enumerate() {
        let second =
            started[first..].iter().take_while(|&&at| at < *start + Duration::from_secs(1));
        assert!(second.count() <= most, "seed {seed}: too many from {start:?} on");
    }
}

/// Faults of a machine that stalls.
const STALLS: [&str; 6] =
    ["stall", "stale event", "spurious event", "delayed event", "incomplete events", "short read"];

/// These servers send everything at once, or nothing, so a stall cannot change their verdict.
#[test]
fn stalls_change_no_verdict() {
    let plain = [
        (ServerBehaviour::Refuses { after: ms(50) }, PortState::Closed, None),
        (ServerBehaviour::Silent, PortState::Filtered, None),
        (ServerBehaviour::greets(b"SSH-2.0-x\r\n"), PortState::Open, Some(Service::Ssh)),
        (ServerBehaviour::greets(b"login: "), PortState::Open, Some(Service::TelnetLikely)),
        (ServerBehaviour::greets(b"220 mail ESMTP\r\n"), PortState::Open, Some(Service::Other)),
        (
            ServerBehaviour::Accepts {
                after: ms(1),
                actions: vec![],
                answer: Some(b"Username: ".to_vec()),
            },
            PortState::Open,
            Some(Service::TelnetLikely),
        ),
    ];
    let faults = run_all_seeds(|seed| {
        let mut network = Network::new(seed).stalls(20).anomalies(10);
        let mut truth = HashMap::new();
        for index in 0..60_u16 {
            let (behaviour, state, service) = &plain[usize::from(index) % plain.len()];
            network = network.endpoint(endpoint(1, 1000 + index), behaviour.clone());
            truth.insert(1000 + index, (*state, *service));
        }
        let config = Config::builder().per_host(None).build().expect("the settings are valid");
        let targets = (1000..1060).map(|port| Target::from(endpoint(1, port)));
        let run = simulate(&config, &network, targets);
        for Outcome { target, verdict, .. } in &run.outcomes {
            let actual = (verdict.state, verdict.service);
            assert_eq!(truth.remove(&target.port), Some(actual), "seed {seed}: {target}");
        }
        assert!(truth.is_empty(), "seed {seed}: {truth:?}");
        run.fault_counts
    });
    assert_occurred(&STALLS, &faults);
}

#[test]
fn local_fault_is_not_hidden_by_another_address() {
    let network = Network::new(1)
        .name("db.example", &[[192, 0, 2, 1].into(), [192, 0, 2, 2].into()])
        .endpoint(endpoint(1, 23), ServerBehaviour::LocalFault);
    let run = simulate(&Config::default(), &network, [Target::from(("db.example", 23))]);
    let [outcome] = &run.outcomes[..] else { panic!("{:?}", run.outcomes) };
    assert_eq!(outcome.verdict.state, PortState::Unchecked, "the other address refuses");
    assert_eq!(outcome.endpoint, Some(endpoint(1, 23)));
}

#[test]
fn same_seed_gives_same_run() {
    let log = |seed| {
        let (_, run, _) = run(seed);
        (format!("{:?}", run.outcomes), run.connect_starts, run.elapsed)
    };
    assert_eq!(log(7), log(7));
    assert_ne!(log(7), log(8));
}

#[test]
fn every_address_of_a_name_is_tried_until_one_accepts() {
    let network = Network::new(1)
        .name("db.example", &[[192, 0, 2, 1].into(), [192, 0, 2, 2].into(), [192, 0, 2, 3].into()])
        .endpoint(endpoint(1, 22), ServerBehaviour::Silent)
        .endpoint(endpoint(3, 22), ServerBehaviour::greets(b"SSH-2.0-x\r\n"));
    let targets = ["db.example", "no.example"].map(|name| Target::from((name, 22)));
    let config =
        Config::builder().probing(Probing::Greeting).build().expect("the settings are valid");
    let mut run = simulate(&config, &network, targets);
    run.outcomes.sort_by_key(Outcome::is_open);
    let [missing, found] = &run.outcomes[..] else { panic!("{:?}", run.outcomes) };
    assert_eq!(missing.verdict.state, PortState::Unresolved);
    assert_eq!(missing.attempts, 0);
    assert_eq!(found.endpoint, Some(endpoint(3, 22)));
    assert_eq!(found.attempts, 3);
    assert_eq!(run.elapsed, Duration::from_millis(10_001), "10 s for the silent one");
}

#[test]
fn service_depends_on_bytes_not_port() {
    let answers = |answer: &[u8]| ServerBehaviour::Accepts {
        after: ms(1),
        actions: vec![],
        answer: Some(answer.to_vec()),
    };
    let services = [
        (ServerBehaviour::greets(b"SSH-2.0-x\r\n"), Service::Ssh),
        (ServerBehaviour::greets(b"\xff\xfd\x18\xff\xfb\x01login: "), Service::Telnet),
        (answers(b"HTTP/1.1 400 Bad Request\r\n"), Service::Other),
    ];
    for (behaviour, service) in services {
        let network = Network::new(1)
            .endpoint(endpoint(1, 22), behaviour.clone())
            .endpoint(endpoint(1, 23), behaviour);
        let targets = [22, 23].map(|port| Target::from(endpoint(1, port)));
        let run = simulate(&Config::default(), &network, targets);
        let actual: Vec<_> = run.outcomes.iter().map(|outcome| outcome.verdict.service).collect();
        assert_eq!(actual, [Some(service), Some(service)]);
    }
}

#[test]
fn name_and_its_address_share_per_host_limit() {
    let address = [192, 0, 2, 1].into();
    let network = Network::new(4)
        .name("db.example", &[address])
        .otherwise(ServerBehaviour::greets(b"SSH-2.0-x\r\n"));
    let hosts = [Target::from(("db.example", 1)), Target::from((address, 1))];
    let targets = (1..=200).flat_map(|port| hosts.clone().map(|it| Target::new(it.host, port)));
    let config = Config::builder().per_host(2).build().expect("the settings are valid");
    let run = simulate(&config, &network, targets);
    assert_eq!((run.outcomes.len(), run.peak_per_host), (400, 2));
}

#[test]
fn throttling_host_is_paused_for_thirty_seconds() {
    let refusal = ServerBehaviour::Accepts {
        after: ms(1),
        actions: vec![
            (ms(1), Action::Bytes(b"Exceeded MaxStartups\r\n".to_vec())),
            (ms(0), Action::HangUp),
        ],
        answer: None,
    };
    let network = Network::new(6).endpoint(endpoint(1, 22), refusal);
    let targets = [22, 23].map(|port| Target::from(endpoint(1, port)));
    let config = Config::builder().per_host(1).build().expect("the settings are valid");
    let run = simulate(&config, &network, targets);
    let throttled = run.outcomes.iter().find(|outcome| outcome.is_open()).expect("it is ssh");
    assert_eq!(throttled.verdict.service, Some(Service::SshThrottled));
    assert_eq!(throttled.attempts, 2);
    assert!(run.elapsed >= Duration::from_secs(30), "{:?}", run.elapsed);
}

#[test]
fn per_host_1_holds_for_a_thousand_ports() {
    let network = Network::new(2).otherwise(ServerBehaviour::greets(b"SSH-2.0-x\r\n"));
    let targets = (1..=1000).map(|port| Target::from(endpoint(1, port)));
    let config = Config::builder().per_host(1).build().expect("the settings are valid");
    let run = simulate(&config, &network, targets);
    assert_eq!((run.outcomes.len(), run.peak_per_host), (1000, 1));
}

/// One name in ten hangs in the resolver. That must delay these names only.
#[test]
fn hanging_names_delay_no_address() {
    let address = [[192, 0, 2, 1].into()];
    let mut network = Network::new(5);
    for name in 0..10_000 {
        let after = if name % 10 == 0 { Duration::from_secs(30) } else { ms(20) };
        network = network.slow_name(&format!("host{name}.example"), &address, after);
    }
    let names = (0..10_000).map(|name| Target::from((format!("host{name}.example"), 22)));
    let addresses = (0..20_000_u32)
        .map(|index| Target::from((std::net::Ipv4Addr::from(0x0A00_0000 | index), 22)));
    // One name before every two addresses.
    let mut addresses = addresses.collect::<Vec<_>>().into_iter();
    let mixed = names.flat_map(|name| [Some(name), addresses.next(), addresses.next()]).flatten();
    let mixed: Vec<_> = mixed.collect();
    let config = Config::builder().per_host(None).build().expect("the settings are valid");
    let run = simulate(&config, &network, mixed);
    assert_eq!(run.outcomes.len(), 30_000);
    let is_address =
        |outcome: &&Outcome| matches!(outcome.target.host, portmuster::Host::Address(_));
    let last = run.outcomes.iter().filter(is_address).map(|outcome| outcome.time).max();
    let last = last.expect("there are addresses").duration_since(std::time::UNIX_EPOCH);
    let last = last.expect("time is monotonic");
    // 20,000 addresses at 10,000 per second, and the names found meanwhile.
    assert!(last < ms(2_600), "{last:?}");
    assert!(run.elapsed > Duration::from_mins(1), "the names that hang take their time");
}

#[test]
fn one_descriptor_gives_right_verdicts() {
    let network =
        Network::new(3).descriptors(1).otherwise(ServerBehaviour::greets(b"SSH-2.0-x\r\n"));
    let targets = (1..=300).map(|port| Target::from(endpoint(1, port)));
    let config = unthrottled().build().expect("the settings are valid");
    let run = simulate(&config, &network, targets);
    assert!(run.outcomes.iter().all(Outcome::is_open));
    assert_eq!(run.outcomes.len(), 300);
    assert!(run.account.faults > 0);
    assert_eq!(run.peak_in_flight, 1);
}

#[test]
fn permanent_faults_leave_targets_unchecked() {
    let network = Network::new(3).faults(100);
    let targets = (1..=50).map(|port| Target::from(endpoint(1, port)));
    let run = simulate(&Config::default(), &network, targets);
    assert_eq!(run.account.state(PortState::Unchecked), 50);
    assert!(run.outcomes.iter().all(|outcome| matches!(outcome.verdict.reason, Reason::Fault(_))));
}
