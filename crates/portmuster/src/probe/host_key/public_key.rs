//! Parses public keys (RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709 §4, OpenSSH's `PROTOCOL.u2f`).

use super::wire::{WireReader, put_string};
use crate::outcome::KeyType;

/// A public key. Its numbers are big-endian and have no leading zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PublicKey<'a> {
    /// A point of Ed25519.
    Ed25519(&'a [u8]),
    /// The name of a curve, and a point on it (SEC 1 §2.3.3).
    Ecdsa {
        curve: &'a [u8],
        point: &'a [u8],
    },
    /// A key on a FIDO token, and the application that it belongs to.
    Token {
        key: TokenKey<'a>,
        application: &'a [u8],
    },
    Rsa {
        exponent: &'a [u8],
        modulus: &'a [u8],
    },
    Dss {
        p: &'a [u8],
        q: &'a [u8],
        g: &'a [u8],
        y: &'a [u8],
    },
}

/// A key on a FIDO token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKey<'a> {
    Ed25519(&'a [u8]),
    Ecdsa { curve: &'a [u8], point: &'a [u8] },
}

/// A plain key or one within a certificate.
#[derive(Debug)]
pub(super) struct ParsedKey<'a> {
    pub(super) key_type: KeyType,
    pub(super) public: PublicKey<'a>,
    /// The encoded numbers of the key, without its type.
    encoded: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Reads the numbers of a key of this type.
    fn read(key_type: KeyType, reader: &mut WireReader<'a>) -> Option<Self> {
        Some(match key_type {
            KeyType::Ed25519 => Self::Ed25519(reader.string()?),
            KeyType::EcdsaP256 | KeyType::EcdsaP384 | KeyType::EcdsaP521 => {
                Self::Ecdsa { curve: reader.string()?, point: reader.string()? }
            }
            KeyType::SkEd25519 => {
                let key = TokenKey::Ed25519(reader.string()?);
                Self::Token { key, application: reader.string()? }
            }
            KeyType::SkEcdsaP256 => {
                let key = TokenKey::Ecdsa { curve: reader.string()?, point: reader.string()? };
                Self::Token { key, application: reader.string()? }
            }
            KeyType::Rsa => Self::Rsa { exponent: reader.unsigned()?, modulus: reader.unsigned()? },
            KeyType::Dss => Self::Dss {
                p: reader.unsigned()?,
                q: reader.unsigned()?,
                g: reader.unsigned()?,
                y: reader.unsigned()?,
            },
        })
    }
}

impl<'a> ParsedKey<'a> {
    /// Reads the numbers of a key.
    pub(super) fn read(key_type: KeyType, reader: &mut WireReader<'a>) -> Option<Self> {
        let before = reader.rest();
        let public = PublicKey::read(key_type, reader)?;
        let encoded = &before[..before.len() - reader.rest().len()];
        Some(Self { key_type, public, encoded })
    }

    /// Parses a plain key of any type.
    pub(super) fn parse(blob: &'a [u8]) -> Option<Self> {
        let mut reader = WireReader::new(blob);
        let name = str::from_utf8(reader.string()?).ok()?;
        let key = Self::read(name.parse().ok()?, &mut reader)?;
        reader.is_empty().then_some(key)
    }

    /// Returns the key as ssh encodes it.
    pub(super) fn blob(&self) -> Vec<u8> {
        let mut blob = Vec::with_capacity(self.encoded.len() + 40);
        put_string(&mut blob, self.key_type.name().as_bytes());
        blob.extend_from_slice(self.encoded);
        blob
    }

    pub(super) fn bits(&self) -> u32 {
        match self.public {
            PublicKey::Rsa { modulus: number, .. } | PublicKey::Dss { p: number, .. } => {
                bit_length(number)
            }
            _ => match self.key_type {
                KeyType::EcdsaP384 => 384,
                KeyType::EcdsaP521 => 521,
                _ => 256,
            },
        }
    }
}

/// Returns the number of bits of a number without leading zeros.
pub(super) fn bit_length(number: &[u8]) -> u32 {
    let first = number.first().map_or(0, |first| first.leading_zeros());
    u32::try_from(8 * number.len()).unwrap_or(u32::MAX).saturating_sub(first)
}
