//! Selection of targets: excludes, labels, duplicates, order and shards; `--list` and `--count`.

use std::{collections::BTreeSet, fs};

use portmuster_lab::Behaviour;

use crate::{
    folder::ListFile,
    program::{Running, check, program, run},
    row,
    servers::{assert_untouched, start, start_on_localhost, target},
    shell::sh,
};

fn listed(arguments: &[&str]) -> Vec<String> {
    let ended = check([arguments, &["--list"]].concat());
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    ended.stdout.lines().map(str::to_owned).collect()
}

fn counted(arguments: &[&str]) -> String {
    let ended = check([arguments, &["--count"]].concat());
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    ended.stdout
}

#[test]
fn count_sends_nothing_and_expands_nothing() {
    let server = start(Behaviour::Ssh);
    assert_eq!(counted(&[&target(&server)]), "1\n");
    assert_untouched(&server);
    assert_eq!(counted(&["10.0.0.0/8"]), "33554432\n");
    assert_eq!(counted(&["2001:db8::/64", "-p1"]), "18446744073709551616\n");
    assert_eq!(counted(&["2001:db8::/64", "-p1", "--shard=1/4294967296"]), "4294967296\n");
    assert_eq!(counted(&["10.0.0-3.1-254", "10.0.0.1-10.0.0.9", "-p22"]), "1016\n");
}

#[test]
fn count_overflow_is_an_error() {
    let most = u128::MAX.to_string();
    let one_port = (u128::MAX - (1 << 120) - (1 << 32) - 1).to_string();
    assert_eq!(counted(&["::/0", "-p1"]), format!("{one_port}\n"));
    for more in [&[][..], &["--shard=1/4"], &["10.0.0.1"], &["-p1", "[8000::/1]:2"]] {
        let ended = check([&["::/0", "--count"], more].concat());
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        let message = format!("there are {most} targets or more, too many to count");
        assert!(ended.stderr.contains(&message), "{ended:?}");
    }
    let ended = check(["::/0", "--shard=1/4"]);
    assert_eq!(ended.status, Some(2));
    let message = format!("{most} or more targets are too many for one run");
    assert!(ended.stderr.contains(&message), "{ended:?}");
    let ended = check(["::/0", "--exclude=::/0", "127.0.0.1:1"]);
    let most = "340,282,366,920,938,463,463,374,607,431,768,211,455";
    let message = format!("portmuster: {most} or more excluded from the list\n");
    assert!(ended.stderr.contains(&message), "{ended:?}");
}

#[test]
fn too_many_targets_error_suggests_shard() {
    let ended = check(["2001:db8::/64"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("check a part of them with --shard M/N"), "{}", ended.stderr);
    let ended = check(["2001:db8::/64", "--shard=1/18446744073709551615", "--list"]);
    assert_eq!((ended.status, ended.stdout.lines().count()), (Some(0), 3), "{ended:?}");
}

#[test]
fn list_shows_run_order() {
    assert_eq!(
        listed(&["10.0.0.8/31", "db.example:2222", "--order=given"]),
        ["10.0.0.8:22", "10.0.0.8:23", "10.0.0.9:22", "10.0.0.9:23", "db.example:2222"]
    );
    let shuffled = listed(&["10.0.0.0/24"]);
    assert_eq!(shuffled, listed(&["10.0.0.0/24"]), "the seed is a hash of the targets");
    assert_ne!(shuffled, listed(&["10.0.0.0/24", "--seed=1"]));
    let given: BTreeSet<_> = listed(&["10.0.0.0/24", "--order=given"]).into_iter().collect();
    assert_eq!(shuffled.into_iter().collect::<BTreeSet<_>>(), given);
}

#[test]
fn shard_without_a_target_is_reported() {
    let note = "portmuster: part 3/3 has no target: there are fewer targets than parts\n";
    let list = ListFile::new("127.0.0.1:1\n");
    let from_stream = sh("exec \"$portmuster\" check -i - --shard 3/3 <\"$1\"", &list.path);
    let from_arguments = check(["127.0.0.1:1", "127.0.0.2:1", "--shard", "3/3"]);
    for ended in [from_stream, from_arguments] {
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(ended.stderr.starts_with(note), "{ended:?}");
        assert!(ended.stderr.contains("portmuster: 0 targets, in "), "{ended:?}");
    }
    let ended = check(["127.0.0.1:1", "127.0.0.2:1", "--shard", "2/3"]);
    assert!(!ended.stderr.contains("fewer targets"), "{ended:?}");
}

#[test]
fn three_shards_cover_all_targets() {
    let mut rows = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        let arguments = ["127.0.16.0/20", "-p1,2", "--rate=max", "-ojsonl", "--shard", shard];
        let ended = check(arguments);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        rows.extend(ended.rows());
    }
    assert_eq!(rows.len(), 8192);
    assert_eq!(row::targets(&rows).len(), 8192);
}

#[test]
fn shard_of_large_network_uses_little_memory() {
    let arguments = ["127.0.0.0/8", "-p1", "--shard=1/64", "--rate=max", "-ojsonl"];
    let mut running = Running::check(arguments);
    for _ in 0..250_000 {
        assert_ne!(running.line(), "");
    }
    // The remaining rows exceed the capacity of a pipe, so the program is still running.
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < 60_000, "{peak} kB");
    let ended = running.end();
    assert_eq!(ended.summary().of("closed"), 262_144);
}

#[test]
fn excludes_apply_to_networks_files_and_names() {
    let server = start_on_localhost(Behaviour::Ssh);
    let port = server.endpoint().port().to_string();
    let list = ListFile::new("127.0.0.0/29 # printers\n");
    let file = list.path.as_str();
    let arguments = ["localhost", "127.0.0.0/28", "-p", &port, "--exclude-file", file, "-ojsonl"];
    let ended = check(arguments);
    assert_untouched(&server);
    let summary = ended.summary();
    assert_eq!((ended.rows().len(), summary.of("closed"), summary.of("excluded")), (8, 8, 1));
    assert!(ended.stderr.contains("8 excluded from the list"), "{}", ended.stderr);
    let none = check(["127.0.0.1", "--exclude", "127.0.0.0/8"]);
    assert_eq!(none.status, Some(2));
    assert!(none.stderr.contains("all named targets are excluded"), "{}", none.stderr);
}

#[test]
fn family_option_drops_other_family() {
    assert_eq!(listed(&["10.0.0.5:22", "[2001:db8::1]:22", "-4"]), ["10.0.0.5:22"]);
    assert_eq!(listed(&["10.0.0.5:22", "[2001:db8::1]:22", "-6"]), ["[2001:db8::1]:22"]);
}

#[test]
fn duplicate_target_is_checked_once_with_its_label() {
    let server = start(Behaviour::Ssh);
    let list = format!("{0} core sw 1\n{0}\n", target(&server));
    let list = ListFile::new(list);
    let file = list.path.as_str();
    let ended = check(["-i", file, "-ojsonl"]);
    let rows = ended.rows();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].label.as_deref(), Some("core sw 1"));
    assert_eq!(server.accepted(), 1);
    assert!(ended.stderr.contains("1 repeated, counted once"), "{}", ended.stderr);
    assert_eq!(listed(&["-i", file]), [format!("{} core sw 1", target(&server))]);
}

#[test]
fn skip_bad_lines_continues_after_bad_line() {
    let list = "127.0.0.1:1\n10.0.0.300\n127.0.0.1:2\n";
    let arguments = ["check", "-i", "-", "--skip-bad-lines", "-ojsonl"];
    let ended = run(program().args(arguments).write_stdin(list));
    assert_eq!((ended.status, ended.rows().len()), (Some(0), 2), "{ended:?}");
    let note = "portmuster: skipped standard input, line 2, column 1: \"10.0.0.300\"";
    assert!(ended.stderr.contains(note), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("1 line or target was skipped that can't be read"),
        "{}",
        ended.stderr
    );
}

#[test]
fn source_option_is_applied_or_refused() {
    let server = start(Behaviour::Ssh);
    for method in ["serial", "threads", "event-loop"] {
        let ended = check([&target(&server), "--source=127.9.9.9", "-ojsonl", "--method", method]);
        assert_eq!(ended.rows()[0].service.as_deref(), Some("ssh"), "{method}");
    }
    // An address of another machine, a multicast and two broadcast addresses.
    for source in ["192.0.2.77", "224.0.0.1", "255.255.255.255", "127.255.255.255"] {
        let ended = check([&target(&server), &format!("--source={source}")]);
        assert_eq!(ended.status, Some(3), "{ended:?}");
        let message = format!("connecting from {source} is not possible");
        assert!(ended.stderr.contains(&message), "{ended:?}");
    }
}

#[test]
fn verbose_reports_limiting_factor() {
    let silent = start(Behaviour::Slow(std::time::Duration::from_millis(600)));
    let list = format!("{}\n", target(&silent)).repeat(4);
    let arguments = ["check", "-i", "-", "-v", "--per-host=1"];
    let ended = run(program().args(arguments).write_stdin(list));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("speed limited by the limit per host (--per-host)"), "{ended:?}");
}

#[test]
fn likely_mistakes_are_reported() {
    // The source address has the other family, so no connection is started.
    let arguments = ["8.0.0.0/16", "-p1", "--source=::1", "--shard=1/65536"];
    let ended = check(arguments);
    assert_eq!((ended.status, ended.summary().of("unchecked")), (Some(3), 1), "{ended:?}");
    assert!(ended.stderr.contains("is a public network and --rate is not set"), "{ended:?}");
    let ended = check([&arguments[..], &["--rate=10000"]].concat());
    assert!(!ended.stderr.contains("public"), "{ended:?}");
    let ended = check(["::1:44", "-p44", "--source=127.0.0.1"]);
    assert!(ended.stderr.contains("for port 44 of ::1 write [::1]:44"), "{ended:?}");
}

#[test]
fn output_equal_to_input_is_refused() {
    let list = ListFile::new("127.0.0.1:1\n");
    let file = list.path.as_str();
    for existing in ["--force", "--append"] {
        let ended = check(["-i", file, existing, "-o", &format!("jsonl={file}")]);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("the run reads it as an input"), "{}", ended.stderr);
    }
    assert_eq!(fs::read_to_string(file).expect("it exists"), "127.0.0.1:1\n");
}

#[test]
fn excluded_stream_targets_are_counted() {
    let server = start(Behaviour::Ssh);
    let arguments = ["check", "-i", "-", "--exclude", "127.0.0.0/8"];
    let ended = run(program().args(arguments).write_stdin(target(&server)));
    assert_untouched(&server);
    assert!(ended.stderr.contains("1 excluded from the list"), "{}", ended.stderr);
}

/// Neither a list nor a stream without a target that may be checked ends like a run that checked one.
#[test]
fn run_whose_targets_are_all_excluded_exits_2() {
    let message = "error: there is no target: all named targets are excluded\n";
    let gate = ["--forbid", "telnet", "--require-verdict", "--allow", "excluded"];
    for flags in [&[][..], &["--list"], &["--count"], &["--shard=2/2"], &gate] {
        let arguments = [&["127.0.0.1:1", "--exclude", "127.0.0.0/8"], flags].concat();
        let list = check(&arguments);
        assert_eq!(list.status, Some(2), "{list:?}");
        assert!(list.stderr.contains(message), "{list:?}");
        let arguments = [&["check", "-i", "-", "--exclude", "127.0.0.0/8"], flags].concat();
        for lines in ["127.0.0.1:1\n", "127.0.0.1:1\n127.0.0.2:1\n127.0.0.1:1\n"] {
            let stream = run(program().args(&arguments).write_stdin(lines));
            assert_eq!(stream.status, Some(2), "{flags:?}: {stream:?}");
            assert!(stream.stderr.contains(message), "{flags:?}: {stream:?}");
        }
    }
    // The other part has the target that is not excluded.
    let arguments = ["check", "-i", "-", "--exclude", "127.0.0.2", "--shard=2/2"];
    let ended = run(program().args(arguments).write_stdin("127.0.0.1:1\n127.0.0.2:1\n"));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    // portmuster never connects to 0.0.0.0, and this is known only when its turn comes.
    let ended = check(["0.0.0.0:1", "--exclude", "127.0.0.0/8"]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains(message), "{ended:?}");
}

#[test]
fn count_adds_list_and_stream() {
    let arguments = ["check", "-i", "-", "--count", "::/0", "-p1"];
    let ended = run(program().args(arguments).write_stdin("10.0.0.1\n10.0.0.2\n"));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stdout.len() > 30, "{}", ended.stdout);
    let arguments = ["check", "-i", "-", "--count", "10.0.0.0/8", "-p1"];
    let ended = run(program().args(arguments).write_stdin("10.0.0.1\n10.0.0.2\n"));
    assert_eq!(ended.stdout, "16777218\n");
}

#[test]
fn ipv4_mapped_address_is_excluded_as_ipv4() {
    let server = start(Behaviour::Ssh);
    let mapped = format!("[::ffff:{}]:{}", server.endpoint().ip(), server.endpoint().port());
    let ended = check([mapped.as_str(), "--exclude", "127.0.0.0/8"]);
    assert_untouched(&server);
    assert_eq!(ended.status, Some(2), "{ended:?}");
}
