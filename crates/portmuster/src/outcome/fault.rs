//! Faults of this machine.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A shortage of a resource of this machine. It says nothing about a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The process has reached its limit of open descriptors (EMFILE).
    ProcessDescriptors,
    /// The system has reached its limit of open descriptors (ENFILE).
    SystemDescriptors,
    /// The system is out of buffer space (ENOBUFS).
    Buffers,
    /// The system is out of memory (ENOMEM).
    Memory,
    /// No local port is free for the endpoint (EADDRNOTAVAIL, EADDRINUSE; EAGAIN on some systems).
    LocalPorts,
    /// epoll can watch no more descriptors (ENOSPC).
    Watches,
    /// The system could not create a thread (EAGAIN from clone).
    Threads,
}

impl Fault {
    /// Returns the name of the fault in rows and summaries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ProcessDescriptors => "process-descriptors",
            Self::SystemDescriptors => "system-descriptors",
            Self::Buffers => "buffers",
            Self::Memory => "memory",
            Self::LocalPorts => "local-ports",
            Self::Watches => "watches",
            Self::Threads => "threads",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
