//! What a producer runs with.

use std::sync::Arc;

use ktrial_sim::Duration;

use super::{Acks, Compression, MetadataRecoveryStrategy, Partitioner, settings_view};
use crate::config::catalogue::Scope;

settings_view! {
    /// A producer's settings (`ProducerConfig`) after Kafka's own corrections: `enable.idempotence` is what
    /// it really is, `delivery.timeout.ms` at least linger plus request time-out if it was not set.
    #[derive(Clone, Debug, PartialEq, Eq)]
    ProducerSettings of Scope::Producer;

    /// When a request counts as done.
    acks: Acks,
    /// Whether batches carry a producer id, an epoch and a sequence.
    enable_idempotence: bool,
    /// How often a failed batch is sent again.
    retries: u32,
    /// Unanswered requests per connection.
    max_in_flight_requests_per_connection: u32,
    /// From the creation of a batch to its final result.
    delivery_timeout_ms: Duration,
    /// From writing a request to its answer.
    request_timeout_ms: Duration,
    /// How long a batch waits for more records.
    linger_ms: Duration,
    /// Bytes of a batch.
    batch_size: u32,
    /// Bytes of all batches waiting.
    buffer_memory: u64,
    /// The longest `send` waits for metadata and memory.
    max_block_ms: Duration,
    /// The largest request, and the largest record before compression.
    max_request_size: u32,
    /// What a socket is asked to hold of what was written to it; none: as the system likes.
    send_buffer_bytes: Option<u64>,
    /// What batches are compressed with.
    compression_type: Compression,

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
    /// A topic not sent to for so long is dropped from the metadata.
    metadata_max_idle_ms: Duration,
    /// What to do when no known broker answers.
    metadata_recovery_strategy: MetadataRecoveryStrategy,
    /// How long without metadata until then.
    metadata_recovery_rebootstrap_trigger_ms: Duration,

    /// How partitions are chosen.
    partitioner_class: Partitioner,
    /// Whether slow brokers get fewer records without a key.
    partitioner_adaptive_partitioning_enable: bool,
    /// A broker not ready for so long gets none of them; zero: off.
    partitioner_availability_timeout_ms: Duration,
    /// Whether records with a key are spread like those without.
    partitioner_ignore_keys: bool,

    /// The identity of a transactional producer.
    transactional_id: Option<Arc<str>>,
    /// After which the coordinator aborts a transaction.
    transaction_timeout_ms: Duration,
    /// Whether somebody else decides a prepared transaction (KIP-939).
    transaction_two_phase_commit_enable: bool,
}
