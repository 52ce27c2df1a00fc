//! Consumer groups among the groups of a shard: which group a request is for, time-outs, records, loading.

use ktrial_sim::Duration;

use super::classic_members::{ClassicMemberAnswer, Joined, Then, needs_id};
use super::group::{ConsumerGroup, ConsumerGroupState, Refresh};
use super::member::MemberState;
use super::steps::{Change, Downgrade};
use crate::groups::classic::{ClassicGroup, GroupState};
use crate::groups::group::{Group, GroupUndo};
use crate::groups::operations::{Append, GroupAround, GroupTimeout, GroupTimer, GroupWritten};
use crate::groups::shard::GroupShard;
use crate::groups::{CoordinatorRecord, ResponseId, Written};
use crate::ids::{GenerationId, GroupId, MemberEpoch, MemberId};
use crate::notes::{GroupNote, MemberRemoval, Note};
use crate::protocol::{
    ConsumerGroupHeartbeatRequest, ErrorCode, JoinGroupRequest, LeaveGroupRequest, Response,
};

/// After which a removal is tried again that could not be written (`CoordinatorTimerImpl`).
const RETRY_BACKOFF: Duration = Duration::millis(500);

/// What is told once a change is committed or was not in time, and the timer that runs again then.
#[derive(Debug, Default)]
pub struct Changed {
    notes: Vec<GroupNote>,
    /// Whether anything is written.
    anything: bool,
    /// Whether the group became a classic one.
    downgraded: bool,
    again: Option<(GroupTimer, GroupTimeout)>,
}

/// A classic group with members becomes a consumer group, once that is committed. Whoever waits for the classic group
/// is told to join again at once, whatever becomes of it (`convertToConsumerGroup`).
fn upgrade(
    classic: &mut ClassicGroup,
    change: &mut Change,
    around: &mut GroupAround<'_>,
) -> Result<ConsumerGroup, ErrorCode> {
    ConsumerGroup::validate_upgrade(classic, around.settings)?;
    classic.send_all_to_join(around);
    change
        .records
        .push(CoordinatorRecord::GroupMetadata(classic.id, None));
    let group = ConsumerGroup::of_classic(classic, change, around.image)?;
    for member in classic.members() {
        group.expect_heartbeat(member.id, member.session_timeout, around);
    }
    Ok(group)
}

impl GroupShard {
    /// What is written, and told once it is committed. A group that becomes a classic one does so at once: its members
    /// are to join it again.
    fn change_consumer_group(
        &mut self,
        change: Change,
        around: &mut GroupAround<'_>,
    ) -> (Changed, GroupWritten) {
        let replay = change.downgrade.is_none();
        let changed = Changed {
            notes: change.notes,
            anything: !change.records.is_empty(),
            downgraded: !replay,
            again: None,
        };
        if let Some(Downgrade {
            mut group,
            rebalances,
        }) = change.downgrade
        {
            group.tell_state(around);
            for member in group.members() {
                group.renew_session(member.id, around);
            }
            if rebalances {
                group.prepare_rebalance(around);
            }
            self.put(Group::Classic(*group));
        }
        let written = Written {
            records: change.records,
            replay,
            ..Written::nothing()
        };
        (changed, written)
    }

    fn consumer_written(
        &mut self,
        id: GroupId,
        change: Change,
        response: Option<Response>,
        around: &mut GroupAround<'_>,
    ) -> GroupWritten {
        let (changed, mut written) = self.change_consumer_group(change, around);
        written.response = response;
        if !written.records.is_empty() {
            written.append = Some(Append::Consumer(id, Box::new(changed)));
        }
        written
    }

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
                let joins = request.member_epoch == MemberEpoch::JOIN;
                let anew;
                let group = match self.groups.get_mut(&id) {
                    Some(Group::Consumer(group)) => group,
                    _ if !joins => return Err(ErrorCode::GroupIdNotFound),
                    Some(Group::Classic(classic)) if classic.state() != GroupState::Empty => {
                        anew = upgrade(classic, &mut change, around)?;
                        &anew
                    }
                    empty => {
                        if let Some(classic) = empty {
                            classic.tombstones(&mut change.records);
                        }
                        anew = ConsumerGroup::new(id);
                        &anew
                    }
                };
                group.heartbeat(request, &mut change, around)?
            }
        };
        self.metadata_compared(id, refresh);
        let response = Response::ConsumerGroupHeartbeat(Box::new(response));
        Ok(self.consumer_written(id, change, Some(response), around))
    }

    fn metadata_compared(&mut self, id: GroupId, refresh: Option<Refresh>) {
        if let (Some(refresh), Some(Group::Consumer(group))) = (refresh, self.groups.get_mut(&id)) {
            group.refresh = refresh;
        }
    }

    /// A member of the classic protocol joins a consumer group that has members.
    ///
    /// # Errors
    /// See [`ConsumerGroup::join`].
    pub(in crate::groups) fn join_consumer_group(
        &mut self,
        request: &JoinGroupRequest,
        new_id: MemberId,
        response: ResponseId,
        around: &mut GroupAround<'_>,
    ) -> Result<GroupWritten, ErrorCode> {
        let mut change = Change::default();
        let id = request.group;
        let group = self.consumer_group(id).expect("it was just found");
        let joined = match group.join(request, new_id, &mut change, around)? {
            Joined::NeedsId => {
                around.answer(response, needs_id(new_id));
                return Ok(Written::nothing());
            }
            Joined::Member(joined) => joined,
        };
        self.metadata_compared(id, joined.refresh);
        let then = match change.downgrade {
            Some(_) => Then::Nothing,
            None => Then::Sync {
                session: request.session_timeout,
                within: request.rebalance_timeout,
            },
        };
        let (changed, mut written) = self.change_consumer_group(change, around);
        let answer = ClassicMemberAnswer {
            to: response,
            answer: Response::JoinGroup(Box::new(joined.response)),
            member: joined.id,
            then,
            changed,
        };
        written.append = Some(Append::ClassicMember(id, Box::new(answer)));
        Ok(written)
    }

    /// What a member of the classic protocol said is committed, or could not be: then the runtime has told it so.
    pub(in crate::groups) fn classic_member_answered(
        &mut self,
        id: GroupId,
        answer: ClassicMemberAnswer,
        result: Result<(), ErrorCode>,
        around: &mut GroupAround<'_>,
    ) {
        if result.is_ok() {
            let member = answer.member;
            let join = GroupTimer::MemberJoin(id, member);
            let sync = GroupTimer::MemberSync(id, member);
            let mut expect = |session| {
                around.schedule(GroupTimer::Session(id, member), session, GroupTimeout::Session);
            };
            match answer.then {
                Then::Sync { session, within } => {
                    expect(session);
                    around.cancel(join);
                    around.schedule(sync, within, GroupTimeout::MemberSync);
                }
                Then::Heartbeats { session } => {
                    expect(session);
                    around.cancel(sync);
                }
                Then::Nothing => around.cancel(join),
            }
            around.answer(answer.to, answer.answer);
        }
        self.consumer_changed(id, answer.changed, result, around);
    }

    /// Works through a LeaveGroup.
    pub(in crate::groups) fn leave_consumer_group(
        &mut self,
        request: &LeaveGroupRequest,
        around: &mut GroupAround<'_>,
    ) -> GroupWritten {
        let mut change = Change::default();
        let group = self.consumer_group(request.group).expect("it was just found");
        let response = Response::LeaveGroup(Box::new(group.leave(request, &mut change, around)));
        self.consumer_written(request.group, change, Some(response), around)
    }

    /// A member was silent, or did not give up partitions, join or sync in time.
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
            (Some(_), GroupTimeout::MemberJoin) => MemberRemoval::RebalanceTimeout,
            (Some(_), GroupTimeout::MemberSync) => MemberRemoval::SyncTimeout,
            _ => return Written::nothing(),
        };
        let mut change = Change::default();
        group.fence(&[member], why, &mut change, around);
        let mut written = self.consumer_written(id, change, None, around);
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
        let group = self.consumer_group(id);
        // What could not be committed in time stands, and is committed later if the coordinator remains.
        let stands = matches!(result, Ok(()) | Err(ErrorCode::RequestTimedOut));
        if stands && changed.anything {
            let tell = |note| around.note(Note::Group(id, Box::new(note)));
            changed.notes.into_iter().for_each(tell);
            if let Some(group) = group {
                group.tell_assigned(around);
            }
        }
        let gives_up = matches!(
            result,
            Err(ErrorCode::NotCoordinator | ErrorCode::CoordinatorLoadInProgress)
        );
        if result.is_ok() || gives_up {
            return;
        }
        if let Some(group) = group.filter(|_| !stands && changed.downgraded) {
            group.tell_members(around);
        }
        if let Some((timer, timeout)) = changed.again {
            around.schedule(timer, RETRY_BACKOFF, timeout);
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
        let session = around.group_settings(self.id).consumer_session_timeout_ms;
        for member in self.members() {
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

    /// The group is what it was: a change of its protocol was taken back.
    fn tell_members(&self, around: &mut GroupAround<'_>) {
        for member in self.members() {
            around.note(Note::Group(self.id, Box::new(member.reconciled())));
        }
        self.tell_assigned(around);
    }

    fn tell_assigned(&self, around: &mut GroupAround<'_>) {
        let note = GroupNote::Assigned {
            generation: GenerationId(self.epoch().0),
            assignment: self.held(),
        };
        around.note(Note::Group(self.id, Box::new(note)));
    }
}
