//! `portmuster list` prints the values that rows and options have, and `portmuster schema` a schema.

use serde_json::Value;

use crate::program::{Ended, check, program, run};

fn list(arguments: &[&str]) -> String {
    let Ended { status, stdout, stderr } = run(program().arg("list").args(arguments));
    assert_eq!((status, stderr.as_str()), (Some(0), ""), "{arguments:?}");
    stdout
}

/// Returns the names in the first column.
fn names(kind: &str) -> Vec<String> {
    let text = list(&[kind]);
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn lists_are_aligned_and_equal_to_their_json() {
    for kind in [
        "services",
        "findings",
        "states",
        "reasons",
        "formats",
        "profiles",
        "protocols",
        "kinds",
        "rules",
    ] {
        let text = list(&[kind]);
        let starts: Vec<_> = text
            .lines()
            .map(|line| {
                let name = line.split_whitespace().next().expect("it has a name").len();
                name + line[name..].len() - line[name..].trim_start().len()
            })
            .collect();
        assert!(starts.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
        let json = list(&[kind, "--json"]);
        assert_eq!(json.lines().count(), text.lines().count());
        for (line, shown) in json.lines().zip(text.lines()) {
            let value: Value = serde_json::from_str(line).expect("each line is JSON");
            let (name, meaning) = (value["name"].as_str(), value["meaning"].as_str());
            let (name, meaning) = (name.expect("it has a name"), meaning.expect("and a meaning"));
            assert!(shown.starts_with(name) && shown.ends_with(meaning), "{shown}");
        }
    }
}

/// An option's message about an unknown word lists the words that it takes.
#[test]
fn lists_have_every_word_that_options_take() {
    for (option, kinds) in [
        ("--forbid", &["services", "findings", "states"][..]),
        ("--allow", &["kinds"]),
        ("--output", &["formats"]),
    ] {
        let listed: Vec<_> = kinds.iter().flat_map(|kind| names(kind)).collect();
        let ended = check(["127.0.0.1:1", "--require-verdict", option, "no-such"]);
        let words = ended.stderr.split_once("[possible values: ").or_else(|| {
            let (_, words) = ended.stderr.split_once("use one of ")?;
            Some(("", words))
        });
        let words = words.expect("it lists them").1.split([']', '\n']).next();
        for word in words.expect("the list has an end").split(", ") {
            assert!(listed.iter().any(|name| name == word), "{option} {word} is not listed");
        }
    }
}

#[test]
fn schema_is_that_of_the_library() {
    let Ended { status, stdout, stderr } = run(program().arg("schema"));
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert_eq!(stdout, portmuster::sink::row_schema());
    let schema: Value = serde_json::from_str(&stdout).expect("it is JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn unknown_list_is_an_error_that_names_the_lists() {
    let ended = run(program().args(["list", "service"]));
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("services"), "{ended:?}");
}
