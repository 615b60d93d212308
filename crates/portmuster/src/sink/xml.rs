//! The XML of nmap (`nmap -oX`), for programs that read it.
//!
//! Each outcome is a `host` with one `port`, as it becomes known, so a host with several ports
//! comes several times. How our words become nmap's stands in [`host`](mod@host).
//!
//! A file is a document at every moment, whatever ends the process: behind the rows stands the
//! trailer, and more rows take its place in a way of which every step leaves a document, see
//! [`Xml::settle`], as does what takes rows back, [`Xml::cut_back`].
//!
//! Invariant: all of it is ASCII, so a step that is cut off leaves no half of a letter.

use std::{io, time::SystemTime};

use jiff::Timestamp;

use self::{host::Written, markup::Markup};
use super::{Beginning, Ending, ResumePoint, SeekableOutput, Sink, seekable::nothing_taken_back};
use crate::outcome::Outcome;

mod host;
mod markup;

/// The version of nmap's format.
const FORMAT: &str = "1.05";

/// Rows that wait, in bytes, when nobody flushes before.
const WAITING_MAX: usize = 256 * 1024;

/// What the system writes at once, however it is stopped: it looks for the end of the process
/// only between two pages.
const PAGE: u64 = 4096;

/// Begins a part that is not to be read yet: what is called a processing instruction.
const HIDDEN: &[u8] = b"<?more ";

/// Ends it, and is one by itself where there is none.
const SHOWN: &[u8] = b"<?end?>\n";

/// Writes outcomes in nmap's format.
#[derive(Debug)]
pub struct Xml<P> {
    place: P,
    /// Rows that are not in a file yet.
    waiting: Vec<u8>,
    /// Where the trailer stands in a file; `None` while there is none.
    trailer_at: Option<u64>,
    counts: Counts,
    /// The time of the latest row.
    latest: SystemTime,
    has_failed: bool,
}

/// What the trailer says, and what it is counted from.
#[derive(Debug, Clone, Copy)]
struct Counts {
    /// The beginning of the run, in seconds since 1970.
    started: i64,
    up: u64,
    /// All that is written as a host.
    hosts: u64,
}

impl Counts {
    fn add(&mut self, written: &Written) {
        let (up, hosts) = match written {
            Written::Up => (1, 1),
            Written::Host => (0, 1),
            Written::Skipped => (0, 0),
        };
        self.up += up;
        self.hosts += hosts;
    }
}

impl<P: SeekableOutput> Xml<P> {
    /// Begins a document.
    ///
    /// # Errors
    /// It could not be written.
    pub fn begin(place: P, beginning: &Beginning) -> io::Result<Self> {
        let counts = Counts { started: seconds(beginning.time), up: 0, hosts: 0 };
        let mut xml = Self::of(place, counts, beginning.time);
        xml.waiting = head(beginning);
        if xml.place.length().is_some() {
            xml.attempt(Self::pass_on)?;
        }
        Ok(xml)
    }

    /// Goes on in a document where `mark` was made; what came later goes.
    ///
    /// # Errors
    /// It could not be written or cut, it has less than it had, or the mark is not one of this
    /// format.
    pub fn resume(place: P, mark: ResumePoint) -> io::Result<Self> {
        let ResumePoint::Xml { length, started, up, hosts } = mark else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it was not written as xml"));
        };
        if !mark.is_sound() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no document has such a mark"));
        }
        let latest = Timestamp::from_second(started).unwrap_or_default().into();
        let mut xml = Self::of(place, Counts { started, up, hosts }, latest);
        xml.attempt(|xml| xml.cut_back(length))?;
        Ok(xml)
    }

    fn of(place: P, counts: Counts, latest: SystemTime) -> Self {
        let waiting = Vec::new();
        Self { place, waiting, trailer_at: None, counts, latest, has_failed: false }
    }

    /// Lets something be written; once that has failed, nothing is any more.
    fn attempt<T: Default>(
        &mut self,
        write: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.has_failed {
            return Ok(T::default());
        }
        write(self).inspect_err(|_| self.has_failed = true)
    }

    fn add(&mut self, outcome: &Outcome) -> io::Result<()> {
        let mut markup = Markup::behind(std::mem::take(&mut self.waiting));
        let written = host::write(&mut markup, outcome);
        self.waiting = markup.bytes();
        self.counts.add(&written);
        self.latest = self.latest.max(outcome.time);
        if self.waiting.len() >= WAITING_MAX { self.pass_on() } else { Ok(()) }
    }

    /// Passes on the rows that wait, and behind them the trailer where it can be taken back.
    fn pass_on(&mut self) -> io::Result<()> {
        if self.place.length().is_none() {
            self.place.write_all(&self.waiting)?;
            self.waiting.clear();
        } else if !self.waiting.is_empty() || self.trailer_at.is_none() {
            self.settle(&self.trailer_so_far())?;
        }
        self.place.flush()
    }

    fn end(&mut self, ending: &Ending) -> io::Result<()> {
        let left = ending.left();
        let trailer = match left {
            0 => self.trailer(ending.time, "success", None),
            _ => self.trailer(ending.time, "error", Some(&format!("{left} targets are left"))),
        };
        if self.place.length().is_some() {
            self.settle(&trailer)?;
        } else {
            self.waiting.extend(trailer);
            self.place.write_all(&self.waiting)?;
            self.waiting.clear();
        }
        self.place.flush()
    }

    /// What is true should nothing more be written.
    fn trailer_so_far(&self) -> Vec<u8> {
        self.trailer(self.latest, "error", Some("the run was cut off"))
    }

    fn trailer(&self, time: SystemTime, exit: &str, message: Option<&str>) -> Vec<u8> {
        let Counts { started, up, hosts } = self.counts;
        let elapsed = (seconds(time) - started).max(0);
        let summary = format!("{hosts} outcomes in {elapsed} s, of which {up} prove a host up");
        let (time, elapsed, told) = (seconds(time).to_string(), elapsed.to_string(), told(time));
        let mut markup = Markup::default();
        let mut finished = vec![
            ("time", &*time),
            ("timestr", &told),
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
        markup.bytes()
    }

    /// Puts the rows that wait where the trailer stands, and a new trailer behind them.
    ///
    /// A process can be killed between any two pages of a write. So the rows come behind the old
    /// trailer first, in a processing instruction, which every reader passes over, and in one
    /// write within one page the old trailer and the beginning of the instruction become blanks.
    fn settle(&mut self, trailer: &[u8]) -> io::Result<()> {
        let end = self.place.length().unwrap_or_default();
        let rows_at = end + if self.trailer_at.is_some() { HIDDEN.len() as u64 } else { 0 };
        let mut bytes = std::mem::take(&mut self.waiting);
        let trailer_at =
            within_page(rows_at + bytes.len() as u64, trailer.len() + SHOWN.len() + HIDDEN.len());
        bytes.resize(to_length(trailer_at - rows_at), b' ');
        bytes.extend(trailer);
        match self.trailer_at {
            None => self.place.write_all(&[&bytes, SHOWN].concat())?,
            Some(old) => self.replace(old, end, &bytes)?,
        }
        self.trailer_at = Some(trailer_at);
        bytes.clear();
        self.waiting = bytes;
        self.place.flush()
    }

    /// Lets `bytes` be what stands behind the rows, instead of the trailer from `old` to `end`.
    fn replace(&mut self, old: u64, end: u64, bytes: &[u8]) -> io::Result<()> {
        // Only blanks and the last line: where the disk is full it fails here.
        let mut room = vec![b' '; HIDDEN.len() + bytes.len()];
        room.extend(SHOWN);
        self.place.write_all(&room)?;
        self.place.flush()?;
        self.place.rewrite(end, HIDDEN)?;
        let rows_at = end + HIDDEN.len() as u64;
        self.place.rewrite(rows_at, bytes)?;
        let mut blanks = vec![b' '; to_length(rows_at - old - 1)];
        blanks.push(b'\n');
        self.place.rewrite(old, &blanks)
    }

    /// Puts a trailer behind the rows up to `length`, where one has stood, and takes back the rest.
    ///
    /// Until it is cut off, the rest is hidden from readers: behind it comes the end of a
    /// processing instruction first, which begins in the same write, within one page, as the
    /// trailer.
    fn cut_back(&mut self, length: u64) -> io::Result<()> {
        let found = self.place.length().ok_or_else(nothing_taken_back)?;
        if found < length {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it has less than it had"));
        }
        let mut trailer = self.trailer_so_far();
        trailer.extend(SHOWN);
        let trailer_at = within_page(length, trailer.len() + HIDDEN.len());
        let end = trailer_at + trailer.len() as u64;
        let shown_at = within_page(found.max(end + HIDDEN.len() as u64), SHOWN.len());
        let mut room = vec![b' '; to_length(shown_at - found)];
        room.extend(SHOWN);
        self.place.write_all(&room)?;
        self.place.flush()?;
        let mut bytes = vec![b' '; to_length(trailer_at - length)];
        bytes.extend(trailer);
        bytes.extend(HIDDEN);
        self.place.rewrite(length, &bytes)?;
        self.place.truncate(end)?;
        self.trailer_at = Some(trailer_at);
        Ok(())
    }
}

impl<P: SeekableOutput> Sink for Xml<P> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.attempt(|xml| xml.add(outcome))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(Self::pass_on)
    }

    fn checkpoint(&mut self) -> io::Result<ResumePoint> {
        self.flush()?;
        let length = self.trailer_at.ok_or_else(nothing_taken_back)?;
        let Counts { started, up, hosts } = self.counts;
        Ok(ResumePoint::Xml { length, started, up, hosts })
    }

    fn finish(&mut self, ending: &Ending) -> io::Result<()> {
        self.attempt(|xml| xml.end(ending))
    }
}

/// All before the first row.
fn head(beginning: &Beginning) -> Vec<u8> {
    let (start, told) = (seconds(beginning.time).to_string(), told(beginning.time));
    let mut markup = Markup::behind(
        b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE nmaprun>\n".to_vec(),
    );
    markup.open(
        "nmaprun",
        &[
            // The format knows no other.
            ("scanner", "nmap"),
            ("args", &markup::visible(&beginning.arguments)),
            ("start", &start),
            ("startstr", &told),
            ("version", concat!("portmuster ", env!("CARGO_PKG_VERSION"))),
            ("xmloutputversion", FORMAT),
        ],
    );
    markup.line_end();
    markup.empty("verbose", &[("level", "0")]);
    markup.empty("debugging", &[("level", "0")]);
    markup.line_end();
    markup.bytes()
}

/// The first place from `at` on from which `length` bytes stand in one page.
fn within_page(at: u64, length: usize) -> u64 {
    let rest = PAGE - at % PAGE;
    if length as u64 <= rest { at } else { at + rest }
}

fn to_length(length: u64) -> usize {
    usize::try_from(length).expect("what is in memory has a length")
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> i64 {
    Timestamp::try_from(time).map_or(0, Timestamp::as_second)
}

/// As nmap tells it, in UTC.
fn told(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or_default();
    time.strftime("%a %b %e %H:%M:%S %Y").to_string()
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

    /// A file of which every moment is looked at: whoever reads it between two pages of a write
    /// finds a document.
    #[derive(Default)]
    struct Watched {
        file: Vec<u8>,
        /// The document has been begun.
        is_begun: bool,
        /// Hosts in the document, in each of its moments.
        seen: Vec<usize>,
        /// The document itself, in each of them.
        moments: Vec<Vec<u8>>,
    }

    impl Watched {
        fn put(&mut self, mut at: usize, mut bytes: &[u8]) {
            while !bytes.is_empty() {
                let page = to_length(PAGE);
                let (now, later) = bytes.split_at(bytes.len().min(page - at % page));
                self.file.resize(self.file.len().max(at + now.len()), 0);
                self.file[at..at + now.len()].copy_from_slice(now);
                (at, bytes) = (at + now.len(), later);
                self.look();
            }
            self.is_begun = true;
        }

        fn look(&mut self) {
            if self.is_begun {
                self.seen.push(hosts(&self.file));
                self.moments.push(self.file.clone());
            }
        }
    }

    impl Write for Watched {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.put(self.file.len(), bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl SeekableOutput for Watched {
        fn length(&self) -> Option<u64> {
            Some(self.file.len() as u64)
        }

        fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
            assert!(at + bytes.len() as u64 <= self.file.len() as u64, "it is beyond the end");
            self.put(usize::try_from(at).expect("it is small"), bytes);
            Ok(())
        }

        fn truncate(&mut self, length: u64) -> io::Result<()> {
            self.file.truncate(usize::try_from(length).expect("it is small"));
            self.look();
            Ok(())
        }
    }

    /// The hosts of a document, of which nothing is missing and behind which nothing stands.
    fn hosts(document: &[u8]) -> usize {
        assert!(document.is_ascii());
        let (mut depth, mut roots, mut hosts) = (0, 0, 0);
        let mut reader = Reader::from_reader(document);
        reader.config_mut().enable_all_checks(true);
        loop {
            match reader.read_event().expect("it is a document") {
                Event::Start(start) => {
                    roots += i32::from(depth == 0);
                    hosts += usize::from(start.name().as_ref() == "host");
                    depth += 1;
                }
                Event::End(_) => depth -= 1,
                Event::Text(text) if depth == 0 => {
                    assert!(text.trim().is_empty(), "{text:?} stands outside");
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
        std::str::from_utf8(bytes).expect("it is ASCII")
    }

    /// What is written of one outcome.
    fn row(outcome: &Outcome) -> String {
        let mut markup = Markup::default();
        host::write(&mut markup, outcome);
        String::from_utf8(markup.bytes()).expect("it is ASCII")
    }

    #[test]
    fn every_moment_of_a_file_is_a_document_and_no_row_is_lost() {
        let mut xml = Xml::begin(Watched::default(), &beginning()).expect("there is room");
        let mut written = 0;
        // Batches that end on every side of a page's end, and one of several pages.
        for batch in (0..40).map(|round| round % 7 + 1).chain([100]) {
            for _ in 0..batch {
                let outcome = if batch == 3 { samples::everything() } else { refused() };
                xml.write(&outcome).expect("there is room");
            }
            xml.flush().expect("there is room");
            written += batch;
            assert_eq!(xml.place.seen.last(), Some(&written));
        }
        xml.finish(&ending(0)).expect("there is room");
        assert_eq!(hosts(&xml.place.file), written);
        assert!(xml.place.seen.is_sorted(), "{:?}", xml.place.seen);
        assert!(xml.place.seen.len() > 200);
    }

    #[test]
    fn rows_that_nobody_flushes_are_bounded() {
        let mut xml = Xml::begin(Vec::new(), &beginning()).expect("a vector takes everything");
        for _ in 0..2000 {
            xml.write(&refused()).expect("a vector takes everything");
            assert!(xml.waiting.len() < WAITING_MAX);
        }
        assert!(hosts(&xml.place) > 0);
    }

    /// Wherever a run was killed after a checkpoint, and wherever the one that goes on is killed.
    #[test]
    fn every_moment_of_going_on_is_a_document() {
        // The trailer tells how long it took: the new one is as long as the old, or shorter.
        for began in [refused().time, SystemTime::UNIX_EPOCH] {
            // Trailers at the beginning, at the end and on both sides of the end of a page.
            for before in 1..=30 {
                let (mark, moments) = moments_behind_a_mark(began, before);
                for file in moments {
                    let place = Watched { file, is_begun: true, ..Watched::default() };
                    let mut xml = Xml::resume(place, mark).expect("there is room");
                    assert_eq!(hosts(&xml.place.file), before);
                    xml.write(&refused()).expect("there is room");
                    xml.finish(&ending(0)).expect("there is room");
                    assert_eq!(xml.place.seen.last(), Some(&(before + 1)));
                }
            }
        }
    }

    /// A document that ends just before the end of a page, at each place.
    #[test]
    fn going_on_leaves_no_half_of_an_instruction_at_the_end_of_a_page() {
        let begin = |arguments: String| {
            let beginning = Beginning { time: SystemTime::UNIX_EPOCH, arguments };
            Xml::begin(Watched::default(), &beginning).expect("there is room")
        };
        let shortest = begin(String::new()).place.file.len();
        for rest in 0..64 {
            let more = to_length(2 * PAGE) - rest - shortest;
            let mut xml = begin("x".repeat(more));
            let mark = xml.checkpoint().expect("there is room");
            let place = Watched { file: xml.place.file, is_begun: true, ..Watched::default() };
            let xml = Xml::resume(place, mark).expect("there is room");
            assert!(xml.place.seen.len() >= 3, "{:?}", xml.place.seen);
        }
    }

    /// What a file is like when a mark is made behind so many rows, and in each moment after that.
    fn moments_behind_a_mark(began: SystemTime, rows: usize) -> (ResumePoint, Vec<Vec<u8>>) {
        let beginning = Beginning { time: began, ..beginning() };
        let mut xml = Xml::begin(Watched::default(), &beginning).expect("there is room");
        for _ in 0..rows {
            xml.write(&refused()).expect("there is room");
        }
        let mark = xml.checkpoint().expect("there is room");
        xml.place.moments = vec![xml.place.file.clone()];
        for batch in [1, 20] {
            for _ in 0..batch {
                xml.write(&refused()).expect("there is room");
            }
            xml.flush().expect("there is room");
        }
        (mark, xml.place.moments)
    }

    #[test]
    fn a_document_goes_on_where_it_was_cut() {
        let mut xml = Xml::begin(Watched::default(), &beginning()).expect("there is room");
        xml.write(&refused()).expect("there is room");
        let mark = xml.checkpoint().expect("there is room");
        xml.write(&samples::everything()).expect("there is room");
        xml.flush().expect("there is room");
        let ResumePoint::Xml { length, hosts: marked, up, .. } = mark else { panic!("{mark:?}") };
        assert_eq!((marked, up), (1, 1));

        let mut file = xml.place.file;
        file.truncate(usize::try_from(length).expect("it is small"));
        let place = Watched { file, ..Watched::default() };
        let mut xml = Xml::resume(place, mark).expect("there is room");
        assert_eq!(hosts(&xml.place.file), 1);
        xml.write(&samples::not_open(PortState::Filtered, Reason::NoAnswer)).expect("room");
        xml.finish(&ending(0)).expect("there is room");
        assert_eq!(hosts(&xml.place.file), 2);
        assert!(text(&xml.place.file).contains(r#"<hosts up="1" down="0" total="2"/>"#));
        assert!(Xml::resume(Vec::new(), ResumePoint::Lines { length: 1 }).is_err());
        assert!(Xml::resume(Vec::new(), mark).is_err(), "it is shorter than it was");
        for (started, up, hosts) in
            [(i64::MIN, 0, 0), (i64::MAX, 0, 0), (0, 2, 1), (0, 0, u64::MAX)]
        {
            let mark = ResumePoint::Xml { length: 8, started, up, hosts };
            assert!(Xml::resume(b"<xml />\n".to_vec(), mark).is_err(), "{mark:?}");
        }
    }

    #[test]
    fn the_trailer_says_how_it_ended() {
        for (targets, expected) in
            [(0, r#"exit="success"/>"#), (7, r#"exit="error" errormsg="7 targets are left"/>"#)]
        {
            let mut xml = Xml::begin(Vec::new(), &beginning()).expect("a vector takes everything");
            assert!(text(&xml.place).contains(r#"exit="error" errormsg="the run was cut off"/>"#));
            xml.finish(&ending(targets)).expect("a vector takes everything");
            assert!(text(&xml.place).contains(expected), "{}", text(&xml.place));
        }
    }

    #[test]
    fn outcomes_are_told_in_nmaps_words() {
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
        fn whatever_a_stranger_says_the_document_holds_it(
            banner: Vec<u8>,
            label: String,
            name: String,
        ) {
            let mut outcome = samples::everything();
            outcome.verdict.banner = banner;
            outcome.target = crate::Target::from((crate::Host::Name(name.into()), 22));
            outcome.target.label = Some(label.into());
            let mut xml = Xml::begin(Vec::new(), &beginning()).expect("a vector takes everything");
            xml.write(&outcome).expect("a vector takes everything");
            xml.finish(&ending(0)).expect("a vector takes everything");
            prop_assert_eq!(hosts(&xml.place), 1);
            prop_assert!(xml.place.iter().all(|&byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
        }
    }
}
