//! The text of a document: head, rows and trailer.

use std::time::SystemTime;

use super::{
    host::{self, WrittenElement},
    markup::{self, Markup},
    time::{time_text, unix_seconds},
};
use crate::{
    outcome::Outcome,
    sink::interface::{Beginning, Ending},
};

/// The version of nmap's format.
const FORMAT: &str = "1.05";

/// Limit of buffered rows, in bytes. Reaching it writes them to the output.
pub(super) const PENDING_MAX: usize = 256 * 1024;

/// The text of a document that is not written to the output yet, and what its trailer will say.
#[derive(Debug)]
pub(super) struct Document {
    /// The head and the rows that are not written yet.
    pub(super) pending: Vec<u8>,
    pub(super) counts: Counts,
    /// The time of the latest row.
    latest: SystemTime,
}

/// The values that the trailer contains or is computed from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    /// Start of the run, in seconds since 1970.
    pub(super) started: i64,
    /// Number of outcomes that prove a host up.
    pub(super) up: u64,
    /// Number of outcomes that are written as a host.
    pub(super) hosts: u64,
}

impl Counts {
    fn add(&mut self, written: &WrittenElement) {
        let (up, hosts) = match written {
            WrittenElement::HostUp => (1, 1),
            WrittenElement::Host => (0, 1),
            WrittenElement::SkippedTarget => (0, 0),
        };
        self.up += up;
        self.hosts += hosts;
    }
}

impl Document {
    /// Starts a document with its head.
    pub(super) fn begin(beginning: &Beginning) -> Self {
        let counts = Counts { started: unix_seconds(beginning.time), up: 0, hosts: 0 };
        Self { pending: head(beginning), counts, latest: beginning.time }
    }

    /// Continues a document with these counts, whose run started at `started`.
    pub(super) fn resume(counts: Counts, started: SystemTime) -> Self {
        Self { pending: Vec::new(), counts, latest: started }
    }

    /// Adds a row to the pending ones; returns whether they should be written now.
    pub(super) fn add(&mut self, outcome: &Outcome) -> bool {
        let mut markup = Markup::append_to(std::mem::take(&mut self.pending));
        let written = host::write(&mut markup, outcome);
        self.pending = markup.into_bytes();
        self.counts.add(&written);
        self.latest = self.latest.max(outcome.time);
        self.pending.len() >= PENDING_MAX
    }

    /// Returns the trailer that is correct if the process is killed now.
    pub(super) fn interim_trailer(&self) -> Vec<u8> {
        self.trailer(self.latest, "error", Some("the run was cut off"))
    }

    /// Returns the trailer of a run that has ended.
    pub(super) fn final_trailer(&self, ending: &Ending) -> Vec<u8> {
        match ending.left() {
            0 => self.trailer(ending.time, "success", None),
            1 => self.trailer(ending.time, "error", Some("1 target is left")),
            left => self.trailer(ending.time, "error", Some(&format!("{left} targets are left"))),
        }
    }

    fn trailer(&self, time: SystemTime, exit: &str, message: Option<&str>) -> Vec<u8> {
        let Counts { started, up, hosts } = self.counts;
        let elapsed = (unix_seconds(time) - started).max(0);
        let summary = format!("{hosts} outcomes in {elapsed} s, of which {up} prove a host up");
        let (time, elapsed, time_text) =
            (unix_seconds(time).to_string(), elapsed.to_string(), time_text(time));
        let mut markup = Markup::default();
        let mut finished = vec![
            ("time", &*time),
            ("timestr", &time_text),
            ("elapsed", &elapsed),
            ("summary", &summary),
            ("exit", exit),
        ];
        finished.extend(message.map(|message| ("errormsg", message)));
        let (up, hosts) = (up.to_string(), hosts.to_string());
        markup.open("runstats", &[]);
        markup.empty("finished", &finished);
        markup.empty("hosts", &[("up", &up), ("down", "0"), ("total", &hosts)]);
        markup.close("runstats");
        markup.line_end();
        markup.close("nmaprun");
        markup.line_end();
        markup.into_bytes()
    }
}

/// Returns the part of the document before the first row.
fn head(beginning: &Beginning) -> Vec<u8> {
    let (start, start_text) = (unix_seconds(beginning.time).to_string(), time_text(beginning.time));
    let mut markup = Markup::append_to(
        b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE nmaprun>\n".to_vec(),
    );
    markup.open(
        "nmaprun",
        &[
            // The only value that the DTD of the format allows.
            ("scanner", "nmap"),
            ("args", &markup::escape_for_xml(&beginning.arguments)),
            ("start", &start),
            ("startstr", &start_text),
            ("version", concat!("portmuster ", env!("CARGO_PKG_VERSION"))),
            ("xmloutputversion", FORMAT),
        ],
    );
    markup.line_end();
    markup.empty("verbose", &[("level", "0")]);
    markup.empty("debugging", &[("level", "0")]);
    markup.line_end();
    markup.into_bytes()
}
