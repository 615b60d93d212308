//! Arguments about one connection: its time limits, and how far a check goes.

use std::time::Duration;

use clap::{Args, ValueEnum};
use portmuster::config::{ConfigBuilder, Probing, SpeakFirst};

use super::{headings, values::duration};

/// The time limits of one connection.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = headings::PROBE)]
pub(crate) struct TimeLimits {
    /// Time limit of one attempt
    #[arg(long, help_heading = headings::SPEED, value_name = "TIME", default_value = "10s", value_parser = duration)]
    timeout: Duration,

    /// How long to wait for the first byte after the connection is accepted
    #[arg(hide_short_help = true, long, value_name = "TIME", default_value = "12s", value_parser = duration)]
    first_byte: Duration,

    /// Pause that ends a greeting which a rule recognises (other greetings get --first-byte)
    #[arg(hide_short_help = true, long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    quiet_after: Duration,

    /// Time limit of the whole conversation, from the accepted connection
    #[arg(hide_short_help = true, long, value_name = "TIME", default_value = "20s", value_parser = duration)]
    deadline: Duration,
}

impl TimeLimits {
    /// Adds the limits to the settings of the library.
    pub(super) fn apply(self, settings: ConfigBuilder) -> ConfigBuilder {
        let Self { timeout, first_byte, quiet_after, deadline } = self;
        settings.timeout(timeout).first_byte(first_byte).quiet(quiet_after).deadline(deadline)
    }
}

/// What a check finds out on a connection, and whether the conversation is kept.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = headings::PROBE)]
pub(crate) struct ProbeArgs {
    /// Only test whether the port accepts connections; don't read from the server
    #[arg(hide_short_help = true, long, conflicts_with_all = ["no_kex", "evidence"])]
    no_probe: bool,

    /// Stop after the ssh identification; don't read which algorithms the server offers
    #[arg(hide_short_help = true, long)]
    no_kex: bool,

    #[command(flatten)]
    pub(crate) active: SpeakFirstArgs,

    /// Include the conversation in the rows, up to 4 KiB each
    #[arg(hide_short_help = true, long)]
    pub(crate) evidence: bool,
}

impl ProbeArgs {
    /// Returns what a check finds out.
    pub(crate) fn probing(self) -> Probing {
        if self.no_probe { Probing::ConnectOnly } else { greeting_or_kex(self.no_kex) }
    }
}

/// Returns what a check finds out if it reads what the server sends.
pub(super) fn greeting_or_kex(no_kex: bool) -> Probing {
    if no_kex { Probing::Greeting } else { Probing::KeyExchange }
}

const SPEAK_FIRST: &str = "\
Whether to open a second connection, and send an ssh identification on it (SSH-2.0-portmuster_...), \
to a port that stays silent or that answers an empty line in another protocol. Multiplexers such as \
sslh, HAProxy and nginx choose the backend by the first bytes of the client, so only this finds an \
sshd behind them. auto skips ports 9100 to 9107, where printers print what they receive.";

/// Whether the check may send first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SpeakFirstName {
    Auto,
    Never,
}

/// Whether the check may send first, on a second connection.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = headings::PROBE)]
pub(crate) struct SpeakFirstArgs {
    /// Whether to send an ssh identification, on a second connection, to a port that stays silent
    #[arg(
        hide_short_help = true,
        long,
        value_name = "WHEN",
        default_value_t = SpeakFirstName::Auto,
        value_enum,
        long_help = SPEAK_FIRST
    )]
    speak_first: SpeakFirstName,
}

impl SpeakFirstArgs {
    /// Returns the setting of the library's configuration.
    pub(crate) fn speak_first(self) -> SpeakFirst {
        match self.speak_first {
            SpeakFirstName::Auto => SpeakFirst::Auto,
            SpeakFirstName::Never => SpeakFirst::Never,
        }
    }
}
