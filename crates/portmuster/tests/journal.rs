//! Runs with a journal: what a later process of a run finds, and what it writes.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use portmuster::{
    Account, Checker, Config, Outcomes, Service,
    gates::{Gates, RunTotals},
    journal::{
        InvalidJournal, Journal, JournalErrorKind, JournalOutput, JournaledRun, RunIdentity,
    },
    sink::ResumePoint,
};

/// Number of targets, which all refuse the connection.
const TARGETS: u16 = 300;

struct Folder {
    _directory: tempfile::TempDir,
    journal: PathBuf,
    rows: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (journal, rows) = (directory.path().join("journal"), directory.path().join("rows"));
        Self { _directory: directory, journal, rows }
    }
}

/// One process of a run that writes the name of each target to a file.
struct Process {
    run: JournaledRun,
    outcomes: Outcomes,
    rows: File,
    gates: Gates,
}

/// Returns addresses of loopback on which nothing listens.
fn targets() -> Vec<(String, u16)> {
    (0..TARGETS).map(|number| (format!("127.77.{}.{}", number / 256, number % 256), 1)).collect()
}

fn identity() -> RunIdentity {
    RunIdentity::new([("targets", format!("{TARGETS} of 127.77.0.0/16"))])
}

fn no_telnet() -> Gates {
    Gates::new([Service::Telnet]).requiring_verdicts([])
}

fn end(rows: &File) -> [ResumePoint; 1] {
    [ResumePoint::Lines { length: rows.metadata().expect("the file is open").len() }]
}

impl Process {
    fn start(folder: &Folder) -> Self {
        let journal: Journal = Journal::resume(&folder.journal).expect("the journal is valid");
        journal.refuse_other_run(&identity(), TARGETS.into()).expect("it is the same run");
        let rows = File::options().append(true).create(true).open(&folder.rows);
        let rows = rows.expect("the file system works");
        let length = match journal.resume_points()[..] {
            [ResumePoint::Lines { length }] => length,
            _ => 0,
        };
        rows.set_len(length).expect("the file system works");
        let gates = match journal.state() {
            Some(state) => {
                let gates = state.gates.clone().unwrap_or_else(|| no_telnet().state().clone());
                no_telnet()
                    .resuming(gates, state.account.settled())
                    .expect("the gates are the same")
            }
            None => no_telnet(),
        };
        let checker = Checker::new(Config::default());
        let checker = checker.resuming(journal.settled()).resumable();
        let output = rows.try_clone().expect("a descriptor is free");
        let run = journal.start(identity(), [output], end(&rows)).expect("the journal is written");
        let outcomes = checker.check(targets()).expect("the run starts");
        Self { run, outcomes, rows, gates }
    }

    /// Writes the rows of at most `count` outcomes.
    fn write(&mut self, count: usize) {
        for _ in 0..count {
            let Some(outcome) = self.outcomes.next() else { return };
            for outcome in self.run.settle(outcome, &self.outcomes) {
                self.gates.add(&outcome);
                writeln!(self.rows, "{}", outcome.target).expect("the file system works");
            }
        }
    }

    fn checkpoint(&mut self) {
        let gates = Some(self.gates.state().clone());
        let checkpoint = self.run.checkpoint(&self.outcomes, end(&self.rows), gates);
        self.run.write(checkpoint).expect("the thread of the journal runs");
    }

    /// Writes all other rows, and returns the account of all processes.
    fn finish(mut self) -> (Account, Gates) {
        self.write(usize::MAX);
        let gates = Some(self.gates.state().clone());
        let last = self.run.checkpoint(&self.outcomes, end(&self.rows), gates);
        let account = self.run.account(&self.outcomes);
        self.run.finish(last, Some(TARGETS.into())).expect("the journal is written");
        (account, self.gates)
    }
}

fn written(rows: &Path) -> Vec<String> {
    let text = fs::read_to_string(rows).expect("the rows were written");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn resumed_run_writes_each_target_once() {
    let folder = Folder::new();
    for _ in 0..2 {
        let mut process = Process::start(&folder);
        process.write(70);
        process.checkpoint();
        // These rows are lost, as if the process was killed.
        process.write(30);
    }
    let between: Journal = Journal::resume(&folder.journal).expect("the journal is valid");
    let state = between.state().expect("checkpoints were written");
    assert_eq!((state.settled.len(), state.complete), (140, false));
    drop(between);

    let (account, gates) = Process::start(&folder).finish();
    assert_eq!((account.targets, account.settled()), (TARGETS.into(), TARGETS.into()));
    let rows = written(&folder.rows);
    assert_eq!(rows.len(), usize::from(TARGETS));
    assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), usize::from(TARGETS));
    let report = gates.report(&RunTotals::new(account, Some(TARGETS.into())));
    assert!(!report.is_violated(), "{report:?}");

    let complete: Journal = Journal::resume(&folder.journal).expect("the journal is valid");
    assert!(complete.state().expect("the run has ended").complete);
}

#[test]
fn checkpoint_within_a_batch_counts_only_returned_outcomes() {
    let folder = Folder::new();
    for count in 1..=5 {
        let mut process = Process::start(&folder);
        process.write(1);
        process.checkpoint();
        drop(process);
        let journal: Journal = Journal::resume(&folder.journal).expect("the numbers add up");
        let state = journal.state().expect("a checkpoint was written");
        assert_eq!((state.settled.len(), state.account.settled()), (count, count));
    }
}

#[test]
fn checkpoints_in_quick_succession_are_written_in_order() {
    let folder = Folder::new();
    let mut process = Process::start(&folder);
    for _ in 0..20 {
        process.write(5);
        process.checkpoint();
    }
    drop(process);
    let journal: Journal = Journal::resume(&folder.journal).expect("the journal is valid");
    assert_eq!(journal.settled().len(), 100);
}

#[test]
fn other_run_is_refused_and_changes_nothing() {
    let folder = Folder::new();
    Process::start(&folder).finish();
    let before = fs::read(&folder.journal).expect("the journal exists");
    let journal: Journal = Journal::resume(&folder.journal).expect("the journal is valid");

    let other = RunIdentity::new([("targets", "2 of 127.77.0.0/16")]);
    let error = journal.refuse_other_run(&other, 2).expect_err("the targets differ");
    assert!(matches!(error.kind(), JournalErrorKind::OtherRun(changes) if changes.len() == 1));
    let message = error.to_string();
    assert!(message.contains("targets was 300 of 127.77.0.0/16, is 2 of"), "{message}");
    assert!(message.starts_with("the journal /"), "{message}");

    let error = journal.refuse_other_run(&identity(), 2).expect_err("there are more positions");
    let inconsistent = JournalErrorKind::Content(InvalidJournal::Inconsistent);
    assert_eq!(error.kind().to_string(), inconsistent.to_string());
    drop(journal);
    assert_eq!(fs::read(&folder.journal).expect("the journal exists"), before);
}

#[test]
fn existing_or_open_journal_is_refused() {
    let folder = Folder::new();
    let open: Journal = Journal::create_new(&folder.journal).expect("the journal is new");
    let error = Journal::<ResumePoint>::resume(&folder.journal).expect_err("it is open");
    assert!(matches!(error.kind(), JournalErrorKind::InUse), "{error}");
    let error = Journal::<ResumePoint>::create_new(&folder.journal).expect_err("it exists");
    assert!(matches!(error.kind(), JournalErrorKind::Exists), "{error}");
    drop(open);
    fs::write(&folder.journal, "notes\n").expect("the file system works");
    let error = Journal::<ResumePoint>::resume(&folder.journal).expect_err("it is no journal");
    let no_journal = JournalErrorKind::Content(InvalidJournal::NotAJournal);
    assert_eq!(error.kind().to_string(), no_journal.to_string());
}

#[test]
fn failure_of_an_output_ends_the_run() {
    struct Failing;

    impl JournalOutput for Failing {
        type Entry = ResumePoint;

        fn sync(&self) -> io::Result<()> {
            Err(io::Error::other("the disk fails"))
        }

        fn entry(&self, resume_point: ResumePoint) -> io::Result<ResumePoint> {
            Ok(resume_point)
        }
    }

    let folder = Folder::new();
    let journal: Journal = Journal::create_new(&folder.journal).expect("the journal is new");
    let start = journal.start(identity(), [Failing], [ResumePoint::Lines { length: 0 }]);
    let error = start.expect_err("the output can't be synced");
    assert!(error.to_string().ends_with(": the disk fails"), "{error}");
    assert!(!folder.journal.exists(), "a journal without content is removed");
}
