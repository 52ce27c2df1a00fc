//! The state machine of one partition of `__consumer_offsets` (`GroupCoordinatorShard`).
//!
//! | operation | Kafka's | waits for the high watermark |
//! |---|---|---|
//! | JoinGroup, SyncGroup | write; answered by the group, when it comes to that | the assignment of a SyncGroup; a static member's return |
//! | Heartbeat, LeaveGroup | write, mostly without records | of everything written before |
//! | OffsetCommit | write | yes |
//! | OffsetFetch with `require_stable` | write without records | of everything written before |
//! | OffsetFetch without | read, of what is committed | no |
//!
//! Every `offsets.retention.check.interval.ms` (monotonic) offsets are removed that were committed
//! `offsets.retention.minutes` ago or more (wall): of an empty group since it became empty, of a stable group's topics
//! that nobody subscribes to; and groups that are empty and have none left.

use std::collections::BTreeMap;

use ktrial_sim::{Duration, Time};
use smallvec::SmallVec;

use crate::groups::classic::{
    Assigning, ClassicGroup, GroupState, StaticReplacement, join_error, sync_error,
};
use crate::groups::effects::coordinator_error;
use crate::groups::offsets::{Offsets, View};
use crate::groups::timeline::Timeline;
use crate::groups::{Around, CoordinatorRecord, OffsetCommitValue, ResponseId, Written};
use crate::ids::{GenerationId, GroupId, MemberId, Offset, PartitionId};
use crate::metadata::MetadataImage;
use crate::notes::{GroupNote, Note};
use crate::protocol::{
    CommittedOffset, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ErrorCode,
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, MemberIdentity, OffsetCommitPartition,
    OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, Response,
    SyncGroupRequest,
};

/// A request to a group.
#[derive(Clone, Debug)]
pub enum GroupRequest {
    /// JoinGroup, with the id to give out if the member has none.
    Join(Box<JoinGroupRequest>, MemberId),
    /// SyncGroup.
    Sync(Box<SyncGroupRequest>),
    /// Heartbeat.
    Heartbeat(Box<HeartbeatRequest>),
    /// LeaveGroup.
    Leave(Box<LeaveGroupRequest>),
    /// ConsumerGroupHeartbeat.
    ConsumerGroupHeartbeat(Box<ConsumerGroupHeartbeatRequest>),
    /// OffsetCommit.
    OffsetCommit(Box<OffsetCommitRequest>),
    /// OffsetFetch.
    OffsetFetch(Box<OffsetFetchRequest>),
}

/// A timer of the shard, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupTimer {
    /// The next heartbeat of a member.
    Heartbeat(GroupId, MemberId),
    /// The end of a join.
    Join(GroupId),
    /// All members' SyncGroups.
    Sync(GroupId),
    /// The look for offsets whose retention is over.
    Expiration,
}

/// What happens when a timer runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupTimeout {
    /// The member is removed.
    Heartbeat,
    /// The join is completed.
    CompleteJoin,
    /// The initial rebalance may be delayed again.
    InitialRebalance {
        /// How long this delay was.
        delay: Duration,
        /// How much of the rebalance timeout is left.
        remaining: Duration,
    },
    /// Who has not synced in this generation is removed.
    PendingSync(GenerationId),
    /// Offsets are looked at.
    Expiration,
}

/// What is done when records are committed or could not be appended (`appendFuture`).
#[derive(Debug)]
pub enum Append {
    /// Nothing: whoever must know is told by other means.
    Nothing,
    /// The first record of a new group; its member may be waiting.
    NewGroup(ResponseId),
    /// A leader's assignment.
    Assignment(GroupId, Box<Assigning>),
    /// A static member came back.
    StaticReplacement(GroupId, Box<StaticReplacement>),
    /// Offsets: told to those who watch.
    Offsets(GroupId, Box<SmallVec<[(PartitionId, CommittedOffset); 2]>>),
}

/// What operations of groups look at and ask for.
pub type GroupAround<'a> = Around<'a, GroupTimer, GroupTimeout>;
/// What operations of groups write.
pub type GroupWritten = Written<Append>;

/// The groups and offsets of one partition of `__consumer_offsets`.
#[derive(Debug, Default)]
pub struct GroupShard {
    groups: BTreeMap<GroupId, ClassicGroup>,
    /// Groups that were put away or (none) not there.
    timeline: Timeline<(GroupId, Option<Box<ClassicGroup>>)>,
    offsets: Offsets,
}

impl GroupShard {
    /// A group.
    pub fn group(&self, id: GroupId) -> Option<&ClassicGroup> {
        self.groups.get(&id)
    }

    /// What a group has committed for a partition, committed in the log or not.
    pub fn committed_offset(&self, group: GroupId, partition: PartitionId) -> Option<CommittedOffset> {
        Some(self.offsets.get(group, partition, View::Newest)?.committed)
    }

    fn put(&mut self, group: ClassicGroup) {
        let id = group.id;
        let before = self.groups.insert(id, group).map(Box::new);
        self.timeline.changed((id, before));
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
            GroupRequest::Join(request, new_id) => Ok(self.join(&request, new_id, response, around)),
            GroupRequest::Sync(request) => Ok(match self.groups.get_mut(&request.group) {
                Some(group) => group.sync(&request, response, around),
                None => {
                    around.answer(response, sync_error(ErrorCode::UnknownMemberId));
                    Written::nothing()
                }
            }),
            GroupRequest::Heartbeat(request) => match self.groups.get_mut(&request.group) {
                Some(group) => group.heartbeat(&request, around),
                None => Err(ErrorCode::UnknownMemberId),
            },
            GroupRequest::Leave(request) => match self.groups.get_mut(&request.group) {
                Some(group) => Ok(group.leave(&request, around)),
                None => Err(ErrorCode::UnknownMemberId),
            },
            GroupRequest::ConsumerGroupHeartbeat(_) => Err(ErrorCode::UnsupportedVersion),
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
    ) -> GroupWritten {
        let is_new = !self.groups.contains_key(&request.group);
        if is_new {
            if request.member.is_some() {
                around.answer(response, join_error(ErrorCode::UnknownMemberId, request.member));
                return Written::nothing();
            }
            self.put(ClassicGroup::empty(request.group, around.wall));
        }
        let group = self.groups.get_mut(&request.group).expect("it is there now");
        let written = group.join(request, new_id, response, around);
        if is_new && written.is_nothing() {
            return Written {
                records: vec![group.empty_record()],
                append: Some(Append::NewGroup(response)),
                replay: false,
                response: None,
            };
        }
        written
    }

    fn commit(
        &mut self,
        request: &OffsetCommitRequest,
        around: &mut GroupAround<'_>,
    ) -> Result<GroupWritten, ErrorCode> {
        if !self.groups.contains_key(&request.group) {
            if request.generation >= GenerationId(0) {
                return Err(ErrorCode::GroupIdNotFound);
            }
            // A simple group: somebody keeps offsets and assigns partitions by hand.
            self.put(ClassicGroup::empty(request.group, around.wall));
        }
        let group = &self.groups[&request.group];
        group.validate_offset_commit(request.member, request.instance, request.generation)?;
        if matches!(group.state(), GroupState::Stable | GroupState::PreparingRebalance)
            && let Some(member) = request.member
        {
            group.renew_session(member, around);
        }
        let mut written = Written::nothing();
        let mut partitions = SmallVec::new();
        let mut applied = SmallVec::new();
        for OffsetCommitPartition {
            partition,
            committed,
            metadata_length,
        } in &request.partitions
        {
            if around.image.partition(*partition).is_none() {
                partitions.push((*partition, ErrorCode::UnknownTopicOrPartition));
                continue;
            }
            if *metadata_length > around.settings.offset_metadata_max_bytes {
                partitions.push((*partition, ErrorCode::OffsetMetadataTooLarge));
                continue;
            }
            partitions.push((*partition, ErrorCode::None));
            applied.push((*partition, *committed));
            let value = OffsetCommitValue {
                committed: *committed,
                commit_timestamp: around.wall,
            };
            let record = CoordinatorRecord::OffsetCommit(request.group, *partition, Some(value));
            written.records.push(record);
        }
        if !applied.is_empty() {
            let note = GroupNote::CommitApplied {
                member: request.member,
                generation: request.generation,
                offsets: applied.clone(),
            };
            around.note(Note::Group(request.group, Box::new(note)));
            written.append = Some(Append::Offsets(request.group, Box::new(applied)));
        }
        written.response = Some(Response::OffsetCommit(Box::new(OffsetCommitResponse {
            partitions,
        })));
        Ok(written)
    }

    fn fetch(&self, request: &OffsetFetchRequest, view: View) -> Response {
        let there = match view {
            View::Newest => self.groups.contains_key(&request.group),
            View::Committed(at) => self.was_there(request.group, at),
        };
        let alive = self
            .groups
            .get(&request.group)
            .is_none_or(|group| group.state() != GroupState::Dead);
        let mut partitions = self
            .offsets
            .fetch(request.group, request.partitions.as_deref(), view);
        if !there || !alive {
            partitions.iter_mut().for_each(|fetched| fetched.committed = None);
            partitions.retain(|_| request.partitions.is_some());
        }
        Response::OffsetFetch(Box::new(OffsetFetchResponse {
            error: ErrorCode::None,
            partitions,
        }))
    }

    fn was_there(&self, group: GroupId, at: Offset) -> bool {
        let mut behind = self.timeline.behind(at);
        match behind.find(|(changed, _)| *changed == group) {
            Some((_, before)) => before.is_some(),
            None => self.groups.contains_key(&group),
        }
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
        };
        let Some(group) = self.groups.get_mut(&group) else {
            return Written::nothing();
        };
        match (timer, timeout) {
            (GroupTimer::Heartbeat(_, member), _) => group.heartbeat_expired(member, around),
            (_, GroupTimeout::PendingSync(generation)) => group.pending_sync_expired(generation, around),
            (_, timeout) => group.join_timed_out(timeout, around),
        }
    }

    fn expire_offsets(&mut self, around: &mut GroupAround<'_>) -> GroupWritten {
        let retention = around.settings.offsets_retention_minutes;
        let topic_of = |partition: PartitionId| specification_of(around.image, partition);
        let mut written = Written::nothing();
        for group in self.groups.values() {
            let keeps = |partition: PartitionId, committed_at: Time| {
                let from = group.expires_from(committed_at);
                topic_of(partition).is_some_and(|topic| group.is_subscribed_to(topic))
                    || from.is_none_or(|from| around.wall.since(from) < retention)
            };
            let none_left = self.offsets.expire(group.id, keeps, &mut written.records);
            if none_left && group.state() == GroupState::Empty {
                written
                    .records
                    .push(CoordinatorRecord::GroupMetadata(group.id, None));
            }
        }
        self.watch_retention(around);
        written
    }

    fn watch_retention(&self, around: &mut GroupAround<'_>) {
        let interval = around.settings.offsets_retention_check_interval_ms;
        around.schedule(GroupTimer::Expiration, interval, GroupTimeout::Expiration);
    }

    /// Records are committed, or could not be appended or committed in time.
    pub fn appended(&mut self, append: Append, result: Result<(), ErrorCode>, around: &mut GroupAround<'_>) {
        match (append, result) {
            (Append::Nothing, _) | (Append::NewGroup(_), Ok(())) | (Append::Offsets(..), Err(_)) => {}
            (Append::NewGroup(response), Err(error)) => {
                around.answer(response, join_error(coordinator_error(error), None));
            }
            (Append::Assignment(group, assigning), result) => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.assignment_appended(&assigning, result, around);
                }
            }
            (Append::StaticReplacement(group, replacement), result) => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.static_replacement_appended(*replacement, result, around);
                }
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
                self.put(ClassicGroup::loaded(*group, value));
            }
            CoordinatorRecord::GroupMetadata(group, None) => {
                let before = self.groups.remove(group).map(Box::new);
                self.timeline.changed((*group, before));
            }
            CoordinatorRecord::OffsetCommit(group, partition, value) => {
                if value.is_some() && !self.groups.contains_key(group) {
                    self.put(ClassicGroup::empty(*group, now));
                }
                self.offsets.replay(*group, *partition, *value);
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
        while let Some((id, before)) = self.timeline.undo(to) {
            match before {
                Some(group) => self.groups.insert(id, *group),
                None => self.groups.remove(&id),
            };
        }
        self.offsets.revert(to);
    }

    /// The log was read: sessions begin. A group that has become too large rebalances.
    pub fn loaded(&mut self, around: &mut GroupAround<'_>) {
        self.watch_retention(around);
        for group in self.groups.values_mut() {
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
        self.groups.values_mut().for_each(|group| group.unload(around));
    }
}

/// The topic of a partition, by its number in the specification.
fn specification_of(image: &MetadataImage, partition: PartitionId) -> Option<u16> {
    let registration = image.partition(partition)?;
    Some(image.topic(registration.topic)?.specification)
}

/// The answer to a request that failed as a whole, before it is known with what (`getErrorResponse`).
pub fn refusal(request: &GroupRequest) -> Response {
    match request {
        GroupRequest::Join(..) => join_error(ErrorCode::None, None),
        GroupRequest::Sync(_) => sync_error(ErrorCode::None),
        GroupRequest::Heartbeat(_) => Response::Heartbeat(ErrorCode::None),
        GroupRequest::Leave(request) => {
            let members: SmallVec<[(MemberIdentity, ErrorCode); 1]> = request
                .members
                .iter()
                .map(|identity| (*identity, ErrorCode::None))
                .collect();
            Response::LeaveGroup(Box::new(crate::protocol::LeaveGroupResponse {
                error: ErrorCode::None,
                members,
            }))
        }
        GroupRequest::ConsumerGroupHeartbeat(_) => Response::ConsumerGroupHeartbeat(Box::new(
            ConsumerGroupHeartbeatResponse::failed(ErrorCode::None),
        )),
        GroupRequest::OffsetCommit(request) => {
            let partitions = request.partitions.iter();
            Response::OffsetCommit(Box::new(OffsetCommitResponse {
                partitions: partitions.map(|told| (told.partition, ErrorCode::None)).collect(),
            }))
        }
        GroupRequest::OffsetFetch(_) => Response::OffsetFetch(Box::new(OffsetFetchResponse {
            error: ErrorCode::None,
            partitions: Vec::new(),
        })),
    }
}

/// Puts an error into such an answer that stands before any operation.
pub fn refuse_at_once(answer: &mut Response, error: ErrorCode) {
    match answer {
        Response::OffsetCommit(commit) => {
            commit
                .partitions
                .iter_mut()
                .for_each(|(_, partition)| *partition = error);
        }
        answer => refuse(answer, error, true),
    }
}

/// Puts the error of a failed operation into such an answer (`GroupCoordinatorService`: the handlers behind
/// `exceptionally`). `required_stable`: an OffsetFetch that was a write.
pub fn refuse(answer: &mut Response, error: ErrorCode, required_stable: bool) {
    let told = coordinator_error(error);
    match answer {
        Response::JoinGroup(join) => join.error = told,
        Response::SyncGroup(sync) => sync.error = told,
        // The session goes on while the group loads: it is too early to complain.
        Response::Heartbeat(heartbeat) => {
            *heartbeat = match told {
                ErrorCode::CoordinatorLoadInProgress => ErrorCode::None,
                told => told,
            };
        }
        Response::LeaveGroup(leave) if told == ErrorCode::UnknownMemberId => {
            leave.members.iter_mut().for_each(|(_, member)| *member = told);
        }
        Response::LeaveGroup(leave) => {
            leave.error = told;
            leave.members.clear();
        }
        Response::ConsumerGroupHeartbeat(beat) => beat.error = told,
        Response::OffsetCommit(commit) => {
            commit
                .partitions
                .iter_mut()
                .for_each(|(_, partition)| *partition = told);
        }
        Response::OffsetFetch(fetch) => {
            // Consumers before 3.9 know no other error that makes them look for the coordinator again.
            fetch.error = match told {
                ErrorCode::CoordinatorNotAvailable if required_stable => ErrorCode::NotCoordinator,
                _ if required_stable => told,
                _ => error,
            };
        }
        other => unreachable!("no answer of a group: {other:?}"),
    }
}
