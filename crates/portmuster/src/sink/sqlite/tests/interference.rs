//! Other programs that change the file or the log, concurrent runs, and a full disk.

use std::{fs, io, path::Path};

use super::super::{Sqlite, connection};
use super::scratch::{ScratchDatabase, begin, ending, pause, refused, write};
use crate::sink::{ResumableSink, Sink, first_error::tests::assert_earlier};

#[test]
fn runs_that_buffer_rows_do_not_block_each_other() {
    let database = ScratchDatabase::new();
    let mut sinks = [database.begin(), database.begin()];
    for _ in 0..3 {
        for sink in &mut sinks {
            write(sink, 1);
        }
        for sink in &mut sinks {
            sink.checkpoint().expect("no other run is writing");
            write(sink, 1);
        }
    }
    for sink in &mut sinks {
        sink.finish(&ending()).expect("no other run is writing");
    }
    assert_eq!(database.count(), 12);
}

#[test]
fn concurrent_creation_of_a_database_succeeds() {
    for _ in 0..50 {
        let database = ScratchDatabase::new();
        let begin = || {
            let mut sink = database.begin();
            write(&mut sink, 1);
            sink.finish(&ending()).expect("there is room");
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(begin);
            }
        });
        assert_eq!(database.count(), 4);
    }
}

#[test]
fn replaced_or_removed_database_leaves_an_empty_log() {
    for (replaces, rows_before) in [(true, 5), (true, 0), (false, 5), (false, 0)] {
        let (database, other) = (ScratchDatabase::new(), ScratchDatabase::new());
        other.add_run(3);
        let mut sink = database.begin();
        if rows_before > 0 {
            write(&mut sink, rows_before);
            sink.checkpoint().expect("there is room");
        }
        if replaces {
            fs::rename(other.file(), database.file()).expect("both are there");
        } else {
            fs::remove_file(database.file()).expect("it is there");
        }
        write(&mut sink, 5);
        let finished = sink.finish(&ending());
        drop(sink);
        assert_eq!(finished.is_err(), replaces, "{finished:?}");
        let log = connection::log(&database.file());
        assert!(log.metadata().is_err() || log.metadata().is_ok_and(|log| log.len() == 0));
        if replaces {
            assert_eq!(database.count(), 3);
        }
    }
}

#[test]
fn new_run_ignores_outcomes_left_by_a_deleted_run() {
    let database = ScratchDatabase::new();
    database.add_run(5);
    database.execute("PRAGMA foreign_keys = OFF; DELETE FROM runs");
    let mut sink = database.begin();
    for _ in 0..2 {
        write(&mut sink, 1);
        sink.checkpoint().expect("all rows of this run are there");
    }
    sink.finish(&ending()).expect("there is room");
    assert_eq!(database.count(), 2);
}

#[test]
fn truncation_of_the_file_during_a_run_is_detected() {
    let database = ScratchDatabase::new();
    database.add_run(100);
    for without_more_rows in [false, true] {
        let mut sink = database.begin();
        write(&mut sink, 1);
        sink.checkpoint().expect("there is room");
        let file = fs::File::options().write(true).open(database.file()).expect("the file exists");
        let whole = file.metadata().expect("the file is open").len();
        file.set_len(whole - 4096).expect("the file can be truncated");
        if !without_more_rows {
            write(&mut sink, 1);
        }
        let error = sink.finish(&ending()).expect_err("the file is damaged");
        assert!(error.to_string().starts_with("another program has truncated the file"), "{error}");
        file.set_len(whole).expect("there is room");
    }
}

#[test]
fn truncation_before_the_first_commit_of_a_new_database_is_detected() {
    let database = ScratchDatabase::new();
    let mut sink = database.begin();
    let file = fs::File::options().write(true).open(database.file()).expect("the file exists");
    file.set_len(0).expect("the file can be truncated");
    write(&mut sink, 1);
    let error = sink.finish(&ending()).expect_err("the file is damaged");
    assert!(error.to_string().starts_with("another program has truncated the file"), "{error}");
}

#[test]
fn truncation_of_the_log_during_a_run_is_detected() {
    let truncate = |log: &Path| fs::File::create(log).map(drop);
    let remove = |log: &Path| fs::remove_file(log);
    let damages: [fn(&Path) -> io::Result<()>; 2] = [truncate, remove];
    for (damage, more) in damages.into_iter().flat_map(|damage| [(damage, 1), (damage, 0)]) {
        let database = ScratchDatabase::new();
        let mut sink = database.begin();
        write(&mut sink, 100);
        sink.checkpoint().expect("there is room");
        damage(&connection::log(&database.file())).expect("the file exists");
        write(&mut sink, more);
        let error = sink.finish(&ending()).expect_err("rows are lost");
        assert!(error.to_string().starts_with("another program has truncated or rem"), "{error}");
    }
}

#[test]
fn checkpoint_of_the_log_by_another_program_is_accepted() {
    let database = ScratchDatabase::new();
    let mut sink = database.begin();
    for _ in 0..2 {
        write(&mut sink, 100);
        sink.checkpoint().expect("there is room");
        assert_eq!(database.query::<i64>("PRAGMA wal_checkpoint(TRUNCATE)"), [0]);
        assert_eq!(connection::log(&database.file()).metadata().expect("the file exists").len(), 0);
    }
    sink.finish(&ending()).expect("nothing is lost");
    assert_eq!(database.count(), 200);
}

#[test]
fn foreign_and_newer_files_are_refused_unchanged() {
    let foreign = ScratchDatabase::new();
    foreign.execute("CREATE TABLE x (y); PRAGMA user_version = 1");
    let newer = ScratchDatabase::new();
    drop(newer.begin());
    newer.execute("PRAGMA user_version = 7");
    let text = ScratchDatabase::new();
    fs::write(text.file(), "a list").expect("there is room");
    for (database, message) in [
        (foreign, "not a portmuster database"),
        (text, "not a portmuster database"),
        (newer, "its schema version is 7, written by portmuster 0."),
    ] {
        let before = database.content();
        let error = begin(&database.file()).expect_err("the file is not usable");
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(database.content(), before);
        assert_eq!(database.file_names().len(), 1);
    }
}

#[test]
fn full_disk_keeps_committed_rows_and_an_unfinished_run() {
    let database = ScratchDatabase::new();
    let mut sink = database.begin();
    sink.write(&refused(22)).expect("there is room");
    pause(&mut sink);
    sink.connection.pragma_update(None, "max_page_count", 1).expect("the limit can be set");
    let failed = (0..10_000)
        .find_map(|_| sink.write(&refused(22)).and_then(|()| sink.attempt(Sqlite::commit)).err());
    assert_eq!(failed.expect("the database is full").kind(), io::ErrorKind::StorageFull);
    assert_earlier(sink.write(&refused(22)));
    assert_earlier(sink.flush());
    assert_earlier(sink.checkpoint());
    assert_earlier(sink.finish(&ending()));
    drop(sink);
    assert!(database.count() > 0);
    assert_eq!(database.query::<Option<String>>("SELECT ended FROM runs"), [None]);
}
