//! The question `queue`: what it costs to have work done in other processes.
//!
//! One part does work that costs nothing, which measures the queue alone. The other checks targets
//! that refuse. Both run beside the reference in Python.

use std::{net::SocketAddr, path::Path, process::ExitCode};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use portmuster::{
    config::defaults,
    workers::{self, Workers, serve},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    answers::Coverage,
    arguments::{at_least_one, cores},
    candidate::Candidate,
    contest::{Demand, run_rounds},
    harness::Harness,
    list::{Expected, List},
    parsers,
    peer::REFERENCE,
    program::{self, FASTEST},
    section::{Goal, Section},
    span::Span,
};

/// The most CPU time of the queue per piece, in microseconds.
const CPU_MAX: f64 = 1.0;

/// The least pace of portmuster, as a multiple of the reference's with 32 processes.
const REFUSED_MIN: f64 = 2.5;

/// Methods of the reference, with the name of each in tables.
const PYTHON: [(&str, &str); 2] =
    [("processes", "Python, 32 processes"), ("process-threads", "Python, processes with threads")];

/// Options of the subcommand `queue`.
#[derive(Debug, Args)]
pub(crate) struct QueueOptions {
    /// What to measure; repeatable
    #[arg(long = "part", value_name = "PART", default_values = ["costless", "refused"])]
    parts: Vec<QueuePart>,
    /// Rounds; each candidate runs once per round
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    rounds: usize,
    /// Pieces of work that costs nothing
    #[arg(long, value_name = "N", default_value_t = 2_000_000, value_parser = at_least_one)]
    pieces: usize,
    /// Pieces of work that costs nothing, for Python
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = at_least_one)]
    python_pieces: usize,
    /// Targets that refuse
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = at_least_one)]
    targets: usize,
    /// Worker processes for work that costs nothing; repeatable [default: 32, and one per core]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    processes: Vec<usize>,
    /// The Python that runs the reference
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum QueuePart {
    /// Work that costs nothing
    Costless,
    /// Targets on loopback where no server listens
    Refused,
}

/// Work that costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Job {
    /// From a number to a number
    Number,
    /// From a target to yes or no
    Target,
}

/// Runs the selected measurements and adds their sections to the report of `harness`.
pub(crate) fn run(options: &QueueOptions, harness: &mut Harness) -> Result<()> {
    for part in &options.parts {
        let mut section = match part {
            QueuePart::Costless => measure_costless(options)?,
            QueuePart::Refused => measure_refused(options, &harness.portmuster()?)?,
        };
        section.unit = Some(PYTHON[0].1.to_owned());
        harness.add(section)?;
    }
    Ok(())
}

fn measure_costless(options: &QueueOptions) -> Result<Section> {
    let mut numbers = options.processes.clone();
    if numbers.is_empty() {
        numbers = vec![defaults::PROCESSES, cores()];
    }
    let list = List::new(Span::refused(options.python_pieces))?;
    let mut candidates = Vec::new();
    for processes in numbers {
        for job in [Job::Number, Job::Target] {
            candidates.push(job.candidate(processes, options.pieces)?);
        }
    }
    candidates.extend(PYTHON.map(|method| python(options, method, &list, &["--no-op"])));
    let title = format!(
        "Work that costs nothing: {} pieces, for Python {}; {} leased ahead",
        options.pieces,
        options.python_pieces,
        defaults::PREFETCH
    );
    let mut section = run_rounds(title, &mut candidates, options.rounds, Demand::Exact)?;
    let first = &section.rows[0];
    let what = format!("CPU for each piece, in µs: {}", first.name);
    section.goals = vec![Goal::at_most(what, first.cpu, CPU_MAX)];
    Ok(section)
}

fn measure_refused(options: &QueueOptions, program: &Path) -> Result<Section> {
    let list = List::new(Span::refused(options.targets))?;
    let mut candidates = Vec::new();
    for method in PYTHON {
        let name = format!("portmuster, {}", method.0);
        let arguments = [&["--method", method.0], &FASTEST[..], &["--no-probe"]].concat();
        candidates.push(program::candidate(program, &list, &name, &arguments));
        candidates.push(python(options, method, &list, &[]));
    }
    let title = format!(
        "{} targets that refuse; --no-probe --rate max --per-host max --retries 0",
        options.targets
    );
    let mut section = run_rounds(title, &mut candidates, options.rounds, Demand::Exact)?;
    let (ours, theirs) = (&section.rows[0], &section.rows[1]);
    let what = format!("pace of {} over {}", ours.name, theirs.name);
    section.goals = vec![Goal::at_least(what, ours.pace_ratio(theirs), REFUSED_MIN)];
    Ok(section)
}

/// The reference in Python, by one of its methods.
fn python<'a>(
    options: &QueueOptions,
    (method, name): (&str, &str),
    list: &'a List,
    arguments: &[&str],
) -> Candidate<'a> {
    let mut command = std::process::Command::new(&options.python);
    command.args([REFERENCE, method]).arg(list.path()).args(arguments);
    list.candidate(name, command, Expected::Answers(parsers::words, Coverage::EveryTarget))
}

impl Job {
    /// Does this job in a worker process.
    pub(crate) fn serve(self) -> ExitCode {
        match self {
            Self::Number => serve(|number: u64| !number),
            Self::Target => serve(|_: SocketAddr| false),
        }
    }

    fn candidate(self, processes: usize, pieces: usize) -> Result<Candidate<'static>> {
        let name = match self {
            Self::Number => "number",
            Self::Target => "target",
        };
        let program = workers::Program::this().context("finding this program")?;
        let program = program.arg("worker").arg(name);
        let workers = Workers { processes, ..Workers::new(program) };
        let name = format!("portmuster, {processes} processes, a {name} each");
        let run = move || match self {
            Self::Number => do_all(
                &workers,
                pieces,
                |nth| nth as u64,
                |number, result: u64| usize::try_from(number).ok().filter(|_| result == !number),
            ),
            Self::Target => {
                let span = Span::refused(pieces);
                let nth = |target, is_open: bool| span.number_of(target).filter(|_| !is_open);
                do_all(&workers, pieces, move |nth| span.target(nth), nth)
            }
        };
        let (prepare, check) = (Box::new(|| Ok(())), Box::new(|| Ok(None)));
        let run = Box::new(run);
        Ok(Candidate { name, pieces, calls: None, command: None, prepare, run, check })
    }
}

/// Has all pieces done by workers. `number_of` returns the number of a piece, or `None` when its
/// result is wrong.
fn do_all<W, R>(
    workers: &Workers,
    pieces: usize,
    make: impl Fn(usize) -> W + Send + 'static,
    number_of: impl Fn(W, R) -> Option<usize>,
) -> Result<Option<u64>>
where
    W: Serialize + Send + 'static,
    R: DeserializeOwned + Send + 'static,
{
    let mut counts = vec![0_u8; pieces];
    let mut results = workers.run::<W, R>((0..pieces).map(make))?;
    for (work, result) in results.by_ref() {
        let number = number_of(work, result.context("having work done")?);
        let count = number.and_then(|number| counts.get_mut(number));
        *count.context("a result is wrong")? += 1;
    }
    let losses = results.losses();
    ensure!(losses.is_empty(), "workers ended too early: {losses:?}");
    // Ends the workers, which is part of the cost.
    drop(results);
    ensure!(counts.iter().all(|&count| count == 1), "a piece came back twice, or not at all");
    Ok(None)
}
