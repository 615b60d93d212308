//! `--in-flight 1000000` on systems with lower limits: the program reports the capacity and what to
//! raise, and completes with it.

use portmuster_lab::Behaviour;

use crate::{
    folder::Folder,
    program::{Ended, METHODS, check, program, run},
    servers::{start, target},
    shell::{DROP_PORT_9, sh, sh_in_control_group, sh_in_namespaces, sh_or_skip},
    summary::with_commas,
};

/// Parses the note on the limit in flight: the capacity, and the rest of the line.
fn in_flight(ended: &Ended, requested: u64) -> (u64, String) {
    let note = ended.stderr.lines().find_map(|line| line.strip_prefix("portmuster: in flight: "));
    let note = note.unwrap_or_else(|| panic!("no limit in flight is reported: {}", ended.stderr));
    let (capacity, hint) = note
        .split_once(&format!(" of {}; ", with_commas(requested)))
        .expect("the note contains the requested number");
    (capacity.replace(',', "").parse().expect("it is a number"), hint.to_owned())
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
fn descriptor_limit_is_reported() {
    let ended = sh(&format!("ulimit -n 256; {MILLION}"), "");
    assert_all_refused(&ended, 1024);
    let (capacity, hint) = in_flight(&ended, 1_000_000);
    // A reserve of the 256 descriptors is kept. Each of eleven loops has its own table.
    assert!((1_000..2_816).contains(&capacity), "{capacity}");
    assert_eq!(hint, "for more, raise the limit of descriptors (ulimit -n)");
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
fn address_space_limit_is_reported() {
    for (method, requested) in
        [("event-loop", 1_000_000), ("threads", 0), ("process-event-loops", 0)]
    {
        let ended = sh(&format!("ulimit -v 300000; {MILLION} --method $1"), method);
        assert_all_refused(&ended, 1024);
        if requested > 0 {
            let (capacity, hint) = in_flight(&ended, requested);
            assert!((10_000..500_000).contains(&capacity), "{capacity}");
            // Either the attempts or the stacks of further loops exceed the address space.
            assert!(hint.contains("ulimit -v"), "{hint}");
        }
    }
}

/// A failed allocation aborts the program, so no attempt may start whose memory cannot be allocated.
#[test]
fn in_flight_fits_the_address_space() {
    let script = format!(
        "ip link set lo up
        {DROP_PORT_9}
        ulimit -v 60000
        exec \"$portmuster\" check 127.0.0.0/18 -p 9 --rate max --in-flight 16384 --retries 0 \
            --timeout 300ms -o jsonl --method \"$1\""
    );
    for method in ["event-loop", "process-event-loops"] {
        let Some(ended) = sh_in_namespaces(&["--net"], &script, method) else { return };
        assert_eq!(ended.status, Some(0), "{method}: {}", ended.stderr);
        assert_eq!(ended.summary().of("filtered"), 16_384, "{method}");
        let (capacity, _) = in_flight(&ended, 16_384);
        assert!((64..16_384).contains(&capacity), "{method}: {capacity}");
    }
}

/// Allocator arenas of threads would occasionally take the space that their stacks need.
#[test]
fn every_address_space_limit_is_reported_and_sufficient() {
    for limit in (60_000..=400_000).step_by(10_000) {
        let ended = sh(&format!("ulimit -v {limit}; {MILLION}"), "");
        assert_eq!(ended.status, Some(0), "{limit}: {}", ended.stderr);
        assert_all_refused(&ended, 1024);
        let (_, hint) = in_flight(&ended, 1_000_000);
        assert!(hint.contains("ulimit -v"), "{hint}");
    }
}

/// Sixty ports on 65,536 scattered addresses, one line each. Stored as separate ranges they would
/// take 300 MB.
#[test]
fn octet_ranges_with_different_ports_use_little_memory() {
    let script = "ulimit -v 200000
        seq 1 60 | sed 's/^/10.0-255.0-255.1:/' | \"$portmuster\" check -i - --count";
    let ended = sh(script, "");
    assert_eq!((ended.status, &*ended.stdout), (Some(0), "3932160\n"), "{}", ended.stderr);
}

/// Returns a script that replaces system files by the capacity text and runs `MILLION`.
fn with_system_files(files: &[(&str, &str)]) -> String {
    let mounts = files.iter().map(|(file, text)| {
        format!("printf '{text}\\n' > \"$1/replaced\"; mount --bind \"$1/replaced\" {file}\n")
    });
    let mounts: String = mounts.collect();
    format!("{mounts}exec {MILLION}")
}

fn assert_reported_with_file(file: &str, text: &str, expected: u64, hint: &str) {
    let folder = Folder::new();
    let path = folder.path();
    let script = with_system_files(&[(file, text)]);
    let Some(ended) = sh_in_namespaces(&["--mount"], &script, path) else { return };
    assert_all_refused(&ended, 1024);
    let (capacity, rest) = in_flight(&ended, 1_000_000);
    assert_eq!(capacity, expected, "{}", ended.stderr);
    assert!(rest.contains(hint), "{}", ended.stderr);
}

#[test]
fn memory_limit_is_reported() {
    // Of 100 MiB, the program takes 8 MiB, one eighth is left to other programs, and one quarter is
    // reserved for conversations.
    let text = "MemTotal: 204800 kB\\nMemAvailable: 102400 kB";
    assert_reported_with_file("/proc/meminfo", text, 9_813, "6 KiB for each");
}

#[test]
fn system_descriptor_limit_is_reported() {
    assert_reported_with_file("/proc/sys/fs/file-nr", "800\\t0\\t8800", 7_000, "(fs.file-max)");
}

#[test]
fn tcp_memory_limit_is_reported() {
    let folder = Folder::new();
    let path = folder.path();
    let script = with_system_files(&[("/proc/sys/net/ipv4/tcp_mem", "100\\t200\\t300")]);
    let Some(ended) = sh_in_namespaces(&["--mount"], &script, path) else { return };
    assert_all_refused(&ended, 1024);
    let message = "the TCP memory of this system is sized for 300: connections of other programs";
    assert!(ended.stderr.contains(message), "{}", ended.stderr);
    assert!(ended.stderr.contains("raise net.ipv4.tcp_mem for this many\n"), "{}", ended.stderr);
}

#[test]
fn rate_that_needs_more_than_the_default_is_reported() {
    let folder = Folder::new();
    let in_flight = |tcp_mem: &str, option: &str| {
        let file = [("/proc/sys/net/ipv4/tcp_mem", tcp_mem)];
        let script = with_system_files(&file).replace("--in-flight 1000000", option);
        let script =
            script.replace("--rate max", "--rate 200000").replace("127.0.0.0/22", "127.0.0.0/16");
        let ended = sh_in_namespaces(&["--mount"], &script, folder.path())?;
        let note = ended.stderr.lines().find(|line| line.contains(": in flight: "));
        Some(note.unwrap_or_default().to_owned())
    };
    let Some(note) = in_flight("100\\t200\\t40000", "") else { return };
    let memory = "portmuster: in flight: 20,000 of 800,000; that is half of what the TCP memory of this \
                  system is sized for; for more, raise net.ipv4.tcp_mem, or ask for the number \
                  (--in-flight)";
    assert_eq!(note, memory);
    let Some(note) = in_flight("100\\t200\\t40000", "--in-flight 30000") else { return };
    assert_eq!(note, "");
}

/// A control group does not refuse memory that it lacks: it kills.
#[test]
fn run_survives_small_control_group() {
    let script = format!(
        "ip link set lo up
        {DROP_PORT_9}
        exec \"$portmuster\" check 127.0.0.0/18 -p 9 --rate max --in-flight 100000 --retries 0 \
            --timeout 300ms -o jsonl --method \"$1\""
    );
    let (bytes, wrapper) = (32 << 20, ["unshare", "--net"]);
    let Some(ended) = sh_in_control_group(bytes, &wrapper, &script, "event-loop") else { return };
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(ended.summary().of("filtered"), 16_384);
    let (capacity, hint) = in_flight(&ended, 100_000);
    assert!((16..4_000).contains(&capacity), "{capacity}");
    assert!(hint.contains("6 KiB for each, also in the control group"), "{hint}");
}

/// The system limits the processes and threads of the user to 40.
#[test]
fn run_completes_with_few_threads() {
    let script = "
        [ \"$(id -u)\" = 0 ] || exit 77
        cp \"$portmuster\" /tmp/portmuster-test-$$
        trap 'rm /tmp/portmuster-test-$$' EXIT
        setpriv --reuid 64123 --regid 64123 --clear-groups prlimit --nproc=40 \
            /tmp/portmuster-test-$$ check 127.0.0.0/22 -p 1 --rate max -o jsonl --method \"$1\"";
    for method in ["event-loop", "threads", "processes", "process-threads"] {
        let what = "is not root, or has no setpriv";
        let Some(ended) = sh_or_skip(what, script, method) else { return };
        assert_all_refused(&ended, 1024);
    }
}

#[test]
fn nothing_is_reported_without_a_shortage() {
    let server = start(Behaviour::Ssh);
    let ended = check([&target(&server)]);
    assert!(!ended.stderr.contains("in flight"), "{}", ended.stderr);
    let ended = sh("ulimit -n 256; exec \"$portmuster\" check 127.0.0.1:1 --in-flight 100", "");
    assert!(!ended.stderr.contains("in flight"), "{}", ended.stderr);
    let quiet = format!("ulimit -n 256; {MILLION} --quiet");
    assert_eq!(sh(&quiet, "").stderr, "");
}

#[test]
fn stacks_do_not_depend_on_the_environment() {
    for stack in ["1", "1000000000000"] {
        for method in ["event-loop", "threads", "process-threads"] {
            let arguments = ["check", "127.0.0.1:1", "--method", method];
            let ended = run(program().args(arguments).env("RUST_MIN_STACK", stack));
            assert_eq!(ended.status, Some(0), "{stack} {method}: {ended:?}");
        }
    }
}
