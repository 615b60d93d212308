//! A change of one target between two runs.

use std::{net::IpAddr, sync::Arc};

use super::target_result::TargetResult;
use crate::{named_enum::named_enum, outcome::PortState, targets::Target};

named_enum! {
    /// A kind of change.
    #[non_exhaustive]
    pub enum ChangeKind: "kind of change" {
        /// The target is only in the new run, and the old run was not
        /// [partial](crate::history::RunResults::is_partial).
        Came = "came",
        /// The target is only in the old run, and the new run was not
        /// [partial](crate::history::RunResults::is_partial).
        Went = "went",
        /// The port is open now; before, it was closed or the name did not exist.
        Opened = "opened",
        /// The port was open; now, it is closed or the name does not exist.
        Closed = "closed",
        /// The port is open now; before, it was filtered or could not be checked.
        Answers = "answers",
        /// The port was open; now, it is filtered or shows no service.
        NoAnswer = "no-answer",
        /// The service has changed.
        Service = "service",
        /// The ssh identification has changed.
        Version = "version",
        /// The greeting has changed.
        Banner = "banner",
        /// There are new weaknesses.
        NewFindings = "new-findings",
        /// Weaknesses have disappeared.
        GoneFindings = "gone-findings",
        /// A host key is another one than that of the same type before.
        HostKey = "host-key",
    }
}

/// The changes of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The target. A host name is in lower case.
    pub target: Target,
    /// The kinds of change, at least one, in the order of [`ChangeKind::ALL`].
    pub kinds: Vec<ChangeKind>,
    /// The result in the old run; `None` if it lacks the target.
    pub old: Option<ChangeSide>,
    /// The result in the new run; `None` if it lacks the target.
    pub new: Option<ChangeSide>,
    /// New weaknesses.
    pub new_findings: Vec<Box<str>>,
    /// Weaknesses that have disappeared.
    pub gone_findings: Vec<Box<str>>,
}

impl Change {
    /// Returns whether the port is open in one of the runs.
    #[must_use]
    pub fn is_of_open(&self) -> bool {
        let sides = [&self.old, &self.new];
        sides.into_iter().flatten().any(|side| side.result.state == PortState::Open)
    }
}

/// The result of a changed target in one of the two runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangeSide {
    /// The address, if the host is a name; `None` also if no connection was tried.
    pub address: Option<IpAddr>,
    /// The result.
    pub result: Arc<TargetResult>,
}
