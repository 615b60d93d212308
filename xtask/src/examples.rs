//! Runs the examples of the library, and checks what they print.

use anyhow::{Result, ensure};

use crate::command::{root, run, run_in};
use crate::step::Status;

/// An example, its arguments, and what its output must be.
struct Example {
    name: &'static str,
    arguments: &'static str,
    /// The start of each line that it prints. The order of lines does not matter, because outcomes
    /// come in any order.
    lines: &'static [&'static str],
}

const EXAMPLES: &[Example] = &[
    Example { name: "async_tokio", arguments: "", lines: &["closed: no service", "open: ssh"] },
    Example {
        name: "cidr_to_jsonl",
        arguments: "127.0.0.8/31:1",
        lines: &[
            r#"{"schema":1,"host":"127.0.0.8","port":1,"open":false,"state":"closed","#,
            r#"{"schema":1,"host":"127.0.0.9","port":1,"open":false,"state":"closed","#,
        ],
    },
    Example {
        name: "diff_of_two_runs",
        arguments: "",
        lines: &["version: example_1 -> example_2"],
    },
    Example { name: "endless_iterator", arguments: "", lines: &["1000 checked, 0 open"] },
    Example { name: "gate", arguments: "", lines: &["telnet on 1, absent on 2 of 3"] },
    Example { name: "own_job_in_workers", arguments: "", lines: &["404: ", "871 takes 178 steps"] },
];

/// Builds every example, and runs each.
///
/// # Errors
/// An example does not compile or fails, or its output has changed.
pub(crate) fn run_all() -> Result<Status> {
    run(&[], "cargo build --locked --package portmuster --all-features --examples")?;
    for example in EXAMPLES {
        let Example { name, arguments, lines } = example;
        let line = format!(
            "cargo run --quiet --locked --package portmuster --all-features --example {name} -- \
             {arguments}"
        );
        let (status, output) = run_in(root(), &[], &line)?;
        ensure!(status == 0, "{line}: it ended with status {status}\n{output}");
        ensure!(
            is_expected(&output, lines),
            "{line}: it printed\n{output}instead of\n{}\n",
            lines.join("\n")
        );
    }
    Ok(Status::Passed)
}

/// Whether each line of the output starts as one of `lines` does, and no line is missing.
fn is_expected(output: &str, lines: &[&str]) -> bool {
    let mut printed: Vec<&str> = output.lines().collect();
    printed.sort_unstable();
    let mut lines = lines.to_vec();
    lines.sort_unstable();
    printed.len() == lines.len()
        && printed.iter().zip(lines).all(|(printed, start)| printed.starts_with(start))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn every_example_is_in_the_table() {
        let folder = root().join("crates/portmuster/examples");
        let files = fs::read_dir(folder).expect("the library has examples");
        let names = files.filter_map(|file| {
            file.ok()?.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned)
        });
        let listed = EXAMPLES.iter().map(|example| example.name.to_owned());
        assert_eq!(names.collect::<BTreeSet<_>>(), listed.collect());
    }

    #[test]
    fn lines_may_come_in_any_order_and_none_may_be_missing() {
        assert!(is_expected("b 2\na 1\n", &["a", "b"]));
        assert!(!is_expected("a 1\n", &["a", "b"]));
        assert!(!is_expected("a 1\na 2\n", &["a", "b"]));
        assert!(!is_expected("a 1\nb 2\nc\n", &["a", "b"]));
    }
}
