//! A group of either protocol (`Group`).

use ktrial_sim::Time;

use crate::groups::CoordinatorRecord;
use crate::groups::classic::{ClassicGroup, GroupState};
use crate::groups::consumer::{ConsumerGroup, ConsumerGroupUndo};
use crate::ids::GroupId;

/// A group, by the protocol of its members.
#[derive(Clone, Debug)]
pub enum Group {
    /// JoinGroup and SyncGroup; also one that only keeps offsets.
    Classic(ClassicGroup),
    /// ConsumerGroupHeartbeat (KIP-848).
    Consumer(ConsumerGroup),
}

/// What takes a change of a shard's groups back.
#[derive(Debug)]
pub(super) enum GroupUndo {
    /// A group was put there, put away or replaced.
    Whole(Option<Box<Group>>),
    /// A consumer group changed.
    Consumer(ConsumerGroupUndo),
}

impl Group {
    /// Its id.
    pub fn id(&self) -> GroupId {
        match self {
            Group::Classic(group) => group.id,
            Group::Consumer(group) => group.id,
        }
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        match self {
            Group::Classic(group) => group.state() == GroupState::Empty,
            Group::Consumer(group) => group.members().next().is_none(),
        }
    }

    /// Whether a member subscribes to a topic; if that is not known, whether it could.
    pub fn is_subscribed_to(&self, topic: u16) -> bool {
        match self {
            Group::Classic(group) => group.is_subscribed_to(topic),
            Group::Consumer(group) => group.is_subscribed_to(topic),
        }
    }

    /// From when on the retention of a committed offset counts; none: it does not (`offsetExpirationCondition`).
    pub fn expires_from(&self, committed_at: Time) -> Option<Time> {
        match self {
            Group::Classic(group) => group.expires_from(committed_at),
            Group::Consumer(_) => Some(committed_at),
        }
    }

    /// The records that put a group without members away (`createGroupTombstoneRecords`).
    pub fn tombstones(&self, records: &mut Vec<CoordinatorRecord>) {
        match self {
            Group::Classic(group) => records.push(CoordinatorRecord::GroupMetadata(group.id, None)),
            Group::Consumer(group) => group.tombstones(None, records),
        }
    }
}
