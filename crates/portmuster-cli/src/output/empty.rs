//! Output files without rows, as a run leaves them that is killed before its first row.

use std::{
    fs::File,
    io::{self, Read, Seek},
};

use anyhow::bail;
use portmuster::sink::Csv;

use crate::args::{OutputSpec, RowFormat};

/// Maximum number of bytes to read: more than an XML document without rows has, unless the command
/// line in it is very long.
const READ_MAX: u64 = 64 * 1024;

/// Refuses to overwrite a file that has rows.
///
/// With `--resume`, a run that is killed before its first checkpoint leaves files without rows and
/// no journal, and starts again with these files.
///
/// # Errors
/// The file has rows or can't be read.
pub(super) fn refuse_rows(file: &File, spec: &OutputSpec) -> anyhow::Result<()> {
    let OutputSpec::Rows { format, .. } = spec else { return Ok(()) };
    if !is_rowless(&beginning(file)?, *format) {
        bail!(
            "it exists, and there is no journal to resume its run from: --append appends to it, --force \
             overwrites it, and both are ignored once there is a journal"
        );
    }
    Ok(())
}

fn beginning(mut file: &File) -> io::Result<Vec<u8>> {
    let mut beginning = Vec::new();
    file.rewind()?;
    file.take(READ_MAX).read_to_end(&mut beginning)?;
    Ok(beginning)
}

/// Returns whether the content is no more than what a run of this format writes before its rows.
fn is_rowless(content: &[u8], format: RowFormat) -> bool {
    let has = |text: &str| content.windows(text.len()).any(|part| part == text.as_bytes());
    match format {
        _ if content.is_empty() => true,
        RowFormat::Table | RowFormat::Jsonl => false,
        RowFormat::Csv => content == Csv::<File>::header().as_bytes(),
        // A finished document is the result of a run. Texts in it have no unescaped angle brackets.
        RowFormat::Xml => {
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

    /// Returns the outcome of a target that can't be checked: port 0.
    fn outcome() -> Outcome {
        portmuster::check_a_port("127.0.0.1", 0)
    }

    #[test]
    fn header_alone_is_rowless() {
        for format in [RowFormat::Table, RowFormat::Jsonl, RowFormat::Csv, RowFormat::Xml] {
            assert!(is_rowless(b"", format));
            assert!(!is_rowless(b"something", format));
        }
        let header = Csv::<File>::header();
        assert!(is_rowless(header.as_bytes(), RowFormat::Csv));
        assert!(!is_rowless(format!("{header}1,").as_bytes(), RowFormat::Csv));
        assert!(!is_rowless(header.trim_end().as_bytes(), RowFormat::Csv));
    }

    #[test]
    fn document_with_a_row_or_an_end_is_not_rowless() {
        let arguments = "portmuster check -l '<host >'".to_owned();
        let beginning = Beginning { time: SystemTime::UNIX_EPOCH, arguments };
        let written = |outcomes: &[Outcome], ends: bool| {
            let mut document = Vec::new();
            let mut xml =
                Xml::begin(&mut document, &beginning).expect("writing to a vector succeeds");
            for outcome in outcomes {
                xml.write(outcome).expect("writing to a vector succeeds");
            }
            xml.flush().expect("writing to a vector succeeds");
            if ends {
                let (account, time) = (Account::default(), SystemTime::UNIX_EPOCH);
                xml.finish(&Ending { account, targets: 0, time })
                    .expect("writing to a vector succeeds");
            }
            document
        };
        assert!(is_rowless(&written(&[], false), RowFormat::Xml));
        assert!(!is_rowless(&written(&[], false), RowFormat::Csv));
        assert!(
            !is_rowless(&written(&[], true), RowFormat::Xml),
            "a finished document is a result"
        );
        let outcome = outcome();
        assert_eq!(outcome.verdict.state, PortState::Unchecked);
        assert!(!is_rowless(&written(&[outcome], false), RowFormat::Xml));
    }
}
