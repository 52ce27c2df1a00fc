//! What holds for one topic.

use ktrial_sim::Duration;

use super::{CleanupPolicy, Compression, Millionths, TimestampType, settings_view};
use crate::config::catalogue::Scope;

settings_view! {
    /// The settings of one topic's logs (`LogConfig`), after overrides, cluster-wide values and the
    /// node's own file. A broker and a controller may resolve the same topic differently, because each
    /// looks into its own file.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    TopicSettings of Scope::Topic;

    /// Replicas that must be in the ISR for acks=all; what counts is this or the replication factor,
    /// whichever is less (`Partition.effectiveMinIsr`).
    min_insync_replicas: u32,
    /// Whether a replica outside the ISR may lead.
    unclean_leader_election_enable: bool,

    /// Size at which a segment is closed.
    segment_bytes: u32,
    /// Overrides `segment.bytes` without its lower bound; Kafka keeps it for its own tests.
    internal_segment_bytes: Option<u32>,
    /// Age at which a segment is closed, by the timestamps of its records.
    segment_ms: Duration,
    /// Up to so much less than `segment.ms`, drawn for each segment.
    segment_jitter_ms: Duration,
    /// Size of an index file; a full one closes the segment.
    segment_index_bytes: u32,
    /// Bytes between two index entries.
    index_interval_bytes: u32,
    /// Whether segment files are allocated at once.
    preallocate: bool,

    /// What happens to old records.
    cleanup_policy: CleanupPolicy,
    /// Age at which a segment may go; none: never.
    retention_ms: Option<Duration>,
    /// Size of a partition above which its oldest segments may go; none: no limit.
    retention_bytes: Option<u64>,
    /// How long tombstones and markers stay after compaction first met them.
    delete_retention_ms: Duration,
    /// Younger records are not compacted.
    min_compaction_lag_ms: Duration,
    /// Older records make a log due for compaction.
    max_compaction_lag_ms: Duration,
    /// Share of dirty bytes that makes a log due for compaction.
    min_cleanable_dirty_ratio: Millionths,
    /// From deleting a segment to removing its file.
    file_delete_delay_ms: Duration,

    /// Records after which a log is flushed.
    flush_messages: u64,
    /// Age of unflushed records at which a log is flushed, when the flusher looks.
    flush_ms: Duration,

    /// The largest batch, compressed.
    max_message_bytes: u32,
    /// What the leader compresses with; none: as the producer did.
    compression_type: Option<Compression>,
    /// Whose timestamps records carry.
    message_timestamp_type: TimestampType,
    /// How far a record's timestamp may lie before the leader's clock.
    message_timestamp_before_max_ms: Duration,
    /// How far after it.
    message_timestamp_after_max_ms: Duration,
}

impl TopicSettings {
    /// Size at which a segment is closed (`LogConfig.segmentSize`).
    pub fn segment_size(&self) -> u32 {
        self.internal_segment_bytes.unwrap_or(self.segment_bytes)
    }
}
