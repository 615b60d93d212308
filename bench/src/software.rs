//! The question `software`: what naming the software of a server costs.
//!
//! Each banner is another one, so that none is remembered from before. A run remembers 2,048 banners, and the
//! servers of a real network have fewer.

use std::{io::Write, path::PathBuf};

use anyhow::Result;
use clap::Args;
use portmuster::{
    Outcome, PortState, Reason, Service, Target, Verdict,
    outcome::{Identification, ServiceDetails},
    software::Fingerprints,
};

use crate::{
    arguments::at_least_one,
    cost::measure,
    harness::Harness,
    row::{Measurement, Row},
    section::{Goal, Section, Wanted},
};

/// The most CPU time of a banner, in microseconds.
const MICROSECONDS_MAX: f64 = 20.0;

/// Options of the subcommand `software`.
#[derive(Debug, Args)]
pub(crate) struct SoftwareOptions {
    /// Number of banners
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = at_least_one)]
    banners: usize,
    /// Also match the fingerprints of the Recog project (its folder xml)
    #[arg(long, value_name = "DIR")]
    recog: Option<PathBuf>,
}

/// Identifies all banners with the built-in fingerprints, and with those of Recog if they are named.
pub(crate) fn run(options: &SoftwareOptions, harness: &mut Harness) -> Result<()> {
    let mut section = Section {
        title: format!("{} banners of ssh and telnet servers, each another one", options.banners),
        ..Section::default()
    };
    let mut candidates = vec![("built-in fingerprints", Fingerprints::built_in())];
    if let Some(folder) = &options.recog {
        let recog = Fingerprints::with_recog(folder)?;
        candidates.push(("built-in fingerprints and those of Recog", recog));
    } else {
        section.absent.push("the fingerprints of Recog: --recog names no folder".to_owned());
    }
    let outcomes: Vec<_> = (0..options.banners).map(outcome).collect();
    for (name, fingerprints) in candidates {
        let (first, compiling) = measure(|| Ok(fingerprints.identify(&outcome(0))))?;
        section.notes.push(format!(
            "{name}: the first banner takes {:.1} ms, which compile the patterns",
            compiling.wall.as_secs_f64() * 1e3
        ));
        let identify = || {
            let known = outcomes.iter().filter_map(|outcome| fingerprints.identify(outcome));
            Ok(known.count())
        };
        let (known, cost) = measure(identify)?;
        let measurement = Measurement { cost, memory_kib: None, accuracy: None };
        writeln!(anstream::stdout(), "  {name}: {}", measurement.describe(options.banners))?;
        let of = options.banners;
        let first = first.map(|it| it.describe()).unwrap_or_default();
        section.notes.push(format!("{name}: {known} of {of} are known, such as {first}"));
        let row = Row::new(name, options.banners, &[measurement]);
        let what = format!("µs of CPU for a banner, {name}");
        section.goals.push(Goal::number(what, row.cpu.median, Wanted::AtMost, MICROSECONDS_MAX));
        section.rows.push(row);
    }
    harness.add(section)
}

/// Returns an open port whose banner only this number has.
fn outcome(number: usize) -> Outcome {
    let banner = match number % 8 {
        0 => format!("OpenSSH_9.2p1 Debian-2+deb12u{number}"),
        1 => format!("OpenSSH_8.{number} FreeBSD-20240701"),
        2 => format!("dropbear_2022.{number}"),
        3 => format!("Cisco-1.{number}"),
        4 => format!("paramiko_{number}.0"),
        5 => format!("Software{number}_1.0 that no fingerprint names"),
        6 => format!("MikroTik v6.{number} (stable)\r\nLogin: "),
        _ => format!("\r\nhost-{number}.example login: "),
    };
    let mut verdict = Verdict::new(PortState::Open, Reason::Accepted);
    if number % 8 < 6 {
        let (software, comment) = banner.split_once(' ').unwrap_or((&banner, ""));
        let mut identification = Identification::new("2.0", software);
        identification.comment = (!comment.is_empty()).then(|| comment.into());
        let mut details = ServiceDetails::default();
        details.identification = Some(identification);
        verdict.service = Some(Service::Ssh);
        verdict.details = Some(Box::new(details));
    } else {
        verdict.service = Some(Service::Telnet);
        verdict.banner = banner.into_bytes();
    }
    Outcome::new(Target::new("192.0.2.1", 22), verdict)
}
