//! Real servers on loopback, as child processes of whoever starts them.
//!
//! Each has a temporary folder of its own for keys and settings, and is ready (it has greeted)
//! when its `start` returns. Programs are looked up in `PATH` and the system's `sbin` folders. A
//! missing one is an error that names the Debian package to install. None needs root, and none
//! lets anybody log in.
//!
//! - Invariant: dropping a handle kills the server with the processes that it started, waits for
//!   it, and removes its folder.

mod busybox;
mod daemon;
mod dropbear;
mod family;
mod inetd;
mod login;
mod openssh;
mod program;
mod telnetd;

pub use busybox::Busybox;
pub use dropbear::Dropbear;
pub use openssh::{OpenSsh, OpenSshSettings};
pub use telnetd::Telnetd;
