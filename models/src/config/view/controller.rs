//! What a controller reads from its file.

use ktrial_sim::Duration;

use super::settings_view;
use crate::config::catalogue::Scope;

settings_view! {
    /// A controller's own settings (`KafkaConfig`). The topic-level ones are what *this* file says: what
    /// holds for a topic is in [`super::TopicSettings`], resolved for controllers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    ControllerSettings of Scope::Controller;

    /// Replicas of a topic that is created without saying how many.
    default_replication_factor: u32,
    /// Partitions of a topic that is created without saying how many.
    num_partitions: u32,
    /// With eligible leader replicas: what the first active controller writes as the cluster-wide value.
    min_insync_replicas: u32,
    /// Whether a replica outside the ISR may lead, where no topic says otherwise.
    unclean_leader_election_enable: bool,
    /// How often leaderless partitions are looked at for an unclean election.
    unclean_leader_election_interval_ms: Duration,
    /// Whether leaderships go back to the preferred replicas by themselves.
    auto_leader_rebalance_enable: bool,
    /// How often.
    leader_imbalance_check_interval_seconds: Duration,

    /// A broker without heartbeat for so long is fenced.
    broker_session_timeout_ms: Duration,

    /// A candidate without majority for so long starts over.
    controller_quorum_election_timeout_ms: Duration,
    /// A follower without a successful fetch for so long becomes prospective; the leader resigns after
    /// half as long again without the fetches of a majority.
    controller_quorum_fetch_timeout_ms: Duration,
    /// The longest random pause before a lost election is tried again.
    controller_quorum_election_backoff_max_ms: Duration,
    /// Time-out of a request between controllers.
    controller_quorum_request_timeout_ms: Duration,
    /// Pause between failed requests.
    controller_quorum_retry_backoff_ms: Duration,
    /// How long the leader gathers records before it writes them.
    controller_quorum_append_linger_ms: Duration,
    /// Whether a controller adds itself to the voters.
    controller_quorum_auto_join_enable: bool,
    /// Bytes of one fetch of the metadata log.
    controller_quorum_fetch_max_bytes: u32,
    /// Bytes of one fetch of a snapshot.
    controller_quorum_fetch_snapshot_max_bytes: u32,

    /// An idle active controller writes a no-op record this often; zero: never.
    metadata_max_idle_interval_ms: Duration,
    /// Bytes of records between two snapshots.
    metadata_log_max_record_bytes_between_snapshots: u64,
    /// The longest between two snapshots.
    metadata_log_max_snapshot_interval_ms: Duration,
    /// Size at which a segment of the metadata log is closed.
    metadata_log_segment_bytes: u32,
    /// Age at which a segment of the metadata log is closed.
    metadata_log_segment_ms: Duration,
    /// Age at which snapshots and segments may go; none: never.
    metadata_max_retention_ms: Option<Duration>,
    /// Size above which old snapshots and segments may go; none: never.
    metadata_max_retention_bytes: Option<u64>,

    /// Request handler threads.
    num_io_threads: u32,
    /// Network threads of each listener.
    num_network_threads: u32,
    /// Requests that wait for a handler.
    queued_max_requests: u32,
    /// Idle connections are closed after this; none: never.
    connections_max_idle_ms: Option<Duration>,
    /// Time-out of requests between servers.
    request_timeout_ms: Duration,
    /// First time-out of setting up a connection.
    socket_connection_setup_timeout_ms: Duration,
    /// Longest time-out of setting up a connection.
    socket_connection_setup_timeout_max_ms: Duration,
}
