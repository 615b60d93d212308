//! Guarantees of the library to programs that use it.

use std::{
    collections::{BTreeSet, HashSet},
    error::Error,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    process::{Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::sync_channel,
    },
    thread,
    time::Duration,
};

use portmuster::{
    Config, Method, Outcome, PortState, Reason, StartError, Target, check_a_port, check_ports,
    config::{Addresses, Probing},
    targets::{Excludes, Order, Ports, Shard, TargetSet},
};
use portmuster_lab::{Behaviour, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[path = "shared/limit.rs"]
mod limit;
#[path = "shared/settings.rs"]
mod settings;
#[path = "shared/worker.rs"]
mod worker;

use self::{limit::LIMIT, settings::unthrottled, worker::checker};

fn main() -> ExitCode {
    worker::main(worker::trials![
        checker_without_a_run_examines_nothing,
        run_refuses_more_workers_than_this_machine_allows,
        source_address_error_has_its_cause_as_source_only,
        check_a_port_reports_open_or_closed,
        excluded_names_are_resolved_before_the_run,
        check_ports_yields_each_port_once,
        parsed_set_is_checked_as_a_whole,
        no_targets_yield_no_outcomes,
        invalid_targets_yield_outcomes,
        endless_input_is_read_only_as_needed,
        blocked_input_delays_no_outcome,
        input_panic_reaches_the_consumer,
        stopped_run_ends_in_time_and_counts_targets_left,
        stop_lets_checks_in_flight_finish,
        per_host_limit_is_respected,
        self_connection_is_not_open,
        check_a_port_tries_once,
        open_port_is_closed_without_a_reset,
        every_method_resumes_from_settled_positions,
        excluded_and_multi_address_targets_settle_once,
    ])
}

fn server(behaviour: Behaviour) -> Server {
    Server::start(behaviour, (Ipv4Addr::LOCALHOST, 0).into()).expect("the server starts")
}

fn parsed_set_is_checked_as_a_whole() {
    let (open, closed) = (server(Behaviour::Silent), server(Behaviour::Refused));
    let ports = [&open, &closed].map(|server| server.endpoint().port());
    let item = format!("127.0.0.1/32:{},{}", ports[0], ports[1]);
    let set: TargetSet = item.parse().expect("a network with two ports");
    let outcomes = checker(unthrottled()).check(set).expect("the run starts");
    let found: HashSet<_> = outcomes.map(|it| (it.target.port, it.is_open())).collect();
    assert_eq!(found, HashSet::from([(ports[0], true), (ports[1], false)]));
}

fn checker_without_a_run_examines_nothing() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let low = Rlimit { current: Some(200), maximum };
    setrlimit(Resource::Nofile, low).expect("a soft limit can be lowered");
    let checker = checker(Config::builder().method(Method::Threads).workers(usize::MAX));
    assert_eq!(getrlimit(Resource::Nofile).current, Some(200));

    let error = checker.preflight().expect_err("no machine has so many");
    assert!(matches!(error, StartError::TooManyWorkers { asked: usize::MAX, .. }), "{error}");
    assert_eq!(getrlimit(Resource::Nofile).current, maximum, "the number of workers depends on it");
}

fn run_refuses_more_workers_than_this_machine_allows() {
    for method in Method::ALL.into_iter().filter(|&method| method != Method::Serial) {
        let checker = checker(Config::builder().method(method).workers(usize::MAX));
        let error = checker.check([("127.0.0.1", 1)]).expect_err("no machine has so many");
        assert!(matches!(error, StartError::TooManyWorkers { .. }), "{method}: {error}");
    }
}

fn source_address_error_has_its_cause_as_source_only() {
    // TEST-NET-1 (RFC 5737) is no machine's own address.
    let source = IpAddr::from([192, 0, 2, 1]);
    let checker = checker(Config::builder().source(source));
    let error =
        checker.check([("127.0.0.1", 1)]).expect_err("it is not an address of this machine");
    assert_eq!(error.to_string(), "connecting from 192.0.2.1 is not possible");
    assert!(error.source().is_some_and(<dyn Error>::is::<std::io::Error>), "{error:?}");
}

fn check_a_port_reports_open_or_closed() {
    let (open, closed) = (server(Behaviour::Silent), server(Behaviour::Refused));
    for (server, expected) in [(&open, true), (&closed, false)] {
        let port = server.endpoint().port();
        let answer: (String, u16, bool) = check_a_port("localhost", port).into();
        assert_eq!(answer, ("localhost".to_owned(), port, expected));
    }
}

fn check_ports_yields_each_port_once() {
    let servers: Vec<_> = (0..10).map(|_| server(Behaviour::Silent)).collect();
    let mut ports: Vec<_> = servers.iter().map(|server| server.endpoint().port()).collect();
    let targets: Vec<_> = ports.iter().map(|&port| ("127.0.0.1", port)).collect();
    let mut found: Vec<u16> = check_ports(targets)
        .map(|outcome| {
            let (host, port, open) = outcome.into();
            assert_eq!((host.as_str(), open), ("127.0.0.1", true));
            port
        })
        .collect();
    found.sort_unstable();
    ports.sort_unstable();
    assert_eq!(found, ports);
}

fn no_targets_yield_no_outcomes() {
    assert_eq!(check_ports(Vec::<Target>::new()).count(), 0);
}

fn invalid_targets_yield_outcomes() {
    let targets = [("127.0.0.1", 0), ("", 22), ("a\0b", 22)];
    let outcomes: Vec<_> = check_ports(targets).collect();
    assert_eq!(outcomes.len(), 3);
    for outcome in outcomes {
        let expected = if outcome.target.port == 0 {
            (PortState::Unchecked, Reason::PortZero)
        } else {
            (PortState::Unresolved, Reason::NoSuchName)
        };
        let verdict = &outcome.verdict;
        assert_eq!((verdict.state, verdict.reason), expected, "{:?}", outcome.target);
    }
}

/// Returns an endless input and a counter of the targets taken from it.
fn endless(target: SocketAddr) -> (impl Iterator<Item = SocketAddr> + Send, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let targets = std::iter::repeat_with(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        target
    });
    (targets, taken)
}

fn endless_input_is_read_only_as_needed() {
    let refused = server(Behaviour::Refused);
    for method in Method::ALL {
        let (targets, taken) = endless(refused.endpoint());
        let settings = unthrottled().method(method).in_flight(16);
        let outcomes = checker(settings).check(targets).expect("the run starts");
        assert_eq!(outcomes.take(5_000).filter(Outcome::is_open).count(), 0, "{method}");
        // Targets that may be taken in advance: the input queue, the prefetched targets, and the
        // batches that wait.
        let taken = taken.load(Ordering::Relaxed);
        assert!((5_000..5_000 + 100_000).contains(&taken), "{method}: {taken}");
    }
}

fn blocked_input_delays_no_outcome() {
    let refused = server(Behaviour::Refused).endpoint();
    for method in Method::ALL {
        let (more, blocked) = sync_channel::<SocketAddr>(10);
        for _ in 0..10 {
            more.send(refused).expect("the channel has capacity");
        }
        let settings = Config::builder().method(method);
        let mut outcomes = checker(settings).check(blocked).expect("the run starts");
        assert_eq!(outcomes.by_ref().take(10).count(), 10, "{method}");
        drop(more);
        assert_eq!(outcomes.count(), 0, "{method}");
    }
}

fn input_panic_reaches_the_consumer() {
    let targets = (0..3).map(|index| {
        assert!(index < 2, "the input is broken");
        ("127.0.0.1", 1)
    });
    let consume = || check_ports(targets).count();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(consume));
    let message = panic.expect_err("the panic is not mistaken for the end");
    assert_eq!(message.downcast_ref(), Some(&"the input is broken"));
}

fn stopped_run_ends_in_time_and_counts_targets_left() {
    let silent = server(Behaviour::Silent);
    for method in Method::ALL {
        let (targets, _) = endless(silent.endpoint());
        let settings = Config::builder().method(method).in_flight(8).per_host(None);
        let before = silent.counts().accepted;
        let outcomes = checker(settings).check(targets).expect("the run starts");
        silent.wait_for(LIMIT, |counts| counts.accepted > before);
        outcomes.stopper().stop(Duration::ZERO);
        let mut outcomes = outcomes;
        assert_eq!(outcomes.by_ref().count(), 0, "{method}");
        let account = outcomes.account();
        assert!(account.targets > 0 && account.left() == account.targets, "{method}: {account:?}");
    }
}

fn stop_lets_checks_in_flight_finish() {
    let slow = server(Behaviour::Slow(Duration::from_secs(3)));
    let settings = Config::builder().in_flight(2);
    let (targets, _) = endless(slow.endpoint());
    let mut outcomes = checker(settings).check(targets).expect("the run starts");
    slow.wait_for(LIMIT, |counts| counts.open == 2);
    outcomes.stopper().stop(LIMIT);
    assert!(outcomes.by_ref().filter(Outcome::is_open).count() >= 2);
}

fn per_host_limit_is_respected() {
    let ssh = server(Behaviour::Slow(Duration::from_millis(20)));
    let targets = vec![ssh.endpoint(); 30];
    let settings = Config::builder().per_host(3);
    let outcomes = checker(settings).check(targets).expect("the run starts");
    assert_eq!(outcomes.filter(Outcome::is_open).count(), 30);
    assert_eq!(ssh.peak(), 3);
}

/// Runs the test with this name in a network namespace, where no other process listens. Returns false
/// inside of it, and prints a note and returns true where namespaces are not allowed.
#[expect(clippy::print_stderr, reason = "a skipped test prints the reason")]
fn is_run_in_network_namespace(test: &str) -> bool {
    const INSIDE: &str = "PORTMUSTER_TEST_INSIDE_NAMESPACE";

    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let this = std::env::current_exe().expect("it runs");
    let in_namespace = |script| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--net", "sh", "-euc", script, "sh"]);
        unshare.arg(&this).arg(test).env(INSIDE, "").stdin(Stdio::null()).output()
    };
    if !in_namespace("ip link set lo up").is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this machine allows no network namespaces");
        return true;
    }
    let output = in_namespace("ip link set lo up; exec \"$1\" --exact \"$2\"");
    let output = output.expect("it has started before");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains(" 1 passed"), "{output:?}");
    true
}

/// TCP connects a socket to itself when its local port equals the remote port. Trying the whole
/// range of local ports several times makes that happen often. The unspecified address is the same
/// host under another name.
fn self_connection_is_not_open() {
    if is_run_in_network_namespace("self_connection_is_not_open") {
        return;
    }
    let targets = [Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED]
        .into_iter()
        .cycle()
        .take(6)
        .flat_map(|address| (32_768..=60_999).map(move |port| (address, port)));
    let settings = unthrottled().probing(Probing::ConnectOnly);
    let outcomes = checker(settings).check(targets).expect("the run starts");
    let open: Vec<_> = outcomes.filter(Outcome::is_open).map(|open| open.target).collect();
    assert_eq!(open, [], "this test has no listener there");
}

fn check_a_port_tries_once() {
    let closed = server(Behaviour::Refused);
    assert_eq!(check_a_port("127.0.0.1", closed.endpoint().port()).attempts, 1);
}

/// Two thousand targets that refuse connections.
fn refused() -> TargetSet {
    let mut set = TargetSet::default();
    set.add("127.8.0.0-127.8.7.207:1", None, &Ports::ssh_and_telnet()).expect("it is a range");
    set
}

/// Servers log a reset as an error. Closing a socket with unread bytes sends one. Here these are
/// the bytes after the identification, which exceed a single read.
fn open_port_is_closed_without_a_reset() {
    let long_greeting = [b"SSH-2.0-loud\r\n".to_vec(), vec![b'.'; 20_000]].concat();
    let cases = [(Probing::ConnectOnly, Vec::new()), (Probing::Greeting, long_greeting)];
    for (method, (probing, greeting)) in
        Method::ALL.into_iter().flat_map(|method| cases.clone().map(|case| (method, case)))
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let endpoint = listener.local_addr().expect("it is bound");
        let server = thread::spawn(move || {
            let (mut client, _) = listener.accept()?;
            client.write_all(&greeting)?;
            client.read_to_end(&mut Vec::new())
        });
        let checker = checker(Config::builder().method(method).probing(probing));
        let outcomes: Vec<_> =
            checker.check([Target::from(endpoint)]).expect("the run starts").collect();
        assert!(outcomes.len() == 1 && outcomes[0].is_open(), "{outcomes:?}");
        let received = server.join().expect("it does not panic");
        assert_eq!(received.map_err(|error| error.kind()), Ok(0), "{method}, {probing:?}");
    }
}

fn every_method_resumes_from_settled_positions() {
    for method in Method::ALL {
        let settings = unthrottled().method(method);
        let mut settled = portmuster::Positions::new();
        let mut seen = HashSet::new();
        for part in [1, 500, 777, usize::MAX] {
            let targets = refused().into_targets(Order::Shuffled { seed: Some(5) }, Shard::WHOLE);
            let run = checker(settings.clone()).resuming(settled);
            let mut outcomes = run.check(targets).expect("the run starts");
            for outcome in outcomes.by_ref().take(part) {
                assert!(seen.insert(outcome.target), "{method}: a target twice");
            }
            settled = outcomes.settled().clone();
            assert_eq!(settled.len(), seen.len() as u64, "{method}");
        }
        assert_eq!(settled, (0..2000).collect(), "{method}");
        assert_eq!(seen.len(), 2000, "{method}");
    }
}

fn excluded_names_are_resolved_before_the_run() {
    let mut excludes = Excludes::new();
    excludes.add("localhost:1").expect("an item");
    let targets = ["127.0.0.1", "127.0.0.2", "localhost"].map(|host| (host, 1));
    let checker = checker(unthrottled()).excluding(excludes);
    for _ in 0..2 {
        let mut outcomes = checker.check(targets).expect("the run starts");
        let hosts: Vec<_> = outcomes.by_ref().map(|it| it.target.host.to_string()).collect();
        assert_eq!(hosts, ["127.0.0.2"]);
        assert_eq!(outcomes.account().excluded, 2);
    }
}

fn excluded_and_multi_address_targets_settle_once() {
    let mut excludes = Excludes::new();
    for item in ["127.0.0.2", "[fe80::1%lo]", "::1"] {
        excludes.add(item).expect("an item");
    }
    let settings = unthrottled().addresses(Addresses::Each);
    let targets = ["127.0.0.1", "127.0.0.2", "fe80::1%lo", "localhost", "127.0.0.3"];
    let targets = targets.map(|host| (host, 1));
    let mut outcomes =
        checker(settings).excluding(excludes).check(targets).expect("the run starts");
    let positions: BTreeSet<_> = outcomes.by_ref().map(|outcome| outcome.position).collect();
    assert_eq!(positions, [0, 3, 4].into());
    assert_eq!(*outcomes.settled(), (0..5).collect());
}
