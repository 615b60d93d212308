//! Errors of targets in the words of the command line: the library says what is wrong, and this
//! module adds the option that helps.

use std::error::Error;

use portmuster::targets::{ItemError, ItemErrorKind, LabelErrorKind, LineError, LineErrorKind};

/// Maximum number of characters of an argument that an error message quotes.
const EXCERPT_MAX: usize = 60;

const FOR_CSV: &str = "; for CSV, use --input-format csv";
const AS_ANSIBLE: &str = " with --input-format ansible";
const IF_LABEL: &str = " If it is a label, use --labels";

/// Describes an error of an item of a list.
fn describe_item(kind: &ItemErrorKind) -> String {
    let hint = match kind {
        ItemErrorKind::Bracketed(_) => "; for an Ansible inventory, use --input-format ansible",
        ItemErrorKind::Several { text, meant } => {
            return format!(
                "{text:?} contains several targets: write each on its own line, or separate them with \
                 spaces and use --input-format list: {meant}"
            );
        }
        ItemErrorKind::OctetOrPort { .. } | ItemErrorKind::CommaPort { .. } => FOR_CSV,
        ItemErrorKind::YamlDash | ItemErrorKind::YamlKey(_) => AS_ANSIBLE,
        ItemErrorKind::Separator(separator) => {
            return format!(
                "{separator:?} is not allowed here: write one target per line (for several, \
                 separated by white space, use --input-format list); commas separate ports \
                 (10.0.0.1:22,23) and the numbers of an IPv4 address (10.0.0.1,3,5){FOR_CSV}"
            );
        }
        _ => "",
    };
    format!("{kind}{hint}")
}

/// Describes an error of an argument with its position. `what` says what the argument is.
pub(crate) fn describe_argument(what: &str, argument: &str, error: &ItemError) -> String {
    let described = match (what, error.kind()) {
        ("exclude", ItemErrorKind::Several { text, .. }) => {
            format!("{text:?} contains several entries: repeat --exclude for each")
        }
        (_, kind) => describe_argument_kind(kind),
    };
    format!("{what} {:?}, column {}: {described}", excerpt(argument), error.column())
}

/// Describes an error of an argument.
pub(crate) fn describe_argument_kind(kind: &ItemErrorKind) -> String {
    match kind {
        ItemErrorKind::Separator(separator) => format!(
            "{separator:?} is not allowed here: spaces separate targets; commas separate ports \
             (10.0.0.1:22,23) and the numbers of an IPv4 address (10.0.0.1,3,5)"
        ),
        ItemErrorKind::YamlKey(_) => "a port is missing after the colon".to_owned(),
        ItemErrorKind::YamlDash => "a dash alone is not a target".to_owned(),
        _ => kind.to_string(),
    }
}

/// Returns the beginning of an argument, long enough to recognise it.
fn excerpt(argument: &str) -> String {
    match argument.char_indices().nth(EXCERPT_MAX) {
        Some((end, _)) => format!("{}…", &argument[..end]),
        None => argument.to_owned(),
    }
}

/// Describes an error of a list, with its position and its cause.
pub(super) fn describe_line(error: &LineError) -> String {
    let (line, column, kind) = (error.line(), error.column(), error.kind());
    let described = match kind {
        LineErrorKind::Item(item) => describe_item(item),
        LineErrorKind::Label(label) => describe_label(label),
        LineErrorKind::UnknownColumns => {
            format!("{kind}: --column HOST,PORT,LABEL, such as ip,port,name or 1,2,3")
        }
        LineErrorKind::Rows => {
            "these are rows of check -o jsonl; check reads targets from rows of -o csv \
                                and from lines of -o list"
                .to_owned()
        }
        LineErrorKind::OtherFormat { actual, .. } => format!("{kind}; use --input-format {actual}"),
        _ => kind.to_string(),
    };
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("line {line}, column {column}: {described}{cause}")
}

fn describe_label(error: &LabelErrorKind) -> String {
    let hint = match error {
        LabelErrorKind::Port { .. }
        | LabelErrorKind::Range { .. }
        | LabelErrorKind::Network { .. } => "",
        LabelErrorKind::NoRange { .. } => {
            return format!("{error}, or use --labels if it is a label");
        }
        LabelErrorKind::Option(_) => ".",
        LabelErrorKind::Variable(_) => "; to read one, use --input-format ansible.",
        LabelErrorKind::Target(_) => ", or use --input-format list to read several.",
        LabelErrorKind::Command(_) => {
            return format!("{error}. If this is a host and its label, use --labels");
        }
        LabelErrorKind::NmapNormal => {
            return "this is nmap's normal output; use that of nmap -oX with --input-format \
                    nmap-xml, or that of nmap -oG with --input-format nmap-grep"
                .to_owned();
        }
        _ => return error.to_string(),
    };
    format!("{error}{hint}{IF_LABEL}")
}

#[cfg(test)]
mod tests {
    use portmuster::targets::{
        Entries, Excludes, InputFormat, InputOptions, ItemError, LineRule, Lines, Ports, TargetSet,
    };

    use super::*;

    fn add(set: &mut TargetSet, item: &str, label: Option<&str>) -> Result<(), ItemError> {
        set.add(item, label, &Ports::ssh_and_telnet())
    }

    /// Returns the description of the error of a line.
    fn line_error(line: &str) -> String {
        let mut set = TargetSet::new(&Excludes::new());
        let mut lines = Lines::with_rule(line.as_bytes(), LineRule::Label);
        let error = lines.next_item(|item, label| add(&mut set, item, label)).expect_err(line);
        describe_line(&error)
    }

    /// Returns the description of the error at the beginning of a document.
    fn document_error(document: &str, format: InputFormat) -> String {
        let mut options = InputOptions::default();
        options.format = Some(format);
        let mut set = TargetSet::new(&Excludes::new());
        let mut entries = Entries::new(document.as_bytes(), options);
        let error =
            entries.next_item(|item, label| add(&mut set, item, label)).expect_err(document);
        describe_line(&error)
    }

    #[test]
    fn errors_of_items_name_the_option_that_helps() {
        for (item, expected) in [
            (
                "[servers]",
                "line 1, column 2: \"servers\" is not an IPv6 address, and only an IPv6 address may \
                 be in brackets; for an Ansible inventory, use --input-format ansible",
            ),
            (
                "10.0.0.1,10.0.0.2",
                "line 1, column 1: \"10.0.0.1,10.0.0.2\" contains several targets: write each on \
                 its own line, or separate them with spaces and use --input-format list: 10.0.0.1 \
                 10.0.0.2",
            ),
            (
                "10.0.0.1,22",
                "line 1, column 1: 10.0.0.1,22 is ambiguous: for the addresses, write 10.0.0.1 and \
                 10.0.0.22; for a port, 10.0.0.1:22; for CSV, use --input-format csv",
            ),
            (
                "10.0.0.1,2222",
                "line 1, column 1: 2222 is too large for an IPv4 address; for a port, write \
                 10.0.0.1:2222; for CSV, use --input-format csv",
            ),
            (
                "a.example;22",
                "line 1, column 10: ';' is not allowed here: write one target per line (for several, \
                 separated by white space, use --input-format list); commas separate ports \
                 (10.0.0.1:22,23) and the numbers of an IPv4 address (10.0.0.1,3,5); for CSV, use \
                 --input-format csv",
            ),
            (
                "hosts:",
                "line 1, column 7: a port is missing after \"hosts:\"; for an Ansible inventory in \
                 YAML, use the output of `ansible-inventory -i FILE --list` with --input-format \
                 ansible",
            ),
        ] {
            assert_eq!(line_error(item), expected);
        }
    }

    #[test]
    fn errors_of_labels_name_the_option_that_helps() {
        for (line, expected) in [
            (
                "a 22",
                "line 1, column 3: \"22\" looks like a port: did you mean a:22? If it is a label, use \
                 --labels",
            ),
            (
                "a - b",
                "line 1, column 3: \"-\" looks like the sign of a range, but a range is written \
                 10.0.0.1-10.0.3.9; write one target per line, or use --labels if it is a label",
            ),
            (
                "a -p 22",
                "line 1, column 3: \"-p\" looks like an option, and lists have no options; write \
                 ports after a colon: HOST:22,23. If it is a label, use --labels",
            ),
            (
                "a ansible_host=b",
                "line 1, column 3: \"ansible_host=b\" looks like a variable of an Ansible inventory; \
                 to read one, use --input-format ansible. If it is a label, use --labels",
            ),
            (
                "a b.example",
                "line 1, column 3: \"b.example\" looks like another target: write one target per \
                 line, or use --input-format list to read several. If it is a label, use --labels",
            ),
            (
                "ssh a.example",
                "line 1, column 5: \"ssh a.example\" looks like a command; write a target: HOST:22, \
                 ssh://HOST or telnet://HOST. If this is a host and its label, use --labels",
            ),
            (
                "Nmap scan report",
                "line 1, column 6: this is nmap's normal output; use that of nmap -oX with \
                 --input-format nmap-xml, or that of nmap -oG with --input-format nmap-grep",
            ),
        ] {
            assert_eq!(line_error(line), expected);
        }
    }

    #[test]
    fn errors_of_formats_name_the_option_that_helps() {
        assert_eq!(
            document_error("core,10.0.0.1\n", InputFormat::Csv),
            "line 1, column 1: this can't be read as csv: the first row is neither a header with \
             known titles nor a host and a port; name the columns: --column HOST,PORT,LABEL, such as \
             ip,port,name or 1,2,3"
        );
        assert_eq!(
            document_error("<nmaprun>", InputFormat::Masscan),
            "line 1, column 1: this can't be read as masscan: this is XML; use --input-format \
             nmap-xml"
        );
    }
}
