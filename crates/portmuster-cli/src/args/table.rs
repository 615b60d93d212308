//! Arguments about the table on standard output.

use clap::Args;
use portmuster::sink::TableOrder;

use super::{headings, values};
use crate::formats::Arrangement;

/// How the rows of the table on standard output are arranged.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = headings::OUTPUTS)]
#[group(multiple = false)]
pub(crate) struct TableArgs {
    /// Sort the table on stdout by host, service or findings, and print it at the end
    #[arg(
        long,
        value_name = "ORDER",
        value_parser = values::table_order(),
        hide_short_help = true,
        long_help = "\
Sort the table on stdout, and print it at the end instead of row by row: by host (addresses before \
names), service (telnet first) or findings (the server with the most first)"
    )]
    sort: Option<TableOrder>,

    /// Print one row for each host with all its ports, at the end
    #[arg(long, hide_short_help = true)]
    group: bool,
}

impl TableArgs {
    /// Returns how rows are arranged.
    pub(crate) fn arrangement(self) -> Arrangement {
        match self {
            Self { group: true, .. } => Arrangement::Grouped,
            Self { sort: Some(order), .. } => Arrangement::Sorted(order),
            _ => Arrangement::AsFound,
        }
    }

    /// Returns the option that is set; `None`: rows are printed as their results arrive.
    pub(crate) fn option(self) -> Option<&'static str> {
        match self.arrangement() {
            Arrangement::AsFound => None,
            Arrangement::Sorted(_) => Some("--sort"),
            Arrangement::Grouped => Some("--group"),
        }
    }
}
