//! What is asked on a connection, and how long that may take.

use std::time::Duration;

use clap::Args;
use portmuster::{Limits, Probing};

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

    /// Limit of the conversation, from the accept
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = duration)]
    deadline: Duration,
}

impl Times {
    pub(crate) fn limits(self) -> Limits {
        let Self { timeout, first_byte, deadline } = self;
        Limits { timeout, first_byte, deadline, ..Limits::default() }
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

    /// Keep the conversation in the rows, up to 4 KiB of each
    #[arg(long)]
    pub(crate) evidence: bool,
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
