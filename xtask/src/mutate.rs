//! Mutations: slips that somebody might make, put into the code one at a time, to see that a test
//! catches each.
//!
//! Invariant: the working tree is never written to. What it holds, committed or not, is copied
//! into the target folder, and the copy is mutated.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::command::{self, root, succeeds};

mod mutation;
mod table;

use mutation::Mutation;
use table::MUTATIONS;

/// The simulator's seeds that a mutation is run over.
const SEEDS: &str = "0..20";

/// Exit statuses of nextest (its crate `nextest-metadata`, `NextestExitCode`).
const NO_TESTS_RUN: i32 = 4;
const TEST_RUN_FAILED: i32 = 100;
const BUILD_FAILED: i32 = 101;

/// What came of a mutation.
#[derive(Debug, PartialEq, Eq)]
enum Status {
    Caught,
    Survived,
}

/// Applies the mutation of that name, or each of them, to a copy of the tree, and undoes it.
///
/// # Errors
/// A mutation survived, or could not be tried: its old text is not there exactly once, it does not
/// compile, or the tests fail without it.
pub(crate) fn run(name: Option<&str>) -> Result<()> {
    ensure!(
        succeeds("cargo nextest --version"),
        "looking for cargo-nextest, which tells a failed test from a failed build: it is missing; \
         type: cargo install --locked cargo-nextest"
    );
    let chosen: Vec<_> =
        MUTATIONS.iter().filter(|mutation| name.is_none_or(|name| name == mutation.name)).collect();
    ensure!(!chosen.is_empty(), "no such mutation: {}; {}", name.unwrap_or_default(), known());
    let tree = Tree::copy()?;
    tree.passes_unmutated(&chosen)?;
    let mut survivors = Vec::new();
    for mutation in chosen {
        let ended =
            tree.try_out(mutation).with_context(|| format!("mutating: {}", mutation.name))?;
        // A reader that has gone away has seen what it wanted; the exit status still tells.
        let _ = writeln!(io::stdout(), "{}", line(mutation, &ended));
        if ended == Status::Survived {
            survivors.push(mutation.name);
        }
    }
    ensure!(survivors.is_empty(), "no test caught: {}", survivors.join(", "));
    Ok(())
}

fn known() -> String {
    let names: Vec<_> = MUTATIONS.iter().map(|mutation| mutation.name).collect();
    format!("there are: {}", names.join(", "))
}

fn line(mutation: &Mutation, ended: &Status) -> String {
    let test = mutation.caught_by.name();
    match ended {
        Status::Caught => format!("{:<26} caught by {test}", mutation.name),
        Status::Survived => format!("{:<26} SURVIVED {test}: {}", mutation.name, mutation.why),
    }
}

/// The file's text with the mutation in it.
fn mutated(mutation: &Mutation, text: &str) -> Result<String> {
    let times = text.matches(mutation.old).count();
    ensure!(times == 1, "looking for its old text in {}: it is there {times} times", mutation.file);
    Ok(text.replace(mutation.old, mutation.new))
}

/// A copy of the working tree, and where it is built.
struct Tree {
    root: PathBuf,
    build: String,
}

impl Tree {
    fn copy() -> Result<Self> {
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        let folder = root().join(target).join("mutate");
        let tree = Self {
            root: folder.join("tree"),
            build: folder.join("build").to_string_lossy().into_owned(),
        };
        if tree.root.exists() {
            fs::remove_dir_all(&tree.root).context("removing the copy of an earlier run")?;
        }
        let files = command::output("git ls-files --cached --others --exclude-standard")
            .context("listing the files of the working tree: git ls-files fails")?;
        for file in files.lines().filter(|file| root().join(file).is_file()) {
            copy(&root().join(file), &tree.root.join(file))
                .with_context(|| format!("copying {file}"))?;
        }
        Ok(tree)
    }

    /// All the tests that are to catch something pass as long as there is nothing to catch.
    fn passes_unmutated(&self, mutations: &[&Mutation]) -> Result<()> {
        let tests: BTreeSet<_> = mutations.iter().map(|mutation| mutation.caught_by).collect();
        let places: BTreeSet<_> = tests.iter().map(|test| test.binary_option()).collect();
        let filters: Vec<_> = tests.iter().map(|test| format!("test(={})", test.name())).collect();
        let places = places.into_iter().collect::<Vec<_>>().join(" ");
        let (status, output) = self.tested(&places, &filters.join("+"))?;
        ensure!(status == 0, "running the tests without any mutation: they fail\n{output}");
        Ok(())
    }

    fn try_out(&self, mutation: &Mutation) -> Result<Status> {
        let file = self.root.join(mutation.file);
        let original = fs::read_to_string(&file)?;
        fs::write(&file, mutated(mutation, &original)?)?;
        let test = mutation.caught_by;
        let tested = self.tested(test.binary_option(), &format!("test(={})", test.name()));
        fs::write(&file, original)?;
        match tested? {
            (0, _) => Ok(Status::Survived),
            (TEST_RUN_FAILED, _) => Ok(Status::Caught),
            (BUILD_FAILED, output) => bail!("it does not compile, which proves nothing\n{output}"),
            (NO_TESTS_RUN, _) => bail!("there is no test {}", test.name()),
            (status, output) => bail!("nextest ended with status {status}\n{output}"),
        }
    }

    /// Runs tests of the library in the copy: the exit status, and what was printed.
    fn tested(&self, places: &str, filter: &str) -> Result<(i32, String)> {
        let line = format!(
            "cargo nextest run --locked --profile mutate --package portmuster {places} -E {filter}"
        );
        let environment = [
            ("CARGO_TARGET_DIR", self.build.as_str()),
            ("CARGO_PROFILE_DEV_DEBUG", "0"),
            ("PORTMUSTER_SEED", SEEDS),
        ];
        command::ended_in(&self.root, &environment, &line)
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("it has no folder")?)?;
    fs::copy(from, to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::mutation::Test;
    use super::*;

    fn text(file: &str) -> String {
        fs::read_to_string(root().join(file)).expect("the file is there")
    }

    /// The library's sources: the path of each file's module, as in `probe::ssh`, and the text.
    fn sources(folder: &Path, module: &str) -> Vec<(String, String)> {
        let entries = fs::read_dir(folder).expect("the folder is there");
        let paths = entries.map(|entry| entry.expect("it can be read").path());
        paths
            .flat_map(|path| {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let module = format!("{module}{name}");
                match path.extension() {
                    _ if path.is_dir() => sources(&path, &format!("{module}::")),
                    Some(extension) if extension == "rs" => {
                        vec![(module, fs::read_to_string(&path).expect("it is text"))]
                    }
                    _ => Vec::new(),
                }
            })
            .collect()
    }

    #[test]
    fn every_mutation_finds_its_place() {
        for mutation in MUTATIONS {
            let before = text(mutation.file);
            let after = mutated(mutation, &before).unwrap_or_else(|error| {
                panic!("{}: {error}", mutation.name);
            });
            assert_ne!(before, after, "{} changes nothing", mutation.name);
        }
    }

    #[test]
    fn every_mutation_has_a_name_of_its_own_and_a_test_that_exists() {
        let names: BTreeSet<_> = MUTATIONS.iter().map(|mutation| mutation.name).collect();
        assert_eq!(names.len(), MUTATIONS.len());
        assert!(names.len() >= 10);
        let sources = sources(&root().join("crates/portmuster/src"), "");
        let simulation = [(String::new(), text("crates/portmuster/tests/simulation.rs"))];
        for Mutation { name, caught_by, .. } in MUTATIONS {
            let path = caught_by.name();
            let function = format!("fn {}(", path.rsplit("::").next().unwrap_or_default());
            let files = match caught_by {
                Test::Unit(_) => &sources[..],
                Test::Simulated(_) => &simulation,
            };
            assert!(
                files.iter().any(|(module, text)| {
                    path.starts_with(module.as_str()) && text.contains(&function)
                }),
                "{name}: no test {path}"
            );
        }
    }

    #[test]
    fn a_text_that_is_there_twice_or_not_at_all_is_no_place() {
        let mutation = &MUTATIONS[0];
        for times in [0, 2] {
            let text = mutation.old.repeat(times);
            let error = mutated(mutation, &text).expect_err("it is not there once");
            assert!(error.to_string().ends_with(&format!("{times} times")), "{error}");
        }
    }
}
