//! The groups of Diffie-Hellman: known ones, and the check of those that a server chooses.

use num_bigint::BigUint;

use super::algorithms::ModpGroup;

/// The least size in bits of a group that a server may choose. OpenSSH accepts no less than 2,048, but
/// old servers have only smaller ones.
pub(super) const BITS_MIN: u32 = 1024;
/// The size in bits of the group that a server is asked for.
pub(super) const BITS_WANTED: u32 = 2048;
/// The largest size in bits of a group that a server may choose (RFC 4419 §3).
pub(super) const BITS_MAX: u32 = 8192;

/// The generator of all known groups.
const GENERATOR: u8 = 2;

/// The second group of Oakley (RFC 2409 §6.2), which ssh calls the first.
const GROUP_1: &[u8] = b"\
    FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
    020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
    4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF";

/// The group of RFC 3526 §3.
const GROUP_14: &[u8] = b"\
    FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
    020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
    4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
    98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
    9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
    E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718\
    3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF";

/// The group of RFC 3526 §5.
const GROUP_16: &[u8] = b"\
    FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
    020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
    4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
    98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
    9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
    E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718\
    3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33\
    A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7\
    ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864\
    D87602733EC86A64521F2B18177B200CBBE117577A615D6C770988C0BAD946E2\
    08E24FA074E5AB3143DB5BFCE0FD108E4B82D120A92108011A723C12A787E6D7\
    88719A10BDBA5B2699C327186AF4E23C1A946834B6150BDA2583E9CA2AD44CE8\
    DBBBC2DB04DE8EF92E8EFC141FBECAA6287C59474E6BC05D99B2964FA090C3A2\
    233BA186515BE7ED1F612970CEE2D7AFB81BDD762170481CD0069127D5B05AA9\
    93B4EA988D8FDDC186FFB7DC90A6C08F4DF435C934063199FFFFFFFFFFFFFFFF";

/// A prime and a generator.
#[derive(Debug, Clone)]
pub(super) struct DhGroup {
    pub(super) prime: BigUint,
    pub(super) generator: BigUint,
}

impl DhGroup {
    /// Returns a known group.
    pub(super) fn known(group: ModpGroup) -> Self {
        let digits = match group {
            ModpGroup::Group1 => GROUP_1,
            ModpGroup::Group14 => GROUP_14,
            ModpGroup::Group16 => GROUP_16,
        };
        let prime = BigUint::parse_bytes(digits, 16).expect("the digits are hexadecimal");
        Self { prime, generator: GENERATOR.into() }
    }

    /// Returns the group that a server chose; `None` if its numbers are out of range. Whether its prime is
    /// one is not checked.
    pub(super) fn chosen(prime: &[u8], generator: &[u8]) -> Option<Self> {
        let [prime, generator] = [prime, generator].map(BigUint::from_bytes_be);
        let has_size = (u64::from(BITS_MIN)..=u64::from(BITS_MAX)).contains(&prime.bits());
        let group = Self { prime, generator };
        (has_size && group.prime.bit(0) && group.contains(&group.generator)).then_some(group)
    }

    /// Returns whether a number is one that a side may send: neither 0, 1, nor the prime minus 1, nor
    /// larger (RFC 4253 §8).
    pub(super) fn contains(&self, number: &BigUint) -> bool {
        *number > BigUint::ONE && *number < &self.prime - 1_u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula of RFC 2409 §6.2 and RFC 3526: 2^n - 2^(n - 64) - 1 + 2^64 * (...), so the first and
    /// the last 64 bits are ones. Fermat's test with base 3 shows a wrong digit.
    #[test]
    fn known_groups_are_safe_primes() {
        for (group, bits) in
            [(ModpGroup::Group1, 1024), (ModpGroup::Group14, 2048), (ModpGroup::Group16, 4096)]
        {
            let DhGroup { prime, .. } = DhGroup::known(group);
            let one = BigUint::ONE;
            assert_eq!(prime.bits(), bits, "{group:?}");
            for prime in [&prime, &(&prime >> 1)] {
                let power = BigUint::from(3_u8).modpow(&(prime - &one), prime);
                assert_eq!(power, one, "{group:?}");
            }
        }
    }

    #[test]
    fn unusable_groups_are_refused() {
        let prime = DhGroup::known(ModpGroup::Group14).prime;
        let is_chosen = |prime: &BigUint, generator: &BigUint| {
            DhGroup::chosen(&prime.to_bytes_be(), &generator.to_bytes_be()).is_some()
        };
        let number = |number: u8| BigUint::from(number);
        assert!(is_chosen(&prime, &number(2)) && is_chosen(&prime, &(&prime - number(2))));
        for (prime, generator) in [
            (number(0), number(2)),
            (number(1), number(2)),
            (&prime - number(1), number(2)),
            (&prime >> 1025, number(2)),
            ((number(1) << 65_535) + number(1), number(2)),
            (prime.clone(), number(0)),
            (prime.clone(), number(1)),
            (prime.clone(), &prime - number(1)),
            (prime.clone(), prime.clone()),
        ] {
            assert!(!is_chosen(&prime, &generator), "{} bits, {generator}", prime.bits());
        }
    }
}
