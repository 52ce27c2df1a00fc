//! What a log knows of idempotent producers: `ProducerStateManager`, `ProducerStateEntry`, `ProducerAppendInfo`.

use ktrial_sim::{Disk, Duration, Time};

use crate::documents::Document;
use crate::ids::{Offset, PartitionId, ProducerId};
use crate::kafka::document;
use crate::protocol::ErrorCode;
use crate::records::{Batch, LogEntry, Numbering};

/// Batches a producer's entry remembers (`NUM_BATCHES_TO_RETAIN`; hazard T03).
pub const WINDOW: usize = 5;

/// Sequence numbers are `0..2^31` and wrap.
const SEQUENCES: u32 = 1 << 31;

/// The sequence number `count` behind `sequence` (`DefaultRecordBatch.incrementSequence`).
#[inline]
pub fn sequence_after(sequence: u32, count: u32) -> u32 {
    ((u64::from(sequence) + u64::from(count)) % u64::from(SEQUENCES)) as u32
}

/// A batch that was appended (`BatchMetadata`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchMetadata {
    /// Sequence number of its first record.
    pub first_sequence: u32,
    /// Its records.
    pub count: u32,
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Its largest timestamp.
    pub timestamp: Time,
}

impl BatchMetadata {
    /// Sequence number of its last record.
    #[inline]
    pub fn last_sequence(&self) -> u32 {
        sequence_after(self.first_sequence, self.count - 1)
    }
}

/// A producer and its newest batches (`ProducerStateEntry`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    /// Who.
    pub producer: ProducerId,
    /// Its newest epoch.
    pub epoch: u16,
    batches: [BatchMetadata; WINDOW],
    count: u8,
}

impl ProducerEntry {
    fn new(producer: ProducerId, epoch: u16, batch: BatchMetadata) -> Self {
        let mut batches = [BatchMetadata::default(); WINDOW];
        batches[0] = batch;
        ProducerEntry {
            producer,
            epoch,
            batches,
            count: 1,
        }
    }

    /// Its batches, oldest first: at least one.
    pub fn batches(&self) -> &[BatchMetadata] {
        &self.batches[..usize::from(self.count)]
    }

    /// Its newest batch.
    #[inline]
    pub fn last(&self) -> &BatchMetadata {
        &self.batches[usize::from(self.count) - 1]
    }

    /// A batch of another epoch drops all earlier ones; a sixth one drops the oldest.
    fn add(&mut self, epoch: u16, batch: BatchMetadata) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.count = 0;
        }
        if usize::from(self.count) == WINDOW {
            self.batches.copy_within(1.., 0);
            self.count -= 1;
        }
        self.batches[usize::from(self.count)] = batch;
        self.count += 1;
    }

    fn is_expired(&self, now: Time, expiration: Duration) -> bool {
        let expires = self
            .last()
            .timestamp
            .millis()
            .saturating_add(expiration.as_millis());
        now.millis() >= expires
    }
}

/// The last batch of each producer up to an offset, as a `.snapshot` file holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProducerSnapshot {
    /// The offset behind what it covers.
    pub offset: Offset,
    /// Producer, epoch and last batch, sorted.
    pub producers: Vec<(ProducerId, u16, BatchMetadata)>,
}

/// All `.snapshot` files of a log, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProducerSnapshots(pub Vec<ProducerSnapshot>);

impl ProducerSnapshots {
    /// Removes the files that neither stand at a segment's base nor are the newest
    /// (`ProducerStateManager.removeStraySnapshots`).
    pub fn remove_strays(&mut self, is_base: impl Fn(Offset) -> bool, last_base: Offset) {
        let newest_stray = self
            .0
            .iter()
            .rev()
            .map(|file| file.offset)
            .find(|at| !is_base(*at));
        self.0.retain(|file| {
            is_base(file.offset) || (Some(file.offset) == newest_stray && file.offset >= last_base)
        });
    }
}

/// What became of checking a batch's numbering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// It may be appended.
    New,
    /// It is in the log, here.
    Duplicate(BatchMetadata),
}

/// All producers a log knows.
#[derive(Clone, Debug, Default)]
pub struct ProducerStates {
    entries: Vec<ProducerEntry>,
    /// The offset up to which the entries tell everything (`lastMapOffset`).
    map_end: Offset,
    /// The newest snapshot (`lastSnapOffset`).
    snapshot: Offset,
}

impl ProducerStates {
    /// The entry of a producer.
    #[inline]
    pub fn get(&self, producer: ProducerId) -> Option<&ProducerEntry> {
        let at = self.position(producer).ok()?;
        Some(&self.entries[at])
    }

    /// All entries in order of their producer.
    pub fn entries(&self) -> &[ProducerEntry] {
        &self.entries
    }

    /// The offset up to which the entries tell everything.
    pub fn map_end(&self) -> Offset {
        self.map_end
    }

    #[inline]
    fn position(&self, producer: ProducerId) -> Result<usize, usize> {
        self.entries
            .binary_search_by_key(&producer, |entry| entry.producer)
    }

    /// What a leader makes of a numbered batch (`analyzeAndValidateProducerState`, `ProducerAppendInfo`):
    /// a batch of the window with the same epoch, first and last sequence is a duplicate; an older epoch is
    /// refused; a newer one must start at 0; in the same epoch the sequence must go on where it ended. A producer
    /// without an entry may start anywhere: the rule that it must start at 0 (KIP-890, `transaction.version` 2)
    /// lives in the verification entry, which only a transactional batch has.
    #[inline]
    pub fn check(&self, numbering: Numbering, count: u32) -> Result<Check, ErrorCode> {
        let Some(entry) = self.get(numbering.producer) else {
            return Ok(Check::New);
        };
        if numbering.epoch < entry.epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if numbering.epoch > entry.epoch {
            return match numbering.base_sequence {
                0 => Ok(Check::New),
                _ => Err(ErrorCode::OutOfOrderSequenceNumber),
            };
        }
        let last_sequence = sequence_after(numbering.base_sequence, count - 1);
        let duplicate = entry.batches().iter().find(|batch| {
            batch.first_sequence == numbering.base_sequence && batch.last_sequence() == last_sequence
        });
        if let Some(duplicate) = duplicate {
            return Ok(Check::Duplicate(*duplicate));
        }
        if numbering.base_sequence != sequence_after(entry.last().last_sequence(), 1) {
            return Err(ErrorCode::OutOfOrderSequenceNumber);
        }
        Ok(Check::New)
    }

    /// Takes in a batch that is in the log. On replicas nothing is refused: the log is right.
    #[inline]
    pub fn append(&mut self, batch: &Batch) {
        if let Some(numbering) = batch.numbering {
            let metadata = BatchMetadata {
                first_sequence: numbering.base_sequence,
                count: batch.records.count,
                base_offset: batch.base_offset,
                timestamp: batch.max_timestamp,
            };
            match self.position(numbering.producer) {
                Ok(at) => self.entries[at].add(numbering.epoch, metadata),
                Err(at) => {
                    let entry = ProducerEntry::new(numbering.producer, numbering.epoch, metadata);
                    self.entries.insert(at, entry);
                }
            }
        }
        self.map_end = batch.next_offset();
    }

    /// Whether it knows nobody.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Everything up to this offset is taken in (`updateMapEndOffset`).
    pub fn advance(&mut self, map_end: Offset) {
        self.map_end = map_end;
    }

    /// Forgets producers whose last batch is older than `producer.id.expiration.ms`, by its timestamp.
    pub fn remove_expired(&mut self, now: Time, expiration: Duration) {
        self.entries.retain(|entry| !entry.is_expired(now, expiration));
    }

    /// Writes a snapshot at the map's end, if there is something new since the last one.
    pub fn take_snapshot(&mut self, partition: PartitionId, disk: &mut Disk<LogEntry, Document>) {
        if self.map_end <= self.snapshot {
            return;
        }
        self.snapshot = self.map_end;
        let producers = self.entries.iter();
        let snapshot = ProducerSnapshot {
            offset: self.map_end,
            producers: producers
                .map(|entry| (entry.producer, entry.epoch, *entry.last()))
                .collect(),
        };
        change_snapshots(partition, disk, |files| {
            let at = files.0.partition_point(|file| file.offset < snapshot.offset);
            if files.0.get(at).is_some_and(|file| file.offset == snapshot.offset) {
                files.0[at] = snapshot;
            } else {
                files.0.insert(at, snapshot);
            }
        });
    }

    /// Goes back to the newest snapshot within the log, if the map does not end at the log's end
    /// (`truncateAndReload`). What the snapshot does not cover must be taken in again from the log.
    pub fn truncate_and_reload(
        &mut self,
        partition: PartitionId,
        log: (Offset, Offset),
        now: Time,
        expiration: Duration,
        disk: &mut Disk<LogEntry, Document>,
    ) {
        let (start, end) = log;
        let mut newest = None;
        if disk.document(document::producer_snapshot(partition)).is_some() {
            change_snapshots(partition, disk, |files| {
                files.0.retain(|file| file.offset <= end && file.offset > start);
                newest = files.0.last().cloned();
            });
        }
        if end == self.map_end {
            self.map_end = self.map_end.max(start);
            self.snapshot = newest.map_or(start, |file| file.offset);
            return;
        }
        self.entries.clear();
        let newest = newest.unwrap_or(ProducerSnapshot {
            offset: start,
            producers: Vec::new(),
        });
        self.map_end = newest.offset;
        self.snapshot = newest.offset;
        let loaded = newest.producers.iter();
        let loaded = loaded.map(|(producer, epoch, last)| ProducerEntry::new(*producer, *epoch, *last));
        self.entries
            .extend(loaded.filter(|entry| !entry.is_expired(now, expiration)));
    }

    /// Forgets everything, snapshots too; the log begins anew at an offset.
    pub fn truncate_fully(
        &mut self,
        partition: PartitionId,
        at: Offset,
        disk: &mut Disk<LogEntry, Document>,
    ) {
        self.entries.clear();
        self.snapshot = Offset(0);
        self.map_end = at;
        if disk.document(document::producer_snapshot(partition)).is_some() {
            disk.delete_document(document::producer_snapshot(partition));
        }
    }
}

/// Changes the snapshot files of a log.
pub fn change_snapshots(
    partition: PartitionId,
    disk: &mut Disk<LogEntry, Document>,
    change: impl FnOnce(&mut ProducerSnapshots),
) {
    disk.update_document(
        document::producer_snapshot(partition),
        || Document::Producers(ProducerSnapshots::default()),
        |document| match document {
            Document::Producers(files) => change(files),
            other => unreachable!("not a producer snapshot: {other:?}"),
        },
    );
}
