//! nmap's XML format (`nmap -oX`), for programs that read it.
//!
//! Each outcome is written as a `host` with one `port`, as soon as it is known, so a host with
//! several ports occurs several times. [`host`](mod@host) maps outcomes to nmap's elements.
//!
//! A file is a well-formed document at every moment, even if the process is killed: the rows are
//! followed by a trailer. [`Xml::append_rows`] replaces the trailer by more rows and a new trailer,
//! and [`Xml::truncate_rows`] removes rows, in steps each of which leaves a well-formed document.
//!
//! Invariant: the document is ASCII, so an interrupted step never splits a character.

use std::{io, time::SystemTime};

use jiff::Timestamp;

use self::{
    host::WrittenElement,
    markup::Markup,
    time::{time_text, unix_seconds},
};
use super::{
    interface::{Beginning, Ending, ResumePoint, Sink},
    seekable::{SeekableOutput, not_seekable},
};
use crate::outcome::Outcome;

mod host;
mod markup;
mod time;

/// The version of nmap's format.
const FORMAT: &str = "1.05";

/// Limit of buffered rows, in bytes. Reaching it flushes them.
const PENDING_MAX: usize = 256 * 1024;

/// The unit that the kernel writes completely even if the process is killed: it checks for pending
/// signals only between two pages.
const PAGE: u64 = 4096;

/// Starts a processing instruction, which readers of XML skip. It hides incomplete parts.
const HIDE: &[u8] = b"<?more ";

/// Ends the processing instruction; without one it is an empty instruction itself.
const SHOW: &[u8] = b"<?end?>\n";

/// Writes outcomes in nmap's XML format.
#[derive(Debug)]
pub struct Xml<P> {
    output: P,
    /// Rows that are not written to the output yet.
    pending: Vec<u8>,
    /// Position of the trailer in a file; `None` if it has none.
    trailer_at: Option<u64>,
    counts: Counts,
    /// The time of the latest row.
    latest: SystemTime,
    has_failed: bool,
}

/// The values that the trailer contains or is computed from.
#[derive(Debug, Clone, Copy)]
struct Counts {
    /// Start of the run, in seconds since 1970.
    started: i64,
    /// Number of outcomes that prove a host up.
    up: u64,
    /// Number of outcomes that are written as a host.
    hosts: u64,
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

impl<P: SeekableOutput> Xml<P> {
    /// Starts a document.
    ///
    /// # Errors
    /// The document could not be written.
    pub fn begin(output: P, beginning: &Beginning) -> io::Result<Self> {
        let counts = Counts { started: unix_seconds(beginning.time), up: 0, hosts: 0 };
        let mut xml = Self::new(output, counts, beginning.time);
        xml.pending = head(beginning);
        if xml.output.length().is_some() {
            xml.unless_failed(Self::write_pending)?;
        }
        Ok(xml)
    }

    /// Resumes a document from the resume point, and removes later rows.
    ///
    /// # Errors
    /// The document could not be written or truncated, it is shorter than at the resume point, or the
    /// resume point is not of this format.
    pub fn resume(output: P, resume_point: ResumePoint) -> io::Result<Self> {
        let ResumePoint::Xml { length, started, up, hosts } = resume_point else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the resume point is of a format other than xml",
            ));
        };
        if !resume_point.is_sound() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the resume point is damaged: no xml document can have it",
            ));
        }
        let latest = Timestamp::from_second(started).unwrap_or_default().into();
        let mut xml = Self::new(output, Counts { started, up, hosts }, latest);
        xml.unless_failed(|xml| xml.truncate_rows(length))?;
        Ok(xml)
    }

    fn new(output: P, counts: Counts, latest: SystemTime) -> Self {
        let pending = Vec::new();
        Self { output, pending, trailer_at: None, counts, latest, has_failed: false }
    }

    /// Calls `write`, unless an earlier call has failed.
    fn unless_failed<T: Default>(
        &mut self,
        write: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.has_failed {
            return Ok(T::default());
        }
        write(self).inspect_err(|_| self.has_failed = true)
    }

    fn add(&mut self, outcome: &Outcome) -> io::Result<()> {
        let mut markup = Markup::append_to(std::mem::take(&mut self.pending));
        let written = host::write(&mut markup, outcome);
        self.pending = markup.into_bytes();
        self.counts.add(&written);
        self.latest = self.latest.max(outcome.time);
        if self.pending.len() >= PENDING_MAX { self.write_pending() } else { Ok(()) }
    }

    /// Writes the pending rows, and a trailer after them if the output can be rewritten.
    fn write_pending(&mut self) -> io::Result<()> {
        if self.output.length().is_none() {
            self.output.write_all(&self.pending)?;
            self.pending.clear();
        } else if !self.pending.is_empty() || self.trailer_at.is_none() {
            self.append_rows(&self.interim_trailer())?;
        }
        self.output.flush()
    }

    fn end(&mut self, ending: &Ending) -> io::Result<()> {
        let left = ending.left();
        let trailer = match left {
            0 => self.trailer(ending.time, "success", None),
            _ => self.trailer(ending.time, "error", Some(&format!("{left} targets are left"))),
        };
        if self.output.length().is_some() {
            self.append_rows(&trailer)?;
        } else {
            self.pending.extend(trailer);
            self.output.write_all(&self.pending)?;
            self.pending.clear();
        }
        self.output.flush()
    }

    /// Returns the trailer that is correct if the process is killed now.
    fn interim_trailer(&self) -> Vec<u8> {
        self.trailer(self.latest, "error", Some("the run was cut off"))
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

    /// Writes the pending rows in place of the trailer, and a new trailer after them.
    ///
    /// The process can be killed between any two pages of a write. The method therefore first writes
    /// the rows after the old trailer, within a processing instruction, which every reader skips.
    /// Then it overwrites the old trailer and the start of the instruction with spaces, in one write
    /// within one page.
    fn append_rows(&mut self, trailer: &[u8]) -> io::Result<()> {
        let end = self.output.length().unwrap_or_default();
        let rows_at = end + if self.trailer_at.is_some() { HIDE.len() as u64 } else { 0 };
        let mut bytes = std::mem::take(&mut self.pending);
        let trailer_at =
            within_page(rows_at + bytes.len() as u64, trailer.len() + SHOW.len() + HIDE.len());
        bytes.resize(to_usize(trailer_at - rows_at), b' ');
        bytes.extend(trailer);
        match self.trailer_at {
            None => self.output.write_all(&[&bytes, SHOW].concat())?,
            Some(old) => self.replace_trailer(old, end, &bytes)?,
        }
        self.trailer_at = Some(trailer_at);
        bytes.clear();
        self.pending = bytes;
        self.output.flush()
    }

    /// Replaces the trailer from `old` to `end` by `bytes`.
    fn replace_trailer(&mut self, old: u64, end: u64, bytes: &[u8]) -> io::Result<()> {
        // Reserve the space with harmless bytes first, so that a full disk fails here.
        let mut reserved = vec![b' '; HIDE.len() + bytes.len()];
        reserved.extend(SHOW);
        self.output.write_all(&reserved)?;
        self.output.flush()?;
        self.output.rewrite(end, HIDE)?;
        let rows_at = end + HIDE.len() as u64;
        self.output.rewrite(rows_at, bytes)?;
        let mut spaces = vec![b' '; to_usize(rows_at - old - 1)];
        spaces.push(b'\n');
        self.output.rewrite(old, &spaces)
    }

    /// Writes a trailer after the first `length` bytes, and removes the rest.
    ///
    /// The rest is hidden from readers until it is removed: the method first appends the end of a
    /// processing instruction, and then writes its start together with the trailer, in one write
    /// within one page.
    fn truncate_rows(&mut self, length: u64) -> io::Result<()> {
        let found = self.output.length().ok_or_else(not_seekable)?;
        if found < length {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the document is shorter than at its resume point",
            ));
        }
        let mut trailer = self.interim_trailer();
        trailer.extend(SHOW);
        let trailer_at = within_page(length, trailer.len() + HIDE.len());
        let end = trailer_at + trailer.len() as u64;
        let show_at = within_page(found.max(end + HIDE.len() as u64), SHOW.len());
        let mut reserved = vec![b' '; to_usize(show_at - found)];
        reserved.extend(SHOW);
        self.output.write_all(&reserved)?;
        self.output.flush()?;
        let mut bytes = vec![b' '; to_usize(trailer_at - length)];
        bytes.extend(trailer);
        bytes.extend(HIDE);
        self.output.rewrite(length, &bytes)?;
        self.output.truncate(end)?;
        self.trailer_at = Some(trailer_at);
        Ok(())
    }
}

impl<P: SeekableOutput> Sink for Xml<P> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.unless_failed(|xml| xml.add(outcome))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unless_failed(Self::write_pending)
    }

    fn checkpoint(&mut self) -> io::Result<ResumePoint> {
        self.flush()?;
        let length = self.trailer_at.ok_or_else(not_seekable)?;
        let Counts { started, up, hosts } = self.counts;
        Ok(ResumePoint::Xml { length, started, up, hosts })
    }

    fn finish(&mut self, ending: &Ending) -> io::Result<()> {
        self.unless_failed(|xml| xml.end(ending))
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

/// Returns the first position from `at` on at which `length` bytes fit into one page.
fn within_page(at: u64, length: usize) -> u64 {
    let rest = PAGE - at % PAGE;
    if length as u64 <= rest { at } else { at + rest }
}

fn to_usize(length: u64) -> usize {
    usize::try_from(length).expect("the length of bytes in memory fits in usize")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;
    use quick_xml::{Reader, events::Event};

    use super::*;
    use crate::{
        outcome::{Account, PortState, Reason},
        sink::samples,
    };

    /// A file that checks after each page of a write that its content is a well-formed document.
    #[derive(Default)]
    struct CheckedFile {
        file: Vec<u8>,
        /// Whether the start of the document is written.
        is_begun: bool,
        /// Number of hosts in the document after each page.
        host_counts: Vec<usize>,
        /// The document after each page.
        snapshots: Vec<Vec<u8>>,
    }

    impl CheckedFile {
        fn write_pages(&mut self, mut at: usize, mut bytes: &[u8]) {
            while !bytes.is_empty() {
                let page = to_usize(PAGE);
                let (now, rest) = bytes.split_at(bytes.len().min(page - at % page));
                self.file.resize(self.file.len().max(at + now.len()), 0);
                self.file[at..at + now.len()].copy_from_slice(now);
                (at, bytes) = (at + now.len(), rest);
                self.check();
            }
            self.is_begun = true;
        }

        fn check(&mut self) {
            if self.is_begun {
                self.host_counts.push(count_hosts(&self.file));
                self.snapshots.push(self.file.clone());
            }
        }
    }

    impl Write for CheckedFile {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_pages(self.file.len(), bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl SeekableOutput for CheckedFile {
        fn length(&self) -> Option<u64> {
            Some(self.file.len() as u64)
        }

        fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
            assert!(at + bytes.len() as u64 <= self.file.len() as u64, "rewrite beyond the end");
            self.write_pages(to_usize(at), bytes);
            Ok(())
        }

        fn truncate(&mut self, length: u64) -> io::Result<()> {
            self.file.truncate(to_usize(length));
            self.check();
            Ok(())
        }
    }

    /// Counts the hosts of a document, and checks that it is complete and nothing follows it.
    fn count_hosts(document: &[u8]) -> usize {
        assert!(document.is_ascii());
        let (mut depth, mut roots, mut hosts) = (0, 0, 0);
        let mut reader = Reader::from_reader(document);
        reader.config_mut().enable_all_checks(true);
        loop {
            match reader.read_event().expect("the XML is well-formed") {
                Event::Start(start) => {
                    roots += i32::from(depth == 0);
                    hosts += usize::from(start.name().as_ref() == "host");
                    depth += 1;
                }
                Event::End(_) => depth -= 1,
                Event::Text(text) if depth == 0 => {
                    assert!(text.trim().is_empty(), "{text:?} is outside of the document");
                }
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!((depth, roots), (0, 1));
        hosts
    }

    fn beginning() -> Beginning {
        Beginning { time: SystemTime::UNIX_EPOCH, arguments: "portmuster check <é>".into() }
    }

    fn ending(targets: u128) -> Ending {
        Ending { account: Account::default(), targets, time: SystemTime::UNIX_EPOCH }
    }

    fn refused() -> Outcome {
        samples::not_open(PortState::Closed, Reason::Refused)
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).expect("the document is ASCII")
    }

    /// Returns the element that is written for one outcome.
    fn row(outcome: &Outcome) -> String {
        let mut markup = Markup::default();
        host::write(&mut markup, outcome);
        String::from_utf8(markup.into_bytes()).expect("the document is ASCII")
    }

    #[test]
    fn document_is_well_formed_after_each_page_of_a_write() {
        let mut xml = Xml::begin(CheckedFile::default(), &beginning()).expect("there is room");
        let mut written = 0;
        // Batches that end before and after the end of a page, and one of several pages.
        for batch in (0..40).map(|round| round % 7 + 1).chain([100]) {
            for _ in 0..batch {
                let outcome = if batch == 3 { samples::everything() } else { refused() };
                xml.write(&outcome).expect("there is room");
            }
            xml.flush().expect("there is room");
            written += batch;
            assert_eq!(xml.output.host_counts.last(), Some(&written));
        }
        xml.finish(&ending(0)).expect("there is room");
        assert_eq!(count_hosts(&xml.output.file), written);
        assert!(xml.output.host_counts.is_sorted(), "{:?}", xml.output.host_counts);
        assert!(xml.output.host_counts.len() > 200);
    }

    #[test]
    fn pending_rows_without_flush_are_bounded() {
        let mut xml =
            Xml::begin(Vec::new(), &beginning()).expect("writing to a vector cannot fail");
        for _ in 0..2000 {
            xml.write(&refused()).expect("writing to a vector cannot fail");
            assert!(xml.pending.len() < PENDING_MAX);
        }
        assert!(count_hosts(&xml.output) > 0);
    }

    /// The run was killed after each page behind a checkpoint, and the resumed run is checked after
    /// each page, too.
    #[test]
    fn document_is_well_formed_after_each_page_of_a_resume() {
        // The trailer contains the elapsed time: the new one is as long as the old one, or shorter.
        for began in [refused().time, SystemTime::UNIX_EPOCH] {
            // Trailers at the start, at the end and on both sides of the end of a page.
            for before in 1..=30 {
                let (resume_point, snapshots) = snapshots_after_checkpoint(began, before);
                for file in snapshots {
                    let output = CheckedFile { file, is_begun: true, ..CheckedFile::default() };
                    let mut xml = Xml::resume(output, resume_point).expect("there is room");
                    assert_eq!(count_hosts(&xml.output.file), before);
                    xml.write(&refused()).expect("there is room");
                    xml.finish(&ending(0)).expect("there is room");
                    assert_eq!(xml.output.host_counts.last(), Some(&(before + 1)));
                }
            }
        }
    }

    /// The document ends up to 63 bytes before the end of a page.
    #[test]
    fn resume_does_not_split_an_instruction_at_the_end_of_a_page() {
        let begin = |arguments: String| {
            let beginning = Beginning { time: SystemTime::UNIX_EPOCH, arguments };
            Xml::begin(CheckedFile::default(), &beginning).expect("there is room")
        };
        let shortest = begin(String::new()).output.file.len();
        for rest in 0..64 {
            let more = to_usize(2 * PAGE) - rest - shortest;
            let mut xml = begin("x".repeat(more));
            let resume_point = xml.checkpoint().expect("there is room");
            let output =
                CheckedFile { file: xml.output.file, is_begun: true, ..CheckedFile::default() };
            let xml = Xml::resume(output, resume_point).expect("there is room");
            assert!(xml.output.host_counts.len() >= 3, "{:?}", xml.output.host_counts);
        }
    }

    /// Makes a checkpoint after `rows` rows. Returns the content of the file there and after each
    /// later page.
    fn snapshots_after_checkpoint(began: SystemTime, rows: usize) -> (ResumePoint, Vec<Vec<u8>>) {
        let beginning = Beginning { time: began, ..beginning() };
        let mut xml = Xml::begin(CheckedFile::default(), &beginning).expect("there is room");
        for _ in 0..rows {
            xml.write(&refused()).expect("there is room");
        }
        let resume_point = xml.checkpoint().expect("there is room");
        xml.output.snapshots = vec![xml.output.file.clone()];
        for batch in [1, 20] {
            for _ in 0..batch {
                xml.write(&refused()).expect("there is room");
            }
            xml.flush().expect("there is room");
        }
        (resume_point, xml.output.snapshots)
    }

    #[test]
    fn resume_appends_to_a_truncated_document() {
        let mut xml = Xml::begin(CheckedFile::default(), &beginning()).expect("there is room");
        xml.write(&refused()).expect("there is room");
        let resume_point = xml.checkpoint().expect("there is room");
        xml.write(&samples::everything()).expect("there is room");
        xml.flush().expect("there is room");
        let ResumePoint::Xml { length, hosts, up, .. } = resume_point else {
            panic!("{resume_point:?}")
        };
        assert_eq!((hosts, up), (1, 1));

        let mut file = xml.output.file;
        file.truncate(to_usize(length));
        let output = CheckedFile { file, ..CheckedFile::default() };
        let mut xml = Xml::resume(output, resume_point).expect("there is room");
        assert_eq!(count_hosts(&xml.output.file), 1);
        xml.write(&samples::not_open(PortState::Filtered, Reason::NoAnswer)).expect("room");
        xml.finish(&ending(0)).expect("there is room");
        assert_eq!(count_hosts(&xml.output.file), 2);
        assert!(text(&xml.output.file).contains(r#"<hosts up="1" down="0" total="2"/>"#));
    }

    #[test]
    fn resume_refuses_a_resume_point_that_does_not_fit() {
        assert!(Xml::resume(Vec::new(), ResumePoint::Lines { length: 1 }).is_err());
        let beyond_the_end = ResumePoint::Xml { length: 8, started: 0, up: 0, hosts: 0 };
        assert!(Xml::resume(Vec::new(), beyond_the_end).is_err());
        for (started, up, hosts) in
            [(i64::MIN, 0, 0), (i64::MAX, 0, 0), (0, 2, 1), (0, 0, u64::MAX)]
        {
            let damaged = ResumePoint::Xml { length: 8, started, up, hosts };
            assert!(Xml::resume(b"<xml />\n".to_vec(), damaged).is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn trailer_records_how_the_run_ended() {
        for (targets, expected) in
            [(0, r#"exit="success"/>"#), (7, r#"exit="error" errormsg="7 targets are left"/>"#)]
        {
            let mut xml =
                Xml::begin(Vec::new(), &beginning()).expect("writing to a vector cannot fail");
            assert!(text(&xml.output).contains(r#"exit="error" errormsg="the run was cut off"/>"#));
            xml.finish(&ending(targets)).expect("writing to a vector cannot fail");
            assert!(text(&xml.output).contains(expected), "{}", text(&xml.output));
        }
    }

    #[test]
    fn outcomes_are_written_as_nmap_elements() {
        for (outcome, expected) in [
            (refused(), r#"<status state="up" reason="conn-refused" reason_ttl="0"/>"#),
            (refused(), r#"<address addr="10.0.0.5" addrtype="ipv4"/>"#),
            (refused(), r#"<hostname name="db.example" type="user"/>"#),
            (refused(), r#"<state state="closed" reason="conn-refused" reason_ttl="0"/>"#),
            (
                samples::not_open(PortState::Filtered, Reason::NoAnswer),
                r#"<state state="filtered" reason="no-response" reason_ttl="0"/>"#,
            ),
            (
                samples::not_open(PortState::Unchecked, Reason::NoRoute),
                r#"<status state="unknown" reason="no-route" reason_ttl="0"/>"#,
            ),
            (
                samples::unresolved(),
                r#"<target specification="db.example:22" status="skipped" reason="invalid"/>"#,
            ),
            (samples::everything(), r#"<port protocol="tcp" portid="22"><state state="open""#),
            (
                samples::everything(),
                r#"<service name="ssh" product="OpenSSH" version="7.4 a comment" extrainfo="protocol 2.0" method="probed" conf="10"/>"#,
            ),
            (samples::everything(), r#"<script id="ssh2-enum-algos" output="&#10;  kex_alg"#),
            (samples::everything(), r#"<table key="kex_algorithms"><elem>kex-a</elem>"#),
            (samples::everything(), r#"<elem key="rule">identification</elem>"#),
            (samples::everything(), r#"<elem key="findings">3des md5</elem>"#),
            (
                samples::no_utf8(),
                r#"<service name="ssh" product="Caf\xe9" version="1.2\\x =\xff \x1b[2J" extrainfo="protocol 2.0" method="probed" conf="10"/>"#,
            ),
            (
                samples::no_utf8(),
                r#"<script id="banner" output="SSH-2.0-Caf\xe9_1.2\\x =\xff \x1b[2J"/>"#,
            ),
            (samples::binary(), r#"<script id="banner" output="\xff\xfb\x01"/>"#),
        ] {
            let row = row(&outcome);
            assert!(row.contains(expected), "{expected} in {row}");
        }
    }

    proptest! {
        #[test]
        fn document_with_untrusted_text_is_well_formed(
            banner: Vec<u8>,
            label: String,
            name: String,
        ) {
            let mut outcome = samples::everything();
            outcome.verdict.banner = banner;
            outcome.target = crate::Target::from((crate::Host::Name(name.into()), 22));
            outcome.target.label = Some(label.into());
            let mut xml = Xml::begin(Vec::new(), &beginning()).expect("writing to a vector cannot fail");
            xml.write(&outcome).expect("writing to a vector cannot fail");
            xml.finish(&ending(0)).expect("writing to a vector cannot fail");
            prop_assert_eq!(count_hosts(&xml.output), 1);
            prop_assert!(xml.output.iter().all(|&byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
        }
    }
}
