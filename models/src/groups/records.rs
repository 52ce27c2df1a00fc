//! Records of internal topics, as values (`CoordinatorRecord`). The ones of `__consumer_offsets`:
//! `GroupMetadataKey`/`Value` and `OffsetCommitKey`/`Value`.

use std::sync::Arc;

use ktrial_sim::{Duration, Time};

use crate::ids::{ClientId, GenerationId, GroupId, GroupInstanceId, MemberId, PartitionId};
use crate::protocol::{Assignment, Assignor, CommittedOffset, ProtocolType, Subscription};

/// A record of an internal topic. A value of none is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum CoordinatorRecord {
    /// A classic group.
    GroupMetadata(GroupId, Option<Arc<GroupMetadataValue>>),
    /// A position a group has committed.
    OffsetCommit(GroupId, PartitionId, Option<OffsetCommitValue>),
}

/// A record's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CoordinatorRecordKey {
    /// `GroupMetadataKey`.
    GroupMetadata(GroupId),
    /// `OffsetCommitKey`.
    OffsetCommit(GroupId, PartitionId),
}

impl CoordinatorRecord {
    /// Its key.
    pub fn key(&self) -> CoordinatorRecordKey {
        match self {
            CoordinatorRecord::GroupMetadata(group, _) => CoordinatorRecordKey::GroupMetadata(*group),
            CoordinatorRecord::OffsetCommit(group, partition, _) => {
                CoordinatorRecordKey::OffsetCommit(*group, *partition)
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
