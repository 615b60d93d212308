//! Arguments about the journal, which lets a later process resume a run.

use std::path::PathBuf;

use clap::Args;

use super::headings;

/// Where the journal is, and whether to resume from it.
#[derive(Debug, Args)]
#[command(next_help_heading = headings::JOURNAL)]
pub(crate) struct JournalArgs {
    /// Save the progress of the run in this file
    #[arg(
        long,
        value_name = "FILE",
        long_help = "\
Save the progress of the run in this file, so that --resume can continue it however it ended. A \
checkpoint is written every second and every 65,536 targets. Rows must go to files, and targets \
can't come from a stream. Outputs are synced before the journal is atomically replaced: after a power \
failure, targets since the last checkpoint are checked again, and no row is lost or duplicated."
    )]
    pub(crate) journal: Option<PathBuf>,

    /// Resume the run of the journal, or start it
    #[arg(
        long,
        requires = "journal",
        conflicts_with_all = ["list", "count"],
        long_help = "\
Resume the run of the journal from its last checkpoint: repeat the command with --resume. If the \
journal does not exist or is empty, the run starts, so a command can use --resume from the first \
time. Outputs are truncated to the checkpoint. The rate and the method may differ from the first \
command. If targets or other settings differ, an output was changed, or another run has written to \
it, the command fails without touching any file. --append and --force apply when the run starts and \
are ignored when it resumes."
    )]
    pub(crate) resume: bool,
}
