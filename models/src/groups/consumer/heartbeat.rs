//! Heartbeats of members that come and stay (`GroupMetadataManager.consumerGroupHeartbeat`).

use std::sync::Arc;

use ktrial_sim::{Duration, Time};
use smallvec::SmallVec;

use super::group::{ConsumerGroup, Refresh, metadata_hash};
use super::member::{ConsumerGroupMember, MemberState};
use super::reconcile::Reconciliation;
use crate::config::BrokerSettings;
use crate::groups::records::ConsumerGroupMetadataValue;
use crate::groups::shard::{GroupAround, GroupTimeout, GroupTimer};
use crate::groups::{CoordinatorRecord, assignor};
use crate::ids::{GroupEpoch, GroupInstanceId, MemberEpoch, MemberId, PartitionId};
use crate::notes::{GroupNote, MemberRemoval};
use crate::protocol::{Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ErrorCode};

/// After which the metadata of the topics are compared in any case (`METADATA_REFRESH_INTERVAL_MS`).
const METADATA_REFRESH_INTERVAL: Duration = Duration::secs(3_600);

/// What an operation is about to write, and what is told once it is committed.
#[derive(Debug, Default)]
pub(in crate::groups) struct Change {
    pub(in crate::groups) records: Vec<CoordinatorRecord>,
    pub(in crate::groups) notes: Vec<GroupNote>,
}

/// The group's epoch after a heartbeat, and how its members' subscriptions are to each other.
struct Subscriptions {
    epoch: GroupEpoch,
    homogeneous: bool,
}

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
        self.check_size(request, around.settings)?;
        let member = match request.instance {
            None => self.dynamic_member(request)?,
            Some(instance) => self.rejoining_member(request, instance, change)?,
        };
        let updated = updated_member(&member, request);
        let is_new = !self.has(&member);
        if is_new || updated.metadata != member.metadata {
            change
                .records
                .push(CoordinatorRecord::ConsumerGroupMemberMetadata(
                    self.id,
                    updated.id,
                    Some(updated.metadata.clone()),
                ));
        }
        let topics_changed = updated.metadata.topics != member.metadata.topics;
        let mut subscriptions = Subscriptions {
            epoch: self.epoch(),
            homogeneous: is_homogeneous(self.members()),
        };
        let mut refresh = None;
        if topics_changed || self.metadata_expired(around.wall) {
            subscriptions = self.compare_metadata(topics_changed, &updated, change, around);
            refresh = Some(Refresh {
                deadline: around.wall + METADATA_REFRESH_INTERVAL,
                epoch: subscriptions.epoch,
            });
        }
        let (target_epoch, target) = self.update_target(&subscriptions, &member, &updated, change, around)?;
        let reconciled = self.reconcile(
            &updated,
            target_epoch,
            &target,
            topics_changed,
            request,
            change,
            around,
        );
        around.schedule(
            GroupTimer::Session(self.id, updated.id),
            around.settings.group_consumer_session_timeout_ms,
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
            heartbeat_interval: around.settings.group_consumer_heartbeat_interval_ms,
            assignment: told.then(assigned),
        };
        Ok((response, refresh))
    }

    fn has(&self, member: &ConsumerGroupMember) -> bool {
        self.member(member.id).is_some()
            || member
                .metadata
                .instance
                .is_some_and(|instance| self.static_member(instance).is_some())
    }

    /// `throwIfConsumerGroupIsFull`.
    fn check_size(
        &self,
        request: &ConsumerGroupHeartbeatRequest,
        settings: &BrokerSettings,
    ) -> Result<(), ErrorCode> {
        let known = self.member(request.member).is_some()
            || request
                .instance
                .is_some_and(|instance| self.static_member(instance).is_some());
        match !known && self.size() >= settings.group_consumer_max_size as usize {
            true => Err(ErrorCode::GroupMaxSizeReached),
            false => Ok(()),
        }
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
        let existing = self.static_member(instance);
        if request.member_epoch != MemberEpoch::JOIN {
            let existing = existing.ok_or(ErrorCode::UnknownMemberId)?;
            check_instance(existing, request.member)?;
            return check_epoch(existing, request).map(|()| existing.clone());
        }
        let Some(existing) = existing else {
            let known = self.member(request.member).cloned();
            return Ok(known.unwrap_or_else(|| ConsumerGroupMember::new(request.member)));
        };
        if existing.epoch() != MemberEpoch::LEAVE_STATIC {
            return Err(ErrorCode::UnreleasedInstanceId);
        }
        let mut current = (*existing.current).clone();
        current.epoch = MemberEpoch(0);
        current.previous_epoch = MemberEpoch(0);
        let member = ConsumerGroupMember {
            id: request.member,
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
        Ok(member)
    }

    /// `updateSubscriptionMetadata`.
    fn compare_metadata(
        &self,
        topics_changed: bool,
        updated: &ConsumerGroupMember,
        change: &mut Change,
        around: &GroupAround<'_>,
    ) -> Subscriptions {
        let replaced = updated.metadata.instance;
        let before = replaced.and_then(|instance| self.static_member(instance));
        let before = before.map_or(updated.id, |before| before.id);
        let members = || self.members_with(before, updated);
        let topics = members().flat_map(|member| member.metadata.topics.iter().copied());
        let hash = metadata_hash(topics, around.image);
        let mut epoch = self.epoch();
        if topics_changed || hash != self.metadata_hash() {
            epoch = epoch.next();
            change.records.push(CoordinatorRecord::ConsumerGroupMetadata(
                self.id,
                Some(ConsumerGroupMetadataValue {
                    epoch,
                    metadata_hash: hash,
                }),
            ));
            let mut ids: Vec<MemberId> = members().map(|member| member.id).collect();
            ids.sort_unstable();
            change.notes.push(GroupNote::Epoch { epoch, members: ids });
        }
        Subscriptions {
            epoch,
            homogeneous: is_homogeneous(members()),
        }
    }

    /// The target of a member: made anew for the whole group, if it is behind and the last one is not too recent
    /// (`maybeUpdateTargetAssignment`).
    fn update_target(
        &self,
        subscriptions: &Subscriptions,
        member: &ConsumerGroupMember,
        updated: &ConsumerGroupMember,
        change: &mut Change,
        around: &GroupAround<'_>,
    ) -> Result<(GroupEpoch, Assignment), ErrorCode> {
        let holder = match updated.metadata.instance {
            None => Some(updated.id),
            Some(instance) => self.static_member(instance).map(|member| member.id),
        };
        let interval = around.settings.group_consumer_assignment_interval_ms;
        let may_compute = |since: Time| interval == Duration::ZERO || around.wall >= since + interval;
        if self.target_epoch() >= subscriptions.epoch || !self.target_since().is_none_or(may_compute) {
            let target = holder.map(|holder| self.target(holder)).unwrap_or_default();
            return Ok((self.target_epoch(), target));
        }
        let supported = around.settings.group_consumer_assignors;
        let preferred = self.preferred_assignor(member.metadata.assignor, updated.metadata.assignor);
        let assignor = preferred.unwrap_or(supported.default_one());
        if !supported.contains(assignor) {
            // A member was accepted with it before the broker's setting was changed.
            return Err(ErrorCode::UnknownServerError);
        }
        let specification = self.specification(holder, updated, subscriptions.homogeneous, around.image);
        let targets = assignor::assign(assignor, &specification);
        let mut own = Assignment::default();
        for (id, target) in targets {
            let target = specification.partitions_of(&target);
            let same = |before: &Assignment| is_same_set(before, &target);
            if id == updated.id {
                own = target.clone();
            }
            if !self.targets().get(&id).is_some_and(same) {
                change
                    .records
                    .push(CoordinatorRecord::ConsumerGroupTargetAssignmentMember(
                        self.id,
                        id,
                        Some(target),
                    ));
            }
        }
        change
            .records
            .push(CoordinatorRecord::ConsumerGroupTargetAssignmentMetadata(
                self.id,
                Some((subscriptions.epoch, around.wall)),
            ));
        Ok((subscriptions.epoch, own))
    }

    /// `maybeReconcile`.
    #[expect(clippy::too_many_arguments, reason = "the parts of one heartbeat")]
    fn reconcile(
        &self,
        member: &ConsumerGroupMember,
        target_epoch: GroupEpoch,
        target: &[PartitionId],
        topics_changed: bool,
        request: &ConsumerGroupHeartbeatRequest,
        change: &mut Change,
        around: &mut GroupAround<'_>,
    ) -> ConsumerGroupMember {
        if !topics_changed && member.is_reconciled_to(target_epoch) {
            return member.clone();
        }
        let image = around.image;
        let topics: SmallVec<[_; 4]> = member
            .metadata
            .topics
            .iter()
            .filter_map(|topic| image.topic_of(*topic))
            .collect();
        let next = Reconciliation {
            member,
            target_epoch: target_epoch.reached(),
            target,
            subscription_changed: topics_changed,
            subscribed: |partition| {
                let known = image.partition(partition);
                known.is_some_and(|known| topics.contains(&known.topic))
            },
            held: |partition| self.is_held(partition),
            owned: request.owned.as_deref(),
        }
        .next();
        if next == member.current {
            return member.clone();
        }
        let reconciled = ConsumerGroupMember {
            current: next,
            ..member.clone()
        };
        self.put_current(&reconciled, change);
        let timer = GroupTimer::Rebalance(self.id, member.id);
        match reconciled.current.state {
            MemberState::UnrevokedPartitions => around.schedule(
                timer,
                member.metadata.rebalance_timeout,
                GroupTimeout::Rebalance(reconciled.epoch()),
            ),
            MemberState::Stable | MemberState::UnreleasedPartitions => around.cancel(timer),
        }
        reconciled
    }

    /// Writes and tells what a member has.
    pub(super) fn put_current(&self, member: &ConsumerGroupMember, change: &mut Change) {
        let current = &member.current;
        change
            .records
            .push(CoordinatorRecord::ConsumerGroupCurrentMemberAssignment(
                self.id,
                member.id,
                Some(current.clone()),
            ));
        let partitions = |list: &[(PartitionId, MemberEpoch)]| list.iter().map(|(id, _)| *id).collect();
        change.notes.push(GroupNote::Reconciled {
            member: member.id,
            epoch: current.epoch,
            state: current.state,
            assigned: partitions(&current.assigned),
            revoking: partitions(&current.revoking),
        });
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

/// `throwIfInstanceIdIsFenced`.
pub(super) fn check_instance(existing: &ConsumerGroupMember, member: MemberId) -> Result<(), ErrorCode> {
    match existing.id == member {
        true => Ok(()),
        false => Err(ErrorCode::FencedInstanceId),
    }
}

/// Whether all members subscribe to the same topics (`subscriptionType`).
fn is_homogeneous<'a>(mut members: impl Iterator<Item = &'a ConsumerGroupMember>) -> bool {
    let Some(first) = members.next() else {
        return true;
    };
    members.all(|member| member.metadata.topics == first.metadata.topics)
}

fn is_same_set(one: &[PartitionId], other: &[PartitionId]) -> bool {
    one.len() == other.len() && one.iter().all(|partition| other.contains(partition))
}
