//! The headings under which help groups the options.

pub(super) const TARGETS: &str = "Targets";
pub(super) const PROBE: &str = "What to ask";
pub(super) const SPEED: &str = "Speed";
pub(super) const SILENCE: &str = "Targets that do not answer";
pub(super) const OUTPUTS: &str = "Outputs";
pub(super) const GATES: &str = "Gates";
pub(super) const JOURNAL: &str = "Journal";
pub(super) const GENERAL: &str = "General";
