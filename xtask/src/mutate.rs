//! Mutation testing: puts known mistakes into the code, one at a time, and checks that a test fails.
//!
//! Invariant: the working tree is only read. All its files, committed or not, are copied into the
//! target folder, and only the copy is changed.

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

/// The simulator's seeds that each mutation is tested with.
const SEEDS: &str = "0..20";

/// Exit statuses of nextest (its crate `nextest-metadata`, `NextestExitCode`).
const NO_TESTS_RUN: i32 = 4;
const TEST_RUN_FAILED: i32 = 100;
const BUILD_FAILED: i32 = 101;

/// How the test of a mutation ended.
#[derive(Debug, PartialEq, Eq)]
enum Detection {
    Caught,
    Survived,
}

/// Tests the mutation of this name, or every mutation for `None`, in a copy of the tree.
///
/// # Errors
/// A mutation survived, or could not be tested: its old text does not occur exactly once, the
/// mutated code does not compile, or the tests fail without the mutation.
pub(crate) fn run(name: Option<&str>) -> Result<()> {
    ensure!(
        succeeds("cargo nextest --version"),
        "looking for cargo-nextest, whose exit status separates failed tests from failed builds: \
         it is missing; type: cargo install --locked cargo-nextest"
    );
    let chosen: Vec<_> =
        MUTATIONS.iter().filter(|mutation| name.is_none_or(|name| name == mutation.name)).collect();
    ensure!(!chosen.is_empty(), "unknown mutation: {}; {}", name.unwrap_or_default(), names());
    let tree = Tree::copy()?;
    tree.check_unmutated(&chosen)?;
    let mut survivors = Vec::new();
    for mutation in chosen {
        let status = tree
            .test(mutation)
            .with_context(|| format!("testing the mutation {}", mutation.name))?;
        // A reader that closes the pipe early has seen enough; the exit status still reports.
        let _ = writeln!(io::stdout(), "{}", line(mutation, &status));
        if status == Detection::Survived {
            survivors.push(mutation.name);
        }
    }
    ensure!(survivors.is_empty(), "no test caught: {}", survivors.join(", "));
    Ok(())
}

fn names() -> String {
    let names: Vec<_> = MUTATIONS.iter().map(|mutation| mutation.name).collect();
    format!("the mutations are: {}", names.join(", "))
}

fn line(mutation: &Mutation, status: &Detection) -> String {
    let test = mutation.caught_by.name();
    match status {
        Detection::Caught => format!("{:<26} caught by {test}", mutation.name),
        Detection::Survived => format!("{:<26} SURVIVED {test}: {}", mutation.name, mutation.why),
    }
}

/// The file's text with the mutation applied.
fn mutate(mutation: &Mutation, text: &str) -> Result<String> {
    let times = text.matches(mutation.old).count();
    ensure!(times == 1, "looking for the old text in {}: it occurs {times} times", mutation.file);
    Ok(text.replace(mutation.old, mutation.new))
}

/// A copy of the working tree.
struct Tree {
    root: PathBuf,
    /// The folder that the copy is built in.
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
            .context("listing the files of the working tree: git ls-files failed")?;
        for file in files.lines().filter(|file| root().join(file).is_file()) {
            copy(&root().join(file), &tree.root.join(file))
                .with_context(|| format!("copying {file}"))?;
        }
        Ok(tree)
    }

    /// Checks that the tests of these mutations pass without any mutation.
    fn check_unmutated(&self, mutations: &[&Mutation]) -> Result<()> {
        let tests: BTreeSet<_> = mutations.iter().map(|mutation| mutation.caught_by).collect();
        let binaries: BTreeSet<_> = tests.iter().map(|test| test.binary_option()).collect();
        let filters: Vec<_> = tests.iter().map(|test| format!("test(={})", test.name())).collect();
        let binaries = binaries.into_iter().collect::<Vec<_>>().join(" ");
        let (status, output) = self.run_tests(&binaries, &filters.join("+"))?;
        ensure!(status == 0, "running the tests without any mutation: they failed\n{output}");
        Ok(())
    }

    /// Applies a mutation to the copy, runs its test, and restores the file.
    fn test(&self, mutation: &Mutation) -> Result<Detection> {
        let file = self.root.join(mutation.file);
        let original = fs::read_to_string(&file)?;
        fs::write(&file, mutate(mutation, &original)?)?;
        let test = mutation.caught_by;
        let tested = self.run_tests(test.binary_option(), &format!("test(={})", test.name()));
        fs::write(&file, original)?;
        match tested? {
            (0, _) => Ok(Detection::Survived),
            (TEST_RUN_FAILED, _) => Ok(Detection::Caught),
            (BUILD_FAILED, output) => bail!("the mutated code does not compile\n{output}"),
            (NO_TESTS_RUN, _) => bail!("there is no test {}", test.name()),
            (status, output) => bail!("nextest ended with status {status}\n{output}"),
        }
    }

    /// Runs tests of the library in the copy; returns the exit status and the output.
    fn run_tests(&self, binaries: &str, filter: &str) -> Result<(i32, String)> {
        let line = format!(
            "cargo nextest run --locked --profile mutate --package portmuster {binaries} -E {filter}"
        );
        let environment = [
            ("CARGO_TARGET_DIR", self.build.as_str()),
            ("CARGO_PROFILE_DEV_DEBUG", "0"),
            ("PORTMUSTER_SEED", SEEDS),
        ];
        command::run_in(&self.root, &environment, &line)
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("the path has no parent folder")?)?;
    fs::copy(from, to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::mutation::Test;
    use super::*;

    fn text(file: &str) -> String {
        fs::read_to_string(root().join(file)).expect("the file exists")
    }

    /// The library's sources: the path of each file's module, as in `probe::ssh`, and the text.
    fn sources(folder: &Path, module: &str) -> Vec<(String, String)> {
        let entries = fs::read_dir(folder).expect("the folder exists");
        let paths = entries.map(|entry| entry.expect("the entry can be read").path());
        paths
            .flat_map(|path| {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let module = format!("{module}{name}");
                match path.extension() {
                    _ if path.is_dir() => sources(&path, &format!("{module}::")),
                    Some(extension) if extension == "rs" => {
                        vec![(module, fs::read_to_string(&path).expect("the file is text"))]
                    }
                    _ => Vec::new(),
                }
            })
            .collect()
    }

    #[test]
    fn old_text_of_every_mutation_occurs_once_in_its_file() {
        for mutation in MUTATIONS {
            let before = text(mutation.file);
            let after = mutate(mutation, &before).unwrap_or_else(|error| {
                panic!("{}: {error}", mutation.name);
            });
            assert_ne!(before, after, "{} changes nothing", mutation.name);
        }
    }

    #[test]
    fn every_mutation_has_a_unique_name_and_an_existing_test() {
        let names: BTreeSet<_> = MUTATIONS.iter().map(|mutation| mutation.name).collect();
        assert_eq!(names.len(), MUTATIONS.len());
        assert!(names.len() >= 10);
        let tests = root().join("crates/portmuster/tests");
        let mut simulation = sources(&tests.join("simulation"), "");
        simulation.push((String::new(), text("crates/portmuster/tests/simulation.rs")));
        let sources = sources(&root().join("crates/portmuster/src"), "");
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
    fn old_text_that_occurs_twice_or_never_is_an_error() {
        let mutation = &MUTATIONS[0];
        for times in [0, 2] {
            let text = mutation.old.repeat(times);
            let error = mutate(mutation, &text).expect_err("the text does not occur once");
            assert!(error.to_string().ends_with(&format!("{times} times")), "{error}");
        }
    }
}
