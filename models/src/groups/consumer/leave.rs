//! Members that go, by themselves or not (`consumerGroupLeave`, `consumerGroupFenceMember`,
//! `classicGroupLeaveToConsumerGroup`).

use std::sync::Arc;

use smallvec::SmallVec;

use super::group::{ConsumerGroup, metadata_hash};
use super::member::ConsumerGroupMember;
use super::steps::Change;
use crate::groups::CoordinatorRecord;
use crate::groups::operations::{GroupAround, GroupTimer};
use crate::groups::records::ConsumerGroupMetadataValue;
use crate::ids::{GroupInstanceId, MemberEpoch, MemberId};
use crate::notes::{GroupNote, MemberRemoval};
use crate::protocol::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ErrorCode, LeaveGroupRequest,
    LeaveGroupResponse, MemberIdentity,
};

impl ConsumerGroup {
    /// Works through the last heartbeat of a member.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.
    pub(in crate::groups) fn goodbye(
        &self,
        request: &ConsumerGroupHeartbeatRequest,
        change: &mut Change,
        around: &mut GroupAround<'_>,
    ) -> Result<ConsumerGroupHeartbeatResponse, ErrorCode> {
        let member = match request.instance {
            None => self.member(request.member).ok_or(ErrorCode::UnknownMemberId)?,
            Some(instance) => self.instance_of(instance, request.member)?,
        };
        match request.instance.is_some() && request.member_epoch == MemberEpoch::LEAVE_STATIC {
            true => self.leave_for_a_while(member, change),
            false => self.fence(&[member.id], MemberRemoval::Left, change, around),
        }
        Ok(ConsumerGroupHeartbeatResponse {
            member: Some(member.id),
            member_epoch: request.member_epoch,
            ..ConsumerGroupHeartbeatResponse::failed(ErrorCode::None)
        })
    }

    /// A static member keeps what it has for the one that comes back (`consumerGroupStaticMemberGroupLeave`).
    fn leave_for_a_while(&self, member: &ConsumerGroupMember, change: &mut Change) {
        let mut current = (*member.current).clone();
        current.epoch = MemberEpoch::LEAVE_STATIC;
        current.revoking.clear();
        // Whatever the one that comes back commits is of a later epoch.
        current
            .assigned
            .iter_mut()
            .for_each(|(_, epoch)| *epoch = MemberEpoch(0));
        let left = ConsumerGroupMember {
            current: Arc::new(current),
            ..member.clone()
        };
        self.put_current(&left, change);
    }

    /// Removes members and raises the group's epoch once, or makes a classic group of those who stay
    /// (`consumerGroupFenceMembers`).
    pub(in crate::groups) fn fence(
        &self,
        members: &[MemberId],
        why: MemberRemoval,
        change: &mut Change,
        around: &mut GroupAround<'_>,
    ) {
        if members.is_empty() {
            return;
        }
        let removed = |member: &MemberId| GroupNote::Removed { member: *member, why };
        change.notes.extend(members.iter().map(removed));
        if self.may_become_classic_without(members, around.settings) {
            // Timers of members find no consumer group any more.
            return self.become_classic(members, None, true, change, around);
        }
        for member in members {
            self.remove(*member, change);
            for timer in [
                GroupTimer::Session,
                GroupTimer::Rebalance,
                GroupTimer::MemberJoin,
                GroupTimer::MemberSync,
            ] {
                around.cancel(timer(self.id, *member));
            }
        }
        let others = || self.members().filter(|member| !members.contains(&member.id));
        let topics = others().flat_map(|member| member.metadata.topics.iter().copied());
        let value = ConsumerGroupMetadataValue {
            epoch: self.epoch().next(),
            metadata_hash: metadata_hash(topics, around.image),
        };
        change
            .records
            .push(CoordinatorRecord::ConsumerGroupMetadata(self.id, Some(value)));
        change.notes.push(GroupNote::Epoch {
            epoch: value.epoch,
            members: others().map(|member| member.id).collect(),
        });
    }

    /// The order matters (`removeMember`).
    pub(super) fn remove(&self, member: MemberId, change: &mut Change) {
        change.records.extend([
            CoordinatorRecord::ConsumerGroupCurrentMemberAssignment(self.id, member, None),
            CoordinatorRecord::ConsumerGroupTargetAssignmentMember(self.id, member, None),
            CoordinatorRecord::ConsumerGroupMemberMetadata(self.id, member, None),
        ]);
    }

    /// Works through a LeaveGroup: of members of the classic protocol, or of an administrator who removes members.
    pub(in crate::groups) fn leave(
        &self,
        request: &LeaveGroupRequest,
        change: &mut Change,
        around: &mut GroupAround<'_>,
    ) -> LeaveGroupResponse {
        let mut leaving: SmallVec<[MemberId; 4]> = SmallVec::new();
        let members = request.members.iter().map(|identity| {
            let found = self.identified(*identity);
            if let Ok(member) = found
                && !leaving.contains(&member)
            {
                leaving.push(member);
            }
            (*identity, found.err().unwrap_or(ErrorCode::None))
        });
        let members = members.collect();
        self.fence(&leaving, MemberRemoval::Left, change, around);
        LeaveGroupResponse {
            error: ErrorCode::None,
            members,
        }
    }

    fn identified(&self, identity: MemberIdentity) -> Result<MemberId, ErrorCode> {
        let Some(instance) = identity.instance else {
            let known = identity.member.filter(|member| self.member(*member).is_some());
            return known.ok_or(ErrorCode::UnknownMemberId);
        };
        match identity.member {
            Some(told) => Ok(self.instance_of(instance, told)?.id),
            None => Ok(self.static_member(instance).ok_or(ErrorCode::UnknownMemberId)?.id),
        }
    }

    /// The member that holds an instance id, if it is this one (`throwIfStaticMemberIsUnknown`,
    /// `throwIfInstanceIdIsFenced`).
    pub(super) fn instance_of(
        &self,
        instance: GroupInstanceId,
        member: MemberId,
    ) -> Result<&ConsumerGroupMember, ErrorCode> {
        let existing = self.static_member(instance).ok_or(ErrorCode::UnknownMemberId)?;
        match existing.id == member {
            true => Ok(existing),
            false => Err(ErrorCode::FencedInstanceId),
        }
    }
}
