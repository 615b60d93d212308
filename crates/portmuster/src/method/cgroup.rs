//! Limits that the control groups of this process set.
//!
//! Version 2 has one hierarchy of groups, version 1 has one per controller. Any group above this
//! process's own may set a limit. Inside a container the path in `/proc/self/cgroup` may be the
//! host's, which does not exist there: folders that do not exist are ignored.

use std::{
    fs,
    path::{Path, PathBuf},
};

const MOUNTED: &str = "/sys/fs/cgroup";

/// Returns how many bytes of memory this process may still allocate before a group reaches its
/// limit; `None` if no group has a limit. Reclaimable page cache counts as free.
pub(super) fn memory() -> Option<u64> {
    let second = folders("", "").filter_map(|group| left(&group, "memory.max", "memory.current"));
    let first = folders("memory", "memory")
        .filter_map(|group| left(&group, "memory.limit_in_bytes", "memory.usage_in_bytes"));
    second.chain(first).min()
}

/// Returns how many processes and threads the groups of this process permit; `None` if any number.
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

/// Returns the folders of this process's group for a controller, and of all groups above it.
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

/// Finds the path of a controller's group in the text of `/proc/self/cgroup`. The empty controller
/// stands for version 2.
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
    fn group_path_is_found_by_controller() {
        let groups = "9:name=systemd:/\n4:memory:/a:b/c\n1:cpu,cpuacct:/d\n0::/e\n";
        assert_eq!(path_in(groups, "memory"), Some("/a:b/c"));
        assert_eq!(path_in(groups, "cpuacct"), Some("/d"));
        assert_eq!(path_in(groups, ""), Some("/e"));
        assert_eq!(path_in(groups, "pids"), None);
    }

    #[test]
    fn inactive_page_cache_counts_as_free() {
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
