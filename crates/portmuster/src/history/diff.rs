//! What two runs know of one target, put side by side. Pure.

use super::{Change, ChangeKind, Known, Side, Tally};
use crate::{
    outcome::{PortState, Service, Weakness},
    targets::Target,
};

/// What changed, if anything did.
pub(super) fn change(
    target: Target,
    old: Option<Side>,
    new: Option<Side>,
    tally: &mut Tally,
) -> Option<Change> {
    let mut change =
        Change { target, kinds: Vec::new(), old, new, new_findings: vec![], gone_findings: vec![] };
    let (old, new) = match (&change.old, &change.new) {
        (Some(old), Some(new)) => (&*old.known, &*new.known),
        (old, _) => {
            change.kinds.push(if old.is_some() { ChangeKind::Went } else { ChangeKind::Came });
            return Some(change);
        }
    };
    change.kinds.extend(kind(old, new, tally));
    if is_ssh(old) && is_ssh(new) {
        tally.offers_unseen += u64::from(old.has_offer != new.has_offer);
        change.new_findings = findings_beyond(new, old);
        change.gone_findings = findings_beyond(old, new);
    }
    for (findings, kind) in [
        (&change.new_findings, ChangeKind::NewFindings),
        (&change.gone_findings, ChangeKind::GoneFindings),
    ] {
        if !findings.is_empty() {
            change.kinds.push(kind);
        }
    }
    (!change.kinds.is_empty()).then_some(change)
}

/// What became of the port and its service.
fn kind(old: &Known, new: &Known, tally: &mut Tally) -> Option<ChangeKind> {
    use PortState::{Closed, Filtered, Open, Unchecked, Unresolved};

    match (old.state, new.state) {
        (Open, Open) => kind_of_open(old, new),
        (Closed | Unresolved, Open) => Some(ChangeKind::Opened),
        (Open, Closed | Unresolved) => Some(ChangeKind::Closed),
        (Filtered | Unchecked, Open) => Some(ChangeKind::Answers),
        (Open, Filtered) => Some(ChangeKind::NoAnswer),
        (Unchecked, _) | (_, Unchecked) => {
            tally.unchecked += 1;
            None
        }
        // Whether a refusal or silence keeps everybody out is the firewall's, and silence is lost
        // packets, too.
        (Closed | Filtered | Unresolved, Closed | Filtered | Unresolved) => None,
    }
}

fn kind_of_open(old: &Known, new: &Known) -> Option<ChangeKind> {
    let (before, now) = (service(old)?, service(new)?);
    let is = |service: &str, any: &[Service]| any.iter().any(|one| one.name() == service);
    let wordless = [Service::Silent, Service::ClosedEarly];
    let ssh = [Service::Ssh, Service::SshThrottled];
    let unknown = [Service::NotProbed];
    if is(before, &unknown) || is(now, &unknown) {
        return None;
    }
    if before != now {
        return match (is(before, &wordless), is(now, &wordless)) {
            (true, true) => None,
            (false, true) => Some(ChangeKind::NoAnswer),
            (_, false) if is(before, &ssh) && is(now, &ssh) => None,
            (_, false) => Some(ChangeKind::Service),
        };
    }
    let told = [Service::Telnet, Service::TelnetLikely];
    if before == Service::Ssh.name() {
        (old.identification != new.identification).then_some(ChangeKind::Version)
    } else if before == Service::Other.name() {
        // What they say besides may hold the time.
        (old.protocol != new.protocol).then_some(ChangeKind::Service)
    } else if is(before, &told) {
        (old.banner != new.banner).then_some(ChangeKind::Banner)
    } else {
        None
    }
}

/// The service as it is called now: 0.1.0 said `other` of bytes that no rule recognised.
fn service(known: &Known) -> Option<&str> {
    let service = known.service.as_deref()?;
    let is_nameless = service == Service::Other.name() && known.protocol.is_none();
    Some(if is_nameless { Service::Unknown.name() } else { service })
}

fn is_ssh(known: &Known) -> bool {
    known.service.as_deref() == Some(Service::Ssh.name())
}

/// What is weak in one and not in the other, as far as the other tells.
fn findings_beyond(one: &Known, other: &Known) -> Vec<Box<str>> {
    // The identification is enough for this one.
    let is_told = |finding: &str| other.has_offer || finding == Weakness::Ssh1.name();
    let findings = one.findings.iter().filter(|finding| is_told(finding));
    findings.filter(|finding| !other.findings.contains(finding)).cloned().collect()
}
