//! How many attempts may be open: what the user allows, or less while this machine is short.

/// The first step of regrowth is this part of the window; each further one is twice as large,
/// until the window doubles. So who could hold 100 finds out by an overshoot of 6, and who was
/// short for a moment is back at 16,384 after 18 steps.
const REGROWTH: usize = 16;

#[derive(Debug)]
pub(super) struct Window {
    most: usize,
    size: usize,
    /// The smallest that it has been.
    least: usize,
    /// What those who make the attempts have room for just now.
    room: usize,
    /// Attempts that have settled since it last changed. As many as it is large are a step.
    settled: usize,
    /// The next step is this part of it.
    part: usize,
    /// What shrank it last was the network, not this machine.
    lossy: bool,
}

impl Window {
    pub(super) fn new(most: usize) -> Self {
        Self { most, size: most, least: most, room: most, settled: 0, part: REGROWTH, lossy: false }
    }

    pub(super) fn has_room(&self, in_flight: usize) -> bool {
        in_flight < self.size.min(self.room)
    }

    /// The smallest that it has been, and how large it is.
    pub(super) fn extent(&self) -> (usize, usize) {
        (self.least, self.size)
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
        self.shrink(in_flight, false);
    }

    /// The network lost what it was sent.
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
            self.size = self.most.min(self.size + 1 + self.size / self.part);
            // A network that lost what it was sent says so later than a machine.
            if !self.lossy {
                self.part = (self.part / 2).max(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many attempts settle as may be open.
    fn step(window: &mut Window) -> usize {
        for _ in 0..window.size {
            window.settled();
        }
        window.size
    }

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
        assert_eq!(window.extent(), (40, 100));
    }

    #[test]
    fn who_was_short_for_a_moment_is_soon_back() {
        let mut window = Window::new(16_384);
        window.fault(1);
        let steps = std::iter::from_fn(|| window.is_shrunk().then(|| step(&mut window))).count();
        assert_eq!(steps, 16);
    }

    #[test]
    fn who_stays_short_overshoots_by_little() {
        let mut window = Window::new(16_384);
        window.fault(800);
        for _ in 0..10 {
            assert_eq!(step(&mut window), 851);
            window.fault(800);
        }
        assert_eq!([step(&mut window), step(&mut window)], [851, 958], "then in larger steps");
    }

    #[test]
    fn after_loss_every_step_is_small() {
        let mut window = Window::new(1000);
        window.slower();
        assert_eq!([step(&mut window), step(&mut window), step(&mut window)], [797, 847, 900]);
    }

    #[test]
    fn one_always_remains() {
        let mut window = Window::new(100);
        window.fault(0);
        assert!(window.has_room(0) && !window.has_room(1));
    }
}
