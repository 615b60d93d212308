//! A terminal of our own, on which the program runs.

use std::{
    fs::File,
    io::Read,
    process::{Command, Stdio},
};

use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::program::{PATH, clear};

/// Runs `portmuster` with a terminal for stdout and stderr to its end; what was shown, with line
/// ends as files have them.
pub(crate) fn shown<'a>(
    arguments: impl IntoIterator<Item = &'a str>,
    environment: &[(&str, &str)],
) -> String {
    let (ours, theirs) = pair();
    let mut command = Command::new(PATH);
    clear(&mut command).args(arguments).envs(environment.iter().copied());
    command.stdin(Stdio::null()).stderr(theirs.try_clone().expect("it is open")).stdout(theirs);
    let mut child = command.spawn().expect("the program starts");
    // It holds their end of the terminal.
    drop(command);
    let shown = rest(ours);
    child.wait().expect("it can be waited for");
    shown.replace("\r\n", "\n")
}

fn pair() -> (File, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .expect("the system has terminals");
    grantpt(&ours).expect("the terminal is ours");
    unlockpt(&ours).expect("the terminal is ours");
    let name = ptsname(&ours, Vec::new()).expect("the terminal has a name");
    let theirs = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
        .expect("the terminal has another end");
    (ours.into(), theirs.into())
}

/// All that comes until the other end is closed, which Linux tells as an error (EIO).
fn rest(mut terminal: File) -> String {
    let mut shown = Vec::new();
    match terminal.read_to_end(&mut shown) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::IO) => {
            panic!("reading the terminal: {error}")
        }
        _ => String::from_utf8(shown).expect("what is shown is UTF-8"),
    }
}
