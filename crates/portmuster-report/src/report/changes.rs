//! What changed since an earlier run.

use serde::Serialize;

use crate::{
    facts::{ChangeList, ChangeRecord, ResultRecord},
    text::{counted, grouped, moment, shorten, visible},
};

/// The most changes that are listed.
const LINES_MAX: usize = 500;

/// The most characters of a text.
const TEXT_MAX: usize = 80;

/// The kinds of change in the order in which they are listed: those that need attention first.
const KINDS: [&str; 12] = [
    "opened",
    "answers",
    "service",
    "host-key",
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
    /// When the earlier run began: RFC 3339, UTC; empty if unknown.
    pub since_started: String,
    /// Number of changed targets that are telnet or look like it, and did neither before.
    pub new_telnet: u64,
    /// Number of targets that were telnet or looked like it, and do neither now.
    pub gone_telnet: u64,
    /// Number of targets that began to be telnet, or to look like it.
    pub began: TelnetCounts,
    /// Number of targets that stopped being telnet, or looking like it.
    pub stopped: TelnetCounts,
    /// Number of changes by kind, without kinds that did not occur.
    pub kinds: Vec<ChangeCount>,
    /// The changes, those that need attention first.
    pub lines: Vec<ChangeLine>,
    /// Number of changes that are not listed.
    pub hidden: u64,
}

/// Number of targets that are telnet, and of those that look like it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct TelnetCounts {
    /// Number of targets that are telnet.
    pub telnet: u64,
    /// Number of targets that look like telnet.
    pub likely: u64,
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
    /// Whether it is telnet now or looks like it, and did neither before.
    pub is_new_telnet: bool,
    /// What changed about telnet, in two or three words such as `new telnet`; empty if nothing did.
    pub mark: &'static str,
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
        let count = |pick: fn(&ChangeRecord) -> &Option<ResultRecord>,
                     other: fn(&ChangeRecord) -> &Option<ResultRecord>| {
            let of = |name| {
                let is = |result: &Option<ResultRecord>| service(result.as_ref()) == name;
                let found = list.changes.iter().filter(|it| is(pick(it)) && !is(other(it)));
                found.count() as u64
            };
            TelnetCounts { telnet: of("telnet"), likely: of("telnet-likely") }
        };
        let mut section = Self {
            since_started: visible(list.started.as_deref().unwrap_or_default().as_bytes()),
            began: count(|it| &it.new, |it| &it.old),
            stopped: count(|it| &it.old, |it| &it.new),
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
        let others = list.changes.iter().filter(|change| mark(change).is_empty()).count() as u64;
        section.sentence = section.sentence(source, others);
        section
    }

    /// `source` is the name of the later run. `others` is the number of changes that are not about telnet.
    fn sentence(&self, source: &str, others: u64) -> String {
        let changed = counted(self.changed, "target", "targets");
        let is_previous = self.since.strip_suffix("#-2") == Some(latest(source));
        let since = match (is_previous, self.since_started.as_str()) {
            (true, "") => format!("the previous run ({})", self.since),
            (true, time) => format!("the previous run of {} ({})", moment(time), self.since),
            (false, "") => self.since.clone(),
            (false, time) => format!("{} of {}", self.since, moment(time)),
        };
        let mut sentence = match self.changed {
            0 => format!("Nothing has changed since {since}."),
            all if all == others => {
                format!("{changed} changed since {since}, none of them to or from telnet.")
            }
            _ => format!(
                "{changed} changed since {since}. New: {}. Gone: {}. {}.",
                self.began.words(),
                self.stopped.words(),
                counted(others, "other change", "other changes")
            ),
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

impl TelnetCounts {
    /// Returns the numbers in words.
    fn words(self) -> String {
        let likely = match self.likely {
            1 => "1 that looks like telnet".to_owned(),
            many => format!("{} that look like telnet", grouped(many)),
        };
        match (self.telnet, self.likely) {
            (0, 0) => "none".to_owned(),
            (telnet, 0) => format!("{} telnet", grouped(telnet)),
            (0, _) => likely,
            (telnet, _) => format!("{} telnet, {likely}", grouped(telnet)),
        }
    }
}

impl ChangeLine {
    /// Returns what changed about telnet, and the kinds of change, in words.
    pub(crate) fn words(&self) -> String {
        let kinds = self.kinds_in_words();
        if self.mark.is_empty() { kinds } else { format!("{}: {kinds}", self.mark) }
    }

    /// Returns the kinds of change in words.
    pub(crate) fn kinds_in_words(&self) -> String {
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
            mark: mark(change),
        }
    }

    fn rank(&self) -> (usize, usize) {
        let rank = |kind: &String| KINDS.iter().position(|it| it == kind);
        let rank = self.kinds.iter().filter_map(rank).min().unwrap_or(KINDS.len());
        (MARKS.iter().position(|&mark| mark == self.mark).unwrap_or(MARKS.len()), rank)
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

/// What may change about telnet, in the order in which it is listed.
const MARKS: [&str; 4] =
    ["new telnet", "new, looks like telnet", "telnet gone", "no longer looks like telnet"];

/// Returns what changed about telnet, which is one of [`MARKS`]; empty if nothing did.
fn mark(change: &ChangeRecord) -> &'static str {
    match (service(change.old.as_ref()), service(change.new.as_ref())) {
        (old, new) if old == new => "",
        (_, "telnet") => MARKS[0],
        (_, "telnet-likely") => MARKS[1],
        ("telnet", _) => MARKS[2],
        ("telnet-likely", _) => MARKS[3],
        _ => "",
    }
}

/// Returns whether a result is telnet or looks like it.
fn is_telnet(result: Option<&ResultRecord>) -> bool {
    matches!(service(result), "telnet" | "telnet-likely")
}

/// Returns the service of a result; empty if it has none.
fn service(result: Option<&ResultRecord>) -> &str {
    result.and_then(|result| result.service.as_deref()).unwrap_or_default()
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
        assert_eq!(targets, ["[::1]:23", "10.0.0.2:23", "10.0.0.1:22"]);
        let marks: Vec<_> = section.lines.iter().map(|line| line.mark).collect();
        assert_eq!(marks, ["new telnet", "telnet gone", ""]);
        assert_eq!(section.lines[0].now, r"telnet \x1b[2J login");
        assert_eq!(section.lines[1].now, "closed (refused)");
        assert_eq!(section.kinds.len(), 3);
        assert_eq!(
            section.sentence,
            "3 targets changed since a. New: 1 telnet. Gone: 1 telnet. 1 other change."
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
        let started = Some("2026-11-23T20:00:00Z".to_owned());
        let list = ChangeList { started, ..ChangeList::since("b.db#-2") };
        let sentence = ChangesSection::new(&list, "b.db").sentence;
        assert!(sentence.contains("the previous run of 2026-11-23 20:00"), "{sentence}");
    }
}
