//! Members of the classic protocol in a consumer group (`classicGroupJoinToConsumerGroup`,
//! `classicGroupSyncToConsumerGroup`, `classicGroupHeartbeatToConsumerGroup`).
//!
//! The coordinator does with their JoinGroups what it does with heartbeats of the consumer protocol: nobody leads, each
//! member joins for itself, its generation is its epoch, and SyncGroup tells it what it has. Heartbeats are answered
//! REBALANCE_IN_PROGRESS when it is to join again: the target has moved, it must give something up, or what others
//! held is free now.
//!
//! | timer (monotonic) | set by | runs out |
//! |---|---|---|
//! | session, its `session.timeout.ms` | the answers to JoinGroup and SyncGroup, heartbeats; when the group is upgraded. When the log is loaded: `group.consumer.session.timeout.ms` | the member is removed |
//! | join, its `max.poll.interval.ms` | the first time it is told to join again | the same |
//! | sync, the same | the answer to JoinGroup | the same |

use std::sync::Arc;

use ktrial_sim::Duration;

use super::group::{ConsumerGroup, Refresh};
use super::member::{ConsumerGroupMember, MemberState};
use super::shard::Changed;
use super::steps::Change;
use crate::groups::classic::join_error;
use crate::groups::operations::{Append, GroupAround, GroupTimeout, GroupTimer, GroupWritten};
use crate::groups::records::{ClassicMemberMetadata, ConsumerGroupMemberMetadataValue};
use crate::groups::{ResponseId, Written};
use crate::ids::{GenerationId, GroupInstanceId, MemberId, PartitionId};
use crate::protocol::{
    ErrorCode, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, ProtocolType, Response,
    SyncGroupRequest, SyncGroupResponse,
};

/// The answer to a member of the classic protocol, once what it says is committed.
#[derive(Debug)]
pub struct ClassicMemberAnswer {
    pub(super) to: ResponseId,
    pub(super) answer: Response,
    pub(super) member: MemberId,
    pub(super) then: Then,
    pub(super) changed: Changed,
}

/// What is waited for from a member that was answered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    /// It joined: its heartbeats, and its SyncGroup within this time.
    Sync { session: Duration, within: Duration },
    /// It synced: its heartbeats.
    Heartbeats { session: Duration },
    /// It joined, and the group became a classic one by that.
    Nothing,
}

/// What a JoinGroup led to.
pub(in crate::groups) enum Joined {
    /// The member has no id yet.
    NeedsId,
    /// It is a member.
    Member(JoinedMember),
}

/// A member that joined.
pub(in crate::groups) struct JoinedMember {
    pub(super) response: JoinGroupResponse,
    pub(super) id: MemberId,
    /// When metadata are compared again, if they were.
    pub(super) refresh: Option<Refresh>,
}

impl ConsumerGroup {
    /// Works through a JoinGroup; `new_id` is the id of a member that has none.
    ///
    /// # Errors
    /// INCONSISTENT_GROUP_PROTOCOL, GROUP_MAX_SIZE_REACHED, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.
    pub(in crate::groups) fn join(
        &self,
        request: &JoinGroupRequest,
        new_id: MemberId,
        change: &mut Change,
        around: &mut GroupAround<'_>,
    ) -> Result<Joined, ErrorCode> {
        if around.settings.group_consumer_migration_policy.is_disabled() {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let id = request.member.unwrap_or(new_id);
        self.check_size(id, request.instance, around.settings)?;
        if !self.supports(request) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let before = request.instance.and_then(|instance| self.static_member(instance));
        let member = match (request.instance, request.member, before) {
            (None, None, _) => return Ok(Joined::NeedsId),
            (Some(instance), Some(_), _) => self.instance_of(instance, id)?.clone(),
            (Some(_), None, Some(before)) => self.replace(before, id, change),
            (None, Some(_), _) | (Some(_), None, None) => self.known_or_new(id),
        };
        let downgrades =
            before.is_some_and(|before| self.may_become_classic_instead_of(before, around.settings));
        let mut updated = updated_member(&member, request);
        let said = self.says(&member, &updated, change, around);
        let subscription = &request.protocols[0].1;
        let owned: Vec<PartitionId> = subscription.owned.to_vec();
        let rebalances = downgrades && self.target_epoch() < said.epoch;
        if !rebalances {
            let (epoch, target) = match (downgrades, before) {
                (true, Some(before)) => (self.target_epoch(), self.target(before.id)),
                _ => self.update_target(&said, &member, &updated, change, around)?,
            };
            let towards = (epoch, &target[..]);
            updated = self.reconcile(
                &updated,
                towards,
                said.topics_changed,
                Some(&owned),
                change,
                around,
            );
        }
        if downgrades {
            self.become_classic(&[], Some(&updated), rebalances, change, around);
        }
        let response = JoinGroupResponse {
            error: ErrorCode::None,
            generation: GenerationId(updated.epoch().0),
            protocol_type: Some(ProtocolType::Consumer),
            protocol: Some(request.protocols[0].0),
            leader: None,
            skip_assignment: false,
            member: Some(id),
            members: Vec::new(),
        };
        Ok(Joined::Member(JoinedMember {
            response,
            id,
            refresh: said.refresh,
        }))
    }

    /// Whether all members of the classic protocol support one of the protocols (`supportsClassicProtocols`).
    fn supports(&self, request: &JoinGroupRequest) -> bool {
        let classic = || {
            let members = self.members();
            members.filter_map(|member| member.metadata.classic.as_ref())
        };
        let by_all = |protocol| classic().all(|member| member.supports(protocol));
        request.protocol_type == ProtocolType::Consumer
            && request.protocols.iter().any(|(protocol, _)| by_all(*protocol))
    }

    /// Works through a SyncGroup: it is answered when everything before it is committed.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL,
    /// REBALANCE_IN_PROGRESS.
    pub(in crate::groups) fn sync(
        &self,
        request: &SyncGroupRequest,
        response: ResponseId,
        around: &mut GroupAround<'_>,
    ) -> Result<GroupWritten, ErrorCode> {
        let (member, classic) = self.classic_member(request.member, request.instance, request.generation)?;
        let named = classic.protocols.first().map(|(protocol, _)| *protocol);
        if request
            .protocol_type
            .is_some_and(|asked| asked != ProtocolType::Consumer)
            || request.protocol.is_some_and(|asked| Some(asked) != named)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let is_behind = self.target_epoch().reached() > member.epoch();
        // Who is asked to give something up has joined again already.
        if is_behind && member.current.state != MemberState::UnrevokedPartitions {
            self.expect_join(member, around);
            return Err(ErrorCode::RebalanceInProgress);
        }
        let assigned = member.current.assigned.iter().map(|(partition, _)| *partition);
        let answer = SyncGroupResponse {
            error: ErrorCode::None,
            protocol_type: request.protocol_type,
            protocol: request.protocol,
            assignment: Some(assigned.collect()),
        };
        let answer = ClassicMemberAnswer {
            to: response,
            answer: Response::SyncGroup(Box::new(answer)),
            member: member.id,
            then: Then::Heartbeats {
                session: classic.session_timeout,
            },
            changed: Changed::default(),
        };
        Ok(Written {
            append: Some(Append::ClassicMember(self.id, Box::new(answer))),
            ..Written::nothing()
        })
    }

    /// Works through a Heartbeat.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION; REBALANCE_IN_PROGRESS comes as an answer, since the
    /// session goes on.
    pub(in crate::groups) fn classic_heartbeat(
        &self,
        request: &HeartbeatRequest,
        around: &mut GroupAround<'_>,
    ) -> Result<GroupWritten, ErrorCode> {
        let (member, classic) = self.classic_member(request.member, request.instance, request.generation)?;
        self.expect_heartbeat(member.id, classic.session_timeout, around);
        let rejoins = member.epoch() < self.target_epoch().reached()
            || match member.current.state {
                MemberState::Stable => false,
                MemberState::UnrevokedPartitions => true,
                MemberState::UnreleasedPartitions => !self.waits_for_others(member),
            };
        if rejoins {
            self.expect_join(member, around);
        }
        let error = match rejoins {
            true => ErrorCode::RebalanceInProgress,
            false => ErrorCode::None,
        };
        Ok(Written::answer(Response::Heartbeat(error)))
    }

    /// Whether something the member is to have is still somebody's (`waitingOnUnreleasedPartition`).
    fn waits_for_others(&self, member: &ConsumerGroupMember) -> bool {
        let has = |partition| member.current.assigned.iter().any(|(has, _)| *has == partition);
        let target = self.target(member.id);
        target
            .iter()
            .any(|partition| !has(*partition) && self.is_held(*partition))
    }

    /// A member that uses the classic protocol (`validateConsumerGroupMember`,
    /// `throwIfMemberDoesNotUseClassicProtocol`, `throwIfGenerationIdUnmatched`).
    fn classic_member(
        &self,
        id: MemberId,
        instance: Option<GroupInstanceId>,
        generation: GenerationId,
    ) -> Result<(&ConsumerGroupMember, &ClassicMemberMetadata), ErrorCode> {
        let member = match instance {
            None => self.member(id).ok_or(ErrorCode::UnknownMemberId)?,
            Some(instance) => self.instance_of(instance, id)?,
        };
        let classic = member
            .metadata
            .classic
            .as_ref()
            .ok_or(ErrorCode::UnknownMemberId)?;
        match generation.0 == member.epoch().0 {
            true => Ok((member, classic)),
            false => Err(ErrorCode::IllegalGeneration),
        }
    }

    /// The member is to join again within its rebalance timeout, which began when it was first told so.
    fn expect_join(&self, member: &ConsumerGroupMember, around: &mut GroupAround<'_>) {
        around.schedule_if_absent(
            GroupTimer::MemberJoin(self.id, member.id),
            member.metadata.rebalance_timeout,
            GroupTimeout::MemberJoin,
        );
    }

    /// The member's next heartbeat is expected within this time.
    pub(super) fn expect_heartbeat(&self, member: MemberId, within: Duration, around: &mut GroupAround<'_>) {
        around.schedule(
            GroupTimer::Session(self.id, member),
            within,
            GroupTimeout::Session,
        );
    }
}

fn updated_member(member: &ConsumerGroupMember, request: &JoinGroupRequest) -> ConsumerGroupMember {
    let subscription = &request.protocols[0].1;
    let before = &member.metadata;
    let mut topics = subscription.topics.clone();
    topics.sort_unstable();
    topics.dedup();
    let metadata = ConsumerGroupMemberMetadataValue {
        instance: request.instance.or(before.instance),
        rack: subscription.rack.or(before.rack),
        client: request.client,
        topics,
        rebalance_timeout: request.rebalance_timeout,
        assignor: before.assignor,
        classic: Some(ClassicMemberMetadata {
            session_timeout: request.session_timeout,
            protocols: request.protocols.clone(),
        }),
    };
    ConsumerGroupMember {
        id: member.id,
        metadata: Arc::new(metadata),
        current: member.current.clone(),
    }
}

/// The answer to a new member without an id.
pub(super) fn needs_id(id: MemberId) -> Response {
    join_error(ErrorCode::MemberIdRequired, Some(id))
}
