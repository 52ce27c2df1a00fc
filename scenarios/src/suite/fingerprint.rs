//! What groups failures: what broke and why it could, not which seed showed it.

use std::fmt;

use ktrial_models::invariants::{Invariant, Verdict};

use crate::assertion::Measure;

/// The name of a failure over all seeds that show it: `DUR-2/exposed/acks-one`, `DUR-4/broken`, `threshold/lost`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Of a violated invariant.
    pub fn violation(invariant: Invariant, verdict: Verdict) -> Self {
        Fingerprint(match verdict {
            Verdict::Broken => format!("{}/broken", invariant.id()),
            Verdict::Exposed(exposure) => {
                format!(
                    "{}/exposed/{}",
                    invariant.id(),
                    with_dashes(&format!("{exposure:?}"))
                )
            }
        })
    }

    /// Of a bound that was not kept.
    pub fn threshold(measure: Measure) -> Self {
        Fingerprint(format!("threshold/{measure}"))
    }
}

/// `AcksOne` as `acks-one`.
fn with_dashes(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push('-');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktrial_models::invariants::Exposure;

    #[test]
    fn a_fingerprint_names_what_broke_and_why() {
        let exposed = Verdict::Exposed(Exposure::AcksOne);
        let lost = Fingerprint::violation(Invariant::LostWrite, exposed);
        assert_eq!(lost.to_string(), "DUR-2/exposed/acks-one");
        let broken = Fingerprint::violation(Invariant::AckNeedsMinIsr, Verdict::Broken);
        assert_eq!(broken.to_string(), "DUR-4/broken");
        assert_eq!(
            Fingerprint::threshold(Measure::Lost).to_string(),
            "threshold/lost"
        );
    }
}
