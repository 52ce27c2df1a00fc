//! What a trial's cluster is made of: everything nodes are told before they start.

mod application;

use std::collections::BTreeMap;
use std::sync::Arc;

use ktrial_sim::Duration;

use crate::config::{
    BrokerSettings, CleanupPolicy, ControllerSettings, GroupSettings, MemberSettings, ProducerSettings,
    ReaderSettings, TopicSettings,
};
use crate::ids::{ClientId, GroupId, GroupInstanceId, MemberId, ServerId, Servers};
use crate::mutation::Mutations;

pub use application::{
    ApplicationSpecification, CommitStyle, Failures, GivenUp, HandOver, OnFailure, OnRevoked, PauseStyle,
    Sink, SinkKind,
};

/// A whole cluster and the clients around it. Shared by all nodes, never changed during a trial.
#[derive(Clone, Debug)]
pub struct ClusterSpecification {
    /// Brokers and controllers in order of their id; ids are `1..=servers.len()`.
    pub servers: Vec<ServerSpecification>,
    /// Topics the operator creates before the clients start, in this order.
    pub topics: Vec<TopicSpecification>,
    /// Groups of consumers, and the topic that keeps them.
    pub groups: Groups,
    /// Feature levels written at bootstrap.
    pub features: FeatureLevels,
    /// What brokers read from their file.
    pub broker: BrokerSettings,
    /// What controllers read from their file.
    pub controller: ControllerSettings,
    /// How long work takes.
    pub capacity: Capacity,
    /// Deliberate deviations from Kafka, for testing the judges. None in any trial a user runs.
    pub mutations: Mutations,
}

/// Stands for `__consumer_offsets` wherever a topic is named by its number in the specification.
pub const CONSUMER_OFFSETS: u16 = u16::MAX;

impl ClusterSpecification {
    /// A topic by its number: one of the operator's, or an internal one.
    pub fn topic(&self, number: u16) -> &TopicSpecification {
        match number {
            CONSUMER_OFFSETS => &self.groups.offsets_topic,
            number => &self.topics[usize::from(number)],
        }
    }
}

/// Groups with settings of their own, and these (`GroupConfigManager`).
pub type GroupConfigs = BTreeMap<GroupId, GroupSettings>;

/// Groups of consumers.
#[derive(Clone, Debug)]
pub struct Groups {
    /// Their `group.id`s, by [`crate::ids::GroupId`].
    pub names: Vec<String>,
    /// Client ids and instance ids by their number ([`crate::ids::ClientId`], [`crate::ids::GroupInstanceId`]), sorted.
    pub clients: Vec<String>,
    /// What was said for single groups before the trial began (`kafka-configs --entity-type groups`).
    pub configs: GroupConfigs,
    /// `__consumer_offsets`. The brokers create it once somebody looks for a group's coordinator.
    pub offsets_topic: TopicSpecification,
}

impl Default for Groups {
    /// No group, and Kafka's defaults.
    fn default() -> Self {
        let topics = TopicSettings::default();
        Groups::new(Vec::new(), &BrokerSettings::default(), topics)
    }
}

impl Groups {
    /// The text of a member id: the client or instance id, and a UUID whose random part is the number's.
    pub fn member_text(&self, member: MemberId) -> String {
        let prefix = self.clients.get((member.0 >> 48) as usize);
        let drawn = member.0 & 0xffff_ffff_ffff;
        let (high, low) = (drawn >> 16, drawn & 0xffff);
        let prefix = prefix.map_or("", String::as_str);
        format!("{prefix}-{high:08x}-{low:04x}-4000-8000-000000000000")
    }

    /// Groups of these names on brokers with these settings; `topics` is what holds there for topics without
    /// overrides.
    pub fn new(names: Vec<String>, broker: &BrokerSettings, topics: TopicSettings) -> Self {
        Groups {
            names,
            clients: Vec::new(),
            configs: GroupConfigs::new(),
            offsets_topic: TopicSpecification::consumer_offsets(broker, topics),
        }
    }
}

/// The roles of one server's process (`process.roles`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSpecification {
    /// `node.id`.
    pub id: ServerId,
    /// Whether it is a broker.
    pub broker: bool,
    /// Whether it is a controller and a voter of the quorum.
    pub controller: bool,
    /// `broker.rack`, by number.
    pub rack: Option<u16>,
}

/// A topic to be created.
#[derive(Clone, Debug)]
pub struct TopicSpecification {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: u32,
    /// How many replicas each.
    pub replication_factor: u16,
    /// Replicas of each partition, if the operator chose them.
    pub assignment: Option<Vec<Servers>>,
    /// What holds for it (overrides, else what the brokers' file says).
    pub settings: TopicSettings,
    /// `min.insync.replicas` as an override of this topic.
    pub min_insync_replicas: Option<u32>,
    /// `unclean.leader.election.enable` as an override of this topic.
    pub unclean_leader_election_enable: Option<bool>,
}

impl TopicSpecification {
    /// `__consumer_offsets` as `AutoTopicCreationManager` asks for it: with the overrides of
    /// `GroupCoordinatorService.groupMetadataTopicConfigs` (segments of `offsets.topic.segment.bytes`, compaction, the
    /// producer's compression); everything else, `min.insync.replicas` too, is what the cluster says of any topic. Its
    /// leaders must be in sync unless the cluster says otherwise, as anywhere.
    ///
    /// Compaction is asked for and not carried out: logs keep every record. What a coordinator loads is the same, it
    /// only reads more of it.
    pub fn consumer_offsets(broker: &BrokerSettings, topics: TopicSettings) -> Self {
        TopicSpecification {
            name: "__consumer_offsets".to_owned(),
            partitions: broker.offsets_topic_num_partitions,
            replication_factor: broker.offsets_topic_replication_factor as u16,
            assignment: None,
            settings: TopicSettings {
                segment_bytes: broker.offsets_topic_segment_bytes,
                compression_type: None,
                cleanup_policy: CleanupPolicy {
                    delete: false,
                    compact: true,
                },
                ..topics
            },
            min_insync_replicas: None,
            unclean_leader_election_enable: None,
        }
    }
}

/// Levels of the finalized features that change behaviour here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureLevels {
    /// `eligible.leader.replicas.version`: 0 or 1 (KIP-966).
    pub eligible_leader_replicas: u16,
    /// `kraft.version`: 0 (voters known by id) or 1 (by id and directory, KIP-853).
    pub kraft: u16,
    /// `transaction.version`: 2 refuses a first sequence other than 0 of an unknown producer (KIP-890).
    pub transaction: u16,
    /// `group.version`: 1 allows groups of the consumer protocol (KIP-848).
    pub group: u16,
}

impl Default for FeatureLevels {
    /// A new cluster of 4.3.
    fn default() -> Self {
        FeatureLevels {
            eligible_leader_replicas: 1,
            kraft: 1,
            transaction: 2,
            group: 1,
        }
    }
}

/// The capacity model. Every figure is a parameter of the scenario; none is calibrated against hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// A server's process from its start to its first act: uniform in least ..= most.
    pub process_start: (Duration, Duration),
    /// From the kill of a process to the closing of its connections by its machine: uniform in least ..= most.
    pub process_end: (Duration, Duration),
    /// A request handler's work on one request.
    pub request_service: Duration,
    /// What one KiB of batches adds to it.
    pub request_service_per_kib: Duration,
    /// One fsync: uniform in least ..= most.
    pub flush: (Duration, Duration),
    /// Reading and checking one MiB of log during recovery.
    pub recovery_per_mib: Duration,
    /// From a metadata commit known to a broker to its publication: uniform in least ..= most.
    pub publish: (Duration, Duration),
    /// A client application's start.
    pub client_start: (Duration, Duration),
}

impl Default for Capacity {
    fn default() -> Self {
        Capacity {
            process_start: (Duration::millis(1_500), Duration::millis(3_500)),
            process_end: (Duration::millis(5), Duration::millis(70)),
            request_service: Duration::micros(30),
            request_service_per_kib: Duration::micros(1),
            flush: (Duration::millis(1), Duration::millis(5)),
            recovery_per_mib: Duration::millis(5),
            publish: (Duration::micros(200), Duration::millis(5)),
            client_start: (Duration::millis(200), Duration::millis(800)),
        }
    }
}

/// A producer and the application above it.
#[derive(Clone, Debug)]
pub struct ProducerSpecification {
    /// Its name in histories and stories.
    pub name: String,
    /// Its settings.
    pub settings: ProducerSettings,
    /// The topic it writes to, by its number in [`ClusterSpecification::topics`].
    pub topic: u16,
    /// Which servers it is given as `bootstrap.servers`.
    pub bootstrap: Servers,
    /// What its application sends: expanded before the trial starts, in order of time.
    pub workload: Arc<[SendOperation]>,
}

/// One call of `send` by an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendOperation {
    /// When, since the first start of the client's process.
    pub after: Duration,
    /// The record's key.
    pub key: Option<u32>,
    /// Key, value and overhead in bytes.
    pub bytes: u32,
}

/// A consumer with assigned partitions.
#[derive(Clone, Debug)]
pub struct ReaderSpecification {
    /// Its name in histories and stories.
    pub name: String,
    /// Its settings.
    pub settings: ReaderSettings,
    /// `client.rack`, by number.
    pub rack: Option<u16>,
    /// The topics it reads, all partitions of each.
    pub topics: Vec<u16>,
    /// Which servers it is given as `bootstrap.servers`.
    pub bootstrap: Servers,
}

/// A consumer of a group and the application above it.
#[derive(Clone, Debug)]
pub struct ConsumerSpecification {
    /// What it has in common with a consumer without a group; `topics` is what it subscribes to.
    pub reader: ReaderSpecification,
    /// Its group.
    pub group: GroupId,
    /// Its `client.id`.
    pub client: ClientId,
    /// Its `group.instance.id`, if it is a static member.
    pub instance: Option<GroupInstanceId>,
    /// The settings of its membership.
    pub member: MemberSettings,
    /// What the application does with records.
    pub application: ApplicationSpecification,
    /// The producer in the same process that sends records on. Its workload is empty.
    pub letters: Option<ProducerSpecification>,
}
