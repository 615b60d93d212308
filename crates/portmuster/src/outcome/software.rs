//! The software of a server, as a fingerprint names it.

/// What a fingerprint says of the software of a server.
///
/// Each text is at most [`Self::TEXT_MAX`] bytes long. Parts of it may be chosen by the server, so
/// escape it before you show it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Software {
    /// The maker of the software, or of the device if the fingerprint does not name the software.
    pub vendor: Option<String>,
    /// The name of the software.
    pub product: Option<String>,
    /// The version of the software, as the server states it.
    pub version: Option<String>,
    /// The operating system, with its maker and its version where these are known.
    pub os: Option<String>,
    /// The kind of the device, or its maker and model.
    pub device: Option<String>,
    /// The name of the software, the operating system or the device in the Common Platform Enumeration,
    /// as a URI of version 2.2.
    pub cpe: Option<String>,
    /// The name of the fingerprint that says all of this. That of a fingerprint of Recog is `recog: `
    /// and its description.
    pub fingerprint: String,
}

impl Software {
    /// Limit of each text, in bytes.
    pub const TEXT_MAX: usize = 256;

    /// Returns how many of the facts that people ask for it has: all but the CPE.
    pub(crate) fn facts(&self) -> usize {
        let facts = [&self.vendor, &self.product, &self.version, &self.os, &self.device];
        facts.into_iter().flatten().count()
    }

    /// Names the software for people, as in `OpenSSH 9.2p1, Debian 12`; empty if only its maker is known.
    ///
    /// ```
    /// let mut software = portmuster::outcome::Software::default();
    /// software.product = Some("OpenSSH".into());
    /// software.version = Some("9.2p1".into());
    /// software.os = Some("Debian 12".into());
    /// assert_eq!(software.describe(), "OpenSSH 9.2p1, Debian 12");
    /// ```
    #[must_use]
    pub fn describe(&self) -> String {
        let product = self.product.as_ref().map(|product| match &self.version {
            Some(version) => format!("{product} {version}"),
            None => product.clone(),
        });
        let parts: Vec<_> = [&product, &self.os, &self.device].into_iter().flatten().collect();
        parts.iter().map(|part| part.as_str()).collect::<Vec<_>>().join(", ")
    }
}
