//! Makes rustdoc test the Rust examples of docs/.
//!
//! They are here because the package of the library does not contain docs/.

#[cfg(doctest)]
#[doc = include_str!("../../docs/library.md")]
struct Library;
