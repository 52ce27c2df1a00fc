//! Commits, OffsetFetches and the retention of offsets (`OffsetMetadataManager`, `cleanupGroupMetadata`).

use ktrial_sim::Time;
use smallvec::SmallVec;

use crate::groups::classic::{ClassicGroup, GroupState};
use crate::groups::consumer::{CommitCheck, ConsumerGroupMember, ConsumerGroupUndo, validate_fetch};
use crate::groups::group::{Group, GroupUndo};
use crate::groups::offsets::View;
use crate::groups::operations::{Append, GroupAround, GroupTimeout, GroupTimer, GroupWritten};
use crate::groups::shard::GroupShard;
use crate::groups::{CoordinatorRecord, OffsetCommitValue, Written};
use crate::ids::{GenerationId, GroupId, MemberEpoch, MemberId, PartitionId};
use crate::metadata::MetadataImage;
use crate::mutation::Mutation;
use crate::notes::{GroupNote, Note};
use crate::protocol::{
    ErrorCode, OffsetCommitPartition, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest,
    OffsetFetchResponse, Response,
};

impl GroupShard {
    pub(super) fn commit(
        &mut self,
        request: &OffsetCommitRequest,
        around: &mut GroupAround<'_>,
    ) -> Result<GroupWritten, ErrorCode> {
        if !self.groups.contains_key(&request.group) {
            if request.generation >= GenerationId(0) {
                return Err(ErrorCode::GroupIdNotFound);
            }
            // A simple group: somebody keeps offsets and assigns partitions by hand.
            self.put(Group::Classic(ClassicGroup::empty(request.group, around.wall)));
        }
        let stale_too = around.mutations.has(Mutation::AcceptStaleCommits);
        let group = &self.groups[&request.group];
        let from_outside = match group {
            Group::Classic(group) => group.state() == GroupState::Empty,
            Group::Consumer(group) => group.members().next().is_none(),
        };
        let check = match group {
            Group::Classic(group) => {
                if !stale_too {
                    group.validate_offset_commit(request.member, request.instance, request.generation)?;
                }
                if matches!(group.state(), GroupState::Stable | GroupState::PreparingRebalance)
                    && let Some(member) = request.member
                {
                    group.renew_session(member, around);
                }
                CommitCheck::Passed
            }
            Group::Consumer(_) if stale_too => CommitCheck::Passed,
            Group::Consumer(group) => group.validate_commit(request.member, request.generation)?,
        };
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
            check.check(*partition)?;
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
                from_outside,
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

    /// Answers an OffsetFetch, of everything or of what is committed.
    pub(super) fn fetch(&self, request: &OffsetFetchRequest, view: View) -> Response {
        let (there, refused) = match self.group_in(request.group, view) {
            None => (false, None),
            Some(Group::Classic(group)) => (group.state() != GroupState::Dead, None),
            Some(Group::Consumer(_)) => (true, self.refuse_fetch(request, view).err()),
        };
        if let Some(error) = refused {
            return Response::OffsetFetch(Box::new(OffsetFetchResponse {
                error,
                partitions: Vec::new(),
            }));
        }
        let mut partitions = self
            .offsets
            .fetch(request.group, request.partitions.as_deref(), view);
        if !there {
            partitions.iter_mut().for_each(|fetched| fetched.committed = None);
            partitions.retain(|_| request.partitions.is_some());
        }
        Response::OffsetFetch(Box::new(OffsetFetchResponse {
            error: ErrorCode::None,
            partitions,
        }))
    }

    /// A group, of which only whether and of which protocol it was is of the view.
    fn group_in(&self, group: GroupId, view: View) -> Option<&Group> {
        if let View::Committed(at) = view {
            let changes = self.timeline.behind(at).filter(|(changed, _)| *changed == group);
            for (_, undo) in changes {
                if let GroupUndo::Whole(before) = undo {
                    return before.as_deref();
                }
            }
        }
        self.groups.get(&group)
    }

    /// The epoch that a member of a consumer group has in a view, and whether it uses the classic protocol.
    fn epoch_in(&self, group: GroupId, member: MemberId, view: View) -> Option<(MemberEpoch, bool)> {
        let epoch = |member: &ConsumerGroupMember| (member.epoch(), member.is_classic());
        if let View::Committed(at) = view {
            let changes = self.timeline.behind(at).filter(|(changed, _)| *changed == group);
            for (_, undo) in changes {
                match undo {
                    GroupUndo::Consumer(ConsumerGroupUndo::Member(changed, before)) if *changed == member => {
                        return before.as_ref().map(epoch);
                    }
                    GroupUndo::Consumer(_) => {}
                    GroupUndo::Whole(before) => match before.as_deref() {
                        Some(Group::Consumer(group)) => {
                            return group.member(member).map(epoch);
                        }
                        Some(Group::Classic(_)) | None => return None,
                    },
                }
            }
        }
        self.consumer_group(group)?.member(member).map(epoch)
    }

    fn refuse_fetch(&self, request: &OffsetFetchRequest, view: View) -> Result<(), ErrorCode> {
        let known = match request.member {
            None if request.member_epoch < GenerationId(0) => return Ok(()),
            None => None,
            Some(member) => self.epoch_in(request.group, member, view),
        };
        validate_fetch(request.member_epoch, known)
    }

    /// Removes offsets whose retention is over, and groups without members that have none left.
    pub(super) fn expire_offsets(&mut self, around: &mut GroupAround<'_>) -> GroupWritten {
        let retention = around.settings.offsets_retention_minutes;
        let topic_of = |partition: PartitionId| specification_of(around.image, partition);
        let mut written = Written::nothing();
        let mut expired = Vec::new();
        for group in self.groups.values() {
            let first = written.records.len();
            let keeps = |partition: PartitionId, committed_at: Time| {
                let from = group.expires_from(committed_at);
                topic_of(partition).is_some_and(|topic| group.is_subscribed_to(topic))
                    || from.is_none_or(|from| around.wall.since(from) < retention)
            };
            let none_left = self.offsets.expire(group.id(), keeps, &mut written.records);
            let partitions = written.records[first..]
                .iter()
                .filter_map(CoordinatorRecord::expired);
            let partitions: SmallVec<[PartitionId; 2]> = partitions.collect();
            if !partitions.is_empty() {
                expired.push((group.id(), partitions));
            }
            if none_left && group.is_empty() {
                group.tombstones(&mut written.records);
            }
        }
        for (group, partitions) in expired {
            let note = GroupNote::OffsetsExpired(partitions);
            around.note(Note::Group(group, Box::new(note)));
        }
        self.watch_retention(around);
        written
    }

    /// Looks again after `offsets.retention.check.interval.ms`.
    pub(super) fn watch_retention(&self, around: &mut GroupAround<'_>) {
        let interval = around.settings.offsets_retention_check_interval_ms;
        around.schedule(GroupTimer::Expiration, interval, GroupTimeout::Expiration);
    }
}

/// The topic of a partition, by its number in the specification.
fn specification_of(image: &MetadataImage, partition: PartitionId) -> Option<u16> {
    let registration = image.partition(partition)?;
    Some(image.topic(registration.topic)?.specification)
}
