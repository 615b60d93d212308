//! The messages between schedule and executor: starts and reports.

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    attempt::Opening,
    outcome::{Conclusion, KeyTypes},
};

/// Identifies a check of the schedule. Reused after the check's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct CheckId(pub(crate) usize);

/// An attempt to begin now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) id: CheckId,
    pub(crate) endpoint: SocketAddr,
    /// The name that the proxy looks up; only its port of `endpoint` counts then.
    pub(crate) name: Option<Box<str>>,
    pub(crate) opening: Opening,
    /// How long to wait for an answer; `None`: the whole timeout.
    pub(crate) patience: Option<Duration>,
    /// The types of host keys that earlier attempts got from the endpoint.
    pub(crate) known_keys: KeyTypes,
}

/// How an attempt ended.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) id: CheckId,
    pub(crate) conclusion: Conclusion,
}
