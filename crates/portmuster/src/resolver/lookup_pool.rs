//! Looks up names in a pool of threads.
//!
//! A lookup blocks its thread and can't be interrupted: glibc waits forever for a server that accepts a
//! connection and sends nothing. So lookups have threads of their own, apart from those that check. A
//! lookup that takes longer than [`LOOKUP_MAX`] is answered with [`LookupError::NoAnswer`], and its
//! thread is abandoned; so are the threads that still run when their resolver is dropped.
//!
//! Invariant: there are at most [`THREADS_MAX`] threads in the pool, at most twice as many together
//! with the abandoned ones, and at most [`PENDING_MAX`] lookups at a time. Neither asking nor answering
//! blocks.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::system::{self, LOOKUP_MAX};
use crate::{
    clock::{Clock, Instant},
    outcome::Fault,
    schedule::{Lookup, LookupError, Question, Scope},
    threads,
};

/// The size of the pool: with a resolver that answers in 30 ms it looks up a thousand names a second.
pub(crate) const THREADS_MAX: usize = 32;
/// Lookups that are asked for and not answered yet: enough to keep every thread busy.
const PENDING_MAX: usize = 2 * THREADS_MAX;
/// The interval between two searches for overdue lookups.
const OVERDUE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A question, and the result of its lookup.
type Answer = (Question, Lookup);

/// Makes one lookup.
type LookUp = fn(&str, Scope) -> Lookup;

/// The question that a thread looks up, and when it began. `None` if the thread is idle or was
/// abandoned.
type CurrentLookup = Arc<Mutex<Option<(Question, Instant)>>>;

/// A pool of threads that look up names. Threads start when they are needed.
#[derive(Debug)]
pub(crate) struct Resolver {
    clock: Clock,
    look_up: LookUp,
    /// The time after which a lookup is abandoned.
    limit: Duration,
    questions: Sender<Question>,
    /// The threads receive from this end.
    waiting_questions: Receiver<Question>,
    answer_sender: Sender<Answer>,
    answers: Receiver<Answer>,
    threads: Vec<CurrentLookup>,
    /// The configured size of the pool.
    size: usize,
    /// Lookups whose answers have not been taken.
    pending: usize,
    next_overdue_check: Instant,
    /// The questions of abandoned threads. They are not asked again before these threads end.
    abandoned: HashSet<Question>,
    end_sender: Sender<Question>,
    /// The questions of abandoned threads that have ended.
    ends: Receiver<Question>,
}

impl Resolver {
    /// Creates a pool that makes `lookups` lookups at a time, at most [`THREADS_MAX`].
    pub(crate) fn new(lookups: usize) -> Self {
        Self::with(lookups, system::look_up, LOOKUP_MAX)
    }

    fn with(lookups: usize, look_up: LookUp, limit: Duration) -> Self {
        let (questions, waiting_questions) = bounded(PENDING_MAX);
        let (answer_sender, answers) = bounded(PENDING_MAX);
        let (end_sender, ends) = bounded(2 * THREADS_MAX);
        Self {
            clock: Clock::start(),
            look_up,
            limit,
            questions,
            waiting_questions,
            answer_sender,
            answers,
            threads: Vec::new(),
            size: lookups.min(THREADS_MAX),
            pending: 0,
            next_overdue_check: Instant::START,
            abandoned: HashSet::new(),
            end_sender,
            ends,
        }
    }

    /// Returns whether another lookup may be asked for.
    pub(crate) fn has_room(&self) -> bool {
        self.pending < PENDING_MAX
    }

    /// Asks for a lookup. The answer arrives through [`Self::answers`]; the caller confirms it with
    /// [`Self::taken`].
    pub(crate) fn ask(&mut self, question: &Question) {
        self.pending += 1;
        if self.abandoned.contains(question) {
            return self.answer(question.clone(), LookupError::NoAnswer);
        }
        if self.threads.len() < self.pending.min(self.threads_max()) {
            self.start_thread();
        }
        if !self.threads.is_empty() {
            let _ = self.questions.try_send(question.clone());
        } else if self.threads_max() == 0 && self.size > 0 {
            self.answer(question.clone(), LookupError::NoAnswer);
        } else {
            self.answer(question.clone(), LookupError::Short(Fault::Threads));
        }
    }

    /// Returns the channel through which the answers arrive.
    pub(crate) fn answers(&self) -> &Receiver<Answer> {
        &self.answers
    }

    /// Waits for the next answer and takes it. At least one lookup must be pending.
    pub(crate) fn wait(&mut self) -> Answer {
        loop {
            if let Ok(answer) = self.answers.recv_timeout(self.check_interval()) {
                self.taken();
                return answer;
            }
            self.end_overdue();
        }
    }

    /// Notes that an answer was taken from the channel.
    pub(crate) fn taken(&mut self) {
        self.pending -= 1;
    }

    fn check_interval(&self) -> Duration {
        OVERDUE_CHECK_INTERVAL.min(self.limit)
    }

    /// Returns how many threads there may be: fewer when many were abandoned.
    fn threads_max(&self) -> usize {
        self.size.min(2 * THREADS_MAX - self.abandoned.len())
    }

    /// Answers the lookups that have taken too long, and abandons their threads. The owner calls this
    /// regularly.
    pub(crate) fn end_overdue(&mut self) {
        if self.threads.is_empty() && self.abandoned.is_empty() {
            return;
        }
        let now = self.clock.now();
        if now < self.next_overdue_check {
            return;
        }
        self.next_overdue_check = now.after(self.check_interval());
        for question in self.ends.try_iter() {
            self.abandoned.remove(&question);
        }
        let limit = self.limit;
        let mut overdue = Vec::new();
        self.threads.retain(|current| {
            let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = current.take_if(|(_, since)| now.since(*since) >= limit);
            let is_overdue = taken.is_some();
            overdue.extend(taken.map(|(question, _)| question));
            !is_overdue
        });
        for question in overdue {
            self.abandoned.insert(question.clone());
            self.answer(question, LookupError::NoAnswer);
        }
        if self.threads.is_empty() {
            self.ask_waiting_again();
        }
    }

    /// Asks the waiting questions again when no thread is left to take them.
    fn ask_waiting_again(&mut self) {
        let waiting: Vec<_> = self.waiting_questions.try_iter().collect();
        for question in waiting {
            self.pending -= 1;
            self.ask(&question);
        }
    }

    fn answer(&self, question: Question, error: LookupError) {
        let _ = self.answer_sender.try_send((question, Err(error)));
    }

    /// Starts another thread, if the system permits it.
    fn start_thread(&mut self) {
        let (questions, answers) = (self.waiting_questions.clone(), self.answer_sender.clone());
        let (clock, look_up, current) = (self.clock, self.look_up, CurrentLookup::default());
        let ends = self.end_sender.clone();
        let shared = Arc::clone(&current);
        let thread = threads::named("portmuster-name").spawn(move || {
            let set = |value| {
                let mut current = shared.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::replace(&mut *current, value)
            };
            for question in questions {
                set(Some((question.clone(), clock.now())));
                let result = look_up(&question.name, question.scope);
                // An abandoned thread ends: another one has its place in the pool.
                if set(None).is_none() {
                    let _ = ends.try_send(question);
                    return;
                }
                if answers.send((question, result)).is_err() {
                    return;
                }
            }
        });
        self.threads.extend(thread.is_ok().then_some(current));
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
    fn names_of_the_hosts_file_and_zones_are_found() {
        let mut resolver = Resolver::new(THREADS_MAX);
        let Found { addresses, missing } =
            answer(&mut resolver, "localhost").expect("the hosts file has it");
        assert!(addresses.iter().all(|address| address.ip().is_loopback()), "{addresses:?}");
        assert_eq!(missing, None);
        let zoned = answer(&mut resolver, "fe80::1%lo").expect("it is an address");
        let is_zoned =
            |address: &SocketAddr| matches!(address, SocketAddr::V6(it) if it.scope_id() != 0);
        assert!(zoned.addresses.len() == 1 && is_zoned(&zoned.addresses[0]), "{zoned:?}");
        assert_eq!(zoned.missing, None);
    }

    #[test]
    fn empty_name_and_name_with_nul_do_not_exist() {
        let mut resolver = Resolver::new(THREADS_MAX);
        for name in ["", "a\0b"] {
            assert_eq!(answer(&mut resolver, name), Err(LookupError::NoSuchName), "{name:?}");
        }
    }

    #[test]
    fn address_with_an_unknown_zone_has_no_such_interface() {
        let mut resolver = Resolver::new(THREADS_MAX);
        for name in ["fe80::1%no-such-zone", "ff02::1%no-such-zone", "2001:db8::1%lo", "fe80::1%"] {
            let lookup = answer(&mut resolver, name);
            assert_eq!(lookup, Err(LookupError::NoSuchInterface), "{name:?}");
        }
    }

    #[test]
    fn every_pending_lookup_is_answered() {
        let mut resolver = Resolver::new(THREADS_MAX);
        let mut pending = 0;
        while resolver.has_room() {
            resolver.ask(&question("localhost"));
            pending += 1;
        }
        assert_eq!(pending, PENDING_MAX);
        for _ in 0..pending {
            resolver.wait().1.expect("addresses");
        }
        assert!(resolver.threads.len() <= THREADS_MAX);
    }

    /// Never returns for names that begin with `endless`.
    fn stuck(name: &str, _: Scope) -> Lookup {
        while name.starts_with("endless") {
            std::thread::park();
        }
        Err(LookupError::NoSuchName)
    }

    #[test]
    fn lookup_that_never_ends_has_no_answer_and_delays_no_other() {
        let mut resolver = Resolver::with(1, stuck, Duration::from_secs(1));
        for name in ["endless", "a.example", "endless"] {
            resolver.ask(&question(name));
        }
        let mut answers: Vec<_> = (0..3).map(|_| resolver.wait()).collect();
        answers.sort_by_key(|(question, _)| question.name.clone());
        let missing = (question("a.example"), Err(LookupError::NoSuchName));
        let endless = (question("endless"), Err(LookupError::NoAnswer));
        assert_eq!(answers, [missing, endless.clone(), endless]);
    }

    #[test]
    fn abandoned_threads_are_bounded() {
        let mut resolver = Resolver::with(THREADS_MAX, stuck, Duration::from_millis(50));
        for number in 0..5 * THREADS_MAX {
            resolver.ask(&question(&format!("endless{number}")));
            if !resolver.has_room() {
                assert_eq!(resolver.wait().1, Err(LookupError::NoAnswer));
            }
        }
        while resolver.pending > 0 {
            assert_eq!(resolver.wait().1, Err(LookupError::NoAnswer));
        }
        assert_eq!((resolver.abandoned.len(), resolver.threads_max()), (2 * THREADS_MAX, 0));
        assert_eq!(answer(&mut resolver, "a.example"), Err(LookupError::NoAnswer));

        // An abandoned thread that ends makes room for another.
        let ended = resolver.abandoned.iter().next().expect("there are many").clone();
        resolver.end_sender.send(ended).expect("there is room");
        (resolver.next_overdue_check, resolver.limit) = (Instant::START, LOOKUP_MAX);
        resolver.end_overdue();
        assert_eq!(answer(&mut resolver, "a.example"), Err(LookupError::NoSuchName));
    }
}
