//! What a broker reads from its file.

use ktrial_sim::Duration;

use super::{MigrationPolicy, RebalanceProtocols, ReplicaSelector, ServerAssignors, settings_view};
use crate::config::catalogue::Scope;

settings_view! {
    /// A broker's own settings (`KafkaConfig`). What topics may override (`min.insync.replicas`, segments,
    /// retention, flushing) is in [`super::TopicSettings`], resolved for each topic.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    BrokerSettings of Scope::Broker;

    /// Whether asking for metadata of an unknown topic creates it.
    auto_create_topics_enable: bool,
    /// Replicas of a topic that is created without saying how many.
    default_replication_factor: u32,
    /// Partitions of a topic that is created without saying how many.
    num_partitions: u32,

    /// A follower that has not caught up for longer leaves the ISR; looked at every half of it.
    replica_lag_time_max_ms: Duration,
    /// The longest a leader parks a follower's fetch.
    replica_fetch_wait_max_ms: Duration,
    /// Bytes that end a follower's parked fetch.
    replica_fetch_min_bytes: u32,
    /// Bytes per partition and fetch.
    replica_fetch_max_bytes: u32,
    /// Bytes per fetch.
    replica_fetch_response_max_bytes: u32,
    /// Pause of a partition whose fetch failed.
    replica_fetch_backoff_ms: Duration,
    /// Time-out of a follower's request.
    replica_socket_timeout_ms: Duration,
    /// Fetcher threads for each leader's broker.
    num_replica_fetchers: u32,
    /// How often high watermarks go to the checkpoint file.
    replica_high_watermark_checkpoint_interval_ms: Duration,
    /// Whether consumers may be sent to a follower.
    replica_selector_class: ReplicaSelector,
    /// Fetch sessions kept (KIP-227).
    max_incremental_fetch_session_cache_slots: u32,
    /// Bytes of one answer to a consumer's fetch, whatever it asked.
    fetch_max_bytes: u32,

    /// Request handler threads.
    num_io_threads: u32,
    /// Network threads of each listener.
    num_network_threads: u32,
    /// Requests that wait for a handler; more are not read from the sockets.
    queued_max_requests: u32,
    /// Bytes of waiting requests; none: no limit.
    queued_max_request_bytes: Option<u64>,
    /// The largest request read.
    socket_request_max_bytes: u32,
    /// What a client's socket is asked to hold of what nobody has read; none: as the system likes.
    socket_receive_buffer_bytes: Option<u64>,
    /// Idle connections are closed after this; none: never.
    connections_max_idle_ms: Option<Duration>,
    /// Time-out of requests between brokers, and of waiting for acks where a client gives none.
    request_timeout_ms: Duration,
    /// First time-out of setting up a connection.
    socket_connection_setup_timeout_ms: Duration,
    /// Longest time-out of setting up a connection.
    socket_connection_setup_timeout_max_ms: Duration,
    /// Whether a clean stop hands over leaderships first.
    controlled_shutdown_enable: bool,
    /// Threads of the scheduler of background work.
    background_threads: u32,

    /// Between heartbeats to the active controller.
    broker_heartbeat_interval_ms: Duration,
    /// The longest a starting broker tries to register.
    initial_broker_registration_timeout_ms: Duration,
    /// A broker's metadata fetch without success for so long looks for another controller.
    controller_quorum_fetch_timeout_ms: Duration,
    /// Time-out of a request to the quorum.
    controller_quorum_request_timeout_ms: Duration,
    /// Pause between failed requests to the quorum.
    controller_quorum_retry_backoff_ms: Duration,
    /// Bytes of one fetch of the metadata log.
    controller_quorum_fetch_max_bytes: u32,
    /// Time-out of requests from a broker to the active controller.
    controller_socket_timeout_ms: Duration,
    /// Bytes of records between two snapshots of the metadata.
    metadata_log_max_record_bytes_between_snapshots: u64,
    /// The longest between two snapshots of the metadata.
    metadata_log_max_snapshot_interval_ms: Duration,

    /// How often retention looks.
    log_retention_check_interval_ms: Duration,
    /// How often the flusher looks for logs that are due by `flush.ms`.
    log_flush_scheduler_interval_ms: Duration,
    /// How often recovery points go to their checkpoint file.
    log_flush_offset_checkpoint_interval_ms: Duration,
    /// How often log start offsets go to their checkpoint file.
    log_flush_start_offset_checkpoint_interval_ms: Duration,
    /// From the start to the first run of the log's background tasks.
    log_initial_task_delay_ms: Duration,
    /// A failed directory that the controller has not acknowledged for so long stops the broker.
    log_dir_failure_timeout_ms: Duration,
    /// Threads that recover logs at the start and flush them at the end.
    num_recovery_threads_per_data_dir: u32,
    /// Whether the cleaner runs.
    log_cleaner_enable: bool,
    /// Cleaner threads.
    log_cleaner_threads: u32,
    /// Pause of a cleaner that found nothing.
    log_cleaner_backoff_ms: Duration,
    /// Bytes of the offset maps of all cleaner threads.
    log_cleaner_dedupe_buffer_size: u64,

    /// A producer id without a batch for so long is forgotten.
    producer_id_expiration_ms: Duration,
    /// How often that is looked at.
    producer_id_expiration_check_interval_ms: Duration,

    /// Partitions of `__consumer_offsets`.
    offsets_topic_num_partitions: u32,
    /// Replicas of each of them.
    offsets_topic_replication_factor: u32,
    /// Size at which a segment of theirs is closed.
    offsets_topic_segment_bytes: u32,
    /// Longest metadata of a committed offset, in characters.
    offset_metadata_max_bytes: u32,
    /// How long an operation of the group coordinator waits for its records to be committed.
    offsets_commit_timeout_ms: Duration,
    /// How often offsets are looked at whose retention may be over.
    offsets_retention_check_interval_ms: Duration,
    /// How long offsets are kept that nobody needs.
    offsets_retention_minutes: Duration,
    /// How long a new group waits for its members.
    group_initial_rebalance_delay_ms: Duration,
    /// The shortest session of a member of a classic group.
    group_min_session_timeout_ms: Duration,
    /// The longest.
    group_max_session_timeout_ms: Duration,
    /// Members a classic group can have.
    group_max_size: u32,
    /// How long a member of a consumer group may be silent.
    group_consumer_session_timeout_ms: Duration,
    /// How often it is told to send a heartbeat.
    group_consumer_heartbeat_interval_ms: Duration,
    /// Members a consumer group can have.
    group_consumer_max_size: u32,
    /// What assigns for consumer groups.
    group_consumer_assignors: ServerAssignors,
    /// Whether groups with members change their protocol.
    group_consumer_migration_policy: MigrationPolicy,
    /// The shortest time between two assignments of a consumer group.
    group_consumer_assignment_interval_ms: Duration,
    /// Which protocols groups may use.
    group_coordinator_rebalance_protocols: RebalanceProtocols,
    /// Threads of the group coordinator.
    group_coordinator_threads: u32,
    /// How long its records are gathered before they are appended; none: until nothing else is to be done.
    group_coordinator_append_linger_ms: Option<Duration>,
}
