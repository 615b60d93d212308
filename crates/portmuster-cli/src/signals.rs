//! Ctrl-C, once and twice.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use portmuster::Stopper;
use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGXFSZ},
    flag,
    iterator::Signals,
};

use crate::status::Status;

/// What is in flight when the run is interrupted has this long to end.
const GRACE: Duration = Duration::from_secs(1);

/// Whether the run was interrupted.
#[derive(Debug, Clone)]
pub(crate) struct Interrupted(Arc<AtomicBool>);

impl Interrupted {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// From now on the first SIGINT or SIGTERM stops the run, the second ends the program at once. A
/// file that may not grow (`ulimit -f`) is an error of writing, and no longer kills the program.
///
/// # Errors
/// The system refuses the handlers.
pub(crate) fn watch(stopper: Stopper) -> io::Result<Interrupted> {
    let interrupted = Interrupted(Arc::default());
    let flag = interrupted.clone();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    flag::register(SIGXFSZ, Arc::default())?;
    let watch = move || {
        for _ in signals.forever() {
            if flag.0.swap(true, Ordering::Relaxed) {
                leave();
            }
            stopper.stop(GRACE);
        }
    };
    thread::Builder::new().name("portmuster-signal".into()).spawn(watch)?;
    Ok(interrupted)
}

/// From now on SIGINT and SIGTERM are only noticed.
///
/// # Errors
/// The system refuses the handlers.
pub(crate) fn noticed() -> io::Result<Interrupted> {
    let interrupted = Interrupted(Arc::default());
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&interrupted.0))?;
    }
    Ok(interrupted)
}

#[expect(clippy::exit, reason = "the user has asked twice; whole lines were written at each flush")]
fn leave() -> ! {
    std::process::exit(Status::Interrupted.code().into())
}
