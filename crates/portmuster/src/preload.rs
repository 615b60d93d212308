//! Preloaded libraries that intercept connect(2), as those of proxychains and torsocks do.
//!
//! Connections are made by system calls, so such a library never sees them. A run that its user believes
//! to be proxied would go straight to its targets.

use std::{
    env,
    ffi::{CStr, c_void},
    fs,
    path::Path,
};

use nix::libc;

/// The names of libraries that define `connect` for a good reason: the C libraries.
const C_LIBRARIES: [&str; 5] = ["libc.so", "libc-", "libc.musl", "ld-musl", "libpthread"];
/// Parts of the names of libraries that redirect connections. They are compared where the program is
/// linked statically, so that nothing can be preloaded and the user may not know it.
const REDIRECTING: [&str; 4] = ["proxychains", "torsocks", "tsocks", "libdsocks"];
/// The variable and the file that list libraries to preload (ld.so(8)).
const VARIABLE: &str = "LD_PRELOAD";
const FILE: &str = "/etc/ld.so.preload";

/// Returns the preloaded library that intercepts connect(2); `None` if there is none.
pub(crate) fn intercepting_library() -> Option<String> {
    let listed = env::var_os(VARIABLE).map(|list| list.to_string_lossy().into_owned());
    let listed = listed.unwrap_or_default() + " " + &fs::read_to_string(FILE).unwrap_or_default();
    if listed.trim().is_empty() {
        return None;
    }
    match symbol_of_connect() {
        Some(symbol) if symbol.object == own_object() => None,
        Some(symbol) => Some(symbol.name).filter(|name| !is_c_library(name)),
        None => redirecting(&listed),
    }
}

/// Where a symbol is defined.
#[derive(Debug)]
struct Symbol {
    /// The path of the library.
    name: String,
    /// Where the library was loaded.
    object: *mut c_void,
}

/// Returns which library a call of `connect` reaches; `None`: the program is linked statically.
#[expect(unsafe_code, reason = "no safe function asks the dynamic linker for a symbol")]
fn symbol_of_connect() -> Option<Symbol> {
    // SAFETY: the name ends with NUL, and looking a symbol up runs no code of its library.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"connect".as_ptr()) };
    if address.is_null() { None } else { defining(address) }
}

/// Returns where this code was loaded; null if that is unknown.
fn own_object() -> *mut c_void {
    let own: fn() -> Option<String> = intercepting_library;
    defining(own as *mut c_void).map_or(std::ptr::null_mut(), |symbol| symbol.object)
}

#[expect(unsafe_code, reason = "no safe function says to which library an address belongs")]
fn defining(address: *mut c_void) -> Option<Symbol> {
    // SAFETY: the structure consists of pointers, for which all bits zero are valid.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: any address may be asked for, and the structure is written before the call returns.
    let is_known = unsafe { libc::dladdr(address, &raw mut info) } != 0;
    if !is_known || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: a path of the dynamic linker ends with NUL and lives as long as its library, which stays
    // loaded, because it was loaded at the start.
    let name = unsafe { CStr::from_ptr(info.dli_fname) }.to_string_lossy().into_owned();
    Some(Symbol { name, object: info.dli_fbase })
}

fn is_c_library(path: &str) -> bool {
    let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
    C_LIBRARIES.iter().any(|start| name.starts_with(start))
}

/// Returns the first library of a list that redirects connections, by its name.
fn redirecting(listed: &str) -> Option<String> {
    let mut libraries = listed.split(|it: char| it == ':' || it.is_whitespace());
    let library = libraries.find(|path| REDIRECTING.iter().any(|part| path.contains(part)))?;
    Some(library.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_of_this_process_belongs_to_the_c_library() {
        let symbol = symbol_of_connect().expect("tests are linked dynamically");
        assert!(is_c_library(&symbol.name), "{symbol:?}");
        assert!(!own_object().is_null() && own_object() != symbol.object);
    }

    #[test]
    fn c_libraries_are_told_from_others() {
        for path in ["/lib/x86_64-linux-gnu/libc.so.6", "/lib/ld-musl-x86_64.so.1", "libc-2.31.so"]
        {
            assert!(is_c_library(path), "{path}");
        }
        for path in ["/usr/lib/libproxychains.so.4", "/usr/lib/libcurl.so.4", "libcap.so", ""] {
            assert!(!is_c_library(path), "{path}");
        }
    }

    #[test]
    fn redirecting_libraries_are_known_by_their_names() {
        let list = "/usr/lib/libfaketime.so.1:/usr/lib/torsocks/libtorsocks.so";
        assert_eq!(redirecting(list), Some("/usr/lib/torsocks/libtorsocks.so".to_owned()));
        assert_eq!(redirecting("/usr/lib/libjemalloc.so.2 "), None);
    }
}
