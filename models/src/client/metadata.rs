//! What a client knows of the cluster: `Metadata`, `MetadataSnapshot`, `ProducerMetadata`.

use ktrial_sim::{Duration, Time};
use smallvec::SmallVec;

use super::updater::Updating;
use super::{ClientSettings, Environment, Node, is_invalid_metadata};
use crate::ids::{LeaderEpoch, PartitionId, PartitionMap, ServerId, Servers};
use crate::kafka::site;
use crate::protocol::{CurrentLeader, ErrorCode, MetadataRequest, MetadataResponse, PartitionMetadata};

/// A leader as a client believes in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaderAndEpoch {
    /// The leader, if known and among the nodes.
    pub leader: Option<ServerId>,
    /// The newest epoch seen.
    pub epoch: Option<LeaderEpoch>,
}

/// A partition as cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedPartition {
    /// Its number in the cluster.
    pub partition: PartitionId,
    /// Its leader's id, whether or not that is among the nodes.
    pub leader: Option<ServerId>,
    /// The leader's epoch.
    pub epoch: LeaderEpoch,
    /// Its replicas.
    pub replicas: Servers,
}

#[derive(Clone, Debug)]
struct CachedTopic {
    specification: u16,
    partitions: Vec<CachedPartition>,
}

#[derive(Clone, Copy, Debug)]
struct WantedTopic {
    specification: u16,
    /// When a producer that no longer sends to it forgets it; none: never.
    expires: Option<Time>,
    /// No answer has named it yet.
    new: bool,
}

/// The cluster as a client knows it, and when to ask again.
///
/// Epochs seen are kept by partition; a topic created again has other partitions ([`PartitionId`]), as it has another
/// topic id in Kafka.
#[derive(Debug)]
pub struct Metadata {
    settings: ClientSettings,
    bootstrap: Servers,
    wanted: SmallVec<[WantedTopic; 4]>,
    nodes: SmallVec<[Node; 8]>,
    racks: SmallVec<[(ServerId, Option<u16>); 8]>,
    topics: SmallVec<[CachedTopic; 4]>,
    epochs: PartitionMap<LeaderEpoch>,
    /// None: long ago.
    last_refresh: Option<Time>,
    last_success: Option<Time>,
    attempts: u32,
    attempt_backoff: Duration,
    equivalent_responses: u32,
    equivalent_backoff: Duration,
    need_full: bool,
    need_partial: bool,
    request_version: u32,
    update_version: u32,
    answers: u32,
    snapshots: u64,
    refreshes: u64,
    pub(super) updating: Updating,
}

impl Metadata {
    /// Knows nothing but the bootstrap servers.
    pub fn new(settings: ClientSettings, bootstrap: Servers) -> Self {
        let mut metadata = Metadata {
            settings,
            bootstrap,
            wanted: SmallVec::new(),
            nodes: SmallVec::new(),
            racks: SmallVec::new(),
            topics: SmallVec::new(),
            epochs: PartitionMap::default(),
            last_refresh: None,
            last_success: None,
            attempts: 0,
            attempt_backoff: Duration::ZERO,
            equivalent_responses: 0,
            equivalent_backoff: Duration::ZERO,
            need_full: false,
            need_partial: false,
            request_version: 0,
            update_version: 0,
            answers: 0,
            snapshots: 0,
            refreshes: 0,
            updating: Updating::default(),
        };
        metadata.rebootstrap();
        metadata
    }

    /// Forgets all but the bootstrap servers and the epochs seen (KIP-899).
    pub fn rebootstrap(&mut self) {
        self.need_full = true;
        self.update_version += 1;
        self.snapshots += 1;
        self.topics.clear();
        self.racks.clear();
        let servers = self.bootstrap.iter().enumerate();
        self.nodes = servers
            .map(|(number, server)| Node::Bootstrap(number as u8, *server))
            .collect();
    }

    pub(super) fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    /// The nodes there are, in order of their id.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Counts what was learnt.
    pub fn version(&self) -> u32 {
        self.update_version
    }

    /// Counts changes of nodes, partitions and leaders (`MetadataSnapshot`): for those who keep what they made of one.
    pub fn snapshots(&self) -> u64 {
        self.snapshots
    }

    /// Counts answers only: what wakes a thread that waits for metadata (`ProducerMetadata.update` notifies, starting
    /// again from the bootstrap servers does not).
    pub fn answers(&self) -> u32 {
        self.answers
    }

    /// The partitions of a topic in order of their index; none if it is not known. One of which no partition is known,
    /// because an answer told only of older epochs than were seen, is as unknown as any (`Cluster.partitionCountForTopic`).
    pub fn partitions(&self, topic: u16) -> Option<&[CachedPartition]> {
        let cached = self.topics.iter().find(|cached| cached.specification == topic)?;
        (!cached.partitions.is_empty()).then_some(&cached.partitions)
    }

    /// All partitions known, in order of topic and index.
    pub fn all_partitions(&self) -> impl Iterator<Item = &CachedPartition> {
        self.topics.iter().flat_map(|topic| &topic.partitions)
    }

    fn partition(&self, partition: PartitionId) -> Option<&CachedPartition> {
        self.all_partitions().find(|cached| cached.partition == partition)
    }

    /// Whether a broker is among the nodes.
    pub fn has_node(&self, server: ServerId) -> bool {
        self.nodes.contains(&Node::Broker(server))
    }

    /// The rack of a broker; none if it has none or is not among the nodes.
    pub fn rack(&self, server: ServerId) -> Option<u16> {
        let known = self.racks.iter().find(|(other, _)| *other == server);
        known.and_then(|(_, rack)| *rack)
    }

    /// Whether somebody asked for an update and none has come (`Metadata.updateRequested`).
    pub fn update_requested(&self) -> bool {
        self.need_full || self.need_partial
    }

    /// The topics that are used.
    pub fn wanted_topics(&self) -> SmallVec<[u16; 4]> {
        self.wanted.iter().map(|wanted| wanted.specification).collect()
    }

    /// Only these topics are used from now on.
    pub fn retain_topics(&mut self, topics: &[u16]) {
        self.wanted
            .retain(|wanted| topics.contains(&wanted.specification));
    }

    /// The leader of a partition if it is among the nodes (`Cluster.leaderFor`).
    pub fn leader_node(&self, cached: &CachedPartition) -> Option<ServerId> {
        cached.leader.filter(|leader| self.has_node(*leader))
    }

    /// The leader to believe in: unknown while a newer epoch was seen elsewhere (`Metadata.currentLeader`).
    pub fn current_leader(&self, partition: PartitionId) -> LeaderAndEpoch {
        let seen = self.epochs.get(partition).copied();
        match self.partition(partition) {
            Some(cached) if seen.is_none_or(|epoch| epoch == cached.epoch) => LeaderAndEpoch {
                leader: self.leader_node(cached),
                epoch: Some(cached.epoch),
            },
            _ => LeaderAndEpoch {
                leader: None,
                epoch: seen,
            },
        }
    }

    /// Whether a replica can be read from (`Cluster.nodeIfOnline`).
    pub fn is_online(&self, partition: PartitionId, server: ServerId) -> bool {
        self.has_node(server)
            && self
                .partition(partition)
                .is_some_and(|cached| cached.replicas.contains(&server))
    }

    /// A topic is used: it is kept until `expires`, and asked for if it is new.
    pub fn add_topic(&mut self, specification: u16, expires: Option<Time>) {
        match self
            .wanted
            .iter_mut()
            .find(|wanted| wanted.specification == specification)
        {
            Some(wanted) => wanted.expires = expires,
            None => {
                self.wanted.push(WantedTopic {
                    specification,
                    expires,
                    new: true,
                });
                self.request_update_for_new_topics();
            }
        }
    }

    /// Asks for a topic that is used (`ProducerMetadata.requestUpdateForTopic`). The number of answers to wait beyond.
    pub fn request_update_for_topic(&mut self, specification: u16) -> u32 {
        let new = self
            .wanted
            .iter()
            .any(|wanted| wanted.specification == specification && wanted.new);
        if new {
            self.request_update_for_new_topics();
        } else {
            self.request_update(false);
        }
        self.answers
    }

    fn request_update_for_new_topics(&mut self) {
        self.last_refresh = None;
        self.need_partial = true;
        self.equivalent_responses = 0;
        self.request_version += 1;
    }

    /// Asks for everything that is used, as soon as the back-off allows.
    pub fn request_update(&mut self, reset_equivalent_backoff: bool) {
        self.need_full = true;
        if reset_equivalent_backoff {
            self.equivalent_responses = 0;
        }
    }

    /// An epoch was seen elsewhere (`Metadata.updateLastSeenEpochIfNewer`).
    pub fn update_last_seen_epoch_if_newer(&mut self, partition: PartitionId, epoch: LeaderEpoch) {
        if let Some(seen) = self.epochs.get_mut(partition)
            && *seen < epoch
        {
            *seen = epoch;
            self.need_full = true;
        }
    }

    /// When metadata will be too old; none: they are.
    pub(super) fn expires(&self) -> Option<Time> {
        self.last_success
            .map(|last| last + self.settings.metadata_max_age)
    }

    fn expired(&self, now: Time) -> bool {
        self.last_success
            .is_none_or(|last| now.since(last) >= self.settings.metadata_max_age)
    }

    /// How long no update is allowed.
    fn time_to_allow(&mut self, now: Time) -> Duration {
        if self.expired(now) {
            self.equivalent_responses = 0;
        }
        let Some(last) = self.last_refresh else {
            return Duration::ZERO;
        };
        let equivalent = match self.equivalent_responses {
            0 => Duration::ZERO,
            _ => self.equivalent_backoff,
        };
        (last + self.attempt_backoff.max(equivalent)).since(now)
    }

    /// How long until an update is due; zero: now.
    pub fn time_to_next_update(&mut self, now: Time) -> Duration {
        let expiry = match self.last_success {
            _ if self.need_full || self.need_partial => Duration::ZERO,
            Some(last) => (last + self.settings.metadata_max_age).since(now),
            None => Duration::ZERO,
        };
        expiry.max(self.time_to_allow(now))
    }

    /// What to ask; whether it is for new topics only; the version of the asking.
    pub(super) fn request(&self, now: Time) -> (MetadataRequest, bool, u32) {
        let partial = !self.need_full && !self.expired(now);
        let asked = self.wanted.iter().filter(|wanted| !partial || wanted.new);
        let topics = asked.map(|wanted| wanted.specification).collect();
        (MetadataRequest { topics }, partial, self.request_version)
    }

    fn draw_backoffs(&mut self, environment: &mut impl Environment) {
        self.refreshes += 1;
        let backoff = self.settings.metadata_backoff;
        let name = |kind: u64| kind << 56 | self.refreshes;
        self.attempt_backoff =
            backoff.draw(self.attempts.saturating_sub(1), site::RETRY, name(1), environment);
        if self.equivalent_responses > 0 {
            let failures = self.equivalent_responses - 1;
            self.equivalent_backoff = backoff.draw(failures, site::RETRY, name(2), environment);
        }
    }

    /// An update failed.
    pub fn failed_update(&mut self, now: Time, environment: &mut impl Environment) {
        self.last_refresh = Some(now);
        self.attempts += 1;
        self.equivalent_responses = 0;
        self.draw_backoffs(environment);
    }

    fn retain(&mut self, specification: u16, now: Time) -> bool {
        let position = self
            .wanted
            .iter()
            .position(|wanted| wanted.specification == specification);
        let Some(position) = position else { return false };
        let wanted = self.wanted[position];
        if !wanted.new && wanted.expires.is_some_and(|expires| expires <= now) {
            self.wanted.remove(position);
            return false;
        }
        true
    }

    /// An answer arrived (`Metadata.update`, `ProducerMetadata.update`).
    pub(super) fn update(
        &mut self,
        response: &MetadataResponse,
        partial: bool,
        request_version: u32,
        now: Time,
        environment: &mut impl Environment,
    ) {
        self.need_partial = request_version < self.request_version;
        self.last_refresh = Some(now);
        self.attempts = 0;
        self.update_version += 1;
        self.snapshots += 1;
        self.answers += 1;
        if !partial {
            self.need_full = false;
            self.last_success = Some(now);
        }
        self.equivalent_responses += 1;
        let mut kept: SmallVec<[CachedTopic; 4]> = SmallVec::new();
        if partial {
            for topic in std::mem::take(&mut self.topics) {
                let asked = response
                    .topics
                    .iter()
                    .any(|new| new.specification == topic.specification);
                if asked {
                    self.topics.push(topic);
                } else if self.retain(topic.specification, now) {
                    kept.push(topic);
                }
            }
        }
        for topic in &response.topics {
            if !self.retain(topic.specification, now) {
                continue;
            }
            if topic.error != ErrorCode::None {
                if is_invalid_metadata(topic.error) {
                    self.request_update(false);
                }
                continue;
            }
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                partitions.extend(self.latest(partition));
                if is_invalid_metadata(partition.error) {
                    self.request_update(false);
                }
            }
            kept.push(CachedTopic {
                specification: topic.specification,
                partitions,
            });
        }
        kept.sort_by_key(|topic| topic.specification);
        self.topics = kept;
        self.nodes = response
            .brokers
            .iter()
            .map(|(server, _)| Node::Broker(*server))
            .collect();
        self.nodes.sort();
        self.racks = response.brokers.clone();
        for wanted in &mut self.wanted {
            let named = |topic: &crate::protocol::TopicMetadata| topic.specification == wanted.specification;
            if response.topics.iter().any(named) {
                wanted.new = false;
            }
        }
        self.draw_backoffs(environment);
    }

    /// A newer or equal epoch is taken, an older one ignored (`Metadata.updateLatestMetadata`).
    fn latest(&mut self, partition: &PartitionMetadata) -> Option<CachedPartition> {
        let seen = self.epochs.get(partition.partition).copied();
        if seen.is_some_and(|seen| partition.leader_epoch < seen) {
            return self.partition(partition.partition).cloned();
        }
        if seen != Some(partition.leader_epoch) {
            self.equivalent_responses = 0;
        }
        self.epochs.insert(partition.partition, partition.leader_epoch);
        Some(CachedPartition {
            partition: partition.partition,
            leader: partition.leader,
            epoch: partition.leader_epoch,
            replicas: partition.replicas.clone(),
        })
    }

    /// A broker told along with an error who leads (KIP-951): taken if strictly newer. The answer brings the leader's
    /// address along, so a node is added that was not known (it was fenced when metadata were last asked for).
    pub fn update_partition_leadership(&mut self, partition: PartitionId, hint: CurrentLeader) -> bool {
        let current = self.current_leader(partition);
        if current.epoch.is_some_and(|epoch| hint.epoch <= epoch) {
            return false;
        }
        let cached = self
            .topics
            .iter_mut()
            .flat_map(|topic| &mut topic.partitions)
            .find(|cached| cached.partition == partition);
        let Some(cached) = cached else { return false };
        self.snapshots += 1;
        cached.leader = Some(hint.leader);
        cached.epoch = hint.epoch;
        self.epochs.insert(partition, hint.epoch);
        let node = Node::Broker(hint.leader);
        if let Err(place) = self.nodes.binary_search(&node) {
            self.nodes.insert(place, node);
        }
        true
    }
}
