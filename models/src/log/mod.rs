//! A partition's log on one replica: `UnifiedLog` with `LocalLog`, `LogLoader`, `LeaderEpochFileCache` and
//! `ProducerStateManager`.
//!
//! The bytes live in the simulated disk's file only; a [`Log`] keeps what Kafka keeps in memory beside them.
//!
//! | state | moves by | survives |
//! |---|---|---|
//! | log end | append, truncation | read off the file |
//! | log start | leader's log start, retention, full truncation | `log-start-offset-checkpoint` |
//! | high watermark | [`Log::maybe_increment_high_watermark`] on leaders, [`Log::update_high_watermark`] on followers | `replication-offset-checkpoint` |
//! | recovery point | [`Log::flush`], truncation | `recovery-point-offset-checkpoint` |
//! | epoch cache | appends and new leaders (written at once), truncation (written later) | `leader-epoch-checkpoint` |
//! | producers | appends; reloaded by truncation | `.snapshot` files: at rolls, loads, truncations, clean stops |
//!
//! Locks: Kafka does each public function here under the log's own lock; none is split. Errors: whatever the disk
//! refuses is a [`StorageError`] (KAFKA_STORAGE_ERROR) and takes the log offline until the process starts anew.
//!
//! Segments are modelled as far as flushing, recovery and retention need them ([`segments`], [`retention`]).
//! Compaction, jitter of rolls, full indexes, transactions and tiered storage are not: `cleanup.policy` beyond
//! retention and the check of null keys, `segment.jitter.ms`, `segment.index.bytes` and `index.interval.bytes` change
//! nothing here. A deleted segment stays deleted: that its renaming may not have reached the platter when the power
//! fails, so that it is there again until the next run of retention, is left out.
//! A snapshot that Kafka writes at a roll without fsync counts as durable: where a power loss takes log behind
//! it, loading drops the snapshot anyway, as it drops all beyond the log's end.

mod append;
pub mod epochs;
mod flush;
mod load;
mod machine;
pub mod producers;
mod read;
pub mod retention;
pub mod segments;
mod truncate;

#[cfg(test)]
pub(crate) mod bench;
#[cfg(test)]
mod tests;

use ktrial_sim::{Duration, FileId, Time};

use crate::config::TopicSettings;
use crate::documents::Document;
use crate::ids::{LeaderEpoch, Offset, PartitionId};
use crate::kafka::{document, partition_log};
use crate::mutation::Mutations;
use crate::notes::{LogNote, Note};
use crate::protocol::ErrorCode;

pub use append::{Appended, FollowerAppendError, FollowerAppended};
pub use epochs::{EpochCache, EpochEntries};
pub use flush::{checkpoint_high_watermarks, checkpoint_log_starts, checkpoint_recovery_points};
pub use load::Loaded;
pub use machine::Machine;
pub use producers::{ProducerSnapshot, ProducerSnapshots, ProducerStates};
pub use retention::{Deleted, RetentionReason};
pub use segments::Segments;

/// The disk refused; the log is offline (`KafkaStorageException`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageError;

impl From<StorageError> for ErrorCode {
    fn from(_: StorageError) -> Self {
        ErrorCode::KafkaStorageError
    }
}

/// A partition's log on one replica.
#[derive(Clone, Debug)]
pub struct Log {
    partition: PartitionId,
    settings: TopicSettings,
    producer_id_expiration: Duration,
    mutations: Mutations,
    start: Offset,
    end: Offset,
    high_watermark: Offset,
    recovery_point: Offset,
    /// When the recovery point last rose by a flush, else when this object was made. Wall clock.
    last_flush: Time,
    epochs: EpochCache,
    epochs_unwritten: bool,
    producers: ProducerStates,
    segments: Segments,
    offline: bool,
}

impl Log {
    /// Whose log it is.
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    /// What holds for its topic.
    #[inline]
    pub fn settings(&self) -> &TopicSettings {
        &self.settings
    }

    /// The topic's settings changed (`UnifiedLog.updateConfig`).
    pub fn update_settings(&mut self, settings: TopicSettings) {
        self.settings = settings;
    }

    /// Offset of its first record.
    #[inline]
    pub fn start(&self) -> Offset {
        self.start
    }

    /// The log end offset: the offset the next record gets.
    #[inline]
    pub fn end(&self) -> Offset {
        self.end
    }

    /// The high watermark.
    #[inline]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The last stable offset. Without transactions it is the high watermark.
    #[inline]
    pub fn last_stable_offset(&self) -> Offset {
        self.high_watermark
    }

    /// Everything below is on the platter, as far as the log knows.
    pub fn recovery_point(&self) -> Offset {
        self.recovery_point
    }

    /// When it was last flushed (`LocalLog.lastFlushTime`, wall clock): each flush that had something to bring to the
    /// platter counts, whoever asked for it; before the first one, when the log was loaded or created.
    pub fn last_flush(&self) -> Time {
        self.last_flush
    }

    /// The leader epochs it knows.
    pub fn epochs(&self) -> &EpochCache {
        &self.epochs
    }

    /// The newest leader epoch it knows.
    #[inline]
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.latest()
    }

    /// The idempotent producers it knows.
    pub fn producers(&self) -> &ProducerStates {
        &self.producers
    }

    /// Its segments.
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// Whether its disk failed.
    #[inline]
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// The largest epoch not above the one asked for and where it ends here; `None` if it is newer than all known.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs.end_offset_for(epoch, self.end)
    }

    /// A new leader's epoch starts at an offset: the epoch file is written at once (KAFKA-7415).
    ///
    /// # Errors
    /// The disk refused.
    pub fn assign_epoch_start(
        &mut self,
        epoch: LeaderEpoch,
        start: Offset,
        machine: &mut impl Machine,
    ) -> Result<(), StorageError> {
        self.check_disk(machine)?;
        self.assign_epoch(epoch, start, machine);
        Ok(())
    }

    #[inline]
    fn assign_epoch(&mut self, epoch: LeaderEpoch, start: Offset, machine: &mut impl Machine) {
        if self.epochs.assign(epoch, start) {
            self.write_epochs(machine);
            self.tell_epochs(machine);
        }
    }

    /// Whether the epoch file waits for a background task to write it.
    pub fn has_unwritten_epochs(&self) -> bool {
        self.epochs_unwritten
    }

    /// Writes the epoch file: the background task that a truncation schedules, or an assignment at once.
    pub fn write_epochs(&mut self, machine: &mut impl Machine) {
        self.epochs_unwritten = false;
        let entries = self.epochs.entries().clone();
        let id = document::leader_epochs(self.partition);
        machine.disk().write_document(id, Document::LeaderEpochs(entries));
    }

    fn tell_epochs(&self, machine: &mut impl Machine) {
        let epochs = LogNote::Epochs(self.epochs.entries().to_vec());
        machine.tell(Note::Log(self.partition, epochs));
    }

    /// Sets a follower's high watermark to its leader's, as far as the log reaches (`maybeUpdateHighWatermark`).
    /// It may go back. Returns whether it moved.
    pub fn update_high_watermark(&mut self, to: Offset, machine: &mut impl Machine) -> bool {
        let to = to.max(self.start).min(self.end);
        let moved = to != self.high_watermark;
        self.high_watermark = to;
        if moved {
            machine.tell(Note::Log(self.partition, LogNote::FollowerHighWatermark(to)));
        }
        moved
    }

    /// Raises a leader's high watermark; it never goes back. Returns whether it moved.
    #[inline]
    pub fn maybe_increment_high_watermark(&mut self, to: Offset) -> bool {
        assert!(
            to <= self.end,
            "a high watermark of {to} beyond the log's end {}",
            self.end
        );
        let moved = to > self.high_watermark;
        if moved {
            self.high_watermark = to;
        }
        moved
    }

    /// Forgets producers by `producer.id.expiration.ms`; the broker calls it every
    /// `producer.id.expiration.check.interval.ms`.
    pub fn remove_expired_producers(&mut self, machine: &mut impl Machine) {
        let now = machine.wall();
        self.producers.remove_expired(now, self.producer_id_expiration);
    }

    #[inline]
    fn file(&self) -> FileId {
        partition_log(self.partition)
    }

    /// Whether the disk takes writes; if not, this log goes offline.
    #[inline]
    fn check_disk(&mut self, machine: &mut impl Machine) -> Result<(), StorageError> {
        if machine.disk().health.refuses.is_some() {
            self.fail(machine);
        }
        match self.offline {
            true => Err(StorageError),
            false => Ok(()),
        }
    }

    /// Takes the log offline: its log directory failed (`LogDirFailureChannel`), here or at another log.
    pub fn fail(&mut self, machine: &mut impl Machine) {
        if !self.offline {
            self.offline = true;
            machine.tell(Note::Log(self.partition, LogNote::Offline));
        }
    }
}
