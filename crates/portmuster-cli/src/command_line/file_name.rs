//! Tells names of files from names of hosts.

use std::path::Path;

/// Extensions of file names that are no top-level domains of the internet.
const EXTENSIONS: [&str; 25] = [
    "txt", "csv", "tsv", "json", "jsonl", "ndjson", "xml", "html", "htm", "lst", "list", "yaml",
    "yml", "ini", "log", "conf", "cfg", "xls", "xlsx", "gz", "sqlite", "toml", "nmap", "gnmap",
    "out",
];

/// Returns the extension of a word that looks like the name of a file, because no host of the internet
/// has such a name; `None`: the word may be a host.
pub(crate) fn extension(word: &str) -> Option<&str> {
    let extension = Path::new(word).extension()?.to_str()?;
    let lower = extension.to_ascii_lowercase();
    EXTENSIONS.contains(&lower.as_str()).then_some(extension)
}

/// Returns whether a word that may name a file or a host names a file.
pub(crate) fn is_file_name(word: &str) -> bool {
    word == "-" || extension(word).is_some() || Path::new(word).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_have_extensions_that_are_no_domains() {
        for word in ["a.txt", "A.CSV", "/tmp/scan.xml", "b.tar.gz", "-"] {
            assert!(is_file_name(word), "{word}");
        }
        for word in ["a.example", "10.0.0.1", "db", "a.txt:22", "a.md", "a.zip", ""] {
            assert!(!is_file_name(word), "{word}");
        }
    }
}
