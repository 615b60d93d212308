//! Telnet options and their names in the IANA registry.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::named_enum::named_enum;

named_enum! {
    /// The command with which a telnet server named an option.
    pub enum Verb: "verb of a telnet option" {
        /// The server offers to enable the option on its side.
        Will = "will",
        /// The server asks the client to enable the option.
        Do = "do",
    }
}

/// A telnet option that a server offered or asked for.
///
/// Options are a command and a number by definition, so it gets no other fields.
///
/// `Display` writes `will echo` or `do terminal-type`, with the number of an option without a
/// registered name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TelnetOption {
    /// Whether the server offered the option or asked for it.
    pub verb: Verb,
    /// The number of the option (IANA, "Telnet Options").
    pub number: u8,
}

impl TelnetOption {
    /// Returns the registered name of the option; `None` if its number has none.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let in_order = NAMES.get(usize::from(self.number)).copied();
        in_order.or(match self.number {
            138 => Some("pragma-logon"),
            139 => Some("sspi-logon"),
            140 => Some("pragma-heartbeat"),
            255 => Some("extended-options-list"),
            _ => None,
        })
    }
}

impl fmt::Display for TelnetOption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = self.verb;
        match self.name() {
            Some(name) => write!(formatter, "{verb} {name}"),
            None => write!(formatter, "{verb} {}", self.number),
        }
    }
}

/// Names of the options from 0 on.
const NAMES: [&str; 50] = [
    "binary",
    "echo",
    "reconnection",
    "suppress-go-ahead",
    "approx-message-size",
    "status",
    "timing-mark",
    "remote-trans-and-echo",
    "output-line-width",
    "output-page-size",
    "output-cr-disposition",
    "output-tab-stops",
    "output-tab-disposition",
    "output-formfeed-disposition",
    "output-vertical-tab-stops",
    "output-vertical-tab-disposition",
    "output-linefeed-disposition",
    "extended-ascii",
    "logout",
    "byte-macro",
    "data-entry-terminal",
    "supdup",
    "supdup-output",
    "send-location",
    "terminal-type",
    "end-of-record",
    "tacacs-user-identification",
    "output-marking",
    "terminal-location-number",
    "3270-regime",
    "x3-pad",
    "window-size",
    "terminal-speed",
    "remote-flow-control",
    "linemode",
    "x-display-location",
    "environ",
    "authentication",
    "encrypt",
    "new-environ",
    "tn3270e",
    "xauth",
    "charset",
    "remote-serial-port",
    "com-port-control",
    "suppress-local-echo",
    "start-tls",
    "kermit",
    "send-url",
    "forward-x",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_display_their_iana_names() {
        let shown = |verb, number| TelnetOption { verb, number }.to_string();
        assert_eq!(shown(Verb::Will, 1), "will echo");
        assert_eq!(shown(Verb::Do, 24), "do terminal-type");
        assert_eq!(shown(Verb::Do, 31), "do window-size");
        assert_eq!(shown(Verb::Do, 34), "do linemode");
        assert_eq!(shown(Verb::Do, 37), "do authentication");
        assert_eq!(shown(Verb::Do, 38), "do encrypt");
        assert_eq!(shown(Verb::Do, 39), "do new-environ");
        assert_eq!(shown(Verb::Will, 49), "will forward-x");
        assert_eq!(shown(Verb::Will, 140), "will pragma-heartbeat");
        assert_eq!(shown(Verb::Will, 201), "will 201");
    }
}
