//! Enums whose variants have names: in rows, in summaries and on the command line.
//!
//! The macro `named_enum` defines such an enum in one place, with each name beside its variant, so
//! that the list of variants, the names and the parser can't disagree.

use std::fmt;

/// Defines an enum without data whose variants have names.
///
/// It generates `ALL` in the order of declaration, `name`, `Display` (which pads), `FromStr`, and
/// serialization by name. Variants with data may follow after a semicolon. The enum then implements
/// `name`, `Display` and `FromStr` itself, from the constant `FIXED` and the function `fixed_name`.
macro_rules! named_enum {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $Enum:ident: $kind:literal {
            $( $(#[$($variant_meta:tt)+])* $Variant:ident = $name:literal, )+
        }
    ) => {
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize,
        )]
        $(#[$meta])*
        $visibility enum $Enum {
            $( $(#[$($variant_meta)+])* #[serde(rename = $name)] $Variant, )+
        }

        impl $Enum {
            /// Every variant, in the order of declaration. Later versions may append to it.
            $visibility const ALL: [Self; [$($name),+].len()] = [$(Self::$Variant),+];

            #[doc = concat!("Returns the name of the ", $kind, ", which `Display` writes and `FromStr` parses.")]
            #[must_use]
            $visibility const fn name(self) -> &'static str {
                match self {
                    $(Self::$Variant => $name,)+
                }
            }

            #[doc = concat!("Returns what the ", $kind, " means, as plain text of one line.")]
            #[must_use]
            $visibility fn meaning(self) -> String {
                $crate::named_enum::plain_text(match self {
                    $(Self::$Variant => $crate::named_enum::doc_text!($([$($variant_meta)+])*),)+
                })
            }
        }

        impl std::fmt::Display for $Enum {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.name())
            }
        }

        impl std::str::FromStr for $Enum {
            type Err = $crate::UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.into_iter().find(|it| it.name() == name);
                found.ok_or_else(|| $crate::UnknownName::new($kind, name, Self::ALL.map(Self::name)))
            }
        }
    };
    (
        $(#[$meta:meta])*
        $visibility:vis enum $Enum:ident {
            $( $(#[$($variant_meta:tt)+])* $Variant:ident = $name:literal, )+
            ;
            $( $(#[$($data_meta:tt)+])* $Data:ident($Content:ty), )+
        }
    ) => {
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize,
        )]
        $(#[$meta])*
        $visibility enum $Enum {
            $( $(#[$($variant_meta)+])* #[serde(rename = $name)] $Variant, )+
            $( $(#[$($data_meta)+])* $Data($Content), )+
        }

        impl $Enum {
            /// The variants without data, each with its name, in the order of declaration.
            pub(crate) const FIXED: [(Self, &'static str); [$($name),+].len()] =
                [$((Self::$Variant, $name)),+];

            /// Returns the name of a variant without data; `None` for one with data.
            const fn fixed_name(self) -> Option<&'static str> {
                match self {
                    $(Self::$Variant => Some($name),)+
                    $(Self::$Data(_) => None,)+
                }
            }

            /// Returns the documentation of the variant, as plain text of one line.
            fn documentation(self) -> String {
                $crate::named_enum::plain_text(match self {
                    $(Self::$Variant => $crate::named_enum::doc_text!($([$($variant_meta)+])*),)+
                    $(Self::$Data(_) => $crate::named_enum::doc_text!($([$($data_meta)+])*),)+
                })
            }
        }
    };
}

/// Joins the texts of the doc comments among the attributes of a variant.
macro_rules! doc_text {
    () => { "" };
    ([doc = $doc:literal] $($rest:tt)*) => {
        concat!($doc, "\n", $crate::named_enum::doc_text!($($rest)*))
    };
    ([$($other:tt)+] $($rest:tt)*) => { $crate::named_enum::doc_text!($($rest)*) };
}

pub(crate) use {doc_text, named_enum};

/// Returns the first paragraph of a doc comment without the marks of Markdown.
pub(crate) fn plain_text(doc: &str) -> String {
    let lines = doc.lines().map(str::trim).take_while(|line| !line.is_empty());
    let mut rest = lines.collect::<Vec<_>>().join(" ").replace('`', "");
    let mut plain = String::with_capacity(rest.len());
    while let Some((before, link)) = rest.split_once('[') {
        let Some((text, after)) = link.split_once(']') else { break };
        plain.extend([before, text]);
        let target = after.strip_prefix('(').and_then(|target| target.split_once(')'));
        rest = target.map_or(after, |(_, after)| after).to_owned();
    }
    plain + &rest
}

/// The error for a text that names no variant of an enum.
///
/// ```
/// let error = "ftp".parse::<portmuster::Service>().expect_err("no such service");
/// assert!(error.expected().contains(&"telnet"));
/// assert!(error.to_string().starts_with("\"ftp\" is not a service: expected ssh, "));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    kind: &'static str,
    name: String,
    expected: Vec<&'static str>,
}

impl UnknownName {
    pub(crate) fn new(
        kind: &'static str,
        name: &str,
        expected: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        Self { kind, name: name.to_owned(), expected: expected.into_iter().collect() }
    }

    /// Returns the text that names nothing.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the names that are allowed, in the order of the variants.
    #[must_use]
    pub fn expected(&self) -> &[&'static str] {
        &self.expected
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, expected } = self;
        write!(formatter, "{name:?} is not a {kind}: expected {}", expected.join(", "))
    }
}

impl std::error::Error for UnknownName {}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        fmt::{Debug, Display},
        str::FromStr,
    };

    use serde::{Serialize, de::DeserializeOwned};

    use super::plain_text;
    use crate::{
        config::{Method, Patience},
        gates::{Inconclusive, WeaknessGroup},
        history::ChangeKind,
        outcome::{Fault, KexFailure, PortState, Reason, Rule, Service, Side, Verb, Weakness},
        targets::InputFormat,
    };

    /// Checks that every name is unique, short, and the only form in text and in JSON.
    fn check<T>(all: &[T])
    where
        T: Copy + Debug + Display + PartialEq + FromStr + Serialize + DeserializeOwned,
        T::Err: Debug,
    {
        let names: BTreeSet<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), all.len(), "{names:?}");
        for &value in all {
            let name = value.to_string();
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            assert!(name.bytes().all(|byte| is_plain(byte) || byte == b'-'), "{name}");
            assert_eq!(name.parse::<T>().expect("its own name"), value);
            let json = serde_json::to_value(value).expect("it serializes");
            assert_eq!(json, name.as_str());
            assert_eq!(serde_json::from_value::<T>(json).expect("it deserializes"), value);
            assert_eq!(format!("{value:>30}").len(), 30);
        }
        assert!("no such name".parse::<T>().is_err());
        assert!("".parse::<T>().is_err());
    }

    #[test]
    fn names_are_unique_and_parse_back_and_are_the_serialized_form() {
        check(&ChangeKind::ALL);
        check(&Fault::ALL);
        check(&InputFormat::ALL);
        check(&KexFailure::ALL);
        check(&Method::ALL);
        check(&PortState::ALL);
        check(&Rule::ALL);
        check(&Service::ALL);
        check(&Side::ALL);
        check(&Verb::ALL);
        check(&Weakness::ALL);
    }

    #[test]
    fn plain_text_is_the_first_paragraph_without_marks() {
        let doc = " A `name` of\n [links](crate::X), [`Code`] and [more].\n\n Another paragraph.\n";
        assert_eq!(plain_text(doc), "A name of links, Code and more.");
        assert_eq!(plain_text(" An [open bracket\n"), "An [open bracket");
        assert_eq!(plain_text(""), "");
    }

    #[test]
    fn every_value_has_a_meaning_of_its_own() {
        fn check<T: Copy>(all: &[T], meaning: fn(T) -> String) {
            let meanings: BTreeSet<_> = all.iter().copied().map(meaning).collect();
            assert_eq!(meanings.len(), all.len(), "{meanings:?}");
            for meaning in meanings {
                let is_sentence = meaning.len() > 5 && meaning.ends_with('.');
                assert!(is_sentence && !meaning.contains(['`', '[', ']', '\n']), "{meaning}");
            }
        }
        check(&ChangeKind::ALL, ChangeKind::meaning);
        check(&Fault::ALL, Fault::meaning);
        check(&Inconclusive::ALL, Inconclusive::meaning);
        check(&InputFormat::ALL, InputFormat::meaning);
        check(&Method::ALL, Method::meaning);
        check(&Patience::ALL, Patience::meaning);
        check(&PortState::ALL, PortState::meaning);
        check(&Rule::ALL, Rule::meaning);
        check(&Service::ALL, Service::meaning);
        check(&Weakness::ALL, Weakness::meaning);
        check(&WeaknessGroup::ALL, WeaknessGroup::meaning);
        check(&Reason::known().collect::<Vec<_>>(), Reason::meaning);
    }

    #[test]
    fn all_is_in_the_order_of_discriminants() {
        assert!(PortState::ALL.into_iter().enumerate().all(|(index, it)| it as usize == index));
        assert!(Service::ALL.into_iter().enumerate().all(|(index, it)| it as usize == index));
        assert!(Weakness::ALL.into_iter().enumerate().all(|(index, it)| it as usize == index));
    }

    #[test]
    fn reasons_with_data_parse_back() {
        for reason in [Reason::Refused, Reason::Fault(Fault::Buffers), Reason::Errno(95)] {
            assert_eq!(reason.name().parse(), Ok(reason));
        }
        let json = [Reason::Refused, Reason::Fault(Fault::Buffers), Reason::Errno(95)];
        let json = serde_json::to_string(&json).expect("they serialize");
        assert_eq!(json, r#"["refused",{"fault":"buffers"},{"errno":95}]"#);
        let error = "errno-x".parse::<Reason>().expect_err("no number");
        assert!(error.to_string().ends_with("local-ports, watches, threads, errno-N"), "{error}");
    }

    #[test]
    fn errors_list_the_allowed_names() {
        let error = "up".parse::<PortState>().expect_err("no such state");
        let message =
            "\"up\" is not a port state: expected open, closed, filtered, unresolved, unchecked";
        assert_eq!((error.name(), error.to_string().as_str()), ("up", message));
    }
}
