//! Builds an ssh server's first packet, its KEXINIT (RFC 4253, sections 6 and 7.1): a valid packet
//! from lists of algorithms, and packets with defects.
//!
//! `key_exchange` implements the rest of one exchange.
//!
//! - Invariant: the length of a valid packet is a multiple of 8, and its padding has at least 4
//!   bytes.

use std::sync::LazyLock;

/// The message number `SSH_MSG_KEXINIT`.
const MESSAGE: u8 = 20;

/// The cookie, which is random on a real server. It is constant here, so that tests can compare
/// packets.
const COOKIE: &[u8; 16] = b"no random cookie";

/// The block size before encryption starts, in bytes.
const BLOCK: usize = 8;

/// The shortest padding, in bytes.
const PADDING_MIN: usize = 4;

/// The offset of the padding length, which follows the packet length.
const PADDING_OFFSET: usize = 4;

/// The offset of the first name-list, which follows both lengths, the message number and the
/// cookie.
const LISTS_OFFSET: usize = PADDING_OFFSET + 2 + COOKIE.len();

/// A length far beyond that of any packet that a client must accept (RFC 4253, section 6.1: 35,000
/// bytes).
const TOO_LONG: [u8; 4] = [0x7f, 0xff, 0xff, 0xff];

/// The algorithms in a server's KEXINIT, as comma-separated lists in the order of preference. Both
/// directions have the same lists.
#[derive(Debug, Clone, Copy)]
pub(super) struct KexInit {
    pub(super) key_exchanges: &'static str,
    pub(super) host_keys: &'static str,
    pub(super) ciphers: &'static str,
    pub(super) macs: &'static str,
    pub(super) compressions: &'static str,
}

/// The default algorithms of OpenSSH 9.2p1 in Debian 12, captured from a server.
pub(super) const OPENSSH: KexInit = KexInit {
    key_exchanges: "sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256,\
        curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
        diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,\
        diffie-hellman-group18-sha512,diffie-hellman-group14-sha256,kex-strict-s-v00@openssh.com",
    host_keys: "rsa-sha2-512,rsa-sha2-256,ecdsa-sha2-nistp256,ssh-ed25519",
    ciphers: "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,\
        aes128-gcm@openssh.com,aes256-gcm@openssh.com",
    macs: "umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,\
        hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-64@openssh.com,\
        umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1",
    compressions: "none,zlib@openssh.com",
};

/// The default algorithms of Dropbear 2022.83 in Debian 12, captured from a server.
pub(super) const DROPBEAR: KexInit = KexInit {
    key_exchanges: "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp521,\
        ecdh-sha2-nistp384,ecdh-sha2-nistp256,diffie-hellman-group14-sha256,\
        diffie-hellman-group14-sha1,kexguess2@matt.ucc.asn.au,kex-strict-s-v00@openssh.com",
    host_keys: "ssh-ed25519,rsa-sha2-256,ssh-rsa",
    ciphers: "chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr",
    macs: "hmac-sha1,hmac-sha2-256",
    compressions: "zlib@openssh.com,none",
};

/// Insecure algorithms only (broken groups, keys, ciphers and digests), as in old appliances.
pub(super) const WEAK: KexInit = KexInit {
    key_exchanges: "diffie-hellman-group1-sha1,diffie-hellman-group-exchange-sha1",
    host_keys: "ssh-dss",
    ciphers: "3des-cbc,arcfour,aes128-cbc",
    macs: "hmac-md5,hmac-md5-96,hmac-sha1-96",
    compressions: "none",
};

/// Names that no real server sends: they contain terminal escape sequences and are not US-ASCII.
const HOSTILE: KexInit = KexInit {
    key_exchanges: "curve25519-sha256\x1b[2J\x1b]0;owned\x07,\u{202e}652ahs",
    host_keys: "ssh-ed25519\r\nssh-telnet",
    ciphers: "aes128-ctr\0,=1+1",
    macs: "hmac-sha2-256\u{9b}31m,<script>",
    compressions: "none,,none",
};

/// What is wrong with the KEXINIT of a
/// [`Behaviour::SshBadKexInit`](crate::Behaviour::SshBadKexInit).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KexInitDefect {
    /// The packet length field is 2 GiB.
    PacketLength,
    /// The length of the first name-list goes far beyond the packet.
    ListLength,
    /// The padding length exceeds the packet length.
    PaddingLength,
    /// All lengths are correct; the names contain escape sequences, line ends, a NUL and reversed
    /// text.
    Names,
}

/// Returns a valid packet with these algorithms.
pub(super) fn packet(kexinit: &KexInit) -> Vec<u8> {
    frame(&payload(kexinit))
}

/// Returns a packet with this message.
pub(super) fn frame(payload: &[u8]) -> Vec<u8> {
    let unpadded = PADDING_OFFSET + 1 + payload.len();
    let padding = PADDING_MIN + (BLOCK - (unpadded + PADDING_MIN) % BLOCK) % BLOCK;
    let length = 1 + payload.len() + padding;

    let mut packet = big_endian(length).to_vec();
    packet.push(u8::try_from(padding).expect("it is less than two blocks"));
    packet.extend(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

/// Returns a valid packet of nearly the longest size that a client must accept (RFC 4253, section
/// 6.1: 35,000 bytes).
pub(super) fn large_packet() -> Vec<u8> {
    static NAMES: LazyLock<String> = LazyLock::new(|| {
        let names = (0..1_050).map(|number| format!("curve25519-sha256-{number:04}@example.com,"));
        names.collect::<String>()[..33_600].trim_end_matches(',').to_owned()
    });
    packet(&KexInit { key_exchanges: &NAMES, ..OPENSSH })
}

/// Returns a packet with this defect.
pub(super) fn bad_packet(defect: KexInitDefect) -> Vec<u8> {
    let kexinit = if defect == KexInitDefect::Names { HOSTILE } else { OPENSSH };
    let mut packet = packet(&kexinit);
    match defect {
        KexInitDefect::PacketLength => packet[..4].copy_from_slice(&TOO_LONG),
        KexInitDefect::ListLength => {
            packet[LISTS_OFFSET..LISTS_OFFSET + 4].copy_from_slice(&TOO_LONG);
        }
        KexInitDefect::PaddingLength => {
            packet[..4].copy_from_slice(&big_endian(COOKIE.len()));
            packet[PADDING_OFFSET] = u8::MAX;
        }
        KexInitDefect::Names => {}
    }
    packet
}

/// Returns the message without its lengths and padding.
pub(super) fn payload(kexinit: &KexInit) -> Vec<u8> {
    let KexInit { key_exchanges, host_keys, ciphers, macs, compressions } = *kexinit;
    let no_languages = "";
    let lists = [
        key_exchanges,
        host_keys,
        ciphers,
        ciphers,
        macs,
        macs,
        compressions,
        compressions,
        no_languages,
        no_languages,
    ];
    let mut payload = vec![MESSAGE];
    payload.extend(COOKIE);
    for list in lists {
        payload.extend(big_endian(list.len()));
        payload.extend(list.as_bytes());
    }
    let no_guess_follows = 0;
    payload.push(no_guess_follows);
    let reserved = [0; 4];
    payload.extend(reserved);
    payload
}

fn big_endian(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("a packet has a few kilobytes").to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_packet_consists_of_whole_blocks() {
        for kexinit in [OPENSSH, DROPBEAR, WEAK, HOSTILE] {
            let packet = packet(&kexinit);
            assert_eq!(packet.len() % BLOCK, 0);
            assert_eq!(packet[..4], big_endian(packet.len() - 4));
            assert!((PADDING_MIN..2 * BLOCK).contains(&usize::from(packet[PADDING_OFFSET])));
            assert_eq!(packet[PADDING_OFFSET + 1], MESSAGE);
        }
    }

    #[test]
    fn large_packet_is_within_the_limit_of_the_rfc() {
        assert!((34_000..=35_000).contains(&large_packet().len()), "{}", large_packet().len());
    }

    #[test]
    fn first_list_is_at_the_offset_that_defects_change() {
        let packet = packet(&WEAK);
        assert_eq!(packet[LISTS_OFFSET..LISTS_OFFSET + 4], big_endian(WEAK.key_exchanges.len()));
        assert!(packet[LISTS_OFFSET + 4..].starts_with(WEAK.key_exchanges.as_bytes()));
    }

    #[test]
    fn every_defect_changes_the_packet() {
        let valid = packet(&OPENSSH);
        for defect in [
            KexInitDefect::PacketLength,
            KexInitDefect::ListLength,
            KexInitDefect::PaddingLength,
            KexInitDefect::Names,
        ] {
            assert_ne!(bad_packet(defect), valid, "{defect:?}");
        }
        assert!(
            usize::from(bad_packet(KexInitDefect::PaddingLength)[PADDING_OFFSET]) > COOKIE.len()
        );
    }

    #[test]
    fn lists_contain_no_whitespace_from_line_breaks_in_the_source() {
        for kexinit in [OPENSSH, DROPBEAR, WEAK] {
            let KexInit { key_exchanges, host_keys, ciphers, macs, compressions } = kexinit;
            for list in [key_exchanges, host_keys, ciphers, macs, compressions] {
                assert!(list.split(',').all(|name| !name.is_empty()), "{list}");
                assert!(list.bytes().all(|byte| byte.is_ascii_graphic()), "{list}");
            }
        }
    }
}
