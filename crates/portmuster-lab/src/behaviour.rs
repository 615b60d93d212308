//! The behaviours of the lab's servers. Each one is a short script.
//!
//! - Invariant: no script lets a client log in.

use std::time::Duration;

use crate::script::{Step, send, send_owned};

mod hostile;
mod kexinit;
#[cfg(feature = "host-keys")]
mod key_exchange;
mod ssh;
mod telnet;
mod web;

pub use kexinit::KexInitDefect;
#[cfg(feature = "host-keys")]
pub use key_exchange::KeyExchange;

/// What a server does on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// An OpenSSH server as in Debian 12: sends its greeting at once, and its KEXINIT after the
    /// client's identification.
    Ssh,
    /// An ssh server that sends its KEXINIT in the same segment as its identification, as Dropbear
    /// does.
    SshEager,
    /// An ssh server that answers a key exchange with its host key, [`KeyExchange::host_key`]. It is no
    /// fixture, because its row is that of [`Behaviour::SshEager`] unless host keys are asked for.
    #[cfg(feature = "host-keys")]
    SshHostKey,
    /// A telnet server: sends requests for options, then a login prompt once the client has
    /// answered, or after 300 ms.
    Telnet,
    /// A web server: silent until the client sends a line. It answers a request with 200 and any
    /// other line (also an empty one) with 400, and then closes.
    Http,

    /// An ssh server that sends more than 255 bytes of other lines before its identification
    /// (RFC 4253, section 4.2).
    SshAfterPreBanner,
    /// An ssh server that sends a single line of 300 bytes before its identification.
    SshAfterLongLine,
    /// An ssh server that ends its identification with LF instead of CR LF.
    SshBareLf,
    /// An ssh server that supports only the old protocol (`SSH-1.5`). It hangs up once the client
    /// has sent its identification.
    SshOld,
    /// An ssh server that supports both protocols (`SSH-1.99`).
    SshBoth,
    /// An ssh server whose KEXINIT contains only insecure algorithms: `ssh-dss`,
    /// `diffie-hellman-group1-sha1`, `3des-cbc`, `arcfour`, `hmac-md5`.
    SshWeak,
    /// An sshd with too many clients: it sends `Exceeded MaxStartups` and closes. It is no fixture,
    /// because a check reacts with fewer connections to the host, which all fixtures share.
    SshThrottled,
    /// An sshd that penalises clients that leave without trying to log in, as OpenSSH does since
    /// 9.8: after 16 such clients within a second it sends `Not allowed at this time` and closes,
    /// for 16 seconds. Each server has a count of its own. It is no fixture, for the reason given
    /// at [`Behaviour::SshThrottled`].
    SshPenalising,
    /// An ssh server that sends its greeting after this time (at most [`crate::MAX_LIFE`]), like an
    /// sshd that waits for a slow reverse lookup.
    Slow(Duration),
    /// An ssh server that stays silent until the client has sent its identification, as some
    /// devices do. It does not answer any other line.
    SshAfterClient,
    /// A web server and an ssh server on one port, as sslh, `HAProxy` and nginx provide: a client's
    /// identification gets ssh, any other line gets 400.
    SshMultiplexed,
    /// An ssh server that stays silent until the client has sent a line, which must be its
    /// identification.
    SshWhenAsked,
    /// An ssh server that hangs up on its first client, as a busy one may, and serves all others.
    /// It is no fixture, because only the first check of it would see this.
    SshOnSecondTry,
    /// A server that sends these bytes, and then stays silent.
    Says(&'static [u8]),
    /// A server that sends the first bytes, pauses, sends the second, and then stays silent.
    SaysInParts(&'static [u8], Duration, &'static [u8]),
    /// A server that sends these bytes and resets the connection (RST), so that a client may have
    /// unread bytes of a connection that has ended. It is no fixture, because its verdict depends
    /// on the bytes.
    SaysAndResets(&'static [u8]),
    /// A server that sends these bytes as urgent data (tcp(7), `MSG_OOB`), and then stays silent.
    /// It is no fixture, because its verdict depends on the bytes.
    SaysUrgently(&'static [u8]),
    /// An ssh server whose KEXINIT contains 34 KB of names and follows its identification at once.
    /// It is no fixture, because its row would fill the screen.
    SshLargeKexInit,
    /// The same server as [`Behaviour::SshLargeKexInit`], but the last bytes of its KEXINIT never
    /// come.
    SshIncompleteKexInit,
    /// A telnet server that sends its commands one byte at a time, 20 ms apart.
    TelnetSplit,
    /// A telnet server that stays silent until the client has sent anything (a line end, an
    /// option), and then behaves like [`Behaviour::Telnet`].
    TelnetWhenAsked,
    /// A login prompt without telnet commands, as terminal servers send it.
    LoginPrompt,
    /// A TLS server that answers a line, which is no `ClientHello`, with an alert and then closes.
    TlsAlert,
    /// A TLS server that never answers lines (OpenSSL is one): it stays silent after the first line
    /// and closes after the second. It is no fixture, because a check sees the same as with
    /// [`Behaviour::Silent`].
    TlsMute,
    /// Accepts and stays silent.
    Silent,
    /// Accepts and closes (FIN), like TCP wrappers or a load balancer without backends.
    ClosesAtOnce,
    /// Accepts and resets (RST), as some firewalls do.
    Resets,
    /// Closes in the middle of its ssh identification.
    HangsUpMidLine,
    /// Refuses connections: the port is bound, so that no other process can use it, but nothing
    /// listens.
    Refused,

    /// A tarpit: sends one byte of text per second, and never a line end.
    Drip,
    /// A tarpit: sends endless lines that may precede an identification, as fast as the client
    /// reads.
    EndlessLines,
    /// The same tarpit, but silent for this time (at most [`crate::MAX_LIFE`]) before its first
    /// line.
    LateEndlessLines(Duration),
    /// Sends a megabyte of random bytes at once (always the same), some of which look like telnet
    /// commands.
    Garbage,
    /// An ssh greeting with terminal escape sequences, a NUL, a bare C1 control byte (so it is
    /// not UTF-8) and a right-to-left override.
    EscapeGreeting,
    /// An ssh greeting in valid UTF-8 with escape sequences, a C1 control character, a
    /// right-to-left override and a zero-width space.
    UnicodeGreeting,
    /// An ssh server that sends an invalid KEXINIT after the client's identification.
    SshBadKexInit(KexInitDefect),
    /// A telnet server that requests the same options again and again, as fast as the client
    /// reads, whatever the client answers.
    TelnetRepeats,
    /// A telnet server that turns its options on and off for ever, whatever the client answers. It
    /// sends the next change once the client has answered, or after 20 ms.
    TelnetToggles,
    /// Sends a line of 128 KiB without a line end.
    LongLine,
    /// Sends a line of 64 KiB without a line end: exactly as much as portmuster reads from one
    /// server.
    LimitLine,
}

impl Behaviour {
    /// Returns the script for each connection; `None` if the server accepts no connections.
    pub(crate) fn script(self) -> Option<Vec<Step>> {
        Some(match self {
            Self::Ssh | Self::SshOnSecondTry => {
                ssh::with_kexinit(send(ssh::GREETING), &kexinit::OPENSSH)
            }
            Self::SshEager => ssh::eager(),
            #[cfg(feature = "host-keys")]
            Self::SshHostKey => {
                vec![send_owned(KeyExchange::greeting()), Step::Answer(KeyExchange::answer)]
            }
            Self::Telnet => telnet::with_prompt([send(telnet::OPTIONS_ON)]),
            Self::Http => vec![Step::AnswerLine(web::http_answer), Step::Close],
            Self::SshAfterPreBanner => ssh::after_lines(ssh::PRE_BANNER.into()),
            Self::SshAfterLongLine => ssh::after_lines(ssh::long_line().into()),
            Self::SshBareLf => ssh::with_kexinit(send(b"SSH-2.0-babeld_1.0\n"), &kexinit::OPENSSH),
            Self::SshOld => ssh::old(),
            Self::SshBoth => ssh::with_kexinit(send(b"SSH-1.99-Cisco-1.25\r\n"), &kexinit::WEAK),
            Self::SshWeak => ssh::with_kexinit(send(b"SSH-2.0-appliance_1.0\r\n"), &kexinit::WEAK),
            Self::SshThrottled => vec![send(ssh::TOO_MANY), Step::Close],
            Self::SshPenalising => {
                ssh::with_kexinit(send(b"SSH-2.0-OpenSSH_10.0p2 Debian-7\r\n"), &kexinit::OPENSSH)
            }
            Self::Slow(time) => ssh::slow(time),
            Self::SshAfterClient => vec![Step::AnswerLine(ssh::answer_after_client)],
            Self::SshMultiplexed => vec![Step::AnswerLine(ssh::multiplexed_answer)],
            Self::SshWhenAsked => vec![Step::AnswerLine(ssh::answer_when_asked)],
            Self::Says(bytes) => vec![send(bytes)],
            Self::SaysAndResets(bytes) => vec![send(bytes), Step::Reset],
            Self::SaysUrgently(bytes) => vec![Step::SendUrgent(bytes)],
            Self::SshLargeKexInit => ssh::large_kexinit(0),
            Self::SshIncompleteKexInit => ssh::large_kexinit(64),
            Self::SaysInParts(first, pause, then) => {
                vec![send(first), Step::Pause(pause), send(then)]
            }
            Self::TelnetSplit => telnet::with_prompt(telnet::split()),
            Self::TelnetWhenAsked => telnet::when_asked(),
            Self::LoginPrompt => vec![send(telnet::LOGIN_PROMPT)],
            Self::TlsAlert => vec![Step::AwaitLine, send(web::TLS_ALERT), Step::Close],
            Self::TlsMute => vec![Step::AwaitLine, Step::AwaitLine, Step::Close],
            Self::Silent => vec![],
            Self::ClosesAtOnce => vec![Step::Close],
            Self::Resets => vec![Step::Reset],
            Self::HangsUpMidLine => vec![send(b"SSH-2.0-Ope"), Step::Close],
            Self::Refused => return None,
            Self::Drip => hostile::drip(),
            Self::EndlessLines => hostile::endless_lines(Duration::ZERO),
            Self::LateEndlessLines(time) => hostile::endless_lines(time),
            Self::Garbage => vec![send_owned(hostile::garbage()), Step::Close],
            Self::EscapeGreeting => {
                ssh::with_kexinit(send(hostile::ESCAPE_GREETING), &kexinit::OPENSSH)
            }
            Self::UnicodeGreeting => {
                ssh::with_kexinit(send(hostile::UNICODE_GREETING), &kexinit::OPENSSH)
            }
            Self::SshBadKexInit(defect) => ssh::bad_kexinit(defect),
            Self::TelnetRepeats => telnet::repeating(),
            Self::TelnetToggles => telnet::toggling(),
            Self::LongLine => vec![send_owned(vec![b'a'; 2 * hostile::READ_LIMIT])],
            Self::LimitLine => vec![send_owned(vec![b'a'; hostile::READ_LIMIT])],
        })
    }

    /// Returns the script for a connection that is refused because of earlier connections, or
    /// because it is the first; `None` if the server refuses no connection.
    pub(crate) fn refusal(self) -> Option<Vec<Step>> {
        match self {
            Self::SshPenalising => Some(vec![send(ssh::NOT_ALLOWED), Step::Close]),
            Self::SshOnSecondTry => Some(vec![Step::Close]),
            _ => None,
        }
    }
}
