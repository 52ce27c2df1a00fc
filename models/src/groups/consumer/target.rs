//! What an assignor is asked (`TargetAssignmentBuilder`).

use super::group::ConsumerGroup;
use super::member::ConsumerGroupMember;
use crate::groups::assignor::{GroupSpec, MemberSpec, TopicSpec};
use crate::ids::MemberId;
use crate::metadata::MetadataImage;
use crate::protocol::Assignment;

impl ConsumerGroup {
    /// The group with a member changed or new, which has the target of `holder`.
    ///
    /// Kafka goes through members in the order of a `HashMap` of their random ids; here it is the order of the ids,
    /// which are as random. The same goes for topics and their ids.
    pub(super) fn specification(
        &self,
        holder: Option<MemberId>,
        updated: &ConsumerGroupMember,
        homogeneous: bool,
        image: &MetadataImage,
    ) -> GroupSpec {
        let mut members: Vec<&ConsumerGroupMember> =
            self.members_with(holder.unwrap_or(updated.id), updated).collect();
        members.sort_unstable_by_key(|member| member.id);
        let mut topics: Vec<TopicSpec> = Vec::new();
        for topic in members.iter().flat_map(|member| member.metadata.topics.iter()) {
            if let Some(id) = image.topic_of(*topic)
                && let Err(place) = topics.binary_search_by_key(&id, |topic| topic.id)
            {
                let partitions = image.topic(id).expect("it was just found").partitions.clone();
                topics.insert(place, TopicSpec::new(id, partitions));
            }
        }
        let mut specification = GroupSpec::new(topics, homogeneous);
        for target in self.targets().values() {
            specification.mark_assigned(target);
        }
        for member in members {
            let subscribed = member.metadata.topics.iter();
            let mut subscribed: Vec<usize> = subscribed
                .filter_map(|topic| specification.topic(image.topic_of(*topic)?))
                .collect();
            subscribed.sort_unstable();
            let before: Assignment = match member.id == updated.id {
                true => holder.map(|holder| self.target(holder)).unwrap_or_default(),
                false => self.target(member.id),
            };
            let assigned = specification.by_topic(&before);
            specification.members.push(MemberSpec {
                id: member.id,
                instance: member.metadata.instance,
                subscribed,
                assigned,
            });
        }
        specification
    }
}
