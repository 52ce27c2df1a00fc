//! Values that are one of a few.

use smallvec::SmallVec;

use super::FromSetting;
use crate::config::effective::Effective;
use crate::config::offset_reset::OffsetReset;
use crate::config::value::Value;
use crate::consumer::assignor::assignor_of_class;
use crate::protocol::{Assignor, ServerAssignor};

/// When a producer's request counts as done (`acks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// `0`: when it is written to the socket.
    None,
    /// `1`: when the leader has appended.
    Leader,
    /// `all` or `-1`: when all in-sync replicas have appended.
    All,
}

/// `isolation.level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsolationLevel {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the last stable offset.
    ReadCommitted,
}

/// `message.timestamp.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The client's.
    CreateTime,
    /// The leader's wall clock at the append.
    LogAppendTime,
}

/// `metadata.recovery.strategy` (KIP-899).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataRecoveryStrategy {
    /// Keep the brokers known last.
    None,
    /// Start again from the bootstrap servers.
    Rebootstrap,
}

/// What the records of a batch are compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// `cleanup.policy`: none, one or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Retention deletes old segments.
    pub delete: bool,
    /// Compaction keeps the last record of each key.
    pub compact: bool,
}

/// How a producer chooses partitions (`partitioner.class`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitioner {
    /// By the key's hash, without a key the sticky one of KIP-794 (no class given).
    BuiltIn,
    /// `RoundRobinPartitioner`.
    RoundRobin,
}

/// Which replica a consumer is told to fetch from (`replica.selector.class`, KIP-392).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaSelector {
    /// No class, or `LeaderSelector`.
    Leader,
    /// `RackAwareReplicaSelector`.
    RackAware,
}

/// `group.protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupProtocol {
    /// JoinGroup and SyncGroup; the group's leader assigns.
    Classic,
    /// ConsumerGroupHeartbeat; the coordinator assigns (KIP-848).
    Consumer,
}

/// `partition.assignment.strategy`, the preferred one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignmentStrategies(pub SmallVec<[Assignor; 2]>);

/// `group.consumer.assignors`: those that Kafka brings, each once, the default first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerAssignors {
    first: ServerAssignor,
    second: Option<ServerAssignor>,
}

impl ServerAssignors {
    /// The one for groups whose members want none in particular.
    pub fn default_one(self) -> ServerAssignor {
        self.first
    }

    /// Whether members may want it.
    pub fn contains(self, assignor: ServerAssignor) -> bool {
        self.first == assignor || self.second == Some(assignor)
    }
}

/// `group.consumer.migration.policy`: whether groups with members change their protocol
/// (`ConsumerGroupMigrationPolicy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigrationPolicy {
    /// A classic group becomes a consumer group when a member of the consumer protocol joins.
    pub upgrade: bool,
    /// A consumer group becomes a classic group when its last member of the consumer protocol goes.
    pub downgrade: bool,
}

impl MigrationPolicy {
    /// Whether members of the classic protocol may not even join a consumer group.
    pub fn is_disabled(self) -> bool {
        !self.upgrade && !self.downgrade
    }
}

/// `group.coordinator.rebalance.protocols`. The classic one is always there (`KafkaConfig`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebalanceProtocols {
    /// `consumer`: KIP-848.
    pub consumer: bool,
}

/// A ratio in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millionths(pub u32);

fn text(effective: &Effective) -> Option<&str> {
    match &effective.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

impl FromSetting for Acks {
    const ACCEPTS: &'static str = "0, 1, -1 or all";

    fn from_setting(effective: &Effective) -> Option<Self> {
        match text(effective)? {
            "0" => Some(Acks::None),
            "1" => Some(Acks::Leader),
            "-1" | "all" => Some(Acks::All),
            _ => None,
        }
    }
}

impl FromSetting for IsolationLevel {
    const ACCEPTS: &'static str = "read_uncommitted or read_committed";

    fn from_setting(effective: &Effective) -> Option<Self> {
        match text(effective)? {
            "read_uncommitted" => Some(IsolationLevel::ReadUncommitted),
            "read_committed" => Some(IsolationLevel::ReadCommitted),
            _ => None,
        }
    }
}

impl FromSetting for TimestampType {
    const ACCEPTS: &'static str = "CreateTime or LogAppendTime";

    fn from_setting(effective: &Effective) -> Option<Self> {
        match text(effective)? {
            "CreateTime" => Some(TimestampType::CreateTime),
            "LogAppendTime" => Some(TimestampType::LogAppendTime),
            _ => None,
        }
    }
}

impl FromSetting for MetadataRecoveryStrategy {
    const ACCEPTS: &'static str = "rebootstrap or none";

    fn from_setting(effective: &Effective) -> Option<Self> {
        match text(effective)?.to_ascii_lowercase().as_str() {
            "none" => Some(MetadataRecoveryStrategy::None),
            "rebootstrap" => Some(MetadataRecoveryStrategy::Rebootstrap),
            _ => None,
        }
    }
}

impl FromSetting for Compression {
    const ACCEPTS: &'static str = "none, gzip, snappy, lz4 or zstd";

    fn from_setting(effective: &Effective) -> Option<Self> {
        match text(effective)? {
            "none" | "uncompressed" => Some(Compression::None),
            "gzip" => Some(Compression::Gzip),
            "snappy" => Some(Compression::Snappy),
            "lz4" => Some(Compression::Lz4),
            "zstd" => Some(Compression::Zstd),
            _ => None,
        }
    }
}

impl FromSetting for Option<Compression> {
    const ACCEPTS: &'static str = "producer, uncompressed, gzip, snappy, lz4 or zstd";

    /// `producer` is none of them: what the producer chose stays.
    fn from_setting(effective: &Effective) -> Option<Self> {
        match text(effective)? {
            "producer" => Some(None),
            _ => Compression::from_setting(effective).map(Some),
        }
    }
}

impl FromSetting for CleanupPolicy {
    const ACCEPTS: &'static str = "delete, compact, both or nothing";

    fn from_setting(effective: &Effective) -> Option<Self> {
        match &effective.value {
            Value::List(list) => {
                let has = |policy: &str| list.iter().any(|one| one == policy);
                Some(CleanupPolicy {
                    delete: has("delete"),
                    compact: has("compact"),
                })
            }
            _ => None,
        }
    }
}

impl FromSetting for Partitioner {
    const ACCEPTS: &'static str =
        "no partitioner.class, or org.apache.kafka.clients.producer.RoundRobinPartitioner";

    fn from_setting(effective: &Effective) -> Option<Self> {
        match text(effective) {
            None => Some(Partitioner::BuiltIn),
            Some("org.apache.kafka.clients.producer.RoundRobinPartitioner") => Some(Partitioner::RoundRobin),
            Some(_) => None,
        }
    }
}

impl FromSetting for ReplicaSelector {
    const ACCEPTS: &'static str =
        "no replica.selector.class, or org.apache.kafka.common.replica.RackAwareReplicaSelector";

    fn from_setting(effective: &Effective) -> Option<Self> {
        match text(effective) {
            None | Some("" | "org.apache.kafka.common.replica.LeaderSelector") => {
                Some(ReplicaSelector::Leader)
            }
            Some("org.apache.kafka.common.replica.RackAwareReplicaSelector") => {
                Some(ReplicaSelector::RackAware)
            }
            Some(_) => None,
        }
    }
}

impl FromSetting for GroupProtocol {
    const ACCEPTS: &'static str = "classic or consumer";

    fn from_setting(effective: &Effective) -> Option<Self> {
        match text(effective)?.to_ascii_lowercase().as_str() {
            "classic" => Some(GroupProtocol::Classic),
            "consumer" => Some(GroupProtocol::Consumer),
            _ => None,
        }
    }
}

impl FromSetting for AssignmentStrategies {
    const ACCEPTS: &'static str = "RangeAssignor, RoundRobinAssignor, StickyAssignor or CooperativeStickyAssignor \
        of org.apache.kafka.clients.consumer";

    fn from_setting(effective: &Effective) -> Option<Self> {
        match &effective.value {
            Value::List(list) if !list.is_empty() => {
                let assignors: Option<_> = list.iter().map(|class| assignor_of_class(class)).collect();
                assignors.map(AssignmentStrategies)
            }
            _ => None,
        }
    }
}

impl FromSetting for ServerAssignors {
    const ACCEPTS: &'static str = "uniform or range, or both";

    fn from_setting(effective: &Effective) -> Option<Self> {
        let Value::List(list) = &effective.value else {
            return None;
        };
        let known = |name: &String| match ServerAssignor::of_name(name) {
            ServerAssignor::Unknown => None,
            assignor => Some(assignor),
        };
        let assignors: Option<SmallVec<[ServerAssignor; 2]>> = list.iter().map(known).collect();
        match assignors?.as_slice() {
            [first] => Some(ServerAssignors {
                first: *first,
                second: None,
            }),
            [first, second] => Some(ServerAssignors {
                first: *first,
                second: Some(*second),
            }),
            _ => None,
        }
    }
}

impl FromSetting for MigrationPolicy {
    const ACCEPTS: &'static str = "bidirectional, upgrade, downgrade or disabled";

    fn from_setting(effective: &Effective) -> Option<Self> {
        let (upgrade, downgrade) = match text(effective)?.to_ascii_lowercase().as_str() {
            "bidirectional" => (true, true),
            "upgrade" => (true, false),
            "downgrade" => (false, true),
            "disabled" => (false, false),
            _ => return None,
        };
        Some(MigrationPolicy { upgrade, downgrade })
    }
}

impl FromSetting for RebalanceProtocols {
    const ACCEPTS: &'static str = "a list of protocols";

    fn from_setting(effective: &Effective) -> Option<Self> {
        match &effective.value {
            Value::List(list) => Some(RebalanceProtocols {
                consumer: list.iter().any(|name| name == "consumer"),
            }),
            _ => None,
        }
    }
}

impl FromSetting for Millionths {
    const ACCEPTS: &'static str = "a ratio between 0 and 1";

    fn from_setting(effective: &Effective) -> Option<Self> {
        match effective.value {
            Value::Millionths(number) => u32::try_from(number).ok().map(Millionths),
            _ => None,
        }
    }
}

impl FromSetting for OffsetReset {
    const ACCEPTS: &'static str = "earliest, latest or none";

    /// Logs know no offsets by timestamp, so nothing can begin at one.
    fn from_setting(effective: &Effective) -> Option<Self> {
        let reset = OffsetReset::parse(text(effective)?)?;
        (!matches!(reset, OffsetReset::ByDuration(_))).then_some(reset)
    }
}
