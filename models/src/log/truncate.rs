//! Cutting: `UnifiedLog.truncateTo`, `truncateFullyAndStartAt`, `maybeIncrementLogStartOffset`.

use ktrial_sim::DocumentId;

use super::{Log, Machine, Segments, StorageError};
use crate::documents::Document;
use crate::ids::{LeaderEpoch, Offset};
use crate::kafka::document;
use crate::notes::{LogNote, Note, TruncationReason};
use crate::protocol::ErrorCode;

impl Log {
    /// Cuts the log so that it ends at `to`. A batch that holds `to` goes as a whole (`LogSegment.truncateTo` looks
    /// for the first batch whose last offset is not below it) and the log ends at `to` all the same, with a gap;
    /// epochs, high watermarks and log ends lie between batches, so nothing in Kafka asks for that.
    ///
    /// Epochs that start there or later are dropped, in memory now and in the file by a background task
    /// ([`Log::has_unwritten_epochs`]); log start, high watermark and recovery point come down to it; producers
    /// are loaded anew. Returns whether anything was cut. `epoch` is the one this replica follows, for the note.
    ///
    /// # Errors
    /// The disk refused.
    pub fn truncate_to(
        &mut self,
        to: Offset,
        epoch: LeaderEpoch,
        reason: TruncationReason,
        machine: &mut impl Machine,
    ) -> Result<bool, StorageError> {
        self.check_disk(machine)?;
        if to >= self.end {
            self.truncate_epochs_from_end(self.end, machine);
            return Ok(false);
        }
        if self.segments.first_base() > to {
            self.truncate_fully_and_start_at(to, epoch, reason, machine)?;
            return Ok(true);
        }
        let from = self.end;
        let file = self.file();
        let log = machine.disk().file(file);
        let kept = super::read::position(log.entries(), to);
        log.truncate(kept);
        self.segments.truncated(log.entries(), to);
        self.set_end(to);
        // Told first, so that whoever watches sees what follows on the log as it is now.
        self.tell_truncated(to, from, epoch, reason, machine);
        self.truncate_epochs_from_end(to, machine);
        self.start = self.start.min(to);
        self.rebuild_producers(to, false, machine);
        self.update_high_watermark(self.high_watermark.min(to), machine);
        self.checkpoint_own_recovery_point(machine);
        Ok(true)
    }

    /// Drops everything and begins anew at an offset.
    ///
    /// # Errors
    /// The disk refused.
    pub fn truncate_fully_and_start_at(
        &mut self,
        at: Offset,
        epoch: LeaderEpoch,
        reason: TruncationReason,
        machine: &mut impl Machine,
    ) -> Result<(), StorageError> {
        self.check_disk(machine)?;
        let from = self.end;
        let file = self.file();
        machine.disk().file(file).truncate(0);
        self.segments = Segments::new(at);
        self.set_end(at);
        self.tell_truncated(at, from, epoch, reason, machine);
        self.epochs.clear();
        self.write_epochs(machine);
        self.producers.truncate_fully(self.partition, at, machine.disk());
        self.start = at;
        self.update_high_watermark(at, machine);
        self.checkpoint_own_recovery_point(machine);
        self.write_own_offset(document::LOG_STARTS, at, machine);
        self.tell_epochs(machine);
        Ok(())
    }

    /// Moves the log's start forward: a follower takes it from its leader. Records stay on disk until retention finds
    /// their whole segment below. Returns whether it moved.
    ///
    /// # Errors
    /// OFFSET_OUT_OF_RANGE: the new start lies beyond the high watermark. KAFKA_STORAGE_ERROR.
    pub fn maybe_increment_log_start(
        &mut self,
        to: Offset,
        machine: &mut impl Machine,
    ) -> Result<bool, ErrorCode> {
        if to > self.high_watermark {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        if to <= self.start {
            return Ok(false);
        }
        self.check_disk(machine)?;
        self.start = to;
        if self.epochs.truncate_from_start(to) {
            self.epochs_unwritten = true;
            self.tell_epochs(machine);
        }
        Ok(true)
    }

    fn set_end(&mut self, end: Offset) {
        self.end = end;
        self.recovery_point = self.recovery_point.min(end);
    }

    pub(super) fn truncate_epochs_from_end(&mut self, end: Offset, machine: &mut impl Machine) {
        if self.epochs.truncate_from_end(end) {
            self.epochs_unwritten = true;
            self.tell_epochs(machine);
        }
    }

    /// `LogManager.truncateTo` writes the recovery points of the whole directory; here the line of this log
    /// changes, which is the only one that must.
    fn checkpoint_own_recovery_point(&self, machine: &mut impl Machine) {
        self.write_own_offset(document::RECOVERY_POINTS, self.recovery_point, machine);
    }

    pub(super) fn write_own_offset(&self, id: DocumentId, offset: Offset, machine: &mut impl Machine) {
        let partition = self.partition;
        machine.disk().update_document(
            id,
            || Document::Offsets(Vec::new()),
            |document| {
                let Document::Offsets(offsets) = document else {
                    unreachable!("not a checkpoint of offsets: {document:?}");
                };
                match offsets.binary_search_by_key(&partition, |line| line.0) {
                    Ok(at) => offsets[at].1 = offset,
                    Err(at) => offsets.insert(at, (partition, offset)),
                }
            },
        );
    }

    fn tell_truncated(
        &self,
        to: Offset,
        from: Offset,
        epoch: LeaderEpoch,
        reason: TruncationReason,
        machine: &mut impl Machine,
    ) {
        let truncated = LogNote::Truncated {
            to,
            from,
            epoch,
            reason,
        };
        machine.tell(Note::Log(self.partition, truncated));
    }
}
