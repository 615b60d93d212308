//! The question `growth`: what silent networks of all sizes cost, in virtual time.
//!
//! Nothing answers, and the settings are the program's defaults. The run loop, the schedule, the event
//! loop and the attempts are those of a real run; sockets and time are simulated. So the figures of
//! CPU and memory are those of the library and of the simulated sockets, without the kernel's.

use std::{
    env,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use portmuster::{
    Config, Target,
    config::{MaxMissed, Patience, defaults},
    simulator::{Network, ServerBehaviour, Simulator},
};
use serde::{Deserialize, Serialize};

use crate::{
    arguments::at_least_one,
    cost::{Cost, measure},
    harness::Harness,
    row::{Measurement, Row, count},
    section::{Goal, Section, Wanted},
    watch::figure,
};

/// The targets of a /8 with two ports.
const SLASH_8: usize = 1 << 25;

/// How long each process of a /8 that is killed runs, in seconds: a bit more than a block takes, so that
/// they are killed at different moments of it.
const KILLED_AFTER: u64 = 270;

/// The longest virtual time of a /8 that is not killed, in hours.
const HOURS_MAX: f64 = 2.1;

/// The most memory of any run, in MiB: that of the library and of the simulated sockets.
const MEMORY_MAX: f64 = 64.0;

/// The most CPU time of a target of the largest network, as a multiple of that of the one with a
/// hundredth of the targets.
const GROWTH_MAX: f64 = 1.5;

/// The ports of each address.
const PORTS: [u16; 2] = [22, 23];

/// Options of the subcommand `growth`.
#[derive(Debug, Args)]
pub(crate) struct GrowthOptions {
    /// The most targets; each run has ten times as many as the one before
    #[arg(long, value_name = "N", default_value_t = 100_000_000, value_parser = at_least_one)]
    largest: usize,
}

/// Options of the hidden subcommand `simulated`.
#[derive(Debug, Args)]
pub(crate) struct SimulatedOptions {
    targets: usize,
    /// Kill the run every few minutes, and continue it from its journal
    #[arg(long)]
    killed: bool,
}

/// The figures of one run, as its process prints them.
#[derive(Debug, Serialize, Deserialize)]
struct Figures {
    virtual_time: Duration,
    wall: Duration,
    cpu: Duration,
    peak_kib: u64,
    attempts: u64,
    asked_again: u64,
    /// The bound on the targets that were missed, as a share; `None` if none was stated.
    bound: Option<f64>,
}

/// Runs every size, each in a process of its own, whose peak of memory is that of its run.
pub(crate) fn run(options: &GrowthOptions, harness: &mut Harness) -> Result<()> {
    let tens = (4..).map(|power| 10_usize.saturating_pow(power));
    let mut sizes: Vec<_> = tens.take_while(|&size| size < options.largest).collect();
    sizes.extend((options.largest > SLASH_8).then_some(SLASH_8));
    sizes.push(options.largest);
    sizes.sort_unstable();
    let mut section = Section {
        title: format!("networks of up to {} targets, none of which answers", options.largest),
        ..Section::default()
    };
    for &targets in &sizes {
        let (name, figures) = (format!("{targets} targets"), measured(targets, &[])?);
        add(&mut section, targets, &name, &figures)?;
        if targets == SLASH_8 {
            let hours = figures.virtual_time.as_secs_f64() / 3600.0;
            let what = format!("hours of a /8, {name}");
            section.goals.push(Goal::number(what, hours, Wanted::AtMost, HOURS_MAX));
        }
    }
    let hundredth = options.largest / 100;
    if let Some(place) = sizes.iter().position(|&size| size == hundredth)
        && let Some(largest) = section.rows.last()
    {
        let ratio = largest.cpu_ratio(&section.rows[place]);
        let what = format!("CPU of a target, of {} to {hundredth}", options.largest);
        section.goals.push(Goal::at_most(what, ratio, GROWTH_MAX));
    }
    if options.largest >= SLASH_8 {
        let figures = measured(SLASH_8, &["--killed"])?;
        add(&mut section, SLASH_8, &format!("{SLASH_8} targets, killed often"), &figures)?;
    }
    harness.add(section)
}

/// Adds a run to the section.
fn add(section: &mut Section, targets: usize, name: &str, figures: &Figures) -> Result<()> {
    let cost = Cost { wall: figures.wall, cpu: figures.cpu };
    let memory_kib = Some(figures.peak_kib);
    let measurement = Measurement { cost, memory_kib, accuracy: None };
    section.rows.push(Row::new(name, targets, &[measurement]));
    section.notes.push(describe(name, figures));
    writeln!(anstream::stdout(), "  {}", measurement.describe(targets))?;
    let memory = count(usize::try_from(figures.peak_kib).unwrap_or(usize::MAX)) / 1024.0;
    let what = format!("MiB of memory at the peak, {name}");
    section.goals.push(Goal::number(what, memory, Wanted::AtMost, MEMORY_MAX));
    Ok(())
}

fn describe(name: &str, figures: &Figures) -> String {
    let Figures { virtual_time, attempts, asked_again, bound, .. } = figures;
    let bound = bound.map_or("none".into(), |bound| format!("{:.4} %", bound * 100.0));
    format!(
        "{name}: {:.1} s of virtual time, {attempts} attempts, {asked_again} targets asked again, bound {bound}",
        virtual_time.as_secs_f64()
    )
}

/// Makes a run in a process of its own.
fn measured(targets: usize, more: &[&str]) -> Result<Figures> {
    let this = env::current_exe().context("finding this program")?;
    let output = Command::new(this).arg("simulated").arg(targets.to_string()).args(more).output();
    let output = output.context("starting a simulated run")?;
    ensure!(output.status.success(), "the simulated run failed: {output:?}");
    serde_json::from_slice(&output.stdout).context("reading the figures of a simulated run")
}

/// Makes a run, and prints its figures.
pub(crate) fn simulated(options: &SimulatedOptions) -> Result<()> {
    let &SimulatedOptions { targets, killed } = options;
    let config = Config::builder().patience(Patience::Adaptive).max_missed(MaxMissed::default());
    let config = config.build().context("choosing settings")?;
    let network = Network::new(1).otherwise(ServerBehaviour::Silent);
    let mut outcomes = 0;
    let simulator = Simulator::new(&config, &network);
    let (run, cost) = measure(|| {
        if !killed {
            return Ok(simulator.run_each((0..targets).map(target), |_| outcomes += 1));
        }
        let positions = u64::try_from(targets).context("counting the targets")?;
        // Every target gets two attempts.
        let seconds = 2 * positions / u64::from(defaults::RATE);
        let processes = usize::try_from(seconds / KILLED_AFTER).context("counting processes")?;
        let kills = vec![Duration::from_secs(KILLED_AFTER); processes];
        let nth = |position| target(usize::try_from(position).unwrap_or(usize::MAX));
        Ok(simulator.run_killed(positions, nth, &kills, |_| outcomes += 1))
    })?;
    ensure!(outcomes == targets, "{outcomes} outcomes for {targets} targets");
    let certainty = run.certainty.context("the run estimated nothing")?;
    let figures = Figures {
        virtual_time: run.elapsed,
        wall: cost.wall,
        cpu: cost.cpu,
        peak_kib: figure("/proc/self/status", "VmHWM:").context("reading the peak of memory")?,
        attempts: run.account.passes.started,
        asked_again: certainty.silent.asked_again,
        bound: certainty.missed_share(),
    };
    let line = serde_json::to_string(&figures).context("writing figures")?;
    writeln!(anstream::stdout(), "{line}").context("printing figures")
}

/// Returns the target with this number: both ports of each address, from 10.0.0.0 on.
fn target(number: usize) -> Target {
    let address = u32::try_from(number / PORTS.len()).unwrap_or(u32::MAX);
    let address = Ipv4Addr::from_bits(0x0A00_0000_u32.wrapping_add(address));
    Target::from(SocketAddr::from((address, PORTS[number % PORTS.len()])))
}
