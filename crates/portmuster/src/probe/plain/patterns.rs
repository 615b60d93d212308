//! Building blocks of the patterns of protocols.

/// Returns whether the first bytes of a server match a protocol.
pub(super) type Pattern = fn(&[u8]) -> bool;

/// Number of bytes in which [`has_word`] searches: servers name themselves in their first lines.
const SEARCHED_MAX: usize = 512;

/// Returns whether the bytes start with one of the texts.
pub(super) fn starts_with_any(bytes: &[u8], starts: &[&str]) -> bool {
    starts.iter().any(|start| bytes.starts_with(start.as_bytes()))
}

/// Returns whether the first bytes contain the word, ignoring ASCII case.
pub(super) fn has_word(bytes: &[u8], word: &str) -> bool {
    let bytes = &bytes[..bytes.len().min(SEARCHED_MAX)];
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

/// Returns the first line without its end; `None` if it is incomplete.
pub(super) fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    Some(bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]))
}
