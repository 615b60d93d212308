//! The part `cost`: the CPU time that a silent target takes, beside that of a bare attempt.
//!
//! The baseline sends the same SYNs: it connects to each target as often, and waits as long.

use std::{net::Ipv4Addr, path::Path};

use anyhow::Result;
use rustix::process::{Resource, getrlimit};

use super::behind::{WatchedLink, portmuster};
use crate::{
    arguments::cores,
    baseline,
    contest::{Demand, run_rounds},
    list::List,
    program::Depth,
    section::{Goal, Section},
    span::Span,
};

/// The first target's address. No network of the link contains it.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 216, 0, 0);

/// How often, and for how many milliseconds, portmuster waits for most targets.
const PASSES: usize = 2;
const PATIENCE_MS: u64 = 3200;

/// The most CPU time, as a multiple of the baseline's.
const CPU_MAX: f64 = 1.3;

/// Descriptors of a table that are reserved for other files than sockets, and the most sockets of one.
const RESERVE: u64 = 64;
const SOCKETS_MAX: u64 = 20_000 - RESERVE;

/// Runs the baseline and portmuster against as many targets as a network of this prefix length has.
pub(super) fn run(program: &Path, prefix: u8, rounds: usize) -> Result<Section> {
    let targets = Span::network(prefix).targets;
    let list = List::new(Span::silent(FIRST, targets))?;
    let link = WatchedLink::new(0);
    let mut bare = baseline::timed_command(threads(targets), list.span(), targets, PATIENCE_MS)?;
    bare.args(["--passes", &PASSES.to_string()]);
    let setting = ["--rate", "max", "--no-canaries"];
    let input = ["--input".into(), list.path().into_os_string()];
    let ours = portmuster(program, &input, &setting);
    let silence = baseline::expected_silence(PASSES * targets);
    let mut candidates = [
        link.candidate(&list, "the baseline, two passes", bare, silence),
        link.candidate(
            &list,
            "portmuster --rate max --no-canaries",
            ours,
            Depth::Connect.expected(),
        ),
    ];
    let title = format!("{targets} targets, all of them silent");
    let mut section = run_rounds(title, &mut candidates, rounds, Demand::Exact)?;
    drop(candidates);
    let (baseline, ours) = (&section.rows[0], &section.rows[1]);
    let what = format!("CPU, {} to {}", ours.name, baseline.name);
    section.goals = vec![Goal::at_most(what, ours.cpu_ratio(baseline), CPU_MAX)];
    section.unit = None;
    (section.notes, section.settings) = (link.notes(), link.settings());
    Ok(section)
}

/// Threads of the baseline: one per core, and as many as the sockets need descriptor tables.
fn threads(sockets: usize) -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = descriptors.saturating_sub(RESERVE).clamp(1, SOCKETS_MAX);
    sockets.div_ceil(usize::try_from(most).unwrap_or(usize::MAX)).max(cores())
}
