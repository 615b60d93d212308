//! How many attempts may be open: what the user allows, or less while this machine is short.

/// Regrown by this part of itself each time as many attempts have settled as it is large.
const REGROWTH: usize = 16;

#[derive(Debug)]
pub(super) struct Window {
    most: usize,
    size: usize,
    /// What those who make the attempts have room for just now.
    room: usize,
    settled: usize,
    /// What shrank it last was the network, not this machine.
    lossy: bool,
}

impl Window {
    pub(super) fn new(most: usize) -> Self {
        Self { most, size: most, room: most, settled: 0, lossy: false }
    }

    pub(super) fn has_room(&self, in_flight: usize) -> bool {
        in_flight < self.size.min(self.room)
    }

    /// Those who make the attempts have room for so many.
    pub(super) fn set_room(&mut self, room: usize) {
        self.room = room;
    }

    /// Whether those who make the attempts have room for fewer than there might be.
    pub(super) fn is_short_of_workers(&self) -> bool {
        self.room < self.size
    }

    /// This machine was short of something while this many other attempts were open: so many it
    /// could hold.
    pub(super) fn fault(&mut self, in_flight: usize) {
        self.size = self.size.min(in_flight).max(1);
        self.settled = 0;
        self.lossy = false;
    }

    /// The network lost what it was sent.
    pub(super) fn slower(&mut self) {
        self.size = (self.size * 3 / 4).max(1);
        self.settled = 0;
        self.lossy = true;
    }

    /// Whether it is because of what the network loses.
    pub(super) fn is_shrunk_by_loss(&self) -> bool {
        self.is_shrunk() && self.lossy
    }

    /// Whether it is smaller than the user allows.
    pub(super) fn is_shrunk(&self) -> bool {
        self.size < self.most
    }

    /// An attempt was made and ended.
    pub(super) fn settled(&mut self) {
        if self.size == self.most {
            return;
        }
        self.settled += 1;
        if self.settled >= self.size {
            self.settled = 0;
            self.size = self.most.min(self.size + 1 + self.size / REGROWTH);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_shrinks_it_and_success_regrows_it() {
        let mut window = Window::new(100);
        window.fault(40);
        assert!(window.has_room(39) && !window.has_room(40));
        for _ in 0..40 {
            window.settled();
        }
        assert!(window.has_room(42) && !window.has_room(43));
        for _ in 0..10_000 {
            window.settled();
        }
        assert!(window.has_room(99) && !window.has_room(100));
    }

    #[test]
    fn one_always_remains() {
        let mut window = Window::new(100);
        window.fault(0);
        assert!(window.has_room(0) && !window.has_room(1));
    }
}
