//! A classic group and its members.

use std::collections::{BTreeMap, BTreeSet};

use ktrial_sim::{Duration, Time};

use super::member::{ClassicGroupMember, Protocols};
use crate::groups::{CoordinatorRecord, GroupMetadataValue, MemberMetadata, ResponseId};
use crate::ids::{GenerationId, GroupId, GroupInstanceId, MemberId};
use crate::protocol::{Assignment, Assignor, ErrorCode, ProtocolType};

/// See the table of [`super`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupState {
    /// No members.
    Empty,
    /// Members are to join again.
    PreparingRebalance,
    /// All have joined, the leader assigns.
    CompletingRebalance,
    /// The assignment holds.
    Stable,
    /// The coordinator gave it up.
    Dead,
}

/// A classic group.
#[derive(Clone, Debug)]
pub struct ClassicGroup {
    /// Its id.
    pub id: GroupId,
    pub(super) state: GroupState,
    pub(super) previous_state: GroupState,
    /// When the state was entered, by the coordinator's wall clock.
    pub(super) state_since: Time,
    pub(super) generation: GenerationId,
    /// None: nobody ever joined; somebody just commits offsets (a simple group).
    pub(super) protocol_type: Option<ProtocolType>,
    pub(super) protocol: Option<Assignor>,
    pub(super) leader: Option<MemberId>,
    pub(super) members: BTreeMap<MemberId, ClassicGroupMember>,
    /// Instance ids of static members.
    pub(super) static_members: BTreeMap<GroupInstanceId, MemberId>,
    /// Ids that were given out and have not joined.
    pub(super) pending_join: BTreeSet<MemberId>,
    /// Members that have not synced since the join completed.
    pub(super) pending_sync: BTreeSet<MemberId>,
    /// Topics that some member subscribes to, since the last join completed.
    pub(super) subscribed_topics: Option<BTreeSet<u16>>,
    /// The initial rebalance may be delayed further.
    pub(super) new_member_added: bool,
}

/// Where Java's `HashMap` of protocol names has each: the first one of those with the most votes is taken.
fn bucket(protocol: Assignor) -> u8 {
    match protocol {
        Assignor::Sticky => 8,
        Assignor::Range => 9,
        Assignor::RoundRobin => 10,
        Assignor::CooperativeSticky => 15,
    }
}

impl ClassicGroup {
    /// A group without members.
    pub fn empty(id: GroupId, now: Time) -> Self {
        ClassicGroup {
            id,
            state: GroupState::Empty,
            previous_state: GroupState::Dead,
            state_since: now,
            generation: GenerationId(0),
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_join: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            subscribed_topics: None,
            new_member_added: false,
        }
    }

    /// A group as its record has it (`GroupMetadataManager.replay`): stable, or empty without members. Members keep
    /// their metadata for the selected protocol only.
    pub fn loaded(id: GroupId, value: &GroupMetadataValue) -> Self {
        let mut group = ClassicGroup {
            state: match value.members.is_empty() {
                true => GroupState::Empty,
                false => GroupState::Stable,
            },
            state_since: value.current_state_timestamp,
            generation: value.generation,
            protocol_type: value.protocol_type,
            protocol: value.protocol,
            leader: value.leader,
            ..ClassicGroup::empty(id, value.current_state_timestamp)
        };
        for told in &value.members {
            let protocol = value.protocol.expect("a group with members has a protocol");
            let member = ClassicGroupMember {
                id: told.member,
                instance: told.instance,
                client: told.client,
                rebalance_timeout: told.rebalance_timeout,
                session_timeout: told.session_timeout,
                protocol_type: value.protocol_type.expect("a group with members has a type"),
                protocols: Protocols::from_iter([(protocol, told.subscription.clone())]),
                assignment: told.assignment.clone(),
                awaiting_join: None,
                awaiting_sync: None,
                is_new: false,
            };
            group.add(member, None);
        }
        group.subscribed_topics = group.compute_subscribed_topics();
        group
    }

    /// Its state.
    pub fn state(&self) -> GroupState {
        self.state
    }

    /// Its generation.
    pub fn generation(&self) -> GenerationId {
        self.generation
    }

    /// Its members by id.
    pub fn members(&self) -> impl Iterator<Item = &ClassicGroupMember> {
        self.members.values()
    }

    /// Its leader.
    pub fn leader(&self) -> Option<MemberId> {
        self.leader
    }

    /// Whether nobody ever joined it: somebody just commits offsets (`isSimpleGroup`).
    pub(in crate::groups) fn is_simple(&self) -> bool {
        self.protocol_type.is_none() && self.is_in(GroupState::Empty) && self.pending_join.is_empty()
    }

    pub(super) fn is_leader(&self, member: MemberId) -> bool {
        self.leader == Some(member)
    }

    pub(super) fn is_in(&self, state: GroupState) -> bool {
        self.state == state
    }

    /// Whether a rebalance can begin from its state.
    pub(super) fn can_rebalance(&self) -> bool {
        matches!(
            self.state,
            GroupState::Empty | GroupState::CompletingRebalance | GroupState::Stable
        )
    }

    pub(super) fn transition_to(&mut self, state: GroupState, now: Time) {
        let valid = match state {
            GroupState::Empty | GroupState::CompletingRebalance => self.is_in(GroupState::PreparingRebalance),
            GroupState::PreparingRebalance => self.can_rebalance(),
            GroupState::Stable => self.is_in(GroupState::CompletingRebalance),
            GroupState::Dead => true,
        };
        assert!(valid, "{:?} does not become {state:?}", self.state);
        self.previous_state = self.state;
        self.state = state;
        self.state_since = now;
    }

    /// Adds a member, whose JoinGroup may wait.
    pub(super) fn add(&mut self, mut member: ClassicGroupMember, awaiting: Option<ResponseId>) {
        let id = member.id;
        if let Some(instance) = member.instance {
            let before = self.static_members.insert(instance, id);
            assert_eq!(before, None, "a static member is replaced, not added twice");
        }
        if self.members.is_empty() {
            self.protocol_type = Some(member.protocol_type);
        }
        assert_eq!(self.protocol_type, Some(member.protocol_type));
        self.leader.get_or_insert(id);
        member.awaiting_join = awaiting;
        self.members.insert(id, member);
        self.pending_join.remove(&id);
    }

    /// Removes a member, or an id that was given out. Another one leads if the leader goes.
    pub(super) fn remove(&mut self, id: MemberId) {
        if let Some(removed) = self.members.remove(&id)
            && let Some(instance) = removed.instance
        {
            self.static_members.remove(&instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().copied();
        }
        self.pending_join.remove(&id);
        self.pending_sync.remove(&id);
    }

    /// Makes sure that the leader is one who waits for the join. False if nobody does (`maybeElectNewJoinedLeader`).
    pub(super) fn elect_joined_leader(&mut self) -> bool {
        let Some(leader) = self.leader else {
            return false;
        };
        if self.members[&leader].awaiting_join.is_some() {
            return true;
        }
        let mut joined = self
            .members
            .values()
            .filter(|member| member.awaiting_join.is_some());
        let Some(next) = joined.next() else {
            return false;
        };
        self.leader = Some(next.id);
        true
    }

    pub(super) fn awaiting_join(&self) -> usize {
        let members = self.members.values();
        members.filter(|member| member.awaiting_join.is_some()).count()
    }

    pub(super) fn has_all_members_joined(&self) -> bool {
        self.awaiting_join() == self.members.len() && self.pending_join.is_empty()
    }

    /// The longest any member may be waited for.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        let timeouts = self.members.values().map(|member| member.rebalance_timeout);
        timeouts.max().unwrap_or(Duration::ZERO)
    }

    /// Protocols that all members support.
    fn candidates(&self) -> Vec<Assignor> {
        let mut members = self.members.values();
        let Some(first) = members.next() else {
            return Vec::new();
        };
        let mut candidates: Vec<Assignor> = first.protocols.iter().map(|(protocol, _)| *protocol).collect();
        for member in members {
            candidates.retain(|candidate| member.protocols.iter().any(|(protocol, _)| protocol == candidate));
        }
        candidates
    }

    /// The protocol most members prefer among those that all support.
    pub(super) fn select_protocol(&self) -> Assignor {
        let candidates = self.candidates();
        let mut votes: BTreeMap<u8, (Assignor, u32)> = BTreeMap::new();
        for member in self.members.values() {
            let vote = member.vote(&candidates);
            votes.entry(bucket(vote)).or_insert((vote, 0)).1 += 1;
        }
        let most = votes
            .values()
            .map(|(_, count)| *count)
            .max()
            .expect("there are members");
        let mut winners = votes.values().filter(|(_, count)| *count == most);
        winners.next().expect("somebody has the most votes").0
    }

    /// Whether a member with these protocols can be in the group.
    pub(super) fn supports(&self, protocol_type: ProtocolType, protocols: &Protocols) -> bool {
        if self.is_in(GroupState::Empty) {
            return !protocols.is_empty();
        }
        let by_all = |protocol: &Assignor| {
            let mut members = self.members.values();
            members.all(|member| {
                member
                    .protocols
                    .iter()
                    .any(|(supported, _)| supported == protocol)
            })
        };
        self.protocol_type == Some(protocol_type) && protocols.iter().any(|(protocol, _)| by_all(protocol))
    }

    /// Checks that a member is one, and is the one that holds its instance id.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.
    pub(super) fn validate_member(
        &self,
        member: Option<MemberId>,
        instance: Option<GroupInstanceId>,
    ) -> Result<MemberId, ErrorCode> {
        if let Some(instance) = instance {
            match self.static_members.get(&instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(holder) if Some(*holder) != member => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        let known = member.filter(|member| self.members.contains_key(member));
        known.ok_or(ErrorCode::UnknownMemberId)
    }

    /// Checks an OffsetCommit.
    ///
    /// # Errors
    /// COORDINATOR_NOT_AVAILABLE, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS.
    pub fn validate_offset_commit(
        &self,
        member: Option<MemberId>,
        instance: Option<GroupInstanceId>,
        generation: GenerationId,
    ) -> Result<(), ErrorCode> {
        if self.is_in(GroupState::Dead) {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let from_outside = generation < GenerationId(0);
        if from_outside && self.is_in(GroupState::Empty) {
            return Ok(());
        }
        if from_outside && member.is_none() && instance.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.validate_member(member, instance)?;
        if generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        match self.state {
            GroupState::CompletingRebalance => Err(ErrorCode::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// The topics all members subscribe to, if that is known.
    pub(super) fn compute_subscribed_topics(&self) -> Option<BTreeSet<u16>> {
        if self.protocol_type != Some(ProtocolType::Consumer) {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol?;
        let members = self.members.values();
        Some(
            members
                .flat_map(|member| member.metadata(protocol).topics.iter().copied())
                .collect(),
        )
    }

    /// Whether a member subscribes to a topic; if that is not known, whether it could.
    pub fn is_subscribed_to(&self, topic: u16) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(&topic),
            None => self.protocol_type == Some(ProtocolType::Consumer),
        }
    }

    /// From when on the retention of a committed offset counts; none: it does not (`offsetExpirationCondition`).
    pub fn expires_from(&self, committed_at: Time) -> Option<Time> {
        match (self.protocol_type, self.state) {
            (None, _) => Some(committed_at),
            (Some(_), GroupState::Empty) => Some(self.state_since),
            (Some(ProtocolType::Consumer), GroupState::Stable) if self.subscribed_topics.is_some() => {
                Some(committed_at)
            }
            _ => None,
        }
    }

    /// Its record with these assignments; a member that is not named has none.
    pub(in crate::groups) fn record(
        &self,
        assignment: impl Fn(&ClassicGroupMember) -> Option<Assignment>,
    ) -> CoordinatorRecord {
        let members = self.members.values().map(|member| {
            let protocol = self.protocol.expect("a group with members has a protocol");
            MemberMetadata {
                member: member.id,
                instance: member.instance,
                client: member.client,
                rebalance_timeout: member.rebalance_timeout,
                session_timeout: member.session_timeout,
                subscription: member.metadata(protocol).clone(),
                assignment: assignment(member),
            }
        });
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type,
            generation: self.generation,
            protocol: self.protocol,
            leader: self.leader,
            current_state_timestamp: self.state_since,
            members: members.collect(),
        };
        CoordinatorRecord::GroupMetadata(self.id, Some(value.into()))
    }

    /// The record that lets a new group be known, whoever is about to join it.
    pub(in crate::groups) fn empty_record(&self) -> CoordinatorRecord {
        let value = GroupMetadataValue {
            protocol_type: None,
            generation: GenerationId(0),
            protocol: None,
            leader: None,
            current_state_timestamp: self.state_since,
            members: Vec::new(),
        };
        CoordinatorRecord::GroupMetadata(self.id, Some(value.into()))
    }
}
