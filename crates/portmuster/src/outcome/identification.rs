//! The identification line of an ssh server.

use serde::{Deserialize, Serialize};

/// A parsed ssh identification line, `SSH-protocol-software comment` (RFC 4253 §4.2).
///
/// Software and comment are untrusted bytes, unescaped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identification {
    /// The protocol version: `2.0`; `1.99` for versions 1 and 2; `1.5` and the like for version 1.
    pub protocol: String,
    /// The name and version of the software.
    pub software: Vec<u8>,
    /// The text after the first space; `None` if there is no space.
    pub comment: Option<Vec<u8>>,
}

impl Identification {
    /// Creates an identification without a comment.
    pub fn new(protocol: impl Into<String>, software: impl Into<Vec<u8>>) -> Self {
        Self { protocol: protocol.into(), software: software.into(), comment: None }
    }

    /// Returns whether the server supports protocol version 2 (RFC 4253 §5.1).
    #[must_use]
    pub fn has_version_2(&self) -> bool {
        matches!(self.protocol.as_str(), "2.0" | "1.99")
    }

    /// Returns whether the server supports protocol version 1.
    #[must_use]
    pub fn has_version_1(&self) -> bool {
        self.protocol.starts_with("1.")
    }
}
