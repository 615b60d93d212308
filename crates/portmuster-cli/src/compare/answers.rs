//! Whether runs gave the same answers.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::Context;
use portmuster::sink::escape_line;
use serde::Deserialize;

/// Differences that are told; the rest is counted.
const TOLD_MAX: usize = 10;

/// The answers of the first run: what the others must give.
#[derive(Debug, Default)]
pub(super) struct Answers(Option<HashMap<String, String>>);

/// What of a row is compared.
#[derive(Debug, Deserialize)]
struct Answer {
    host: String,
    port: u16,
    state: String,
}

/// Targets on which two runs do not agree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Differing {
    pub(super) count: u64,
    /// Some of them, each with what the first run said.
    pub(super) first: Vec<String>,
}

impl Differing {
    fn add(&mut self, target: &str, state: &str) {
        self.count += 1;
        if self.first.len() < TOLD_MAX {
            self.first.push(format!("{} is {state}", escape_line(target.as_bytes())));
        }
    }
}

impl Answers {
    /// Compares a run's answers with those of the first; these are taken as they are.
    ///
    /// # Errors
    /// The file can't be read.
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
    let unread = "the answers of a run can't be read";
    let mut answers = HashMap::new();
    for line in BufReader::new(File::open(file).context(unread)?).lines() {
        let answer: Answer = serde_json::from_str(&line.context(unread)?).context(unread)?;
        answers.insert(format!("{}:{}", answer.host, answer.port), answer.state);
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn compared(answers: &mut Answers, rows: &[(&str, &str)]) -> Differing {
        let mut file = tempfile::NamedTempFile::new().expect("a place for a file");
        for (host, state) in rows {
            writeln!(file, r#"{{"host":"{host}","port":22,"state":"{state}","more":1}}"#)
                .expect("it can be written");
        }
        answers.compare(file.path()).expect("they are rows")
    }

    #[test]
    fn what_differs_is_told() {
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
