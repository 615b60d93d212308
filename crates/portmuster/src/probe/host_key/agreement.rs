//! Our side of the agreement on a secret.
//!
//! Nothing is encrypted with the secret. It is a part of what the server signs, so it has to be new and
//! unpredictable, and no more.

use curve25519_dalek::MontgomeryPoint;
use num_bigint::BigUint;

use super::{
    algorithms::AgreementKind,
    groups::DhGroup,
    nist::NistSecret,
    wire::{put_string, put_unsigned},
};
use crate::random;

/// The size of the exponents of Diffie-Hellman in bytes: twice as many bits as are to be guessed.
const EXPONENT_SIZE: usize = 32;

/// The random bytes for a number below the order of a curve: 64 bits more than the longest one has.
const NIST_RANDOM_SIZE: usize = 66 + 8;

/// Our side of an agreement: a secret of one exchange.
#[derive(Debug)]
pub(super) enum Agreement {
    X25519([u8; 32]),
    Nist(NistSecret),
    Modp { group: DhGroup, exponent: BigUint },
}

/// A public value, in the form in which it is sent and hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PublicValue<'a> {
    /// A point of a curve, which is sent as a string.
    Point(&'a [u8]),
    /// A number, without leading zeros.
    Number(&'a [u8]),
}

impl PublicValue<'_> {
    /// Appends the value to a message.
    pub(super) fn put(self, message: &mut Vec<u8>) {
        match self {
            Self::Point(point) => put_string(message, point),
            Self::Number(number) => put_unsigned(message, number),
        }
    }
}

impl Agreement {
    /// Draws a secret. `None` if this machine gives no random numbers, or the server has yet to choose the
    /// group.
    pub(super) fn draw(kind: AgreementKind) -> Option<Self> {
        match kind {
            AgreementKind::X25519 => random::secret().map(Self::X25519),
            AgreementKind::Nist(curve) => {
                let random = random::secret::<NIST_RANDOM_SIZE>()?;
                Some(Self::Nist(NistSecret::new(curve, &random)))
            }
            AgreementKind::Modp(group) => Self::draw_in(DhGroup::known(group)),
            AgreementKind::GroupExchange => None,
        }
    }

    /// Draws a secret for this group.
    pub(super) fn draw_in(group: DhGroup) -> Option<Self> {
        let exponent = random::secret::<EXPONENT_SIZE>()?;
        Some(Self::Modp { group, exponent: BigUint::from_bytes_be(&exponent) })
    }

    /// Returns whether public values are points, and not numbers.
    pub(super) fn has_points(&self) -> bool {
        !matches!(self, Self::Modp { .. })
    }

    /// Returns the bytes of our public value.
    pub(super) fn public(&self) -> Vec<u8> {
        match self {
            Self::X25519(secret) => MontgomeryPoint::mul_base_clamped(*secret).to_bytes().to_vec(),
            Self::Nist(secret) => secret.public(),
            Self::Modp { group, exponent } => {
                group.generator.modpow(exponent, &group.prime).to_bytes_be()
            }
        }
    }

    /// Returns the shared secret as a number; `None` if the server's public value is invalid.
    pub(super) fn agree(&self, public: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::X25519(secret) => {
                let point = MontgomeryPoint(public.try_into().ok()?);
                let shared = point.mul_clamped(*secret).to_bytes();
                // A point of small order (RFC 8731 §3).
                (shared != [0; 32]).then(|| shared.to_vec())
            }
            Self::Nist(secret) => secret.agree(public),
            Self::Modp { group, exponent } => {
                let public = BigUint::from_bytes_be(public);
                let shared = || public.modpow(exponent, &group.prime).to_bytes_be();
                group.contains(&public).then(shared)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::host_key::{algorithms::ModpGroup, nist::Curve};

    const KINDS: [AgreementKind; 7] = [
        AgreementKind::X25519,
        AgreementKind::Nist(Curve::P256),
        AgreementKind::Nist(Curve::P384),
        AgreementKind::Nist(Curve::P521),
        AgreementKind::Modp(ModpGroup::Group1),
        AgreementKind::Modp(ModpGroup::Group14),
        AgreementKind::Modp(ModpGroup::Group16),
    ];

    #[test]
    fn both_sides_agree_on_one_secret_and_draw_another_each_time() {
        for kind in KINDS {
            let [one, other] =
                [(); 2].map(|()| Agreement::draw(kind).expect("there is randomness"));
            let secret = one.agree(&other.public()).expect("the value is valid");
            assert_eq!(other.agree(&one.public()), Some(secret), "{kind:?}");
            assert_ne!(one.public(), other.public(), "{kind:?}");
        }
    }

    #[test]
    fn invalid_values_of_a_server_give_no_secret() {
        for kind in KINDS {
            let agreement = Agreement::draw(kind).expect("there is randomness");
            let good = agreement.public();
            let off_curve = [&good[..good.len() - 1], &[good[good.len() - 1] ^ 1]].concat();
            let mut invalid = vec![vec![], vec![0], vec![1], vec![0; good.len()], vec![0xff; 2000]];
            if agreement.has_points() {
                invalid.push(good[1..].to_vec());
            }
            if let AgreementKind::Nist(_) = kind {
                invalid.extend([off_curve, vec![4; good.len()]]);
            }
            if let Agreement::Modp { group, .. } = &agreement {
                invalid.push((&group.prime - 1_u8).to_bytes_be());
                invalid.push(group.prime.to_bytes_be());
            }
            for value in invalid {
                assert_eq!(agreement.agree(&value), None, "{kind:?}: {value:x?}");
            }
        }
    }
}
