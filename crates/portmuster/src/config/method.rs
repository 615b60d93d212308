//! The methods: how many checks run side by side, and where.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// How checks run side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Method {
    /// One check after the other, in one thread.
    Serial,
    /// Blocking threads with one check each.
    Threads,
    /// Worker processes with one check each.
    Processes,
    /// A few worker processes with many blocking threads each.
    ProcessThreads,
    /// One event loop per core with many checks each.
    #[default]
    EventLoop,
    /// One worker process per core with an event loop each.
    ProcessEventLoops,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 6] = [
        Self::Serial,
        Self::Threads,
        Self::Processes,
        Self::ProcessThreads,
        Self::EventLoop,
        Self::ProcessEventLoops,
    ];

    /// Returns the method's name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Threads => "threads",
            Self::Processes => "processes",
            Self::ProcessThreads => "process-threads",
            Self::EventLoop => "event-loop",
            Self::ProcessEventLoops => "process-event-loops",
        }
    }

    /// Returns whether it has worker processes, which need a [`Program`](crate::workers::Program).
    #[must_use]
    pub fn has_processes(self) -> bool {
        match self {
            Self::Serial | Self::Threads | Self::EventLoop => false,
            Self::Processes | Self::ProcessThreads | Self::ProcessEventLoops => true,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// The error for an unknown method name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no method {0:?}")]
pub struct UnknownMethod(String);

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(name: &str) -> Result<Self, UnknownMethod> {
        let found = Self::ALL.into_iter().find(|method| method.name() == name);
        found.ok_or_else(|| UnknownMethod(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_names_parse_back_to_their_method() {
        for method in Method::ALL {
            assert_eq!(method.name().parse(), Ok(method));
        }
        assert!("fibers".parse::<Method>().is_err());
    }
}
