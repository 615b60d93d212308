//! What counts as weak in ssh, and why: one table.
//!
//! To add a weakness: a variant, its place in [`Weakness::ALL`], and a row of [`TABLE`].

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use super::{Identification, KexInit, NameList};

/// Something weak that an ssh server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Weakness {
    /// The old version of the protocol.
    Ssh1,
    /// Sequence numbers that an attacker can shift.
    Terrapin,
    /// No encryption at all.
    NoEncryption,
    /// No integrity at all.
    NoIntegrity,
    /// A key exchange over 1,024 bits.
    Group1Sha1,
    /// A key exchange that hashes with SHA-1.
    Sha1Kex,
    /// Host keys of DSA.
    SshDss,
    /// Host keys that sign with SHA-1.
    Sha1Signatures,
    /// The cipher RC4.
    Rc4,
    /// The cipher DES.
    Des,
    /// The cipher Triple DES.
    TripleDes,
    /// Other ciphers with blocks of 64 bits.
    ShortBlock,
    /// Ciphers in CBC mode.
    Cbc,
    /// Message authentication with MD5.
    Md5,
}

/// A row of the table.
struct Entry {
    name: &'static str,
    why: &'static str,
    source: &'static str,
    sign: Sign,
}

/// What gives a weakness away.
enum Sign {
    /// The identification.
    Version1,
    /// Ciphers and MACs whose messages can be dropped unseen, without the countermeasure.
    Terrapin,
    Kex(fn(&str) -> bool),
    HostKey(fn(&str) -> bool),
    Cipher(fn(&str) -> bool),
    Mac(fn(&str) -> bool),
}

/// What a server signals among its key exchange methods when it is no prey to Terrapin (OpenSSH's
/// PROTOCOL, "transport: strict key exchange extension").
const STRICT: &str = "kex-strict-s-v00@openssh.com";

impl Weakness {
    /// Every weakness, in the order in which findings list them.
    pub const ALL: [Self; 14] = [
        Self::Ssh1,
        Self::Terrapin,
        Self::NoEncryption,
        Self::NoIntegrity,
        Self::Group1Sha1,
        Self::Sha1Kex,
        Self::SshDss,
        Self::Sha1Signatures,
        Self::Rc4,
        Self::Des,
        Self::TripleDes,
        Self::ShortBlock,
        Self::Cbc,
        Self::Md5,
    ];

    /// The weakness's name in rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// Why it is weak.
    #[must_use]
    pub fn why(self) -> &'static str {
        self.entry().why
    }

    /// Who says so.
    #[must_use]
    pub fn source(self) -> &'static str {
        self.entry().source
    }

    /// What is weak in what the server says of itself.
    pub(crate) fn all_in(identification: &Identification, offer: Option<&KexInit>) -> Vec<Self> {
        let is_there = |weakness: &Self| match weakness.entry().sign {
            Sign::Version1 => identification.has_version_1(),
            _ => offer.is_some_and(|offer| !weakness.algorithms(offer).is_empty()),
        };
        Self::ALL.into_iter().filter(is_there).collect()
    }

    /// The algorithms of the offer that are weak in this way, each once.
    #[must_use]
    pub fn algorithms(self, offer: &KexInit) -> Vec<&str> {
        let ciphers = [&offer.ciphers_client_to_server, &offer.ciphers_server_to_client];
        let macs = [&offer.macs_client_to_server, &offer.macs_server_to_client];
        let mut names = match self.entry().sign {
            Sign::Version1 => Vec::new(),
            Sign::Terrapin => terrapin(offer),
            Sign::Kex(is_weak) => matching([&offer.kex], is_weak),
            Sign::HostKey(is_weak) => matching([&offer.host_keys], is_weak),
            Sign::Cipher(is_weak) => matching(ciphers, is_weak),
            Sign::Mac(is_weak) => matching(macs, is_weak),
        };
        // Not by comparing each with each: a stranger may send thousands.
        let mut seen = BTreeSet::new();
        names.retain(|&name| seen.insert(name));
        names
    }

    fn entry(self) -> &'static Entry {
        &TABLE[self as usize]
    }
}

impl fmt::Display for Weakness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// In the order of [`Weakness::ALL`].
const TABLE: [Entry; Weakness::ALL.len()] = [
    entry(
        "ssh-1",
        "the old protocol's integrity is a CRC-32 and its key transport can be broken: \
         sessions can be read and changed",
        "CVE-1999-1085, CVE-2001-0361",
        Sign::Version1,
    ),
    entry(
        "terrapin",
        "who sits on the line can drop the first messages of a session unseen, and with \
         them extensions that protect it",
        "CVE-2023-48795",
        Sign::Terrapin,
    ),
    entry(
        "no-encryption",
        "a session may go unencrypted",
        "RFC 4253 §6.3 (not recommended)",
        Sign::Cipher(|name| name == "none"),
    ),
    entry(
        "no-integrity",
        "a session may be changed on the way unseen",
        "RFC 4253 §6.4 (not recommended)",
        Sign::Mac(|name| name == "none"),
    ),
    entry(
        "group1-sha1",
        "its group or its RSA key has 1,024 bits, which is within reach of large attackers",
        "RFC 9142 §4 (should not, of RSA must not), CVE-2015-4000",
        Sign::Kex(|name| name.contains("group1-sha1") || name == "rsa1024-sha1"),
    ),
    entry(
        "sha1-kex",
        "collisions of SHA-1 can be made",
        "RFC 9142 §1.1",
        Sign::Kex(|name| name.ends_with("-sha1") || name.contains("-sha1-")),
    ),
    entry(
        "ssh-dss",
        "DSA is no longer approved for signing, and OpenSSH has removed it",
        "FIPS 186-5 §4, release notes of OpenSSH 10.0",
        Sign::HostKey(|name| name.contains("ssh-dss") || name.contains("-sign-dss")),
    ),
    entry(
        "sha1-signatures",
        "collisions of SHA-1 can be made, so a signature may fit two messages",
        "RFC 8332 §1, release notes of OpenSSH 8.8",
        Sign::HostKey(is_sha1_signature),
    ),
    entry(
        "rc4",
        "its key stream is biased, so what is repeated can be read",
        "RFC 8758 (must not)",
        Sign::Cipher(|name| name.starts_with("arcfour")),
    ),
    entry(
        "des",
        "its keys of 56 bits can be found by trying all of them",
        "RFC 4772",
        Sign::Cipher(|name| name.starts_with("des-cbc")),
    ),
    entry(
        "3des",
        "its blocks of 64 bits are so short that long sessions give parts of their text away",
        "CVE-2016-2183 (Sweet32), NIST SP 800-131A Rev. 2 §2",
        Sign::Cipher(|name| name.starts_with("3des")),
    ),
    entry(
        "64-bit-block",
        "its blocks of 64 bits are so short that long sessions give parts of their text away",
        "CVE-2016-2183 (Sweet32)",
        Sign::Cipher(has_short_blocks),
    ),
    entry(
        "cbc",
        "bytes of the plain text can be recovered by watching how errors are answered",
        "CVE-2008-5161",
        Sign::Cipher(is_cbc),
    ),
    entry(
        "md5",
        "MD5 is broken for signatures; as a MAC it is not urgent to remove, but nothing new should \
         use it",
        "RFC 6151 §2.3",
        Sign::Mac(|name| name.contains("md5")),
    ),
];

const fn entry(name: &'static str, why: &'static str, source: &'static str, sign: Sign) -> Entry {
    Entry { name, why, source, sign }
}

fn matching<'a>(
    lists: impl IntoIterator<Item = &'a NameList>,
    is_weak: impl Fn(&str) -> bool,
) -> Vec<&'a str> {
    lists.into_iter().flat_map(NameList::iter).filter(|name| is_weak(name)).collect()
}

/// Exact where others build on a name: `ssh-rsa-sha256@ssh.com` signs with SHA-2.
fn is_sha1_signature(name: &str) -> bool {
    matches!(name, "ssh-rsa" | "x509v3-ssh-rsa" | "x509v3-sign-rsa")
        || name.starts_with("ssh-rsa-cert-")
        || name.ends_with("sha1")
}

/// Whether it is, in any mode, a cipher with blocks of 64 bits that is not told as DES.
fn has_short_blocks(name: &str) -> bool {
    ["blowfish-", "cast128-", "idea-"].iter().any(|cipher| name.starts_with(cipher))
}

fn is_cbc(name: &str) -> bool {
    name.contains("-cbc")
}

fn is_encrypt_then_mac(name: &str) -> bool {
    name.contains("-etm@")
}

/// The ciphers and MACs that the attack works on: ChaCha20-Poly1305, and CBC with a MAC over what
/// is encrypted in the same direction (Bäumer, Brinkmann, Schwenk: "Terrapin Attack", §4).
fn terrapin(offer: &KexInit) -> Vec<&str> {
    if offer.kex.contains(STRICT) {
        return Vec::new();
    }
    let directions = [
        (&offer.ciphers_client_to_server, &offer.macs_client_to_server),
        (&offer.ciphers_server_to_client, &offer.macs_server_to_client),
    ];
    let mut names = Vec::new();
    for (ciphers, macs) in directions {
        let chacha = |name: &str| name == "chacha20-poly1305@openssh.com";
        names.extend(matching([ciphers], chacha));
        let macs = matching([macs], is_encrypt_then_mac);
        let ciphers = matching([ciphers], is_cbc);
        if !macs.is_empty() && !ciphers.is_empty() {
            names.extend(ciphers.into_iter().chain(macs));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &str) -> NameList {
        NameList::parse(names.as_bytes()).expect("names are printable")
    }

    fn offer(kex: &str, host_keys: &str, ciphers: &str, macs: &str) -> KexInit {
        KexInit {
            kex: list(kex),
            host_keys: list(host_keys),
            ciphers_client_to_server: list(ciphers),
            ciphers_server_to_client: list(ciphers),
            macs_client_to_server: list(macs),
            macs_server_to_client: list(macs),
            ..KexInit::default()
        }
    }

    fn names(protocol: &str, offer: &KexInit) -> Vec<&'static str> {
        let protocol = protocol.to_owned();
        let identification = Identification { protocol, software: "x".into(), comment: None };
        Weakness::all_in(&identification, Some(offer)).into_iter().map(Weakness::name).collect()
    }

    #[test]
    fn every_weakness_has_a_name_of_its_own_a_reason_and_a_source() {
        let names: BTreeSet<_> = Weakness::ALL.map(Weakness::name).into();
        assert_eq!(names.len(), Weakness::ALL.len());
        for (position, weakness) in Weakness::ALL.into_iter().enumerate() {
            assert_eq!(weakness as usize, position);
            assert!(!weakness.why().is_empty() && !weakness.source().is_empty(), "{weakness}");
        }
    }

    #[test]
    fn what_is_strong_is_no_finding() {
        let strong = offer(
            "sntrup761x25519-sha512,curve25519-sha256,diffie-hellman-group14-sha256,\
             diffie-hellman-group16-sha512,ext-info-s,kex-strict-s-v00@openssh.com",
            "rsa-sha2-512,rsa-sha2-256,ecdsa-sha2-nistp256,ssh-ed25519",
            "chacha20-poly1305@openssh.com,aes128-ctr,aes256-gcm@openssh.com",
            "umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha1",
        );
        assert_eq!(names("2.0", &strong), [""; 0]);
    }

    #[test]
    fn a_host_key_that_signs_with_sha_2_is_no_finding() {
        for strong in [
            "ssh-rsa-sha224@ssh.com",
            "ssh-rsa-sha256@ssh.com",
            "ssh-rsa-sha384@ssh.com",
            "ssh-rsa-sha512@ssh.com",
            "x509v3-sign-rsa-sha224@ssh.com",
            "x509v3-sign-rsa-sha256@ssh.com",
            "x509v3-sign-rsa-sha384@ssh.com",
            "x509v3-sign-rsa-sha512@ssh.com",
            "x509v3-rsa2048-sha256",
            "rsa-sha2-256-cert-v01@openssh.com",
            "rsa-sha2-512-cert-v01@openssh.com",
        ] {
            assert_eq!(names("2.0", &offer("", strong, "", "")), [""; 0], "{strong}");
        }
    }

    #[test]
    fn a_host_key_of_dsa_is_weak_whatever_it_signs_with() {
        for weak in [
            "ssh-dss",
            "ssh-dss-cert-v01@openssh.com",
            "ssh-dss-sha256@ssh.com",
            "x509v3-ssh-dss",
            "x509v3-sign-dss",
            "x509v3-sign-dss-sha256@ssh.com",
        ] {
            assert_eq!(names("2.0", &offer("", weak, "", "")), ["ssh-dss"], "{weak}");
        }
        assert!(!Weakness::SshDss.why().contains("SHA-1"));
    }

    #[test]
    fn each_weak_algorithm_is_a_finding() {
        let weak =
            |kex, host_keys, ciphers, macs| names("2.0", &offer(kex, host_keys, ciphers, macs));
        assert_eq!(weak("diffie-hellman-group1-sha1", "", "", ""), ["group1-sha1", "sha1-kex"]);
        assert_eq!(weak("rsa1024-sha1", "", "", ""), ["group1-sha1", "sha1-kex"]);
        assert_eq!(weak("diffie-hellman-group14-sha1", "", "", ""), ["sha1-kex"]);
        assert_eq!(weak("gss-gex-sha1-toWM5Slw5Ew8Mqkay+al2g==", "", "", ""), ["sha1-kex"]);
        assert_eq!(weak("", "ssh-rsa", "", ""), ["sha1-signatures"]);
        assert_eq!(weak("", "ssh-rsa-cert-v01@openssh.com", "", ""), ["sha1-signatures"]);
        assert_eq!(weak("", "x509v3-ssh-rsa", "", ""), ["sha1-signatures"]);
        assert_eq!(weak("", "x509v3-sign-rsa", "", ""), ["sha1-signatures"]);
        assert_eq!(weak("", "x509v3-sign-rsa-sha1", "", ""), ["sha1-signatures"]);
        assert_eq!(weak("", "", "arcfour256", ""), ["rc4"]);
        assert_eq!(weak("", "", "3des-ctr", ""), ["3des"]);
        assert_eq!(weak("", "", "3des-cbc", ""), ["3des", "cbc"]);
        assert_eq!(weak("", "", "des-cbc", ""), ["des", "cbc"]);
        assert_eq!(weak("", "", "des-cbc@ssh.com", ""), ["des", "cbc"]);
        assert_eq!(weak("", "", "blowfish-cbc", ""), ["64-bit-block", "cbc"]);
        assert_eq!(weak("", "", "blowfish-ctr", ""), ["64-bit-block"]);
        assert_eq!(weak("", "", "cast128-ctr", ""), ["64-bit-block"]);
        assert_eq!(weak("", "", "idea-ctr", ""), ["64-bit-block"]);
        assert_eq!(weak("", "", "aes256-cbc", "hmac-sha1"), ["cbc"]);
        assert_eq!(weak("", "", "", "hmac-md5-96"), ["md5"]);
        assert_eq!(weak("", "", "none", "none"), ["no-encryption", "no-integrity"]);
    }

    #[test]
    fn both_protocols_are_one_too_many() {
        assert_eq!(names("1.99", &KexInit::default()), ["ssh-1"]);
        assert_eq!(names("1.5", &KexInit::default()), ["ssh-1"]);
    }

    #[test]
    fn terrapin_wants_a_cipher_in_reach_and_no_countermeasure() {
        let chacha = offer("curve25519-sha256", "", "chacha20-poly1305@openssh.com", "");
        assert_eq!(names("2.0", &chacha), ["terrapin"]);
        // In both directions, and told once.
        assert_eq!(Weakness::Terrapin.algorithms(&chacha), ["chacha20-poly1305@openssh.com"]);

        let etm = offer("x", "", "aes128-cbc", "hmac-sha2-256-etm@openssh.com");
        assert_eq!(names("2.0", &etm), ["terrapin", "cbc"]);
        let other_direction =
            KexInit { macs_client_to_server: list(""), ciphers_server_to_client: list(""), ..etm };
        assert_eq!(names("2.0", &other_direction), ["cbc"]);

        let clients = "curve25519-sha256,kex-strict-c-v00@openssh.com";
        assert_eq!(
            names("2.0", &offer(clients, "", "chacha20-poly1305@openssh.com", "")),
            ["terrapin"]
        );
    }
}
