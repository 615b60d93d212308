//! Paths that `SQLite` or the file system could read as something else.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use super::super::{
    DatabaseErrorKind, Sqlite,
    connection::{has_log, open_immutable, open_to_write, unambiguous},
    statements::count,
};
use super::scratch::{ScratchDatabase, begin, ending, write};
use super::{database_with_run, read};
use crate::sink::Sink;

#[test]
fn name_with_a_meaning_for_sqlite_names_a_file() {
    for name in [
        &b":memory:"[..],
        b"file::memory:",
        b"file:x?mode=memory",
        b"file:x?mode=memory&cache=shared",
        b"file:foreign.db",
        b"FILE:foreign.db",
        b"file:///etc/x.db",
        b"a?b.db",
        b"a?immutable=1",
        b"a%20b%.db",
        b"a#b.db",
        b" a b ",
        b"a'b\"c;.db",
        b"caf\xe9\xff.db",
        b"-",
        b"...",
        b"a\nb",
    ] {
        let database = ScratchDatabase::new();
        let name = OsString::from_vec(name.to_vec());
        // A URI with slashes needs the folders that it seems to name.
        let file = database.folder().join(&name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("there is room");
        let mut sink = begin(&file).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        write(&mut sink, 3);
        sink.finish(&ending()).expect("there is room");
        drop(sink);
        assert!(fs::read(&file).expect("the file exists").starts_with(b"SQLite format 3\0"));
        assert_eq!(read(&file).expect("the run exists").results.rows(), 3, "{name:?}");
        let immutable = open_immutable(&file).expect("the file is a database");
        let rows = count(&immutable, "SELECT count(*) FROM outcomes", &[]);
        assert_eq!(rows, Ok(3), "{name:?}");
        if !name.as_encoded_bytes().contains(&b'/') {
            let is_expected = |other: &OsString| {
                let other = other.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
                matches!(other, Some(b"" | b"-wal" | b"-shm"))
            };
            assert!(database.file_names().iter().all(is_expected), "{:?}", database.file_names());
        }
    }
}

#[test]
fn unambiguous_keeps_relative_and_absolute_paths() {
    for name in [":memory:", "file:x?mode=memory", "file:/etc/passwd", "a.db"] {
        let path = unambiguous(Path::new(name)).expect("a file can have this name");
        assert_eq!(path.to_str(), Some(&*format!("./{name}")));
    }
    let database = database_with_run();
    let slashes = PathBuf::from(format!("/{}", database.file().display()));
    assert_eq!(unambiguous(&slashes).expect("a file can have this name"), slashes);
    assert!(open_immutable(&slashes).is_ok(), "the URI has an empty authority");
}

#[test]
fn path_of_a_folder_is_refused() {
    let database = ScratchDatabase::new();
    for name in ["", ".", "..", "new.db/", "new.db/.", "/", "new.db//"] {
        let path = if name.is_empty() { PathBuf::new() } else { database.folder().join(name) };
        let _ = begin(&path).expect_err(name);
        let _ = read(&path).expect_err(name);
        assert_eq!(database.file_names(), [""; 0], "{name}");
    }
    let error = open_to_write(Path::new("")).expect_err("the path is empty");
    assert_eq!(error.to_string(), "the path must name a file, such as audit.db");
    assert!(open_to_write(Path::new("a\0b")).is_err());
}

#[test]
fn hard_linked_database_is_refused_unchanged() {
    let database = database_with_run();
    let (second, before) = (database.folder().join("second"), database.file_names());
    fs::hard_link(database.file(), &second).expect("there is room");
    for name in [database.file(), second.clone()] {
        for refused in [begin(&name).map(drop), Sqlite::inspect(&name)] {
            let refused = refused.expect_err("the file has two names");
            assert_eq!(refused.kind(), DatabaseErrorKind::Linked, "{refused}");
            assert!(refused.to_string().starts_with("the file has 2 names"), "{refused}");
        }
    }
    fs::remove_file(second).expect("the file exists");
    assert_eq!(database.file_names(), before);
    begin(&database.file()).expect("the file has one name");
}

#[test]
fn log_is_beside_the_target_of_a_link() {
    let (database, link) = (database_with_run(), ScratchDatabase::new());
    std::os::unix::fs::symlink(database.file(), link.file()).expect("there is room");
    assert!(!has_log(&link.file()));
    let _writer = begin(&database.file()).expect("the file is a database");
    assert!(has_log(&link.file()));
    assert_eq!(read(&link.file()).expect("the run exists").id, 2);
}
