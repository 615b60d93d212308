//! What lets a run survive being killed.

use std::path::PathBuf;

use clap::Args;

/// What lets a run survive being killed.
#[derive(Debug, Args)]
pub(crate) struct Journaling {
    /// Keep in this file how far the run is, so that --resume can go on with it
    #[arg(
        long,
        value_name = "FILE",
        long_help = "\
Keep in this file how far the run is, once a second and every 65,536 targets, so that --resume can go \
on with it, however it ended. Rows then need files, and targets can't come from a stream. Before the \
journal is replaced, as a whole, every output is synced: what a power cut takes is done again, and no \
row is lost or there twice."
    )]
    pub(crate) journal: Option<PathBuf>,

    /// Go on with the run of the journal, exactly where it was left; without a journal, begin it
    #[arg(
        long,
        requires = "journal",
        conflicts_with_all = ["list", "count"],
        long_help = "\
Go on with the run of the journal, exactly where it was left: repeat its command with --resume. Where \
there is no journal, or an empty one, the run begins, so a command that has --resume from the start can \
be repeated as it is. \
Outputs are cut back to where the journal has them. Another rate or method may be asked for; with \
other targets or settings, or where an output was changed or another run has written to it, it is \
refused, and nothing is touched. --append and --force hold for a run \
that begins, and say nothing to one that goes on."
    )]
    pub(crate) resume: bool,
}
