//! The correction of one mistake.

/// The correction of one mistake.
pub(crate) struct Edit {
    /// What is wrong, for an error message.
    pub(crate) reason: String,
    /// The words after `portmuster`, corrected.
    pub(crate) words: Vec<String>,
}
