//! Ctrl-C, once and twice.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use portmuster::Stopper;
use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGXFSZ},
    flag,
    iterator::Signals,
};

use crate::{status::Status, terminal};

/// What is in flight when the run is interrupted has this long to end.
const GRACE: Duration = Duration::from_secs(1);

/// Whether the run was interrupted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupted {
    flag: Arc<AtomicBool>,
    /// The thread that says so.
    note: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Interrupted {
    pub(crate) fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Waits until it was said that the run is being stopped, if it is: what is said next comes
    /// behind.
    pub(crate) fn wait_for_note(&self) {
        let note = self.note.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(note) = note {
            // Its panic was reported when it happened.
            let _ = note.join();
        }
    }

    /// Says it in a thread of its own: all else may be waiting for whoever reads the rows, and
    /// the next signal must be heard although nobody reads stderr.
    fn say(&self) {
        let said = thread::Builder::new()
            .name("portmuster-note".into())
            .spawn(|| terminal::interrupt("stopping; once more to leave at once"));
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = said.ok();
    }
}

/// From now on a file that may not grow (`ulimit -f`) is an error of writing, and does not kill the
/// program.
pub(crate) fn outlive_file_limits() {
    // Where the system refuses the handler the signal does what it always does.
    let _ = flag::register(SIGXFSZ, Arc::default());
}

/// From now on the first SIGINT or SIGTERM stops the run, the second ends the program at once.
///
/// # Errors
/// The system refuses the handlers.
pub(crate) fn watch(stopper: Stopper, quiet: bool) -> io::Result<Interrupted> {
    let interrupted = Interrupted::default();
    let noticed = interrupted.clone();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let watch = move || {
        for _ in signals.forever() {
            if noticed.flag.swap(true, Ordering::Relaxed) {
                leave();
            }
            if !quiet {
                noticed.say();
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
    let interrupted = Interrupted::default();
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&interrupted.flag))?;
    }
    Ok(interrupted)
}

#[expect(clippy::exit, reason = "the user has asked twice; whole lines were written at each flush")]
fn leave() -> ! {
    std::process::exit(Status::Interrupted.code().into())
}
