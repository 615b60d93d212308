//! Starts runs: the functions behind those of the package.

use std::sync::Arc;

use portmuster::{Checker, Config, Outcomes, Target, targets::TargetSet};
use pyo3::{
    exceptions::PyTypeError,
    intern,
    prelude::*,
    types::{PyDict, PyIterator, PyString},
};

use crate::{
    checks::Checks,
    errors::{bad_target, not_started},
    feed::{FedTargets, Feed},
    feeder::{Feeder, ItemForm},
    input, item, log,
    port_status::port_status,
    program::with_workers,
    run::{ResultKind, Run, Step},
    settings::{InputSettings, Keywords, check_config, connect_config},
};

/// Check one port, and return its ``PortStatus``. The package's function of this name calls it.
#[pyfunction]
pub(crate) fn check_a_port<'py>(
    py: Python<'py>,
    host: &Bound<'py, PyAny>,
    port: &Bound<'py, PyAny>,
    settings: Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let config = connect_config(&Keywords::known(settings))?;
    let target = item::target(host, port).map_err(|why| bad_target(0, why))?;
    let checker = checker(py, config)?;
    let outcomes = start(py, &checker, std::iter::once(target))?;
    let run = Run::new(outcomes, None);
    loop {
        match py.detach(|| run.wait()) {
            Step::Outcome(outcome) => return port_status(py, &outcome),
            Step::Pending => py.check_signals()?,
            Step::Ended => unreachable!("every target gets an outcome"),
        }
    }
}

/// Check ports, and return their Checks. The package's function of this name calls it.
#[pyfunction]
pub(crate) fn check_ports<'py>(
    py: Python<'py>,
    ip_ports: &Bound<'py, PyAny>,
    settings: Bound<'py, PyDict>,
) -> PyResult<Checks> {
    let config = connect_config(&Keywords::known(settings))?;
    if ip_ports.is_instance_of::<PyString>() {
        let why = "check_ports takes pairs (ip_or_name, port), not a text: for expressions such as \
                   \"10.0.0.0/24:22\", call check";
        return Err(PyTypeError::new_err(why));
    }
    let items = ip_ports.try_iter()?;
    let feed = Arc::<Feed>::default();
    let targets = FedTargets::new(Arc::clone(&feed));
    let outcomes = start(py, &checker(py, config)?, targets)?;
    let run = fed_run(&items, outcomes, feed, ItemForm::Pairs)?;
    Ok(Checks::new(run, ResultKind::PortStatus))
}

/// Check targets, and return their Checks. The package's function of this name calls it.
#[pyfunction]
pub(crate) fn check<'py>(
    py: Python<'py>,
    targets: &Bound<'py, PyAny>,
    settings: Bound<'py, PyDict>,
) -> PyResult<Checks> {
    let keywords = Keywords::of_check(settings)?;
    let config = check_config(&keywords)?;
    let settings = InputSettings::read(&keywords)?;
    let excludes = py.detach(|| input::read_excludes(&settings))?;
    let fingerprints = py.detach(|| input::read_fingerprints(&settings))?;
    let checker = checker(py, config)?.excluding(excludes.clone()).identifying(fingerprints);
    let mut set = TargetSet::new(&excludes);
    // An iterator may be endless, so it is read during the run.
    let streamed = targets.cast::<PyIterator>().ok();
    if streamed.is_none() {
        input::add_all(&mut set, targets, &settings.ports)?;
    }
    py.detach(|| input::add_files(&mut set, &settings))?;
    if streamed.is_none() || !set.is_empty() {
        input::check_size(&set)?;
    }
    let shard = settings.shard;
    let stored = set.into_targets(settings.order, shard);
    let Some(items) = streamed else {
        let outcomes = start(py, &checker, stored)?;
        return Ok(Checks::new(Run::new(outcomes, None), ResultKind::Outcome));
    };
    let feed = Arc::<Feed>::default();
    let streamed = (0_u64..).zip(FedTargets::new(Arc::clone(&feed)));
    let streamed = streamed.filter(move |(index, _)| shard.contains(*index));
    let all = stored.chain(streamed.map(|(_, target)| target));
    let outcomes = start(py, &checker, all)?;
    let form = ItemForm::Expressions { ports: settings.ports, excludes };
    Ok(Checks::new(fed_run(items, outcomes, feed, form)?, ResultKind::Outcome))
}

/// Returns a checker that can start the processes of its method.
fn checker(py: Python<'_>, config: Config) -> PyResult<Checker> {
    let method = config.method();
    with_workers(py, Checker::new(config), method)
}

/// Starts a run.
///
/// # Errors
/// `StartError`: this machine can't start it.
fn start<I>(py: Python<'_>, checker: &Checker, targets: I) -> PyResult<Outcomes>
where
    I: Iterator<Item = Target> + Send + 'static,
{
    let is_asked = checker.config().in_flight().is_some();
    let started = py.detach(|| checker.check(targets));
    let outcomes = started.map_err(|error| not_started(&error))?;
    log::started(py, &outcomes, is_asked);
    Ok(outcomes)
}

/// Starts the thread that takes the items of the user's iterable for a run.
///
/// # Errors
/// No thread can be started.
fn fed_run(
    items: &Bound<'_, PyIterator>,
    outcomes: Outcomes,
    feed: Arc<Feed>,
    form: ItemForm,
) -> PyResult<Arc<Run>> {
    let py = items.py();
    let run = Run::new(outcomes, Some(Arc::clone(&feed)));
    let feeder = Feeder::new(feed, form);
    let module = py.import(intern!(py, "portmuster._feed"))?;
    run.set_feeder(module.call_method1(intern!(py, "start"), (feeder, items))?);
    Ok(run)
}
