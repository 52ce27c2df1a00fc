//! In which forms results of tests are written.

use std::fmt;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReportFormat {
    /// For people.
    Text,
    /// JUnit XML.
    Junit,
    /// Annotations of GitHub Actions.
    Github,
    /// JSON Lines.
    Jsonl,
}

impl ReportFormat {
    /// All of them by name.
    pub const NAMES: [(&'static str, ReportFormat); 4] = [
        ("text", ReportFormat::Text),
        ("junit", ReportFormat::Junit),
        ("github", ReportFormat::Github),
        ("jsonl", ReportFormat::Jsonl),
    ];

    /// Reads a name.
    ///
    /// # Errors
    /// No such format.
    pub fn parse(text: &str) -> Result<Self, String> {
        let known = ReportFormat::NAMES.iter().find(|(name, _)| *name == text.trim());
        known.map(|(_, format)| *format).ok_or_else(|| {
            let names = ReportFormat::NAMES.map(|(name, _)| name).join(", ");
            format!("no format {}: there are {names}", text.trim())
        })
    }
}

impl fmt::Display for ReportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = ReportFormat::NAMES.iter().find(|(_, format)| format == self);
        f.write_str(known.expect("all formats have names").0)
    }
}
