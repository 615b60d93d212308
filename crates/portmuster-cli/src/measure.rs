//! The cost of a run, measured by the run itself and read by `compare`.

use std::{fs, path::Path};

use anyhow::Context;
use nix::sys::{
    resource::{Usage, UsageWho, getrusage},
    time::TimeVal,
};
use portmuster::{Account, method::WorkersReport};
use serde::{Deserialize, Serialize};

/// The cost of a run, including all its processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) targets: u64,
    /// Processor time of all processes, in seconds.
    pub(crate) cpu_s: f64,
    /// Voluntary and involuntary context switches.
    pub(crate) context_switches: u64,
    pub(crate) peak_in_flight: usize,
    /// Number of attempts per worker.
    pub(crate) shares: Vec<u64>,
}

impl Measured {
    /// Measures this process and the child processes that it has waited for.
    ///
    /// # Errors
    /// getrusage(2) fails.
    pub(crate) fn now(account: &Account, workers: &WorkersReport) -> anyhow::Result<Self> {
        let own = getrusage(UsageWho::RUSAGE_SELF)?;
        let theirs = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        Ok(Self {
            targets: account.settled() + account.excluded,
            cpu_s: cpu_s(&own) + cpu_s(&theirs),
            context_switches: switches(&own) + switches(&theirs),
            peak_in_flight: workers.peak_in_flight,
            shares: workers.shares.clone(),
        })
    }

    /// Writes the cost to a file.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        fs::write(file, serde_json::to_vec(self)?).context("writing the cost of the run")
    }

    /// Reads a file of [`Self::write`].
    ///
    /// # Errors
    /// The file can't be read, or [`Self::write`] did not write it.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(file).context("reading the cost of a run")?;
        Ok(serde_json::from_slice(&bytes)?)
    }
}

fn cpu_s(usage: &Usage) -> f64 {
    let seconds = |time: TimeVal| {
        let micros = u32::try_from(time.tv_usec()).unwrap_or_default();
        let whole = u32::try_from(time.tv_sec()).unwrap_or(u32::MAX);
        f64::from(whole) + f64::from(micros) / 1e6
    };
    seconds(usage.user_time()) + seconds(usage.system_time())
}

fn switches(usage: &Usage) -> u64 {
    let both = usage.voluntary_context_switches() + usage.involuntary_context_switches();
    u64::try_from(both).unwrap_or_default()
}
