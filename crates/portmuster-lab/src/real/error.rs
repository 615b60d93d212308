//! Errors of the servers that run as child processes.

use std::{io, net::SocketAddr};

/// Why a real server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RealServerError {
    /// The program is not installed on this machine.
    #[error("looking for the program {program}: not found; install the Debian package {package}")]
    MissingProgram {
        /// The program's name.
        program: &'static str,
        /// The Debian package that contains it.
        package: &'static str,
    },

    /// A program could not be run, or it failed.
    #[error("running {program}: {reason}; run it by hand to see more")]
    Program {
        /// The program's name.
        program: &'static str,
        /// The system's error, or the program's exit status and output.
        reason: String,
    },

    /// A file or folder for the server could not be created.
    #[error("preparing {path}: {source}; check that the folder is writable")]
    Prepare {
        /// The file or folder.
        path: String,
        /// The system's error.
        source: io::Error,
    },

    /// The system did not provide a listening socket.
    #[error("listening on {address}: {source}; end other processes that listen on loopback")]
    Listen {
        /// The address in the request.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },

    /// The system did not provide a thread or a wake-up channel for the server.
    #[error("starting the thread of the server on {endpoint}: {source}; raise the process limits")]
    Thread {
        /// The server's address.
        endpoint: SocketAddr,
        /// The system's error.
        source: io::Error,
    },

    /// The server was started but did not send its greeting.
    #[error("waiting for {program} on {endpoint}: {reason}; it wrote: {stderr:?}")]
    NotReady {
        /// The program's name.
        program: &'static str,
        /// The endpoint that the server was started with.
        endpoint: SocketAddr,
        /// What was missing.
        reason: &'static str,
        /// The program's standard error output.
        stderr: String,
    },
}
