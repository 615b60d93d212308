//! What changed since an earlier run.

use serde::Serialize;

use crate::{
    facts::{ChangeList, ChangeRecord, ResultRecord},
    text::{counted, grouped, shorten, visible},
};

/// The most changes that are listed.
const LINES_MAX: usize = 500;

/// The most characters of a text.
const TEXT_MAX: usize = 80;

/// The kinds of change in the order in which they are listed: those that need attention first.
const KINDS: [&str; 11] = [
    "opened",
    "answers",
    "service",
    "new-findings",
    "version",
    "banner",
    "no-answer",
    "closed",
    "gone-findings",
    "came",
    "went",
];

/// What changed since an earlier run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChangesSection {
    /// The name of the earlier run.
    pub since: String,
    /// The numbers of changes in one or two sentences.
    pub sentence: String,
    /// Number of its targets.
    pub targets_before: u64,
    /// Number of targets that were not compared, because a run did not reach or check them.
    pub not_compared: u64,
    /// Number of changed targets.
    pub changed: u64,
    /// Number of changed targets that are telnet, or may be, and were not before.
    pub new_telnet: u64,
    /// Number of targets that were telnet and no longer are.
    pub gone_telnet: u64,
    /// Number of changes by kind, without kinds that did not occur.
    pub kinds: Vec<ChangeCount>,
    /// The changes, those that need attention first.
    pub lines: Vec<ChangeLine>,
    /// Number of changes that are not listed.
    pub hidden: u64,
}

/// Number of changes of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChangeCount {
    /// The kind.
    pub kind: String,
    /// The number, at least 1.
    pub count: u64,
}

/// The change of one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChangeLine {
    /// The host and port as one text.
    pub target: String,
    /// The kinds of change.
    pub kinds: Vec<String>,
    /// The earlier result.
    pub before: String,
    /// The later result, with weaknesses that came and went.
    pub now: String,
    /// Whether it is telnet now, or may be, and was not before.
    pub is_new_telnet: bool,
}

impl ChangesSection {
    /// Describes the changes. `source` is the name of the later run.
    pub(super) fn new(list: &ChangeList, source: &str) -> Self {
        let mut lines: Vec<_> = list.changes.iter().map(ChangeLine::new).collect();
        let kinds = KINDS.map(|kind| {
            let count = lines.iter().filter(|line| line.kinds.iter().any(|it| it == kind)).count();
            ChangeCount { kind: kind.to_owned(), count: count as u64 }
        });
        let new_telnet = lines.iter().filter(|line| line.is_new_telnet).count() as u64;
        let gone = |change: &&ChangeRecord| {
            is_telnet(change.old.as_ref()) && !is_telnet(change.new.as_ref())
        };
        let changed = lines.len() as u64;
        // The sort is stable: within a rank the order of the targets remains.
        lines.sort_by_key(ChangeLine::rank);
        lines.truncate(LINES_MAX);
        let mut section = Self {
            since: shorten(&visible(list.since.as_bytes()), TEXT_MAX),
            sentence: String::new(),
            targets_before: list.targets_before,
            not_compared: list.not_compared,
            changed,
            new_telnet,
            gone_telnet: list.changes.iter().filter(gone).count() as u64,
            kinds: kinds.into_iter().filter(|kind| kind.count > 0).collect(),
            hidden: changed - lines.len() as u64,
            lines,
        };
        section.sentence = section.sentence(source);
        section
    }

    /// `source` is the name of the later run.
    fn sentence(&self, source: &str) -> String {
        let telnet = match (self.new_telnet, self.gone_telnet) {
            (0, 0) => "none of them to or from telnet".to_owned(),
            (new, gone) => format!(
                "telnet or a login prompt is new on {} and gone from {}",
                grouped(new),
                grouped(gone)
            ),
        };
        let changed = counted(self.changed, "target", "targets");
        let since = if self.since.strip_suffix("#-2") == Some(latest(source)) {
            format!("the previous run ({})", self.since)
        } else {
            self.since.clone()
        };
        let mut sentence = match self.changed {
            0 => format!("Nothing has changed since {since}."),
            _ => format!("{changed} changed since {since}: {telnet}."),
        };
        if self.not_compared > 0 {
            let not_compared = counted(self.not_compared, "target was", "targets were");
            sentence = format!(
                "{sentence} {not_compared} not compared, for lack of a result in one of the runs."
            );
        }
        sentence
    }
}

impl ChangeLine {
    /// Returns the kinds of change in words.
    pub(crate) fn words(&self) -> String {
        self.kinds.iter().map(|kind| words(kind)).collect::<Vec<_>>().join(", ")
    }

    fn new(change: &ChangeRecord) -> Self {
        let host = visible(change.host.as_bytes());
        let target = if host.contains(':') {
            format!("[{host}]:{}", change.port)
        } else {
            format!("{host}:{}", change.port)
        };
        let signed = |sign: char, names: &[String]| -> Vec<String> {
            names.iter().map(|name| format!("{sign}{}", visible(name.as_bytes()))).collect()
        };
        let findings =
            [signed('+', &change.new_findings), signed('-', &change.gone_findings)].concat();
        let mut now = describe(change.new.as_ref());
        if !findings.is_empty() {
            now = format!("{now} [{}]", shorten(&findings.join(", "), TEXT_MAX));
        }
        Self {
            target: shorten(&target, TEXT_MAX),
            kinds: change.changes.iter().map(|kind| visible(kind.as_bytes())).collect(),
            before: describe(change.old.as_ref()),
            now,
            is_new_telnet: is_telnet(change.new.as_ref()) && !is_telnet(change.old.as_ref()),
        }
    }

    fn rank(&self) -> (bool, usize) {
        let rank = |kind: &String| KINDS.iter().position(|it| it == kind);
        let rank = self.kinds.iter().filter_map(rank).min().unwrap_or(KINDS.len());
        (!self.is_new_telnet, rank)
    }
}

/// Returns the database whose last run has this name; another name as it is.
fn latest(source: &str) -> &str {
    ["#last", "#-1"].iter().find_map(|run| source.strip_suffix(run)).unwrap_or(source)
}

/// Returns a kind of change in words.
pub(crate) fn words(kind: &str) -> &str {
    match kind {
        "answers" => "answers now",
        "service" => "other service",
        "version" => "other version",
        "banner" => "other greeting",
        "new-findings" => "new weakness",
        "gone-findings" => "weakness gone",
        "no-answer" => "no answer now",
        "came" => "new target",
        "went" => "target gone",
        other => other,
    }
}

/// Returns whether a result is telnet, or may be by what it showed.
fn is_telnet(result: Option<&ResultRecord>) -> bool {
    let service = result.and_then(|result| result.service.as_deref());
    matches!(service, Some("telnet" | "telnet-likely"))
}

/// Describes a result: the service with its software or greeting, or the state with its reason.
fn describe(result: Option<&ResultRecord>) -> String {
    let Some(result) = result else { return "not in the run".to_owned() };
    let text = match &result.service {
        Some(service) => {
            let more = [&result.ssh_software, &result.protocol, &result.banner];
            let more = more.into_iter().flatten().next().map_or("", String::as_str);
            format!("{service} {more}")
        }
        None => format!("{} ({})", result.state, result.reason),
    };
    shorten(&visible(text.as_bytes()), TEXT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_telnet_comes_first_and_changes_are_counted_by_kind() {
        let lines = [
            r#"{"host":"10.0.0.1","port":22,"changes":["version"],"old":{"service":"ssh","ssh_software":"a"},"new":{"service":"ssh","ssh_software":"b"}}"#,
            r#"{"host":"10.0.0.2","port":23,"changes":["closed"],"old":{"service":"telnet"},"new":{"state":"closed","reason":"refused"}}"#,
            r#"{"host":"::1","port":23,"changes":["came"],"new":{"service":"telnet","banner":"\u001b[2J login"}}"#,
        ];
        let changes = lines.map(|line| serde_json::from_str(line).expect("it is a change")).into();
        let list = ChangeList { changes, ..ChangeList::since("a") };
        let section = ChangesSection::new(&list, "b");
        assert_eq!((section.changed, section.new_telnet, section.gone_telnet), (3, 1, 1));
        let targets: Vec<_> = section.lines.iter().map(|line| line.target.as_str()).collect();
        assert_eq!(targets, ["[::1]:23", "10.0.0.1:22", "10.0.0.2:23"]);
        assert_eq!(section.lines[0].now, r"telnet \x1b[2J login");
        assert_eq!(section.lines[2].now, "closed (refused)");
        assert_eq!(section.kinds.len(), 3);
        assert_eq!(
            section.sentence,
            "3 targets changed since a: telnet or a login prompt is new on 1 and gone from 1."
        );
    }

    #[test]
    fn sentence_says_when_nothing_changed_or_was_not_compared() {
        let list = ChangeList { not_compared: 1, ..ChangeList::since("b.db#-2") };
        let sentence = |source| ChangesSection::new(&list, source).sentence;
        let previous = "Nothing has changed since the previous run (b.db#-2). 1 target was not compared, \
                        for lack of a result in one of the runs.";
        assert_eq!([sentence("b.db"), sentence("b.db#last")], [previous, previous]);
        assert!(sentence("b.db#7").starts_with("Nothing has changed since b.db#-2. "));
    }
}
