//! Appending: `UnifiedLog.append`, in its order.

use ktrial_sim::Time;

use super::producers::Check;
use super::{Log, Machine, StorageError};
use crate::config::TimestampType;
use crate::ids::{LeaderEpoch, Offset};
use crate::mutation::Mutation;
use crate::notes::{LogNote, Note};
use crate::protocol::ErrorCode;
use crate::records::{Batch, LogEntry};

/// What became of a batch that a leader was asked to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record: where it was before, if it is a duplicate.
    pub base_offset: Offset,
    /// The offset behind its last record: what the high watermark must reach.
    pub next_offset: Offset,
    /// The batch was in the log already; nothing was appended.
    pub duplicate: bool,
    /// `flush.messages` is reached: the appending thread flushes up to the log's end before it goes on.
    pub flush_due: bool,
    /// A segment was rolled: a background task flushes everything below this offset, its successor's base.
    pub rolled: Option<Offset>,
}

/// What became of batches copied from a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerAppended {
    /// How many bytes were appended; batches of a later epoch than the request's are not among them.
    pub bytes: u32,
    /// The epoch of the last batch appended.
    pub last_epoch: Option<LeaderEpoch>,
    /// `flush.messages` is reached: the fetcher thread flushes up to the log's end before it goes on.
    pub flush_due: bool,
    /// A segment was rolled: a background task flushes everything below this offset.
    pub rolled: Option<Offset>,
}

/// Why batches copied from a leader were not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowerAppendError {
    /// The disk refused (`KafkaStorageException`): the fetcher gives the partition up.
    Storage,
    /// A checksum does not fit (`CorruptRecordException`): the fetcher tries again after a pause.
    Corrupt,
    /// Offsets do not rise within the batches (`OffsetsOutOfOrderException`): the fetcher gives the partition up.
    OutOfOrder,
    /// The batches are larger than a segment (`RecordBatchTooLargeException`): the fetcher gives the partition up.
    TooLarge,
    /// The first batch begins before the log's end (`UnexpectedAppendOffsetException`).
    Unexpected {
        /// Its first offset.
        first: Offset,
        /// The last offset of all batches.
        last: Offset,
    },
}

impl From<StorageError> for FollowerAppendError {
    fn from(_: StorageError) -> Self {
        FollowerAppendError::Storage
    }
}

impl Log {
    /// Appends a batch as the leader of `epoch`: the size and the checksum are checked, offsets and timestamps
    /// set, the epoch file written if the epoch is new, a segment rolled if it is full, and only then the
    /// numbering looked at. So a refusal for its numbering leaves the epoch and the roll done.
    ///
    /// # Errors
    /// MESSAGE_TOO_LARGE, CORRUPT_MESSAGE, INVALID_RECORD, INVALID_TIMESTAMP, RECORD_LIST_TOO_LARGE,
    /// INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER, KAFKA_STORAGE_ERROR: nothing was appended.
    pub fn append_as_leader(
        &mut self,
        batch: &Batch,
        epoch: LeaderEpoch,
        machine: &mut impl Machine,
    ) -> Result<Appended, ErrorCode> {
        let mut batch = *batch;
        if batch.bytes > self.settings.max_message_bytes {
            return Err(ErrorCode::MessageTooLarge);
        }
        if batch.corrupt {
            return Err(ErrorCode::CorruptMessage);
        }
        self.check_disk(machine)?;
        batch.base_offset = self.next_base(machine);
        batch.leader_epoch = epoch;
        self.validate_records(&mut batch, machine)?;
        self.assign_epoch(epoch, batch.base_offset, machine);
        if batch.bytes > self.settings.segment_size() {
            return Err(ErrorCode::RecordListTooLarge);
        }
        let rolled = self.maybe_roll(batch.bytes, batch.max_timestamp, batch.base_offset, machine);
        if let Some(duplicate) = self.duplicate_of(&batch)? {
            return Ok(Appended {
                base_offset: duplicate,
                next_offset: duplicate.plus(u64::from(batch.records.count)),
                duplicate: true,
                flush_due: false,
                rolled,
            });
        }
        self.write(batch, true, machine);
        Ok(Appended {
            base_offset: batch.base_offset,
            next_offset: batch.next_offset(),
            duplicate: false,
            flush_due: self.flush_is_due(),
            rolled,
        })
    }

    /// The offset the next batch of a leader gets.
    #[inline]
    fn next_base(&self, machine: &mut impl Machine) -> Offset {
        if self.mutations.has(Mutation::ReuseOffset) {
            let file = self.file();
            let mut newest = machine.disk().file(file).entries().iter().rev();
            let (last, before) = (newest.next(), newest.next());
            let is_double =
                before.map(|entry| entry.data().next_offset()) > last.map(|entry| entry.data().base_offset);
            if last.is_some() && !is_double {
                return Offset(self.end.0 - 1);
            }
        }
        self.end
    }

    /// `LogValidator`: null keys where a topic is compacted, timestamps against this leader's clock. Every record is
    /// looked at, and one wrong timestamp decides the error, even behind records without keys
    /// (`processRecordErrors`); of a record without its key the timestamp is not looked at.
    fn validate_records(&self, batch: &mut Batch, machine: &mut impl Machine) -> Result<(), ErrorCode> {
        let now = machine.wall();
        let records = machine.contents().records(batch.records);
        let checks_timestamps = self.settings.message_timestamp_type == TimestampType::CreateTime;
        let before = self.settings.message_timestamp_before_max_ms.as_millis();
        let after = self.settings.message_timestamp_after_max_ms.as_millis();
        let mut lacks_keys = false;
        for record in records {
            if self.settings.cleanup_policy.compact && record.key.is_none() {
                lacks_keys = true;
                continue;
            }
            if checks_timestamps {
                let (now, timestamp) = (now.millis(), record.timestamp.millis());
                if now.saturating_sub(timestamp) > before || timestamp.saturating_sub(now) > after {
                    return Err(ErrorCode::InvalidTimestamp);
                }
                batch.max_timestamp = batch.max_timestamp.max(record.timestamp);
            }
        }
        if !checks_timestamps {
            batch.max_timestamp = now;
        }
        match lacks_keys {
            true => Err(ErrorCode::InvalidRecord),
            false => Ok(()),
        }
    }

    /// Where a numbered batch is in the log already.
    #[inline]
    fn duplicate_of(&self, batch: &Batch) -> Result<Option<Offset>, ErrorCode> {
        let Some(numbering) = batch.numbering else {
            return Ok(None);
        };
        if self.mutations.has(Mutation::NoDeduplication) {
            return Ok(None);
        }
        match self.producers.check(numbering, batch.records.count)? {
            Check::New => Ok(None),
            Check::Duplicate(earlier) => Ok(Some(earlier.base_offset)),
        }
    }

    /// Appends what a leader answered to a fetch of `epoch` (the leader epoch in the request). Batches from the
    /// first of a later epoch on are ignored: the leader may have read them while its log was being replaced
    /// (hazard R12). Gaps in the offsets are legal, going back is not. Numbering is taken as it is.
    ///
    /// # Errors
    /// See [`FollowerAppendError`]; nothing was appended.
    pub fn append_as_follower(
        &mut self,
        batches: &[Batch],
        epoch: LeaderEpoch,
        machine: &mut impl Machine,
    ) -> Result<FollowerAppended, FollowerAppendError> {
        let valid = batches
            .iter()
            .take_while(|batch| batch.leader_epoch <= epoch)
            .count();
        let mut batches = &batches[..valid];
        if self.mutations.has(Mutation::SkipBatchOnFollower) && batches.len() > 1 {
            batches = &batches[1..];
        }
        let [first, ..] = batches else {
            return Ok(FollowerAppended {
                bytes: 0,
                last_epoch: None,
                flush_due: false,
                rolled: None,
            });
        };
        let last = batches.last().expect("there is a first one");
        if batches
            .windows(2)
            .any(|pair| pair[0].last_offset() >= pair[1].last_offset())
        {
            return Err(FollowerAppendError::OutOfOrder);
        }
        if batches.iter().any(|batch| batch.corrupt) {
            return Err(FollowerAppendError::Corrupt);
        }
        self.check_disk(machine)?;
        if first.base_offset < self.end {
            return Err(FollowerAppendError::Unexpected {
                first: first.base_offset,
                last: last.last_offset(),
            });
        }
        for batch in batches {
            self.assign_epoch(batch.leader_epoch, batch.base_offset, machine);
        }
        let bytes: u32 = batches.iter().map(|batch| batch.bytes).sum();
        if bytes > self.settings.segment_size() {
            return Err(FollowerAppendError::TooLarge);
        }
        let timestamp = batches.iter().map(|batch| batch.max_timestamp).max();
        let timestamp = timestamp.expect("there is a first one");
        let rolled = self.maybe_roll(bytes, timestamp, first.base_offset, machine);
        for batch in batches {
            self.write(*batch, false, machine);
        }
        Ok(FollowerAppended {
            bytes,
            last_epoch: Some(last.leader_epoch),
            flush_due: self.flush_is_due(),
            rolled,
        })
    }

    /// Opens a new segment if this append needs one; the snapshot of the producers is written along with it.
    #[inline]
    fn maybe_roll(
        &mut self,
        bytes: u32,
        timestamp: Time,
        base: Offset,
        machine: &mut impl Machine,
    ) -> Option<Offset> {
        if !self.segments.should_roll(bytes, timestamp, &self.settings) {
            return None;
        }
        self.segments.roll(base);
        self.producers.advance(base);
        self.producers.take_snapshot(self.partition, machine.disk());
        Some(base)
    }

    #[inline]
    fn write(&mut self, batch: Batch, leads: bool, machine: &mut impl Machine) {
        let file = self.file();
        machine.disk().file(file).append(LogEntry::Data(batch));
        self.end = batch.next_offset();
        self.segments.appended(batch.bytes, batch.max_timestamp);
        self.producers.append(&batch);
        machine.tell(Note::Log(self.partition, LogNote::Appended { batch, leads }));
    }

    #[inline]
    fn flush_is_due(&self) -> bool {
        self.end.0.saturating_sub(self.recovery_point.0) >= self.settings.flush_messages
    }
}
