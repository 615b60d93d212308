//! The profiles of `--profile`: names for sets of flags.

use std::fmt;

use clap::Args;

use super::headings;

/// A profile: flags with a name.
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    /// When to use it.
    about: &'static str,
    flags: &'static [&'static str],
}

/// The profiles, from the gentlest to the most thorough.
pub(crate) static PROFILES: [Profile; 4] = [
    Profile {
        name: "gentle",
        about: "for fragile devices and slow links",
        flags: &["--rate=200", "--per-host=1"],
    },
    Profile { name: "normal", about: "the defaults", flags: &["--rate=10k", "--per-host=4"] },
    Profile {
        name: "fast",
        about: "for networks that bear it, with answers within 5 s",
        flags: &["--rate=100k", "--per-host=32", "--timeout=5s"],
    },
    Profile {
        name: "thorough",
        about: "for lossy networks, or to be surer of silent targets",
        flags: &["--patience=full", "--retries=3", "--max-missed=0.01%"],
    },
];

impl fmt::Display for Profile {
    /// Writes the flags and when to use them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.flags.join(" "), self.about)
    }
}

/// Returns the flags of a profile; `None` if there is none of this name.
pub(crate) fn profile_flags(name: &str) -> Option<&'static [&'static str]> {
    PROFILES.iter().find(|profile| profile.name == name).map(|profile| profile.flags)
}

/// Which profile to use.
#[derive(Debug, Args)]
pub(crate) struct ProfileArgs {
    /// Flags for a kind of network
    #[arg(
        long,
        value_name = "NAME",
        value_parser = PROFILES.each_ref().map(|profile| profile.name),
        hide_possible_values = true,
        help_heading = headings::SPEED,
        help = help(),
        long_help = long_help()
    )]
    profile: Option<String>,
}

fn help() -> String {
    let names = PROFILES.each_ref().map(|profile| profile.name);
    let [rest @ .., last] = &names;
    format!("{} or {last}", rest.join(", "))
}

fn long_help() -> String {
    let width = PROFILES.iter().map(|profile| profile.name.len()).max().unwrap_or_default();
    let start = "Use the flags of a profile, except those that are given themselves:";
    PROFILES.iter().fold(start.to_owned(), |help, profile| {
        let Profile { name, about, flags } = profile;
        format!("{help}\n  {name:<width$}  {about}\n  {:width$}  {}", "", flags.join(" "))
    })
}
