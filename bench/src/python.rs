//! The question `python`: the Python package beside what Python's own library offers, and beside the
//! program.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::{
    answers::Coverage,
    arguments::at_least_one,
    candidate::Candidate,
    contest::{Demand, run_rounds},
    greeter::Greeter,
    harness::Harness,
    list::{Expected, List},
    namespace::Namespace,
    parsers,
    peer::REFERENCE,
    program::{self, FASTEST},
    row::Row,
    section::{Goal, Section, Wanted},
    span::{LOOPBACK, SILENT_PORT, Span},
};

/// Checks a list of targets from Python.
const FROM_PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/from_python.py");

/// The virtual environment with the package that `cargo xtask bench` installs, relative to this program.
const ENVIRONMENT: &str = "../python/bench/bin/python";

/// The least pace from Python, as a multiple of that of the program, where targets refuse.
const ROWS_MIN: f64 = 0.6;
/// The same, in record batches.
const BATCHES_MIN: f64 = 0.8;
/// The least pace from Python, as a multiple of that of the reference's 32 processes.
const REFERENCE_MIN: f64 = 6.0;
/// The most milliseconds to import the package.
const IMPORT_MAX: f64 = 30.0;

/// Seconds that each silent target is waited for. The reference's ten would take it an hour.
const SILENT_TIMEOUT: &str = "1";

/// The ways to check from Python, with their names in tables.
const METHODS: [(&str, &str); 5] = [
    ("rows", "portmuster in Python, named tuples"),
    ("arrow", "portmuster in Python, Arrow batches"),
    ("arrow-file", "portmuster in Python, Arrow batches of a file"),
    ("threads", "ThreadPoolExecutor, 500 threads"),
    ("asyncio", "asyncio, 1,000 tasks"),
];

/// Options of the subcommand `python`.
#[derive(Debug, Args)]
pub(crate) struct PythonOptions {
    /// What to measure; repeatable
    #[arg(long = "part", value_name = "PART", default_values = ["refused", "open", "silent"])]
    parts: Vec<PythonPart>,
    /// Targets that refuse
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = at_least_one)]
    targets: usize,
    /// Targets that are open
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = at_least_one)]
    open: usize,
    /// Targets that never answer
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = at_least_one)]
    silent: usize,
    /// Rounds; each candidate runs once per round
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    rounds: usize,
    /// The Python that has the package [default: that of the benchmarks, or else python3]
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PythonPart {
    /// Targets on loopback where no server listens
    Refused,
    /// Targets on loopback where a server listens
    Open,
    /// Targets that never answer
    Silent,
}

/// Runs the selected parts and adds their sections to the report of `harness`.
pub(crate) fn run(options: &PythonOptions, harness: &mut Harness) -> Result<()> {
    let mut namespace = Namespace::prepare()?;
    namespace.silence(SILENT_PORT)?;
    let python = options.python()?;
    for part in &options.parts {
        let mut greeter = None;
        let (title, span) = match part {
            PythonPart::Refused => {
                (format!("{} targets that refuse", options.targets), Span::refused(options.targets))
            }
            PythonPart::Open => {
                let port = greeter.insert(Greeter::start()?).port;
                let title = format!("{} targets that are open", options.open);
                (title, Span::open(port, options.open))
            }
            PythonPart::Silent => {
                let title = format!(
                    "{} targets that never answer; {SILENT_TIMEOUT} s each",
                    options.silent
                );
                (title, Span::silent(LOOPBACK, options.silent))
            }
        };
        let mut section = measure(options, harness, &python, *part, (title, span))?;
        section.settings.clone_from(&namespace.settings);
        if *part == PythonPart::Refused {
            section.goals.push(import_time(&python)?);
        }
        harness.add(section)?;
        drop(greeter);
    }
    Ok(())
}

impl PythonOptions {
    /// The Python to use, which must have the package.
    fn python(&self) -> Result<PathBuf> {
        let of_bench = program::beside(ENVIRONMENT)?;
        let python = match &self.python {
            Some(python) => python.clone(),
            None if fs::exists(&of_bench).unwrap_or(false) => of_bench,
            None => "python3".into(),
        };
        let imported = Command::new(&python).args(["-c", "import portmuster, pyarrow"]).output();
        let imported = imported.with_context(|| format!("starting {}", python.display()))?;
        ensure!(
            imported.status.success(),
            "{} has no package portmuster, or no pyarrow: cargo xtask bench installs both",
            python.display()
        );
        Ok(python)
    }
}

fn measure(
    options: &PythonOptions,
    harness: &Harness,
    python: &PathBuf,
    part: PythonPart,
    (title, span): (String, Span),
) -> Result<Section> {
    let program = harness.portmuster()?;
    let list = List::new(span)?;
    let is_silent = part == PythonPart::Silent;
    let timeout = format!("{SILENT_TIMEOUT}s");
    let limits: &[&str] = if is_silent { &["--timeout", &timeout] } else { &[] };
    let arguments = [&FASTEST[..], &["--no-probe"], limits].concat();
    let mut candidates =
        vec![program::candidate(&program, &list, "portmuster --no-probe", &arguments)];
    for (method, name) in METHODS {
        let limits: &[&str] =
            if is_silent { &["--timeout", SILENT_TIMEOUT, "--not-open", "silent"] } else { &[] };
        candidates.push(from_python(python, &list, (method, name), limits));
    }
    // The reference waits for ten seconds, and its states are `open` and `closed`.
    if !is_silent {
        for (method, name) in [
            ("processes", "the reference, 32 processes"),
            ("process-threads", "its processes with threads"),
        ] {
            let mut command = Command::new(python);
            command.args([REFERENCE, method]).arg(list.path());
            candidates.push(answers(&list, name, command));
        }
    }
    let mut section = run_rounds(title, &mut candidates, options.rounds, Demand::Exact)?;
    section.goals = goals(&section.rows, part);
    Ok(section)
}

fn from_python<'a>(
    python: &PathBuf,
    list: &'a List,
    (method, name): (&str, &str),
    limits: &[&str],
) -> Candidate<'a> {
    let mut command = Command::new(python);
    command.args([FROM_PYTHON, method]).arg(list.path()).args(limits);
    answers(list, name, command)
}

fn answers<'a>(list: &'a List, name: &str, command: Command) -> Candidate<'a> {
    list.candidate(name, command, Expected::Answers(parsers::words, Coverage::EveryTarget))
}

fn goals(rows: &[Row], part: PythonPart) -> Vec<Goal> {
    if part != PythonPart::Refused {
        return Vec::new();
    }
    let of = |name: &str| rows.iter().find(|row| row.name.contains(name));
    let (Some(named), Some(batches), Some(reference)) =
        (of("named tuples"), of("batches of a file"), of("32 processes"))
    else {
        return Vec::new();
    };
    let goal = |ours: &Row, theirs: &Row, least| {
        let what = format!("pace of {} over {}", ours.name, theirs.name);
        Goal::at_least(what, ours.pace_ratio(theirs), least)
    };
    vec![
        goal(named, &rows[0], ROWS_MIN),
        goal(batches, &rows[0], BATCHES_MIN),
        goal(named, reference, REFERENCE_MIN),
    ]
}

/// Measures how long importing the package takes: the best of ten interpreters.
fn import_time(python: &PathBuf) -> Result<Goal> {
    const CODE: &str = "import time; start = time.perf_counter(); import portmuster; \
                        print((time.perf_counter() - start) * 1000)";
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let output = Command::new(python).args(["-c", CODE]).output()?;
        let milliseconds = String::from_utf8_lossy(&output.stdout).trim().parse::<f64>();
        best = best.min(milliseconds.context("measuring the import")?);
    }
    Ok(Goal::number("milliseconds to import the package", best, Wanted::AtMost, IMPORT_MAX))
}
