//! GRP-1: who has a partition is alone with it.

use ktrial_sim::NodeId;

use super::GroupFacts;
use crate::ids::{GroupId, MemberId, PartitionId};
use crate::invariants::judges::Judges;
use crate::invariants::witness::{Detail, Ground, Place};
use crate::invariants::{Exposure, Invariant};
use crate::protocol::Assignment;

impl GroupFacts {
    /// Their coordinator has these members, whatever one before it meant to change.
    pub(super) fn are_members(&mut self, members: &[MemberId]) {
        self.removed.retain(|removed| !members.contains(removed));
    }

    /// Whether a coordinator has removed what this machine still takes for its membership.
    fn has_expired(&self, node: NodeId) -> bool {
        let index = usize::from(node.0 - self.first_member);
        let id = self.members.get(index).and_then(|member| member.id);
        id.is_some_and(|id| self.removed.contains(&id))
    }

    /// These are all members of a consumer group. That another one was removed nobody may have told: the coordinator
    /// may have died, or have waited too long, before it knew that it is committed.
    pub(super) fn remaining(&mut self, on: (GroupId, NodeId), members: &[MemberId], speaks: bool) {
        let known = self.on_brokers.entry(on).or_default();
        let machines = self.members.iter().filter(|member| member.group == on.0);
        for id in machines.filter_map(|member| member.id) {
            if !self.joined.contains(&id) || members.contains(&id) {
                continue;
            }
            known.reconciled.remove(&id);
            let everywhere = speaks.then_some(&mut self.removed);
            for removed in everywhere.into_iter().chain([&mut known.removed]) {
                if !removed.contains(&id) {
                    removed.push(id);
                }
            }
        }
        if speaks {
            self.are_members(members);
        }
    }

    pub(super) fn gives_up_all(&mut self, node: NodeId) {
        self.owners.retain(|_, owners| {
            owners.retain(|owner| *owner != node);
            !owners.is_empty()
        });
    }
}

impl Judges {
    /// GRP-1 as the coordinator tells it: no partition is assigned to two members of a generation.
    pub(super) fn assigned_once(&mut self, assignment: &[(MemberId, Option<Assignment>)]) {
        let given = &mut self.groups.given;
        given.clear();
        let each = assignment
            .iter()
            .filter_map(|(_, partitions)| partitions.as_ref());
        each.for_each(|partitions| given.extend(partitions.iter()));
        given.sort_unstable();
        for twice in given.windows(2).filter(|two| two[0] == two[1]) {
            self.witnesses.add(
                Invariant::DoubleAssignment,
                Place::partition(twice[0]),
                Ground::Always,
                Detail::Text("it is assigned to two members of one generation"),
            );
        }
    }

    /// GRP-1 as members tell it: who gets a partition is alone with it.
    pub(super) fn owns(&mut self, node: NodeId, group: GroupId, partitions: &[PartitionId]) {
        self.exercised.assigned += u64::from(!partitions.is_empty());
        for partition in partitions {
            let key = (group, *partition);
            let owners = self.groups.owners.entry(key).or_default();
            let before: Vec<NodeId> = owners.iter().copied().filter(|owner| *owner != node).collect();
            if before.len() == owners.len() {
                owners.push(node);
            }
            for other in before {
                // A member takes up what waits for its poll although it is in the group no more
                // (`ConsumerMembershipManager.applyAssignment` asks for no epoch).
                let is_over = self.groups.has_expired(other) || self.groups.has_expired(node);
                let ground = match (is_over, self.groups.kept_in(group)) {
                    (true, _) => Ground::Exposed(Exposure::MembershipOver),
                    (false, Some(kept_in)) => Ground::GroupLog(kept_in),
                    (false, None) => Ground::Quorum,
                };
                self.witnesses.add(
                    Invariant::DoubleAssignment,
                    Place::partition(*partition),
                    ground,
                    Detail::Text("it is given to a member while another one still takes it for its own"),
                );
            }
        }
    }
}
