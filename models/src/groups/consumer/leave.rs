//! Members that go, by themselves or not (`consumerGroupLeave`, `consumerGroupFenceMember`,
//! `classicGroupLeaveToConsumerGroup`).

use std::sync::Arc;

use smallvec::SmallVec;

use super::group::{ConsumerGroup, metadata_hash};
use super::heartbeat::{Change, check_instance};
use super::member::ConsumerGroupMember;
use crate::groups::CoordinatorRecord;
use crate::groups::records::ConsumerGroupMetadataValue;
use crate::groups::shard::{GroupAround, GroupTimer};
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
            Some(instance) => {
                let member = self.static_member(instance).ok_or(ErrorCode::UnknownMemberId)?;
                check_instance(member, request.member)?;
                member
            }
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

    /// Removes members and raises the group's epoch once (`consumerGroupFenceMembers`).
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
        for member in members {
            self.remove(*member, change);
            change.notes.push(GroupNote::Removed { member: *member, why });
            around.cancel(GroupTimer::Session(self.id, *member));
            around.cancel(GroupTimer::Rebalance(self.id, *member));
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

    /// Works through a LeaveGroup: an administrator removes members.
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
        let member = self.static_member(instance).ok_or(ErrorCode::UnknownMemberId)?;
        if let Some(told) = identity.member {
            check_instance(member, told)?;
        }
        Ok(member.id)
    }

    /// What a SyncGroup or Heartbeat of the classic protocol is answered (`validateConsumerGroupMember`,
    /// `throwIfMemberDoesNotUseClassicProtocol`).
    pub(in crate::groups) fn refuse_classic(
        &self,
        member: MemberId,
        instance: Option<GroupInstanceId>,
    ) -> ErrorCode {
        let existing = instance.and_then(|instance| self.static_member(instance));
        let fenced = existing.and_then(|existing| check_instance(existing, member).err());
        fenced.unwrap_or(ErrorCode::UnknownMemberId)
    }
}
