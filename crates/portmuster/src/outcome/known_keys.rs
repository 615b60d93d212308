//! Host keys that are known, as in OpenSSH's `known_hosts` (sshd(8), section `SSH_KNOWN_HOSTS FILE
//! FORMAT`), and what they say about the keys of a server.

use std::{
    collections::HashMap,
    io::{self, BufRead, Read},
    time::SystemTime,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{
    host_key::{Certificate, HostKey, KeyProof},
    known_hosts::{SALT_SIZE, host_hash, known_hosts_name},
    weakness::Weakness,
};
use crate::targets::{Host, Target};

/// The most bytes of a line.
const LINE_MAX: usize = 64 * 1024;

/// The keys of a file that ssh reads as `known_hosts`. Feature `host-keys`.
///
/// A [`Checker`](crate::Checker::knowing_keys) with them adds
/// [`HostKeyChanged`](Weakness::HostKeyChanged), [`HostKeyUnknown`](Weakness::HostKeyUnknown) and
/// [`HostKeyRevoked`](Weakness::HostKeyRevoked) to the findings of ssh servers.
///
/// ```
/// use portmuster::outcome::KnownKeys;
///
/// let file = "# a comment\n@revoked * ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA\n";
/// assert_eq!(KnownKeys::read(file.as_bytes())?.len(), 1);
/// # Ok::<(), portmuster::outcome::KnownKeysError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownKeys {
    /// The keys of each name without wildcards.
    named: HashMap<Box<str>, Vec<KnownKey>>,
    /// The keys of names that are hashed.
    hashed: Vec<([u8; SALT_SIZE], [u8; SALT_SIZE], KnownKey)>,
    /// The keys of lists of names with wildcards or exceptions.
    patterns: Vec<(Box<str>, KnownKey)>,
    len: usize,
}

/// A known key, by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KnownKey {
    marker: Marker,
    /// The hash of the name of the key's type.
    key_type: [u8; 32],
    sha256: [u8; 32],
}

/// What a line says about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    /// A host has it.
    Host,
    /// It signs certificates of hosts.
    Authority,
    /// No host may have it.
    Revoked,
}

/// A line of `known_hosts` that can't be read.
#[derive(Debug, Error)]
#[error("line {line}: {reason}")]
pub struct KnownKeysError {
    line: u64,
    reason: KnownKeysErrorReason,
}

#[derive(Debug, Error)]
enum KnownKeysErrorReason {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it has more than {LINE_MAX} bytes")]
    TooLong,
    #[error("names, a key type and a key in base64 must follow each other")]
    NoKey,
    #[error("the marker is neither @cert-authority nor @revoked")]
    Marker,
    #[error("the hashed name is invalid")]
    Hash,
}

impl KnownKeysError {
    /// Returns the line, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }
}

impl KnownKeys {
    /// Reads the lines of a file.
    ///
    /// # Errors
    /// A line can't be read.
    pub fn read(mut input: impl BufRead) -> Result<Self, KnownKeysError> {
        let mut keys = Self::default();
        let mut buffer = Vec::new();
        let mut line = 0;
        loop {
            line += 1;
            buffer.clear();
            let error = |reason| KnownKeysError { line, reason };
            let read = input.by_ref().take(LINE_MAX as u64 + 1).read_until(b'\n', &mut buffer);
            match read.map_err(|failed| error(failed.into()))? {
                0 => return Ok(keys),
                length if length > LINE_MAX => return Err(error(KnownKeysErrorReason::TooLong)),
                _ => keys.add(&String::from_utf8_lossy(&buffer)).map_err(error)?,
            }
        }
    }

    /// Adds the keys of another file.
    pub fn extend(&mut self, other: Self) {
        for (name, keys) in other.named {
            self.named.entry(name).or_default().extend(keys);
        }
        self.hashed.extend(other.hashed);
        self.patterns.extend(other.patterns);
        self.len += other.len;
    }

    /// Returns the number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn add(&mut self, line: &str) -> Result<(), KnownKeysErrorReason> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let mut words = line.split_ascii_whitespace();
        let mut names = words.next().unwrap_or_default();
        let marker = match names {
            "@cert-authority" => Marker::Authority,
            "@revoked" => Marker::Revoked,
            _ if names.starts_with('@') => return Err(KnownKeysErrorReason::Marker),
            _ => Marker::Host,
        };
        if marker != Marker::Host {
            names = words.next().unwrap_or_default();
        }
        let (Some(key_type), Some(key)) = (words.next(), words.next()) else {
            return Err(KnownKeysErrorReason::NoKey);
        };
        // Version 1 of the protocol had keys that begin with their size.
        if key_type.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(());
        }
        let key = STANDARD.decode(key).map_err(|_| KnownKeysErrorReason::NoKey)?;
        let key = KnownKey { marker, key_type: hash(key_type.as_bytes()), sha256: hash(&key) };
        self.len += 1;
        self.add_key(names, key)
    }

    fn add_key(&mut self, names: &str, key: KnownKey) -> Result<(), KnownKeysErrorReason> {
        if let Some(hashed) = names.strip_prefix("|1|") {
            let decode = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
            let parts = hashed.split_once('|');
            let parts = parts.and_then(|(salt, hash)| Some((decode(salt)?, decode(hash)?)));
            let (salt, hash) = parts.ok_or(KnownKeysErrorReason::Hash)?;
            self.hashed.push((salt, hash, key));
        } else if names.contains(['*', '?', '!']) {
            self.patterns.push((names.to_ascii_lowercase().into(), key));
        } else {
            for name in names.split(',') {
                self.named.entry(name.to_ascii_lowercase().into()).or_default().push(key);
            }
        }
        Ok(())
    }

    /// Returns the keys of a host. Each hashed name takes a hash.
    fn of_host(&self, name: &str) -> Vec<KnownKey> {
        let named = self.named.get(name).into_iter().flatten();
        let hashed = self.hashed.iter().filter(|(salt, hash, _)| host_hash(name, salt) == *hash);
        let patterns = self.patterns.iter().filter(|(list, _)| matches_list(name, list));
        let others = hashed.map(|(.., key)| key).chain(patterns.map(|(_, key)| key));
        named.chain(others).copied().collect()
    }

    /// Returns what the known keys say about those of a server, at the time of its outcome.
    pub(crate) fn findings(
        &self,
        target: &Target,
        keys: &[HostKey],
        now: SystemTime,
    ) -> Vec<Weakness> {
        let Some(name) = known_hosts_name(target).filter(|_| !keys.is_empty()) else {
            return Vec::new();
        };
        let known = self.of_host(&name);
        let mut findings: Vec<_> =
            keys.iter().filter_map(|key| finding(key, &known, &target.host, now)).collect();
        findings.sort_unstable();
        findings.dedup();
        findings
    }
}

/// Returns what the keys of a host say about one that its server sent; `None` if they have it.
fn finding(key: &HostKey, known: &[KnownKey], host: &Host, now: SystemTime) -> Option<Weakness> {
    let authority = key.certificate.as_ref().map(|certificate| certificate.ca_sha256);
    let is_marked = |marker, sha256| {
        known.iter().any(|known| known.marker == marker && Some(known.sha256) == sha256)
    };
    if is_marked(Marker::Revoked, Some(key.sha256)) || is_marked(Marker::Revoked, authority) {
        return Some(Weakness::HostKeyRevoked);
    }
    let is_certified = key.certificate.as_ref().is_some_and(|it| is_valid_for(it, host, now));
    if is_marked(Marker::Host, Some(key.sha256))
        || (is_certified && is_marked(Marker::Authority, authority))
    {
        return None;
    }
    let key_type = hash(key.key_type.name().as_bytes());
    let has_other = |it: &KnownKey| it.marker == Marker::Host && it.key_type == key_type;
    Some(if known.iter().any(has_other) {
        Weakness::HostKeyChanged
    } else {
        Weakness::HostKeyUnknown
    })
}

/// Returns whether a certificate is signed, is for this host, and is valid now.
fn is_valid_for(certificate: &Certificate, host: &Host, now: SystemTime) -> bool {
    let host = host.to_string().to_ascii_lowercase();
    let names = &certificate.principals;
    let is_named = names.is_empty()
        || names.iter().any(|name| {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            matches(host.as_bytes(), name.as_bytes())
        });
    let has_begun = certificate.starts().is_none_or(|start| start <= now);
    let has_ended = certificate.ends().is_some_and(|end| end <= now);
    certificate.ca_proof == KeyProof::Proven && is_named && has_begun && !has_ended
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Returns whether a name fits one of the patterns, and none that begins with `!`.
fn matches_list(name: &str, list: &str) -> bool {
    let mut is_listed = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(exception) if matches(name.as_bytes(), exception.as_bytes()) => return false,
            Some(_) => {}
            None => is_listed |= matches(name.as_bytes(), pattern.as_bytes()),
        }
    }
    is_listed
}

/// Returns whether a name fits a pattern, in which `*` stands for any text and `?` for one byte. It takes
/// time in proportion to the product of the lengths.
fn matches(name: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut next) = (0, 0);
    // Where the last `*` was, and how much of the name it stands for so far.
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match pattern.get(next) {
            Some(b'*') => {
                star = Some((next, at));
                next += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[at] => (at, next) = (at + 1, next + 1),
            _ => match &mut star {
                Some((star_at, covered)) => {
                    *covered += 1;
                    (at, next) = (*covered, *star_at + 1);
                }
                None => return false,
            },
        }
    }
    pattern[next..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sink::samples;

    /// The key of [`samples::plain_key`] and another one of its type.
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA";

    fn key() -> HostKey {
        let key = samples::plain_key();
        HostKey { sha256: hash(&key.blob), ..key }
    }

    fn findings_of(file: &str, host: &str, port: u16, key: HostKey) -> Vec<&'static str> {
        let known = KnownKeys::read(file.as_bytes()).expect("the file is valid");
        let target = Target::from((host, port));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        known.findings(&target, &[key], now).into_iter().map(Weakness::name).collect()
    }

    #[test]
    fn keys_are_compared_with_those_of_their_host() {
        let found = |file: &str| findings_of(file, "db.example", 22, key());
        assert_eq!(found(&format!("db.example {KEY}\n")), [""; 0]);
        assert_eq!(found(&format!("x,DB.example,y {KEY} comment\n")), [""; 0]);
        assert_eq!(found(&format!("db.example {OTHER}\ndb.example {KEY}\n")), [""; 0]);
        assert_eq!(found(&format!("db.example {OTHER}\n")), ["host-key-changed"]);
        assert_eq!(found("db.example ssh-rsa AAAA\n"), ["host-key-unknown"]);
        assert_eq!(found(&format!("[db.example]:2222 {KEY}\n")), ["host-key-unknown"]);
        assert_eq!(found(""), ["host-key-unknown"]);
        assert_eq!(found(&format!("*.example,!db.example {KEY}\n")), ["host-key-unknown"]);
        assert_eq!(found(&format!("*.ex?mple {KEY}\n")), [""; 0]);
        assert_eq!(found(&format!("db.example {KEY}\n@revoked * {KEY}\n")), ["host-key-revoked"]);
        assert_eq!(found(&format!("@revoked other.example {KEY}\n")), ["host-key-unknown"]);
        let port = findings_of(&format!("[db.example]:2222 {KEY}\n"), "db.example", 2222, key());
        assert_eq!(port, [""; 0]);
    }

    #[test]
    fn hashed_names_are_found() {
        let salt = [7; SALT_SIZE];
        let hashed = super::super::known_hosts::hashed_host("[10.0.0.5]:2222", &salt);
        let file = format!("{hashed} {OTHER}\n");
        assert_eq!(findings_of(&file, "10.0.0.5", 2222, key()), ["host-key-changed"]);
        assert_eq!(findings_of(&file, "10.0.0.6", 2222, key()), ["host-key-unknown"]);
    }

    #[test]
    fn certificates_of_a_known_authority_are_known_while_they_are_valid() {
        let authority = hash(&STANDARD.decode("AAAA").expect("it is base64"));
        let certificate = Certificate {
            ca_sha256: authority,
            ca_proof: KeyProof::Proven,
            principals: vec![b"db.example".to_vec()],
            valid_after: 500,
            valid_before: 2_000,
        };
        let found = |file: &str, certificate: Certificate| {
            let certificate = Some(Box::new(certificate));
            findings_of(file, "db.example", 22, HostKey { certificate, ..key() })
        };
        let file = "@cert-authority *.example ssh-ed25519 AAAA\n";
        assert_eq!(found(file, certificate.clone()), [""; 0]);
        let revoked = format!("{file}@revoked * ssh-ed25519 AAAA\n");
        assert_eq!(found(&revoked, certificate.clone()), ["host-key-revoked"]);
        let wrong = KeyProof::Unproven(crate::outcome::ProofFailure::WrongSignature);
        for invalid in [
            Certificate { ca_proof: wrong, ..certificate.clone() },
            Certificate { principals: vec![b"x.example".to_vec()], ..certificate.clone() },
            Certificate { valid_after: 1_001, ..certificate.clone() },
            Certificate { valid_before: 1_000, ..certificate.clone() },
            Certificate { ca_sha256: [0; 32], ..certificate },
        ] {
            assert_eq!(found(file, invalid.clone()), ["host-key-unknown"], "{invalid:?}");
        }
    }

    #[test]
    fn lines_that_can_not_be_read_are_errors_with_their_number() {
        for (line, reason) in [
            ("db.example", "must follow each other"),
            ("db.example ssh-rsa", "must follow each other"),
            ("db.example ssh-rsa !!!", "must follow each other"),
            ("@trusted * ssh-rsa AAAA", "neither @cert-authority nor @revoked"),
            ("|1|AAAA|AAAA ssh-rsa AAAA", "the hashed name is invalid"),
            (&"x".repeat(LINE_MAX + 1), "more than 65536 bytes"),
        ] {
            let file = format!("# comment\n\n{line}\n");
            let error = KnownKeys::read(file.as_bytes()).expect_err("it is invalid");
            assert_eq!(error.line(), 3);
            assert!(error.to_string().contains(reason), "{error}");
        }
        let version_1 = "db.example 1024 35 1234567890 comment\n";
        assert!(KnownKeys::read(version_1.as_bytes()).expect("it is skipped").is_empty());
    }

    #[test]
    fn wildcards_stand_for_any_text() {
        for (name, pattern, fits) in [
            ("", "", true),
            ("", "*", true),
            ("a", "", false),
            ("abc", "a*c", true),
            ("abc", "a?c", true),
            ("abc", "*b*", true),
            ("abc", "a*d", false),
            ("abcbc", "a*bc", true),
            ("abc", "abc*?", false),
        ] {
            assert_eq!(matches(name.as_bytes(), pattern.as_bytes()), fits, "{name} {pattern}");
        }
        let long = "a".repeat(253);
        assert!(!matches(long.as_bytes(), format!("{}b", "*a".repeat(120)).as_bytes()));
    }
}
