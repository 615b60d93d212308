//! What this process asks of the system before it does anything: that its memory is not written to
//! a file when it crashes, and that little address space is not used up by what is never touched.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Prepares the process; the worker processes do so as well.
pub(crate) fn begin() {
    forbid_core_dumps();
    if getrlimit(Resource::As).current.is_some() {
        share_one_heap();
    }
}

/// What servers have sent, and labels, stay out of files that a crash would leave behind. The limit
/// is what this program is started with by its worker processes, too.
///
/// The process stays dumpable (prctl(2)): otherwise its files in /proc would belong to root, and it
/// reads them to know what it has room for.
fn forbid_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // A lower limit is never refused.
    let _ = setrlimit(Resource::Core, none);
}

/// Lets all threads take memory from one heap.
///
/// The C library gives each thread one of its own, which takes 64 MiB of addresses, and 128 MiB for a
/// moment: under `ulimit -v` no thread's stack found a place any more, although little memory was
/// used.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "nothing else sets how many heaps there may be in this process")]
fn share_one_heap() {
    // SAFETY: it takes two numbers, and no other thread has been started.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

#[cfg(not(target_env = "gnu"))]
fn share_one_heap() {}
