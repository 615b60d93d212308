//! Shortages of this machine, made real by limits and in namespaces of the test's own: none becomes
//! a verdict, and who has what it needs again goes on at its old pace.

use std::time::Duration;

use portmuster_lab::Behaviour;

use crate::{
    program::{Ended, METHODS, Running},
    servers::{start, target},
    shell::{DROPPED, sh_apart, sh_where_it_can},
};

/// How often the run was short of that, how few were in flight then, and how many might be at the
/// end.
fn shortages(ended: &Ended, fault: &str) -> [u64; 3] {
    let told = "portmuster: this machine ran out of resources ";
    let told = ended.stderr.lines().find_map(|line| line.strip_prefix(told));
    let told = told.unwrap_or_else(|| panic!("it says nothing of a shortage: {}", ended.stderr));
    assert!(told.contains(&format!(" times, last of {fault} (see ")), "{told}");
    let numbers = told.split(|letter: char| !letter.is_ascii_digit());
    let numbers: Vec<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
    let numbers = match numbers[..] {
        // net.ipv4 has a number, too.
        [times, 4, least, most] | [times, least, most] => [times, least, most],
        _ => panic!("{told}"),
    };
    assert!(numbers[0] > 0 && numbers[1] > 0, "{told}");
    numbers
}

/// Eight local ports for forty connections to an endpoint that does not answer. The system says
/// that there is none left; each gets its turn, and its true verdict, and so does who needs no
/// local port that another has. Then none is needed any more, and the window is whole again.
#[test]
fn local_ports_that_run_out_are_waited_for() {
    let script = format!(
        "ip link set lo up
        echo 40000 40007 > /proc/sys/net/ipv4/ip_local_port_range
        {DROPPED}
        short=$(yes 127.0.0.1:9 | head -n 40; seq --format '127.0.1.%g:22' 1 20)
        plenty=$(seq --format '127.0.2.%g:1' 1 250; seq --format '127.0.3.%g:1' 1 250)
        python3 \"$in_two_parts\" 60 \"$short\" \"$plenty\" \\
            \"$portmuster\" check -i - --method \"$1\" --per-host max --rate max --retries 0 \\
            --in-flight 50 --timeout 300ms --no-kex -o jsonl"
    );
    for method in METHODS.into_iter().filter(|&method| method != "serial") {
        let Some(ended) = sh_apart(&["--net"], &script, method) else { return };
        assert_eq!(ended.status, Some(0), "{method}: {}", ended.stderr);
        let rows = ended.rows();
        assert_eq!(rows.len(), 560, "{method}");
        for row in &rows {
            let truth = match row.port {
                9 => ("filtered", "no-answer"),
                22 => ("open", "accepted"),
                _ => ("closed", "refused"),
            };
            assert_eq!(row.verdict(), truth, "{method}: {row:?}");
            assert_eq!(row.service.as_deref(), row.open.then_some("ssh"), "{row:?}");
        }
        let [_, least, at_the_end] = shortages(&ended, "local-ports");
        assert!((1..50).contains(&least), "{method}: {}", ended.stderr);
        assert_eq!(at_the_end, 50, "{method}: {}", ended.stderr);
    }
}

/// Feeds it so many targets that are refused at once, and takes their rows.
fn refused(run: &mut Running, times: usize) {
    run.feed(&"127.0.0.1:1\n".repeat(times));
    for _ in 0..times {
        assert_eq!(run.row().verdict(), ("closed", "refused"));
    }
}

/// The limit of descriptors falls in mid-run and is raised again.
#[test]
fn descriptors_that_are_taken_away_and_given_back_change_no_verdict() {
    for method in ["threads", "event-loop"] {
        let server = start(Behaviour::Slow(Duration::from_millis(20)));
        let settings = ["--per-host=max", "--rate=max", "--in-flight=100", "-o=jsonl"];
        let mut run =
            Running::check([&["-i", "-", "--no-kex", "--method", method], &settings[..]].concat());
        refused(&mut run, 1);
        let before = run.limit_descriptors(20);
        run.feed(&format!("{}\n", target(&server)).repeat(300));
        for _ in 0..300 {
            let row = run.row();
            assert_eq!(row.service.as_deref(), Some("ssh"), "{method}: {row:?}");
        }
        // Sockets that were refused are kept: nobody may be left without one for ever.
        refused(&mut run, 1000);
        run.limit_descriptors(before);
        refused(&mut run, 1000);
        let ended = run.end();
        assert_eq!(ended.status, Some(0), "{method}: {}", ended.stderr);
        let [_, least, at_the_end] = shortages(&ended, "process-descriptors");
        assert!(least < 50, "{method}: {}", ended.stderr);
        assert_eq!(at_the_end, 100, "{method}: {}", ended.stderr);
    }
}

/// The system has room for a few sockets in each event loop, and says so of each further one, in
/// whichever way.
fn assert_few_do(call: &str, fault: &str) {
    let script = "yes \"$target\" | head -n 300 |
        python3 \"$forbid\" $1 -- \"$portmuster\" check -i - --per-host max --rate max --no-kex \
            -o jsonl --method";
    for method in ["event-loop", "process-event-loops"] {
        let server = start(Behaviour::Slow(Duration::from_millis(20)));
        let script = format!("target={}\n{script} {method}", target(&server));
        let what = "forbids no calls of its processor";
        let Some(ended) = sh_where_it_can(what, &script, call) else { return };
        assert_eq!(ended.status, Some(0), "{call} {method}: {}", ended.stderr);
        let rows = ended.rows();
        assert_eq!(rows.len(), 300, "{call} {method}");
        let all = rows.iter().all(|row| row.service.as_deref() == Some("ssh"));
        assert!(all, "{call} {method}: {rows:?}");
        shortages(&ended, fault);
    }
}

#[test]
fn few_buffers_do() {
    assert_few_do("connect@0>=16=ENOBUFS", "buffers");
}

#[test]
fn little_memory_does() {
    assert_few_do("connect@0>=16=ENOMEM", "memory");
}

#[test]
fn few_watches_do() {
    assert_few_do("epoll_ctl@2>=16=ENOSPC", "watches");
}
