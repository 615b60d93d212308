//! Identifies the outcomes of a run, and remembers the banners that it has seen.

use std::{collections::HashMap, sync::Arc};

use super::{
    banner::{BannerKind, banner},
    fingerprints::Fingerprints,
    telnet_daemons,
};
use crate::outcome::{Outcome, Software};

/// Limit of remembered banners, of at most 1 KiB each. Many hosts of a network have the same few.
const BANNERS_MAX: usize = 2048;

/// Identifies the outcomes of a run.
#[derive(Debug, Default)]
pub(crate) struct Identifier {
    fingerprints: Fingerprints,
    known: HashMap<(BannerKind, Vec<u8>), Option<Arc<Software>>>,
}

impl Identifier {
    /// Creates an identifier that remembers nothing.
    pub(crate) fn new(fingerprints: Fingerprints) -> Self {
        Self { fingerprints, known: HashMap::new() }
    }

    /// Adds the software of the server, and its telnet daemon, to the details of an outcome.
    pub(crate) fn identify(&mut self, outcome: &mut Outcome) {
        if let Some(daemon) = telnet_daemons::identify(outcome) {
            outcome.verdict.details.get_or_insert_default().telnet_daemon = Some(daemon);
        }
        let Some(key) = banner(outcome) else { return };
        let software = match self.known.get(&key) {
            Some(software) => software.clone(),
            None => self.identify_new(key),
        };
        if software.is_some() {
            outcome.verdict.details.get_or_insert_default().software = software;
        }
    }

    fn identify_new(&mut self, (kind, banner): (BannerKind, Vec<u8>)) -> Option<Arc<Software>> {
        let software = self.fingerprints.identify_banner(kind, &banner).map(Arc::new);
        if self.known.len() >= BANNERS_MAX {
            self.known.clear();
        }
        self.known.insert((kind, banner), software.clone());
        software
    }
}
