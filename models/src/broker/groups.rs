//! The group coordinator in its broker (`GroupCoordinatorService`, `KafkaApis`, `AutoTopicCreationManager`,
//! `CoordinatorPartitionWriter`).
//!
//! | request | here | then |
//! |---|---|---|
//! | FindCoordinator | the leader of the group's partition in the metadata cache, if it is alive; no topic: asks the controller for it, one request at a time; COORDINATOR_NOT_AVAILABLE until there is one | |
//! | JoinGroup | INVALID_SESSION_TIMEOUT | the coordinator of the group's partition |
//! | SyncGroup | INCONSISTENT_GROUP_PROTOCOL without type or name | the same |
//! | OffsetCommit | UNKNOWN_TOPIC_OR_PARTITION, if the cache knows none of its partitions | the same |
//! | ConsumerGroupHeartbeat | UNSUPPORTED_VERSION without the protocol, INVALID_REQUEST, UNSUPPORTED_ASSIGNOR | the same |
//! | Heartbeat, LeaveGroup, OffsetFetch | | the same |
//!
//! The topic `__consumer_offsets` is one like any other, created with `offsets.topic.*`. What is not modelled: its
//! compaction (the log keeps everything).

use ktrial_sim::{ConnectionId, Context, Duration, Identity, Time};

use crate::broker::coordinator::{
    Appended, Asker, CoordinatorContext, CoordinatorRuntime, Host, LoadedBatch,
};
use crate::broker::metadata_cache::View;
use crate::broker::{Broker, slots};
use crate::config::{Acks, BrokerSettings};
use crate::groups::{CoordinatorRecord, GroupRequest, GroupShard, partition_of, refusal};
use crate::ids::{GroupId, LeaderEpoch, MemberEpoch, MemberId, Offset, PartitionId, ServerId};
use crate::kafka::{Kafka, site};
use crate::metadata::MetadataImage;
use crate::mutation::Mutations;
use crate::notes::Note;
use crate::protocol::{
    ConsumerGroupHeartbeatRequest, CoordinatorKey, Correlation, ErrorCode, OffsetCommitRequest, Request,
    Response,
};
use crate::records::Batch;
use crate::specification::{CONSUMER_OFFSETS, ClusterSpecification, GroupConfigs};

/// The coordinators of all partitions of `__consumer_offsets` that this broker leads.
pub type GroupCoordinator = CoordinatorRuntime<GroupShard>;

const MEBIBYTE: u64 = 1 << 20;

/// The header of a batch, in bytes.
const BATCH_OVERHEAD: u32 = 61;

struct BrokerHost<'a, 'b> {
    broker: &'a mut Broker,
    context: &'a mut Context<'b, Kafka>,
}

/// Where each group is kept, by [`GroupId`].
pub(super) fn group_partitions(specification: &ClusterSpecification) -> Vec<u32> {
    let groups = &specification.groups;
    let partitions = groups.offsets_topic.partitions;
    let names = groups.names.iter();
    names.map(|name| partition_of(name, partitions)).collect()
}

impl Broker {
    /// The partition of `__consumer_offsets` that keeps a group; none before the topic is there, as far as this
    /// broker knows.
    fn partition_of_group(&self, group: GroupId) -> Option<PartitionId> {
        let topic = self.image.topic(self.image.topic_of(CONSUMER_OFFSETS)?)?;
        let index = self.group_partitions[usize::from(group.0)];
        topic.partitions.get(index as usize).copied()
    }

    /// The coordinator of a group on this broker.
    pub fn group_coordinator(&self, group: GroupId) -> Option<&CoordinatorContext<GroupShard>> {
        let partition = self.partition_of_group(group)?;
        self.groups.as_ref()?.coordinator(partition)
    }

    /// `KafkaApis.getCoordinator`.
    pub(super) fn find_coordinator(
        &mut self,
        key: CoordinatorKey,
        context: &mut Context<'_, Kafka>,
    ) -> Result<ServerId, ErrorCode> {
        let CoordinatorKey::Group(group) = key;
        if self.image.topic_of(CONSUMER_OFFSETS).is_none() {
            if !std::mem::replace(&mut self.creating_offsets_topic, true) {
                self.forwarding.create_offsets_topic(context);
            }
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let partition = self
            .partition_of_group(group)
            .and_then(|id| self.image.partition(id));
        let leader = partition.and_then(|partition| partition.leader);
        let is_alive = |leader: &ServerId| self.image.broker(*leader).is_some_and(|broker| !broker.fenced);
        leader.filter(is_alive).ok_or(ErrorCode::CoordinatorNotAvailable)
    }

    /// A request to a group, its handler's time being over.
    pub(super) fn coordinate(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        request: Request,
        context: &mut Context<'_, Kafka>,
    ) {
        let who = Identity(context.connection_identity(connection), u64::from(correlation.0));
        let (group, request, refused) = match request {
            Request::JoinGroup(join) => {
                let bounds = (
                    self.specification.broker.group_min_session_timeout_ms,
                    self.specification.broker.group_max_session_timeout_ms,
                );
                let fits = (bounds.0..=bounds.1).contains(&join.session_timeout);
                let prefix = join.instance.map_or(join.client.0, |instance| instance.0);
                let id = MemberId::generate(prefix, context.draw(site::MEMBER_ID, who));
                let refused = (!fits).then_some(ErrorCode::InvalidSessionTimeout);
                (join.group, GroupRequest::Join(join, id), refused)
            }
            Request::SyncGroup(sync) => {
                let named = sync.protocol_type.is_some() && sync.protocol.is_some();
                let refused = (!named).then_some(ErrorCode::InconsistentGroupProtocol);
                (sync.group, GroupRequest::Sync(sync), refused)
            }
            Request::Heartbeat(beat) => (beat.group, GroupRequest::Heartbeat(beat), None),
            Request::LeaveGroup(leave) => (leave.group, GroupRequest::Leave(leave), None),
            Request::ConsumerGroupHeartbeat(beat) => {
                let refused = self.refuse_heartbeat(&beat);
                (beat.group, GroupRequest::ConsumerGroupHeartbeat(beat), refused)
            }
            Request::OffsetCommit(commit) => {
                let refused = (!self.knows_any(&commit)).then_some(ErrorCode::UnknownTopicOrPartition);
                (commit.group, GroupRequest::OffsetCommit(commit), refused)
            }
            Request::OffsetFetch(fetch) => (fetch.group, GroupRequest::OffsetFetch(fetch), None),
            request => unreachable!("no request to a group: {request:?}"),
        };
        let mut answer = refusal::refusal(&request);
        if let Some(error) = refused {
            refusal::refuse_at_once(&mut answer, error);
            return self.respond(connection, correlation, answer, context);
        }
        let asker = Asker {
            connection,
            correlation,
            refusal: answer,
        };
        let Some(partition) = self.partition_of_group(group) else {
            let mut response = asker.refusal;
            refusal::refuse(&mut response, ErrorCode::NotCoordinator, true);
            return self.respond(connection, correlation, response, context);
        };
        self.with_groups(context, |groups, host| {
            groups.request(partition, request, asker, host)
        });
    }

    /// `KafkaApis.handleConsumerGroupHeartbeat`, `throwIfConsumerGroupHeartbeatRequestIsInvalid`.
    fn refuse_heartbeat(&self, beat: &ConsumerGroupHeartbeatRequest) -> Option<ErrorCode> {
        let settings = &self.specification.broker;
        let enabled = settings.group_coordinator_rebalance_protocols.consumer;
        if !enabled || self.specification.features.group == 0 {
            return Some(ErrorCode::UnsupportedVersion);
        }
        let complete = match beat.member_epoch {
            MemberEpoch::JOIN => {
                beat.rebalance_timeout.is_some()
                    && beat.subscribed_topics.is_some()
                    && beat.owned.as_ref().is_some_and(|owned| owned.is_empty())
            }
            MemberEpoch::LEAVE_STATIC => beat.instance.is_some(),
            epoch => epoch >= MemberEpoch::LEAVE,
        };
        let assigns = |assignor| settings.group_consumer_assignors.contains(assignor);
        match beat.server_assignor {
            _ if !complete => Some(ErrorCode::InvalidRequest),
            Some(assignor) if !assigns(assignor) => Some(ErrorCode::UnsupportedAssignor),
            _ => None,
        }
    }

    fn knows_any(&self, commit: &OffsetCommitRequest) -> bool {
        let mut partitions = commit.partitions.iter();
        commit.partitions.is_empty() || partitions.any(|told| self.image.partition(told.partition).is_some())
    }

    /// Lets the coordinators act. While they do they are not there for anybody else.
    fn with_groups(
        &mut self,
        context: &mut Context<'_, Kafka>,
        act: impl FnOnce(&mut GroupCoordinator, &mut BrokerHost<'_, '_>),
    ) {
        if let Some(mut groups) = self.groups.take() {
            act(
                &mut groups,
                &mut BrokerHost {
                    broker: self,
                    context,
                },
            );
            self.groups = Some(groups);
            // Only now: a change of role may concern the coordinators themselves.
            while let Some(id) = self.locks.take_given_back() {
                self.lock_given_back(id, context);
            }
        }
    }

    /// A thread of the coordinators has worked.
    pub(super) fn coordinator_worked(&mut self, thread: u16, context: &mut Context<'_, Kafka>) {
        self.with_groups(context, |groups, host| groups.worked(thread, host));
    }

    /// The coordinators' timer ran out.
    pub(super) fn coordinators_woke(&mut self, context: &mut Context<'_, Kafka>) {
        self.with_groups(context, |groups, host| groups.woke(host));
    }

    /// A high watermark may have moved.
    pub(super) fn tell_coordinator(&mut self, id: PartitionId, context: &mut Context<'_, Kafka>) {
        if self.groups.as_ref().is_some_and(|groups| groups.has(id)) {
            self.with_groups(context, |groups, host| {
                let to = host.high_watermark(id);
                groups.high_watermark(id, to, host);
            });
        }
    }

    /// This broker follows a partition from now on.
    pub(super) fn coordinator_follows(&mut self, id: PartitionId) {
        if let Some(groups) = &mut self.groups {
            groups.stops_listening(id);
        }
    }

    /// The roles of these partitions were assigned (`BrokerMetadataPublisher.updateCoordinator`).
    pub(super) fn coordinators_elected(&mut self, changed: &[PartitionId], context: &mut Context<'_, Kafka>) {
        let Some(offsets) = self.image.topic_of(CONSUMER_OFFSETS) else {
            return;
        };
        self.tell_groups_of_topics(changed);
        for id in changed {
            let registration = self.image.partition(*id).expect("it was changed");
            if registration.topic != offsets {
                continue;
            }
            let (epoch, leads) = (registration.leader_epoch, registration.leader == Some(self.id));
            self.coordinator_elected(*id, epoch, leads, context);
        }
    }

    /// Groups that subscribe to a topic look at it again once its partitions have changed (`onMetadataUpdate`).
    fn tell_groups_of_topics(&mut self, changed: &[PartitionId]) {
        let topics = changed.iter().filter_map(|id| {
            let topic = self.image.partition(*id)?.topic;
            Some(self.image.topic(topic)?.specification)
        });
        let mut topics: Vec<u16> = topics.collect();
        topics.dedup();
        if let Some(groups) = &mut self.groups {
            groups.topics_changed(&topics);
        }
    }

    fn coordinator_elected(
        &mut self,
        id: PartitionId,
        epoch: LeaderEpoch,
        leads: bool,
        context: &mut Context<'_, Kafka>,
    ) {
        let log = self.partitions.get(id).map(|partition| partition.log());
        let empty = log.is_some_and(|log| log.start() == log.end());
        self.with_groups(context, |groups, host| match leads {
            true => groups.elected(id, epoch, empty, host),
            false => groups.resigned(id, epoch, host),
        });
    }

    /// The broker stops.
    pub(super) fn shut_down_coordinators(&mut self, context: &mut Context<'_, Kafka>) {
        if let Some(groups) = &mut self.groups {
            groups.shut_down();
        }
        context.clear_timer(slots::COORDINATORS);
    }
}

impl Host for BrokerHost<'_, '_> {
    fn wall(&self) -> Time {
        self.context.wall()
    }

    fn monotonic(&self) -> Time {
        self.context.monotonic()
    }

    fn view(&self) -> (&BrokerSettings, &GroupConfigs, &MetadataImage) {
        let specification = &self.broker.specification;
        (
            &specification.broker,
            &specification.groups.configs,
            &self.broker.image,
        )
    }

    fn mutations(&self) -> Mutations {
        self.broker.specification.mutations
    }

    fn choose(&mut self, among: usize) -> usize {
        let who = Identity(u64::from(self.broker.id.0), self.context.monotonic().0);
        self.context
            .draw_below(site::COORDINATOR_THREAD, who, among as u64) as usize
    }

    fn work(&mut self, thread: u16, wait: Option<Duration>) {
        let wait = wait.unwrap_or(self.broker.specification.capacity.request_service);
        self.context.alarm(slots::COORDINATOR | u32::from(thread), wait);
    }

    fn wake(&mut self, at: Time) {
        self.context.set_timer_at(slots::COORDINATORS, at);
    }

    fn append(&mut self, id: PartitionId, records: Vec<CoordinatorRecord>) -> Result<Appended, ErrorCode> {
        let (by, now) = (self.context.me(), self.context.wall());
        let bytes = BATCH_OVERHEAD + records.iter().map(CoordinatorRecord::bytes).sum::<u32>();
        let batch = Batch {
            base_offset: Offset(0),
            leader_epoch: LeaderEpoch(0),
            records: self.context.arena().store_coordinator(by, now, records),
            bytes,
            numbering: None,
            max_timestamp: now,
            corrupt: false,
        };
        let partition = self.broker.partitions.get_mut(id);
        let partition = partition.ok_or(ErrorCode::NotLeaderOrFollower)?;
        let appended = partition.append_to_leader_log(&batch, Acks::Leader, self.context);
        let appended = appended.inspect_err(|error| {
            if *error == ErrorCode::KafkaStorageError {
                self.broker.disk_failed(self.context);
            }
        })?;
        if let Some(below) = appended.rolled {
            self.broker.flush_in_background(id, below, self.context);
        }
        let next = appended.next_offset;
        let flush = appended.flush_due.then(|| {
            self.broker.locks.begin_coordinator_append(id);
            self.broker.flush.draw(id, next, self.context)
        });
        Ok(Appended { next, flush })
    }

    fn finish_append(&mut self, id: PartitionId, flush: bool) {
        let view = View {
            image: &self.broker.image,
            own_epoch: self.broker.lifecycle.epoch(),
        };
        let Some(partition) = self.broker.partitions.get_mut(id) else {
            return;
        };
        let end = partition.log().end();
        let flushed = match flush {
            true => partition.log_mut().flush(end, self.context).is_ok(),
            false => true,
        };
        let moved = flushed && partition.high_watermark_after_append(&view, self.context);
        if !flushed {
            self.broker.disk_failed(self.context);
        }
        if flush {
            self.broker.locks.end_coordinator_append(id);
        }
        if moved {
            self.broker.complete_delayed(id, self.context);
        } else {
            self.broker.complete_fetches(id, self.context);
        }
    }

    fn max_batch_bytes(&self, id: PartitionId) -> u32 {
        let partition = self.broker.partitions.get(id);
        partition.map_or(u32::MAX, |partition| partition.log().settings().max_message_bytes)
    }

    fn high_watermark(&self, id: PartitionId) -> Offset {
        let partition = self.broker.partitions.get(id);
        partition.map_or(Offset(0), |partition| partition.log().high_watermark())
    }

    fn load_time(&mut self, id: PartitionId) -> Duration {
        let Some(partition) = self.broker.partitions.get(id) else {
            return Duration::ZERO;
        };
        let bytes: u64 = partition
            .log()
            .batches(self.context)
            .map(|batch| u64::from(batch.bytes))
            .sum();
        let per_mib = u128::from(self.broker.specification.capacity.recovery_per_mib.0);
        let slowness = u64::from(self.context.disk().health.slowness.max(1));
        let took = (per_mib * u128::from(bytes) / u128::from(MEBIBYTE)) as u64;
        Duration(took).saturating_mul(slowness)
    }

    fn load(&mut self, id: PartitionId) -> Option<Vec<LoadedBatch>> {
        let partition = self.broker.partitions.get(id)?;
        if !partition.is_leader() || partition.log().is_offline() {
            return None;
        }
        let start = partition.log().start();
        let batches: Vec<Batch> = partition.log().batches(self.context).copied().collect();
        let arena = self.context.arena();
        let live = batches.iter().filter(|batch| batch.next_offset() > start);
        let loaded = live.map(|batch| LoadedBatch {
            next: batch.next_offset(),
            records: arena.coordinator(batch.records).to_vec(),
        });
        Some(loaded.collect())
    }

    fn answer(&mut self, to: Asker, response: Response) {
        self.broker
            .respond(to.connection, to.correlation, response, self.context);
    }

    fn note(&mut self, note: Note) {
        self.context.note(note);
    }
}
