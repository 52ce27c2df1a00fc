//! `ProducerBatch`: records on their way, with everything their fate depends on.

use ktrial_sim::{Duration, Time};

use crate::ids::{LeaderEpoch, PartitionId};
use crate::protocol::ErrorCode;
use crate::records::{Numbering, Record, Records};

/// Header of a record batch (`DefaultRecordBatch.RECORD_BATCH_OVERHEAD`).
pub(super) const BATCH_OVERHEAD: u32 = 61;

/// What a record may take at most beside its key, value and headers (`DefaultRecord.MAX_RECORD_OVERHEAD`).
const MAX_RECORD_OVERHEAD: u32 = 21;

/// What a batch of this one record may take at most (`AbstractRecords.estimateSizeInBytesUpperBound`): some bytes more
/// than it does take, so that a batch which was made for it is never full with it alone.
pub(super) fn upper_bound(record: &Record) -> u32 {
    // What the record says of itself: attributes and two distances from the batch's first record, a byte each, behind
    // the length of it all.
    let prefix = (1..=5).find(|prefix| bytes_of_varint(i64::from(record.bytes) - prefix) == *prefix as u32);
    let own = prefix.unwrap_or(1) as u32 + 3;
    BATCH_OVERHEAD + MAX_RECORD_OVERHEAD + record.bytes.saturating_sub(own)
}

/// Whether a batch of this one record may take more than `limit`.
#[inline]
pub(super) fn may_exceed(record: &Record, limit: u64) -> bool {
    // What prefixes take is of interest near the limit only.
    u64::from(BATCH_OVERHEAD + MAX_RECORD_OVERHEAD) + u64::from(record.bytes) > limit
        && u64::from(upper_bound(record)) > limit
}

/// Names a batch of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchId(pub(super) u32);

/// A batch. Times are readings of the wall clock.
#[derive(Clone, Debug)]
pub(super) struct ProducerBatch {
    pub(super) partition: PartitionId,
    /// Of its partition in the topic.
    pub(super) index: u32,
    pub(super) records: Vec<Record>,
    pub(super) stored: Option<Records>,
    /// Header and records.
    pub(super) bytes: u32,
    pub(super) largest_record: u32,
    /// Size at which it is full.
    pub(super) limit: u32,
    /// What it took of `buffer.memory`; a part of a split batch takes nothing.
    pub(super) buffer: u64,
    pub(super) closed: bool,
    pub(super) split: bool,
    pub(super) created: Time,
    pub(super) last_attempt: Time,
    pub(super) last_append: Time,
    pub(super) attempts: u32,
    /// Drawn when it was put back.
    pub(super) backoff: Duration,
    pub(super) retry: bool,
    pub(super) leader_epoch: Option<LeaderEpoch>,
    pub(super) attempts_at_leader_change: u32,
    pub(super) numbering: Option<Numbering>,
    /// It was renumbered and not drained since.
    pub(super) reopened: bool,
    pub(super) in_flight: bool,
    /// Its callbacks have run.
    pub(super) done: bool,
    /// Some attempt has no known end: the records can be in the log.
    pub(super) indefinite: bool,
}

impl ProducerBatch {
    pub(super) fn new(partition: PartitionId, index: u32, now: Time, limit: u32) -> Self {
        ProducerBatch {
            partition,
            index,
            records: Vec::new(),
            stored: None,
            bytes: BATCH_OVERHEAD,
            largest_record: 0,
            limit,
            buffer: 0,
            closed: false,
            split: false,
            created: now,
            last_attempt: now,
            last_append: now,
            attempts: 0,
            backoff: Duration::ZERO,
            retry: false,
            leader_epoch: None,
            attempts_at_leader_change: 0,
            numbering: None,
            reopened: false,
            in_flight: false,
            done: false,
            indefinite: false,
        }
    }

    /// Adds a record if there is room; the first always fits.
    pub(super) fn try_append(&mut self, record: Record, now: Time) -> bool {
        let bytes = self.bytes_of(&record);
        let full = self.limit <= self.bytes || self.limit < self.bytes + bytes;
        if self.closed || full && !self.records.is_empty() {
            return false;
        }
        self.bytes += bytes;
        self.largest_record = self.largest_record.max(BATCH_OVERHEAD + bytes);
        self.last_append = now;
        self.records.push(record);
        true
    }

    /// What a record takes as the next one (`DefaultRecord.sizeInBytes`): the further it is from the first one, by
    /// offset and by time, the more bytes tell how far.
    fn bytes_of(&self, record: &Record) -> u32 {
        let Some(first) = self.records.first() else {
            return record.bytes;
        };
        let later = record.timestamp.millis() as i64 - first.timestamp.millis() as i64;
        let (offset_delta, timestamp_delta) =
            (bytes_of_varint(self.records.len() as i64), bytes_of_varint(later));
        record.bytes + offset_delta - 1 + timestamp_delta - 1
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.closed || !self.records.is_empty() && self.limit <= self.bytes
    }

    pub(super) fn count(&self) -> u32 {
        self.records.len() as u32
    }

    pub(super) fn waited(&self, now: Time) -> Duration {
        now.since(self.last_attempt)
    }

    pub(super) fn has_reached(&self, delivery_timeout: Duration, now: Time) -> bool {
        delivery_timeout <= now.since(self.created)
    }

    /// A leader epoch newer than the last seen lets a retry skip its back-off (KIP-951).
    pub(super) fn maybe_update_leader_epoch(&mut self, latest: LeaderEpoch) {
        if self.leader_epoch.is_none_or(|known| known < latest) {
            self.attempts_at_leader_change = self.attempts;
            self.leader_epoch = Some(latest);
        }
    }

    pub(super) fn backs_off(&self, now: Time) -> bool {
        let leader_changed = self.attempts >= 1 && self.attempts == self.attempts_at_leader_change;
        !leader_changed && self.attempts > 0 && self.waited(now) < self.backoff
    }

    /// Goes back to its queue after a failed attempt.
    pub(super) fn reenqueued(&mut self, now: Time, backoff: Duration) {
        self.attempts += 1;
        self.last_attempt = self.last_append.max(now);
        self.last_append = self.last_append.max(now);
        self.backoff = backoff;
        self.retry = true;
    }

    pub(super) fn base_sequence(&self) -> Option<u32> {
        self.numbering.map(|numbering| numbering.base_sequence)
    }

    /// As Kafka computes it: without wrapping.
    pub(super) fn last_sequence(&self) -> Option<i64> {
        Some(i64::from(self.base_sequence()?) + i64::from(self.count()) - 1)
    }

    /// An attempt ended with `error`: does that leave open whether the records were appended?
    pub(super) fn note_attempt(&mut self, error: ErrorCode) {
        let refused_before_append = matches!(
            error,
            ErrorCode::NotEnoughReplicas
                | ErrorCode::MessageTooLarge
                | ErrorCode::RecordListTooLarge
                | ErrorCode::InvalidTopic
                | ErrorCode::InvalidRequiredAcks
                | ErrorCode::InvalidRecord
                | ErrorCode::InvalidTimestamp
        );
        self.indefinite |= !refused_before_append;
    }
}

/// All batches of a process.
#[derive(Debug, Default)]
pub(super) struct Batches {
    slots: Vec<ProducerBatch>,
    free: Vec<BatchId>,
}

impl Batches {
    /// Keeps a batch; takes the memory of one that is gone for its records.
    pub(super) fn add(&mut self, mut batch: ProducerBatch) -> BatchId {
        match self.free.pop() {
            Some(id) => {
                let slot = &mut self.slots[id.0 as usize];
                if batch.records.is_empty() {
                    batch.records = std::mem::take(&mut slot.records);
                    batch.records.clear();
                }
                *slot = batch;
                id
            }
            None => {
                self.slots.push(batch);
                BatchId(self.slots.len() as u32 - 1)
            }
        }
    }

    /// The batch is neither queued nor in flight any more.
    pub(super) fn remove(&mut self, id: BatchId) {
        debug_assert!(!self.free.contains(&id), "a batch goes once");
        self.free.push(id);
    }

    #[inline]
    pub(super) fn get(&self, id: BatchId) -> &ProducerBatch {
        &self.slots[id.0 as usize]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: BatchId) -> &mut ProducerBatch {
        &mut self.slots[id.0 as usize]
    }
}

/// How many bytes a number takes (`ByteUtils.sizeOfVarlong`): seven bits each, the sign among them.
#[inline]
fn bytes_of_varint(number: i64) -> u32 {
    let zigzag = (number << 1 ^ number >> 63) as u64;
    (64 - (zigzag | 1).leading_zeros()).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use ktrial_sim::NodeId;

    use super::*;
    use crate::ids::RecordId;

    #[test]
    fn a_number_takes_a_byte_for_each_seven_bits_of_it_and_its_sign() {
        let bytes = [0, 63, 64, -64, -65, 8_191, 8_192].map(bytes_of_varint);
        assert_eq!(bytes, [1, 1, 2, 1, 2, 2, 3]);
    }

    /// How many records of so many bytes, ten milliseconds apart, fill a batch of batch.size=16384.
    fn fill(bytes: u32) -> u32 {
        let mut batch = ProducerBatch::new(PartitionId(0), 0, Time::ZERO, 16_384);
        let record = |number: u32| Record {
            id: RecordId {
                producer: NodeId(7),
                number,
            },
            key: None,
            bytes,
            timestamp: Time(u64::from(number) * 10_000_000),
        };
        (0..)
            .take_while(|number| batch.try_append(record(*number), Time::ZERO))
            .count() as u32
    }

    /// In min_isr_refuses: 136 of the recorder's records with a number of three digits, 135 of those with four.
    #[test]
    fn as_many_records_fill_a_batch_as_in_a_real_producer() {
        assert_eq!([fill(118), fill(119)], [136, 135]);
    }
}
