//! The names of hosts in `known_hosts`, plain and hashed.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::targets::Target;

/// The port that names of hosts do not show.
const SSH_PORT: u16 = 22;

/// The size of the salt of a hashed name, in bytes: that of a SHA-1 hash.
pub(crate) const SALT_SIZE: usize = 20;

/// Returns the name under which `known_hosts` has the target: in lower case, with its port in the form
/// `[host]:port` unless that is 22. `None` if the file has a meaning of its own for a character of it.
pub(crate) fn known_hosts_name(target: &Target) -> Option<String> {
    let host = target.host.to_string().to_ascii_lowercase();
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b",*?!|#@[]".contains(&byte);
    let name =
        if target.port == SSH_PORT { host.clone() } else { format!("[{host}]:{}", target.port) };
    host.bytes().all(is_plain).then_some(name)
}

/// Returns the hashed form of a name.
pub(crate) fn hashed_host(name: &str, salt: &[u8; SALT_SIZE]) -> String {
    format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(host_hash(name, salt)))
}

/// Returns the hash of a name: HMAC-SHA-1 with the salt as its key.
pub(crate) fn host_hash(name: &str, salt: &[u8; SALT_SIZE]) -> [u8; SALT_SIZE] {
    let mut mac =
        <Hmac<Sha1> as KeyInit>::new_from_slice(salt).expect("a key of any length is valid");
    mac.update(name.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line that `ssh-keygen -H` of OpenSSH 9.2 has written for `192.0.2.7`.
    #[test]
    fn hash_equals_that_of_ssh_keygen() {
        let hashed = "|1|CjMTS/KoAWUABvmBZ4K97+7Ca2M=|I9B0DdfziTREoOfCCdDtSUAVVJQ=";
        let salt = hashed.split('|').nth(2).expect("it has a salt");
        let salt = STANDARD.decode(salt).expect("it is base64");
        let salt = salt.try_into().expect("it has 20 bytes");
        assert_eq!(hashed_host("192.0.2.7", &salt), hashed);
    }
}
