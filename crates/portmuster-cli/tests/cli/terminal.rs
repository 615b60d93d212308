//! Runs the program on a pseudo-terminal.

use std::{
    fs::File,
    io::Read,
    process::{Command, Stdio},
};

use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::program::{PATH, clear};

/// Runs `portmuster` with a terminal as stdout and stderr. Returns what it printed, with LF line
/// ends.
pub(crate) fn shown<'a>(
    arguments: impl IntoIterator<Item = &'a str>,
    environment: &[(&str, &str)],
) -> String {
    // A new terminal does not know its size.
    shown_in(0, arguments, environment)
}

/// Does the same on a terminal with this number of columns.
pub(crate) fn shown_in<'a>(
    columns: u16,
    arguments: impl IntoIterator<Item = &'a str>,
    environment: &[(&str, &str)],
) -> String {
    let (controller, terminal) = pair();
    let size = Winsize { ws_row: 0, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).expect("it is a terminal");
    let mut command = Command::new(PATH);
    clear(&mut command).args(arguments).envs(environment.iter().copied());
    command.stdin(Stdio::null()).stderr(terminal.try_clone().expect("it is open")).stdout(terminal);
    let mut child = command.spawn().expect("the program starts");
    // The command still owns the other end of the terminal.
    drop(command);
    let shown = rest(controller);
    child.wait().expect("it can be waited for");
    shown.replace("\r\n", "\n")
}

fn pair() -> (File, File) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .expect("the system has terminals");
    grantpt(&controller).expect("the terminal is available");
    unlockpt(&controller).expect("the terminal is available");
    let name = ptsname(&controller, Vec::new()).expect("the terminal has a name");
    let terminal = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
        .expect("the terminal has another end");
    (controller.into(), terminal.into())
}

/// Reads until the other end is closed, which Linux reports as `EIO`.
fn rest(mut terminal: File) -> String {
    let mut shown = Vec::new();
    match terminal.read_to_end(&mut shown) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::IO) => {
            panic!("reading the terminal: {error}")
        }
        _ => String::from_utf8(shown).expect("the output is UTF-8"),
    }
}
