//! `portmuster compare`: runs each method on the same targets and compares their cost.

use anyhow::{Context, bail};
use portmuster::Method;
use tempfile::TempDir;

use crate::{
    args::{Compare, ComparisonFormat},
    progress::Steps,
    read_files::ReadFiles,
    signals,
    status::Status,
    terminal::{self, Screen},
};

mod answers;
mod report;
mod run;
mod series;

use self::{answers::Answers, report::Row, series::Series};

/// Runs the methods in turn, prints their cost and compares their results.
///
/// # Errors
/// The arguments are invalid.
pub(crate) fn run(compare: &Compare) -> anyhow::Result<Status> {
    if compare.inputs.iter().any(|input| input.as_os_str() == "-") {
        bail!("stdin can't be read by several runs: write the targets to a file and use -i FILE");
    }
    let mut reads = ReadFiles::default();
    compare.inputs.iter().for_each(|path| reads.add(path, "an input"));
    compare.exclude_file.iter().for_each(|path| reads.add(path, "an exclude file"));
    reads.refuse_stdout()?;
    let measured = match measure(compare) {
        Ok(measured) => measured,
        Err(error) => {
            terminal::error(&error);
            return Ok(Status::Incomplete);
        }
    };
    let series = match measured {
        Measuring::Done(series) => series,
        Measuring::Ended(status) => return Ok(status),
    };
    let rows: Vec<_> = series.iter().map(Row::from).collect();
    let written = match compare.output {
        ComparisonFormat::Table => report::table(&rows, Screen::stdout().width),
        ComparisonFormat::Jsonl => report::jsonl(&rows),
    };
    let differs = series.iter().any(|series| series.differing > 0);
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Ok(terminal::status_of(Err(error)))
        }
        _ if differs => Ok(Status::Finding),
        _ => Ok(Status::Complete),
    }
}

/// The end of all runs.
enum Measuring {
    Done(Vec<Series>),
    /// A run ended so that further runs make no sense; its status.
    Ended(Status),
}

fn measure(compare: &Compare) -> anyhow::Result<Measuring> {
    let terms = run::TERMS[..4].join(" ").replace('=', " ");
    terminal::note(format!("options of each run: {terms}"));
    let interrupted = signals::record_signals()?;
    let folder = TempDir::with_prefix("portmuster-compare-");
    let folder = folder.context("creating a temporary directory (TMPDIR says where)")?;
    let methods =
        if compare.methods.is_empty() { Method::ALL.to_vec() } else { compare.methods.clone() };
    let mut series: Vec<_> = methods.into_iter().map(Series::new).collect();
    let first = series[0].method;
    let mut answers = Answers::default();
    let progress = Steps::start(u64::from(compare.rounds.get()) * series.len() as u64);
    for _ in 0..compare.rounds.get() {
        for series in &mut series {
            let method = series.method;
            progress.begin(method.name());
            let run = match run::make(compare, method, folder.path(), &interrupted)? {
                Ok(run) => run,
                Err(status) => return Ok(Measuring::Ended(status)),
            };
            let differing = answers.compare(&run::answers(folder.path()))?;
            progress.suspend(|| {
                for difference in &differing.first {
                    terminal::note(format!("{difference} with {first}, but not with {method}"));
                }
            });
            series.differing = series.differing.max(differing.count);
            series.runs.push(run);
        }
    }
    Ok(Measuring::Done(series))
}
