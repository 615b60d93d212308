//! Tests of links with the kernel's TCP on both ends (feature `link`).
//!
//! Times have lower bounds only, because a busy machine may take longer than a link.

use std::{
    env,
    io::{ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use portmuster_lab::{
    Behaviour, Server,
    link::{Bursts, Link, LinkCounts, LinkError, LinkSettings, Network, Unassigned},
};

/// Marks the process that runs a test as root of a user namespace.
const AS_ROOT: &str = "PORTMUSTER_LAB_LINK_AS_ROOT";

/// The start of the note of a test that did not run.
const SKIPPED: &str = "skipped:";

/// How long the tests wait for a connection that a link prevents.
const PREVENTED: Duration = Duration::from_millis(300);

/// How long the tests wait for all else.
const PATIENCE: Duration = Duration::from_mins(2);

/// Runs the test with this name on a link. If the user may not make one, runs it as root of a user
/// namespace. Prints a note where that is not possible either.
fn on_link(name: &str, settings: LinkSettings, test: impl FnOnce(&Link)) {
    match Link::start(settings) {
        Ok(link) => {
            test(&link);
            assert_eq!(link.counts().overflow, 0, "{:?}", link.counts());
        }
        Err(error) if !error.is_unsupported() => panic!("{error}"),
        Err(error) if env::var_os(AS_ROOT).is_some() => skip(&error.to_string()),
        Err(error @ LinkError::Namespace { .. }) => run_as_root(name, &error),
        Err(error) => skip(&error.to_string()),
    }
}

fn run_as_root(name: &str, error: &LinkError) {
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--"]).arg(env::current_exe().expect("it exists"));
    let output = unshare.args(["--exact", name, "--nocapture"]).env(AS_ROOT, "1").output();
    let Ok(output) = output else {
        skip(&error.to_string());
        return;
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    if text.contains(SKIPPED) || !text.contains("running 1 test") {
        skip(&format!("{error}; {}", text.trim()));
        return;
    }
    assert!(text.contains("1 passed"), "{text}");
}

/// Prints why a test does not run on this machine.
#[expect(clippy::print_stderr, reason = "a skipped test prints the reason")]
pub(crate) fn skip(reason: &str) {
    eprintln!("{SKIPPED} {reason}");
}

fn network(text: &str) -> Network {
    text.parse().expect("it is a network")
}

/// Hosts at all addresses of 10.200.0.0/24.
fn hosts() -> LinkSettings {
    LinkSettings::new(1).network(network("10.200.0.0/24").one_in(1))
}

fn endpoint(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 200, 0, last], port))
}

/// Connects from inside the link. Returns the result and how long it took.
fn connect(link: &Link, to: SocketAddr, most: Duration) -> (std::io::Result<TcpStream>, Duration) {
    let connect = || {
        let start = Instant::now();
        (TcpStream::connect_timeout(&to, most), start.elapsed())
    };
    link.inside(connect).expect("the namespace can be entered")
}

/// Connects and reads the start of the server's greeting. Returns the connection and the time until
/// it was accepted.
fn greet(link: &Link, to: SocketAddr) -> (TcpStream, Duration) {
    let (stream, time) = connect(link, to, PATIENCE);
    let mut stream = stream.unwrap_or_else(|error| panic!("{to}: {error}"));
    stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    let mut greeting = [0; 8];
    stream.read_exact(&mut greeting).expect("the server greets");
    assert_eq!(&greeting, b"SSH-2.0-");
    (stream, time)
}

/// Repeats the action until the counts have reached something.
#[track_caller]
fn repeat_until(link: &Link, reached: impl Fn(&LinkCounts) -> bool, mut action: impl FnMut()) {
    loop {
        let counts = link.counts();
        if reached(&counts) {
            return;
        }
        assert!(counts.elapsed < PATIENCE, "{counts:?}");
        action();
    }
}

#[track_caller]
fn assert_silent(link: &Link, to: SocketAddr) {
    let (stream, _) = connect(link, to, PREVENTED);
    let error = stream.expect_err("it is silent");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{to}");
}

#[track_caller]
fn assert_refused(link: &Link, to: SocketAddr, least: Duration) {
    let (stream, time) = connect(link, to, PATIENCE);
    let error = stream.expect_err("it is closed");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{to}");
    assert!(time >= least, "{time:?}");
}

#[test]
fn hosts_answer_after_the_round_trip_and_others_are_silent() {
    let settings = LinkSettings::new(7)
        .round_trip(PREVENTED / 2)
        .network(network("10.200.0.0/24").one_in(8))
        .network(network("fd00:200::/48").one_in(8));
    let hosts: Vec<_> = settings.hosts().take(2).collect();
    let v6_host = settings.hosts().find(IpAddr::is_ipv6).unwrap();
    let silent = (0..8).map(|last| endpoint(last, 22)).find(|to| !settings.has_host(to.ip()));
    on_link("link::hosts_answer_after_the_round_trip_and_others_are_silent", settings, |link| {
        for host in [hosts[0], hosts[1], v6_host] {
            let (_stream, time) = greet(link, SocketAddr::new(host, 22));
            assert!(time >= PREVENTED / 2, "{time:?}");
            assert_refused(link, SocketAddr::new(host, 23), PREVENTED / 2);
        }
        assert_silent(link, silent.unwrap());
        assert_silent(link, "192.0.2.1:22".parse().unwrap());
        let counts = link.counts();
        assert!(counts.syns >= 8 && counts.silent >= 2, "{counts:?}");
        assert_eq!(counts.syns, counts.syns_per_second.iter().sum::<u64>());
    });
}

#[test]
fn lost_packets_are_repeated() {
    on_link("link::lost_packets_are_repeated", hosts().loss(0.1), |link| {
        thread::scope(|scope| {
            for last in 0..=127 {
                scope.spawn(move || greet(link, endpoint(last, 22)));
            }
        });
        let counts = link.counts();
        let all = counts.lost + counts.to_hosts + counts.from_hosts;
        assert!(all >= 128 * 4, "{counts:?}");
        assert!((all / 20..all / 5).contains(&counts.lost), "{counts:?}");
    });
}

#[test]
fn jitter_and_reordering_keep_streams_whole() {
    let bytes = 34_000;
    let read = |mut stream: TcpStream| {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut text = vec![0; bytes];
        stream.read_exact(&mut text).unwrap();
        text
    };
    let server = Server::start(Behaviour::SshLargeKexInit, "127.0.0.1:0".parse().unwrap()).unwrap();
    let expected = read(TcpStream::connect(server.endpoint()).unwrap());
    let settings = hosts().serve(22, Behaviour::SshLargeKexInit);
    let settings = settings.round_trip(PREVENTED / 10).jitter(PREVENTED / 10).reorder(0.2);
    on_link("link::jitter_and_reordering_keep_streams_whole", settings, |link| {
        for last in 0..8 {
            let (stream, _) = connect(link, endpoint(last, 22), PATIENCE);
            assert_eq!(read(stream.unwrap()), expected);
        }
        assert!(link.counts().reordered > 0, "{:?}", link.counts());
    });
}

#[test]
fn third_syn_is_answered() {
    let third = network("10.200.0.0/24").one_in(1).ignore_syns(2);
    let settings = LinkSettings::new(1).network(third).record_attempts();
    on_link("link::third_syn_is_answered", settings, |link| {
        let to = endpoint(9, 22);
        assert_eq!(link.attempts(to), None);
        greet(link, to);
        let attempts = link.attempts(to).unwrap();
        assert!(attempts.syns >= 3, "{attempts:?}");
        assert_eq!(attempts.starts.len(), 1);
        assert!(attempts.last >= attempts.starts[0] + Duration::from_millis(1900), "{attempts:?}");
        assert_eq!(link.counts().ignored, 2);
        // Later connections are answered at once.
        greet(link, to);
        assert_eq!(link.attempts(to).unwrap().starts.len(), 2);
        assert_eq!(link.counts().ignored, 2);
    });
}

#[test]
fn late_hosts_answer_after_their_time() {
    let late = Duration::from_millis(1500);
    let network = network("10.200.0.0/24").one_in(1).answer_after(late);
    let settings = LinkSettings::new(1).network(network);
    on_link("link::late_hosts_answer_after_their_time", settings, |link| {
        let (_stream, time) = greet(link, endpoint(1, 22));
        assert!(time >= late, "{time:?}");
        assert_refused(link, endpoint(1, 23), late);
    });
}

#[test]
fn packets_in_bursts_are_lost() {
    let bursts = Bursts { every: PREVENTED, length: PREVENTED / 2 };
    on_link("link::packets_in_bursts_are_lost", hosts().bursts(bursts), |link| {
        repeat_until(
            link,
            |counts| counts.lost_in_bursts > 0,
            || {
                greet(link, endpoint(1, 22));
            },
        );
    });
}

#[test]
fn firewall_blocks_also_what_answered_before() {
    on_link(
        "link::firewall_blocks_also_what_answered_before",
        hosts().block_after_syns(4),
        |link| {
            let (mut stream, _) = greet(link, endpoint(0, 22));
            repeat_until(
                link,
                |counts| counts.blocked > 0,
                || {
                    let _ = connect(link, endpoint(1, 22), PREVENTED);
                },
            );
            assert_silent(link, endpoint(0, 22));
            // The server would answer an identification.
            stream.write_all(b"SSH-2.0-test\r\n").unwrap();
            stream.set_read_timeout(Some(PREVENTED)).unwrap();
            let rest = stream.read_to_end(&mut Vec::new());
            assert_eq!(rest.unwrap_err().kind(), ErrorKind::WouldBlock);
        },
    );
}

#[test]
fn firewall_blocks_after_a_time() {
    on_link("link::firewall_blocks_after_a_time", hosts().block_after(PREVENTED), |link| {
        repeat_until(
            link,
            |counts| counts.blocked > 0,
            || {
                let _ = connect(link, endpoint(1, 22), PREVENTED);
            },
        );
        assert!(link.counts().elapsed >= PREVENTED);
        assert_silent(link, endpoint(1, 22));
    });
}

#[test]
fn middlebox_drops_syns_beyond_its_limit() {
    let limit = 5;
    on_link("link::middlebox_drops_syns_beyond_its_limit", hosts().syn_limit(limit), |link| {
        let mut greeted = 0;
        repeat_until(
            link,
            |counts| counts.limited >= 20,
            || {
                let connected = connect(link, endpoint(1, 22), Duration::from_millis(5)).0;
                greeted += u64::from(connected.is_ok());
            },
        );
        let counts = link.counts();
        let passed = counts.syns - counts.limited;
        assert!(greeted <= passed, "{greeted}, {counts:?}");
        let most = f64::from(limit) * counts.elapsed.as_secs_f64() + 1.0;
        assert!(f64::from(u32::try_from(passed).unwrap()) <= most, "{counts:?}");
    });
}

#[test]
fn addresses_without_a_host_may_be_refused_with_icmp() {
    let refusing = |text, reaction| network(text).unassigned(reaction);
    let settings = LinkSettings::new(1)
        .round_trip(PREVENTED / 2)
        .network(refusing("10.200.0.0/24", Unassigned::Prohibited))
        .network(refusing("10.200.1.0/24", Unassigned::Unreachable))
        .network(refusing("fd00:200::/64", Unassigned::Prohibited))
        .network(refusing("fd00:201::/64", Unassigned::Unreachable));
    let vacant = |prefix: &str| {
        let mut all = (1..).map(|last| format!("{prefix}{last}").parse::<IpAddr>().unwrap());
        SocketAddr::new(all.find(|&host| !settings.has_host(host)).unwrap(), 22)
    };
    let refused = [
        (vacant("10.200.0."), ErrorKind::HostUnreachable),
        (vacant("10.200.1."), ErrorKind::HostUnreachable),
        (vacant("fd00:200::"), ErrorKind::PermissionDenied),
        (vacant("fd00:201::"), ErrorKind::HostUnreachable),
    ];
    on_link("link::addresses_without_a_host_may_be_refused_with_icmp", settings, |link| {
        for (to, kind) in refused {
            let (stream, time) = connect(link, to, PATIENCE);
            assert_eq!(stream.unwrap_err().kind(), kind, "{to}");
            assert!(time >= PREVENTED / 2, "{time:?}");
        }
        assert_eq!(link.counts().refused, 4);
    });
}

#[test]
fn commands_run_inside() {
    on_link("link::commands_run_inside", hosts(), |link| {
        let output = link.command("cat").arg("/proc/net/dev").output().unwrap();
        let devices = String::from_utf8(output.stdout).unwrap();
        let names: Vec<_> = devices.lines().filter_map(|line| line.split_once(':')).collect();
        let names: Vec<_> = names.iter().map(|(name, _)| name.trim()).collect();
        assert_eq!(names, ["lo", "wire"]);
        let devices = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        assert!(!devices.contains("wire"), "this thread stays outside: {devices}");
    });
}

#[test]
fn settings_out_of_range_are_refused() {
    for (settings, problem) in [
        (hosts().loss(1.1), "loss is 1.1, and must be from 0 to 1"),
        (hosts().reorder(f64::NAN), "reorder is NaN"),
        (hosts().syn_limit(0), "at least 1 per second"),
        (hosts().network(network("10.0.0.0/8")), "10.0.0.0/8 contains 10.199.0.0/24"),
        (hosts().bursts(Bursts { every: PREVENTED, length: PATIENCE }), "bursts must be shorter"),
    ] {
        let error = Link::start(settings).unwrap_err();
        assert!(matches!(error, LinkError::Settings { .. }) && !error.is_unsupported());
        assert!(error.to_string().contains(problem), "{error}");
    }
}
