//! Names, by the operating system's resolver: hosts file, search domains, everything that the
//! user's other programs see.
//!
//! A lookup blocks its thread for as long as the system likes, so lookups have threads of their
//! own, never those that check. They can't be interrupted: glibc waits without end for a server that
//! accepts a connection and says nothing. One that takes longer than [`LOOKUP_MAX`] has no answer, and
//! its thread is left to itself; so is one that runs when its resolver is dropped.
//!
//! Invariant: at most [`THREADS_MAX`] threads, as many that were left to themselves, and
//! [`ASKED_MAX`] lookups at a time; neither asking nor answering ever blocks.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::{
    clock::{Clock, Instant},
    outcome::Fault,
    schedule::{Lookup, LookupError, Question, Scope},
};

mod config_file;
mod dns_client;
mod dns_reply;
mod excludes;
mod hosts_file;
mod negative;
mod nsswitch;
mod resolv_conf;
mod system;

use system::LOOKUP_MAX;

pub use excludes::{ExcludeError, FailedName};

/// Threads that look up: a resolver that answers in 30 ms then gives a thousand names a second.
pub(crate) const THREADS_MAX: usize = 32;
/// Lookups that are asked for and not answered: enough that no thread waits for the next.
const ASKED_MAX: usize = 2 * THREADS_MAX;

/// How often lookups are looked over that take long.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What was asked, and what a name was found to be.
pub(crate) type Answer = (Question, Lookup);

/// How a name is looked up.
type LookUp = fn(&str, Scope) -> Lookup;

/// What a thread looks up, and since when; `None`: nothing, or it was left to itself.
type Work = Arc<Mutex<Option<(Question, Instant)>>>;

/// Looks up names in threads of its own, which start as they are needed.
#[derive(Debug)]
pub(crate) struct Resolver {
    clock: Clock,
    look_up: LookUp,
    limit: Duration,
    questions: Sender<Question>,
    questions_end: Receiver<Question>,
    answers: Sender<Answer>,
    answers_end: Receiver<Answer>,
    threads: Vec<Work>,
    /// Threads that there may be, as long as few were left to themselves.
    lookups: usize,
    asked: usize,
    next_look: Instant,
    /// Questions whose threads were left to themselves. They are not asked again before these end.
    endless: HashSet<Question>,
    ended: Sender<Question>,
    ended_end: Receiver<Question>,
}

impl Resolver {
    /// Looks up so many names at a time, at most [`THREADS_MAX`].
    pub(crate) fn new(lookups: usize) -> Self {
        Self::with(lookups, system::look_up, LOOKUP_MAX)
    }

    fn with(lookups: usize, look_up: LookUp, limit: Duration) -> Self {
        let (questions, questions_end) = bounded(ASKED_MAX);
        let (answers, answers_end) = bounded(ASKED_MAX);
        let (ended, ended_end) = bounded(2 * THREADS_MAX);
        Self {
            clock: Clock::start(),
            look_up,
            limit,
            questions,
            questions_end,
            answers,
            answers_end,
            threads: Vec::new(),
            lookups: lookups.min(THREADS_MAX),
            asked: 0,
            next_look: Instant::START,
            endless: HashSet::new(),
            ended,
            ended_end,
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
        if self.endless.contains(question) {
            return self.answer(question.clone(), LookupError::NoAnswer);
        }
        if self.threads.len() < self.asked.min(self.threads_max()) {
            self.start_thread();
        }
        if !self.threads.is_empty() {
            let _ = self.questions.try_send(question.clone());
        } else if self.threads_max() == 0 && self.lookups > 0 {
            self.answer(question.clone(), LookupError::NoAnswer);
        } else {
            self.answer(question.clone(), LookupError::Short(Fault::Threads));
        }
    }

    /// Where the answers come.
    pub(crate) fn answers(&self) -> &Receiver<Answer> {
        &self.answers_end
    }

    /// Waits for the next answer, of something that was asked, and takes it.
    pub(crate) fn wait(&mut self) -> Answer {
        loop {
            if let Ok(answer) = self.answers_end.recv_timeout(LOOK_EVERY.min(self.limit)) {
                self.taken();
                return answer;
            }
            self.end_overdue();
        }
    }

    /// An answer was taken.
    pub(crate) fn taken(&mut self) {
        self.asked -= 1;
    }

    fn threads_max(&self) -> usize {
        self.lookups.min(2 * THREADS_MAX - self.endless.len())
    }

    /// Answers what has taken too long. To be called now and then.
    pub(crate) fn end_overdue(&mut self) {
        if self.threads.is_empty() && self.endless.is_empty() {
            return;
        }
        let now = self.clock.now();
        if now < self.next_look {
            return;
        }
        self.next_look = now.after(LOOK_EVERY.min(self.limit));
        for question in self.ended_end.try_iter() {
            self.endless.remove(&question);
        }
        let limit = self.limit;
        let mut overdue = Vec::new();
        self.threads.retain(|work| {
            let mut work = work.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = work.take_if(|(_, since)| now.since(*since) >= limit);
            let is_over = taken.is_some();
            overdue.extend(taken.map(|(question, _)| question));
            !is_over
        });
        for question in overdue {
            self.endless.insert(question.clone());
            self.answer(question, LookupError::NoAnswer);
        }
        if self.threads.is_empty() {
            self.ask_waiting_again();
        }
    }

    /// What waits for a thread where there is none any more.
    fn ask_waiting_again(&mut self) {
        let waiting: Vec<_> = self.questions_end.try_iter().collect();
        for question in waiting {
            self.asked -= 1;
            self.ask(&question);
        }
    }

    fn answer(&self, question: Question, error: LookupError) {
        let _ = self.answers.try_send((question, Err(error)));
    }

    /// A thread more, unless this machine has none to give.
    fn start_thread(&mut self) {
        let (questions, answers) = (self.questions_end.clone(), self.answers.clone());
        let (clock, ask, work) = (self.clock, self.look_up, Work::default());
        let ended = self.ended.clone();
        let shared = Arc::clone(&work);
        let thread = thread::Builder::new().name("portmuster-name".into()).spawn(move || {
            let set = |value| {
                let mut work = shared.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::replace(&mut *work, value)
            };
            for question in questions {
                set(Some((question.clone(), clock.now())));
                let lookup = ask(&question.name, question.scope);
                // It was left to itself, and another thread has its place.
                if set(None).is_none() {
                    let _ = ended.try_send(question);
                    return;
                }
                if answers.send((question, lookup)).is_err() {
                    return;
                }
            }
        });
        self.threads.extend(thread.is_ok().then_some(work));
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
        let (answered, lookup) = resolver.wait();
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
            resolver.wait().1.expect("addresses");
        }
        assert!(resolver.threads.len() <= THREADS_MAX);
    }

    /// Names that begin with `endless` are looked up without end.
    fn stuck(name: &str, _: Scope) -> Lookup {
        while name.starts_with("endless") {
            thread::park();
        }
        Err(LookupError::NoSuchName)
    }

    #[test]
    fn a_lookup_without_end_has_no_answer_and_holds_up_nobody() {
        let mut resolver = Resolver::with(1, stuck, Duration::from_millis(50));
        for name in ["endless", "a.example", "endless"] {
            resolver.ask(&question(name));
        }
        let mut answers: Vec<_> = (0..3).map(|_| resolver.wait()).collect();
        answers.sort_by_key(|(question, _)| question.name.clone());
        let nowhere = (question("a.example"), Err(LookupError::NoSuchName));
        let endless = (question("endless"), Err(LookupError::NoAnswer));
        assert_eq!(answers, [nowhere, endless.clone(), endless]);
    }

    #[test]
    fn threads_that_are_left_to_themselves_are_bounded() {
        let mut resolver = Resolver::with(THREADS_MAX, stuck, Duration::from_millis(50));
        for number in 0..5 * THREADS_MAX {
            resolver.ask(&question(&format!("endless{number}")));
            if !resolver.has_room() {
                assert_eq!(resolver.wait().1, Err(LookupError::NoAnswer));
            }
        }
        while resolver.asked > 0 {
            assert_eq!(resolver.wait().1, Err(LookupError::NoAnswer));
        }
        assert_eq!((resolver.endless.len(), resolver.threads_max()), (2 * THREADS_MAX, 0));
        assert_eq!(answer(&mut resolver, "a.example"), Err(LookupError::NoAnswer));

        // Whoever ends after all makes room for another.
        let ended = resolver.endless.iter().next().expect("there are many").clone();
        resolver.ended.send(ended).expect("there is room");
        resolver.next_look = Instant::START;
        resolver.end_overdue();
        assert_eq!(answer(&mut resolver, "a.example"), Err(LookupError::NoSuchName));
    }
}
