//! The settings that decide promises, resolved from a history's header.

use ktrial_sim::Duration;

use super::header::{Header, Settings};

/// How many replicas' acknowledgements a producer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// `0`: none.
    None,
    /// `1`: the leader's.
    Leader,
    /// `all`, `-1`: those of the whole ISR.
    All,
}

/// What a producer was set to, defaults of Kafka 4.3 included (ProducerConfig).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerSettings {
    /// `acks`.
    pub acks: Acks,
    /// Whether idempotence is in force: `enable.idempotence`, unless `acks` or `retries` silently switch it off.
    pub idempotent: bool,
    /// Whether a batch is sent once at most: `retries=0`.
    pub one_attempt: bool,
    /// Whether one request a connection may be under way: `max.in.flight.requests.per.connection=1`.
    pub one_in_flight: bool,
    /// `delivery.timeout.ms`.
    pub delivery_timeout: Duration,
    /// `producer.id.expiration.ms`, a setting of the brokers: how long a leader remembers the sequence numbers
    /// of a producer that appends nothing.
    pub remembered: Duration,
}

/// The number under a name, or Kafka's default.
fn number<T: std::str::FromStr>(settings: &Settings, name: &str, default: T) -> T {
    settings
        .get(name)
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(default)
}

/// The boolean under a name, or Kafka's default.
fn boolean(settings: &Settings, name: &str, default: bool) -> bool {
    settings
        .get(name)
        .map_or(default, |text| text.trim().eq_ignore_ascii_case("true"))
}

impl ProducerSettings {
    /// Those of the producers of a history.
    pub fn of(header: &Header) -> Self {
        let given = &header.producer;
        let acks = match given.get("acks").map(|text| text.trim()) {
            Some("0") => Acks::None,
            Some("1") => Acks::Leader,
            _ => Acks::All,
        };
        let one_attempt = number(given, "retries", i64::from(i32::MAX)) == 0;
        // ProducerConfig.postProcessAndValidateIdempotenceConfigs: an explicit request with a conflict is
        // refused, so what runs with a conflict runs without idempotence.
        let idempotent = boolean(given, "enable.idempotence", true) && acks == Acks::All && !one_attempt;
        ProducerSettings {
            acks,
            idempotent,
            one_attempt,
            one_in_flight: number(given, "max.in.flight.requests.per.connection", 5) == 1,
            delivery_timeout: Duration::millis(number(given, "delivery.timeout.ms", 120_000)),
            remembered: Duration::millis(number(&header.broker, "producer.id.expiration.ms", 86_400_000)),
        }
    }
}

/// What a topic was set to, over the cluster's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// How many replicas, if the header tells it.
    pub replication_factor: Option<u64>,
    /// `min.insync.replicas`, before it is bounded by the replication factor.
    pub min_insync_replicas: u64,
    /// `unclean.leader.election.enable`.
    pub unclean_election: bool,
    /// Whether each append is flushed before it is acknowledged: `flush.messages=1`.
    pub flushes_each_append: bool,
    /// Whether compaction may remove records: `cleanup.policy` has `compact`.
    pub compacted: bool,
}

impl TopicSettings {
    /// Those of a topic of a history.
    pub fn of(header: &Header, topic: &str) -> Self {
        let none = Settings::new();
        let own = header.topics.get(topic).unwrap_or(&none);
        let cluster = &header.broker;
        let flush = number(cluster, "log.flush.interval.messages", i64::MAX);
        let policy = own.get("cleanup.policy").or(cluster.get("log.cleanup.policy"));
        TopicSettings {
            replication_factor: own
                .get("replication.factor")
                .or(cluster.get("default.replication.factor"))
                .and_then(|text| text.parse().ok()),
            min_insync_replicas: number(
                own,
                "min.insync.replicas",
                number(cluster, "min.insync.replicas", 1),
            ),
            unclean_election: boolean(
                own,
                "unclean.leader.election.enable",
                boolean(cluster, "unclean.leader.election.enable", false),
            ),
            flushes_each_append: number(own, "flush.messages", flush) <= 1,
            compacted: policy.is_some_and(|policy| policy.contains("compact")),
        }
    }
}

/// Whether the cluster keeps eligible leader replicas (KIP-966).
///
/// Known from the header's `features`; otherwise by release, as in a newly formatted cluster: on from
/// 4.1 (EligibleLeaderReplicasVersion), and on for what is no release of Kafka.
pub fn eligible_leader_replicas(header: &Header) -> bool {
    if let Some(level) = header.features.get("eligible.leader.replicas.version") {
        return level != "0";
    }
    let release = header.source.strip_prefix("kafka ").unwrap_or("");
    let mut parts = release.split('.').map_while(|part| part.parse::<u32>().ok());
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) => (major, minor) >= (4, 1),
        _ => true,
    }
}

/// Whether a controller is known by its disk and not by its number alone: `kraft.version=1` (KIP-853).
pub fn voters_are_known_by_disk(header: &Header) -> bool {
    header
        .features
        .get("kraft.version")
        .is_some_and(|level| level == "1")
}

/// Which group a recorder's consumers share when nothing else is said.
pub fn group(header: &Header) -> &str {
    let named = header.clients.get("group").or(header.consumer.get("group.id"));
    named.map_or("g", String::as_str)
}

/// Whether the consumers read committed records only.
pub fn consumers_read_committed(header: &Header) -> bool {
    header
        .consumer
        .get("isolation.level")
        .is_some_and(|level| level.eq_ignore_ascii_case("read_committed"))
}
