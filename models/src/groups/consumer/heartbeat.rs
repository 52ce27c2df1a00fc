//! Heartbeats of members that come and stay (`GroupMetadataManager.consumerGroupHeartbeat`).

use std::sync::Arc;

use super::group::{ConsumerGroup, Refresh};
use super::member::ConsumerGroupMember;
use super::steps::Change;
use crate::groups::CoordinatorRecord;
use crate::groups::operations::{GroupAround, GroupTimeout, GroupTimer};
use crate::ids::{GroupInstanceId, MemberEpoch, MemberId, PartitionId};
use crate::notes::{GroupNote, MemberRemoval};
use crate::protocol::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ErrorCode};

impl ConsumerGroup {
    /// Works through the heartbeat of a member that joins or stays: what is answered, and when metadata are compared
    /// again, if they were.
    ///
    /// # Errors
    /// See the table of [`super`]; nothing is to be written.
    pub(in crate::groups) fn heartbeat(
        &self,
        request: &ConsumerGroupHeartbeatRequest,
        change: &mut Change,
        around: &mut GroupAround<'_>,
    ) -> Result<(ConsumerGroupHeartbeatResponse, Option<Refresh>), ErrorCode> {
        self.check_size(request.member, request.instance, around.settings)?;
        let member = match request.instance {
            None => self.dynamic_member(request)?,
            Some(instance) => self.rejoining_member(request, instance, change)?,
        };
        let updated = updated_member(&member, request);
        let said = self.says(&member, &updated, change, around);
        let (target_epoch, target) = self.update_target(&said, &member, &updated, change, around)?;
        let owned = request.owned.as_deref();
        let reconciled = self.reconcile(
            &updated,
            (target_epoch, &target),
            said.topics_changed,
            owned,
            change,
            around,
        );
        let settings = around.group_settings(self.id);
        around.schedule(
            GroupTimer::Session(self.id, updated.id),
            settings.consumer_session_timeout_ms,
            GroupTimeout::Session,
        );
        let current = &reconciled.current;
        let tells_all = request.rebalance_timeout.is_some()
            && request.subscribed_topics.is_some()
            && request.owned.is_some();
        let told = request.member_epoch == MemberEpoch::JOIN
            || tells_all
            || current.assigned != member.current.assigned;
        let assigned = || current.assigned.iter().map(|(partition, _)| *partition).collect();
        let response = ConsumerGroupHeartbeatResponse {
            error: ErrorCode::None,
            member: Some(updated.id),
            member_epoch: reconciled.epoch(),
            heartbeat_interval: settings.consumer_heartbeat_interval_ms,
            assignment: told.then(assigned),
        };
        Ok((response, said.refresh))
    }

    /// `getOrMaybeSubscribeDynamicConsumerGroupMember`.
    fn dynamic_member(
        &self,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupMember, ErrorCode> {
        match self.member(request.member) {
            Some(member) => check_epoch(member, request).map(|()| member.clone()),
            None if request.member_epoch == MemberEpoch::JOIN => Ok(ConsumerGroupMember::new(request.member)),
            None => Err(ErrorCode::UnknownMemberId),
        }
    }

    /// `getOrMaybeSubscribeStaticConsumerGroupMember`: who has left for a while is replaced by the one that comes
    /// back, with all that it had.
    fn rejoining_member(
        &self,
        request: &ConsumerGroupHeartbeatRequest,
        instance: GroupInstanceId,
        change: &mut Change,
    ) -> Result<ConsumerGroupMember, ErrorCode> {
        if request.member_epoch != MemberEpoch::JOIN {
            let existing = self.instance_of(instance, request.member)?;
            return check_epoch(existing, request).map(|()| existing.clone());
        }
        let Some(existing) = self.static_member(instance) else {
            return Ok(self.known_or_new(request.member));
        };
        // A member of the classic protocol is replaced whether it has left or not.
        if !existing.is_classic() && existing.epoch() != MemberEpoch::LEAVE_STATIC {
            return Err(ErrorCode::UnreleasedInstanceId);
        }
        Ok(self.replace(existing, request.member, change))
    }

    /// A static member takes over what the one before it has (`replaceMember`).
    pub(super) fn replace(
        &self,
        existing: &ConsumerGroupMember,
        id: MemberId,
        change: &mut Change,
    ) -> ConsumerGroupMember {
        let mut current = (*existing.current).clone();
        current.epoch = MemberEpoch(0);
        current.previous_epoch = MemberEpoch(0);
        let member = ConsumerGroupMember {
            id,
            metadata: existing.metadata.clone(),
            current: Arc::new(current),
        };
        // The timers of the old one go on and find nobody: the change may be rolled back.
        self.remove(existing.id, change);
        change.records.extend([
            CoordinatorRecord::ConsumerGroupMemberMetadata(self.id, member.id, Some(member.metadata.clone())),
            CoordinatorRecord::ConsumerGroupTargetAssignmentMember(
                self.id,
                member.id,
                Some(self.target(existing.id)),
            ),
            CoordinatorRecord::ConsumerGroupCurrentMemberAssignment(
                self.id,
                member.id,
                Some(member.current.clone()),
            ),
        ]);
        change.notes.push(GroupNote::Removed {
            member: existing.id,
            why: MemberRemoval::InstanceReplaced,
        });
        member
    }
}

fn updated_member(
    member: &ConsumerGroupMember,
    request: &ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupMember {
    let mut metadata = (*member.metadata).clone();
    metadata.instance = request.instance.or(metadata.instance);
    metadata.rack = request.rack.or(metadata.rack);
    metadata.client = request.client;
    metadata.rebalance_timeout = request.rebalance_timeout.unwrap_or(metadata.rebalance_timeout);
    metadata.assignor = request.server_assignor.or(metadata.assignor);
    metadata.classic = None;
    if let Some(topics) = &request.subscribed_topics {
        metadata.topics.clone_from(topics);
        metadata.topics.sort_unstable();
        metadata.topics.dedup();
    }
    ConsumerGroupMember {
        id: member.id,
        metadata: Arc::new(metadata),
        current: member.current.clone(),
    }
}

/// `throwIfConsumerGroupMemberEpochIsInvalid`: the answer with the newest epoch may have been lost.
fn check_epoch(
    member: &ConsumerGroupMember,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<(), ErrorCode> {
    let (told, current) = (request.member_epoch, &member.current);
    if told == MemberEpoch::JOIN || told == current.epoch {
        return Ok(());
    }
    let is_assigned =
        |partition: &PartitionId| current.assigned.iter().any(|(assigned, _)| assigned == partition);
    let owns_no_more = request
        .owned
        .as_ref()
        .is_some_and(|owned| owned.iter().all(is_assigned));
    match told < current.epoch && told == current.previous_epoch && owns_no_more {
        true => Ok(()),
        false => Err(ErrorCode::FencedMemberEpoch),
    }
}
