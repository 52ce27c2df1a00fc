//! A partition's log on one replica: `UnifiedLog` and what belongs to it.

use crate::ids::ProducerId;
use crate::records::Numbering;

/// The last batch of each producer, as a `.snapshot` file holds it (`ProducerStateManager`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProducerSnapshot {
    /// The offset behind what it covers.
    pub offset: u64,
    /// Producers, sorted.
    pub producers: Vec<(ProducerId, Numbering)>,
}
