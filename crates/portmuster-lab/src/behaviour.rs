//! What the lab's servers imitate, each as a short script.
//!
//! - Invariant: scripts say only what a stranger may say; none lets a client in.

use std::{borrow::Cow, time::Duration};

use crate::script::Step;

mod deceivers;
mod kexinit;
mod ssh;
mod telnet;
mod web;

pub use kexinit::Lie;

/// What a server does with those who connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// An OpenSSH server as Debian 12 has it: greets at once, and sends its KEXINIT once it has
    /// the client's identification.
    Ssh,
    /// An ssh server that sends its KEXINIT in the same segment as its identification, as
    /// Dropbear does.
    SshEager,
    /// A telnet server: wishes for options, then a login prompt once the client has answered, or
    /// after 300 ms.
    Telnet,
    /// A web server: silent until it has a line. A request gets 200, anything else (an empty
    /// line too) gets 400, and then it closes.
    Http,

    /// An ssh server with more than 255 bytes of other lines before its identification
    /// (RFC 4253, section 4.2).
    SshAfterPreBanner,
    /// An ssh server with a single line of 300 bytes before its identification.
    SshAfterLongLine,
    /// An ssh server that ends its identification with LF alone.
    SshBareLf,
    /// An ssh server that speaks the old protocol only (`SSH-1.5`), and hangs up on who speaks
    /// the new.
    SshOld,
    /// An ssh server that speaks both protocols (`SSH-1.99`).
    SshBoth,
    /// An ssh server whose KEXINIT offers nothing that is still safe: `ssh-dss`,
    /// `diffie-hellman-group1-sha1`, `3des-cbc`, `arcfour`, `hmac-md5`.
    SshWeak,
    /// An sshd with too many guests: it says `Exceeded MaxStartups` and closes. Not in the fixtures,
    /// as it asks for fewer connections to the host that all fixtures share.
    SshThrottled,
    /// An sshd as of OpenSSH 9.8, which penalises clients that leave without having tried to log
    /// in: after 16 of them within a second it says `Not allowed at this time` and closes, until
    /// 16 seconds have passed. It keeps count for each server. Not in the fixtures, for the same reason.
    SshPenalising,
    /// An ssh server that greets only after this time (at most [`crate::MAX_LIFE`]), as behind a
    /// slow reverse lookup.
    Slow(Duration),
    /// An ssh server that says nothing until a client has identified itself, as some devices have it.
    /// Anything else gets no answer.
    SshIntroduced,
    /// A web server and an ssh server behind one port, as sslh, `HAProxy` and nginx have it: a client
    /// that identifies itself gets ssh, any other line 400.
    SshMultiplexed,
    /// An ssh server that says nothing until a client has said anything, which must be its
    /// identification.
    SshWhenAsked,
    /// An ssh server that hangs up on its first client, as one that is busy, and serves all others.
    /// Not in the fixtures, where it would be the one fixture that each check changes.
    SshOnSecondTry,
    /// A server that says this, and then nothing.
    Says(&'static [u8]),
    /// A server that says this, pauses, says that, and then nothing.
    SaysInParts(&'static [u8], Duration, &'static [u8]),
    /// A server that says this and resets the connection (RST), so that the client may have bytes
    /// to read of a connection that is gone. Not in the fixtures: what it says decides what it is.
    SaysAndResets(&'static [u8]),
    /// A server that says this as urgent data (tcp(7), `MSG_OOB`), and then nothing. Not in the fixtures,
    /// for the same reason.
    SaysUrgently(&'static [u8]),
    /// An ssh server whose KEXINIT has 34 KB of names, sent right after its identification. Not in
    /// the fixtures, where its row would be all that one sees.
    SshVast,
    /// The same server, which keeps back the last bytes of its KEXINIT for ever.
    SshHoarding,
    /// A telnet server whose commands come one byte in a packet, 20 ms apart.
    TelnetSplit,
    /// A telnet server that says nothing until the client has said anything (a line end, an
    /// option), and then what [`Behaviour::Telnet`] says.
    TelnetWhenAsked,
    /// A login prompt without any telnet command, as terminal servers have it.
    LoginPrompt,
    /// A TLS server of those that answer a line which is no `ClientHello`: with an alert, and
    /// then it closes.
    TlsAlert,
    /// A TLS server of those that say nothing to it (OpenSSL is one): silent at the first line,
    /// and it closes at the second. Not in the fixtures, where it would be one more silent one.
    TlsMute,
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
    /// The same tarpit, which says nothing for this time (at most [`crate::MAX_LIFE`]) before its
    /// first line.
    LateEndlessLines(Duration),
    /// A megabyte of random bytes at once (always the same), some of which look like telnet
    /// commands.
    Garbage,
    /// An ssh greeting with terminal escape sequences, a NUL, a bare C1 control byte (so it is
    /// not UTF-8) and a right-to-left override.
    EscapeGreeting,
    /// An ssh greeting in valid UTF-8 with escape sequences, a C1 control character, a
    /// right-to-left override and a zero-width space.
    UnicodeGreeting,
    /// An ssh server whose KEXINIT, which comes once it has the client's identification, is a lie.
    SshLying(Lie),
    /// A telnet server that wishes for the same options again and again, as fast as the client
    /// reads, whatever is answered.
    TelnetRepeats,
    /// A telnet server that turns its options on and off for ever, whatever is answered, each as
    /// soon as anything is answered, or after 20 ms.
    TelnetToggles,
    /// A line of 128 KiB, without an end.
    LongLine,
    /// A line of 64 KiB, without an end: just as much as portmuster reads of one server.
    LimitLine,
}

impl Behaviour {
    /// The steps on each connection; `None` where nobody gets in.
    pub(crate) fn script(self) -> Option<Vec<Step>> {
        Some(match self {
            Self::Ssh | Self::SshOnSecondTry => {
                ssh::offering(send(ssh::GREETING), &kexinit::MODERN)
            }
            Self::SshEager => ssh::eager(),
            Self::Telnet => telnet::prompting([send(telnet::WISHES)]),
            Self::Http => vec![Step::AnswerLine(web::http_answer), Step::Close],
            Self::SshAfterPreBanner => ssh::after(ssh::PRE_BANNER.into()),
            Self::SshAfterLongLine => ssh::after(ssh::long_line().into()),
            Self::SshBareLf => ssh::offering(send(b"SSH-2.0-babeld_1.0\n"), &kexinit::MODERN),
            Self::SshOld => ssh::old(),
            Self::SshBoth => ssh::offering(send(b"SSH-1.99-Cisco-1.25\r\n"), &kexinit::WEAK),
            Self::SshWeak => ssh::offering(send(b"SSH-2.0-appliance_1.0\r\n"), &kexinit::WEAK),
            Self::SshThrottled => vec![send(ssh::TOO_MANY), Step::Close],
            Self::SshPenalising => {
                ssh::offering(send(b"SSH-2.0-OpenSSH_10.0p2 Debian-7\r\n"), &kexinit::MODERN)
            }
            Self::Slow(time) => ssh::slow(time),
            Self::SshIntroduced => vec![Step::AnswerLine(ssh::introduced_answer)],
            Self::SshMultiplexed => vec![Step::AnswerLine(ssh::multiplexed_answer)],
            Self::SshWhenAsked => vec![Step::AnswerLine(ssh::asked_answer)],
            Self::Says(bytes) => vec![send(bytes)],
            Self::SaysAndResets(bytes) => vec![send(bytes), Step::Reset],
            Self::SaysUrgently(bytes) => vec![Step::SendUrgent(bytes)],
            Self::SshVast => ssh::vast(0),
            Self::SshHoarding => ssh::vast(64),
            Self::SaysInParts(first, pause, then) => {
                vec![send(first), Step::Pause(pause), send(then)]
            }
            Self::TelnetSplit => telnet::prompting(telnet::split()),
            Self::TelnetWhenAsked => telnet::when_asked(),
            Self::LoginPrompt => vec![send(telnet::LOGIN_PROMPT)],
            Self::TlsAlert => vec![Step::AwaitLine, send(web::TLS_ALERT), Step::Close],
            Self::TlsMute => vec![Step::AwaitLine, Step::AwaitLine, Step::Close],
            Self::Silent => vec![],
            Self::ClosesAtOnce => vec![Step::Close],
            Self::Resets => vec![Step::Reset],
            Self::HangsUpMidLine => vec![send(b"SSH-2.0-Ope"), Step::Close],
            Self::Refused => return None,
            Self::Drip => deceivers::drip(),
            Self::EndlessLines => deceivers::endless_lines(Duration::ZERO),
            Self::LateEndlessLines(time) => deceivers::endless_lines(time),
            Self::Garbage => vec![send_own(deceivers::garbage()), Step::Close],
            Self::EscapeGreeting => vec![send(deceivers::ESCAPE_GREETING)],
            Self::UnicodeGreeting => vec![send(deceivers::UNICODE_GREETING)],
            Self::SshLying(lie) => ssh::lying(lie),
            Self::TelnetRepeats => telnet::repeating(),
            Self::TelnetToggles => telnet::toggling(),
            Self::LongLine => vec![send_own(vec![b'a'; 2 * deceivers::READ_LIMIT])],
            Self::LimitLine => vec![send_own(vec![b'a'; deceivers::READ_LIMIT])],
        })
    }

    /// The steps on a connection that is refused for what others did before it, or because it is
    /// the first; `None` for servers that refuse nobody.
    pub(crate) fn refusal(self) -> Option<Vec<Step>> {
        match self {
            Self::SshPenalising => Some(vec![send(ssh::NOT_ALLOWED), Step::Close]),
            Self::SshOnSecondTry => Some(vec![Step::Close]),
            _ => None,
        }
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
