//! The state of a port.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the connection attempts show about a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortState {
    /// The connection was accepted.
    Open,
    /// The connection was refused.
    Closed,
    /// Nothing answered, or a device on the path rejected the connection.
    Filtered,
    /// The name does not exist.
    Unresolved,
    /// This machine could not try a connection, or is not permitted to.
    Unchecked,
}

impl PortState {
    /// Every state, in the order in which summaries list them.
    pub const ALL: [Self; 5] =
        [Self::Open, Self::Closed, Self::Filtered, Self::Unresolved, Self::Unchecked];

    /// Returns the name of the state in rows and summaries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Filtered => "filtered",
            Self::Unresolved => "unresolved",
            Self::Unchecked => "unchecked",
        }
    }
}

impl fmt::Display for PortState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
