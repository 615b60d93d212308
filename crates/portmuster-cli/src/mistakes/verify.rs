//! Tells whether a command would be accepted.
//!
//! Invariant: a command that is suggested has been parsed here by the parser of the program, and its
//! targets by the grammar of targets.

use clap::Parser;
use portmuster::{
    Target,
    targets::{Excludes, Ports, TargetSet},
};

use crate::{
    args::{Check, Command, Compare, Explain, Program},
    input::describe_argument,
};

/// Returns why a command would be refused before it reads a file; `None` if it would be accepted.
///
/// `words` are the arguments after the name of the program.
pub(super) fn defect(words: &[String]) -> Option<String> {
    let name = std::iter::once("portmuster");
    match Program::try_parse_from(name.chain(words.iter().map(String::as_str))) {
        Ok(program) => defect_of(&program.command),
        Err(error) if error.use_stderr() => Some(summary(&error)),
        Err(_) => None,
    }
}

/// Returns the first paragraph of an error of the parser, in one line.
pub(crate) fn summary(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    let paragraph = lines.collect::<Vec<_>>().join(" ");
    paragraph.trim_start_matches("error: ").to_owned()
}

fn defect_of(command: &Command) -> Option<String> {
    match command {
        Command::Check(check) => defect_of_check(check),
        Command::Compare(compare) => defect_of_compare(compare),
        Command::Explain(explain) => defect_of_explain(explain),
        _ => None,
    }
}

fn defect_of_check(check: &Check) -> Option<String> {
    if let Err(error) = check.config() {
        return Some(format!("{error:#}"));
    }
    if let Err(error) = check.input_format.options() {
        return Some(error);
    }
    if check.outputs.iter().filter(|output| output.file().is_none()).count() > 1 {
        return Some("only one output can go to stdout: name a file, as in jsonl=FILE".to_owned());
    }
    if check.targets.is_empty() && check.inputs.is_empty() {
        return Some("there is no target: name one, or read a list with -i FILE".to_owned());
    }
    defect_of_targets(&check.targets, &check.ports)
        .or_else(|| defect_of_excludes(&check.selection.exclude))
}

fn defect_of_compare(compare: &Compare) -> Option<String> {
    let ports = match compare.ports.parse::<Ports>() {
        Ok(ports) => ports,
        Err(error) => return Some(format!("--ports {:?}: {error}", compare.ports)),
    };
    defect_of_targets(&compare.targets, &ports).or_else(|| defect_of_excludes(&compare.exclude))
}

fn defect_of_explain(explain: &Explain) -> Option<String> {
    if let Err(error) = explain.config() {
        return Some(format!("{error:#}"));
    }
    let error = explain.target.parse::<Target>().err()?;
    Some(describe_argument("target", &explain.target, &error))
}

fn defect_of_targets(targets: &[String], ports: &Ports) -> Option<String> {
    let mut set = TargetSet::new(&Excludes::new());
    let error = |item: &String| Some((item.clone(), set.add(item, None, ports).err()?));
    let (item, error) = targets.iter().find_map(error)?;
    Some(describe_argument("target", &item, &error))
}

fn defect_of_excludes(items: &[String]) -> Option<String> {
    let mut excludes = Excludes::new();
    let error = |item: &String| Some((item.clone(), excludes.add(item).err()?));
    let (item, error) = items.iter().find_map(error)?;
    Some(describe_argument("exclude", &item, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_would_be_refused_have_a_defect() {
        for (line, expected) in [
            ("check 10.0.0.1 -p 22 --exclude 10.0.0.9 -o table -o csv=a", None),
            ("check -i no-such-file", None),
            ("check --help", None),
            ("--version", None),
            ("explain 10.0.0.1:22 --no-kex", None),
            ("compare 10.0.0.0/30 -p ssh", None),
            ("diff a b", None),
            ("check", Some("there is no target")),
            ("check 10.0.0.300", Some("\"10.0.0.300\" is not an IPv4 address")),
            ("check 10.0.0.1 --exclude 10.0.0.300", Some("exclude \"10.0.0.300\"")),
            ("check 10.0.0.1 -p 0", Some("port 0 is not from 1 to 65535")),
            ("check 10.0.0.1 -o table -o jsonl", Some("only one output can go to stdout")),
            ("check 10.0.0.1 --retries 0 --max-missed 1%", Some("remove one of them")),
            ("check 10.0.0.1 -x", Some("unexpected argument '-x' found")),
            ("explain 10.0.0.1", Some("a port is missing")),
            ("explain a:22 b:22", Some("unexpected argument 'b:22' found")),
            ("compare 10.0.0.1 -p x-1", Some("--ports \"x-1\"")),
        ] {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            let found = defect(&words);
            match expected {
                None => assert_eq!(found, None, "{line}"),
                Some(part) => {
                    assert!(
                        found.as_ref().is_some_and(|it| it.contains(part)),
                        "{line}: {found:?}"
                    );
                }
            }
        }
    }
}
