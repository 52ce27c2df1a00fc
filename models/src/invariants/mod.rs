//! The judges: what must hold, what was promised, what was seen.

mod catalogue;
mod finding;

pub use catalogue::Invariant;
pub use finding::{Exposure, Finding, Verdict};
