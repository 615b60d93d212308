//! `--in-flight 1000000` where the system gives less: it says how many there are, and what to raise
//! for more, and runs with these.

use portmuster_lab::Behaviour;

use crate::{
    program::{Ended, METHODS, check},
    servers::{start, target},
    shell::{DROPPED, sh, sh_apart, sh_where_it_can},
};

/// What is said of so many that were asked for: how many there are, and the rest of the line.
fn in_flight(ended: &Ended, asked: u64) -> (u64, String) {
    let told = ended.stderr.lines().find_map(|line| line.strip_prefix("portmuster: in flight: "));
    let told = told.unwrap_or_else(|| panic!("it says nothing of in flight: {}", ended.stderr));
    let (given, why) = told.split_once(&format!(" of {asked}; ")).expect("asked for so many");
    (given.parse().expect("it is a number"), why.to_owned())
}

fn assert_all_refused(ended: &Ended, targets: u64) {
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let summary = ended.summary();
    assert_eq!((summary.targets, summary.of("closed")), (targets, targets));
    assert_eq!(ended.rows().len() as u64, targets);
}

const MILLION: &str =
    "\"$portmuster\" check 127.0.0.0/22 -p 1 --rate max --in-flight 1000000 -o jsonl";

#[test]
fn few_descriptors_are_said() {
    let ended = sh(&format!("ulimit -n 256; {MILLION}"), "");
    assert_all_refused(&ended, 1024);
    let (given, why) = in_flight(&ended, 1_000_000);
    // Of 256 a reserve is kept; each of eleven loops has a table.
    assert!((1_000..2_816).contains(&given), "{given}");
    assert_eq!(why, "for more, raise the limit of descriptors (ulimit -n)");
}

#[test]
fn workers_leave_descriptors_for_outputs_and_the_journal() {
    for method in METHODS {
        let script = "
            cd \"$(mktemp -d)\"
            trap 'rm -r \"$PWD\"' EXIT
            ulimit -n 32
            \"$portmuster\" check 127.0.0.0/22 -p 1 --method \"$1\" --rate 2000 -o jsonl=a.jsonl \
                -o csv=a.csv -o sqlite=a.db --journal j
            cat a.jsonl";
        assert_all_refused(&sh(script, method), 1024);
    }
}

#[test]
fn little_address_space_is_said() {
    for (method, asked) in [("event-loop", 1_000_000), ("threads", 0), ("process-event-loops", 0)] {
        let ended = sh(&format!("ulimit -v 300000; {MILLION} --method $1"), method);
        assert_all_refused(&ended, 1024);
        if asked > 0 {
            let (given, why) = in_flight(&ended, asked);
            assert!((10_000..500_000).contains(&given), "{given}");
            // It is for attempts, or for the stacks of more loops, that there is too little.
            assert!(why.contains("ulimit -v"), "{why}");
        }
    }
}

/// An allocation that fails ends a program; there must be no attempt for which it would.
#[test]
fn as_many_are_in_flight_as_the_address_space_holds() {
    let script = format!(
        "ip link set lo up
        {DROPPED}
        ulimit -v 60000
        exec \"$portmuster\" check 127.0.0.0/18 -p 9 --rate max --retries 0 --timeout 300ms \
            -o jsonl --method \"$1\""
    );
    for method in ["event-loop", "process-event-loops"] {
        let Some(ended) = sh_apart(&["--net"], &script, method) else { return };
        assert_eq!(ended.status, Some(0), "{method}: {}", ended.stderr);
        assert_eq!(ended.summary().of("filtered"), 16_384, "{method}");
        let (given, _) = in_flight(&ended, 16_384);
        assert!((64..16_384).contains(&given), "{method}: {given}");
    }
}

/// Heaps of threads would take what their stacks need, now and then.
#[test]
fn whatever_the_limit_of_address_space_it_is_enough_or_said() {
    for limit in (60_000..=400_000).step_by(10_000) {
        let ended = sh(&format!("ulimit -v {limit}; {MILLION}"), "");
        assert_eq!(ended.status, Some(0), "{limit}: {}", ended.stderr);
        assert_all_refused(&ended, 1024);
        let (_, why) = in_flight(&ended, 1_000_000);
        assert!(why.contains("ulimit -v"), "{why}");
    }
}

/// Sixty ports of 65,536 addresses that stand apart, line by line: as ranges by themselves they would
/// take 300 MB.
#[test]
fn octets_with_another_port_on_each_line_take_little_memory() {
    let script = "ulimit -v 200000
        seq 1 60 | sed 's/^/10.0-255.0-255.1:/' | \"$portmuster\" check -i - --count";
    let ended = sh(script, "");
    assert_eq!((ended.status, &*ended.stdout), (Some(0), "3932160\n"), "{}", ended.stderr);
}

/// Files of the test's own stand in the places of the system's.
fn shown(places: &[(&str, &str)]) -> String {
    let bound = places.iter().map(|(file, text)| {
        format!("printf '{text}\\n' > \"$1/shown\"; mount --bind \"$1/shown\" {file}\n")
    });
    let places: String = bound.collect();
    format!("{places}exec {MILLION}")
}

fn assert_said_where(file: &str, text: &str, given: u64, why: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a path that is text");
    let script = shown(&[(file, text)]);
    let Some(ended) = sh_apart(&["--mount"], &script, path) else { return };
    assert_all_refused(&ended, 1024);
    let (told, by) = in_flight(&ended, 1_000_000);
    assert_eq!(told, given, "{}", ended.stderr);
    assert!(by.contains(why), "{}", ended.stderr);
}

#[test]
fn little_memory_is_said() {
    // A hundred megabytes, of which eight are the program's, one eighth is left to others, and one
    // quarter to what conversations hold.
    let text = "MemTotal: 204800 kB\\nMemAvailable: 102400 kB";
    assert_said_where("/proc/meminfo", text, 9_813, "6 KiB for each");
}

#[test]
fn few_descriptors_of_the_whole_system_are_said() {
    assert_said_where("/proc/sys/fs/file-nr", "800\\t0\\t8800", 7_000, "(fs.file-max)");
}

#[test]
fn more_than_the_memory_for_tcp_is_meant_for_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a path that is text");
    let script = shown(&[("/proc/sys/net/ipv4/tcp_mem", "100\\t200\\t300")]);
    let Some(ended) = sh_apart(&["--mount"], &script, path) else { return };
    assert_all_refused(&ended, 1024);
    let told = "the TCP memory of this system is sized for 300: connections of other programs";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    assert!(ended.stderr.contains("raise net.ipv4.tcp_mem for this many\n"), "{}", ended.stderr);
}

/// A control group does not refuse memory that is not there: it kills.
#[test]
fn a_control_group_with_little_memory_is_no_reason_to_be_killed() {
    let script = "
        for root in /sys/fs/cgroup/memory /sys/fs/cgroup; do
            group=$root/portmuster-test-$$
            mkdir \"$group\" 2> /dev/null || continue
            for limit in memory.limit_in_bytes memory.max; do
                [ -e \"$group/$limit\" ] || continue
                trap 'rmdir \"$group\"' EXIT
                echo 33554432 > \"$group/$limit\"
                sh -euc 'echo 0 > \"$1/cgroup.procs\"; exec unshare --net sh -euc \"$2\" sh \"$3\"' \
                    sh \"$group\" \"$1\" event-loop
                exit
            done
            rmdir \"$group\"
        done
        exit 77";
    let inside = format!(
        "ip link set lo up
        {DROPPED}
        exec \"$portmuster\" check 127.0.0.0/18 -p 9 --rate max --in-flight 100000 --retries 0 \
            --timeout 300ms -o jsonl --method \"$1\""
    );
    let what = "lets nobody make a control group with a limit of memory";
    let Some(ended) = sh_where_it_can(what, script, &inside) else { return };
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(ended.summary().of("filtered"), 16_384);
    let (given, why) = in_flight(&ended, 100_000);
    assert!((16..4_000).contains(&given), "{given}");
    assert!(why.contains("6 KiB for each, also in the control group"), "{why}");
}

/// Of a user's processes and threads only so many may be.
#[test]
fn few_threads_are_said() {
    let script = "
        [ \"$(id -u)\" = 0 ] || exit 77
        cp \"$portmuster\" /tmp/portmuster-test-$$
        trap 'rm /tmp/portmuster-test-$$' EXIT
        setpriv --reuid 64123 --regid 64123 --clear-groups prlimit --nproc=40 \
            /tmp/portmuster-test-$$ check 127.0.0.0/22 -p 1 --rate max -o jsonl --method \"$1\"";
    for method in ["event-loop", "threads", "processes", "process-threads"] {
        let what = "has no other user for this one";
        let Some(ended) = sh_where_it_can(what, script, method) else { return };
        assert_all_refused(&ended, 1024);
    }
}

#[test]
fn nothing_is_said_where_nothing_is_missed() {
    let server = start(Behaviour::Ssh);
    let ended = check([&target(&server)]);
    assert!(!ended.stderr.contains("in flight"), "{}", ended.stderr);
    let ended = sh("ulimit -n 256; exec \"$portmuster\" check 127.0.0.1:1 --in-flight 100", "");
    assert!(!ended.stderr.contains("in flight"), "{}", ended.stderr);
    let quiet = format!("ulimit -n 256; {MILLION} --quiet");
    assert_eq!(sh(&quiet, "").stderr, "");
}
