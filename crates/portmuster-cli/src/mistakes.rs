//! Common mistakes on the command line, and the command that was probably meant.
//!
//! One table, [`MISTAKES`], has a row for each mistake. A row never rejects a command line that does
//! what it says; it only explains one that is refused anyway, or whose words would be taken as something
//! else, such as a port as a host name.

use std::ffi::OsString;

use self::edit::Edit;
use crate::command_line::CommandLine;

mod edit;
mod options;
mod targets;

/// Maximum number of mistakes that one message explains.
const REASONS_MAX: usize = 4;

/// Maximum number of edits of one command line, so that edits which undo each other end.
const EDITS_MAX: usize = 64;

/// Maximum length of a suggested command, in characters.
const COMMAND_MAX: usize = 2_000;

/// A mistake that many make.
#[cfg_attr(not(test), expect(dead_code, reason = "the examples are for readers and tests"))]
struct Mistake {
    /// A command line with this mistake.
    given: &'static str,
    /// The command line that is suggested for it.
    meant: &'static str,
    /// Finds the first such mistake of a command line.
    find: fn(&CommandLine) -> Option<Edit>,
}

/// The mistakes, in the order in which they are corrected.
static MISTAKES: [Mistake; 24] = [
    Mistake {
        given: "portmuster 10.0.0.1",
        meant: "portmuster check 10.0.0.1",
        find: options::missing_command,
    },
    Mistake {
        given: "portmuster scan 10.0.0.1",
        meant: "portmuster check 10.0.0.1",
        find: options::other_word_for_check,
    },
    Mistake {
        given: "portmuster list 10.0.0.1",
        meant: "portmuster check --list 10.0.0.1",
        find: options::list_of_targets,
    },
    Mistake {
        given: "portmuster check -sS -iL /dev/null -oX a.xml",
        meant: "portmuster check -i /dev/null -o xml=a.xml",
        find: options::foreign_option,
    },
    Mistake {
        given: "portmuster check 10.0.0.1 -p-",
        meant: "portmuster check 10.0.0.1 -p1-65535",
        find: options::all_ports,
    },
    Mistake {
        given: "portmuster check 10.0.0.1 -p T:22,23",
        meant: "portmuster check 10.0.0.1 -p 22,23",
        find: options::ports_of_tcp,
    },
    Mistake {
        given: "portmuster check 10.0.0.1 -p 22 -p 23",
        meant: "portmuster check 10.0.0.1 -p 22,23",
        find: options::repeated_ports,
    },
    Mistake {
        given: "portmuster check 10.0.0.1 -p 22 23",
        meant: "portmuster check 10.0.0.1 -p 22,23",
        find: targets::ports_after_ports,
    },
    Mistake {
        given: "portmuster check 10.0.0.1 --rate 10,000",
        meant: "portmuster check 10.0.0.1 --rate 10000",
        find: options::separated_number,
    },
    Mistake {
        given: "portmuster check 10.0.0.1 -o json=a.txt",
        meant: "portmuster check 10.0.0.1 -o jsonl=a.txt",
        find: options::json_output,
    },
    Mistake {
        given: "portmuster check 10.0.0.1 -o result.json",
        meant: "portmuster check 10.0.0.1 -o jsonl=result.json",
        find: options::output_without_format,
    },
    Mistake {
        given: "portmuster check 10.0.0.1 -o jsonl result.jsonl",
        meant: "portmuster check 10.0.0.1 -o jsonl=result.jsonl",
        find: options::output_as_two_words,
    },
    Mistake {
        given: "portmuster check 10.0.0.1 --summary result.json",
        meant: "portmuster check 10.0.0.1 --summary json=result.json",
        find: options::summary_without_format,
    },
    Mistake {
        given: "portmuster check -i 10.0.0.0/24",
        meant: "portmuster check 10.0.0.0/24",
        find: targets::target_as_file,
    },
    Mistake {
        given: "portmuster check --exclude /dev/null 10.0.0.1",
        meant: "portmuster check --exclude-file /dev/null 10.0.0.1",
        find: targets::exclude_as_file,
    },
    Mistake {
        given: "portmuster check /dev/null",
        meant: "portmuster check -i /dev/null",
        find: targets::file_as_target,
    },
    Mistake {
        given: "portmuster check http://10.0.0.1:22/",
        meant: "portmuster check 10.0.0.1:22",
        find: targets::other_scheme,
    },
    Mistake {
        given: "portmuster check ssh://10.0.0.1:22/home",
        meant: "portmuster check ssh://10.0.0.1:22",
        find: targets::path_of_url,
    },
    Mistake {
        given: "portmuster check user@10.0.0.1:22",
        meant: "portmuster check 10.0.0.1:22",
        find: targets::user_name,
    },
    Mistake {
        given: "portmuster check 10.0.0.1,10.0.0.2",
        meant: "portmuster check 10.0.0.1 10.0.0.2",
        find: targets::joined_targets,
    },
    Mistake {
        given: "portmuster check 10.0.0.1 22",
        meant: "portmuster check 10.0.0.1:22",
        find: targets::port_after_host,
    },
    Mistake {
        given: "portmuster check 10.0.0.1 10.0.0.2 22",
        meant: "portmuster check -p 22 10.0.0.1 10.0.0.2",
        find: targets::port_after_hosts,
    },
    Mistake {
        given: "portmuster explain 10.0.0.1",
        meant: "portmuster explain 10.0.0.1:22",
        find: targets::explain_without_port,
    },
    Mistake {
        given: "portmuster explain 10.0.0.1:22 --rate 5",
        meant: "portmuster check 10.0.0.1:22 --rate 5",
        find: options::option_of_other_command,
    },
];

/// A command line with mistakes, and the one that was probably meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Correction {
    /// What is wrong, for an error message.
    pub(crate) reason: String,
    /// The whole command, quoted for a shell.
    pub(crate) command: String,
}

/// Finds the mistakes of a command line; `None` if it has none that the table knows.
///
/// `words` are the arguments after the name of the program.
pub(crate) fn correct(words: &[OsString]) -> Option<Correction> {
    let words = words.iter().map(|word| word.to_str().map(str::to_owned));
    let mut line = CommandLine::new(words.collect::<Option<_>>()?);
    let mut reasons: Vec<String> = Vec::new();
    for _ in 0..EDITS_MAX {
        let Some(edit) = MISTAKES.iter().find_map(|mistake| (mistake.find)(&line)) else { break };
        if !reasons.contains(&edit.reason) {
            reasons.push(edit.reason);
        }
        line = CommandLine::new(edit.words);
    }
    if reasons.is_empty() {
        return None;
    }
    reasons.truncate(REASONS_MAX);
    Some(Correction { reason: reasons.join("; "), command: shortened(&line.quoted()) })
}

fn shortened(command: &str) -> String {
    match command.char_indices().nth(COMMAND_MAX) {
        Some((end, _)) => format!("{} …", &command[..end]),
        None => command.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Program;

    fn corrected(line: &str) -> Option<String> {
        let words: Vec<_> = line.split(' ').skip(1).map(OsString::from).collect();
        correct(&words).map(|correction| correction.command)
    }

    #[test]
    fn each_mistake_of_the_table_is_corrected_to_a_valid_command() {
        for Mistake { given, meant, .. } in &MISTAKES {
            assert_eq!(corrected(given).as_deref(), Some(*meant), "{given}");
            assert_eq!(corrected(meant), None, "{meant}");
            let parsed = Program::try_parse_from(meant.split(' '));
            assert!(parsed.is_ok(), "{meant}: {parsed:?}");
        }
    }

    #[test]
    fn several_mistakes_are_corrected_in_one_command() {
        let given = "portmuster -Pn -T4 user@10.0.0.1,10.0.0.2 -p- -oX a.xml --max-rate=5";
        let meant = "portmuster check 10.0.0.1 10.0.0.2 -p1-65535 -o xml=a.xml --rate=5";
        assert_eq!(corrected(given).as_deref(), Some(meant));
        let reason = "portmuster always connects, without a ping before it";
        let words: Vec<_> = given.split(' ').skip(1).map(OsString::from).collect();
        assert!(correct(&words).is_some_and(|it| it.reason.contains(reason)));
    }

    #[test]
    fn valid_command_lines_are_left_alone() {
        for line in [
            "portmuster",
            "portmuster --help",
            "portmuster help check",
            "portmuster chekc 10.0.0.1",
            "portmuster check",
            "portmuster check db.example localhost 10.0.0.0/24 [2001:db8::1]:ssh 2001:db8::/120",
            "portmuster check 10.0.0.* 10.0.0.1-50 10.0.0.1,3,5 10.0.0-3.1-254:22,23 10.0.0.1-10.0.3.9",
            "portmuster check ssh://host telnet://host:23 ssh://user@db.example:2222/",
            "portmuster check -i- -p22 -ojsonl=a -o table -o sqlite=b.db --summary json=c --rate 10k",
            "portmuster check 10.0.0.1 -p ssh,telnet,2222-2230 --exclude 10.0.0.9 --seed -1 --rate=max",
            "portmuster --color never check 10.0.0.1 --color=always -v -46 -- 10.0.0.2",
            "portmuster explain 10.0.0.1:22 --first-byte 5s",
            "portmuster diff a.db#-2 a.db --show all",
            "portmuster compare 10.0.0.0/24 --rounds 5 -o jsonl",
            "portmuster list services --json",
            "portmuster man check --dir x",
            "portmuster worker",
        ] {
            assert_eq!(corrected(line), None, "{line}");
        }
    }

    #[test]
    fn suggested_commands_are_quoted_for_a_shell() {
        let words = ["10.0.0.*", "--exclude", "it's", "-i", "", "[::1]:22"].map(OsString::from);
        let correction = correct(&words).expect("the command is missing");
        let expected = r"portmuster check '10.0.0.*' --exclude 'it'\''s' -i '' '[::1]:22'";
        assert_eq!(correction.command, expected);
    }
}
