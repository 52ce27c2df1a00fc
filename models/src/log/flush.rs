//! Flushing and the checkpoint files: `UnifiedLog.flush`, `LogManager.checkpoint*`,
//! `ReplicaManager.checkpointHighWatermarks`.

use ktrial_sim::DocumentId;

use super::{Log, Machine, StorageError};
use crate::documents::Document;
use crate::ids::{Offset, PartitionId};
use crate::kafka::document;
use crate::notes::{LogNote, Note};

impl Log {
    /// Brings every segment that begins before `to` to the platter, and the recovery point to `to`. The caller
    /// takes `to` when the flush begins (the log's end, or what a roll reported) and calls this when the disk is
    /// done.
    ///
    /// # Errors
    /// The disk refused.
    pub fn flush(&mut self, to: Offset, machine: &mut impl Machine) -> Result<(), StorageError> {
        let to = to.min(self.end);
        if to <= self.recovery_point {
            return Ok(());
        }
        self.check_disk(machine)?;
        let id = self.file();
        let behind = self.segments.ceiling(to);
        let file = machine.disk().file(id);
        let length = match behind {
            Some(base) => super::read::position(file.entries(), base),
            None => file.entries().len(),
        };
        file.flush(length);
        self.recovery_point = to;
        self.last_flush = machine.wall();
        machine.tell(Note::Log(self.partition, LogNote::Flushed(to)));
        Ok(())
    }

    /// What a clean stop does to each log before the checkpoints and the clean-shutdown file are written: the
    /// active segment is flushed and a snapshot of the producers taken (`LogManager.shutdown`).
    ///
    /// # Errors
    /// The disk refused.
    pub fn close(&mut self, machine: &mut impl Machine) -> Result<(), StorageError> {
        self.flush(self.end, machine)?;
        self.check_disk(machine)?;
        self.producers.take_snapshot(self.partition, machine.disk());
        if self.epochs_unwritten {
            self.write_epochs(machine);
        }
        Ok(())
    }
}

/// Writes `recovery-point-offset-checkpoint`: every `log.flush.offset.checkpoint.interval.ms`, at a clean stop.
/// `logs` come in order of their partition.
///
/// # Errors
/// The disk refused.
pub fn checkpoint_recovery_points<'a>(
    logs: impl Iterator<Item = &'a Log>,
    machine: &mut impl Machine,
) -> Result<(), StorageError> {
    let lines = logs.map(|log| (log.partition, log.recovery_point));
    write(document::RECOVERY_POINTS, lines, machine)
}

/// Writes `log-start-offset-checkpoint`: every `log.flush.start.offset.checkpoint.interval.ms`, at a clean stop.
/// Kafka lists logs that start behind the base of their first segment; here all that do not start at 0, in place
/// of the name of that segment's file.
///
/// # Errors
/// The disk refused.
pub fn checkpoint_log_starts<'a>(
    logs: impl Iterator<Item = &'a Log>,
    machine: &mut impl Machine,
) -> Result<(), StorageError> {
    let listed = logs.filter(|log| log.start > Offset(0));
    write(
        document::LOG_STARTS,
        listed.map(|log| (log.partition, log.start)),
        machine,
    )
}

/// Writes `replication-offset-checkpoint`: every `replica.high.watermark.checkpoint.interval.ms`, at a clean stop.
///
/// # Errors
/// The disk refused.
pub fn checkpoint_high_watermarks<'a>(
    logs: impl Iterator<Item = &'a Log>,
    machine: &mut impl Machine,
) -> Result<(), StorageError> {
    let lines = logs.map(|log| (log.partition, log.high_watermark));
    write(document::HIGH_WATERMARKS, lines, machine)
}

fn write(
    id: DocumentId,
    lines: impl Iterator<Item = (PartitionId, Offset)>,
    machine: &mut impl Machine,
) -> Result<(), StorageError> {
    if machine.disk().health.refuses.is_some() {
        return Err(StorageError);
    }
    machine.disk().update_document(
        id,
        || Document::Offsets(Vec::new()),
        |document| {
            let Document::Offsets(offsets) = document else {
                unreachable!("not a checkpoint of offsets: {document:?}");
            };
            offsets.clear();
            offsets.extend(lines);
        },
    );
    Ok(())
}
