//! The exit statuses of the program.

use std::process::ExitCode;

/// How a command ended. Where several hold, the one that is listed first is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// The arguments or the input can't be read, or an output can't be opened.
    Usage,
    /// It was interrupted.
    Interrupted,
    /// Something was found that makes a difference.
    Finding,
    /// Some targets could not be checked, or an output or the journal could not be written.
    Incomplete,
    /// All is done.
    Complete,
}

impl Status {
    /// What the process ends with.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Finding => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::Interrupted => 130,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        status.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_is_told() {
        let held = [
            Status::Complete,
            Status::Incomplete,
            Status::Finding,
            Status::Interrupted,
            Status::Usage,
        ];
        let codes: Vec<_> = (1..=held.len())
            .map(|several| held[..several].iter().min().expect("at least one").code())
            .collect();
        assert_eq!(codes, [0, 3, 1, 130, 2]);
    }
}
