//! The question `silent`: a network of which most is silent, at the defaults.

use anyhow::Result;

use crate::{harness::Harness, namespace::Namespace, row::Row};

mod behind;
mod contest;
mod cost;
mod growth;
mod options;
mod scanner;

pub(crate) use options::SilentOptions;

use contest::Contest;
use options::SilentPart;

/// Runs the selected measurements and adds their sections to the report of `harness`.
pub(crate) fn run(options: &SilentOptions, harness: &mut Harness) -> Result<()> {
    // The link has namespaces of its own, so no setting of this one matters.
    Namespace::prepare()?;
    let program = harness.portmuster()?;
    for part in &options.parts {
        match part {
            SilentPart::Contest => {
                let mut lossless: Option<Row> = None;
                for &loss in &options.loss {
                    let contest = Contest { options, program: &program, loss };
                    let section = contest.run(lossless.as_ref())?;
                    if loss == 0 {
                        lossless = section.rows.first().cloned();
                    }
                    harness.add(section)?;
                }
            }
            SilentPart::Cost => {
                harness.add(cost::run(&program, options.prefix, options.rounds)?)?;
            }
            SilentPart::Growth => harness.add(growth::run(&program, &options.growth)?)?,
        }
    }
    Ok(())
}
