//! The arguments of `portmuster compare`.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum};
use portmuster::Method;

use super::{input_format::InputFormatArgs, values};

const COLUMNS_AND_STATUS: &str = "\
Each run is a separate process with --no-probe --rate max --per-host max
--retries 0, and writes its results to a JSON Lines file. In each round, every
method runs once.

All figures are medians over the rounds. TARGETS/S also shows the minimum and
maximum in brackets. WALL is the time from start to end of the process, CPU
the processor time of all its processes. MEM MIB is the peak of memory of all
processes together, with each shared page counted once (PSS, sampled 50 times
per second). SWITCHES counts context switches, IN FLIGHT is the limit of
attempts at the same time, and WORKERS the number of threads, loops or
processes. FAIR is Jain's fairness index of the attempts per worker: 100 % if
all workers made the same number of attempts, 50 % if half of the workers made
all of them. ANSWERS says whether the results are those of the first method.

Exit status:
  0    all methods gave the same results
  1    the results of some targets differ; the first of them are printed
  2    the arguments or the input are invalid
  3    a run failed
  130  interrupted";

/// Benchmark the execution methods on the same targets
#[derive(Debug, Args)]
#[command(after_help = COLUMNS_AND_STATUS)]
pub(crate) struct Compare {
    /// Targets to check, in addition to those of --input
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,

    /// Read targets from a file, one per line; repeatable
    #[arg(short, long = "input", value_name = "FILE")]
    pub(crate) inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) input_format: InputFormatArgs,

    /// Ports of targets that list none: numbers, ranges or service names
    #[arg(short, long, value_name = "LIST", default_value = "ssh,telnet")]
    pub(crate) ports: String,

    /// Never connect to these addresses, networks or names; repeatable
    #[arg(long, value_name = "TARGET")]
    pub(crate) exclude: Vec<String>,

    /// Read entries to exclude from a file, one per line; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) exclude_file: Vec<PathBuf>,

    /// Methods to compare [default: all]
    #[arg(long, value_name = "METHOD,…", value_delimiter = ',', value_parser = values::method())]
    pub(crate) methods: Vec<Method>,

    /// Number of runs of each method
    #[arg(long, value_name = "N", default_value = "3", value_parser = values::rounds)]
    pub(crate) rounds: NonZeroU32,

    /// Maximum number of open connections; lowered if descriptors are short
    #[arg(long, value_name = "N", default_value_t = values::in_flight(), value_parser = values::count)]
    pub(crate) in_flight: NonZeroUsize,

    /// Time limit of one connection attempt
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    pub(crate) timeout: Duration,

    /// Output format of the comparison
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = ComparisonFormat::Table)]
    pub(crate) output: ComparisonFormat,
}

/// Output format of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ComparisonFormat {
    /// Aligned columns
    Table,
    /// One JSON object per method and line
    Jsonl,
}
