//! Errors of settings.

use std::fmt;

use thiserror::Error;

use super::method::Method;

/// A setting that is invalid on every machine.
///
/// ```
/// use portmuster::{Config, config::ConfigErrorKind};
///
/// let error = Config::builder().in_flight(0).build().unwrap_err();
/// match error.kind() {
///     ConfigErrorKind::Zero => assert_eq!(error.setting(), "in_flight"),
///     other => panic!("unexpected: {other:?}"),
/// }
/// assert_eq!(error.to_string(), "`in_flight` must be greater than zero");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub struct ConfigError {
    setting: &'static str,
    kind: ConfigErrorKind,
}

/// Why a setting is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// The number or the time limit is zero.
    Zero,
    /// The number is larger than a run can have, whatever the machine.
    TooLarge {
        /// The value of the setting.
        value: usize,
        /// The largest valid value.
        max: usize,
    },
    /// The setting needs [`Probing::KeyExchange`](crate::config::Probing::KeyExchange).
    NeedsKeyExchange,
    /// The setting belongs to another method.
    Unused {
        /// The method of the settings.
        method: Method,
    },
    /// The setting needs the addresses of names, and the proxy looks names up.
    NamesAtProxy,
}

impl ConfigError {
    pub(super) fn new(setting: &'static str, kind: ConfigErrorKind) -> Self {
        Self { setting, kind }
    }

    /// Returns the name of the setting, which is the name of its setter in
    /// [`ConfigBuilder`](crate::config::ConfigBuilder).
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }

    /// Returns why the setting is invalid.
    #[must_use]
    pub fn kind(&self) -> ConfigErrorKind {
        self.kind
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setting = self.setting;
        match self.kind {
            ConfigErrorKind::Zero => write!(formatter, "`{setting}` must be greater than zero"),
            ConfigErrorKind::TooLarge { value, max } => {
                write!(formatter, "`{setting}` is {value}, which is more than the maximum of {max}")
            }
            ConfigErrorKind::NeedsKeyExchange => {
                write!(formatter, "`{setting}` needs the probing of the key exchange")
            }
            ConfigErrorKind::Unused { method } => {
                write!(formatter, "the method {method} has no setting `{setting}`")
            }
            ConfigErrorKind::NamesAtProxy => write!(
                formatter,
                "`{setting}` needs the addresses of names, which socks5h leaves to the proxy: use socks5"
            ),
        }
    }
}
