//! Names the software of servers by fingerprints: patterns over what a server says of itself.
//!
//! There is a table of our own (`fingerprints/` in this crate), and files of the
//! [Recog](https://github.com/rapid7/recog) project can be read in addition. An identification is what a
//! server claims, not proof, and no weakness is concluded from a version. Telnet daemons are told
//! apart by the order of their options.
//!
//! Fingerprints are compiled when the first server is identified, so a run without open ports never
//! compiles them. They are matched where outcomes are taken from a run, so worker processes need none.
//!
//! Invariant: the result depends only on the outcome and the fingerprints.

mod banner;
mod fingerprints;
mod known;
mod own_table;
mod patterns;
mod recog;
mod statement;
mod telnet_daemons;

pub(crate) use self::known::Identifier;
pub use self::{
    fingerprints::Fingerprints, recog::RecogError, telnet_daemons::known_telnet_daemons,
};

#[cfg(test)]
mod tests;
