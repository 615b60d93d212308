//! The addresses of the two devices of a link, and of the routers that the forwarder pretends to be.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The address of an Ethernet device.
pub(crate) type Mac = [u8; 6];

/// The networks of the near side, which no other network may contain.
pub(crate) const NEAR_IPV4_NETWORK: &str = "10.199.0.0/24";
pub(crate) const NEAR_IPV6_NETWORK: &str = "fd00:199::/64";

/// The near side.
pub(crate) const NEAR_IPV4: Ipv4Addr = Ipv4Addr::new(10, 199, 0, 2);
pub(crate) const NEAR_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x199, 0, 0, 0, 0, 0, 2);
pub(crate) const NEAR_MAC: Mac = [2, 0, 0, 0, 0, 2];

/// The router of the near side.
pub(crate) const GATEWAY_IPV4: Ipv4Addr = Ipv4Addr::new(10, 199, 0, 1);
pub(crate) const GATEWAY_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x199, 0, 0, 0, 0, 0, 1);
pub(crate) const GATEWAY_MAC: Mac = [2, 0, 0, 0, 0, 1];

/// The device of all hosts, and their router.
pub(crate) const HOSTS_MAC: Mac = [2, 0, 0, 0, 1, 2];
pub(crate) const HOSTS_GATEWAY_MAC: Mac = [2, 0, 0, 0, 1, 1];
