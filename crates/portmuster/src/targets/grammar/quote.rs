//! Shortened quotes of an input, for error messages.

/// Returns the text, cut to 60 characters: enough to recognise it.
pub(in crate::targets) fn excerpt(text: &str) -> String {
    cut(text, 60)
}

/// Returns a message that may quote an input, cut to 300 characters.
pub(in crate::targets) fn shortened(text: &str) -> String {
    cut(text, 300)
}

fn cut(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
