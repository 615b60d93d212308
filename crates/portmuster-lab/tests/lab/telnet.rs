//! The lab's telnet servers: what they wish for, and when they prompt.

use std::time::{Duration, Instant};

use portmuster_lab::Behaviour;

use crate::client::{connect, read, say, says, start, stays_silent};

pub(crate) const PROMPT: &[u8] = b"\r\nDebian GNU/Linux 12\r\nhost login: ";

const WISHES: &[u8] = b"\xff\xfd\x18\xff\xfb\x01\xff\xfb\x03\xff\xfd\x1f";

const REFUSALS: &[u8] = b"\xff\xfc\x18\xff\xfe\x01\xff\xfe\x03\xff\xfc\x1f";

#[test]
fn prompts_once_it_is_answered() {
    let server = start(Behaviour::Telnet);
    let mut stream = connect(server.endpoint());
    assert_eq!(read(&mut stream, WISHES.len()), WISHES);
    say(&mut stream, b"\xff\xfc\x18");
    assert_eq!(read(&mut stream, PROMPT.len()), PROMPT);
    stays_silent(&mut stream);
}

#[test]
fn prompts_in_the_end_without_an_answer() {
    let before = Instant::now();
    says(Behaviour::Telnet, &[WISHES, PROMPT].concat());
    assert!(before.elapsed() >= Duration::from_millis(300));
}

#[test]
fn split_commands_come_byte_by_byte() {
    let server = start(Behaviour::TelnetSplit);
    let mut stream = connect(server.endpoint());
    let before = Instant::now();
    assert_eq!(read(&mut stream, WISHES.len()), WISHES);
    let pauses = u32::try_from(WISHES.len() - 1).expect("a dozen");
    assert!(before.elapsed() >= Duration::from_millis(20) * (pauses - 1));
    assert_eq!(read(&mut stream, PROMPT.len()), PROMPT);
}

#[test]
fn says_nothing_until_it_is_spoken_to() {
    for asked in [&b"\r\n"[..], b"\xff\xfd\x01"] {
        let server = start(Behaviour::TelnetWhenAsked);
        let mut stream = connect(server.endpoint());
        stays_silent(&mut stream);
        say(&mut stream, asked);
        assert_eq!(read(&mut stream, WISHES.len()), WISHES);
        assert_eq!(read(&mut stream, PROMPT.len()), PROMPT);
    }
}

#[test]
fn wishes_are_repeated_whatever_is_answered() {
    let server = start(Behaviour::TelnetRepeats);
    let mut stream = connect(server.endpoint());
    for _ in 0..20_000 {
        assert_eq!(read(&mut stream, WISHES.len()), WISHES);
    }
    say(&mut stream, REFUSALS);
    for _ in 0..20_000 {
        assert_eq!(read(&mut stream, WISHES.len()), WISHES);
    }
}

#[test]
fn options_are_turned_on_and_off_whatever_is_answered() {
    let server = start(Behaviour::TelnetToggles);
    let mut stream = connect(server.endpoint());
    let negated: Vec<_> = WISHES.iter().map(|&byte| negate(byte)).collect();
    for answer in [true, false, true, false] {
        for _ in 0..10 {
            assert_eq!(read(&mut stream, WISHES.len()), WISHES);
            if answer {
                say(&mut stream, REFUSALS);
            }
            assert_eq!(read(&mut stream, WISHES.len()), negated);
        }
    }
}

/// WONT for WILL, DONT for DO.
fn negate(byte: u8) -> u8 {
    match byte {
        0xfb | 0xfd => byte + 1,
        other => other,
    }
}
