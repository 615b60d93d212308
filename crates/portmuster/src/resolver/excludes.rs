//! Looks up all excluded names before a run sends anything.
//!
//! Invariant: either every name is found and all its addresses of both families are excluded, or
//! nothing changes.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    net::SocketAddr,
    sync::Arc,
};

use thiserror::Error;

use super::{lookup_pool::Resolver, system};
use crate::{
    descriptors,
    outcome::Reason,
    schedule::{
        Found, Lookup, LookupError, Missing, OUT_OF_ORDER, Question, Scope, again_after,
        has_failed, or_earlier,
    },
    targets::{Excludes, Family},
};

/// The error of [`Excludes::resolve`]: names whose addresses are not all known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ExcludeError {
    /// At least one.
    failed: Vec<FailedName>,
}

/// An excluded name whose addresses are not all known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedName {
    /// The index of the name in [`Excludes::unresolved`].
    pub position: usize,
    /// The name, as it was added.
    pub name: Arc<str>,
    /// Why the addresses are not known.
    pub reason: Reason,
    /// The family whose addresses are not known. `None` if those of neither are.
    family: Option<Family>,
}

impl ExcludeError {
    /// Returns the names, in the order in which they were added; at least one.
    #[must_use]
    pub fn failed(&self) -> &[FailedName] {
        &self.failed
    }
}

impl fmt::Display for ExcludeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, more)) = self.failed.split_first() else { return Ok(()) };
        write!(formatter, "can't exclude {first}")?;
        if more.is_empty() { Ok(()) } else { write!(formatter, "; and {} more", more.len()) }
    }
}

impl fmt::Display for FailedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.name)?;
        match self.reason {
            Reason::NoSuchName => {
                formatter.write_str("there is no such name, or it has no address")
            }
            Reason::LookupFailed => match self.family {
                None => formatter.write_str("the resolver gave no answer"),
                Some(Family::V4) => formatter.write_str("the resolver gave no answer for IPv4"),
                Some(Family::V6) => formatter.write_str("the resolver gave no answer for IPv6"),
            },
            Reason::TooManyAddresses => {
                write!(formatter, "it has more than {} addresses", Scope::Each.addresses_max())
            }
            Reason::Fault(fault) => write!(formatter, "this machine is short of {fault}"),
            reason => reason.fmt(formatter),
        }
    }
}

impl Excludes {
    /// Looks up the names that were added since the last call, and excludes all their addresses, on the
    /// ports that were excluded with the name. The names themselves stay excluded.
    ///
    /// Asks the operating system's resolver in a bounded number of threads, and waits for the answers.
    /// A name without an answer for one or both families is looked up three times within eight seconds
    /// plus the time that the resolver takes. Raises this process's soft limit of descriptors to its
    /// hard limit.
    ///
    /// # Errors
    /// Returns the names whose addresses are not all known. Then nothing has changed, and all names
    /// stay [unresolved](Self::unresolved).
    ///
    /// ```
    /// use portmuster::targets::Excludes;
    ///
    /// let mut excludes = Excludes::new();
    /// excludes.add("localhost:22")?;
    /// excludes.resolve()?;
    /// assert!(excludes.contains([127, 0, 0, 1].into(), 22));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resolve(&mut self) -> Result<(), ExcludeError> {
        if self.unresolved().len() == 0 {
            return Ok(());
        }
        let lookups = look_up_all(self.unresolved().cloned(), descriptors::budget().lookups);
        let failed = self.unresolved().enumerate().filter_map(|(position, name)| {
            let (reason, family) = self.failure(lookups.get(name)?)?;
            Some(FailedName { position, name: Arc::clone(name), reason, family })
        });
        let failed: Vec<_> = failed.collect();
        if !failed.is_empty() {
            return Err(ExcludeError { failed });
        }
        self.resolve_with(|name| {
            let found = lookups.get(name).and_then(|lookup| lookup.as_ref().ok());
            let addresses = found.map(|found| &*found.addresses).unwrap_or_default();
            addresses.iter().map(SocketAddr::ip).collect()
        });
        Ok(())
    }

    /// Returns why addresses may be missing that need to be excluded, and the family if only one is
    /// concerned. `None` if none can be missing.
    fn failure(&self, lookup: &Lookup) -> Option<(Reason, Option<Family>)> {
        match lookup {
            Ok(Found { missing: None | Some(Missing::NotAsked(_)), .. }) => None,
            // All addresses of this family are excluded anyway.
            Ok(Found { missing: Some(Missing::Family(family)), .. })
                if self.contains_all_ports(*family) =>
            {
                None
            }
            Ok(Found { missing: Some(Missing::Family(family)), .. }) => {
                Some((Reason::LookupFailed, Some(*family)))
            }
            Ok(Found { missing: Some(Missing::Beyond), .. }) => {
                Some((Reason::TooManyAddresses, None))
            }
            Err(error) => Some((reason(*error), None)),
        }
    }
}

/// Returns the reason of a host without known addresses.
pub(super) fn reason(error: LookupError) -> Reason {
    match error {
        LookupError::NoSuchName => Reason::NoSuchName,
        LookupError::NoAnswer => Reason::LookupFailed,
        LookupError::NoSuchInterface => Reason::NoSuchInterface,
        LookupError::Short(fault) => Reason::Fault(fault),
    }
}

/// Looks up the names, `lookups` at a time, and those without an answer again after a pause.
fn look_up_all(names: impl Iterator<Item = Arc<str>>, lookups: usize) -> HashMap<Arc<str>, Lookup> {
    let mut resolver = Resolver::new(lookups);
    let names: HashSet<_> = names.collect();
    let mut answers = HashMap::with_capacity(names.len());
    look_up_once(names, &mut resolver, &mut answers);
    for retries in 0.. {
        let again: HashMap<_, _> = answers
            .iter()
            .filter_map(|(name, lookup)| Some((Arc::clone(name), again_after(lookup, retries)?)))
            .collect();
        let Some(&pause) = again.values().max() else { break };
        if again.len() >= OUT_OF_ORDER && answers.values().all(has_failed) {
            break;
        }
        let _ = crossbeam_channel::after(pause).recv();
        let mut later = HashMap::with_capacity(again.len());
        look_up_once(again.into_keys().collect(), &mut resolver, &mut later);
        for (name, lookup) in later {
            let earlier = answers.remove(&name).and_then(Lookup::ok);
            answers.insert(name, or_earlier(lookup, earlier));
        }
    }
    answers
}

fn look_up_once(
    names: HashSet<Arc<str>>,
    resolver: &mut Resolver,
    answers: &mut HashMap<Arc<str>, Lookup>,
) {
    let all = names.len();
    let mut wanted = names.into_iter();
    while answers.len() < all {
        while resolver.has_room()
            && let Some(name) = wanted.next()
        {
            resolver.ask(&Question { name, scope: Scope::Each });
        }
        let (Question { name, .. }, lookup) = resolver.wait();
        // A lookup for which this machine was short of something may succeed alone.
        let lookup = match lookup {
            Err(LookupError::Short(_)) => system::look_up(&name, Scope::Each),
            lookup => lookup,
        };
        answers.insert(name, lookup);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn excludes(items: &[&str]) -> Excludes {
        let mut excludes = Excludes::new();
        for item in items {
            excludes.add(item).expect("an item");
        }
        excludes
    }

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn addresses_of_names_are_excluded_with_their_ports() {
        let mut excludes = excludes(&["localhost:22", "LOCALHOST:24", "10.0.0.1"]);
        assert_eq!(excludes.unresolved().len(), 2);
        assert!(!excludes.contains(LOOPBACK, 22));
        excludes.resolve().expect("the hosts file has it");
        assert_eq!(excludes.unresolved().len(), 0);
        let ports = [22, 23, 24].map(|port| excludes.contains(LOOPBACK, port));
        assert_eq!(ports, [true, false, true]);
        let ports = [22, 23, 24].map(|port| excludes.contains_name("localhost", port));
        assert_eq!(ports, [true, false, true], "the name itself");
        excludes.add("localhost").expect("an item");
        excludes.resolve().expect("the hosts file has it");
        assert!(excludes.contains(LOOPBACK, 23));
    }

    #[test]
    fn names_that_are_not_found_are_reported_and_nothing_changes() {
        // No name server is asked for an address with a zone.
        let mut excludes = excludes(&["localhost", "10.0.0.1"]);
        excludes.add_unchecked_name("fe80::1%a b");
        excludes.add_unchecked_name("");
        let error = excludes.resolve().expect_err("two names are not found");
        let failed: Vec<_> = error.failed().iter().map(|it| (it.position, it.reason)).collect();
        assert_eq!(failed, [(1, Reason::NoSuchInterface), (2, Reason::NoSuchName)]);
        let message = "can't exclude fe80::1%a b: no-such-interface; and 1 more";
        assert_eq!(error.to_string(), message);
        assert_eq!(excludes.unresolved().len(), 3);
        assert!(!excludes.contains(LOOPBACK, 22));
    }

    #[test]
    fn thousands_of_names_are_looked_up_by_two_threads() {
        // Each of these is a different address, for which no server is asked.
        let names: Vec<Arc<str>> =
            (0..3000).map(|number| format!("0x7f.{number}").into()).collect();
        let answers = look_up_all(names.iter().cloned(), 2);
        for (number, name) in (0_u32..).zip(&names) {
            let found = answers[name].as_ref().expect("it is an address");
            assert_eq!(found.addresses[0].ip(), IpAddr::from((0x7f00_0000 + number).to_be_bytes()));
        }
        assert_eq!(answers.len(), 3000);
    }
}
