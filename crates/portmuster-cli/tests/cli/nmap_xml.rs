//! nmap XML output: validated against nmap's DTD and a declared subset, and parsed by a program
//! that reads nmap's files.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use quick_xml::{Reader, events::Event};

use crate::{
    folder::{Folder, output, read},
    program::check,
    row::Row,
    shell::{FILES_ONLY, sh_with_etc},
};

/// nmap's DTD, from the Debian package nmap-common.
const DTD: &str = "/usr/share/nmap/nmap.dtd";

/// Every element that may be written, with its attributes.
const WRITTEN: [(&str, &[&str]); 19] = [
    ("nmaprun", &["scanner", "args", "start", "startstr", "version", "xmloutputversion"]),
    ("verbose", &["level"]),
    ("debugging", &["level"]),
    ("target", &["specification", "status", "reason"]),
    ("host", &["endtime"]),
    ("status", &["state", "reason", "reason_ttl"]),
    ("address", &["addr", "addrtype"]),
    ("hostnames", &[]),
    ("hostname", &["name", "type"]),
    ("ports", &[]),
    ("port", &["protocol", "portid"]),
    ("state", &["state", "reason", "reason_ttl"]),
    ("service", &["name", "product", "version", "extrainfo", "method", "conf"]),
    ("script", &["id", "output"]),
    ("table", &["key"]),
    ("elem", &["key"]),
    ("runstats", &[]),
    ("finished", &["time", "timestr", "elapsed", "summary", "exit", "errormsg"]),
    ("hosts", &["up", "down", "total"]),
];

/// A Python program that parses the file with python-libnmap.
const READER: &str = "
import json, sys
from libnmap.parser import NmapParser
report = NmapParser.parse_fromfile(sys.argv[1])
ports = [
    [host.address, service.port, service.state,
     {script['id']: script['elements'] for script in service.scripts_results}]
    for host in report.hosts for service in host.services
]
json.dump([report.hosts_up, report.hosts_total, ports], sys.stdout)
";

/// Address, port, state, scripts.
type Port = (String, u16, String, serde_json::Value);

/// Asserts that the file is valid by nmap's DTD and contains declared elements and attributes only.
pub(crate) fn assert_valid(file: &Path) {
    assert!(Path::new(DTD).exists(), "install nmap-common, which has {DTD}");
    let validated = Command::new("xmllint")
        .args(["--noout", "--nonet", "--dtdvalid", DTD])
        .arg(file)
        .output()
        .expect("install libxml2-utils, which has xmllint");
    let complaints = String::from_utf8_lossy(&validated.stderr);
    assert!(validated.status.success(), "{complaints}\n{}", read(file));
    assert_declared(&read(file));
}

fn assert_declared(document: &str) {
    let mut reader = Reader::from_str(document);
    loop {
        let element = match reader.read_event().expect("it is a document") {
            Event::Start(element) | Event::Empty(element) => element,
            Event::Eof => break,
            _ => continue,
        };
        let name = element.name();
        let declared = WRITTEN.iter().find(|(known, _)| *known == name.as_ref());
        let (_, declared) = declared.unwrap_or_else(|| panic!("{name:?} is not declared"));
        for attribute in element.attributes() {
            let key = attribute.expect("it is an attribute").key;
            assert!(declared.contains(&key.as_ref()), "{name:?} {key:?} is not declared");
        }
    }
}

/// Parses the file with python-libnmap. Returns the hosts that are up, all hosts, and the ports.
fn read_back(file: &Path) -> (u64, u64, Vec<Port>) {
    // The system's Python finds the packages of the system.
    let read = Command::new("/usr/bin/python3").args(["-c", READER]).arg(file).output();
    let read = read.expect("install python3");
    let complaint = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "python3-libnmap has to be installed: {complaint}");
    serde_json::from_slice(&read.stdout).expect("it is what the reader prints")
}

/// Asserts that the file has the same content as the JSON rows that have an address.
pub(crate) fn assert_same(file: &Path, rows: &[Row]) {
    let (up, hosts, ports) = read_back(file);
    let rows: Vec<_> = rows.iter().filter(|row| row.address.is_some()).collect();
    let answered = rows.iter().filter(|row| ["open", "closed"].contains(&&*row.state));
    assert_eq!((up, hosts), (answered.count() as u64, rows.len() as u64));
    assert_eq!(ports.len(), rows.len());
    let actual: BTreeSet<_> = ports
        .into_iter()
        .map(|(address, port, state, scripts)| {
            let service = scripts["portmuster"]["service"].as_str().map(str::to_owned);
            (address, port, state, service)
        })
        .collect();
    let expected = rows.iter().map(|row| {
        let address = row.address.expect("it has one").to_string();
        (address, row.port, row.state.clone(), row.service.clone())
    });
    assert_eq!(actual, expected.collect());
}

#[test]
fn document_on_stdout_ends_once() {
    let folder = Folder::new();
    let script = "exec \"$portmuster\" check 127.0.0.1:1-40 no-such.invalid:1 -o xml";
    let Some(ended) = sh_with_etc(&folder, &[FILES_ONLY], &[], script) else { return };
    assert_eq!(ended.stdout.matches("</nmaprun>").count(), 1);
    assert!(ended.stdout.contains("exit=\"success\"/>"), "{}", ended.stdout);
    assert_valid(&folder.write("rows.xml", &ended.stdout));
}

#[test]
fn finished_document_is_replaced_but_never_appended_to() {
    let folder = Folder::new();
    let file = folder.file("rows.xml");
    let output = output("xml", &file);
    assert_eq!(check(["127.0.0.1:1-9", "-o", &output, "--append"]).status, Some(0));
    let before = read(&file);
    let ended = check(["127.0.0.1:1", "-o", &output, "--append"]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let complaint = "a finished XML document can't be appended to";
    assert!(ended.stderr.contains(complaint), "{}", ended.stderr);
    assert_eq!(read(&file), before);
    assert_eq!(check(["127.0.0.1:1", "-o", &output, "--force"]).status, Some(0));
    assert_valid(&file);
    assert_eq!(read_back(&file).1, 1);
    assert_eq!(fs::read_dir(folder.path()).expect("it exists").count(), 1);
}
