//! The file of `--gates-junit`: read by a parser of such files, and never one of another run.

use std::path::Path;

use portmuster_lab::Behaviour;
use rustix::process::Signal;
use serde::Deserialize;

use crate::{
    folder::{Folder, read},
    nmap_xml::python,
    program::{Ended, LIMIT, Running, check},
    servers::{start, target},
};

/// A Python program that parses the file with junitparser.
const READER: &str = "
import json, sys
from junitparser import JUnitXml
suites = JUnitXml.fromfile(sys.argv[1])
cases = [
    dict(classname=case.classname, name=case.name,
         result=[type(case.result[0]).__name__, case.result[0].message, case.result[0].text or '']
         if case.result else None)
    for suite in suites for case in suite
]
json.dump(dict(tests=suites.tests, failures=suites.failures, errors=suites.errors, cases=cases), sys.stdout)
";

#[derive(Debug, Deserialize)]
struct Junit {
    tests: usize,
    failures: usize,
    errors: usize,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    classname: String,
    name: String,
    /// The kind, the message and the text; `None`: it has passed.
    result: Option<(String, String, String)>,
}

impl Junit {
    fn read(file: &Path) -> Self {
        let read = python(READER, "python3-junitparser", file);
        let junit: Self = serde_json::from_str(&read).expect("the reader printed it");
        assert_eq!(junit.tests, junit.cases.len());
        let of = |kind| junit.cases.iter().filter(|case| case.kind() == Some(kind)).count();
        assert_eq!((junit.failures, junit.errors), (of("Failure"), of("Error")));
        junit
    }

    fn case(&self, class: &str, name: &str) -> &Case {
        let class = format!("portmuster.{class}");
        let case = self.cases.iter().find(|case| case.classname == class && case.name == name);
        case.unwrap_or_else(|| panic!("there is no {class} {name}"))
    }

    /// Returns the names of the tests that have not passed.
    fn not_passed(&self) -> Vec<&str> {
        self.cases.iter().filter(|case| case.result.is_some()).map(|case| &*case.name).collect()
    }
}

impl Case {
    fn kind(&self) -> Option<&str> {
        self.result.as_ref().map(|(kind, ..)| &**kind)
    }
}

fn run(folder: &Folder, arguments: &[&str]) -> (Ended, Junit) {
    let file = folder.file("gates.xml");
    let path = file.display().to_string();
    let ended = check([arguments, &["--gates-junit", &path, "--force"]].concat());
    (ended, Junit::read(&file))
}

#[test]
fn tests_fail_if_and_only_if_the_run_violates_its_gates() {
    let (telnet, silent, folder) =
        (start(Behaviour::Telnet), start(Behaviour::Silent), Folder::new());
    let (telnet, silent) = (target(&telnet), target(&silent));
    let quick = ["--first-byte=200ms", "--deadline=1s"];
    for (arguments, status, not_passed) in [
        (&["127.0.0.1:1", "--forbid=telnet"][..], 0, &[][..]),
        (&["127.0.0.1:1", &telnet, "--forbid=telnet,ssh-1"], 1, &["telnet"]),
        (&["127.0.0.1:1", &silent, "--require-verdict"], 1, &["silent"]),
        (&["127.0.0.1:1", &silent, "--require-verdict", "--allow=silent"], 0, &[]),
        (&["127.0.0.1:1", &silent, "--forbid=telnet"], 0, &[]),
        (&["[fe80::1%no-such-zone]:22", "--forbid=telnet"], 1, &["answers", "complete"]),
        (&["[fe80::1%no-such-zone]:22", "127.0.0.1:1", "--forbid=telnet"], 3, &["complete"]),
    ] {
        let (ended, junit) = run(&folder, &[arguments, &quick].concat());
        assert_eq!(ended.status, Some(status), "{arguments:?}: {ended:?}");
        assert_eq!(junit.not_passed(), not_passed, "{arguments:?}");
        assert_eq!(junit.failures > 0, status == 1, "{arguments:?}");
    }
}

#[test]
fn failures_name_what_was_found() {
    let (telnet, folder) = (start(Behaviour::Telnet), Folder::new());
    let telnet = target(&telnet);
    let (_, junit) =
        run(&folder, &["127.0.0.1:1", &telnet, "--forbid=telnet", "--require-verdict"]);
    let failure = junit.case("forbid", "telnet").result.as_ref().expect("it was found");
    assert_eq!(failure.1, "telnet was found on 1 target");
    assert_eq!(failure.2, telnet);
    for kind in ["filtered", "unresolved", "excluded", "bad-lines", "left", "input", "max-missed"] {
        assert_eq!(junit.case("require-verdict", kind).kind(), None, "{kind}");
    }
}

#[test]
fn interrupted_run_is_an_error_and_a_killed_one_leaves_nothing() {
    let (server, folder) = (start(Behaviour::Silent), Folder::new());
    let file = folder.file("gates.xml");
    let path = file.display().to_string();
    let passes = ["127.0.0.1:1", "--forbid=telnet", "--gates-junit", &path];
    assert_eq!(check(passes).status, Some(0));
    assert_eq!(check(passes).status, Some(2), "it exists");
    let target = target(&server);
    let waits = ["--first-byte=1h", "--deadline=1h", "--speak-first=never", "--force"];
    let waits = [&["127.0.0.1:1", &target, "--forbid=telnet", "--gates-junit", &path], &waits[..]];
    for (signal, connections) in [(Signal::INT, 1), (Signal::KILL, 2)] {
        let running = Running::check(waits.concat());
        server.wait_for(LIMIT, |counts| counts.accepted >= connections);
        running.signal(signal);
        running.end();
        if signal == Signal::KILL {
            assert_eq!(read(&file), "", "the gates of the earlier run are gone");
        } else {
            assert_eq!(Junit::read(&file).not_passed(), ["complete"]);
        }
    }
}

#[test]
fn file_needs_gates_and_is_not_appended_to() {
    let folder = Folder::new();
    let path = folder.file("gates.xml").display().to_string();
    let ended = check(["127.0.0.1:1", "--gates-junit", &path]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("--gates-junit needs a gate"), "{ended:?}");
    assert!(!folder.file("gates.xml").exists());
    let arguments = ["127.0.0.1:1", "--forbid=telnet", "--append", "--gates-junit", &path];
    assert_eq!(check(arguments).status, Some(0));
    let ended = check(arguments);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("can't be appended to"), "{ended:?}");
}
