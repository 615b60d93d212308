//! Comparison of host names.

/// Returns whether two host names are equal apart from case and a trailing dot.
pub(crate) fn same_name(one: &str, other: &str) -> bool {
    without_dot(one).eq_ignore_ascii_case(without_dot(other))
}

/// Returns a host name in lower case: names that differ only in case are of the same host (RFC 1034 §3.1).
///
/// A trailing dot stays. The resolver takes a name that has one as it is, but looks others up in the search
/// domains of resolv.conf(5) and in the file of hosts, so the two may be different hosts.
pub(crate) fn normalized_name(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Returns a host name in lower case and without a trailing dot: the same text for all names that may be of
/// the same host.
pub(crate) fn bare_name(name: &str) -> String {
    without_dot(name).to_ascii_lowercase()
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_or_a_trailing_dot_are_the_same() {
        assert!(same_name("DB.example", "db.Example.") && !same_name("db", "db.example"));
        assert_eq!(bare_name("DB.example."), "db.example");
        assert_eq!(normalized_name("DB.example."), "db.example.");
    }
}
