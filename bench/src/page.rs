//! Asks all questions, and writes the answers as a page with a picture.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{
    harness::Harness,
    program,
    section::{Section, table},
};

mod machine;
mod picture;

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
    /// The folder of the page and its picture [default: beside the source of this program]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// A question: its subcommand, its heading, its arguments, and those for `--quick`.
type Question = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

const QUESTIONS: [Question; 8] = [
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
        "found",
        "How many open targets are found when packets get lost?",
        &[],
        &["--targets=500", "--loss=2"],
    ),
    ("reading", "What does a list of targets cost?", &[], &["--lines=20000", "--rounds=1"]),
    ("peers", "How fast are others?", &[], &["--targets=20000", "--open=1000", "--rounds=1"]),
    (
        "queue",
        "What does it cost to have work done in other processes?",
        &[],
        &["--rounds=1", "--pieces=20000", "--python-pieces=2000", "--targets=5000"],
    ),
];

/// The answer to a question.
struct Answer {
    title: &'static str,
    /// The command line that asks it alone.
    command: String,
    sections: Result<Vec<Section>>,
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
    let is_chosen = |name| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let mut answers = Vec::new();
    for question in QUESTIONS.iter().filter(|(name, ..)| is_chosen(name)) {
        answers.push(ask(question, options.quick, &program)?);
    }
    ensure!(!answers.is_empty(), "there is no such question; --help lists them");
    let folder = options.folder.as_deref().unwrap_or(Path::new(env!("CARGO_MANIFEST_DIR")));
    let sections: Vec<_> = answers.iter().flat_map(Answer::sections).collect();
    let picture = picture::draw(&sections);
    for (name, text) in [(PICTURE, picture), (PAGE, markdown(&machine, &answers))] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        writeln!(anstream::stdout(), "{}", path.display())?;
    }
    for answer in answers {
        answer.sections.with_context(|| format!("{} was not answered", answer.command))?;
    }
    Ok(())
}

/// Asks a question in a process of its own, which leaves nothing behind for the next.
fn ask(&(name, title, full, quick): &Question, is_quick: bool, program: &Path) -> Result<Answer> {
    let arguments = if is_quick { quick } else { full };
    let report = tempfile::NamedTempFile::new().context("making a file for a report")?;
    let mut command = Command::new(env::current_exe().context("finding this program")?);
    command.arg(name).args(arguments).arg("--program").arg(program);
    command.arg("--report").arg(report.path()).stdin(Stdio::null());
    let shown = format!("portmuster-bench {name} {}", arguments.join(" ")).trim_end().to_owned();
    writeln!(anstream::stdout(), "\n== {shown}")?;
    Ok(Answer { title, command: shown, sections: sections(&mut command, report.path()) })
}

fn sections(command: &mut Command, report: &Path) -> Result<Vec<Section>> {
    let output = command.stderr(Stdio::piped()).spawn().context("starting it")?;
    let output = output.wait_with_output().context("waiting for it")?;
    anstream::stderr().write_all(&output.stderr)?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", error.trim());
    let text = fs::read_to_string(report).context("reading its report")?;
    serde_json::from_str(&text).context("reading its report")
}

impl Answer {
    fn sections(&self) -> &[Section] {
        self.sections.as_deref().unwrap_or_default()
    }

    fn markdown(&self) -> String {
        let text = match &self.sections {
            Ok(sections) => sections.iter().map(Section::to_string).collect(),
            Err(error) => format!("\nNot answered: {error:#}\n"),
        };
        format!("\n## {}\n\n`{}`\n{text}", self.title, self.command)
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
        let answer = |sections| Answer { title: "How near?", command: "limit".into(), sections };
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
