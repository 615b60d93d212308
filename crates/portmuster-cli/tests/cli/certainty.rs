//! Silent targets that are asked again: the summary, the gate and the file of `--summary`.

use std::collections::BTreeMap;

use portmuster_lab::Behaviour;
use rustix::process::Signal;
use serde::Deserialize;

use crate::{
    database::{column, open},
    folder::{Folder, output, read},
    program::{Ended, LIMIT, Running, check},
    servers::{start, target},
    shell::{DROP_PORT_9, sh_in_namespaces},
};

/// The object of `--summary json=FILE`, schema 1.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunSummary {
    schema: u32,
    r#type: String,
    version: String,
    ended: String,
    pub(crate) interrupted: bool,
    pub(crate) status: i32,
    account: RunAccount,
    skipped: SkippedEntries,
    loss: Loss,
    services: BTreeMap<String, u64>,
    gates: Option<GateResults>,
    certainty: Option<StatedCertainty>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunAccount {
    targets: u64,
    open: u64,
    closed: u64,
    filtered: u64,
    unresolved: u64,
    unchecked: u64,
    excluded: u64,
    left: u64,
    elapsed_ms: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SkippedEntries {
    duplicates: u64,
    excluded: u64,
    reserved: u64,
    bad_lines: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Loss {
    found_on_retry: u64,
    slowed: u64,
    faults: u64,
    syns: u64,
    syns_lost: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct GateResults {
    violated: bool,
    input_size: u64,
    left: u64,
    cut_short: bool,
    has_answers: bool,
    max_missed_exceeded: bool,
    items: Vec<ForbiddenItem>,
    unproven: Option<Vec<UnprovenKind>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ForbiddenItem {
    item: String,
    found: u64,
    absent: u64,
    inconclusive: BTreeMap<String, u64>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnprovenKind {
    kind: String,
    count: u64,
    allowed: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatedCertainty {
    silent: u64,
    asked_again: u64,
    failed: u64,
    answered: u64,
    bound: Option<f64>,
    bound_count: Option<u64>,
    confidence: f64,
    blocked: bool,
    controls: u64,
    silent_controls: u64,
    icmp_refused: RefusedTargets,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusedTargets {
    targets: u64,
    asked_again: u64,
    failed: u64,
    answered: u64,
    bound: Option<f64>,
    bound_count: Option<u64>,
}

impl RunSummary {
    /// Reads the only line of a file, and asserts that the account adds up.
    pub(crate) fn read(text: &str) -> Self {
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let summary: Self = serde_json::from_str(text).expect("it has these fields");
        assert_eq!((summary.schema, &*summary.r#type), (1, "summary"));
        assert_eq!(summary.version, env!("CARGO_PKG_VERSION"));
        assert!(summary.ended.starts_with("20") && summary.ended.ends_with('Z'), "{summary:?}");
        let RunAccount { targets, open, closed, filtered, unresolved, unchecked, .. } =
            summary.account;
        let RunAccount { excluded, left, .. } = summary.account;
        let sum = open + closed + filtered + unresolved + unchecked + excluded + left;
        assert_eq!(targets, sum, "{summary:?}");
        summary
    }
}

/// Runs a check in a network namespace with these firewall rules for outgoing packets. Returns what it
/// prints, and its summary, which goes to stdout.
fn check_behind(rules: &str, arguments: &str) -> Option<(Ended, RunSummary)> {
    let script = format!(
        "ip link set lo up
        nft -f - <<'END'
table inet firewall {{
    {rules}
}}
END
        exec \"$portmuster\" check {arguments} --timeout 300ms --patience full -o jsonl=/dev/null \
            --summary json=-"
    );
    let ended = sh_in_namespaces(&["--net"], &script, "")?;
    let summary = RunSummary::read(&ended.stdout);
    assert_eq!(ended.status, Some(summary.status), "{ended:?}");
    Some((ended, summary))
}

const SILENT: &str = "chain output {
        type filter hook output priority 0
        tcp dport 9 drop
    }";

#[test]
fn summary_states_how_many_silent_targets_may_be_missed() {
    let Some((ended, summary)) = check_behind(SILENT, "127.0.0.0/22 -p 9,10 --max-missed 1%")
    else {
        return;
    };
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let account = &summary.account;
    assert_eq!((account.targets, account.closed, account.filtered), (2048, 1024, 1024));
    assert!(account.elapsed_ms >= 900.0, "three attempts of 0.3 s: {summary:?}");
    let Loss { found_on_retry, slowed, faults, syns, syns_lost } = summary.loss;
    assert!(syns_lost <= syns, "{syns_lost} of {syns}");
    assert_eq!((found_on_retry, slowed, faults), (0, 0, 0));
    assert!(!summary.interrupted && summary.gates.is_none());
    assert!(summary.services.contains_key("ssh") && summary.services["telnet"] == 0);

    let certainty = summary.certainty.expect("it was measured");
    assert_eq!((certainty.silent, certainty.asked_again, certainty.answered), (1024, 410, 0));
    assert_eq!((certainty.failed, certainty.icmp_refused.failed), (0, 0));
    let (bound, count) = (certainty.bound, certainty.bound_count);
    let (bound, count) = (bound.expect("it is stated"), count.expect("it is stated"));
    let count_of_share = bound * 1024.0 - f64::from(u32::try_from(count).expect("it is small"));
    assert!(bound > 0.005 && bound <= 0.01 && count_of_share.abs() < 1e-6, "{bound} {count}");
    assert!(certainty.confidence > 0.94 && !certainty.blocked);
    assert_eq!((certainty.controls, certainty.silent_controls), (300, 0));
    let RefusedTargets { targets, asked_again, answered, .. } = certainty.icmp_refused;
    assert_eq!((targets, asked_again, answered), (0, 0, 0));
    assert_eq!(certainty.icmp_refused.bound_count, Some(0));
    assert!(certainty.icmp_refused.bound.is_some_and(|bound| bound < 1e-9));
    let line = format!(
        "portmuster: certainty: 410 of 1,024 silent targets were asked again, none answered: at most \
         {count} ("
    );
    assert!(ended.stderr.contains(&line), "{ended:?}");
}

/// The database has the numbers of the file.
#[test]
fn database_states_how_many_silent_targets_may_be_missed() {
    let folder = Folder::new();
    let (file, summary) = (folder.file("audit.db"), folder.file("summary.json"));
    let arguments = format!(
        "127.0.0.0/25 -p 9,10 --max-missed 10% -o {} --summary {}",
        output("sqlite", &file),
        output("json", &summary)
    );
    let script = format!(
        "ip link set lo up
        {DROP_PORT_9}
        exec \"$portmuster\" check {arguments} --timeout 300ms --patience full"
    );
    let Some(ended) = sh_in_namespaces(&["--net"], &script, "") else { return };
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let certainty = RunSummary::read(&read(&summary)).certainty.expect("it was measured");
    let bound = certainty.bound_count.expect("it is stated");
    assert!(certainty.asked_again == 41 && bound > 0, "{certainty:?}");
    let columns = "silent || ' ' || asked_again || ' ' || answered || ' ' || bound_count || ' ' ||
        (bound > 0) || ' ' || blocked || ' ' || controls || ' ' || icmp_refused";
    let stored = column::<String>(&open(&file), &format!("SELECT {columns} FROM runs"));
    assert_eq!(stored, [format!("128 41 0 {bound} 1 0 128 0")]);
}

#[test]
fn targets_that_answer_only_when_asked_again_are_found() {
    // Drops two attempts on each address, with their retransmissions.
    let rules = "set once { type ipv4_addr; flags dynamic; size 65536; }
    set twice { type ipv4_addr; flags dynamic; size 65536; }
    set dropped { type ipv4_addr . inet_service; flags dynamic; size 65536; }
    chain output {
        type filter hook output priority 0
        tcp dport != 9 accept
        ip daddr . tcp sport @dropped drop
        ip daddr @twice accept
        ip daddr @once add @twice { ip daddr } add @dropped { ip daddr . tcp sport } drop
        add @once { ip daddr } add @dropped { ip daddr . tcp sport } drop
    }";
    let Some((ended, summary)) = check_behind(rules, "127.0.0.0/25 -p 9 --require-verdict") else {
        return;
    };
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!((summary.account.closed, summary.account.filtered), (128, 0));
    let line = "certainty: all 128 silent targets answered, but only when they were asked again\n";
    assert!(ended.stderr.contains(line), "{ended:?}");
    let gates = summary.gates.expect("it has a gate");
    assert!(!gates.violated && gates.has_answers && !gates.cut_short && !gates.max_missed_exceeded);
    assert_eq!((gates.input_size, gates.left, gates.unproven), (128, 0, Some(Vec::new())));
    let certainty = summary.certainty.expect("it was measured");
    assert_eq!((certainty.silent, certainty.answered, certainty.bound_count), (0, 128, Some(0)));
}

#[test]
fn no_bound_is_stated_when_targets_fall_silent() {
    // Port 10 refuses the first attempt on each address, and is silent from then on.
    let rules = "set asked { type ipv4_addr; flags dynamic; size 65536; }
    chain output {
        type filter hook output priority 0
        tcp dport 9 drop
        tcp dport 10 ip daddr @asked drop
        tcp dport 10 add @asked { ip daddr } accept
    }";
    let gate = "--forbid telnet --require-verdict --allow filtered";
    let arguments = format!("127.0.0.0/25 -p 9,10 {gate}");
    let Some((ended, summary)) = check_behind(rules, &arguments) else { return };
    assert_eq!(ended.status, Some(1), "{ended:?}");
    for line in [
        "certainty: 128 of 128 targets that had answered have fallen silent since: somebody may have \
         begun to block this machine, so no bound can be stated\n",
        "it is not proven that at most 0.1% of the silent targets were missed (--max-missed)\n",
    ] {
        assert!(ended.stderr.contains(line), "{ended:?}");
    }
    let certainty = summary.certainty.expect("it was measured");
    assert!(certainty.blocked && certainty.bound.is_none() && certainty.bound_count.is_none());
    let gates = summary.gates.expect("it has gates");
    assert!(gates.violated && gates.max_missed_exceeded);
    let filtered = UnprovenKind { kind: "filtered".to_owned(), count: 128, allowed: true };
    assert_eq!(gates.unproven, Some(vec![filtered]));
    let [item] = <[ForbiddenItem; 1]>::try_from(gates.items).expect("one is forbidden");
    assert_eq!((&*item.item, item.found, item.absent), ("telnet", 0, 128));
    assert_eq!(item.inconclusive, BTreeMap::from([("filtered".to_owned(), 128)]));

    let Some((ended, _)) = check_behind(rules, &format!("{arguments} --no-canaries")) else {
        return;
    };
    assert_eq!(ended.status, Some(0), "it is not measured: {ended:?}");
    assert!(!ended.stderr.contains("certainty"), "{ended:?}");
}

/// As many are asked again as `--max-missed` needs, or all.
#[test]
fn gate_passes_when_all_silent_targets_were_asked_again() {
    let gate = "--require-verdict --allow filtered";
    for max_missed in ["", "--max-missed 0.0001%"] {
        let arguments = format!("127.0.0.0/25 -p 9,10 {gate} {max_missed}");
        let Some((ended, summary)) = check_behind(SILENT, &arguments) else { return };
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(summary.certainty.and_then(|it| it.bound_count), Some(0));
    }
}

#[test]
fn targets_that_icmp_refused_are_asked_again_as_well() {
    let rules = "chain input {
        type filter hook input priority 0
        tcp dport 9 reject with icmpx admin-prohibited
    }";
    let Some((ended, summary)) = check_behind(rules, "127.0.0.0/25 -p 9") else { return };
    let line =
        "certainty: all 128 targets that ICMP messages refused were asked again, none answered\n";
    assert!(
        ended.stderr.contains(line) && ended.stderr.matches("certainty").count() == 1,
        "{ended:?}"
    );
    let certainty = summary.certainty.expect("it was measured");
    assert_eq!((certainty.silent, certainty.icmp_refused.targets), (0, 128));
    assert_eq!(certainty.icmp_refused.asked_again, 128);
}

#[test]
fn interrupted_run_writes_its_summary_without_a_bound() {
    let server = start(Behaviour::Silent);
    let folder = Folder::new();
    let file = folder.file("summary.json");
    let summary = output("json", &file);
    let limits = ["--first-byte=1h", "--deadline=1h", "--speak-first=never", "-o=jsonl"];
    let target = target(&server);
    let arguments = [&limits[..], &[&target, "127.0.0.1:1", "--summary", &summary]].concat();
    let running = Running::check(arguments);
    assert_eq!(server.wait_for(LIMIT, |counts| counts.open == 1).open, 1);
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.status, Some(130), "{ended:?}");
    let summary = RunSummary::read(&read(&file));
    assert!(summary.interrupted && summary.certainty.is_none(), "{summary:?}");
    assert_eq!((summary.status, summary.account.targets), (130, 2));
}

/// A run that is complete has nothing left to do, and judges the same numbers again.
#[test]
fn complete_run_that_is_repeated_states_the_same_certainty() {
    let folder = Folder::new();
    let file = |name: &str| folder.file(name);
    let command = format!(
        "\"$portmuster\" check 127.0.0.0/26 -p 9,10 --require-verdict --allow filtered \
            --timeout 300ms --patience full --journal {} --resume -o {}",
        file("journal").display(),
        output("jsonl", &file("rows"))
    );
    let script = format!(
        "ip link set lo up
        {DROP_PORT_9}
        {command} --summary {} && exec {command} --summary {}",
        output("json", &file("first")),
        output("json", &file("second"))
    );
    let Some(ended) = sh_in_namespaces(&["--net"], &script, "") else { return };
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("nothing is left to do"), "{ended:?}");
    let [first, second] =
        ["first", "second"].map(|name| RunSummary::read(&read(&folder.file(name))));
    let certainty = first.certainty.as_ref().expect("it was measured");
    assert_eq!((certainty.silent, certainty.asked_again, certainty.bound_count), (64, 64, Some(0)));
    assert_eq!(format!("{:?}", second.certainty), format!("{:?}", first.certainty));
    assert_eq!(format!("{:?}", second.gates), format!("{:?}", first.gates));
    assert_eq!((first.status, second.status), (0, 0));
}

#[test]
fn summary_counts_what_is_no_target() {
    let arguments = ["127.0.0.1:1", "127.0.0.1:1", "127.0.0.2:1", "--exclude", "127.0.0.2"];
    let ended = check([&arguments[..], &["-o", "jsonl=/dev/null", "--summary", "json=-"]].concat());
    let SkippedEntries { duplicates, excluded, reserved, bad_lines } =
        RunSummary::read(&ended.stdout).skipped;
    assert_eq!((duplicates, excluded, reserved, bad_lines), (1, 1, 0, 0));
}

/// Rows of silent targets become known when their block ends.
#[test]
fn silent_targets_have_rows() {
    let script = format!(
        "ip link set lo up
        {DROP_PORT_9}
        exec \"$portmuster\" check 127.0.0.0/25 -p 9 --timeout 300ms --patience full -o jsonl"
    );
    let Some(ended) = sh_in_namespaces(&["--net"], &script, "") else { return };
    let rows = ended.rows();
    assert_eq!((rows.len(), ended.summary().of("filtered")), (128, 128));
    assert!(rows.iter().all(|row| row.verdict() == ("filtered", "no-answer") && row.attempts == 3));
}
