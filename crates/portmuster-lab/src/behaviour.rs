//! What the lab's servers imitate, each as a short script.
//!
//! - Invariant: scripts say only what a stranger may say; none lets a client in.

use std::{borrow::Cow, iter, time::Duration};

use crate::script::Step;

const SSH_GREETING: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n";

/// DO TERMINAL-TYPE, WILL ECHO, WILL SUPPRESS-GO-AHEAD, DO NAWS (RFC 854, 1091, 857, 858, 1073).
const TELNET_WISHES: &[u8] = b"\xff\xfd\x18\xff\xfb\x01\xff\xfb\x03\xff\xfd\x1f";

const LOGIN_PROMPT: &[u8] = b"\r\nDebian GNU/Linux 12\r\nhost login: ";

/// More than 255 bytes in all, so that a reader with room for one identification fails here.
const PRE_BANNER: &[u8] =
    b"*******************************************************************\r\n\
    * Authorised use only. All activity may be monitored and recorded. *\r\n\
    * Disconnect NOW if you have not been expressly authorised.        *\r\n\
    *******************************************************************\r\n\
    \r\n\
    ssh is what this server speaks, but not before it has said all this:\r\n";

/// Window title, clear screen and red for a terminal; a NUL; and a C1 CSI, which is not UTF-8.
const ESCAPE_GREETING: &[u8] =
    b"SSH-2.0-evil\x1b]0;owned\x07\x1b[2J\x1b[31m\x00\x9b31m\xe2\x80\xaegnp.exe\r\n";

/// Valid UTF-8 throughout: a C1 CSI (U+009B), a right-to-left override, a zero-width space.
const UNICODE_GREETING: &[u8] =
    "SSH-2.0-evil\u{1b}[31m\u{9b}2J\u{202e}gnp.exe\u{200b}\r\n".as_bytes();

const HTTP_BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nServer: lab\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

const HTTP_OK: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

const DRIPPED: &[u8] = b"welcome to a line that takes its time and never comes to an end, ";

const ENDLESS_LINE: &[u8] = b"this is one more line of a banner that never ends, please wait\r\n";

const GARBAGE_LENGTH: usize = 1 << 20;

/// Chosen so that the first kilobyte already holds what looks like a telnet command (IAC DO 104).
const GARBAGE_SEED: u64 = 36;

/// Twice the evidence that portmuster keeps of one check.
const LONG_LINE_LENGTH: usize = 128 * 1024;

/// What a server does with those who connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// An OpenSSH server as Debian 12 has it: greets at once, then waits for the client's turn.
    Ssh,
    /// A telnet server: wishes for options, then a login prompt once the client has answered, or
    /// after 300 ms.
    Telnet,
    /// A web server: silent until it has a line. A request gets 200, anything else (an empty
    /// line too) gets 400, and then it closes.
    Http,

    /// An ssh server with more than 255 bytes of other lines before its identification
    /// (RFC 4253, section 4.2).
    SshAfterPreBanner,
    /// An ssh server that ends its identification with LF alone.
    SshBareLf,
    /// An ssh server that speaks the old protocol only (`SSH-1.5`).
    SshOld,
    /// An ssh server that speaks both protocols (`SSH-1.99`).
    SshBoth,
    /// An sshd with too many guests: it says `Exceeded MaxStartups` and closes. Not in the zoo,
    /// as it asks for fewer connections to the host that all exhibits share.
    SshThrottled,
    /// An ssh server that greets only after this time (at most [`crate::MAX_LIFE`]), as behind a
    /// slow reverse lookup.
    Slow(Duration),
    /// A telnet server whose commands come one byte in a packet, 20 ms apart.
    TelnetSplit,
    /// A login prompt without any telnet command, as terminal servers have it.
    LoginPrompt,
    /// Accepts and says nothing.
    Silent,
    /// Accepts and closes (FIN), as behind TCP wrappers or a balancer without servers.
    ClosesAtOnce,
    /// Accepts and resets (RST), as some firewalls do.
    Resets,
    /// Hangs up in the middle of its ssh identification.
    HangsUpMidLine,
    /// Refuses connections: nothing listens, and the port is held so that nobody else can.
    Refused,

    /// A tarpit: a byte of text a second, and never the end of a line.
    Drip,
    /// A tarpit: lines that might come before an identification, as fast as the client reads,
    /// without end.
    EndlessLines,
    /// A megabyte of random bytes at once (always the same), some of which look like telnet
    /// commands.
    Garbage,
    /// An ssh greeting with terminal escape sequences, a NUL, a bare C1 control byte (so it is
    /// not UTF-8) and a right-to-left override.
    EscapeGreeting,
    /// An ssh greeting in valid UTF-8 with escape sequences, a C1 control character, a
    /// right-to-left override and a zero-width space.
    UnicodeGreeting,
    /// A line of 128 KiB, without an end.
    LongLine,
}

impl Behaviour {
    /// The steps on each connection; `None` where nobody gets in.
    pub(crate) fn script(self) -> Option<Vec<Step>> {
        Some(match self {
            Self::Ssh => vec![send(SSH_GREETING)],
            Self::Telnet => telnet([send(TELNET_WISHES)]),
            Self::Http => vec![Step::AnswerLine(http_answer), Step::Close],
            Self::SshAfterPreBanner => vec![send(PRE_BANNER), send(SSH_GREETING)],
            Self::SshBareLf => vec![send(b"SSH-2.0-babeld_1.0\n")],
            Self::SshOld => vec![send(b"SSH-1.5-1.2.27\r\n")],
            Self::SshBoth => vec![send(b"SSH-1.99-Cisco-1.25\r\n")],
            Self::SshThrottled => vec![send(b"Exceeded MaxStartups\r\n"), Step::Close],
            Self::Slow(time) => vec![Step::Pause(time.min(crate::MAX_LIFE)), send(SSH_GREETING)],
            Self::TelnetSplit => telnet(byte_by_byte(TELNET_WISHES, Duration::from_millis(20))),
            Self::LoginPrompt => vec![send(LOGIN_PROMPT)],
            Self::Silent => vec![],
            Self::ClosesAtOnce => vec![Step::Close],
            Self::Resets => vec![Step::Reset],
            Self::HangsUpMidLine => vec![send(b"SSH-2.0-Ope"), Step::Close],
            Self::Refused => return None,
            Self::Drip => {
                byte_by_byte(DRIPPED, Duration::from_secs(1)).chain([Step::Restart]).collect()
            }
            Self::EndlessLines => vec![send_own(ENDLESS_LINE.repeat(64)), Step::Restart],
            Self::Garbage => vec![send_own(garbage()), Step::Close],
            Self::EscapeGreeting => vec![send(ESCAPE_GREETING)],
            Self::UnicodeGreeting => vec![send(UNICODE_GREETING)],
            Self::LongLine => vec![send_own(vec![b'a'; LONG_LINE_LENGTH])],
        })
    }
}

fn send(bytes: &'static [u8]) -> Step {
    Step::Send(Cow::Borrowed(bytes))
}

fn send_own(bytes: Vec<u8>) -> Step {
    Step::Send(Cow::Owned(bytes))
}

fn byte_by_byte(bytes: &'static [u8], pause: Duration) -> impl Iterator<Item = Step> {
    bytes.chunks(1).flat_map(move |byte| [send(byte), Step::Pause(pause)])
}

fn telnet(wishes: impl IntoIterator<Item = Step>) -> Vec<Step> {
    let prompt = [Step::AwaitInput(Duration::from_millis(300)), send(LOGIN_PROMPT)];
    wishes.into_iter().chain(prompt).collect()
}

fn http_answer(line: &[u8]) -> &'static [u8] {
    let mut words = line.trim_ascii().split(|&byte| byte == b' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(_method), Some(_path), Some(b"HTTP/1.0" | b"HTTP/1.1"), None) => HTTP_OK,
        _ => HTTP_BAD_REQUEST,
    }
}

/// Starts with bytes that are no text and no protocol's greeting, whatever the seed.
fn garbage() -> Vec<u8> {
    let mut state = GARBAGE_SEED;
    let random = iter::repeat_with(move || split_mix(&mut state).to_le_bytes()).flatten();
    [0x00, 0xfe, 0x80, 0x07].into_iter().chain(random).take(GARBAGE_LENGTH).collect()
}

/// `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_tempts_the_telnet_probe_and_is_no_ssh() {
        let garbage = garbage();
        assert_eq!(garbage.len(), GARBAGE_LENGTH);
        let command = |pair: &[u8]| pair[0] == 0xff && (0xfb..=0xfe).contains(&pair[1]);
        assert!(garbage[..1024].windows(2).any(command));
        assert!(!garbage.windows(4).any(|four| four == b"SSH-"));
    }

    #[test]
    fn http_tells_requests_from_other_lines() {
        assert_eq!(http_answer(b"GET / HTTP/1.1\r\n"), HTTP_OK);
        for line in [&b"\r\n"[..], b"\n", b"SSH-2.0-x\r\n", b"GET /\r\n", b"a b HTTP/1.1 c\n"] {
            assert_eq!(http_answer(line), HTTP_BAD_REQUEST, "{line:?}");
        }
    }

    #[test]
    fn pre_banner_does_not_fit_an_identification() {
        assert!(PRE_BANNER.len() > 255);
        assert!(PRE_BANNER.split(|&byte| byte == b'\n').all(|line| !line.starts_with(b"SSH-")));
    }
}
