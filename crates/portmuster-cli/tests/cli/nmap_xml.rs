//! nmap XML output: validated against nmap's DTD and a declared subset, and parsed by programs that
//! read nmap's files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::Command,
};

use portmuster_lab::Behaviour;
use quick_xml::{Reader, events::Event};
use rustix::process::Signal;

use crate::{
    folder::{Folder, output, read},
    journal::{COMPLETE, JournaledRun},
    program::{LIMIT, Running, check, wait_until},
    row::Row,
    servers::{start, start_lab, target},
    shell::{FILES_ONLY, sh_in_namespaces, sh_with_etc},
};

/// nmap's DTD, from the Debian package nmap-common.
const DTD: &str = "/usr/share/nmap/nmap.dtd";

/// Every element that may be written, with its attributes.
const WRITTEN: [(&str, &[&str]); 20] = [
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
    ("service", &["name", "product", "version", "extrainfo", "ostype", "method", "conf"]),
    ("cpe", &[]),
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

/// A Python program that parses the file with python-nmap.
const OTHER_READER: &str = "
import json, nmap, sys
scan = nmap.PortScanner().analyse_nmap_xml_scan(open(sys.argv[1]).read())['scan']
ports = {host: {port: found['state'] for port, found in scan[host]['tcp'].items()} for host in scan}
json.dump(ports, sys.stdout)
";

/// nmap's style sheet, from the Debian package nmap-common.
const STYLE: &str = "/usr/share/nmap/nmap.xsl";

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
    serde_json::from_str(&python(READER, "python3-libnmap", file)).expect("the reader printed it")
}

/// Parses the file with python-nmap. Returns the states of the ports of each host.
fn read_with_python_nmap(file: &Path) -> BTreeMap<String, BTreeMap<u16, String>> {
    serde_json::from_str(&python(OTHER_READER, "python3-nmap", file))
        .expect("the reader printed it")
}

/// Runs a Python program on the file, and returns its output.
pub(crate) fn python(program: &str, package: &str, file: &Path) -> String {
    // The system's Python finds the packages of the system.
    let read = Command::new("/usr/bin/python3").args(["-c", program]).arg(file).output();
    let read = read.expect("install python3");
    let complaint = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{package} has to be installed: {complaint}");
    String::from_utf8(read.stdout).expect("it prints text")
}

/// Asserts that the file has the same content as the JSON rows that have an address, and one host for
/// each address.
pub(crate) fn assert_same(file: &Path, rows: &[Row]) {
    let (up, hosts, ports) = read_back(file);
    let rows: Vec<_> = rows.iter().filter(|row| row.address.is_some()).collect();
    let answered = rows.iter().filter(|row| ["open", "closed"].contains(&&*row.state));
    let count = |addresses: BTreeSet<_>| addresses.len() as u64;
    let answered = count(answered.map(|row| row.address).collect());
    assert_eq!((up, hosts), (answered, count(rows.iter().map(|row| row.address).collect())));
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

/// Asserts that the file is valid and has a host for each row.
fn assert_ungrouped(file: &Path, rows: usize) {
    assert_valid(file);
    assert_eq!(read(file).matches("<host ").count(), rows, "{}", read(file));
}

/// Asserts that the file is valid and has a single host, with these ports, which are closed.
fn assert_grouped(file: &Path, ports: std::ops::RangeInclusive<u16>) {
    assert_valid(file);
    let closed = ports.map(|port| (port, "closed".to_owned())).collect();
    assert_eq!(read_with_python_nmap(file), [("127.0.0.1".to_owned(), closed)].into());
    assert_eq!(read(file).matches("<host ").count(), 1);
}

#[test]
fn readers_of_nmap_files_find_every_port() {
    let (folder, lab) = (Folder::new(), start_lab());
    let servers = lab.fixtures().filter(|(it, _)| ["ssh-weak", "telnet"].contains(&it.name));
    let mut arguments: Vec<_> = servers.map(|(_, endpoint)| endpoint.to_string()).collect();
    let file = folder.file("rows.xml");
    arguments.extend(["127.0.0.1:1-40", "127.0.0.2:1-9", "[::1]:7", "-o"].map(str::to_owned));
    assert_eq!(check([arguments, vec![output("xml", &file)]].concat()).status, Some(0));
    assert_valid(&file);

    let expected = [("127.0.0.1", 42), ("127.0.0.2", 9), ("::1", 1)];
    let (up, hosts, ports) = read_back(&file);
    assert_eq!((up, hosts, ports.len()), (3, 3, 52));
    let has_script = |(.., scripts): &&Port| scripts.get("portmuster").is_some();
    assert_eq!(ports.iter().filter(has_script).count(), 2);
    let found = read_with_python_nmap(&file);
    let found: Vec<_> = found.iter().map(|(host, ports)| (&**host, ports.len())).collect();
    assert_eq!(found, expected);

    let page = Command::new("xsltproc").args(["--nonet", STYLE]).arg(&file).output();
    let page = page.expect("install xsltproc");
    assert!(page.status.success(), "{page:?}");
    let page = String::from_utf8_lossy(&page.stdout);
    assert!(page.contains("127.0.0.2"), "{page}");
    assert_eq!(page.matches("<td>tcp</td>").count(), 52, "{page}");
}

#[test]
fn ndiff_finds_no_difference_between_equal_runs() {
    let (folder, lab) = (Folder::new(), start_lab());
    let servers = lab.fixtures().filter(|(it, _)| ["ssh-weak", "telnet"].contains(&it.name));
    let mut arguments: Vec<_> = servers.map(|(_, endpoint)| endpoint.to_string()).collect();
    arguments.extend(["127.0.0.1-127.0.0.9:1-9", "[::1]:7", "-o"].map(str::to_owned));
    let files = ["one.xml", "other.xml"].map(|name| folder.file(name));
    for (seed, file) in files.iter().enumerate() {
        let seed = format!("--seed={seed}");
        let ended = check([&arguments[..], &[output("xml", file), seed]].concat());
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
    let compare =
        |files: &[&Path]| Command::new("ndiff").args(files).output().expect("install ndiff");
    let [one, other] = &files;
    let same = compare(&[one, other]);
    assert_eq!(same.status.code(), Some(0), "{same:?}");
    // What remains are the times and the arguments of the runs.
    let lines = String::from_utf8_lossy(&same.stdout);
    assert!(lines.lines().all(|line| line[1..].starts_with("Nmap portmuster ")), "{lines}");

    let less =
        folder.write("less.xml", read(one).replacen("state=\"closed\"", "state=\"filtered\"", 1));
    let differs = compare(&[one, &less]);
    assert_eq!(differs.status.code(), Some(1), "{differs:?}");
}

#[test]
fn stream_and_interrupted_run_with_a_journal_keep_one_host_for_each_row() {
    let folder = Folder::new();
    let ended = check(["127.0.0.1:1-9", "-o", "xml"]);
    assert_ungrouped(&folder.write("stdout.xml", &ended.stdout), 9);

    let silent = start(Behaviour::Silent);
    let arguments = ["127.0.0.1:1-9", &target(&silent), "--first-byte=1h", "--deadline=1h"];
    let run = JournaledRun::new(&["jsonl", "xml"], &arguments);
    let running = Running::check(run.arguments(false));
    silent.wait_for(LIMIT, |counts| counts.accepted == 1);
    running.signal(Signal::INT);
    assert_eq!(running.end().status, Some(130));
    let xml = read(&run.file("xml"));
    assert!(["target is left", "targets are left"].iter().any(|left| xml.contains(left)), "{xml}");
    let rows = read(&run.file("jsonl")).lines().count();
    assert_ungrouped(&run.file("xml"), rows);
    drop(silent);
    assert_eq!(run.resume().status, Some(0));
    let (_, hosts, ports) = read_back(&run.file("xml"));
    assert_eq!((hosts, ports.len()), (2, 10), "the server has an address of its own");
    let ended = run.resume();
    assert_eq!(
        (ended.status, ended.stderr.lines().next().unwrap_or_default()),
        (Some(0), COMPLETE.trim())
    );
}

#[test]
fn interrupted_run_without_a_journal_is_grouped() {
    let folder = Folder::new();
    let file = folder.file("rows.xml");
    let silent = start(Behaviour::Silent);
    let waits = [&target(&silent), "--first-byte=1h", "--deadline=1h", "--speak-first=never"];
    let arguments = ["127.0.0.1:1-2", "-o", &output("xml", &file)];
    let running = Running::check([&arguments[..], &waits].concat());
    silent.wait_for(LIMIT, |counts| counts.accepted == 1);
    wait_until("both rows", || read(&file).matches("<port ").count() == 2);
    running.signal(Signal::INT);
    assert_eq!(running.end().status, Some(130));
    assert_valid(&file);
    let document = read(&file);
    assert_eq!(
        document.matches("<host ").count(),
        1,
        "both closed ports are of one host: {document}"
    );
    assert_eq!(document.matches("<port ").count(), 2, "{document}");
}

/// The state between the last checkpoint and the renaming of the grouped file.
#[test]
fn resume_of_a_run_that_was_killed_before_it_replaced_the_rows_replaces_them() {
    let run = JournaledRun::new(&["xml"], &["127.0.0.1:1-9"]);
    assert_eq!(check(run.arguments(false)).status, Some(0));
    let (file, new) = (run.file("xml"), run.file(".xml.aB3xyz.new"));
    assert_grouped(&file, 1..=9);
    for has_rows in [true, false] {
        let inode = fs::metadata(&file).expect("it exists").ino();
        fs::rename(&file, &new).expect("the folder is writable");
        if has_rows {
            run.folder.write("xml", "rows\n");
        }
        let ended = run.resume();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(ended.stderr.starts_with(COMPLETE), "{ended:?}");
        assert_eq!(fs::metadata(&file).expect("it exists").ino(), inode);
        assert!(!new.exists());
        assert_grouped(&file, 1..=9);
    }
    fs::copy(&file, &new).expect("the folder is writable");
    run.folder.write("other", read(&file));
    fs::rename(run.file("other"), &file).expect("the folder is writable");
    let ended = run.resume();
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("it is not the file that the run wrote"), "{ended:?}");
}

#[test]
fn full_disk_while_grouping_leaves_the_rows_and_resume_groups_them() {
    let folder = Folder::new();
    let script = "mount -t tmpfs -o size=660k none \"$1\"
        cd \"$1\"
        status=0
        run() { \"$portmuster\" check 127.0.0.1:1-2000 --rate max -o xml=rows.xml --journal journal ${1-} || status=$?; }
        run
        [ $status = 3 ] || exit 90
        cat rows.xml
        [ \"$(ls -A)\" = \"$(printf 'journal\\nrows.xml')\" ] || exit 91
        status=0
        mount -o remount,size=8m \"$1\"
        run --resume
        echo BOTH
        cat rows.xml
        [ \"$(ls -A)\" = \"$(printf 'journal\\nrows.xml')\" ] || exit 92
        exit $status";
    let Some(ended) = sh_in_namespaces(&["--mount"], script, folder.path()) else { return };
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let message =
        "error: grouping the rows of rows.xml, which has all of them, in the order of the run: ";
    assert!(ended.stderr.contains(message), "{}", ended.stderr);
    assert!(ended.stderr.contains("No space left on device"), "{}", ended.stderr);
    let (rows, grouped) = ended.stdout.split_once("BOTH\n").expect("both are printed");
    assert_ungrouped(&folder.write("rows", rows), 2000);
    assert_grouped(&folder.write("grouped", grouped), 1..=2000);
}

#[test]
fn grouped_file_keeps_the_link_and_the_permissions_of_the_rows() {
    let folder = Folder::new();
    let (file, link) = (folder.write("rows.xml", "old\n"), folder.file("link"));
    symlink("rows.xml", &link).expect("the folder is writable");
    let mode = fs::Permissions::from_mode(0o640);
    fs::set_permissions(&file, mode.clone()).expect("it is ours");
    folder.write(".rows.xml.aB3xyz.new", "<?xml version=");
    let ended = check(["127.0.0.1:1-9", "--force", "-o", &output("xml", &link)]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(link.is_symlink());
    let found = fs::metadata(&file).expect("it exists").permissions();
    assert_eq!(found.mode() & 0o777, mode.mode());
    assert_grouped(&file, 1..=9);
    let left = fs::read_dir(folder.path()).expect("it exists").count();
    assert_eq!(left, 2, "the leftover of a killed run is removed");
}

#[test]
fn names_and_folders_that_grouping_cannot_use_are_refused() {
    let folder = Folder::new();
    let (rows, other) = (folder.file("rows.xml"), folder.file(".rows.xml.mine.new"));
    let ended = check(["127.0.0.1:1", "-o", &output("xml", &rows), "-o", &output("csv", &other)]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let reason = ".rows.xml.mine.new is a name that the output ";
    assert!(ended.stderr.contains(reason), "{ended:?}");
    let fixed = folder.path();
    let script = "mount --bind -o ro \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"
        exec \"$portmuster\" check 127.0.0.1:1 -o xml=\"$1/rows.xml\"";
    let Some(ended) = sh_in_namespaces(&["--mount"], script, fixed) else { return };
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert_eq!(fs::read_dir(fixed).expect("it exists").count(), 0);
}
