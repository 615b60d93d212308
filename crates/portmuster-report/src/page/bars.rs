//! Charts of bars: shares of classes, a share, and the distribution of times.

use std::fmt::Write;

use super::svg::{coordinate, escape};
use crate::{
    class::Class,
    report::{ClassCounts, Histogram},
    text::{grouped, milliseconds, ratio},
};

/// The narrowest part of a bar, in percent: a single telnet among a million targets stays visible.
const PART_MIN: f64 = 0.6;

/// Returns one bar with a part for each class in this order, as wide as its page allows.
pub(super) fn stack(counts: &ClassCounts, order: &[Class]) -> String {
    let present: Vec<_> = order.iter().copied().filter(|&class| counts.of(class) > 0).collect();
    let share = |class: Class| percent(counts, class).max(PART_MIN);
    let sum: f64 = present.iter().map(|&class| share(class)).sum();
    let described: Vec<_> = present
        .iter()
        .map(|&class| format!("{} {}", grouped(counts.of(class)), class.label()))
        .collect();
    let mut svg = format!(
        "<svg class=\"stack\" role=\"img\" aria-label=\"{}\">",
        escape(&described.join(", "))
    );
    let mut start = 0.0;
    for (&class, described) in present.iter().zip(&described) {
        let width = share(class) / sum * 100.0;
        let _ = write!(
            svg,
            "<rect class=\"f-{class}\" x=\"{start:.2}%\" width=\"{width:.2}%\" height=\"100%\"><title>{}</title></rect>",
            escape(described)
        );
        start += width;
    }
    svg.push_str("</svg>");
    svg
}

/// Returns whether the parts of a bar are as wide as their numbers.
pub(super) fn is_to_scale(counts: &ClassCounts) -> bool {
    Class::ALL.into_iter().all(|class| counts.of(class) == 0 || percent(counts, class) >= PART_MIN)
}

fn percent(counts: &ClassCounts, class: Class) -> f64 {
    ratio(counts.of(class), counts.all()) * 100.0
}

/// Returns a bar that is filled to scale with parts of a whole, each with the name of its fill.
pub(super) fn shares(parts: &[(u64, &str)], whole: u64) -> String {
    let mut svg = String::from(
        "<svg class=\"share\" aria-hidden=\"true\"><rect class=\"track\" width=\"100%\" height=\"100%\"/>",
    );
    let mut start = 0.0;
    for (part, fill) in parts {
        let width = ratio(*part, whole) * 100.0;
        let _ = write!(
            svg,
            "<rect class=\"f-{fill}\" x=\"{start:.2}%\" width=\"{width:.2}%\" height=\"100%\"/>"
        );
        start += width;
    }
    svg.push_str("</svg>");
    svg
}

/// The size of a chart of times, and of the space below its bars.
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 150.0;
/// The largest width of a bar with the space beside it.
const STEP_MAX: f64 = 65.0;
const BELOW: f64 = 22.0;
/// The width of the longest label. Where bars are narrower, every second one has a label.
const LABEL_WIDTH: f64 = 44.0;
const ABOVE: f64 = 16.0;

/// Returns the distribution of times as vertical bars.
pub(super) fn histogram(times: &Histogram) -> String {
    let used = used_bars(times);
    let most = times.counts.iter().copied().max().unwrap_or_default();
    let label = format!(
        "{} times; the median is {}",
        grouped(times.times()),
        times.median_ms.map_or_else(|| "unknown".to_owned(), milliseconds)
    );
    let mut svg = format!(
        "<svg class=\"histogram\" role=\"img\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" aria-label=\"{}\">",
        escape(&label)
    );
    #[expect(clippy::cast_precision_loss, reason = "there are few bars")]
    let step = (WIDTH / used.len().max(1) as f64).min(STEP_MAX);
    let labelled = if step < LABEL_WIDTH { 2 } else { 1 };
    let floor = HEIGHT - BELOW;
    for (at, bar) in used.enumerate() {
        let count = times.counts[bar];
        #[expect(clippy::cast_precision_loss, reason = "there are few bars")]
        let x = step * at as f64;
        let height = ratio(count, most) * (floor - ABOVE);
        // A bar with one of a million times is a line.
        let height = if count > 0 { height.max(1.5) } else { 0.0 };
        let (x, y) = (coordinate(x + 2.0), coordinate(floor - height));
        let middle = coordinate(step.mul_add(0.5, x.parse().unwrap_or_default()) - 2.0);
        let (width, height) = (coordinate(step - 4.0), coordinate(height));
        let _ = write!(
            svg,
            "<rect class=\"bar\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"><title>{}: {}</title></rect>\
             <text class=\"tick\" x=\"{middle}\" y=\"{}\">{}</text>",
            range(times, bar),
            grouped(count),
            HEIGHT - 6.0,
            if at % labelled == 0 { end(times, bar) } else { String::new() }
        );
        if count > 0 {
            let above = coordinate(y.parse::<f64>().unwrap_or_default() - 4.0);
            let _ = write!(
                svg,
                "<text class=\"tick\" x=\"{middle}\" y=\"{above}\">{}</text>",
                grouped(count)
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

/// Returns the bars from the first with a time to the last.
fn used_bars(times: &Histogram) -> std::ops::Range<usize> {
    let is_used = |&count: &u64| count > 0;
    let first = times.counts.iter().position(is_used).unwrap_or_default();
    let last = times.counts.iter().rposition(is_used).map_or(0, |last| last + 1);
    first..last
}

/// Returns the upper end of a bar with its unit, for below it.
fn end(times: &Histogram, bar: usize) -> String {
    let time =
        |ms: f64| if ms < 1_000.0 { format!("{ms} ms") } else { format!("{} s", ms / 1_000.0) };
    match times.ends_ms.get(bar) {
        Some(&end) => time(end),
        None => format!("> {}", times.ends_ms.last().copied().map(time).unwrap_or_default()),
    }
}

/// Returns the range of times of a bar.
pub(super) fn range(times: &Histogram, bar: usize) -> String {
    match bar.checked_sub(1).and_then(|before| times.ends_ms.get(before)) {
        Some(&start) if bar < times.ends_ms.len() => {
            format!("{} to {}", milliseconds(start), milliseconds(times.ends_ms[bar]))
        }
        Some(&start) => format!("more than {}", milliseconds(start)),
        None => format!("up to {}", milliseconds(times.ends_ms[0])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_class_stays_visible_and_the_parts_fill_the_bar() {
        let mut counts = ClassCounts::default();
        counts.0[Class::Telnet as usize] = 1;
        counts.0[Class::Refused as usize] = 1_000_000;
        let svg = stack(&counts, &Class::ALL);
        assert!(svg.contains("aria-label=\"1 telnet, 1,000,000 refused\""), "{svg}");
        assert!(svg.contains("class=\"f-telnet\" x=\"0.00%\" width=\"0.60%\""), "{svg}");
        assert!(svg.contains("class=\"f-refused\" x=\"0.60%\" width=\"99.40%\""), "{svg}");
        assert!(!is_to_scale(&counts));
        counts.0[Class::Telnet as usize] = 10_000;
        assert!(is_to_scale(&counts));
    }

    #[test]
    fn parts_of_a_whole_follow_each_other_to_scale() {
        let svg = shares(&[(1, "weak-ssh"), (2, "ssh")], 8);
        assert!(svg.contains("class=\"f-weak-ssh\" x=\"0.00%\" width=\"12.50%\""), "{svg}");
        assert!(svg.contains("class=\"f-ssh\" x=\"12.50%\" width=\"25.00%\""), "{svg}");
    }

    #[test]
    fn histogram_begins_and_ends_with_a_time() {
        let times = Histogram {
            ends_ms: vec![1.0, 2.0, 5.0, 1_000.0],
            counts: vec![0, 3, 0, 1, 0],
            median_ms: Some(1.5),
            p95_ms: None,
            max_ms: None,
        };
        let svg = histogram(&times);
        assert_eq!(svg.matches("class=\"bar\"").count(), 3);
        assert!(svg.contains("<title>1.0 ms to 2.0 ms: 3</title>"), "{svg}");
        assert_eq!((end(&times, 3), end(&times, 4)), ("1 s".to_owned(), "> 1 s".to_owned()));
        assert_eq!(range(&times, 4), "more than 1.00 s");
    }
}
