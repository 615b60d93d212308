//! Signals: the first Ctrl-C stops the run, the second ends the program.

use std::{
    io::{self, Read, Write},
    iter,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::sync_channel,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use portmuster::Stopper;
use rustix::io::ioctl_fionbio;
use signal_hook::{
    consts::{SIGBUS, SIGINT, SIGTERM, SIGXFSZ},
    flag,
    iterator::Signals,
    low_level,
};

use crate::{status::Status, terminal};

/// How long open connections may continue after an interruption.
const GRACE: Duration = Duration::from_secs(1);

/// How long printing the last error may take.
const PRINT_LIMIT: Duration = Duration::from_secs(1);

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
        let thread = thread_named("portmuster-note").spawn(|| {
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

/// Makes the program print an error and end with [`Status::Incomplete`] if another program truncates
/// a file that `SQLite` has mapped into memory, which the kernel reports with SIGBUS.
///
/// `databases` are the files that `SQLite` opens; without one, nothing is done. Call this once.
pub(crate) fn exit_on_truncated_mapping<'a>(databases: impl IntoIterator<Item = &'a Path>) {
    let names: Vec<_> =
        databases.into_iter().map(|database| database.display().to_string()).collect();
    let Some((first, others)) = names.split_first() else { return };
    let error = describe_truncated_mapping(first, others);
    // The actions run in this order. If one can't be installed, the signal still ends the program.
    let _ = exit_from_other_thread(error);
    let status = i32::from(Status::Incomplete.code());
    let _ = flag::register_conditional_shutdown(SIGBUS, status, Arc::new(true.into()));
}

/// Makes SIGBUS wake a thread that prints the error and ends the program.
///
/// The thread that received the signal waits in its handler, by a write to a full pipe. If it
/// returned, its memory access would raise the signal again, and kill the program before the error
/// is printed.
fn exit_from_other_thread(error: String) -> io::Result<()> {
    let (mut arrival, wake) = io::pipe()?;
    let (unread, full) = io::pipe()?;
    let mut filler = full.try_clone()?;
    low_level::pipe::register(SIGBUS, wake)?;
    let watch = move || {
        let _unread = unread;
        if arrival.read_exact(&mut [0]).is_ok() {
            exit_with(error);
        }
    };
    thread_named("portmuster-mapping").spawn(watch)?;
    ioctl_fionbio(&filler, true)?;
    // Longer than PIPE_BUF, so that the last write fills what is left (pipe(7)).
    while filler.write(&[0; 8192]).is_ok() {}
    low_level::pipe::register(SIGBUS, full)?;
    Ok(ioctl_fionbio(&filler, false)?)
}

/// Describes the failure of a mapped file of one of the databases.
fn describe_truncated_mapping(first: &str, others: &[String]) -> String {
    let any = if others.is_empty() { "" } else { "one of " };
    let files: Vec<_> = iter::once(first)
        .chain(others.iter().map(String::as_str))
        .map(|database| format!("{database}-shm"))
        .collect();
    format!(
        "using a database: {any}{}, which SQLite has mapped into memory, can't be read (SIGBUS), \
         because another program has truncated it or the disk has failed; all rows that were committed \
         are complete: run the command again, and leave the -shm and -wal files to SQLite meanwhile",
        files.join(", ")
    )
}

/// Prints the error and ends the program, within [`PRINT_LIMIT`] even if nobody reads stderr.
fn exit_with(error: String) -> ! {
    let (printed, is_printed) = sync_channel(1);
    let print = move || {
        terminal::error_over_progress(&anyhow::Error::msg(error));
        let _ = printed.send(());
    };
    // If the thread can't be started, its end of the channel is dropped, and the wait ends.
    let _ = thread_named("portmuster-note").spawn(print);
    let _ = is_printed.recv_timeout(PRINT_LIMIT);
    // Functions that run at a normal exit could wait for the thread that received the signal.
    low_level::exit(Status::Incomplete.code().into())
}

/// Stops the run on the first SIGINT or SIGTERM, and ends the program on the second.
///
/// # Errors
/// The signal handlers can't be installed.
pub(crate) fn stop_on_signal(stopper: Stopper, quiet: bool) -> io::Result<Interrupted> {
    let interrupted = Interrupted::default();
    let shared = interrupted.clone();
    // The handler itself ends the program, so that nothing that a thread waits for can prevent it.
    for signal in [SIGINT, SIGTERM] {
        let status = Status::Interrupted.code().into();
        flag::register_conditional_shutdown(signal, status, Arc::clone(&interrupted.flag))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let watch = move || {
        for _ in signals.forever() {
            shared.flag.store(true, Ordering::Relaxed);
            if !quiet {
                shared.print_message();
            }
            stopper.stop(GRACE);
        }
    };
    thread_named("portmuster-signal").spawn(watch)?;
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

/// Returns a builder of a thread with this name, whose stack does not depend on the variable
/// `RUST_MIN_STACK`.
fn thread_named(name: &str) -> thread::Builder {
    /// The stack in bytes: that which threads of Rust programs have by default.
    const STACK: usize = 2 << 20;

    thread::Builder::new().name(name.into()).stack_size(STACK)
}
