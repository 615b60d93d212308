//! What can go wrong on the lab's side.
//!
//! What a client does is never an error here: its connection ends, and that is all.

use std::{io, net::SocketAddr};

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The lab's servers are for this machine alone.
    #[error("refused to listen on {address}: not a loopback address; use 127.0.0.1 or [::1]")]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },

    /// The system gave no listening socket.
    #[error("listening on {address}: {source}; choose another port, or 0 to let the system pick")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },

    /// The fixtures needs more consecutive ports than there are after the first.
    #[error("placing {needed} servers from port {first}: ports end at 65535; start lower")]
    PortsExhausted {
        /// The first port.
        first: u16,
        /// How many ports are needed.
        needed: usize,
    },

    /// No thread or wake-up channel for a server.
    #[error("starting the thread of the server on {endpoint}: {source}; raise the process limits")]
    Thread {
        /// Where the server was going to be.
        endpoint: SocketAddr,
        /// What the system said.
        source: io::Error,
    },

    /// A real server's program is not on this machine.
    #[error("looking for the program {program}: not found; install the Debian package {package}")]
    MissingProgram {
        /// The program's name.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },

    /// A program could not be run, or failed.
    #[error("running {program}: {reason}; run it by hand to see more")]
    Program {
        /// The program's name.
        program: &'static str,
        /// What the system or the program said.
        reason: String,
    },

    /// A file or folder that a real server needs could not be made.
    #[error("preparing {path}: {source}; check that the folder may be written to")]
    Prepare {
        /// The file or folder.
        path: String,
        /// What the system said.
        source: io::Error,
    },

    /// A real server was started but did not greet.
    #[error("waiting for {program} on {endpoint}: {reason}; it wrote: {stderr:?}")]
    NotReady {
        /// The program's name.
        program: &'static str,
        /// Where it was told to listen.
        endpoint: SocketAddr,
        /// What was missing.
        reason: &'static str,
        /// What the program wrote to its standard error.
        stderr: String,
    },
}
