//! A list that grows without copying its elements.

/// The number of bytes of a full chunk.
const CHUNK_BYTES: usize = 1 << 20;

/// A list of elements in chunks of 1 MiB.
///
/// A `Vec` with the same elements needs three times their memory while it grows: the old and the new
/// allocation. Here only the first chunk is ever moved.
#[derive(Debug, Clone)]
pub(crate) struct Chunks<T> {
    /// Invariant: all chunks except the last are full.
    chunks: Vec<Vec<T>>,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T> Chunks<T> {
    /// The number of elements of a full chunk, a power of two.
    const PER_CHUNK: usize = 1 << (CHUNK_BYTES / size_of::<T>()).ilog2();

    /// Returns the number of elements.
    pub(crate) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| {
            let full = self.chunks.len() - 1;
            full * Self::PER_CHUNK + last.len()
        })
    }

    /// Returns the element at `index`; `None` beyond the last.
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / Self::PER_CHUNK)?.get(index % Self::PER_CHUNK)
    }

    /// Returns the element at `index` to change it; `None` beyond the last.
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.chunks.get_mut(index / Self::PER_CHUNK)?.get_mut(index % Self::PER_CHUNK)
    }

    /// Appends an element.
    pub(crate) fn push(&mut self, element: T) {
        if let Some(last) = self.chunks.last_mut()
            && last.len() < Self::PER_CHUNK
        {
            return last.push(element);
        }
        // Most lists are short, so the first chunk grows like any `Vec`.
        let capacity = if self.chunks.is_empty() { 4 } else { Self::PER_CHUNK };
        let mut chunk = Vec::with_capacity(capacity);
        chunk.push(element);
        self.chunks.push(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_keep_their_indexes_in_any_number_of_chunks() {
        let count = 3 * Chunks::<[u8; 7]>::PER_CHUNK + 5;
        let bytes = |index: usize| <[u8; 7]>::try_from(&index.to_le_bytes()[..7]).expect("7 bytes");
        let mut chunks = Chunks::default();
        for index in 0..count {
            assert_eq!(chunks.len(), index);
            chunks.push(bytes(index));
        }
        assert!((0..count).all(|index| chunks.get(index) == Some(&bytes(index))));
        assert_eq!((chunks.len(), chunks.get(count)), (count, None));
        *chunks.get_mut(count - 1).expect("the last") = [9; 7];
        assert_eq!(chunks.get(count - 1), Some(&[9; 7]));
    }
}
