//! Runs steps in order, with a headline before each and a summary at the end.
//!
//! Invariant: no step starts after one that failed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::step::{Status, Step};

/// How one step ended, and how long it took.
struct Record {
    name: &'static str,
    result: Result<Status>,
    took: Duration,
}

/// Runs `steps` in order until one fails, and prints how each ended.
pub(crate) fn run(steps: &[Step]) -> ExitCode {
    let mut records = Vec::with_capacity(steps.len());
    for step in steps {
        let record = run_step(step);
        let failed = record.result.is_err();
        records.push(record);
        if failed {
            break;
        }
    }
    eprint!("\n{}", summary(&records, steps.len()));
    if records.iter().any(|record| record.result.is_err()) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

#[expect(clippy::disallowed_methods, reason = "a build takes real time, never simulated time")]
fn run_step(step: &Step) -> Record {
    eprintln!("\n== {}", step.name);
    let start = Instant::now();
    let result = (step.run)();
    Record { name: step.name, result, took: start.elapsed() }
}

/// One line for each step that ran, then one line for the whole run. `planned` is the number of
/// steps of the command.
fn summary(records: &[Record], planned: usize) -> String {
    let mut lines: Vec<String> = records.iter().map(line).collect();
    let seconds: f64 = records.iter().map(|record| record.took.as_secs_f64()).sum();
    let skipped = records.iter().filter(|record| matches!(record.result, Ok(Status::Skipped(_))));
    lines.push(match records.last().map(|last| (&last.result, last.name)) {
        Some((Err(error), name)) => {
            let rest = planned - records.len();
            format!("xtask: {name} failed after {seconds:.1} s, {rest} not run: {error:#}")
        }
        _ => format!("xtask: all passed, {} skipped, in {seconds:.1} s", skipped.count()),
    });
    lines.join("\n") + "\n"
}

fn line(record: &Record) -> String {
    let ended = match &record.result {
        Ok(Status::Passed) => "passed".to_owned(),
        Ok(Status::Skipped(why)) => format!("skipped: {why}"),
        Err(_) => "failed".to_owned(),
    };
    format!("{:<12} {:>7.1} s  {ended}", record.name, record.took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn record(name: &'static str, result: Result<Status>) -> Record {
        Record { name, result, took: Duration::from_millis(1250) }
    }

    #[test]
    fn summary_counts_skipped_steps_and_gives_the_reason() {
        let records =
            [record("format", Ok(Status::Passed)), record("docs", Ok(Status::Skipped("no")))];
        assert_eq!(
            summary(&records, 2),
            "format           1.2 s  passed\n\
             docs             1.2 s  skipped: no\n\
             xtask: all passed, 1 skipped, in 2.5 s\n"
        );
    }

    #[test]
    fn summary_of_a_failed_run_ends_with_the_error() {
        let records = [
            record("format", Ok(Status::Passed)),
            record("lints", Err(anyhow!("exit status: 1: ls"))),
        ];
        assert_eq!(
            summary(&records, 5),
            "format           1.2 s  passed\n\
             lints            1.2 s  failed\n\
             xtask: lints failed after 2.5 s, 3 not run: exit status: 1: ls\n"
        );
    }

    #[test]
    fn no_step_starts_after_a_failure() {
        let fails = Step { name: "fails", run: || Err(anyhow!("this step always fails")) };
        let panics = Step { name: "panics", run: || panic!("started after a failure") };
        assert_eq!(run(&[fails, panics]), ExitCode::FAILURE);
    }
}
