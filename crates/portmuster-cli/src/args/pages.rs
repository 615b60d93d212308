//! The arguments of what the program says of itself: completions and manual pages.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

const COMPLETIONS_MORE: &str = "\
Examples:
  portmuster completions bash > ~/.local/share/bash-completion/completions/portmuster
  portmuster completions zsh > ~/.zfunc/_portmuster
  portmuster completions fish > ~/.config/fish/completions/portmuster.fish

The folder for zsh has to be in fpath before compinit is called: fpath+=~/.zfunc";

/// Which shell is to complete the command line.
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_MORE)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: Shell,
}

/// A shell that completions are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

const MAN_MORE: &str = "\
Examples:
  portmuster man check | man -l -
  portmuster man --dir ~/.local/share/man/man1";

/// Which pages are written, and where to.
#[derive(Debug, Args)]
#[command(after_help = MAN_MORE)]
pub(crate) struct Man {
    /// The command whose page is printed; without it the program's page is
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    pub(crate) command: Option<String>,

    /// Write all pages into this folder, which is made if need be
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}
