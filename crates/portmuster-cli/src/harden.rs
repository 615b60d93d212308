//! Process settings at start: no core dumps, and little unused address space.

use anyhow::bail;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The smallest stack of the main thread with which every command works, in bytes.
const STACK_MIN: u64 = 1 << 20;

/// The usual size of the stack, in bytes.
const STACK_USUAL: u64 = 8 << 20;

/// Applies the settings to this process. Worker processes call it as well.
pub(crate) fn harden() {
    forbid_core_dumps();
    if getrlimit(Resource::As).current.is_some() {
        share_one_heap();
    }
}

/// Raises the limit of the stack to its usual size if it is too small. The system applies it to the stack
/// of the running main thread, too; other threads have stacks of a fixed size.
///
/// # Errors
/// The limit may not be raised as far as needed. Without this check the system would kill the process.
pub(crate) fn ensure_stack() -> anyhow::Result<()> {
    let is_enough = |size: Option<u64>| size.is_none_or(|size| size >= STACK_MIN);
    let Rlimit { current, maximum } = getrlimit(Resource::Stack);
    if is_enough(current) {
        return Ok(());
    }
    let most = maximum.map_or(STACK_USUAL, |maximum| maximum.min(STACK_USUAL));
    let raised = setrlimit(Resource::Stack, Rlimit { current: Some(most), maximum });
    if raised.is_err() || !is_enough(Some(most)) {
        bail!(
            "the stack is limited to {} KiB, and portmuster needs {}: raise the limit with \
             \"ulimit -s {}\"; if that is not permitted, start portmuster from another shell",
            current.unwrap_or_default() / 1024,
            STACK_MIN / 1024,
            STACK_USUAL / 1024
        );
    }
    Ok(())
}

/// Disables core dumps, which would contain labels and bytes of servers.
///
/// Worker processes inherit the limit. The process stays dumpable (prctl(2)): otherwise its files
/// in /proc would belong to root, and it reads them to determine its capacity.
fn forbid_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Lowering a limit always succeeds.
    let _ = setrlimit(Resource::Core, none);
}

/// Makes all threads share one heap.
///
/// By default glibc gives each thread its own heap, which reserves 64 MiB of addresses, and 128 MiB
/// for a moment. Under `ulimit -v`, no addresses would be left for thread stacks although little
/// memory is used.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "no safe function sets the number of heaps")]
fn share_one_heap() {
    // SAFETY: the arguments are plain integers, and no other thread is running yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

#[cfg(not(target_env = "gnu"))]
fn share_one_heap() {}
