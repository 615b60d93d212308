//! nmap's XML format (`nmap -oX`), for programs that read it.
//!
//! Each outcome is written as a `host` with one `port`, as soon as it is known, so a host with
//! several ports occurs several times. [`host`](mod@host) maps outcomes to nmap's elements.
//!
//! [`Xml`] streams a document: the trailer comes at the end. [`XmlFile`] keeps a file a well-formed
//! document at every moment, even if the process is killed: the rows are followed by a trailer.
//! Appending rows replaces the trailer by them and a new trailer, and resuming removes rows, in steps
//! each of which leaves a well-formed document. [`group_hosts`] writes a finished document again, with
//! one `host` for each address.
//!
//! Invariant: the document is ASCII, so an interrupted step never splits a character.

use std::io::{self, Write};

use self::document::Document;
use super::{
    first_error::StopAfterError,
    interface::{Beginning, Ending, Sink},
};
use crate::outcome::Outcome;

mod document;
mod file;
mod group;
mod host;
mod host_keys;
mod markup;
mod time;

pub use file::XmlFile;
pub use group::group_hosts;

/// Writes outcomes in nmap's XML format to a stream, such as a pipe.
///
/// The document is complete after [`Sink::finish`]. A file that must be a well-formed document at
/// every moment takes an [`XmlFile`] instead.
#[derive(Debug)]
pub struct Xml<W> {
    output: StopAfterError<W>,
    document: Document,
}

impl<W: Write> Xml<W> {
    /// Creates a document, whose head is written with the first rows.
    pub fn new(output: W, beginning: &Beginning) -> Self {
        Self { output: StopAfterError::new(output), document: Document::begin(beginning) }
    }

    /// Returns the output.
    pub fn get_ref(&self) -> &W {
        self.output.get_ref()
    }

    fn write_pending(&mut self) -> io::Result<()> {
        self.output.write_all(&self.document.pending)?;
        self.document.pending.clear();
        Ok(())
    }
}

impl<W: Write> Sink for Xml<W> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.output.check()?;
        if self.document.add(outcome) { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_pending()?;
        self.output.flush()
    }

    fn finish(&mut self, ending: &Ending) -> io::Result<()> {
        self.document.pending.extend(self.document.final_trailer(ending));
        self.flush()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::SystemTime;

    use proptest::prelude::*;
    use quick_xml::{Reader, events::Event};

    use super::{document::PENDING_MAX, markup::Markup, *};
    use crate::{
        outcome::{Account, PortState, Reason},
        sink::{
            first_error::tests::{FailsOnce, assert_earlier},
            samples,
        },
    };

    /// Counts the hosts of a document, and checks that it is complete and nothing follows it.
    pub(super) fn count_hosts(document: &[u8]) -> usize {
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

    pub(super) fn beginning() -> Beginning {
        Beginning { time: SystemTime::UNIX_EPOCH, arguments: "portmuster check <é>".into() }
    }

    pub(super) fn ending(targets: u128) -> Ending {
        Ending::new(Account::default(), targets, SystemTime::UNIX_EPOCH)
    }

    pub(super) fn refused() -> Outcome {
        samples::not_open(PortState::Closed, Reason::Refused)
    }

    pub(super) fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).expect("the document is ASCII")
    }

    /// Returns the element that is written for one outcome.
    fn row(outcome: &Outcome) -> String {
        let mut markup = Markup::default();
        host::write(&mut markup, outcome);
        String::from_utf8(markup.into_bytes()).expect("the document is ASCII")
    }

    #[test]
    fn stream_is_a_document_at_its_end() {
        let mut xml = Xml::new(Vec::new(), &beginning());
        for rows in 1..=3 {
            xml.write(&refused()).expect("writing to a vector cannot fail");
            xml.flush().expect("writing to a vector cannot fail");
            assert_eq!(text(xml.get_ref()).matches("<host ").count(), rows);
        }
        xml.finish(&ending(0)).expect("writing to a vector cannot fail");
        assert_eq!(count_hosts(xml.get_ref()), 3);
        assert!(text(xml.get_ref()).contains(r#"exit="success"/>"#));
    }

    #[test]
    fn pending_rows_of_a_stream_are_bounded() {
        let mut xml = Xml::new(Vec::new(), &beginning());
        for _ in 0..2000 {
            xml.write(&refused()).expect("writing to a vector cannot fail");
            assert!(xml.document.pending.len() < PENDING_MAX);
        }
        assert!(!xml.get_ref().is_empty());
    }

    #[test]
    fn calls_after_an_error_fail_and_write_nothing() {
        let mut xml = Xml::new(FailsOnce::after(200), &beginning());
        xml.write(&refused()).expect("the row is buffered");
        let error = xml.flush().expect_err("there is room for 200 bytes");
        assert_eq!(error.to_string(), "no room");
        assert_earlier(xml.write(&refused()));
        assert_earlier(xml.flush());
        assert_earlier(xml.finish(&ending(0)));
        assert_eq!(xml.get_ref().written.len(), 200);
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
                r#"<service name="ssh" product="OpenSSH" version="7.4 a comment" extrainfo="protocol 2.0" ostype="Debian 9" method="probed" conf="10"><cpe>cpe:/a:openbsd:openssh:7.4</cpe></service>"#,
            ),
            (
                samples::everything(),
                r#"<script id="portmuster" output="banner: SSH-2.0-OpenSSH_7.4 a comment; service: ssh; rule"#,
            ),
            (samples::everything(), "&#10;  kex_algorithms: (2)&#10;      kex-a&#10;"),
            (samples::everything(), r#"<table key="kex_algorithms"><elem>kex-a</elem>"#),
            (samples::everything(), r#"<elem key="rule">identification</elem>"#),
            (samples::everything(), r#"<elem key="findings">3des md5</elem>"#),
            (
                samples::no_utf8(),
                r#"<service name="ssh" product="Caf\xe9" version="1.2\\x =\xff \x1b[2J" extrainfo="protocol 2.0" method="probed" conf="10"/>"#,
            ),
            (
                samples::no_utf8(),
                r#"<elem key="banner">SSH-2.0-Caf\xe9_1.2\\x =\xff \x1b[2J</elem>"#,
            ),
            (samples::binary(), r#"<elem key="banner">\xff\xfb\x01</elem>"#),
        ] {
            let row = row(&outcome);
            assert!(row.contains(expected), "{expected} in {row}");
            assert!(row.matches("<script ").count() <= 1, "ndiff fails otherwise: {row}");
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
            let mut xml = Xml::new(Vec::new(), &beginning());
            xml.write(&outcome).expect("writing to a vector cannot fail");
            xml.finish(&ending(0)).expect("writing to a vector cannot fail");
            prop_assert_eq!(count_hosts(xml.get_ref()), 1);
            prop_assert!(xml.get_ref().iter().all(|&byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
        }
    }
}
