//! `--list` and `--count`: print the targets without connecting to them.

use std::io::{self, BufWriter, Write};

use anyhow::{Context, bail};
use portmuster::{Target, sink::escape_line};

use crate::{
    args::DryRun,
    input::{ALL_EXCLUDED, Input},
    status::Status,
    terminal,
};

/// Prints the targets or their number.
///
/// # Errors
/// A line of a stream can't be read, or all targets are excluded.
pub(crate) fn print(dry_run: DryRun, input: Input) -> anyhow::Result<Status> {
    let read = input.read_parts();
    let printed = if dry_run.count {
        let count = count(input)?;
        writeln!(io::stdout(), "{count}").and_then(|()| io::stdout().flush())
    } else {
        list(input.into_targets())
    };
    if printed.is_err() {
        return Ok(terminal::status_of(printed));
    }
    if let Some(error) = read.bad_lines.take_fatal() {
        return Err(error);
    }
    if !read.has_targets() {
        bail!("there is no target: {ALL_EXCLUDED}");
    }
    Ok(Status::Complete)
}

/// Counts the targets, including those of streams.
fn count(input: Input) -> anyhow::Result<u128> {
    let is_stream = input.len().is_none();
    let indexed = input.set().exact_len().map(|_| input.indexed_len());
    let streamed = if is_stream { input.into_streamed().count() } else { 0 };
    indexed.and_then(|indexed| indexed.checked_add(streamed as u128)).with_context(|| {
        format!(
            "there are {} targets or more, too many to count: count a smaller network, or one port \
             of it (-p 22)",
            u128::MAX
        )
    })
}

/// Prints one target per line with its label, in the format of an input.
fn list(targets: impl Iterator<Item = Target>) -> io::Result<()> {
    let mut output = BufWriter::new(io::stdout());
    for target in targets {
        write!(output, "{}", escape_line(target.to_string().as_bytes()))?;
        if let Some(label) = &target.label {
            write!(output, " {}", escape_line(label.as_bytes()))?;
        }
        writeln!(output)?;
    }
    output.flush()
}
