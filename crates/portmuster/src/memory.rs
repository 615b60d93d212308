//! Memory that the conversations of one process share: what strangers say is bounded in sum, too.
//!
//! Each conversation may hold [`USUAL`] bytes, which are reckoned with its attempt; what it holds
//! beyond comes out of one pool for all of them.
//!
//! Invariant: no more is ever held than the pool has.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Bytes that a conversation may hold without asking: a banner and little more. An offer of ssh has
/// one to three kilobytes, and is asked for.
const USUAL: usize = 1 << 10;

/// What the conversations of this process may hold together.
#[derive(Debug, Clone)]
pub(crate) struct Memory(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    most: usize,
    held: AtomicUsize,
}

impl Memory {
    /// A pool of so many bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Pool { most, held: AtomicUsize::new(0) }))
    }

    /// Lets somebody hold so many bytes, all in all, from now on; false, and as many as before,
    /// where the pool has not so many.
    pub(crate) fn lend(&self, held: &mut Held, bytes: usize) -> bool {
        let bytes = bytes.saturating_sub(USUAL);
        // The usual case; no other thread is asked.
        if bytes == held.bytes {
            return true;
        }
        let others = |all: usize| all - held.bytes;
        let all = self.0.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |all| {
            let all = others(all).checked_add(bytes)?;
            (all <= self.0.most).then_some(all)
        });
        if all.is_ok() {
            held.bytes = bytes;
            held.pool = Some(Arc::clone(&self.0));
        }
        all.is_ok()
    }
}

/// Bytes out of a pool, which has them again when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Held {
    bytes: usize,
    pool: Option<Arc<Pool>>,
}

impl Held {
    /// Whether nothing is held beyond what is usual.
    pub(crate) fn is_nothing(&self) -> bool {
        self.bytes == 0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.held.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_comes_back_and_is_never_too_much() {
        let memory = Memory::new(100);
        let [mut first, mut second] = [Held::default(), Held::default()];
        assert!(memory.lend(&mut first, USUAL) && first.is_nothing());
        assert!(memory.lend(&mut first, USUAL + 60));
        assert!(!memory.lend(&mut second, USUAL + 41));
        assert!(memory.lend(&mut second, USUAL + 40));
        assert!(!memory.lend(&mut first, USUAL + 61));
        drop(second);
        assert!(memory.lend(&mut first, USUAL + 100));
        assert!(memory.lend(&mut first, USUAL + 1));
        assert!(memory.lend(&mut Held::default(), USUAL + 99));
        assert!(!memory.lend(&mut first, usize::MAX));
    }
}
