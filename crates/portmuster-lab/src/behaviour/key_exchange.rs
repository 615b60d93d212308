//! A key exchange of an ssh server up to its reply: `curve25519-sha256` (RFC 8731) with an Ed25519 host key
//! (RFC 8709). No I/O.
//!
//! Its secrets are constants, so every server of the lab has the same host key, and nothing is secret.

use std::sync::LazyLock;

use curve25519_dalek::MontgomeryPoint;
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

use super::kexinit::{self, KexInit};

const IDENTIFICATION: &[u8] = b"SSH-2.0-lab_1.0";

const OFFER: KexInit = KexInit {
    key_exchanges: "curve25519-sha256",
    host_keys: "ssh-ed25519",
    ciphers: "aes128-ctr",
    macs: "hmac-sha2-256",
    compressions: "none",
};

const SSH_MSG_KEXINIT: u8 = 20;
const SSH_MSG_KEX_ECDH_INIT: u8 = 30;
const SSH_MSG_KEX_ECDH_REPLY: u8 = 31;

/// The type of the host key, and of its signatures.
const KEY_TYPE: &[u8] = b"ssh-ed25519";

/// The secret of each exchange.
const SECRET: [u8; 32] = [7; 32];

static SIGNING_KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&[9; 32]));
static PUBLIC: LazyLock<[u8; 32]> =
    LazyLock::new(|| MontgomeryPoint::mul_base_clamped(SECRET).to_bytes());

/// An ssh server that answers a key exchange, and no more.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "its functions have no state")]
pub struct KeyExchange;

impl KeyExchange {
    /// Returns what the server sends first: its identification and its offer.
    #[must_use]
    pub fn greeting() -> Vec<u8> {
        [IDENTIFICATION, b"\r\n", &kexinit::packet(&OFFER)].concat()
    }

    /// Returns the public host key as ssh encodes it (RFC 8709 §4).
    #[must_use]
    pub fn host_key() -> Vec<u8> {
        [string(KEY_TYPE), string(SIGNING_KEY.verifying_key().as_bytes())].concat()
    }

    /// Returns the answer to everything that a client has sent: the reply with the host key and its
    /// signature. `None`: the client has not sent its public value, or what it sent is invalid.
    #[must_use]
    pub fn answer(received: &[u8]) -> Option<Vec<u8>> {
        let end = received.iter().position(|&byte| byte == b'\n')?;
        let line = received[..end].strip_suffix(b"\r").unwrap_or(&received[..end]);
        let (offer, rest) = message(&received[end + 1..], SSH_MSG_KEXINIT)?;
        let (init, _) = message(rest, SSH_MSG_KEX_ECDH_INIT)?;
        let client: [u8; 32] =
            init.strip_prefix(&[SSH_MSG_KEX_ECDH_INIT, 0, 0, 0, 32])?.try_into().ok()?;
        let secret = MontgomeryPoint(client).mul_clamped(SECRET).to_bytes();
        let key = Self::host_key();
        let mut hash = Sha256::new();
        let own_offer = kexinit::payload(&OFFER);
        for text in [line, IDENTIFICATION, offer, &own_offer, &key, &client, &*PUBLIC] {
            hash.update(string(text));
        }
        hash.update(number(&secret));
        let signature = SIGNING_KEY.sign(&hash.finalize()).to_bytes();
        let signature = [string(KEY_TYPE), string(&signature)].concat();
        let reply = [string(&key), string(&*PUBLIC), string(&signature)].concat();
        Some(kexinit::frame(&[&[SSH_MSG_KEX_ECDH_REPLY][..], &reply].concat()))
    }
}

/// Returns the first message, which must have this number, and the bytes after its packet.
fn message(bytes: &[u8], number: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (packet, rest) = rest.split_at_checked(length)?;
    let (&padding, content) = packet.split_first()?;
    let payload = &content[..content.len().checked_sub(padding.into())?];
    (payload.first() == Some(&number)).then_some((payload, rest))
}

/// Returns bytes behind their length (RFC 4251 §5).
fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("texts of an exchange are short");
    [&length.to_be_bytes()[..], bytes].concat()
}

/// Returns a number without a sign (RFC 4251 §5): without leading zeros, and with one if it would look
/// negative.
fn number(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len());
    let bytes = &bytes[start..];
    let is_high = bytes.first().is_some_and(|&first| first >= 0x80);
    string(&[if is_high { &[0][..] } else { &[] }, bytes].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_comes_once_the_client_has_sent_its_public_value() {
        let client = MontgomeryPoint::mul_base_clamped([3; 32]).to_bytes();
        let init = [&[SSH_MSG_KEX_ECDH_INIT, 0, 0, 0, 32], &client[..]].concat();
        let sent = [b"SSH-2.0-x\r\n", &*kexinit::packet(&OFFER), &kexinit::frame(&init)].concat();
        for end in 0..sent.len() {
            assert_eq!(KeyExchange::answer(&sent[..end]), None, "{end}");
        }
        let answer = KeyExchange::answer(&sent).expect("the client is complete");
        let (reply, rest) = message(&answer, SSH_MSG_KEX_ECDH_REPLY).expect("it is a reply");
        assert!(rest.is_empty());
        assert!(reply[1..].starts_with(&string(&KeyExchange::host_key())));
    }

    #[test]
    fn numbers_have_no_sign() {
        assert_eq!(number(&[0, 0, 1]), [0, 0, 0, 1, 1]);
        assert_eq!(number(&[0, 0x80]), [0, 0, 0, 2, 0, 0x80]);
        assert_eq!(number(&[0]), [0; 4]);
    }
}
