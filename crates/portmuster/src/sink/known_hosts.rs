//! Host keys in the format of OpenSSH's `known_hosts` (sshd(8), section `SSH_KNOWN_HOSTS FILE FORMAT`).
//!
//! Invariant: only keys that are proven are written.

use std::io::{self, Write};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    first_error::StopAfterError,
    interface::{Ending, ResumableSink, ResumePoint, Sink},
    resumable::{ResumableOutput, checkpoint_lines, resume_lines},
};
use crate::{
    outcome::{HostKey, KeyProof, Outcome, hashed_host, known_hosts_name},
    random,
};

/// Writes each proven host key as a line of `known_hosts`: the host as the target was named, with its port
/// unless that is 22, the type of the key, and the key.
///
/// Outcomes without a proven key have no line. Feature `host-keys`.
///
/// ```
/// use portmuster::sink::{KnownHosts, Sink};
///
/// let mut sink = KnownHosts::new(Vec::new()).hash_hosts(true);
/// for outcome in portmuster::check_ports([("127.0.0.1", 1)]) {
///     sink.write(&outcome)?;
/// }
/// assert_eq!(sink.get_ref(), b"", "no key was asked for");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct KnownHosts<W> {
    output: StopAfterError<W>,
    hash_hosts: bool,
    lines: Vec<u8>,
}

impl<W: Write> KnownHosts<W> {
    /// Creates a sink that writes to `output`, whole lines at a time.
    pub fn new(output: W) -> Self {
        Self { output: StopAfterError::new(output), hash_hosts: false, lines: Vec::new() }
    }

    /// Sets whether names and addresses are hashed, as with ssh's `HashKnownHosts`. Default: false.
    #[must_use]
    pub fn hash_hosts(self, hash_hosts: bool) -> Self {
        Self { hash_hosts, ..self }
    }

    /// Returns the output, for example to sync a file.
    pub fn get_ref(&self) -> &W {
        self.output.get_ref()
    }

    fn push_line(&mut self, name: &str, key: &HostKey) -> io::Result<()> {
        let name = if self.hash_hosts {
            let salt = random::secret().ok_or_else(|| io::Error::other("no random numbers"))?;
            hashed_host(name, &salt)
        } else {
            name.to_owned()
        };
        writeln!(self.lines, "{name} {} {}", key.key_type, STANDARD.encode(&key.blob))
    }
}

impl<W: ResumableOutput> KnownHosts<W> {
    /// Resumes an output from the resume point, and removes later lines.
    ///
    /// # Errors
    /// The output could not be truncated, it is shorter than at the resume point, or the resume
    /// point is of another format.
    pub fn resume(mut output: W, resume_point: ResumePoint) -> io::Result<Self> {
        resume_lines(&mut output, resume_point)?;
        Ok(Self::new(output))
    }
}

impl<W: Write> Sink for KnownHosts<W> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.lines.clear();
        let details = outcome.verdict.details.as_deref();
        let keys = details.map(|details| &details.host_keys.keys[..]).unwrap_or_default();
        let proven = keys.iter().filter(|key| key.proof == KeyProof::Proven);
        if let Some(name) = known_hosts_name(&outcome.target) {
            proven.into_iter().try_for_each(|key| self.push_line(&name, key))?;
        }
        self.output.write_all(&self.lines)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn finish(&mut self, _ending: &Ending) -> io::Result<()> {
        self.output.flush()
    }
}

impl<W: ResumableOutput> ResumableSink for KnownHosts<W> {
    fn checkpoint(&mut self) -> io::Result<ResumePoint> {
        self.output.attempt(checkpoint_lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Host, Target,
        outcome::{HostKeys, ServiceDetails},
        sink::{
            first_error::tests::{FailsOnce, assert_earlier},
            samples,
        },
    };

    fn with_keys(host: impl Into<Host>, port: u16) -> Outcome {
        let keys = vec![samples::plain_key(), samples::certified_key()];
        let host_keys = HostKeys { keys, ..HostKeys::default() };
        let details = ServiceDetails { host_keys, ..ServiceDetails::default() };
        let target = Target::from((host.into(), port));
        Outcome { target, ..samples::open(b"", Some(details)) }
    }

    #[test]
    fn proven_keys_are_written_with_the_name_of_the_target() {
        let mut sink = KnownHosts::new(Vec::new());
        for (host, port) in [
            (Host::from("10.0.0.5"), 22),
            (Host::from("2001:db8::1"), 22),
            (Host::from("2001:db8::1"), 2222),
            (Host::from("DB.example"), 2222),
            (Host::Name("a\nb".into()), 22),
            (Host::Name("*".into()), 22),
        ] {
            sink.write(&with_keys(host, port)).expect("writing to a vector cannot fail");
        }
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5";
        let expected = format!(
            "10.0.0.5 {key}\n2001:db8::1 {key}\n[2001:db8::1]:2222 {key}\n[db.example]:2222 {key}\n"
        );
        assert_eq!(String::from_utf8_lossy(sink.get_ref()), expected);
    }

    #[test]
    fn hashed_names_differ_for_each_line() {
        let mut sink = KnownHosts::new(Vec::new()).hash_hosts(true);
        for _ in 0..2 {
            sink.write(&with_keys("10.0.0.5", 22)).expect("there is room");
        }
        let text = String::from_utf8_lossy(sink.get_ref()).into_owned();
        let [one, other] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert!(one.starts_with("|1|") && one != other && !text.contains("10.0.0.5"), "{text}");
    }

    #[test]
    fn calls_after_an_error_fail() {
        let mut sink = KnownHosts::new(FailsOnce::after(3));
        let outcome = with_keys("10.0.0.5", 1);
        sink.write(&outcome).expect_err("there is room for 3 bytes");
        assert_earlier(sink.write(&outcome));
        assert_earlier(sink.flush());
    }
}
