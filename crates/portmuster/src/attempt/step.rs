//! What happens to an attempt, and what it wants.

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::outcome::Conclusion;

/// An event of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// The connection was accepted.
    Accepted,
    /// The server sent these bytes.
    Bytes(&'a [u8]),
    /// The server closed the connection.
    Closed,
    /// A system call failed.
    Failed(Errno),
    /// ICMP ended the pending connection with this error.
    RefusedByIcmp(Errno),
    /// The deadline has passed.
    DeadlinePassed,
}

/// What an attempt wants its driver to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Wait for more.
    Read,
    /// Send these bytes, then wait for more.
    Write(Vec<u8>),
    /// The attempt has ended: close the socket.
    Done(Conclusion),
}

/// Which side speaks first in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Opening {
    /// The server. A silent one gets an empty line after a while.
    #[default]
    Listen,
    /// The server, however long it is silent.
    OnlyListen,
    /// This side: it sends its identification as soon as the connection is accepted, as ssh clients do.
    Introduce,
}
