//! Consumer groups among the groups of a shard: which group a request is for, time-outs, records, loading.

use ktrial_sim::Duration;

use super::group::{ConsumerGroup, ConsumerGroupState};
use super::heartbeat::Change;
use super::member::MemberState;
use crate::groups::group::{Group, GroupUndo};
use crate::groups::shard::{Append, GroupAround, GroupShard, GroupTimeout, GroupTimer, GroupWritten};
use crate::groups::{CoordinatorRecord, Written};
use crate::ids::{GenerationId, GroupId, MemberEpoch, MemberId};
use crate::notes::{GroupNote, MemberRemoval, Note};
use crate::protocol::{ConsumerGroupHeartbeatRequest, ErrorCode, LeaveGroupRequest, Response};

/// After which a removal is tried again that could not be written (`CoordinatorTimerImpl`).
const RETRY_BACKOFF: Duration = Duration::millis(500);

/// What is told once a change is committed or was not in time, and the timer that runs again then.
#[derive(Debug)]
pub struct Changed {
    notes: Vec<GroupNote>,
    again: Option<(GroupTimer, GroupTimeout)>,
}

/// What is written, and told behind it.
fn written(group: GroupId, change: Change, response: Option<Response>) -> GroupWritten {
    let changed = Changed {
        notes: change.notes,
        again: None,
    };
    let has_changed = !change.records.is_empty();
    Written {
        records: change.records,
        response,
        append: has_changed.then(|| Append::Consumer(group, Box::new(changed))),
        replay: true,
    }
}

impl GroupShard {
    /// Works through a ConsumerGroupHeartbeat.
    ///
    /// # Errors
    /// See the table of [`super`].
    pub(in crate::groups) fn consumer_heartbeat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
        around: &mut GroupAround<'_>,
    ) -> Result<GroupWritten, ErrorCode> {
        let mut change = Change::default();
        let id = request.group;
        let leaves = matches!(
            request.member_epoch,
            MemberEpoch::LEAVE | MemberEpoch::LEAVE_STATIC
        );
        let (response, refresh) = match leaves {
            true => {
                let group = self.consumer_group(id).ok_or(ErrorCode::GroupIdNotFound)?;
                (group.goodbye(request, &mut change, around)?, None)
            }
            false => {
                let anew;
                let group = match self.groups.get(&id) {
                    Some(Group::Consumer(group)) => group,
                    _ if request.member_epoch != MemberEpoch::JOIN => return Err(ErrorCode::GroupIdNotFound),
                    // As with `group.consumer.migration.policy=disabled`.
                    Some(classic) if !classic.is_empty() => return Err(ErrorCode::GroupIdNotFound),
                    classic => {
                        if let Some(classic) = classic {
                            classic.tombstones(&mut change.records);
                        }
                        anew = ConsumerGroup::new(id);
                        &anew
                    }
                };
                group.heartbeat(request, &mut change, around)?
            }
        };
        if let (Some(refresh), Some(Group::Consumer(group))) = (refresh, self.groups.get_mut(&id)) {
            group.refresh = refresh;
        }
        let response = Response::ConsumerGroupHeartbeat(Box::new(response));
        Ok(written(id, change, Some(response)))
    }

    /// An administrator removes members by a LeaveGroup.
    pub(in crate::groups) fn leave_consumer_group(
        &mut self,
        request: &LeaveGroupRequest,
        around: &mut GroupAround<'_>,
    ) -> GroupWritten {
        let mut change = Change::default();
        let group = self.consumer_group(request.group).expect("it was just found");
        let response = group.leave(request, &mut change, around);
        written(
            request.group,
            change,
            Some(Response::LeaveGroup(Box::new(response))),
        )
    }

    /// A member was silent, or did not give up partitions in time.
    pub(in crate::groups) fn consumer_timed_out(
        &mut self,
        id: GroupId,
        member: MemberId,
        timer: GroupTimer,
        timeout: GroupTimeout,
        around: &mut GroupAround<'_>,
    ) -> GroupWritten {
        let Some(group) = self.consumer_group(id) else {
            return Written::nothing();
        };
        let why = match (group.member(member), timeout) {
            (Some(member), GroupTimeout::Rebalance(epoch)) if member.epoch() == epoch => {
                MemberRemoval::RebalanceTimeout
            }
            (Some(_), GroupTimeout::Session) => MemberRemoval::SessionTimeout,
            _ => return Written::nothing(),
        };
        let mut change = Change::default();
        group.fence(&[member], why, &mut change, around);
        let mut written = written(id, change, None);
        if let Some(Append::Consumer(_, changed)) = &mut written.append {
            changed.again = Some((timer, timeout));
        }
        written
    }

    /// A change is committed, or could not be appended or committed in time.
    pub(in crate::groups) fn consumer_changed(
        &mut self,
        id: GroupId,
        changed: Changed,
        result: Result<(), ErrorCode>,
        around: &mut GroupAround<'_>,
    ) {
        // What could not be committed in time stands, and is committed later if the coordinator remains.
        if matches!(result, Ok(()) | Err(ErrorCode::RequestTimedOut)) {
            let tell = |note| around.note(Note::Group(id, Box::new(note)));
            changed.notes.into_iter().for_each(tell);
            if let Some(group) = self.consumer_group(id) {
                group.tell_assigned(around);
            }
        }
        match (result, changed.again) {
            (Ok(()), _) | (Err(_), None) => {}
            (Err(ErrorCode::NotCoordinator | ErrorCode::CoordinatorLoadInProgress), _) => {}
            (Err(_), Some((timer, timeout))) => around.schedule(timer, RETRY_BACKOFF, timeout),
        }
    }

    /// Applies a record of a consumer group.
    pub(in crate::groups) fn replay_consumer(&mut self, id: GroupId, record: &CoordinatorRecord) {
        let is_tombstone = match record {
            CoordinatorRecord::ConsumerGroupMemberMetadata(_, _, value) => value.is_none(),
            CoordinatorRecord::ConsumerGroupTargetAssignmentMember(_, _, value) => value.is_none(),
            CoordinatorRecord::ConsumerGroupCurrentMemberAssignment(_, _, value) => value.is_none(),
            CoordinatorRecord::ConsumerGroupTargetAssignmentMetadata(_, value) => value.is_none(),
            CoordinatorRecord::ConsumerGroupMetadata(_, value) => value.is_none(),
            _ => true,
        };
        match self.groups.get(&id) {
            Some(Group::Consumer(_)) => {}
            _ if is_tombstone => return,
            Some(Group::Classic(group)) if !group.is_simple() => {
                unreachable!("the tombstone of a classic group comes before records of a consumer group")
            }
            // A classic group that only keeps offsets is in no record.
            _ => self.put(Group::Consumer(ConsumerGroup::new(id))),
        }
        if let Some(Group::Consumer(group)) = self.groups.get_mut(&id)
            && let Some(undo) = group.replay(record)
        {
            self.timeline.changed((id, GroupUndo::Consumer(undo)));
        }
    }

    /// The metadata of these topics changed: groups that subscribe to them compare them at the next heartbeat
    /// (`onMetadataUpdate`).
    pub fn topics_changed(&mut self, topics: &[u16]) {
        for group in self.groups.values_mut() {
            if let Group::Consumer(group) = group
                && topics.iter().any(|topic| group.is_subscribed_to(*topic))
            {
                group.refresh = Default::default();
            }
        }
    }
}

impl ConsumerGroup {
    /// The log was read: sessions begin, and the time for giving up partitions begins again.
    pub(in crate::groups) fn loaded(&self, around: &mut GroupAround<'_>) {
        for member in self.members() {
            let session = around.settings.group_consumer_session_timeout_ms;
            around.schedule(
                GroupTimer::Session(self.id, member.id),
                session,
                GroupTimeout::Session,
            );
            if member.current.state == MemberState::UnrevokedPartitions {
                around.schedule(
                    GroupTimer::Rebalance(self.id, member.id),
                    member.metadata.rebalance_timeout,
                    GroupTimeout::Rebalance(member.epoch()),
                );
            }
        }
        if self.state() != ConsumerGroupState::Empty {
            let note = GroupNote::Epoch {
                epoch: self.epoch(),
                members: self.members().map(|member| member.id).collect(),
            };
            around.note(Note::Group(self.id, Box::new(note)));
            self.tell_assigned(around);
        }
    }

    fn tell_assigned(&self, around: &mut GroupAround<'_>) {
        let note = GroupNote::Assigned {
            generation: GenerationId(self.epoch().0),
            assignment: self.held(),
        };
        around.note(Note::Group(self.id, Box::new(note)));
    }
}
