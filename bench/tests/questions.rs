//! Asks each question with small sizes, and checks the baseline's counts.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
    thread,
};

const BENCH: &str = env!("CARGO_BIN_EXE_portmuster-bench");

/// The portmuster of this profile, which is built if a run of single tests has not built it.
fn portmuster() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(BENCH).with_file_name("portmuster");
        if !program.exists() {
            let build = ["build", "--quiet", "--locked", "--package", "portmuster-cli"];
            let status = Command::new(env!("CARGO")).args(build).status().expect("cargo starts");
            assert!(status.success(), "portmuster can't be built");
        }
        program
    })
}

/// Whether this machine permits network namespaces. If not, stderr says that the test is skipped.
#[expect(clippy::print_stderr, reason = "a skipped test says why")]
fn has_namespaces() -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "true"]);
    let has = unshare.output().is_ok_and(|output| output.status.success());
    if !has {
        eprintln!("skipped: this machine permits no namespaces: {unshare:?}");
    }
    has
}

/// Runs the benchmark with these arguments, which are separated by spaces.
fn bench(arguments: &str) -> Output {
    Command::new(BENCH).args(arguments.split(' ')).output().expect("it starts")
}

/// Runs the benchmark, and returns what it prints.
fn printed(arguments: &str) -> String {
    let output = bench(arguments);
    assert!(output.status.success(), "{arguments}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asks a question that needs namespaces; `None` when there are none.
fn answer(arguments: &str) -> Option<String> {
    let program = portmuster().display();
    has_namespaces().then(|| printed(&format!("{arguments} --program {program}")))
}

/// Counts the lines that contain all of these texts.
fn count(text: &str, parts: &[&str]) -> usize {
    text.lines().filter(|line| parts.iter().all(|part| line.contains(part))).count()
}

/// Whether a table has a goal with this name, figure and bound, and it is reached.
fn is_reached(text: &str, cells: [&str; 3]) -> bool {
    let mut rows = text.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    rows.any(|row| row == [&[""], &cells[..], &["reached", ""]].concat())
}

#[test]
fn host_keys_are_those_of_the_servers_and_of_ssh_keyscan() {
    let small = format!("host-keys --servers 300 --rounds 1 --program {}", portmuster().display());
    let text = printed(&small);
    for name in ["ssh-keyscan", "portmuster --host-keys first", "the computations alone"] {
        assert_eq!(count(&text, &["  round", name]), 1, "{name}: {text}");
    }
    assert!(text.contains("| 300 of 300 (100.00 %)"), "{text}");
    assert!(text.contains("at most 1.50"), "{text}");
}

#[test]
fn limit_runs_every_candidate_in_every_round() {
    let small = "limit --targets 700 --greetings 600 --rounds 2 --threads 1,3 --program";
    let text = printed(&format!("{small} {}", portmuster().display()));
    for name in ["epoll, fresh", "baseline, reused", "baseline, one greeting", "--no-kex"] {
        assert_eq!(count(&text, &["  round", name]), 4, "two rounds, two thread counts: {text}");
    }
    assert!(text.contains("at least 1.40"), "{text}");
}

#[test]
fn mixed_finds_every_target_in_its_state() {
    let small = "mixed --targets 500 --rounds 2 --timeout-ms 500 --in-flight 100";
    let Some(text) = answer(small) else { return };
    for name in ["the baseline, with deadlines", "portmuster --no-kex"] {
        assert_eq!(count(&text, &["round ", name]), 2, "{text}");
    }
    assert!(text.contains("found 10 of 10") && text.contains("at most 1.15"), "{text}");
}

#[test]
fn million_keeps_all_attempts_in_flight_with_few_descriptors() {
    let small = "million --in-flight 600 --timeout-ms 3000 --descriptors 256";
    let Some(text) = answer(small) else { return };
    assert!(is_reached(&text, ["attempts in flight at the peak", "600", "at least 600"]), "{text}");
    assert!(is_reached(&text, ["given up before their deadline", "0", "at most 0"]), "{text}");
    assert!(text.contains("sockets of the baseline at the peak: 600"), "{text}");
}

#[test]
fn software_names_banners_with_the_built_in_fingerprints() {
    let text = printed("software --banners 800");
    let what = "µs of CPU for a banner, built-in fingerprints";
    assert_eq!(count(&text, &[what, "at most 20"]), 1, "{text}");
    assert!(text.contains("built-in fingerprints: 600 of 800 are known"), "{text}");
    assert!(text.contains("the fingerprints of Recog: --recog names no folder"), "{text}");
}

#[test]
fn growth_runs_every_size_in_little_memory() {
    let text = printed("growth --largest 20000");
    for targets in ["10000", "20000"] {
        let what = format!("MiB of memory at the peak, {targets} targets");
        assert_eq!(count(&text, &[&what, "at most 64", "reached"]), 1, "{text}");
        let note = format!("{targets} targets: ");
        assert_eq!(
            count(&text, &[&note, "s of virtual time", "4095 targets asked again"]),
            1,
            "{text}"
        );
    }
}

#[test]
fn found_finds_every_open_target_without_loss() {
    let Some(text) = answer("found --targets 40 --loss 0 --peer tokio") else { return };
    assert_eq!(count(&text, &["round ", "found 40 of 40"]), 3, "two of ours, one peer: {text}");
    assert!(!text.contains(" mistaken"), "{text}");
}

#[test]
fn silent_finds_the_host_of_a_network_and_counts_its_syns() {
    if !Path::new("/dev/net/tun").exists() {
        eprintln!("skipped: this machine has no /dev/net/tun");
        return;
    }
    // One address in 64 has a host.
    let Some(text) = answer("silent --part growth --growth 26") else { return };
    let row = ["| portmuster, 128 targets", "1 of 1 (100.00 %) | 0 "];
    assert_eq!(count(&text, &row), 1, "{text}");
    let goal = ["targets with a wrong state, portmuster, 128 targets", "0", "at most 0"];
    assert!(is_reached(&text, goal), "{text}");
    assert_eq!(count(&text, &["SYNs of portmuster, 128 targets:"]), 1, "{text}");
    assert!(!text.contains("could not keep up"), "{text}");
}

#[test]
fn peers_tries_three_settings_of_each() {
    let report = tempfile::NamedTempFile::new().expect("a temporary file");
    let path = report.path().display();
    let small = "peers --targets 300 --open 20 --rounds 1 --part refused --part open";
    let Some(text) = answer(&format!("{small} --peer tokio --peer python --report {path}")) else {
        return;
    };
    assert_eq!(count(&text, &["  setting "]), 18, "three candidates in two parts: {text}");
    assert!(
        is_reached(&text, ["targets with a wrong state, portmuster", "0", "at most 0"]),
        "{text}"
    );
    let report = fs::read_to_string(report.path()).expect("the report is written");
    assert!(report.contains("plain_tokio targets 1000 10000"), "{report}");
}

#[test]
fn queue_gets_every_piece_back() {
    let small = "queue --rounds 2 --part costless --pieces 3000 --python-pieces 50";
    let text = printed(&format!("{small} --processes 1 --processes 3"));
    for name in [
        "portmuster, 1 processes, a number each",
        "portmuster, 3 processes, a number each",
        "portmuster, 3 processes, a target each",
        "Python, 32 processes",
        "Python, processes with threads",
    ] {
        assert_eq!(count(&text, &["round ", name]), 2, "{text}");
    }
}

#[test]
fn page_has_answers_and_a_picture() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let small = format!("page --quick --only limit --folder {}", folder.path().display());
    if answer(&small).is_none() {
        return;
    }
    let read = |name| fs::read_to_string(folder.path().join(name)).expect("it is written");
    let page = read("RESULTS.md");
    assert!(page.contains("](results.svg)") && page.contains("How near does it come"), "{page}");
    assert!(read("results.svg").starts_with("<svg "));
}

#[test]
fn page_takes_answers_from_reports_and_keeps_others() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write =
        |name, text: &str| fs::write(folder.path().join(name), text).expect("it is written");
    let section = r#"{"title":"Ever larger networks","rows":[],"unit":null,"goals":[],"notes":[],"absent":[],"settings":[]}"#;
    write("silent.json", &format!("[{section}]"));
    write("RESULTS.md", "# Results\n\n9 of 9 goals are reached.\n\n## Old\n\n| a | reached |\n");
    let from = format!("--from silent={}", folder.path().join("silent.json").display());
    let folder_option = format!("--folder {}", folder.path().display());
    let program = format!("--program {}", portmuster().display());
    printed(&format!("page --update {from} {folder_option} {program}"));
    let page = fs::read_to_string(folder.path().join("RESULTS.md")).expect("it is written");
    assert!(page.contains("1 of 1 goals are reached.") && page.contains("## Old"), "{page}");
    assert!(page.contains("### Ever larger networks") && page.contains("Measured on"), "{page}");
    assert!(!folder.path().join("results.svg").exists(), "the picture stays as it is");
}

#[test]
fn missing_programs_are_named_with_the_package_that_has_them() {
    let empty = tempfile::tempdir().expect("a temporary folder");
    let mut mixed = Command::new(BENCH);
    mixed.args(["mixed", "--program", "portmuster"]).env("PATH", empty.path());
    let mixed = mixed.output().expect("it starts");
    let queue = bench("queue --part costless --pieces 9 --python no-such-python");
    for (output, texts) in [
        (mixed, ["needs a network namespace", "iproute2"]),
        (queue, ["no-such-python", "apt-get install python3"]),
    ] {
        assert!(!output.status.success(), "{output:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(texts.iter().all(|text| error.contains(text)), "{error}");
    }
}

#[test]
fn namespace_ends_when_its_parent_is_killed() {
    if !has_namespaces() {
        return;
    }
    let mut command = Command::new(BENCH);
    let long = ["million", "--in-flight", "10", "--timeout-ms", "15000"];
    command.args(long).arg("--program").arg(portmuster());
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    // The process inside prints the first line.
    let mut stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    let mut text = String::new();
    stdout.read_line(&mut text).expect("it prints a line");
    assert!(text.contains("10 targets"), "{text}");
    child.kill().expect("it runs");
    child.wait().expect("it has ended");
    // The pipe ends when all processes that could write to it have ended.
    stdout.read_to_string(&mut text).expect("the pipe ends");
    assert!(!text.contains("attempts in flight at the peak"), "it ran to its end: {text}");
}

/// The baseline's tally of `targets` targets from 127.1.0.0 upwards.
fn tally(mode: &str, threads: usize, port: u16, targets: usize) -> String {
    let terms = format!("--threads {threads} --port {port} --targets {targets}");
    printed(&format!("baseline {mode} {terms}")).trim_end().to_owned()
}

/// A listener on loopback at a free port, which stands for one of the baseline's targets.
fn listener(host: u8) -> (TcpListener, u16) {
    let address = SocketAddr::from((Ipv4Addr::new(127, 1, 0, host), 0));
    let listener = TcpListener::bind(address).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port)
}

#[test]
fn baseline_counts_every_refused_target_once() {
    for mode in ["reused", "fresh", "greeting", "timed"] {
        for (threads, targets) in [(1, 0), (1, 1), (2, 1), (1, 600), (3, 601)] {
            let expected = format!("refused={targets} accepted=0 greeted=0 silent=0");
            assert_eq!(tally(mode, threads, 1, targets), expected, "{mode}, {threads} threads");
        }
    }
}

#[test]
fn baseline_counts_a_silent_listener_and_closes_with_fin() {
    // The target at the border between the shares of two threads.
    let (listener, port) = listener(10);
    let server = thread::spawn(move || {
        for _ in 0..4 {
            let (mut stream, _) = listener.accept().expect("a client connects");
            stream.shutdown(Shutdown::Write).expect("it is connected");
            assert_eq!(stream.read(&mut [0]).expect("FIN instead of a reset"), 0);
        }
    });
    for mode in ["reused", "fresh", "greeting", "timed"] {
        let expected = "refused=19 accepted=1 greeted=0 silent=0";
        assert_eq!(tally(mode, 2, port, 20), expected, "{mode}");
    }
    server.join().expect("every client closed with FIN");
}

#[test]
fn baseline_reads_a_greeting_and_closes_with_fin() {
    let (listener, port) = listener(3);
    let server = thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().expect("a client connects");
            stream.write_all(b"SSH-2.0-test\r\n").expect("the client reads");
            assert_eq!(stream.read(&mut [0]).expect("FIN instead of a reset"), 0);
        }
    });
    for mode in ["greeting", "timed"] {
        let expected = "refused=4 accepted=0 greeted=1 silent=0";
        assert_eq!(tally(mode, 1, port, 5), expected, "{mode}");
    }
    server.join().expect("every client closed with FIN");
}
