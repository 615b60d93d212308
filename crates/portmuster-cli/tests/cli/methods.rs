//! Every method reports the same rows for the lab's servers and for real ones.

use std::{collections::BTreeSet, net::SocketAddr};

use portmuster_lab::real::{Dropbear, OpenSsh, Telnetd};

use crate::{
    program::{METHODS, check, concurrently},
    row::Row,
    servers::{start, start_lab, targets_except},
};

/// Fixtures whose bytes depend on when they are read.
const TIME_DEPENDENT: [&str; 3] = ["ssh-slow", "silent", "drip"];

/// Number of runs that share the targets of the serial method, which checks one after another.
const SERIAL_SHARDS: usize = 8;

/// Runs every method over the same targets, three at a time, because Dropbear allows few
/// connections. Returns the rows of each method.
fn by_every_method(targets: &[String]) -> Vec<(&'static str, Vec<Row>)> {
    let in_shard = |method, shard: String| {
        // One connection per target, so that the serial method finishes in time.
        let settings =
            "--per-host=max --retries=0 --speak-first=never --first-byte=5s --deadline=7s";
        let settings = settings.split(' ').map(str::to_owned);
        let own = ["-o=jsonl".to_owned(), format!("--method={method}"), format!("--shard={shard}")];
        let ended = check(targets.iter().cloned().chain(settings).chain(own));
        assert_eq!(ended.status, Some(0), "{method}: {ended:?}");
        ended.rows()
    };
    let by = |method| {
        let shards = if method == "serial" { SERIAL_SHARDS.min(targets.len()) } else { 1 };
        let shards = (1..=shards).map(|shard| format!("{shard}/{shards}"));
        concurrently(shards, |shard| in_shard(method, shard)).concat()
    };
    let rows = |methods| concurrently(methods, |method| (method, by(method)));
    METHODS.chunks(3).flat_map(|methods| rows(methods.iter().copied())).collect()
}

fn comparable(row: Row) -> (String, u16, String, Option<String>, Option<String>, Option<String>) {
    (row.host, row.port, row.state, row.service, row.banner, row.banner_base64)
}

#[test]
fn every_method_reports_the_same_rows() {
    let lab = start_lab();
    let targets = targets_except(&lab, &TIME_DEPENDENT);
    let mut answers = Vec::new();
    for (method, rows) in by_every_method(&targets) {
        answers.push((method, rows.into_iter().map(comparable).collect::<BTreeSet<_>>()));
    }
    assert_eq!(answers[0].1.len(), targets.len());
    for (method, answer) in &answers {
        assert_eq!(answer, &answers[0].1, "{method}");
    }
}

#[test]
fn every_method_recognises_real_servers() {
    let openssh = OpenSsh::start().expect("OpenSSH starts");
    let dropbear = Dropbear::start().expect("Dropbear starts");
    let telnetd = Telnetd::start().expect("telnetd starts");
    let refused = start(portmuster_lab::Behaviour::Refused);
    let endpoints =
        [openssh.endpoint(), dropbear.endpoint(), telnetd.endpoint(), refused.endpoint()];
    for (method, rows) in by_every_method(&endpoints.map(|endpoint| endpoint.to_string())) {
        let row = |endpoint: SocketAddr| {
            let row = rows.iter().find(|row| row.port == endpoint.port()).expect("it has a row");
            (row.service.as_deref(), row.banner.clone().unwrap_or_default())
        };
        let [openssh, dropbear, telnetd, refused] = endpoints.map(row);
        assert_eq!(openssh.0, Some("ssh"), "{method}");
        assert!(openssh.1.starts_with("SSH-2.0-OpenSSH"), "{method}: {openssh:?}");
        assert_eq!(dropbear.0, Some("ssh"), "{method}");
        assert!(dropbear.1.starts_with("SSH-2.0-dropbear"), "{method}: {dropbear:?}");
        assert_eq!(telnetd.0, Some("telnet"), "{method}");
        assert!(telnetd.1.contains("login:"), "{method}: {telnetd:?}");
        assert_eq!(refused, (None, String::new()), "{method}");
        assert_eq!(rows.iter().filter(|row| row.state == "closed").count(), 1, "{method}");
    }
}
