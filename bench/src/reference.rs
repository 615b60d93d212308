//! The reference system in Python, `bench/reference.py`, as a candidate.

use std::{
    net::{IpAddr, SocketAddr},
    process::Command,
};

use anyhow::Result;

use crate::{
    answers::{Coverage, Heard, by_line},
    contest::Candidate,
    list::List,
    span::{Span, State},
};

/// The program.
pub(crate) const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/reference.py");

/// One of the reference's ways to run checks side by side.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Method {
    /// 32 processes.
    Processes,
    /// A process per core, each with a pool of threads.
    ProcessThreads,
}

/// What it does for each target.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    Nothing,
    Connect,
}

impl Method {
    /// What it is called in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Processes => "Python, 32 processes",
            Self::ProcessThreads => "Python, processes with threads",
        }
    }

    /// The reference, run by this Python.
    pub(crate) fn candidate<'a>(self, python: &str, list: &'a List, work: Work) -> Candidate<'a> {
        let mut command = Command::new(python);
        let method = match self {
            Self::Processes => "processes",
            Self::ProcessThreads => "process-threads",
        };
        command.arg(PROGRAM).arg(method).arg(list.path());
        if matches!(work, Work::Nothing) {
            command.arg("--no-op");
        }
        list.candidate(self.name().to_owned(), command, Coverage::All, parse)
    }
}

/// Reads answers: host, port, and `open`, `closed` or what else a program tells apart.
pub(crate) fn parse(text: &str, _: Span) -> Result<Heard> {
    by_line(text, |line| {
        let mut words = line.split(' ');
        let (host, port, state) = (words.next()?, words.next()?, words.next()?);
        let target = SocketAddr::new(host.parse::<IpAddr>().ok()?, port.parse().ok()?);
        let state = match state {
            "open" => State::Open,
            "closed" => State::Refused,
            "silent" => State::Silent,
            _ => return None,
        };
        Some((target, state))
    })
}
