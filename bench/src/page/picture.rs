//! The picture: the pace of portmuster as a multiple of that of others, on a logarithmic scale.
//!
//! Text and lines are grey, which is legible on white and on black, because some viewers report no
//! color scheme. Where they do, the colors follow it.

use std::fmt::Write;

use crate::{
    row::Spread,
    section::{Section, Wanted},
};

/// What the name of portmuster's rows begins with.
pub(super) const OURS: &str = "portmuster";

const TITLE: &str = "The pace of portmuster, as a multiple of that of others";

/// Horizontal positions of the scale's ends, and the width of the picture.
pub(super) const LEFT: f64 = 330.0;
pub(super) const RIGHT: f64 = 780.0;
pub(super) const WIDTH: f64 = 900.0;

/// The scale's ends, as powers of two.
const LEAST: i32 = -2;
const MOST: i32 = 6;

/// Height of a line.
pub(super) const LINE: f64 = 22.0;

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #6b7280 }
.head { font-weight: 600 }
.grid { stroke: #9ca3af; stroke-opacity: .35 }
.one { stroke: #6b7280 }
.more { fill: #2f9e77 }
.other { fill: #9ca3af }
.less { fill: #d9822b }
.ends { stroke: #6b7280; stroke-width: 1.5 }
.goal { stroke: #8b5cf6; stroke-width: 3 }
@media (prefers-color-scheme: light) { text { fill: #374151 } .ends, .one { stroke: #374151 } }
@media (prefers-color-scheme: dark) { text { fill: #d1d5db } .ends, .one { stroke: #d1d5db } }";

/// Comparison with another program.
struct Bar<'a> {
    other: &'a str,
    ratio: Spread,
    /// The least ratio that is wanted.
    goal: Option<f64>,
}

/// The elements of the picture.
#[derive(Default)]
pub(super) struct Canvas(String);

/// Draws all comparisons of pace as SVG.
pub(super) fn draw(sections: &[&Section]) -> String {
    let mut canvas = Canvas::default();
    canvas.text(10.0, LINE, "head", TITLE);
    let mut y = 2.0 * LINE;
    for section in sections {
        let bars = bars(section);
        if bars.is_empty() {
            continue;
        }
        y += LINE * 0.5;
        canvas.text(10.0, y, "head", &section.title);
        for bar in &bars {
            y += LINE;
            canvas.bar(y, bar);
        }
        y += LINE;
    }
    let foot = y + LINE * 0.5;
    canvas.grid(1.8 * LINE, y - LINE * 0.6, foot);
    canvas.finish(TITLE, foot + LINE)
}

/// Whether a section has a bar in this picture.
pub(super) fn shows(section: &Section) -> bool {
    !bars(section).is_empty()
}

/// A bar for each other row of a section where just one row is portmuster's. Sections without a
/// unit do not compare paces.
fn bars(section: &Section) -> Vec<Bar<'_>> {
    let (ours, others): (Vec<_>, Vec<_>) =
        section.rows.iter().partition(|row| row.name.starts_with(OURS));
    let ([ours], Some(_)) = (&ours[..], &section.unit) else { return Vec::new() };
    let bars = others.into_iter().map(|other| {
        let mut goals = section.goals.iter();
        let goal = goals.find(|goal| goal.what.contains(OURS) && goal.what.ends_with(&other.name));
        let goal = goal.map(|goal| match goal.wanted {
            Wanted::AtLeast => goal.bound,
            // A bound of time is the inverse of one of pace.
            Wanted::AtMost => 1.0 / goal.bound,
        });
        Bar { other: &other.name, ratio: ours.pace_ratio(other), goal }
    });
    bars.collect()
}

/// The horizontal position of a ratio.
fn x(ratio: f64) -> f64 {
    let (least, most) = (f64::from(LEAST), f64::from(MOST));
    let power = ratio.max(f64::MIN_POSITIVE).log2().clamp(least, most);
    LEFT + (power - least) / (most - least) * (RIGHT - LEFT)
}

impl Canvas {
    fn bar(&mut self, y: f64, Bar { other, ratio, goal }: &Bar<'_>) {
        self.text(24.0, y, "", other);
        let (one, end) = (x(1.0), x(ratio.median));
        let class = if ratio.median < 1.0 { "less" } else { "more" };
        let (left, width, top) = (one.min(end), (one - end).abs().max(1.0), y - 11.0);
        self.rectangle(class, (left, top), width);
        if ratio.lowest < ratio.highest {
            self.line("ends", (x(ratio.lowest), y - 4.0), (x(ratio.highest), y - 4.0));
        }
        if let Some(goal) = goal {
            self.line("goal", (x(*goal), y - 13.0), (x(*goal), y + 5.0));
        }
        self.text(RIGHT + 15.0, y, "", &format!("{:.2} ×", ratio.median));
    }

    /// Draws the scale, and the legend below it.
    fn grid(&mut self, top: f64, bottom: f64, foot: f64) {
        for power in LEAST..=MOST {
            let ratio = f64::from(power).exp2();
            let class = if power == 0 { "one" } else { "grid" };
            self.line(class, (x(ratio), top), (x(ratio), bottom));
            self.text(x(ratio) - 10.0, bottom + 14.0, "", &format!("{ratio} ×"));
        }
        self.line("goal", (LEFT, foot + 8.0), (LEFT, foot + 18.0));
        self.text(LEFT + 8.0, foot + 17.0, "", "goal");
        self.line("ends", (LEFT + 80.0, foot + 13.0), (LEFT + 100.0, foot + 13.0));
        self.text(LEFT + 108.0, foot + 17.0, "", "lowest to highest of all rounds");
    }

    /// Draws a bar, by its upper left corner and its width.
    pub(super) fn rectangle(&mut self, class: &str, (x, y): (f64, f64), width: f64) {
        let _ = writeln!(
            self.0,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"14\" rx=\"2\"/>"
        );
    }

    pub(super) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let _ = writeln!(
            self.0,
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }

    pub(super) fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(self.0, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
    }

    /// The picture as SVG.
    pub(super) fn finish(self, title: &str, height: f64) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\">\n\
            <title>{title}</title>\n<style>{STYLE}</style>\n{}</svg>\n",
            self.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{row::tests::row, section::Goal};

    #[test]
    fn every_comparison_has_a_bar_within_the_scale() {
        let rows =
            vec![row("portmuster", 100, &[(100, 1)]), row("a<b", 100, &[(400, 1), (500, 1)])];
        let goals =
            vec![Goal::at_least("pace of portmuster over a<b", rows[0].pace_ratio(&rows[1]), 2.0)];
        let (title, unit) = ("Targets".to_owned(), Some("portmuster".to_owned()));
        let picture = draw(&[&Section { title, rows, unit, goals, ..Section::default() }]);
        assert_eq!(picture.matches("<rect").count(), 1, "{picture}");
        assert_eq!(
            picture.matches("class=\"goal\"").count(),
            2,
            "a goal and its legend: {picture}"
        );
        assert!(picture.contains("a&lt;b") && picture.contains("4.00 ×"), "{picture}");
        assert!((x(1.0 / 1024.0) - LEFT).abs() < 1e-9 && (x(1024.0) - RIGHT).abs() < 1e-9);
    }
}
