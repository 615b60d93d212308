//! The curves of NIST (SP 800-186 §3.2.1): signatures of ECDSA, and agreement on a secret (RFC 5656).
//!
//! The crates for these curves take a sixth of the time of a whole build, and two curves are rare among
//! host keys. Here the curves share a hundred lines over big integers. They are fit for what is public
//! anyway: the time that they take depends on the numbers, so they must not sign or decrypt.
//!
//! Invariant: every point of a server is checked to be on its curve. Points at infinity have no
//! encoding that is accepted.

use std::sync::LazyLock;

use num_bigint::BigUint;

use super::exchange_hash::HashKind;
use crate::outcome::ProofFailure;

/// The first byte of a point that is not compressed (SEC 1 §2.3.3). ssh does without compressed ones.
const UNCOMPRESSED: u8 = 4;

/// A curve of NIST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    /// Returns the name in messages (RFC 5656 §10.1).
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::P256 => "nistp256",
            Self::P384 => "nistp384",
            Self::P521 => "nistp521",
        }
    }

    /// Returns the hash function that belongs to the size of the curve (RFC 5656 §6.2.1). No hash is
    /// longer than the order of its curve.
    pub(super) const fn hash(self) -> HashKind {
        match self {
            Self::P256 => HashKind::Sha256,
            Self::P384 => HashKind::Sha384,
            Self::P521 => HashKind::Sha512,
        }
    }

    /// Returns the size of a coordinate, and of a number below the order of the curve, in bytes.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn parameters(self) -> &'static Parameters {
        static CURVES: LazyLock<[Parameters; 3]> =
            LazyLock::new(|| [P256, P384, P521].map(Parameters::parse));
        &CURVES[self as usize]
    }
}

/// The numbers of a curve `y² = x³ - 3x + b` over the integers modulo `p`.
#[derive(Debug)]
struct Parameters {
    p: BigUint,
    /// The order of the curve, a prime.
    n: BigUint,
    b: BigUint,
    generator: AffinePoint,
}

/// `p`, `n`, `b` and the coordinates of the generator, in hexadecimal.
type ParameterDigits = [&'static [u8]; 5];

const P256: ParameterDigits = [
    b"ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
    b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    b"5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
    b"6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
    b"4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
];

const P384: ParameterDigits = [
    b"\
        fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff\
        0000000000000000ffffffff",
    b"\
        ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db2\
        48b0a77aecec196accc52973",
    b"\
        b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d\
        8a2ed19d2a85c8edd3ec2aef",
    b"\
        aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25d\
        bf55296c3a545e3872760ab7",
    b"\
        3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce\
        1d7e819d7a431d7c90ea0e5f",
];

const P521: ParameterDigits = [
    b"\
        01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
        ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    b"\
        01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa5186\
        8783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
    b"\
        0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e15619\
        3951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
    b"\
        00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b\
        5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66",
    b"\
        011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee\
        72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650",
];

/// A point other than the one at infinity, by its coordinates.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AffinePoint {
    x: BigUint,
    y: BigUint,
}

/// A point as `(x / z², y / z³)`, which needs no division to add. At infinity `z` is 0.
#[derive(Debug, Clone)]
struct JacobianPoint {
    x: BigUint,
    y: BigUint,
    z: BigUint,
}

#[expect(clippy::many_single_char_names, reason = "the names of the standard and of the formulas")]
impl Parameters {
    fn parse(digits: ParameterDigits) -> Self {
        let number = |digits| BigUint::parse_bytes(digits, 16).expect("the digits are hexadecimal");
        let [p, n, b, x, y] = digits.map(number);
        Self { p, n, b, generator: AffinePoint { x, y } }
    }

    /// Returns the difference modulo `p` of numbers below `p`.
    fn difference(&self, one: &BigUint, other: &BigUint) -> BigUint {
        (one + &self.p - other) % &self.p
    }

    /// Decodes a point; `None` if it is not on the curve.
    fn decode(&self, bytes: &[u8]) -> Option<AffinePoint> {
        let (&UNCOMPRESSED, coordinates) = bytes.split_first()? else { return None };
        let size = usize::try_from(self.p.bits().div_ceil(8)).ok()?;
        let (x, y) = coordinates.split_at_checked(size).filter(|(_, y)| y.len() == size)?;
        let [x, y] = [x, y].map(BigUint::from_bytes_be);
        let is_below = x < self.p && y < self.p;
        let right = (&x * &x % &self.p * &x + &self.b) % &self.p;
        let right = self.difference(&right, &(&x * 3_u8 % &self.p));
        (is_below && &y * &y % &self.p == right).then_some(AffinePoint { x, y })
    }

    /// Returns twice the point (the formulas "dbl-2001-b" of the Explicit-Formulas Database).
    fn double(&self, JacobianPoint { x, y, z }: &JacobianPoint) -> JacobianPoint {
        let p = &self.p;
        let (delta, gamma) = (z * z % p, y * y % p);
        let beta = x * &gamma % p;
        let alpha = self.difference(x, &delta) * (x + &delta) * 3_u8 % p;
        let double_x = self.difference(&(&alpha * &alpha % p), &(&beta * 8_u8 % p));
        let sum = y + z;
        let double_z = self.difference(&(&sum * &sum % p), &((&gamma + &delta) % p));
        let difference = self.difference(&(&beta * 4_u8 % p), &double_x);
        let double_y = self.difference(&(alpha * difference % p), &(&gamma * &gamma * 8_u8 % p));
        JacobianPoint { x: double_x, y: double_y, z: double_z }
    }

    /// Returns the sum of two points (the formulas "add-2007-bl", with the cases that they leave out).
    fn add(&self, one: &JacobianPoint, other: &JacobianPoint) -> JacobianPoint {
        let (p, zero) = (&self.p, BigUint::ZERO);
        if one.z == zero {
            return other.clone();
        }
        if other.z == zero {
            return one.clone();
        }
        let (one_zz, other_zz) = (&one.z * &one.z % p, &other.z * &other.z % p);
        let (one_u, other_u) = (&one.x * &other_zz % p, &other.x * &one_zz % p);
        let one_s = &one.y * &other.z % p * other_zz % p;
        let other_s = &other.y * &one.z % p * one_zz % p;
        let (h, r) = (self.difference(&other_u, &one_u), self.difference(&other_s, &one_s));
        if h == zero {
            let at_infinity = || JacobianPoint { x: 1_u8.into(), y: 1_u8.into(), z: zero.clone() };
            return if r == zero { self.double(one) } else { at_infinity() };
        }
        let hh = &h * &h % p;
        let (hhh, v) = (&h * &hh % p, one_u * hh % p);
        let x = self.difference(&(&r * &r % p), &((&hhh + &v * 2_u8) % p));
        let y = self.difference(&(r * self.difference(&v, &x) % p), &(one_s * hhh % p));
        JacobianPoint { x, y, z: &one.z * &other.z % p * h % p }
    }

    /// Returns `u` times the generator plus `v` times the point; `None` if that is at infinity.
    fn combine(&self, u: &BigUint, v: &BigUint, point: &AffinePoint) -> Option<AffinePoint> {
        let [generator, point] = [&self.generator, point].map(JacobianPoint::from);
        let both = self.add(&generator, &point);
        let mut sum = JacobianPoint { z: BigUint::ZERO, ..generator.clone() };
        for bit in (0..u.bits().max(v.bits())).rev() {
            sum = self.double(&sum);
            sum = match (u.bit(bit), v.bit(bit)) {
                (false, false) => sum,
                (true, false) => self.add(&sum, &generator),
                (false, true) => self.add(&sum, &point),
                (true, true) => self.add(&sum, &both),
            };
        }
        let inverse = sum.z.modinv(&self.p)?;
        let square = &inverse * &inverse % &self.p;
        let x = sum.x * &square % &self.p;
        let y = sum.y * square % &self.p * inverse % &self.p;
        Some(AffinePoint { x, y })
    }
}

impl From<&AffinePoint> for JacobianPoint {
    fn from(AffinePoint { x, y }: &AffinePoint) -> Self {
        Self { x: x.clone(), y: y.clone(), z: 1_u8.into() }
    }
}

/// A secret of one exchange.
#[derive(Debug)]
pub(super) struct NistSecret {
    curve: Curve,
    number: BigUint,
}

impl NistSecret {
    /// Makes a secret of random bytes, more than a number of the curve has.
    pub(super) fn new(curve: Curve, random: &[u8]) -> Self {
        // From 1 to n - 1. The remainder of a number that is 64 bits longer is nearly uniform.
        let below = &curve.parameters().n - 1_u8;
        Self { curve, number: BigUint::from_bytes_be(random) % below + 1_u8 }
    }

    /// Returns the point to send.
    pub(super) fn public(&self) -> Vec<u8> {
        let parameters = self.curve.parameters();
        let generator = &parameters.generator;
        let point = parameters.combine(&self.number, &BigUint::ZERO, generator);
        let AffinePoint { x, y } = point.expect("the number is below the order of the curve");
        let size = self.curve.size();
        [&[UNCOMPRESSED], &padded(&x, size)[..], &padded(&y, size)].concat()
    }

    /// Returns the shared secret, a number; `None` if the server's point is invalid.
    pub(super) fn agree(&self, point: &[u8]) -> Option<Vec<u8>> {
        let parameters = self.curve.parameters();
        let point = parameters.decode(point)?;
        let shared = parameters.combine(&BigUint::ZERO, &self.number, &point)?;
        Some(shared.x.to_bytes_be())
    }
}

/// Returns a number in big-endian order with zeros before it.
fn padded(number: &BigUint, size: usize) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    [&vec![0; size.saturating_sub(bytes.len())][..], &bytes].concat()
}

/// Verifies the two numbers of a signature over a hash (FIPS 186-5 §6.4.2).
pub(super) fn verify(
    curve: Curve,
    point: &[u8],
    (r, s): (&[u8], &[u8]),
    hash: &[u8],
) -> Result<(), ProofFailure> {
    let parameters = curve.parameters();
    let point = parameters.decode(point).ok_or(ProofFailure::InvalidKey)?;
    let [r, s, hash] = [r, s, hash].map(BigUint::from_bytes_be);
    is_signed(parameters, &point, (&r, &s), &hash)
        .filter(|&is_signed| is_signed)
        .map(|_| ())
        .ok_or(ProofFailure::WrongSignature)
}

/// Returns whether the numbers are a signature; `None` if one is out of range, or leads to infinity.
#[expect(clippy::many_single_char_names, reason = "the names of the standard")]
fn is_signed(
    parameters: &Parameters,
    point: &AffinePoint,
    (r, s): (&BigUint, &BigUint),
    hash: &BigUint,
) -> Option<bool> {
    let n = &parameters.n;
    if *r == BigUint::ZERO || r >= n || s >= n {
        return None;
    }
    let inverse = s.modinv(n)?;
    let (u, v) = (hash * &inverse % n, r * inverse % n);
    let AffinePoint { x, .. } = parameters.combine(&u, &v, point)?;
    Some(x % n == *r)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURVES: [Curve; 3] = [Curve::P256, Curve::P384, Curve::P521];

    fn number(digits: &str) -> BigUint {
        BigUint::parse_bytes(digits.as_bytes(), 16).expect("it is hexadecimal")
    }

    fn times(curve: Curve, factor: &BigUint) -> Option<AffinePoint> {
        let parameters = curve.parameters();
        parameters.combine(factor, &BigUint::ZERO, &parameters.generator)
    }

    #[test]
    fn generator_is_on_its_curve_and_has_its_order() {
        for curve in CURVES {
            let Parameters { n, generator, p, .. } = curve.parameters();
            let encoded = NistSecret { curve, number: 1_u8.into() }.public();
            assert_eq!(curve.parameters().decode(&encoded).as_ref(), Some(generator));
            assert_eq!(times(curve, n), None, "{curve:?}");
            let AffinePoint { x, y } = times(curve, &(n - 1_u8)).expect("it is not at infinity");
            assert_eq!((&x, y), (&generator.x, p - &generator.y), "{curve:?}");
        }
    }

    /// Sums that the formulas of addition leave out: of equal and opposite points, and with infinity.
    #[test]
    fn multiples_are_consistent_where_points_are_equal_or_opposite() {
        for curve in CURVES {
            let parameters = curve.parameters();
            let [one, two, three] = [1_u8, 2, 3].map(|factor| times(curve, &factor.into()));
            let one = one.expect("it is not at infinity");
            let opposite = AffinePoint { x: one.x.clone(), y: &parameters.p - &one.y };
            let factor = |factor: u8| BigUint::from(factor);
            assert_eq!(parameters.combine(&factor(1), &factor(1), &one), two);
            assert_eq!(parameters.combine(&factor(2), &factor(1), &one), three);
            assert_eq!(parameters.combine(&factor(3), &factor(1), &opposite), two);
            assert_eq!(parameters.combine(&factor(7), &factor(7), &opposite), None);
            assert_eq!(parameters.combine(&factor(0), &factor(0), &one), None);
        }
    }

    /// RFC 6979 appendix A.2.5: the key and the signature of "sample" with SHA-256.
    #[test]
    fn signature_of_rfc_6979_is_valid_and_each_change_of_it_is_not() {
        let point = [
            "04",
            "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
            "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
        ];
        let point = number(&point.concat()).to_bytes_be();
        let r = number("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716");
        let s = number("f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
        let hash = HashKind::Sha256.hash(b"sample");
        let verify = |r: &BigUint, s: &BigUint, hash: &[u8]| {
            let [r, s] = [r, s].map(BigUint::to_bytes_be);
            verify(Curve::P256, &point, (&r, &s), hash)
        };
        assert_eq!(verify(&r, &s, &hash), Ok(()));
        let n = &Curve::P256.parameters().n;
        let wrong = Err(ProofFailure::WrongSignature);
        for (r, s) in [
            (&r + 1_u8, s.clone()),
            (r.clone(), &s + 1_u8),
            (s.clone(), r.clone()),
            (BigUint::ZERO, s.clone()),
            (r.clone(), BigUint::ZERO),
            (n.clone(), s.clone()),
            (&r + n, s.clone()),
            (r.clone(), &s + n),
        ] {
            assert_eq!(verify(&r, &s, &hash), wrong, "{r} {s}");
        }
        assert_eq!(verify(&r, &s, &HashKind::Sha256.hash(b"test")), wrong);
    }

    #[test]
    fn points_off_the_curve_and_other_encodings_are_refused() {
        for curve in CURVES {
            let parameters = curve.parameters();
            let point = NistSecret { curve, number: 5_u8.into() }.public();
            assert!(parameters.decode(&point).is_some());
            let compressed = [&[2], &point[1..=curve.size()]].concat();
            let mut off = point.clone();
            *off.last_mut().expect("it has bytes") ^= 1;
            let large = [&[UNCOMPRESSED][..], &vec![0xff; 2 * curve.size()]].concat();
            let other = NistSecret { curve: CURVES[(curve as usize + 1) % 3], number: 5_u8.into() };
            for wrong in [vec![], vec![0], compressed, off, large, other.public()] {
                assert_eq!(parameters.decode(&wrong), None, "{curve:?} {wrong:x?}");
            }
        }
    }
}
