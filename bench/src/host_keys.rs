//! The question `host-keys`: what the host key of a server costs.

use std::{hint::black_box, io::Write, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use clap::Args;
use curve25519_dalek::MontgomeryPoint;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use portmuster_lab::KeyExchange;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{
    answers::{Answers, Coverage},
    arguments::at_least_one,
    contest::{Demand, run_rounds},
    cost::{Cost, measure},
    harness::Harness,
    key_server::KeyServer,
    list::{Expected, List},
    program::FASTEST,
    row::{Measurement, Row, count},
    section::Goal,
    span::{Span, State},
};

/// The most CPU time of a host with its key, as a multiple of that of the computations that prove it.
const CPU_MAX: f64 = 1.5;

/// The most time on the wall, as a multiple of that of `ssh-keyscan`.
const WALL_MAX: f64 = 1.0;

/// Options of the subcommand `host-keys`.
#[derive(Debug, Args)]
pub(crate) struct HostKeysOptions {
    /// Servers with a host key
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = at_least_one)]
    servers: usize,
    /// Rounds; each candidate runs once per round
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    rounds: usize,
}

/// Gets the host key of each server with portmuster and with `ssh-keyscan`, side by side.
pub(crate) fn run(options: &HostKeysOptions, harness: &mut Harness) -> Result<()> {
    let &HostKeysOptions { servers, rounds } = options;
    let server = KeyServer::start()?;
    let list = List::new(Span::open(server.port, servers))?;
    let program = harness.portmuster()?;
    let check = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(["check", "--progress", "never", "--quiet", "--output", "jsonl"]);
        command.args(FASTEST).args(arguments).arg("--input").arg(list.path());
        command
    };
    let mut keyscan = Command::new("ssh-keyscan");
    keyscan.args(["-t", "ed25519", "-T", "30", "-p", &server.port.to_string(), "-f"]);
    keyscan.arg(list.addresses());
    let expected = |parser| Expected::Answers(parser, Coverage::EveryTarget);
    let mut candidates = [
        list.candidate("ssh-keyscan", keyscan, expected(scanned)),
        list.candidate(
            "portmuster --host-keys first",
            check(&["--host-keys", "first"]),
            expected(proven),
        ),
        list.candidate("portmuster, without host keys", check(&[]), expected(offered)),
    ];
    let title = format!("{servers} servers that answer a key exchange with an Ed25519 key");
    let mut section = run_rounds(title, &mut candidates, rounds, Demand::Exact)?;
    let own = own_computations(servers, rounds)?;
    let openssl = openssl_computations(servers, rounds);
    section.absent.extend(openssl.as_ref().err().map(|error| format!("{error:#}")));
    let of_goal = openssl.as_ref().unwrap_or(&own);
    let [keyscan, with_keys, without, ..] = &section.rows[..] else { unreachable!() };
    let what = format!("CPU of a server, portmuster to {}", of_goal.name);
    section.goals = vec![
        Goal::at_most(what, with_keys.cpu_ratio(of_goal), CPU_MAX),
        Goal::at_most(
            "time on the wall, portmuster to ssh-keyscan",
            with_keys.wall_ratio(keyscan),
            WALL_MAX,
        ),
    ];
    let more = with_keys.cpu.median - without.cpu.median;
    section.notes = vec![
        format!(
            "a host key takes {more:.0} µs of CPU more than a check without it, of which {:.0} µs are \
             the computations",
            own.cpu.median
        ),
        "the computations: two multiplications on Curve25519, and the verification of a signature \
         of Ed25519"
            .to_owned(),
        "ssh-keyscan proves nothing: it does not verify the signature".to_owned(),
    ];
    section.rows.push(own);
    section.rows.extend(openssl);
    harness.add(section)
}

/// Returns what a proof has to compute, by the speed that OpenSSL measures of itself.
///
/// # Errors
/// There is no `openssl`, or it prints something else.
fn openssl_computations(servers: usize, rounds: usize) -> Result<Row> {
    let mut runs = Vec::new();
    for _ in 0..rounds {
        let mut command = Command::new("openssl");
        let command = command.args(["speed", "-mr", "-seconds", "1", "ed25519", "ecdhx25519"]);
        let output =
            command.output().context("openssl is not installed: apt-get install openssl")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (exchange, verification) =
            openssl_speed(&text).context("openssl speed has no figures")?;
        let each = 2.0 / exchange + 1.0 / verification;
        let cpu = Duration::from_secs_f64(each * count(servers));
        let cost = Cost { wall: cpu, cpu };
        runs.push(Measurement { cost, memory_kib: None, accuracy: None });
    }
    Ok(Row::new("the computations by openssl speed", servers, &runs))
}

/// Returns how many multiplications on Curve25519, and how many verifications, OpenSSL does in a second:
/// `+F5:22:253:RATE:SECONDS` and `+F6:0:253:Ed25519:SIGNATURES:VERIFICATIONS`.
fn openssl_speed(text: &str) -> Option<(f64, f64)> {
    let field = |start: &str, nth: usize| -> Option<f64> {
        let line = text.lines().find(|line| line.starts_with(start))?;
        line.split(':').nth(nth)?.parse().ok().filter(|&rate| rate > 0.0)
    };
    Some((field("+F5:", 3)?, field("+F6:", 5)?))
}

/// Measures what a proof has to compute: our public value, the secret, and the verification.
fn own_computations(times: usize, rounds: usize) -> Result<Row> {
    let key = SigningKey::from_bytes(&[1; 32]);
    let message = [2; 32];
    let (public, signature) = (key.verifying_key().to_bytes(), key.sign(&message));
    let peer = MontgomeryPoint::mul_base_clamped([3; 32]);
    let name = "the computations alone";
    let mut runs = Vec::new();
    for round in 1..=rounds {
        let compute = || {
            for _ in 0..times {
                black_box(MontgomeryPoint::mul_base_clamped(black_box([4; 32])));
                black_box(peer.mul_clamped(black_box([4; 32])));
                let key = VerifyingKey::from_bytes(black_box(&public));
                let key = key.context("the key is valid")?;
                key.verify_strict(black_box(&message), &signature).context("it is signed")?;
            }
            Ok(())
        };
        let ((), cost) = measure(compute)?;
        let run = Measurement { cost, memory_kib: None, accuracy: None };
        writeln!(anstream::stdout(), "  round {round}  {name}  {}", run.describe(times))?;
        runs.push(run);
    }
    Ok(Row::new(name, times, &runs))
}

/// The fields of a row that are read.
#[derive(Deserialize)]
struct KeyedRow<'a> {
    host: std::net::IpAddr,
    port: u16,
    service: Option<&'a str>,
    #[serde(default, borrow)]
    host_keys: Vec<RowKey<'a>>,
}

#[derive(Deserialize)]
struct RowKey<'a> {
    sha256: &'a str,
    proven: bool,
}

/// Parses rows with the proven key of the lab.
fn proven(text: &str, _: Span) -> Result<Answers> {
    let fingerprint =
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(KeyExchange::host_key())));
    rows(text, |row| row.host_keys.iter().any(|key| key.proven && key.sha256 == fingerprint))
}

/// Parses rows of ssh servers.
fn offered(text: &str, _: Span) -> Result<Answers> {
    rows(text, |row| row.host_keys.is_empty())
}

fn rows(text: &str, is_right: impl Fn(&KeyedRow<'_>) -> bool) -> Result<Answers> {
    let mut answers = Answers::default();
    for line in text.lines() {
        let row: KeyedRow<'_> = serde_json::from_str(line).context("reading a row")?;
        ensure!(row.service == Some("ssh") && is_right(&row), "this row is wrong: {line}");
        answers.states.push(((row.host, row.port).into(), State::Open));
    }
    Ok(answers)
}

/// Parses lines of known hosts, `[127.1.0.0]:22 ssh-ed25519 KEY`, with the key of the lab.
fn scanned(text: &str, _: Span) -> Result<Answers> {
    let key = format!("ssh-ed25519 {}", STANDARD.encode(KeyExchange::host_key()));
    let mut answers = Answers::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (host, found) = line.split_once(' ').with_context(|| format!("reading {line:?}"))?;
        ensure!(found == key, "this key is wrong: {line}");
        let endpoint = host.replace(['[', ']'], "").parse();
        let endpoint = endpoint.with_context(|| format!("reading the host of {line:?}"))?;
        answers.states.push((endpoint, State::Open));
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_of_openssl_is_read() {
        let text = "+F5:22:253:31592.1:0.000032\n+F6:0:253:Ed25519:26996.9:9548.7\n";
        assert_eq!(openssl_speed(text), Some((31592.1, 9548.7)));
        assert_eq!(openssl_speed("+F5:22:253:0:0\n"), None);
    }
}
