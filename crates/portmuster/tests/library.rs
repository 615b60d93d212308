//! What a program that uses the library may rely on.

use std::{
    collections::{BTreeSet, HashSet},
    io::{Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::sync_channel,
    },
    thread,
    time::Duration,
};

use portmuster::{
    Addresses, Config, Method, Outcome, PortState, Probing, Reason, Target, check_a_port,
    check_ports,
    targets::{Excludes, Order, Ports, Shard, TargetSet},
};
use portmuster_lab::{Behaviour, Server};

#[path = "shared/worker.rs"]
mod worker;

use self::worker::checker;

fn main() -> ExitCode {
    worker::main(worker::trials![
        one_port_is_open_or_not,
        names_that_are_excluded_are_looked_up_before_a_run_starts,
        ports_are_answered_in_any_order_and_each_once,
        no_targets_are_no_outcomes,
        what_can_be_no_target_is_an_outcome_too,
        an_endless_input_is_taken_only_as_far_as_it_is_wanted,
        an_input_that_blocks_holds_up_no_outcome,
        a_panic_of_the_input_is_the_consumers,
        a_stopped_run_ends_in_its_time_and_says_what_is_left,
        what_is_in_flight_may_end_in_the_time_that_a_stop_gives,
        a_host_gets_no_more_connections_than_its_share,
        nobody_is_found_by_talking_to_oneself,
        a_single_port_is_tried_once,
        who_is_open_is_left_without_a_reset,
        every_method_goes_on_where_it_was_left,
        what_is_excluded_or_has_several_addresses_settles_once,
    ])
}

fn server(behaviour: Behaviour) -> Server {
    Server::start(behaviour, (Ipv4Addr::LOCALHOST, 0).into()).expect("it starts")
}

fn one_port_is_open_or_not() {
    let (open, closed) = (server(Behaviour::Silent), server(Behaviour::Refused));
    for (server, expected) in [(&open, true), (&closed, false)] {
        let port = server.endpoint().port();
        let answer: (String, u16, bool) = check_a_port("localhost", port).into();
        assert_eq!(answer, ("localhost".to_owned(), port, expected));
    }
}

fn ports_are_answered_in_any_order_and_each_once() {
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

fn no_targets_are_no_outcomes() {
    assert_eq!(check_ports(Vec::<Target>::new()).count(), 0);
}

fn what_can_be_no_target_is_an_outcome_too() {
    let targets = [("127.0.0.1", 0), ("no such name", 22), ("", 22), ("a\0b", 22)];
    let outcomes: Vec<_> = check_ports(targets).collect();
    assert_eq!(outcomes.len(), 4);
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

/// Counts what is taken from an endless input.
fn endless(target: SocketAddr) -> (impl Iterator<Item = SocketAddr> + Send, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let targets = std::iter::repeat_with(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        target
    });
    (targets, taken)
}

fn an_endless_input_is_taken_only_as_far_as_it_is_wanted() {
    let refused = server(Behaviour::Refused);
    for method in Method::ALL {
        let (targets, taken) = endless(refused.endpoint());
        let config = Config { method, in_flight: 16, ..Config::unthrottled() };
        let outcomes = checker(config).check(targets).expect("the run starts");
        assert_eq!(outcomes.take(5_000).filter(Outcome::is_open).count(), 0, "{method}");
        // What may be under way when the consumer stops: the input's queue, what is ready, and
        // the batches that wait.
        let taken = taken.load(Ordering::Relaxed);
        assert!((5_000..5_000 + 100_000).contains(&taken), "{method}: {taken}");
    }
}

fn an_input_that_blocks_holds_up_no_outcome() {
    let refused = server(Behaviour::Refused).endpoint();
    for method in Method::ALL {
        let (more, blocked) = sync_channel::<SocketAddr>(10);
        for _ in 0..10 {
            more.send(refused).expect("there is room");
        }
        let config = Config { method, ..Config::default() };
        let mut outcomes = checker(config).check(blocked).expect("the run starts");
        assert_eq!(outcomes.by_ref().take(10).count(), 10, "{method}");
        drop(more);
        assert_eq!(outcomes.count(), 0, "{method}");
    }
}

fn a_panic_of_the_input_is_the_consumers() {
    let targets = (0..3).map(|place| {
        assert!(place < 2, "the input is broken");
        ("127.0.0.1", 1)
    });
    let consume = || check_ports(targets).count();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(consume));
    let message = panic.expect_err("it is not taken for the end");
    assert_eq!(message.downcast_ref(), Some(&"the input is broken"));
}

fn a_stopped_run_ends_in_its_time_and_says_what_is_left() {
    let silent = server(Behaviour::Silent);
    for method in Method::ALL {
        let (targets, _) = endless(silent.endpoint());
        let config = Config { method, in_flight: 8, per_host: None, ..Config::default() };
        let before = silent.counts().accepted;
        let outcomes = checker(config).check(targets).expect("the run starts");
        silent.wait_for(Duration::from_secs(20), |counts| counts.accepted > before);
        outcomes.stopper().stop(Duration::ZERO);
        let mut outcomes = outcomes;
        assert_eq!(outcomes.by_ref().count(), 0, "{method}");
        let account = outcomes.account();
        assert!(account.targets > 0 && account.left() == account.targets, "{method}: {account:?}");
    }
}

fn what_is_in_flight_may_end_in_the_time_that_a_stop_gives() {
    let slow = server(Behaviour::Slow(Duration::from_secs(3)));
    let config = Config { in_flight: 2, ..Config::default() };
    let (targets, _) = endless(slow.endpoint());
    let mut outcomes = checker(config).check(targets).expect("the run starts");
    slow.wait_for(Duration::from_secs(20), |counts| counts.open == 2);
    outcomes.stopper().stop(Duration::from_secs(30));
    assert!(outcomes.by_ref().filter(Outcome::is_open).count() >= 2);
}

fn a_host_gets_no_more_connections_than_its_share() {
    let ssh = server(Behaviour::Slow(Duration::from_millis(20)));
    let targets = vec![ssh.endpoint(); 30];
    let config = Config { per_host: std::num::NonZeroU32::new(3), ..Config::default() };
    let outcomes = checker(config).check(targets).expect("the run starts");
    assert_eq!(outcomes.filter(Outcome::is_open).count(), 30);
    assert_eq!(ssh.peak(), 3);
}

/// TCP lets a socket connect to itself when its local port is the one asked for; over the whole
/// range of local ports, several times, that happens again and again. The unspecified address is
/// the same host by another name.
fn nobody_is_found_by_talking_to_oneself() {
    let targets = [Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED]
        .into_iter()
        .cycle()
        .take(6)
        .flat_map(|address| (32_768..=60_999).map(move |port| (address, port)));
    let config = Config { probing: Probing::ConnectOnly, ..Config::unthrottled() };
    let outcomes = checker(config).check(targets).expect("the run starts");
    let open: Vec<_> = outcomes.filter(Outcome::is_open).map(|open| open.target).collect();
    assert_eq!(open, [], "nothing of this test listens there");
}

fn a_single_port_is_tried_once() {
    let closed = server(Behaviour::Refused);
    assert_eq!(check_a_port("127.0.0.1", closed.endpoint().port()).attempts, 1);
}

/// Two thousand targets that are refused.
fn refused() -> TargetSet {
    let mut set = TargetSet::default();
    set.add("127.8.0.0-127.8.7.207:1", None, &Ports::ssh_and_telnet()).expect("it is a range");
    set
}

/// Servers log a reset as a fault. One comes when a socket is closed over bytes that nobody has read,
/// here those behind the identification, which are more than is read at a time.
fn who_is_open_is_left_without_a_reset() {
    let loud = [b"SSH-2.0-loud\r\n".to_vec(), vec![b'.'; 20_000]].concat();
    let manners = [(Probing::ConnectOnly, Vec::new()), (Probing::Greeting, loud)];
    for (method, (probing, words)) in
        Method::ALL.into_iter().flat_map(|method| manners.clone().map(|manner| (method, manner)))
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let endpoint = listener.local_addr().expect("it is bound");
        let server = thread::spawn(move || {
            let (mut client, _) = listener.accept()?;
            client.write_all(&words)?;
            client.read_to_end(&mut Vec::new())
        });
        let checker = checker(Config { method, probing, ..Config::default() });
        let outcomes: Vec<_> =
            checker.check([Target::from(endpoint)]).expect("the run starts").collect();
        assert!(outcomes.len() == 1 && outcomes[0].is_open(), "{outcomes:?}");
        let heard = server.join().expect("it does not panic");
        assert_eq!(heard.map_err(|error| error.kind()), Ok(0), "{method}, {probing:?}");
    }
}

fn every_method_goes_on_where_it_was_left() {
    for method in Method::ALL {
        let config = Config { method, ..Config::unthrottled() };
        let mut settled = portmuster::Positions::new();
        let mut seen = HashSet::new();
        for part in [1, 500, 777, usize::MAX] {
            let targets = refused().into_targets(Order::Shuffled { seed: Some(5) }, Shard::WHOLE);
            let run = checker(config).resuming(settled);
            let mut outcomes = run.check(targets).expect("the run starts");
            for outcome in outcomes.by_ref().take(part) {
                assert!(seen.insert(outcome.target), "{method}: a target twice");
            }
            settled = outcomes.settled().clone();
            assert_eq!(settled.len(), seen.len() as u64, "{method}");
        }
        assert_eq!(settled.runs(), [2000], "{method}");
        assert_eq!(seen.len(), 2000, "{method}");
    }
}

fn names_that_are_excluded_are_looked_up_before_a_run_starts() {
    let mut excludes = Excludes::new();
    excludes.add("localhost:1").expect("an item");
    let targets = ["127.0.0.1", "127.0.0.2", "localhost"].map(|host| (host, 1));
    let checker = checker(Config::unthrottled()).excluding(excludes);
    for _ in 0..2 {
        let mut outcomes = checker.check(targets).expect("it starts");
        let hosts: Vec<_> = outcomes.by_ref().map(|it| it.target.host.to_string()).collect();
        assert_eq!(hosts, ["127.0.0.2"]);
        assert_eq!(outcomes.account().excluded, 2);
    }
}

fn what_is_excluded_or_has_several_addresses_settles_once() {
    let mut excludes = Excludes::new();
    for item in ["127.0.0.2", "[fe80::1%lo]", "::1"] {
        excludes.add(item).expect("an item");
    }
    let config = Config { addresses: Addresses::Each, ..Config::unthrottled() };
    let targets = ["127.0.0.1", "127.0.0.2", "fe80::1%lo", "localhost", "127.0.0.3"];
    let targets = targets.map(|host| (host, 1));
    let mut outcomes = checker(config).excluding(excludes).check(targets).expect("it starts");
    let positions: BTreeSet<_> = outcomes.by_ref().map(|outcome| outcome.position).collect();
    assert_eq!(positions, [0, 3, 4].into());
    assert_eq!(outcomes.settled().runs(), [5]);
}
