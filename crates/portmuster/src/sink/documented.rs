//! The pages in docs/ name every field of a row, and every value that a field can have.

use std::{fs, iter};

use super::columns::COLUMNS;
use crate::{
    history::ChangeKind,
    outcome::{Fault, KexFailure, PortState, Reason, Rule, Service, TelnetOption, Verb, Weakness},
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
    assert_eq!(listed("outputs.md", "Fields of a row"), COLUMNS);
}

#[test]
fn every_value_of_a_row_is_documented() {
    assert_lists("verdicts.md", "Port states", PortState::ALL.map(PortState::name));
    assert_lists("verdicts.md", "Services of open ports", Service::ALL.map(Service::name));
    assert_lists("verdicts.md", "The rule that decided", Rule::ALL.map(Rule::name));
    assert_lists("outputs.md", "Findings", Weakness::ALL.map(Weakness::name));
    let failures =
        iter::successors(Some(KexFailure::HungUp), |&failure| kex_failure_after(failure));
    assert_lists("outputs.md", "Missing offers", failures.map(KexFailure::name));
    let reasons: Vec<_> = reasons().map(Reason::name).collect();
    let reasons = reasons.iter().map(|name| &**name).chain(["errno-N"]);
    assert_lists("outputs.md", "Reasons", reasons);
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

/// Returns every reason except error numbers.
fn reasons() -> impl Iterator<Item = Reason> {
    let all = iter::successors(Some(Reason::Accepted), |&reason| reason_after(reason));
    all.chain(
        iter::successors(Some(Fault::ProcessDescriptors), |&fault| fault_after(fault))
            .map(Reason::Fault),
    )
}

/// Returns the reason in the next line. The compiler reports a missing one.
fn reason_after(reason: Reason) -> Option<Reason> {
    use Reason as R;

    Some(match reason {
        R::Accepted => R::Refused,
        R::Refused => R::RefusedInPart,
        R::RefusedInPart => R::NoAnswer,
        R::NoAnswer => R::NetworkUnreachable,
        R::NetworkUnreachable => R::HostUnreachable,
        R::HostUnreachable => R::ProtocolUnreachable,
        R::ProtocolUnreachable => R::Prohibited,
        R::Prohibited => R::IcmpPortUnreachable,
        R::IcmpPortUnreachable => R::NoSuchName,
        R::NoSuchName => R::LookupFailed,
        R::LookupFailed => R::TooManyAddresses,
        R::TooManyAddresses => R::UnspecifiedAddress,
        R::UnspecifiedAddress => R::NoSuchInterface,
        R::NoSuchInterface => R::NoRoute,
        R::NoRoute => R::NotPermitted,
        R::NotPermitted => R::NoAddressFamily,
        R::NoAddressFamily => R::PortZero,
        R::PortZero => R::HostTimeout,
        R::HostTimeout => R::NotStarted,
        R::NotStarted => R::KillsWorkers,
        R::KillsWorkers => R::NoWorkers,
        R::NoWorkers | R::Fault(_) | R::Errno(_) => return None,
    })
}

/// Returns the fault in the next line.
fn fault_after(fault: Fault) -> Option<Fault> {
    Some(match fault {
        Fault::ProcessDescriptors => Fault::SystemDescriptors,
        Fault::SystemDescriptors => Fault::Buffers,
        Fault::Buffers => Fault::Memory,
        Fault::Memory => Fault::LocalPorts,
        Fault::LocalPorts => Fault::Watches,
        Fault::Watches => Fault::Threads,
        Fault::Threads => return None,
    })
}

/// Returns why algorithms may be missing: the failure in the next line.
fn kex_failure_after(failure: KexFailure) -> Option<KexFailure> {
    use KexFailure as K;

    Some(match failure {
        K::HungUp => K::Silence,
        K::Silence => K::Deadline,
        K::Deadline => K::Disconnected,
        K::Disconnected => K::LongIdentification,
        K::LongIdentification => K::NoPacket,
        K::NoPacket => K::OtherPacket,
        K::OtherPacket => K::TooMuch,
        K::TooMuch => K::Malformed,
        K::Malformed => K::Spoiled,
        K::Spoiled => return None,
    })
}
