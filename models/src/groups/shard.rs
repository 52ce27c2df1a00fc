//! The state machine of one partition of `__consumer_offsets` (`GroupCoordinatorShard`).
//!
//! | operation | Kafka's | waits for the high watermark |
//! |---|---|---|
//! | JoinGroup, SyncGroup | write; answered by the group, when it comes to that | the assignment of a SyncGroup; a static member's return |
//! | Heartbeat, LeaveGroup | write, mostly without records | of everything written before |
//! | ConsumerGroupHeartbeat | write | of everything written before |
//! | OffsetCommit | write | yes |
//! | OffsetFetch with `require_stable` | write without records | of everything written before |
//! | OffsetFetch without | read, of what is committed | no |
//!
//! Every `offsets.retention.check.interval.ms` (monotonic) offsets are removed that were committed
//! `offsets.retention.minutes` ago or more (wall): of an empty group since it became empty, of a stable group's topics
//! that nobody subscribes to; and groups that are empty and have none left.

use std::collections::BTreeMap;

use ktrial_sim::Time;

use crate::groups::classic::{ClassicGroup, join_error, sync_error};
use crate::groups::consumer::ConsumerGroup;
use crate::groups::effects::coordinator_error;
use crate::groups::group::{Group, GroupUndo};
use crate::groups::offsets::{Offsets, View};
use crate::groups::operations::{Append, GroupAround, GroupRequest, GroupTimeout, GroupTimer, GroupWritten};
use crate::groups::timeline::Timeline;
use crate::groups::{CoordinatorRecord, ResponseId, Written};
use crate::ids::{GroupId, MemberId, Offset, PartitionId};
use crate::notes::{GroupNote, Note};
use crate::protocol::{CommittedOffset, ErrorCode, JoinGroupRequest, OffsetFetchRequest, Response};

/// The groups and offsets of one partition of `__consumer_offsets`.
#[derive(Debug, Default)]
pub struct GroupShard {
    pub(super) groups: BTreeMap<GroupId, Group>,
    pub(super) timeline: Timeline<(GroupId, GroupUndo)>,
    pub(super) offsets: Offsets,
}

impl GroupShard {
    /// A classic group.
    pub fn group(&self, id: GroupId) -> Option<&ClassicGroup> {
        match self.groups.get(&id)? {
            Group::Classic(group) => Some(group),
            Group::Consumer(_) => None,
        }
    }

    /// A consumer group.
    pub fn consumer_group(&self, id: GroupId) -> Option<&ConsumerGroup> {
        match self.groups.get(&id)? {
            Group::Consumer(group) => Some(group),
            Group::Classic(_) => None,
        }
    }

    fn classic_mut(&mut self, id: GroupId) -> Option<&mut ClassicGroup> {
        match self.groups.get_mut(&id)? {
            Group::Classic(group) => Some(group),
            Group::Consumer(_) => None,
        }
    }

    /// What a group has committed for a partition, committed in the log or not.
    pub fn committed_offset(&self, group: GroupId, partition: PartitionId) -> Option<CommittedOffset> {
        Some(self.offsets.get(group, partition, View::Newest)?.committed)
    }

    pub(super) fn put(&mut self, group: Group) {
        let id = group.id();
        let before = self.groups.insert(id, group).map(Box::new);
        self.timeline.changed((id, GroupUndo::Whole(before)));
    }

    fn remove(&mut self, id: GroupId) {
        if let Some(before) = self.groups.remove(&id) {
            self.timeline
                .changed((id, GroupUndo::Whole(Some(Box::new(before)))));
        }
    }

    /// Works through a request. What it changes and cannot be found in records is changed at once.
    ///
    /// # Errors
    /// What the request is refused with; nothing was changed.
    pub fn write(
        &mut self,
        request: GroupRequest,
        response: ResponseId,
        around: &mut GroupAround<'_>,
    ) -> Result<GroupWritten, ErrorCode> {
        match request {
            GroupRequest::Join(request, new_id) => self.join(&request, new_id, response, around),
            GroupRequest::Sync(request) => match self.groups.get_mut(&request.group) {
                Some(Group::Classic(group)) => Ok(group.sync(&request, response, around)),
                Some(Group::Consumer(group)) if group.size() > 0 => group.sync(&request, response, around),
                Some(Group::Consumer(_)) | None => {
                    around.answer(response, sync_error(ErrorCode::UnknownMemberId));
                    Ok(Written::nothing())
                }
            },
            GroupRequest::Heartbeat(request) => match self.groups.get_mut(&request.group) {
                Some(Group::Classic(group)) => group.heartbeat(&request, around),
                Some(Group::Consumer(group)) => group.classic_heartbeat(&request, around),
                None => Err(ErrorCode::UnknownMemberId),
            },
            GroupRequest::Leave(request) => match self.groups.get_mut(&request.group) {
                Some(Group::Classic(group)) => Ok(group.leave(&request, around)),
                Some(Group::Consumer(_)) => Ok(self.leave_consumer_group(&request, around)),
                None => Err(ErrorCode::UnknownMemberId),
            },
            GroupRequest::ConsumerGroupHeartbeat(request) => self.consumer_heartbeat(&request, around),
            GroupRequest::OffsetCommit(request) => self.commit(&request, around),
            GroupRequest::OffsetFetch(request) => Ok(Written::answer(self.fetch(&request, View::Newest))),
        }
    }

    /// Works through a request that only reads, of what is committed.
    pub fn read(&self, request: &OffsetFetchRequest, committed: Offset) -> Response {
        self.fetch(request, View::Committed(committed))
    }

    fn join(
        &mut self,
        request: &JoinGroupRequest,
        new_id: MemberId,
        response: ResponseId,
        around: &mut GroupAround<'_>,
    ) -> Result<GroupWritten, ErrorCode> {
        let mut records = Vec::new();
        match self.groups.get(&request.group) {
            Some(group @ Group::Consumer(_)) if group.is_empty() => {
                group.tombstones(&mut records);
                self.remove(request.group);
            }
            Some(Group::Consumer(_)) => {
                return self.join_consumer_group(request, new_id, response, around);
            }
            Some(Group::Classic(_)) | None => {}
        }
        let is_new = !self.groups.contains_key(&request.group);
        if is_new {
            if request.member.is_some() {
                around.answer(response, join_error(ErrorCode::UnknownMemberId, request.member));
                return Ok(Written::nothing());
            }
            self.put(Group::Classic(ClassicGroup::empty(request.group, around.wall)));
        }
        let group = self.classic_mut(request.group).expect("it is there now");
        let written = group.join(request, new_id, response, around);
        if is_new && written.is_nothing() {
            records.push(group.empty_record());
            return Ok(Written {
                records,
                append: Some(Append::NewGroup(response)),
                replay: false,
                response: None,
            });
        }
        Ok(written)
    }

    /// A timer ran out.
    pub fn timed_out(
        &mut self,
        timer: GroupTimer,
        timeout: GroupTimeout,
        around: &mut GroupAround<'_>,
    ) -> GroupWritten {
        let group = match timer {
            GroupTimer::Expiration => return self.expire_offsets(around),
            GroupTimer::Heartbeat(group, _) | GroupTimer::Join(group) | GroupTimer::Sync(group) => group,
            GroupTimer::Session(group, member)
            | GroupTimer::Rebalance(group, member)
            | GroupTimer::MemberJoin(group, member)
            | GroupTimer::MemberSync(group, member) => {
                return self.consumer_timed_out(group, member, timer, timeout, around);
            }
        };
        let Some(group) = self.classic_mut(group) else {
            return Written::nothing();
        };
        match (timer, timeout) {
            (GroupTimer::Heartbeat(_, member), _) => group.heartbeat_expired(member, around),
            (_, GroupTimeout::PendingSync(generation)) => group.pending_sync_expired(generation, around),
            (_, timeout) => group.join_timed_out(timeout, around),
        }
    }

    /// Records are committed, or could not be appended or committed in time.
    pub fn appended(&mut self, append: Append, result: Result<(), ErrorCode>, around: &mut GroupAround<'_>) {
        match (append, result) {
            (Append::Nothing, _) | (Append::NewGroup(_), Ok(())) | (Append::Offsets(..), Err(_)) => {}
            (Append::NewGroup(response), Err(error)) => {
                around.answer(response, join_error(coordinator_error(error), None));
            }
            (Append::Assignment(group, assigning), result) => {
                if let Some(group) = self.classic_mut(group) {
                    group.assignment_appended(&assigning, result, around);
                }
            }
            (Append::StaticReplacement(group, replacement), result) => {
                if let Some(group) = self.classic_mut(group) {
                    group.static_replacement_appended(*replacement, result, around);
                }
            }
            (Append::Consumer(group, changed), result) => {
                self.consumer_changed(group, *changed, result, around)
            }
            (Append::ClassicMember(group, answer), result) => {
                self.classic_member_answered(group, *answer, result, around);
            }
            (Append::Offsets(group, offsets), Ok(())) => {
                let note = GroupNote::CommitDurable { offsets: *offsets };
                around.note(Note::Group(group, Box::new(note)));
            }
        }
    }

    /// Applies a record, of the log or about to be appended.
    pub fn replay(&mut self, record: &CoordinatorRecord, now: Time) {
        match record {
            CoordinatorRecord::GroupMetadata(group, Some(value)) => {
                self.put(Group::Classic(ClassicGroup::loaded(*group, value)));
            }
            CoordinatorRecord::GroupMetadata(group, None)
            | CoordinatorRecord::ConsumerGroupMetadata(group, None) => self.remove(*group),
            CoordinatorRecord::OffsetCommit(group, partition, value) => {
                if value.is_some() && !self.groups.contains_key(group) {
                    self.put(Group::Classic(ClassicGroup::empty(*group, now)));
                }
                self.offsets.replay(*group, *partition, *value);
            }
            CoordinatorRecord::ConsumerGroupMetadata(group, _)
            | CoordinatorRecord::ConsumerGroupPartitionMetadata(group)
            | CoordinatorRecord::ConsumerGroupTargetAssignmentMetadata(group, _)
            | CoordinatorRecord::ConsumerGroupMemberMetadata(group, ..)
            | CoordinatorRecord::ConsumerGroupTargetAssignmentMember(group, ..)
            | CoordinatorRecord::ConsumerGroupCurrentMemberAssignment(group, ..) => {
                self.replay_consumer(*group, record);
            }
        }
    }

    /// The log was written up to here.
    pub fn snapshot(&mut self, at: Offset) {
        self.timeline.snapshot(at);
        self.offsets.snapshot(at);
    }

    /// The log is committed up to here.
    pub fn committed(&mut self, at: Offset) {
        self.timeline.committed(at);
        self.offsets.committed(at);
    }

    /// Goes back to where the log was written up to an offset. The inside of classic groups stays as it is.
    pub fn revert(&mut self, to: Offset) {
        while let Some((id, undo)) = self.timeline.undo(to) {
            match (undo, self.groups.get_mut(&id)) {
                (GroupUndo::Whole(Some(group)), _) => _ = self.groups.insert(id, *group),
                (GroupUndo::Whole(None), _) => _ = self.groups.remove(&id),
                (GroupUndo::Consumer(undo), Some(Group::Consumer(group))) => group.undo(undo),
                (GroupUndo::Consumer(_), _) => {
                    unreachable!("the group is there before its end is taken back")
                }
            }
        }
        self.offsets.revert(to);
    }

    /// The log was read: sessions begin. A group that has become too large rebalances.
    pub fn loaded(&mut self, around: &mut GroupAround<'_>) {
        self.watch_retention(around);
        for group in self.groups.values_mut() {
            let group = match group {
                Group::Classic(group) => group,
                Group::Consumer(group) => {
                    group.loaded(around);
                    continue;
                }
            };
            group.tell_state(around);
            for member in group.members() {
                group.renew_session(member.id, around);
            }
            if group.members().count() > around.settings.group_max_size as usize {
                group.prepare_rebalance(around);
            }
        }
    }

    /// The coordinator gives the partition up.
    pub fn unloaded(&mut self, around: &mut GroupAround<'_>) {
        for group in self.groups.values_mut() {
            if let Group::Classic(group) = group {
                group.unload(around);
            }
        }
    }
}
