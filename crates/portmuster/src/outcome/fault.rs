//! Faults of this machine.

use crate::named_enum::named_enum;

named_enum! {
    /// A shortage of a resource of this machine. It says nothing about a target.
    #[non_exhaustive]
    pub enum Fault: "fault" {
        /// The process has reached its limit of open descriptors (EMFILE).
        ProcessDescriptors = "process-descriptors",
        /// The system has reached its limit of open descriptors (ENFILE).
        SystemDescriptors = "system-descriptors",
        /// The system is out of buffer space (ENOBUFS).
        Buffers = "buffers",
        /// The system is out of memory (ENOMEM).
        Memory = "memory",
        /// No local port is free for the endpoint (EADDRNOTAVAIL, EADDRINUSE; EAGAIN on some systems).
        LocalPorts = "local-ports",
        /// epoll can watch no more descriptors (ENOSPC).
        Watches = "watches",
        /// The system could not create a thread (EAGAIN from clone).
        Threads = "threads",
    }
}
