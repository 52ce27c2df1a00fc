//! Reading: `LocalLog.read`.

use ktrial_sim::FileId;
use smallvec::SmallVec;

use super::{Log, Machine};
use crate::ids::Offset;
use crate::protocol::ErrorCode;
use crate::records::{Batch, LogEntry};

/// Index of the batch that holds an offset, or of the first one behind it.
#[inline]
pub(super) fn position(entries: &[LogEntry], offset: Offset) -> usize {
    let lies_before = |entry: &LogEntry| entry.data().next_offset() <= offset;
    // Most reads are at the end, or one batch before it.
    match entries {
        [.., last] if lies_before(last) => entries.len(),
        [.., before, _] if lies_before(before) => entries.len() - 1,
        _ => entries.partition_point(lies_before),
    }
}

impl Log {
    /// Reads whole batches from the one that holds `from`, up to `limit` (the high watermark for consumers, the
    /// log's end for followers), `max_bytes` and the end of the segment it begins in: Kafka reads from one segment
    /// only. The first batch comes whatever its size if `at_least_one` is set. Returns how many bytes were read.
    ///
    /// # Errors
    /// OFFSET_OUT_OF_RANGE: `from` lies before the log's start or behind its end.
    pub fn read(
        &self,
        from: Offset,
        max_bytes: u32,
        at_least_one: bool,
        limit: Offset,
        into: &mut SmallVec<[Batch; 1]>,
        machine: &mut impl Machine,
    ) -> Result<u32, ErrorCode> {
        if from < self.start || from > self.end {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        if from >= limit {
            return Ok(0);
        }
        let entries = entries(self.file(), machine);
        let first = position(entries, from);
        let mut segment_end = None;
        let mut bytes = 0u32;
        for entry in &entries[first..] {
            let batch = entry.data();
            let free = bytes == 0 && at_least_one;
            if batch.next_offset() > limit || !free && bytes + batch.bytes > max_bytes {
                break;
            }
            let end = *segment_end.get_or_insert_with(|| self.segments.higher(batch.base_offset));
            if end.is_some_and(|end| batch.base_offset >= end) {
                break;
            }
            into.push(*batch);
            bytes += batch.bytes;
        }
        Ok(bytes)
    }

    /// Bytes from the batch that holds `from` up to `limit`: what a parked fetch waits for.
    pub fn bytes_between(&self, from: Offset, limit: Offset, machine: &mut impl Machine) -> u64 {
        if from >= limit {
            return 0;
        }
        let entries = entries(self.file(), machine);
        let first = position(entries, from);
        let batches = entries[first..].iter().map(LogEntry::data);
        let batches = batches.take_while(|batch| batch.next_offset() <= limit);
        batches.map(|batch| u64::from(batch.bytes)).sum()
    }

    /// All batches, for those who watch.
    pub fn batches<'a>(&self, machine: &'a mut impl Machine) -> impl Iterator<Item = &'a Batch> {
        entries(self.file(), machine).iter().map(LogEntry::data)
    }
}

#[inline]
fn entries(file: FileId, machine: &mut impl Machine) -> &[LogEntry] {
    machine.disk().file(file).entries()
}
