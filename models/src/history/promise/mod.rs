//! Whether Kafka promised that a violation cannot happen.
//!
//! Counting violations and judging promises are apart: a judge asks a [`Promises`] about each violation it
//! finds. [`SettingsAndFaults`] answers from what a history alone holds; a simulated trial, which knows
//! what happened to each copy of a log, can answer better with the same counting code.

mod committed;
mod faults;
mod settings_and_faults;

pub use settings_and_faults::SettingsAndFaults;

use super::finding::{Invariant, Witness};

/// How far a promise reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Kafka promises that this cannot happen.
    Promised,
    /// It does not, for this reason.
    Released(&'a str),
}

/// Somebody who knows which promises stand.
pub trait Promises {
    /// Whether Kafka promised that this violation cannot happen.
    fn standing(&self, invariant: Invariant, witness: &Witness) -> Standing<'_>;
}
