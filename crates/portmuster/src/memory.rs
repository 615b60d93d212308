//! Limits the memory that all attempts of a process use for bytes received from servers.
//!
//! Each attempt may use [`ALLOWANCE`] bytes, which count as part of the attempt itself. It must
//! reserve anything beyond that from a pool that all attempts share.
//!
//! Invariant: reservations never exceed the size of the pool.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Bytes that an attempt may use without a reservation: enough for a banner. An ssh `KEXINIT` takes
/// one to three kilobytes and needs a reservation.
const ALLOWANCE: usize = 1 << 10;

/// The memory pool that the attempts of this process share. Clones share one pool.
#[derive(Debug, Clone)]
pub(crate) struct Memory(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    capacity: usize,
    reserved: AtomicUsize,
}

impl Memory {
    /// Creates a pool of `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Arc::new(Pool { capacity, reserved: AtomicUsize::new(0) }))
    }

    /// Resizes a reservation so that its attempt may use `bytes` in total.
    ///
    /// Returns false and leaves the reservation as it is if too little of the pool is free.
    pub(crate) fn reserve(&self, reservation: &mut Reservation, bytes: usize) -> bool {
        let bytes = bytes.saturating_sub(ALLOWANCE);
        // The common case, without access to the shared counter.
        if bytes == reservation.bytes {
            return true;
        }
        let total = self.0.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |total| {
            let total = (total - reservation.bytes).checked_add(bytes)?;
            (total <= self.0.capacity).then_some(total)
        });
        if total.is_ok() {
            reservation.bytes = bytes;
            reservation.pool = Some(Arc::clone(&self.0));
        }
        total.is_ok()
    }
}

/// Bytes that one attempt has reserved from a pool. Dropping it returns them.
#[derive(Debug, Default)]
pub(crate) struct Reservation {
    bytes: usize,
    pool: Option<Arc<Pool>>,
}

impl Reservation {
    /// Returns whether no bytes are reserved: the attempt uses no more than its allowance.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.reserved.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_reservations_return_their_bytes_and_the_capacity_is_never_exceeded() {
        let memory = Memory::new(100);
        let [mut first, mut second] = [Reservation::default(), Reservation::default()];
        assert!(memory.reserve(&mut first, ALLOWANCE) && first.is_empty());
        assert!(memory.reserve(&mut first, ALLOWANCE + 60));
        assert!(!memory.reserve(&mut second, ALLOWANCE + 41));
        assert!(memory.reserve(&mut second, ALLOWANCE + 40));
        assert!(!memory.reserve(&mut first, ALLOWANCE + 61));
        drop(second);
        assert!(memory.reserve(&mut first, ALLOWANCE + 100));
        assert!(memory.reserve(&mut first, ALLOWANCE + 1));
        assert!(memory.reserve(&mut Reservation::default(), ALLOWANCE + 99));
        assert!(!memory.reserve(&mut first, usize::MAX));
    }
}
