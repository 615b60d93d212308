//! Sample packets of an ssh server, for tests.

/// Returns a packet with this payload, padded according to RFC 4253 §6.
pub(crate) fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 4 + (8 - (payload.len() + 9) % 8) % 8;
    let length = u32::try_from(1 + payload.len() + padding).expect("the payload is short");
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).expect("the padding is shorter than 12"));
    packet.extend_from_slice(payload);
    packet.extend(std::iter::repeat_n(0, padding));
    assert_eq!(packet.len() % 8, 0);
    packet
}

/// Returns the payload of an `SSH_MSG_KEXINIT` with these lists.
pub(crate) fn kexinit(lists: [&str; 10]) -> Vec<u8> {
    let mut payload = vec![20];
    payload.extend_from_slice(b"sixteen  bytes !");
    for list in lists {
        payload.extend_from_slice(
            &u32::try_from(list.len()).expect("the list is short").to_be_bytes(),
        );
        payload.extend_from_slice(list.as_bytes());
    }
    payload.extend_from_slice(&[0; 5]);
    payload
}

/// The lists of a sample `SSH_MSG_KEXINIT`.
pub(crate) const LISTS: [&str; 10] = [
    "curve25519-sha256,diffie-hellman-group1-sha1",
    "ssh-ed25519,ssh-dss",
    "aes128-ctr,aes128-cbc",
    "aes128-ctr",
    "hmac-sha2-256",
    "hmac-md5",
    "none",
    "none,zlib@openssh.com",
    "",
    "",
];
