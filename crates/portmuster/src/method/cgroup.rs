//! What the control groups of this process leave it.
//!
//! Groups of the second version stand in one hierarchy, those of the first in one for each
//! controller; a limit may stand at any group above this process's own. Inside a container the
//! path that the system tells may be the host's, which is not there: what is there is asked.

use std::{
    fs,
    path::{Path, PathBuf},
};

const MOUNTED: &str = "/sys/fs/cgroup";

/// Bytes of memory that this process may still take before a group's limit is reached; `None`:
/// no group has one. What was read from files and is not in use counts as free.
pub(super) fn memory() -> Option<u64> {
    let second = folders("", "").filter_map(|group| left(&group, "memory.max", "memory.current"));
    let first = folders("memory", "memory")
        .filter_map(|group| left(&group, "memory.limit_in_bytes", "memory.usage_in_bytes"));
    second.chain(first).min()
}

/// Processes and threads that a group of this process may have; `None`: any number.
pub(super) fn tasks() -> Option<u64> {
    let groups = folders("", "").chain(folders("pids", "pids"));
    groups.filter_map(|group| number(&group.join("pids.max"))).min()
}

fn left(group: &Path, limit: &str, usage: &str) -> Option<u64> {
    let (limit, usage) = (number(&group.join(limit))?, number(&group.join(usage))?);
    let statistics = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let reclaimable = statistics.lines().find_map(|line| line.strip_prefix("inactive_file "));
    let reclaimable = reclaimable.and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
    Some(limit.saturating_sub(usage.saturating_sub(reclaimable)))
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The folders of this process's group of that controller and of all groups above it.
fn folders(controller: &str, mounted: &str) -> impl Iterator<Item = PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = path_in(&groups, controller).map(|path| {
        let root = Path::new(MOUNTED).join(mounted);
        (root.join(path.trim_start_matches('/')), root)
    });
    group.into_iter().flat_map(|(group, root)| {
        let all: Vec<_> = group.ancestors().map(PathBuf::from).collect();
        all.into_iter().take_while(move |folder| folder.starts_with(&root))
    })
}

/// The group in which `/proc/self/cgroup` says that a process is; no controller at all stands for
/// the second version.
fn path_in<'a>(groups: &'a str, controller: &str) -> Option<&'a str> {
    groups.lines().find_map(|line| {
        let (_number, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers.split(',').any(|named| named == controller).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_controller() {
        let groups = "9:name=systemd:/\n4:memory:/a:b/c\n1:cpu,cpuacct:/d\n0::/e\n";
        assert_eq!(path_in(groups, "memory"), Some("/a:b/c"));
        assert_eq!(path_in(groups, "cpuacct"), Some("/d"));
        assert_eq!(path_in(groups, ""), Some("/e"));
        assert_eq!(path_in(groups, "pids"), None);
    }

    #[test]
    fn what_files_take_and_nobody_uses_is_free() {
        let group = tempfile::tempdir().expect("a folder");
        let write = |file: &str, text: &str| {
            fs::write(group.path().join(file), text).expect("it can be written");
        };
        write("memory.max", "1000\n");
        write("memory.current", "900\n");
        assert_eq!(left(group.path(), "memory.max", "memory.current"), Some(100));
        write("memory.stat", "active_file 7\ninactive_file 300\n");
        assert_eq!(left(group.path(), "memory.max", "memory.current"), Some(400));
        write("memory.max", "max\n");
        assert_eq!(left(group.path(), "memory.max", "memory.current"), None);
    }
}
