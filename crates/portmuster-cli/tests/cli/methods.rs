//! Every method reports the same rows for the lab's servers and for real ones.

use std::{collections::BTreeSet, net::SocketAddr, thread};

use portmuster_lab::real::{Dropbear, OpenSsh, Telnetd};

use crate::{
    program::{Ended, METHODS, check},
    row::Row,
    servers::{start, start_lab, targets_except},
};

/// Fixtures whose bytes depend on when they are read.
const TIME_DEPENDENT: [&str; 3] = ["ssh-slow", "silent", "drip"];

/// Runs every method over the same targets, three at a time, because Dropbear allows few
/// connections.
fn by_every_method(targets: &[String]) -> Vec<(&'static str, Ended)> {
    let by = |method| {
        // One connection per target, so that the serial method finishes in time.
        let settings = "--per-host=max --retries=0 --speak-first=never --first-byte=5s -o=jsonl";
        let settings = settings.split(' ').map(str::to_owned);
        let settings: Vec<_> = settings.chain([format!("--method={method}")]).collect();
        check([targets, &settings].concat())
    };
    let side_by_side = |methods: &'static [&'static str]| {
        thread::scope(|scope| {
            let runs: Vec<_> =
                methods.iter().map(|&method| (method, scope.spawn(move || by(method)))).collect();
            let ended = |(method, run): (_, thread::ScopedJoinHandle<'_, _>)| {
                (method, run.join().expect("the run ends"))
            };
            runs.into_iter().map(ended).collect::<Vec<_>>()
        })
    };
    METHODS.chunks(3).flat_map(side_by_side).collect()
}

fn comparable(row: Row) -> (String, u16, String, Option<String>, Option<String>, Option<String>) {
    (row.host, row.port, row.state, row.service, row.banner, row.banner_base64)
}

#[test]
fn every_method_reports_the_same_rows() {
    let lab = start_lab();
    let targets = targets_except(&lab, &TIME_DEPENDENT);
    let mut answers = Vec::new();
    for (method, ended) in by_every_method(&targets) {
        assert_eq!(ended.status, Some(0), "{method}: {ended:?}");
        answers.push((method, ended.rows().into_iter().map(comparable).collect::<BTreeSet<_>>()));
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
    for (method, ended) in by_every_method(&endpoints.map(|endpoint| endpoint.to_string())) {
        assert_eq!(ended.status, Some(0), "{method}: {ended:?}");
        let rows = ended.rows();
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
        assert_eq!(ended.summary().of("closed"), 1);
    }
}
