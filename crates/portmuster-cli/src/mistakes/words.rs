//! Words that are taken as something else than they are meant: names and values without their option, or
//! options without what they are about.

use std::env;

use portmuster::Service;

use super::{edit::Edit, ports, runs, targets};
use crate::command_line::CommandLine;

/// Options whose value is a number or a time that can't be negative.
const NOT_NEGATIVE: [&str; 12] = [
    "rate",
    "per_host",
    "in_flight",
    "workers",
    "threads",
    "retries",
    "rounds",
    "timeout",
    "first_byte",
    "deadline",
    "host_timeout",
    "quiet_after",
];

/// The options that write files besides `-o`.
const WRITERS: [&str; 5] = ["summary", "metrics", "gates_junit", "journal", "config_file"];

/// Finds a negative number or time.
pub(super) fn negative(line: &CommandLine) -> Option<Edit> {
    line.command()?;
    let (value, text) = line.all_values().find(|(value, text)| {
        let rest = text.strip_prefix('-').unwrap_or_default();
        let is_number = rest.starts_with(|first: char| first.is_ascii_digit());
        is_number && NOT_NEGATIVE.contains(&value.id.as_str())
    })?;
    let long = value.id.replace('_', "-");
    Some(Edit::unknown(format!("--{long} {text}: the value can't be negative")))
}

/// Finds `p 22`, which lacks its dash.
pub(super) fn option_without_dash(line: &CommandLine) -> Option<Edit> {
    line.command().filter(|_| line.has_lists())?;
    let operands: Vec<_> = line.operands().collect();
    let (index, word) = operands.windows(2).find_map(|pair| {
        let [(index, word), (next, list)] = *pair else { return None };
        let is_ports = ["p", "port", "ports"].contains(&word) && next == index + 1;
        let is_list = ports::in_operand(list).is_some_and(|it| it != "ssh" && it != "telnet");
        (is_ports && is_list).then_some((index, word))
    })?;
    let reason = format!("{word:?} is an option without its dash: use -p");
    Some(Edit::new(reason, line.replaced(index, 1, ["-p".to_owned()])))
}

/// Finds `-ip FILE`, whose `p` is the value of `-i`.
pub(super) fn input_and_letter(line: &CommandLine) -> Option<Edit> {
    line.command().filter(|_| line.has_lists())?;
    let (index, _) = line.flags().find(|&(index, word)| {
        let next = line.words().get(index + 1);
        word == "-ip" && !targets::is_file("p") && next.is_some_and(|next| targets::is_file(next))
    })?;
    let reason = "-ip is -i with the file \"p\": use -i FILE";
    Some(Edit::new(reason, line.replaced(index, 1, ["-i".to_owned()])))
}

/// Finds a target in the place of a list of ports.
pub(super) fn target_as_ports(line: &CommandLine) -> Option<Edit> {
    line.command().filter(|_| line.has_lists())?;
    let is_target = |text: &str| text.contains('.') && targets::looks_like(text);
    let (value, host) = line.values("ports").find(|(_, text)| is_target(text))?;
    let reason = format!("{host:?} is a target, and -p lists ports");
    let mut lists = line.operands().filter(|(_, word)| ports::in_operand(word).is_some());
    let Some((index, list)) = lists.next() else {
        return Some(Edit::new(reason, line.without_option(value, [host.to_owned()])));
    };
    let swapped = CommandLine::new(line.with_value(value, list));
    Some(Edit::new(reason, swapped.replaced(index, 1, [host.to_owned()])))
}

/// Finds a value after `--require-verdict`, which has none.
pub(super) fn value_of_require(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "check")?;
    let names = ["--require", "--require-verdict"];
    let (index, service) = line.flags().find_map(|(index, word)| {
        let next = line.words().get(index + 1)?;
        let is_service = ["ssh", "telnet"].contains(&next.as_str());
        (names.contains(&word) && is_service).then_some((index, next))
    })?;
    if service == "ssh" || line.ids().any(|id| id == "forbid") {
        return Some(Edit::unknown(
            "--require-verdict has no value: it needs a verdict about all that --forbid names",
        ));
    }
    let instead = ["--forbid", service, "--require-verdict"].map(str::to_owned);
    let reason = "--require-verdict has no value: --forbid says what it is about";
    Some(Edit::new(reason, line.replaced(index, 2, instead)))
}

/// Finds a service or a finding in the place of the target of `explain`.
pub(super) fn meaning_of_word(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "explain")?;
    let operands: Vec<_> = line.operands().collect();
    let [(_, word)] = operands[..] else { return None };
    let check = line.program().find_subcommand("check")?;
    let mut arguments = check.get_arguments();
    let known = arguments.find(|arg| arg.get_id() == "forbid")?.get_possible_values();
    let is_service = Service::ALL.iter().any(|service| service.name() == word);
    let is_finding = known.iter().any(|value| value.get_name() == word);
    let kind = if is_service { "services" } else { "findings" };
    let reason = format!("explain checks a target, and {word:?} is a word of rows");
    let words = vec!["list".to_owned(), kind.to_owned()];
    (is_service || is_finding).then(|| Edit::new(reason, words))
}

/// Finds `-v` of `explain`.
pub(super) fn verbose_explain(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "explain")?;
    let (index, word) = line.flags().find(|(_, word)| ["-v", "--verbose"].contains(word))?;
    let reason = format!("{word} is not needed: explain shows every step");
    Some(Edit::new(reason, line.replaced(index, 1, [])))
}

/// Finds `-o json` of `list`.
pub(super) fn output_of_list(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "list")?;
    let (value, _) = line.outputs().find(|(_, text)| ["json", "jsonl"].contains(text))?;
    let words = line.without_option(value, ["--json".to_owned()]);
    Some(Edit::new("list has no option -o: use --json", words))
}

/// Finds a word after `--labels`, which has no value.
pub(super) fn value_of_labels(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "check")?;
    if line.values("inputs").next().is_some() {
        return None;
    }
    let (index, word) = line.operands().find(|&(index, word)| {
        let is_after = index > 0 && line.words()[index - 1] == "--labels";
        is_after && !word.contains(['.', ':', '/'])
    })?;
    let reason =
        format!("--labels has no value, so {word:?} is a target: lists contain the labels");
    Some(Edit::partial(reason, line.replaced(index - 1, 2, [])))
}

/// Finds `--append` or `--force` without a file that they could be about.
pub(super) fn needless_force(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "check")?;
    let has_file = line.outputs().any(|(_, text)| text.contains(['=', '.']));
    let is_writer = |id: &str| WRITERS.contains(&id);
    if has_file || line.ids().any(is_writer) || env::var_os("PORTMUSTER_CONFIG").is_some() {
        return None;
    }
    let is_foreign = |(index, word): (usize, &str)| {
        let next = line.words().get(index + 1).map(String::as_str);
        line.foreign(word, next).is_some()
    };
    if line.flags().any(is_foreign) {
        return None;
    }
    let (index, word) = line.flags().find(|(_, word)| ["--append", "--force"].contains(word))?;
    let reason =
        format!("{word} is about files, and no output is a file: name one, as in -o csv=FILE");
    Some(Edit::partial(reason, line.replaced(index, 1, [])))
}

/// Finds `--threads` of a method whose number of threads is set in another way.
pub(super) fn threads(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "check")?;
    let (value, number) = line.values("threads").next()?;
    if line.ids().any(|id| id == "config_file") || env::var_os("PORTMUSTER_CONFIG").is_some() {
        return None;
    }
    let method = line.values("method").next().map(|(_, text)| text);
    let (option, what) = match method {
        None => ("--in-flight", "the limit of connections is --in-flight"),
        Some("threads") => ("--workers", "the number of threads of this method is --workers"),
        Some(_) => return None,
    };
    if line.values(&option[2..].replace('-', "_")).next().is_some() {
        return None;
    }
    let words = line.without_option(value, [option.to_owned(), number.to_owned()]);
    Some(Edit::new(format!("--threads is for the method process-threads: {what}"), words))
}

/// Finds a database in the place of a list of targets.
pub(super) fn database_as_list(line: &CommandLine) -> Option<Edit> {
    line.command().filter(|_| line.has_lists())?;
    let is_database = |text: &str| targets::is_file(text) && runs::is_database(text);
    let inputs = line.values("inputs").map(|(_, text)| text);
    let file = inputs.chain(line.operands().map(|(_, word)| word)).find(|it| is_database(it))?;
    Some(Edit::unknown(format!(
        "{file:?} is a database of runs, not a list of targets: diff and report read it, and check \
         reads lists, such as rows of -o csv"
    )))
}

/// Finds an address after two slashes.
pub(super) fn slashes(line: &CommandLine) -> Option<Edit> {
    line.command().filter(|_| line.has_targets())?;
    let (index, word, host) = line.operands().find_map(|(index, word)| {
        let host = word.strip_prefix("//")?.trim_end_matches('/');
        targets::looks_like(host).then_some((index, word, host))
    })?;
    let reason = format!("{word:?} is no target: a host needs no slashes");
    Some(Edit::new(reason, line.replaced(index, 1, [host.to_owned()])))
}
