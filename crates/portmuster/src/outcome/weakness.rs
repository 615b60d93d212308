//! Weaknesses of ssh and telnet servers, in one table with reasons and sources.
//!
//! To add a weakness, add a variant, and a row in [`TABLE`].

use std::collections::BTreeSet;

use super::{
    host_key::HostKeys,
    identification::Identification,
    kex_init::{KexInit, NameList},
    telnet_option::{TelnetOption, Verb},
};
use crate::named_enum::named_enum;

named_enum! {
    /// A weakness of an ssh server, which is a protocol version or algorithms that it offers, or a reason to
    /// look at a telnet server.
    #[non_exhaustive]
    pub enum Weakness: "weakness" {
        /// Protocol version 1.
        Ssh1 = "ssh-1",
        /// The Terrapin attack: an attacker can manipulate sequence numbers.
        Terrapin = "terrapin",
        /// The cipher `none`: sessions without encryption.
        NoEncryption = "no-encryption",
        /// The MAC `none`: sessions without integrity protection.
        NoIntegrity = "no-integrity",
        /// Key exchange with a 1,024-bit group or RSA key.
        Group1Sha1 = "group1-sha1",
        /// Key exchange with SHA-1.
        Sha1Kex = "sha1-kex",
        /// DSA host keys.
        SshDss = "ssh-dss",
        /// Host key signatures with SHA-1.
        Sha1Signatures = "sha1-signatures",
        /// The RC4 cipher.
        Rc4 = "rc4",
        /// The DES cipher.
        Des = "des",
        /// The Triple DES cipher.
        TripleDes = "3des",
        /// Other ciphers with 64-bit blocks.
        ShortBlock = "64-bit-block",
        /// Ciphers in CBC mode.
        Cbc = "cbc",
        /// Message authentication codes with MD5.
        Md5 = "md5",
        /// A telnet server that asks for environment variables before the login, which is a reason to find
        /// out which one it is.
        TelnetNewEnviron = "telnet-new-environ",
        /// No key exchange that withstands quantum computers.
        NoPostQuantum = "no-post-quantum",
        /// A host key that the server did not prove to have.
        HostKeyUnproven = "host-key-unproven",
        /// An RSA host key of less than 2,048 bits.
        HostKeyShort = "host-key-short",
        /// A host key that the known ones revoke.
        HostKeyRevoked = "host-key-revoked",
        /// A host key of a type of which another key is known.
        HostKeyChanged = "host-key-changed",
        /// A host key that is not known.
        HostKeyUnknown = "host-key-unknown",
    }
}

/// A row of the table.
struct WeaknessRow {
    weakness: Weakness,
    why: &'static str,
    source: &'static str,
    criterion: Criterion,
}

/// How a weakness is recognised.
enum Criterion {
    /// By the protocol version in the identification line.
    Version1,
    /// By ciphers and MACs vulnerable to Terrapin, without the countermeasure.
    Terrapin,
    /// By a host key whose signature was not verified.
    Unproven,
    /// A key that is too short.
    ShortKey,
    /// By the keys that are known of the host.
    KnownKeys,
    /// By the name of a key exchange method.
    Kex(fn(&str) -> bool),
    /// By the name of a host key algorithm.
    HostKey(fn(&str) -> bool),
    /// By the name of a cipher in either direction.
    Cipher(fn(&str) -> bool),
    /// By the name of a MAC in either direction.
    Mac(fn(&str) -> bool),
    /// By the absence of all key exchange methods with such a name.
    NoKex(fn(&str) -> bool),
    /// By an option that a telnet server requests.
    TelnetRequest(u8),
}

/// The countermeasure against Terrapin, which servers signal among their key exchange methods
/// (OpenSSH's PROTOCOL, "transport: strict key exchange extension").
const STRICT_KEX: &str = "kex-strict-s-v00@openssh.com";

impl Weakness {
    /// Explains why this is weak.
    #[must_use]
    pub fn why(self) -> &'static str {
        self.row().why
    }

    /// Returns the sources that call this weak.
    #[must_use]
    pub fn source(self) -> &'static str {
        self.row().source
    }

    /// Returns whether it is advice for those who look for it, and does not make a server weak: a reason to
    /// look at a telnet server, that there is no protection from computers of the future, or that a host
    /// key is not known.
    #[must_use]
    pub fn is_advice(self) -> bool {
        matches!(self.row().criterion, Criterion::NoKex(_) | Criterion::TelnetRequest(_))
            || self == Self::HostKeyUnknown
    }

    /// Returns the weaknesses in the options of a telnet server.
    pub(crate) fn all_in_telnet(options: &[TelnetOption]) -> Vec<Self> {
        let applies = |weakness: &Self| match weakness.row().criterion {
            Criterion::TelnetRequest(number) => {
                options.contains(&TelnetOption { verb: Verb::Do, number })
            }
            _ => false,
        };
        Self::ALL.into_iter().filter(applies).collect()
    }

    /// Returns whether it is one of ssh servers, seen in the algorithms that they offer.
    pub(crate) fn is_of_algorithms(self) -> bool {
        !matches!(
            self.row().criterion,
            Criterion::Version1
                | Criterion::TelnetRequest(_)
                | Criterion::Unproven
                | Criterion::ShortKey
                | Criterion::KnownKeys
        )
    }

    /// Returns whether it is one of the host keys of ssh servers.
    pub(crate) fn is_of_host_key(self) -> bool {
        matches!(
            self.row().criterion,
            Criterion::Unproven | Criterion::ShortKey | Criterion::KnownKeys
        )
    }

    /// Returns the weaknesses in what an ssh server sent.
    pub(crate) fn all_in(
        identification: &Identification,
        kex_init: Option<&KexInit>,
        host_keys: &HostKeys,
    ) -> Vec<Self> {
        let applies = |weakness: &Self| match weakness.row().criterion {
            Criterion::Version1 => identification.has_version_1(),
            Criterion::NoKex(is_wanted) => {
                kex_init.is_some_and(|kex_init| !kex_init.kex.iter().any(is_wanted))
            }
            Criterion::Unproven => host_keys.has_unproven(),
            Criterion::ShortKey => host_keys.has_short(),
            Criterion::KnownKeys => false,
            _ => kex_init.is_some_and(|kex_init| !weakness.algorithms(kex_init).is_empty()),
        };
        Self::ALL.into_iter().filter(applies).collect()
    }

    /// Returns the offered algorithms with this weakness, each once.
    #[must_use]
    pub fn algorithms(self, kex_init: &KexInit) -> Vec<&str> {
        let ciphers = [&kex_init.ciphers_client_to_server, &kex_init.ciphers_server_to_client];
        let macs = [&kex_init.macs_client_to_server, &kex_init.macs_server_to_client];
        let mut names = match self.row().criterion {
            Criterion::Version1
            | Criterion::NoKex(_)
            | Criterion::TelnetRequest(_)
            | Criterion::Unproven
            | Criterion::ShortKey
            | Criterion::KnownKeys => Vec::new(),
            Criterion::Terrapin => vulnerable_to_terrapin(kex_init),
            Criterion::Kex(is_weak) => matching([&kex_init.kex], is_weak),
            Criterion::HostKey(is_weak) => matching([&kex_init.host_keys], is_weak),
            Criterion::Cipher(is_weak) => matching(ciphers, is_weak),
            Criterion::Mac(is_weak) => matching(macs, is_weak),
        };
        // A set, because a hostile server may send thousands of names.
        let mut seen = BTreeSet::new();
        names.retain(|&name| seen.insert(name));
        names
    }

    fn row(self) -> &'static WeaknessRow {
        &TABLE[self as usize]
    }
}

/// The table of weaknesses, in the order of [`Weakness::ALL`].
const TABLE: [WeaknessRow; Weakness::ALL.len()] = [
    row(
        Weakness::Ssh1,
        "version 1 protects integrity with a CRC-32 and its key transport can be broken: \
         sessions can be read and modified",
        "CVE-1999-1085, CVE-2001-0361",
        Criterion::Version1,
    ),
    row(
        Weakness::Terrapin,
        "an attacker on the path can drop the first messages of a session unnoticed, and with \
         them extensions that protect it",
        "CVE-2023-48795",
        Criterion::Terrapin,
    ),
    row(
        Weakness::NoEncryption,
        "a session may be unencrypted",
        "RFC 4253 §6.3 (not recommended)",
        Criterion::Cipher(|name| name == "none"),
    ),
    row(
        Weakness::NoIntegrity,
        "a session may be modified on the path unnoticed",
        "RFC 4253 §6.4 (not recommended)",
        Criterion::Mac(|name| name == "none"),
    ),
    row(
        Weakness::Group1Sha1,
        "a group or an RSA key of 1,024 bits is within reach of well-funded attackers",
        "RFC 9142 §4 (should not, of RSA must not), CVE-2015-4000",
        Criterion::Kex(|name| name.contains("group1-sha") || name == "rsa1024-sha1"),
    ),
    row(
        Weakness::Sha1Kex,
        "SHA-1 collisions can be computed",
        "RFC 9142 §1.1",
        Criterion::Kex(|name| name.ends_with("-sha1") || name.contains("-sha1-")),
    ),
    row(
        Weakness::SshDss,
        "DSA is no longer approved for signing, and OpenSSH has removed it",
        "FIPS 186-5 §4, release notes of OpenSSH 10.0",
        Criterion::HostKey(|name| name.contains("ssh-dss") || name.contains("-sign-dss")),
    ),
    row(
        Weakness::Sha1Signatures,
        "SHA-1 collisions can be computed, so one signature may fit two messages",
        "RFC 8332 §1, release notes of OpenSSH 8.8",
        Criterion::HostKey(is_sha1_signature),
    ),
    row(
        Weakness::Rc4,
        "its key stream is biased, so repeated plaintext can be recovered",
        "RFC 8758 (must not)",
        Criterion::Cipher(|name| name.starts_with("arcfour")),
    ),
    row(
        Weakness::Des,
        "its 56-bit keys can be found by exhaustive search",
        "RFC 4772",
        Criterion::Cipher(|name| name == "des" || name.starts_with("des-")),
    ),
    row(
        Weakness::TripleDes,
        "its 64-bit blocks are too short: long sessions leak parts of their plaintext",
        "CVE-2016-2183 (Sweet32), NIST SP 800-131A Rev. 2 §2",
        Criterion::Cipher(|name| name.starts_with("3des")),
    ),
    row(
        Weakness::ShortBlock,
        "its 64-bit blocks are too short: long sessions leak parts of their plaintext",
        "CVE-2016-2183 (Sweet32)",
        Criterion::Cipher(has_short_blocks),
    ),
    row(
        Weakness::Cbc,
        "parts of the plaintext can be recovered from how errors are answered",
        "CVE-2008-5161",
        Criterion::Cipher(is_cbc),
    ),
    row(
        Weakness::Md5,
        "MD5 is broken for signatures; as a MAC it need not be removed urgently, but new designs \
         should not use it",
        "RFC 6151 §2.3",
        Criterion::Mac(|name| name.contains("md5")),
    ),
    row(
        Weakness::TelnetNewEnviron,
        "it reads environment variables before the login, as telnetd of GNU inetutils does, which has had \
         two serious errors before the login: find out which daemon it is and whether it is corrected",
        "RFC 1572; CVE-2026-24061 and CVE-2026-32746 (reasons to look)",
        Criterion::TelnetRequest(39),
    ),
    row(
        Weakness::NoPostQuantum,
        "who records a session now may decrypt it later with a quantum computer",
        "release notes of OpenSSH 10.1, NIST IR 8547",
        Criterion::NoKex(is_post_quantum),
    ),
    row(
        Weakness::HostKeyUnproven,
        "the server sent a host key, and no valid signature with it over the key exchange: it may not \
         have the private key, and ssh clients refuse the connection",
        "RFC 4253 §8",
        Criterion::Unproven,
    ),
    row(
        Weakness::HostKeyShort,
        "an RSA key of less than 2,048 bits may be factored, and whoever does that can answer in place of \
         the server",
        "NIST SP 800-131A Rev. 2 §3",
        Criterion::ShortKey,
    ),
    row(
        Weakness::HostKeyRevoked,
        "the known_hosts file says that nobody may trust this key, or the authority of its certificate",
        "sshd(8), SSH_KNOWN_HOSTS FILE FORMAT (@revoked)",
        Criterion::KnownKeys,
    ),
    row(
        Weakness::HostKeyChanged,
        "the known_hosts file has another key of this type for the host: it was installed again, or \
         somebody answers in its place",
        "sshd(8), SSH_KNOWN_HOSTS FILE FORMAT",
        Criterion::KnownKeys,
    ),
    row(
        Weakness::HostKeyUnknown,
        "the known_hosts file has no key of this type for the host, so whoever connects has to trust it \
         at first sight",
        "sshd(8), SSH_KNOWN_HOSTS FILE FORMAT",
        Criterion::KnownKeys,
    ),
];

const _: () = {
    let mut index = 0;
    while index < TABLE.len() {
        assert!(TABLE[index].weakness as usize == index, "a row is out of order");
        index += 1;
    }
};

const fn row(
    weakness: Weakness,
    why: &'static str,
    source: &'static str,
    criterion: Criterion,
) -> WeaknessRow {
    WeaknessRow { weakness, why, source, criterion }
}

/// Returns the names in the lists that satisfy the predicate.
fn matching<'a>(
    lists: impl IntoIterator<Item = &'a NameList>,
    is_weak: impl Fn(&str) -> bool,
) -> Vec<&'a str> {
    lists.into_iter().flat_map(NameList::iter).filter(|name| is_weak(name)).collect()
}

/// Returns whether a host key algorithm signs with SHA-1. Some names are compared whole, because
/// longer names with the same start are strong: `ssh-rsa-sha256@ssh.com` signs with SHA-2.
fn is_sha1_signature(name: &str) -> bool {
    matches!(name, "ssh-rsa" | "x509v3-ssh-rsa" | "x509v3-sign-rsa")
        || name.starts_with("ssh-rsa-cert-")
        || name.ends_with("sha1")
}

/// Returns whether a cipher other than DES has 64-bit blocks, in any mode.
fn has_short_blocks(name: &str) -> bool {
    ["blowfish", "cast128", "idea"].iter().any(|cipher| {
        name.strip_prefix(cipher).is_some_and(|mode| mode.is_empty() || mode.starts_with('-'))
    })
}

/// Returns whether a key exchange method combines a classic one with one that withstands quantum
/// computers: ML-KEM (FIPS 203), its draft Kyber, or Streamlined NTRU Prime.
fn is_post_quantum(name: &str) -> bool {
    ["mlkem", "kyber", "sntrup"].iter().any(|method| name.contains(method))
}

fn is_cbc(name: &str) -> bool {
    name.contains("-cbc")
}

fn is_encrypt_then_mac(name: &str) -> bool {
    name.contains("-etm@")
}

/// Returns the ciphers and MACs that are vulnerable to Terrapin: ChaCha20-Poly1305, and CBC together
/// with an encrypt-then-MAC in the same direction (Bäumer, Brinkmann, Schwenk: "Terrapin Attack", §4).
fn vulnerable_to_terrapin(kex_init: &KexInit) -> Vec<&str> {
    if kex_init.kex.contains(STRICT_KEX) {
        return Vec::new();
    }
    let directions = [
        (&kex_init.ciphers_client_to_server, &kex_init.macs_client_to_server),
        (&kex_init.ciphers_server_to_client, &kex_init.macs_server_to_client),
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

    fn kex_init(kex: &str, host_keys: &str, ciphers: &str, macs: &str) -> KexInit {
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

    fn names(protocol: &str, kex_init: &KexInit) -> Vec<&'static str> {
        let protocol = protocol.to_owned();
        let identification = Identification { protocol, software: "x".into(), comment: None };
        // The offers of most tests have one list only.
        let found = Weakness::all_in(&identification, Some(kex_init), &HostKeys::default());
        let found = found.into_iter();
        found.filter(|&it| it != Weakness::NoPostQuantum).map(Weakness::name).collect()
    }

    #[test]
    fn offer_without_post_quantum_key_exchange_is_a_finding() {
        let found = |kex: &str| {
            let identification = Identification::new("2.0", "x");
            let kex_init = kex_init(kex, "", "", "");
            Weakness::all_in(&identification, Some(&kex_init), &HostKeys::default())
        };
        for kex in ["curve25519-sha256,ecdh-sha2-nistp256", "diffie-hellman-group16-sha512"] {
            assert_eq!(found(kex), [Weakness::NoPostQuantum], "{kex}");
        }
        for method in [
            "mlkem768x25519-sha256",
            "mlkem768nistp256-sha256",
            "sntrup761x25519-sha512",
            "sntrup761x25519-sha512@openssh.com",
            "ecdh-nistp256-kyber-512r3-sha256-d00@openquantumsafe.org",
        ] {
            assert_eq!(found(&format!("curve25519-sha256,{method}")), [], "{method}");
        }
        let identification = Identification::new("2.0", "x");
        let found = Weakness::all_in(&identification, None, &HostKeys::default());
        assert_eq!(found, [], "the offer is not known");
    }

    #[test]
    fn every_weakness_has_a_reason_and_a_source() {
        for weakness in Weakness::ALL {
            assert!(!weakness.why().is_empty() && !weakness.source().is_empty(), "{weakness}");
        }
    }

    #[test]
    fn strong_algorithms_are_no_finding() {
        let strong = kex_init(
            "sntrup761x25519-sha512,curve25519-sha256,diffie-hellman-group14-sha256,\
             diffie-hellman-group16-sha512,ext-info-s,kex-strict-s-v00@openssh.com",
            "rsa-sha2-512,rsa-sha2-256,ecdsa-sha2-nistp256,ssh-ed25519",
            "chacha20-poly1305@openssh.com,aes128-ctr,aes256-gcm@openssh.com",
            "umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha1",
        );
        assert_eq!(names("2.0", &strong), [""; 0]);
    }

    #[test]
    fn host_keys_with_sha_2_signatures_are_no_finding() {
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
            assert_eq!(names("2.0", &kex_init("", strong, "", "")), [""; 0], "{strong}");
        }
    }

    #[test]
    fn dsa_host_keys_are_weak_with_every_hash() {
        for weak in [
            "ssh-dss",
            "ssh-dss-cert-v01@openssh.com",
            "ssh-dss-sha256@ssh.com",
            "x509v3-ssh-dss",
            "x509v3-sign-dss",
            "x509v3-sign-dss-sha256@ssh.com",
        ] {
            assert_eq!(names("2.0", &kex_init("", weak, "", "")), ["ssh-dss"], "{weak}");
        }
        assert!(!Weakness::SshDss.why().contains("SHA-1"));
    }

    #[test]
    fn each_weak_algorithm_is_a_finding() {
        let weak =
            |kex, host_keys, ciphers, macs| names("2.0", &kex_init(kex, host_keys, ciphers, macs));
        assert_eq!(weak("diffie-hellman-group1-sha1", "", "", ""), ["group1-sha1", "sha1-kex"]);
        assert_eq!(weak("diffie-hellman-group1-sha256", "", "", ""), ["group1-sha1"]);
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
        assert_eq!(weak("", "", "des-ofb", ""), ["des"]);
        assert_eq!(weak("", "", "des-cbc@ssh.com", ""), ["des", "cbc"]);
        assert_eq!(weak("", "", "blowfish-cbc", ""), ["64-bit-block", "cbc"]);
        assert_eq!(weak("", "", "blowfish-ctr", ""), ["64-bit-block"]);
        assert_eq!(weak("", "", "blowfish", ""), ["64-bit-block"]);
        assert_eq!(weak("", "", "cast128-ctr", ""), ["64-bit-block"]);
        assert_eq!(weak("", "", "idea-ctr", ""), ["64-bit-block"]);
        assert_eq!(weak("", "", "aes256-cbc", "hmac-sha1"), ["cbc"]);
        assert_eq!(weak("", "", "", "hmac-md5-96"), ["md5"]);
        assert_eq!(weak("", "", "none", "none"), ["no-encryption", "no-integrity"]);
    }

    #[test]
    fn request_for_environment_variables_is_a_finding() {
        let option = |verb, number| TelnetOption { verb, number };
        let found = |options: &[TelnetOption]| Weakness::all_in_telnet(options);
        assert_eq!(
            found(&[option(Verb::Do, 24), option(Verb::Do, 39)]),
            [Weakness::TelnetNewEnviron]
        );
        assert_eq!(found(&[option(Verb::Will, 39), option(Verb::Do, 36)]), []);
        let text = Weakness::TelnetNewEnviron.why();
        assert!(!text.contains("vulnerable"), "an option proves no error: {text}");
    }

    #[test]
    fn support_of_version_1_is_a_finding() {
        assert_eq!(names("1.99", &KexInit::default()), ["ssh-1"]);
        assert_eq!(names("1.5", &KexInit::default()), ["ssh-1"]);
    }

    #[test]
    fn terrapin_needs_a_vulnerable_cipher_without_countermeasure() {
        let chacha = kex_init("curve25519-sha256", "", "chacha20-poly1305@openssh.com", "");
        assert_eq!(names("2.0", &chacha), ["terrapin"]);
        // Offered in both directions, listed once.
        assert_eq!(Weakness::Terrapin.algorithms(&chacha), ["chacha20-poly1305@openssh.com"]);

        let etm = kex_init("x", "", "aes128-cbc", "hmac-sha2-256-etm@openssh.com");
        assert_eq!(names("2.0", &etm), ["terrapin", "cbc"]);
        let other_direction =
            KexInit { macs_client_to_server: list(""), ciphers_server_to_client: list(""), ..etm };
        assert_eq!(names("2.0", &other_direction), ["cbc"]);

        let clients = "curve25519-sha256,kex-strict-c-v00@openssh.com";
        assert_eq!(
            names("2.0", &kex_init(clients, "", "chacha20-poly1305@openssh.com", "")),
            ["terrapin"]
        );
    }
}
