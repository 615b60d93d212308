//! The file of `--gates-junit`: the gates as tests in XML, for CI systems.
//!
//! The format has no standard; these are the elements and attributes that all readers have in common.
//!
//! Invariant: a test fails if, and only if, the run violates its gates, and there is an error if the run
//! did not examine every target.

use std::io::{self, Cursor};

use jiff::Timestamp;
use portmuster::{
    PortState,
    gates::{Forbidden, GateReport, Inconclusive, ItemReport, MissingVerdicts, RunTotals},
};
use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use super::run_end::{RunEnd, left};

/// One test: an item that is forbidden, or a kind of targets that must not lack a verdict.
struct Test {
    class: &'static str,
    name: &'static str,
    result: TestResult,
    /// What else is known.
    note: Option<String>,
}

enum TestResult {
    Passed,
    /// The gate is violated: what was found, in one line and in detail.
    Failed(String, String),
    /// The run could not examine every target.
    Error(String),
}

/// Describes the gates of a run.
///
/// # Errors
/// None in practice: the document is written to memory.
pub(super) fn describe(
    totals: &RunTotals,
    report: &GateReport,
    end: RunEnd,
) -> io::Result<Vec<u8>> {
    let tests = tests(totals, report, end);
    let count = |is: fn(&TestResult) -> bool| tests.iter().filter(|it| is(&it.result)).count();
    let failures = count(|result| matches!(result, TestResult::Failed(..))).to_string();
    let errors = count(|result| matches!(result, TestResult::Error(_))).to_string();
    let (all, time) = (tests.len().to_string(), totals.account.elapsed.as_secs_f64().to_string());
    let timestamp = Timestamp::try_from(end.time).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S");
    let timestamp = timestamp.to_string();
    let counts = [
        ("name", "portmuster"),
        ("tests", &all),
        ("failures", &failures),
        ("errors", &errors),
        ("time", &time),
    ];
    let mut xml = Writer::new_with_indent(Cursor::new(Vec::new()), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("testsuites").with_attributes(counts).write_inner_content(|xml| {
        let suite = xml.create_element("testsuite").with_attributes(counts);
        let suite = suite.with_attributes([("skipped", "0"), ("timestamp", &timestamp)]);
        suite.write_inner_content(|xml| tests.iter().try_for_each(|test| test.write(xml)))?;
        Ok(())
    })?;
    let mut document = xml.into_inner().into_inner();
    document.push(b'\n');
    Ok(document)
}

fn tests(totals: &RunTotals, report: &GateReport, end: RunEnd) -> Vec<Test> {
    let forbidden = report.items.iter().map(|item| forbidden(item, report.uncompared));
    let unproven = report.unproven.as_ref();
    let kinds = unproven.into_iter().flat_map(|found| {
        Inconclusive::ALL
            .into_iter()
            .map(|kind| verdict(kind, found.iter().find(|it| it.kind == kind)))
    });
    let others = unproven.is_some().then(|| others(report)).into_iter().flatten();
    let run = [answers(report), complete(totals, end)];
    forbidden.chain(kinds).chain(others).chain(run).collect()
}

/// Returns the test that a forbidden item was not found. `uncompared` is the number of servers whose host
/// keys were not compared.
fn forbidden(item: &ItemReport, uncompared: u64) -> Test {
    let TargetCount { count, text } =
        TargetCount::of(u128::from(item.found.count), &item.found.first);
    let result = match count {
        0 if uncompared > 0 && item.item == Forbidden::SharedHostKey => {
            let servers = targets(uncompared.into());
            TestResult::Failed(format!("the host keys of {servers} were not compared"), text)
        }
        0 => TestResult::Passed,
        _ => TestResult::Failed(format!("{} was found on {}", item.item, targets(count)), text),
    };
    let kinds = item.inconclusive.iter().map(|(kind, count)| format!("{count} {kind}"));
    let kinds: Vec<_> = kinds.collect();
    let absent = format!("proven absent on {}", targets(item.absent.into()));
    let note = if kinds.is_empty() { absent } else { format!("{absent}; {}", kinds.join(", ")) };
    Test { class: "portmuster.forbid", name: item.item.name(), result, note: Some(note) }
}

/// Returns the test that no target of this kind lacks a verdict.
fn verdict(kind: Inconclusive, found: Option<&MissingVerdicts>) -> Test {
    let class = "portmuster.require-verdict";
    let (result, note) = match found {
        None => (TestResult::Passed, None),
        Some(found) if found.is_allowed => {
            (TestResult::Passed, Some(format!("allowed: {} {kind}", targets(found.count))))
        }
        Some(found) => {
            let message = format!("no verdict on {}: {kind}", targets(found.count));
            (TestResult::Failed(message, TargetCount::of(found.count, &found.first).text), None)
        }
    };
    Test { class, name: kind.name(), result, note }
}

/// Returns the tests of verdicts that do not concern a kind of outcomes.
fn others(report: &GateReport) -> [Test; 3] {
    let test = |name, failure: Option<String>| {
        let result = failure.map_or(TestResult::Passed, |it| TestResult::Failed(it, String::new()));
        Test { class: "portmuster.require-verdict", name, result, note: None }
    };
    let left = (report.left > 0).then(|| format!("{} not examined", targets(report.left)));
    let cut_short = "an input list was not read to its end: its remaining targets are unknown";
    let missed = report.exceeded_max_missed.map(|max_missed| {
        format!("it is not proven that at most {max_missed} of the silent targets were missed")
    });
    [
        test("left", left),
        test("input", report.is_cut_short.then(|| cut_short.to_owned())),
        test("max-missed", missed),
    ]
}

/// Returns the test that the run has reached anything.
fn answers(report: &GateReport) -> Test {
    let message = "no connection was accepted or refused, so the run proves nothing";
    let failed = || TestResult::Failed(message.to_owned(), String::new());
    let result = if report.has_answers { TestResult::Passed } else { failed() };
    Test { class: "portmuster.run", name: "answers", result, note: None }
}

/// Returns the test that the run examined every target.
fn complete(totals: &RunTotals, end: RunEnd) -> Test {
    let (left, unchecked) = (left(totals), totals.account.state(PortState::Unchecked));
    let message = format!(
        "the run did not examine every target: exit status {}, {} left, {unchecked} unchecked",
        end.status.code(),
        targets(left)
    );
    let is_complete = end.is_complete(totals);
    let result = if is_complete { TestResult::Passed } else { TestResult::Error(message) };
    Test { class: "portmuster.run", name: "complete", result, note: None }
}

/// A number of targets, and the first of them.
struct TargetCount {
    count: u128,
    /// The first targets, one per line, and how many more there are.
    text: String,
}

impl TargetCount {
    fn of(count: u128, first: &[String]) -> Self {
        let more = match count.saturating_sub(first.len() as u128) {
            0 => None,
            more if first.is_empty() => Some(targets(more)),
            more => Some(format!("and {more} more")),
        };
        let lines: Vec<_> = first.iter().cloned().chain(more).collect();
        Self { count, text: lines.join("\n") }
    }
}

fn targets(count: u128) -> String {
    if count == 1 { "1 target".to_owned() } else { format!("{count} targets") }
}

impl Test {
    fn write(&self, xml: &mut Writer<Cursor<Vec<u8>>>) -> io::Result<()> {
        let attributes = [("classname", self.class), ("name", self.name), ("time", "0")];
        let element = xml.create_element("testcase").with_attributes(attributes);
        element.write_inner_content(|xml| {
            match &self.result {
                TestResult::Passed => {}
                TestResult::Failed(message, text) => write_result(xml, "failure", message, text)?,
                TestResult::Error(message) => write_result(xml, "error", message, "")?,
            }
            if let Some(note) = &self.note {
                xml.create_element("system-out").write_text_content(BytesText::new(note))?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

fn write_result(
    xml: &mut Writer<Cursor<Vec<u8>>>,
    element: &str,
    message: &str,
    text: &str,
) -> io::Result<()> {
    let attributes = [("message", message), ("type", "gate")];
    let element = xml.create_element(element).with_attributes(attributes);
    element.write_text_content(BytesText::new(text))?;
    Ok(())
}
