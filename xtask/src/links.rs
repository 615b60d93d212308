//! Checks the links between the pages of this repository.
//!
//! A link is `[text](target)` outside code. A relative target must be a file, or a folder, and its
//! anchor a heading of that page. Targets with a scheme are not checked, because that would need a
//! network.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folders that have pages, from the root of the repository.
const FOLDERS: [&str; 8] = [
    ".",
    "bench",
    "crates/portmuster",
    "crates/portmuster-cli",
    "crates/portmuster-lab",
    "crates/portmuster-python",
    "crates/portmuster-report",
    "docs",
];

/// Returns every link that leads nowhere, with its page.
///
/// # Errors
/// A page can't be read.
pub(crate) fn broken(root: &Path) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for folder in FOLDERS {
        for page in pages(&root.join(folder))? {
            let text = read(&page)?;
            for link in links(&text) {
                if let Some(why) = why_broken(&page, &text, link.target)? {
                    let page = page.strip_prefix(root).unwrap_or(&page).display();
                    broken.push(format!("{page}: {}: {why}", link.target));
                }
            }
        }
    }
    Ok(broken)
}

/// Returns the pages in a folder, sorted. A page that is a symbolic link has its place elsewhere.
///
/// # Errors
/// The folder can't be read.
pub(crate) fn pages(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut pages = Vec::new();
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if path.extension() == Some(OsStr::new("md")) && entry.file_type()?.is_file() {
            pages.push(path);
        }
    }
    pages.sort();
    Ok(pages)
}

/// Reads a page.
///
/// # Errors
/// It can't be read.
pub(crate) fn read(page: &Path) -> Result<String> {
    fs::read_to_string(page).with_context(|| format!("reading {}", page.display()))
}

/// Returns why a link on a page is broken; `None` if it is not.
fn why_broken(page: &Path, text: &str, target: &str) -> Result<Option<&'static str>> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(None);
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = page.parent().unwrap_or(page).join(path);
    if !path.is_empty() && !file.exists() {
        return Ok(Some("there is no such file"));
    }
    if anchor.is_empty() {
        return Ok(None);
    }
    let anchors = if path.is_empty() { anchors(text) } else { anchors(&read(&file)?) };
    Ok((!anchors.contains(anchor)).then_some("the page has no such heading"))
}

/// A link on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link<'a> {
    /// The link as it is written, from `[` to `)`.
    pub(crate) written: &'a str,
    /// The text between the brackets.
    pub(crate) label: &'a str,
    /// The text between the parentheses.
    pub(crate) target: &'a str,
}

/// Returns the links of a page, without those in code.
pub(crate) fn links(text: &str) -> Vec<Link<'_>> {
    let mut links = Vec::new();
    for prose in prose(text) {
        let mut at = 0;
        while let Some(middle) = prose[at..].find("](").map(|found| at + found) {
            at = middle + 2;
            let Some(length) = prose[at..].find(')') else { break };
            let Some(start) = prose[..middle].rfind('[') else { continue };
            links.push(Link {
                written: &prose[start..=at + length],
                label: &prose[start + 1..middle],
                target: prose[at..at + length].trim(),
            });
        }
    }
    links
}

/// Returns the text between the fenced blocks of a page.
fn prose(text: &str) -> Vec<&str> {
    let mut prose = Vec::new();
    let (mut start, mut at, mut in_block) = (0, 0, false);
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with("```") {
            if !in_block {
                prose.push(&text[start..at]);
            }
            in_block = !in_block;
            start = at + line.len();
        }
        at += line.len();
    }
    if !in_block {
        prose.push(&text[start..]);
    }
    prose
}

/// Returns the anchors of a page's headings, as mdBook and most forges make them: lower case, words
/// joined by `-`, without other punctuation.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings =
        prose(text).into_iter().flat_map(str::lines).filter(|line| line.starts_with('#'));
    headings.map(|heading| anchor(heading.trim_start_matches('#').trim())).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        _ if letter.is_alphanumeric() || "-_".contains(letter) => Some(letter),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::root;

    #[test]
    fn every_link_leads_to_a_file_and_a_heading() {
        let broken = broken(root()).expect("the pages can be read");
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }

    #[test]
    fn links_in_code_blocks_are_no_links() {
        let text = "a [b\nc](d.md#e)\n```text\n[x](y)\n```\n![f](g.svg)";
        let links: Vec<_> = links(text).iter().map(|link| (link.label, link.target)).collect();
        assert_eq!(links, [("b\nc", "d.md#e"), ("f", "g.svg")]);
    }

    #[test]
    fn anchors_are_headings_in_lower_case_without_punctuation() {
        let anchors = anchors("# One, two\n```sh\n# three\n```\n### `csv`: tables\n");
        assert_eq!(anchors.into_iter().collect::<Vec<_>>(), ["csv-tables", "one-two"]);
    }

    #[test]
    fn missing_files_and_headings_are_found() {
        let page = root().join("README.md");
        let why = |target| why_broken(&page, "# Here\n", target).expect("the pages can be read");
        assert_eq!(why("docs/no-such.md"), Some("there is no such file"));
        assert_eq!(why("docs/gates.md#no-such"), Some("the page has no such heading"));
        assert_eq!(why("#there"), Some("the page has no such heading"));
        for target in ["#here", "docs/gates.md", "bench", "https://example.org/x"] {
            assert_eq!(why(target), None, "{target}");
        }
    }
}
