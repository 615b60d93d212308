//! Reads what `check` names: targets as expressions, pairs and files, and fingerprints.

use std::{
    error::Error,
    fs::File,
    io::{self, BufReader},
    path::Path,
};

use portmuster::{
    Target,
    software::Fingerprints,
    targets::{Entries, Excludes, LineError, Lines, Ports, TargetSet},
};
use pyo3::{
    exceptions::PyOSError,
    prelude::*,
    types::{PyList, PyString, PyTuple},
};

use crate::{
    errors::{SettingError, StartError, bad_input, bad_target, with_causes},
    item::{self, ItemProblem, describe, excerpt},
    settings::InputSettings,
};

/// The most targets of one run. At the default rate they take three years.
const TARGETS_MAX: u128 = 1 << 40;

/// Adds the targets of one item: an expression such as `10.0.0.0/24:22`, or a tuple of a host, a port
/// and perhaps a label.
///
/// # Errors
/// The item is neither, or can't be parsed.
pub(crate) fn add_item(
    set: &mut TargetSet,
    item: &Bound<'_, PyAny>,
    ports: &Ports,
) -> Result<(), ItemProblem> {
    if let Ok(expression) = item.cast::<PyString>() {
        let expression = expression.to_str().map_err(|error| error.to_string())?;
        let expression = expression.trim();
        let added = set.add(expression, None, ports);
        return added.map_err(|error| format!("{:?}, {error}", excerpt(expression)));
    }
    let words: Vec<Bound<'_, PyAny>> = if let Ok(tuple) = item.cast::<PyTuple>() {
        tuple.iter().collect()
    } else if let Ok(list) = item.cast::<PyList>() {
        list.iter().collect()
    } else {
        Vec::new()
    };
    let (host, port, label) = match words.as_slice() {
        [host, port] => (host, port, None),
        [host, port, label] if label.is_none() => (host, port, None),
        [host, port, label] => (host, port, Some(label)),
        _ => {
            return Err(format!(
                "expected an expression such as \"10.0.0.0/24:22\", or (host, port) or (host, port, \
                 label), not {}",
                describe(item)
            ));
        }
    };
    let label: Option<String> = label
        .map(PyAnyMethods::extract)
        .transpose()
        .map_err(|_| format!("expected a text as label, not {}", describe(&words[2])))?;
    let target = Target::new(item::host_text(host)?, item::port(port)?).to_string();
    let added = set.add(&target, label.as_deref(), ports);
    added.map_err(|error| format!("{:?}, {error}", excerpt(&target)))
}

/// Reads what is never connected to, and looks its names up. The caller must be detached.
///
/// # Errors
/// `TargetError`: an item or a line can't be read. `StartError`: a name can't be looked up.
pub(crate) fn read_excludes(settings: &InputSettings) -> PyResult<Excludes> {
    let mut excludes = Excludes::new();
    for item in settings.exclude.iter().map(String::as_str).chain(settings.other_family) {
        let added = excludes.add(item);
        added.map_err(|error| bad_input(format!("exclude {:?}, {error}", excerpt(item))))?;
    }
    for path in &settings.exclude_files {
        let file = open(path)?;
        let mut lines = Lines::with_rule(BufReader::new(file), settings.options.line_rule());
        let mut add = |item: &str, _: Option<&str>| excludes.add(item);
        while lines.next_item(&mut add).map_err(|error| bad_line(path, &error))?.is_some() {}
    }
    excludes.resolve().map_err(|error| StartError::new_err(with_causes(&error)))?;
    Ok(excludes)
}

/// Adds the targets of an iterable that ends.
///
/// # Errors
/// `TargetError`: an item can't be read. The exceptions of the iterable.
pub(crate) fn add_all(
    set: &mut TargetSet,
    items: &Bound<'_, PyAny>,
    ports: &Ports,
) -> PyResult<()> {
    if items.is_instance_of::<PyString>() {
        return add_item(set, items, ports).map_err(bad_input);
    }
    for (index, item) in (0..).zip(items.try_iter()?) {
        add_item(set, &item?, ports).map_err(|why| bad_target(index, why))?;
    }
    Ok(())
}

/// Adds the targets of the files. The caller must be detached.
///
/// # Errors
/// `OSError`: a file can't be read. `TargetError`: a line can't be read, or a file has no target.
pub(crate) fn add_files(set: &mut TargetSet, settings: &InputSettings) -> PyResult<()> {
    for path in &settings.files {
        let mut entries = Entries::new(BufReader::new(open(path)?), settings.options.clone());
        let mut add = |item: &str, label: Option<&str>| set.add(item, label, &settings.ports);
        let mut is_empty = true;
        while entries.next_item(&mut add).map_err(|error| bad_line(path, &error))?.is_some() {
            is_empty = false;
        }
        if is_empty {
            return Err(bad_input(format!("there is no target in {}", path.display())));
        }
    }
    Ok(())
}

/// Reads the fingerprints that name software. The caller must be detached.
///
/// # Errors
/// `OSError`: a file can't be read. `SettingError`: the folder has no fingerprints, or they are invalid.
pub(crate) fn read_fingerprints(settings: &InputSettings) -> PyResult<Fingerprints> {
    let Some(folder) = &settings.recog else { return Ok(Fingerprints::built_in()) };
    Fingerprints::with_recog(folder).map_err(|error| {
        match error.source().and_then(|cause| cause.downcast_ref()) {
            Some(cause) => cannot_read(cause, error.path()),
            None => SettingError::new_err(format!("recog: {error}")),
        }
    })
}

/// Checks that one run can have the targets of a set.
///
/// # Errors
/// `TargetError`: there are none, or too many.
pub(crate) fn check_size(set: &TargetSet) -> PyResult<()> {
    let count = set.len();
    if count == 0 {
        return Err(bad_input(if set.skipped().is_empty() {
            "there is no target: name one, or files with targets"
        } else {
            "there is no target: all that were named are excluded"
        }));
    }
    if !set.can_be_indexed() || count > TARGETS_MAX {
        return Err(bad_input(format!("{count} targets are too many for one run: name fewer")));
    }
    Ok(())
}

fn open(path: &Path) -> PyResult<File> {
    File::open(path).map_err(|error| cannot_read(&error, path))
}

/// Returns the exception for a file that can't be read.
fn cannot_read(error: &io::Error, path: &Path) -> PyErr {
    let message = error.to_string();
    let why = message.split(" (os error").next().unwrap_or_default().to_owned();
    match error.raw_os_error() {
        // Python chooses the subclass by the number, and shows the path.
        Some(number) => PyOSError::new_err((number, why, path.as_os_str().to_owned())),
        None => PyOSError::new_err(message),
    }
}

fn bad_line(path: &Path, error: &LineError) -> PyErr {
    bad_input(format!("{}, {}", path.display(), with_causes(error)))
}
