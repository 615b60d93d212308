//! Runs the program, to completion or step by step.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::fd::OwnedFd,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Stdio},
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
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

/// Time limit of a run and of a wait, only so that a test that would hang fails. No test depends on
/// its length.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

/// Time between two tests of a condition that no event reports.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The names of all methods.
pub(crate) const METHODS: [&str; 6] =
    ["serial", "threads", "processes", "process-threads", "event-loop", "process-event-loops"];

/// Environment variables that affect colour, width, progress and options.
const SETTINGS: [&str; 8] = [
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "CI",
    "TERM",
    "PORTMUSTER_CONFIG",
    "PORTMUSTER_PROXY",
];

/// Path of the program under test.
pub(crate) const PATH: &str = env!("CARGO_BIN_EXE_portmuster");

/// Exit status and output of a run that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` if a signal killed the program.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Parses stdout as JSON lines.
    pub(crate) fn rows(&self) -> Vec<Row> {
        row::read(&self.stdout)
    }

    pub(crate) fn summary(&self) -> Summary {
        Summary::read(&self.stderr)
    }
}

/// Runs `portmuster check` with these arguments.
pub(crate) fn check<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    run(program().arg("check").args(arguments))
}

/// Returns a command for `portmuster` without the inherited display variables.
pub(crate) fn program() -> assert_cmd::Command {
    command(PATH)
}

/// Returns a command for any program without the inherited display variables.
pub(crate) fn command(program: &str) -> assert_cmd::Command {
    let mut command = std::process::Command::new(program);
    clear(&mut command);
    assert_cmd::Command::from_std(command)
}

/// Removes the display variables from the command's environment.
pub(crate) fn clear(command: &mut std::process::Command) -> &mut std::process::Command {
    for setting in SETTINGS {
        command.env_remove(setting);
    }
    command
}

/// Runs the command to completion.
pub(crate) fn run(command: &mut assert_cmd::Command) -> Ended {
    let output = command.timeout(LIMIT).output().expect("the program starts");
    Ended {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    }
}

/// A run in progress. It is killed when dropped, and when it exceeds [`LIMIT`].
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

    /// Starts a command of the program with pipes for stdin, stdout and stderr.
    pub(crate) fn start<A: AsRef<OsStr>>(
        command: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self::start_into(Stdio::piped(), command, arguments)
    }

    /// Starts a command of the program with this stdout, and pipes for stdin and stderr.
    pub(crate) fn start_into<A: AsRef<OsStr>>(
        stdout: impl Into<Stdio>,
        command: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let mut program = std::process::Command::new(PATH);
        let command = clear(&mut program).arg(command).args(arguments);
        command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        // Unlike its number, the descriptor never means another process.
        let process = pidfd_open(pid(&child), PidfdFlags::empty()).expect("it was not waited for");
        Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().map(BufReader::new),
            stderr: BufReader::new(child.stderr.take().expect("it is piped")),
            _watchdog: watch(process),
            child,
        }
    }

    /// Writes to stdin of the program.
    pub(crate) fn feed(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(text.as_bytes()).expect("the program reads its input");
    }

    /// Closes stdin of the program.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Reads the next line of stdout with its line end. Empty at the end of stdout.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        let stdout = self.stdout.as_mut().expect("stdout is open");
        stdout.read_line(&mut line).expect("stdout is UTF-8");
        line
    }

    /// Reads the next row from stdout.
    pub(crate) fn row(&mut self) -> Row {
        let line = self.line();
        let [row] = <[Row; 1]>::try_from(row::read(&line)).expect("one line is one row");
        row
    }

    /// Reads the next line of stderr with its line end.
    pub(crate) fn stderr_line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).expect("stderr is UTF-8");
        assert_ne!(line, "", "the program prints another line");
        line
    }

    /// Closes the read end of stdout.
    pub(crate) fn close_stdout(&mut self) {
        self.stdout = None;
    }

    /// Returns a descriptor of the process, which is ready to be read when the process has ended.
    pub(crate) fn process(&self) -> OwnedFd {
        pidfd_open(pid(&self.child), PidfdFlags::empty()).expect("it was not waited for")
    }

    pub(crate) fn pid(&self) -> i32 {
        pid(&self.child).as_raw_nonzero().get()
    }

    /// Returns the current child processes of the program.
    pub(crate) fn children(&self) -> Vec<OwnedFd> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it runs");
        let children = threads.flatten().map(|thread| thread.path().join("children"));
        let children: String = children.filter_map(|path| fs::read_to_string(path).ok()).collect();
        let child =
            |id: &str| pidfd_open(Pid::from_raw(id.parse().ok()?)?, PidfdFlags::empty()).ok();
        children.split_whitespace().filter_map(child).collect()
    }

    /// Returns whether the program is still running.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_none()
    }

    /// Sets the soft descriptor limit of the program. Returns the previous limit.
    pub(crate) fn limit_descriptors(&self, most: u64) -> u64 {
        let limit = Rlimit { current: Some(most), ..getrlimit(Resource::Nofile) };
        let before = prlimit(Some(pid(&self.child)), Resource::Nofile, limit);
        before.expect("the program runs").current.expect("it has a limit")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(&self.child), signal).expect("the program runs");
    }

    /// Closes stdin and waits for the program to end. Returns the output not read so far.
    pub(crate) fn end(mut self) -> Ended {
        self.end_input();
        let mut stdout = self.stdout.take();
        let stdout = thread::spawn(move || stdout.as_mut().map(rest).unwrap_or_default());
        let stderr = rest(&mut self.stderr);
        let stdout = stdout.join().expect("stdout is UTF-8");
        let status = self.child.wait().expect("it can be waited for").code();
        Ended { status, stdout, stderr }
    }

    /// Waits for the program to end without reading stdout.
    pub(crate) fn end_unread(mut self) -> Ended {
        let stderr = rest(&mut self.stderr);
        let status = self.child.wait().expect("it can be waited for").code();
        Ended { status, stdout: String::new(), stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The program may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rest(stream: &mut impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it is UTF-8");
    text
}

/// Returns whether the process has ended and was waited for.
pub(crate) fn is_gone(process: &OwnedFd) -> bool {
    pidfd_send_signal(process, Signal::CONT) == Err(Errno::SRCH)
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Kills the process after [`LIMIT`], unless the returned sender is dropped before. Readers of its
/// pipes then reach their end.
fn watch(process: OwnedFd) -> SyncSender<()> {
    let (ended, end) = sync_channel(1);
    thread::spawn(move || {
        if end.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            let _ = pidfd_send_signal(&process, Signal::KILL);
        }
    });
    ended
}

/// Calls `run` with each of the values at the same time. Returns the results in the order of the values.
pub(crate) fn concurrently<T: Send, R: Send>(
    values: impl IntoIterator<Item = T>,
    run: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> =
            values.into_iter().map(|value| scope.spawn(move || run(value))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    })
}

/// Waits until the process has ended. It may still have to be waited for.
pub(crate) fn wait_for_end(process: &OwnedFd) {
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    let limit = Timespec::try_from(LIMIT).expect("a short time");
    assert_eq!(poll(&mut fds, Some(&limit)), Ok(1), "it has not ended within {LIMIT:?}");
}

/// Waits until the condition is true. `what` describes it when it is still false after [`LIMIT`].
#[expect(clippy::disallowed_methods, reason = "no event reports the condition")]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {LIMIT:?}");
        thread::sleep(POLL_INTERVAL);
    }
}
