//! The picture: how many times the pace of others portmuster has, on a scale of doublings.
//!
//! Text and lines are of a grey that can be read on white and on black, because not all who show
//! the picture say which it is; where they do, the colours follow.

use std::fmt::Write;

use super::Answer;
use crate::{
    section::{Goal, Section, Wanted},
    table::{Row, Spread},
};

/// What portmuster's rows begin with.
const OURS: &str = "portmuster";

/// Columns: where the scale begins and ends, and where figures stand.
const LEFT: f64 = 330.0;
const RIGHT: f64 = 780.0;
const WIDTH: f64 = 900.0;

/// The ends of the scale, as powers of two.
const LEAST: f64 = -2.0;
const MOST: f64 = 6.0;

/// Height of a line.
const LINE: f64 = 22.0;

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #6b7280 }
.head { font-weight: 600 }
.grid { stroke: #9ca3af; stroke-opacity: .35 }
.one { stroke: #6b7280 }
.more { fill: #2f9e77 }
.less { fill: #d9822b }
.ends { stroke: #6b7280; stroke-width: 1.5 }
.goal { stroke: #8b5cf6; stroke-width: 3 }
@media (prefers-color-scheme: light) { text { fill: #374151 } .ends, .one { stroke: #374151 } }
@media (prefers-color-scheme: dark) { text { fill: #d1d5db } .ends, .one { stroke: #d1d5db } }";

/// One comparison.
struct Bar<'a> {
    other: &'a str,
    times: Spread,
    least: Option<f64>,
}

/// Draws all comparisons of pace.
pub(super) fn draw(answers: &[Answer]) -> String {
    let sections = answers.iter().filter_map(|answer| answer.sections.as_ref().ok()).flatten();
    let groups: Vec<_> = sections.filter_map(|section| Some((section, bars(section)?))).collect();
    let mut body = String::new();
    let mut y = 2.0 * LINE;
    for (section, bars) in &groups {
        y += LINE * 0.5;
        text(&mut body, 10.0, y, "head", &section.title);
        for bar in bars {
            y += LINE;
            draw_bar(&mut body, y, bar);
        }
        y += LINE;
    }
    let foot = y + LINE * 0.5;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\">\n\
        <title>The pace of portmuster, as a multiple of that of others</title>\n<style>{STYLE}</style>\n",
        foot + LINE
    );
    text(
        &mut picture,
        10.0,
        LINE,
        "head",
        "The pace of portmuster, as a multiple of that of others",
    );
    grid(&mut picture, 1.8 * LINE, y - LINE * 0.6, foot);
    picture + &body + "</svg>\n"
}

/// Comparisons of a section in which one row is portmuster's, and what it is compared with is not.
fn bars(section: &Section) -> Option<Vec<Bar<'_>>> {
    let mut ours = section.rows.iter().filter(|row| row.name.starts_with(OURS));
    let our = ours.next()?;
    // With several of ours nobody knows which is meant, and without a unit pace is not the question.
    if ours.next().is_some() || section.unit.is_none() {
        return None;
    }
    let others = section.rows.iter().filter(|row| row.name != our.name);
    let bar = |other| {
        Some(Bar { other, times: our.times(find(section, other)?), least: least(section, other) })
    };
    others.map(|other| bar(&*other.name)).collect()
}

fn find<'a>(section: &'a Section, name: &str) -> Option<&'a Row> {
    section.rows.iter().find(|row| row.name == name)
}

/// The pace that is wanted over this one.
fn least(section: &Section, other: &str) -> Option<f64> {
    let is_meant = |goal: &&Goal| goal.what.contains(OURS) && goal.what.ends_with(other);
    let goal = section.goals.iter().find(is_meant)?;
    match goal.wanted {
        Wanted::AtLeast => Some(goal.bound),
        // Time on the wall is the other way round.
        Wanted::AtMost => Some(1.0 / goal.bound),
    }
}

/// Where a multiple stands on the scale.
fn place(times: f64) -> f64 {
    let power = times.max(f64::MIN_POSITIVE).log2().clamp(LEAST, MOST);
    LEFT + (power - LEAST) / (MOST - LEAST) * (RIGHT - LEFT)
}

fn draw_bar(body: &mut String, y: f64, Bar { other, times, least }: &Bar<'_>) {
    text(body, 24.0, y, "", other);
    let (one, end) = (place(1.0), place(times.median));
    let class = if times.median < 1.0 { "less" } else { "more" };
    let (x, width) = (one.min(end), (one - end).abs().max(1.0));
    let _ = writeln!(
        body,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"14\" rx=\"2\"/>",
        y - 11.0
    );
    if times.lowest < times.highest {
        line(body, "ends", (place(times.lowest), y - 4.0), (place(times.highest), y - 4.0));
    }
    if let Some(least) = least {
        line(body, "goal", (place(*least), y - 13.0), (place(*least), y + 5.0));
    }
    text(body, RIGHT + 15.0, y, "", &format!("{:.2} ×", times.median));
}

/// The scale.
fn grid(picture: &mut String, top: f64, bottom: f64, foot: f64) {
    let mut power = LEAST;
    while power <= MOST {
        let times = power.exp2();
        let class = if power == 0.0 { "one" } else { "grid" };
        line(picture, class, (place(times), top), (place(times), bottom));
        let label = format!("{times} ×");
        text(picture, place(times) - 10.0, bottom + 14.0, "", &label);
        power += 1.0;
    }
    line(picture, "goal", (LEFT, foot + 8.0), (LEFT, foot + 18.0));
    text(picture, LEFT + 8.0, foot + 17.0, "", "wanted");
    line(picture, "ends", (LEFT + 80.0, foot + 13.0), (LEFT + 100.0, foot + 13.0));
    text(picture, LEFT + 108.0, foot + 17.0, "", "lowest to highest of all rounds");
}

fn line(to: &mut String, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(
        to,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

fn text(to: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(to, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::row;

    #[test]
    fn every_comparison_has_its_bar() {
        let rows =
            vec![row("portmuster", 100, &[(100, 1)]), row("a<b", 100, &[(400, 1), (500, 1)])];
        let goal =
            Goal::at_least("pace of portmuster over a<b".into(), rows[0].times(&rows[1]), 2.0);
        let (title, unit) = ("targets".to_owned(), Some("portmuster".to_owned()));
        let section = Section { title, rows, unit, goals: vec![goal], ..Section::default() };
        let answer = Answer { title: "", command: String::new(), sections: Ok(vec![section]) };
        let picture = draw(&[answer]);
        assert_eq!(picture.matches("<rect").count(), 1, "{picture}");
        assert!(picture.contains("a&lt;b") && picture.contains("4.00 ×"), "{picture}");
    }

    #[test]
    fn the_scale_has_its_ends() {
        assert!((place(1.0 / 1024.0) - LEFT).abs() < 1e-9);
        assert!((place(1024.0) - RIGHT).abs() < 1e-9);
        assert!(place(1.0) < place(2.0));
    }
}
