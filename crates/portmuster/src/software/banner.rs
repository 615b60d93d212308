//! What fingerprints are matched with.

use crate::outcome::{Outcome, Service};

/// The kind of a text that fingerprints are matched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum BannerKind {
    /// The software and the comment in the identification of an ssh server.
    Ssh,
    /// The text of a telnet server, without white space at its ends.
    Telnet,
}

/// Returns what fingerprints are matched with; `None`: the server says nothing that names its software.
pub(super) fn banner(outcome: &Outcome) -> Option<(BannerKind, Vec<u8>)> {
    let verdict = &outcome.verdict;
    let details = verdict.details.as_deref();
    if let Some(identification) = details.and_then(|details| details.identification.as_ref()) {
        let mut banner = identification.software.clone();
        if let Some(comment) = &identification.comment {
            banner.push(b' ');
            banner.extend_from_slice(comment);
        }
        return Some((BannerKind::Ssh, banner));
    }
    let text = verdict.banner.trim_ascii();
    match verdict.service {
        Some(Service::Telnet | Service::TelnetLikely) if !text.is_empty() => {
            Some((BannerKind::Telnet, text.to_vec()))
        }
        _ => None,
    }
}
