//! Asks all questions, and writes the answers as a page with a picture.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::{
    harness::Harness,
    program,
    section::{Section, table},
};

mod earlier;
mod machine;
mod picture;
mod times;

/// File names of the page and its picture.
const PAGE: &str = "RESULTS.md";
const PICTURE: &str = "results.svg";

/// Options of the subcommand `page`.
#[derive(Debug, Args)]
pub(crate) struct PageOptions {
    /// Few targets and one round, to see that everything runs
    #[arg(long)]
    quick: bool,
    /// Ask only this question; repeatable
    #[arg(long = "only", value_name = "QUESTION")]
    only: Vec<String>,
    /// Take the answer to this question from a report (--report) instead of asking it; repeatable
    #[arg(long = "from", value_name = "QUESTION=FILE", value_parser = report)]
    from: Vec<(String, PathBuf)>,
    /// Keep the answers of the existing page to all other questions
    #[arg(long)]
    update: bool,
    /// The folder of the page and its picture [default: beside the source of this program]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// A question: its subcommand, its heading, its arguments, and those for `--quick`.
type Question = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

const QUESTIONS: &[Question] = &[
    (
        "limit",
        "How near does it come to what the system allows?",
        &["--count-calls"],
        &["--targets=20000", "--greetings=2000", "--rounds=1"],
    ),
    ("mixed", "And when some targets are silent?", &[], &["--targets=20000", "--rounds=1"]),
    (
        "million",
        "What do a million attempts at the same time cost?",
        &[],
        &["--in-flight=20000", "--timeout-ms=2000", "--descriptors=4000"],
    ),
    ("growth", "What do silent networks of all sizes cost?", &[], &["--largest=100000"]),
    (
        "silent",
        "How long does a network take of which most is silent?",
        &[],
        &["--prefix=24", "--loss=2", "--growth=24", "--rounds=1"],
    ),
    (
        "found",
        "How many open targets are found when packets get lost?",
        &[],
        &["--targets=500", "--loss=2"],
    ),
    ("software", "What does naming the software of a server cost?", &[], &["--banners=2000"]),
    (
        "host-keys",
        "What does the host key of a server cost?",
        &[],
        &["--servers=200", "--rounds=1"],
    ),
    ("reading", "What does a list of targets cost?", &[], &["--lines=20000", "--rounds=1"]),
    ("peers", "How fast are others?", &[], &["--targets=20000", "--open=1000", "--rounds=1"]),
    (
        "python",
        "How fast is it from Python?",
        &[],
        &["--targets=5000", "--open=1000", "--silent=64", "--rounds=1"],
    ),
    (
        "queue",
        "What does it cost to have work done in other processes?",
        &[],
        &["--rounds=1", "--pieces=20000", "--python-pieces=2000", "--targets=5000"],
    ),
];

/// The answer to a question.
struct Answer {
    /// The name and the heading of the question.
    name: &'static str,
    title: &'static str,
    /// The command line that asks it alone.
    command: String,
    sections: Result<Vec<Section>>,
    /// When it was answered, and with which portmuster, where that is not what the page begins with.
    measured: Option<String>,
}

/// Asks all questions, and writes the page.
///
/// # Errors
/// A question could not be answered. The page, which is written all the same, says why.
pub(crate) fn run(options: &PageOptions, harness: &Harness) -> Result<()> {
    if harness.program.is_none() {
        program::build_plain_tokio()?;
    }
    let program = harness.portmuster()?;
    // Before this program makes the machine busy.
    let machine = machine::facts(&program);
    let mut answers = options.answers(&program)?;
    let folder = options.folder.as_deref().unwrap_or(Path::new(env!("CARGO_MANIFEST_DIR")));
    let mut files = Vec::new();
    for answer in &answers {
        files.extend(times::draw(answer.sections()).map(|picture| (answer.picture(), picture)));
    }
    let sections: Vec<_> = answers.iter().flat_map(Answer::sections).collect();
    let is_picture_old = options.update && sections.iter().any(|section| picture::shows(section));
    if options.update {
        let page = folder.join(PAGE);
        let old = fs::read_to_string(&page);
        let old = old.with_context(|| format!("reading {}", page.display()))?;
        let measured = machine::measured(&machine);
        for answer in &mut answers {
            answer.measured = Some(measured.clone());
        }
        let titles: Vec<_> = QUESTIONS.iter().map(|(_, title, ..)| *title).collect();
        let answers = answers.iter().map(|answer| (answer.title, answer.markdown()));
        files.push((PAGE.into(), earlier::update(&old, answers.collect(), &titles)));
    } else {
        files.push((PICTURE.into(), picture::draw(&sections)));
        files.push((PAGE.into(), markdown(&machine, &answers)));
    }
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        writeln!(anstream::stdout(), "{}", path.display())?;
    }
    for answer in answers {
        answer.sections.with_context(|| format!("{} was not answered", answer.command))?;
    }
    if is_picture_old {
        bail!("{PICTURE} still has earlier figures; without --update, it is drawn again");
    }
    Ok(())
}

/// Parses a question and the file of its report.
fn report(text: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("it must be QUESTION=FILE")?;
    Ok((name.to_owned(), file.into()))
}

impl PageOptions {
    /// Asks the chosen questions, or reads their reports.
    fn answers(&self, program: &Path) -> Result<Vec<Answer>> {
        let chosen = self.only.iter().chain(self.from.iter().map(|(name, _)| name));
        let chosen: Vec<_> = chosen.collect();
        for name in &chosen {
            let is_known = QUESTIONS.iter().any(|(known, ..)| known == name);
            ensure!(is_known, "there is no question {name}; --help lists them");
        }
        let is_chosen = |name| chosen.is_empty() || chosen.iter().any(|chosen| *chosen == name);
        let questions = QUESTIONS.iter().filter(|(name, ..)| is_chosen(name));
        let answer =
            |question: &Question| match self.from.iter().find(|(name, _)| name == question.0) {
                Some((_, report)) => Ok(Answer::new(question, self.quick, read_report(report))),
                None => ask(question, self.quick, program),
            };
        questions.map(answer).collect()
    }
}

/// Asks a question in a process of its own, which leaves nothing behind for the next.
fn ask(question: &Question, is_quick: bool, program: &Path) -> Result<Answer> {
    let &(name, _, full, quick) = question;
    let arguments = if is_quick { quick } else { full };
    let report = tempfile::NamedTempFile::new().context("making a file for a report")?;
    let mut command = Command::new(env::current_exe().context("finding this program")?);
    command.arg(name).args(arguments).arg("--program").arg(program);
    command.arg("--report").arg(report.path()).stdin(Stdio::null());
    writeln!(anstream::stdout(), "\n== {}", shown(question, is_quick))?;
    Ok(Answer::new(question, is_quick, sections(&mut command, report.path())))
}

/// The command line that asks a question alone.
fn shown(&(name, _, full, quick): &Question, is_quick: bool) -> String {
    let arguments = if is_quick { quick } else { full };
    format!("portmuster-bench {name} {}", arguments.join(" ")).trim_end().to_owned()
}

fn sections(command: &mut Command, report: &Path) -> Result<Vec<Section>> {
    let output = command.stderr(Stdio::piped()).spawn().context("starting it")?;
    let output = output.wait_with_output().context("waiting for it")?;
    anstream::stderr().write_all(&output.stderr)?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", error.trim());
    read_report(report)
}

fn read_report(path: &Path) -> Result<Vec<Section>> {
    let what = || format!("reading the report {}", path.display());
    serde_json::from_str(&fs::read_to_string(path).with_context(what)?).with_context(what)
}

impl Answer {
    fn new(question: &Question, is_quick: bool, sections: Result<Vec<Section>>) -> Self {
        let &(name, title, ..) = question;
        Self { name, title, command: shown(question, is_quick), sections, measured: None }
    }

    /// The file name of its picture of times.
    fn picture(&self) -> String {
        format!("{}.svg", self.name)
    }

    fn sections(&self) -> &[Section] {
        self.sections.as_deref().unwrap_or_default()
    }

    fn markdown(&self) -> String {
        let text = match &self.sections {
            Ok(sections) => sections.iter().map(Section::to_string).collect(),
            Err(error) => format!("\nNot answered: {error:#}\n"),
        };
        let mut head = format!("\n## {}\n\n`{}`\n", self.title, self.command);
        if let Some(measured) = &self.measured {
            let _ = write!(head, "\n{measured}\n");
        }
        if self.sections().iter().any(|section| section.times.is_some()) {
            let _ = write!(head, "\n![{}]({})\n", times::TITLE, self.picture());
        }
        head + &text
    }
}

fn markdown(machine: &[(&str, String)], answers: &[Answer]) -> String {
    let goals = || answers.iter().flat_map(Answer::sections).flat_map(|section| &section.goals);
    let reached = goals().filter(|goal| goal.is_reached()).count();
    let facts = machine.iter().map(|(name, fact)| vec![(*name).to_owned(), fact.clone()]);
    format!(
        "# Results

Written by `cargo xtask bench`. [README.md](README.md) says what is asked, and how it is measured.
Figures are medians, with the lowest and the highest in brackets.

{reached} of {} goals are reached.

![The pace of portmuster, as a multiple of that of others]({PICTURE})

{}{}",
        goals().count(),
        table(&["", ""], facts),
        answers.iter().map(Answer::markdown).collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_shows_answers_and_failures() {
        let goal = crate::section::Goal::number("early", 1.0, crate::section::Wanted::AtMost, 0.0);
        let section = Section { title: "Targets".into(), goals: vec![goal], ..Section::default() };
        let question: Question = ("limit", "How near?", &[], &[]);
        let answer = |sections| Answer::new(&question, false, sections);
        let answers = [answer(Ok(vec![section])), answer(Err(anyhow::anyhow!("no namespaces")))];
        let page = markdown(&[("memory", "1 MiB".into())], &answers);
        for line in [
            "0 of 1 goals are reached.",
            "| memory | 1 MiB |",
            "## How near?",
            "### Targets",
            "Not answered: no namespaces",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
    }
}
