//! The settings of a run that its rows depend on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The names and values of all settings that affect which rows a run writes and what they contain.
///
/// A run resumes only with the same identity. The targets belong to it, for example as
/// [`TargetSet::fingerprint`](crate::targets::TargetSet::fingerprint), and so do their order, the
/// excludes, the time limits and the gates. Speed and method do not, so that a run can resume with
/// others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunIdentity(Vec<(String, String)>);

/// A setting whose value differs between two identities.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingChange {
    /// The name of the setting.
    pub name: String,
    /// Its earlier value; `None`: the setting is new.
    pub was: Option<String>,
    /// Its current value; `None`: the setting is gone.
    pub is: Option<String>,
}

impl RunIdentity {
    /// Creates an identity from names and values. Names should be unique.
    pub fn new<N, V>(settings: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        Self(settings.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// Returns each setting whose value differs in `now`, is new or is gone.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Vec<SettingChange> {
        let gone = self.0.iter().filter(|(name, _)| now.value(name).is_none());
        let names = now.0.iter().chain(gone).map(|(name, _)| name);
        let changes = names.map(|name| SettingChange {
            name: name.clone(),
            was: self.value(name).map(str::to_owned),
            is: now.value(name).map(str::to_owned),
        });
        changes.filter(|change| change.was != change.is).collect()
    }

    fn value(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for SettingChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
        write!(formatter, "{} was {}, is {}", self.name, value(&self.was), value(&self.is))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_new_and_removed_settings_are_described() {
        let was = RunIdentity::new([("seed", "1"), ("ports", "22"), ("old", "x")]);
        let is = RunIdentity::new([("seed", "2"), ("ports", "22"), ("new", "y")]);
        let changes = was.differences(&is);
        let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(changes, ["seed was 1, is 2", "new was unknown, is y", "old was x, is unknown"]);
        assert!(was.differences(&was).is_empty());
    }
}
