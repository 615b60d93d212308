//! What becomes of outcomes: rows in a format.
//!
//! A [`Sink`] gets outcomes as they complete, in any order, and [`Sink::finish`] once.

use std::io;

use crate::outcome::Outcome;

mod jsonl;
mod row;
mod table;
mod text;

pub use jsonl::Jsonl;
pub(crate) use jsonl::push_json_line;
pub use row::{EvidenceRow, PartRow, Row, SCHEMA};
pub use table::{Paint, Table};
pub use text::{escaped, spelled};

/// Something that writes outcomes.
pub trait Sink {
    /// Takes one outcome. What it writes need not be seen before [`Self::flush`].
    ///
    /// # Errors
    /// It could not be written; the sink is to be given up.
    fn write(&mut self, outcome: &Outcome) -> io::Result<()>;

    /// Makes all that was written seen.
    ///
    /// # Errors
    /// As for [`Self::write`].
    fn flush(&mut self) -> io::Result<()>;

    /// Ends the output, once.
    ///
    /// # Errors
    /// As for [`Self::write`].
    fn finish(&mut self) -> io::Result<()>;
}
