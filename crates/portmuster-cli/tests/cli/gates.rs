//! `--forbid` and `--require-verdict`: exit status, and the verdicts that the summary reports.

use portmuster_lab::{Behaviour, Server};
use rusqlite::Connection;
use rustix::process::Signal;

use crate::{
    folder::{Folder, output, read},
    journal::JournaledRun,
    program::{Ended, Running, check, concurrently, program, run},
    servers::{assert_untouched, full_listener, start, target},
    shell::{FILES_ONLY, sh, sh_with_etc},
    summary::Summary,
};

/// Limits for servers whose silence the check has to wait for. Other servers need them to be long
/// enough for a busy machine.
const SHORT: [&str; 2] = ["--first-byte=4s", "--speak-first=never"];

fn check_with(servers: &[&Server], arguments: &[&str]) -> Ended {
    let targets: Vec<_> = servers.iter().map(|server| target(server)).collect();
    check(targets.iter().map(String::as_str).chain(arguments.iter().copied()))
}

/// Returns the lines of stderr without their prefix `portmuster: `.
fn messages(ended: &Ended) -> Vec<&str> {
    ended.stderr.lines().filter_map(|line| line.strip_prefix("portmuster: ")).collect()
}

#[track_caller]
fn assert_gate(ended: &Ended, status: i32, line: &str) {
    assert_eq!(ended.status, Some(status), "{ended:?}");
    assert!(messages(ended).contains(&line), "{line:?} in {}", ended.stderr);
}

#[test]
fn forbidden_service_is_reported_with_its_target() {
    let (ssh, telnet) = (start(Behaviour::Ssh), start(Behaviour::Telnet));
    let both = [&ssh, &telnet];
    let found = check_with(&both, &["--forbid", "telnet"]);
    let line = format!("telnet on 1: {}; no telnet on 1 of 2", target(&telnet));
    assert_gate(&found, 1, &line);
    let clean = check_with(&both, &["--forbid=tarpit"]);
    assert_gate(&clean, 0, "no tarpit on 2 of 2");
}

#[test]
fn hidden_rows_and_quiet_still_fail_the_gate() {
    let telnet = start(Behaviour::Telnet);
    let refused = start(Behaviour::Refused);
    let ended = check_with(&[&telnet, &refused], &["--forbid=other", "--forbid", "telnet", "-q"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(1), ""), "{ended:?}");
    let ended = check_with(&[&telnet], &["--forbid=telnet", "--show=open", "-o=jsonl"]);
    assert_eq!(ended.status, Some(1));
}

#[test]
fn weak_algorithms_are_forbidden_singly_or_by_group() {
    let (weak, good) = (start(Behaviour::SshWeak), start(Behaviour::Ssh));
    let both = [&weak, &good];
    for finding in ["weak-kex", "group1-sha1", "weak-mac", "weak-host-key"] {
        let line = format!("{finding} on 1: {}; no {finding} on 1 of 2", target(&weak));
        assert_gate(&check_with(&both, &["--forbid", finding]), 1, &line);
    }
    let old = start(Behaviour::SshOld);
    let both = [&weak, &old];
    let line = format!("ssh-1 on 1: {}; no ssh-1 on 1 of 2", target(&old));
    assert_gate(&check_with(&both, &["--forbid=ssh-1", "--no-kex"]), 1, &line);
}

#[test]
fn missing_kexinit_proves_no_absence_of_weak_algorithms() {
    let cut = start(Behaviour::HangsUpMidLine);
    let ended = check_with(&[&cut], &["--forbid=weak-kex,ssh-1"]);
    assert_gate(&ended, 0, "no weak-kex on 0 of 1; 1 kex-missing");
    assert_gate(&ended, 0, "no ssh-1 on 1 of 1");
    let required = check_with(&[&cut], &["--forbid=weak-kex", "--require-verdict"]);
    let line = format!("no verdict on 1 of 1: 1 kex-missing ({})", target(&cut));
    assert_gate(&required, 1, &line);
    for arguments in [&["--require-verdict"][..], &["--forbid=ssh-1,telnet", "--require-verdict"]] {
        assert_gate(&check_with(&[&cut], arguments), 0, "a verdict on each of 1");
    }
}

#[test]
fn ssh_1_proves_nothing_about_ciphers() {
    let old = start(Behaviour::SshOld);
    let ended = check_with(&[&old], &["--forbid=weak-cipher", "--require-verdict"]);
    assert_gate(&ended, 1, &format!("no verdict on 1 of 1: 1 kex-missing ({})", target(&old)));
}

#[test]
fn unanswered_targets_prove_no_absence_of_telnet() {
    let (silent, refused) = (start(Behaviour::Silent), start(Behaviour::Refused));
    let hung_up = start(Behaviour::ClosesAtOnce);
    let (deaf, _first) = full_listener();
    let deaf = deaf.local_addr().expect("it is bound").to_string();
    let servers = [&silent, &refused, &hung_up];
    let arguments = [&deaf, "--timeout=1s", "--retries=0", "--forbid=telnet"];
    let arguments = [&arguments, &SHORT[..]].concat();
    let ended = check_with(&servers, &arguments);
    assert_gate(&ended, 0, "no telnet on 1 of 4; 1 filtered; 1 silent; 1 closed-early");

    let required = check_with(&servers, &[&arguments[..], &["--require-verdict"]].concat());
    assert_eq!(required.status, Some(1), "{required:?}");
    let lines = messages(&required);
    let line = lines.last().expect("there is a last line");
    let [silent, hung_up] = [&silent, &hung_up].map(target);
    let expected = format!(
        "no verdict on 3 of 4: 1 filtered ({deaf}); 1 silent ({silent}); 1 closed-early ({hung_up})"
    );
    assert_eq!(*line, expected);
}

#[test]
fn unprobed_target_proves_only_an_open_port() {
    let (telnet, refused) = (start(Behaviour::Telnet), start(Behaviour::Refused));
    let both = [&telnet, &refused];
    let arguments = ["--no-probe", "--require-verdict"];
    let ended = check_with(&both, &arguments);
    let line = format!("no verdict on 1 of 2: 1 not-probed ({})", target(&telnet));
    assert_gate(&ended, 1, &line);
    assert_gate(&check_with(&[&refused], &arguments), 0, "a verdict on each of 1");

    let arguments = [&arguments[..], &["--forbid=open"]].concat();
    let ended = check_with(&both, &arguments);
    assert_gate(&ended, 1, &format!("open on 1: {}; no open on 1 of 2", target(&telnet)));
    assert_gate(&ended, 1, "a verdict on each of 2");
    assert_gate(&check_with(&[&refused], &arguments), 0, "a verdict on each of 1");
}

#[test]
fn login_prompt_alone_has_no_verdict() {
    let prompt = start(Behaviour::LoginPrompt);
    let line = format!("no verdict on 1 of 1: 1 telnet-likely ({})", target(&prompt));
    let gates = [&["--require-verdict"][..], &["--require-verdict", "--forbid=telnet,weak"]];
    concurrently(gates, |gate| assert_gate(&check_with(&[&prompt], gate), 1, &line));
    let ended = check_with(&[&prompt], &["--require-verdict", "--forbid=telnet,telnet-likely"]);
    let found = format!("telnet-likely on 1: {}; no telnet-likely on 0 of 1", target(&prompt));
    assert_gate(&ended, 1, &found);
    assert_gate(&ended, 1, "no telnet on 0 of 1; 1 telnet-likely");
    assert_gate(&ended, 1, "a verdict on each of 1");
}

#[test]
fn unchecked_target_fails_only_require_verdict() {
    let arguments = ["255.255.255.255:23", "127.0.0.1:1", "--forbid=telnet"];
    let ended = check(arguments);
    assert_gate(&ended, 3, "no telnet on 1 of 2; 1 unchecked");
    let required = check([&arguments[..], &["--require-verdict"]].concat());
    assert_gate(&required, 1, "no verdict on 1 of 2: 1 unchecked (255.255.255.255:23)");
}

/// Runs a check where the resolver knows only the two names below. Returns `None` where namespaces
/// are not available.
fn check_with_known_names(arguments: &str) -> Option<Ended> {
    let hosts = "127.0.0.1 localhost\n127.0.0.1 v4.example\n";
    let script = format!("exec \"$portmuster\" check {arguments}");
    sh_with_etc(&Folder::new(), &[("hosts", hosts), FILES_ONLY], &[], &script)
}

#[test]
fn unresolved_name_passes_require_verdict_only_when_allowed() {
    let gate = "127.0.0.1:1 no-such-name.invalid:23 --forbid telnet";
    for (arguments, status, lines) in [
        ("", 0, &["no telnet on 1 of 2; 1 unresolved"][..]),
        ("--require-verdict", 1, &["no verdict on 1 of 2: 1 unresolved (no-such-name.invalid:23)"]),
        (
            "--require-verdict --allow unresolved",
            0,
            &["a verdict on 1 of 2; allowed: 1 unresolved"],
        ),
    ] {
        let ended = check_with_known_names(&format!("{gate} {arguments}"));
        let Some(ended) = ended else { return };
        for line in lines {
            assert_gate(&ended, status, line);
        }
    }
}

#[test]
fn run_without_any_answer_fails_despite_allow() {
    for (arguments, status) in [
        (
            "no-such-name.invalid:23 --forbid telnet --require-verdict --allow unresolved,excluded",
            1,
        ),
        ("v4.example -6 --forbid telnet --require-verdict --allow excluded", 2),
        ("v4.example -6 --forbid telnet", 2),
    ] {
        let Some(ended) = check_with_known_names(arguments) else { return };
        assert_eq!(ended.status, Some(status), "{arguments}: {ended:?}");
        let line = "no connection was accepted or refused, so this run proves nothing";
        assert!(ended.stderr.contains(line), "{arguments}: {}", ended.stderr);
    }
}

#[test]
fn excluded_target_passes_require_verdict_only_when_allowed() {
    let arguments = ["127.0.0.1:1", "127.0.0.2:1", "--exclude=127.0.0.2", "--require-verdict"];
    assert_gate(&check(arguments), 1, "no verdict on 1 of 2: 1 excluded");
    let allowed = check([&arguments[..], &["--allow=excluded"]].concat());
    assert_gate(&allowed, 0, "a verdict on 1 of 2; allowed: 1 excluded");
}

#[test]
fn excluded_target_that_is_listed_twice_is_counted_once() {
    let gate = "--exclude 127.0.0.2 --forbid telnet --require-verdict --allow excluded";
    for targets in [
        "127.0.0.1:1 127.0.0.2:1 127.0.0.2:1",
        "127.0.0.2/32:1 127.0.0.1-127.0.0.2:1 127.0.0.1-2:1",
    ] {
        let arguments = format!("{targets} {gate} --summary=json=- -o csv=/dev/null");
        let ended = check(arguments.split(' '));
        assert_gate(&ended, 0, "a verdict on 1 of 2; allowed: 1 excluded");
        assert!(ended.stdout.contains("\"excluded\":1,\"reserved\":0"), "{ended:?}");
        assert!(ended.stdout.contains("\"input_size\":2,"), "{ended:?}");
    }
}

#[test]
fn name_with_all_addresses_excluded_has_no_verdict() {
    let arguments = "127.0.0.1:1 v4.example:1 --exclude 127.0.0.1:2 -4 --require-verdict";
    let Some(ended) = check_with_known_names(arguments) else { return };
    assert_gate(&ended, 0, "a verdict on each of 2");
    let arguments = "127.0.0.2:1 v4.example:1 --exclude 127.0.0.1 --require-verdict";
    let Some(ended) = check_with_known_names(arguments) else { return };
    assert_gate(&ended, 1, "no verdict on 1 of 2: 1 excluded");
}

#[test]
fn skipped_line_has_no_verdict() {
    let list = "127.0.0.1:1\n10.0.0.300\n";
    let arguments = ["-i=-", "--skip-bad-lines", "--require-verdict"];
    let check = |arguments: &[&str]| run(program().arg("check").args(arguments).write_stdin(list));
    let ended = check(&arguments);
    assert_gate(&ended, 1, "no verdict on 1 of 2: 1 bad-lines");
    let ended = check(&[&arguments[..], &["--allow=bad-lines"]].concat());
    assert_gate(&ended, 0, "a verdict on 1 of 2; allowed: 1 bad-lines");
}

#[test]
fn stream_ended_by_bad_line_exits_2() {
    let list = "127.0.0.1:1\n10.0.0.300\n127.0.0.2:1\n";
    let arguments = ["check", "-i=-", "--require-verdict"];
    let ended = run(program().args(arguments).write_stdin(list));
    assert_gate(&ended, 2, "a verdict on each of the 1 that were read");
    let line = "an input list was not read to its end: its remaining targets are unknown";
    assert_gate(&ended, 2, line);
}

#[test]
fn hashed_name_has_no_verdict() {
    let list = "[127.0.0.1]:1 ssh-ed25519 AAAA\n|1|c2FsdA==|aGFzaA== ssh-ed25519 AAAA\n";
    let arguments = ["check", "-i=-", "--input-format=known-hosts", "--require-verdict"];
    let ended = run(program().args(arguments).write_stdin(list));
    assert_gate(&ended, 1, "no verdict on 1 of 2: 1 bad-lines");
}

#[test]
fn unrecognised_bytes_have_no_verdict() {
    let sentence = b"temperature 21.5, humidity 40\r\n";
    let server = start(Behaviour::Says(sentence));
    let gate = ["--forbid=telnet,telnet-likely,ssh", "--require-verdict"];
    let ended = check_with(&[&server], &[&gate[..], &SHORT].concat());
    assert_gate(&ended, 1, &format!("no verdict on 1 of 1: 1 unknown ({})", target(&server)));
    assert_gate(&ended, 1, "no ssh on 0 of 1; 1 unknown");
    let gate = ["--require-verdict", "--allow=unknown,silent"];
    let allowed = check_with(&[&server], &[&gate[..], &SHORT].concat());
    assert_gate(&allowed, 0, "a verdict on 0 of 1; allowed: 1 unknown");
}

#[test]
fn at_most_five_found_targets_are_named() {
    let servers: Vec<_> = (0..7).map(|_| start(Behaviour::ClosesAtOnce)).collect();
    let servers: Vec<_> = servers.iter().collect();
    let ended = check_with(&servers, &["--forbid=open"]);
    assert_eq!(ended.status, Some(1));
    let lines = messages(&ended);
    let line = lines.last().expect("there is a last line");
    assert!(
        line.starts_with("open on 7: ") && line.contains(" and 2 more; no open on 0"),
        "{line}"
    );
    let named = servers.iter().filter(|server| line.contains(&target(server))).count();
    assert_eq!(named, 5, "{line}");
}

#[test]
fn interrupted_run_reports_targets_left_without_verdict() {
    let telnet = start(Behaviour::Telnet);
    let mut running = Running::check([
        &target(&telnet),
        "127.0.0.0/8",
        "-p=1",
        "--order=given",
        "--rate=10",
        "-o=jsonl",
        "--forbid=telnet",
        "--require-verdict",
    ]);
    while running.row().service.is_none() {}
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.status, Some(130), "{ended:?}");
    let lines = messages(&ended);
    assert!(lines.iter().any(|line| line.starts_with("telnet on 1: ") && line.ends_with(" left")));
    assert!(lines.iter().any(|line| line.starts_with("no verdict on 16,7")), "{lines:?}");
}

/// An output fails within a batch of outcomes, which the account counts as a whole. Asserts that the
/// gate examines each of them.
fn assert_gate_agrees_after_failure(limit: &str, arguments: &str) -> Summary {
    let script =
        format!("{limit} exec \"$portmuster\" check 127.0.0.0/18:1 --rate=max --forbid=telnet $1");
    let ended = sh(&script, arguments);
    assert_eq!(ended.status, Some(3), "{ended:?}");
    let summary = ended.summary();
    let (closed, left) = (summary.of("closed"), summary.of("left"));
    assert!(left > 0, "{summary:?}");
    let lines = messages(&ended).join("\n").replace(',', "");
    let gate = format!("no telnet on {closed} of {}; {left} left", summary.targets);
    assert!(lines.contains(&gate), "{lines}");
    summary
}

#[test]
fn gates_judge_each_outcome_of_the_summary_after_an_output_has_failed() {
    let folder = Folder::new();
    let rows = output("jsonl", &folder.file("rows"));
    let journal = folder.file("journal").display().to_string();
    let limit = "ulimit -f 512;";
    assert_gate_agrees_after_failure(limit, &format!("-o {rows} --journal {journal}"));
}

#[test]
fn other_outputs_have_each_row_of_the_summary_after_an_output_has_failed() {
    let folder = Folder::new();
    let (csv, database) = (folder.file("rows.csv"), folder.file("rows.db"));
    let others = [output("csv", &csv), output("sqlite", &database)].join(" -o ");
    let arguments = format!("-o jsonl=/dev/full -o {others}");
    let summary = assert_gate_agrees_after_failure("", &arguments);
    assert_eq!(read(&csv).lines().count() as u64, summary.of("closed") + 1);
    let sums = "SELECT closed, \"left\", (SELECT count(*) FROM outcomes) FROM runs";
    let read = |row: &rusqlite::Row<'_>| Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?]);
    let stored = Connection::open(&database).and_then(|file| file.query_row(sums, (), read));
    let stored = stored.expect("it has ended").map(i64::unsigned_abs);
    assert_eq!(stored, [summary.of("closed"), summary.of("left"), summary.of("closed")]);
}

#[test]
fn closed_stdout_does_not_change_gate_status() {
    let telnet = start(Behaviour::Telnet);
    let script = "{ \"$portmuster\" check $1 -o jsonl --forbid telnet || echo $? >&2; } | :";
    let ended = sh(script, &format!("127.0.0.0/24:1 {}", target(&telnet)));
    assert!(ended.stderr.ends_with("\n1\n"), "{ended:?}");
    assert!(ended.stderr.contains("telnet on 1: "), "{ended:?}");
}

#[test]
fn invalid_gate_options_are_refused_before_connecting() {
    let server = start(Behaviour::Ssh);
    for (arguments, complaint) in [
        (
            &["--forbid=mainframes"][..],
            "[possible values: open, ssh, ssh-throttled, ssh-broken, telnet, ",
        ),
        (&["--forbid=telnets"], "is not a value of --forbid: write telnet"),
        (&["--forbid=telnet,"], "is not a value of --forbid: write telnet"),
        (&["--forbid=telnet", "--no-probe"], "--forbid telnet can't be detected with --no-probe"),
        (
            &["--forbid=ssh-1,weak-kex", "--no-kex"],
            "--forbid weak-kex can't be detected with --no-kex",
        ),
        (&["--forbid=weak", "--no-kex"], "--forbid weak can't be detected with --no-kex"),
        (&["--forbid=telnet", "--list"], "cannot be used with"),
        (&["--require-verdict", "--count"], "cannot be used with"),
        (&["--allow=unresolved"], "required arguments were not provided"),
        (&["--require-verdict", "--allow=left"], "[possible values: filtered, unresolved, "),
    ] {
        let target = target(&server);
        let ended = check([&[target.as_str()], arguments].concat());
        assert_eq!(ended.status, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(complaint), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    assert_untouched(&server);
}

#[test]
fn resumed_run_keeps_findings_from_before_the_kill() {
    let (telnet, silent) = (start(Behaviour::Telnet), start(Behaviour::Silent));
    let targets = [target(&telnet), target(&silent), "127.0.0.1:1".to_owned()];
    let mut arguments: Vec<_> = targets.iter().map(String::as_str).collect();
    arguments.extend(["--first-byte=1h", "--deadline=1h", "--forbid=telnet,ssh"]);
    let run = JournaledRun::new(&["jsonl"], &arguments);
    run.kill_with(2);
    drop(silent);

    let others = check(run.arguments(true).into_iter().chain(["--forbid=weak".to_owned()]));
    assert_eq!(others.status, Some(2), "{others:?}");
    let differs = "forbid was telnet,ssh, is telnet,ssh,weak";
    assert!(others.stderr.contains(differs), "{}", others.stderr);

    let line = format!("telnet on 1: {}; no telnet on 2 of 3", target(&telnet));
    let ended = run.resume();
    assert_gate(&ended, 1, &line);
    assert_gate(&ended, 1, "no ssh on 3 of 3");
    // The gates are evaluated again when the run is already complete.
    let again = run.resume();
    assert!(again.stderr.contains("nothing is left to do"), "{again:?}");
    assert_gate(&again, 1, &line);
}
