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
use super::witness::Ground;
use crate::groups::partition_of;
use crate::ids::{GenerationId, GroupId, MemberId, PartitionId, ServerId};
use crate::invariants::Exposure;
use crate::notes::{ClientNote, CoordinatorNote, GroupNote};
use crate::specification::{ClusterSpecification, ConsumerSpecification};
use commits::{OnBroker, Reconciled};
use positions::Positions;

mod commits;
mod ownership;
mod positions;

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
    /// The coordinator of each group that spoke last while it led the partition that keeps the group.
    speakers: BTreeMap<GroupId, NodeId>,
    /// Ids that their coordinator removed.
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
    /// `__consumer_offsets` asks for more replicas than there are brokers (`StripedReplicaPlacer`).
    offsets_topic_too_large: bool,
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
            offsets_topic_too_large: usize::from(cluster.groups.offsets_topic.replication_factor)
                > cluster.servers.iter().filter(|server| server.broker).count(),
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

    /// Whether what a coordinator tells of members counts for them: not if a later one has spoken. What the one
    /// before it had not committed then never will be.
    fn speaks(&mut self, group: GroupId, node: NodeId, leader: Option<ServerId>) -> bool {
        if leader == Some(ServerId::from(node)) {
            self.speakers.insert(group, node);
        }
        self.speakers.get(&group).is_none_or(|speaker| *speaker == node)
    }

    /// Why groups need not have read everything in the end.
    pub(super) fn excuse(&self) -> Option<Exposure> {
        let cannot_be_created = self.offsets_topic_too_large && self.offsets_partitions.is_empty();
        match (cannot_be_created, self.slow, self.threw) {
            (true, ..) => Some(Exposure::NoOffsetsTopic),
            (false, true, _) => Some(Exposure::SlowApplication),
            (false, false, true) => Some(Exposure::ConsumerThrew),
            (false, false, false) => None,
        }
    }

    /// Whether a machine is that of a member.
    pub(super) fn is_member(&self, node: NodeId) -> bool {
        let index = node.0.checked_sub(self.first_member);
        index.is_some_and(|index| usize::from(index) < self.members.len())
    }

    fn member(&mut self, node: NodeId) -> Option<&mut Member> {
        let index = usize::from(node.0.checked_sub(self.first_member)?);
        self.members.get_mut(index)
    }

    /// A broker knows nothing of a group any more, or will know it anew.
    fn forget(&mut self, node: NodeId, concerns: impl Fn(&Self, GroupId) -> bool) {
        let mut known = std::mem::take(&mut self.on_brokers);
        known.retain(|(group, on), _| *on != node || !concerns(self, *group));
        self.on_brokers = known;
    }
}

impl Judges {
    /// Who leads the partition that keeps a group, as the controller knows it.
    fn leader_for(&self, group: GroupId) -> Option<ServerId> {
        let kept_in = self.groups.kept_in(group)?;
        let known = self.partitions.all[..self.partitions.used].get(kept_in.0 as usize)?;
        known.registration.as_ref()?.leader
    }

    /// A coordinator told something of a group.
    pub(super) fn group_note(&mut self, node: NodeId, group: GroupId, note: &GroupNote) {
        let leader = self.leader_for(group);
        match note {
            GroupNote::State {
                generation, members, ..
            } => {
                let speaks = self.groups.speaks(group, node, leader);
                let known = self.groups.on_brokers.entry((group, node)).or_default();
                known.generation = Some(*generation);
                // It may have been a consumer group.
                known.reconciled.clear();
                if speaks {
                    self.groups.are_members(members);
                }
            }
            GroupNote::Removed { member, .. } => {
                let speaks = self.groups.speaks(group, node, leader);
                let known = self.groups.on_brokers.entry((group, node)).or_default();
                known.reconciled.remove(member);
                known.removed.push(*member);
                if speaks {
                    self.groups.removed.push(*member);
                }
            }
            GroupNote::Reconciled {
                member,
                epoch,
                assigned,
                revoking,
                ..
            } => {
                if self.groups.speaks(group, node, leader) {
                    // The consumer protocol gives members back their ids.
                    self.groups.are_members(&[*member]);
                }
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
            GroupNote::Epoch { members, .. } => {
                let speaks = self.groups.speaks(group, node, leader);
                self.groups.remaining((group, node), members, speaks);
            }
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

    /// A client told something; of interest if it is a member.
    #[inline]
    pub(super) fn member_note(&mut self, node: NodeId, note: &ClientNote) {
        if node.0 >= self.groups.first_member {
            self.note_of_member(node, note);
        }
    }

    fn note_of_member(&mut self, node: NodeId, note: &ClientNote) {
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
}
