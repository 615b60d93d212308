//! Parts of drawings that several charts share.

use std::fmt::Write;

use crate::class::Class;

/// Returns the patterns of all classes, to which the style refers as `#p-NAME`.
///
/// A class has a colour and a pattern, so that it is recognised without colours, too.
pub(super) fn patterns() -> String {
    let mut svg =
        String::from("<svg class=\"defs\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs>");
    for class in Class::ALL {
        let _ = write!(
            svg,
            "<pattern id=\"p-{class}\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
             <rect class=\"c-{class}\" width=\"6\" height=\"6\"/>{}</pattern>",
            marks(class)
        );
    }
    svg.push_str("</defs></svg>");
    svg
}

/// Returns the marks of a class on its colour.
fn marks(class: Class) -> &'static str {
    match class {
        Class::Telnet => "<path class=\"mark\" d=\"M0 0l6 6M6 0l-6 6\"/>",
        Class::Likely => "<path class=\"mark\" d=\"M-1 1l2-2M0 6l6-6M5 7l2-2\"/>",
        Class::Unproven => "<circle class=\"dot\" cx=\"3\" cy=\"3\" r=\"1.2\"/>",
        Class::WeakSsh => "<path class=\"mark\" d=\"M0 1.5h6M0 4.5h6\"/>",
        Class::Other => "<path class=\"mark\" d=\"M1.5 0v6M4.5 0v6\"/>",
        Class::Silent => "<circle class=\"dot\" cx=\"1.5\" cy=\"1.5\" r=\".7\"/>",
        Class::Unchecked => "<path class=\"mark\" d=\"M0 3h2\"/>",
        Class::Ssh | Class::Refused => "",
    }
}

/// Escapes text for markup.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// Formats a coordinate with at most one decimal.
pub(super) fn coordinate(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_has_no_markup() {
        assert_eq!(escape("<a b=\"'&\">"), "&lt;a b=&quot;&#39;&amp;&quot;&gt;");
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!([1.0, 0.26, 100.04].map(coordinate), ["1", "0.3", "100"]);
    }
}
