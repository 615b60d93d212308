//! Files that a run has begun and written no row to.

use std::{
    fs::File,
    io::{self, Read, Seek},
};

use anyhow::bail;
use portmuster::sink::Csv;

use crate::args::{Format, OutputSpec};

/// More than a document without rows has, unless the command line in it is very long.
const LENGTH_MAX: u64 = 64 * 1024;

/// Refuses to overwrite a file with rows. A run that `--resume` begins takes one without: whoever was
/// killed before the first checkpoint leaves such files and no journal.
///
/// # Errors
/// It has rows, or can't be read.
pub(super) fn refuse_rows(file: &File, spec: &OutputSpec) -> anyhow::Result<()> {
    let OutputSpec::Rows { format, .. } = spec else { return Ok(()) };
    if !is_rowless(&beginning(file)?, *format) {
        bail!(
            "it exists, and there is no journal to resume its run from; --append adds to it, --force \
             replaces it, and both say nothing once there is a journal"
        );
    }
    Ok(())
}

fn beginning(mut file: &File) -> io::Result<Vec<u8>> {
    let mut beginning = Vec::new();
    file.rewind()?;
    file.take(LENGTH_MAX).read_to_end(&mut beginning)?;
    Ok(beginning)
}

/// Whether it is what a run of this format begins with, and nothing else.
fn is_rowless(content: &[u8], format: Format) -> bool {
    let has = |text: &str| content.windows(text.len()).any(|part| part == text.as_bytes());
    match format {
        _ if content.is_empty() => true,
        Format::Table | Format::Jsonl => false,
        Format::Csv => content == Csv::<File>::header().as_bytes(),
        // One that has ended is the result of a run. Texts in it have no angle brackets.
        Format::Xml => {
            content.starts_with(b"<?xml ")
                && has("scanner=\"nmap\"")
                && has("errormsg=\"the run was cut off\"/>")
                && has("</nmaprun>")
                && !has("<host ")
                && !has("<target ")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use portmuster::{
        Account, Outcome, PortState,
        sink::{Beginning, Ending, Sink, Xml},
    };

    use super::*;

    /// What nobody answers on this machine.
    fn outcome() -> Outcome {
        portmuster::check_a_port("127.0.0.1", 0)
    }

    #[test]
    fn only_what_a_run_begins_with_is_rowless() {
        for format in [Format::Table, Format::Jsonl, Format::Csv, Format::Xml] {
            assert!(is_rowless(b"", format));
            assert!(!is_rowless(b"something", format));
        }
        let header = Csv::<File>::header();
        assert!(is_rowless(header.as_bytes(), Format::Csv));
        assert!(!is_rowless(format!("{header}1,").as_bytes(), Format::Csv));
        assert!(!is_rowless(header.trim_end().as_bytes(), Format::Csv));
    }

    #[test]
    fn document_with_a_row_or_an_end_is_not_rowless() {
        let arguments = "portmuster check -l '<host >'".to_owned();
        let beginning = Beginning { time: SystemTime::UNIX_EPOCH, arguments };
        let written = |outcomes: &[Outcome], ends: bool| {
            let mut document = Vec::new();
            let mut xml = Xml::begin(&mut document, &beginning).expect("a vector takes it");
            for outcome in outcomes {
                xml.write(outcome).expect("a vector takes it");
            }
            xml.flush().expect("a vector takes it");
            if ends {
                let (account, time) = (Account::default(), SystemTime::UNIX_EPOCH);
                xml.finish(&Ending { account, targets: 0, time }).expect("a vector takes it");
            }
            document
        };
        assert!(is_rowless(&written(&[], false), Format::Xml));
        assert!(!is_rowless(&written(&[], false), Format::Csv));
        assert!(!is_rowless(&written(&[], true), Format::Xml), "it is a result");
        let outcome = outcome();
        assert_eq!(outcome.verdict.state, PortState::Unchecked);
        assert!(!is_rowless(&written(&[outcome], false), Format::Xml));
    }
}
