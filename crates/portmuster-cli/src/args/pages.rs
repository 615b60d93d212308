//! The arguments of `portmuster completions` and `portmuster man`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  portmuster completions bash > ~/.local/share/bash-completion/completions/portmuster
  portmuster completions zsh > ~/.zfunc/_portmuster
  portmuster completions fish > ~/.config/fish/completions/portmuster.fish

For zsh, the directory must be in fpath before compinit runs: fpath+=~/.zfunc";

/// The shell to generate completions for.
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(crate) struct Completions {
    /// Shell to generate completions for
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: Shell,
}

/// A supported shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

const MAN_EXAMPLES: &str = "\
Examples:
  portmuster man check | man -l -
  portmuster man --dir ~/.local/share/man/man1";

/// Which manual pages to generate, and where to write them.
#[derive(Debug, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub(crate) struct Man {
    /// Command whose page to print [default: the page of the program]
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    pub(crate) command: Option<String>,

    /// Write all pages to this directory, and create it if necessary
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}
