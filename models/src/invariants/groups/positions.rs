//! GRP-2: members are told where their group stands.

use ktrial_sim::Time;

use super::GroupFacts;
use crate::ids::{GroupId, Offset, PartitionId, ServerId};
use crate::invariants::judges::Judges;
use crate::invariants::witness::{Detail, Ground, Place};
use crate::invariants::{Exposure, Invariant};

/// A position that a coordinator accepted, or (none) took away when its retention was over.
#[derive(Clone, Copy, Debug)]
struct Accepted {
    offset: Option<Offset>,
    /// Since when a later one is acknowledged.
    overtaken: Option<Time>,
}

/// What a group has committed for a partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Positions {
    /// In the order in which coordinators accepted them.
    accepted: Vec<Accepted>,
    /// Whether any commit was ever acknowledged.
    acknowledged: bool,
}

impl GroupFacts {
    pub(super) fn accepted(&mut self, group: GroupId, partition: PartitionId, offset: Option<Offset>) {
        let positions = self.positions.entry((group, partition)).or_default();
        positions.accepted.push(Accepted {
            offset,
            overtaken: None,
        });
    }

    /// A commit is acknowledged: what was accepted before it nobody may be told any more who asks from now on.
    pub(super) fn acknowledged(&mut self, group: GroupId, partition: PartitionId, offset: Offset, at: Time) {
        let asked = self.members.iter().flat_map(|member| &member.asked);
        let oldest = asked.map(|(_, at)| *at).min();
        let Some(positions) = self.positions.get_mut(&(group, partition)) else {
            return;
        };
        positions.acknowledged = true;
        let fits = |one: &Accepted| one.offset == Some(offset) && one.overtaken.is_none();
        let Some(place) = positions.accepted.iter().position(fits) else {
            return;
        };
        for earlier in &mut positions.accepted[..place] {
            earlier.overtaken.get_or_insert(at);
        }
        let of_use = |one: &Accepted| match (one.overtaken, oldest) {
            (None, _) => true,
            (Some(overtaken), Some(oldest)) => overtaken >= oldest,
            (Some(_), None) => false,
        };
        positions.accepted.retain(of_use);
    }

    /// Whether a group may be told this position in a partition by who asked then. None: there is nothing to hold it
    /// against.
    fn may_be_told(&self, key: (GroupId, PartitionId), offset: Option<Offset>, asked: Time) -> Option<bool> {
        let positions = self.positions.get(&key).filter(|known| known.acknowledged)?;
        let fits =
            |one: &Accepted| one.offset == offset && one.overtaken.is_none_or(|overtaken| overtaken >= asked);
        Some(positions.accepted.iter().any(fits))
    }
}

impl Judges {
    /// GRP-2: a member was told where its group stands in a partition. It must be what was acknowledged last when it
    /// asked, or something that was accepted later.
    pub(super) fn told_position(
        &mut self,
        group: GroupId,
        partition: PartitionId,
        offset: Option<Offset>,
        asked: Time,
        by: ServerId,
    ) {
        let Some(right) = self.groups.may_be_told((group, partition), offset, asked) else {
            return;
        };
        self.exercised.positions += 1;
        if right {
            return;
        }
        let ground = match self.groups.kept_in(group) {
            _ if self.leader_for(group) != Some(by) => Ground::Exposed(Exposure::StaleCoordinator),
            Some(kept_in) => Ground::GroupLog(kept_in),
            None => Ground::Quorum,
        };
        let (place, detail) = match offset {
            Some(offset) => (
                Place::offset(partition, offset),
                Detail::Text("its group is told this position although a later commit was acknowledged"),
            ),
            None => (
                Place::partition(partition),
                Detail::Text("its group is told of no position although a commit was acknowledged"),
            ),
        };
        self.witnesses
            .add(Invariant::LostOffsetCommit, place, ground, detail);
    }
}
