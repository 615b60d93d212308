//! Arguments about what a run writes at its end for other programs.

use std::path::PathBuf;

use clap::Args;

use super::headings;

/// The files that are written at the end of a run, except the summary.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Write the totals of the run to a file, as metrics for Prometheus
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["list", "count"],
        help_heading = headings::OUTPUTS,
        hide_short_help = true,
        long_help = "\
Write the totals of the run to a file, as metrics for Prometheus, for example in the directory of \
node_exporter's textfile collector: targets by state, open ports by service and by finding, gates, \
duration, and the time of the last run that examined every target. The file is replaced atomically when \
the run ends, also if it was interrupted or failed. Metrics of an earlier run are replaced without \
--force, and any other file is refused."
    )]
    pub(crate) metrics: Option<PathBuf>,

    #[arg(
        long,
        help = "Write the gates to a file, as tests in JUnit's XML format",
        value_name = "FILE",
        conflicts_with_all = ["list", "count"],
        help_heading = headings::GATES,
        hide_short_help = true,
        long_help = "\
Write the gates to a file, as tests in JUnit's XML format, which CI systems show: one for each thing that \
--forbid names and for each kind of --require-verdict. A test fails if, and only if, the run violates its \
gates; the last one is an error if the run did not examine every target. The file is emptied when the run \
starts, so a run that was killed leaves none that an earlier one has passed."
    )]
    pub(crate) gates_junit: Option<PathBuf>,

    /// Begin CSV with a byte order mark, so that Excel reads it as UTF-8
    #[arg(
        long,
        conflicts_with_all = ["list", "count"],
        help_heading = headings::OUTPUTS,
        hide_short_help = true
    )]
    pub(crate) excel: bool,

    /// Write hashes instead of host names with `-o known-hosts`
    #[arg(
        long,
        conflicts_with_all = ["list", "count"],
        help_heading = headings::OUTPUTS,
        hide_short_help = true
    )]
    pub(crate) hash_hosts: bool,
}
