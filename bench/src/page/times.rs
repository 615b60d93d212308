//! The picture of times: the seconds that each program takes, on a logarithmic scale.

use super::picture::{Canvas, LEFT, LINE, OURS, RIGHT};
use crate::{
    answers::Accuracy,
    row::{Row, Spread, count},
    section::{Section, Times},
};

pub(super) const TITLE: &str = "The seconds that each program takes";

/// The scale's ends, as powers of ten.
const LEAST: i32 = 0;
const MOST: i32 = 3;

/// Draws the times of all sections that ask for it; `None` when no section does.
pub(super) fn draw(sections: &[Section]) -> Option<String> {
    let mut canvas = Canvas::default();
    canvas.text(10.0, LINE, "head", TITLE);
    let top = 2.0 * LINE;
    let mut y = top;
    for section in sections {
        let Some(times) = section.times else { continue };
        y += LINE * 0.5;
        canvas.text(10.0, y, "head", &section.title);
        for row in &section.rows {
            y += LINE;
            bar(&mut canvas, y, row, times);
        }
        y += LINE;
    }
    let bottom = y - LINE * 0.6;
    for power in LEAST..=MOST {
        let seconds = 10_f64.powi(power);
        let class = if power == LEAST { "one" } else { "grid" };
        canvas.line(class, (x(seconds), 1.8 * LINE), (x(seconds), bottom));
        canvas.text(x(seconds) - 10.0, bottom + 14.0, "", &format!("{seconds} s"));
    }
    (y > top).then(|| canvas.finish(TITLE, y + LINE))
}

fn bar(canvas: &mut Canvas, y: f64, row: &Row, times: Times) {
    canvas.text(24.0, y, "", &row.name);
    let Spread { median, lowest, highest } = seconds(row, times);
    let class = if row.name.starts_with(OURS) { "more" } else { "other" };
    canvas.rectangle(class, (LEFT, y - 11.0), (x(median) - LEFT).max(1.0));
    if lowest < highest {
        canvas.line("ends", (x(lowest), y - 4.0), (x(highest), y - 4.0));
    }
    let missed = row.accuracy.map_or(0, |Accuracy { open, of, .. }| of - open);
    let missed = if missed > 0 { format!(", {missed} missed") } else { String::new() };
    canvas.text(RIGHT + 10.0, y, "", &format!("{median:.1} s{missed}"));
}

/// The seconds of a row for the pieces that the picture shows.
fn seconds(row: &Row, times: Times) -> Spread {
    let pieces = match times {
        Times::Own => row.pieces,
        Times::Pieces(pieces) => pieces,
    };
    Spread::of(row.paces.iter().map(|pace| count(pieces) / pace))
}

/// The horizontal position of a number of seconds.
fn x(seconds: f64) -> f64 {
    let (least, most) = (f64::from(LEAST), f64::from(MOST));
    let power = seconds.max(f64::MIN_POSITIVE).log10().clamp(least, most);
    LEFT + (power - least) / (most - least) * (RIGHT - LEFT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    #[test]
    fn times_are_those_of_all_pieces() {
        let rows = vec![row("portmuster", 1000, &[(40_000, 1)]), row("a", 100, &[(50_000, 1)])];
        let plain = Section { title: "Targets".into(), rows, ..Section::default() };
        assert_eq!(draw(std::slice::from_ref(&plain)), None);
        for (times, others) in [(Times::Own, ">50.0 s<"), (Times::Pieces(1000), ">500.0 s<")] {
            let section = Section { times: Some(times), ..plain.clone() };
            let picture = draw(&[plain.clone(), section]).expect("a section has times");
            assert_eq!(picture.matches("<rect").count(), 2, "{picture}");
            assert!(picture.contains(">40.0 s<") && picture.contains(others), "{picture}");
        }
        assert!((x(0.5) - LEFT).abs() < 1e-9 && (x(1e6) - RIGHT).abs() < 1e-9);
    }
}
