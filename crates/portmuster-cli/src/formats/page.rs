//! The format `html`: while the run goes on, the file has rows as JSON lines, which a page replaces at the
//! end.
//!
//! Before the rows there is a line that says how the run was made, so that `portmuster report` can make a
//! page of what a killed run leaves.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::Path,
};

use jiff::Timestamp;
use portmuster::{
    outcome::Weakness,
    sink::{Beginning, Jsonl, ResumePoint},
};
use portmuster_report::{Collector, Facts, Report, WeaknessMeaning};
use serde_json::json;

use crate::clock;

/// Why rows can't become a page on a pipe or a device.
pub(super) const NEEDS_FILE: &str =
    "a page takes the place of the rows at the end of the run, which needs a regular file";

/// How a page begins.
pub(super) const BEGINNING: &str = "<!doctype html>";

/// How the line before the rows begins. The keys of an object are in alphabetical order.
const HEAD: &[u8] = b"{\"arguments\":\"";

/// Begins a file of rows.
///
/// # Errors
/// The output can't be written.
pub(super) fn begin<W: Write>(mut output: W, beginning: &Beginning) -> io::Result<Jsonl<W>> {
    let started = Timestamp::try_from(beginning.time).unwrap_or(Timestamp::MAX);
    let head = json!({
        "schema": 1,
        "type": "summary",
        "version": env!("CARGO_PKG_VERSION"),
        "started": format!("{started:.3}"),
        "arguments": beginning.arguments,
    });
    writeln!(output, "{head}")?;
    Ok(Jsonl::new(output))
}

/// Returns whether content is no more than what a run writes before its rows.
pub(super) fn is_rowless(content: &[u8]) -> bool {
    let first_line = content.iter().position(|&byte| byte == b'\n');
    content.starts_with(HEAD) && first_line.is_none_or(|end| end + 1 == content.len())
}

/// Writes the page of a file of rows.
///
/// # Errors
/// The rows can't be read, or the page can't be written.
pub(super) fn write(
    rows: &File,
    mut output: &File,
    _scratch: &Path,
    _end: ResumePoint,
    summary: &str,
) -> io::Result<ResumePoint> {
    let mut collector = Collector::default();
    let mut rows = BufReader::new(rows);
    let mut line = Vec::new();
    let mut add = |line: &[u8]| {
        let added = collector.add_line(line);
        added.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    };
    while rows.read_until(b'\n', &mut line)? > 0 {
        add(&line)?;
        line.clear();
    }
    add(summary.as_bytes())?;
    let page = Report::new(collector, facts("this run")).to_html();
    output.write_all(page.as_bytes())?;
    Ok(ResumePoint::Lines { length: page.len() as u64 })
}

/// Returns what this program adds to a report: the meanings of weaknesses, its version, and the time.
pub(crate) fn facts(source: &str) -> Facts {
    let mut facts = Facts::default();
    source.clone_into(&mut facts.source);
    let meaning = |weakness: Weakness| WeaknessMeaning::new(weakness.name(), weakness.why());
    facts.weaknesses = Weakness::ALL.map(meaning).into();
    env!("CARGO_PKG_VERSION").clone_into(&mut facts.version);
    facts.time = Timestamp::try_from(clock::now()).map(|it| format!("{it:.0}")).unwrap_or_default();
    facts
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn only_the_line_before_the_rows_is_rowless() {
        let beginning = Beginning::new(SystemTime::UNIX_EPOCH, "portmuster check 'a\nb'");
        let jsonl = begin(Vec::new(), &beginning).expect("there is room");
        let head = jsonl.get_ref().clone();
        assert!(is_rowless(&head) && is_rowless(&head[..20]));
        assert!(!is_rowless(&[&head[..], b"{"].concat()));
        assert!(!is_rowless(b"<!doctype html>"));
    }
}
