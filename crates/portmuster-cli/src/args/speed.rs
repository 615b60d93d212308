//! The arguments that decide how fast targets are checked.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use clap::Args;
use portmuster::{
    Method,
    config::{ConfigBuilder, defaults},
};

use super::{
    headings,
    values::{self, Ceiling},
};

/// How fast targets are checked, and by what.
#[derive(Debug, Args)]
#[command(next_help_heading = headings::SPEED)]
pub(crate) struct SpeedArgs {
    /// New connections per second [default: 10k]
    #[arg(
        long,
        value_name = "N",
        long_help = "\
Maximum number of new connections per second, such as 2000 or 10k; \"max\" for no limit [default: 10k]"
    )]
    pub(crate) rate: Option<Ceiling>,

    /// How to run checks concurrently
    #[arg(
        long,
        value_name = "METHOD",
        default_value = "event-loop",
        value_parser = values::method(),
        hide_short_help = true
    )]
    pub(crate) method: Method,

    /// Number of workers [default: 256 threads, 32 processes, or one per core for the methods with
    /// event loops or process-threads]
    #[arg(long, value_name = "N", value_parser = values::count, hide_short_help = true)]
    pub(crate) workers: Option<NonZeroUsize>,

    /// Threads per process of process-threads [default: 250]
    #[arg(long, value_name = "N", value_parser = values::count, hide_short_help = true)]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Maximum number of open connections [default: as many as the rate needs]
    #[arg(
        long,
        value_name = "N",
        value_parser = values::count,
        hide_short_help = true,
        long_help = "\
Maximum number of open connections [default: as many as the rate needs while nothing answers, from \
16384 to 262144, each with about 6 KiB of memory]. Lowered with a message if descriptors or memory \
are short."
    )]
    pub(crate) in_flight: Option<NonZeroUsize>,

    /// Maximum number of open connections per address; "max" for no limit
    #[arg(long, value_name = "N", default_value_t = Ceiling(NonZeroU32::new(defaults::PER_HOST)), hide_short_help = true)]
    pub(crate) per_host: Ceiling,

    /// Give up on an address after it has occupied the run for this long
    #[arg(
        long,
        value_name = "TIME",
        value_parser = values::duration,
        hide_short_help = true,
        long_help = "\
Give up on an address after it has occupied the run for this long without a break, that is, while \
connections to it are open or targets wait for it. Its untried targets become unchecked \
(host-timeout), which fails --require-verdict; targets that wait for a retry keep their verdict."
    )]
    pub(crate) host_timeout: Option<Duration>,

    /// Number of retries for a target that does not answer
    #[arg(
        long,
        value_name = "N",
        default_value_t = defaults::RETRIES,
        allow_hyphen_values = true,
        hide_short_help = true,
        value_parser = values::retries
    )]
    pub(crate) retries: u32,
}

impl SpeedArgs {
    /// Adds the arguments to the settings of the library.
    pub(super) fn apply(&self, settings: ConfigBuilder) -> ConfigBuilder {
        let rate = self.rate.unwrap_or(Ceiling(NonZeroU32::new(defaults::RATE)));
        settings
            .method(self.method)
            .workers(self.workers.map(NonZeroUsize::get))
            .threads(self.threads.map(NonZeroUsize::get))
            .in_flight(self.in_flight.map(NonZeroUsize::get))
            .rate(rate.0.map(NonZeroU32::get))
            .per_host(self.per_host.0.map(NonZeroU32::get))
            .host_timeout(self.host_timeout)
            .retries(self.retries)
    }
}
