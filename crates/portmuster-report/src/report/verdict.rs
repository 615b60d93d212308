//! The verdict on the question "is telnet left?", in one sentence, and how sure it is.

use std::fmt::Write;

use serde::Serialize;

use crate::{
    class::{Class, Doubt},
    collect::Collector,
    facts::{AccountRecord, CertaintyRecord, Facts, RunRecord},
    text::{counted, grouped},
};

/// The kinds of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum VerdictKind {
    /// Telnet was found.
    Found,
    /// No telnet was found, but something that looks like it.
    Likely,
    /// No telnet was found, and some targets are undecided.
    Unknown,
    /// Each target is proven free of telnet.
    Free,
    /// There are no targets.
    Nothing,
}

/// Whether it is known that the rows are all targets of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Coverage {
    /// The run has counted its targets, and all are here or listed as unproven.
    Counted,
    /// Nobody recorded how many targets the run had: the verdict is about the rows.
    RowsOnly,
    /// Rows are missing, because the run was killed or is still going on.
    Partial,
}

/// Number of targets that are undecided, for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DoubtCount {
    /// The reason.
    #[serde(rename = "kind")]
    pub doubt: Doubt,
    /// The number, at least 1.
    pub count: u64,
}

/// Whether telnet is left, and how sure that is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// The kind.
    pub kind: VerdictKind,
    /// The verdict in one sentence.
    pub sentence: String,
    /// Where telnet was found, or what looks like it: sentences; empty if there are none.
    pub place: String,
    /// How sure that is: sentences.
    pub certainty: Vec<String>,
    /// Whether the rows are all targets.
    pub coverage: Coverage,
    /// Number of targets, including those without a row.
    pub targets: u64,
    /// Number of targets that are telnet.
    pub telnet: u64,
    /// Number of targets that are proven free of telnet.
    pub proven: u64,
    /// The undecided targets, which are all others, by reason.
    pub unproven: Vec<DoubtCount>,
}

/// Why open ports are undecided that don't look like telnet.
const UNIDENTIFIED: [Doubt; 6] = [
    Doubt::Unknown,
    Doubt::Silent,
    Doubt::ClosedEarly,
    Doubt::Tarpit,
    Doubt::SshBroken,
    Doubt::NotProbed,
];

impl Verdict {
    /// Judges the rows. The place is added by whoever knows the networks.
    pub(super) fn new(rows: &Collector, record: &RunRecord, facts: &Facts) -> Self {
        let mut doubts = [0_u64; Doubt::ALL.len()];
        let mut telnet = 0;
        for entry in &rows.targets {
            telnet += u64::from(entry.class == Class::Telnet);
            if let Some(doubt) = entry.doubt {
                doubts[doubt as usize] += 1;
            }
        }
        let proven = rows.targets.len() as u64 - telnet - doubts.iter().sum::<u64>();
        if let Some(account) = &record.account {
            add_missing(&mut doubts, account, rows.targets.len() as u64);
        }
        let unproven = Doubt::ALL.into_iter().map(|doubt| (doubt, doubts[doubt as usize]));
        let unproven: Vec<_> = unproven
            .filter(|&(_, count)| count > 0)
            .map(|(doubt, count)| DoubtCount { doubt, count })
            .collect();
        let coverage = match &record.account {
            _ if facts.is_partial => Coverage::Partial,
            Some(_) => Coverage::Counted,
            // It began to write, and did not live to count.
            None if record.started.is_some() => Coverage::Partial,
            None => Coverage::RowsOnly,
        };
        let targets = telnet + proven + doubts.iter().sum::<u64>();
        let mut verdict = Self {
            kind: VerdictKind::Nothing,
            sentence: String::new(),
            place: String::new(),
            certainty: Vec::new(),
            coverage,
            targets,
            telnet,
            proven,
            unproven,
        };
        verdict.kind = verdict.kind();
        verdict.sentence = verdict.sentence();
        verdict.certainty = verdict.certainty(record.certainty.as_ref());
        verdict
    }

    /// Returns the number of undecided targets: they neither prove nor disprove telnet.
    #[must_use]
    pub fn unproven_count(&self) -> u64 {
        self.unproven.iter().map(|doubt| doubt.count).sum()
    }

    /// Returns the number of targets that are undecided for this reason.
    #[must_use]
    pub fn doubtful(&self, doubt: Doubt) -> u64 {
        self.unproven.iter().find(|it| it.doubt == doubt).map_or(0, |it| it.count)
    }

    fn kind(&self) -> VerdictKind {
        match self.telnet {
            _ if self.targets == 0 => VerdictKind::Nothing,
            1.. => VerdictKind::Found,
            _ if self.doubtful(Doubt::TelnetLikely) > 0 => VerdictKind::Likely,
            _ if self.unproven.is_empty() && self.coverage != Coverage::Partial => {
                VerdictKind::Free
            }
            _ => VerdictKind::Unknown,
        }
    }

    fn sentence(&self) -> String {
        let targets = counted(self.targets, "target", "targets");
        let likely = self.doubtful(Doubt::TelnetLikely);
        match self.kind {
            VerdictKind::Found => {
                let more = match likely {
                    0 => String::new(),
                    1 => "; 1 more looks like telnet".to_owned(),
                    many => format!("; {} more look like telnet", grouped(many)),
                };
                let (telnet, rest) = (grouped(self.telnet), self.rest());
                format!("Telnet was found on {telnet} of {targets}{more}{rest}.")
            }
            VerdictKind::Likely => format!(
                "No telnet was proven, but {} of {targets} {} like telnet{}.",
                grouped(likely),
                if likely == 1 { "looks" } else { "look" },
                self.rest()
            ),
            VerdictKind::Unknown if self.unproven.is_empty() => format!(
                "No telnet was found on the {targets} that were checked, but the run is incomplete."
            ),
            VerdictKind::Unknown => format!(
                "No telnet was found, but {} of {targets} {} undecided.",
                grouped(self.unproven_count()),
                if self.unproven_count() == 1 { "is" } else { "are" }
            ),
            VerdictKind::Free if self.targets == 1 => {
                "No telnet is left: the one target is proven to be without it.".to_owned()
            }
            VerdictKind::Free => {
                format!("No telnet is left: each of the {targets} is proven to be without it.")
            }
            VerdictKind::Nothing => "There are no targets, so nothing is proven.".to_owned(),
        }
    }

    /// Says how many targets are undecided without looking like telnet, as the end of a sentence; empty if
    /// none is.
    fn rest(&self) -> String {
        let unidentified: u64 = UNIDENTIFIED.iter().map(|doubt| self.doubtful(*doubt)).sum();
        let silent = self.doubtful(Doubt::Filtered);
        let likely = self.doubtful(Doubt::TelnetLikely);
        let others = self.unproven_count() - unidentified - silent - likely;
        let mut rest = String::new();
        if unidentified > 0 {
            let verb = if unidentified == 1 { "is" } else { "are" };
            let ports = counted(unidentified, "open port", "open ports");
            let _ = write!(rest, "; {ports} {verb} not identified");
        }
        if silent > 0 {
            let _ = write!(rest, "; {} gave no answer", grouped(silent));
        }
        if others > 0 {
            let verb = if others == 1 { "was" } else { "were" };
            let _ = write!(rest, "; {} {verb} not checked completely", grouped(others));
        }
        rest
    }

    fn certainty(&self, measured: Option<&CertaintyRecord>) -> Vec<String> {
        let mut sentences = Vec::new();
        if self.targets == 0 {
            return sentences;
        }
        sentences.push(self.proof());
        let undecided = self.unproven_count();
        if undecided > 0 {
            sentences.push(format!(
                "Not proven: {} may run telnet or not.",
                counted(undecided, "undecided target", "undecided targets")
            ));
        }
        sentences.extend(self.silence(measured));
        match self.coverage {
            Coverage::Counted => {}
            Coverage::RowsOnly => sentences.push(
                "Not known: how many targets the run had. This is about the rows of the file."
                    .to_owned(),
            ),
            Coverage::Partial => sentences.push(
                "Incomplete: the run did not end, and nothing is known of targets without a row."
                    .to_owned(),
            ),
        }
        sentences
    }

    /// Says what the telnet targets, and those without telnet, have shown.
    fn proof(&self) -> String {
        let telnet = match self.telnet {
            0 => None,
            1 => Some("the telnet target sent telnet commands".to_owned()),
            many => {
                Some(format!("each of the {} telnet targets sent telnet commands", grouped(many)))
            }
        };
        let free = match self.proven {
            0 => None,
            1 => Some("the target without telnet".to_owned()),
            many => Some(format!("each of the {} targets without telnet", grouped(many))),
        };
        let free = free.map(|free| {
            format!(
                "{free} refused the connection, or sent bytes that identify ssh or another protocol"
            )
        });
        match (telnet, free) {
            (Some(telnet), Some(free)) => format!("Proven: {telnet}; {free}."),
            (Some(one), None) | (None, Some(one)) => format!("Proven: {one}."),
            (None, None) => {
                "Proven: nothing. Proof is a telnet command, a refused connection, or bytes that identify \
                 another service."
                    .to_owned()
            }
        }
    }

    /// Says what asking again has shown of the targets without an answer, and what it can't show.
    fn silence(&self, measured: Option<&CertaintyRecord>) -> Vec<String> {
        if self.doubtful(Doubt::Filtered) == 0 {
            return Vec::new();
        }
        let Some(measured) = measured.filter(|measured| measured.silent > 0) else {
            return vec![
                "Not measured: how many of the targets without an answer would answer if they were asked \
                 again."
                    .to_owned(),
            ];
        };
        if measured.blocked {
            return vec![format!(
                "Blocked: {} of {} that had answered did not answer again. Somebody may drop packets from \
                 this machine, and then no answer means nothing.",
                grouped(measured.silent_controls),
                counted(measured.controls, "target", "targets")
            )];
        }
        let meaning = match measured.bound_count {
            None => "Too few could be asked to tell how many were missed.".to_owned(),
            Some(0) => {
                "So none of them was missed because of lost packets or slow hosts.".to_owned()
            }
            Some(bound) => format!(
                "So at most {} of them {} missed because of lost packets or slow hosts ({:.0} % \
                 confidence).",
                grouped(bound),
                if bound == 1 { "was" } else { "were" },
                measured.confidence.unwrap_or(0.95) * 100.0
            ),
        };
        vec![
            format!("Measured: {} {meaning}", asked_again(measured)),
            "Not measured: what a firewall hides that always drops packets from this machine. Seen from \
             here, that looks like no answer, too."
                .to_owned(),
        ]
    }
}

/// Says how many targets without an answer were asked again, and how many of them answered.
fn asked_again(measured: &CertaintyRecord) -> String {
    let all = measured.silent.saturating_add(measured.answered);
    let asked = if measured.asked_again >= all {
        format!("all {} without an answer", counted(all, "target", "targets"))
    } else {
        format!(
            "{} of the {} without an answer, drawn at random,",
            grouped(measured.asked_again),
            counted(all, "target", "targets")
        )
    };
    let answered = match measured.answered {
        0 => "none answered".to_owned(),
        1 => "1 answered and is counted as what it showed".to_owned(),
        many => format!("{} answered and are counted as what they showed", grouped(many)),
    };
    format!("{asked} were asked again, and {answered}.")
}

/// Adds the targets that the run has counted and that have no row. The page can't judge them.
fn add_missing(doubts: &mut [u64; Doubt::ALL.len()], account: &AccountRecord, rows: u64) {
    doubts[Doubt::Excluded as usize] += account.excluded;
    doubts[Doubt::Left as usize] += account.left;
    let settled = account.targets.saturating_sub(account.excluded.saturating_add(account.left));
    doubts[Doubt::NoRow as usize] += settled.saturating_sub(rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the verdict on targets with these states and services, and a count of targets.
    fn verdict(rows: &[(&str, &str)], targets: Option<u64>) -> Verdict {
        let mut collector = Collector::default();
        for (port, (state, service)) in rows.iter().enumerate() {
            let row = format!(
                r#"{{"schema":1,"host":"10.0.0.1","port":{port},"state":"{state}","reason":"x","service":"{service}"}}"#
            );
            collector.add_line(row.as_bytes()).expect("it is a row");
        }
        collector.sort();
        let account = targets.map(|targets| AccountRecord { targets, ..Default::default() });
        let record = RunRecord { account, ..Default::default() };
        Verdict::new(&collector, &record, &Facts::default())
    }

    #[test]
    fn each_kind_of_verdict_follows_from_the_worst_target() {
        let closed = ("closed", "");
        let kind = |rows: &[_]| verdict(rows, None).kind;
        assert_eq!(kind(&[closed, ("open", "ssh"), ("open", "other")]), VerdictKind::Free);
        assert_eq!(kind(&[closed, ("filtered", "")]), VerdictKind::Unknown);
        assert_eq!(kind(&[("filtered", ""), ("open", "telnet-likely")]), VerdictKind::Likely);
        assert_eq!(kind(&[("open", "telnet"), ("open", "telnet-likely")]), VerdictKind::Found);
        assert_eq!(kind(&[]), VerdictKind::Nothing);
    }

    #[test]
    fn target_that_was_counted_and_has_no_row_proves_nothing() {
        let verdict = verdict(&[("closed", "")], Some(3));
        assert_eq!((verdict.kind, verdict.targets), (VerdictKind::Unknown, 3));
        assert_eq!(verdict.doubtful(Doubt::NoRow), 2);
        assert_eq!(verdict.sentence, "No telnet was found, but 2 of 3 targets are undecided.");
        assert_eq!(
            verdict.certainty[..2],
            [
                "Proven: the target without telnet refused the connection, or sent bytes that identify ssh \
                 or another protocol.",
                "Not proven: 2 undecided targets may run telnet or not.",
            ]
        );
    }

    #[test]
    fn incomplete_run_is_never_free_of_telnet() {
        let mut rows = Collector::default();
        let row = br#"{"schema":1,"host":"a","port":1,"state":"closed","reason":"refused"}"#;
        rows.add_line(row).expect("it is a row");
        let facts = Facts { is_partial: true, ..Facts::default() };
        let verdict = Verdict::new(&rows, &RunRecord::default(), &facts);
        assert_eq!(verdict.kind, VerdictKind::Unknown);
        assert!(verdict.sentence.contains("the run is incomplete"), "{}", verdict.sentence);
    }

    #[test]
    fn bound_on_silent_targets_is_stated_unless_the_run_may_be_blocked() {
        let silent = |measured: CertaintyRecord| {
            verdict(&[("filtered", "")], None).silence(Some(&measured)).join(" ")
        };
        let measured = CertaintyRecord {
            silent: 1_000,
            asked_again: 410,
            bound_count: Some(4),
            confidence: Some(0.95),
            ..CertaintyRecord::default()
        };
        assert_eq!(
            silent(measured),
            "Measured: 410 of the 1,000 targets without an answer, drawn at random, were asked again, and \
             none answered. So at most 4 of them were missed because of lost packets or slow hosts (95 % \
             confidence). Not measured: what a firewall hides that always \
             drops packets from this machine. Seen from here, that looks like no answer, too."
        );
        assert!(silent(CertaintyRecord { blocked: true, ..measured }).starts_with("Blocked: "));
        assert!(silent(CertaintyRecord::default()).starts_with("Not measured: "));
        let all =
            CertaintyRecord { asked_again: 1_002, answered: 2, bound_count: Some(0), ..measured };
        let text = silent(all);
        let asked = "all 1,002 targets without an answer were asked again, and 2 answered";
        assert!(
            text.contains(asked) && text.contains("none of them was missed because of"),
            "{text}"
        );
    }

    #[test]
    fn proof_is_stated_for_each_side_that_has_targets() {
        let proof = |rows: &[_]| verdict(rows, None).proof();
        let (telnet, closed) = (("open", "telnet"), ("closed", ""));
        assert_eq!(proof(&[telnet]), "Proven: the telnet target sent telnet commands.");
        let both = proof(&[telnet, telnet, closed, closed]);
        assert!(both.starts_with(
            "Proven: each of the 2 telnet targets sent telnet commands; each of the 2"
        ));
        assert!(proof(&[("filtered", "")]).starts_with("Proven: nothing. "));
    }

    #[test]
    fn sentence_counts_what_was_found_what_looks_like_telnet_and_the_rest() {
        let sentence = |rows: &[_]| verdict(rows, None).sentence;
        let (telnet, likely) = (("open", "telnet"), ("open", "telnet-likely"));
        assert_eq!(sentence(&[telnet, ("closed", "")]), "Telnet was found on 1 of 2 targets.");
        assert_eq!(
            sentence(&[telnet, likely]),
            "Telnet was found on 1 of 2 targets; 1 more looks like telnet."
        );
        assert_eq!(
            sentence(&[telnet, ("filtered", ""), ("open", "silent"), ("unresolved", "")]),
            "Telnet was found on 1 of 4 targets; 1 open port is not identified; 1 gave no answer; 1 was not \
             checked completely."
        );
        assert_eq!(
            sentence(&[likely]),
            "No telnet was proven, but 1 of 1 target looks like telnet."
        );
    }
}
