//! Tests of the lab's telnet servers: their option requests and login prompts.

use std::time::{Duration, Instant};

use portmuster_lab::Behaviour;

use crate::client::{assert_sends, assert_silent, connect, read, send, start};

pub(crate) const PROMPT: &[u8] = b"\r\nDebian GNU/Linux 12\r\nhost login: ";

/// Turns options on: DO and WILL.
const OPTIONS_ON: &[u8] = b"\xff\xfd\x18\xff\xfb\x01\xff\xfb\x03\xff\xfd\x1f";

/// Refuses all of them: WONT and DONT.
const REFUSALS: &[u8] = b"\xff\xfc\x18\xff\xfe\x01\xff\xfe\x03\xff\xfc\x1f";

#[test]
fn prompt_follows_an_answer() {
    let server = start(Behaviour::Telnet);
    let mut stream = connect(server.endpoint());
    assert_eq!(read(&mut stream, OPTIONS_ON.len()), OPTIONS_ON);
    send(&mut stream, b"\xff\xfc\x18");
    assert_eq!(read(&mut stream, PROMPT.len()), PROMPT);
    assert_silent(&mut stream);
}

#[test]
fn prompt_follows_the_timeout_without_an_answer() {
    let before = Instant::now();
    assert_sends(Behaviour::Telnet, &[OPTIONS_ON, PROMPT].concat());
    assert!(before.elapsed() >= Duration::from_millis(300));
}

#[test]
fn split_commands_arrive_byte_by_byte() {
    let server = start(Behaviour::TelnetSplit);
    let before = Instant::now();
    let mut stream = connect(server.endpoint());
    assert_eq!(read(&mut stream, OPTIONS_ON.len()), OPTIONS_ON);
    let pauses = u32::try_from(OPTIONS_ON.len() - 1).expect("there are a dozen");
    assert!(before.elapsed() >= Duration::from_millis(20) * pauses);
    assert_eq!(read(&mut stream, PROMPT.len()), PROMPT);
}

#[test]
fn server_is_silent_until_it_receives_input() {
    for input in [&b"\r\n"[..], b"\xff\xfd\x01"] {
        let server = start(Behaviour::TelnetWhenAsked);
        let mut stream = connect(server.endpoint());
        assert_silent(&mut stream);
        send(&mut stream, input);
        assert_eq!(read(&mut stream, OPTIONS_ON.len()), OPTIONS_ON);
        assert_eq!(read(&mut stream, PROMPT.len()), PROMPT);
    }
}

#[test]
fn options_are_repeated_whatever_the_client_answers() {
    let server = start(Behaviour::TelnetRepeats);
    let mut stream = connect(server.endpoint());
    for _ in 0..20_000 {
        assert_eq!(read(&mut stream, OPTIONS_ON.len()), OPTIONS_ON);
    }
    send(&mut stream, REFUSALS);
    for _ in 0..20_000 {
        assert_eq!(read(&mut stream, OPTIONS_ON.len()), OPTIONS_ON);
    }
}

#[test]
fn options_are_toggled_whatever_the_client_answers() {
    let server = start(Behaviour::TelnetToggles);
    let mut stream = connect(server.endpoint());
    let negated: Vec<_> = OPTIONS_ON.iter().map(|&byte| negate(byte)).collect();
    for answer in [true, false, true, false] {
        for _ in 0..10 {
            assert_eq!(read(&mut stream, OPTIONS_ON.len()), OPTIONS_ON);
            if answer {
                send(&mut stream, REFUSALS);
            }
            assert_eq!(read(&mut stream, OPTIONS_ON.len()), negated);
        }
    }
}

/// Turns WILL into WONT and DO into DONT.
fn negate(byte: u8) -> u8 {
    match byte {
        0xfb | 0xfd => byte + 1,
        other => other,
    }
}
