//! `portmuster diff`: shows what changed between two runs.

use std::io::{self, BufWriter, Write};

use anyhow::bail;
use portmuster::history::{Change, ChangeCounts, ChangeKind, ChangeTable, Changes, ChangesJsonl};

use crate::{
    args::{ChangeFormat, Diff, ShowChanges},
    numbers::{self, with_commas},
    read_files::ReadFiles,
    run_source::Source,
    signals,
    status::Status,
    terminal::{self, Screen},
};

/// Compares two runs and prints the changes.
///
/// # Errors
/// A run can't be read.
pub(crate) fn run(diff: &Diff) -> anyhow::Result<Status> {
    let (old, new) = (Source::parse(&diff.old)?, Source::parse(&diff.new)?);
    if old.is_stdin() && new.is_stdin() {
        bail!("only one run can be read from stdin: name a file for the other");
    }
    let mut reads = ReadFiles::default();
    for run in [&old, &new] {
        reads.add(run.path(), "a run");
    }
    reads.refuse_stdout()?;
    if diff.old == diff.new && !diff.quiet {
        terminal::note(of_itself(&old, &diff.old.to_string_lossy()));
    }
    let databases = [&old, &new].into_iter().filter(|run| run.is_database());
    signals::exit_on_truncated_mapping(databases.map(Source::path));
    let (old, new) = (old.read(diff.quiet)?, new.read(diff.quiet)?);
    let mut changes = Changes::between(old.results, new.results);
    match write(&mut changes, diff) {
        Ok(hidden) => {
            let counts = changes.counts();
            if !diff.quiet {
                print_counts(&counts, hidden);
            }
            Ok(if counts.changed > 0 { Status::Finding } else { Status::Complete })
        }
        Err(error) => Ok(terminal::status_of(Err(error))),
    }
}

/// Says that a run is compared with itself, and how to name the one before if it is in the same database.
fn of_itself(run: &Source, named: &str) -> String {
    let earlier = (run.is_database() && !named.contains('#'))
        .then(|| format!(": the run before it is {named}#-2"));
    format!("{named} is compared with itself{}", earlier.unwrap_or_default())
}

/// Writes the changes that `--show` selects; returns the number of the others.
fn write(changes: &mut Changes, diff: &Diff) -> io::Result<u64> {
    let mut output = BufWriter::new(io::stdout().lock());
    let mut hidden = 0;
    let mut shown = changes.filter(|change| {
        let is_shown = diff.show() == ShowChanges::All || change.is_of_open();
        hidden += u64::from(!is_shown);
        is_shown
    });
    match diff.output {
        ChangeFormat::Table => {
            let Screen { paint, width } = Screen::stdout();
            let mut table = ChangeTable::new(&mut output, paint).width(width);
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

/// Prints the summary of a comparison, of which `hidden` changes were not written.
fn print_counts(counts: &ChangeCounts, hidden: u64) {
    let kinds = ChangeKind::ALL.into_iter().filter(|&kind| counts.of(kind) > 0);
    let kinds: Vec<_> =
        kinds.map(|kind| format!("{} {kind}", with_commas(counts.of(kind)))).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
    terminal::note(format!(
        "{} before, {} now; {} changed{kinds}",
        numbers::count(counts.old, "target"),
        with_commas(counts.new),
        with_commas(counts.changed)
    ));
    for (count, what, one, several) in [
        (
            hidden,
            "change",
            "is not shown: the target came or went and is not open; see --show all",
            "are not shown: targets that came or went and are not open; see --show all",
        ),
        (
            counts.unreached,
            "target",
            "was not reached by an incomplete run, and is not compared",
            "were not reached by an incomplete run, and are not compared",
        ),
        (
            counts.unchecked,
            "target",
            "could not be checked in one of the runs, and is not compared",
            "could not be checked in one of the runs, and are not compared",
        ),
        (
            counts.algorithms_unknown,
            "target",
            "sent its algorithms in only one run: its findings are not compared",
            "sent their algorithms in only one run: their findings are not compared",
        ),
    ] {
        let predicate = if count == 1 { one } else { several };
        if count > 0 {
            terminal::note(format!("{} {predicate}", numbers::count(count, what)));
        }
    }
}
