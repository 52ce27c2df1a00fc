//! The metadata log on disk and the index of its epochs (`KafkaRaftLog`, `LeaderEpochFileCache`).

use ktrial_sim::File;
use smallvec::SmallVec;

use crate::ids::{Offset, QuorumEpoch};
use crate::records::{LogEntry, MetadataBatch};

/// What is known of the log without reading it: where epochs start, and its end. It starts at 0: there are no
/// snapshots, because no trial writes the 20 MiB after which Kafka makes one.
#[derive(Clone, Debug, Default)]
pub(super) struct MetadataLog {
    /// Strictly increasing in both; the last may own no record yet.
    epochs: Vec<(QuorumEpoch, Offset)>,
    end: Offset,
}

impl MetadataLog {
    /// Reads the log after a start. A batch that cannot be read ends it: it and everything behind it is cut off
    /// (`LogSegment.recover`; the metadata log is always recovered from its beginning). Returns the end before
    /// the cut if there was one.
    pub(super) fn load(&mut self, file: &mut File<LogEntry>) -> Option<Offset> {
        self.epochs.clear();
        self.end = Offset(0);
        let mut readable = 0;
        for batch in file.entries().iter().map(LogEntry::metadata) {
            if batch.corrupt || batch.base_offset != self.end {
                break;
            }
            self.follow(batch);
            readable += 1;
        }
        let before = file.entries().last()?.metadata().next_offset();
        if readable == file.entries().len() {
            return None;
        }
        file.truncate(readable);
        Some(before)
    }

    fn follow(&mut self, batch: &MetadataBatch) {
        if self.epochs.last().is_none_or(|(epoch, _)| *epoch < batch.epoch) {
            self.epochs.push((batch.epoch, batch.base_offset));
        }
        self.end = batch.next_offset();
    }

    /// The offset of the next record.
    pub(super) fn end(&self) -> Offset {
        self.end
    }

    /// The newest epoch; 0 for an empty log.
    pub(super) fn last_epoch(&self) -> QuorumEpoch {
        self.epochs.last().map_or(QuorumEpoch(0), |(epoch, _)| *epoch)
    }

    /// A new leader's epoch starts at the end of the log (`initializeLeaderEpoch`).
    pub(super) fn start_epoch(&mut self, epoch: QuorumEpoch) {
        let end = self.end;
        self.epochs.retain(|(_, start)| *start < end);
        self.epochs.push((epoch, end));
    }

    /// Appends a batch at the end.
    pub(super) fn append(&mut self, batch: MetadataBatch, file: &mut File<LogEntry>) {
        assert_eq!(batch.base_offset, self.end, "the log has no gaps");
        file.append(LogEntry::Metadata(batch));
        self.follow(&batch);
    }

    /// The largest epoch not above `epoch` and where it ends (`endOffsetForEpoch`); for an epoch newer than all
    /// of them, the newest one.
    pub(super) fn end_offset_for_epoch(&self, epoch: QuorumEpoch) -> (QuorumEpoch, Offset) {
        let newer = self.epochs.partition_point(|(known, _)| *known <= epoch);
        match (newer.checked_sub(1), self.epochs.get(newer)) {
            (Some(last), None) => (self.epochs[last].0, self.end),
            (Some(last), Some((_, start))) => (self.epochs[last].0, *start),
            (None, Some((_, start))) => (epoch, *start),
            (None, None) => (QuorumEpoch(0), self.end),
        }
    }

    /// Whether a reader with records up to `offset`, the last of `epoch`, has what this log has; if not, where
    /// to look next (`RaftLog.validateOffsetAndEpoch`).
    pub(super) fn validate(&self, offset: Offset, epoch: QuorumEpoch) -> Result<(), (QuorumEpoch, Offset)> {
        if offset == Offset(0) {
            return Ok(());
        }
        let (known, end) = self.end_offset_for_epoch(epoch);
        if known != epoch || end < offset {
            Err((known, end))
        } else {
            Ok(())
        }
    }

    /// Where to cut after a leader told that its `epoch` ends at `end` (`RaftLog.truncateToEndOffset`).
    pub(super) fn truncation_point(&self, epoch: QuorumEpoch, end: Offset) -> Offset {
        if epoch == QuorumEpoch(0) {
            return end.min(self.end);
        }
        let (known, own_end) = self.end_offset_for_epoch(epoch);
        if known == epoch { own_end.min(end) } else { own_end }
    }

    /// Cuts everything from `to` on; a batch that contains it goes as a whole.
    pub(super) fn truncate(&mut self, to: Offset, file: &mut File<LogEntry>) {
        let keep = file
            .entries()
            .partition_point(|entry| entry.metadata().next_offset() <= to);
        file.truncate(keep);
        self.end = file
            .entries()
            .last()
            .map_or(Offset(0), |entry| entry.metadata().next_offset());
        let end = self.end;
        self.epochs.retain(|(_, start)| *start < end);
    }

    /// Adds the batches from `from` on: at least one if there is one, and no more than `most` bytes otherwise.
    pub(super) fn read(
        file: &File<LogEntry>,
        from: Offset,
        most: u32,
        batches: &mut SmallVec<[MetadataBatch; 4]>,
    ) {
        let entries = file.entries();
        // Readers are at the end, or one batch before it.
        let is_read = |entry: &LogEntry| entry.metadata().next_offset() <= from;
        let first = match entries {
            [.., last] if is_read(last) => entries.len(),
            [.., before, _] if is_read(before) => entries.len() - 1,
            _ => entries.partition_point(is_read),
        };
        let mut bytes = 0;
        for batch in entries[first..].iter().map(LogEntry::metadata) {
            bytes += BATCH_BYTES + RECORD_BYTES * batch.records.count;
            if bytes > most && !batches.is_empty() {
                break;
            }
            batches.push(*batch);
        }
    }
}

/// A batch's header.
const BATCH_BYTES: u32 = 61;
/// A record of the metadata log, about.
const RECORD_BYTES: u32 = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Records;

    fn log(batches: &[(u32, u64, u32)]) -> (MetadataLog, File<LogEntry>) {
        let (mut log, mut file) = (MetadataLog::default(), File::default());
        for (epoch, base, count) in batches {
            let batch = MetadataBatch {
                base_offset: Offset(*base),
                epoch: QuorumEpoch(*epoch),
                records: Records {
                    start: 0,
                    count: *count,
                },
                corrupt: false,
            };
            log.append(batch, &mut file);
        }
        (log, file)
    }

    #[test]
    fn a_reader_of_another_epoch_is_told_where_to_look_next() {
        let (log, _) = log(&[(1, 0, 4), (3, 4, 2), (3, 6, 2), (5, 8, 1)]);
        assert_eq!(log.validate(Offset(7), QuorumEpoch(3)), Ok(()));
        assert_eq!(
            log.validate(Offset(9), QuorumEpoch(3)),
            Err((QuorumEpoch(3), Offset(8)))
        );
        assert_eq!(
            log.validate(Offset(6), QuorumEpoch(2)),
            Err((QuorumEpoch(1), Offset(4)))
        );
        assert_eq!(
            log.validate(Offset(9), QuorumEpoch(6)),
            Err((QuorumEpoch(5), Offset(9)))
        );
        assert_eq!(log.validate(Offset(0), QuorumEpoch(0)), Ok(()));
    }

    #[test]
    fn a_follower_cuts_to_the_end_of_the_epoch_it_shares_with_its_leader() {
        let (log, _) = log(&[(1, 0, 4), (2, 4, 3)]);
        assert_eq!(log.truncation_point(QuorumEpoch(1), Offset(9)), Offset(4));
        assert_eq!(log.truncation_point(QuorumEpoch(2), Offset(5)), Offset(5));
        assert_eq!(log.truncation_point(QuorumEpoch(3), Offset(6)), Offset(7));
    }

    #[test]
    fn cutting_inside_a_batch_takes_the_whole_batch_and_its_epoch() {
        let (mut log, mut file) = log(&[(1, 0, 4), (2, 4, 3)]);
        log.truncate(Offset(6), &mut file);
        assert_eq!((log.end(), log.last_epoch()), (Offset(4), QuorumEpoch(1)));
        assert_eq!(file.entries().len(), 1);
    }

    #[test]
    fn recovery_ends_the_log_at_the_first_batch_it_cannot_read() {
        let (mut log, mut file) = log(&[(1, 0, 4), (1, 4, 3), (2, 7, 1)]);
        assert_eq!(log.load(&mut file), None);
        file.corrupt(1);
        assert_eq!(log.load(&mut file), Some(Offset(8)));
        assert_eq!((log.end(), log.last_epoch()), (Offset(4), QuorumEpoch(1)));
    }

    #[test]
    fn a_read_returns_at_least_one_batch_and_stops_at_its_limit() {
        let (_, file) = log(&[(1, 0, 4), (1, 4, 3), (1, 7, 1)]);
        let bases = |from, most| {
            let mut read = SmallVec::new();
            MetadataLog::read(&file, Offset(from), most, &mut read);
            read.iter().map(|batch| batch.base_offset.0).collect::<Vec<_>>()
        };
        assert_eq!(bases(4, 1), [4]);
        assert_eq!(bases(0, 800), [0, 4]);
        assert_eq!(bases(8, 800), [0u64; 0]);
    }
}
