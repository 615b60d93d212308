//! Compares the results of runs.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::Context;
use portmuster::sink::escape_line;
use serde::Deserialize;

/// Maximum number of differing targets that are listed.
const LISTED_MAX: usize = 10;

/// The state of each target in the first run, which the other runs must reproduce.
#[derive(Debug, Default)]
pub(super) struct Answers(Option<HashMap<String, String>>);

/// The fields of a row that are compared.
#[derive(Debug, Deserialize)]
struct Answer {
    host: String,
    port: u16,
    state: String,
}

/// The targets whose state differs between two runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Differing {
    pub(super) count: u64,
    /// The first of them, each with its state in the first run.
    pub(super) first: Vec<String>,
}

impl Differing {
    fn add(&mut self, target: &str, state: &str) {
        self.count += 1;
        if self.first.len() < LISTED_MAX {
            self.first.push(format!("{} is {state}", escape_line(target.as_bytes())));
        }
    }
}

impl Answers {
    /// Compares the rows of a run with those of the first run, which this call stores.
    ///
    /// # Errors
    /// The file can't be read or contains other lines than rows.
    pub(super) fn compare(&mut self, file: &Path) -> anyhow::Result<Differing> {
        let mut found = read(file)?;
        let mut differing = Differing::default();
        let Some(expected) = &self.0 else {
            self.0 = Some(found);
            return Ok(differing);
        };
        for (target, state) in expected {
            if found.remove(target).as_ref() != Some(state) {
                differing.add(target, state);
            }
        }
        for target in found.keys() {
            differing.add(target, "missing");
        }
        Ok(differing)
    }
}

fn read(file: &Path) -> anyhow::Result<HashMap<String, String>> {
    let context = "reading the rows of a run";
    let mut answers = HashMap::new();
    for line in BufReader::new(File::open(file).context(context)?).lines() {
        let answer: Answer = serde_json::from_str(&line.context(context)?).context(context)?;
        answers.insert(format!("{}:{}", answer.host, answer.port), answer.state);
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn compared(answers: &mut Answers, rows: &[(&str, &str)]) -> Differing {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        for (host, state) in rows {
            writeln!(file, r#"{{"host":"{host}","port":22,"state":"{state}","more":1}}"#)
                .expect("the file is written");
        }
        answers.compare(file.path()).expect("the lines are rows")
    }

    #[test]
    fn differing_missing_and_additional_targets_are_found() {
        let mut answers = Answers::default();
        let first = [("a", "open"), ("b", "closed")];
        assert_eq!(compared(&mut answers, &first), Differing::default());
        assert_eq!(compared(&mut answers, &[first[1], first[0]]), Differing::default());
        let other = compared(&mut answers, &[("a", "open"), ("b", "filtered")]);
        assert_eq!(other.first, ["b:22 is closed"]);
        let fewer = compared(&mut answers, &[("b", "closed")]);
        assert_eq!(fewer.first, ["a:22 is open"]);
        let more = compared(&mut answers, &[first[0], first[1], ("c", "open")]);
        assert_eq!((more.count, more.first), (1, vec!["c:22 is missing".to_owned()]));
    }
}
