//! The pages in docs/ name every field of a row, and every value that a field can have.

use std::fs;

use crate::{
    history::ChangeKind,
    outcome::{
        Fault, HostKeyFailure, KexFailure, KeyType, PortState, ProofFailure, Reason, Rule, Service,
        TelnetEncryption, TelnetOption, Verb, Weakness,
    },
    sink::Csv,
    software::known_telnet_daemons,
};

/// Returns the part of a page under this heading, up to the next heading.
fn section(page: &str, heading: &str) -> String {
    let path = format!("{}/../../docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).expect("the page exists");
    let lines = text.lines().skip_while(|line| *line != format!("## {heading}")).skip(1);
    let lines: Vec<_> = lines.take_while(|line| !line.starts_with('#')).collect();
    assert!(!lines.is_empty(), "{page} has no part {heading}");
    lines.join("\n")
}

/// Returns the names in the first column of the table under this heading.
fn listed(page: &str, heading: &str) -> Vec<String> {
    let section = section(page, heading);
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| row.split(" |").next().unwrap_or_default());
    let names = cells.flat_map(|cell| cell.split(", "));
    names.map(|name| name.trim_matches('`').to_owned()).collect()
}

/// Asserts that the table under this heading has a row for each name, and no other.
fn assert_lists<'a>(page: &str, heading: &str, names: impl IntoIterator<Item = &'a str>) {
    let mut names: Vec<_> = names.into_iter().collect();
    let mut listed = listed(page, heading);
    names.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, names, "docs/{page}, {heading}");
}

#[test]
fn every_field_of_a_row_is_documented_in_order() {
    assert_eq!(listed("outputs.md", "Fields of a row").join(","), Csv::header().trim_end());
}

#[test]
fn every_value_of_a_row_is_documented() {
    assert_lists("verdicts.md", "Port states", PortState::ALL.map(PortState::name));
    assert_lists("verdicts.md", "Services of open ports", Service::ALL.map(Service::name));
    assert_lists("verdicts.md", "The rule that decided", Rule::ALL.map(Rule::name));
    assert_lists("outputs.md", "Findings", Weakness::ALL.map(Weakness::name));
    assert_lists("outputs.md", "Missing offers", KexFailure::ALL.map(KexFailure::name));
    assert_lists("software.md", "Telnet daemons", known_telnet_daemons());
    let encryption = TelnetEncryption::ALL.map(TelnetEncryption::name);
    assert_lists("software.md", "Encryption", encryption);
    let failures = HostKeyFailure::ALL.map(HostKeyFailure::name);
    assert_lists("host-keys.md", "Missing host keys", failures);
    assert_lists("host-keys.md", "Proofs of host keys", ProofFailure::ALL.map(ProofFailure::name));
    let reasons = Reason::FIXED.map(|(_, name)| name).into_iter();
    let reasons = reasons.chain(Fault::ALL.map(Fault::name)).chain(["errno-N"]);
    assert_lists("outputs.md", "Reasons", reasons);
}

#[test]
fn every_type_of_host_key_is_documented() {
    let section = section("host-keys.md", "Fields of a host key");
    let types = KeyType::ALL.map(|key_type| format!("`{key_type}`")).join(", ");
    assert!(section.contains(&types), "{types}");
}

#[test]
fn every_kind_of_change_is_documented() {
    assert_lists("history.md", "Kinds of change", ChangeKind::ALL.map(ChangeKind::name));
}

#[test]
fn every_telnet_option_is_documented_with_its_number() {
    let section = section("outputs.md", "Telnet options").trim_end().replace('\n', " ");
    let names = (0..=u8::MAX).filter_map(|number| {
        let name = TelnetOption { verb: Verb::Will, number }.name()?;
        Some(format!("{number} `{name}`"))
    });
    let list: Vec<_> = names.collect();
    assert!(section.ends_with(&format!(" {}.", list.join(", "))), "{section}");
}
