//! Finds the identification line of ssh (RFC 4253 §4.2) among the lines of a greeting.

/// Bytes of one line that are kept. RFC 4253 §4.2 allows an identification 255; real servers
/// with long comments go beyond.
pub(super) const IDENTIFICATION_MAX: usize = 512;

/// The line that is being read.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    ended: bool,
}

impl Lines {
    /// Takes one byte; true when it completes an identification line. A line that is longer than
    /// is kept counts as complete when its start is an identification.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        if self.ended {
            self.line.clear();
            self.ended = false;
        }
        match byte {
            b'\n' => self.ended = true,
            _ if self.line.len() < IDENTIFICATION_MAX => {
                self.line.push(byte);
                return self.line.len() == IDENTIFICATION_MAX && self.is_identification();
            }
            _ => {}
        }
        self.ended && self.is_identification()
    }

    /// Whether the line, as far as it has come, is an identification: `SSH-2.0-`, `SSH-1.99-` or
    /// an older `SSH-1.x-`.
    pub(super) fn is_identification(&self) -> bool {
        let Some(version) = self.line.strip_prefix(b"SSH-") else { return false };
        let Some(end) = version.iter().position(|&byte| byte == b'-') else { return false };
        match &version[..end] {
            b"2.0" => true,
            [b'1', b'.', minor @ ..] => !minor.is_empty() && minor.iter().all(u8::is_ascii_digit),
            _ => false,
        }
    }

    /// The line without its end.
    pub(super) fn line(&self) -> &[u8] {
        self.line.strip_suffix(b"\r").unwrap_or(&self.line)
    }
}
