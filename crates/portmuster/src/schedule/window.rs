//! The window: how many attempts may be open. It shrinks after faults and loss, and grows again.

/// Divisor of the window for its first growth step. Each further step is twice as large, until the
/// window doubles. So a machine that can hold 100 attempts overshoots by 6, and one that lacked a
/// resource for a moment is back at 16,384 after 18 steps.
const REGROWTH: usize = 16;

/// The limit on attempts in flight.
#[derive(Debug)]
pub(super) struct Window {
    most: usize,
    size: usize,
    /// The smallest size so far.
    least: usize,
    /// The executor's current capacity.
    capacity: usize,
    /// Attempts that have settled since the size changed. A step takes as many as the size.
    settled: usize,
    /// Divisor of the size for the next step.
    part: usize,
    /// Whether the network shrank it last, not this machine.
    lossy: bool,
}

impl Window {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            size: most,
            least: most,
            capacity: most,
            settled: 0,
            part: REGROWTH,
            lossy: false,
        }
    }

    pub(super) fn has_room(&self, in_flight: usize) -> bool {
        in_flight < self.size.min(self.capacity)
    }

    /// Returns the smallest size so far, and the current size.
    pub(super) fn extent(&self) -> (usize, usize) {
        (self.least, self.size)
    }

    /// Sets the executor's current capacity.
    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// Returns whether the executor has less capacity than the window allows.
    pub(super) fn is_short_of_workers(&self) -> bool {
        self.capacity < self.size
    }

    /// Shrinks the window after a fault of this machine to the number of attempts that were open.
    pub(super) fn fault(&mut self, in_flight: usize) {
        self.shrink(in_flight, false);
    }

    /// Shrinks the window by a quarter, because the network lost packets.
    pub(super) fn slower(&mut self) {
        self.shrink(self.size * 3 / 4, true);
    }

    fn shrink(&mut self, size: usize, lossy: bool) {
        self.size = self.size.min(size).max(1);
        self.least = self.least.min(self.size);
        self.settled = 0;
        self.part = REGROWTH;
        self.lossy = lossy;
    }

    /// Returns whether loss in the network has shrunk it.
    pub(super) fn is_shrunk_by_loss(&self) -> bool {
        self.is_shrunk() && self.lossy
    }

    /// Returns whether it is smaller than the user allows.
    pub(super) fn is_shrunk(&self) -> bool {
        self.size < self.most
    }

    /// Counts an attempt that has ended, and may grow the window.
    pub(super) fn settled(&mut self) {
        if self.size == self.most {
            return;
        }
        self.settled += 1;
        if self.settled >= self.size {
            self.settled = 0;
            self.size = self.most.min(self.size + 1 + self.size / self.part);
            // Steps stay small after loss, because it shows later than a fault of this machine.
            if !self.lossy {
                self.part = (self.part / 2).max(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settles as many attempts as the window has.
    fn step(window: &mut Window) -> usize {
        for _ in 0..window.size {
            window.settled();
        }
        window.size
    }

    #[test]
    fn fault_shrinks_the_window_and_success_regrows_it() {
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
        assert_eq!(window.extent(), (40, 100));
    }

    #[test]
    fn window_regrows_quickly_after_a_momentary_fault() {
        let mut window = Window::new(16_384);
        window.fault(1);
        let steps = std::iter::from_fn(|| window.is_shrunk().then(|| step(&mut window))).count();
        assert_eq!(steps, 16);
    }

    #[test]
    fn lasting_shortage_overshoots_by_little() {
        let mut window = Window::new(16_384);
        window.fault(800);
        for _ in 0..10 {
            assert_eq!(step(&mut window), 851);
            window.fault(800);
        }
        assert_eq!([step(&mut window), step(&mut window)], [851, 958], "then in larger steps");
    }

    #[test]
    fn steps_after_loss_stay_small() {
        let mut window = Window::new(1000);
        window.slower();
        assert_eq!([step(&mut window), step(&mut window), step(&mut window)], [797, 847, 900]);
    }

    #[test]
    fn window_never_shrinks_below_one() {
        let mut window = Window::new(100);
        window.fault(0);
        assert!(window.has_room(0) && !window.has_room(1));
    }
}
