//! Messages on stderr, and output that is printed at once on stdout.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use portmuster::sink::{Paint, escape_line, wrap};
use rustix::termios::tcgetwinsize;

use crate::status::Status;

/// The fewest columns of the lines of a message beside its prefix.
const MESSAGE_COLUMNS_MIN: usize = 20;

/// Prints the bytes. A reader that closes stdout early is no error.
pub(crate) fn print(stdout: &mut impl Write, bytes: &[u8]) -> Status {
    status_of(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Returns the status of a command from the result of writing to stdout; prints an error.
pub(crate) fn status_of(result: io::Result<()>) -> Status {
    match result {
        Ok(()) => Status::Complete,
        Err(failed) if failed.kind() == io::ErrorKind::BrokenPipe => Status::Complete,
        Err(failed) => {
            error(&anyhow::Error::new(failed).context("writing standard output"));
            Status::Incomplete
        }
    }
}

/// Prints an error.
pub(crate) fn error(message: &anyhow::Error) {
    write_message("error", AnsiColor::Red.on_default().bold(), &format!("{message:#}"));
}

/// Prints an error, and below it a command to type instead, after what it is.
pub(crate) fn error_with_command(message: &str, what: &str, command: &str) {
    error(&anyhow::anyhow!(message.to_owned()));
    // If stderr is closed, no reader is left for the message or for the error.
    let _ = writeln!(anstream::stderr().lock(), "  {what}: {}", escape_line(command.as_bytes()));
}

/// Prints a message that is no error.
pub(crate) fn note(message: impl Display) {
    write_message("portmuster", Style::new().bold(), &message.to_string());
}

/// Prints a message over a progress bar, which is redrawn below it.
pub(crate) fn note_over_progress(message: &str) {
    clear_progress();
    note(message);
}

/// Prints an error over a progress bar.
pub(crate) fn error_over_progress(message: &anyhow::Error) {
    clear_progress();
    error(message);
}

/// Clears the line of a progress bar.
fn clear_progress() {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr().lock(), "\r\x1b[2K");
    }
}

/// Writes a message with its prefix. Messages may quote bytes of servers, so they are escaped.
fn write_message(prefix: &str, style: Style, message: &str) {
    let message = escape_line(message.as_bytes());
    let indent = prefix.len() + ": ".len();
    let columns = stderr_width().map_or(usize::MAX, |width| width.saturating_sub(indent));
    let columns = columns.max(MESSAGE_COLUMNS_MIN);
    let lines = wrap(&message, columns).join(&format!("\n{:indent$}", ""));
    // If stderr is closed, no reader is left for the message or for the error.
    let _ = writeln!(anstream::stderr().lock(), "{style}{prefix}:{style:#} {lines}");
}

/// Returns the columns of the terminal that stderr is; `None`: it is none, or it does not know them.
pub(crate) fn stderr_width() -> Option<usize> {
    width(&io::stderr())
}

/// Returns the columns of a terminal. Only terminals have a size, and some do not know it.
fn width(stream: &impl AsFd) -> Option<usize> {
    let size = tcgetwinsize(stream).ok().filter(|size| size.ws_col > 0)?;
    Some(size.ws_col.into())
}

/// What a stream can show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    pub(crate) paint: Paint,
    /// The number of columns; `None` if it is no terminal.
    pub(crate) width: Option<usize>,
}

impl Screen {
    /// A file or pipe.
    pub(crate) const PLAIN: Self = Self { paint: Paint::Plain, width: None };

    /// Returns what stdout can show; `--color` decides about colours.
    pub(crate) fn stdout() -> Self {
        let stdout = io::stdout();
        let paint = match AutoStream::choice(&stdout) {
            ColorChoice::Never => Paint::Plain,
            _ => Paint::Ansi,
        };
        Self { paint, width: width(&stdout) }
    }
}
