//! Comparison of host names.

/// Returns whether two host names are equal apart from case and a trailing dot.
pub(crate) fn same_name(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.strip_suffix('.').unwrap_or(name).len();
    one[..bare(one)].eq_ignore_ascii_case(&other[..bare(other)])
}

/// Returns a host name in lower case and without a trailing dot.
///
/// Names that differ only in these are the same name (RFC 1034 §3.1).
pub(crate) fn normalized_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_or_a_trailing_dot_are_the_same() {
        assert!(same_name("DB.example", "db.Example.") && !same_name("db", "db.example"));
        assert_eq!(normalized_name("DB.example."), "db.example");
    }
}
