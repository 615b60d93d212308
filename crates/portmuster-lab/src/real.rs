//! Real servers on loopback, run as child processes. Feature `real`.
//!
//! Each server has a temporary folder for its keys and settings. Its `start` function returns once
//! the server has sent its greeting. Programs are looked up in `PATH` and the system's `sbin`
//! folders; if one is missing, the error names the Debian package to install. No server needs
//! root, and no server lets anyone log in.
//!
//! - Invariant: dropping a handle kills the server and the processes that it started, waits for
//!   it, and removes its folder.

mod busybox;
mod daemon;
mod dropbear;
mod error;
mod inetd;
mod inetutils;
mod login;
mod openssh;
mod process_tree;
mod program;
mod readiness;
mod telnetd;

pub use busybox::Busybox;
pub use dropbear::Dropbear;
pub use error::RealServerError;
pub use inetutils::Inetutils;
pub use openssh::{OpenSsh, OpenSshSettings};
pub use telnetd::Telnetd;
