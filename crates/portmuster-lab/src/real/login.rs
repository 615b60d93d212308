//! The login program of the telnet servers.

use std::{
    fs::{Permissions, set_permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{error::RealServerError, program};

/// A shell script that asks for a name and a password and rejects both.
const LOGIN: &str = "#!/bin/sh
printf 'lab login: '
read -r name || exit 1
printf 'Password: '
read -r password || exit 1
printf '\\nLogin incorrect\\n'
";

/// Creates the login program in this folder and returns its path.
pub(super) fn create(folder: &Path) -> Result<PathBuf, RealServerError> {
    let path = folder.join("login");
    program::write(&path, LOGIN)?;
    set_permissions(&path, Permissions::from_mode(0o700))
        .map_err(|error| program::prepare_error(&path, error))?;
    Ok(path)
}
