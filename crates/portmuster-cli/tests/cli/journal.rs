//! Runs that are killed at any moment and go on: each target is in each output once.

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
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    process::Signal,
};
use serde::Deserialize;
use tempfile::TempDir;

use crate::program::{Ended, Running, check};

/// How often runs are killed, at least.
const KILLS: usize = 11;

/// A run that keeps a journal, with its folder.
pub(crate) struct Kept {
    pub(crate) folder: TempDir,
    arguments: Vec<String>,
}

impl Kept {
    /// With outputs of these formats, each in a file of that name; a second one of a format has a
    /// name behind a dot.
    pub(crate) fn new(formats: &[&str], arguments: &[&str]) -> Self {
        let folder = TempDir::new().expect("there is room for a folder");
        let file = |name: &str| folder.path().join(name).display().to_string();
        let mut all: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        for format in formats {
            let (name, format) = (format, format.split('.').next().expect("it has a beginning"));
            all.extend(["-o".to_owned(), format!("{format}={}", file(name))]);
        }
        all.extend(["--journal".to_owned(), file("journal")]);
        Self { folder, arguments: all }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The arguments with which it begins, or goes on.
    pub(crate) fn arguments(&self, resume: bool) -> Vec<String> {
        let resume = resume.then(|| "--resume".to_owned());
        self.arguments.iter().cloned().chain(resume).collect()
    }

    pub(crate) fn resume(&self) -> Ended {
        check(self.arguments(true))
    }

    /// Begins it, or goes on, and kills it when the journal was written so often, and jsonl so often
    /// after that: how it ended, if it did before.
    fn kill(&self, mut journals: u32, mut writes: u32) -> Option<Ended> {
        self.kill_when(|change| {
            match change {
                Change::Journal => journals = journals.saturating_sub(1),
                Change::Rows if journals == 0 => writes = writes.saturating_sub(1),
                Change::Rows => {}
            }
            journals == 0 && writes == 0
        })
    }

    /// Begins it, or goes on, and kills it at the change of a file at which that is wanted: how it
    /// ended, if it did before.
    pub(crate) fn kill_when(&self, mut is_wanted: impl FnMut(Change) -> bool) -> Option<Ended> {
        let changes = Changes::of(&self.folder);
        let running = Running::check(self.arguments(self.file("journal").exists()));
        if !changes.any(&mut is_wanted) {
            return Some(running.end());
        }
        running.signal(Signal::KILL);
        // It may have come to its end before the signal did.
        let ended = running.end();
        ended.status.is_some().then_some(ended)
    }

    /// Kills it when the journal has so many targets.
    pub(crate) fn kill_with(&self, settled: u64) {
        let ended = self.kill_when(|change| change == Change::Journal && self.settled() == settled);
        assert!(ended.is_none(), "it has come to its end: {ended:?}");
    }

    /// The targets that the journal has.
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

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The journal was replaced.
    Journal,
    /// Rows were written to jsonl.
    Rows,
}

/// What happens to the files of a folder.
struct Changes {
    watch: OwnedFd,
}

impl Changes {
    fn of(folder: &TempDir) -> Self {
        let watch = inotify::init(CreateFlags::CLOEXEC).expect("folders can be watched");
        let flags = WatchFlags::MOVED_TO | WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE;
        inotify::add_watch(&watch, folder.path(), flags).expect("the folder is there");
        Self { watch }
    }

    /// Waits for a change that is wanted; false when who makes them ends before.
    fn any(&self, is_wanted: &mut impl FnMut(Change) -> bool) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.watch, &mut buffer);
        loop {
            let event = events.next().expect("it can be read");
            let name = event.file_name().and_then(|name| name.to_str().ok()).unwrap_or_default();
            let change = match name {
                "journal" if event.events().contains(ReadFlags::MOVED_TO) => Change::Journal,
                "jsonl" if event.events().contains(ReadFlags::CLOSE_WRITE) => return false,
                "jsonl" => Change::Rows,
                _ => continue,
            };
            if is_wanted(change) {
                return true;
            }
        }
    }
}

/// Small numbers from a seed (`SplitMix64`).
struct Chance(u64);

impl Chance {
    /// A seed of its own for each run of the tests; `PORTMUSTER_SEED` has one again.
    fn new() -> Self {
        let given = std::env::var("PORTMUSTER_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
        say(&format!("PORTMUSTER_SEED={seed}"));
        Self(seed)
    }

    fn below(&mut self, most: u64) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        u32::try_from((mixed ^ (mixed >> 27)) % most).expect("it is small")
    }
}

#[expect(clippy::print_stdout, reason = "who reads of a failure wants to have it again")]
fn say(what: &str) {
    println!("{what}");
}

/// Where the targets of these tests begin: refused, all on one port.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);

/// So many targets.
fn range(targets: u32) -> String {
    format!("{FIRST}-{}:1", Ipv4Addr::from_bits(FIRST.to_bits() + targets - 1))
}

/// How often each target is there.
struct Seen(Vec<u8>);

impl Seen {
    fn of<'a>(targets: u32, hosts: impl Iterator<Item = &'a str>) -> Self {
        let mut seen = vec![0; targets as usize];
        for host in hosts {
            let host: Ipv4Addr = host.parse().unwrap_or_else(|_| panic!("{host} is no address"));
            seen[(host.to_bits() - FIRST.to_bits()) as usize] += 1;
        }
        Self(seen)
    }

    fn assert_once(&self, output: &str) {
        let wrong = self.0.iter().filter(|&&times| times != 1).count();
        assert_eq!(wrong, 0, "targets that are not in {output} exactly once");
    }
}

fn in_jsonl(kept: &Kept, targets: u32) -> Seen {
    #[derive(Deserialize)]
    struct Line<'a> {
        host: &'a str,
        state: &'a str,
    }
    let lines = BufReader::new(File::open(kept.file("jsonl")).expect("it is there")).lines();
    let lines: Vec<_> = lines.map(|line| line.expect("it is text")).collect();
    Seen::of(
        targets,
        lines.iter().map(|line| {
            let line: Line<'_> =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            assert_eq!(line.state, "closed", "as in a run that nobody kills");
            line.host
        }),
    )
}

fn in_csv(kept: &Kept, targets: u32) -> Seen {
    let text = kept.text("csv");
    assert!(text.starts_with("schema,host,port,") && text.ends_with('\n'));
    let host = |line: &'_ str| line.split(',').nth(1).expect("a row has a host").to_owned();
    let hosts: Vec<_> = text.lines().skip(1).map(host).collect();
    Seen::of(targets, hosts.iter().map(String::as_str))
}

fn in_sqlite(kept: &Kept, targets: u32) -> Seen {
    let database = Connection::open(kept.file("sqlite")).expect("it is a database");
    let runs: Vec<(bool, u32, u32)> = {
        let query = "SELECT ended IS NOT NULL, targets, left FROM runs";
        let mut query = database.prepare(query).expect("it has the columns");
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.expect("it can be read").map(|row| row.expect("of this type")).collect()
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
    Seen::of(targets, hosts.iter().map(String::as_str))
}

/// Kills the run until it comes to its end: how often that was.
fn kill_until_it_ends(kept: &Kept, targets: u32, chance: &mut Chance) -> usize {
    let mut kills = 0;
    loop {
        // Every other time it gets as far as the next checkpoint, and a little further.
        let journals = if chance.below(2) == 0 { 2 } else { 1 };
        let writes = chance.below(60);
        say(&format!("kill after {journals} journals and {writes} writes"));
        let Some(ended) = kept.kill(journals, writes) else {
            kills += 1;
            continue;
        };
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let summary = ended.summary();
        assert_eq!((summary.targets, summary.of("closed")), (targets.into(), targets.into()));
        return kills;
    }
}

fn assert_each_target_once(targets: u32, arguments: &[&str], outputs: &Outputs) {
    let mut chance = Chance::new();
    let formats: Vec<_> = outputs.iter().map(|(format, _)| *format).collect();
    let range = range(targets);
    let mut kills = 0;
    // Where the end is faster than the kills there is more than one round.
    while kills < KILLS {
        let arguments = [&[range.as_str(), "--rate", "max"], arguments].concat();
        let kept = Kept::new(&formats, &arguments);
        kills += kill_until_it_ends(&kept, targets, &mut chance);
        for (format, seen) in outputs {
            seen(&kept, targets).assert_once(format);
        }
    }
}

/// Formats, and what reads them.
type Outputs = [(&'static str, fn(&Kept, u32) -> Seen)];

#[test]
fn killed_at_random_every_output_has_each_target_once() {
    let outputs: &Outputs = &[("jsonl", in_jsonl), ("csv", in_csv), ("sqlite", in_sqlite)];
    assert_each_target_once(300_000, &[], outputs);
}

#[test]
fn killed_eleven_times_worker_processes_lose_nothing() {
    let arguments = ["--method", "process-event-loops"];
    assert_each_target_once(262_144, &arguments, &[("jsonl", in_jsonl)]);
}
