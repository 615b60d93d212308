//! A change of one target between two runs.

use std::{fmt, net::IpAddr, sync::Arc};

use super::target_result::TargetResult;
use crate::{outcome::PortState, targets::Target};

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ChangeKind {
    /// The target is only in the new run, and the old run was not
    /// [partial](crate::history::RunResults::is_partial).
    Came,
    /// The target is only in the old run, and the new run was not
    /// [partial](crate::history::RunResults::is_partial).
    Went,
    /// The port is open now; before, it was closed or the name did not exist.
    Opened,
    /// The port was open; now, it is closed or the name does not exist.
    Closed,
    /// The port is open now; before, it was filtered or could not be checked.
    Answers,
    /// The port was open; now, it is filtered or shows no service.
    NoAnswer,
    /// The service has changed.
    Service,
    /// The ssh identification has changed.
    Version,
    /// The greeting has changed.
    Banner,
    /// There are new weaknesses.
    NewFindings,
    /// Weaknesses have disappeared.
    GoneFindings,
}

impl ChangeKind {
    /// Every kind, in the order in which summaries list them.
    pub const ALL: [Self; 11] = [
        Self::Came,
        Self::Went,
        Self::Opened,
        Self::Closed,
        Self::Answers,
        Self::NoAnswer,
        Self::Service,
        Self::Version,
        Self::Banner,
        Self::NewFindings,
        Self::GoneFindings,
    ];

    /// Returns the name of the kind in rows and summaries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Came => "came",
            Self::Went => "went",
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Answers => "answers",
            Self::NoAnswer => "no-answer",
            Self::Service => "service",
            Self::Version => "version",
            Self::Banner => "banner",
            Self::NewFindings => "new-findings",
            Self::GoneFindings => "gone-findings",
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// The changes of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
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
pub struct ChangeSide {
    /// The address, if the host is a name; `None` also if no connection was tried.
    pub address: Option<IpAddr>,
    /// The result.
    pub result: Arc<TargetResult>,
}
