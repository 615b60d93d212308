//! What a run must not find.

use std::{fmt, slice, str::FromStr};

use thiserror::Error;

use crate::{
    config::Probing,
    named_enum::named_enum,
    outcome::{Service, Weakness},
};

/// Something that a run must not find: an open port, a service, a weakness, or a host key of several hosts.
///
/// It is parsed from and displayed as a name: `open`, the name of a [`Service`] or [`Weakness`], or
/// that of a [`WeaknessGroup`], or `shared-host-key`.
///
/// ```
/// use portmuster::{Service, gates::Forbidden};
///
/// assert_eq!("telnet".parse(), Ok(Forbidden::Service(Service::Telnet)));
/// assert!("tellnet".parse::<Forbidden>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Forbidden {
    /// An accepted connection.
    Open,
    /// A service. [Ssh](Service::Ssh) includes [throttled ssh](Service::SshThrottled).
    Service(Service),
    /// A weakness of an ssh or telnet server.
    Weakness(Weakness),
    /// Any weakness of a group.
    Group(WeaknessGroup),
    /// A proven host key that several hosts have: targets with different names and addresses.
    SharedHostKey,
}

named_enum! {
    /// A group of weaknesses that one name forbids.
    #[non_exhaustive]
    pub enum WeaknessGroup: "group of weaknesses" {
        /// Every weakness but `telnet-new-environ`, `no-post-quantum` and `host-key-unknown`.
        All = "weak",
        /// Weak methods of key exchange.
        Kex = "weak-kex",
        /// Weak host keys and signatures.
        HostKey = "weak-host-key",
        /// Weak ciphers.
        Cipher = "weak-cipher",
        /// Weak message authentication codes.
        Mac = "weak-mac",
    }
}

/// A text that names nothing that can be forbidden.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} can't be forbidden: name a service, a weakness, open, weak, weak-kex, weak-host-key, \
     weak-cipher, weak-mac or shared-host-key"
)]
pub struct UnknownForbidden(String);

impl Forbidden {
    /// Returns everything that has a name, in the order in which help lists it.
    ///
    /// [`Service::NotProbed`] has none: [`Self::Open`] covers targets that are not probed.
    pub fn all() -> impl Iterator<Item = Self> {
        let services = Service::ALL.into_iter().filter(|&service| service != Service::NotProbed);
        let weaknesses = Weakness::ALL.into_iter().map(Self::Weakness);
        let groups = WeaknessGroup::ALL.into_iter().map(Self::Group);
        let found = services.map(Self::Service).chain(weaknesses).chain(groups);
        [Self::Open].into_iter().chain(found).chain([Self::SharedHostKey])
    }

    /// Returns the name, as texts and summaries write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Service(service) => service.name(),
            Self::Weakness(weakness) => weakness.name(),
            Self::Group(group) => group.name(),
            Self::SharedHostKey => "shared-host-key",
        }
    }

    /// Returns whether a run with this probing can detect it.
    ///
    /// What a run can't detect is [inconclusive](super::Presence::Inconclusive) where it may be.
    #[must_use]
    pub fn is_detectable_with(self, probing: Probing) -> bool {
        match probing {
            Probing::ConnectOnly => self == Self::Open,
            Probing::Greeting => self != Self::SharedHostKey && !needs_kex_init(self.weaknesses()),
            Probing::KeyExchange => true,
        }
    }

    /// Returns whether only a run that asks for [host keys](crate::config::HostKeyProbing) can detect it.
    #[must_use]
    pub fn needs_host_keys(self) -> bool {
        self == Self::SharedHostKey || needs_host_key(self.weaknesses())
    }

    /// Returns whether only a run with [known keys](crate::Checker::knowing_keys) can detect it.
    #[must_use]
    pub fn needs_known_keys(self) -> bool {
        let weaknesses = self.weaknesses();
        !weaknesses.is_empty() && weaknesses.iter().all(|&it| it >= Weakness::HostKeyRevoked)
    }

    /// Returns the forbidden weaknesses; empty if it is an open port or a service.
    pub(super) fn weaknesses(&self) -> &[Weakness] {
        match self {
            Self::Open | Self::Service(_) | Self::SharedHostKey => &[],
            Self::Weakness(weakness) => slice::from_ref(weakness),
            Self::Group(group) => group.weaknesses(),
        }
    }
}

/// Returns whether none of these weaknesses can be detected without a host key.
pub(super) fn needs_host_key(weaknesses: &[Weakness]) -> bool {
    !weaknesses.is_empty() && weaknesses.iter().all(|&it| it >= Weakness::HostKeyUnproven)
}

/// Returns whether detecting all of these weaknesses requires the algorithms of the server.
pub(super) fn needs_kex_init(weaknesses: &[Weakness]) -> bool {
    weaknesses.iter().any(|weakness| weakness.is_of_algorithms())
}

impl WeaknessGroup {
    /// Returns the weaknesses of the group.
    #[must_use]
    pub fn weaknesses(self) -> &'static [Weakness] {
        match self {
            Self::All => &[
                Weakness::Ssh1,
                Weakness::Terrapin,
                Weakness::NoEncryption,
                Weakness::NoIntegrity,
                Weakness::Group1Sha1,
                Weakness::Sha1Kex,
                Weakness::SshDss,
                Weakness::Sha1Signatures,
                Weakness::Rc4,
                Weakness::Des,
                Weakness::TripleDes,
                Weakness::ShortBlock,
                Weakness::Cbc,
                Weakness::Md5,
                Weakness::HostKeyUnproven,
                Weakness::HostKeyShort,
                Weakness::HostKeyRevoked,
                Weakness::HostKeyChanged,
            ],
            Self::Kex => &[Weakness::Group1Sha1, Weakness::Sha1Kex],
            Self::HostKey => {
                const {
                    &[
                        Weakness::SshDss,
                        Weakness::Sha1Signatures,
                        Weakness::HostKeyUnproven,
                        Weakness::HostKeyShort,
                        Weakness::HostKeyRevoked,
                    ]
                }
            }
            Self::Cipher => &[
                Weakness::NoEncryption,
                Weakness::Rc4,
                Weakness::Des,
                Weakness::TripleDes,
                Weakness::ShortBlock,
                Weakness::Cbc,
            ],
            Self::Mac => &[Weakness::NoIntegrity, Weakness::Md5],
        }
    }
}

impl From<Service> for Forbidden {
    fn from(service: Service) -> Self {
        Self::Service(service)
    }
}

impl From<Weakness> for Forbidden {
    fn from(weakness: Weakness) -> Self {
        Self::Weakness(weakness)
    }
}

impl From<WeaknessGroup> for Forbidden {
    fn from(group: WeaknessGroup) -> Self {
        Self::Group(group)
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Forbidden {
    type Err = UnknownForbidden;

    fn from_str(name: &str) -> Result<Self, UnknownForbidden> {
        let found = Self::all().find(|item| item.name() == name);
        found.ok_or_else(|| UnknownForbidden(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn parse(name: &str) -> Forbidden {
        name.parse().expect("the name can be forbidden")
    }

    #[test]
    fn names_are_unique_and_parse_back() {
        let names: BTreeSet<_> = Forbidden::all().map(Forbidden::name).collect();
        assert_eq!(names.len(), Forbidden::all().count());
        for item in Forbidden::all() {
            assert_eq!(parse(item.name()), item);
        }
        let error = "not-probed".parse::<Forbidden>().expect_err("it is no finding");
        let groups = WeaknessGroup::ALL.map(WeaknessGroup::name);
        assert!(groups.into_iter().all(|group| error.to_string().contains(group)), "{error}");
    }

    #[test]
    fn groups_cover_every_weakness_of_an_algorithm_list() {
        let parts = WeaknessGroup::ALL.into_iter().filter(|&group| group != WeaknessGroup::All);
        let covered: BTreeSet<_> = parts.flat_map(WeaknessGroup::weaknesses).copied().collect();
        let others = Weakness::ALL.into_iter().filter(|weakness| !covered.contains(weakness));
        let advice: Vec<_> = Weakness::ALL.into_iter().filter(|it| it.is_advice()).collect();
        let alone = [Weakness::Ssh1, Weakness::Terrapin, Weakness::HostKeyChanged];
        let alone: BTreeSet<_> = advice.iter().copied().chain(alone).collect();
        assert_eq!(others.collect::<BTreeSet<_>>(), alone);
        let all = WeaknessGroup::All.weaknesses();
        let not_in_all = Weakness::ALL.into_iter().filter(|weakness| !all.contains(weakness));
        assert_eq!(not_in_all.collect::<Vec<_>>(), advice);
    }

    #[test]
    fn limited_probing_hides_what_it_skips() {
        let is_detectable = |name, probing| parse(name).is_detectable_with(probing);
        assert!(!is_detectable("telnet", Probing::ConnectOnly));
        assert!(is_detectable("open", Probing::ConnectOnly));
        assert!(!is_detectable("ssh-1", Probing::ConnectOnly));
        assert!(!is_detectable("weak-kex", Probing::Greeting));
        assert!(!is_detectable("weak", Probing::Greeting));
        assert!(!is_detectable("cbc", Probing::Greeting));
        assert!(is_detectable("ssh-1", Probing::Greeting));
        assert!(is_detectable("telnet", Probing::Greeting));
        assert!(is_detectable("open", Probing::Greeting));
        assert!(is_detectable("weak", Probing::KeyExchange));
    }
}
