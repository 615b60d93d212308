//! The formats of target lists.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// A format of target lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InputFormat {
    /// Targets separated by line ends or white space.
    List,
    /// A table whose columns are separated by commas, semicolons or tabs.
    Csv,
    /// The output of `nmap -oX` and `masscan -oX`.
    NmapXml,
    /// The output of `nmap -oG` and `masscan -oG`.
    NmapGrep,
    /// The output of `masscan -oL`, `-oJ` and `-oD`.
    Masscan,
    /// A `known_hosts` file of OpenSSH (sshd(8)).
    KnownHosts,
    /// An Ansible inventory: INI, or the JSON of `ansible-inventory --list`.
    Ansible,
}

/// A text that is not the name of an input format.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not an input format")]
pub struct UnknownInputFormat(String);

impl InputFormat {
    /// All formats.
    pub const ALL: [Self; 7] = [
        Self::List,
        Self::Csv,
        Self::NmapXml,
        Self::NmapGrep,
        Self::Masscan,
        Self::KnownHosts,
        Self::Ansible,
    ];

    /// The name of the format on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Csv => "csv",
            Self::NmapXml => "nmap-xml",
            Self::NmapGrep => "nmap-grep",
            Self::Masscan => "masscan",
            Self::KnownHosts => "known-hosts",
            Self::Ansible => "ansible",
        }
    }
}

impl fmt::Display for InputFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for InputFormat {
    type Err = UnknownInputFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| UnknownInputFormat(name.to_owned()))
    }
}
