//! Arguments that choose which targets are checked, in which order and over which route.

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, ValueEnum};
use portmuster::targets::{Order, Shard};

use super::{headings, values};

/// Which of the targets are checked, in which order and over which route.
#[derive(Debug, Args)]
#[command(next_help_heading = headings::TARGETS)]
pub(crate) struct Selection {
    /// Never connect to these; repeatable
    #[arg(
        long,
        value_name = "TARGET",
        long_help = "\
Never connect to these addresses, networks or names, on any port unless the entry lists ports; \
repeatable. Names are resolved before the run starts (also for --list and --count), and all their \
addresses are excluded. A name that can't be resolved is an error."
    )]
    pub(crate) exclude: Vec<String>,

    /// Read entries to exclude from a file, one per line; repeatable
    #[arg(
        hide_short_help = true,
        long,
        value_name = "FILE",
        long_help = "\
Read entries to exclude from a file, one per line; names are resolved; repeatable. An invalid line \
is an error even with --skip-bad-lines, and so is a file without entries. Use /dev/null to exclude \
nothing."
    )]
    pub(crate) exclude_file: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) lines: LineRules,

    /// Check each address of a name as a separate target
    #[arg(
        hide_short_help = true,
        long,
        long_help = "\
Check each address of a name as a separate target, up to 8,192 per name. By default the addresses \
are tried, up to 256, until one accepts."
    )]
    pub(crate) all_addresses: bool,

    #[command(flatten)]
    pub(crate) family: Family,

    /// Connect from this local address
    #[arg(hide_short_help = true, long, value_name = "ADDRESS")]
    pub(crate) source: Option<IpAddr>,

    /// Order of the targets: shuffled to spread the load over hosts and networks, or as given
    #[arg(hide_short_help = true, long, value_name = "ORDER", default_value_t = OrderName::Shuffled, value_enum)]
    pub(crate) order: OrderName,

    /// Seed of the shuffled order [default: a hash of the targets as listed]
    #[arg(hide_short_help = true, long, value_name = "N", allow_hyphen_values = true, value_parser = values::seed)]
    pub(crate) seed: Option<u64>,

    /// Check only part M of N; the N parts are disjoint and together cover all targets
    #[arg(hide_short_help = true, long, value_name = "M/N", default_value = "1/1", value_parser = values::shard)]
    pub(crate) shard: Shard,

    #[command(flatten)]
    pub(crate) dry_run: DryRun,
}

impl Selection {
    /// Returns the order of the targets that do not come from a stream.
    pub(crate) fn order(&self) -> Order {
        match self.order {
            OrderName::Shuffled => Order::Shuffled { seed: self.seed },
            OrderName::Given => Order::Given,
        }
    }
}

/// How invalid input lines are treated.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = headings::TARGETS)]
pub(crate) struct LineRules {
    /// Report, count and skip invalid input lines (except in --exclude-file)
    #[arg(hide_short_help = true, long)]
    pub(crate) skip_bad_lines: bool,
}

/// Restricts the run to one address family.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = headings::TARGETS)]
#[group(multiple = false)]
pub(crate) struct Family {
    /// Use IPv4 only
    #[arg(hide_short_help = true, short = '4', long = "ipv4")]
    only_v4: bool,

    /// Use IPv6 only
    #[arg(hide_short_help = true, short = '6', long = "ipv6")]
    only_v6: bool,
}

impl Family {
    /// Returns the name that journals use.
    pub(crate) fn name(self) -> &'static str {
        match (self.only_v4, self.only_v6) {
            (true, _) => "ipv4",
            (_, true) => "ipv6",
            (false, false) => "any",
        }
    }

    /// Returns the network of all addresses to exclude; `None`: both families are used.
    pub(crate) fn other(self) -> Option<&'static str> {
        match (self.only_v4, self.only_v6) {
            (true, _) => Some("::/0"),
            (_, true) => Some("0.0.0.0/0"),
            (false, false) => None,
        }
    }
}

/// Prints the targets instead of checking them; sends nothing to them.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = headings::TARGETS)]
#[group(multiple = false)]
pub(crate) struct DryRun {
    /// List the targets; connect to none
    #[arg(
        long,
        long_help = "\
List the targets in the order of the run without connecting; names to exclude are resolved"
    )]
    pub(crate) list: bool,

    /// Print the number of targets without connecting; names to exclude are resolved
    #[arg(hide_short_help = true, long)]
    pub(crate) count: bool,
}

impl DryRun {
    /// Returns whether targets are printed instead of checked.
    pub(crate) fn is_set(self) -> bool {
        self.list || self.count
    }
}

/// The order of targets, as `--order` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderName {
    Shuffled,
    Given,
}
