//! The order of the final logs against the order of the sends.

use super::super::event::Isolation;
use super::super::finding::Witness;
use super::super::identity::{Offset, PartitionId};
use super::super::ledger::Ledger;
use super::super::record_index::Slot;
use super::Bench;

/// Every partition's final log of all records.
fn logs<'l>(ledger: &'l Ledger<'_>) -> impl Iterator<Item = (PartitionId, &'l [(Offset, Slot)])> {
    let partitions = 0..ledger.history.names.partitions() as u32;
    partitions.map(PartitionId).map(|partition| {
        (
            partition,
            ledger
                .log(partition, Isolation::ReadUncommitted)
                .records
                .as_slice(),
        )
    })
}

/// ORD-1: counts records, each once however many copies it has.
pub(super) fn duplicates(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    let mut first = vec![None; ledger.entries.len()];
    let mut told = vec![false; ledger.entries.len()];
    for (partition, log) in logs(ledger) {
        for &(offset, slot) in log {
            let entry = ledger.entry(slot);
            if first[slot.index()].is_none() {
                first[slot.index()] = Some(offset);
                if entry.copies < 2 {
                    bench.held();
                }
            } else if entry.copies > 1 && !std::mem::replace(&mut told[slot.index()], true) {
                bench.violated(Witness {
                    process: entry.sent.map(|sent| sent.process),
                    record: Some(entry.record),
                    partition: Some(partition),
                    offset: first[slot.index()],
                    time: entry.sent.map(|sent| sent.time),
                    other_offset: Some(offset),
                    ..Witness::default()
                });
            }
        }
    }
}

/// ORD-2: counts places of the log where a record stands behind one that the same process sent later.
///
/// A second copy of a record counts where it stands, as any other place does.
pub(super) fn nonmonotonic_sends(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    let processes = ledger.history.names.processes();
    let mut latest: Vec<Option<(u32, Offset, Slot)>> = vec![None; processes];
    for (partition, log) in logs(ledger) {
        latest.fill(None);
        for &(offset, slot) in log {
            let entry = ledger.entry(slot);
            let Some(sent) = entry.sent else { continue };
            let latest = &mut latest[sent.process.index()];
            match *latest {
                Some((order, other_offset, other)) if order > sent.order => bench.violated(Witness {
                    process: Some(sent.process),
                    record: Some(entry.record),
                    partition: Some(partition),
                    offset: Some(offset),
                    time: Some(sent.time),
                    other: Some(ledger.entry(other).record),
                    other_offset: Some(other_offset),
                    ..Witness::default()
                }),
                Some(_) => {
                    bench.held();
                    *latest = Some((sent.order, offset, slot));
                }
                None => *latest = Some((sent.order, offset, slot)),
            }
        }
    }
}
