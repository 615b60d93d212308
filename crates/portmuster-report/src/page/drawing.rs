//! Draws the subnet map.
//!
//! The cells of a class are one path, so that a map takes a few kilobytes. The script finds the cell below
//! the pointer by the same geometry, which `data` passes on.

use std::fmt::Write;

use super::svg::{coordinate, escape};
use crate::{
    class::Class,
    map::{CELLS, Cells, MapRow, RowKind, SubnetMap},
    text::grouped,
};

/// The width of the names.
pub(super) const LEFT: f64 = 150.0;

/// The width of all cells of a row.
const ROW_WIDTH: f64 = 1024.0;

/// The height of the axis.
const TOP: f64 = 18.0;

/// The widest cell.
const CELL_MAX: f64 = 20.0;

/// The place of a row in the drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RowPlace {
    pub(super) y: f64,
    pub(super) height: f64,
    pub(super) cell: f64,
}

/// Returns the place of each row. A map of few rows has higher ones.
pub(super) fn places(map: &SubnetMap) -> Vec<RowPlace> {
    let height = match map.rows.len() {
        ..=8 => 20.0,
        9..=24 => 15.0,
        _ => 10.0,
    };
    let mut y = TOP;
    let place = |row: &MapRow| {
        #[expect(clippy::cast_precision_loss, reason = "there are at most 256 cells")]
        let cell = match row.kind {
            RowKind::Group => (ROW_WIDTH / row.cells.len().max(1) as f64).clamp(4.0, CELL_MAX),
            RowKind::Subnet(_) | RowKind::Block(_) => ROW_WIDTH / CELLS as f64,
        };
        let place = RowPlace { y, height, cell };
        y += height + 3.0;
        place
    };
    map.rows.iter().map(place).collect()
}

/// Returns the drawing; empty if the map has no rows.
pub(super) fn draw(map: &SubnetMap) -> String {
    let places = places(map);
    let Some(last) = places.last() else { return String::new() };
    let (width, height) = (LEFT + ROW_WIDTH, last.y + last.height);
    let mut svg = format!(
        "<svg id=\"map\" class=\"map\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"Map of the targets: one cell for each address; the table below has the numbers\">"
    );
    svg.push_str(&axis(map));
    for class in Class::ALL {
        let path: String = map
            .rows
            .iter()
            .zip(&places)
            .map(|(row, place)| path_of(&row.cells, class, *place))
            .collect();
        if !path.is_empty() {
            let _ = write!(svg, "<path class=\"f-{class}\" d=\"{path}\"/>");
        }
    }
    svg.push_str(&grid(map, &places));
    for (row, place) in map.rows.iter().zip(&places) {
        let baseline = coordinate(place.y + place.height / 2.0 + 3.5);
        let _ = write!(
            svg,
            "<g><title>{}</title><text class=\"name\" x=\"{}\" y=\"{baseline}\">{}</text></g>",
            escape(&describe(row)),
            LEFT - 8.0,
            escape(&crate::text::shorten(&row.name, 22))
        );
    }
    svg.push_str("<rect id=\"cursor\" class=\"cursor\" visibility=\"hidden\"/></svg>");
    svg
}

/// Returns a row as text: its name and the numbers of its cells.
fn describe(row: &MapRow) -> String {
    let counts = Class::ALL.map(|class| (class, row.count(class) as u64));
    let counts = counts.iter().filter(|(_, count)| *count > 0);
    let counts: Vec<_> =
        counts.map(|(class, count)| format!("{} {}", grouped(*count), class.label())).collect();
    format!("{}: {}", row.name, counts.join(", "))
}

/// Returns the rectangles of the cells of a class, of which neighbours are one rectangle.
fn path_of(cells: &Cells, class: Class, place: RowPlace) -> String {
    let mut path = String::new();
    let mut start = 0;
    for run in cells.chunk_by(|one, next| one == next) {
        if run[0] == Some(class) {
            #[expect(clippy::cast_precision_loss, reason = "there are at most 256 cells")]
            let (x, width) = (start as f64 * place.cell + LEFT, run.len() as f64 * place.cell);
            let (x, y, width) = (coordinate(x), coordinate(place.y), coordinate(width));
            let _ = write!(path, "M{x} {y}h{width}v{height}h-{width}z", height = place.height);
        }
        start += run.len();
    }
    path
}

/// Returns the lines between cells.
fn grid(map: &SubnetMap, places: &[RowPlace]) -> String {
    let mut path = String::new();
    for (row, place) in map.rows.iter().zip(places) {
        for cell in 1..row.cells.len() {
            // Between two addresses without a target there is nothing to separate.
            if row.cells[cell - 1].is_some() || row.cells[cell].is_some() {
                #[expect(clippy::cast_precision_loss, reason = "there are at most 256 cells")]
                let x = coordinate(cell as f64 * place.cell + LEFT);
                let _ = write!(path, "M{x} {}v{}", coordinate(place.y), place.height);
            }
        }
    }
    format!("<path class=\"grid\" d=\"{path}\"/>")
}

/// Returns the numbers of the last byte, or of the third one in a folded map.
fn axis(map: &SubnetMap) -> String {
    if !map.rows.iter().any(|row| row.kind != RowKind::Group) {
        return String::new();
    }
    let mut svg = String::new();
    for byte in [0, 32, 64, 96, 128, 160, 192, 224, 255] {
        let x = coordinate(f64::from(byte) * 4.0 + LEFT + 2.0);
        let name = if map.is_folded() { format!(".{byte}.0") } else { format!(".{byte}") };
        let _ = write!(svg, "<text class=\"tick\" x=\"{x}\" y=\"11\">{name}</text>");
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_class_are_one_rectangle() {
        let cells = [Some(Class::Ssh), Some(Class::Ssh), None, Some(Class::Telnet)].into();
        let place = RowPlace { y: 18.0, height: 10.0, cell: 4.0 };
        assert_eq!(path_of(&cells, Class::Ssh, place), "M150 18h8v10h-8z");
        assert_eq!(path_of(&cells, Class::Telnet, place), "M162 18h4v10h-4z");
        assert_eq!(path_of(&cells, Class::Other, place), "");
    }
}
