//! Exclude files: a file that cannot be read completely stops the run before it starts.

use crate::{
    folder::Folder,
    program::{Ended, check},
};

fn check_with_file(contents: &[u8], more: &[&str]) -> Ended {
    let folder = Folder::new();
    let file = folder.write("excludes", contents);
    let file = file.to_str().expect("temporary paths are UTF-8");
    let arguments = ["127.0.0.9:1", "127.0.0.1:1", "-o", "jsonl", "--exclude-file", file];
    check(arguments.iter().chain(more))
}

fn hosts(ended: &Ended) -> Vec<String> {
    ended.rows().into_iter().map(|row| row.host).collect()
}

#[test]
fn bad_line_is_an_error_even_with_skip_bad_lines() {
    let utf16: Vec<_> = "127.0.0.9\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (contents, position) in [
        (&b"127.0.0.9\n127.0.0.300\n"[..], "excludes, line 2, column 1: "),
        (b"127.0.0.9,127.0.0.1\n", "excludes, line 1, column 1: "),
        (b"127.0.0.9\nf\xfcr.example\n", "excludes, line 2, column 2: "),
        (b"127.0.0.9\0\n", "excludes, line 1, column 10: "),
        (&utf16, "excludes, line 1, column 2: "),
    ] {
        for more in [&[][..], &["--skip-bad-lines"]] {
            let ended = check_with_file(contents, more);
            assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
            assert!(ended.stderr.contains(position), "{ended:?}");
        }
    }
}

#[test]
fn empty_file_is_an_error_that_suggests_dev_null() {
    for contents in [&b""[..], b"# none yet\n\n", b"\xef\xbb\xbf", b"\r\n\n"] {
        let ended = check_with_file(contents, &["--skip-bad-lines"]);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        let message = "has no entry: to exclude nothing, use --exclude-file /dev/null or remove the \
            option\n";
        assert!(ended.stderr.ends_with(message), "{ended:?}");
    }
    let ended = check(["127.0.0.1:1", "-o", "jsonl", "--exclude-file", "/dev/null"]);
    assert_eq!((ended.status, hosts(&ended)), (Some(0), vec!["127.0.0.1".to_owned()]));
}

#[test]
fn byte_order_mark_and_cr_line_ends_are_accepted() {
    for contents in [&b"\xef\xbb\xbf127.0.0.9\r\n"[..], b"127.0.0.9\r10.0.0.1", b"127.0.0.9"] {
        let ended = check_with_file(contents, &[]);
        assert_eq!((ended.status, hosts(&ended)), (Some(0), vec!["127.0.0.1".to_owned()]));
    }
}

#[test]
fn non_regular_file_is_an_error() {
    for (path, message) in [
        ("/", "is a directory"),
        ("/dev/zero", "is no regular file"),
        ("-", "is no regular file"),
        ("/nowhere", "opening /nowhere"),
    ] {
        let ended = check(["127.0.0.1:1", "--exclude-file", path]);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.contains(message), "{ended:?}");
    }
}

#[test]
fn excluding_everything_is_an_error() {
    let ended = check_with_file(b"0.0.0.0/0\n::/0\n", &[]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.stderr.contains("all named targets are excluded"), "{ended:?}");
}
