//! What a heartbeat of the consumer protocol and a JoinGroup of the classic one have in common: what the member says is
//! written down, the target follows the group, the member follows the target.

use ktrial_sim::{Duration, Time};
use smallvec::SmallVec;

use super::group::{ConsumerGroup, Refresh, metadata_hash};
use super::member::{ConsumerGroupMember, MemberState};
use super::reconcile::Reconciliation;
use crate::config::BrokerSettings;
use crate::groups::classic::ClassicGroup;
use crate::groups::operations::{GroupAround, GroupTimeout, GroupTimer};
use crate::groups::records::ConsumerGroupMetadataValue;
use crate::groups::{CoordinatorRecord, assignor};
use crate::ids::{GroupEpoch, GroupInstanceId, MemberId, PartitionId};
use crate::notes::GroupNote;
use crate::protocol::{Assignment, ErrorCode};

/// After which the metadata of the topics are compared in any case (`METADATA_REFRESH_INTERVAL_MS`).
const METADATA_REFRESH_INTERVAL: Duration = Duration::secs(3_600);

/// What an operation is about to write, and what is told once it is committed.
#[derive(Debug, Default)]
pub(in crate::groups) struct Change {
    pub(in crate::groups) records: Vec<CoordinatorRecord>,
    pub(in crate::groups) notes: Vec<GroupNote>,
    /// The classic group that the group becomes.
    pub(super) downgrade: Option<Downgrade>,
}

/// A classic group that a consumer group becomes.
#[derive(Debug)]
pub(super) struct Downgrade {
    pub(super) group: Box<ClassicGroup>,
    /// Whether its members are to join again.
    pub(super) rebalances: bool,
}

/// What a request changed in what a member says of itself, and what the group is after that.
pub(super) struct Said {
    pub(super) topics_changed: bool,
    pub(super) epoch: GroupEpoch,
    homogeneous: bool,
    /// When metadata are compared again, if they were.
    pub(super) refresh: Option<Refresh>,
}

impl ConsumerGroup {
    /// A member says something new of itself, maybe (`hasMemberSubscriptionChanged`, `updateSubscriptionMetadata`).
    pub(super) fn says(
        &self,
        member: &ConsumerGroupMember,
        updated: &ConsumerGroupMember,
        change: &mut Change,
        around: &GroupAround<'_>,
    ) -> Said {
        if !self.has(member.id, member.metadata.instance) || updated.metadata != member.metadata {
            change
                .records
                .push(CoordinatorRecord::ConsumerGroupMemberMetadata(
                    self.id,
                    updated.id,
                    Some(updated.metadata.clone()),
                ));
        }
        let topics_changed = updated.metadata.topics != member.metadata.topics;
        if topics_changed || self.metadata_expired(around.wall) {
            return self.compare_metadata(topics_changed, updated, change, around);
        }
        Said {
            topics_changed,
            epoch: self.epoch(),
            homogeneous: is_homogeneous(self.members()),
            refresh: None,
        }
    }

    fn has(&self, member: MemberId, instance: Option<GroupInstanceId>) -> bool {
        let known = instance.is_some_and(|instance| self.static_member(instance).is_some());
        known || self.member(member).is_some()
    }

    /// `throwIfConsumerGroupIsFull`.
    pub(super) fn check_size(
        &self,
        member: MemberId,
        instance: Option<GroupInstanceId>,
        settings: &BrokerSettings,
    ) -> Result<(), ErrorCode> {
        match !self.has(member, instance) && self.size() >= settings.group_consumer_max_size as usize {
            true => Err(ErrorCode::GroupMaxSizeReached),
            false => Ok(()),
        }
    }

    fn compare_metadata(
        &self,
        topics_changed: bool,
        updated: &ConsumerGroupMember,
        change: &mut Change,
        around: &GroupAround<'_>,
    ) -> Said {
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
        Said {
            topics_changed,
            epoch,
            homogeneous: is_homogeneous(members()),
            refresh: Some(Refresh {
                deadline: around.wall + METADATA_REFRESH_INTERVAL,
                epoch,
            }),
        }
    }

    /// The target of a member: made anew for the whole group, if it is behind and the last one is not too recent
    /// (`maybeUpdateTargetAssignment`).
    pub(super) fn update_target(
        &self,
        said: &Said,
        member: &ConsumerGroupMember,
        updated: &ConsumerGroupMember,
        change: &mut Change,
        around: &GroupAround<'_>,
    ) -> Result<(GroupEpoch, Assignment), ErrorCode> {
        let holder = match updated.metadata.instance {
            None => Some(updated.id),
            Some(instance) => self.static_member(instance).map(|member| member.id),
        };
        let interval = around.group_settings(self.id).consumer_assignment_interval_ms;
        let may_compute = |since: Time| interval == Duration::ZERO || around.wall >= since + interval;
        if self.target_epoch() >= said.epoch || !self.target_since().is_none_or(may_compute) {
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
        let specification = self.specification(holder, updated, said.homogeneous, around.image);
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
                Some((said.epoch, Some(around.wall))),
            ));
        Ok((said.epoch, own))
    }

    /// A member goes on towards a target as far as it can (`maybeReconcile`).
    pub(super) fn reconcile(
        &self,
        member: &ConsumerGroupMember,
        (target_epoch, target): (GroupEpoch, &[PartitionId]),
        topics_changed: bool,
        owned: Option<&[PartitionId]>,
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
            owned,
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
            // It is its JoinGroup and its SyncGroup that are waited for.
            _ if member.is_classic() => {}
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
        change.notes.push(member.reconciled());
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
