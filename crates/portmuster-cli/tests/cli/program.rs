//! Runs the program, to its end or step by step.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::fd::OwnedFd,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Stdio},
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{
        Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, kill_process, pidfd_open,
        pidfd_send_signal, prlimit,
    },
};

use crate::{
    row::{self, Row},
    summary::Summary,
};

/// Longer than any run here takes on a machine that is busy with other things.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// Every method.
pub(crate) const METHODS: [&str; 6] =
    ["serial", "threads", "processes", "process-threads", "event-loop", "process-event-loops"];

/// What changes how the program shows things.
const SETTINGS: [&str; 6] = ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "CI", "TERM"];

/// Where the program is.
pub(crate) const PATH: &str = env!("CARGO_BIN_EXE_portmuster");

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: a signal killed it.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The rows in stdout, which are JSON lines.
    pub(crate) fn rows(&self) -> Vec<Row> {
        row::read(&self.stdout)
    }

    pub(crate) fn summary(&self) -> Summary {
        Summary::read(&self.stderr)
    }
}

/// `portmuster check` with these arguments.
pub(crate) fn check<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    run(program().arg("check").args(arguments))
}

/// `portmuster`, with nothing inherited that changes how it shows things.
pub(crate) fn program() -> assert_cmd::Command {
    command(PATH)
}

/// A program with nothing inherited that changes how `portmuster` shows things.
pub(crate) fn command(program: &str) -> assert_cmd::Command {
    let mut command = std::process::Command::new(program);
    clear(&mut command);
    assert_cmd::Command::from_std(command)
}

/// Lets it inherit nothing that changes how `portmuster` shows things.
pub(crate) fn clear(command: &mut std::process::Command) -> &mut std::process::Command {
    for setting in SETTINGS {
        command.env_remove(setting);
    }
    command
}

/// Runs it to its end.
pub(crate) fn run(command: &mut assert_cmd::Command) -> Ended {
    let output = command.timeout(LIMIT).output().expect("the program starts");
    Ended {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("what it writes is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("what it says is UTF-8"),
    }
}

/// A run under way. It is killed when it is dropped, and when it lasts longer than [`LIMIT`].
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<BufReader<ChildStdout>>,
    stderr: BufReader<ChildStderr>,
    _watchdog: SyncSender<()>,
}

impl Running {
    /// Starts `portmuster check` with pipes for stdin, stdout and stderr.
    pub(crate) fn check<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self::start("check", arguments)
    }

    /// Starts the program with pipes for stdin, stdout and stderr.
    pub(crate) fn start<A: AsRef<OsStr>>(
        command: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let mut program = std::process::Command::new(PATH);
        let command = clear(&mut program).arg(command).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().map(BufReader::new),
            stderr: BufReader::new(child.stderr.take().expect("it is piped")),
            _watchdog: watch(pid(&child)),
            child,
        }
    }

    /// Writes to its stdin.
    pub(crate) fn feed(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(text.as_bytes()).expect("the program reads its input");
    }

    /// Ends its stdin.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// The next line of stdout, with its end; nothing at the end of stdout.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        let stdout = self.stdout.as_mut().expect("stdout is open");
        stdout.read_line(&mut line).expect("stdout is UTF-8");
        line
    }

    /// The next row of stdout.
    pub(crate) fn row(&mut self) -> Row {
        let line = self.line();
        let [row] = <[Row; 1]>::try_from(row::read(&line)).expect("one line is one row");
        row
    }

    /// The next line of stderr, with its end; nothing at the end of stderr.
    pub(crate) fn said(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).expect("stderr is UTF-8");
        line
    }

    /// Closes the end of stdout at which we read.
    pub(crate) fn close_stdout(&mut self) {
        self.stdout = None;
    }

    pub(crate) fn pid(&self) -> i32 {
        pid(&self.child).as_raw_nonzero().get()
    }

    /// The processes that it has started, as they are just now.
    pub(crate) fn children(&self) -> Vec<OwnedFd> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it runs");
        let children = threads.flatten().map(|thread| thread.path().join("children"));
        let children: String = children.filter_map(|path| fs::read_to_string(path).ok()).collect();
        let child =
            |id: &str| pidfd_open(Pid::from_raw(id.parse().ok()?)?, PidfdFlags::empty()).ok();
        children.split_whitespace().filter_map(child).collect()
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_none()
    }

    /// Sets the limit of descriptors that it may have from now on; the limit before.
    pub(crate) fn limit_descriptors(&self, most: u64) -> u64 {
        let limit = Rlimit { current: Some(most), ..getrlimit(Resource::Nofile) };
        let before = prlimit(Some(pid(&self.child)), Resource::Nofile, limit);
        before.expect("the program runs").current.expect("it has a limit")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(&self.child), signal).expect("the program runs");
    }

    /// Waits for its end; what had not been read is in the answer.
    pub(crate) fn end(mut self) -> Ended {
        self.end_input();
        let mut stdout = self.stdout.take();
        let stdout = thread::spawn(move || stdout.as_mut().map(rest).unwrap_or_default());
        let stderr = rest(&mut self.stderr);
        let stdout = stdout.join().expect("stdout is UTF-8");
        let status = self.child.wait().expect("it can be waited for").code();
        Ended { status, stdout, stderr }
    }

    /// Waits for its end while nobody reads its stdout.
    pub(crate) fn end_unread(mut self) -> Ended {
        let stderr = rest(&mut self.stderr);
        let status = self.child.wait().expect("it can be waited for").code();
        Ended { status, stdout: String::new(), stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rest(stream: &mut impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it is UTF-8");
    text
}

/// Whether the process has ended and was waited for.
pub(crate) fn is_gone(process: &OwnedFd) -> bool {
    pidfd_send_signal(process, Signal::CONT) == Err(Errno::SRCH)
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Kills the process once the limit has passed, unless the answer is dropped before: whoever
/// waits for its pipes then sees their end.
fn watch(pid: Pid) -> SyncSender<()> {
    let (ended, end) = sync_channel(1);
    thread::spawn(move || {
        if end.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    ended
}
