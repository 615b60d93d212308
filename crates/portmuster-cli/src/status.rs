//! The exit statuses of the program.

/// The result of a command. If several apply, the first in this order is returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// The arguments or the input are invalid, or an output can't be opened.
    Usage,
    /// The user interrupted the command.
    Interrupted,
    /// A gate is violated, or two runs or methods differ.
    Finding,
    /// Some targets could not be checked, or an output or the journal could not be written.
    Incomplete,
    /// The command did everything.
    Complete,
}

impl Status {
    /// Returns the exit status of the process.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_severe_status_is_the_minimum() {
        let all = [
            Status::Complete,
            Status::Incomplete,
            Status::Finding,
            Status::Interrupted,
            Status::Usage,
        ];
        let codes: Vec<_> = (1..=all.len())
            .map(|count| all[..count].iter().min().expect("there is at least one").code())
            .collect();
        assert_eq!(codes, [0, 3, 1, 130, 2]);
    }
}
