//! What a member is to do next on the way to its target (`CurrentAssignmentBuilder`).

use std::sync::Arc;

use super::member::{ConsumerGroupMember, MemberState};
use crate::groups::records::ConsumerGroupCurrentMemberAssignmentValue;
use crate::ids::{MemberEpoch, PartitionId};

type Owned = Vec<(PartitionId, MemberEpoch)>;

/// A member, its target, and what is known of the partitions.
pub(super) struct Reconciliation<'a, S, H> {
    pub(super) member: &'a ConsumerGroupMember,
    /// The epoch of the target.
    pub(super) target_epoch: MemberEpoch,
    pub(super) target: &'a [PartitionId],
    /// Whether this heartbeat changed the member's topics.
    pub(super) subscription_changed: bool,
    /// Whether the member subscribes to the topic of a partition, and the partition is there.
    pub(super) subscribed: S,
    /// Whether some member has a partition.
    pub(super) held: H,
    /// What the member says it owns.
    pub(super) owned: Option<&'a [PartitionId]>,
}

fn contains(list: &[(PartitionId, MemberEpoch)], partition: PartitionId) -> bool {
    list.iter().any(|(id, _)| *id == partition)
}

impl<S: Fn(PartitionId) -> bool, H: Fn(PartitionId) -> bool> Reconciliation<'_, S, H> {
    /// What the member has next; the same if it cannot go on.
    pub(super) fn next(&self) -> Arc<ConsumerGroupCurrentMemberAssignmentValue> {
        let current = &self.member.current;
        let next = match current.state {
            MemberState::Stable if current.epoch != self.target_epoch => Some(self.compute()),
            MemberState::Stable if self.subscription_changed => self.update(),
            MemberState::Stable => None,
            MemberState::UnrevokedPartitions if self.owns_any(&current.revoking) => {
                match self.subscription_changed {
                    true => self.update(),
                    false => None,
                }
            }
            MemberState::UnrevokedPartitions | MemberState::UnreleasedPartitions => Some(self.compute()),
        };
        next.map_or_else(|| current.clone(), Arc::new)
    }

    /// Whether the member still has one of these; it does unless it says otherwise.
    fn owns_any(&self, revoking: &Owned) -> bool {
        let has = |owned: &[PartitionId]| owned.iter().any(|partition| contains(revoking, *partition));
        self.owned.is_none_or(has)
    }

    fn state(
        &self,
        state: MemberState,
        epoch: MemberEpoch,
        assigned: Owned,
        revoking: Owned,
    ) -> ConsumerGroupCurrentMemberAssignmentValue {
        ConsumerGroupCurrentMemberAssignmentValue {
            epoch,
            previous_epoch: self.member.epoch(),
            state,
            assigned,
            revoking,
        }
    }

    /// Takes away only what the member does not subscribe to any more (`updateCurrentAssignment`).
    fn update(&self) -> Option<ConsumerGroupCurrentMemberAssignmentValue> {
        let current = &self.member.current;
        let (assigned, gone): (Owned, Owned) = current
            .assigned
            .iter()
            .partition(|(partition, _)| (self.subscribed)(*partition));
        // Who subscribes to nothing is written in any case, if it had nothing left to give up.
        let to_nothing = self.member.metadata.topics.is_empty() && current.revoking.is_empty();
        if gone.is_empty() && !to_nothing {
            return None;
        }
        let mut revoking = current.revoking.clone();
        revoking.extend(gone);
        revoking.sort_unstable();
        Some(match !revoking.is_empty() && self.owns_any(&revoking) {
            true => self.state(
                MemberState::UnrevokedPartitions,
                current.epoch,
                assigned,
                revoking,
            ),
            // The member has given them up already, or there were none.
            false => self.state(current.state, current.epoch, assigned, current.revoking.clone()),
        })
    }

    /// Goes as far as it can (`computeNextAssignment`).
    fn compute(&self) -> ConsumerGroupCurrentMemberAssignmentValue {
        let current = &self.member.current;
        let wanted: Vec<PartitionId> = self
            .target
            .iter()
            .copied()
            .filter(|partition| (self.subscribed)(*partition))
            .collect();
        let (mut assigned, revoking): (Owned, Owned) = current
            .assigned
            .iter()
            .partition(|(partition, _)| wanted.contains(partition));
        if !revoking.is_empty() && self.owns_any(&revoking) {
            return self.state(
                MemberState::UnrevokedPartitions,
                current.epoch,
                assigned,
                revoking,
            );
        }
        let missing = wanted
            .iter()
            .copied()
            .filter(|partition| !contains(&current.assigned, *partition));
        // What the member itself was asked to give up is its own again.
        let (unreleased, free): (Vec<_>, Vec<_>) = missing
            .partition(|partition| (self.held)(*partition) && !contains(&current.revoking, *partition));
        assigned.extend(free.into_iter().map(|partition| (partition, self.target_epoch)));
        assigned.sort_unstable();
        let state = match unreleased.is_empty() {
            true => MemberState::Stable,
            false => MemberState::UnreleasedPartitions,
        };
        self.state(state, self.target_epoch, assigned, Vec::new())
    }
}
