//! Groups that change their protocol while they have members (KIP-848's online migration).
//!
//! | `group.consumer.migration.policy` | a member of the consumer protocol joins a classic group | the last member of the consumer protocol goes |
//! |---|---|---|
//! | bidirectional | it becomes a consumer group | it becomes a classic group, and rebalances |
//! | upgrade | the same | it stays a consumer group of members of the classic protocol |
//! | downgrade | GROUP_ID_NOT_FOUND | it becomes a classic group |
//! | disabled | GROUP_ID_NOT_FOUND; and members of the classic protocol may not join a consumer group: INCONSISTENT_GROUP_PROTOCOL | it stays a consumer group |
//!
//! Neither happens if the group would be larger than the other protocol allows, and only `consumer` is upgraded as a
//! protocol type.

use std::sync::Arc;

use super::group::{ConsumerGroup, metadata_hash};
use super::member::{ConsumerGroupMember, MemberState};
use super::steps::{Change, Downgrade};
use crate::config::BrokerSettings;
use crate::groups::CoordinatorRecord;
use crate::groups::classic::ClassicGroup;
use crate::groups::operations::GroupAround;
use crate::groups::records::{
    ClassicMemberMetadata, ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataValue,
};
use crate::ids::{GenerationId, GroupEpoch, MemberId};
use crate::metadata::MetadataImage;
use crate::protocol::{Assignment, ErrorCode, ProtocolType};

impl ConsumerGroup {
    /// Whether a classic group may become a consumer group (`validateOnlineUpgrade`).
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND.
    pub(in crate::groups) fn validate_upgrade(
        classic: &ClassicGroup,
        settings: &BrokerSettings,
    ) -> Result<(), ErrorCode> {
        let fits = classic.members().count() <= settings.group_consumer_max_size as usize;
        let of_consumers = classic.protocol_type() == Some(ProtocolType::Consumer);
        match settings.group_consumer_migration_policy.upgrade && of_consumers && fits {
            true => Ok(()),
            false => Err(ErrorCode::GroupIdNotFound),
        }
    }

    /// The consumer group that a classic group becomes: all members have what the leader assigned them last
    /// (`ConsumerGroup.fromClassicGroup`, `createConsumerGroupRecords`).
    ///
    /// # Errors
    /// UNKNOWN_SERVER_ERROR before the first generation, in which no protocol was selected yet, and while a member
    /// joins that does not support the protocol of the generation before: Kafka asks for its metadata all the same.
    pub(in crate::groups) fn of_classic(
        classic: &ClassicGroup,
        change: &mut Change,
        image: &MetadataImage,
    ) -> Result<ConsumerGroup, ErrorCode> {
        let epoch = GroupEpoch(classic.generation().0);
        let protocol = classic.protocol().ok_or(ErrorCode::UnknownServerError)?;
        let mut targets: Vec<(MemberId, Assignment)> = Vec::new();
        let mut members: Vec<ConsumerGroupMember> = Vec::new();
        for member in classic.members() {
            let assigned = member.assignment.iter().flat_map(|list| list.iter().copied());
            let mut target: Vec<_> = assigned
                .filter(|partition| image.partition(*partition).is_some())
                .collect();
            target.sort_unstable();
            let mut supported = member.protocols.iter();
            let said = supported.find(|(supported, _)| *supported == protocol);
            let (_, subscription) = said.ok_or(ErrorCode::UnknownServerError)?;
            let mut topics = subscription.topics.clone();
            topics.sort_unstable();
            topics.dedup();
            members.push(ConsumerGroupMember {
                id: member.id,
                metadata: Arc::new(ConsumerGroupMemberMetadataValue {
                    instance: member.instance,
                    rack: subscription.rack,
                    client: member.client,
                    topics,
                    rebalance_timeout: member.rebalance_timeout,
                    assignor: None,
                    classic: Some(ClassicMemberMetadata {
                        session_timeout: member.session_timeout,
                        protocols: member.protocols.clone(),
                    }),
                }),
                current: Arc::new(ConsumerGroupCurrentMemberAssignmentValue {
                    epoch: epoch.reached(),
                    previous_epoch: epoch.reached(),
                    state: MemberState::Stable,
                    assigned: target.iter().map(|id| (*id, epoch.reached())).collect(),
                    revoking: Vec::new(),
                }),
            });
            targets.push((member.id, target.into()));
        }
        let mut group = ConsumerGroup::new(classic.id);
        let first = change.records.len();
        let id = classic.id;
        change.records.extend(members.iter().map(|member| {
            CoordinatorRecord::ConsumerGroupMemberMetadata(id, member.id, Some(member.metadata.clone()))
        }));
        let topics = members
            .iter()
            .flat_map(|member| member.metadata.topics.iter().copied());
        let value = ConsumerGroupMetadataValue {
            epoch,
            metadata_hash: metadata_hash(topics, image),
        };
        change
            .records
            .push(CoordinatorRecord::ConsumerGroupMetadata(id, Some(value)));
        change.records.extend(targets.into_iter().map(|(member, target)| {
            CoordinatorRecord::ConsumerGroupTargetAssignmentMember(id, member, Some(target))
        }));
        change
            .records
            .push(CoordinatorRecord::ConsumerGroupTargetAssignmentMetadata(
                id,
                Some((epoch, None)),
            ));
        members
            .iter()
            .for_each(|member| group.put_current(member, change));
        for record in &change.records[first..] {
            group.replay(record);
        }
        Ok(group)
    }

    /// Whether the group may become a classic one if these members go (`validateOnlineDowngradeWithFencedMembers`).
    pub(super) fn may_become_classic_without(&self, leaving: &[MemberId], settings: &BrokerSettings) -> bool {
        let staying = || self.members().filter(|member| !leaving.contains(&member.id));
        let count = staying().count();
        count > 0
            && staying().all(ConsumerGroupMember::is_classic)
            && settings.group_consumer_migration_policy.downgrade
            && count <= settings.group_max_size as usize
    }

    /// Whether the group may become a classic one if a member of the classic protocol takes this one's place
    /// (`validateOnlineDowngradeWithReplacedMember`).
    pub(super) fn may_become_classic_instead_of(
        &self,
        replaced: &ConsumerGroupMember,
        settings: &BrokerSettings,
    ) -> bool {
        let mut others = self.members().filter(|member| member.id != replaced.id);
        !replaced.is_classic()
            && others.all(ConsumerGroupMember::is_classic)
            && settings.group_consumer_migration_policy.downgrade
            && self.size() <= settings.group_max_size as usize
    }

    /// The group becomes a classic one (`convertToClassicGroup`). `joining`: a member of the classic protocol whose
    /// records to take the place of another one are written already.
    pub(super) fn become_classic(
        &self,
        leaving: &[MemberId],
        joining: Option<&ConsumerGroupMember>,
        rebalances: bool,
        change: &mut Change,
        around: &GroupAround<'_>,
    ) {
        let replaced = joining.and_then(|joining| self.static_member(joining.metadata.instance?));
        let replaced = replaced.map(|member| member.id);
        self.tombstones(replaced.zip(joining.map(|member| member.id)), &mut change.records);
        let stays =
            |member: &&ConsumerGroupMember| !leaving.contains(&member.id) && Some(member.id) != replaced;
        let target = |id: MemberId| -> Assignment {
            let target = self.target(id);
            let known = target
                .iter()
                .copied()
                .filter(|id| around.image.partition(*id).is_some());
            known.collect()
        };
        let staying = self
            .members()
            .filter(stays)
            .map(|member| (member, target(member.id)));
        let joining = joining
            .zip(replaced)
            .map(|(joining, replaced)| (joining, target(replaced)));
        let generation = GenerationId(self.epoch().0);
        let group = ClassicGroup::of_consumers(self.id, generation, staying.chain(joining), around.wall);
        change
            .records
            .push(group.record(|member| member.assignment.clone()));
        change.downgrade = Some(Downgrade {
            group: Box::new(group),
            rebalances,
        });
    }

    /// The records that put the group away; `replaced`: a member for which another one is there already
    /// (`createGroupTombstoneRecords`, `createGroupTombstoneRecordsWithReplacedMember`).
    pub(in crate::groups) fn tombstones(
        &self,
        replaced: Option<(MemberId, MemberId)>,
        records: &mut Vec<CoordinatorRecord>,
    ) {
        let members = || {
            self.members().map(|member| match replaced {
                Some((old, new)) if old == member.id => new,
                _ => member.id,
            })
        };
        let id = self.id;
        records.extend(
            members().map(|member| CoordinatorRecord::ConsumerGroupCurrentMemberAssignment(id, member, None)),
        );
        records.extend(
            members().map(|member| CoordinatorRecord::ConsumerGroupTargetAssignmentMember(id, member, None)),
        );
        records.push(CoordinatorRecord::ConsumerGroupTargetAssignmentMetadata(id, None));
        records
            .extend(members().map(|member| CoordinatorRecord::ConsumerGroupMemberMetadata(id, member, None)));
        records.extend([
            CoordinatorRecord::ConsumerGroupPartitionMetadata(id),
            CoordinatorRecord::ConsumerGroupMetadata(id, None),
        ]);
    }
}
