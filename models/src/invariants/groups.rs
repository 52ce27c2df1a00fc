//! GRP-1 double-assignment, GRP-2 lost-offset-commit, GRP-3 stale-commit-accepted.
//!
//! Coordinators and members each tell what they do. What a coordinator accepts is held against what it knows itself:
//! one that does not know yet that another broker coordinates accepts what will never be committed. What members are
//! told is held against what was acknowledged to any of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ktrial_sim::{NodeId, Time};
use smallvec::SmallVec;

use super::judges::Judges;
use super::witness::{Detail, Ground, Place};
use crate::groups::partition_of;
use crate::ids::{GenerationId, GroupId, MemberEpoch, MemberId, Offset, PartitionId, ServerId};
use crate::invariants::{Exposure, Invariant};
use crate::notes::{ClientNote, CoordinatorNote, GroupNote};
use crate::protocol::{Assignment, CommittedOffset};
use crate::specification::{ClusterSpecification, ConsumerSpecification};

/// A position that a coordinator accepted, or (none) took away when its retention was over.
#[derive(Clone, Copy, Debug)]
struct Accepted {
    offset: Option<Offset>,
    /// Since when a later one is acknowledged.
    overtaken: Option<Time>,
}

/// What a group has committed for a partition.
#[derive(Clone, Debug, Default)]
struct Positions {
    /// In the order in which coordinators accepted them.
    accepted: Vec<Accepted>,
    /// Whether any commit was ever acknowledged.
    acknowledged: bool,
}

/// A group as one broker knows it.
#[derive(Clone, Debug, Default)]
struct OnBroker {
    /// Of a classic group.
    generation: Option<GenerationId>,
    /// Of a consumer group.
    reconciled: BTreeMap<MemberId, Reconciled>,
    /// Who is no member any more. The classic protocol gives no id out twice.
    removed: Vec<MemberId>,
}

/// A member of a consumer group.
#[derive(Clone, Debug)]
struct Reconciled {
    epoch: MemberEpoch,
    /// What it has, and since which epoch, if that is known: what it had when it was first seen it can have had before.
    has: Vec<(PartitionId, Option<MemberEpoch>)>,
}

impl Reconciled {
    fn new(epoch: MemberEpoch, has: impl Iterator<Item = PartitionId>, before: Option<&Reconciled>) -> Self {
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

/// A member, as its machine tells of it.
#[derive(Clone, Debug)]
struct Member {
    group: GroupId,
    /// Under which id it is a member.
    id: Option<MemberId>,
    /// The questions where its group stands to which it has no answer yet, and when it asked them.
    asked: SmallVec<[(u64, Time); 1]>,
}

impl Member {
    fn asks(&mut self, question: u64, at: Time) {
        self.answered(question);
        self.asked.push((question, at));
    }

    /// When it asked this.
    fn answered(&mut self, question: u64) -> Option<Time> {
        let known = self.asked.iter().position(|(other, _)| *other == question)?;
        Some(self.asked.swap_remove(known).1)
    }
}

/// What the judges know of groups. Empty without groups.
#[derive(Debug, Default)]
pub(super) struct GroupFacts {
    members: Vec<Member>,
    first_member: u16,
    /// The index of the partition of `__consumer_offsets` that keeps each group.
    kept_in: Vec<u32>,
    /// Partitions of `__consumer_offsets` by their index.
    offsets_partitions: BTreeMap<u32, PartitionId>,
    on_brokers: BTreeMap<(GroupId, NodeId), OnBroker>,
    /// Ids that some coordinator removed.
    removed: Vec<MemberId>,
    /// Ids that were members of consumer groups.
    joined: Vec<MemberId>,
    /// Who owns each partition, as far as members themselves know: more than one only if something went wrong.
    owners: BTreeMap<(GroupId, PartitionId), Vec<NodeId>>,
    positions: BTreeMap<(GroupId, PartitionId), Positions>,
    given: Vec<PartitionId>,
    /// Some application may be evicted while it works on what a poll returned.
    slow: bool,
    /// Some client threw, which ended its application.
    threw: bool,
}

impl GroupFacts {
    pub(super) fn reset(
        &mut self,
        cluster: &ClusterSpecification,
        first_member: u16,
        members: &[Arc<ConsumerSpecification>],
    ) {
        let partitions = cluster.groups.offsets_topic.partitions;
        let names = cluster.groups.names.iter();
        let member = |member: &Arc<ConsumerSpecification>| Member {
            group: member.group,
            id: None,
            asked: SmallVec::new(),
        };
        *self = GroupFacts {
            members: members.iter().map(member).collect(),
            first_member,
            slow: members
                .iter()
                .any(|member| member.work_of_a_poll() > member.member.max_poll_interval_ms),
            kept_in: names.map(|name| partition_of(name, partitions)).collect(),
            ..GroupFacts::default()
        };
    }

    /// A partition of `__consumer_offsets` was created.
    pub(super) fn offsets_partition(&mut self, index: u32, partition: PartitionId) {
        self.offsets_partitions.insert(index, partition);
    }

    /// The partition of `__consumer_offsets` that keeps a group, if it was ever created.
    fn kept_in(&self, group: GroupId) -> Option<PartitionId> {
        let index = self.kept_in.get(usize::from(group.0))?;
        self.offsets_partitions.get(index).copied()
    }

    /// Why groups need not have read everything in the end.
    pub(super) fn excuse(&self) -> Option<Exposure> {
        match (self.slow, self.threw) {
            (true, _) => Some(Exposure::SlowApplication),
            (false, true) => Some(Exposure::ConsumerThrew),
            (false, false) => None,
        }
    }

    fn member(&mut self, node: NodeId) -> Option<&mut Member> {
        let index = usize::from(node.0.checked_sub(self.first_member)?);
        self.members.get_mut(index)
    }

    /// Whether a coordinator has removed what this machine still takes for its membership.
    fn has_expired(&self, node: NodeId) -> bool {
        let index = usize::from(node.0 - self.first_member);
        let id = self.members.get(index).and_then(|member| member.id);
        id.is_some_and(|id| self.removed.contains(&id))
    }

    /// These are all members of a consumer group. That another one was removed nobody may have told: the coordinator
    /// may have died, or have waited too long, before it knew that it is committed.
    fn remaining(&mut self, group: GroupId, node: NodeId, members: &[MemberId]) {
        let known = self.on_brokers.entry((group, node)).or_default();
        let machines = self.members.iter().filter(|member| member.group == group);
        for id in machines.filter_map(|member| member.id) {
            if !self.joined.contains(&id) || members.contains(&id) {
                continue;
            }
            known.reconciled.remove(&id);
            for removed in [&mut self.removed, &mut known.removed] {
                if !removed.contains(&id) {
                    removed.push(id);
                }
            }
        }
    }

    fn gives_up_all(&mut self, node: NodeId) {
        self.owners.retain(|_, owners| {
            owners.retain(|owner| *owner != node);
            !owners.is_empty()
        });
    }

    /// A broker knows nothing of a group any more, or will know it anew.
    fn forget(&mut self, node: NodeId, concerns: impl Fn(&Self, GroupId) -> bool) {
        let mut known = std::mem::take(&mut self.on_brokers);
        known.retain(|(group, on), _| *on != node || !concerns(self, *group));
        self.on_brokers = known;
    }

    fn accepted(&mut self, group: GroupId, partition: PartitionId, offset: Option<Offset>) {
        let positions = self.positions.entry((group, partition)).or_default();
        positions.accepted.push(Accepted {
            offset,
            overtaken: None,
        });
    }

    /// A commit is acknowledged: what was accepted before it nobody may be told any more who asks from now on.
    fn acknowledged(&mut self, group: GroupId, partition: PartitionId, offset: Offset, at: Time) {
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
    /// A coordinator told something of a group.
    pub(super) fn group_note(&mut self, node: NodeId, group: GroupId, note: &GroupNote) {
        match note {
            GroupNote::State { generation, .. } => {
                let known = self.groups.on_brokers.entry((group, node)).or_default();
                known.generation = Some(*generation);
                // It may have been a consumer group.
                known.reconciled.clear();
            }
            GroupNote::Removed { member, .. } => {
                let known = self.groups.on_brokers.entry((group, node)).or_default();
                known.reconciled.remove(member);
                known.removed.push(*member);
                self.groups.removed.push(*member);
            }
            GroupNote::Reconciled {
                member,
                epoch,
                assigned,
                revoking,
                ..
            } => {
                // The consumer protocol gives members back their ids.
                self.groups.removed.retain(|removed| removed != member);
                if !self.groups.joined.contains(member) {
                    self.groups.joined.push(*member);
                }
                let known = self.groups.on_brokers.entry((group, node)).or_default();
                known.removed.retain(|removed| removed != member);
                let has = assigned.iter().chain(revoking.iter()).copied();
                let now = Reconciled::new(*epoch, has, known.reconciled.get(member));
                known.reconciled.insert(*member, now);
                known.generation = None;
            }
            GroupNote::Epoch { members, .. } => self.groups.remaining(group, node, members),
            GroupNote::Assigned { assignment, .. } => self.assigned_once(assignment),
            GroupNote::CommitApplied {
                member,
                generation,
                from_outside,
                offsets,
            } => {
                let ground = match *from_outside && *generation == GenerationId::NONE {
                    true => Ground::Exposed(Exposure::GroupWithoutMembers),
                    false => Ground::Always,
                };
                self.stale_commit((group, node), *member, *generation, offsets, ground);
                for (partition, committed) in offsets {
                    self.groups.accepted(group, *partition, Some(committed.offset));
                }
            }
            GroupNote::OffsetsExpired(partitions) => {
                for partition in partitions {
                    self.groups.accepted(group, *partition, None);
                }
            }
            GroupNote::CommitDurable { offsets } => {
                let at = self.witnesses.at;
                for (partition, committed) in offsets {
                    self.groups.acknowledged(group, *partition, committed.offset, at);
                }
            }
        }
    }

    /// A coordinator's state is what it will read, or gone.
    pub(super) fn coordinator_note(&mut self, node: NodeId, partition: PartitionId, note: CoordinatorNote) {
        let forgets = matches!(
            note,
            CoordinatorNote::Loading(_) | CoordinatorNote::Failed | CoordinatorNote::Unloaded
        );
        if forgets {
            self.groups
                .forget(node, |facts, group| facts.kept_in(group) == Some(partition));
        }
    }

    /// The process of a broker or of a member starts anew, or ended without a word.
    pub(super) fn group_process_begins_anew(&mut self, node: NodeId) {
        self.groups.forget(node, |_, _| true);
        if let Some(member) = self.groups.member(node) {
            member.id = None;
            member.asked.clear();
            self.groups.gives_up_all(node);
        }
    }

    /// GRP-3: a commit of a former member, or of another generation, was accepted.
    fn stale_commit(
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

    /// GRP-1 as the coordinator tells it: no partition is assigned to two members of a generation.
    fn assigned_once(&mut self, assignment: &[(MemberId, Option<Assignment>)]) {
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
    fn owns(&mut self, node: NodeId, group: GroupId, partitions: &[PartitionId]) {
        self.exercised.assigned += u64::from(!partitions.is_empty());
        for partition in partitions {
            let key = (group, *partition);
            let owners = self.groups.owners.entry(key).or_default();
            let before: Vec<NodeId> = owners.iter().copied().filter(|owner| *owner != node).collect();
            if before.len() == owners.len() {
                owners.push(node);
            }
            for other in before {
                let ground = match (self.groups.has_expired(other), self.groups.kept_in(group)) {
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

    /// A client told something; of interest if it is a member.
    pub(super) fn member_note(&mut self, node: NodeId, note: &ClientNote) {
        let at = self.witnesses.at;
        let Some(member) = self.groups.member(node) else {
            return;
        };
        let group = member.group;
        match note {
            ClientNote::IsMember(id) => member.id = Some(*id),
            ClientNote::Assigned { all, .. } => self.owns(node, group, all),
            ClientNote::Revoked(partitions) | ClientNote::Lost(partitions) => {
                for partition in partitions {
                    if let Some(owners) = self.groups.owners.get_mut(&(group, *partition)) {
                        owners.retain(|owner| *owner != node);
                    }
                }
            }
            ClientNote::AsksForPositions(question) => member.asks(*question, at),
            ClientNote::AskedInVain(question) => {
                member.answered(*question);
            }
            ClientNote::ToldPositions {
                question,
                offsets,
                by,
            } => {
                let asked = member.answered(*question).unwrap_or(at);
                for (partition, offset) in offsets {
                    self.told_position(group, *partition, *offset, asked, *by);
                }
            }
            ClientNote::Committed { offsets, .. } => {
                for (partition, offset) in offsets {
                    self.groups.acknowledged(group, *partition, *offset, at);
                }
            }
            ClientNote::Closed => {
                member.asked.clear();
                self.groups.gives_up_all(node);
            }
            ClientNote::Died(_) => self.groups.threw = true,
            _ => {}
        }
    }

    /// GRP-2: a member was told where its group stands in a partition. It must be what was acknowledged last when it
    /// asked, or something that was accepted later.
    fn told_position(
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
        let kept_in = self.groups.kept_in(group);
        let leader = kept_in.and_then(|id| {
            let known = self.partitions.all[..self.partitions.used].get(id.0 as usize)?;
            known.registration.as_ref()?.leader
        });
        let ground = match kept_in {
            _ if leader != Some(by) => Ground::Exposed(Exposure::StaleCoordinator),
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
