//! The command lines in README.md and docs/ are accepted, and do what the pages show.
//!
//! A block of commands starts with `sh` (commands only), `console` (`$ command`, then its output) or
//! `yaml` (the lines of `run:`).
//! Each line that calls `portmuster`, and `cargo run --release --`, is run. The line
//! `<!-- no-run: REASON -->` before a block marks one that a test can't run; its command lines are still
//! parsed.
//!
//! In output, a line `…` stands for any lines, and `…` within a line for any text. Rows come in any
//! order. Numbers with a decimal point are times, and any other number has the same place; in the
//! output of `compare` every number is a measurement.
//!
//! The commands run in a network namespace in which 10.0.0.0/8 is this machine and
//! `documented_servers.py` has servers. Networks of /16 and wider are replaced by a /28.

use std::{fs, path::Path, thread};

use serde_json::Value;

use crate::{
    folder::Folder,
    program::{Ended, check},
    shell::{FILES_ONLY, sh, sh_with_etc},
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The languages of blocks.
const LANGUAGES: [&str; 8] = ["console", "ini", "json", "python", "rust", "sh", "text", "yaml"];

/// Files that the documented commands read.
const FILES: [(&str, &str); 7] = [
    ("inventory.txt", "10.0.0.5 db\n10.0.0.6\n10.0.0.7\n10.0.0.8 sensor\n"),
    ("hosts.csv", "name,address,port\ndb,10.0.0.5,22\n"),
    ("fragile.txt", "10.0.0.9\n"),
    ("inventory.ini", "[web]\n10.0.0.5\n"),
    (
        "scan.xml",
        "<nmaprun><host><status state=\"up\"/><address addr=\"10.0.0.5\" addrtype=\"ipv4\"/>\
         <ports><port protocol=\"tcp\" portid=\"22\"><state state=\"open\"/></port></ports></host>\
         </nmaprun>\n",
    ),
    ("nmap.gnmap", "Host: 10.0.0.5 ()\tPorts: 22/open/tcp//ssh///\n"),
    ("ssh_known_hosts", "10.0.0.5 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA\n"),
];

/// Names of the documented hosts.
const HOSTS: &str = "127.0.0.1 localhost\n10.0.0.5 db.example\n10.0.1.1 bastion.example\n";

/// Creates the network, and a home folder.
const PREPARE: &str = "
    ip link set lo up
    ip route add local 10.0.0.0/8 dev lo
    ip -6 route add local 2001:db8::/32 dev lo || exit 77
    export HOME=$PWD
    mkdir -p .local/share/bash-completion/completions";

/// Writes the runs that the documented commands compare.
const PREPARE_DIFF: &str = "
    for output in sqlite=audit.db sqlite=audit.db jsonl=last-week.jsonl jsonl=today.jsonl; do
        \"$portmuster\" check 10.0.0.0/30 -q -o $output
    done";

/// Makes `portmuster` write its status to a file. A gate that fails is no failure of the script.
const RECORD_STATUS: &str = "
    portmuster() {
        status=0
        \"$portmuster\" \"$@\" || status=$?
        echo \"$status portmuster $*\" >> statuses
    }";

/// Makes `portmuster` parse its arguments and do nothing else, and lists the lines that it refuses.
const ONLY_PARSE: &str = "
    portmuster() {
        \"$portmuster\" \"$@\" --help > /dev/null || echo \"portmuster $*\" >> refused
    }
    : > refused
    export HOME=$PWD
    mkdir -p .local/share/bash-completion/completions";

/// A fenced block of a page.
struct Block {
    /// The page and the line of the fence.
    place: String,
    language: String,
    /// Why a test can't run the block; `None` if it can.
    no_run: Option<String>,
    lines: Vec<String>,
}

impl Block {
    /// Returns the command lines, each with the output that the page shows.
    fn commands(&self) -> Vec<(String, Vec<&str>)> {
        let mut commands: Vec<(String, Vec<&str>)> = Vec::new();
        for line in &self.lines {
            let command = match self.language.as_str() {
                "sh" => Some(line.as_str()),
                "console" => line.strip_prefix("$ "),
                "yaml" => Some(line.trim().trim_start_matches("- ").trim_start_matches("run: ")),
                _ => return Vec::new(),
            };
            match (command, commands.last_mut()) {
                (Some(command), _) => commands.push((as_installed(command), Vec::new())),
                (None, Some((_, shown))) => shown.push(line),
                (None, None) => panic!("{}: output without a command", self.place),
            }
        }
        commands.retain(|(command, _)| {
            command.starts_with("portmuster ") || command.contains("| portmuster ")
        });
        commands
    }
}

/// Returns the command as it is typed when the program is installed.
fn as_installed(command: &str) -> String {
    command.replace("cargo run --release --", "portmuster")
}

/// Returns the blocks of README.md and of every page in docs/.
fn blocks() -> Vec<Block> {
    let pages = fs::read_dir(format!("{ROOT}/docs")).expect("the folder exists");
    let pages = pages.map(|page| page.expect("the folder is readable").path());
    let mut pages: Vec<_> =
        pages.filter(|page| page.extension().is_some_and(|it| it == "md")).collect();
    pages.push(format!("{ROOT}/README.md").into());
    pages.iter().flat_map(|page| blocks_of(page)).collect()
}

fn blocks_of(page: &Path) -> Vec<Block> {
    let name = page.file_name().expect("it is a file").display();
    let text = fs::read_to_string(page).expect("the page is text");
    let mut blocks = Vec::new();
    let mut block: Option<Block> = None;
    let mut before = "";
    for (index, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut block) {
            (Some(_), Some(_)) => blocks.extend(block.take()),
            (Some(language), None) => {
                block = Some(open(format!("{name}:{}", index + 1), language, before));
            }
            (None, Some(block)) => block.lines.push(line.to_owned()),
            (None, None) => {}
        }
        before = line;
    }
    assert!(block.is_none(), "{name}: the last block has no end");
    blocks
}

/// Returns an empty block at this place, in this language, after the line `before`.
fn open(place: String, language: &str, before: &str) -> Block {
    let reason = before.strip_prefix("<!-- no-run: ").and_then(|it| it.strip_suffix(" -->"));
    assert!(LANGUAGES.contains(&language), "{place}: unknown language {language:?}");
    let language = language.to_owned();
    Block { place, language, no_run: reason.map(str::to_owned), lines: Vec::new() }
}

#[test]
fn blocks_hide_no_command_and_few_are_not_run() {
    let blocks = blocks();
    for block in blocks.iter().filter(|block| block.language == "text") {
        let command = block.lines.iter().find(|line| line.starts_with("$ "));
        assert_eq!(command, None, "{}: write `console` for commands", block.place);
    }
    let not_run: Vec<_> = blocks.iter().filter(|block| block.no_run.is_some()).collect();
    assert!(not_run.iter().all(|block| !block.no_run.as_deref().unwrap_or_default().is_empty()));
    assert!(not_run.len() <= 4, "too many blocks are not run");
    let run = blocks.iter().filter(|block| block.no_run.is_none()).flat_map(Block::commands);
    assert!(run.count() > 30, "the pages have commands");
}

#[test]
fn documented_json_is_complete() {
    for block in blocks().iter().filter(|block| block.language == "json") {
        let json = block.lines.join("\n");
        let values = serde_json::Deserializer::from_str(&json).into_iter::<Value>();
        for value in values {
            assert!(value.is_ok(), "{}: {value:?}", block.place);
        }
    }
}

#[test]
fn documented_command_lines_are_accepted() {
    for block in blocks() {
        let commands: Vec<_> = block.commands().into_iter().map(|(command, _)| command).collect();
        if commands.is_empty() {
            continue;
        }
        let folder = Folder::new();
        write_files(&folder);
        // Other programs of a pipeline may be missing.
        let script = format!(
            "cd \"$1\"\n{ONLY_PARSE}\njq() {{ cat; }}\ncut() {{ :; }}\n{}\ncat refused",
            commands.join("\n"),
        );
        let Ended { status, stdout, stderr } = sh(&script, folder.path());
        assert_eq!((status, stdout.as_str()), (Some(0), ""), "{}: {stderr}", block.place);
    }
}

#[test]
fn documented_commands_do_what_the_pages_show() {
    let mut blocks = blocks();
    blocks.retain(|block| block.no_run.is_none() && !block.commands().is_empty());
    // Most of them wait for servers.
    let workers = 4;
    let (first, blocks) = (blocks.swap_remove(0), blocks);
    if run_block(&first).is_none() {
        return;
    }
    thread::scope(|scope| {
        for worker in 0..workers {
            let blocks = &blocks;
            scope.spawn(move || {
                for block in blocks.iter().skip(worker).step_by(workers) {
                    run_block(block).expect("the first block was not skipped");
                }
            });
        }
    });
}

/// An option's message about an unknown word lists the words that it takes.
#[test]
fn pages_have_a_row_for_each_word_that_gates_take() {
    for (option, pages) in
        [("--allow", &["gates.md"][..]), ("--forbid", &["gates.md", "outputs.md", "verdicts.md"])]
    {
        let ended = check(["127.0.0.1:1", "--require-verdict", option, "no-such"]);
        let (_, words) = ended.stderr.split_once("[possible values: ").expect("it lists them");
        let words = words.split_once(']').expect("the list has an end").0.split(", ");
        let pages = pages.iter().map(|page| fs::read_to_string(format!("{ROOT}/docs/{page}")));
        let pages: String = pages.map(|page| page.expect("the page exists")).collect();
        for word in words {
            assert!(pages.contains(&format!("\n| `{word}` |")), "{option} {word} has no row");
        }
    }
}

/// Runs the commands of a block and compares the output with the page. Prints a note and returns
/// `None` where namespaces are not available.
fn run_block(block: &Block) -> Option<()> {
    let folder = Folder::new();
    write_files(&folder);
    let commands = block.commands().into_iter().enumerate();
    let lines = commands.clone().map(|(index, (command, _))| {
        format!("{{ {}\n}} > {index}.output 2>&1\n", narrowed(&command))
    });
    let script = format!("{RECORD_STATUS}\njq() {{ cat; }}\n{}", lines.collect::<String>());
    folder.write("block.sh", script);
    let etc = [("hosts", HOSTS), FILES_ONLY];
    let reads_runs =
        |line: &String| line.contains("portmuster diff ") || line.contains("portmuster report ");
    let has_diff = block.lines.iter().any(reads_runs);
    let diff = if has_diff { PREPARE_DIFF } else { "" };
    let run = format!("{PREPARE}{diff}\npython3 \"$documented_servers\" sh -eu block.sh");
    let ended = sh_with_etc(&folder, &etc, &["--net"], &run)?;
    assert_eq!(ended.status, Some(0), "{}: {}", block.place, ended.stderr);
    for (index, (command, shown)) in commands {
        let output = fs::read_to_string(folder.file(&format!("{index}.output")));
        let output = output.expect("the command ran");
        if block.language == "console" {
            compare(&block.place, &command, &shown, &output);
        }
        let statuses = fs::read_to_string(folder.file("statuses")).expect("the command ran");
        let status = statuses.lines().nth(index).expect("each command is a line");
        assert!(
            status.starts_with("0 ") || status.starts_with("1 "),
            "{}: {status}\n{output}",
            block.place
        );
    }
    Some(())
}

fn write_files(folder: &Folder) {
    for (name, content) in FILES {
        folder.write(name, content);
    }
}

/// Replaces wide networks by narrow ones, so that the command ends soon.
fn narrowed(command: &str) -> String {
    command.replace(".0.0/8 ", ".0.0/28 ").replace(".0.0/16 ", ".0.0/28 ")
}

/// Asserts that the output is as the page shows it.
fn compare(place: &str, command: &str, shown: &[&str], output: &str) {
    let is_measured = command.starts_with("portmuster compare");
    let mut printed: Vec<_> = output.lines().map(|line| comparable(line, is_measured)).collect();
    printed.retain(|line| !line.is_empty());
    let is_complete = !shown.contains(&"…");
    for line in shown.iter().filter(|line| !line.is_empty() && **line != "…") {
        let expected = comparable(line, is_measured);
        let Some(index) = printed.iter().position(|line| fits(&expected, line)) else {
            panic!("{place}: {command}\nshows: {line}\nprints:\n{output}");
        };
        printed.remove(index);
    }
    assert!(!is_complete || printed.is_empty(), "{place}: not shown: {printed:#?}\n{output}");
}

/// Returns the line without what differs from run to run: times, and the width of columns.
fn comparable(line: &str, is_measured: bool) -> String {
    if let Ok(Value::Object(mut row)) = serde_json::from_str(line) {
        for field in ["connect_ms", "first_byte_ms", "total_ms", "time"] {
            row.entry(field).and_modify(|value| *value = Value::Null);
        }
        return Value::Object(row).to_string();
    }
    let is_number = |word: &&str| {
        let is_time = word.parse::<f64>().is_ok() && word.contains('.');
        let is_measure = |letter: char| letter.is_ascii_digit() || "[-]%.".contains(letter);
        is_time || (is_measured && word.chars().all(is_measure))
    };
    let words = line.split_whitespace().map(|word| if is_number(&word) { "#" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// Returns whether a line has this form, in which `…` stands for any text.
fn fits(form: &str, line: &str) -> bool {
    match form.split_once('…') {
        Some((start, end)) => line.starts_with(start) && line.ends_with(end),
        None => form == line,
    }
}
