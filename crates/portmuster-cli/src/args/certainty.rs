//! The arguments that decide how thoroughly silent targets are checked.

use clap::Args;
use portmuster::config::{MaxMissed, MaxMissedError, Patience};

use super::{headings, values};

#[derive(Debug, Args)]
#[command(next_help_heading = headings::SILENCE)]
pub(crate) struct CertaintyArgs {
    /// How long to wait for targets that do not answer
    #[arg(
        hide_short_help = true,
        long,
        value_name = "WHICH",
        default_value_t = Patience::Adaptive,
        value_parser = values::patience(),
        long_help = "\
How long to wait for targets that do not answer. With `full`, every attempt waits for the whole \
--timeout. With `adaptive`, most attempts wait for 3.2 s, in which the system sends four SYNs, or longer \
if answers come later; one first attempt in 64 waits for the whole --timeout to learn that, and the \
attempts on a target start at least 5 s apart. With --retries 0 every attempt waits for the whole \
--timeout."
    )]
    pub(crate) patience: Patience,

    /// Largest share of silent targets that may be missed, estimated by asking some again
    #[arg(
        hide_short_help = true,
        long,
        value_name = "SHARE",
        value_parser = max_missed,
        long_help = "\
Largest share of silent targets that may be missed, from 0.0001% to 50% [default: 0.1%]. After the last pass over a block of \
targets, a random sample of its silent targets is asked again with the whole --timeout. If one answers, \
all are asked again, up to twice. The summary states how many silent targets at most would answer one \
more attempt, and with --require-verdict the run fails if that is more than this share. Rows of silent \
targets are written when their block is done. With --retries 0 none is asked again."
    )]
    pub(super) max_missed: Option<MaxMissed>,

    /// Do not ask silent targets again to estimate how many were missed
    #[arg(hide_short_help = true, long, conflicts_with = "max_missed")]
    pub(super) no_canaries: bool,
}

fn max_missed(text: &str) -> Result<MaxMissed, MaxMissedError> {
    text.parse()
}
