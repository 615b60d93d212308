//! The end of a feed that Python code fills.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use portmuster::targets::{Excludes, Order, Ports, Shard, TargetSet};
use pyo3::{exceptions::PyStopIteration, prelude::*};

use crate::{
    errors::bad_target,
    feed::{Fed, Feed},
    input, item,
};

/// How often a feeder lets other threads of Python run, in items. An iterable that is implemented in C
/// never does.
const BREATH: u64 = 1024;

/// How items are read.
#[derive(Debug)]
pub(crate) enum ItemForm {
    /// Pairs of a host and a port.
    Pairs,
    /// Expressions, and pairs or triples of a host, a port and a label.
    Expressions {
        /// The ports of expressions that name none.
        ports: Ports,
        /// What is never connected to.
        excludes: Excludes,
    },
}

/// Takes the items of the user's iterable in a thread of its own. Code of the package calls it.
#[pyclass(frozen, module = "portmuster._native")]
#[derive(Debug)]
pub(crate) struct Feeder {
    feed: Arc<Feed>,
    form: ItemForm,
    /// The number of items that were pushed.
    count: AtomicU64,
}

impl Feeder {
    /// Creates the feeder of a feed.
    pub(crate) fn new(feed: Arc<Feed>, form: ItemForm) -> Self {
        Self { feed, form, count: AtomicU64::new(0) }
    }

    fn read(&self, item: &Bound<'_, PyAny>) -> Result<Fed, item::ItemProblem> {
        match &self.form {
            ItemForm::Pairs => item::pair(item).map(Fed::One),
            ItemForm::Expressions { ports, excludes } => {
                let mut set = TargetSet::new(excludes);
                input::add_item(&mut set, item, ports)?;
                Ok(Fed::Many(Box::new(set.into_targets(Order::Given, Shard::WHOLE))))
            }
        }
    }
}

#[pymethods]
impl Feeder {
    /// Push an item, and wait while the queue is full.
    ///
    /// Raises ``StopIteration`` when the run needs no more, and ``TargetError`` for an item that is no target.
    fn push(&self, item: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = item.py();
        let index = self.count.fetch_add(1, Ordering::Relaxed);
        let fed = self.read(item).map_err(|why| bad_target(index, why))?;
        match self.feed.push(fed) {
            None => return Err(PyStopIteration::new_err(())),
            Some(true) => py.detach(|| self.feed.wait_for_room()),
            Some(false) if index % BREATH == BREATH - 1 => py.detach(|| ()),
            Some(false) => {}
        }
        Ok(())
    }

    /// Report that the iterable has ended.
    fn end(&self) {
        self.feed.end(None);
    }

    /// Report that the iterable has failed. Iterating over the results raises the exception at their end.
    fn fail(&self, error: Bound<'_, PyAny>) {
        self.feed.end(Some(PyErr::from_value(error)));
    }
}
