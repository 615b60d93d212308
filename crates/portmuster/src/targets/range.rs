//! Addresses as integers, and ranges of them.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// An IPv4 or IPv6 address as an integer.
pub(crate) trait AddressNumber: Copy + Ord + fmt::Debug {
    /// Returns the next address; `None` after the highest.
    fn next(self) -> Option<Self>;
    /// Returns the previous address; `None` before 0.
    fn previous(self) -> Option<Self>;
    /// Returns the number of addresses from this one to `last`, inclusive; saturates.
    fn count_to(self, last: Self) -> u128;
}

impl AddressNumber for u32 {
    fn count_to(self, last: Self) -> u128 {
        u128::from(last - self) + 1
    }

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

impl AddressNumber for u128 {
    fn count_to(self, last: Self) -> u128 {
        (last - self).saturating_add(1)
    }

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

/// An address family. An IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) belongs to IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// Both families, IPv4 first.
    pub(crate) const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Returns the family of an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        if address.to_canonical().is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// The addresses from a first to a last one of the same family, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressRange {
    V4(u32, u32),
    V6(u128, u128),
}

impl AddressRange {
    /// Creates the range from `first` to `last`, which must not be lower and of the same family.
    /// IPv4-mapped IPv6 addresses (RFC 4291 §2.5.5.2) become IPv4 addresses.
    pub(crate) fn between(first: IpAddr, last: IpAddr) -> Self {
        match (first.to_canonical(), last.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => Self::V4(first.into(), last.into()),
            _ => Self::V6(bits(first), bits(last)),
        }
    }

    /// Returns the number of addresses; saturates at `u128::MAX`.
    pub(crate) fn len(self) -> u128 {
        match self {
            Self::V4(first, last) => first.count_to(last),
            Self::V6(first, last) => first.count_to(last),
        }
    }

    /// Returns the address at `index`, which must be below the length.
    pub(crate) fn get(self, index: u128) -> Option<IpAddr> {
        match self {
            Self::V4(first, _) => {
                Some(Ipv4Addr::from(first.checked_add(u32::try_from(index).ok()?)?).into())
            }
            Self::V6(first, _) => Some(Ipv6Addr::from(first.checked_add(index)?).into()),
        }
    }
}

/// Returns the integer of an address; an IPv4 address is first mapped to IPv6.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => address.into(),
    }
}
