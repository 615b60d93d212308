//! Runs that are killed at random moments and resumed write each target to each output once.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    mem::MaybeUninit,
    net::Ipv4Addr,
    os::fd::OwnedFd,
    path::PathBuf,
};

use rusqlite::Connection;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    process::Signal,
};
use serde::Deserialize;

use crate::{
    folder::Folder,
    program::{Ended, LIMIT, Running, check},
};

/// Minimum number of kills per test.
const KILLS: usize = 11;

/// What resuming a complete run prints.
pub(crate) const COMPLETE: &str =
    "portmuster: the journal says that this run is complete: nothing is left to do\n";

/// A run with a journal and outputs in a temporary folder.
pub(crate) struct JournaledRun {
    pub(crate) folder: Folder,
    arguments: Vec<String>,
}

impl JournaledRun {
    /// Adds one output per entry of `formats`, in a file of that name. A second output of a format
    /// has a suffix after a dot, as in `sqlite.second`.
    pub(crate) fn new(formats: &[&str], arguments: &[&str]) -> Self {
        let folder = Folder::new();
        let file = |name: &str| folder.file(name).display().to_string();
        let mut all: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        for format in formats {
            let (name, format) = (format, format.split('.').next().expect("it has a beginning"));
            all.extend(["-o".to_owned(), format!("{format}={}", file(name))]);
        }
        all.extend(["--journal".to_owned(), file("journal")]);
        Self { folder, arguments: all }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.file(name)
    }

    /// Returns the arguments that start the run, or resume it.
    pub(crate) fn arguments(&self, resume: bool) -> Vec<String> {
        let resume = resume.then(|| "--resume".to_owned());
        self.arguments.iter().cloned().chain(resume).collect()
    }

    pub(crate) fn resume(&self) -> Ended {
        check(self.arguments(true))
    }

    /// Starts or resumes the run and kills it after `journals` checkpoints and `writes` further
    /// writes to jsonl. Returns how the run ended if it ended before.
    fn kill(&self, mut journals: u32, mut writes: u32) -> Option<Ended> {
        self.kill_when(|event| {
            match event {
                FileEvent::Journal => journals = journals.saturating_sub(1),
                FileEvent::Rows if journals == 0 => writes = writes.saturating_sub(1),
                FileEvent::Rows => {}
            }
            journals == 0 && writes == 0
        })
    }

    /// Starts or resumes the run and kills it at the first file event for which `is_wanted` returns
    /// true. Returns how the run ended if it ended before.
    pub(crate) fn kill_when(&self, mut is_wanted: impl FnMut(FileEvent) -> bool) -> Option<Ended> {
        let watch = FolderWatch::of(&self.folder);
        let running = Running::check(self.arguments(self.file("journal").exists()));
        if !watch.any(&running.process(), &mut is_wanted) {
            return Some(running.end());
        }
        running.signal(Signal::KILL);
        // The run may have ended before the signal arrived.
        let ended = running.end();
        ended.status.is_some().then_some(ended)
    }

    /// Kills the run when the journal contains this number of settled targets.
    pub(crate) fn kill_with(&self, settled: u64) {
        let ended =
            self.kill_when(|event| event == FileEvent::Journal && self.settled() == settled);
        assert!(ended.is_none(), "it has ended: {ended:?}");
    }

    /// Returns the number of settled targets in the journal.
    fn settled(&self) -> u64 {
        let text = self.text("journal");
        let (_, journal) = text.split_once('\n').expect("it has a header");
        let journal: serde_json::Value = serde_json::from_str(journal).expect("it is JSON");
        let runs = journal["settled"].as_array().expect("runs of positions").iter().step_by(2);
        runs.map(|run| run.as_u64().expect("a length")).sum()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).expect("it was written")
    }
}

/// An event that the folder watch reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileEvent {
    /// The journal was replaced.
    Journal,
    /// Rows were written to jsonl.
    Rows,
}

/// An inotify watch on a folder.
struct FolderWatch {
    watch: OwnedFd,
}

impl FolderWatch {
    fn of(folder: &Folder) -> Self {
        let watch = inotify::init(CreateFlags::CLOEXEC).expect("folders can be watched");
        let flags = WatchFlags::MOVED_TO | WatchFlags::MODIFY;
        inotify::add_watch(&watch, folder.path(), flags).expect("the folder is there");
        Self { watch }
    }

    /// Waits for a wanted event. Returns false when the process ends before.
    fn any(&self, process: &OwnedFd, is_wanted: &mut impl FnMut(FileEvent) -> bool) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.watch, &mut buffer);
        loop {
            if events.is_buffer_empty() && !self.is_ready_before_end_of(process) {
                return false;
            }
            let event = events.next().expect("it can be read");
            let name = event.file_name().and_then(|name| name.to_str().ok()).unwrap_or_default();
            let file_event = match name {
                "journal" if event.events().contains(ReadFlags::MOVED_TO) => FileEvent::Journal,
                "jsonl" => FileEvent::Rows,
                _ => continue,
            };
            if is_wanted(file_event) {
                return true;
            }
        }
    }

    /// Waits for an event or the end of the process. Returns whether there is an event.
    fn is_ready_before_end_of(&self, process: &OwnedFd) -> bool {
        let mut fds =
            [&self.watch, process].map(|descriptor| PollFd::new(descriptor, PollFlags::IN));
        let limit = Timespec::try_from(LIMIT).expect("a short time");
        let ready = poll(&mut fds, Some(&limit)).expect("poll succeeds");
        assert_ne!(ready, 0, "the run has written nothing for {LIMIT:?}");
        !fds[0].revents().is_empty()
    }
}

/// Pseudo-random numbers from a seed (`SplitMix64`).
struct SplitMix64(u64);

impl SplitMix64 {
    /// Takes the seed from `PORTMUSTER_SEED`, or else from the process id, and prints it.
    fn new() -> Self {
        let fixed = std::env::var("PORTMUSTER_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = fixed.unwrap_or_else(|| u64::from(std::process::id()));
        print_line(&format!("PORTMUSTER_SEED={seed}"));
        Self(seed)
    }

    fn below(&mut self, end: u64) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        u32::try_from((mixed ^ (mixed >> 27)) % end).expect("it is small")
    }
}

#[expect(clippy::print_stdout, reason = "a failure must be reproducible")]
fn print_line(what: &str) {
    println!("{what}");
}

/// First address of the targets. All are refused, on one port.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);

/// Returns a target range of this size.
fn range(targets: u32) -> String {
    format!("{FIRST}-{}:1", Ipv4Addr::from_bits(FIRST.to_bits() + targets - 1))
}

/// How often each target occurs in an output.
struct TargetCounts(Vec<u8>);

impl TargetCounts {
    fn of<'a>(targets: u32, hosts: impl Iterator<Item = &'a str>) -> Self {
        let mut counts = vec![0; targets as usize];
        for host in hosts {
            let host: Ipv4Addr = host.parse().unwrap_or_else(|_| panic!("{host} is no address"));
            counts[(host.to_bits() - FIRST.to_bits()) as usize] += 1;
        }
        Self(counts)
    }

    fn assert_once(&self, output: &str) {
        let wrong = self.0.iter().filter(|&&times| times != 1).count();
        assert_eq!(wrong, 0, "targets that are not in {output} exactly once");
    }
}

fn count_jsonl(run: &JournaledRun, targets: u32) -> TargetCounts {
    #[derive(Deserialize)]
    struct Line<'a> {
        host: &'a str,
        state: &'a str,
    }
    let lines = BufReader::new(File::open(run.file("jsonl")).expect("it exists")).lines();
    let lines: Vec<_> = lines.map(|line| line.expect("it is text")).collect();
    TargetCounts::of(
        targets,
        lines.iter().map(|line| {
            let line: Line<'_> =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            assert_eq!(line.state, "closed", "as in a run without kills");
            line.host
        }),
    )
}

fn count_csv(run: &JournaledRun, targets: u32) -> TargetCounts {
    let text = run.text("csv");
    assert!(text.starts_with("schema,host,port,") && text.ends_with('\n'));
    let host = |line: &'_ str| line.split(',').nth(1).expect("a row has a host").to_owned();
    let hosts: Vec<_> = text.lines().skip(1).map(host).collect();
    TargetCounts::of(targets, hosts.iter().map(String::as_str))
}

fn count_sqlite(run: &JournaledRun, targets: u32) -> TargetCounts {
    let database = Connection::open(run.file("sqlite")).expect("it is a database");
    let runs: Vec<(bool, u32, u32)> = {
        let query = "SELECT ended IS NOT NULL, targets, left FROM runs";
        let mut query = database.prepare(query).expect("it has the columns");
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.expect("it can be read").map(|row| row.expect("it has this type")).collect()
    };
    assert_eq!(runs, [(true, targets, 0)], "it is one run, however often it was killed");
    let positions = "SELECT count(DISTINCT position), max(position) FROM outcomes";
    let positions: (u32, u32) = database
        .query_row(positions, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("it can be read");
    assert_eq!(positions, (targets, targets - 1));
    let mut query = database.prepare("SELECT host FROM outcomes").expect("it has the column");
    let hosts = query.query_map([], |row| row.get(0)).expect("it can be read");
    let hosts: Vec<String> = hosts.map(|host| host.expect("it is text")).collect();
    TargetCounts::of(targets, hosts.iter().map(String::as_str))
}

/// Kills and resumes the run until it completes. Returns the number of kills.
fn kill_until_it_ends(run: &JournaledRun, targets: u32, random: &mut SplitMix64) -> usize {
    let mut kills = 0;
    loop {
        // Every second time on average, the run gets past another checkpoint.
        let journals = if random.below(2) == 0 { 2 } else { 1 };
        let writes = random.below(60);
        print_line(&format!("kill after {journals} journals and {writes} writes"));
        let Some(ended) = run.kill(journals, writes) else {
            kills += 1;
            continue;
        };
        assert_eq!(ended.status, Some(0), "{ended:?}");
        // A kill after the last checkpoint leaves a complete run, whose resume prints no summary.
        if kills == 0 || ended.stderr != COMPLETE {
            let summary = ended.summary();
            assert_eq!((summary.targets, summary.of("closed")), (targets.into(), targets.into()));
        }
        return kills;
    }
}

fn assert_each_target_once(targets: u32, arguments: &[&str], outputs: &Outputs) {
    let mut random = SplitMix64::new();
    let formats: Vec<_> = outputs.iter().map(|(format, _)| *format).collect();
    let range = range(targets);
    let mut kills = 0;
    // A run that completes before it was killed often enough is followed by another.
    while kills < KILLS {
        let arguments = [&[range.as_str(), "--rate", "max"], arguments].concat();
        let run = JournaledRun::new(&formats, &arguments);
        kills += kill_until_it_ends(&run, targets, &mut random);
        for (format, counts) in outputs {
            counts(&run, targets).assert_once(format);
        }
    }
}

/// Formats and the functions that count the targets in their files.
type Outputs = [(&'static str, fn(&JournaledRun, u32) -> TargetCounts)];

#[test]
fn resume_after_random_kills_writes_each_target_once() {
    let outputs: &Outputs = &[("jsonl", count_jsonl), ("csv", count_csv), ("sqlite", count_sqlite)];
    assert_each_target_once(160_000, &[], outputs);
}

#[test]
fn resume_after_eleven_kills_of_worker_processes_writes_each_target_once() {
    let arguments = ["--method", "process-event-loops"];
    assert_each_target_once(131_072, &arguments, &[("jsonl", count_jsonl)]);
}
