//! GRP-3: what coordinators accept is held against what they know of their group.

use std::collections::BTreeMap;

use ktrial_sim::NodeId;

use crate::ids::{GenerationId, GroupId, MemberEpoch, MemberId, PartitionId};
use crate::invariants::Invariant;
use crate::invariants::judges::Judges;
use crate::invariants::witness::{Detail, Ground, Place};
use crate::protocol::CommittedOffset;

/// A group as one broker knows it.
#[derive(Clone, Debug, Default)]
pub(super) struct OnBroker {
    /// Of a classic group.
    pub(super) generation: Option<GenerationId>,
    /// Of a consumer group.
    pub(super) reconciled: BTreeMap<MemberId, Reconciled>,
    /// Who is no member any more. The classic protocol gives no id out twice.
    pub(super) removed: Vec<MemberId>,
}

/// A member of a consumer group.
#[derive(Clone, Debug)]
pub(super) struct Reconciled {
    epoch: MemberEpoch,
    /// What it has, and since which epoch, if that is known: what it had when it was first seen it can have had before.
    has: Vec<(PartitionId, Option<MemberEpoch>)>,
}

impl Reconciled {
    pub(super) fn new(
        epoch: MemberEpoch,
        has: impl Iterator<Item = PartitionId>,
        before: Option<&Reconciled>,
    ) -> Self {
        let since = |partition| match before {
            None => None,
            Some(before) => {
                let had = before.has.iter().find(|(had, _)| *had == partition);
                had.map_or(Some(epoch), |(_, since)| *since)
            }
        };
        Reconciled {
            epoch,
            has: has.map(|partition| (partition, since(partition))).collect(),
        }
    }

    /// Whether a commit made in this epoch may not count (`ConsumerGroup.validateOffsetCommit`, KIP-1251): it is of a
    /// later epoch, or of an earlier one in which the member did not have the partition yet.
    fn refuses(&self, epoch: MemberEpoch, partition: PartitionId) -> bool {
        if epoch >= self.epoch {
            return epoch > self.epoch;
        }
        let has = self.has.iter().find(|(has, _)| *has == partition);
        has.is_none_or(|(_, since)| since.is_some_and(|since| since > epoch))
    }
}

impl Judges {
    /// GRP-3: a commit of a former member, or of another generation, was accepted.
    pub(super) fn stale_commit(
        &mut self,
        of: (GroupId, NodeId),
        member: Option<MemberId>,
        generation: GenerationId,
        offsets: &[(PartitionId, CommittedOffset)],
        ground: Ground,
    ) {
        let Some(known) = self.groups.on_brokers.get(&of) else {
            return;
        };
        // Before the first rebalance nothing is stale.
        let reconciled = member.and_then(|member| known.reconciled.get(&member));
        let later = known.generation > Some(GenerationId(1))
            || reconciled.is_some_and(|reconciled| reconciled.epoch > MemberEpoch(1));
        self.exercised.commits += u64::from(later);
        let removed = member.is_some_and(|member| known.removed.contains(&member));
        let other = generation != GenerationId::NONE && known.generation.is_some_and(|now| now != generation);
        let refused = |(partition, _): &(PartitionId, _)| {
            reconciled.is_some_and(|known| known.refuses(MemberEpoch(generation.0), *partition))
        };
        let text = match (removed, other) {
            (true, _) => "a commit of a former member was accepted",
            (false, true) => "a commit of another generation was accepted",
            (false, false) if offsets.iter().any(refused) => {
                "a commit of another epoch was accepted, in which the member did not have the partition"
            }
            (false, false) => return,
        };
        let place = offsets
            .first()
            .map_or(Place::default(), |(partition, committed)| {
                Place::offset(*partition, committed.offset)
            });
        self.witnesses
            .add(Invariant::StaleCommitAccepted, place, ground, Detail::Text(text));
    }
}
