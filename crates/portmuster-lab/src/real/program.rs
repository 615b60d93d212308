//! Finds and runs programs of the system, and writes files for them.

use std::{
    env, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::error::RealServerError;

/// Folders where servers are installed; a user's `PATH` often lacks them.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// Returns the absolute path of a program. `package` is the Debian package named in the error.
pub(super) fn find(
    program: &'static str,
    package: &'static str,
) -> Result<PathBuf, RealServerError> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|path| path.is_absolute() && is_executable(path))
        .ok_or(RealServerError::MissingProgram { program, package })
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Runs a program and waits for it. Fails if its exit status is not zero.
pub(super) fn run(program: &'static str, command: &mut Command) -> Result<(), RealServerError> {
    output(program, command).map(drop)
}

/// Runs a program, waits for it, and returns its standard output. Fails if its exit status is not
/// zero.
pub(super) fn output(
    program: &'static str,
    command: &mut Command,
) -> Result<String, RealServerError> {
    let failed = |reason| RealServerError::Program { program, reason };
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{}, it wrote {:?}", output.status, stderr.trim())))
}

/// Creates a temporary folder that only this user can read.
pub(super) fn create_folder() -> Result<TempDir, RealServerError> {
    tempfile::Builder::new()
        .prefix("portmuster-lab-")
        .tempdir()
        .map_err(|error| prepare_error(&env::temp_dir(), error))
}

/// Writes a text file.
pub(super) fn write(path: &Path, text: &str) -> Result<(), RealServerError> {
    fs::write(path, text).map_err(|error| prepare_error(path, error))
}

/// Returns the error for a file or folder that could not be created.
pub(super) fn prepare_error(path: &Path, source: io::Error) -> RealServerError {
    RealServerError::Prepare { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_of_a_missing_program_names_its_package() {
        let error = find("no-such-program-anywhere", "its-package").unwrap_err();
        let message = error.to_string();
        assert!(message.contains("no-such-program-anywhere"), "{message}");
        assert!(message.ends_with("install the Debian package its-package"), "{message}");
    }

    #[test]
    fn error_of_a_failing_program_quotes_its_stderr() {
        let mut command = Command::new(find("sh", "dash").unwrap());
        let error = run("sh", command.args(["-c", "echo no such luck >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("no such luck"), "{error}");
    }
}
