//! Renders host keys as lines of text. Pure.

use portmuster::{
    outcome::{Certificate, HostKey, HostKeys, KeyProof},
    sink::escape_line,
};

/// The most names of a certificate that are shown.
const PRINCIPALS_MAX: usize = 8;

/// Returns the lines about the host keys of a server; none if it was not asked for any.
pub(super) fn lines(host_keys: &HostKeys) -> Vec<String> {
    let mut lines: Vec<_> = host_keys.keys.iter().flat_map(key_lines).collect();
    if let Some(failure) = host_keys.missing {
        lines.push(format!("not received: {failure}"));
    }
    lines
}

fn key_lines(key: &HostKey) -> Vec<String> {
    let HostKey { key_type, bits, proof, .. } = key;
    let first = format!("{key_type}, {bits} bits, {}", described(*proof));
    let certificate = key.certificate.as_ref().map(|certificate| certificate_line(certificate));
    [first, key.fingerprint()].into_iter().chain(certificate).collect()
}

/// Says whether there is a proof, and why not.
fn described(proof: KeyProof) -> String {
    match proof.failure() {
        None => "proven".to_owned(),
        Some(failure) => format!("not proven: {failure}"),
    }
}

fn certificate_line(certificate: &Certificate) -> String {
    let names = &certificate.principals;
    let shown: Vec<_> = names.iter().take(PRINCIPALS_MAX).map(|name| escape_line(name)).collect();
    let more = match names.len().saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let hosts = if names.is_empty() {
        "any host".to_owned()
    } else {
        format!("{}{more}", shown.join(", "))
    };
    let ca = certificate.ca_fingerprint();
    format!("certificate for {hosts}, by {ca}, {}", described(certificate.ca_proof))
}
