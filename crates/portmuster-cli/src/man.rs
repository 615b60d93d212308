//! `portmuster man`: renders the help as manual pages.

use std::{fs, io, path::Path};

use anyhow::{Context, anyhow};
use clap::{Command, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use crate::{
    args::{self, Program},
    status::Status,
    terminal,
};

/// Prints one page, or writes all pages to a directory.
///
/// # Errors
/// The command does not exist.
pub(crate) fn run(man: &args::Man) -> anyhow::Result<Status> {
    let program = program();
    if let Some(folder) = &man.dir {
        return Ok(match write_all(&program, folder) {
            Ok(()) => Status::Complete,
            Err(error) => {
                terminal::error(&error);
                Status::Incomplete
            }
        });
    }
    let command = match &man.command {
        None => &program,
        Some(name) => visible(&program)
            .find(|command| command.get_name() == name)
            .ok_or_else(|| anyhow!("there is no command {name:?}: see portmuster --help"))?,
    };
    Ok(terminal::print(&mut io::stdout(), &page(command)?))
}

/// Returns the command line with all names built.
fn program() -> Command {
    let mut program = with_help(Program::command()).disable_help_subcommand(true);
    program.build();
    program
}

/// Returns the command with a long help for each argument that has only a short one, because pages
/// leave out the short help of arguments that `-h` does not list.
fn with_help(command: Command) -> Command {
    let command = command.mut_args(|arg| match (arg.get_long_help(), arg.get_help().cloned()) {
        (None, Some(help)) => arg.long_help(help),
        _ => arg,
    });
    command.mut_subcommands(with_help)
}

/// Returns the commands that are not hidden.
fn visible(program: &Command) -> impl Iterator<Item = &Command> {
    program.get_subcommands().filter(|command| !command.is_hide_set())
}

fn write_all(program: &Command, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    for command in std::iter::once(program).chain(visible(program)) {
        let file = folder.join(Man::new(command.clone()).get_filename());
        fs::write(&file, page(command)?).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

/// Renders the page of a command.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone())
        .source(concat!("portmuster ", env!("CARGO_PKG_VERSION")))
        .manual("Portmuster");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis(command).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if visible(command).next().is_some() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(text) = command.get_after_long_help().or(command.get_after_help()) {
        sections(&text.to_string()).to_writer(&mut page)?;
    }
    see_also(command).to_writer(&mut page)?;
    let page = String::from_utf8_lossy(&page);
    Ok(in_ascii(&with_line_breaks(&in_bold(&page))).into_bytes())
}

/// Renders the usage of the command.
fn synopsis(command: &Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let name = command.get_bin_name().unwrap_or("portmuster");
    let arguments = usage.strip_prefix(name).unwrap_or(usage);
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold(name), roman(arguments)]);
    roff
}

/// Replaces text in backticks by bold text.
fn in_bold(page: &str) -> String {
    let line = |line: &str| {
        let parts: Vec<_> = line.split('`').collect();
        if parts.len() % 2 == 0 {
            return format!("{line}\n");
        }
        let part = |(index, part): (usize, &&str)| match index % 2 {
            0 => (*part).to_owned(),
            _ => format!("\\fB{part}\\fR"),
        };
        parts.iter().enumerate().map(part).collect::<String>() + "\n"
    };
    page.lines().map(line).collect()
}

/// Starts a new line after each indented one, which begins a line itself.
fn with_line_breaks(page: &str) -> String {
    let mut broken = String::with_capacity(page.len());
    let mut was_indented = false;
    for line in page.lines() {
        let is_text = !line.starts_with([' ', '.', '\'']) && !line.is_empty();
        if was_indented && is_text {
            broken.push_str(".br\n");
        }
        was_indented = line.starts_with("  ");
        broken.push_str(line);
        broken.push('\n');
    }
    broken
}

/// Replaces non-ASCII characters by roff escapes, because roff reads text as Latin-1 without a
/// locale.
fn in_ascii(page: &str) -> String {
    let letter = |letter: char| match letter {
        '\0'..='\x7f' => letter.to_string(),
        _ => format!("\\[u{:04X}]", u32::from(letter)),
    };
    page.chars().map(letter).collect()
}

/// Renders the text after the options of the help.
///
/// A line that ends with a colon and precedes indented lines is a heading. The indented lines are
/// copied unchanged; other lines are running text.
fn sections(text: &str) -> Roff {
    let mut roff = Roff::new();
    let mut lines = text.lines().peekable();
    let mut has_heading = false;
    let is_indented = |line: &&str| line.starts_with(' ');
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let heading = line.strip_suffix(':').filter(|_| lines.peek().is_some_and(is_indented));
        if let Some(heading) = heading {
            roff.control("SH", [heading.to_uppercase().as_str()]);
            roff.control("nf", []);
            while let Some(line) = lines.next_if(is_indented) {
                roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
            }
            roff.control("fi", []);
        } else {
            let (control, name) = if has_heading { ("PP", None) } else { ("SH", Some("NOTES")) };
            roff.control(control, name);
            let mut paragraph = line.to_owned();
            while let Some(line) = lines.next_if(|line| !line.is_empty() && !line.ends_with(':')) {
                paragraph = format!("{paragraph} {line}");
            }
            roff.text([roman(paragraph)]);
        }
        has_heading = true;
    }
    roff
}

/// Renders the references to the other pages.
fn see_also(command: &Command) -> Roff {
    let program = program();
    let name = |command: &Command| command.get_display_name().unwrap_or("portmuster").to_owned();
    let others = std::iter::once(&program).chain(visible(&program)).map(name);
    let own = name(command);
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let mut pages = Vec::new();
    for other in others.filter(|other| *other != own) {
        if !pages.is_empty() {
            pages.push(roman(", "));
        }
        pages.extend([bold(other), roman("(1)")]);
    }
    roff.text(pages);
    roff
}
