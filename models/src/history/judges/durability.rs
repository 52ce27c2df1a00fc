//! What was acknowledged or read must be there in the end, and what failed must not.

use ktrial_sim::Time;

use super::super::event::{Isolation, Operation};
use super::super::finding::Witness;
use super::super::identity::{Offset, PartitionId, ProcessId};
use super::super::ledger::{Entry, Fate, Ledger};
use super::super::outcome::Outcome;
use super::super::record_index::Slot;
use super::Bench;

/// Keys of compacted partitions: the last offset of each in the final log.
struct Compaction {
    last: Vec<Vec<(u32, Offset)>>,
}

impl Compaction {
    fn of(ledger: &Ledger<'_>) -> Self {
        let partitions = 0..ledger.history.names.partitions();
        let last = partitions.map(|partition| {
            let partition = PartitionId(partition as u32);
            if !ledger.compacted(partition) {
                return Vec::new();
            }
            let log = ledger.log(partition, Isolation::ReadUncommitted);
            let keyed = log
                .records
                .iter()
                .filter_map(|(offset, slot)| Some((ledger.entry(*slot).sent?.key?.0, *offset)));
            let mut keyed: Vec<(u32, Offset)> = keyed.collect();
            keyed.sort_unstable_by_key(|(key, offset)| (*key, std::cmp::Reverse(*offset)));
            keyed.dedup_by_key(|(key, _)| *key);
            keyed
        });
        Compaction { last: last.collect() }
    }

    /// Whether a later record of the same key took a record's place.
    fn took(&self, entry: &Entry, partition: PartitionId, offset: Option<Offset>) -> bool {
        let keys = &self.last[partition.index()];
        let Some(key) = entry.sent.and_then(|sent| sent.key) else {
            return false;
        };
        let found = keys.binary_search_by_key(&key.0, |(key, _)| *key);
        found.is_ok_and(|place| offset.is_none_or(|offset| keys[place].1 > offset))
    }
}

/// Whether a record stands in the final log of a partition, wherever else it may stand.
fn in_the_log(ledger: &Ledger<'_>, slot: Slot, partition: PartitionId) -> bool {
    let entry = ledger.entry(slot);
    match entry.landed {
        None => false,
        Some((first, _)) if first == partition => true,
        Some(_) if entry.copies == 1 => false,
        Some(_) => {
            let log = ledger.log(partition, Isolation::ReadUncommitted);
            log.records.iter().any(|(_, found)| *found == slot)
        }
    }
}

/// DUR-2, over acknowledged records outside of transactions and in committed ones.
pub(super) fn lost_writes(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    let compaction = Compaction::of(ledger);
    let mut lost = Vec::new();
    for (slot, entry) in ledger.slots() {
        let Some(acknowledged) = entry.acknowledged else {
            continue;
        };
        if !matches!(ledger.fate(entry), None | Some(Fate::Committed)) {
            continue;
        }
        let Some(partition) = acknowledged.partition else {
            bench.undecided();
            continue;
        };
        let log = ledger.log(partition, Isolation::ReadUncommitted);
        if in_the_log(ledger, slot, partition) {
            bench.held();
        } else if !log.covers(acknowledged.offset) || compaction.took(entry, partition, acknowledged.offset) {
            bench.undecided();
        } else {
            lost.push((
                partition,
                acknowledged.offset,
                Witness {
                    process: entry.sent.map(|sent| sent.process),
                    record: Some(entry.record),
                    partition: Some(partition),
                    offset: acknowledged.offset,
                    time: Some(acknowledged.time),
                    ..Witness::default()
                },
            ));
        }
    }
    lost.sort_by_key(|(partition, offset, _)| (*partition, *offset));
    lost.into_iter()
        .for_each(|(_, _, witness)| bench.violated(witness));
}

/// Somebody who says which record stands at an offset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Mention {
    offset: Offset,
    slot: Slot,
    read: bool,
}

/// By partition, everything that acknowledgements, polls and final reads say of its offsets.
fn mentions(ledger: &Ledger<'_>) -> Vec<Vec<Mention>> {
    let mut mentions = vec![Vec::new(); ledger.history.names.partitions()];
    for (slot, entry) in ledger.slots() {
        if let Some(told) = entry.acknowledged
            && let (Some(partition), Some(offset)) = (told.partition, told.offset)
        {
            mentions[partition.index()].push(Mention {
                offset,
                slot,
                read: false,
            });
        }
    }
    for event in ledger.history.events() {
        let records = match &event.operation {
            Operation::Poll { records, .. } => *records,
            Operation::Final(read) => read.records,
            _ => continue,
        };
        for (placed, slot) in ledger.reads(records) {
            mentions[placed.partition.index()].push(Mention {
                offset: placed.offset,
                slot,
                read: true,
            });
        }
    }
    // Each source tells offsets in rising order, by and large: a merging sort has little to do.
    mentions.iter_mut().for_each(|told| told.sort());
    mentions
}

/// DUR-3: counts offsets, not records.
pub(super) fn inconsistent_offsets(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    for (partition, told) in mentions(ledger).iter().enumerate() {
        for named in told
            .chunk_by(|a, b| a.offset == b.offset)
            .filter(|named| named.len() > 1)
        {
            let first = named[0];
            let Some(other) = named.iter().find(|mention| mention.slot != first.slot) else {
                bench.held();
                continue;
            };
            // The promise of reads is the stronger one: look whether two records were read there.
            let mut reads = named
                .iter()
                .filter(|mention| mention.read)
                .map(|mention| mention.slot);
            let read = reads.next();
            bench.violated(Witness {
                record: Some(ledger.entry(first.slot).record),
                other: Some(ledger.entry(other.slot).record),
                partition: Some(PartitionId(partition as u32)),
                offset: Some(first.offset),
                read: reads.any(|slot| Some(slot) != read),
                ..Witness::default()
            });
        }
    }
}

/// The first time each record was polled: by whom, where, when.
fn first_polls(ledger: &Ledger<'_>) -> Vec<Option<(ProcessId, PartitionId, Offset, Time)>> {
    let mut first = vec![None; ledger.entries.len()];
    for event in ledger.history.events() {
        let Operation::Poll { process, records } = event.operation else {
            continue;
        };
        for (placed, slot) in ledger.reads(records) {
            let seen = (process, placed.partition, placed.offset, event.time);
            first[slot.index()].get_or_insert(seen);
        }
    }
    first
}

/// Counts records, each once however often it was read.
pub(super) fn read_then_gone(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    let compaction = Compaction::of(ledger);
    for (entry, seen) in ledger.entries.iter().zip(first_polls(ledger)) {
        let Some((process, partition, offset, time)) = seen else {
            continue;
        };
        if entry.copies > 0 {
            bench.held();
        } else if !ledger
            .log(partition, Isolation::ReadUncommitted)
            .covers(Some(offset))
            || compaction.took(entry, partition, Some(offset))
        {
            bench.undecided();
        } else {
            bench.violated(Witness {
                process: Some(process),
                record: Some(entry.record),
                partition: Some(partition),
                offset: Some(offset),
                time: Some(time),
                ..Witness::default()
            });
        }
    }
}

/// DUR-5: over sends that failed for certain.
pub(super) fn failed_writes_visible(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    if ledger
        .entries
        .iter()
        .all(|entry| entry.outcome != Outcome::Failed)
    {
        return;
    }
    for (entry, seen) in ledger.entries.iter().zip(first_polls(ledger)) {
        if entry.outcome != Outcome::Failed {
            continue;
        }
        let seen = seen.map(|(_, partition, offset, _)| (partition, offset));
        match entry.landed.or(seen) {
            None if entry.committed_copies == 0 => bench.held(),
            place => bench.violated(with_error(entry, place)),
        }
    }
}

/// Over sends that ended with an error whose meaning is unknown: no violation, but good to know.
pub(super) fn errors_in_the_log(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    for entry in ledger.entries.iter().filter(|entry| entry.error.is_some()) {
        match entry.landed {
            None => bench.held(),
            place => bench.violated(with_error(entry, place)),
        }
    }
}

fn with_error(entry: &Entry, place: Option<(PartitionId, Offset)>) -> Witness {
    Witness {
        process: entry.sent.map(|sent| sent.process),
        record: Some(entry.record),
        partition: place.map(|(partition, _)| partition),
        offset: place.map(|(_, offset)| offset),
        time: entry.error.map(|(_, time)| time),
        ..Witness::default()
    }
}
