//! JoinGroup (`classicGroupJoinToClassicGroup` and what it calls).

use ktrial_sim::Duration;

use super::member::{ClassicGroupMember, Protocols};
use super::rebalance::refuse_join;
use super::{ClassicGroup, GroupState};
use crate::groups::effects::coordinator_error;
use crate::groups::operations::{Append, GroupAround, GroupTimeout, GroupTimer, GroupWritten};
use crate::groups::{ResponseId, Written};
use crate::ids::{GenerationId, GroupInstanceId, MemberId};
use crate::notes::MemberRemoval;
use crate::protocol::{Assignor, ErrorCode, JoinGroupRequest, JoinGroupResponse, ProtocolType, Response};

/// How long a member that joins for the first time is waited with: it has no id to send heartbeats with, and may
/// have gone long ago (`CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS`).
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::secs(300);

/// A static member's process was replaced while the group was stable, and that is on its way to the log.
#[derive(Debug)]
pub struct StaticReplacement {
    instance: GroupInstanceId,
    old: MemberId,
    new: MemberId,
    protocols: Protocols,
    rebalance_timeout: Duration,
    session_timeout: Duration,
    response: ResponseId,
    told: (
        GenerationId,
        Option<ProtocolType>,
        Option<Assignor>,
        Option<MemberId>,
    ),
}

impl ClassicGroup {
    /// Works through a JoinGroup. `new_id` is the id to give out if the member has none.
    pub fn join(
        &mut self,
        request: &JoinGroupRequest,
        new_id: MemberId,
        response: ResponseId,
        around: &mut GroupAround<'_>,
    ) -> GroupWritten {
        if !self.accepts(request.member, around.settings.group_max_size as usize) {
            if let Some(member) = request.member {
                self.remove(member);
                self.tell_removed(member, MemberRemoval::GroupIsFull, around);
            }
            return refuse_join(response, ErrorCode::GroupMaxSizeReached, None, around);
        }
        if self.is_in(GroupState::Dead) {
            return refuse_join(
                response,
                ErrorCode::CoordinatorNotAvailable,
                request.member,
                around,
            );
        }
        if !self.supports(request.protocol_type, &request.protocols) {
            return refuse_join(
                response,
                ErrorCode::InconsistentGroupProtocol,
                request.member,
                around,
            );
        }
        match (request.member, request.instance) {
            (None, None) => self.give_out_id(request, new_id, response, around),
            (None, Some(instance)) => match self.static_members.get(&instance).copied() {
                Some(old) => self.replace_static_member(request, instance, (old, new_id), response, around),
                None => self.add_and_rebalance(request, new_id, response, around),
            },
            (Some(member), _) => self.join_again(request, member, response, around),
        }
    }

    /// `acceptJoiningMember`: while a rebalance begins, those count who wait; later, all members do.
    fn accepts(&self, member: Option<MemberId>, most: usize) -> bool {
        let known = member.and_then(|id| self.members.get(&id));
        match self.state {
            GroupState::Empty | GroupState::Dead => true,
            GroupState::PreparingRebalance => {
                known.is_some_and(|member| member.awaiting_join.is_some()) || self.awaiting_join() < most
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                known.is_some() || self.members.len() < most
            }
        }
    }

    /// A new dynamic member is sent away with an id, so that a client that never gets an answer does not add member
    /// after member (KIP-394).
    fn give_out_id(
        &mut self,
        request: &JoinGroupRequest,
        id: MemberId,
        response: ResponseId,
        around: &mut GroupAround<'_>,
    ) -> GroupWritten {
        self.pending_join.insert(id);
        self.expect_heartbeat(id, request.session_timeout, around);
        refuse_join(response, ErrorCode::MemberIdRequired, Some(id), around)
    }

    fn add_and_rebalance(
        &mut self,
        request: &JoinGroupRequest,
        id: MemberId,
        response: ResponseId,
        around: &mut GroupAround<'_>,
    ) -> GroupWritten {
        if self.is_in(GroupState::PreparingRebalance) && self.previous_state == GroupState::Empty {
            self.new_member_added = true;
        }
        self.add(ClassicGroupMember::joining(id, request), Some(response));
        self.expect_heartbeat(id, NEW_MEMBER_JOIN_TIMEOUT, around);
        self.prepare_rebalance_or_complete_join(around)
    }

    /// A member with an id joins.
    fn join_again(
        &mut self,
        request: &JoinGroupRequest,
        id: MemberId,
        response: ResponseId,
        around: &mut GroupAround<'_>,
    ) -> GroupWritten {
        if self.pending_join.contains(&id) {
            return self.add_and_rebalance(request, id, response, around);
        }
        if let Err(error) = self.validate_member(Some(id), request.instance) {
            return refuse_join(response, error, Some(id), around);
        }
        let same = self.members[&id].protocols == request.protocols;
        let answered_at_once = match self.state {
            GroupState::PreparingRebalance => false,
            // It may not have got the answer to its last JoinGroup.
            GroupState::CompletingRebalance => same,
            // The leader rebalances at will: it watches what members' metadata do not show.
            GroupState::Stable => same && !self.is_leader(id),
            GroupState::Empty | GroupState::Dead => {
                return refuse_join(response, ErrorCode::UnknownMemberId, Some(id), around);
            }
        };
        if answered_at_once {
            around.answer(response, self.join_response(id));
            return Written::nothing();
        }
        self.update_member(id, request, response);
        self.prepare_rebalance_or_complete_join(around)
    }

    fn update_member(&mut self, id: MemberId, request: &JoinGroupRequest, response: ResponseId) {
        let member = self.members.get_mut(&id).expect("it was looked up");
        member.protocols.clone_from(&request.protocols);
        member.rebalance_timeout = request.rebalance_timeout;
        member.session_timeout = request.session_timeout;
        member.awaiting_join = Some(response);
    }

    /// A static member comes back without its id: it takes the place of the one before, which is fenced (KIP-345).
    fn replace_static_member(
        &mut self,
        request: &JoinGroupRequest,
        instance: GroupInstanceId,
        (old, new): (MemberId, MemberId),
        response: ResponseId,
        around: &mut GroupAround<'_>,
    ) -> GroupWritten {
        let leader_before = self.leader;
        self.rename_static_member(instance, old, new, around);
        let member = &self.members[&new];
        let replacement = StaticReplacement {
            instance,
            old,
            new,
            protocols: member.protocols.clone(),
            rebalance_timeout: member.rebalance_timeout,
            session_timeout: member.session_timeout,
            response,
            told: (self.generation, self.protocol_type, self.protocol, leader_before),
        };
        // With the timeout it had, whatever the new one asks for.
        self.expect_heartbeat(new, replacement.session_timeout, around);
        self.update_member(new, request, response);
        match self.state {
            GroupState::Stable if self.protocol == Some(self.select_protocol()) => Written {
                records: vec![self.record(|member| member.assignment.clone())],
                append: Some(Append::StaticReplacement(self.id, Box::new(replacement))),
                replay: false,
                response: None,
            },
            GroupState::Stable => self.prepare_rebalance_or_complete_join(around),
            // The old id may be with the leader already, and would be assigned to.
            GroupState::CompletingRebalance => self.prepare_rebalance(around),
            _ => self.maybe_complete_join(around),
        }
    }

    /// Gives a static member another id; requests of the one before are answered FENCED_INSTANCE_ID.
    fn rename_static_member(
        &mut self,
        instance: GroupInstanceId,
        old: MemberId,
        new: MemberId,
        around: &mut GroupAround<'_>,
    ) {
        let mut member = self.members.remove(&old).expect("it holds the instance id");
        if let Some(waiting) = member.awaiting_join.take() {
            refuse_join(waiting, ErrorCode::FencedInstanceId, Some(old), around);
        }
        if let Some(waiting) = member.awaiting_sync.take() {
            around.answer(waiting, super::sync::sync_error(ErrorCode::FencedInstanceId));
        }
        member.id = new;
        member.is_new = false;
        self.members.insert(new, member);
        if self.is_leader(old) {
            self.leader = Some(new);
        }
        self.static_members.insert(instance, new);
        self.tell_removed(old, MemberRemoval::InstanceReplaced, around);
    }

    /// A replaced static member is in the log, or could not be written.
    pub(in crate::groups) fn static_replacement_appended(
        &mut self,
        replacement: StaticReplacement,
        result: Result<(), ErrorCode>,
        around: &mut GroupAround<'_>,
    ) {
        let StaticReplacement {
            instance,
            old,
            new,
            response,
            ..
        } = replacement;
        match result {
            Ok(()) => {
                let waiting = self
                    .members
                    .get_mut(&new)
                    .and_then(|member| member.awaiting_join.take());
                if let Some(waiting) = waiting {
                    around.answer(waiting, self.static_join_response(new));
                }
            }
            Err(error) => {
                // Whoever is there by now: the id may have been replaced again meanwhile.
                if let Some(member) = self.members.get_mut(&new) {
                    member.protocols = replacement.protocols;
                    member.rebalance_timeout = replacement.rebalance_timeout;
                    member.session_timeout = replacement.session_timeout;
                    member.awaiting_join = None;
                    self.rename_static_member(instance, new, old, around);
                    self.expect_heartbeat(old, replacement.session_timeout, around);
                }
                let (generation, protocol_type, protocol, leader) = replacement.told;
                let told = JoinGroupResponse {
                    error: coordinator_error(error),
                    generation,
                    protocol_type,
                    protocol,
                    leader,
                    skip_assignment: false,
                    member: None,
                    members: Vec::new(),
                };
                around.answer(response, Response::JoinGroup(Box::new(told)));
            }
        }
    }

    /// What a static member is told that came back without disturbing the group: a leader need not assign (KIP-814).
    fn static_join_response(&self, id: MemberId) -> Response {
        let mut response = self.join_response(id);
        if let Response::JoinGroup(told) = &mut response {
            told.skip_assignment = self.is_leader(id);
        }
        response
    }

    /// The member has been silent for too long (`expireClassicGroupMemberHeartbeat`).
    pub(in crate::groups) fn heartbeat_expired(
        &mut self,
        id: MemberId,
        around: &mut GroupAround<'_>,
    ) -> GroupWritten {
        if self.is_in(GroupState::Dead) {
            return Written::nothing();
        }
        if self.pending_join.contains(&id) {
            self.remove(id);
            return match self.is_in(GroupState::PreparingRebalance) && self.has_all_members_joined() {
                true => self.complete_join(around),
                false => Written::nothing(),
            };
        }
        let expired = self
            .members
            .get(&id)
            .filter(|member| !member.has_satisfied_heartbeat());
        if expired.is_none() {
            return Written::nothing();
        }
        self.remove_and_answer(id, MemberRemoval::SessionTimeout, around);
        match self.state {
            GroupState::Stable | GroupState::CompletingRebalance => {
                self.prepare_rebalance_or_complete_join(around)
            }
            GroupState::PreparingRebalance if self.has_all_members_joined() => self.complete_join(around),
            _ => Written::nothing(),
        }
    }

    /// Removes a member; its JoinGroup is answered UNKNOWN_MEMBER_ID, so that it joins anew if it is still there.
    pub(super) fn remove_and_answer(
        &mut self,
        id: MemberId,
        why: MemberRemoval,
        around: &mut GroupAround<'_>,
    ) {
        let member = self.members.get_mut(&id).expect("it is a member");
        if let Some(waiting) = member.awaiting_join.take() {
            refuse_join(waiting, ErrorCode::UnknownMemberId, None, around);
        }
        self.remove(id);
        self.tell_removed(id, why, around);
    }

    /// The session of a member goes on.
    pub(in crate::groups) fn renew_session(&self, id: MemberId, around: &mut GroupAround<'_>) {
        if let Some(member) = self.members.get(&id) {
            self.expect_heartbeat(id, member.session_timeout, around);
        }
    }

    /// Not all members have synced in time (`expirePendingSync`).
    pub(in crate::groups) fn pending_sync_expired(
        &mut self,
        generation: GenerationId,
        around: &mut GroupAround<'_>,
    ) -> GroupWritten {
        let assigning = matches!(self.state, GroupState::CompletingRebalance | GroupState::Stable);
        if generation != self.generation || !assigning || self.pending_sync.is_empty() {
            return Written::nothing();
        }
        for id in std::mem::take(&mut self.pending_sync) {
            self.remove(id);
            around.cancel(GroupTimer::Heartbeat(self.id, id));
            self.tell_removed(id, MemberRemoval::SyncTimeout, around);
        }
        self.prepare_rebalance(around)
    }

    /// The timer of the join ran out.
    pub(in crate::groups) fn join_timed_out(
        &mut self,
        timeout: GroupTimeout,
        around: &mut GroupAround<'_>,
    ) -> GroupWritten {
        match timeout {
            GroupTimeout::InitialRebalance { delay, remaining } => {
                self.initial_delay_over(delay, remaining, around)
            }
            _ => self.complete_join(around),
        }
    }
}
