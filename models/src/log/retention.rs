//! Retention: `UnifiedLog.deleteOldSegments`.
//!
//! Each replica looks at its own log by its own clock. Segments go oldest first and whole: those that lie below the
//! log's start, then those too many for `retention.bytes`, then those too old for `retention.ms`, up to the first that
//! stays. None goes that reaches beyond the high watermark; the active one can go, and an empty one takes its place.

use super::producers::change_snapshots;
use super::segments::Segment;
use super::{Log, Machine, StorageError};
use crate::ids::Offset;
use crate::kafka::document;
use crate::notes::{LogNote, Note};
use crate::records::LogEntry;

/// Why segments went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionReason {
    /// They lay below the log's start.
    LogStart,
    /// `retention.bytes`.
    Size,
    /// `retention.ms`.
    Time,
}

/// What a run of retention leaves to background tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// A segment was rolled: everything below this offset, its successor's base, is to be flushed.
    pub rolled: Option<Offset>,
}

impl Log {
    /// Deletes the segments whose time has come. The epoch file may have to be written afterwards
    /// ([`Log::has_unwritten_epochs`]).
    ///
    /// # Errors
    /// The disk refused.
    pub fn delete_old_segments(&mut self, machine: &mut impl Machine) -> Result<Deleted, StorageError> {
        let mut done = Deleted::default();
        let start = self.start;
        let below = |segment: &Segment| segment.next.is_some_and(|next| next <= start);
        self.delete_while(below, RetentionReason::LogStart, &mut done, machine)?;
        if !self.settings.cleanup_policy.delete {
            return Ok(done);
        }
        if let Some(limit) = self.settings.retention_bytes {
            let entries = machine.disk().file(self.file()).entries();
            let size: u64 = entries.iter().map(|entry| u64::from(entry.data().bytes)).sum();
            let mut excess = size.checked_sub(limit);
            let too_many = |segment: &Segment| {
                excess = excess.and_then(|excess| excess.checked_sub(segment.bytes));
                excess.is_some()
            };
            self.delete_while(too_many, RetentionReason::Size, &mut done, machine)?;
        }
        if let Some(age) = self.settings.retention_ms {
            let now = machine.wall().millis();
            let too_old = |segment: &Segment| {
                let largest = segment.largest_timestamp;
                largest.is_some_and(|largest| now.saturating_sub(largest.millis()) > age.as_millis())
            };
            self.delete_while(too_old, RetentionReason::Time, &mut done, machine)?;
        }
        Ok(done)
    }

    /// `deletableSegments`, `deleteSegments`.
    fn delete_while(
        &mut self,
        mut condition: impl FnMut(&Segment) -> bool,
        why: RetentionReason,
        done: &mut Deleted,
        machine: &mut impl Machine,
    ) -> Result<(), StorageError> {
        let (end, high_watermark) = (self.end, self.high_watermark);
        let deletable = |segment: &Segment| {
            let is_last_and_empty = segment.next.is_none() && segment.bytes == 0;
            high_watermark >= segment.next.unwrap_or(end) && condition(segment) && !is_last_and_empty
        };
        let entries = machine.disk().file(self.file()).entries();
        let count = self.segments.each(entries).take_while(deletable).count();
        if count == 0 {
            return Ok(());
        }
        self.check_disk(machine)?;
        if count == self.segments.count() {
            self.segments.roll(end);
            self.producers.advance(end);
            self.producers.take_snapshot(self.partition, machine.disk());
            done.rolled = Some(end);
        }
        self.delete_first(count, why, machine);
        Ok(())
    }

    fn delete_first(&mut self, count: usize, why: RetentionReason, machine: &mut impl Machine) {
        let id = self.file();
        let below = self.segments.bases()[count];
        let moved = self.maybe_increment_log_start(below, machine);
        assert!(
            moved.is_ok(),
            "segments go below the high watermark only: {moved:?}"
        );
        let file = machine.disk().file(id);
        let gone = super::read::position(file.entries(), below);
        let batches = file.entries()[..gone]
            .iter()
            .map(LogEntry::data)
            .copied()
            .collect();
        file.remove_first(gone);
        if machine
            .disk()
            .document(document::producer_snapshot(self.partition))
            .is_some()
        {
            let deleted = &self.segments.bases()[..count];
            change_snapshots(self.partition, machine.disk(), |files| {
                files.0.retain(|file| !deleted.contains(&file.offset));
            });
        }
        self.segments.deleted(count);
        // In place of the name of the first file that is left.
        self.write_own_offset(document::LOG_STARTS, self.start, machine);
        let deleted = LogNote::SegmentsDeleted { below, batches, why };
        machine.tell(Note::Log(self.partition, deleted));
    }
}
