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
    report::{Report, VerdictKind},
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

/// The template of the page.
#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    report: &'a Report,
    policy: String,
    style: &'static str,
    script: &'static str,
    badge: &'static str,
    /// The kind of the verdict, by which the style chooses a colour.
    kind: &'static str,
    /// The classes that occur.
    classes: Vec<Class>,
    figures: Vec<Figure>,
    /// The number of targets of the most frequent software.
    most_software: u64,
    patterns: String,
    shares: String,
    map: String,
    connect: String,
    first_byte: String,
    first_rows: Vec<FirstRow<'a>>,
    /// Compressed data of the script, in base64.
    table: String,
    details: Vec<String>,
    map_data: String,
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
            script: SCRIPT,
            badge,
            kind,
            classes,
            figures: figures(self),
            most_software: self.software.iter().map(|line| line.count).max().unwrap_or_default(),
            patterns: svg::patterns(),
            shares: bars::stack(&self.classes),
            map: drawing::draw(&self.map),
            connect: bars::histogram(&self.latency.connect),
            first_byte: bars::histogram(&self.latency.first_byte),
            first_rows: first_rows::list(&self.rows),
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

/// Returns the content security policy: this style, this script, and nothing else.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; \
         form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

/// Returns the verdict in two words, and its kind.
fn badge(kind: VerdictKind) -> (&'static str, &'static str) {
    match kind {
        VerdictKind::Found => ("Telnet found", "found"),
        VerdictKind::Likely => ("Telnet likely", "likely"),
        VerdictKind::Unknown => ("Not proven", "unknown"),
        VerdictKind::Free => ("Free of telnet", "free"),
        VerdictKind::Nothing => ("Nothing checked", "nothing"),
    }
}

fn figures(report: &Report) -> Vec<Figure> {
    let (classes, verdict) = (&report.classes, &report.verdict);
    let of = |class| grouped(classes.of(class));
    let figure = |value, label, note, class| Figure { value, label, note, class };
    let share = |part| format!("{} of targets", text::percent(part, verdict.targets));
    let weak = report.weaknesses.weak_servers;
    let pq = report.post_quantum;
    let mut figures = vec![
        figure(grouped(verdict.targets), "targets", elapsed(report), ""),
        figure(grouped(classes.open()), "open", share(classes.open()), ""),
        figure(of(Class::Telnet), "telnet", share(verdict.telnet), "telnet"),
        figure(of(Class::Likely), "may be telnet", share(classes.of(Class::Likely)), "likely"),
        figure(
            grouped(verdict.unproven_count()),
            "without proof",
            share(verdict.unproven_count()),
            "unproven",
        ),
        figure(grouped(report.weaknesses.servers), "ssh", share(report.weaknesses.servers), "ssh"),
    ];
    if report.weaknesses.servers > 0 {
        let note = format!("{} of ssh", text::percent(weak, report.weaknesses.servers));
        figures.push(figure(grouped(weak), "weak ssh", note, "weak-ssh"));
    }
    if pq.known > 0 {
        let note =
            format!("{} of {}", grouped(pq.offered), text::counted(pq.known, "offer", "offers"));
        figures.push(figure(text::percent(pq.offered, pq.known), "post-quantum", note, ""));
    }
    figures
}

fn elapsed(report: &Report) -> String {
    let account = report.run.account.as_ref();
    account.map(|account| format!("in {}", duration(account.elapsed_ms))).unwrap_or_default()
}

/// Formats a number of a template, whose fields come as references.
fn number(number: impl Borrow<u64>) -> String {
    grouped(*number.borrow())
}

/// Formats a number of a template with its noun.
fn counted(number: impl Borrow<u64>, one: &str, many: &str) -> String {
    text::counted(*number.borrow(), one, many)
}

/// Draws a share of a template.
fn share_bar(part: impl Borrow<u64>, whole: impl Borrow<u64>, class: &str) -> String {
    bars::share(*part.borrow(), *whole.borrow(), class)
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
        for text in [between("<style>", "</style>"), between("<script>", "</script>")] {
            let hash = STANDARD.encode(Sha256::digest(&text));
            assert!(page.contains(&format!("sha256-{hash}")));
        }
    }

    #[test]
    fn markup_of_strangers_is_escaped() {
        let hostile = r"</script><img src=x onerror=alert(1)>\u0000\u202e";
        let row = format!(
            r#""host":"{hostile}","port":22,"state":"open","service":"ssh","banner":"{hostile}","ssh_software":"{hostile}","label":"{hostile}","findings":["{hostile}"],"protocol":"{hostile}""#
        );
        let page = page(&[&row]);
        assert!(!page.contains("<img") && !page.contains('\0') && !page.contains('\u{202e}'));
        assert_eq!(page.matches("</script>").count(), 4, "the script, and three blocks of data");
        assert!(page.contains("&#60;img src=x onerror=alert(1)&#62;"));
    }

    #[test]
    fn shade_of_nothing_is_zero_and_of_the_most_five() {
        assert_eq!([0, 1, 50, 100].map(|count| shade(count, 100)), [0, 1, 3, 5]);
        assert_eq!(shade(0, 0), 0);
    }

    #[test]
    fn page_of_a_small_run_is_small() {
        let size = page(&[r#""host":"10.0.0.1","port":22,"state":"closed""#]).len();
        assert!(size < 120_000, "{size}");
    }
}
