//! Steps, one after another: a headline before each, a summary at the end.
//!
//! Invariant: after a step that fails, no other is started.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::step::{Status, Step};

/// What came of one step, and how long it took.
struct Record {
    name: &'static str,
    result: Result<Status>,
    took: Duration,
}

/// Runs `steps` in order, up to the first that fails, and says what came of each.
pub(crate) fn run(steps: &[Step]) -> ExitCode {
    let mut records = Vec::with_capacity(steps.len());
    for step in steps {
        let record = take(step);
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

#[expect(clippy::disallowed_methods, reason = "no simulator owns the time that a build takes")]
fn take(step: &Step) -> Record {
    eprintln!("\n== {}", step.name);
    let start = Instant::now();
    let result = (step.run)();
    Record { name: step.name, result, took: start.elapsed() }
}

/// A line for each step that was run, then what it all came to.
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
    fn a_summary_tells_what_was_skipped() {
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
    fn a_summary_ends_with_the_failure() {
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
    fn nothing_follows_a_step_that_fails() {
        let fails = Step { name: "fails", run: || Err(anyhow!("as it should")) };
        let panics = Step { name: "panics", run: || panic!("started after a failure") };
        assert_eq!(run(&[fails, panics]), ExitCode::FAILURE);
    }
}
