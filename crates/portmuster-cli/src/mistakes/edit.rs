//! The correction of one mistake.

/// The correction of one mistake.
pub(crate) struct Edit {
    /// What is wrong, for an error message.
    pub(crate) reason: String,
    pub(crate) corrected: Corrected,
}

/// The words after `portmuster`, corrected.
pub(crate) enum Corrected {
    /// They say all that was typed.
    Whole(Vec<String>),
    /// They lack something that portmuster can't do.
    Partial(Vec<String>),
    /// It is unknown what was meant, so the reason says what to type.
    Unknown,
}

impl Edit {
    /// Creates a correction that keeps all that was typed.
    pub(super) fn new(reason: impl Into<String>, words: Vec<String>) -> Self {
        Self { reason: reason.into(), corrected: Corrected::Whole(words) }
    }

    /// Creates a correction that omits what portmuster can't do.
    pub(super) fn partial(reason: impl Into<String>, words: Vec<String>) -> Self {
        Self { reason: reason.into(), corrected: Corrected::Partial(words) }
    }

    /// Creates a correction without words. The reason says what to type.
    pub(super) fn unknown(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), corrected: Corrected::Unknown }
    }
}
