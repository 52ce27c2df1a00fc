//! LeaveGroup and the end of the coordinator (`classicGroupLeaveToClassicGroup`, `onUnloaded`).

use super::rebalance::refuse_join;
use super::sync::sync_error;
use super::{ClassicGroup, GroupState};
use crate::groups::Written;
use crate::groups::operations::{GroupAround, GroupTimer, GroupWritten};
use crate::ids::MemberId;
use crate::notes::MemberRemoval;
use crate::protocol::{ErrorCode, LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, Response};

impl ClassicGroup {
    /// Works through a LeaveGroup: each member on its own, then one rebalance.
    pub fn leave(&mut self, request: &LeaveGroupRequest, around: &mut GroupAround<'_>) -> GroupWritten {
        if self.is_in(GroupState::Dead) {
            return Written::answer(Response::LeaveGroup(Box::new(LeaveGroupResponse {
                error: ErrorCode::CoordinatorNotAvailable,
                members: Default::default(),
            })));
        }
        let mut members = smallvec::SmallVec::new();
        let mut somebody_left = false;
        for identity in &request.members {
            let left = self.leave_one(*identity, around);
            somebody_left |= left.is_ok();
            members.push((*identity, left.err().unwrap_or(ErrorCode::None)));
        }
        let mut written = match self.state {
            GroupState::Stable | GroupState::CompletingRebalance if somebody_left => {
                self.prepare_rebalance_or_complete_join(around)
            }
            GroupState::PreparingRebalance if somebody_left => self.maybe_complete_join(around),
            _ => Written::nothing(),
        };
        written.response = Some(Response::LeaveGroup(Box::new(LeaveGroupResponse {
            error: ErrorCode::None,
            members,
        })));
        written
    }

    fn leave_one(&mut self, identity: MemberIdentity, around: &mut GroupAround<'_>) -> Result<(), ErrorCode> {
        let member = match identity {
            MemberIdentity {
                member: Some(member), ..
            } if self.pending_join.contains(&member) => {
                self.remove(member);
                around.cancel(GroupTimer::Heartbeat(self.id, member));
                return Ok(());
            }
            MemberIdentity {
                member: None,
                instance,
            } => {
                let holder = instance.and_then(|instance| self.static_members.get(&instance));
                *holder.ok_or(ErrorCode::UnknownMemberId)?
            }
            MemberIdentity { member, instance } => self.validate_member(member, instance)?,
        };
        around.cancel(GroupTimer::Heartbeat(self.id, member));
        self.remove_and_answer(member, MemberRemoval::Left, around);
        Ok(())
    }

    /// The coordinator gives the group up: who waits is told to look for another one.
    pub(in crate::groups) fn unload(&mut self, around: &mut GroupAround<'_>) {
        self.transition_to(GroupState::Dead, around.wall);
        let members: Vec<MemberId> = self.members.keys().copied().collect();
        for id in members {
            let member = self.members.get_mut(&id).expect("it is a member");
            let waiting = (member.awaiting_join.take(), member.awaiting_sync.take());
            if let Some(waiting) = waiting.0 {
                refuse_join(waiting, ErrorCode::NotCoordinator, Some(id), around);
            }
            if let Some(waiting) = waiting.1 {
                around.answer(waiting, sync_error(ErrorCode::NotCoordinator));
            }
        }
    }
}
