//! Draws the subnet map.
//!
//! The cells of a class are one path, so that a map takes a few kilobytes. The script finds the cell below
//! the pointer by the same geometry, which `data` passes on.

use std::fmt::Write;

use super::svg::{coordinate, escape};
use crate::{
    class::Class,
    map::{CELLS, MapRow, RowKind, SubnetMap},
    text::{counted, grouped},
};

/// The width of the names.
pub(super) const LEFT: f64 = 150.0;

/// The width of all cells of a row.
const ROW_WIDTH: f64 = 1024.0;

/// The height of the axis.
const TOP: f64 = 18.0;

/// The space between rows.
const GAP: f64 = 3.0;

/// The height of the port numbers above a host with ports.
const NUMBERS: f64 = 12.0;

/// The number of cells from one port number to the next.
const NUMBERS_STEP: usize = 4;

/// A map of at most this many networks has larger cells, in several lines for each network.
const LARGE_MAX: usize = 8;

/// The number of cells in a line of a map with large cells.
const LARGE_LINE: usize = 64;

/// The place of a row in the drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RowPlace {
    pub(super) y: f64,
    /// The height of a line.
    pub(super) line: f64,
    /// The width of a cell.
    pub(super) cell: f64,
    /// Number of cells in a line.
    pub(super) per_line: usize,
    /// The height of all lines.
    pub(super) height: f64,
}

impl RowPlace {
    /// Returns the left and the upper edge of a cell.
    #[expect(clippy::cast_precision_loss, reason = "there are at most 256 cells")]
    fn corner(&self, cell: usize) -> (f64, f64) {
        let (line, column) = (cell / self.per_line, cell % self.per_line);
        (column as f64 * self.cell + LEFT, line as f64 * self.line + self.y)
    }
}

/// Returns the place of each row. A map of few networks has larger cells.
pub(super) fn places(map: &SubnetMap) -> Vec<RowPlace> {
    let (line, per_line) = match networks(map) {
        ..=LARGE_MAX => (16.0, LARGE_LINE),
        9..=24 => (14.0, CELLS),
        _ => (10.0, CELLS),
    };
    let mut y = TOP;
    let place = |row: &MapRow| {
        let per_line = if row.kind.has_names() { LARGE_LINE } else { per_line };
        let lines = row.cells.len().div_ceil(per_line).max(1);
        #[expect(clippy::cast_precision_loss, reason = "there are at most 256 cells")]
        let (cell, height) = (ROW_WIDTH / per_line as f64, lines as f64 * line);
        if row.kind == RowKind::Ports {
            y += NUMBERS;
        }
        let place = RowPlace { y, line, cell, per_line, height };
        y += height + if per_line < CELLS { 3.0 * GAP } else { GAP };
        place
    };
    map.rows.iter().map(place).collect()
}

/// Returns the number of rows that are networks of IPv4.
pub(super) fn networks(map: &SubnetMap) -> usize {
    map.rows.iter().filter(|row| !row.kind.has_names()).count()
}

/// Says what the lines and the cells of the drawing are. `ports` is the number of different ports.
pub(super) fn explain(map: &SubnetMap, ports: u64) -> String {
    let has = |kind| map.rows.iter().any(|row| row.kind == kind);
    let (network, cell, size) =
        if map.is_folded() { ("/16", "/24", 256 * ports) } else { ("/24", "address", ports) };
    let mut sentences = Vec::new();
    match networks(map) {
        0 => {}
        1..=LARGE_MAX => sentences.push(format!(
            "Each cell is one {cell}. A {network} has {} lines of {LARGE_LINE} cells.",
            CELLS / LARGE_LINE
        )),
        _ => sentences.push(format!("Each cell is one {cell}, and each line a {network}.")),
    }
    if networks(map) > 0 && size > 1 && has_telnet(map) {
        sentences.push(format!(
            "A red cell: at least one of the up to {} of this {cell} is telnet.",
            counted(size, "target", "targets")
        ));
    }
    if has(RowKind::Hosts) {
        sentences.push("Beside an IPv6 network or a domain, each cell is a host.".to_owned());
    }
    if has(RowKind::Ports) {
        sentences.push(
            "Beside a host with “ports”, each cell is one of its ports; the numbers above are ports."
                .to_owned(),
        );
    }
    sentences.join(" ")
}

fn has_telnet(map: &SubnetMap) -> bool {
    map.rows.iter().any(|row| !row.kind.has_names() && row.count(Class::Telnet) > 0)
}

/// Returns whether a cell of an IPv4 network is empty, because no target is there.
pub(super) fn has_empty(map: &SubnetMap) -> bool {
    let mut networks = map.rows.iter().filter(|row| !row.kind.has_names());
    networks.any(|row| row.cells.iter().any(Option::is_none))
}

/// Returns the drawing; empty if the map has no rows.
pub(super) fn draw(map: &SubnetMap) -> String {
    let places = places(map);
    let Some(last) = places.last() else { return String::new() };
    let (width, height) = (LEFT + ROW_WIDTH, last.y + last.height);
    let mut svg = format!(
        "<svg id=\"map\" class=\"map\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"Map of the targets; the table by network below has the numbers\">"
    );
    svg.push_str(&axis(map, &places));
    for (row, place) in map.rows.iter().zip(&places) {
        svg.push_str(&space(row, *place));
        if row.kind == RowKind::Ports {
            svg.push_str(&port_numbers(row, *place));
        }
    }
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
        let baseline = coordinate(place.y + place.line / 2.0 + 3.5);
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

/// Returns the space of a network, and the number of the first cell of each line after the first.
fn space(row: &MapRow, place: RowPlace) -> String {
    if row.kind.has_names() {
        return String::new();
    }
    let (y, height) = (coordinate(place.y), coordinate(place.height));
    let mut svg = format!(
        "<rect class=\"space\" x=\"{LEFT}\" y=\"{y}\" width=\"{ROW_WIDTH}\" height=\"{height}\"/>"
    );
    for cell in (place.per_line..row.cells.len()).step_by(place.per_line) {
        let (_, y) = place.corner(cell);
        let (x, y) = (LEFT - 8.0, coordinate(y + place.line / 2.0 + 3.5));
        let name = if matches!(row.kind, RowKind::Block(_)) {
            format!(".{cell}.0")
        } else {
            format!(".{cell}")
        };
        let _ = write!(svg, "<text class=\"tick end\" x=\"{x}\" y=\"{y}\">{name}</text>");
    }
    svg
}

/// Returns the numbers of some ports of a host: above the first line, and at the left of each other one.
fn port_numbers(row: &MapRow, place: RowPlace) -> String {
    let port = |cell: usize| {
        let name = row.names.get(cell).map(String::as_str).unwrap_or_default();
        escape(name.rsplit(':').next().unwrap_or_default())
    };
    let mut svg = String::new();
    let first_line = row.cells.len().min(place.per_line);
    for cell in (0..first_line).step_by(NUMBERS_STEP) {
        let (x, y) = place.corner(cell);
        let (x, y) = (coordinate(x + place.cell / 2.0), coordinate(y - 2.5));
        let _ = write!(svg, "<text class=\"tick\" x=\"{x}\" y=\"{y}\">{}</text>", port(cell));
    }
    for cell in (place.per_line..row.cells.len()).step_by(place.per_line) {
        let (_, y) = place.corner(cell);
        let (x, y) = (LEFT - 8.0, coordinate(y + place.line / 2.0 + 3.5));
        let _ = write!(svg, "<text class=\"tick end\" x=\"{x}\" y=\"{y}\">{}</text>", port(cell));
    }
    svg
}

/// Returns the rectangles of the cells of a class, of which neighbours in a line are one rectangle.
fn path_of(cells: &[Option<Class>], class: Class, place: RowPlace) -> String {
    let mut path = String::new();
    for (line, cells) in cells.chunks(place.per_line).enumerate() {
        let mut start = line * place.per_line;
        for run in cells.chunk_by(|one, next| one == next) {
            if run[0] == Some(class) {
                let (x, y) = place.corner(start);
                #[expect(clippy::cast_precision_loss, reason = "there are at most 256 cells")]
                let width = coordinate(run.len() as f64 * place.cell);
                let (x, y, height) = (coordinate(x), coordinate(y), coordinate(place.line));
                let _ = write!(path, "M{x} {y}h{width}v{height}h-{width}z");
            }
            start += run.len();
        }
    }
    path
}

/// Returns the lines between cells.
fn grid(map: &SubnetMap, places: &[RowPlace]) -> String {
    let mut path = String::new();
    for (row, place) in map.rows.iter().zip(places) {
        for cell in 0..row.cells.len() {
            let is_drawn = |cell: usize| row.cells.get(cell).is_some_and(Option::is_some);
            let (x, y) = place.corner(cell);
            let (x, y) = (coordinate(x), coordinate(y));
            // Between two addresses without a target there is nothing to separate.
            if cell % place.per_line > 0 && (is_drawn(cell - 1) || is_drawn(cell)) {
                let _ = write!(path, "M{x} {y}v{}", coordinate(place.line));
            }
            let above = cell.checked_sub(place.per_line);
            if above.is_some_and(|above| is_drawn(above) || is_drawn(cell)) {
                let _ = write!(path, "M{x} {y}h{}", coordinate(place.cell));
            }
        }
    }
    format!("<path class=\"grid\" d=\"{path}\"/>")
}

/// Returns the numbers of the last byte, or of the third one in a folded map. A map with large cells has
/// several lines for a network, and says so at the first one.
fn axis(map: &SubnetMap, places: &[RowPlace]) -> String {
    let first = map.rows.iter().zip(places).find(|(row, _)| !row.kind.has_names());
    let Some((_, place)) = first else { return String::new() };
    let mut svg = String::new();
    for cell in (0..place.per_line).step_by(place.per_line / 8).chain([place.per_line - 1]) {
        let (x, _) = place.corner(cell);
        let x = coordinate(x + place.cell / 2.0);
        let name = if map.is_folded() { format!(".{cell}.0") } else { format!(".{cell}") };
        // The last one ends at the edge.
        let (x, class) = if cell + 1 == place.per_line {
            (coordinate(LEFT + ROW_WIDTH), "tick end")
        } else {
            (x, "tick")
        };
        let _ = write!(svg, "<text class=\"{class}\" x=\"{x}\" y=\"11\">{name}</text>");
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Collector;

    fn map(hosts: &[&str]) -> SubnetMap {
        let mut rows = Collector::default();
        for host in hosts {
            let row = format!(
                r#"{{"schema":1,"host":"{host}","port":23,"state":"closed","reason":"refused"}}"#
            );
            rows.add_line(row.as_bytes()).expect("it is a row");
        }
        SubnetMap::new(&rows)
    }

    #[test]
    fn explanation_is_about_the_kinds_of_rows_that_there_are() {
        let explain = |hosts: &[&str]| explain(&map(hosts), 2);
        let addresses = "Each cell is one address. A /24 has 4 lines of 64 cells.";
        let hosts = "Beside an IPv6 network or a domain, each cell is a host.";
        assert_eq!(explain(&["10.0.0.1"]), addresses);
        assert_eq!(explain(&["a.example"]), hosts);
        assert_eq!(explain(&["10.0.0.1", "::1"]), format!("{addresses} {hosts}"));
        assert_eq!(explain(&[]), "");
    }

    #[test]
    fn host_with_ports_names_every_fourth_port() {
        let mut rows = Collector::default();
        for port in 4001..4011 {
            let row = format!(
                r#"{{"schema":1,"host":"10.0.0.1","port":{port},"state":"closed","reason":"refused"}}"#
            );
            rows.add_line(row.as_bytes()).expect("it is a row");
        }
        let svg = draw(&SubnetMap::new(&rows));
        assert!([4001, 4005, 4009].iter().all(|port| svg.contains(&format!(">{port}</text>"))));
        assert!(!svg.contains(">4002</text>"));
    }

    #[test]
    fn neighbours_of_one_class_in_a_line_are_one_rectangle() {
        let cells = [Some(Class::Ssh), Some(Class::Ssh), None, Some(Class::Telnet)];
        let place = RowPlace { y: 18.0, line: 10.0, cell: 4.0, per_line: 3, height: 20.0 };
        assert_eq!(path_of(&cells, Class::Ssh, place), "M150 18h8v10h-8z");
        assert_eq!(path_of(&cells, Class::Telnet, place), "M150 28h4v10h-4z");
        assert_eq!(path_of(&cells, Class::Other, place), "");
    }
}
