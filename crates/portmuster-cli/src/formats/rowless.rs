//! Content of files before their first row.

/// Returns whether the content is an XML document of a run that was killed before its first row.
pub(super) fn is_rowless_xml(content: &[u8]) -> bool {
    let has = |text: &str| content.windows(text.len()).any(|part| part == text.as_bytes());
    // A finished document is the result of a run. Texts in it have no unescaped angle brackets.
    content.starts_with(b"<?xml ")
        && has("scanner=\"nmap\"")
        && has("errormsg=\"the run was cut off\"/>")
        && has("</nmaprun>")
        && !has("<host ")
        && !has("<target ")
}

/// Returns whether the content is a SARIF document of a run that was killed before its first result.
pub(super) fn is_rowless_sarif(content: &[u8]) -> bool {
    let start = b"{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\"";
    content.starts_with(start) && content.ends_with(b"\"results\":[\n")
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use portmuster::{
        Account, Outcome, PortState,
        sink::{Beginning, Csv, Ending, Sink, XmlFile},
    };

    use crate::formats::{OUTPUT_FORMATS, OutputFormat, Storage};

    fn is_rowless(content: &[u8], format: &str) -> bool {
        let format = OutputFormat::named(format).expect("the table has it");
        let Storage::Rows(rows) = &format.storage else { panic!("{format:?} has no rows") };
        (rows.is_rowless)(content)
    }

    /// Returns the outcome of a target that can't be checked: port 0.
    fn outcome() -> Outcome {
        portmuster::check_a_port("127.0.0.1", 0)
    }

    #[test]
    fn header_alone_is_rowless() {
        for format in &OUTPUT_FORMATS {
            let Storage::Rows(rows) = &format.storage else { continue };
            assert!(!(rows.is_rowless)(b"something"), "{format:?}");
        }
        let header = Csv::header();
        assert!(is_rowless(header.as_bytes(), "csv"));
        assert!(!is_rowless(format!("{header}1,").as_bytes(), "csv"));
        assert!(!is_rowless(header.trim_end().as_bytes(), "csv"));
    }

    #[test]
    fn document_with_a_row_or_an_end_is_not_rowless() {
        let arguments = "portmuster check -l '<host >'";
        let beginning = Beginning::new(SystemTime::UNIX_EPOCH, arguments);
        let written = |outcomes: &[Outcome], ends: bool| {
            let mut document = Vec::new();
            let mut xml =
                XmlFile::begin(&mut document, &beginning).expect("writing to a vector succeeds");
            for outcome in outcomes {
                xml.write(outcome).expect("writing to a vector succeeds");
            }
            xml.flush().expect("writing to a vector succeeds");
            if ends {
                let (account, time) = (Account::default(), SystemTime::UNIX_EPOCH);
                xml.finish(&Ending::new(account, 0, time)).expect("writing to a vector succeeds");
            }
            document
        };
        assert!(is_rowless(&written(&[], false), "xml"));
        assert!(!is_rowless(&written(&[], false), "csv"));
        assert!(!is_rowless(&written(&[], true), "xml"), "a finished document is a result");
        let outcome = outcome();
        assert_eq!(outcome.verdict.state, PortState::Unchecked);
        assert!(!is_rowless(&written(&[outcome], false), "xml"));
    }
}
