//! Compares two results of one target. No I/O.

use super::{
    change::{Change, ChangeKind, ChangeSide},
    change_counts::ChangeCounts,
    target_result::{KnownHostKey, TargetResult},
};
use crate::{
    outcome::{PortState, Service, Weakness},
    targets::Target,
};

/// Returns the changes of a target; `None` if there are none.
pub(super) fn change(
    target: Target,
    old: Option<ChangeSide>,
    new: Option<ChangeSide>,
    counts: &mut ChangeCounts,
) -> Option<Change> {
    let mut change =
        Change { target, kinds: Vec::new(), old, new, new_findings: vec![], gone_findings: vec![] };
    let (old, new) = match (&change.old, &change.new) {
        (Some(old), Some(new)) => (&*old.result, &*new.result),
        (old, _) => {
            change.kinds.push(if old.is_some() { ChangeKind::Went } else { ChangeKind::Came });
            return Some(change);
        }
    };
    change.kinds.extend(kind(old, new, counts));
    if is_ssh(old) && is_ssh(new) {
        counts.algorithms_unknown += u64::from(old.has_kex_init != new.has_kex_init);
        change.new_findings = findings_only_in(new, old);
        change.gone_findings = findings_only_in(old, new);
    }
    let has_other_key = is_ssh(old) && is_ssh(new) && has_other_host_key(old, new);
    for (findings, kind) in [
        (&change.new_findings, ChangeKind::NewFindings),
        (&change.gone_findings, ChangeKind::GoneFindings),
    ] {
        if !findings.is_empty() {
            change.kinds.push(kind);
        }
    }
    change.kinds.extend(has_other_key.then_some(ChangeKind::HostKey));
    (!change.kinds.is_empty()).then_some(change)
}

/// Returns how the state or the service of the port changed.
fn kind(old: &TargetResult, new: &TargetResult, counts: &mut ChangeCounts) -> Option<ChangeKind> {
    use PortState::{Closed, Filtered, Open, Unchecked, Unresolved};

    match (old.state, new.state) {
        (Open, Open) => kind_of_open(old, new),
        (Closed | Unresolved, Open) => Some(ChangeKind::Opened),
        (Open, Closed | Unresolved) => Some(ChangeKind::Closed),
        (Filtered | Unchecked, Open) => Some(ChangeKind::Answers),
        (Open, Filtered) => Some(ChangeKind::NoAnswer),
        (Unchecked, _) | (_, Unchecked) => {
            counts.unchecked += 1;
            None
        }
        // Whether a firewall refuses or drops packets is its configuration, and silence may also be
        // packet loss.
        (Closed | Filtered | Unresolved, Closed | Filtered | Unresolved) => None,
    }
}

fn kind_of_open(old: &TargetResult, new: &TargetResult) -> Option<ChangeKind> {
    let (before, now) = (service(old)?, service(new)?);
    let is = |service: &str, any: &[Service]| any.iter().any(|one| one.name() == service);
    let silent = [Service::Silent, Service::ClosedEarly];
    let ssh = [Service::Ssh, Service::SshThrottled];
    let unprobed = [Service::NotProbed];
    if is(before, &unprobed) || is(now, &unprobed) {
        return None;
    }
    if before != now {
        return match (is(before, &silent), is(now, &silent)) {
            (true, true) => None,
            (false, true) => Some(ChangeKind::NoAnswer),
            (_, false) if is(before, &ssh) && is(now, &ssh) => None,
            (_, false) => Some(ChangeKind::Service),
        };
    }
    let telnet = [Service::Telnet, Service::TelnetLikely];
    if before == Service::Ssh.name() {
        (identification(old) != identification(new)).then_some(ChangeKind::Version)
    } else if before == Service::Other.name() {
        // The rest of the greeting may contain the current time.
        (old.protocol != new.protocol).then_some(ChangeKind::Service)
    } else if is(before, &telnet) {
        (old.banner != new.banner).then_some(ChangeKind::Banner)
    } else {
        None
    }
}

/// Returns the current name of the service. Version 0.1.0 wrote `other` for bytes that no rule
/// recognised.
fn service(result: &TargetResult) -> Option<&str> {
    let service = result.service.as_deref()?;
    let is_nameless = service == Service::Other.name() && result.protocol.is_none();
    Some(if is_nameless { Service::Unknown.name() } else { service })
}

fn is_ssh(result: &TargetResult) -> bool {
    result.service.as_deref() == Some(Service::Ssh.name())
}

/// Returns the findings of `one` that `other` lacks, if the algorithms of `other` are known.
fn findings_only_in(one: &TargetResult, other: &TargetResult) -> Vec<Box<str>> {
    // The identification is enough to recognise some weaknesses, and others are of a host key.
    let is_comparable = |finding: &str| {
        if finding.starts_with("host-key-") {
            return !other.host_keys.is_empty();
        }
        other.has_kex_init || !is_of_algorithms(finding)
    };
    let findings = one.findings.iter().filter(|finding| is_comparable(finding));
    findings.filter(|finding| !other.findings.contains(finding)).cloned().collect()
}

/// Returns whether both runs know a host key of one type, and not the same one.
fn has_other_host_key(old: &TargetResult, new: &TargetResult) -> bool {
    old.host_keys.iter().any(|old| {
        let same_type = |it: &&KnownHostKey| it.key_type == old.key_type;
        new.host_keys.iter().find(same_type).is_some_and(|new| new.sha256 != old.sha256)
    })
}

fn identification(result: &TargetResult) -> [Option<&str>; 3] {
    [&result.ssh_protocol, &result.ssh_software, &result.ssh_comment].map(Option::as_deref)
}

/// Returns whether a finding is seen only in the algorithms of an ssh server.
fn is_of_algorithms(finding: &str) -> bool {
    finding.parse().map_or(true, Weakness::is_of_algorithms)
}
