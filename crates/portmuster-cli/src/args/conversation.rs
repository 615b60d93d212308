//! What is asked on a connection, and how long that may take.

use std::time::Duration;

use clap::{Args, ValueEnum};
use portmuster::{Limits, Probing, SpeakFirst};

use super::duration;

/// The limits in time of one connection.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Times {
    /// Limit of one connection attempt
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    timeout: Duration,

    /// Limit of the silence after the accept
    #[arg(long, value_name = "TIME", default_value = "12s", value_parser = duration)]
    first_byte: Duration,

    /// Silence that ends a greeting which a rule recognises; all else is given --first-byte
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    quiet_after: Duration,

    /// Limit of the conversation, from the accept
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = duration)]
    deadline: Duration,
}

impl Times {
    pub(crate) fn limits(self) -> Limits {
        let Self { timeout, first_byte, quiet_after: quiet, deadline } = self;
        Limits { timeout, first_byte, quiet, deadline, ..Limits::default() }
    }
}

/// What is asked on a connection, and what is kept of it.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Asking {
    /// Only see whether it connects; don't read what the server says
    #[arg(long, conflicts_with_all = ["no_kex", "evidence"])]
    no_probe: bool,

    /// Stop at the identification of ssh; don't ask which algorithms it offers
    #[arg(long)]
    no_kex: bool,

    #[command(flatten)]
    pub(crate) speaking: Speaking,

    /// Keep the conversation in the rows, up to 4 KiB of each
    #[arg(long)]
    pub(crate) evidence: bool,
}

const SPEAK_FIRST: &str = "\
Whether a port that stays silent, or answers an empty line as another protocol does, gets a second \
connection on which we speak first, as ssh clients do (SSH-2.0-portmuster_...): multiplexers such as \
sslh, HAProxy and nginx hand a connection to sshd by its first bytes. auto leaves out ports 9100 to \
9107, where printers print what they are sent.";

/// Whether we ever speak first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SpeakFirstName {
    Auto,
    Never,
}

/// Who speaks first.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Speaking {
    /// Whether a port that stays silent, or answers an empty line as another protocol does, gets a
    /// second connection on which we speak first
    #[arg(
        long,
        value_name = "WHEN",
        default_value_t = SpeakFirstName::Auto,
        value_enum,
        long_help = SPEAK_FIRST
    )]
    speak_first: SpeakFirstName,
}

impl Speaking {
    pub(crate) fn speak_first(self) -> SpeakFirst {
        match self.speak_first {
            SpeakFirstName::Auto => SpeakFirst::Auto,
            SpeakFirstName::Never => SpeakFirst::Never,
        }
    }
}

impl Asking {
    pub(crate) fn probing(self) -> Probing {
        if self.no_probe { Probing::ConnectOnly } else { greeting_or_more(self.no_kex) }
    }
}

/// How far a conversation goes that is not over with the accept.
pub(crate) fn greeting_or_more(no_kex: bool) -> Probing {
    if no_kex { Probing::Greeting } else { Probing::KeyExchange }
}
