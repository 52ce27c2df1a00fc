//! A member of a consumer group (`ConsumerGroupMember`).

use std::sync::Arc;

use crate::groups::records::{ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue};
use crate::ids::{GroupEpoch, MemberEpoch, MemberId, PartitionId};
use crate::notes::GroupNote;

/// How far a member has come on the way to its target (`MemberState`); see the table of [`super`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberState {
    /// It has all of its target.
    Stable,
    /// It has to give partitions up before its epoch moves.
    UnrevokedPartitions,
    /// Others have not given up yet what it is to have.
    UnreleasedPartitions,
}

/// A member: what two records say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupMember {
    /// Its id.
    pub id: MemberId,
    /// What it says of itself.
    pub metadata: Arc<ConsumerGroupMemberMetadataValue>,
    /// What it has.
    pub current: Arc<ConsumerGroupCurrentMemberAssignmentValue>,
}

impl ConsumerGroupMember {
    /// A member of which nothing is known.
    pub(super) fn new(id: MemberId) -> Self {
        let current = ConsumerGroupCurrentMemberAssignmentValue {
            epoch: MemberEpoch::JOIN,
            previous_epoch: MemberEpoch(-1),
            state: MemberState::Stable,
            assigned: Vec::new(),
            revoking: Vec::new(),
        };
        ConsumerGroupMember {
            id,
            metadata: Arc::default(),
            current: Arc::new(current),
        }
    }

    /// Its epoch.
    pub fn epoch(&self) -> MemberEpoch {
        self.current.epoch
    }

    /// Whether it uses the classic protocol (`useClassicProtocol`).
    pub fn is_classic(&self) -> bool {
        self.metadata.classic.is_some()
    }

    /// What it may use, and what it is asked to give up: nobody else has these partitions.
    pub fn held(&self) -> impl Iterator<Item = PartitionId> {
        let assigned = self.current.assigned.iter();
        assigned
            .chain(&self.current.revoking)
            .map(|(partition, _)| *partition)
    }

    /// In which of its epochs it was assigned a partition that it has (`assignmentEpoch`, `pendingRevocationEpoch`).
    pub(super) fn assigned_in(&self, partition: PartitionId) -> Option<MemberEpoch> {
        let has = |list: &[(PartitionId, MemberEpoch)]| {
            let found = list.binary_search_by_key(&partition, |(id, _)| *id);
            found.ok().map(|place| list[place].1)
        };
        has(&self.current.assigned).or_else(|| has(&self.current.revoking))
    }

    /// What it has, for those who watch.
    pub(super) fn reconciled(&self) -> GroupNote {
        let partitions = |list: &[(PartitionId, MemberEpoch)]| list.iter().map(|(id, _)| *id).collect();
        GroupNote::Reconciled {
            member: self.id,
            epoch: self.current.epoch,
            state: self.current.state,
            assigned: partitions(&self.current.assigned),
            revoking: partitions(&self.current.revoking),
        }
    }

    /// Whether it has all it is to have in this epoch (`isReconciledTo`).
    pub fn is_reconciled_to(&self, epoch: GroupEpoch) -> bool {
        self.current.state == MemberState::Stable && self.epoch() == epoch.reached()
    }
}
