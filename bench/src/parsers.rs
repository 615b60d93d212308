//! Parsers for the output of portmuster and of each peer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{
    answers::Answers,
    span::{Span, State},
};

/// The fields of portmuster's JSON rows that a benchmark reads.
#[derive(Deserialize)]
struct JsonRow<'a> {
    host: IpAddr,
    port: u16,
    state: &'a str,
    service: Option<&'a str>,
}

/// Parses portmuster's JSON rows.
pub(crate) fn portmuster(text: &str, _: Span) -> Result<Answers> {
    rows(text, |_| true)
}

/// Parses portmuster's JSON rows; every open target must be identified as ssh.
pub(crate) fn portmuster_ssh(text: &str, _: Span) -> Result<Answers> {
    rows(text, |row| row.state != "open" || row.service == Some("ssh"))
}

fn rows(text: &str, is_valid: fn(&JsonRow<'_>) -> bool) -> Result<Answers> {
    by_line(text.lines(), |line| {
        let row: JsonRow<'_> = serde_json::from_str(line).ok().filter(is_valid)?;
        Some((SocketAddr::new(row.host, row.port), state(row.state)?))
    })
}

/// Parses lines of `HOST PORT STATE`, as the Python reference and `plain_tokio` print them.
pub(crate) fn words(text: &str, _: Span) -> Result<Answers> {
    by_line(text.lines(), |line| {
        let mut words = line.split(' ');
        let (host, port, word) = (words.next()?, words.next()?, words.next()?);
        Some((SocketAddr::new(host.parse().ok()?, port.parse().ok()?), state(word)?))
    })
}

/// Parses nmap's greppable output:
/// `Host: 127.1.0.0 ()\tPorts: 22/open/tcp//ssh///, …\tIgnored State: closed (999)`.
pub(crate) fn nmap(text: &str, _: Span) -> Result<Answers> {
    let mut answers = Answers::default();
    for line in text.lines().filter(|line| line.contains("\tPorts: ")) {
        nmap_host(line, &mut answers).with_context(|| format!("reading nmap's line {line:?}"))?;
    }
    Ok(answers)
}

fn nmap_host(line: &str, answers: &mut Answers) -> Option<()> {
    let mut fields = line.split('\t');
    let host = fields.next()?.strip_prefix("Host: ")?.split(' ').next()?.parse().ok()?;
    for field in fields {
        if let Some(ports) = field.strip_prefix("Ports: ") {
            for port in ports.split(", ").filter(|port| !port.trim().is_empty()) {
                let mut words = port.trim().split('/');
                let number = words.next()?.parse().ok()?;
                answers.states.push((SocketAddr::new(host, number), state(words.next()?)?));
            }
        } else if let Some(ignored) = field.strip_prefix("Ignored State: ") {
            let count = ignored.rsplit('(').next()?.strip_suffix(')')?;
            answers.counted += count.parse::<usize>().ok()?;
        }
    }
    Some(())
}

/// Parses `RustScan`'s greppable output: `10.64.0.1 -> [22,23]`.
pub(crate) fn rustscan(text: &str, _: Span) -> Result<Answers> {
    let hosts = text.lines().filter_map(|line| line.split_once(" -> ["));
    let ports = hosts.flat_map(|(host, ports)| {
        let ports = ports.strip_suffix(']').unwrap_or("").split(',');
        ports.map(move |port| format!("{host}:{}", port.trim()))
    });
    by_line(ports, |target| Some((target.parse().ok()?, State::Open)))
}

/// Parses masscan's list: `open tcp 22 10.64.0.1 1790000000`.
pub(crate) fn masscan(text: &str, _: Span) -> Result<Answers> {
    by_line(text.lines().filter(|line| line.starts_with("open ")), |line| {
        let mut words = line.split(' ').skip(2);
        let port = words.next()?.parse().ok()?;
        Some((SocketAddr::new(words.next()?.parse().ok()?, port), State::Open))
    })
}

/// Parses `ZMap`'s list: `10.64.0.1`, below a line that names the field.
pub(crate) fn zmap(text: &str, span: Span) -> Result<Answers> {
    by_line(text.lines().filter(|&line| line != "saddr"), |line| {
        Some((SocketAddr::from((line.parse::<Ipv4Addr>().ok()?, span.port)), State::Open))
    })
}

/// Parses `ZMap`'s fields of address and port: `10.64.0.1,22`, below a line that names the fields.
pub(crate) fn zmap_ports(text: &str, _: Span) -> Result<Answers> {
    by_line(text.lines().filter(|&line| line != "saddr,sport"), |line| {
        let target = line.replace(',', ":").parse().ok()?;
        Some((target, State::Open))
    })
}

/// Parses one target per line; `parse` returns `None` for a line that it can't read.
fn by_line<T: AsRef<str>>(
    mut lines: impl Iterator<Item = T>,
    parse: impl Fn(&str) -> Option<(SocketAddr, State)>,
) -> Result<Answers> {
    let states = lines.try_fold(Vec::new(), |mut states, line| {
        let line = line.as_ref();
        states.push(parse(line).with_context(|| format!("this is no answer: {line}"))?);
        Ok::<_, anyhow::Error>(states)
    })?;
    Ok(Answers { states, counted: 0 })
}

/// A state by the name that most programs give it.
fn state(word: &str) -> Option<State> {
    match word {
        "open" => Some(State::Open),
        "closed" => Some(State::Refused),
        "filtered" | "silent" => Some(State::Silent),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::Parser;

    #[test]
    fn each_parser_reads_its_program_and_refuses_damage() {
        let span = Span { port: 22, ..Span::refused(3) };
        let row = r#"{"host":"10.64.0.1","port":22,"state":"open","service":"ssh"}"#;
        let (other, damaged) = (row.replace("\"ssh\"", "null"), &row[..row.len() - 1]);
        let cases: [(Parser, &str, &str); 7] = [
            (portmuster, &other, damaged),
            (portmuster_ssh, row, &other),
            (words, "10.64.0.1 22 open\n", "10.64.0.1 22 maybe"),
            (rustscan, "10.64.0.1 -> [22]\n", "10.64.0.1 -> [22"),
            (
                masscan,
                "#masscan\nopen tcp 22 10.64.0.1 1790000000\n# end\n",
                "open tcp x 10.64.0.1",
            ),
            (zmap, "saddr\n10.64.0.1\n", "nonsense\n"),
            (zmap_ports, "saddr,sport\n10.64.0.1,22\n", "10.64.0.1"),
        ];
        let states = vec![(SocketAddr::from(([10, 64, 0, 1], 22)), State::Open)];
        for (parser, text, damaged) in cases {
            let answers = parser(text, span).expect("the text is well-formed");
            assert_eq!(answers, Answers { states: states.clone(), counted: 0 }, "{text}");
            assert!(parser(damaged, span).is_err(), "{damaged}");
        }
    }

    #[test]
    fn nmap_names_ports_or_counts_them() {
        let text = "# Nmap\nHost: 10.64.0.1 ()\tStatus: Up\n\
            Host: 10.64.0.1 ()\tPorts: 22/open/tcp//ssh///, 23/filtered/tcp//telnet///\tIgnored State: closed (998)\n\
            Host: 10.64.0.2 ()\tPorts: \tIgnored State: closed (1000)\n";
        let target = |port| SocketAddr::from(([10, 64, 0, 1], port));
        let states = vec![(target(22), State::Open), (target(23), State::Silent)];
        let answers = nmap(text, Span::refused(1)).expect("the text is well-formed");
        assert_eq!(answers, Answers { states, counted: 1998 });
    }
}
