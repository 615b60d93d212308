//! Programs of the system, and the files they are given.

use std::{
    env, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::LabError;

/// Where servers live; a user's `PATH` often lacks them.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// The absolute path of a program.
pub(super) fn find(program: &'static str, package: &'static str) -> Result<PathBuf, LabError> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|path| path.is_absolute() && is_executable(path))
        .ok_or(LabError::MissingProgram { program, package })
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Runs a program to its end.
pub(super) fn run(program: &'static str, command: &mut Command) -> Result<(), LabError> {
    ask(program, command).map(drop)
}

/// Runs a program to its end; what it wrote to its standard output.
pub(super) fn ask(program: &'static str, command: &mut Command) -> Result<String, LabError> {
    let failed = |reason| LabError::Program { program, reason };
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{}, it wrote {:?}", output.status, stderr.trim())))
}

/// A temporary folder that only this user can read.
pub(super) fn folder() -> Result<TempDir, LabError> {
    tempfile::Builder::new()
        .prefix("portmuster-lab-")
        .tempdir()
        .map_err(|error| prepare(&env::temp_dir(), error))
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), LabError> {
    fs::write(path, text).map_err(|error| prepare(path, error))
}

pub(super) fn prepare(path: &Path, source: io::Error) -> LabError {
    LabError::Prepare { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_an_error_that_names_its_package() {
        let error = find("no-such-program-anywhere", "its-package").unwrap_err();
        let message = error.to_string();
        assert!(message.contains("no-such-program-anywhere"), "{message}");
        assert!(message.ends_with("install the Debian package its-package"), "{message}");
    }

    #[test]
    fn a_failing_program_is_an_error_with_what_it_wrote() {
        let mut command = Command::new(find("sh", "dash").unwrap());
        let error = run("sh", command.args(["-c", "echo no such luck >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("no such luck"), "{error}");
    }
}
