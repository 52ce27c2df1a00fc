//! What groups of consumers came to: the questions their users ask, counted.

mod counts;
mod course;
mod delivery;
mod in_hand;
mod metrics;
mod processing;
mod sinks;

use ktrial_models::ids::{GroupId, PartitionId, PartitionMap, RecordId};

pub use counts::{GroupCounts, GroupMeasure};
pub use delivery::Delivery;
pub use metrics::{GroupMetrics, MemberMetrics};
pub use processing::{Processing, Work};
pub use sinks::{SinkCounts, SinkMeasure};

/// What one group came to in a trial.
#[derive(Clone, Debug)]
pub struct GroupOutcome {
    /// Which group.
    pub group: GroupId,
    /// The topics its members subscribe to, by their numbers in the specification.
    pub topics: Vec<u16>,
    /// In numbers.
    pub counts: GroupCounts,
    /// Records that nobody has finished with.
    pub unprocessed: Vec<RecordId>,
    /// Records finished with more than once, with everybody's work on them in order of time.
    pub twice: Vec<(RecordId, Vec<Work>)>,
    /// Records finished with behind a later one of their key.
    pub reordered: Vec<RecordId>,
}

/// The topic of each partition, by its number in the specification.
pub(crate) type TopicOf = PartitionMap<u16>;

impl GroupOutcome {
    fn subscribes(&self, partition: PartitionId, topic_of: &TopicOf) -> bool {
        let topic = topic_of.get(partition);
        topic.is_some_and(|topic| self.topics.contains(topic))
    }
}
