//! The format `sarif`: valid by its published schema, with the same fingerprints in each run.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use portmuster_lab::Behaviour;
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    folder::{Folder, output, read},
    journal::JournaledRun,
    nmap_xml::python,
    program::{LIMIT, Running, check},
    servers::{start, start_lab, target},
};

/// The package whose dependency contains the schema.
const SCHEMAS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../xtask/schemas/Cargo.toml");

/// A Python program that validates the second file in a list by the first one, a schema.
const VALIDATOR: &str = "
import json, jsonschema, sys
schema, document = [json.load(open(file)) for file in open(sys.argv[1]).read().splitlines()]
jsonschema.Draft7Validator.check_schema(schema)
jsonschema.Draft7Validator(schema).validate(document)
";

/// Returns the path of the published schema.
fn schema() -> PathBuf {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        manifest_path: PathBuf,
    }
    let arguments = ["metadata", "--format-version=1", "--locked", "--offline", "--manifest-path"];
    let metadata = Command::new(env!("CARGO")).args(arguments).arg(SCHEMAS).output();
    let metadata = metadata.expect("cargo starts");
    let complaint = String::from_utf8_lossy(&metadata.stderr);
    assert!(metadata.status.success(), "type: cargo xtask setup, which fetches it: {complaint}");
    let metadata: Metadata = serde_json::from_slice(&metadata.stdout).expect("it is JSON");
    let package = metadata.packages.into_iter().find(|package| package.name == "serde-sarif");
    let manifest = package.expect("it is the dependency").manifest_path;
    manifest.parent().expect("it is in a folder").join("src/schema.json")
}

/// Asserts that the document is valid, and returns its only run.
fn read_run(folder: &Folder, file: &Path) -> Value {
    let files = format!("{}\n{}\n", schema().display(), file.display());
    python(VALIDATOR, "python3-jsonschema", &folder.write("files", files));
    let document: Value = serde_json::from_str(&read(file)).expect("it is JSON");
    assert_eq!(document["runs"].as_array().map(Vec::len), Some(1));
    document["runs"][0].clone()
}

/// Returns the fingerprint of each result by rule and location.
fn fingerprints(run: &Value) -> BTreeMap<(String, String), String> {
    let results = run["results"].as_array().expect("it has results");
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    let entry = |result: &Value| {
        assert_eq!(
            result["locations"][0].as_object().map(serde_json::Map::len),
            Some(1),
            "no file"
        );
        let location = &result["locations"][0]["logicalLocations"][0];
        let fingerprint = text(&result["partialFingerprints"]["portmusterTarget/v1"]);
        ((text(&result["ruleId"]), text(&location["fullyQualifiedName"])), fingerprint)
    };
    let all: BTreeMap<_, _> = results.iter().map(entry).collect();
    assert_eq!(all.len(), results.len());
    all
}

#[test]
fn document_is_valid_and_has_findings_and_forbidden_services() {
    let (folder, lab) = (Folder::new(), start_lab());
    let list = folder.write("list", "127.0.0.1:1 a \u{202e}label\n");
    let list = list.display().to_string();
    let names = ["ssh-weak", "kex-names", "telnet", "escapes", "unicode", "garbage", "refused"];
    let servers = lab.fixtures().filter(|(it, _)| names.contains(&it.name));
    let servers: BTreeMap<_, _> = servers.map(|(it, at)| (it.name, at.to_string())).collect();
    let mut targets: Vec<_> = servers.values().map(String::as_str).collect();
    targets.extend(["-i", &list, "--first-byte=6s", "--deadline=7s", "--per-host=max"]);
    let run = |name: &str, gates: &[&str]| {
        let file = folder.file(name);
        let ended = check([&targets[..], &["-o", &output("sarif", &file)], gates].concat());
        assert!(matches!(ended.status, Some(0 | 1)), "{ended:?}");
        read_run(&folder, &file)
    };
    let plain = run("plain", &[]);
    assert_eq!(plain["invocations"][0]["executionSuccessful"], true);
    let found = fingerprints(&plain);
    let at = |rule: &str, name: &str| (rule.to_owned(), servers[name].clone());
    assert!(found.contains_key(&at("3des", "ssh-weak")), "{found:?}");
    assert!(!found.keys().any(|(rule, _)| rule == "telnet"), "it is not forbidden: {found:?}");

    let gated = run("gated", &["--forbid=telnet,weak-mac,open", "--seed=7"]);
    let forbidden = fingerprints(&gated);
    assert!(forbidden.contains_key(&at("telnet", "telnet")), "{forbidden:?}");
    assert!(forbidden.contains_key(&at("open", "garbage")), "{forbidden:?}");
    for (result, fingerprint) in &found {
        assert_eq!(forbidden.get(result), Some(fingerprint), "{result:?}");
    }
    let level = |rule: &str| {
        let results = gated["results"].as_array().expect("it has results");
        results.iter().find(|it| it["ruleId"] == rule).expect("it was found")["level"].clone()
    };
    assert_eq!((level("md5"), level("3des")), ("error".into(), "warning".into()));
}

#[test]
fn killed_run_leaves_no_valid_document_and_resume_completes_it() {
    let (weak, silent) = (start(Behaviour::SshWeak), start(Behaviour::Silent));
    let arguments = [&target(&weak), &target(&silent), "--first-byte=1h", "--deadline=1h"];
    let arguments = [&arguments[..], &["--speak-first=never"]].concat();
    let run = JournaledRun::new(&["jsonl", "sarif"], &arguments);
    run.kill_with(1);
    let file = run.file("sarif");
    let cut = read(&file);
    assert!(cut.contains("\"ruleId\":\"md5\""), "{cut}");
    serde_json::from_str::<Value>(&cut).expect_err("readers must not take it for all results");
    drop(silent);
    for _ in 0..2 {
        let ended = run.resume();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let found = fingerprints(&read_run(&run.folder, &file));
        assert!(found.contains_key(&("md5".to_owned(), target(&weak))), "{found:?}");
    }
}

#[test]
fn interrupted_run_says_that_it_was_not_successful() {
    let (folder, silent) = (Folder::new(), start(Behaviour::Silent));
    let file = folder.file("sarif");
    let waits = ["--first-byte=1h", "--deadline=1h", "--speak-first=never", "--per-host=1"];
    let silent_target = target(&silent);
    let targets = ["--order=given", &silent_target, "127.0.0.1:1", "-o", &output("sarif", &file)];
    let running = Running::check([&targets[..], &waits, &["--rate=1"]].concat());
    silent.wait_for(LIMIT, |counts| counts.accepted == 1);
    running.signal(Signal::INT);
    assert_eq!(running.end().status, Some(130));
    let run = read_run(&folder, &file);
    let invocation = &run["invocations"][0];
    let is_cut = invocation["executionSuccessful"] == false;
    let notes = invocation["toolExecutionNotifications"].as_array().expect("a list");
    assert_eq!(is_cut, notes.iter().any(|note| note["level"] == "error"), "{invocation}");
    let appended = check(["127.0.0.1:1", "--append", "-o", &output("sarif", &file)]);
    assert_eq!(appended.status, Some(2), "{appended:?}");
    assert!(appended.stderr.contains("SARIF document can't be appended to"), "{appended:?}");
}
