//! Host keys that several hosts have: what a run remembers of each server, and what that shows at the end.
//!
//! Invariant: at most [`USES_MAX`] keys are remembered, and each server that is not is counted.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    net::IpAddr,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error, ser};

use super::sample::{NAMED_MAX, TargetSample};
use crate::{
    fingerprint::Fingerprint,
    outcome::{KeyProof, Outcome},
    targets::Host,
};

/// How many keys of servers are remembered: 16 MiB of them.
pub(super) const USES_MAX: usize = 1 << 18;

/// The bytes of a fingerprint that are compared: enough that nobody finds two keys that agree in them.
const COMPARED: usize = 16;

/// A host key that a server has proven to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct ProvenKey {
    key: [u8; COMPARED],
    /// The hash of the host's name; `None`: the target has no name.
    name: Option<u64>,
    address: IpAddr,
    port: u16,
    /// Whether it is the first key of its target.
    is_first: bool,
    /// Whether the target was counted as one without a shared key, and not as one of which that is not known.
    is_absent: bool,
}

/// The host keys of the servers of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SharedKeys {
    keys: Vec<ProvenKey>,
    /// Number of servers whose keys are not remembered.
    pub(super) forgotten: u64,
}

/// The targets whose keys other hosts have, too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SharingTargets {
    pub(super) found: TargetSample,
    /// How many of them were counted as targets without a shared key.
    pub(super) of_absent: u64,
}

impl SharedKeys {
    /// Returns whether the run has seen no server with a key.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.forgotten == 0
    }

    /// Returns whether the numbers can be those of a run with this number of outcomes.
    pub(super) fn is_sound(&self, outcomes: u64) -> bool {
        let targets = self.keys.iter().filter(|key| key.is_first).count() as u64;
        self.keys.len() <= USES_MAX && targets.saturating_add(self.forgotten) <= outcomes
    }

    /// Remembers the proven keys of a server. Returns whether they will be compared.
    pub(super) fn add(&mut self, outcome: &Outcome, is_absent: bool) -> bool {
        let details = outcome.verdict.details.as_deref();
        let keys = details.map(|details| details.host_keys.keys.as_slice()).unwrap_or_default();
        let mut proven = keys.iter().filter(|key| key.proof == KeyProof::Proven).peekable();
        let Some(endpoint) = outcome.endpoint.filter(|_| proven.peek().is_some()) else {
            return true;
        };
        if self.keys.len() + keys.len() > USES_MAX {
            self.forgotten += 1;
            return false;
        }
        let name = match &outcome.target.host {
            Host::Name(name) => Some(Fingerprint::of(name.as_bytes())),
            Host::Address(_) => None,
        };
        let (address, port) = (endpoint.ip(), endpoint.port());
        for (index, key) in proven.enumerate() {
            let key = *key.sha256.first_chunk().expect("the hash is longer");
            let is_first = index == 0;
            self.keys.push(ProvenKey { key, name, address, port, is_first, is_absent });
        }
        true
    }

    /// Returns the targets with a key that another host has, in the order in which they were checked.
    pub(super) fn sharing(&self) -> SharingTargets {
        let mut uses: HashMap<_, Vec<&ProvenKey>> = HashMap::new();
        for key in &self.keys {
            uses.entry(key.key).or_default().push(key);
        }
        let is_shared = |uses: &Vec<&ProvenKey>| {
            let hosts = uses.iter().map(|key| (key.name, Some(key.address)));
            uses.len() > 1 && count_hosts(hosts) > 1
        };
        let shared = uses.into_iter().filter(|(_, uses)| is_shared(uses)).map(|(key, _)| key);
        let shared: HashSet<_> = shared.collect();
        let mut sharing = SharingTargets::default();
        for target in self.keys.chunk_by(|_, next| !next.is_first) {
            if target.iter().any(|key| shared.contains(&key.key)) {
                sharing.add(target[0]);
            }
        }
        sharing
    }
}

impl SharingTargets {
    fn add(&mut self, key: ProvenKey) {
        self.found.count += 1;
        self.of_absent += u64::from(key.is_absent);
        if self.found.first.len() < NAMED_MAX {
            self.found.first.push(std::net::SocketAddr::new(key.address, key.port).to_string());
        }
    }
}

/// Counts hosts. Targets with one name, and targets with one address, are one host.
///
/// ```
/// use portmuster::gates::count_hosts;
///
/// let address = |last| Some([192, 0, 2, last].into());
/// let hosts = [(Some("a"), address(1)), (None, address(1)), (Some("a"), address(2))];
/// assert_eq!(count_hosts(hosts), 1);
/// assert_eq!(count_hosts([(Some("a"), address(1)), (Some("b"), address(2))]), 2);
/// ```
pub fn count_hosts<N: Hash + Eq>(
    hosts: impl IntoIterator<Item = (Option<N>, Option<IpAddr>)>,
) -> usize {
    let mut groups: Vec<usize> = Vec::new();
    let mut names = HashMap::new();
    let mut addresses = HashMap::new();
    for (name, address) in hosts {
        let new = groups.len();
        groups.push(new);
        let by_name = name.map(|name| *names.entry(name).or_insert(new));
        let by_address = address.map(|address| *addresses.entry(address).or_insert(new));
        for known in by_name.into_iter().chain(by_address) {
            let (one, other) = (first_of(&mut groups, known), first_of(&mut groups, new));
            groups[one.max(other)] = one.min(other);
        }
    }
    groups.iter().enumerate().filter(|(index, group)| index == *group).count()
}

/// Returns the first member of a group, and shortens the way to it.
fn first_of(groups: &mut [usize], mut member: usize) -> usize {
    while groups[member] != member {
        groups[member] = groups[groups[member]];
        member = groups[member];
    }
    member
}

/// A journal is text, in which the keys are base64: a third as long as lists of numbers.
impl Serialize for SharedKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let keys = postcard::to_stdvec(&self.keys).map_err(ser::Error::custom)?;
        (STANDARD.encode(keys), self.forgotten).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (text, forgotten) = <(String, u64)>::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(Error::custom)?;
        let keys: Vec<ProvenKey> = postcard::from_bytes(&bytes).map_err(Error::custom)?;
        Ok(Self { keys, forgotten })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        outcome::{
            HostKey, HostKeys, PortState, ProofFailure, Reason, Service, ServiceDetails, Verdict,
        },
        sink::samples,
        targets::Target,
    };

    /// Returns a server with proven keys, which are named by a byte each.
    fn server(host: &str, address: [u8; 4], keys: &[u8]) -> Outcome {
        let key = |&byte: &u8| HostKey { sha256: [byte; 32], ..samples::plain_key() };
        let keys = keys.iter().map(key).collect();
        let host_keys = HostKeys { keys, ..HostKeys::default() };
        let mut verdict = Verdict::new(PortState::Open, Reason::Accepted);
        verdict.service = Some(Service::Ssh);
        verdict.details = Some(Box::new(ServiceDetails { host_keys, ..ServiceDetails::default() }));
        let endpoint = Some((address, 22).into());
        Outcome { endpoint, ..Outcome::new(Target::new(host, 22), verdict) }
    }

    fn sharing(servers: &[Outcome]) -> SharingTargets {
        let mut keys = SharedKeys::default();
        assert!(servers.iter().all(|server| keys.add(server, true)));
        assert!(keys.is_sound(servers.len() as u64));
        let text = serde_json::to_string(&keys).expect("it is text");
        assert_eq!(serde_json::from_str::<SharedKeys>(&text).expect("it is a state"), keys);
        keys.sharing()
    }

    #[test]
    fn both_targets_of_a_shared_key_are_found_once_each() {
        let found = sharing(&[
            server("192.0.2.1", [192, 0, 2, 1], &[1, 2]),
            server("192.0.2.2", [192, 0, 2, 2], &[3]),
            server("192.0.2.3", [192, 0, 2, 3], &[2, 1]),
        ]);
        assert_eq!((found.found.count, found.of_absent), (2, 2));
        assert_eq!(found.found.first, ["192.0.2.1:22", "192.0.2.3:22"]);
    }

    #[test]
    fn addresses_and_names_of_one_host_share_nothing() {
        for (one, other) in [
            (server("a", [192, 0, 2, 1], &[1]), server("a", [192, 0, 2, 2], &[1])),
            (server("a", [192, 0, 2, 1], &[1]), server("192.0.2.1", [192, 0, 2, 1], &[1])),
        ] {
            assert_eq!(sharing(&[one, other]).found.count, 0);
        }
    }

    #[test]
    fn key_without_proof_is_not_compared() {
        let mut copied = server("192.0.2.2", [192, 0, 2, 2], &[1]);
        let details = copied.verdict.details.as_mut().expect("it has details");
        details.host_keys.keys[0].proof = KeyProof::Unproven(ProofFailure::WrongSignature);
        assert_eq!(sharing(&[server("192.0.2.1", [192, 0, 2, 1], &[1]), copied]).found.count, 0);
    }

    #[test]
    fn servers_beyond_the_limit_are_counted() {
        let mut keys = SharedKeys::default();
        let one = server("192.0.2.1", [192, 0, 2, 1], &[1]);
        keys.add(&one, true);
        keys.keys = vec![keys.keys[0]; USES_MAX];
        assert!(!keys.add(&one, true));
        assert_eq!((keys.keys.len(), keys.forgotten), (USES_MAX, 1));
        assert!(!keys.is_sound(7), "more servers than outcomes");
    }
}
