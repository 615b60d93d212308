//! Runs that begin, write, commit and resume.

use rusqlite::StatementStatus;

use super::super::{
    PreparedRun, Sqlite,
    settings::{BATCH_MAX, COMMIT_DELAY_MAX},
    statements::delete_after,
};
use super::scratch::{ScratchDatabase, ending, pause, prepare, refused, write};
use crate::sink::{ResumableSink, ResumePoint, Sink, samples};

#[test]
fn each_run_gets_its_own_rows() {
    let database = ScratchDatabase::new();
    for run in 1..=3 {
        let mut sink = database.begin();
        assert_eq!(sink.run(), run);
        sink.write(&samples::everything()).expect("there is room");
        sink.finish(&ending()).expect("there is room");
    }
    assert_eq!(database.query::<i64>("SELECT run FROM outcomes"), [1, 2, 3]);
    assert_eq!(database.query::<i64>("SELECT left FROM runs"), [3, 3, 3]);
    let times: [String; 3] = database
        .query(
            "SELECT DISTINCT started || ' ' || ended || ' ' || version FROM runs WHERE id = 3
            UNION ALL SELECT arguments FROM runs WHERE id = 1
            UNION ALL SELECT group_concat(ended, ' ') FROM runs WHERE ended IS NULL OR id = 2",
        )
        .try_into()
        .expect("three rows");
    assert!(times[0].starts_with("2026-11-18T11:06:40.000Z 1970-01-01T00:00:00.000Z 0."));
    assert_eq!(times[1..], ["portmuster check x", "1970-01-01T00:00:00.000Z"]);
}

#[test]
fn fields_are_stored_in_their_columns() {
    let database = ScratchDatabase::new();
    let mut sink = database.begin();
    sink.write(&samples::everything()).expect("there is room");
    pause(&mut sink);
    for (column, expected) in [
        ("host", "db.example"),
        ("kex_algorithms", "kex-a kex-b"),
        ("telnet_options", "will echo do terminal-type"),
        ("label", "core, \"sw1\""),
        ("rule", "identification"),
        ("version", "7.4"),
        ("os", "Debian 9"),
        ("evidence ->> '$.parts[0].side'", "server"),
        ("typeof(connect_ms) || typeof(open) || typeof(position)", "realintegerinteger"),
    ] {
        assert_eq!(database.query::<String>(&format!("SELECT {column} FROM outcomes")), [expected]);
    }
}

#[test]
fn untrusted_text_is_escaped() {
    let database = ScratchDatabase::new();
    let mut sink = database.begin();
    sink.write(&samples::open(b"a\x1b[2J\0b\\", None)).expect("there is room");
    pause(&mut sink);
    assert_eq!(database.query::<String>("SELECT banner FROM outcomes"), ["a\\x1b[2J\\x00b\\\\"]);
}

#[test]
fn identification_that_is_not_utf8_is_escaped_as_in_every_format() {
    let database = ScratchDatabase::new();
    let mut sink = database.begin();
    sink.write(&samples::no_utf8()).expect("there is room");
    pause(&mut sink);
    let stored =
        database.query::<String>("SELECT ssh_software || ' ' || ssh_comment FROM outcomes");
    assert_eq!(stored, [r"Caf\xe9_1.2\\x =\xff \x1b[2J"]);
}

#[test]
fn flushed_rows_are_visible_and_survive() {
    let database = ScratchDatabase::new();
    let mut sink = database.begin();
    sink.write(&refused(22)).expect("there is room");
    sink.flush().expect("there is room");
    assert_eq!(database.count(), 0);
    sink.flush().expect("there is room");
    assert_eq!(database.count(), 1);
    sink.write(&refused(22)).expect("there is room");
    sink.flush().expect("there is room");
    let mut later = refused(22);
    later.time += COMMIT_DELAY_MAX;
    sink.write(&later).expect("there is room");
    assert_eq!(database.count(), 1);
    sink.flush().expect("there is room");
    assert_eq!(database.count(), 3);
    sink.write(&refused(22)).expect("there is room");
    drop(sink);
    assert_eq!(database.count(), 3);
    assert_eq!(database.query::<Option<String>>("SELECT ended FROM runs"), [None]);
}

#[test]
fn full_batch_is_committed() {
    let database = ScratchDatabase::new();
    let mut sink = database.begin();
    for _ in 0..=BATCH_MAX {
        sink.write(&refused(22)).expect("there is room");
    }
    assert_eq!(usize::try_from(database.count()), Ok(BATCH_MAX));
}

#[test]
fn resume_deletes_later_outcomes_of_its_run_only() {
    let database = ScratchDatabase::new();
    let (mut ours, mut other) = (database.begin(), database.begin());
    ours.write(&refused(22)).expect("there is room");
    let resume_point = ours.checkpoint().expect("there is room");
    assert!(matches!(resume_point, ResumePoint::Run { run: 1, last: 1, .. }), "{resume_point:?}");
    for sink in [&mut ours, &mut other] {
        sink.write(&refused(22)).expect("there is room");
        pause(sink);
    }
    drop(ours);
    let mut ours = Sqlite::resume(database.file(), 1, 1).expect("the run exists");
    assert_eq!(database.query::<i64>("SELECT run FROM outcomes ORDER BY run"), [1, 2]);
    ours.write(&refused(22)).expect("there is room");
    ours.finish(&ending()).expect("there is room");
    assert_eq!(database.query::<i64>("SELECT run FROM outcomes ORDER BY run"), [1, 1, 2]);
    let error = Sqlite::resume(database.file(), 3, 1).expect_err("the database has two runs");
    assert_eq!(error.to_string(), "the database has no run 3");
}

#[test]
fn prepared_run_without_commit_changes_nothing() {
    let database = ScratchDatabase::new();
    database.add_run(2);
    let state = || {
        database.query::<String>(
            "SELECT group_concat(id || ' ' || ended) || (SELECT count(*) FROM outcomes) FROM runs",
        )
    };
    let before = state();
    drop(prepare(&database.file()).expect("the file is a database"));
    drop(PreparedRun::resume(database.file(), 1, 1).expect("the run exists"));
    assert_eq!(state(), before);
    let prepared = PreparedRun::resume(database.file(), 1, 1).expect("the run exists");
    assert_eq!(state(), before, "other programs do not see it yet");
    drop(prepared.commit().expect("there is room"));
    assert_eq!(database.count(), 1);
}

/// Counts steps of `SQLite`'s virtual machine, which do not depend on the speed of this machine.
#[test]
fn resume_takes_the_same_steps_with_any_number_of_rows() {
    let steps = |earlier: u32, rows: u32| {
        let database = ScratchDatabase::new();
        database.add_run(earlier);
        let mut ours = database.begin();
        write(&mut ours, rows);
        let ResumePoint::Run { run, last, .. } = ours.checkpoint().expect("there is room") else {
            panic!("the sink is a database")
        };
        assert_eq!(last > 0, rows > 0);
        write(&mut ours, 3);
        pause(&mut ours);
        let mut delete =
            ours.connection.prepare(delete_after(last)).expect("the statement is valid");
        assert_eq!(delete.execute([last, run]).expect("there is room"), 3);
        delete.get_status(StatementStatus::VmStep)
    };
    for rows in [0, 5] {
        assert_eq!(steps(500, rows), steps(2, rows), "{rows}");
    }
    assert_eq!(steps(2, 500), steps(2, 5), "more rows of this run");
}

#[test]
fn resume_works_for_a_run_without_outcomes() {
    let database = ScratchDatabase::new();
    database.add_run(1);
    let mut ours = database.begin();
    let resume_point = ours.checkpoint().expect("there is room");
    assert!(matches!(resume_point, ResumePoint::Run { run: 2, last: 0, .. }), "{resume_point:?}");
    ours.write(&refused(22)).expect("there is room");
    pause(&mut ours);
    drop(ours);
    // Other outcomes may be deleted meanwhile, so that the run reuses their ids.
    for runs in [&[1][..], &[]] {
        drop(Sqlite::resume(database.file(), 2, 0).expect("the run exists"));
        assert_eq!(database.query::<i64>("SELECT run FROM outcomes"), runs);
        database.execute("DELETE FROM outcomes");
        let mut ours = Sqlite::resume(database.file(), 2, 0).expect("the run exists");
        ours.write(&refused(22)).expect("there is room");
        ours.finish(&ending()).expect("there is room");
    }
}
