//! The reference system in Python, `bench/reference.py`, as a contestant.

use std::{
    net::{IpAddr, SocketAddr},
    process::Command,
};

use crate::{contest::Contestant, list::List};

/// The program.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/reference.py");

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
    pub(crate) fn contestant<'a>(self, python: &str, list: &'a List, work: Work) -> Contestant<'a> {
        let mut command = Command::new(python);
        let method = match self {
            Self::Processes => "processes",
            Self::ProcessThreads => "process-threads",
        };
        command.arg(PROGRAM).arg(method).arg(list.path());
        if matches!(work, Work::Nothing) {
            command.arg("--no-op");
        }
        list.contestant(self.name().to_owned(), command, read)
    }
}

/// An answer: host, port, `open` or `closed`.
fn read(line: &str) -> Option<(SocketAddr, bool)> {
    let mut words = line.split(' ');
    let (host, port, state) = (words.next()?, words.next()?, words.next()?);
    let target = SocketAddr::new(host.parse::<IpAddr>().ok()?, port.parse().ok()?);
    Some((target, state == "closed"))
}
