//! Reads and writes Ethernet frames with IPv4, IPv6 and ARP in them.
//!
//! - Invariant: a frame of any bytes causes no panic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{
    addresses::{GATEWAY_IPV4, GATEWAY_IPV6, GATEWAY_MAC, Mac, NEAR_MAC},
    network::Unassigned,
};

const ETHERNET: usize = 14;
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const ARP: [u8; 2] = [0x08, 0x06];

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// The most bytes of a packet that an ICMP error repeats, as Linux does (RFC 1812, section 4.3.2.3).
const REPEATED: usize = 528;

/// What a link needs to know of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Its source. The port is 0 if the protocol has no ports.
    pub(crate) source: SocketAddr,
    /// Its destination. The port is 0 if the protocol has no ports.
    pub(crate) destination: SocketAddr,
    /// Whether it is a SYN without ACK and RST.
    pub(crate) is_syn: bool,
}

/// Where the parts of an IP packet are in its frame.
struct Layout {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    /// The first byte after the IP header.
    payload: usize,
    /// The first byte after the packet.
    end: usize,
}

/// Reads a frame with a packet to one host; `None` for all others.
pub(crate) fn parse(frame: &[u8]) -> Option<Packet> {
    let Layout { source, destination, protocol, payload, end } = layout(frame)?;
    let is_unicast = match destination {
        IpAddr::V4(address) => !address.is_multicast() && !address.is_broadcast(),
        IpAddr::V6(address) => !address.is_multicast(),
    };
    let segment = frame.get(payload..end).filter(|_| is_unicast)?;
    let port = |at| match protocol {
        TCP | UDP => segment.get(at..at + 2).map(|port| u16::from_be_bytes([port[0], port[1]])),
        _ => Some(0),
    };
    let flags = if protocol == TCP { *segment.get(13)? } else { 0 };
    Some(Packet {
        source: SocketAddr::new(source, port(0)?),
        destination: SocketAddr::new(destination, port(2)?),
        is_syn: flags & (SYN | ACK | RST) == SYN,
    })
}

/// Sets the addresses of a frame. `parse` has read it.
pub(crate) fn readdress(frame: &mut [u8], from: Mac, to: Mac) {
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&from);
}

/// Returns the frame with which the near side's router refuses the packet of this frame; `None` if
/// the frame has no packet, or the reaction is silence.
pub(crate) fn refuse(frame: &[u8], reaction: Unassigned) -> Option<Vec<u8>> {
    let Layout { source, end, .. } = layout(frame)?;
    let (kind, code) = match (reaction, source.is_ipv4()) {
        (Unassigned::Silent, _) => return None,
        (Unassigned::Prohibited, true) => (3, 13),
        (Unassigned::Prohibited, false) => (1, 1),
        (Unassigned::Unreachable, true) => (3, 1),
        (Unassigned::Unreachable, false) => (1, 3),
    };
    let repeated = &frame[ETHERNET..end.min(ETHERNET + REPEATED)];
    let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(repeated);
    let mut packet = [NEAR_MAC, GATEWAY_MAC].concat();
    match source {
        IpAddr::V4(source) => {
            let sum = checksum(0, &message);
            message[2..4].copy_from_slice(&sum);
            packet.extend_from_slice(&IPV4);
            packet.extend_from_slice(&ipv4_header(source, message.len()));
        }
        IpAddr::V6(source) => {
            let pseudo = pseudo_header(GATEWAY_IPV6.into(), source.into(), ICMPV6, message.len());
            let sum = checksum(pseudo, &message);
            message[2..4].copy_from_slice(&sum);
            packet.extend_from_slice(&IPV6);
            packet.extend_from_slice(&ipv6_header(source, message.len()));
        }
    }
    packet.extend_from_slice(&message);
    Some(packet)
}

/// Returns the answer to an ARP request for the gateway; `None` for all other frames.
pub(crate) fn answer_arp(frame: &[u8]) -> Option<Vec<u8>> {
    const REQUEST: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 1];
    let request = frame.get(ETHERNET..ETHERNET + 28)?;
    let is_for_gateway = request[24..28] == GATEWAY_IPV4.octets();
    if frame[12..14] != ARP || request[..8] != REQUEST || !is_for_gateway {
        return None;
    }
    let (mac, address) = (&request[8..14], &request[14..18]);
    let gateway = GATEWAY_IPV4.octets();
    let ethernet = [mac, &GATEWAY_MAC, &ARP];
    let answer = [&REQUEST[..7], &[2], &GATEWAY_MAC, &gateway, mac, address];
    Some([ethernet.concat(), answer.concat()].concat())
}

/// Finds the parts of an IP packet; `None` if the frame has none, or only a part of one.
fn layout(frame: &[u8]) -> Option<Layout> {
    let header = frame.get(ETHERNET..)?;
    match [frame[12], frame[13]] {
        IPV4 if header.len() >= 20 => {
            let payload = ETHERNET + usize::from(header[0] & 15) * 4;
            let end = ETHERNET + usize::from(u16::from_be_bytes([header[2], header[3]]));
            let octets = |at: usize| {
                Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3])
            };
            let (source, destination) = (octets(12).into(), octets(16).into());
            let is_whole = header[0] >> 4 == 4 && payload <= end && end <= frame.len();
            is_whole.then_some(Layout { source, destination, protocol: header[9], payload, end })
        }
        IPV6 if header.len() >= 40 => {
            let payload = ETHERNET + 40;
            let end = payload + usize::from(u16::from_be_bytes([header[4], header[5]]));
            let octets = |at: usize| {
                let octets: [u8; 16] = header[at..at + 16].try_into().expect("it has 16 bytes");
                Ipv6Addr::from(octets)
            };
            let (source, destination) = (octets(8).into(), octets(24).into());
            (header[0] >> 4 == 6 && end <= frame.len()).then_some(Layout {
                source,
                destination,
                protocol: header[6],
                payload,
                end,
            })
        }
        _ => None,
    }
}

/// Returns the header of a packet with ICMP from the gateway.
fn ipv4_header(to: Ipv4Addr, payload: usize) -> [u8; 20] {
    let mut header = [0; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&length(20 + payload));
    header[8..10].copy_from_slice(&[64, ICMP]);
    header[12..16].copy_from_slice(&GATEWAY_IPV4.octets());
    header[16..].copy_from_slice(&to.octets());
    let sum = checksum(0, &header);
    header[10..12].copy_from_slice(&sum);
    header
}

/// Returns the header of a packet with `ICMPv6` from the gateway.
fn ipv6_header(to: Ipv6Addr, payload: usize) -> [u8; 40] {
    let mut header = [0; 40];
    header[0] = 0x60;
    header[4..6].copy_from_slice(&length(payload));
    header[6..8].copy_from_slice(&[ICMPV6, 64]);
    header[8..24].copy_from_slice(&GATEWAY_IPV6.octets());
    header[24..].copy_from_slice(&to.octets());
    header
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).expect("packets are short").to_be_bytes()
}

/// Returns the sum of the words that the checksum of a segment covers beside the segment (RFC 9293,
/// section 3.1; RFC 8200, section 8.1).
fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> u64 {
    let address = |address| match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    };
    address(source) + address(destination) + u64::from(protocol) + length as u64
}

/// Returns the internet checksum of the bytes (RFC 1071), to which `initial` was added.
fn checksum(initial: u64, bytes: &[u8]) -> [u8; 2] {
    let mut total = initial + sum(bytes);
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    (!u16::try_from(total).expect("it was folded")).to_be_bytes()
}

fn sum(bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |&byte| byte.into());
    bytes.chunks(2).map(word).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A SYN of the near side, as tcpdump shows it, with a checksum.
    fn syn() -> Vec<u8> {
        let mut frame = [GATEWAY_MAC, NEAR_MAC].concat();
        frame.extend_from_slice(&IPV4);
        frame.extend_from_slice(&[
            0x45, 0, 0, 40, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 10, 199, 0, 2, 10, 200, 1, 2,
        ]);
        frame.extend_from_slice(&[
            0x9c, 0x40, 0, 22, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 16, 0, 0, 0, 0, 0,
        ]);
        frame
    }

    #[test]
    fn packet_has_endpoints_and_flags() {
        let mut frame = syn();
        let packet = parse(&frame).unwrap();
        assert_eq!(packet.source, "10.199.0.2:40000".parse().unwrap());
        assert_eq!(packet.destination, "10.200.1.2:22".parse().unwrap());
        assert!(packet.is_syn);
        frame[ETHERNET + 33] = SYN | ACK;
        assert!(!parse(&frame).unwrap().is_syn);
    }

    #[test]
    fn truncated_frames_are_not_read() {
        let frame = syn();
        for length in 0..frame.len() {
            assert_eq!(parse(&frame[..length]), None, "{length}");
            assert_eq!(refuse(&frame[..length], Unassigned::Prohibited), None);
            assert_eq!(answer_arp(&frame[..length]), None);
        }
    }

    #[test]
    fn refusal_repeats_the_packet_and_has_correct_checksums() {
        let frame = refuse(&syn(), Unassigned::Prohibited).unwrap();
        let Layout { source, destination, protocol, payload, end } = layout(&frame).unwrap();
        assert_eq!((source, protocol), (GATEWAY_IPV4.into(), ICMP));
        assert_eq!(destination, "10.199.0.2".parse::<IpAddr>().unwrap());
        assert_eq!(frame[payload..payload + 2], [3, 13]);
        assert_eq!(frame[payload + 8..end], syn()[ETHERNET..]);
        assert_eq!(checksum(0, &frame[ETHERNET..payload]), [0, 0]);
        assert_eq!(checksum(0, &frame[payload..end]), [0, 0]);
        assert_eq!(refuse(&syn(), Unassigned::Silent), None);
    }

    #[test]
    fn arp_request_for_the_gateway_is_answered() {
        let mut frame = [[0xff; 6], NEAR_MAC].concat();
        frame.extend_from_slice(&ARP);
        frame.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend_from_slice(&NEAR_MAC);
        frame.extend_from_slice(&[10, 199, 0, 2, 0, 0, 0, 0, 0, 0, 10, 199, 0, 1]);
        let answer = answer_arp(&frame).unwrap();
        assert_eq!(answer[..12], [NEAR_MAC, GATEWAY_MAC].concat());
        assert_eq!(answer[20..22], [0, 2]);
        assert_eq!(answer[22..28], GATEWAY_MAC);
        *frame.last_mut().unwrap() = 9;
        assert_eq!(answer_arp(&frame), None);
    }
}
