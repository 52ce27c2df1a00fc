//! What a consumer with assigned partitions runs with.

use std::sync::Arc;

use ktrial_sim::Duration;

use super::{IsolationLevel, MetadataRecoveryStrategy, settings_view};
use crate::config::catalogue::Scope;
use crate::config::offset_reset::OffsetReset;

settings_view! {
    /// The settings of a consumer that uses `assign` (`ConsumerConfig`); those of groups are not among them.
    #[derive(Clone, Debug, PartialEq, Eq)]
    ReaderSettings of Scope::Consumer;

    /// Bytes that end a parked fetch.
    fetch_min_bytes: u32,
    /// The longest a broker parks a fetch.
    fetch_max_wait_ms: Duration,
    /// Bytes of one answer.
    fetch_max_bytes: u32,
    /// Bytes per partition and answer.
    max_partition_fetch_bytes: u32,
    /// Records that one `poll` returns.
    max_poll_records: u32,
    /// How far it reads.
    isolation_level: IsolationLevel,
    /// Where it starts without a position, or after losing it.
    auto_offset_reset: OffsetReset,
    /// Its rack, for fetching from followers.
    client_rack: Option<Arc<str>>,
    /// Whether it checks the batches it gets.
    check_crcs: bool,
    /// Whether asking for an unknown topic may create it.
    allow_auto_create_topics: bool,

    /// From writing a request to its answer.
    request_timeout_ms: Duration,
    /// The longest a call without a time-out of its own waits.
    default_api_timeout_ms: Duration,
    /// First pause before a retry; doubles.
    retry_backoff_ms: Duration,
    /// Longest pause before a retry.
    retry_backoff_max_ms: Duration,
    /// First pause before connecting again; doubles.
    reconnect_backoff_ms: Duration,
    /// Longest pause before connecting again.
    reconnect_backoff_max_ms: Duration,
    /// First time-out of setting up a connection.
    socket_connection_setup_timeout_ms: Duration,
    /// Longest time-out of setting up a connection.
    socket_connection_setup_timeout_max_ms: Duration,
    /// Idle connections are closed after this; none: never.
    connections_max_idle_ms: Option<Duration>,
    /// Metadata is asked for again after this, changed or not.
    metadata_max_age_ms: Duration,
    /// What to do when no known broker answers.
    metadata_recovery_strategy: MetadataRecoveryStrategy,
    /// How long without metadata until then.
    metadata_recovery_rebootstrap_trigger_ms: Duration,
}
