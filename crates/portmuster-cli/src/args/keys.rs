//! The arguments of `portmuster keys`.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ValueEnum};

const PROBLEMS_AND_STATUS: &str = "\
Examples:
  portmuster keys keys.jsonl
  portmuster keys audit.db#last --all
  portmuster keys monday.jsonl tuesday.jsonl -o jsonl | jq -r .sha256

Problems:
  shared    several hosts have the key: they are copies of one machine, and
            whoever has the key of one can answer for all; ports of one host
            may share a key
  weak      DSA, or RSA with less than 2,048 bits
  bad       the fingerprint is in a file of --bad
  unproven  no server has proven to have it

Exit status:
  0    no key has a problem
  1    a key has a problem
  2    the arguments are invalid, or a run or a file can't be read
  3    standard output can't be written
If stdout is closed early, the command ends with status 0.";

/// Which runs are read, and which of their host keys are shown.
#[derive(Debug, Args)]
#[command(after_help = PROBLEMS_AND_STATUS)]
pub(crate) struct Keys {
    /// Runs with host keys: files of `check --host-keys all -o jsonl=FILE`, or runs in databases
    #[arg(
        value_name = "RUN",
        required = true,
        long_help = "\
Runs with host keys: files of `portmuster check --host-keys all -o jsonl=FILE`, or runs in a database (-o \
sqlite=FILE). FILE, FILE#last and FILE#-1 mean the last run, FILE#-2 the run before it, and FILE#7 the run \
with id 7. `-` is stdin. A target that is in several runs counts once."
    )]
    pub(crate) runs: Vec<OsString>,

    /// Read fingerprints of bad keys from a file, one per line; repeatable
    #[arg(
        long,
        value_name = "FILE",
        long_help = "\
Read fingerprints of bad keys from a file, one per line; repeatable. A fingerprint is the SHA-256 hash of \
the key, as `SHA256:` with base64 or as 64 hexadecimal digits; text after it and lines that begin with # are \
ignored."
    )]
    pub(crate) bad: Vec<PathBuf>,

    /// Show keys without a problem, too
    #[arg(long)]
    pub(crate) all: bool,

    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value_t = KeyFormat::Table, value_enum)]
    pub(crate) output: KeyFormat,
}

/// Output format of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyFormat {
    Table,
    Jsonl,
}
