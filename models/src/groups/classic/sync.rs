//! SyncGroup and Heartbeat (`classicGroupSyncToClassicGroup`, `classicGroupHeartbeatToClassicGroup`).

use std::collections::BTreeMap;

use super::{ClassicGroup, GroupState};
use crate::groups::effects::coordinator_error;
use crate::groups::operations::{Append, GroupAround, GroupTimer, GroupWritten};
use crate::groups::{ResponseId, Written};
use crate::ids::{GenerationId, MemberId};
use crate::notes::{GroupNote, Note};
use crate::protocol::{
    Assignment, ErrorCode, HeartbeatRequest, Response, SyncGroupRequest, SyncGroupResponse,
};

/// The leader's assignment on its way to the log.
#[derive(Debug)]
pub struct Assigning {
    generation: GenerationId,
    assignment: BTreeMap<MemberId, Assignment>,
}

/// A SyncGroup response that tells an error.
pub(in crate::groups) fn sync_error(error: ErrorCode) -> Response {
    Response::SyncGroup(Box::new(SyncGroupResponse {
        error,
        protocol_type: None,
        protocol: None,
        assignment: None,
    }))
}

impl ClassicGroup {
    /// Works through a SyncGroup. Only the leader's does more than wait.
    pub fn sync(
        &mut self,
        request: &SyncGroupRequest,
        response: ResponseId,
        around: &mut GroupAround<'_>,
    ) -> GroupWritten {
        let refusal = match self.validate_sync(request) {
            Err(error) => Some(error),
            Ok(()) if self.is_in(GroupState::PreparingRebalance) => Some(ErrorCode::RebalanceInProgress),
            Ok(()) => None,
        };
        if let Some(error) = refusal {
            around.answer(response, sync_error(error));
            return Written::nothing();
        }
        self.pending_sync.remove(&request.member);
        if self.pending_sync.is_empty() {
            around.cancel(GroupTimer::Sync(self.id));
        }
        if self.is_in(GroupState::Stable) {
            around.answer(response, self.sync_response(request.member));
            return Written::nothing();
        }
        let member = self.members.get_mut(&request.member).expect("it was validated");
        member.awaiting_sync = Some(response);
        if !self.is_leader(request.member) {
            return Written::nothing();
        }
        let assignment: BTreeMap<MemberId, Assignment> = request.assignments.iter().cloned().collect();
        let record = self.record(|member| assignment.get(&member.id).cloned());
        let assigning = Assigning {
            generation: request.generation,
            assignment,
        };
        Written {
            records: vec![record],
            append: Some(Append::Assignment(self.id, Box::new(assigning))),
            replay: false,
            response: None,
        }
    }

    fn validate_sync(&self, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        match self.state {
            GroupState::Empty => return Err(ErrorCode::UnknownMemberId),
            GroupState::Dead => return Err(ErrorCode::CoordinatorNotAvailable),
            _ => {}
        }
        self.validate_member(Some(request.member), request.instance)?;
        if request.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let type_differs =
            matches!((request.protocol_type, self.protocol_type), (Some(asked), Some(own)) if asked != own);
        let name_differs =
            matches!((request.protocol, self.protocol), (Some(asked), Some(own)) if asked != own);
        if type_differs || name_differs {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    /// The assignment is committed, or could not be written. If another rebalance began meanwhile, that one counts.
    pub(in crate::groups) fn assignment_appended(
        &mut self,
        assigning: &Assigning,
        result: Result<(), ErrorCode>,
        around: &mut GroupAround<'_>,
    ) {
        if !self.is_in(GroupState::CompletingRebalance) || assigning.generation != self.generation {
            return;
        }
        if let Err(error) = result {
            self.reset_and_propagate_assignment(coordinator_error(error), around);
            // What this would write is not written: its result is dropped.
            self.prepare_rebalance_or_complete_join(around);
            return;
        }
        for member in self.members.values_mut() {
            member.assignment = assigning.assignment.get(&member.id).cloned();
        }
        self.propagate_assignment(ErrorCode::None, around);
        self.transition_to(GroupState::Stable, around.wall);
        let assigned = self
            .members
            .values()
            .map(|member| (member.id, member.assignment.clone()));
        let note = GroupNote::Assigned {
            generation: self.generation,
            assignment: assigned.collect(),
        };
        around.note(Note::Group(self.id, Box::new(note)));
        self.tell_state(around);
    }

    /// Nobody is assigned anything; who waits for an assignment is told why.
    pub(super) fn reset_and_propagate_assignment(&mut self, error: ErrorCode, around: &mut GroupAround<'_>) {
        for member in self.members.values_mut() {
            member.assignment = None;
        }
        self.propagate_assignment(error, around);
    }

    /// Answers everybody who waits for the assignment. Their sessions begin anew: what ran out while they waited was
    /// ignored.
    fn propagate_assignment(&mut self, error: ErrorCode, around: &mut GroupAround<'_>) {
        let members: Vec<MemberId> = self.members.keys().copied().collect();
        for id in members {
            let member = self.members.get_mut(&id).expect("it is a member");
            let Some(waiting) = member.awaiting_sync.take() else {
                continue;
            };
            let response = match error {
                ErrorCode::None => self.sync_response(id),
                error => sync_error(error),
            };
            around.answer(waiting, response);
            self.renew_session(id, around);
        }
    }

    fn sync_response(&self, id: MemberId) -> Response {
        Response::SyncGroup(Box::new(SyncGroupResponse {
            error: ErrorCode::None,
            protocol_type: self.protocol_type,
            protocol: self.protocol,
            assignment: self.members[&id].assignment.clone(),
        }))
    }

    /// Works through a Heartbeat.
    ///
    /// # Errors
    /// COORDINATOR_NOT_AVAILABLE, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION; REBALANCE_IN_PROGRESS
    /// comes as an answer, since the session goes on.
    pub fn heartbeat(
        &mut self,
        request: &HeartbeatRequest,
        around: &mut GroupAround<'_>,
    ) -> Result<GroupWritten, ErrorCode> {
        if self.is_in(GroupState::Dead) {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        self.validate_member(Some(request.member), request.instance)?;
        if request.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        self.renew_session(request.member, around);
        let error = match self.state {
            GroupState::PreparingRebalance => ErrorCode::RebalanceInProgress,
            _ => ErrorCode::None,
        };
        Ok(Written::answer(Response::Heartbeat(error)))
    }
}
