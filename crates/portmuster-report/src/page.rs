//! The page: one HTML file with its style, its script and its data.
//!
//! Invariant: the page sends no request. Its policy allows only this style and this script, by their
//! hashes, so markup of strangers could load and run nothing even if it were not escaped.

use std::borrow::Borrow;

use askama::Template;
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use crate::{
    class::Class,
    report::{
        ClassCounts, Report, SoftwareLine, TallyLine, VerdictKind, change_words,
        compare_with_earlier,
    },
    text::{self, duration, grouped, milliseconds, ratio},
};

mod bars;
mod data;
mod drawing;
mod first_rows;
mod svg;

use self::first_rows::FirstRow;

const STYLE: &str = include_str!("../assets/page.css");
const SCRIPT: &str = include_str!("../assets/page.js");

/// Hides what only a page without the script shows, before anything is drawn.
const EARLY_SCRIPT: &str = include_str!("../assets/early.js");

/// The classes in the order of the answers: telnet, undecided, no telnet.
const BY_ANSWER: [Class; 9] = [
    Class::Telnet,
    Class::Likely,
    Class::Unproven,
    Class::Silent,
    Class::Unchecked,
    Class::WeakSsh,
    Class::Ssh,
    Class::Other,
    Class::Refused,
];

/// The template of the page.
#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    report: &'a Report,
    policy: String,
    style: &'static str,
    early_script: &'static str,
    script: &'static str,
    badge: &'static str,
    /// The kind of the verdict, by which the style chooses a colour.
    kind: &'static str,
    /// The classes that occur.
    classes: Vec<Class>,
    answers: Vec<Answer>,
    figures: Vec<Figure>,
    /// The command that would compare this run with an earlier one.
    compare: String,
    /// When the run began, and how long it took.
    when: String,
    /// What the lines and cells of the map are.
    map_text: String,
    /// Whether a cell of the map may stand for several targets.
    has_networks: bool,
    /// Whether a cell of the map stands for no target.
    has_empty: bool,
    patterns: String,
    shares: String,
    map: String,
    connect: String,
    first_byte: String,
    first_rows: Vec<FirstRow<'a>>,
    has_labels: bool,
    /// Compressed data of the script, in base64.
    table: String,
    details: Vec<String>,
    map_data: String,
}

/// The targets with one answer to the question whether they are telnet.
struct Answer {
    /// The class of the style.
    kind: &'static str,
    count: u64,
    label: &'static str,
    /// What the answer means.
    note: &'static str,
    /// The classes that occur, with their numbers.
    classes: Vec<(Class, u64)>,
    /// Number of targets without a row.
    without_row: u64,
}

/// A number with its meaning.
struct Figure {
    value: String,
    label: &'static str,
    note: String,
    /// The class of the style; empty: none.
    class: &'static str,
}

impl Report {
    /// Returns the report as a page: one HTML file that needs no network.
    ///
    /// It takes less than 1 MB, and 1 byte more for each target and 300 bytes for each open one.
    ///
    /// # Panics
    /// Never: writing to a string can't fail.
    #[must_use]
    pub fn to_html(&self) -> String {
        let classes = Class::ALL.into_iter().filter(|&class| self.classes.of(class) > 0).collect();
        let (badge, kind) = badge(self.verdict.kind);
        let page = Page {
            report: self,
            policy: policy(),
            style: STYLE,
            early_script: EARLY_SCRIPT,
            script: SCRIPT,
            badge,
            kind,
            classes,
            answers: answers(self),
            figures: figures(self),
            compare: compare_with_earlier(&self.run.source),
            when: when(self),
            map_text: drawing::explain(&self.map, self.scope.port_count),
            has_networks: drawing::networks(&self.map) > 0,
            has_empty: drawing::has_empty(&self.map),
            patterns: svg::patterns(),
            shares: bars::stack(&self.classes, &BY_ANSWER),
            map: drawing::draw(&self.map),
            connect: bars::histogram(&self.latency.connect),
            first_byte: bars::histogram(&self.latency.first_byte),
            first_rows: first_rows::list(&self.rows),
            has_labels: !self.labels.is_empty(),
            table: data::table(self),
            details: data::details(&self.rows),
            map_data: data::map(&self.map),
        };
        let mut page = page.render().expect("writing to a string can't fail");
        // Text files end with a line break, by which a resumed run recognises its own.
        page.push('\n');
        page
    }
}

/// Returns the content security policy: this style, these scripts, and nothing else.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}' 'sha256-{}'; \
         base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(EARLY_SCRIPT),
        hash(SCRIPT)
    )
}

/// Returns the answer to "is telnet left?" in a few words, and its kind.
fn badge(kind: VerdictKind) -> (&'static str, &'static str) {
    match kind {
        VerdictKind::Found => ("Yes", "found"),
        VerdictKind::Likely => ("Probably", "likely"),
        VerdictKind::Unknown => ("Not known for all targets", "unknown"),
        VerdictKind::Free => ("Not on these targets", "free"),
        VerdictKind::Nothing => ("Nothing was checked", "nothing"),
    }
}

/// Returns the numbers of targets by answer. They add up to all targets.
fn answers(report: &Report) -> Vec<Answer> {
    let verdict = &report.verdict;
    let answer = |kind, count, label, note, is_in: fn(Class) -> bool| {
        let classes = Class::ALL.into_iter().filter(|&class| is_in(class));
        let classes = classes.map(|class| (class, report.classes.of(class)));
        let classes: Vec<_> = classes.filter(|(_, count)| *count > 0).collect();
        let with_row: u64 = classes.iter().map(|(_, count)| count).sum();
        let without_row = count - with_row.min(count);
        Answer { kind, count, label, note, classes, without_row }
    };
    vec![
        answer("telnet", verdict.telnet, "telnet", "Servers that sent telnet commands.", |class| {
            class == Class::Telnet
        }),
        answer(
            "undecided",
            verdict.unproven_count(),
            "undecided",
            "Telnet may run there or not: no proof of either.",
            Class::is_undecided,
        ),
        answer(
            "free",
            verdict.proven,
            "no telnet",
            "Refused, or proven to be another service.",
            |class| class != Class::Telnet && !class.is_undecided(),
        ),
    ]
}

fn figures(report: &Report) -> Vec<Figure> {
    let (open, servers) = (report.classes.open(), report.weaknesses.servers);
    let weak = report.weaknesses.weak_servers;
    let pq = report.post_quantum;
    let figure = |value, label, note, class| Figure { value, label, note, class };
    let share = format!("{} of all targets", text::percent(open, report.verdict.targets));
    let mut figures = vec![figure(grouped(open), "open targets", share, "")];
    if servers > 0 {
        let unknown = report.weaknesses.unknown_offers;
        let mut note = format!("{} weak + {} other", grouped(weak), grouped(servers - weak));
        if unknown > 0 {
            note = format!("{note}, {} of them with an unknown offer", grouped(unknown));
        }
        figures.push(figure(grouped(servers), "ssh servers", note, "ssh"));
        let note =
            format!("{} of the ssh servers: the fewer, the better", text::percent(weak, servers));
        figures.push(figure(grouped(weak), "weak ssh servers", note, "weak-ssh"));
    }
    if pq.known > 0 {
        let which = if pq.known < servers { " whose offer is known" } else { "" };
        let known = text::counted(pq.known, "ssh server", "ssh servers");
        let note =
            format!("offered by {} of {known}{which}: the more, the better", grouped(pq.offered));
        let share = text::percent(pq.offered, pq.known);
        figures.push(figure(share, "post-quantum key exchange", note, ""));
    }
    figures
}

/// Returns when the run began and how long it took, as far as that is known.
fn when(report: &Report) -> String {
    let started = text::moment(&report.run.started);
    let elapsed = report.run.account.as_ref().map(|account| duration(account.elapsed_ms));
    match (started.is_empty(), elapsed) {
        (true, None) => String::new(),
        (true, Some(elapsed)) => format!("took {elapsed}"),
        (false, None) => started,
        (false, Some(elapsed)) => format!("{started}, took {elapsed}"),
    }
}

/// Returns a kind of change in words.
fn change(kind: &str) -> &str {
    change_words(kind)
}

/// Draws the bar of a line of a table.
fn line_bar(counts: &ClassCounts) -> String {
    bars::stack(counts, &Class::ALL)
}

/// Returns whether all bars of a table are as wide as their numbers.
fn are_to_scale(lines: &[TallyLine]) -> bool {
    lines.iter().all(|line| bars::is_to_scale(&line.classes))
}

/// Returns whether a table says more than the list of its targets.
fn is_summary(lines: &[TallyLine]) -> bool {
    const FEW: usize = 8;
    let targets: u64 = lines.iter().map(|line| line.classes.all()).sum();
    !lines.is_empty() && (lines.len() <= FEW || targets > lines.len() as u64)
}

/// Formats a number of a template, whose fields come as references.
fn number(number: impl Borrow<u64>) -> String {
    grouped(*number.borrow())
}

/// Formats a number of a template with its noun.
fn counted(number: impl Borrow<u64>, one: &str, many: &str) -> String {
    text::counted(*number.borrow(), one, many)
}

/// Draws the share of a software among the open targets, its weak servers first.
fn software_bar(line: &SoftwareLine, open: impl Borrow<u64>) -> String {
    let parts =
        [(line.weak, Class::WeakSsh.name()), (line.count - line.weak, class_of(&line.service))];
    bars::shares(&parts, *open.borrow())
}

/// Draws one share of a template.
fn share_bar(part: impl Borrow<u64>, whole: impl Borrow<u64>) -> String {
    bars::shares(&[(*part.borrow(), "plain")], *whole.borrow())
}

/// Formats a share of a template.
fn percent(part: impl Borrow<u64>, whole: impl Borrow<u64>) -> String {
    text::percent(*part.borrow(), *whole.borrow())
}

/// Returns the shade of a cell of a matrix: 0 for nothing, then 1 to 5 by the share of the most.
fn shade(count: u64, most: u64) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 0 to 5")]
    let shade = (ratio(count, most) * 5.0).ceil() as u8;
    shade.min(5)
}

/// Returns the name of the class whose colour a service has.
fn class_of(service: &str) -> &'static str {
    match service {
        "telnet" => Class::Telnet.name(),
        "telnet-likely" => Class::Likely.name(),
        "ssh" | "ssh-throttled" => Class::Ssh.name(),
        "other" => Class::Other.name(),
        _ => Class::Unproven.name(),
    }
}

/// Formats a time of a run.
fn moment(time: &str) -> String {
    text::moment(time)
}

/// Formats a time of a histogram; a dash if there is none.
fn time_or_dash(time: Option<f64>) -> String {
    time.map_or_else(|| "–".to_owned(), milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Collector, Facts};

    fn page(rows: &[&str]) -> String {
        let mut collector = Collector::default();
        for row in rows {
            let line = format!(r#"{{"schema":1,"reason":"accepted",{row}}}"#);
            collector.add_line(line.as_bytes()).expect("it is a row");
        }
        Report::new(collector, Facts::default()).to_html()
    }

    #[test]
    fn policy_names_the_hashes_of_the_style_and_the_script_of_the_page() {
        let page = page(&[]);
        let between = |start: &str, end: &str| {
            let (_, rest) = page.split_once(start).expect("the page has the start");
            rest.split_once(end).expect("the page has the end").0.to_owned()
        };
        let (_, after_head) = page.split_once("</head>").expect("the page has a head");
        let (_, script) = after_head.rsplit_once("<script>").expect("the page has a script");
        let script = script.split("</script>").next().unwrap_or_default().to_owned();
        for text in [between("<style>", "</style>"), between("<script>", "</script>"), script] {
            let hash = STANDARD.encode(Sha256::digest(&text));
            assert!(page.contains(&format!("sha256-{hash}")));
        }
    }

    #[test]
    fn markup_of_strangers_is_escaped() {
        let hostile = r"</script><img src=x onerror=alert(1)>\u0000\u202e";
        let row = format!(
            r#""host":"{hostile}","port":22,"state":"open","service":"ssh","banner":"{hostile}","ssh_software":"{hostile}","vendor":"{hostile}","product":"{hostile}","device":"{hostile}","fingerprint":"{hostile}","label":"{hostile}","findings":["{hostile}"],"protocol":"{hostile}""#
        );
        let page = page(&[&row]);
        assert!(!page.contains("<img") && !page.contains('\0') && !page.contains('\u{202e}'));
        assert_eq!(page.matches("</script>").count(), 5, "two scripts, and three blocks of data");
        assert!(page.contains("&#60;img src=x onerror=alert(1)&#62;"));
    }

    #[test]
    fn shade_of_nothing_is_zero_and_of_the_most_five() {
        assert_eq!([0, 1, 50, 100].map(|count| shade(count, 100)), [0, 1, 3, 5]);
        assert_eq!(shade(0, 0), 0);
    }

    #[test]
    fn answers_add_up_to_all_targets() {
        let mut collector = Collector::default();
        for row in [
            r#""host":"a","port":22,"state":"open","service":"ssh","findings":["cbc"]"#,
            r#""host":"a","port":23,"state":"open","service":"telnet""#,
            r#""host":"a","port":24,"state":"filtered""#,
            r#""host":"a","port":25,"state":"closed""#,
        ] {
            let line = format!(r#"{{"schema":1,"reason":"refused",{row}}}"#);
            collector.add_line(line.as_bytes()).expect("it is a row");
        }
        let summary =
            br#"{"schema":1,"type":"summary","account":{"targets":9,"excluded":2,"left":1}}"#;
        collector.add_line(summary).expect("it is a summary");
        let report = Report::new(collector, Facts::default());
        let answers = answers(&report);
        let numbers: Vec<_> =
            answers.iter().map(|it| (it.kind, it.count, it.without_row)).collect();
        assert_eq!(numbers, [("telnet", 1, 0), ("undecided", 6, 5), ("free", 2, 0)]);
        assert_eq!(report.verdict.targets, 9);
    }

    #[test]
    fn table_with_a_line_for_each_of_many_targets_is_no_summary() {
        let line = |targets: u64| {
            let mut classes = ClassCounts::default();
            (0..targets).for_each(|_| classes.add(Class::Ssh));
            TallyLine { name: "a".to_owned(), classes }
        };
        let lines = |count, targets| (0..count).map(|_| line(targets)).collect::<Vec<_>>();
        assert!(!is_summary(&lines(9, 1)) && !is_summary(&[]));
        assert!(is_summary(&lines(8, 1)) && is_summary(&lines(9, 2)));
    }

    #[test]
    fn page_of_a_small_run_is_small() {
        let size = page(&[r#""host":"10.0.0.1","port":22,"state":"closed""#]).len();
        assert!(size < 120_000, "{size}");
    }
}
