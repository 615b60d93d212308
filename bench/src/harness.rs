//! The state that all questions share: the portmuster to measure, and the sections so far.

use std::{fs, io::Write, path::PathBuf};

use anyhow::{Context, Result};

use crate::{program, section::Section};

/// The portmuster to measure, and the measured sections.
#[derive(Debug, Default)]
pub(crate) struct Harness {
    /// The program named on the command line.
    pub(crate) program: Option<PathBuf>,
    /// Whether this process runs in namespaces of its own, where nothing can be fetched or built.
    pub(crate) is_inside: bool,
    sections: Vec<Section>,
}

impl Harness {
    pub(crate) fn new(program: Option<PathBuf>, is_inside: bool) -> Self {
        Self { program, is_inside, sections: Vec::new() }
    }

    /// The path of the portmuster to measure, which is built unless one was named.
    pub(crate) fn portmuster(&self) -> Result<PathBuf> {
        match &self.program {
            Some(program) => Ok(program.clone()),
            None if self.is_inside => program::beside("portmuster"),
            None => program::build(),
        }
    }

    /// Prints a section and keeps it for the report.
    pub(crate) fn add(&mut self, mut section: Section) -> Result<()> {
        if cfg!(debug_assertions) {
            let note = "built without optimization: these figures say nothing about speed";
            section.notes.push(note.into());
        }
        writeln!(anstream::stdout(), "{section}").context("printing figures")?;
        self.sections.push(section);
        Ok(())
    }

    /// Writes all sections as JSON.
    pub(crate) fn write_report(&self, path: &PathBuf) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.sections).context("writing a report")?;
        fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    }
}
