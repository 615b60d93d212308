//! Names, by the operating system's resolver: hosts file, search domains, everything that the
//! user's other programs see.
//!
//! A lookup blocks its thread for as long as the system likes, so lookups have threads of their
//! own, never those that check. They can't be interrupted: one that runs when its resolver is
//! dropped finishes by itself and its answer is lost.
//!
//! Invariant: at most [`THREADS_MAX`] threads and [`ASKED_MAX`] lookups at a time; neither asking
//! nor answering ever blocks.

use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::{
    outcome::Fault,
    schedule::{Lookup, LookupError, Question},
};

mod excludes;
mod local;
mod system;

pub use excludes::{ExcludeError, FailedName};

/// Threads that look up: a resolver that answers in 30 ms then gives a thousand names a second.
pub(crate) const THREADS_MAX: usize = 32;
/// Lookups that are asked for and not answered: enough that no thread waits for the next.
const ASKED_MAX: usize = 2 * THREADS_MAX;

/// What was asked, and what a name was found to be.
pub(crate) type Answer = (Question, Lookup);

/// Looks up names in threads of its own, which start as they are needed.
#[derive(Debug)]
pub(crate) struct Resolver {
    questions: Sender<Question>,
    questions_end: Receiver<Question>,
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
    pub(crate) fn ask(&mut self, question: &Question) {
        self.asked += 1;
        if self.threads < self.asked.min(self.threads_max) {
            self.start_thread();
        }
        if self.threads == 0 {
            let short = Err(LookupError::Short(Fault::Threads));
            let _ = self.answers.try_send((question.clone(), short));
        } else {
            let _ = self.questions.try_send(question.clone());
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
            for question in questions {
                let lookup = system::look_up(&question.name, question.scope);
                if answers.send((question, lookup)).is_err() {
                    return;
                }
            }
        });
        self.threads += usize::from(thread.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::schedule::{Found, Scope};

    fn question(name: &str) -> Question {
        Question { name: name.into(), scope: Scope::Each }
    }

    fn answer(resolver: &mut Resolver, name: &str) -> Lookup {
        resolver.ask(&question(name));
        let (answered, lookup) = resolver.answers().recv().expect("a thread answers");
        resolver.taken();
        assert_eq!(answered, question(name));
        lookup
    }

    #[test]
    fn the_systems_names_are_found() {
        let mut resolver = Resolver::new(THREADS_MAX);
        let Found { addresses, missing } =
            answer(&mut resolver, "localhost").expect("every system has it");
        assert!(addresses.iter().all(|address| address.ip().is_loopback()), "{addresses:?}");
        assert_eq!(missing, None);
        let zoned = answer(&mut resolver, "fe80::1%lo").expect("it is an address");
        let is_zoned =
            |address: &SocketAddr| matches!(address, SocketAddr::V6(it) if it.scope_id() != 0);
        assert!(zoned.addresses.len() == 1 && is_zoned(&zoned.addresses[0]), "{zoned:?}");
        assert_eq!(zoned.missing, None);
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
    fn as_many_as_may_be_asked_are_answered() {
        let mut resolver = Resolver::new(THREADS_MAX);
        let mut asked = 0;
        while resolver.has_room() {
            resolver.ask(&question("localhost"));
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
