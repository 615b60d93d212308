//! The methods: how many checks run side by side, and where.

use crate::named_enum::named_enum;

named_enum! {
    /// How checks run side by side.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum Method: "method" {
        /// One check after the other, in one thread.
        Serial = "serial",
        /// Blocking threads with one check each.
        Threads = "threads",
        /// Worker processes with one check each.
        Processes = "processes",
        /// A few worker processes with many blocking threads each.
        ProcessThreads = "process-threads",
        /// One event loop per core with many checks each.
        #[default]
        EventLoop = "event-loop",
        /// One worker process per core with an event loop each.
        ProcessEventLoops = "process-event-loops",
    }
}

impl Method {
    /// Returns whether it has worker processes, which need a [`Program`](crate::workers::Program).
    #[must_use]
    pub fn has_processes(self) -> bool {
        match self {
            Self::Serial | Self::Threads | Self::EventLoop => false,
            Self::Processes | Self::ProcessThreads | Self::ProcessEventLoops => true,
        }
    }
}
