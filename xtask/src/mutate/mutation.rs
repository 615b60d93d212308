//! One mutation, and the test that must catch it.

/// A mistake in the code that a test must catch.
#[derive(Debug)]
pub(super) struct Mutation {
    pub(super) name: &'static str,
    /// The harm that the mistake would do.
    pub(super) why: &'static str,
    /// The file to change, from the root of the repository.
    pub(super) file: &'static str,
    /// The text to replace; the file must contain it exactly once.
    pub(super) old: &'static str,
    /// The text to put in its place.
    pub(super) new: &'static str,
    /// The test that must fail.
    pub(super) caught_by: Test,
}

/// A test of the library, by its full name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Test {
    /// A unit test in the library's sources.
    Unit(&'static str),
    /// A test in `tests/simulation.rs` or `tests/simulation/`.
    Simulated(&'static str),
}

impl Test {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unit(name) | Self::Simulated(name) => name,
        }
    }

    /// The option that selects the test's binary, for nextest and cargo alike.
    pub(super) fn binary_option(self) -> &'static str {
        match self {
            Self::Unit(_) => "--lib",
            Self::Simulated(_) => "--test simulation",
        }
    }
}
