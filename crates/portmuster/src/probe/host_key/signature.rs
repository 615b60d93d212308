//! Verifies signatures of host keys (RFC 4253 §6.6, RFC 5656 §3.1.2, RFC 8332, RFC 8709 §6, OpenSSH's
//! `PROTOCOL.u2f`).
//!
//! Invariant: numbers that are too large to be computed with in a few milliseconds are refused before.

use ed25519_dalek::VerifyingKey;
use num_bigint::BigUint;

pub(super) use super::nist::Curve;
use super::{
    exchange_hash::HashKind,
    nist,
    public_key::{PublicKey, TokenKey, bit_length},
    wire::WireReader,
};
use crate::outcome::{KeyType, ProofFailure};

/// Limit of the modulus of RSA in bits, as in OpenSSL (`OPENSSL_RSA_MAX_MODULUS_BITS`).
const RSA_BITS_MAX: u32 = 16_384;
/// Limit of the exponent of RSA in bits, as in OpenSSL for long keys (`OPENSSL_RSA_MAX_PUBEXP_BITS`).
const RSA_EXPONENT_BITS_MAX: u32 = 64;
/// Limit of the prime of DSA in bits, as in OpenSSL (`OPENSSL_DSA_MAX_MODULUS_BITS`, rounded down).
const DSS_BITS_MAX: u32 = 8_192;
/// The size of the two numbers of a DSA signature in bytes, and of the subgroup (RFC 4253 §6.6).
const DSS_NUMBER_SIZE: usize = 20;
/// The same in bits.
const DSS_NUMBER_BITS: u32 = 160;
/// The shortest padding of a PKCS #1 signature, with the zeros and the type around it (RFC 8017 §9.2).
const PKCS1_PADDING_MIN: usize = 11;

/// An algorithm of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignatureAlgorithm {
    Ed25519,
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    SkEd25519,
    SkEcdsaP256,
    RsaSha512,
    RsaSha256,
    RsaSha1,
    Dss,
}

impl SignatureAlgorithm {
    const ALL: [Self; 10] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::SkEd25519,
        Self::SkEcdsaP256,
        Self::RsaSha512,
        Self::RsaSha256,
        Self::RsaSha1,
        Self::Dss,
    ];

    /// Returns the name in a signature, which is also that of the host key algorithm.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::RsaSha512 => "rsa-sha2-512",
            Self::RsaSha256 => "rsa-sha2-256",
            _ => self.key_type().name(),
        }
    }

    pub(super) const fn key_type(self) -> KeyType {
        match self {
            Self::Ed25519 => KeyType::Ed25519,
            Self::EcdsaP256 => KeyType::EcdsaP256,
            Self::EcdsaP384 => KeyType::EcdsaP384,
            Self::EcdsaP521 => KeyType::EcdsaP521,
            Self::SkEd25519 => KeyType::SkEd25519,
            Self::SkEcdsaP256 => KeyType::SkEcdsaP256,
            Self::RsaSha512 | Self::RsaSha256 | Self::RsaSha1 => KeyType::Rsa,
            Self::Dss => KeyType::Dss,
        }
    }

    /// Returns the algorithm of this name, if keys of the type can sign with it.
    pub(super) fn of_key(key_type: KeyType, name: &[u8]) -> Option<Self> {
        let fits = |it: &Self| it.key_type() == key_type && it.name().as_bytes() == name;
        Self::ALL.into_iter().find(fits)
    }
}

/// Verifies a signature, which contains the name of its algorithm, over a message.
pub(super) fn verify(
    algorithm: SignatureAlgorithm,
    key: &PublicKey<'_>,
    signature: &[u8],
    message: &[u8],
) -> Result<(), ProofFailure> {
    let wrong = ProofFailure::WrongSignature;
    let mut reader = WireReader::new(signature);
    let name = reader.string().ok_or(wrong)?;
    if name != algorithm.name().as_bytes() {
        return Err(ProofFailure::OtherAlgorithm);
    }
    let content = reader.string().ok_or(wrong)?;
    if let PublicKey::Token { key, application } = *key {
        let message = token_message(application, &mut reader, message).ok_or(wrong)?;
        return match key {
            TokenKey::Ed25519(point) => verify_ed25519(point, content, &message),
            TokenKey::Ecdsa { curve, point } => {
                verify_ecdsa(Curve::P256, (curve, point), content, &message)
            }
        };
    }
    if !reader.is_empty() {
        return Err(wrong);
    }
    match (*key, algorithm) {
        (PublicKey::Ed25519(point), _) => verify_ed25519(point, content, message),
        (PublicKey::Ecdsa { curve, point }, algorithm) => {
            let expected = match algorithm {
                SignatureAlgorithm::EcdsaP384 => Curve::P384,
                SignatureAlgorithm::EcdsaP521 => Curve::P521,
                _ => Curve::P256,
            };
            verify_ecdsa(expected, (curve, point), content, message)
        }
        (PublicKey::Rsa { exponent, modulus }, algorithm) => {
            let hash = match algorithm {
                SignatureAlgorithm::RsaSha512 => HashKind::Sha512,
                SignatureAlgorithm::RsaSha256 => HashKind::Sha256,
                _ => HashKind::Sha1,
            };
            verify_rsa(hash, (exponent, modulus), content, message)
        }
        (PublicKey::Dss { p, q, g, y }, _) => verify_dss([p, q, g, y], content, message),
        (PublicKey::Token { .. }, _) => Err(wrong),
    }
}

/// Returns the message that a FIDO token signs: the hash of the application, flags, a counter, and the
/// hash of the message. The reader is behind the signature itself.
fn token_message(
    application: &[u8],
    reader: &mut WireReader<'_>,
    message: &[u8],
) -> Option<Vec<u8>> {
    let (flags, counter) = (reader.byte()?, reader.uint32()?);
    let [application, message] = [application, message].map(|it| HashKind::Sha256.hash(it));
    let signed = [&application[..], &[flags], &counter.to_be_bytes(), &message].concat();
    reader.is_empty().then_some(signed)
}

/// Verifies a signature of Ed25519, and refuses keys for which anybody can sign.
fn verify_ed25519(point: &[u8], signature: &[u8], message: &[u8]) -> Result<(), ProofFailure> {
    let invalid = ProofFailure::InvalidKey;
    let point = point.try_into().map_err(|_| invalid)?;
    let key = VerifyingKey::from_bytes(point).map_err(|_| invalid)?;
    if key.is_weak() {
        return Err(invalid);
    }
    let wrong = ProofFailure::WrongSignature;
    let signature = signature.try_into().map_err(|_| wrong)?;
    key.verify_strict(message, &signature).map_err(|_| wrong)
}

/// Verifies a signature of ECDSA. The key has the name of its curve and its point.
fn verify_ecdsa(
    expected: Curve,
    (curve, point): (&[u8], &[u8]),
    signature: &[u8],
    message: &[u8],
) -> Result<(), ProofFailure> {
    if curve != expected.name().as_bytes() {
        return Err(ProofFailure::InvalidKey);
    }
    let mut reader = WireReader::new(signature);
    let numbers = reader.unsigned().zip(reader.unsigned()).filter(|_| reader.is_empty());
    let numbers = numbers.ok_or(ProofFailure::WrongSignature)?;
    nist::verify(expected, point, numbers, &expected.hash().hash(message))
}

/// Verifies a signature of RSA with the padding of PKCS #1 1.5 (RFC 8017 §8.2.2).
fn verify_rsa(
    hash: HashKind,
    (exponent, modulus): (&[u8], &[u8]),
    signature: &[u8],
    message: &[u8],
) -> Result<(), ProofFailure> {
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    if !is_odd(modulus) || !is_odd(exponent) || matches!(exponent, [1]) || matches!(modulus, [1]) {
        return Err(ProofFailure::InvalidKey);
    }
    if bit_length(modulus) > RSA_BITS_MAX || bit_length(exponent) > RSA_EXPONENT_BITS_MAX {
        return Err(ProofFailure::TooLarge);
    }
    let wrong = ProofFailure::WrongSignature;
    let expected = pkcs1_encoding(hash, message, modulus.len()).ok_or(wrong)?;
    let [modulus, exponent, signature] = [modulus, exponent, signature].map(BigUint::from_bytes_be);
    if signature >= modulus {
        return Err(wrong);
    }
    let signed = signature.modpow(&exponent, &modulus);
    (signed == BigUint::from_bytes_be(&expected)).then_some(()).ok_or(wrong)
}

/// Returns the encoding of a message that RSA signs (RFC 8017 §9.2); `None` if the key is too short.
fn pkcs1_encoding(hash: HashKind, message: &[u8], length: usize) -> Option<Vec<u8>> {
    // The encodings of the algorithm and of the length of the hash (RFC 8017 §9.2, note 1).
    let prefix: &[u8] = match hash {
        HashKind::Sha1 => b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
        HashKind::Sha256 => {
            b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
        }
        HashKind::Sha384 => {
            b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30"
        }
        HashKind::Sha512 => {
            b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40"
        }
    };
    let hash = hash.hash(message);
    let padding = length.checked_sub(prefix.len() + hash.len() + 3)?;
    if padding + 3 < PKCS1_PADDING_MIN {
        return None;
    }
    Some([&[0, 1], &vec![0xff; padding][..], &[0], prefix, &hash].concat())
}

/// Verifies a signature of DSA with SHA-1 (FIPS 186-4 §4.7).
#[expect(clippy::many_single_char_names, reason = "the names of the standard")]
fn verify_dss(key: [&[u8]; 4], signature: &[u8], message: &[u8]) -> Result<(), ProofFailure> {
    if bit_length(key[0]) > DSS_BITS_MAX {
        return Err(ProofFailure::TooLarge);
    }
    let is_short = bit_length(key[1]) != DSS_NUMBER_BITS;
    let [p, q, g, y] = key.map(BigUint::from_bytes_be);
    let one = BigUint::ONE;
    // `g` and `y` must have the order `q`; anybody can sign for other keys.
    let in_subgroup =
        |number: &BigUint| *number > one && number < &p && number.modpow(&q, &p) == one;
    if is_short || !p.bit(0) || !q.bit(0) || !in_subgroup(&g) || !in_subgroup(&y) {
        return Err(ProofFailure::InvalidKey);
    }
    let wrong = ProofFailure::WrongSignature;
    if signature.len() != 2 * DSS_NUMBER_SIZE {
        return Err(wrong);
    }
    let (r, s) = signature.split_at(DSS_NUMBER_SIZE);
    let [r, s] = [r, s].map(BigUint::from_bytes_be);
    if r < one || r >= q || s < one || s >= q {
        return Err(wrong);
    }
    let hash = BigUint::from_bytes_be(&HashKind::Sha1.hash(message));
    let inverse = s.modinv(&q).ok_or(wrong)?;
    let (first, second) = (hash * &inverse % &q, &r * inverse % &q);
    let value = g.modpow(&first, &p) * y.modpow(&second, &p) % &p % &q;
    (value == r).then_some(()).ok_or(wrong)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::probe::host_key::{public_key::ParsedKey, wire::put_string};
    use base64::{Engine, engine::general_purpose::STANDARD};

    const MESSAGE: &[u8] = b"portmuster verifies signatures";

    #[derive(Debug, Deserialize)]
    struct SampleFile {
        signature: Vec<Sample>,
    }

    /// A key and a signature in base64.
    #[derive(Debug, Deserialize)]
    struct Sample {
        algorithm: String,
        key: String,
        signature: String,
    }

    impl Sample {
        fn decoded(&self) -> (SignatureAlgorithm, Vec<u8>, Vec<u8>) {
            let algorithm =
                SignatureAlgorithm::ALL.into_iter().find(|it| it.name() == self.algorithm);
            let decode = |text: &str| STANDARD.decode(text).expect("it is base64");
            let algorithm = algorithm.expect("the name is one of an algorithm");
            (algorithm, decode(&self.key), decode(&self.signature))
        }
    }

    fn samples() -> Vec<(SignatureAlgorithm, Vec<u8>, Vec<u8>)> {
        let text = include_str!("../../../tests/host_keys/signatures.toml");
        let file: SampleFile = toml::from_str(text).expect("the samples are TOML");
        file.signature.iter().map(Sample::decoded).collect()
    }

    fn verified(
        algorithm: SignatureAlgorithm,
        key: &[u8],
        signature: &[u8],
        message: &[u8],
    ) -> Option<Result<(), ProofFailure>> {
        let key = ParsedKey::parse(key)?;
        Some(verify(algorithm, &key.public, signature, message))
    }

    #[test]
    fn signatures_of_openssl_are_verified() {
        let samples = samples();
        assert_eq!(samples.len(), SignatureAlgorithm::ALL.len());
        for (algorithm, key, signature) in samples {
            let result = verified(algorithm, &key, &signature, MESSAGE);
            assert_eq!(result, Some(Ok(())), "{algorithm:?}");
        }
    }

    #[test]
    fn each_changed_bit_of_signature_message_or_key_is_noticed() {
        for (algorithm, key, signature) in samples() {
            let changed = |bytes: &[u8], at: usize| {
                let mut changed = bytes.to_vec();
                changed[at] ^= 1 << (at % 8);
                changed
            };
            for at in (0..signature.len()).step_by(5).chain([signature.len() - 1]) {
                let result = verified(algorithm, &key, &changed(&signature, at), MESSAGE);
                assert!(matches!(result, Some(Err(_))), "{algorithm:?}: {at} of the signature");
            }
            for at in 0..MESSAGE.len() {
                let result = verified(algorithm, &key, &signature, &changed(MESSAGE, at));
                let wrong = Some(Err(ProofFailure::WrongSignature));
                assert_eq!(result, wrong, "{algorithm:?}: {at} of the message");
            }
            for at in (0..key.len()).step_by(7).chain([key.len() - 1]) {
                let result = verified(algorithm, &changed(&key, at), &signature, MESSAGE);
                assert_ne!(result, Some(Ok(())), "{algorithm:?}: {at} of the key");
            }
            assert_eq!(
                verified(algorithm, &key, b"", MESSAGE),
                Some(Err(ProofFailure::WrongSignature))
            );
        }
    }

    #[test]
    fn signatures_of_another_algorithm_are_refused() {
        let samples = samples();
        for (algorithm, key, _) in &samples {
            for (other, _, signature) in samples.iter().filter(|(other, ..)| other != algorithm) {
                let result = verified(*algorithm, key, signature, MESSAGE);
                let failure = Some(Err(ProofFailure::OtherAlgorithm));
                assert_eq!(result, failure, "{algorithm:?} with {other:?}");
            }
        }
    }

    fn signature(algorithm: SignatureAlgorithm, content: &[u8]) -> Vec<u8> {
        let mut signature = Vec::new();
        put_string(&mut signature, algorithm.name().as_bytes());
        put_string(&mut signature, content);
        signature
    }

    fn of_rsa(exponent: &[u8], modulus: &[u8], content: &[u8]) -> Result<(), ProofFailure> {
        let key = PublicKey::Rsa { exponent, modulus };
        let algorithm = SignatureAlgorithm::RsaSha256;
        verify(algorithm, &key, &signature(algorithm, content), MESSAGE)
    }

    #[test]
    fn rsa_keys_for_which_anybody_can_sign_or_that_take_long_are_refused() {
        let modulus = [&[0xff; 255][..], &[1]].concat();
        // With the exponent 1, the encoded message is its own signature.
        let encoded = pkcs1_encoding(HashKind::Sha256, MESSAGE, modulus.len()).expect("it fits");
        let invalid = Err(ProofFailure::InvalidKey);
        assert_eq!(of_rsa(&[1], &modulus, &encoded), invalid);
        for exponent in [&[][..], &[2], &[1, 0]] {
            assert_eq!(of_rsa(exponent, &modulus, &encoded), invalid, "{exponent:?}");
        }
        for modulus in [&[][..], &[1], &[2], &[0xff, 0xfe]] {
            assert_eq!(of_rsa(&[3], modulus, &encoded), invalid, "{modulus:?}");
        }
        let large = Err(ProofFailure::TooLarge);
        assert_eq!(of_rsa(&[3], &[0xff; 16_384 / 8 + 1], &encoded), large);
        assert_eq!(of_rsa(&[0xff; 9], &modulus, &encoded), large);
        let wrong = Err(ProofFailure::WrongSignature);
        assert_eq!(of_rsa(&[3], &[0xff; 16_384 / 8], &[0xfe; 16_384 / 8]), wrong);
        assert_eq!(of_rsa(&[3], &[3], &[1]), wrong, "no encoding fits");
        assert_eq!(of_rsa(&[3], &modulus, &[0xff; 300]), wrong);
    }

    #[test]
    fn dsa_keys_for_which_anybody_can_sign_or_that_take_long_are_refused() {
        let (_, blob, signature) = samples()
            .into_iter()
            .find(|(algorithm, ..)| *algorithm == SignatureAlgorithm::Dss)
            .expect("there is a sample");
        let key = ParsedKey::parse(&blob).expect("it is a key");
        let PublicKey::Dss { p, q, g, y } = key.public else { panic!("it is one of DSA") };
        let verified = |p, q, g, y| {
            let key = PublicKey::Dss { p, q, g, y };
            verify(SignatureAlgorithm::Dss, &key, &signature, MESSAGE)
        };
        assert_eq!(verified(p, q, g, y), Ok(()));
        let even = |number: &[u8]| [&number[..number.len() - 1], &[0]].concat();
        let (even_p, even_q) = (even(p), even(q));
        let invalid = Err(ProofFailure::InvalidKey);
        for (p, q, g, y) in [
            (p, q, &[1][..], y),
            (p, q, g, &[1][..]),
            (p, q, &[][..], y),
            (p, q, p, y),
            (p, q, &[2][..], y),
            (&even_p[..], q, g, y),
            (p, &even_q[..], g, y),
            (p, &q[1..], g, y),
            (&[][..], q, g, y),
            (&[1][..], q, g, y),
        ] {
            assert_eq!(verified(p, q, g, y), invalid);
        }
        let large = [&[0xff; 8_192 / 8][..], &[1]].concat();
        assert_eq!(verified(&large, q, g, y), Err(ProofFailure::TooLarge));
    }

    /// Points of small order: for each of them, the zero signature fits many messages.
    #[test]
    fn weak_ed25519_keys_are_refused() {
        let mut one = [0; 32];
        one[0] = 1;
        for point in [one, [0; 32]] {
            let key = PublicKey::Ed25519(&point);
            let content = [&one[..], &[0; 32]].concat();
            let signature = signature(SignatureAlgorithm::Ed25519, &content);
            let result = verify(SignatureAlgorithm::Ed25519, &key, &signature, MESSAGE);
            assert_eq!(result, Err(ProofFailure::InvalidKey));
        }
    }

    #[test]
    fn keys_on_another_curve_are_refused() {
        for (algorithm, key, signature) in samples() {
            let key = ParsedKey::parse(&key).expect("it is a key");
            if let PublicKey::Ecdsa { point, .. } = key.public {
                let other = PublicKey::Ecdsa { curve: b"nistp224", point };
                let result = verify(algorithm, &other, &signature, MESSAGE);
                assert_eq!(result, Err(ProofFailure::InvalidKey), "{algorithm:?}");
            }
        }
    }
}
