//! The login program of the telnet servers.

use std::{
    fs::{Permissions, set_permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::program;
use crate::LabError;

/// Asks for a name and a password and believes neither.
const LOGIN: &str = "#!/bin/sh
printf 'lab login: '
read -r name || exit 1
printf 'Password: '
read -r password || exit 1
printf '\\nLogin incorrect\\n'
";

/// Makes it in this folder.
pub(super) fn make(folder: &Path) -> Result<PathBuf, LabError> {
    let path = folder.join("login");
    program::write(&path, LOGIN)?;
    set_permissions(&path, Permissions::from_mode(0o700))
        .map_err(|error| program::prepare(&path, error))?;
    Ok(path)
}
