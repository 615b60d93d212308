//! The parameters of a fingerprint of Recog, and what of them a row says.

use super::super::statement::{Piece, Statement, Template};

/// The parameters of a fingerprint, in their order.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, Template)>);

impl Params {
    /// Adds a parameter: at position 0 the value, at any other the group of the pattern with this number.
    pub(super) fn add(&mut self, name: String, position: usize, value: String) {
        let piece = if position == 0 { Piece::Text(value) } else { Piece::Group(position) };
        self.0.push((name, Template(vec![piece])));
    }

    /// Returns what the parameters say.
    pub(super) fn statement(&self, name: String) -> Statement {
        let first = |names: &[&str]| {
            names.iter().find_map(|name| self.get(name)).cloned().unwrap_or_default()
        };
        Statement {
            name,
            vendor: first(&["service.vendor", "hw.vendor", "os.vendor"]),
            product: first(&["service.product"]),
            version: first(&["service.version"]),
            os: self.os(),
            device: self.device(),
            cpe: self.interpolate(&first(&["service.cpe23", "os.cpe23", "hw.cpe23"])),
        }
    }

    fn get(&self, name: &str) -> Option<&Template> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, template)| template)
    }

    /// Joins maker, product and version of the operating system.
    fn os(&self) -> Template {
        let product = self.get("os.product").or_else(|| self.get("os.family"));
        let Some(product) = product else { return Template::default() };
        joined(&[self.get("os.vendor"), Some(product), self.get("os.version")])
    }

    /// Joins maker and model of the device, or names its kind.
    fn device(&self) -> Template {
        let models = ["hw.product", "hw.family", "hw.model"];
        let kind = self.get("hw.device").or_else(|| self.get("os.device"));
        match models.iter().find_map(|name| self.get(name)) {
            Some(model) => joined(&[self.get("hw.vendor"), Some(model)]),
            None => kind.cloned().unwrap_or_default(),
        }
    }

    /// Inserts other parameters where a text names them in braces, as in `{service.version}`.
    fn interpolate(&self, template: &Template) -> Template {
        let pieces = template.0.iter().flat_map(|piece| match piece {
            Piece::Text(text) => self.interpolate_text(text),
            Piece::Group(_) => vec![piece.clone()],
        });
        Template(pieces.collect())
    }

    fn interpolate_text(&self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else { break };
            pieces.push(Piece::Text(before.to_owned()));
            match self.get(name) {
                Some(value) => pieces.extend(value.0.iter().cloned()),
                // "Not applicable" in a CPE.
                None => pieces.push(Piece::Text("-".to_owned())),
            }
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces
    }
}

/// Joins templates by spaces. A fixed text that the next one begins with is left out, so that `Cisco` and
/// `Cisco IOS` are not joined to `Cisco Cisco IOS`.
fn joined(parts: &[Option<&Template>]) -> Template {
    let parts: Vec<_> = parts.iter().flatten().collect();
    let is_repeated = |index: usize| match (&*parts[index].0, parts.get(index + 1).map(|it| &*it.0))
    {
        ([Piece::Text(text)], Some([Piece::Text(next)])) => next.starts_with(text.as_str()),
        _ => false,
    };
    let mut pieces = Vec::new();
    for index in (0..parts.len()).filter(|&index| !is_repeated(index)) {
        if !pieces.is_empty() {
            pieces.push(Piece::Text(" ".to_owned()));
        }
        pieces.extend(parts[index].0.iter().cloned());
    }
    Template(pieces)
}
