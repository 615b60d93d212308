//! The demo prints one row for every fixture, with the expected verdict.

use portmuster_lab::fixtures;

use crate::program::{program, run};

#[test]
fn demo_shows_every_fixture() {
    let ended = run(program().arg("demo"));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.stdout.lines().count(), fixtures().len() + 1);
    for fixture in fixtures() {
        let row = ended.stdout.lines().find(|line| line.contains(fixture.about));
        let row = row.unwrap_or_else(|| panic!("{} is missing in {}", fixture.name, ended.stdout));
        assert!(row.contains(fixture.service.unwrap_or(fixture.state)), "{row}");
    }
    let all = fixtures().len();
    assert_eq!(ended.stderr, format!("portmuster: {all} of {all} servers judged correctly\n"));
    let is_plain = |letter: char| matches!(letter, ' '..='~' | '\n' | '…');
    assert!(ended.stdout.chars().all(is_plain), "{}", ended.stdout);
}
