//! The page in Chromium: what it shows, what it does, and what it must not do.
//!
//! `browser/check.mjs` drives the browser. `cargo xtask setup` installs both. The pictures are kept in the
//! folder that `PORTMUSTER_PICTURES` names.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use portmuster_report::{ChangeList, Collector, Facts, Report, RunRecord, WeaknessMeaning};
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A generator of numbers that are the same in each run (Park and Miller, 1988).
struct Numbers(u64);

impl Numbers {
    /// Returns a number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0 * 48_271 % 2_147_483_647;
        self.0 % end
    }

    fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        let index = self.below(values.len() as u64);
        values[usize::try_from(index).expect("it is small")]
    }
}

/// Returns the row of an open port.
fn open_row(numbers: &mut Numbers, host: &str, port: u16) -> String {
    let software = ["OpenSSH_9.9", "OpenSSH_9.2p1", "OpenSSH_7.4", "dropbear_2022.83"];
    let kind = numbers.below(20);
    let rest = match kind {
        0..=13 => {
            let software = numbers.pick(&software);
            let findings = match software {
                "OpenSSH_7.4" => r#","findings":["terrapin","sha1-kex","cbc"]"#,
                "dropbear_2022.83" => r#","findings":["terrapin"]"#,
                _ => "",
            };
            let kex = if software == "OpenSSH_9.9" { "mlkem768x25519-sha256" } else { "curve25519-sha256" };
            format!(
                r#""service":"ssh","rule":"identification","banner":"SSH-2.0-{software}\r\n","ssh_protocol":"2.0","ssh_software":"{software}","kex_algorithms":["{kex}","ext-info-s"],"host_key_algorithms":["ssh-ed25519"]{findings}"#
            )
        }
        14 | 15 => r#""service":"other","rule":"http","protocol":"http","banner":"HTTP/1.1 400 Bad Request\r\n""#.to_owned(),
        16 => r#""service":"telnet","rule":"telnet-command","banner":"\r\nrouter login: ","telnet_options":["will echo","do terminal-type"],"evidence":{"rule":"telnet-command","parts":[{"at_ms":1.5,"side":"server","base64":"//0Y"},{"at_ms":2.5,"side":"portmuster","base64":"//wY"}],"left_out_bytes":0}"#.to_owned(),
        17 => r#""service":"telnet-likely","rule":"prompt","banner":"Password: ""#.to_owned(),
        _ => r#""service":"silent","rule":"silence""#.to_owned(),
    };
    let label = numbers.pick(&["core", "branch", "lab"]);
    let (connect, first) = (numbers.below(4_000), numbers.below(90_000));
    format!(
        r#"{{"schema":1,"host":"{host}","port":{port},"open":true,"state":"open","reason":"accepted","address":"{host}",{rest},"connect_ms":{}.{:02},"first_byte_ms":{}.5,"label":"{label}","attempts":1,"time":"2026-11-18T11:06:40.120Z"}}"#,
        connect / 100,
        connect % 100,
        connect / 100 + first / 100
    )
}

/// Returns the row of a port that is not open.
fn closed_row(host: &str, port: u16, state: &str, reason: &str) -> String {
    format!(
        r#"{{"schema":1,"host":"{host}","port":{port},"open":false,"state":"{state}","reason":"{reason}","attempts":2}}"#
    )
}

/// Returns the rows of a simulated /16 with ports 22 and 23, of whose hosts one in 64 is alive.
fn network() -> Vec<String> {
    let mut numbers = Numbers(7);
    let mut rows = Vec::new();
    for host in 0..=u16::MAX {
        let address = format!("10.20.{}.{}", host >> 8, host & 255);
        let is_alive = numbers.below(64) == 0;
        for port in [22, 23] {
            rows.push(match (is_alive, port) {
                (true, 22) => open_row(&mut numbers, &address, port),
                (true, _) => closed_row(&address, port, "closed", "refused"),
                (false, _) => closed_row(&address, port, "filtered", "no-answer"),
            });
        }
    }
    rows
}

/// Returns the rows of two networks, some names and a host with many ports.
fn office() -> Vec<String> {
    let mut numbers = Numbers(3);
    let mut rows = Vec::new();
    for host in 0..=255 {
        for network in 0..3 {
            let address = format!("10.20.{network}.{host}");
            rows.push(match numbers.below(6) {
                0 | 1 => open_row(&mut numbers, &address, 22),
                2 => closed_row(&address, 22, "filtered", "no-answer"),
                _ => closed_row(&address, 22, "closed", "refused"),
            });
        }
    }
    rows.extend((1..40).map(|port| open_row(&mut numbers, "10.20.2.9", port)));
    rows.extend(["a", "b"].map(|name| open_row(&mut numbers, &format!("{name}.example.org"), 22)));
    rows.push(open_row(&mut numbers, "2001:db8::7", 23));
    rows.push(closed_row("gone.example.org", 22, "unresolved", "no-such-name"));
    rows
}

/// Returns the rows of servers whose texts try to be markup, script, control sequences and layout.
fn hostile() -> Vec<String> {
    let texts = [
        r"</script><script>window.hacked=1</script>".to_owned(),
        r#"\"'><img src=x onerror=\"window.hacked=1\"><svg onload=window.hacked=1>"#.to_owned(),
        r"--></style></title><iframe src=javascript:window.hacked=1></iframe>{{7*7}}".to_owned(),
        r"\u202e\u2066\u0000\u001b[2J\u200b\u2028".repeat(40),
        "W".repeat(65_536),
        r"\u0301".repeat(5_000),
        "<b>".repeat(3_000),
        "=cmd|' /C calc'!A0".to_owned(),
    ];
    let row = |(index, text): (usize, &String)| {
        format!(
            r#"{{"schema":1,"host":"{host}","port":22,"open":true,"state":"open","reason":"accepted","service":"{service}","rule":"{text}","banner":"{text}","ssh_software":"{text}","ssh_comment":"{text}","findings":["{text}"],"label":"{text}","kex_algorithms":["{text}"],"attempts":1,"evidence":{{"rule":"x","parts":[{{"at_ms":1,"side":"{text}","text":"{text}"}}],"left_out_bytes":1}}}}"#,
            host = if index == 0 { "10.20.0.1" } else { text },
            service = if index % 2 == 0 { "ssh" } else { text },
        )
    };
    texts.iter().enumerate().map(row).collect()
}

/// Writes the page of these rows.
fn write_page(folder: &Path, name: &str, rows: &[String]) -> PathBuf {
    let mut collector = Collector::default();
    for row in rows {
        collector.add_line(row.as_bytes()).unwrap_or_else(|error| panic!("{error}: {row}"));
    }
    let mut facts = Facts::default();
    facts.source = format!("{name}.jsonl");
    "0.0.0".clone_into(&mut facts.version);
    facts.record = Some(record());
    facts.changes = Some(changes());
    facts.weaknesses = ["terrapin", "sha1-kex", "cbc"]
        .map(|name| {
            WeaknessMeaning::new(name, "an attacker on the path may read or change a session")
        })
        .into();
    let file = folder.join(format!("{name}.html"));
    fs::write(&file, Report::new(collector, facts).to_html()).expect("there is room");
    file
}

fn record() -> RunRecord {
    let json = br#"{"schema":1,"type":"summary","version":"0.2.0","started":"2026-11-18T11:06:00.000Z","ended":"2026-11-18T11:09:00.000Z","arguments":"portmuster check 10.20.0.0/16 -p 22,23 --forbid telnet --require-verdict","loss":{"found_on_retry":3,"syns":2100,"syns_lost":12},"certainty":{"silent":120000,"asked_again":4095,"answered":0,"bound":0.001,"bound_count":120,"confidence":0.95,"controls":300,"silent_controls":0},"gates":{"violated":true,"items":[{"item":"telnet","found":51,"absent":900,"inconclusive":{"filtered":120000}}],"unproven":[{"kind":"filtered","count":120000,"allowed":false}]}}"#;
    RunRecord::parse(json).expect("it is a summary")
}

fn changes() -> ChangeList {
    let mut list = ChangeList::since("last-week.jsonl");
    list.changes = [
        r#"{"host":"10.20.0.7","port":22,"changes":["version"],"old":{"state":"open","service":"ssh","ssh_software":"OpenSSH_7.4"},"new":{"state":"open","service":"ssh","ssh_software":"OpenSSH_9.9"}}"#,
        r#"{"host":"10.20.1.9","port":23,"changes":["opened"],"old":{"state":"closed","reason":"refused"},"new":{"state":"open","service":"telnet","banner":"login: "}}"#,
    ]
    .map(|change| serde_json::from_str(change).expect("it is a change"))
    .into();
    list
}

/// Runs a scenario on a page. The browser and its driver must be installed.
fn run(scenario: &str, page: &Path) {
    let tools = Path::new(ROOT).join("target/tools/browser");
    let tools = env::var_os("PORTMUSTER_BROWSER_TOOLS").map_or(tools, PathBuf::from);
    let is_there = tools.join("node_modules/playwright-core").exists();
    assert!(is_there, "the driver of the browser is missing; type: cargo xtask setup");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/check.mjs");
    let output = Command::new("node")
        .args([script, scenario])
        .arg(page)
        .env("PORTMUSTER_BROWSER_TOOLS", tools)
        .output()
        .expect("node is installed; if not, type: cargo xtask setup");
    let printed = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{scenario}:\n{}", String::from_utf8_lossy(&printed));
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("there is room")
}

#[test]
fn page_of_two_networks_is_readable_in_every_form() {
    let folder = folder();
    let page = write_page(folder.path(), "office", &office());
    run("look", &page);
    run("print", &page);
}

#[test]
fn page_of_a_large_network_is_readable_in_every_form() {
    let folder = folder();
    let page = write_page(folder.path(), "network", &network());
    run("look", &page);
    run("print", &page);
}

#[test]
fn filters_evidence_and_maps_work_with_pointer_and_keyboard() {
    let folder = folder();
    run("use", &write_page(folder.path(), "office-use", &office()));
    run("use", &write_page(folder.path(), "network-use", &network()));
}

#[test]
fn first_card_answers_each_question_and_tables_fit() {
    let folder = folder();
    for (name, rows) in [("office-answers", office()), ("network-answers", network())] {
        let page = write_page(folder.path(), name, &rows);
        run("answers", &page);
        run("flash", &page);
    }
}

#[test]
fn page_shows_charts_and_rows_without_script() {
    let folder = folder();
    run("plain", &write_page(folder.path(), "office-plain", &office()));
}

#[test]
fn text_of_hostile_servers_stays_text() {
    let folder = folder();
    run("hostile", &write_page(folder.path(), "hostile", &hostile()));
}

#[test]
fn every_row_of_a_very_long_table_can_be_reached() {
    let folder = folder();
    let row = |row: u32| {
        let (high, middle, low) = (row >> 16, row >> 8 & 255, row & 255);
        format!(
            r#"{{"schema":1,"host":"10.{high}.{middle}.{low}","port":22,"state":"open","reason":"accepted","service":"ssh"}}"#
        )
    };
    // More rows than an element may be high.
    let rows: Vec<_> = (0..252_000).map(row).collect();
    run("many", &write_page(folder.path(), "many", &rows));
}
