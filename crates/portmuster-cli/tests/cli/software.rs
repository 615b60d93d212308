//! The software of servers, as rows, messages and the closing tally name it.

use portmuster_lab::{
    Behaviour,
    real::{Busybox, Inetutils, OpenSsh, Telnetd},
};

use crate::{
    folder::{Folder, read},
    program::{check, program, run},
    row::Row,
    servers::{start, target},
};

/// The files of the Recog project, which are not part of this repository.
const RECOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/recog");

/// A file of Recog's format with a fingerprint that says nothing of OpenSSH but its device.
const FILE: &str = "<fingerprints matches=\"ssh.banner\">\n\
    <fingerprint pattern=\"^OpenSSH_(\\S+)\"><description>all of them</description>\n\
    <param pos=\"0\" name=\"service.vendor\" value=\"V\"/>\n\
    <param pos=\"0\" name=\"service.product\" value=\"P\"/>\n\
    <param pos=\"1\" name=\"service.version\"/>\n\
    <param pos=\"0\" name=\"os.product\" value=\"O\"/>\n\
    <param pos=\"0\" name=\"hw.device\" value=\"D\"/></fingerprint>\n</fingerprints>\n";

fn row_of(target: &str, arguments: &[&str]) -> (Row, String) {
    let ended = check([&[target, "-o=jsonl"], arguments].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let [row] = <[Row; 1]>::try_from(ended.rows()).expect("one target is one row");
    (row, ended.stderr)
}

#[test]
fn real_openssh_is_named_with_its_version_and_system() {
    let server = OpenSsh::start().expect("OpenSSH starts");
    let (row, stderr) = row_of(&server.endpoint().to_string(), &[]);
    let software = row.ssh_software.as_deref().expect("it has an identification");
    let version = software.strip_prefix("OpenSSH_").expect("it is OpenSSH");
    assert_eq!(row.vendor.as_deref(), Some("OpenBSD"), "{row:?}");
    assert_eq!(row.product.as_deref(), Some("OpenSSH"), "{row:?}");
    assert_eq!(row.version.as_deref(), Some(version), "{row:?}");
    assert_eq!(row.cpe.as_deref(), Some(&*format!("cpe:/a:openbsd:openssh:{version}")), "{row:?}");
    assert!(row.fingerprint.as_ref().is_some_and(|name| name.starts_with("openssh")), "{row:?}");
    assert!(stderr.contains(&format!("software: 1 OpenSSH {version}\n")), "{stderr}");
    if row.ssh_comment.as_ref().is_some_and(|comment| comment.starts_with("Debian")) {
        assert!(row.os.as_ref().is_some_and(|os| os.starts_with("Debian")), "{row:?}");
    }
}

#[test]
fn real_telnet_daemons_are_told_apart() {
    let netkit = Telnetd::start().expect("telnetd starts");
    let inetutils = Inetutils::start().expect("the telnetd of inetutils starts");
    let busybox = Busybox::start().expect("Busybox starts");
    for (endpoint, name, encryption) in [
        (netkit.endpoint(), "netkit", "no"),
        (inetutils.endpoint(), "gnu-inetutils", "offered"),
        (busybox.endpoint(), "busybox", "no"),
    ] {
        let (row, _) = row_of(&endpoint.to_string(), &[]);
        assert_eq!(row.telnet_daemon.as_deref(), Some(name), "{row:?}");
        assert_eq!(row.telnet_daemon_confidence_percent, Some(100), "{row:?}");
        assert_eq!(row.telnet_encryption.as_deref(), Some(encryption), "{row:?}");
        let findings = (name != "busybox").then(|| vec!["telnet-new-environ".to_owned()]);
        assert_eq!(row.findings, findings, "{row:?}");
        let ended = run(program().args(["explain", &endpoint.to_string()]));
        let daemon = format!("daemon        {name} (100 %), by its options\n");
        assert!(ended.stdout.contains(&daemon), "{}", ended.stdout);
    }
}

#[test]
fn worker_processes_need_no_fingerprints() {
    let server = OpenSsh::start().expect("OpenSSH starts");
    let target = server.endpoint().to_string();
    let (here, _) = row_of(&target, &[]);
    let (there, _) = row_of(&target, &["--method=processes", "--workers=1"]);
    assert_eq!((here.product, here.fingerprint), (there.product, there.fingerprint));
}

#[test]
fn explain_names_the_fingerprint() {
    let server = OpenSsh::start().expect("OpenSSH starts");
    let ended = run(program().args(["explain", &server.endpoint().to_string()]));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    for line in ["vendor        OpenBSD\n", "product       OpenSSH\n", "fingerprint   openssh"] {
        assert!(ended.stdout.contains(line), "{line} in {}", ended.stdout);
    }
}

#[test]
fn fingerprint_of_recog_that_says_more_counts() {
    let (folder, server) = (Folder::new(), OpenSsh::start().expect("OpenSSH starts"));
    folder.write("ssh.xml", FILE);
    let option = format!("--recog={}", folder.path());
    let (row, _) = row_of(&server.endpoint().to_string(), &[&option]);
    assert_eq!(row.fingerprint.as_deref(), Some("recog: all of them"), "{row:?}");
    assert_eq!((row.vendor.as_deref(), row.device.as_deref()), (Some("V"), Some("D")), "{row:?}");
}

#[test]
fn folder_without_fingerprints_is_refused_before_anything_is_sent() {
    let folder = Folder::new();
    let empty = format!("--recog={}", folder.path());
    let ended = check(["127.0.0.1:1", &empty]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("has no fingerprints of ssh or telnet banners"), "{ended:?}");
    folder.write("ssh.xml", "<fingerprints protocol=\"ssh\">\n<fingerprint pattern=\"(\">");
    let ended = check(["127.0.0.1:1", &empty]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("ssh.xml, line 2: "), "{ended:?}");
    let ended = check(["127.0.0.1:1", "--recog=/no/such/folder"]);
    assert!(ended.stderr.contains("/no/such/folder: No such file or directory"), "{ended:?}");
}

#[test]
fn file_of_fingerprints_is_never_written_to() {
    let folder = Folder::new();
    let file = folder.write("ssh.xml", FILE);
    let (recog, output) =
        (format!("--recog={}", folder.path()), format!("-o=jsonl={}", file.display()));
    let ended = check(["127.0.0.1:1", &recog, &output, "--force"]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("a file of fingerprints"), "{ended:?}");
    assert_eq!(read(&file), FILE);
}

#[test]
fn resumed_run_must_repeat_the_fingerprints() {
    let (folder, server) = (Folder::new(), start(Behaviour::Ssh));
    folder.write("ssh.xml", FILE);
    let (journal, rows) = (folder.file("run.journal"), folder.file("rows.jsonl"));
    let journal = format!("--journal={}", journal.display());
    let rows = format!("-o=jsonl={}", rows.display());
    let recog = format!("--recog={}", folder.path());
    let target = target(&server);
    let ended = check([&*target, &journal, &rows, &recog]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let ended = check([&*target, &journal, &rows, "--resume"]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("recog was "), "{ended:?}");
    let ended = check([&*target, &journal, &rows, &recog, "--resume"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

#[test]
fn files_of_the_recog_project_are_read() {
    if !std::path::Path::new(RECOG).exists() {
        eprintln!("skipped: there are no files of Recog at {RECOG}");
        return;
    }
    let server = OpenSsh::start().expect("OpenSSH starts");
    let (row, _) = row_of(&server.endpoint().to_string(), &["--recog", RECOG]);
    assert_eq!(row.product.as_deref(), Some("OpenSSH"), "{row:?}");
}
