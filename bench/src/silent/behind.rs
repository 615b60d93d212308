//! Candidates that run behind a link.

use std::{cell::RefCell, ffi::OsStr, fmt::Write, path::Path, process::Command};

use anyhow::Result;

use crate::{
    candidate::Candidate,
    link::{FreshLink, ROUND_TRIP},
    list::{Expected, List},
    row::count,
};

/// A link, and lines about the traffic of the programs behind it.
#[derive(Debug)]
pub(super) struct WatchedLink {
    pub(super) link: FreshLink,
    loss: u32,
    notes: RefCell<Vec<String>>,
}

impl WatchedLink {
    /// A link that loses this percentage of the packets to and from hosts.
    pub(super) fn new(loss: u32) -> Self {
        Self { link: FreshLink::new(loss), loss, notes: RefCell::default() }
    }

    /// A candidate that runs `command` behind the link, started anew.
    pub(super) fn candidate<'a>(
        &'a self,
        list: &'a List,
        name: impl Into<String>,
        command: Command,
        expected: Expected,
    ) -> Candidate<'a> {
        let (name, typed) = (name.into(), list.as_typed(&command));
        // The command that runs is another in each run, because the link is.
        let plain = list.candidate(name.clone(), Command::new(""), expected);
        let (check, targets) = (plain.check, list.span().targets);
        Candidate {
            command: Some(typed),
            prepare: Box::new(|| self.link.restart()),
            run: Box::new(move || list.run(&self.link.wrap(&command)?).map(Some)),
            check: Box::new(move || {
                self.note(&name, targets)?;
                check()
            }),
            ..plain
        }
    }

    /// Notes the traffic of the last run: once for each name, and whenever the link lost packets
    /// against its settings.
    pub(super) fn note(&self, name: &str, targets: usize) -> Result<()> {
        let traffic = self.link.traffic()?;
        let each = count(usize::try_from(traffic.syns).unwrap_or(usize::MAX)) / count(targets);
        let what = format!("SYNs of {name}:");
        let mut note = format!("{what} {each:.2} for each target, at most {}/s", traffic.peak);
        if traffic.overflow > 0 {
            let _ = write!(
                note,
                "; **the link could not keep up, and lost {} packets more**",
                traffic.overflow
            );
        }
        let mut notes = self.notes.borrow_mut();
        if traffic.overflow > 0 || !notes.iter().any(|note| note.starts_with(&what)) {
            notes.push(note);
        }
        Ok(())
    }

    /// The lines about the traffic of all runs.
    pub(super) fn notes(&self) -> Vec<String> {
        self.notes.borrow().clone()
    }

    /// The settings of the link.
    pub(super) fn settings(&self) -> Vec<String> {
        let (round_trip, loss) = (ROUND_TRIP.as_millis(), self.loss);
        vec![format!(
            "a link of portmuster-lab for each run, with a round trip of {round_trip} ms and {loss} % loss"
        )]
    }
}

/// A check with these arguments that prints its rows.
pub(super) fn portmuster(
    program: &Path,
    targets: &[impl AsRef<OsStr>],
    setting: &[&str],
) -> Command {
    let mut command = Command::new(program);
    command.arg("check").args(targets).args(["--progress", "never", "--quiet"]);
    command.args(["--output", "jsonl"]).args(setting);
    command
}
