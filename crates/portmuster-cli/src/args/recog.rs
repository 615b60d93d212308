//! The argument that adds fingerprints of software.

use std::{path::PathBuf, sync::OnceLock};

use clap::Args;
use portmuster::software::Fingerprints;

use super::headings;

const RECOG: &str = "\
Name the software of servers also by the fingerprints of the Recog project: the directory xml of \
github.com/rapid7/recog, of which the files of ssh and telnet banners are read. Without it, the built-in \
fingerprints name the software that matters most.";

/// Fingerprints in addition to the built-in ones.
#[derive(Debug, Args)]
#[command(next_help_heading = headings::PROBE)]
pub(crate) struct RecogArgs {
    /// Name software also by fingerprints of the Recog project (its directory xml)
    #[arg(hide_short_help = true, long, value_name = "DIR", long_help = RECOG)]
    recog: Option<PathBuf>,

    /// The fingerprints, once they were read.
    #[arg(skip)]
    fingerprints: OnceLock<Fingerprints>,
}

impl RecogArgs {
    /// Returns the fingerprints of the run, which are read once.
    ///
    /// # Errors
    /// The directory has none, or they can't be read.
    pub(crate) fn fingerprints(&self) -> anyhow::Result<Fingerprints> {
        if let Some(fingerprints) = self.fingerprints.get() {
            return Ok(fingerprints.clone());
        }
        let fingerprints = match &self.recog {
            Some(folder) => Fingerprints::with_recog(folder)?,
            None => Fingerprints::built_in(),
        };
        Ok(self.fingerprints.get_or_init(|| fingerprints).clone())
    }

    /// Returns the files that were read.
    pub(crate) fn files(&self) -> impl Iterator<Item = &std::path::Path> {
        let files = self.fingerprints.get().map_or(&[][..], Fingerprints::recog_files);
        files.iter().map(PathBuf::as_path)
    }
}
