//! Names, by the operating system's resolver: hosts file, search domains, everything that the
//! user's other programs see.
//!
//! A lookup blocks its thread for as long as the system likes, so lookups have threads of their
//! own, never those that check. They can't be interrupted: one that runs when its resolver is
//! dropped finishes by itself and its answer is lost.
//!
//! Invariant: at most [`THREADS_MAX`] threads and [`ASKED_MAX`] lookups at a time; neither asking
//! nor answering ever blocks.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
    thread,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType};

use crate::{
    driver::descriptors,
    outcome::Fault,
    schedule::{Lookup, LookupError},
};

mod excludes;

pub use excludes::{ExcludeError, FailedName};

/// Threads that look up: a resolver that answers in 30 ms then gives a thousand names a second.
pub(crate) const THREADS_MAX: usize = 32;
/// Lookups that are asked for and not answered: enough that no thread waits for the next.
const ASKED_MAX: usize = 2 * THREADS_MAX;

/// What a name was found to be.
pub(crate) type Answer = (Arc<str>, Lookup);

/// Looks up names in threads of its own, which start as they are needed.
#[derive(Debug)]
pub(crate) struct Resolver {
    questions: Sender<Arc<str>>,
    questions_end: Receiver<Arc<str>>,
    answers: Sender<Answer>,
    answers_end: Receiver<Answer>,
    threads: usize,
    threads_max: usize,
    asked: usize,
}

impl Resolver {
    /// Looks up so many names at a time, at most [`THREADS_MAX`].
    pub(crate) fn new(lookups: usize) -> Self {
        let (questions, questions_end) = bounded(ASKED_MAX);
        let (answers, answers_end) = bounded(ASKED_MAX);
        Self {
            questions,
            questions_end,
            answers,
            answers_end,
            threads: 0,
            threads_max: lookups.min(THREADS_MAX),
            asked: 0,
        }
    }

    /// Whether another name may be asked for.
    pub(crate) fn has_room(&self) -> bool {
        self.asked < ASKED_MAX
    }

    /// Asks for a name. The answer comes through [`Self::answers`], and is to be
    /// [taken](Self::taken).
    pub(crate) fn ask(&mut self, name: &Arc<str>) {
        self.asked += 1;
        if self.threads < self.asked.min(self.threads_max) {
            self.start_thread();
        }
        if self.threads == 0 {
            let short = Err(LookupError::Short(Fault::Threads));
            let _ = self.answers.try_send((Arc::clone(name), short));
        } else {
            let _ = self.questions.try_send(Arc::clone(name));
        }
    }

    /// Where the answers come.
    pub(crate) fn answers(&self) -> &Receiver<Answer> {
        &self.answers_end
    }

    /// An answer was taken.
    pub(crate) fn taken(&mut self) {
        self.asked -= 1;
    }

    /// A thread more, unless this machine has none to give.
    fn start_thread(&mut self) {
        let (questions, answers) = (self.questions_end.clone(), self.answers.clone());
        let thread = thread::Builder::new().name("portmuster-name".into()).spawn(move || {
            for name in questions {
                let lookup = look_up(&name);
                if answers.send((name, lookup)).is_err() {
                    return;
                }
            }
        });
        self.threads += usize::from(thread.is_ok());
    }
}

/// Asks the system, and waits for its answer.
#[expect(clippy::disallowed_methods, reason = "this is where names are resolved")]
fn look_up(name: &str) -> Lookup {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = dns_lookup::getaddrinfo(Some(name), None, Some(hints));
    // A resolver that can't open its files or sockets may say that there is no such name.
    let found = found.map_err(|error| match descriptors::shortage() {
        Some(fault) => LookupError::Short(fault),
        None => error_of(error.kind(), name),
    })?;
    distinct(found.map(|address| address.map(|address| address.sockaddr)))
}

/// The addresses, each once; without those of a family that this program can't read.
fn distinct(found: impl Iterator<Item = io::Result<SocketAddr>>) -> Lookup {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    let mut unreadable = false;
    for address in found {
        match address {
            Ok(address) if addresses.contains(&address) => {}
            Ok(address) => addresses.push(address),
            Err(_) => unreadable = true,
        }
    }
    match addresses.is_empty() {
        false => Ok(addresses.into()),
        // The name has an address, so it is not that which is missing.
        true if unreadable => Err(LookupError::NoAnswer),
        true => Err(LookupError::NoSuchName),
    }
}

/// A name that no resolver could ever find is told from a resolver that is out of order.
fn error_of(kind: LookupErrorKind, name: &str) -> LookupError {
    match kind {
        // No server is asked for an address with a zone: the system has no such interface.
        LookupErrorKind::NoName | LookupErrorKind::NoData if has_zone(name) => {
            LookupError::NoSuchInterface
        }
        LookupErrorKind::NoName | LookupErrorKind::NoData => LookupError::NoSuchName,
        LookupErrorKind::IO if name.contains('\0') => LookupError::NoSuchName,
        _ => LookupError::NoAnswer,
    }
}

/// Whether it is an IPv6 address with a zone (RFC 4007 §11).
fn has_zone(name: &str) -> bool {
    name.split_once('%').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(resolver: &mut Resolver, name: &str) -> Lookup {
        resolver.ask(&name.into());
        let (answered, lookup) = resolver.answers().recv().expect("a thread answers");
        resolver.taken();
        assert_eq!(&*answered, name);
        lookup
    }

    #[test]
    fn the_systems_names_are_found() {
        let mut resolver = Resolver::new(THREADS_MAX);
        let addresses = answer(&mut resolver, "localhost").expect("every system has it");
        assert!(addresses.iter().all(|address| address.ip().is_loopback()), "{addresses:?}");
        let zoned = answer(&mut resolver, "fe80::1%lo").expect("it is an address");
        assert!(matches!(&*zoned, [SocketAddr::V6(address)] if address.scope_id() != 0));
    }

    #[test]
    fn what_is_no_name_is_not_found() {
        let mut resolver = Resolver::new(THREADS_MAX);
        for name in ["", "a\0b"] {
            assert_eq!(answer(&mut resolver, name), Err(LookupError::NoSuchName), "{name:?}");
        }
    }

    #[test]
    fn interface_that_is_not_here_is_told_apart_from_a_name() {
        let mut resolver = Resolver::new(THREADS_MAX);
        for name in ["fe80::1%no-such-zone", "ff02::1%no-such-zone", "2001:db8::1%lo", "fe80::1%"] {
            let lookup = answer(&mut resolver, name);
            assert_eq!(lookup, Err(LookupError::NoSuchInterface), "{name:?}");
        }
    }

    #[test]
    fn addresses_that_cannot_be_read_are_no_proof_that_there_is_no_name() {
        let one = SocketAddr::from(([192, 0, 2, 1], 0));
        let unreadable = || Err(io::Error::other("an unknown family"));
        let found = distinct([Ok(one), unreadable(), Ok(one)].into_iter());
        assert_eq!(found.as_deref(), Ok(&[one][..]));
        assert_eq!(distinct([unreadable()].into_iter()), Err(LookupError::NoAnswer));
        assert_eq!(distinct([].into_iter()), Err(LookupError::NoSuchName));
    }

    #[test]
    fn as_many_as_may_be_asked_are_answered() {
        let mut resolver = Resolver::new(THREADS_MAX);
        let mut asked = 0;
        while resolver.has_room() {
            resolver.ask(&"localhost".into());
            asked += 1;
        }
        assert_eq!(asked, ASKED_MAX);
        for _ in 0..asked {
            resolver.answers().recv().expect("an answer").1.expect("addresses");
            resolver.taken();
        }
        assert!(resolver.threads <= THREADS_MAX);
    }
}
