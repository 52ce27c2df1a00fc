//! A consumer group and its members (`ConsumerGroup`, `ModernGroup`), and how records change it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ktrial_sim::Time;
use smallvec::SmallVec;

use super::member::ConsumerGroupMember;
use crate::groups::CoordinatorRecord;
use crate::groups::records::{ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMetadataValue};
use crate::ids::{GroupEpoch, GroupId, GroupInstanceId, MemberEpoch, MemberId, PartitionId};
use crate::metadata::MetadataImage;
use crate::protocol::{Assignment, ServerAssignor};

/// What a group does, as Kafka's tools show it (`ConsumerGroupState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConsumerGroupState {
    /// No members.
    Empty,
    /// The target assignment is behind the group.
    Assigning,
    /// Members are behind the target assignment.
    Reconciling,
    /// All members have what they are to have.
    Stable,
}

/// Until when the topics' metadata are not compared again (`DeadlineAndEpoch`). Not in records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::groups) struct Refresh {
    /// By the coordinator's wall clock.
    pub(in crate::groups) deadline: Time,
    /// The group's epoch then: a group that was rolled back behind it is compared again.
    pub(in crate::groups) epoch: GroupEpoch,
}

/// A consumer group.
#[derive(Clone, Debug)]
pub struct ConsumerGroup {
    /// Its id.
    pub id: GroupId,
    epoch: GroupEpoch,
    metadata_hash: u64,
    members: BTreeMap<MemberId, ConsumerGroupMember>,
    static_members: BTreeMap<GroupInstanceId, MemberId>,
    target_epoch: GroupEpoch,
    /// When the target was made, by the coordinator's wall clock; none: not known.
    target_since: Option<Time>,
    target: BTreeMap<MemberId, Assignment>,
    pub(in crate::groups) refresh: Refresh,
}

/// Takes back what one record changed.
#[derive(Debug)]
pub(in crate::groups) enum ConsumerGroupUndo {
    Metadata(GroupEpoch, u64),
    Member(MemberId, Option<ConsumerGroupMember>),
    TargetMetadata(GroupEpoch, Option<Time>),
    Target(MemberId, Option<Assignment>),
}

impl ConsumerGroup {
    /// A group without members.
    pub fn new(id: GroupId) -> Self {
        ConsumerGroup {
            id,
            epoch: GroupEpoch(1),
            metadata_hash: 0,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            target_epoch: GroupEpoch(1),
            target_since: None,
            target: BTreeMap::new(),
            refresh: Refresh::default(),
        }
    }

    /// Its epoch.
    pub fn epoch(&self) -> GroupEpoch {
        self.epoch
    }

    /// The epoch its target assignment was made for.
    pub fn target_epoch(&self) -> GroupEpoch {
        self.target_epoch
    }

    /// Its members by id.
    pub fn members(&self) -> impl Iterator<Item = &ConsumerGroupMember> {
        self.members.values()
    }

    /// A member.
    pub fn member(&self, id: MemberId) -> Option<&ConsumerGroupMember> {
        self.members.get(&id)
    }

    /// The member with an instance id.
    pub fn static_member(&self, instance: GroupInstanceId) -> Option<&ConsumerGroupMember> {
        self.member(*self.static_members.get(&instance)?)
    }

    /// Its state.
    pub fn state(&self) -> ConsumerGroupState {
        let mut members = self.members();
        if self.members.is_empty() {
            ConsumerGroupState::Empty
        } else if self.epoch > self.target_epoch {
            ConsumerGroupState::Assigning
        } else if members.all(|member| member.is_reconciled_to(self.target_epoch)) {
            ConsumerGroupState::Stable
        } else {
            ConsumerGroupState::Reconciling
        }
    }

    /// What every member has, be it that it is asked to give it up.
    pub fn held(&self) -> Vec<(MemberId, Option<Assignment>)> {
        let held = |member: &ConsumerGroupMember| (member.id, Some(member.held().collect()));
        self.members().map(held).collect()
    }

    /// What a member is to have.
    pub fn target(&self, member: MemberId) -> Assignment {
        self.target.get(&member).cloned().unwrap_or_default()
    }

    /// Whether a member subscribes to a topic.
    pub fn is_subscribed_to(&self, topic: u16) -> bool {
        self.members()
            .any(|member| member.metadata.topics.contains(&topic))
    }

    pub(in crate::groups) fn size(&self) -> usize {
        self.members.len()
    }

    pub(super) fn metadata_hash(&self) -> u64 {
        self.metadata_hash
    }

    pub(super) fn target_since(&self) -> Option<Time> {
        self.target_since
    }

    pub(super) fn targets(&self) -> &BTreeMap<MemberId, Assignment> {
        &self.target
    }

    /// Whether the metadata of the topics are to be compared (`hasMetadataExpired`).
    pub(super) fn metadata_expired(&self, wall: Time) -> bool {
        wall >= self.refresh.deadline || self.epoch < self.refresh.epoch
    }

    /// Whether some member has a partition (`currentPartitionEpoch`).
    pub(super) fn is_held(&self, partition: PartitionId) -> bool {
        self.members()
            .any(|member| member.assigned_in(partition).is_some())
    }

    /// Its members as they are with one of them changed or new (another id: in place of `before`).
    pub(super) fn members_with<'a>(
        &'a self,
        before: MemberId,
        updated: &'a ConsumerGroupMember,
    ) -> impl Iterator<Item = &'a ConsumerGroupMember> {
        let others = self
            .members()
            .filter(move |member| member.id != before && member.id != updated.id);
        others.chain([updated])
    }

    /// The assignor that most members want, with a member changed (`computePreferredServerAssignor`). Of two with as
    /// many it is the first one in the copy that Kafka makes of its counts: `uniform` stands before `range`, but what
    /// comes anew stands first (the names share a bucket of that `HashMap`, and `compute` puts at its head).
    pub(super) fn preferred_assignor(
        &self,
        before: Option<ServerAssignor>,
        updated: Option<ServerAssignor>,
    ) -> Option<ServerAssignor> {
        let wanted = |assignor| {
            let mut members = self.members().map(|member| member.metadata.assignor);
            members.by_ref().filter(|wants| *wants == Some(assignor)).count()
                - usize::from(before == Some(assignor))
        };
        let mut counts: SmallVec<[(ServerAssignor, usize); 2]> = SmallVec::new();
        for assignor in [ServerAssignor::Uniform, ServerAssignor::Range] {
            match (wanted(assignor), updated == Some(assignor)) {
                (0, true) => counts.insert(0, (assignor, 1)),
                (count, changed) => counts.push((assignor, count + usize::from(changed))),
            }
        }
        let most = counts
            .iter()
            .map(|(_, count)| *count)
            .max()
            .filter(|most| *most > 0)?;
        let first = counts.iter().find(|(_, count)| *count == most);
        first.map(|(assignor, _)| *assignor)
    }

    fn put_member(&mut self, member: ConsumerGroupMember) -> Option<ConsumerGroupMember> {
        if let Some(instance) = member.metadata.instance {
            self.static_members.insert(instance, member.id);
        }
        self.members.insert(member.id, member)
    }

    fn remove_member(&mut self, id: MemberId) -> Option<ConsumerGroupMember> {
        let before = self.members.remove(&id)?;
        if let Some(instance) = before.metadata.instance {
            self.static_members.remove(&instance);
        }
        Some(before)
    }

    /// Applies a record of the group; none: it changes nothing. The group's own tombstone is not for the group.
    ///
    /// # Panics
    /// If the record does not follow from those before it, as Kafka does: a log is read from its beginning, and is
    /// not compacted here.
    pub(in crate::groups) fn replay(&mut self, record: &CoordinatorRecord) -> Option<ConsumerGroupUndo> {
        match record {
            CoordinatorRecord::ConsumerGroupMetadata(
                _,
                Some(ConsumerGroupMetadataValue { epoch, metadata_hash }),
            ) => {
                let undo = ConsumerGroupUndo::Metadata(self.epoch, self.metadata_hash);
                (self.epoch, self.metadata_hash) = (*epoch, *metadata_hash);
                Some(undo)
            }
            CoordinatorRecord::ConsumerGroupMemberMetadata(_, id, Some(metadata)) => {
                let mut member = self.known_or_new(*id);
                member.metadata = metadata.clone();
                Some(ConsumerGroupUndo::Member(*id, self.put_member(member)))
            }
            CoordinatorRecord::ConsumerGroupMemberMetadata(_, id, None) => {
                let member = self.members.get(id)?;
                assert_eq!(member.epoch(), MemberEpoch::LEAVE, "its assignment goes first");
                assert!(!self.target.contains_key(id), "its target goes first");
                Some(ConsumerGroupUndo::Member(*id, self.remove_member(*id)))
            }
            CoordinatorRecord::ConsumerGroupTargetAssignmentMetadata(_, value) => {
                let undo = ConsumerGroupUndo::TargetMetadata(self.target_epoch, self.target_since);
                let gone = (GroupEpoch(-1), None);
                (self.target_epoch, self.target_since) = value.unwrap_or(gone);
                Some(undo)
            }
            CoordinatorRecord::ConsumerGroupTargetAssignmentMember(_, id, target) => {
                let before = match target {
                    Some(target) => self.target.insert(*id, target.clone()),
                    None => self.target.remove(id),
                };
                Some(ConsumerGroupUndo::Target(*id, before))
            }
            CoordinatorRecord::ConsumerGroupCurrentMemberAssignment(_, id, Some(current)) => {
                let mut member = self.known_or_new(*id);
                member.current = current.clone();
                self.assert_owned_once(&member);
                Some(ConsumerGroupUndo::Member(*id, self.put_member(member)))
            }
            CoordinatorRecord::ConsumerGroupCurrentMemberAssignment(_, id, None) => {
                let mut member = self.members.get(id)?.clone();
                member.current = Arc::new(ConsumerGroupCurrentMemberAssignmentValue {
                    epoch: MemberEpoch::LEAVE,
                    previous_epoch: MemberEpoch::LEAVE,
                    state: member.current.state,
                    assigned: Vec::new(),
                    revoking: Vec::new(),
                });
                Some(ConsumerGroupUndo::Member(*id, self.put_member(member)))
            }
            _ => None,
        }
    }

    pub(super) fn known_or_new(&self, id: MemberId) -> ConsumerGroupMember {
        let known = self.members.get(&id).cloned();
        known.unwrap_or_else(|| ConsumerGroupMember::new(id))
    }

    /// Kafka stops reading with an IllegalStateException then (`addPartitionEpochs`).
    fn assert_owned_once(&self, member: &ConsumerGroupMember) {
        let others = || self.members().filter(|other| other.id != member.id);
        let taken = |partition| others().any(|other| other.assigned_in(partition).is_some());
        debug_assert!(
            !member.held().any(taken),
            "a partition has two owners: {member:?}"
        );
    }

    /// Takes a change back.
    pub(in crate::groups) fn undo(&mut self, undo: ConsumerGroupUndo) {
        match undo {
            ConsumerGroupUndo::Metadata(epoch, hash) => (self.epoch, self.metadata_hash) = (epoch, hash),
            ConsumerGroupUndo::Member(_, Some(member)) => _ = self.put_member(member),
            ConsumerGroupUndo::Member(id, None) => _ = self.remove_member(id),
            ConsumerGroupUndo::TargetMetadata(epoch, since) => {
                (self.target_epoch, self.target_since) = (epoch, since);
            }
            ConsumerGroupUndo::Target(id, Some(target)) => _ = self.target.insert(id, target),
            ConsumerGroupUndo::Target(id, None) => _ = self.target.remove(&id),
        }
    }
}

/// What a change of the topics changes (`computeMetadataHash`): which of them exist, their partitions, and the racks
/// of the replicas. Nothing: 0.
pub(super) fn metadata_hash(topics: impl Iterator<Item = u16>, image: &MetadataImage) -> u64 {
    let mut topics: SmallVec<[u16; 8]> = topics.collect();
    topics.sort_unstable();
    topics.dedup();
    let mut hash = 0;
    for topic in topics.into_iter().filter_map(|topic| image.topic_of(topic)) {
        let partitions = &image.topic(topic).expect("it was just found").partitions;
        hash = mix(hash, u64::from(topic.0) << 32 | partitions.len() as u64);
        for partition in partitions {
            let replicas = &image.partition(*partition).expect("it is the topic's").replicas;
            let mut racks: SmallVec<[u16; 4]> = replicas
                .iter()
                .filter_map(|replica| image.broker(*replica)?.rack)
                .collect();
            racks.sort_unstable();
            hash = racks.iter().fold(hash, |hash, rack| mix(hash, u64::from(*rack)));
            hash = mix(hash, u64::MAX);
        }
    }
    hash
}

fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(29) ^ value ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xa076_1d64_78bd_642f)
}
