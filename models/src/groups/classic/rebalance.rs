//! How a rebalance begins and how its first half ends (`prepareRebalance`, `completeClassicGroupJoin`).

use std::sync::Arc;

use ktrial_sim::Duration;

use super::{ClassicGroup, GroupState};
use crate::groups::operations::{Append, GroupAround, GroupTimeout, GroupTimer, GroupWritten};
use crate::groups::{ResponseId, Written};
use crate::ids::{GenerationId, MemberId};
use crate::notes::{GroupNote, MemberRemoval, Note};
use crate::protocol::{ErrorCode, JoinGroupResponse, JoinedMember, Response};

impl ClassicGroup {
    /// Begins a rebalance where one can begin, else looks whether the one at hand is through.
    pub(super) fn prepare_rebalance_or_complete_join(
        &mut self,
        around: &mut GroupAround<'_>,
    ) -> GroupWritten {
        match self.can_rebalance() {
            true => self.prepare_rebalance(around),
            false => self.maybe_complete_join(around),
        }
    }

    /// Members are to join again. Who waits for an assignment is told so.
    pub(in crate::groups) fn prepare_rebalance(&mut self, around: &mut GroupAround<'_>) -> GroupWritten {
        if self.is_in(GroupState::CompletingRebalance) {
            self.reset_and_propagate_assignment(ErrorCode::RebalanceInProgress, around);
        }
        self.pending_sync.clear();
        around.cancel(GroupTimer::Sync(self.id));
        let is_initial = self.is_in(GroupState::Empty);
        if is_initial {
            let delay = around.settings.group_initial_rebalance_delay_ms;
            let remaining = self.rebalance_timeout().saturating_sub(delay);
            let then = GroupTimeout::InitialRebalance { delay, remaining };
            around.schedule(GroupTimer::Join(self.id), delay, then);
        }
        self.transition_to(GroupState::PreparingRebalance, around.wall);
        self.tell_state(around);
        if is_initial {
            return Written::nothing();
        }
        if self.has_all_members_joined() {
            return self.complete_join(around);
        }
        around.schedule(
            GroupTimer::Join(self.id),
            self.rebalance_timeout(),
            GroupTimeout::CompleteJoin,
        );
        Written::nothing()
    }

    /// Completes the join if all have joined. The initial rebalance waits for its delay whoever has joined.
    pub(super) fn maybe_complete_join(&mut self, around: &mut GroupAround<'_>) -> GroupWritten {
        let ready = self.is_in(GroupState::PreparingRebalance)
            && self.previous_state != GroupState::Empty
            && self.has_all_members_joined();
        match ready {
            true => self.complete_join(around),
            false => Written::nothing(),
        }
    }

    /// The initial delay is over: another one if members came meanwhile, within the rebalance timeout in all.
    pub(in crate::groups) fn initial_delay_over(
        &mut self,
        delay: Duration,
        remaining: Duration,
        around: &mut GroupAround<'_>,
    ) -> GroupWritten {
        if !self.new_member_added || remaining == Duration::ZERO {
            return self.complete_join(around);
        }
        self.new_member_added = false;
        let next = around.settings.group_initial_rebalance_delay_ms.min(remaining);
        let then = GroupTimeout::InitialRebalance {
            delay: next,
            remaining: remaining.saturating_sub(delay),
        };
        around.schedule(GroupTimer::Join(self.id), next, then);
        Written::nothing()
    }

    /// The next generation begins with those who have joined and with static members.
    pub(in crate::groups) fn complete_join(&mut self, around: &mut GroupAround<'_>) -> GroupWritten {
        around.cancel(GroupTimer::Join(self.id));
        self.remove_who_has_not_joined(around);
        if self.is_in(GroupState::Dead) {
            return Written::nothing();
        }
        if !self.elect_joined_leader() && !self.members.is_empty() {
            // Static members only, and none of them is here: until a session expires.
            let after = self.rebalance_timeout();
            around.schedule(GroupTimer::Join(self.id), after, GroupTimeout::CompleteJoin);
            return Written::nothing();
        }
        self.init_next_generation(around);
        if self.is_in(GroupState::Empty) {
            return Written {
                records: vec![self.record(|_| None)],
                append: Some(Append::Nothing),
                replay: false,
                response: None,
            };
        }
        let members: Vec<MemberId> = self.members.keys().copied().collect();
        for id in members {
            let response = self.join_response(id);
            let member = self.members.get_mut(&id).expect("it is a member");
            member.is_new = false;
            let session_timeout = member.session_timeout;
            if let Some(waiting) = member.awaiting_join.take() {
                around.answer(waiting, response);
            }
            self.expect_heartbeat(id, session_timeout, around);
            self.pending_sync.insert(id);
        }
        around.schedule(
            GroupTimer::Sync(self.id),
            self.rebalance_timeout(),
            GroupTimeout::PendingSync(self.generation),
        );
        Written::nothing()
    }

    fn remove_who_has_not_joined(&mut self, around: &mut GroupAround<'_>) {
        let missing: Vec<MemberId> = self
            .members
            .values()
            .filter(|member| member.awaiting_join.is_none() && member.instance.is_none())
            .map(|member| member.id)
            .collect();
        for id in missing {
            self.remove(id);
            around.cancel(GroupTimer::Heartbeat(self.id, id));
            self.tell_removed(id, MemberRemoval::RebalanceTimeout, around);
        }
    }

    fn init_next_generation(&mut self, around: &mut GroupAround<'_>) {
        self.generation.0 += 1;
        let next = match self.members.is_empty() {
            true => GroupState::Empty,
            false => GroupState::CompletingRebalance,
        };
        self.protocol = (!self.members.is_empty()).then(|| self.select_protocol());
        self.subscribed_topics = self.compute_subscribed_topics();
        self.transition_to(next, around.wall);
        self.pending_sync.clear();
        self.tell_state(around);
    }

    /// What a member is told of the generation; the leader learns all members.
    pub(super) fn join_response(&self, id: MemberId) -> Response {
        let members = match self.is_leader(id) {
            true => self.joined_members(),
            false => Vec::new(),
        };
        Response::JoinGroup(Box::new(JoinGroupResponse {
            error: ErrorCode::None,
            generation: self.generation,
            protocol_type: self.protocol_type,
            protocol: self.protocol,
            leader: self.leader,
            skip_assignment: false,
            member: Some(id),
            members,
        }))
    }

    /// All members as the leader is told of them.
    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol.expect("a group with members has a protocol");
        let members = self.members.values().map(|member| JoinedMember {
            member: member.id,
            instance: member.instance,
            metadata: Arc::clone(member.metadata(protocol)),
        });
        members.collect()
    }

    /// The member's next heartbeat is expected within this time.
    pub(in crate::groups) fn expect_heartbeat(
        &self,
        member: MemberId,
        within: Duration,
        around: &mut GroupAround<'_>,
    ) {
        around.schedule(
            GroupTimer::Heartbeat(self.id, member),
            within,
            GroupTimeout::Heartbeat,
        );
    }

    pub(in crate::groups) fn tell_state(&self, around: &mut GroupAround<'_>) {
        let note = GroupNote::State {
            state: self.state,
            generation: self.generation,
            leader: self.leader,
            members: self.members.keys().copied().collect(),
        };
        around.note(Note::Group(self.id, Box::new(note)));
    }

    pub(super) fn tell_removed(&self, member: MemberId, why: MemberRemoval, around: &mut GroupAround<'_>) {
        let note = GroupNote::Removed { member, why };
        around.note(Note::Group(self.id, Box::new(note)));
    }
}

/// A JoinGroup response that tells an error.
pub(in crate::groups) fn join_error(error: ErrorCode, member: Option<MemberId>) -> Response {
    Response::JoinGroup(Box::new(JoinGroupResponse {
        error,
        generation: GenerationId::NONE,
        protocol_type: None,
        protocol: None,
        leader: None,
        skip_assignment: false,
        member,
        members: Vec::new(),
    }))
}

/// Refuses a JoinGroup.
pub(super) fn refuse_join(
    to: ResponseId,
    error: ErrorCode,
    member: Option<MemberId>,
    around: &mut GroupAround<'_>,
) -> GroupWritten {
    around.answer(to, join_error(error, member));
    Written::nothing()
}
