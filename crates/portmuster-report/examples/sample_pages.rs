//! Makes two sample pages: of the lab's servers on loopback, and of a simulated /16.
//!
//! ```sh
//! cargo run -p portmuster-report --example sample_pages -- target
//! ```

use std::{
    env,
    error::Error,
    fs,
    net::SocketAddr,
    path::Path,
    time::{Duration, SystemTime},
};

use jiff::{SignedDuration, Timestamp};
use portmuster::{
    Account, Checker, Config, Outcome, PortState, Target,
    config::{MaxMissed, Patience},
    history::{Change, ChangeRow, Changes, RunResults},
    outcome::{Certainty, Weakness},
    simulator::{Action, Endpoint, Network, ServerBehaviour, Simulator, draw},
    sink::{Jsonl, Sink},
};
use portmuster_lab::Lab;
use portmuster_report::{ChangeList, Collector, Facts, Report, RunRecord, WeaknessMeaning};
use serde_json::json;

/// The seed of the simulated network.
const SEED: u64 = 64;

/// When the simulated run begins. The clock of a simulation begins in 1970.
const START: &str = "2026-11-30T20:00:00Z";

/// When the simulated run before it began.
const START_BEFORE: &str = "2026-11-23T20:00:00Z";

/// Software of ssh servers, each with its methods of key exchange and its ciphers.
const SOFTWARE: [(&str, &str, &str); 5] = [
    (
        "OpenSSH_9.9",
        "mlkem768x25519-sha256,curve25519-sha256,kex-strict-s-v00@openssh.com",
        "aes128-ctr",
    ),
    (
        "OpenSSH_9.2p1 Debian-2",
        "sntrup761x25519-sha512@openssh.com,curve25519-sha256",
        "aes256-gcm@openssh.com",
    ),
    (
        "OpenSSH_7.4",
        "curve25519-sha256,diffie-hellman-group14-sha1",
        "chacha20-poly1305@openssh.com,aes128-cbc",
    ),
    ("dropbear_2022.83", "curve25519-sha256", "aes128-ctr"),
    ("Cisco-1.25", "diffie-hellman-group1-sha1", "3des-cbc,aes128-cbc"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("name the folder of the pages")?;
    let folder = Path::new(&folder);
    fs::write(folder.join("zoo.html"), zoo()?)?;
    fs::write(folder.join("network.html"), network()?)?;
    Ok(())
}

/// Returns the page of the lab's servers.
fn zoo() -> Result<String, Box<dyn Error>> {
    let lab = Lab::start(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let targets = lab.fixtures().map(|(fixture, endpoint)| {
        let mut target = Target::from((endpoint.ip().to_string().as_str(), endpoint.port()));
        target.label = Some(fixture.name.into());
        target
    });
    let targets: Vec<_> = targets.collect();
    let config = Config::builder()
        .per_host(None)
        .first_byte(Duration::from_secs(6))
        .deadline(Duration::from_secs(7))
        .build()?;
    let mut running = Checker::new(config).check(targets)?;
    let outcomes: Vec<_> = running.by_ref().collect();
    let account = running.account();
    let ended = outcomes.iter().map(|outcome| outcome.time).max().ok_or("the lab has servers")?;
    let started = (ended - account.elapsed).try_into()?;
    let command = "portmuster check -i zoo.txt -o jsonl=zoo.jsonl";
    let record = record(command, started, &account, None)?;
    page("zoo.jsonl", &outcomes, record, None)
}

/// Returns the page of a simulated /16 with ports 22 and 23, of whose hosts one in 64 is alive, and what
/// changed there since the week before.
fn network() -> Result<String, Box<dyn Error>> {
    let config =
        Config::builder().patience(Patience::Adaptive).max_missed(MaxMissed::default()).build()?;
    let [before, run] = [before, endpoint].map(|rule: fn(SocketAddr) -> Option<Endpoint>| {
        let network = Network::new(SEED)
            .otherwise(ServerBehaviour::Silent)
            .round_trip(Duration::from_millis(4))
            .jitter(Duration::from_millis(9))
            .loss(0.01)
            .rule(rule);
        let addresses = (0..=u16::MAX).map(|host| format!("10.20.{}.{}", host >> 8, host & 255));
        let targets =
            addresses.flat_map(|host| [22, 23].map(|port| Target::from((host.as_str(), port))));
        Simulator::new(&config, &network).run(targets)
    });
    let started: Timestamp = START.parse()?;
    let mut outcomes = run.outcomes;
    let shift = SystemTime::from(started).duration_since(SystemTime::UNIX_EPOCH)?;
    for outcome in &mut outcomes {
        outcome.time += shift;
    }
    let command = "portmuster check 10.20.0.0/16 -p 22,23 -o sqlite=audit.db";
    let record = record(command, started, &run.account, run.certainty.as_ref())?;
    let mut changes = changes("audit.db#-2", &before.outcomes, &outcomes)?;
    changes.started = Some(START_BEFORE.to_owned());
    page("audit.db", &outcomes, record, Some(changes))
}

/// Returns how an endpoint of the simulated network behaves; `None`: it is silent.
fn endpoint(endpoint: SocketAddr) -> Option<Endpoint> {
    behaviour(endpoint, SEED + 1)
}

/// Returns how an endpoint behaved a week before: one in 50 as another one does now.
fn before(endpoint: SocketAddr) -> Option<Endpoint> {
    let is_other = draw(SEED + 3, endpoint) < 0.02;
    behaviour(endpoint, SEED + if is_other { 4 } else { 1 })
}

fn behaviour(endpoint: SocketAddr, seed: u64) -> Option<Endpoint> {
    let host = SocketAddr::new(endpoint.ip(), 0);
    if draw(SEED, host) >= 1.0 / 64.0 {
        return None;
    }
    let kind = draw(seed, endpoint);
    let behaviour = match endpoint.port() {
        22 if kind < 0.9 => ssh(draw(seed + 1, endpoint)),
        23 if kind < 0.06 => ServerBehaviour::greets(b"\xff\xfd\x18\xff\xfb\x01\r\nrouter login: "),
        23 if kind < 0.09 => ServerBehaviour::greets(b"\r\nPassword: "),
        23 if kind < 0.12 => ServerBehaviour::greets(b"220 printer FTP server ready\r\n"),
        _ => ServerBehaviour::Refuses { after: Duration::from_millis(5) },
    };
    Some(behaviour.into())
}

/// Returns what changed between two runs.
fn changes(since: &str, before: &[Outcome], now: &[Outcome]) -> Result<ChangeList, Box<dyn Error>> {
    let [before, now] = [before, now].map(|outcomes| {
        let mut results = RunResults::new();
        for outcome in outcomes {
            results.add(outcome);
        }
        results
    });
    let mut list = ChangeList::since(since);
    list.targets_before = before.rows();
    for change in Changes::between(before, now).filter(Change::is_of_open) {
        let row = serde_json::to_value(ChangeRow::from(&change))?;
        list.changes.push(serde_json::from_value(row)?);
    }
    Ok(list)
}

/// Returns an ssh server that sends its identification and its offer.
fn ssh(draw: f64) -> ServerBehaviour {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is below 5")]
    let (software, kex, ciphers) = SOFTWARE[(draw * 5.0) as usize % SOFTWARE.len()];
    let mut bytes = format!("SSH-2.0-{software}\r\n").into_bytes();
    bytes.extend(kex_init([
        kex,
        "ssh-ed25519",
        ciphers,
        ciphers,
        "hmac-sha2-256",
        "hmac-sha2-256",
        "none",
        "none",
        "",
        "",
    ]));
    let actions = vec![(Duration::from_millis(12), Action::Bytes(bytes))];
    ServerBehaviour::Accepts { after: Duration::from_millis(1), actions, answer: None }
}

/// Returns the packet `SSH_MSG_KEXINIT` (RFC 4253 §6 and §7.1).
fn kex_init(lists: [&str; 10]) -> Vec<u8> {
    let mut payload = vec![20];
    payload.extend([0; 16]);
    for list in lists {
        payload.extend(u32::try_from(list.len()).expect("it is short").to_be_bytes());
        payload.extend(list.as_bytes());
    }
    payload.extend([0; 5]);
    let padding = 8 - (payload.len() + 5) % 8 + 8;
    let length = u32::try_from(payload.len() + padding + 1).expect("it is short");
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).expect("it is short"));
    packet.extend(payload);
    packet.extend(vec![0; padding]);
    packet
}

/// Returns what a run has counted.
fn record(
    command: &str,
    started: Timestamp,
    account: &Account,
    certainty: Option<&Certainty>,
) -> Result<RunRecord, Box<dyn Error>> {
    let [open, closed, filtered, unresolved, unchecked] =
        PortState::ALL.map(|state| account.state(state));
    let certainty = certainty.map(|certainty| {
        json!({
            "silent": certainty.silent.targets,
            "asked_again": certainty.silent.asked_again,
            "answered": certainty.silent.answered,
            "bound": certainty.missed_share(),
            "bound_count": certainty.missed_max(),
            "confidence": Certainty::CONFIDENCE,
            "blocked": certainty.is_blocked(),
            "controls": certainty.controls,
            "silent_controls": certainty.silent_controls,
        })
    });
    let record = json!({
        "schema": 1,
        "type": "summary",
        "version": env!("CARGO_PKG_VERSION"),
        "started": format!("{started:.3}"),
        "ended": format!("{:.3}", started + SignedDuration::try_from(account.elapsed)?),
        "arguments": command,
        "account": {
            "targets": account.targets, "open": open, "closed": closed, "filtered": filtered,
            "unresolved": unresolved, "unchecked": unchecked, "excluded": account.excluded,
            "elapsed_ms": account.elapsed.as_secs_f64() * 1e3,
        },
        "loss": {
            "found_on_retry": account.found_on_retry, "slowed": account.slowed,
            "faults": account.faults, "syns": account.syns, "syns_lost": account.syns_lost,
        },
        "certainty": certainty,
    });
    Ok(RunRecord::parse(record.to_string().as_bytes())?)
}

fn page(
    source: &str,
    outcomes: &[Outcome],
    record: RunRecord,
    changes: Option<ChangeList>,
) -> Result<String, Box<dyn Error>> {
    let mut lines = Vec::new();
    let mut sink = Jsonl::new(&mut lines);
    for outcome in outcomes {
        sink.write(outcome)?;
    }
    let mut collector = Collector::default();
    for row in lines.split(|&byte| byte == b'\n') {
        collector.add_line(row)?;
    }
    let mut facts = Facts::default();
    source.clone_into(&mut facts.source);
    facts.record = Some(record);
    facts.changes = changes;
    let meaning = |weakness: Weakness| WeaknessMeaning::new(weakness.name(), weakness.why());
    facts.weaknesses = Weakness::ALL.map(meaning).into();
    env!("CARGO_PKG_VERSION").clone_into(&mut facts.version);
    Ok(Report::new(collector, facts).to_html())
}
