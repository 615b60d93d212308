//! Takes targets from an iterator without end, and stops after a thousand outcomes.
//!
//! ```text
//! cargo run -p portmuster --example endless_iterator
//! ```
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use std::net::Ipv4Addr;

const ENOUGH: usize = 1000;

fn main() {
    // Addresses on loopback, again and again: 127.0.0.0/8, on a port where nothing listens.
    let targets = (0x7F00_0001_u32..=0x7FFF_FFFE).cycle().map(|bits| (Ipv4Addr::from(bits), 1));

    // A thread takes targets only as they are needed, so an endless iterator takes no memory. The same
    // iterator could read a queue or a socket: if it blocks, outcomes still arrive.
    let mut outcomes = portmuster::check_ports(targets);
    let open = outcomes.by_ref().take(ENOUGH).filter(portmuster::Outcome::is_open).count();

    // Dropping the outcomes ends the run. Every connection is closed when it returns.
    drop(outcomes);
    println!("{ENOUGH} checked, {open} open");
}
