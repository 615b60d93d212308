//! Errors of the lab itself.
//!
//! Nothing that a client does is an error: the server ends the connection and serves the others.

use std::{io, net::SocketAddr};

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The address is not a loopback address.
    #[error("refused to listen on {address}: not a loopback address; use 127.0.0.1 or [::1]")]
    NotLoopback {
        /// The address in the request.
        address: SocketAddr,
    },

    /// The system did not provide a listening socket.
    #[error("listening on {address}: {source}; choose another port, or 0 to let the system pick")]
    Listen {
        /// The address in the request.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },

    /// The fixtures need more consecutive ports than remain after the first one.
    #[error(
        "starting {needed} servers on consecutive ports from {first}: \
         ports end at 65535; choose a lower first port"
    )]
    PortsExhausted {
        /// The first port.
        first: u16,
        /// The number of ports needed.
        needed: usize,
    },

    /// The system did not provide a thread or a wake-up channel for a server.
    #[error("starting the thread of the server on {endpoint}: {source}; raise the process limits")]
    Thread {
        /// The server's address.
        endpoint: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
}
