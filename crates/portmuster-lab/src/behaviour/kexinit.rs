//! The first packet of an ssh server, its KEXINIT (RFC 4253, sections 6 and 7.1): an honest one
//! from an offer, and some that lie about their lengths.
//!
//! It refuses to go on from there: no key exchange ever comes about.
//!
//! - Invariant: an honest packet has a length that is a multiple of 8, and at least 4 bytes of
//!   padding.

use std::sync::LazyLock;

/// `SSH_MSG_KEXINIT`.
const MESSAGE: u8 = 20;

/// Random on a real server; always the same here, so that tests can tell.
const COOKIE: &[u8; 16] = b"no random cookie";

/// The size of a block before encryption has begun.
const BLOCK: usize = 8;

const PADDING_MIN: usize = 4;

/// Where the length of the padding is, behind that of the packet.
const PADDING_AT: usize = 4;

/// Where the first name-list is: behind both lengths, the message's number and the cookie.
const LISTS_AT: usize = PADDING_AT + 2 + COOKIE.len();

/// Much longer than any packet that a client has to take (RFC 4253, section 6.1: 35,000 bytes).
const TOO_LONG: [u8; 4] = [0x7f, 0xff, 0xff, 0xff];

/// The names that a server offers, each list in its order; both directions are alike.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    pub(super) key_exchanges: &'static str,
    pub(super) host_keys: &'static str,
    pub(super) ciphers: &'static str,
    pub(super) macs: &'static str,
    pub(super) compressions: &'static str,
}

/// What OpenSSH 9.2p1 of Debian 12 offers by default; measured.
pub(super) const MODERN: Offer = Offer {
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

/// What Dropbear 2022.83 of Debian 12 offers by default; measured.
pub(super) const SMALL: Offer = Offer {
    key_exchanges: "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp521,\
        ecdh-sha2-nistp384,ecdh-sha2-nistp256,diffie-hellman-group14-sha256,\
        diffie-hellman-group14-sha1,kexguess2@matt.ucc.asn.au,kex-strict-s-v00@openssh.com",
    host_keys: "ssh-ed25519,rsa-sha2-256,ssh-rsa",
    ciphers: "chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr",
    macs: "hmac-sha1,hmac-sha2-256",
    compressions: "zlib@openssh.com,none",
};

/// Nothing that is still safe: broken groups, keys, ciphers and digests, as old appliances have
/// them.
pub(super) const WEAK: Offer = Offer {
    key_exchanges: "diffie-hellman-group1-sha1,diffie-hellman-group-exchange-sha1",
    host_keys: "ssh-dss",
    ciphers: "3des-cbc,arcfour,aes128-cbc",
    macs: "hmac-md5,hmac-md5-96,hmac-sha1-96",
    compressions: "none",
};

/// Names that no server has: a terminal would act on them, and they are not US-ASCII.
const HOSTILE: Offer = Offer {
    key_exchanges: "curve25519-sha256\x1b[2J\x1b]0;owned\x07,\u{202e}652ahs",
    host_keys: "ssh-ed25519\r\nssh-telnet",
    ciphers: "aes128-ctr\0,=1+1",
    macs: "hmac-sha2-256\u{9b}31m,<script>",
    compressions: "none,,none",
};

/// What an ssh server lies about in its KEXINIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lie {
    /// The packet is said to have 2 GiB.
    PacketLength,
    /// The first name-list is said to go far beyond the packet.
    ListLength,
    /// The padding is said to be longer than the packet.
    PaddingLength,
    /// All lengths are true; the names are escape sequences, line ends, a NUL and reversed text.
    Names,
}

/// The packet of an honest server.
pub(super) fn packet(offer: &Offer) -> Vec<u8> {
    let payload = payload(offer);
    let unpadded = PADDING_AT + 1 + payload.len();
    let padding = PADDING_MIN + (BLOCK - (unpadded + PADDING_MIN) % BLOCK) % BLOCK;
    let length = 1 + payload.len() + padding;

    let mut packet = big_endian(length).to_vec();
    packet.push(u8::try_from(padding).expect("it is less than two blocks"));
    packet.extend(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

/// A packet with nearly as many names as the longest has room for (RFC 4253 §6.1: 35,000 bytes).
pub(super) fn vast() -> Vec<u8> {
    static NAMES: LazyLock<String> = LazyLock::new(|| {
        let names = (0..1_050).map(|number| format!("curve25519-sha256-{number:04}@example.com,"));
        names.collect::<String>()[..33_600].trim_end_matches(',').to_owned()
    });
    packet(&Offer { key_exchanges: &NAMES, ..MODERN })
}

/// The packet of one that lies.
pub(super) fn lying(lie: Lie) -> Vec<u8> {
    let offer = if lie == Lie::Names { HOSTILE } else { MODERN };
    let mut packet = packet(&offer);
    match lie {
        Lie::PacketLength => packet[..4].copy_from_slice(&TOO_LONG),
        Lie::ListLength => packet[LISTS_AT..LISTS_AT + 4].copy_from_slice(&TOO_LONG),
        Lie::PaddingLength => {
            packet[..4].copy_from_slice(&big_endian(COOKIE.len()));
            packet[PADDING_AT] = u8::MAX;
        }
        Lie::Names => {}
    }
    packet
}

fn payload(offer: &Offer) -> Vec<u8> {
    let Offer { key_exchanges, host_keys, ciphers, macs, compressions } = *offer;
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
    u32::try_from(length).expect("an offer has a few kilobytes").to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_honest_packet_is_whole_blocks() {
        for offer in [MODERN, SMALL, WEAK, HOSTILE] {
            let packet = packet(&offer);
            assert_eq!(packet.len() % BLOCK, 0);
            assert_eq!(packet[..4], big_endian(packet.len() - 4));
            assert!((PADDING_MIN..2 * BLOCK).contains(&usize::from(packet[PADDING_AT])));
            assert_eq!(packet[PADDING_AT + 1], MESSAGE);
        }
    }

    #[test]
    fn the_vast_packet_is_one_that_everybody_must_take() {
        assert!((34_000..=35_000).contains(&vast().len()), "{}", vast().len());
    }

    #[test]
    fn lists_are_where_the_lies_are_told() {
        let packet = packet(&WEAK);
        assert_eq!(packet[LISTS_AT..LISTS_AT + 4], big_endian(WEAK.key_exchanges.len()));
        assert!(packet[LISTS_AT + 4..].starts_with(WEAK.key_exchanges.as_bytes()));
    }

    #[test]
    fn every_lie_is_one() {
        let truth = packet(&MODERN);
        for lie in [Lie::PacketLength, Lie::ListLength, Lie::PaddingLength, Lie::Names] {
            assert_ne!(lying(lie), truth, "{lie:?}");
        }
        assert!(usize::from(lying(Lie::PaddingLength)[PADDING_AT]) > COOKIE.len());
    }

    #[test]
    fn lists_are_not_broken_by_the_source_s_lines() {
        for offer in [MODERN, SMALL, WEAK] {
            let Offer { key_exchanges, host_keys, ciphers, macs, compressions } = offer;
            for list in [key_exchanges, host_keys, ciphers, macs, compressions] {
                assert!(list.split(',').all(|name| !name.is_empty()), "{list}");
                assert!(list.bytes().all(|byte| byte.is_ascii_graphic()), "{list}");
            }
        }
    }
}
