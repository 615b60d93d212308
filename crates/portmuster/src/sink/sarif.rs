//! SARIF 2.1.0 (OASIS, 2020), for programs that collect results of analysis tools.
//!
//! A result is one thing that was found at one target: a weakness of an ssh server, or a service that the
//! caller forbids. Its location is a logical one, `host:port`, because there is no file in which anything
//! could be changed. [`document`](mod@document) has the fields.
//!
//! Each result is one line, so the results of a run that resumes can be truncated and continued.
//!
//! Invariant: a document is complete only after [`Sink::finish`]. Programs that read SARIF take a result
//! that a document lacks as repaired, so the document of a run that was killed must not be valid: they
//! refuse it.

use std::io::{self, Write};

use self::document::{SarifResult, head, tail};
use super::{
    first_error::StopAfterError,
    interface::{Ending, ResumableSink, ResumePoint, Sink},
    json::push_json_line,
    resumable::{ResumableOutput, checkpoint_lines, resume_lines},
};
use crate::outcome::Outcome;

mod document;
mod rules;

pub use self::rules::SarifRules;

/// Writes what is found as a SARIF document to a file or a stream.
///
/// The document is complete after [`Sink::finish`]; readers refuse the one of a run that was killed.
///
/// ```
/// # use std::time::SystemTime;
/// use portmuster::{Service, sink::{Ending, Sarif, SarifRules, Sink}};
///
/// let rules = SarifRules::new().forbid_service(Service::Telnet);
/// let mut sink = Sarif::begin(Vec::new(), &rules)?;
/// let mut outcomes = portmuster::check_ports([("127.0.0.1", 1)]);
/// for outcome in &mut outcomes {
///     sink.write(&outcome)?;
/// }
/// sink.finish(&Ending::new(outcomes.account(), 1, SystemTime::now()))?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Sarif<W> {
    output: StopAfterError<W>,
    rules: SarifRules,
    has_results: bool,
    line: Vec<u8>,
}

impl<W: Write> Sarif<W> {
    /// Starts a document.
    ///
    /// # Errors
    /// The document could not be written.
    pub fn begin(output: W, rules: &SarifRules) -> io::Result<Self> {
        let mut sarif = Self::new(output, rules, false);
        sarif.output.write_all(&head(rules)?)?;
        Ok(sarif)
    }

    fn new(output: W, rules: &SarifRules, has_results: bool) -> Self {
        let output = StopAfterError::new(output);
        Self { output, rules: rules.clone(), has_results, line: Vec::new() }
    }

    /// Returns the output, for example to sync a file.
    pub fn get_ref(&self) -> &W {
        self.output.get_ref()
    }
}

impl<W: ResumableOutput> Sarif<W> {
    /// Resumes a document from the resume point, and removes later results. The rules must be those of
    /// its beginning.
    ///
    /// # Errors
    /// The output could not be truncated, it is shorter than at the resume point, or the resume
    /// point is of another format.
    pub fn resume(
        mut output: W,
        rules: &SarifRules,
        resume_point: ResumePoint,
    ) -> io::Result<Self> {
        let length = resume_lines(&mut output, resume_point)?;
        let has_results = length > head(rules)?.len() as u64;
        Ok(Self::new(output, rules, has_results))
    }
}

impl<W: Write> Sink for Sarif<W> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.output.check()?;
        if !outcome.is_open() {
            return Ok(());
        }
        for result in SarifResult::all_of(outcome, &self.rules) {
            self.line.clear();
            if std::mem::replace(&mut self.has_results, true) {
                self.line.push(b',');
            }
            push_json_line(&mut self.line, &result)?;
            self.output.write_all(&self.line)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn finish(&mut self, ending: &Ending) -> io::Result<()> {
        self.output.write_all(&tail(ending)?)?;
        self.output.flush()
    }
}

impl<W: ResumableOutput> ResumableSink for Sarif<W> {
    fn checkpoint(&mut self) -> io::Result<ResumePoint> {
        self.output.attempt(checkpoint_lines)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use serde_json::Value;

    use super::*;
    use crate::{
        outcome::{Account, PortState, Reason, Service, Weakness},
        sink::{
            first_error::tests::{FailsOnce, assert_earlier},
            samples,
        },
    };

    fn rules() -> SarifRules {
        let rules = SarifRules::new().forbid_open().forbid_service(Service::Ssh);
        rules.forbid_weakness(Weakness::Md5)
    }

    fn finished(sarif: &mut impl Sink) {
        let ending = Ending::new(Account::default(), 0, SystemTime::UNIX_EPOCH);
        sarif.finish(&ending).expect("writing to a vector cannot fail");
    }

    fn results(document: &[u8]) -> Vec<Value> {
        let document: Value = serde_json::from_slice(document).expect("it is complete");
        document["runs"][0]["results"].as_array().expect("it has results").clone()
    }

    fn text(value: &Value) -> &str {
        value.as_str().expect("it is text")
    }

    fn ids(results: &[Value]) -> Vec<(&str, &str)> {
        results.iter().map(|it| (text(&it["ruleId"]), text(&it["level"]))).collect()
    }

    #[test]
    fn weaknesses_and_what_is_forbidden_are_results() {
        let mut sarif = Sarif::begin(Vec::new(), &rules()).expect("there is room");
        sarif.write(&samples::everything()).expect("there is room");
        sarif.write(&samples::not_open(PortState::Closed, Reason::Refused)).expect("room");
        finished(&mut sarif);
        let all = results(sarif.get_ref());
        let expected = [("open", "error"), ("ssh", "error"), ("3des", "warning"), ("md5", "error")];
        assert_eq!(ids(&all), expected);
        let location = &all[2]["locations"][0]["logicalLocations"][0];
        assert_eq!(location["fullyQualifiedName"], "db.example:22");
        let text = text(&all[2]["message"]["text"]);
        assert!(text.starts_with("db.example:22 offers 3des-cbc: "), "{text}");

        let mut sarif = Sarif::begin(Vec::new(), &SarifRules::new()).expect("there is room");
        let mut throttled = samples::everything();
        throttled.verdict.service = Some(Service::SshThrottled);
        sarif.write(&throttled).expect("there is room");
        finished(&mut sarif);
        let all = results(sarif.get_ref());
        assert_eq!(ids(&all), [("3des", "warning"), ("md5", "warning")]);
    }

    #[test]
    fn rule_index_is_that_of_the_rule() {
        let mut sarif = Sarif::begin(Vec::new(), &rules()).expect("there is room");
        let mut throttled = samples::everything();
        throttled.verdict.service = Some(Service::SshThrottled);
        sarif.write(&throttled).expect("there is room");
        finished(&mut sarif);
        let document: Value = serde_json::from_slice(sarif.get_ref()).expect("it is complete");
        let rules = &document["runs"][0]["tool"]["driver"]["rules"];
        for result in results(sarif.get_ref()) {
            let index = result["ruleIndex"].as_u64().expect("it is a number");
            let index = usize::try_from(index).expect("it is small");
            assert_eq!(rules[index]["id"], result["ruleId"]);
        }
        let ids: std::collections::BTreeSet<_> =
            rules.as_array().expect("a list").iter().map(|rule| rule["id"].to_string()).collect();
        assert_eq!(ids.len(), 2 + Weakness::ALL.len());
    }

    #[test]
    fn fingerprint_depends_on_the_target_and_the_rule_only() {
        let fingerprints = |rules: &SarifRules, outcome: &Outcome| {
            let mut sarif = Sarif::begin(Vec::new(), rules).expect("there is room");
            sarif.write(outcome).expect("there is room");
            finished(&mut sarif);
            let of = |result: &Value| result["partialFingerprints"].to_string();
            results(sarif.get_ref()).iter().map(of).collect::<Vec<_>>()
        };
        let plain = SarifRules::new();
        let before = fingerprints(&plain, &samples::everything());
        assert_ne!(before[0], before[1], "the rules differ");
        let mut moved = samples::everything();
        moved.endpoint = Some(([10, 0, 0, 9], 22).into());
        moved.time = SystemTime::UNIX_EPOCH;
        moved.verdict.banner = b"SSH-2.0-other".to_vec();
        assert_eq!(fingerprints(&plain, &moved), before);
        let each = SarifRules::new().with_addresses();
        assert_ne!(fingerprints(&each, &moved), fingerprints(&each, &samples::everything()));
        moved.target.port = 23;
        assert_ne!(fingerprints(&plain, &moved)[0], before[0]);
    }

    #[test]
    fn ending_says_what_was_not_examined() {
        let mut sarif = Sarif::begin(Vec::new(), &rules()).expect("there is room");
        let ending = Ending::new(Account::default(), 7, SystemTime::UNIX_EPOCH);
        sarif.finish(&ending).expect("there is room");
        let document: Value = serde_json::from_slice(sarif.get_ref()).expect("it is complete");
        let invocation = &document["runs"][0]["invocations"][0];
        assert_eq!(invocation["executionSuccessful"], false);
        let text = &invocation["toolExecutionNotifications"][0]["message"]["text"];
        assert_eq!(text, "7 targets were not examined, because the run was stopped");
    }

    #[test]
    fn resume_continues_the_results_of_a_document_with_and_without_results() {
        for before in [0, 1] {
            let mut sarif = Sarif::begin(Vec::new(), &rules()).expect("there is room");
            for _ in 0..before {
                sarif.write(&samples::everything()).expect("there is room");
            }
            let point = sarif.checkpoint().expect("a vector has a length");
            sarif.write(&samples::everything()).expect("there is room");
            finished(&mut sarif);
            let cut = sarif.get_ref().len() - 20;
            serde_json::from_slice::<Value>(&sarif.get_ref()[..cut])
                .expect_err("readers refuse a document without its end");
            let output = sarif.get_ref()[..cut].to_vec();
            let mut sarif = Sarif::resume(output, &rules(), point).expect("there is room");
            sarif.write(&samples::everything()).expect("there is room");
            finished(&mut sarif);
            assert_eq!(results(sarif.get_ref()).len(), 4 * (before + 1));
        }
    }

    #[test]
    fn calls_after_an_error_fail() {
        let length = head(&rules()).expect("it is JSON").len();
        let mut sarif = Sarif::begin(FailsOnce::after(length + 9), &rules()).expect("room");
        sarif.write(&samples::everything()).expect_err("there is room for 9 bytes");
        assert_earlier(sarif.write(&samples::everything()));
        assert_earlier(sarif.flush());
        assert_earlier(sarif.finish(&samples::ending()));
    }
}
