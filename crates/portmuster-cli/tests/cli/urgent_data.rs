//! Servers that send their greeting as urgent data (tcp(7), `MSG_OOB`). Every method reads it in
//! order with other data.

use portmuster_lab::{Behaviour, Server};

use crate::{
    program::{METHODS, check, concurrently},
    servers::{start, target},
};

/// What the servers send, and the expected service and banner.
const GREETINGS: [(Behaviour, &str, Option<&str>); 6] = [
    (Behaviour::SaysUrgently(b"SSH-2.0-x\n"), "ssh", Some("SSH-2.0-x")),
    (Behaviour::SaysUrgently(b"SSH-2.0-cut_of"), "ssh", Some("SSH-2.0-cut_of")),
    (Behaviour::SaysUrgently(b"\xff\xfd\x18"), "telnet", None),
    (Behaviour::SaysUrgently(b"\xff\xfb\x01login: "), "telnet", Some("login:")),
    (Behaviour::SaysUrgently(b"User Name:"), "telnet-likely", Some("User Name:")),
    (Behaviour::SaysUrgently(b"x"), "unknown", Some("x")),
];

#[test]
fn urgent_data_is_read_in_order_by_every_method() {
    let servers = GREETINGS.map(|(behaviour, ..)| start(behaviour));
    concurrently(METHODS, |method| assert_read(&servers, method));
}

fn assert_read(servers: &[Server], method: &str) {
    let method = format!("--method={method}");
    let settings = ["--per-host=max", "--retries=0", "--speak-first=never", "--first-byte=5s"];
    let settings = settings.into_iter().chain(["-o=jsonl", &method]).map(str::to_owned);
    let ended = check(servers.iter().map(target).chain(settings));
    assert_eq!(ended.status, Some(0), "{method}: {}", ended.stderr);
    let rows = ended.rows();
    for (server, (behaviour, service, banner)) in servers.iter().zip(GREETINGS) {
        let row = rows.iter().find(|row| row.port == server.endpoint().port());
        let row = row.expect("each server has a row");
        assert_eq!(row.service.as_deref(), Some(service), "{method} {behaviour:?}: {row:?}");
        assert_eq!(row.banner.as_deref(), banner, "{method} {behaviour:?}");
    }
}
