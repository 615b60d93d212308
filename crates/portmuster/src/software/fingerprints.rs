//! The fingerprints of a run.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use super::{
    banner::{BannerKind, banner},
    own_table::parse,
    recog::{self, RecogError, RecogFiles},
    statement::FingerprintTable,
};
use crate::outcome::{Outcome, Software};

/// Our own fingerprints of ssh identifications.
pub(super) static OWN_SSH: LazyLock<FingerprintTable> =
    LazyLock::new(|| parse(include_str!("../../fingerprints/ssh.txt")).into());

/// Our own fingerprints of the text of telnet servers.
pub(super) static OWN_TELNET: LazyLock<FingerprintTable> =
    LazyLock::new(|| parse(include_str!("../../fingerprints/telnet.txt")).into());

/// The fingerprints by which a run names the software of servers.
///
/// ```
/// use portmuster::{Checker, Config, software::Fingerprints};
///
/// let checker = Checker::new(Config::default()).identifying(Fingerprints::built_in());
/// for outcome in checker.check([("127.0.0.1", 22)])? {
///     let software = outcome.verdict.software();
///     println!("{}", software.map(|it| it.describe()).unwrap_or_default());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Fingerprints {
    recog: Option<Arc<RecogFiles>>,
}

impl Fingerprints {
    /// Returns the built-in fingerprints, which are the default of a run.
    #[must_use]
    pub fn built_in() -> Self {
        Self::default()
    }

    /// Returns the built-in fingerprints and those of ssh and telnet banners in a folder of Recog's XML
    /// files. Of two that match, the one that says more counts; of equals, that of Recog.
    ///
    /// # Errors
    /// The folder can't be read or has no such file; a file is larger than 8 MiB or not well-formed; or a
    /// pattern is not valid or too large.
    pub fn with_recog(folder: impl AsRef<Path>) -> Result<Self, RecogError> {
        Ok(Self { recog: Some(Arc::new(recog::read(folder.as_ref())?)) })
    }

    /// Returns the files of Recog that were read; none if there are only the built-in fingerprints.
    #[must_use]
    pub fn recog_files(&self) -> &[PathBuf] {
        self.recog.as_ref().map_or(&[], |recog| &recog.paths)
    }

    /// Returns a hash of the files of Recog; `None`: there are only the built-in fingerprints.
    #[must_use]
    pub fn recog_hash(&self) -> Option<u64> {
        self.recog.as_ref().map(|recog| recog.digest)
    }

    /// Names the software of a server; `None`: it is not known.
    #[must_use]
    pub fn identify(&self, outcome: &Outcome) -> Option<Software> {
        let (kind, banner) = banner(outcome)?;
        self.identify_banner(kind, &banner)
    }

    /// Names the software of a server with this banner.
    pub(super) fn identify_banner(&self, kind: BannerKind, banner: &[u8]) -> Option<Software> {
        let own = match kind {
            BannerKind::Ssh => OWN_SSH.identify(banner),
            BannerKind::Telnet => OWN_TELNET.identify(banner),
        };
        let recog = self.recog.as_ref().and_then(|recog| match kind {
            BannerKind::Ssh => recog.ssh.identify(banner),
            BannerKind::Telnet => recog.telnet.identify(banner),
        });
        let facts = |it: &Option<Software>| it.as_ref().map_or(0, Software::facts);
        if facts(&own) > facts(&recog) { own } else { recog.or(own) }
    }
}
