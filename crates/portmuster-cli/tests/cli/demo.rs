//! The demo shows every exhibit, judged as it is.

use portmuster_lab::zoo;

use crate::program::{program, run};

#[test]
fn the_demo_shows_every_exhibit() {
    let ended = run(program().arg("demo"));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.stdout.lines().count(), zoo().len() + 1);
    for exhibit in zoo() {
        let row = ended.stdout.lines().find(|line| line.contains(exhibit.about));
        let row = row.unwrap_or_else(|| panic!("{} is missing in {}", exhibit.name, ended.stdout));
        assert!(row.contains(exhibit.service.unwrap_or(exhibit.state)), "{row}");
    }
    let all = zoo().len();
    assert_eq!(ended.stderr, format!("portmuster: {all} of {all} servers judged as they are\n"));
    assert!(ended.stdout.is_ascii(), "{}", ended.stdout);
}
