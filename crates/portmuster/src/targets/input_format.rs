//! The formats of target lists.

use crate::named_enum::named_enum;

named_enum! {
    /// A format of target lists.
    #[non_exhaustive]
    pub enum InputFormat: "input format" {
        /// Targets separated by line ends or white space.
        List = "list",
        /// A table whose columns are separated by commas, semicolons or tabs.
        Csv = "csv",
        /// The output of `nmap -oX` and `masscan -oX`.
        NmapXml = "nmap-xml",
        /// The output of `nmap -oG` and `masscan -oG`.
        NmapGrep = "nmap-grep",
        /// The output of `masscan -oL`, `-oJ` and `-oD`.
        Masscan = "masscan",
        /// A `known_hosts` file of OpenSSH (sshd(8)).
        KnownHosts = "known-hosts",
        /// An Ansible inventory: INI, or the JSON of `ansible-inventory --list`.
        Ansible = "ansible",
    }
}
