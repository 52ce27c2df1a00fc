//! What a scenario asserts in `ktrial test`: invariants that are to hold, and bounds on what is measured.

mod bound;
mod measure;
mod read;

use ktrial_models::config::Place;
use ktrial_models::invariants::Invariant;

pub use bound::{Bound, InTrials, Limit, Portion, Relation};
pub use measure::{Measure, Measured, Quantile};
pub(crate) use read::{AssertFile, read};

/// The section `assert:` of a scenario, or what counts without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertions {
    /// Invariants that are to hold in every trial even where Kafka does not promise them, and where that is said.
    /// All of them unless the scenario names some.
    pub invariants: Vec<(Invariant, Place)>,
    /// Bounds on what is measured.
    pub thresholds: Vec<Threshold>,
}

/// What one measure is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// What is measured of each trial.
    pub measure: Measure,
    /// The bounds as they are written.
    pub written: String,
    /// Where they are written.
    pub place: Place,
    /// The bounds. All of them are to be kept.
    pub bounds: Vec<Bound>,
}

impl Assertions {
    /// Every invariant, asserted at one place.
    pub fn all(place: &Place) -> Self {
        let invariants = Invariant::ALL.iter().map(|invariant| (*invariant, place.clone()));
        Assertions {
            invariants: invariants.collect(),
            thresholds: Vec::new(),
        }
    }

    /// Where an invariant is asserted, if it is.
    pub fn of(&self, invariant: Invariant) -> Option<&Place> {
        let asserted = self.invariants.iter().find(|(known, _)| *known == invariant);
        asserted.map(|(_, place)| place)
    }
}
