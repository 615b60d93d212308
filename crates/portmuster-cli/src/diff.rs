//! `portmuster diff`: what changed between two runs.

use std::io::{self, BufWriter, Write};

use anyhow::bail;
use portmuster::history::{Change, ChangeCounts, ChangeKind, ChangeTable, Changes, ChangesJsonl};

use crate::{
    args::{ChangeFormat, Diff, Show},
    output::{ReadFiles, paint},
    status::Status,
    summary::grouped,
    terminal,
};

mod source;

use source::Source;

/// Compares two runs, and says what changed.
///
/// # Errors
/// One of them can't be read.
pub(crate) fn run(diff: &Diff) -> anyhow::Result<Status> {
    let (old, new) = (Source::named(&diff.old)?, Source::named(&diff.new)?);
    if old.is_stdin() && new.is_stdin() {
        bail!("only one of the runs can be read from stdin; name a file for the other");
    }
    let mut reads = ReadFiles::default();
    for run in [&old, &new] {
        reads.add(run.path(), "a run");
    }
    reads.refuse_stdout()?;
    let (old, new) = (old.read(diff.quiet)?, new.read(diff.quiet)?);
    let mut changes = Changes::between(old, new);
    match write(&mut changes, diff) {
        Ok(hidden) => {
            let counts = changes.counts();
            if !diff.quiet {
                say(&counts, hidden);
            }
            Ok(if counts.changed > 0 { Status::Finding } else { Status::Complete })
        }
        Err(error) => Ok(terminal::printed(Err(error))),
    }
}

/// Writes the changes that are asked for; how many are not.
fn write(changes: &mut Changes, diff: &Diff) -> io::Result<u64> {
    let mut output = BufWriter::new(io::stdout().lock());
    let mut hidden = 0;
    let mut shown = changes.filter(|change| {
        let is_shown = diff.show() == Show::All || change.is_of_open();
        hidden += u64::from(!is_shown);
        is_shown
    });
    match diff.output {
        ChangeFormat::Table => {
            let mut table = ChangeTable::new(&mut output, paint(&io::stdout()));
            shown.try_for_each(|change: Change| table.write(&change))?;
        }
        ChangeFormat::Jsonl => {
            let mut lines = ChangesJsonl::new(&mut output);
            shown.try_for_each(|change: Change| lines.write(&change))?;
        }
    }
    output.flush()?;
    Ok(hidden)
}

fn say(counts: &ChangeCounts, hidden: u64) {
    let kinds = ChangeKind::ALL.into_iter().filter(|&kind| counts.of(kind) > 0);
    let kinds: Vec<_> = kinds.map(|kind| format!("{} {kind}", grouped(counts.of(kind)))).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
    terminal::note(format!(
        "{} targets, then {}; {} changed{kinds}",
        grouped(counts.old),
        grouped(counts.new),
        grouped(counts.changed)
    ));
    for (count, what) in [
        (hidden, "that came or went are not open, and not shown; --show all shows them"),
        (counts.unreached, "not reached by a run that is not whole, and not compared"),
        (counts.unchecked, "could not be checked in one of the runs, and are not compared"),
        (
            counts.algorithms_unknown,
            "made an offer of algorithms in one of the runs only: what is weak is not compared",
        ),
    ] {
        if count > 0 {
            terminal::note(format!("{} {what}", grouped(count)));
        }
    }
}
