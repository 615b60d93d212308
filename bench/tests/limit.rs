//! The baseline counts right, and so does what it is compared with.

use std::{
    io::Read,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Command, Output},
    thread,
};

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portmuster-bench"));
    command.args(arguments).output().expect("it starts")
}

/// What the baseline says of these many targets from 127.1.0.0 upwards.
fn tally(mode: &str, threads: &str, port: u16, targets: &str) -> String {
    let port = port.to_string();
    let terms = ["--threads", threads, "--port", &port, "--targets", targets];
    let output = bench(&[&["baseline", mode][..], &terms].concat());
    assert!(output.status.success(), "{mode}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

#[test]
fn every_refused_target_is_counted_once() {
    for mode in ["reused", "fresh", "greeting", "timed"] {
        for (threads, targets) in [("1", "0"), ("1", "1"), ("2", "1"), ("1", "600"), ("3", "601")] {
            let expected = format!("refused={targets} accepted=0 greeted=0 silent=0");
            assert_eq!(tally(mode, threads, 1, targets), expected, "{mode}, {threads} threads");
        }
    }
}

#[test]
fn who_is_there_is_told_from_who_refuses() {
    // Between the targets of two threads, and without a word.
    let listener = TcpListener::bind((Ipv4Addr::new(127, 1, 0, 10), 0)).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let hung_up = thread::spawn(move || {
        for _ in 0..4 {
            let (mut stream, _) = listener.accept().expect("somebody comes");
            stream.shutdown(std::net::Shutdown::Write).expect("it is connected");
            assert_eq!(stream.read(&mut [0]).expect("it ends with FIN, not with a reset"), 0);
        }
    });
    for mode in ["reused", "fresh", "greeting", "timed"] {
        assert_eq!(
            tally(mode, "2", port, "20"),
            "refused=19 accepted=1 greeted=0 silent=0",
            "{mode}"
        );
    }
    hung_up.join().expect("all have left in peace");
}

#[test]
fn every_greeting_is_read_and_left_in_peace() {
    let any = SocketAddr::from((Ipv4Addr::new(127, 1, 0, 3), 0));
    let listener = TcpListener::bind(any).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let greeter = thread::spawn(move || {
        [(); 2].map(|()| {
            let (mut stream, _) = listener.accept().expect("somebody comes");
            std::io::Write::write_all(&mut stream, b"SSH-2.0-test\r\n").expect("it reads");
            stream.read(&mut [0])
        })
    });
    for mode in ["greeting", "timed"] {
        assert_eq!(
            tally(mode, "1", port, "5"),
            "refused=4 accepted=0 greeted=1 silent=0",
            "{mode}"
        );
    }
    for last in greeter.join().expect("it has ended") {
        assert_eq!(last.expect("it ends with FIN, not with a reset"), 0);
    }
}

/// A run ends with an error when a target is not found as it is.
#[test]
fn all_run_in_every_round() {
    let small = ["limit", "--alone", "--targets", "700", "--greetings", "600", "--rounds", "2"];
    let output = bench(&[&small[..], &["--threads", "1,3"]].concat());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    for name in ["plain epoll, fresh", "the baseline, reused", "the baseline, one greeting"] {
        let rounds = text
            .lines()
            .filter(|line| line.trim_start().starts_with("round") && line.contains(name));
        assert_eq!(rounds.count(), 4, "two rounds, by one thread and by three: {text}");
    }
    assert!(text.contains("at least 1.40"), "{text}");
}
