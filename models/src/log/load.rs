//! Loading a log when its process starts: `LogLoader`, `LogSegment.recover`, `Partition.createLog`.

use ktrial_sim::{DocumentId, Duration};

use super::producers::{ProducerStates, change_snapshots};
use super::{EpochCache, Log, Machine, Segments, StorageError};
use crate::config::TopicSettings;
use crate::documents::Document;
use crate::ids::{Offset, PartitionId};
use crate::kafka::{document, partition_log};
use crate::mutation::Mutations;
use crate::notes::{LogNote, Note, TruncationReason};
use crate::records::LogEntry;

/// A log that was loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The log.
    pub log: Log,
    /// How much of it had to be read: what recovery takes its time for.
    pub bytes_read: u64,
}

impl Log {
    /// Loads a partition's log from the disk, or creates an empty one.
    ///
    /// After a clean stop nothing is read. Else everything from the base of the segment that holds the recovery
    /// point on is read: at the first batch whose checksum does not fit the log is cut, whatever comes behind it;
    /// epochs the file does not know are added. Segments below are trusted. Then epochs beyond the log's end are
    /// dropped and those below its start merged, the high watermark comes from its checkpoint (none: 0), cut into
    /// the log, and the producers from the newest snapshot and what lies behind it.
    ///
    /// # Errors
    /// The disk refused.
    pub fn load(
        partition: PartitionId,
        settings: TopicSettings,
        producer_id_expiration: Duration,
        mutations: Mutations,
        clean_shutdown: bool,
        machine: &mut impl Machine,
    ) -> Result<Loaded, StorageError> {
        let start = checkpointed(document::LOG_STARTS, partition, machine).unwrap_or_default();
        let recovery_point = checkpointed(document::RECOVERY_POINTS, partition, machine);
        let file = machine.disk().file(partition_log(partition));
        file.create();
        let segments = Segments::of(file.entries(), start, &settings);
        let mut log = Log {
            partition,
            settings,
            producer_id_expiration,
            mutations,
            start,
            end: Offset(0),
            high_watermark: Offset(0),
            recovery_point: recovery_point.unwrap_or_default(),
            last_flush: machine.wall(),
            epochs: epochs_on_disk(partition, machine),
            epochs_unwritten: false,
            producers: ProducerStates::default(),
            segments,
            offline: false,
        };
        log.check_disk(machine)?;
        let mut bytes_read = 0;
        if !clean_shutdown {
            bytes_read += log.recover(machine);
        }
        log.settle_end(start, machine);
        log.recovery_point = match clean_shutdown {
            true => log.end,
            false => log.recovery_point.min(log.end),
        };
        log.truncate_epochs_from_end(log.end, machine);
        log.epochs_unwritten |= log.epochs.truncate_from_start(start);
        log.remove_stray_snapshots(machine);
        bytes_read += log.rebuild_producers(log.end, clean_shutdown, machine);
        let high_watermark = checkpointed(document::HIGH_WATERMARKS, partition, machine).unwrap_or_default();
        log.high_watermark = high_watermark.max(log.start).min(log.end);
        let entries = machine.disk().file(log.file()).entries();
        if !entries.is_empty() {
            let batches = entries.iter().map(|entry| *entry.data()).collect();
            machine.tell(Note::Log(partition, LogNote::Holds(batches)));
        }
        let loaded = LogNote::Loaded {
            start: log.start,
            end: log.end,
            high_watermark: log.high_watermark,
        };
        machine.tell(Note::Log(partition, loaded));
        if !log.epochs.entries().is_empty() {
            log.tell_epochs(machine);
        }
        Ok(Loaded { log, bytes_read })
    }

    /// Reads every segment from the one that holds the recovery point on (`LogLoader.recoverLog`). Returns how
    /// many bytes were read.
    fn recover(&mut self, machine: &mut impl Machine) -> u64 {
        let id = self.file();
        let base = self.segments.floor(self.recovery_point);
        let mut bytes = self.rebuild_producers(base, false, machine);
        let mut at = super::read::position(machine.disk().file(id).entries(), base);
        while let Some(LogEntry::Data(batch)) = machine.disk().file(id).entries().get(at).copied() {
            bytes += u64::from(batch.bytes);
            if batch.corrupt {
                self.cut_corrupt(at, base, machine);
                break;
            }
            if batch.base_offset > base && self.segments.floor(batch.base_offset) == batch.base_offset {
                self.producers.take_snapshot(self.partition, machine.disk());
            }
            if self
                .epochs
                .latest()
                .is_none_or(|latest| batch.leader_epoch > latest)
            {
                self.assign_epoch(batch.leader_epoch, batch.base_offset, machine);
            }
            self.producers.append(&batch);
            at += 1;
        }
        self.producers.take_snapshot(self.partition, machine.disk());
        bytes
    }

    /// Entry `at` of the file cannot be read: it goes, and everything behind it.
    fn cut_corrupt(&mut self, at: usize, base: Offset, machine: &mut impl Machine) {
        let id = self.file();
        let file = machine.disk().file(id);
        let end = |entries: &[LogEntry]| entries.last().map_or(base, |entry| entry.data().next_offset());
        let from = end(file.entries());
        file.truncate(at);
        let to = end(file.entries());
        self.segments.truncated(file.entries(), to);
        let truncated = LogNote::Truncated {
            to,
            from,
            epoch: self.epochs.latest().unwrap_or_default(),
            reason: TruncationReason::Corrupt,
        };
        machine.tell(Note::Log(self.partition, truncated));
    }

    /// The log ends behind its last batch, or where its only, empty segment begins. One that ends below its
    /// checkpointed start is dropped and begins anew there.
    fn settle_end(&mut self, checkpointed_start: Offset, machine: &mut impl Machine) {
        let id = self.file();
        let file = machine.disk().file(id);
        let last = file.entries().last().map(|entry| entry.data().next_offset());
        self.end = last.unwrap_or(self.segments.active_base());
        if self.end < checkpointed_start {
            file.truncate(0);
            self.segments = Segments::new(checkpointed_start);
            self.end = checkpointed_start;
            self.epochs.clear();
            self.write_epochs(machine);
            self.producers
                .truncate_fully(self.partition, checkpointed_start, machine.disk());
        }
    }

    fn remove_stray_snapshots(&mut self, machine: &mut impl Machine) {
        let id = document::producer_snapshot(self.partition);
        if machine.disk().document(id).is_some() {
            let segments = &self.segments;
            let is_base = |at: Offset| segments.floor(at) == at;
            change_snapshots(self.partition, machine.disk(), |files| {
                files.remove_strays(is_base, segments.active_base());
            });
        }
        self.producers = ProducerStates::default();
    }

    /// Loads the producers up to `to`: from the newest snapshot, and the batches between it and there
    /// (`UnifiedLog.rebuildProducerState`). Where nobody was known up to there before, as after all have expired, no
    /// batch is read: a truncation brings nobody back. Returns how many bytes were read for it.
    pub(super) fn rebuild_producers(&mut self, to: Offset, clean: bool, machine: &mut impl Machine) -> u64 {
        let now = machine.wall();
        let disk = machine.disk();
        let no_snapshot = match disk.document(document::producer_snapshot(self.partition)) {
            Some(Document::Producers(files)) => files.0.is_empty(),
            _ => true,
        };
        if no_snapshot && clean {
            self.producers.advance(to);
            self.producers.take_snapshot(self.partition, disk);
            return 0;
        }
        let nobody_known = self.producers.is_empty() && self.producers.map_end() >= to;
        self.producers.truncate_and_reload(
            self.partition,
            (self.start, to),
            now,
            self.producer_id_expiration,
            disk,
        );
        let mut bytes = 0;
        let mut from = super::read::position(
            disk.file(partition_log(self.partition)).entries(),
            self.producers.map_end(),
        );
        let bases = [self.segments.previous_base(), Some(self.segments.active_base())];
        while let Some(LogEntry::Data(batch)) = disk.file(partition_log(self.partition)).entries().get(from)
            && !nobody_known
            && batch.next_offset() <= to
        {
            let batch = *batch;
            if bases.contains(&Some(batch.base_offset)) {
                self.producers.advance(batch.base_offset);
                self.producers.take_snapshot(self.partition, disk);
            }
            bytes += u64::from(batch.bytes);
            self.producers.append(&batch);
            from += 1;
        }
        self.producers.advance(to);
        self.producers.take_snapshot(self.partition, disk);
        bytes
    }
}

/// A partition's line in a checkpoint file.
fn checkpointed(id: DocumentId, partition: PartitionId, machine: &mut impl Machine) -> Option<Offset> {
    match machine.disk().document(id)? {
        Document::Offsets(offsets) => {
            let at = offsets.binary_search_by_key(&partition, |line| line.0).ok()?;
            Some(offsets[at].1)
        }
        other => unreachable!("not a checkpoint of offsets: {other:?}"),
    }
}

fn epochs_on_disk(partition: PartitionId, machine: &mut impl Machine) -> EpochCache {
    match machine.disk().document(document::leader_epochs(partition)) {
        Some(Document::LeaderEpochs(entries)) => EpochCache::from_file(entries),
        Some(other) => unreachable!("not a leader epoch file: {other:?}"),
        None => EpochCache::default(),
    }
}
