//! Why a link could not be started.

use std::io;

/// Why a [`Link`](super::Link) could not be started or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A setting is out of its range.
    #[error("reading the settings of the link: {problem}")]
    Settings {
        /// The setting and its range.
        problem: String,
    },

    /// The system does not let this process make or enter a network namespace.
    #[error(
        "making a network namespace: {source}; run this as root, or with \
         unshare --user --map-root-user"
    )]
    Namespace {
        /// The system's error.
        source: io::Error,
    },

    /// The program `ip` is missing.
    #[error("starting ip: {source}; install iproute2")]
    MissingTool {
        /// The system's error.
        source: io::Error,
    },

    /// The program `ip` refused to set up devices, addresses or routes.
    #[error("setting up the devices of the link: {message}")]
    Devices {
        /// What `ip` printed.
        message: String,
    },

    /// The system did not provide a TAP device.
    #[error(
        "creating a TAP device: {source}; it needs the module tun and the right to open /dev/net/tun"
    )]
    Tap {
        /// The system's error.
        source: io::Error,
    },

    /// A server of the far namespace could not be started.
    #[error("starting a server behind the link: {source}")]
    Server {
        /// The server's error.
        source: io::Error,
    },

    /// The system did not provide a thread.
    #[error("starting the thread of the link: {source}; raise the process limits")]
    Thread {
        /// The system's error.
        source: io::Error,
    },
}

impl LinkError {
    /// Whether this machine, or this user, cannot have a link at all.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Namespace { .. } | Self::MissingTool { .. } | Self::Tap { .. })
    }
}
