//! What is printed at once, and what is said on stderr.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
};

use anstyle::{AnsiColor, Style};
use portmuster::sink::escape_line;

use crate::status::Status;

/// Prints all of it. Whoever reads stdout may go before the end.
pub(crate) fn print(stdout: &mut impl Write, bytes: &[u8]) -> Status {
    printed(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// How a command ended whose standard output was written like this.
pub(crate) fn printed(result: io::Result<()>) -> Status {
    match result {
        Ok(()) => Status::Complete,
        Err(failed) if failed.kind() == io::ErrorKind::BrokenPipe => Status::Complete,
        Err(failed) => {
            error(&anyhow::Error::new(failed).context("writing standard output"));
            Status::Incomplete
        }
    }
}

/// Says what went wrong.
pub(crate) fn error(message: &anyhow::Error) {
    say("error", AnsiColor::Red.on_default().bold(), &format!("{message:#}"));
}

/// Says what the user may want to know.
pub(crate) fn note(message: impl Display) {
    say("portmuster", Style::new().bold(), &message.to_string());
}

/// Says it in the midst of whatever is being shown: a line of progress is wiped away, and drawn
/// again below.
pub(crate) fn interrupt(message: &str) {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr().lock(), "\r\x1b[2K");
    }
    note(message);
}

/// Messages may quote what a stranger wrote.
fn say(who: &str, style: Style, message: &str) {
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(
        anstream::stderr().lock(),
        "{style}{who}:{style:#} {}",
        escape_line(message.as_bytes())
    );
}
