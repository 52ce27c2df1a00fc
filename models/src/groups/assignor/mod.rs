//! The assignors that run on the coordinator (`ConsumerGroupPartitionAssignor`): who is to have what.
//!
//! | name | promises | code |
//! |---|---|---|
//! | `uniform` | shares that differ by one at most, few moves; the default | `uniform`, and `heterogeneous` where members subscribe to different topics |
//! | `range` | for each topic one range per member, the same of each topic where topics have as many partitions | `range` |
//!
//! Neither looks at racks (4.3). The results are Kafka's for members and topics in the same order; see
//! `GroupSpec` for the order.

mod heterogeneous;
mod int_set;
mod range;
mod uniform;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::ids::{GroupInstanceId, MemberId, PartitionId, TopicId};
use crate::protocol::{Assignment, ServerAssignor};
use int_set::IntSet;

/// What one member has: by topic, in order, the indexes of partitions. Topics are told by their place in
/// [`GroupSpec::topics`].
pub(super) type Target = BTreeMap<usize, IntSet>;

/// A topic that somebody subscribes to.
#[derive(Clone, Debug)]
pub(super) struct TopicSpec {
    /// Which.
    pub(super) id: TopicId,
    partitions: Vec<PartitionId>,
    /// Which partitions are in some member's target.
    assigned: Vec<bool>,
}

/// A member and what it was to have.
#[derive(Clone, Debug)]
pub(super) struct MemberSpec {
    pub(super) id: MemberId,
    pub(super) instance: Option<GroupInstanceId>,
    /// Sorted.
    pub(super) subscribed: Vec<usize>,
    pub(super) assigned: Target,
}

/// A group to be assigned (`GroupSpec`): members in the order in which Kafka would go through them, topics likewise.
#[derive(Clone, Debug)]
pub(super) struct GroupSpec {
    pub(super) members: Vec<MemberSpec>,
    pub(super) topics: Vec<TopicSpec>,
    /// Whether all members subscribe to the same topics.
    pub(super) homogeneous: bool,
    places: BTreeMap<PartitionId, (usize, u32)>,
}

impl TopicSpec {
    pub(super) fn new(id: TopicId, partitions: Vec<PartitionId>) -> Self {
        TopicSpec {
            id,
            assigned: vec![false; partitions.len()],
            partitions,
        }
    }

    fn count(&self) -> u32 {
        self.partitions.len() as u32
    }
}

impl GroupSpec {
    /// A group without members yet.
    pub(super) fn new(topics: Vec<TopicSpec>, homogeneous: bool) -> Self {
        let mut places = BTreeMap::new();
        for (place, topic) in topics.iter().enumerate() {
            let indexes = topic.partitions.iter().zip(0..);
            places.extend(indexes.map(|(partition, index)| (*partition, (place, index))));
        }
        GroupSpec {
            members: Vec::new(),
            topics,
            homogeneous,
            places,
        }
    }

    /// The place of a topic.
    pub(super) fn topic(&self, id: TopicId) -> Option<usize> {
        self.topics.binary_search_by_key(&id, |topic| topic.id).ok()
    }

    /// These partitions are in some member's target.
    pub(super) fn mark_assigned(&mut self, partitions: &[PartitionId]) {
        for partition in partitions {
            if let Some((topic, index)) = self.places.get(partition) {
                self.topics[*topic].assigned[*index as usize] = true;
            }
        }
    }

    /// A target of a record, without the topics that nobody subscribes to any more.
    pub(super) fn by_topic(&self, partitions: &[PartitionId]) -> Target {
        let mut lists: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for (topic, index) in partitions
            .iter()
            .filter_map(|partition| self.places.get(partition))
        {
            lists.entry(*topic).or_default().push(*index);
        }
        lists
            .into_iter()
            .map(|(topic, list)| (topic, IntSet::from_list(list)))
            .collect()
    }

    /// A target for a record.
    pub(super) fn partitions_of(&self, target: &Target) -> Assignment {
        let partitions = target.iter().flat_map(|(topic, indexes)| {
            let topic = &self.topics[*topic];
            indexes
                .in_order()
                .into_iter()
                .map(|index| topic.partitions[index as usize])
        });
        partitions.collect()
    }
}

/// What everybody is to have, in the order of the members.
///
/// # Panics
/// If the assignor is none of Kafka's, which no broker has.
pub(super) fn assign(assignor: ServerAssignor, group: &GroupSpec) -> Vec<(MemberId, Target)> {
    let targets = match (assignor, group.homogeneous) {
        (ServerAssignor::Uniform, true) => uniform::assign(group),
        (ServerAssignor::Uniform, false) => heterogeneous::assign(group),
        (ServerAssignor::Range, _) => range::assign(group),
        (ServerAssignor::Unknown, _) => unreachable!("no broker has an assignor that Kafka does not bring"),
    };
    let ids = group.members.iter().map(|member| member.id);
    ids.zip(targets).collect()
}
