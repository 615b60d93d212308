//! Process settings at start: no core dumps, and little unused address space.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Applies the settings to this process. Worker processes call it as well.
pub(crate) fn harden() {
    forbid_core_dumps();
    if getrlimit(Resource::As).current.is_some() {
        share_one_heap();
    }
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
