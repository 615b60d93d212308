//! Replies that no honest server sends: each gets a reason, and none proves a key.

use super::*;

/// A point of Ed25519 with the order 1, for which anybody can sign.
const SMALL_POINT: [u8; 32] = {
    let mut point = [0; 32];
    point[0] = 1;
    point
};

/// Returns strings one after the other (RFC 4251 §5).
fn strings(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        put_string(&mut bytes, part);
    }
    bytes
}

/// Returns the result of an exchange in which this type of key was asked for.
fn answer(asked: &str, key: &[u8], signature: &[u8]) -> Result<HostKey, HostKeyFailure> {
    let (mut exchange, _) = begin(&offer("curve25519-sha256", asked)).expect("it begins");
    let public = Agreement::draw(AgreementKind::X25519).expect("there is randomness").public();
    let reply = [&[31], &strings(&[key, &public, signature])[..]].concat();
    result(exchange.receive(&packet(&reply)))
}

/// Returns why a key is not proven, or that the reply is malformed.
fn refusal(asked: &str, key: &[u8], signature: &[u8]) -> Result<ProofFailure, HostKeyFailure> {
    let key = answer(asked, key, signature)?;
    Ok(key.proof.failure().expect("nothing is proven"))
}

const INVALID: Result<ProofFailure, HostKeyFailure> = Ok(ProofFailure::InvalidKey);
const LARGE: Result<ProofFailure, HostKeyFailure> = Ok(ProofFailure::TooLarge);
const MALFORMED: Result<ProofFailure, HostKeyFailure> = Err(HostKeyFailure::Malformed);

#[test]
fn absurd_rsa_keys_are_refused_with_their_reason() {
    let (odd, even) = ([0x7f; 256], [&[0x7f; 255][..], &[0x7e]].concat());
    let huge = [&[0x7f][..], &[0xff; 8191]].concat();
    let exponent: &[u8] = &[1, 0, 1];
    for (exponent, modulus, expected) in [
        (exponent, &[][..], INVALID),
        (exponent, &[1], INVALID),
        (exponent, &even, INVALID),
        (exponent, &huge, LARGE),
        (&[1], &odd, INVALID),
        (&[], &odd, INVALID),
        (&[2], &odd, INVALID),
        (&[0x7f; 9], &odd, LARGE),
        (exponent, &[0xff; 256], MALFORMED),
        (&[0xff], &odd, MALFORMED),
    ] {
        for asked in ["ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"] {
            let key = strings(&[b"ssh-rsa", exponent, modulus]);
            // With the exponent 1, any message is its own signature.
            for content in [&odd[..], &[], &huge] {
                let signature = strings(&[asked.as_bytes(), content]);
                let refused = refusal(asked, &key, &signature);
                let (bits, exponents) = (8 * modulus.len(), exponent.len());
                assert_eq!(refused, expected, "{asked}: {bits} bits, {exponents} bytes");
            }
        }
    }
}

#[test]
fn absurd_dsa_keys_are_refused_with_their_reason() {
    let huge = [&[0x7f][..], &[0xff; 8191]].concat();
    let signature = strings(&[b"ssh-dss", &[1; 40]]);
    let q = [0x7f; 20];
    for (numbers, expected) in [
        ([&[][..], &[], &[], &[]], INVALID),
        ([&[1], &q, &[1], &[1]], INVALID),
        ([&huge, &q, &[2], &[2]], LARGE),
        ([&[0x7f; 128], &q, &huge, &huge], INVALID),
        ([&[0xff; 128], &q, &[2], &[2]], MALFORMED),
    ] {
        let [p, q, g, y] = numbers;
        let key = strings(&[b"ssh-dss", p, q, g, y]);
        assert_eq!(refusal("ssh-dss", &key, &signature), expected, "{} bytes", p.len());
    }
}

#[test]
fn points_at_infinity_off_the_curve_or_of_another_curve_are_refused() {
    for (name, curve, size) in [
        ("ecdsa-sha2-nistp256", "nistp256", 32),
        ("ecdsa-sha2-nistp384", "nistp384", 48),
        ("ecdsa-sha2-nistp521", "nistp521", 66),
    ] {
        let signature = strings(&[name.as_bytes(), &strings(&[&[1], &[1]])]);
        let uncompressed = [&[4][..], &vec![1; 2 * size]].concat();
        let compressed = [&[2][..], &vec![1; size]].concat();
        for point in [&[][..], &[0], &[4], &uncompressed, &compressed, &[4; 65_000 / 4]] {
            let key = strings(&[name.as_bytes(), curve.as_bytes(), point]);
            assert_eq!(refusal(name, &key, &signature), INVALID, "{name}: {} bytes", point.len());
        }
        for other in ["nistp224", "nistp256k1", ""] {
            let key = strings(&[name.as_bytes(), other.as_bytes(), &uncompressed]);
            assert_eq!(refusal(name, &key, &signature), INVALID, "{name} on {other:?}");
        }
    }
}

#[test]
fn ed25519_keys_of_wrong_size_or_small_order_are_refused() {
    let name: &[u8] = b"ssh-ed25519";
    // The zero signature, which fits points of small order.
    let signature = strings(&[name, &[&SMALL_POINT[..], &[0; 32]].concat()]);
    for point in [&[][..], &[1; 31], &[1; 33], &SMALL_POINT, &[0; 32]] {
        let refused = refusal("ssh-ed25519", &strings(&[name, point]), &signature);
        assert_eq!(refused, INVALID, "{point:x?}");
    }
}

#[test]
fn signatures_with_lying_lengths_or_of_another_algorithm_prove_nothing() {
    let key =
        strings(&[b"ssh-ed25519", &SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes()]);
    let wrong = Ok(ProofFailure::WrongSignature);
    let whole = strings(&[b"ssh-ed25519", &[1; 64]]);
    for (signature, expected) in [
        (&[][..], wrong),
        (&[0xff; 4], wrong),
        (&[0x7f, 0xff, 0xff, 0xff, 1], wrong),
        (&whole[..whole.len() - 1], wrong),
        (&[&whole[..], &[0]].concat(), wrong),
        (&strings(&[b"ssh-ed25519", &[1; 63]]), wrong),
        (&strings(&[b"ssh-ed25519", &[0xff; 64]]), wrong),
        (&strings(&[b"", &[1; 64]]), Ok(ProofFailure::OtherAlgorithm)),
        (&strings(&[b"ssh-rsa", &[1; 64]]), Ok(ProofFailure::OtherAlgorithm)),
    ] {
        assert_eq!(refusal("ssh-ed25519", &key, signature), expected, "{signature:x?}");
    }
}

/// Returns a certificate of a host for the key of an Ed25519 server, by this authority.
fn certificate(kind: u32, principals: &[u8], authority: &[u8], signature: &[u8]) -> Vec<u8> {
    let public = SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
    let start = strings(&[b"ssh-ed25519-cert-v01@openssh.com", &[5; 32], &public]);
    let middle = [&[0; 8][..], &kind.to_be_bytes(), &strings(&[b"id", principals])].concat();
    let rest = strings(&[b"", b"", b"", authority, signature]);
    [&start[..], &middle, &[0; 16], &rest].concat()
}

#[test]
fn nested_and_lying_certificates_never_have_a_proven_authority() {
    const HOST: u32 = 2;

    let plain = strings(&[b"ssh-ed25519", &[9; 32]]);
    let names = strings(&[b"db.example"]);
    let signature = strings(&[b"ssh-ed25519", &[1; 64]]);
    let nested = certificate(HOST, &names, &plain, &signature);
    let twice = certificate(HOST, &names, &nested, &signature);
    let many = strings(&vec![&b"x"[..]; 5000]);
    for (kind, principals, authority) in [
        (HOST, &names, &nested),
        (HOST, &names, &twice),
        (HOST, &names, &plain),
        (HOST, &names, &vec![]),
        (HOST, &names, &vec![0xff; 4]),
        (1, &names, &plain),
        (u32::MAX, &names, &plain),
        (HOST, &many, &plain),
        (HOST, &vec![0xff; 4], &plain),
    ] {
        let key = certificate(kind, principals, authority, &signature);
        let asked = "ssh-ed25519-cert-v01@openssh.com";
        let key = answer(asked, &key, &signature).expect("the key is shown");
        let certificate = key.certificate.expect("it has a certificate");
        assert_ne!(certificate.ca_proof, KeyProof::Proven, "{kind} {}", authority.len());
        assert_ne!(key.proof, KeyProof::Proven);
        assert!(certificate.principals.len() <= 1, "{}", certificate.principals.len());
    }
    let whole = certificate(HOST, &names, &plain, &signature);
    for end in 0..whole.len() {
        let cut = answer("ssh-ed25519-cert-v01@openssh.com", &whole[..end], &signature);
        assert_eq!(cut, Err(HostKeyFailure::Malformed), "cut off at {end}");
    }
}

/// Every byte of a reply is of the key, of the server's public value, of the signature, or of a length.
#[test]
fn honest_reply_with_one_changed_bit_never_proves_a_key() {
    // An exchange reads a limited number of bytes.
    const REPLIES: usize = 40;

    let proof = |exchange: &mut HostKeyExchange, reply: &[u8]| {
        result(exchange.receive(&packet(reply))).map(|key| key.proof)
    };
    for method in [METHODS[0], METHODS[2], METHODS[5], METHODS[10]] {
        let begin = || await_reply(method, &Defects::default()).expect("the server is honest");
        let length = begin().1.len();
        for start in (1..length).step_by(REPLIES) {
            let (mut exchange, reply) = begin();
            // A number that looks negative is a byte longer.
            for at in start..(start + REPLIES).min(reply.len()) {
                let mut changed = reply.clone();
                changed[at] ^= 1 << (at % 8);
                let proof = proof(&mut exchange, &changed);
                assert_ne!(proof, Ok(KeyProof::Proven), "{method:?}: byte {at} of {length}");
            }
            assert_eq!(proof(&mut exchange, &reply), Ok(KeyProof::Proven), "{method:?}");
        }
    }
}
