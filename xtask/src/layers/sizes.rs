//! The length of functions and files.

use super::modules::Modules;
use super::sources::Sources;

/// The most lines between the braces of a function, comments and blank lines included. Functions of
/// tests may be longer.
const FUNCTION_LINES_MAX: usize = 70;

/// The most lines of a file, with its tests.
const FILE_LINES_MAX: usize = 800;

/// A finding for each function that is too long.
pub(super) fn check_functions(modules: &Modules) -> Vec<String> {
    let mut findings = Vec::new();
    for module in &modules.all {
        for function in &module.functions {
            if function.body_lines > FUNCTION_LINES_MAX {
                findings.push(format!(
                    "long function: {}/{}:{}: {} has {} lines of {FUNCTION_LINES_MAX}; split it",
                    modules.folder, module.file, function.line, function.name, function.body_lines
                ));
            }
        }
    }
    findings
}

/// A finding for each file that is too long.
pub(super) fn check_files(sources: &Sources) -> Vec<String> {
    let lengths = sources.texts.iter().map(|(file, text)| (file, text.lines().count()));
    lengths
        .filter(|&(_, lines)| lines > FILE_LINES_MAX)
        .map(|(file, lines)| {
            format!(
                "long file: {}/{file} has {lines} lines of {FILE_LINES_MAX}; move a part of it \
                 into a module of its own",
                sources.folder
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions(text: &str) -> Vec<String> {
        let sources = Sources::of("x", &[("src/lib.rs", text)]);
        check_functions(&Modules::parse(&sources).expect("the source parses"))
    }

    #[test]
    fn function_is_too_long_from_71_lines_on() {
        let function = |lines| format!("\nfn f(\n) {{\n{}}}", "// a line\n".repeat(lines));
        assert_eq!(functions(&function(70)), Vec::<String>::new());
        assert_eq!(
            functions(&function(71)),
            ["long function: x/src/lib.rs:2: f has 71 lines of 70; split it"]
        );
    }

    #[test]
    fn methods_count_and_tests_do_not() {
        let body = "\n".repeat(72);
        let method = |attribute| format!("impl S {{ {attribute} fn f() {{{body}}} }}");
        assert_eq!(functions(&method("")).len(), 1);
        assert_eq!(functions(&method("#[cfg(test)]")).len(), 0);
        assert_eq!(functions(&format!("trait T {{ fn f() {{{body}}} }}")).len(), 1);
        assert_eq!(functions(&format!("#[test] fn f() {{{body}}}")).len(), 0);
        assert_eq!(functions(&format!("#[cfg(test)] mod t {{ fn f() {{{body}}} }}")).len(), 0);
    }

    #[test]
    fn file_is_too_long_from_801_lines_on() {
        let findings = |lines| {
            let text = "\n".repeat(lines);
            check_files(&Sources::of("x", &[("tests/a.rs", &text)]))
        };
        assert_eq!(findings(800), Vec::<String>::new());
        assert_eq!(
            findings(801),
            ["long file: x/tests/a.rs has 801 lines of 800; move a part of it into a module of \
              its own"]
        );
    }
}
