//! Host keys in nmap's XML, with the keys of its script `ssh-hostkey` where it has them.

use super::markup::{Markup, escape_bytes_for_xml};
use crate::{
    outcome::{Certificate, ServiceDetails},
    sink::host_key_row::{CertificateRow, HostKeyRow, host_keys},
};

/// Formats the host keys for people; empty if there are none.
pub(super) fn text(details: &ServiceDetails) -> String {
    let keys = host_keys(details).unwrap_or_default();
    let lines = keys.iter().map(|key| {
        let proof = key.unproven.unwrap_or("proven");
        format!("\n      {} {} ({}) {proof}", key.bits, key.sha256, key.key_type)
    });
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("\n  host_keys: ({}){lines}", keys.len()) }
}

/// Writes the host keys as a table of tables.
pub(super) fn write(markup: &mut Markup, details: &ServiceDetails) {
    let Some(keys) = host_keys(details) else { return };
    markup.open("table", &[("key", "host_keys")]);
    for (row, key) in keys.iter().zip(&details.host_keys.keys) {
        write_key(markup, row, key.certificate.as_deref());
    }
    markup.close("table");
}

fn write_key(markup: &mut Markup, key: &HostKeyRow<'_>, source: Option<&Certificate>) {
    markup.open("table", &[]);
    let proven = key.proven.to_string();
    let bits = key.bits.to_string();
    let fields = [
        ("type", Some(key.key_type)),
        ("bits", Some(&*bits)),
        ("fingerprint", Some(&*key.sha256)),
        ("proven", Some(&*proven)),
        ("unproven", key.unproven),
        ("key", key.key.as_deref()),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            markup.text("elem", &[("key", name)], value);
        }
    }
    if let Some((certificate, source)) = key.certificate.as_ref().zip(source) {
        write_certificate(markup, certificate, source);
    }
    markup.close("table");
}

fn write_certificate(markup: &mut Markup, certificate: &CertificateRow<'_>, source: &Certificate) {
    markup.open("table", &[("key", "certificate")]);
    let proven = certificate.ca_proven.to_string();
    let fields = [
        ("ca_fingerprint", Some(&*certificate.ca_sha256)),
        ("ca_proven", Some(&*proven)),
        ("ca_unproven", certificate.ca_unproven),
        ("valid_after", certificate.valid_after.as_deref()),
        ("valid_before", certificate.valid_before.as_deref()),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            markup.text("elem", &[("key", name)], value);
        }
    }
    for principal in &source.principals {
        markup.text("elem", &[("key", "principal")], &escape_bytes_for_xml(principal));
    }
    markup.close("table");
}
