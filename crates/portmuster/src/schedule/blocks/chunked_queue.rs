//! A queue of many small items, in chunks.
//!
//! It takes memory only for the items that it has, and never copies them to grow, unlike one large
//! buffer: a million targets that move from one queue to another take the memory of one queue.

use std::collections::VecDeque;

/// The most items in a chunk.
const CHUNK: usize = 4096;

/// The items, from the first to the last. All chunks but the first and the last are full.
#[derive(Debug)]
pub(super) struct ChunkedQueue<T> {
    list: VecDeque<VecDeque<T>>,
    len: usize,
    /// How many items were taken from the first chunk.
    taken: usize,
}

impl<T> Default for ChunkedQueue<T> {
    fn default() -> Self {
        Self { list: VecDeque::new(), len: 0, taken: 0 }
    }
}

impl<T> ChunkedQueue<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.list.front()?.front()
    }

    pub(super) fn back(&self) -> Option<&T> {
        self.list.back()?.back()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.list.iter().flatten()
    }

    pub(super) fn push_back(&mut self, item: T) {
        let taken = if self.list.len() == 1 { self.taken } else { 0 };
        match self.list.back_mut().filter(|chunk| chunk.len() + taken < CHUNK) {
            Some(chunk) => chunk.push_back(item),
            None => self.list.push_back(VecDeque::from([item])),
        }
        self.len += 1;
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let chunk = self.list.front_mut()?;
        let item = chunk.pop_front()?;
        self.taken += 1;
        if chunk.is_empty() {
            self.list.pop_front();
            self.taken = 0;
        }
        self.len -= 1;
        Some(item)
    }

    /// Returns the item at an index; `None` if there are fewer.
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        let (chunk, place) = self.locate(index);
        self.list.get(chunk)?.get(place)
    }

    /// Returns the chunk of an index, and the place in it.
    fn locate(&self, index: usize) -> (usize, usize) {
        let place = index + self.taken;
        match place / CHUNK {
            0 => (0, index),
            chunk => (chunk, place % CHUNK),
        }
    }

    /// Removes the item at an index below the length, and puts the last one in its place.
    pub(super) fn swap_remove(&mut self, index: usize) -> T {
        let (chunk, place) = self.locate(index);
        self.len -= 1;
        let last = self.list.back_mut().and_then(VecDeque::pop_back).expect("it has items");
        let removed = match self.list[chunk].get_mut(place) {
            Some(item) => std::mem::replace(item, last),
            None => last,
        };
        if self.list.back().is_some_and(VecDeque::is_empty) {
            self.list.pop_back();
            self.taken = if self.list.is_empty() { 0 } else { self.taken };
        }
        removed
    }

    /// Moves all items of another queue to the end of this one.
    pub(super) fn append(&mut self, other: &mut Self) {
        if self.is_empty() {
            return *self = std::mem::take(other);
        }
        self.extend(other.drain());
    }

    /// Removes all items, from the first to the last.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.pop_front())
    }
}

impl<T> Extend<T> for ChunkedQueue<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push_back(item));
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    #[test]
    fn operations_match_those_of_one_buffer() {
        let (mut chunks, mut buffer, mut rng) =
            (ChunkedQueue::default(), VecDeque::new(), Rng::with_seed(7));
        for round in 0..20 {
            for number in 0..rng.usize(0..3 * CHUNK) {
                chunks.push_back(number);
                buffer.push_back(number);
            }
            for _ in 0..rng.usize(0..=buffer.len()) {
                assert_eq!(chunks.pop_front(), buffer.pop_front());
            }
            for _ in 0..rng.usize(0..=buffer.len()) {
                let index = rng.usize(0..buffer.len());
                assert_eq!(Some(chunks.swap_remove(index)), buffer.swap_remove_back(index));
            }
            assert_eq!((chunks.len(), chunks.front()), (buffer.len(), buffer.front()), "{round}");
            assert_eq!((chunks.is_empty(), chunks.back()), (buffer.is_empty(), buffer.back()));
        }
        assert!(chunks.iter().eq(&buffer));
        assert!(chunks.drain().eq(buffer));
        assert_eq!((chunks.len(), chunks.list.len()), (0, 0));
    }
}
