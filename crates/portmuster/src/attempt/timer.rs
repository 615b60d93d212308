//! The timers of an attempt.

/// The timers of an attempt. The comment says what it means when the timer expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The connection was neither accepted nor refused: the target is filtered.
    Connect,
    /// The proxy has not accepted this client, so nothing is known of the target.
    Proxy,
    /// The server has sent nothing: it gets an empty line.
    ActiveStep,
    /// The server has still sent nothing: it is silent.
    FirstByte,
    /// The server has paused. If it waits for an empty line, it gets one; else its bytes are judged, if
    /// a rule recognises them.
    Quiet,
    /// No rule recognises the server's bytes, and no more came for as long as a first byte may take: the
    /// service is unknown.
    Unrecognised,
    /// The conversation has reached its limit.
    Conversation,
}
