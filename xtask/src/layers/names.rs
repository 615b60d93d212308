//! The names of types: two types of one crate that other modules can see differ in their names.

use std::collections::BTreeMap;

use super::modules::Modules;

/// A finding for each name that two or more visible structs, enums, unions, traits or type aliases
/// share.
pub(super) fn check(modules: &Modules) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for module in &modules.all {
        for definition in &module.types {
            let place = format!("{}/{}:{}", modules.folder, module.file, definition.line);
            places.entry(&definition.name).or_default().push(place);
        }
    }
    places
        .into_iter()
        .filter(|(_, places)| places.len() > 1)
        .map(|(name, places)| {
            let lines = places.join("\n  ");
            format!(
                "same name: {} types are called {name}; rename all but one\n  {lines}",
                places.len()
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::sources::Sources;
    use super::*;

    fn findings(files: &[(&str, &str)]) -> Vec<String> {
        check(&Modules::parse(&Sources::of("x", files)).expect("the sources parse"))
    }

    #[test]
    fn visible_types_of_one_name_are_found() {
        let found = findings(&[
            ("src/lib.rs", "mod a; mod b; pub enum Part {}"),
            ("src/a.rs", "pub(crate) struct Part;\npub trait Other {}"),
            ("src/b.rs", "mod c { pub(super) type Part = u8; }"),
        ]);
        assert_eq!(
            found,
            ["same name: 3 types are called Part; rename all but one\n  \
              x/src/lib.rs:1\n  x/src/a.rs:1\n  x/src/b.rs:1"]
        );
    }

    #[test]
    fn enums_that_a_macro_defines_are_found() {
        let found = findings(&[
            ("src/lib.rs", "mod a; pub struct Part;"),
            (
                "src/a.rs",
                "named_enum! { #[derive(Default)] pub enum Part: \"part\" { A = \"a\", } }",
            ),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn private_types_and_types_of_tests_may_share_a_name() {
        let found = findings(&[
            ("src/lib.rs", "mod a; pub enum Part {} pub use a::Other;"),
            ("src/a.rs", "struct Part; pub struct Other; #[cfg(test)] mod t { pub struct Part; }"),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }
}
