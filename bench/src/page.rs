//! All questions, one after the other, and their answers as a page with a picture.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{program, section::Section};

mod machine;
mod markdown;
mod picture;

/// The page, and its picture.
const PAGE: &str = "RESULTS.md";
const PICTURE: &str = "results.svg";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Few targets and one round: to see that all of it runs
    #[arg(long)]
    quick: bool,
    /// Only these questions; repeatable
    #[arg(long = "only", value_name = "QUESTION")]
    only: Vec<String>,
    /// Where the page and its picture go [default: beside the sources of this program]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// The portmuster that is measured [default: built from this source]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// A question.
struct Question {
    /// Its subcommand.
    name: &'static str,
    /// What it asks.
    title: &'static str,
    /// Its arguments when there is time.
    whole: &'static [&'static str],
    /// Its arguments when there is not.
    quick: &'static [&'static str],
}

const QUESTIONS: [Question; 6] = [
    Question {
        name: "limit",
        title: "How near does it come to what the system allows?",
        whole: &["--count-calls"],
        quick: &["--targets=20000", "--greetings=2000", "--rounds=1"],
    },
    Question {
        name: "mixed",
        title: "And when some are silent?",
        whole: &[],
        quick: &["--targets=20000", "--rounds=1"],
    },
    Question {
        name: "million",
        title: "What does a million attempts under way take?",
        whole: &[],
        quick: &["--in-flight=20000", "--timeout-ms=2000", "--descriptors=4000"],
    },
    Question {
        name: "found",
        title: "How many of the open targets are found when packets get lost?",
        whole: &[],
        quick: &["--targets=500", "--loss=2"],
    },
    Question {
        name: "peers",
        title: "How fast are others?",
        whole: &[],
        quick: &["--targets=20000", "--open=1000", "--rounds=1"],
    },
    Question {
        name: "queue",
        title: "What does it cost to have work done in other processes?",
        whole: &[],
        quick: &["--rounds=1", "--pieces=20000", "--python-pieces=2000", "--targets=5000"],
    },
];

/// What a question came to.
struct Answer {
    title: &'static str,
    /// What a person types to ask it alone.
    command: String,
    /// Or why there is none.
    sections: Result<Vec<Section>>,
}

/// Asks all questions, and writes the page.
///
/// # Errors
/// One could not be answered: the page, which is written all the same, says which, and why.
pub(crate) fn run(options: &Options) -> Result<()> {
    let program = if let Some(program) = &options.program {
        program.clone()
    } else {
        program::build_plain_tokio()?;
        program::build()?
    };
    // As it was before this program made it busy.
    let machine = machine::facts(&program);
    let folder = tempfile::tempdir().context("making a folder for reports")?;
    let mut answers = Vec::new();
    for question in &QUESTIONS {
        if options.only.is_empty() || options.only.iter().any(|name| name == question.name) {
            answers.push(question.ask(options, &program, folder.path())?);
        }
    }
    ensure!(!answers.is_empty(), "there is no such question; --help names them");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = options.folder.as_deref().unwrap_or(sources);
    for (name, text) in
        [(PICTURE, picture::draw(&answers)), (PAGE, markdown::page(&machine, &answers, PICTURE))]
    {
        let path = place.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        writeln!(anstream::stdout(), "{}", path.display())?;
    }
    for answer in answers {
        answer.sections.with_context(|| format!("{} was not answered", answer.command))?;
    }
    Ok(())
}

impl Question {
    /// Asks it in a process of its own: what one leaves behind is not the next one's.
    fn ask(&self, options: &Options, program: &Path, folder: &Path) -> Result<Answer> {
        let arguments = if options.quick { self.quick } else { self.whole };
        let report = folder.join(self.name);
        let this = env::current_exe().context("asking where this program is")?;
        let mut command = Command::new(this);
        command.arg(self.name).args(arguments).arg("--program").arg(program);
        command.arg("--report").arg(&report).stdin(Stdio::null());
        writeln!(anstream::stdout(), "\n== {} {}", self.name, arguments.join(" "))?;
        let shown = format!("portmuster-bench {} {}", self.name, arguments.join(" "));
        Ok(Answer {
            title: self.title,
            command: shown.trim_end().to_owned(),
            sections: answered(&mut command, &report),
        })
    }
}

fn answered(command: &mut Command, report: &Path) -> Result<Vec<Section>> {
    let output = command.stderr(Stdio::piped()).spawn().context("starting it")?;
    let output = output.wait_with_output().context("waiting for it")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    anstream::stderr().write_all(&output.stderr)?;
    ensure!(output.status.success(), "{}", complaint.trim());
    let text = fs::read_to_string(report).context("reading its report")?;
    serde_json::from_str(&text).context("reading its report")
}
