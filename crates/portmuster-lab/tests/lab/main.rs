//! Tests of the lab's servers, of the real servers (feature `real`), of links (feature `link`) and of
//! the lab's program, with a plain client.

#![expect(clippy::disallowed_methods, reason = "the clients and clocks of these tests are real")]

mod behaviours;
mod client;
mod kexinit;
#[cfg(feature = "link")]
mod link;
#[cfg(feature = "link")]
mod link_program;
mod program;
#[cfg(feature = "real")]
mod real_servers;
mod ssh;
mod telnet;
