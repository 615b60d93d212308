//! Starts threads.

use std::thread::Builder;

/// The stack of a thread, in bytes: that which threads of Rust programs have by default.
const STACK: usize = 2 << 20;

/// Returns a builder of a thread with this name, whose stack does not depend on the variable
/// `RUST_MIN_STACK`: a small value would end the program, a large one would use up its memory.
pub(crate) fn named(name: &str) -> Builder {
    Builder::new().name(name.into()).stack_size(STACK)
}
