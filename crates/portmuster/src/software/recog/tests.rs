use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;
use crate::{outcome::Software, software::Fingerprints};

/// The files of the Recog project, which are not part of this repository.
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/recog");

/// Writes a file into a folder; returns the error of reading the folder.
fn error_of(file: &str, text: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder can be created");
    fs::write(folder.path().join(file), text).expect("there is room");
    let error = Fingerprints::with_recog(folder.path()).expect_err("the file is refused");
    error.to_string().replace(&folder.path().display().to_string(), "DIR")
}

/// Returns a file with this fingerprint of ssh.
fn file_with(fingerprint: &str) -> String {
    format!(
        "<?xml version='1.0'?>\n<fingerprints matches=\"ssh.banner\">\n{fingerprint}\n</fingerprints>\n"
    )
}

/// Reads a file with this fingerprint, and identifies an ssh server by it.
fn identified(fingerprint: &str, banner: &[u8]) -> Option<Software> {
    let folder = tempfile::tempdir().expect("a folder can be created");
    fs::write(folder.path().join("ssh.xml"), file_with(fingerprint)).expect("there is room");
    let files = read(folder.path()).expect("the file is valid");
    files.ssh.identify(banner)
}

#[test]
fn parameters_become_what_a_row_says() {
    let software = identified(
        r#"<fingerprint pattern="^Acme_(\d+) on (\S+)" flags="REG_ICASE">
             <description>Acme SSH
               on a router</description>
             <example service.version="7">acme_7 on Solaris</example>
             <param pos="0" name="service.vendor" value="Acme &amp; Sons"/>
             <param pos="0" name="service.product" value="Acme SSH"/>
             <param pos="1" name="service.version"/>
             <param pos="0" name="service.cpe23" value="cpe:/a:acme:ssh:{service.version}:{no.such}"/>
             <param pos="0" name="os.vendor" value="Acme"/>
             <param pos="2" name="os.product"/>
             <param pos="0" name="hw.vendor" value="Acme"/>
             <param pos="0" name="hw.product" value="Acme Router 5"/>
           </fingerprint>"#,
        b"ACME_12 on Plan9",
    );
    let software = software.expect("it matches");
    assert_eq!(software.vendor.as_deref(), Some("Acme & Sons"));
    assert_eq!(software.product.as_deref(), Some("Acme SSH"));
    assert_eq!(software.version.as_deref(), Some("12"));
    assert_eq!(software.os.as_deref(), Some("Acme Plan9"));
    assert_eq!(software.device.as_deref(), Some("Acme Router 5"));
    assert_eq!(software.cpe.as_deref(), Some("cpe:/a:acme:ssh:12:-"));
    assert_eq!(software.fingerprint, "recog: Acme SSH on a router");
}

#[test]
fn first_fingerprint_that_matches_counts_and_may_say_nothing() {
    let both = r#"
        <fingerprint pattern="^A"><description>first</description>
          <param pos="0" name="service.certainty" value="0.0"/></fingerprint>
        <fingerprint pattern="^AB"><description>second</description>
          <param pos="0" name="service.product" value="AB"/></fingerprint>"#;
    assert_eq!(identified(both, b"AB"), None);
}

#[test]
fn broken_files_are_refused_with_file_line_and_reason() {
    let start = "DIR has no fingerprints of ssh or telnet banners: give the directory xml";
    assert!(error_of("a.txt", "").starts_with(start));
    assert!(
        error_of("http.xml", "<fingerprints matches=\"http\"></fingerprints>").starts_with(start)
    );
    let cases = [
        (
            "<fingerprint pattern=\"(\">\n</fingerprint>",
            "DIR/a.xml, line 3: the pattern ( is not valid: unclosed group",
        ),
        (
            r#"<fingerprint pattern="^\p{L}+"></fingerprint>"#,
            r"DIR/a.xml, line 3: the pattern ^\p{L}+ is not valid: Unicode not allowed here",
        ),
        ("<fingerprint pattern=\"a\" other=b></fingerprint>", "DIR/a.xml, line 3: broken XML: "),
        (
            "</fingerprints>\n<more/>",
            "DIR/a.xml, line 4: broken XML: something follows the fingerprints",
        ),
        (
            "</fingerprints> and more",
            "DIR/a.xml, line 4: broken XML: something follows the fingerprints",
        ),
        ("<fingerprint>", "DIR/a.xml, line 3: a fingerprint has no pattern"),
        ("<fingerprint pattern=\"a\"></x>", "DIR/a.xml, line 3: broken XML: "),
        (
            "<fingerprint pattern=\"a\">\n<param pos=\"x\" name=\"os.vendor\"/>",
            "DIR/a.xml, line 4: the pos of a param is no number: \"x\"",
        ),
        (
            "<fingerprint pattern=\"a{1000}{1000}{1000}\"></fingerprint>",
            "DIR/a.xml, line 3: the pattern",
        ),
    ];
    for (fingerprint, expected) in cases {
        let error = error_of("a.xml", &file_with(fingerprint));
        assert!(error.starts_with(expected), "{error}");
    }
    let cut = "<fingerprints protocol=\"ssh\">\n<fingerprint pattern=\"a\">";
    assert_eq!(error_of("a.xml", cut), "DIR/a.xml, line 2: the file ends within a fingerprint");
    let missing = Fingerprints::with_recog("/no/such/folder").expect_err("there is none");
    assert_eq!(missing.to_string(), "reading fingerprints of Recog in /no/such/folder");
}

#[test]
fn hash_of_the_files_changes_with_them() {
    let hash = |pattern: &str| {
        let folder = tempfile::tempdir().expect("a folder can be created");
        let text = file_with(&format!("<fingerprint pattern=\"{pattern}\"></fingerprint>"));
        fs::write(folder.path().join("a.xml"), text).expect("there is room");
        Fingerprints::with_recog(folder.path()).expect("it is valid").recog_hash()
    };
    assert_eq!(hash("a"), hash("a"));
    assert_ne!(hash("a"), hash("b"));
    assert_eq!(Fingerprints::built_in().recog_hash(), None);
}

/// An example of a fingerprint: a banner, and the parameters that the fingerprint finds in it.
struct Example {
    fingerprint: usize,
    banner: Vec<u8>,
    is_plain: bool,
    found: BTreeMap<String, String>,
}

/// Reads the examples of a file, with the number of their fingerprint.
fn examples(text: &str) -> Vec<Example> {
    let mut reader = Reader::from_str(text);
    let (mut examples, mut fingerprints, mut open) = (Vec::new(), 0, None);
    loop {
        match reader.read_event().expect("it is XML") {
            Event::Eof => return examples,
            Event::Start(element) if element.name().as_ref() == "fingerprint" => fingerprints += 1,
            Event::Start(element) if element.name().as_ref() == "example" => {
                let attributes = element.attributes().map(|attribute| {
                    let attribute = attribute.expect("it is an attribute");
                    let value = attribute.normalized_value(XmlVersion::Implicit1_0);
                    let value = value.expect("it is valid").into_owned();
                    (attribute.key.as_ref().to_owned(), value)
                });
                let mut found: BTreeMap<String, String> = attributes.collect();
                let is_plain = found.remove("_encoding").is_none();
                open = Some((is_plain, found, String::new()));
            }
            Event::Text(part) => {
                if let Some((_, _, text)) = &mut open {
                    text.push_str(&part);
                }
            }
            Event::GeneralRef(reference) => {
                if let Some((_, _, text)) = &mut open {
                    text.push_str(&resolved(&reference));
                }
            }
            Event::End(element) if element.name().as_ref() == "example" => {
                let (is_plain, found, text) = open.take().expect("it was opened");
                let banner = if is_plain {
                    text.into_bytes()
                } else {
                    let letters: String = text.split_whitespace().collect();
                    STANDARD.decode(letters).expect("it is base64")
                };
                examples.push(Example { fingerprint: fingerprints - 1, banner, is_plain, found });
            }
            _ => {}
        }
    }
}

/// Returns the text of a reference such as `amp` or `#10`.
fn resolved(reference: &str) -> String {
    let named = [("amp", "&"), ("lt", "<"), ("gt", ">"), ("quot", "\""), ("apos", "'")];
    if let Some((_, text)) = named.iter().find(|(name, _)| *name == reference) {
        return (*text).to_owned();
    }
    let number = reference.strip_prefix('#').expect("it is a number");
    let code = match number.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    let letter = char::from_u32(code.expect("it is a number"));
    letter.expect("it is a character").to_string()
}

/// Each of Recog's fingerprints compiles, and matches the examples that come with it.
#[test]
fn fingerprints_of_the_project_match_their_own_examples() {
    if !Path::new(FILES).exists() {
        eprintln!("skipped: there are no files of Recog at {FILES}");
        return;
    }
    let files = read(Path::new(FILES)).expect("every pattern compiles");
    let (mut fingerprints, mut plain, mut encoded) = (0, 0, 0);
    for (file, table) in [("ssh_banners.xml", files.ssh), ("telnet_banners.xml", files.telnet)] {
        let text = fs::read_to_string(Path::new(FILES).join(file)).expect("it is there");
        let list = parse(&text).expect("it is valid").expect("it is of ssh or telnet").1;
        assert_eq!(list.len(), table.statements().len());
        fingerprints += list.len();
        for example in examples(&text) {
            let fingerprint = &list[example.fingerprint];
            let regex = Patterns::compile(vec![fingerprint.pattern.clone()]).expect("it is valid");
            let name = &fingerprint.statement.name;
            let banner = example.banner.escape_ascii().to_string();
            let (_, groups) = regex.first_match(&example.banner).unwrap_or_else(|| {
                panic!("{name} does not match {banner}: {}", fingerprint.pattern)
            });
            if let Some(version) = example.found.get("service.version") {
                let software = fingerprint.statement.software(&groups);
                assert_eq!(software.version.as_ref(), Some(version), "{name}: {banner}");
            }
            let counted = if example.is_plain { &mut plain } else { &mut encoded };
            *counted += 1;
        }
    }
    assert_eq!((fingerprints, plain), (301, 269), "{encoded} examples in base64");
}
