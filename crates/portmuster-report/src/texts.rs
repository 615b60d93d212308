//! Texts that are stored once, however often they occur.

use std::{collections::HashMap, sync::Arc};

/// The number of a text in [`Texts`]; 0 is the empty text.
pub(crate) type TextId = u32;

/// A set of texts. A repeated text takes no more memory.
#[derive(Debug)]
pub(crate) struct Texts {
    all: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, TextId>,
}

impl Default for Texts {
    fn default() -> Self {
        let empty = Arc::from("");
        Self { all: vec![Arc::clone(&empty)], ids: HashMap::from([(empty, 0)]) }
    }
}

impl Texts {
    /// Stores the text if it is new.
    ///
    /// # Panics
    /// After 4,294,967,295 texts, which do not fit in memory.
    pub(crate) fn add(&mut self, text: &str) -> TextId {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let id = TextId::try_from(self.all.len()).expect("the texts fit in memory");
        let text: Arc<str> = text.into();
        self.all.push(Arc::clone(&text));
        self.ids.insert(text, id);
        id
    }

    /// Returns the text with this number.
    pub(crate) fn get(&self, id: TextId) -> &str {
        &self.all[id as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_one_id() {
        let mut texts = Texts::default();
        let ids = ["a", "", "b", "a"].map(|text| texts.add(text));
        assert_eq!(ids, [1, 0, 2, 1]);
        assert_eq!(texts.get(2), "b");
    }
}
