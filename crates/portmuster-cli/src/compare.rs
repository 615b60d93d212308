//! `portmuster compare`: the same targets by each method, side by side.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use anyhow::bail;
use clap::{Args, ValueEnum};
use portmuster::Method;
use tempfile::TempDir;

use crate::{
    args::{Reading, count, duration, in_flight, method},
    output::ReadFiles,
    signals,
    status::Status,
    terminal,
};

mod answers;
mod report;
mod run;

use self::{answers::Answers, report::Row, run::Run};

/// What every run is told, so that nothing but the method makes a difference.
const TERMS: [&str; 6] =
    ["--no-probe", "--rate=max", "--per-host=max", "--retries=0", "--quiet", "--progress=never"];

const MORE: &str = "\
Each run is a process of its own with --no-probe --rate max --per-host max --retries 0, and writes
its answers to a file in JSON lines. The runs are made in rounds, each method once in each.

TARGETS/S, with the least and the most in brackets, and all other figures are medians over the
rounds; WALL is from start to end of the process, CPU that of all its processes together. MEMORY is
the most that all of them together had, each page that several share counted once (PSS, sampled 50
times a second). FAIR is Jain's index of the attempts by worker: 100 % when each made as many, 50 %
when half of them made all.

Exit status:
  0    every method gave the same answers
  1    some targets were answered differently; they are named
  2    the arguments or the input can't be read
  3    a run failed
  130  interrupted";

/// Check the same targets by each method, side by side
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct Compare {
    /// What to check, beside the inputs
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,

    /// Read targets from a file, one a line; repeatable
    #[arg(short, long = "input", value_name = "FILE")]
    inputs: Vec<PathBuf>,

    #[command(flatten)]
    reading: Reading,

    /// Ports of targets that name none: numbers, ranges, services
    #[arg(short, long, value_name = "LIST", default_value = "ssh,telnet")]
    ports: String,

    /// Never connect to these; repeatable
    #[arg(long, value_name = "TARGET")]
    exclude: Vec<String>,

    /// Read what to exclude from a file, one a line; repeatable
    #[arg(long, value_name = "FILE")]
    exclude_file: Vec<PathBuf>,

    /// The methods to compare [default: all]
    #[arg(long, value_name = "METHOD,…", value_delimiter = ',', value_parser = method())]
    methods: Vec<Method>,

    /// How often each method has its turn
    #[arg(long, value_name = "N", default_value = "3")]
    rounds: NonZeroU32,

    /// Connections open at the same time; fewer where descriptors are
    #[arg(long, value_name = "N", default_value_t = in_flight(), value_parser = count)]
    in_flight: std::num::NonZeroUsize,

    /// Limit of one connection attempt
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    timeout: Duration,

    /// How the comparison is written
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// How the comparison is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For eyes
    Table,
    /// A line of JSON for each method
    Jsonl,
}

/// All runs of one method.
struct Series {
    method: Method,
    runs: Vec<Run>,
    /// Targets that it answered differently from the first method, in any round.
    differing: u64,
}

/// Runs each method in turn and tells them apart.
///
/// # Errors
/// The arguments can't be read.
pub(crate) fn run(compare: &Compare) -> anyhow::Result<Status> {
    if compare.inputs.iter().any(|input| input.as_os_str() == "-") {
        bail!("stdin can be read only once; write the targets to a file and name that");
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
        Format::Table => report::table(&rows),
        Format::Jsonl => report::jsonl(&rows),
    };
    let differs = series.iter().any(|series| series.differing > 0);
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Ok(terminal::printed(Err(error)))
        }
        _ if differs => Ok(Status::Finding),
        _ => Ok(Status::Complete),
    }
}

enum Measuring {
    Done(Vec<Series>),
    /// A run ended in a way that makes more of them pointless.
    Ended(Status),
}

fn measure(compare: &Compare) -> anyhow::Result<Measuring> {
    terminal::note(format!("each run: {}", TERMS[..4].join(" ").replace('=', " ")));
    let interrupted = signals::noticed()?;
    let folder = TempDir::with_prefix("portmuster-compare-")?;
    let methods =
        if compare.methods.is_empty() { Method::ALL.to_vec() } else { compare.methods.clone() };
    let empty = |method| Series { method, runs: Vec::new(), differing: 0 };
    let mut series: Vec<_> = methods.into_iter().map(empty).collect();
    let first = series[0].method;
    let mut answers = Answers::default();
    for _ in 0..compare.rounds.get() {
        for series in &mut series {
            let method = series.method;
            let run = match run::make(compare, method, folder.path(), &interrupted)? {
                Ok(run) => run,
                Err(status) => return Ok(Measuring::Ended(status)),
            };
            let differing = answers.compare(&run::answers(folder.path()))?;
            for difference in &differing.first {
                terminal::note(format!("{difference} by {first}, and not so by {method}"));
            }
            series.differing = series.differing.max(differing.count);
            series.runs.push(run);
        }
    }
    Ok(Measuring::Done(series))
}
