//! Host keys of real servers, compared with those that OpenSSH's tools print.

use std::{collections::BTreeSet, net::SocketAddr, path::Path, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use portmuster_lab::{
    Behaviour, KeyExchange,
    real::{Dropbear, OpenSsh, OpenSshSettings},
};

use crate::{
    folder::{Folder, read},
    journal::JournaledRun,
    program::{Ended, check, program, run},
    row::{HostKey, Row},
    servers::{start, target},
};

/// Every type of host key that ssh-keygen makes without a token.
const TYPES: [&str; 6] = ["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048", "dsa"];

/// Settings with which sshd has every type of host key, and every method of key exchange.
const EVERYTHING: &str = "\
HostKeyAlgorithms +ssh-rsa,ssh-dss
KexAlgorithms +diffie-hellman-group1-sha1,diffie-hellman-group14-sha1,diffie-hellman-group-exchange-sha1
";

fn sshd(host_keys: &'static [&'static str], configuration: &'static str) -> OpenSsh {
    let settings = OpenSshSettings { host_keys, configuration, ..OpenSshSettings::default() };
    OpenSsh::start_with(settings).expect("OpenSSH starts")
}

/// Checks one endpoint and returns its row.
fn row_of(endpoint: SocketAddr, arguments: &[&str]) -> Row {
    let ended = check([&[endpoint.to_string().as_str(), "-o=jsonl"], arguments].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended.rows().remove(0)
}

/// Returns the only host key of an endpoint.
fn key_of(endpoint: SocketAddr) -> HostKey {
    let row = row_of(endpoint, &["--host-keys=first"]);
    assert_eq!(row.host_key_missing, None, "{row:?}");
    let [key] =
        <[HostKey; 1]>::try_from(row.host_keys.expect("it was asked for")).expect("one key");
    key
}

/// Returns what a program of OpenSSH prints.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.expect("it is installed together with ssh");
    String::from_utf8(output.stdout).expect("it is text")
}

/// Returns the size and the fingerprint of a key in a file, as ssh-keygen prints them.
fn fingerprint(file: &str) -> (u32, String) {
    let printed = output("ssh-keygen", &["-l", "-f", file]);
    let mut words = printed.split_whitespace();
    let bits = words.next().and_then(|word| word.parse().ok()).expect("the size comes first");
    (bits, words.next().expect("then the fingerprint").to_owned())
}

#[test]
fn no_key_exchange_without_the_option() {
    let row = row_of(sshd(&["ed25519"], "").endpoint(), &["--evidence"]);
    assert_eq!((row.host_keys, row.host_key_missing), (None, None));
    let parts = row.evidence.expect("it was asked for").parts;
    let sent: Vec<_> = parts.iter().filter(|part| part.side == "portmuster").collect();
    assert_eq!(sent.len(), 1, "the identification only: {sent:?}");
}

#[test]
fn first_host_key_of_openssh_is_proven_and_equals_that_of_ssh_keygen() {
    let server = sshd(&["ed25519", "rsa-2048"], "");
    let key = key_of(server.endpoint());
    let file = server.public_keys()[0].to_str().expect("the path is text");
    assert_eq!((key.bits, key.sha256.clone()), fingerprint(file), "{key:?}");
    assert_eq!((key.key_type.as_str(), key.proven), ("ssh-ed25519", true), "{key:?}");
    assert_eq!((key.certificate, key.key), (None, None));
}

#[test]
fn each_method_of_openssh_proves_its_key() {
    for configuration in [
        "KexAlgorithms curve25519-sha256\n",
        "KexAlgorithms curve25519-sha256@libssh.org\n",
        "KexAlgorithms ecdh-sha2-nistp256\n",
        "KexAlgorithms ecdh-sha2-nistp384\n",
        "KexAlgorithms ecdh-sha2-nistp521\n",
        "KexAlgorithms diffie-hellman-group1-sha1\n",
        "KexAlgorithms diffie-hellman-group14-sha1\n",
        "KexAlgorithms diffie-hellman-group14-sha256\n",
        "KexAlgorithms diffie-hellman-group16-sha512\n",
        "KexAlgorithms diffie-hellman-group-exchange-sha1\n",
        "KexAlgorithms diffie-hellman-group-exchange-sha256\n",
    ] {
        let key = key_of(sshd(&["ed25519"], configuration).endpoint());
        assert!(key.proven, "{configuration}: {key:?}");
    }
}

#[test]
fn each_algorithm_of_rsa_is_proven() {
    for configuration in [
        "HostKeyAlgorithms rsa-sha2-512\n",
        "HostKeyAlgorithms rsa-sha2-256\n",
        "HostKeyAlgorithms ssh-rsa\n",
    ] {
        let key = key_of(sshd(&["rsa-3072"], configuration).endpoint());
        assert_eq!((key.key_type.as_str(), key.bits), ("ssh-rsa", 3072));
        assert!(key.proven, "{configuration}: {key:?}");
    }
}

/// Returns the keys that ssh-keyscan finds, in base64, with their types.
fn scanned(endpoint: SocketAddr) -> BTreeSet<(String, String)> {
    let port = endpoint.port().to_string();
    let types = "ed25519,ecdsa,rsa,dsa";
    let printed = output("ssh-keyscan", &["-p", &port, "-t", types, "127.0.0.1"]);
    let lines = printed.lines().filter(|line| !line.starts_with('#'));
    let key = |line: &str| {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        (words[1].clone(), words[2].clone())
    };
    lines.map(key).collect()
}

#[test]
fn all_host_keys_of_openssh_are_proven_and_equal_those_of_ssh_keyscan() {
    let server = sshd(&TYPES, EVERYTHING);
    let row = row_of(server.endpoint(), &["--host-keys=all", "--evidence"]);
    assert_eq!(row.host_key_missing, None, "{row:?}");
    let keys = row.host_keys.expect("they were asked for");
    assert!(keys.iter().all(|key| key.proven), "{keys:?}");
    assert_eq!(row.attempts as usize, keys.len(), "one connection for each");
    let files = server.public_keys().iter().map(|file| fingerprint(file.to_str().expect("text")));
    let found = keys.iter().map(|key| (key.bits, key.sha256.clone()));
    assert_eq!(found.collect::<BTreeSet<_>>(), files.collect());
    // It asks for one curve of ECDSA.
    let found = keys.iter().map(|key| (key.key_type.clone(), key.key.clone().expect("evidence")));
    let found: BTreeSet<_> = found.collect();
    let scanned = scanned(server.endpoint());
    assert!(scanned.len() >= 3 && scanned.is_subset(&found), "{scanned:?} {found:?}");
}

#[test]
fn certificate_of_openssh_is_read_and_its_authority_is_verified() {
    for (host_keys, key_type) in [
        (&["ed25519"], "ssh-ed25519"),
        (&["ecdsa-256"], "ecdsa-sha2-nistp256"),
        (&["rsa-2048"], "ssh-rsa"),
    ] {
        let settings = OpenSshSettings { host_keys, certified: true, ..OpenSshSettings::default() };
        let server = OpenSsh::start_with(settings).expect("OpenSSH starts");
        let key = key_of(server.endpoint());
        let file = server.public_keys()[0].to_str().expect("the path is text").to_owned();
        assert_eq!((key.bits, key.sha256.clone()), fingerprint(&file), "{key:?}");
        assert_eq!((key.key_type.as_str(), key.proven), (key_type, true), "{key:?}");
        let certificate = key.certificate.expect("the server has one");
        assert_eq!(certificate.principals, ["lab.example", "lab2.example"]);
        assert!(certificate.ca_proven, "{certificate:?}");
        assert_eq!(certificate.valid_after.as_deref(), Some("2020-01-01T00:00:00.000Z"));
        assert_eq!(certificate.valid_before.as_deref(), Some("2040-01-01T00:00:00.000Z"));
        let printed = output("ssh-keygen", &["-L", "-f", &file.replace(".pub", "-cert.pub")]);
        assert!(printed.contains(&certificate.ca_sha256), "{printed}");
    }
}

#[test]
fn host_key_of_dropbear_is_proven() {
    let server = Dropbear::start().expect("Dropbear starts");
    let key = key_of(server.endpoint());
    assert_eq!((key.key_type.as_str(), key.proven), ("ssh-ed25519", true), "{key:?}");
}

#[test]
fn each_method_of_running_checks_gets_the_host_key() {
    let server = sshd(&["ed25519"], "");
    let expected = key_of(server.endpoint());
    let target = server.endpoint().to_string();
    for method in portmuster::Method::ALL {
        let method = method.name();
        let ended = check([&target, "-o=jsonl", "--host-keys=first", "--method", method]);
        let row = ended.rows().remove(0);
        assert_eq!(row.host_keys, Some(vec![expected.clone()]), "{method}");
    }
}

/// A server that sends its offer and nothing after it.
#[test]
fn server_without_a_reply_has_a_reason() {
    let server = start(Behaviour::Ssh);
    let target = target(&server);
    let arguments = ["-o=jsonl", "--host-keys=first", "--first-byte=300ms", "--deadline=1s"];
    let ended = check([&[target.as_str()], &arguments[..]].concat());
    let row = ended.rows().remove(0);
    assert!(row.kex_algorithms.is_some(), "{row:?}");
    let reasons = ["silence", "hung-up", "deadline"];
    let reason = row.host_key_missing.expect("there is no key");
    assert!(row.host_keys.is_none() && reasons.contains(&reason.as_str()), "{reason}");
}

fn refused(arguments: &[&str], complaint: &str) {
    let ended: Ended = check([&["127.0.0.1:1"], arguments].concat());
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.stderr.contains(complaint), "{}", ended.stderr);
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    for option in ["--no-kex", "--no-probe"] {
        refused(&["--host-keys=first", option], "remove one of them");
    }
    refused(&["--forbid", "host-key-unproven"], "add --host-keys first");
    let forbid = ["--host-keys=first", "--forbid", "host-key-changed"];
    refused(&forbid, "add --known-hosts FILE");
    refused(&["--forbid", "shared-host-key"], "add --host-keys first");
    let shard = ["--host-keys=first", "--forbid=shared-host-key", "--shard=1/2"];
    refused(&shard, "compare the rows of all parts with portmuster keys");
    refused(&["--show=shared-host-key"], "invalid value");
    refused(&["--known-hosts=x"], "add --host-keys first");
    refused(&["-o=known-hosts"], "add --host-keys first");
    refused(&["--host-keys=first", "--hash-hosts"], "add -o known-hosts=FILE");
    refused(&["--host-keys", "some"], "possible values: off, first, all");
}

/// Returns the lines that ssh-keygen finds in a file for a host.
fn found(file: &str, host: &str) -> String {
    output("ssh-keygen", &["-F", host, "-f", file])
}

#[test]
fn known_hosts_are_read_by_openssh_and_by_the_next_run() {
    let server = sshd(&["ed25519", "rsa-2048"], "");
    let target = server.endpoint().to_string();
    let folder = Folder::new();
    let host = format!("[127.0.0.1]:{}", server.endpoint().port());
    for (name, hashes) in [("plain", false), ("hashed", true)] {
        let file = folder.file(name);
        let file = file.to_str().expect("the path is text");
        let out = format!("-o=known-hosts={file}");
        let mut arguments = vec![target.as_str(), "--host-keys=all", &out];
        arguments.extend(hashes.then_some("--hash-hosts"));
        assert_eq!(check(&arguments).status, Some(0));
        let text = read(Path::new(file));
        assert_eq!((text.lines().count(), text.contains("127.0.0.1")), (2, !hashes), "{text}");
        let lines = found(file, &host);
        let keys = scanned(server.endpoint());
        assert!(keys.iter().all(|(_, key)| lines.contains(key)), "{lines} {keys:?}");

        let known = format!("--known-hosts={file}");
        let row = row_of(server.endpoint(), &["--host-keys=all", &known]);
        assert_eq!(row.findings, None, "{row:?}");
    }
}

#[test]
fn changed_unknown_and_revoked_host_keys_are_findings_and_gates() {
    let (server, other) = (sshd(&["ed25519"], ""), sshd(&["ed25519"], ""));
    let target = server.endpoint().to_string();
    let folder = Folder::new();
    let key = |server: &OpenSsh| read(&server.public_keys()[0]);
    let host = format!("[127.0.0.1]:{}", server.endpoint().port());
    for (line, finding) in [
        (format!("{host} {}", key(&other)), "host-key-changed"),
        (format!("[127.0.0.1]:1 {}", key(&server)), "host-key-unknown"),
        (format!("@revoked * {}", key(&server)), "host-key-revoked"),
    ] {
        let file = folder.file("known");
        std::fs::write(&file, line).expect("there is room");
        let known = format!("--known-hosts={}", file.display());
        let arguments = [&target, "--host-keys=first", &known, "--forbid", finding, "-o=jsonl"];
        let ended = check(arguments);
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert_eq!(ended.rows()[0].findings, Some(vec![finding.to_owned()]), "{ended:?}");
    }
}

#[test]
fn diff_says_which_host_keys_have_changed() {
    let folder = Folder::new();
    let port = {
        let server = sshd(&["ed25519"], "");
        let (target, file) = (server.endpoint().to_string(), folder.file("old.jsonl"));
        let old = format!("-o=jsonl={}", file.display());
        assert_eq!(check([&target, "--host-keys=first", &old]).status, Some(0));
        server.endpoint().port().to_string()
    };
    let row = read(&folder.file("old.jsonl"));
    let from = row.find("SHA256:").expect("it has a key") + "SHA256:".len();
    let changed = [&row[..from], &"A".repeat(43), &row[from + 43..]].concat();
    std::fs::write(folder.file("new.jsonl"), changed).expect("there is room");
    let [old, new] = ["old.jsonl", "new.jsonl"].map(|name| folder.file(name));
    let ended = run(program().arg("diff").args([&old, &new]));
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("host-key") && ended.stdout.contains(&port), "{ended:?}");
    assert!(ended.stdout.contains("+SHA256:AAAAAAAA…"), "{ended:?}");
}

#[test]
fn shared_host_key_fails_the_gate_also_after_a_kill() {
    let server = sshd(&["ed25519"], "ListenAddress 127.0.0.2\n");
    let silent = start(Behaviour::Silent);
    let port = server.endpoint().port();
    let [one, other] = ["127.0.0.1", "127.0.0.2"].map(|address| format!("{address}:{port}"));
    let alone = check([&one, "--host-keys=first", "--forbid=shared-host-key"]);
    assert_eq!(alone.status, Some(0), "{alone:?}");
    assert!(alone.stderr.contains("no shared-host-key on 1 of 1"), "{alone:?}");

    let targets = [one.as_str(), &target(&silent), &other];
    let settings = ["--order=given", "--in-flight=1", "--first-byte=1h", "--deadline=1h"];
    let gate = ["--host-keys=first", "--forbid=shared-host-key"];
    let run = JournaledRun::new(&["jsonl"], &[&targets[..], &settings, &gate].concat());
    run.kill_with(1);
    drop(silent);
    let ended = run.resume();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let line = format!("shared-host-key on 2: {one}, {other}; no shared-host-key on 1 of 3");
    assert!(ended.stderr.contains(&line), "{}", ended.stderr);
}

#[test]
fn short_rsa_key_is_a_finding_and_fails_the_gate() {
    let server = sshd(&["rsa-1024"], "RequiredRSASize 1024\n");
    let target = server.endpoint().to_string();
    let ended = check([&target, "--host-keys=first", "--forbid=weak-host-key", "-o=jsonl"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let row = ended.rows().remove(0);
    assert_eq!(row.findings, Some(vec!["host-key-short".to_owned()]), "{row:?}");
    let unasked = check([&target, "--forbid=weak-host-key", "-o=jsonl"]);
    assert_eq!(unasked.status, Some(0), "{unasked:?}");
}

#[test]
fn table_has_a_column_for_the_host_key() {
    let server = sshd(&["ed25519"], "");
    let key = key_of(server.endpoint());
    let ended = check([&server.endpoint().to_string(), "--host-keys=first"]);
    let fingerprint = key.sha256.trim_start_matches("SHA256:");
    assert!(ended.stdout.contains(&format!("  ed25519 {fingerprint}  ")), "{}", ended.stdout);
    assert!(ended.stdout.contains("  HOST KEY  "), "{}", ended.stdout);
}

#[test]
fn host_key_of_the_lab_is_proven() {
    let key = row_of(start(Behaviour::SshHostKey).endpoint(), &["--host-keys=first", "--evidence"]);
    let key = key.host_keys.expect("it was asked for").remove(0);
    assert!(key.proven, "{key:?}");
    assert_eq!(key.key, Some(STANDARD.encode(KeyExchange::host_key())));
}

/// Key types and settings of sshd: every type of key, every method, and weak ones.
const KINDS: [(&[&str], &str); 14] = [
    (&["ed25519", "rsa-2048"], ""),
    (&["ecdsa-256"], ""),
    (&["ecdsa-384"], ""),
    (&["ecdsa-521"], ""),
    (&["rsa-3072"], ""),
    (&["rsa-2048"], "HostKeyAlgorithms ssh-rsa\n"),
    (&["rsa-1024"], "RequiredRSASize 1024\n"),
    (&["dsa"], "HostKeyAlgorithms ssh-dss\n"),
    (&["ed25519"], "KexAlgorithms ecdh-sha2-nistp521\n"),
    (&["ed25519"], "KexAlgorithms diffie-hellman-group14-sha256\n"),
    (&["ed25519"], "KexAlgorithms diffie-hellman-group16-sha512\n"),
    (&["rsa-2048"], "KexAlgorithms diffie-hellman-group-exchange-sha256\n"),
    (&["ed25519"], "KexAlgorithms diffie-hellman-group1-sha1\n"),
    (&["rsa-2048"], "KexAlgorithms diffie-hellman-group-exchange-sha1\n"),
];

/// At how many addresses each sshd listens.
const ADDRESSES: u8 = 14;

/// Returns the keys that ssh-keyscan finds, in base64, with the addresses of their servers.
fn scanned_at(addresses: &[String], port: u16, folder: &Folder) -> BTreeSet<(String, String)> {
    let file = folder.file("addresses");
    std::fs::write(&file, addresses.join("\n")).expect("there is room");
    let (port, file) = (port.to_string(), file.display().to_string());
    let types = "ed25519,ecdsa,rsa,dsa";
    let printed = output("ssh-keyscan", &["-p", &port, "-t", types, "-T", "30", "-f", &file]);
    let lines = printed.lines().filter(|line| !line.starts_with('#'));
    let key = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        (words[0].replace(['[', ']'], ""), words[2].to_owned())
    };
    lines.map(key).collect()
}

#[test]
fn each_of_two_hundred_servers_gives_a_key_that_equals_that_of_ssh_keyscan() {
    let addresses: Vec<_> = (1..=ADDRESSES).map(|last| format!("127.0.0.{last}")).collect();
    let listen: Vec<_> = addresses[1..].iter().map(|it| format!("ListenAddress {it}\n")).collect();
    let listen = listen.concat();
    let configurations = KINDS.map(|(_, configuration)| format!("{configuration}{listen}"));
    let servers: Vec<_> = KINDS
        .iter()
        .zip(&configurations)
        .map(|((host_keys, _), configuration)| {
            let configuration: &'static str = configuration.clone().leak();
            sshd(host_keys, configuration)
        })
        .collect();
    let dropbears = [(); 4].map(|()| Dropbear::start().expect("Dropbear starts"));
    let folder = Folder::new();
    let (list, rows) = (folder.file("targets"), folder.file("rows.jsonl"));
    let targets = servers.iter().flat_map(|server| {
        let port = server.endpoint().port();
        addresses.iter().map(move |address| format!("{address}:{port}"))
    });
    let dropbear = dropbears.iter().map(|server| server.endpoint().to_string());
    let targets: Vec<_> = targets.chain(dropbear).collect();
    assert_eq!(targets.len(), 200);
    std::fs::write(&list, targets.join("\n")).expect("there is room");
    let (input, rows_out) =
        (format!("-i={}", list.display()), format!("-o=jsonl={}", rows.display()));
    let arguments = ["--host-keys=first", "--evidence", "--first-byte=60s", &input, &rows_out];
    assert_eq!(check(arguments).status, Some(0));
    let rows: Vec<Row> =
        read(&rows).lines().map(|line| serde_json::from_str(line).expect("it is a row")).collect();
    let mut found = BTreeSet::new();
    for row in &rows {
        let [key] = &row.host_keys.as_deref().unwrap_or_default() else { panic!("{row:?}") };
        assert!(key.proven && row.host_key_missing.is_none(), "{row:?}");
        let key = key.key.clone().expect("it was asked for");
        found.insert((format!("{}:{}", row.host, row.port), key));
    }
    assert_eq!(found.len(), targets.len());
    // ssh-keyscan has neither group1-sha1 nor group-exchange-sha1, and portmuster asks for one key only.
    let mut compared = 0;
    for server in &servers {
        let scanned = scanned_at(&addresses, server.endpoint().port(), &folder);
        for (target, key) in &found {
            let keys: Vec<_> = scanned.iter().filter(|(host, _)| host == target).collect();
            assert!(keys.is_empty() || keys.iter().any(|(_, it)| it == key), "{target}: {keys:?}");
            compared += usize::from(!keys.is_empty());
        }
    }
    assert!(compared >= 12 * addresses.len(), "{compared}");
}
