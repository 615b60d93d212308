//! Signals: the first Ctrl-C stops the run, the second ends the program.

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
    consts::{SIGBUS, SIGINT, SIGTERM, SIGXFSZ},
    flag,
    iterator::Signals,
};

use crate::{status::Status, terminal};

/// How long open connections may continue after an interruption.
const GRACE: Duration = Duration::from_secs(1);

/// A flag that is set when the run is interrupted. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupted {
    flag: Arc<AtomicBool>,
    /// The thread that prints the message about it.
    message: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Interrupted {
    /// Returns whether a signal has arrived.
    pub(crate) fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Waits until the message about an interruption is printed, so that later messages follow it.
    pub(crate) fn wait_for_message(&self) {
        let message = self.message.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(message) = message {
            // A panic of the thread was already reported.
            let _ = message.join();
        }
    }

    /// Prints the message in a separate thread.
    ///
    /// The main thread may be blocked by the reader of stdout, and the signal thread must handle
    /// the next signal even if stderr is blocked.
    fn print_message(&self) {
        let thread = thread::Builder::new().name("portmuster-note".into()).spawn(|| {
            terminal::note_over_progress("stopping; press Ctrl-C again to quit immediately");
        });
        *self.message.lock().unwrap_or_else(PoisonError::into_inner) = thread.ok();
    }
}

/// Turns the signal for a file size limit (`ulimit -f`) into a write error from now on.
pub(crate) fn ignore_file_size_signal() {
    // If the handler can't be installed, the signal still ends the program.
    let _ = flag::register(SIGXFSZ, Arc::default());
}

/// Makes the program end with [`Status::Incomplete`] if another program truncates a file that `SQLite`
/// has mapped into memory, which the kernel reports with SIGBUS.
pub(crate) fn exit_on_truncated_mapping() {
    let always = Arc::new(AtomicBool::new(true));
    let status = i32::from(Status::Incomplete.code());
    // If the handler can't be installed, the signal still ends the program.
    let _ = flag::register_conditional_shutdown(SIGBUS, status, always);
}

/// Stops the run on the first SIGINT or SIGTERM, and ends the program on the second.
///
/// # Errors
/// The signal handlers can't be installed.
pub(crate) fn stop_on_signal(stopper: Stopper, quiet: bool) -> io::Result<Interrupted> {
    let interrupted = Interrupted::default();
    let shared = interrupted.clone();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let watch = move || {
        for _ in signals.forever() {
            if shared.flag.swap(true, Ordering::Relaxed) {
                quit();
            }
            if !quiet {
                shared.print_message();
            }
            stopper.stop(GRACE);
        }
    };
    thread::Builder::new().name("portmuster-signal".into()).spawn(watch)?;
    Ok(interrupted)
}

/// Records SIGINT and SIGTERM from now on without acting on them.
///
/// # Errors
/// The signal handlers can't be installed.
pub(crate) fn record_signals() -> io::Result<Interrupted> {
    let interrupted = Interrupted::default();
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&interrupted.flag))?;
    }
    Ok(interrupted)
}

#[expect(clippy::exit, reason = "the user asked twice, and each flush wrote complete lines")]
fn quit() -> ! {
    std::process::exit(Status::Interrupted.code().into())
}
