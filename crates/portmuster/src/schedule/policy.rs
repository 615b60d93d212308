//! What a schedule is asked to do.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use super::{blocks::BlockPolicy, route::Route};
use crate::{
    config::{Addresses, Patience, SpeakFirst},
    targets::Excludes,
};

/// The limits and choices that a schedule applies.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// The most attempts open at the same time.
    pub(crate) in_flight: usize,
    /// New connections per second; `None` for no limit.
    pub(crate) rate: Option<NonZeroU32>,
    /// The most attempts open towards one address; `None` for no limit.
    pub(crate) per_host: Option<NonZeroU32>,
    /// How long an address may be busy without a break; `None` for no limit.
    pub(crate) host_timeout: Option<Duration>,
    /// How many waiting targets there is memory for.
    pub(crate) waiting: usize,
    /// Retries of a filtered target. With 0, a server that closes without sending a byte is not tried
    /// again either.
    pub(crate) retries: u32,
    /// How long attempts wait for an answer, at most `timeout`.
    pub(crate) patience: Patience,
    pub(crate) timeout: Duration,
    /// How the targets are divided into blocks, and what is estimated of each.
    pub(crate) blocks: BlockPolicy,
    /// Whether a port that is silent, or answers an empty line, gets a second connection on which this
    /// side speaks first.
    pub(crate) speak_first: SpeakFirst,
    /// Which addresses of a name to check.
    pub(crate) addresses: Addresses,
    /// The addresses and names that are never connected to.
    pub(crate) excludes: Arc<Excludes>,
    /// How targets that wait for another attempt end when the run is stopped.
    pub(crate) stopped: Stopped,
    pub(crate) route: Route,
}

/// How targets that wait for another attempt end when a run is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Stopped {
    /// With the verdict that they have.
    #[default]
    Judged,
    /// Without an outcome; a resumed run checks them again.
    Left,
}
