//! The file of `--metrics`: read by Prometheus' own parsers, replaced atomically, and protected.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use portmuster::outcome::Weakness;
use portmuster_lab::Behaviour;
use rustix::process::Signal;

use crate::{
    folder::{Folder, output, read},
    journal::JournaledRun,
    nmap_xml::python,
    program::{LIMIT, Running, check},
    servers::{start, target},
};

/// A Python program that parses the file with the parser of Prometheus' client library.
const READER: &str = "
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families = text_string_to_metric_families(open(sys.argv[1]).read())
families = [
    [family.name, family.type, family.documentation,
     [[sample.labels, sample.value] for sample in family.samples]]
    for family in families
]
json.dump(families, sys.stdout)
";

/// Name, type, documentation, and the samples: labels and value.
type Family = (String, String, String, Vec<(BTreeMap<String, String>, f64)>);

/// The metrics of a file.
struct Metrics(Vec<Family>);

impl Metrics {
    fn read(file: &Path) -> Self {
        let read = python(READER, "python3-prometheus-client", file);
        let families: Vec<Family> = serde_json::from_str(&read).expect("the reader printed it");
        for (name, kind, help, _) in &families {
            assert!(name.starts_with("portmuster_"), "{name}");
            assert_eq!(kind, "gauge", "{name}");
            assert!(help.ends_with('.'), "{name}: {help}");
        }
        // The tool of Prometheus itself, which also checks the style of names, is in a large package.
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "metrics"]).stdin(fs::File::open(file).expect("it exists"));
        if let Ok(checked) = promtool.output() {
            assert!(checked.status.success(), "{checked:?}");
        }
        Self(families)
    }

    /// Returns the values of a metric by its label, which is empty if it has none.
    fn all(&self, name: &str) -> BTreeMap<String, f64> {
        let family = self.0.iter().find(|family| family.0 == name);
        let (.., samples) = family.unwrap_or_else(|| panic!("there is no {name}"));
        let joined = |labels: &BTreeMap<String, String>| {
            labels.values().cloned().collect::<Vec<_>>().join(" ")
        };
        samples.iter().map(|(labels, value)| (joined(labels), *value)).collect()
    }

    fn one(&self, name: &str) -> f64 {
        self.all(name)[""]
    }

    fn last_success(&self) -> Option<f64> {
        self.all("portmuster_last_success_timestamp_seconds").get("").copied()
    }
}

/// Compares values that were written in decimal digits.
fn assert_values(found: &BTreeMap<String, f64>, expected: &[(&str, f64)]) {
    for (label, value) in found {
        let expected = expected.iter().find(|(known, _)| known == label).map_or(0.0, |it| it.1);
        assert!((value - expected).abs() < 1e-9, "{label}: {value}, not {expected}");
    }
    assert!(expected.iter().all(|(label, _)| found.contains_key(*label)), "{found:?}");
}

#[test]
fn parsers_of_prometheus_read_the_totals_of_a_run() {
    let (weak, telnet, folder) =
        (start(Behaviour::SshWeak), start(Behaviour::Telnet), Folder::new());
    let file = folder.file("portmuster.prom");
    let gates = ["--forbid", "telnet,md5,ssh-1", "--require-verdict", "--allow=excluded"];
    let arguments = ["127.0.0.1:1-3", &target(&weak), &target(&telnet), "--metrics"];
    let ended = check([&arguments[..], &[&file.display().to_string()], &gates].concat());
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let metrics = Metrics::read(&file);
    let targets = metrics.all("portmuster_targets");
    assert_eq!(targets.len(), 7);
    assert_values(&targets, &[("open", 2.0), ("closed", 3.0), ("left", 0.0)]);
    assert_values(&metrics.all("portmuster_open_ports"), &[("ssh", 1.0), ("telnet", 1.0)]);
    let weaknesses = [
        "group1-sha1",
        "sha1-kex",
        "ssh-dss",
        "rc4",
        "3des",
        "64-bit-block",
        "cbc",
        "md5",
        "no-post-quantum",
    ];
    let findings = metrics.all("portmuster_findings");
    assert_eq!(findings.len(), Weakness::ALL.len());
    let found: Vec<_> = findings.iter().filter(|(_, value)| **value > 0.5).map(|it| it.0).collect();
    assert!(found.iter().all(|name| weaknesses.contains(&&***name)), "{found:?}");
    assert!(found.contains(&&"md5".to_owned()), "{found:?}");
    assert_values(&metrics.all("portmuster_gates_violated"), &[("", 1.0)]);
    let found = metrics.all("portmuster_gate_found");
    assert_values(&found, &[("telnet", 1.0), ("md5", 1.0), ("ssh-1", 0.0)]);
    assert_values(&metrics.all("portmuster_run_exit_status"), &[("", 1.0)]);
    let end = metrics.one("portmuster_run_end_timestamp_seconds");
    assert_eq!(metrics.last_success(), Some(end), "every target was examined");
    assert!(metrics.one("portmuster_run_duration_seconds") > 0.0);
}

#[test]
fn metrics_of_a_run_that_fails_keep_the_time_of_the_last_success() {
    let folder = Folder::new();
    let file = folder.file("portmuster.prom");
    let path = file.display().to_string();
    assert_eq!(check(["127.0.0.1:1", "--metrics", &path]).status, Some(0));
    let (before, content) = (Metrics::read(&file), read(&file));
    assert!(before.last_success().is_some());

    let silent = start(Behaviour::Silent);
    let waits = [&target(&silent), "--first-byte=1h", "--deadline=1h", "--speak-first=never"];
    let running = Running::check([&waits[..], &["--metrics", &path]].concat());
    silent.wait_for(LIMIT, |counts| counts.accepted == 1);
    assert_eq!(read(&file), content, "the metrics stay until there are new ones");
    let busy = check(["127.0.0.1:1", "--metrics", &path]);
    assert_eq!(busy.status, Some(2), "{busy:?}");
    assert!(busy.stderr.contains("another run is writing to it"), "{busy:?}");
    running.signal(Signal::INT);
    assert_eq!(running.end().status, Some(130));
    let after = Metrics::read(&file);
    assert_values(&after.all("portmuster_run_exit_status"), &[("", 130.0)]);
    assert_values(&after.all("portmuster_run_interrupted"), &[("", 1.0)]);
    assert_eq!(after.last_success(), before.last_success());
    // Nothing is left beside the file.
    assert_eq!(fs::read_dir(folder.path()).expect("it exists").count(), 1);
}

/// A violated gate has precedence over targets that could not be checked.
#[test]
fn run_with_an_unchecked_target_is_no_success() {
    let (telnet, folder) = (start(Behaviour::Telnet), Folder::new());
    let file = folder.file("portmuster.prom");
    let path = file.display().to_string();
    let arguments = ["[fe80::1%no-such-zone]:22", &target(&telnet), "--forbid=telnet"];
    let ended = check([&arguments[..], &["--metrics", &path]].concat());
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert_eq!(Metrics::read(&file).last_success(), None);
}

#[test]
fn resumed_run_counts_the_findings_of_earlier_processes() {
    let (weak, silent) = (start(Behaviour::SshWeak), start(Behaviour::Silent));
    let arguments = [&target(&weak), &target(&silent), "--first-byte=1h", "--deadline=1h"];
    let arguments = [&arguments[..], &["--speak-first=never"]].concat();
    let run = JournaledRun::new(&["jsonl"], &arguments);
    run.kill_with(1);
    drop(silent);
    let file = run.file("portmuster.prom");
    let mut arguments = run.arguments(true);
    arguments.extend(["--metrics".to_owned(), file.display().to_string()]);
    let ended = check(&arguments);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    weak.wait_for(LIMIT, |counts| counts.accepted == 1);
    assert_values(&Metrics::read(&file).all("portmuster_open_ports"), &[("ssh", 1.0)]);
    let findings = Metrics::read(&file).all("portmuster_findings");
    assert!((findings["md5"] - 1.0).abs() < 1e-9, "{findings:?}");
}

#[test]
fn only_metrics_are_replaced_without_force() {
    let folder = Folder::new();
    let file = folder.write("precious", "precious\n");
    let path = file.display().to_string();
    for flags in [&[][..], &["--append"]] {
        let ended = check([&["127.0.0.1:1", "--metrics", &path], flags].concat());
        assert_eq!(ended.status, Some(2), "{ended:?}");
        let reason = "contains something other than metrics of portmuster: --force overwrites it";
        assert!(ended.stderr.contains(reason), "{ended:?}");
        assert_eq!(read(&file), "precious\n");
    }
    assert_eq!(check(["127.0.0.1:1", "--metrics", &path, "--force"]).status, Some(0));
    assert!(Metrics::read(&file).last_success().is_some());
    let shared = check(["127.0.0.1:1", "--metrics", &path, "-o", &output("csv", &file), "--force"]);
    assert_eq!(shared.status, Some(2), "{shared:?}");
    assert!(shared.stderr.contains("give the metrics its own file"), "{shared:?}");
    let beside = output("csv", &folder.file(".precious.mine.new"));
    let ended = check(["127.0.0.1:1", "--metrics", &path, "-o", &beside]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let refused = check(["127.0.0.1:1", "-o=xml", "-o=csv", "--metrics", &path]);
    assert_eq!(refused.status, Some(2), "{refused:?}");
    assert!(Metrics::read(&file).last_success().is_some(), "it is unchanged");
}
