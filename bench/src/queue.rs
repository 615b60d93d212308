//! What it costs to have work done in other processes.
//!
//! Once with work that costs nothing, so that what is measured is the queue alone, and once with
//! real targets that are refused; beside both the reference system in Python.

use std::{io::Write, net::SocketAddr, path::PathBuf, process::ExitCode, thread};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use portmuster::{
    Method, defaults,
    workers::{Program, Workers, serve},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    contest::{self, Candidate, Demand, Ran},
    list::List,
    program, reference,
    section::{Goal, Section},
    span::Span,
};

/// Microseconds of CPU that the queue may take for each piece.
const COSTLESS_MOST: f64 = 1.0;

/// How many times as fast as the reference processes are to be.
const REFUSED_LEAST: f64 = 2.5;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What is measured; repeatable
    #[arg(long = "part", value_name = "PART", default_values = ["costless", "refused"])]
    parts: Vec<Part>,
    /// Rounds, in each of which everybody runs once
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = crate::at_least_one)]
    rounds: usize,
    /// Pieces of work that costs nothing
    #[arg(long, value_name = "N", default_value_t = 2_000_000, value_parser = crate::at_least_one)]
    pieces: usize,
    /// Pieces of work that costs nothing, for Python
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = crate::at_least_one)]
    python_pieces: usize,
    /// Targets that are refused
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = crate::at_least_one)]
    targets: usize,
    /// Worker processes for work that costs nothing; repeatable [default: 32, and one per core]
    #[arg(long, value_name = "N", value_parser = crate::at_least_one)]
    processes: Vec<usize>,
    /// The Python that runs the reference
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
    /// The portmuster that checks the refused targets [default: built from this source]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// Something that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The queue alone: work that costs nothing
    Costless,
    /// Targets on loopback where nothing listens
    Refused,
}

/// Work that costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Job {
    /// A number, for a number
    Number,
    /// A target, for yes or no
    Target,
}

/// Runs the parts that are asked for.
///
/// # Errors
/// Somebody can't be started, or does not do its work.
pub(crate) fn run(options: &Options) -> Result<Vec<Section>> {
    let mut output = anstream::stdout().lock();
    if cfg!(debug_assertions) {
        writeln!(output, "built without --release: these figures say nothing about speed\n")?;
    }
    let mut sections = Vec::new();
    for part in &options.parts {
        let section = match part {
            Part::Costless => costless(options, &mut output)?,
            Part::Refused => refused(options, &mut output)?,
        };
        writeln!(output, "{section}")?;
        sections.push(section);
    }
    Ok(sections)
}

fn costless(options: &Options, output: &mut impl Write) -> Result<Section> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let usual = [defaults::PROCESSES, cores];
    let counts = if options.processes.is_empty() { &usual[..] } else { &options.processes };
    let list = List::new(Span::refused(options.python_pieces))?;
    let mut candidates = Vec::new();
    for &processes in counts {
        for job in [Job::Number, Job::Target] {
            candidates.push(job.candidate(processes, options.pieces)?);
        }
    }
    for method in [reference::Method::Processes, reference::Method::ProcessThreads] {
        candidates.push(method.candidate(&options.python, &list, reference::Work::Nothing));
    }
    let title = format!(
        "work that costs nothing: {} pieces, for Python {}; a lease of {} beside what is worked on",
        options.pieces,
        options.python_pieces,
        defaults::LEASE_AHEAD
    );
    let rows = contest::run_rounds(output, &title, &mut candidates, options.rounds, Demand::Exact)?;
    let unit = Some(reference::Method::Processes.name().to_owned());
    let first = &rows[0];
    let most = "CPU for each piece, in µs: ".to_owned() + &first.name;
    let goals = vec![Goal::at_most(most, first.cpu, COSTLESS_MOST)];
    Ok(Section { title, rows, unit, goals, ..Section::default() })
}

fn refused(options: &Options, output: &mut impl Write) -> Result<Section> {
    let program = options.program.clone().map_or_else(program::build, Ok)?;
    let list = List::new(Span::refused(options.targets))?;
    let python = |method: reference::Method| {
        method.candidate(&options.python, &list, reference::Work::Connect)
    };
    let mut candidates = vec![
        program::candidate(&program, &list, Method::Processes),
        python(reference::Method::Processes),
        program::candidate(&program, &list, Method::ProcessThreads),
        python(reference::Method::ProcessThreads),
    ];
    let title = format!(
        "{} targets, each refused; --no-probe --rate max --per-host max --retries 0",
        options.targets
    );
    let rows = contest::run_rounds(output, &title, &mut candidates, options.rounds, Demand::Exact)?;
    let unit = Some(reference::Method::Processes.name().to_owned());
    let what = format!("pace of {} over {}", rows[0].name, rows[1].name);
    let goals = vec![Goal::at_least(what, rows[0].times(&rows[1]), REFUSED_LEAST)];
    Ok(Section { title, rows, unit, goals, ..Section::default() })
}

impl Job {
    /// The inside of a worker process that does it.
    pub(crate) fn serve(self) -> ExitCode {
        match self {
            Self::Number => serve(|number: u64| !number),
            Self::Target => serve(|_: SocketAddr| false),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Target => "target",
        }
    }

    fn candidate(self, processes: usize, pieces: usize) -> Result<Candidate<'static>> {
        let program = Program::this().context("asking where this program is")?;
        let program = program.arg("worker").arg(self.name());
        let workers = Workers { processes, ..Workers::new(program) };
        let name = format!("portmuster, {processes} processes, a {} each", self.name());
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
        Ok(Candidate { name, pieces, calls: None, command: None, run: Box::new(run) })
    }
}

/// Has all pieces done; `done` says which of them came back, if its result is right.
fn do_all<W, R>(
    workers: &Workers,
    pieces: usize,
    make: impl Fn(usize) -> W + Send + 'static,
    done: impl Fn(W, R) -> Option<usize>,
) -> Result<Ran>
where
    W: Serialize + Send + 'static,
    R: DeserializeOwned + Send + 'static,
{
    let mut came = vec![0_u8; pieces];
    let mut results = workers.run::<W, R>((0..pieces).map(make))?;
    for (work, result) in results.by_ref() {
        let which = done(work, result.context("having work done")?);
        let place = which.and_then(|nth| came.get_mut(nth));
        *place.context("a result is wrong")? += 1;
    }
    let losses = results.losses();
    ensure!(losses.is_empty(), "workers ended before their time: {losses:?}");
    // Ends the workers, which is part of the price.
    drop(results);
    let check = Box::new(move || {
        ensure!(came.iter().all(|&times| times == 1), "a piece came back twice, or not at all");
        Ok(None)
    });
    Ok(Ran { check, memory_kib: None })
}
