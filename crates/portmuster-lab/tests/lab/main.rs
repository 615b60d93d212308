//! The lab's servers, real ones and its program, as a plain client meets them.

#![expect(clippy::disallowed_methods, reason = "the clients and clocks of these tests are real")]

mod behaviours;
mod client;
mod kexinit;
mod program;
mod real_servers;
mod ssh;
mod telnet;
