//! The verdict on the question "is telnet left?", in one sentence, and how sure it is.

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
    /// No telnet was found, and some targets prove nothing.
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

/// Number of targets that prove nothing, for one reason.
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
    /// The others, by reason.
    pub unproven: Vec<DoubtCount>,
}

impl Verdict {
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

    /// Returns the number of targets that prove nothing.
    #[must_use]
    pub fn unproven_count(&self) -> u64 {
        self.unproven.iter().map(|doubt| doubt.count).sum()
    }

    /// Returns the number of targets that prove nothing for this reason.
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
            VerdictKind::Found if likely > 0 => format!(
                "Telnet is left: {} of {targets} {} it, and {} more may.",
                grouped(self.telnet),
                self.speaks(),
                grouped(likely)
            ),
            VerdictKind::Found => format!(
                "Telnet is left: {} of {targets} {} it.",
                grouped(self.telnet),
                self.speaks()
            ),
            VerdictKind::Likely => format!(
                "Telnet may be left: {} of {targets} {} a login prompt or a menu, but no telnet command was seen.",
                grouped(likely),
                if likely == 1 { "shows" } else { "show" }
            ),
            VerdictKind::Unknown if self.unproven.is_empty() => format!(
                "No telnet was found on the {targets} that were checked, but the run is incomplete."
            ),
            VerdictKind::Unknown => format!(
                "No telnet was found, but {} of {targets} {} nothing.",
                grouped(self.unproven_count()),
                if self.unproven_count() == 1 { "proves" } else { "prove" }
            ),
            VerdictKind::Free if self.targets == 1 => {
                "Free of telnet: the one target is proven to be without it.".to_owned()
            }
            VerdictKind::Free => {
                format!("Free of telnet: each of the {targets} is proven to be without it.")
            }
            VerdictKind::Nothing => "There are no targets, so nothing is proven.".to_owned(),
        }
    }

    fn speaks(&self) -> &'static str {
        if self.telnet == 1 { "speaks" } else { "speak" }
    }

    fn certainty(&self, measured: Option<&CertaintyRecord>) -> Vec<String> {
        let mut sentences = Vec::new();
        if self.targets == 0 {
            return sentences;
        }
        let unproven = self.unproven_count();
        let proven = format!("{} proven to be without telnet", counted(self.proven, "is", "are"));
        if unproven > 0 && self.kind != VerdictKind::Unknown {
            sentences.push(format!("{proven}; {} nothing.", counted(unproven, "proves", "prove")));
        } else if unproven > 0 {
            sentences.push(format!("{proven}."));
        } else if self.telnet > 0 {
            sentences.push("All others are proven to be without telnet.".to_owned());
        } else {
            sentences.push(
                "Proof is a refused connection, or bytes that identify ssh or another protocol."
                    .to_owned(),
            );
        }
        sentences.extend(self.silence(measured));
        match self.coverage {
            Coverage::Counted => {}
            Coverage::RowsOnly => sentences.push(
                "This is about the rows of the file: the run's own count of its targets was not given."
                    .to_owned(),
            ),
            Coverage::Partial => sentences.push(
                "The run is incomplete: nothing is known of the targets without a row.".to_owned(),
            ),
        }
        sentences
    }

    /// Says how many silent targets would answer one more attempt.
    fn silence(&self, measured: Option<&CertaintyRecord>) -> Option<String> {
        let silent = self.doubtful(Doubt::Filtered);
        if silent == 0 {
            return None;
        }
        let Some(measured) = measured.filter(|measured| measured.silent > 0) else {
            return Some(
                "How many silent targets would answer another attempt was not measured.".to_owned(),
            );
        };
        Some(match (measured.blocked, measured.bound_count) {
            (true, _) => format!(
                "{} of {} that had answered fell silent during the run: this machine may be blocked, so \
                 silence shows nothing.",
                grouped(measured.silent_controls),
                counted(measured.controls, "target", "targets")
            ),
            (false, None) => {
                "Some silent targets were not measured, so no bound can be stated.".to_owned()
            }
            (false, Some(bound)) => format!(
                "At most {} of {} would answer one more attempt from here ({:.0} % confidence).",
                grouped(bound),
                counted(measured.silent, "silent target", "silent targets"),
                measured.confidence.unwrap_or(0.95) * 100.0
            ),
        })
    }
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
        assert_eq!(verdict.sentence, "No telnet was found, but 2 of 3 targets prove nothing.");
        assert_eq!(verdict.certainty[0], "1 is proven to be without telnet.");
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
            let verdict = verdict(&[("filtered", "")], None);
            verdict.silence(Some(&measured)).expect("a target is silent")
        };
        let measured = CertaintyRecord {
            silent: 1_000,
            bound_count: Some(4),
            confidence: Some(0.95),
            ..CertaintyRecord::default()
        };
        assert_eq!(
            silent(measured),
            "At most 4 of 1,000 silent targets would answer one more attempt from here (95 % confidence)."
        );
        assert!(silent(CertaintyRecord { blocked: true, ..measured }).contains("may be blocked"));
        assert!(silent(CertaintyRecord::default()).contains("was not measured"));
    }
}
