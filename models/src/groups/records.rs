//! Records of internal topics, as values (`CoordinatorRecord`). The ones of `__consumer_offsets` have the names of
//! their schemas (`GroupMetadataKey` and `Value`, and so on).

use std::sync::Arc;

use ktrial_sim::{Duration, Time};

use smallvec::SmallVec;

use crate::groups::consumer::MemberState;
use crate::ids::{
    ClientId, GenerationId, GroupEpoch, GroupId, GroupInstanceId, MemberEpoch, MemberId, PartitionId,
};
use crate::protocol::{Assignment, Assignor, CommittedOffset, ProtocolType, ServerAssignor, Subscription};

/// A record of an internal topic. A value of none is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum CoordinatorRecord {
    /// A classic group.
    GroupMetadata(GroupId, Option<Arc<GroupMetadataValue>>),
    /// A position a group has committed.
    OffsetCommit(GroupId, PartitionId, Option<OffsetCommitValue>),
    /// A consumer group's epoch.
    ConsumerGroupMetadata(GroupId, Option<ConsumerGroupMetadataValue>),
    /// Always a tombstone: before 4.1 the partitions of a consumer group's topics were kept here.
    ConsumerGroupPartitionMetadata(GroupId),
    /// What a member of a consumer group says of itself.
    ConsumerGroupMemberMetadata(GroupId, MemberId, Option<Arc<ConsumerGroupMemberMetadataValue>>),
    /// The group's epoch that the target assignment was made for, and when, by the coordinator's wall clock; none: by
    /// the leader of a classic group (Kafka writes 0).
    ConsumerGroupTargetAssignmentMetadata(GroupId, Option<(GroupEpoch, Option<Time>)>),
    /// What a member of a consumer group is to have: by topic, within it in the order of Kafka's set.
    ConsumerGroupTargetAssignmentMember(GroupId, MemberId, Option<Assignment>),
    /// What a member of a consumer group has.
    ConsumerGroupCurrentMemberAssignment(
        GroupId,
        MemberId,
        Option<Arc<ConsumerGroupCurrentMemberAssignmentValue>>,
    ),
}

/// A record's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CoordinatorRecordKey {
    /// `GroupMetadataKey`.
    GroupMetadata(GroupId),
    /// `OffsetCommitKey`.
    OffsetCommit(GroupId, PartitionId),
    /// `ConsumerGroupMetadataKey`.
    ConsumerGroupMetadata(GroupId),
    /// `ConsumerGroupPartitionMetadataKey`.
    ConsumerGroupPartitionMetadata(GroupId),
    /// `ConsumerGroupMemberMetadataKey`.
    ConsumerGroupMemberMetadata(GroupId, MemberId),
    /// `ConsumerGroupTargetAssignmentMetadataKey`.
    ConsumerGroupTargetAssignmentMetadata(GroupId),
    /// `ConsumerGroupTargetAssignmentMemberKey`.
    ConsumerGroupTargetAssignmentMember(GroupId, MemberId),
    /// `ConsumerGroupCurrentMemberAssignmentKey`.
    ConsumerGroupCurrentMemberAssignment(GroupId, MemberId),
}

impl CoordinatorRecord {
    /// The partition whose committed offset it takes away.
    pub fn expired(&self) -> Option<PartitionId> {
        match self {
            CoordinatorRecord::OffsetCommit(_, partition, None) => Some(*partition),
            _ => None,
        }
    }

    /// Its key.
    pub fn key(&self) -> CoordinatorRecordKey {
        use CoordinatorRecordKey as Key;
        match self {
            CoordinatorRecord::GroupMetadata(group, _) => Key::GroupMetadata(*group),
            CoordinatorRecord::OffsetCommit(group, partition, _) => Key::OffsetCommit(*group, *partition),
            CoordinatorRecord::ConsumerGroupMetadata(group, _) => Key::ConsumerGroupMetadata(*group),
            CoordinatorRecord::ConsumerGroupPartitionMetadata(group) => {
                Key::ConsumerGroupPartitionMetadata(*group)
            }
            CoordinatorRecord::ConsumerGroupMemberMetadata(group, member, _) => {
                Key::ConsumerGroupMemberMetadata(*group, *member)
            }
            CoordinatorRecord::ConsumerGroupTargetAssignmentMetadata(group, _) => {
                Key::ConsumerGroupTargetAssignmentMetadata(*group)
            }
            CoordinatorRecord::ConsumerGroupTargetAssignmentMember(group, member, _) => {
                Key::ConsumerGroupTargetAssignmentMember(*group, *member)
            }
            CoordinatorRecord::ConsumerGroupCurrentMemberAssignment(group, member, _) => {
                Key::ConsumerGroupCurrentMemberAssignment(*group, *member)
            }
        }
    }

    /// Estimated size with key and overhead, in bytes.
    pub fn bytes(&self) -> u32 {
        match self {
            CoordinatorRecord::GroupMetadata(_, None) | CoordinatorRecord::OffsetCommit(_, _, None) => 50,
            CoordinatorRecord::OffsetCommit(_, _, Some(_)) => 80,
            CoordinatorRecord::GroupMetadata(_, Some(value)) => {
                let assigned =
                    |member: &MemberMetadata| member.assignment.as_ref().map_or(0, |list| list.len());
                let members = value.members.iter().map(|member| {
                    let partitions = member.subscription.owned.len() + assigned(member);
                    200 + 20 * member.subscription.topics.len() as u32 + 4 * partitions as u32
                });
                80 + members.sum::<u32>()
            }
            CoordinatorRecord::ConsumerGroupMetadata(_, value) => 40 + 12 * u32::from(value.is_some()),
            CoordinatorRecord::ConsumerGroupPartitionMetadata(_) => 40,
            CoordinatorRecord::ConsumerGroupMemberMetadata(_, _, value) => {
                let protocols = |classic: &ClassicMemberMetadata| {
                    let lists = classic.protocols.iter();
                    let one = |list: &Subscription| 40 + 20 * list.topics.len() + 4 * list.owned.len();
                    lists.map(|(_, list)| one(list) as u32).sum::<u32>()
                };
                let said = value.as_ref().map_or(0, |value| {
                    80 + 20 * value.topics.len() as u32 + value.classic.as_ref().map_or(0, protocols)
                });
                80 + said
            }
            CoordinatorRecord::ConsumerGroupTargetAssignmentMetadata(_, value) => {
                40 + 12 * u32::from(value.is_some())
            }
            CoordinatorRecord::ConsumerGroupTargetAssignmentMember(_, _, value) => {
                80 + 4 * value.as_ref().map_or(0, |partitions| partitions.len() as u32)
            }
            CoordinatorRecord::ConsumerGroupCurrentMemberAssignment(_, _, value) => {
                let partitions = value
                    .as_ref()
                    .map(|value| value.assigned.len() + value.revoking.len());
                90 + 8 * partitions.unwrap_or_default() as u32
            }
        }
    }
}

/// A classic group at the time of the record.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupMetadataValue {
    /// `protocolType`; none: empty.
    pub protocol_type: Option<ProtocolType>,
    /// `generation`.
    pub generation: GenerationId,
    /// `protocol`.
    pub protocol: Option<Assignor>,
    /// `leader`.
    pub leader: Option<MemberId>,
    /// `currentStateTimestamp`, by the coordinator's wall clock.
    pub current_state_timestamp: Time,
    /// `members`.
    pub members: Vec<MemberMetadata>,
}

/// A member of a classic group at the time of the record.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberMetadata {
    /// `memberId`.
    pub member: MemberId,
    /// `groupInstanceId`.
    pub instance: Option<GroupInstanceId>,
    /// `clientId`.
    pub client: ClientId,
    /// `rebalanceTimeout`.
    pub rebalance_timeout: Duration,
    /// `sessionTimeout`.
    pub session_timeout: Duration,
    /// `subscription`: the metadata of the protocol that was selected.
    pub subscription: Arc<Subscription>,
    /// `assignment`; none: no bytes.
    pub assignment: Option<Assignment>,
}

/// A committed position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetCommitValue {
    /// `offset` and `leaderEpoch`.
    pub committed: CommittedOffset,
    /// `commitTimestamp`, by the coordinator's wall clock.
    pub commit_timestamp: Time,
}

/// A consumer group at the time of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerGroupMetadataValue {
    /// `epoch`.
    pub epoch: GroupEpoch,
    /// `metadataHash`: of the topics the group subscribes to, their partitions and the racks of their replicas.
    pub metadata_hash: u64,
}

/// What a member of a consumer group says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerGroupMemberMetadataValue {
    /// `instanceId`.
    pub instance: Option<GroupInstanceId>,
    /// `rackId`, by number.
    pub rack: Option<u16>,
    /// `clientId`.
    pub client: ClientId,
    /// `subscribedTopicNames`: specification numbers, sorted.
    pub topics: SmallVec<[u16; 4]>,
    /// `rebalanceTimeoutMs`.
    pub rebalance_timeout: Duration,
    /// `serverAssignor`.
    pub assignor: Option<ServerAssignor>,
    /// `classicMemberMetadata`; none: the member uses the consumer protocol.
    pub classic: Option<ClassicMemberMetadata>,
}

/// What else a member of the classic protocol says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMemberMetadata {
    /// `sessionTimeoutMs`.
    pub session_timeout: Duration,
    /// `supportedProtocols` with their `metadata`, the preferred one first.
    pub protocols: SmallVec<[(Assignor, Arc<Subscription>); 2]>,
}

impl ClassicMemberMetadata {
    /// Whether it supports a protocol.
    pub fn supports(&self, protocol: Assignor) -> bool {
        self.protocols.iter().any(|(supported, _)| *supported == protocol)
    }
}

/// What a member of a consumer group has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupCurrentMemberAssignmentValue {
    /// `memberEpoch`.
    pub epoch: MemberEpoch,
    /// `previousMemberEpoch`.
    pub previous_epoch: MemberEpoch,
    /// `state`.
    pub state: MemberState,
    /// `assignedPartitions`, sorted, each with the member epoch in which it was assigned (KIP-1251).
    pub assigned: Vec<(PartitionId, MemberEpoch)>,
    /// `partitionsPendingRevocation`, likewise.
    pub revoking: Vec<(PartitionId, MemberEpoch)>,
}
