//! `cargo xtask book`: checks the links of all pages, and builds docs/ as a book.
//!
//! The book contains the pages of docs/ only. A link to another file of the repository becomes text
//! with the path of that file.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::command::{root, run, succeeds};
use crate::links;
use crate::step::Status;

/// The copy of docs/ that the book is built from.
const SOURCE: &str = "target/book-source/docs";

/// Checks the links, and builds the book in target/book if mdbook is installed.
///
/// # Errors
/// A link is broken, the summary lacks a page, or the book can't be built.
pub(crate) fn run_step() -> Result<Status> {
    let broken = links::broken(root())?;
    for link in &broken {
        // A reader that closes the pipe early has seen enough; the exit status still reports.
        let _ = writeln!(io::stdout(), "{link}");
    }
    if !broken.is_empty() {
        bail!("checking the links of the pages: {} lead nowhere, listed above", broken.len());
    }
    if !succeeds("mdbook --version") {
        return Ok(Status::Skipped("mdbook is missing; type: cargo install --locked mdbook"));
    }
    write_source(&root().join("docs"), &root().join(SOURCE))?;
    run(
        &[],
        &format!("mdbook build {SOURCE} --dest-dir {}", root().join("target/book").display()),
    )?;
    Ok(Status::Passed)
}

/// Copies the pages, with links that stay in the book.
fn write_source(docs: &Path, source: &Path) -> Result<()> {
    fs::create_dir_all(source).with_context(|| format!("creating {}", source.display()))?;
    let settings = "book.toml";
    fs::copy(docs.join(settings), source.join(settings)).context("copying docs/book.toml")?;
    for page in links::pages(docs)? {
        let text = in_book(&links::read(&page)?);
        let copy = source.join(page.file_name().context("a page has a name")?);
        fs::write(&copy, text).with_context(|| format!("writing {}", copy.display()))?;
    }
    Ok(())
}

/// Replaces links to files outside docs/ by text.
fn in_book(text: &str) -> String {
    let mut page = text.to_owned();
    for link in links::links(text) {
        let Some(path) = link.target.strip_prefix("../") else { continue };
        let path = path.split('#').next().unwrap_or(path);
        let named = if link.label.contains(path) {
            link.label.to_owned()
        } else {
            format!("{} (`{path}`)", link.label)
        };
        page = page.replace(link.written, &named);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_the_book_become_paths() {
        let text = "[here](a.md) [there](../x/b.md#c) [x/b.md](../x/b.md)";
        assert_eq!(in_book(text), "[here](a.md) there (`x/b.md`) x/b.md");
    }

    #[test]
    fn rust_examples_of_every_page_are_doctests() {
        let doctests = include_str!("doctests.rs");
        for page in links::pages(&root().join("docs")).expect("the folder exists") {
            let path = page.strip_prefix(root()).expect("it is a page of this repository");
            let has_rust = links::read(&page).expect("it is text").contains("\n```rust\n");
            let include = format!("include_str!(\"../../{}\")", path.display());
            assert_eq!(has_rust, doctests.contains(&include), "{}", path.display());
        }
    }

    #[test]
    fn summary_lists_every_page_once() {
        let docs = root().join("docs");
        let summary = links::read(&docs.join("SUMMARY.md")).expect("the summary exists");
        let mut listed: Vec<_> =
            links::links(&summary).iter().map(|link| link.target.to_owned()).collect();
        let name = |page: &std::path::PathBuf| page.file_name().map(|it| it.display().to_string());
        let mut pages: Vec<_> =
            links::pages(&docs).expect("the folder exists").iter().filter_map(name).collect();
        pages.retain(|page| page != "SUMMARY.md");
        listed.sort();
        assert_eq!(listed, pages);
    }
}
