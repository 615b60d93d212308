//! What the schedule asks of an executor, and what it gets back.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{attempt::Opening, outcome::Conclusion};

/// Which of the schedule's checks a start or a conclusion belongs to. Given again once the check
/// has its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct CheckId(pub(crate) usize);

/// Permission to begin an attempt now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) id: CheckId,
    pub(crate) endpoint: SocketAddr,
    pub(crate) opening: Opening,
}

/// The end of an attempt that was started.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) id: CheckId,
    pub(crate) conclusion: Conclusion,
}
