//! A document in a file, which is well-formed at every moment.

use std::io;

use jiff::Timestamp;

use super::document::{Counts, Document};
use crate::{
    outcome::Outcome,
    sink::{
        first_error::FirstError,
        interface::{Beginning, Ending, ResumableSink, ResumePoint, Sink},
        resumable::{ResumableOutput, invalid},
    },
};

/// The unit that the kernel writes completely even if the process is killed: it checks for pending
/// signals only between two pages.
const PAGE: u64 = 4096;

/// Starts a processing instruction, which readers of XML skip. It hides incomplete parts.
const HIDE: &[u8] = b"<?more ";

/// Ends the processing instruction; without one it is an empty instruction itself.
const SHOW: &[u8] = b"<?end?>\n";

/// Writes outcomes in nmap's XML format to a file that is a well-formed document at every moment.
///
/// The trailer follows the rows that were flushed, even if the process is killed. A stream, which
/// cannot be rewritten, takes an [`Xml`](super::Xml) instead.
#[derive(Debug)]
pub struct XmlFile<W> {
    output: W,
    document: Document,
    /// Position of the trailer; `None` before the first write.
    trailer_at: Option<u64>,
    first_error: FirstError,
}

impl<W: ResumableOutput> XmlFile<W> {
    /// Starts a document in an empty output.
    ///
    /// # Errors
    /// The output is not empty, or the document could not be written.
    pub fn begin(output: W, beginning: &Beginning) -> io::Result<Self> {
        let mut xml = Self::new(output, Document::begin(beginning));
        if xml.output.seek_to_end()? > 0 {
            return Err(invalid("the output has content before the start of the document"));
        }
        xml.attempt(Self::write_pending)?;
        Ok(xml)
    }

    /// Resumes a document from the resume point, and removes later rows.
    ///
    /// # Errors
    /// The document could not be written or truncated, it is shorter than at the resume point, or the
    /// resume point is not of this format.
    pub fn resume(output: W, resume_point: ResumePoint) -> io::Result<Self> {
        let ResumePoint::Xml { length, started, up, hosts } = resume_point else {
            return Err(invalid("the resume point is of a format other than xml"));
        };
        if !resume_point.is_sound() {
            return Err(invalid("the resume point is damaged: no xml document can have it"));
        }
        let latest = Timestamp::from_second(started).unwrap_or_default().into();
        let mut xml = Self::new(output, Document::resume(Counts { started, up, hosts }, latest));
        xml.attempt(|xml| xml.truncate_rows(length))?;
        Ok(xml)
    }

    fn new(output: W, document: Document) -> Self {
        Self { output, document, trailer_at: None, first_error: FirstError::default() }
    }

    /// Returns the output, for example to sync a file.
    pub fn get_ref(&self) -> &W {
        &self.output
    }

    /// Calls `act`, unless an earlier call has failed.
    fn attempt<T>(&mut self, act: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        self.first_error.check()?;
        let result = act(self);
        self.first_error.keep(result)
    }

    /// Writes the pending rows, and a trailer after them.
    fn write_pending(&mut self) -> io::Result<()> {
        if !self.document.pending.is_empty() || self.trailer_at.is_none() {
            self.append_rows(&self.document.interim_trailer())?;
        }
        self.output.flush()
    }

    /// Writes the pending rows in place of the trailer, and a new trailer after them.
    ///
    /// The process can be killed between any two pages of a write. The method therefore first writes
    /// the rows after the old trailer, within a processing instruction, which every reader skips.
    /// Then it overwrites the old trailer and the start of the instruction with spaces, in one write
    /// within one page.
    fn append_rows(&mut self, trailer: &[u8]) -> io::Result<()> {
        let end = self.output.seek_to_end()?;
        let rows_at = end + if self.trailer_at.is_some() { HIDE.len() as u64 } else { 0 };
        let mut bytes = std::mem::take(&mut self.document.pending);
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
        self.document.pending = bytes;
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
        let found = self.output.seek_to_end()?;
        if found < length {
            return Err(invalid("the document is shorter than at its resume point"));
        }
        let mut trailer = self.document.interim_trailer();
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

impl<W: ResumableOutput> Sink for XmlFile<W> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.attempt(|xml| if xml.document.add(outcome) { xml.write_pending() } else { Ok(()) })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(Self::write_pending)
    }

    fn finish(&mut self, ending: &Ending) -> io::Result<()> {
        self.attempt(|xml| xml.append_rows(&xml.document.final_trailer(ending)))
    }
}

impl<W: ResumableOutput> ResumableSink for XmlFile<W> {
    fn checkpoint(&mut self) -> io::Result<ResumePoint> {
        self.flush()?;
        let length = self.trailer_at.expect("the document has had a trailer since it was begun");
        let Counts { started, up, hosts } = self.document.counts;
        Ok(ResumePoint::Xml { length, started, up, hosts })
    }
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
    use std::{
        fs::{self, File},
        io::{BufWriter, Write},
        time::SystemTime,
    };

    use super::{
        super::{
            document::PENDING_MAX,
            tests::{beginning, count_hosts, ending, refused, text},
        },
        *,
    };
    use crate::{
        outcome::{PortState, Reason},
        sink::{
            first_error::tests::{FailsOnce, assert_earlier},
            samples,
        },
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

    impl ResumableOutput for CheckedFile {
        fn seek_to_end(&mut self) -> io::Result<u64> {
            Ok(self.file.len() as u64)
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

    #[test]
    fn document_is_well_formed_after_each_page_of_a_write() {
        let mut xml = XmlFile::begin(CheckedFile::default(), &beginning()).expect("there is room");
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
            XmlFile::begin(Vec::new(), &beginning()).expect("writing to a vector cannot fail");
        for _ in 0..2000 {
            xml.write(&refused()).expect("writing to a vector cannot fail");
            assert!(xml.document.pending.len() < PENDING_MAX);
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
                    let mut xml = XmlFile::resume(output, resume_point).expect("there is room");
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
            XmlFile::begin(CheckedFile::default(), &beginning).expect("there is room")
        };
        let shortest = begin(String::new()).output.file.len();
        for rest in 0..64 {
            let more = to_usize(2 * PAGE) - rest - shortest;
            let mut xml = begin("x".repeat(more));
            let resume_point = xml.checkpoint().expect("there is room");
            let output =
                CheckedFile { file: xml.output.file, is_begun: true, ..CheckedFile::default() };
            let xml = XmlFile::resume(output, resume_point).expect("there is room");
            assert!(xml.output.host_counts.len() >= 3, "{:?}", xml.output.host_counts);
        }
    }

    /// Makes a checkpoint after `rows` rows. Returns the content of the file there and after each
    /// later page.
    fn snapshots_after_checkpoint(began: SystemTime, rows: usize) -> (ResumePoint, Vec<Vec<u8>>) {
        let beginning = Beginning { time: began, ..beginning() };
        let mut xml = XmlFile::begin(CheckedFile::default(), &beginning).expect("there is room");
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
        let mut xml = XmlFile::begin(CheckedFile::default(), &beginning()).expect("there is room");
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
        let mut xml = XmlFile::resume(output, resume_point).expect("there is room");
        assert_eq!(count_hosts(&xml.output.file), 1);
        xml.write(&samples::not_open(PortState::Filtered, Reason::NoAnswer)).expect("room");
        xml.finish(&ending(0)).expect("there is room");
        assert_eq!(count_hosts(&xml.output.file), 2);
        assert!(text(&xml.output.file).contains(r#"<hosts up="1" down="0" total="2"/>"#));
    }

    #[test]
    fn resume_refuses_a_resume_point_that_does_not_fit() {
        assert!(XmlFile::resume(Vec::new(), ResumePoint::Lines { length: 1 }).is_err());
        let beyond_the_end = ResumePoint::Xml { length: 8, started: 0, up: 0, hosts: 0 };
        assert!(XmlFile::resume(Vec::new(), beyond_the_end).is_err());
        for (started, up, hosts) in
            [(i64::MIN, 0, 0), (i64::MAX, 0, 0), (0, 2, 1), (0, 0, u64::MAX)]
        {
            let damaged = ResumePoint::Xml { length: 8, started, up, hosts };
            assert!(XmlFile::resume(b"<xml />\n".to_vec(), damaged).is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn trailer_records_how_the_run_ended() {
        for (targets, expected) in
            [(0, r#"exit="success"/>"#), (7, r#"exit="error" errormsg="7 targets are left"/>"#)]
        {
            let mut xml =
                XmlFile::begin(Vec::new(), &beginning()).expect("writing to a vector cannot fail");
            assert!(text(&xml.output).contains(r#"exit="error" errormsg="the run was cut off"/>"#));
            xml.finish(&ending(targets)).expect("writing to a vector cannot fail");
            assert!(text(&xml.output).contains(expected), "{}", text(&xml.output));
        }
    }

    #[test]
    fn file_is_resumed_by_another_process() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file can be created");
        let open = || {
            let opened = File::options().write(true).open(file.path());
            BufWriter::new(opened.expect("the file exists"))
        };
        let content = || fs::read(file.path()).expect("the file exists");
        let mut xml = XmlFile::begin(open(), &beginning()).expect("there is room");
        xml.write(&refused()).expect("there is room");
        let resume_point = xml.checkpoint().expect("it is a file");
        xml.write(&refused()).expect("there is room");
        xml.flush().expect("there is room");
        assert_eq!(count_hosts(&content()), 2);
        drop(xml);

        let mut xml = XmlFile::resume(open(), resume_point).expect("there is room");
        assert_eq!(count_hosts(&content()), 1);
        xml.write(&samples::everything()).expect("there is room");
        xml.finish(&ending(0)).expect("there is room");
        assert_eq!(count_hosts(&content()), 2);
    }

    #[test]
    fn output_that_is_not_empty_is_refused() {
        let error = XmlFile::begin(b"a list\n".to_vec(), &beginning());
        assert!(error.expect_err("the output has content").to_string().contains("has content"));
    }

    impl ResumableOutput for FailsOnce {
        fn seek_to_end(&mut self) -> io::Result<u64> {
            Ok(self.written.len() as u64)
        }

        fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
            self.written.rewrite(at, bytes)
        }

        fn truncate(&mut self, length: u64) -> io::Result<()> {
            self.written.truncate(to_usize(length));
            Ok(())
        }
    }

    #[test]
    fn calls_after_an_error_fail_and_leave_the_document_well_formed() {
        let mut xml = XmlFile::begin(FailsOnce::after(2000), &beginning()).expect("there is room");
        let failed = (0..20).find_map(|_| xml.write(&refused()).and_then(|()| xml.flush()).err());
        assert_eq!(failed.expect("it is full").kind(), io::ErrorKind::StorageFull);
        let hosts = xml.document.counts.hosts;
        assert_earlier(xml.write(&refused()));
        assert_earlier(xml.flush());
        assert_earlier(xml.checkpoint());
        assert_earlier(xml.finish(&ending(0)));
        assert_eq!(count_hosts(&xml.output.written) as u64, hosts - 1);
    }
}
