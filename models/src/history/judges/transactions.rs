//! Transactions as readers of committed records see them.

use ktrial_sim::Time;

use super::super::event::{Isolation, Operation};
use super::super::finding::Witness;
use super::super::identity::{Offset, PartitionId, ProcessId, RecordId, TopicId};
use super::super::ledger::{Entry, Fate, Ledger};
use super::super::record_index::Slot;
use super::super::settings;
use super::Bench;

/// Where a record was given to a reader: to whom (nobody for a final read), its place, when.
type Given = (Option<ProcessId>, PartitionId, Offset, Time);

/// TXN-1: counts records of aborted transactions that a reader of committed records was given, each once.
pub(super) fn aborted_reads(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    let mut given: Vec<Option<Given>> = vec![None; ledger.entries.len()];
    let committed_polls = settings::consumers_read_committed(&ledger.history.header);
    if ledger.transactions.is_empty() {
        return;
    }
    let mut readers = 0;
    for event in ledger.history.events() {
        let (process, records) = match &event.operation {
            Operation::Poll { process, records } if committed_polls => (Some(*process), *records),
            Operation::Final(read) if read.isolation == Isolation::ReadCommitted => (None, read.records),
            _ => continue,
        };
        readers += 1;
        for (placed, slot) in ledger.reads(records) {
            let seen = (process, placed.partition, placed.offset, event.time);
            given[slot.index()].get_or_insert(seen);
        }
    }
    for (entry, given) in ledger.entries.iter().zip(given) {
        if !ledger.fate(entry).is_some_and(Fate::is_aborted) {
            continue;
        }
        match given {
            Some((process, partition, offset, time)) => bench.violated(Witness {
                process,
                record: Some(entry.record),
                partition: Some(partition),
                offset: Some(offset),
                time: Some(time),
                transaction: entry.transaction,
                read: true,
                ..Witness::default()
            }),
            None if readers > 0 => bench.held(),
            None => bench.undecided(),
        }
    }
}

/// What the final logs of committed records show of a transaction.
#[derive(Clone, Copy, Default)]
struct Shown {
    visible: u32,
    missing: u32,
    undecided: bool,
    one_visible: Option<RecordId>,
    one_missing: Option<RecordId>,
}

impl Shown {
    fn add(&mut self, ledger: &Ledger<'_>, entry: &Entry) {
        if entry.committed_copies > 0 {
            self.visible += 1;
            self.one_visible.get_or_insert(entry.record);
            return;
        }
        let told = entry
            .acknowledged
            .and_then(|told| Some((told.partition?, told.offset)));
        let decided = told.is_some_and(|(partition, offset)| {
            ledger.log(partition, Isolation::ReadCommitted).covers(offset) && !ledger.compacted(partition)
        });
        if decided {
            self.missing += 1;
            self.one_missing.get_or_insert(entry.record);
        } else {
            self.undecided = true;
        }
    }
}

/// TXN-3: counts transactions.
pub(super) fn torn(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    let mut shown = vec![Shown::default(); ledger.transactions.len()];
    for entry in &ledger.entries {
        if let Some(transaction) = entry.transaction {
            shown[transaction.index()].add(ledger, entry);
        }
    }
    for (place, (transaction, shown)) in ledger.transactions.iter().zip(shown).enumerate() {
        if transaction.process.is_none() {
            continue;
        }
        let torn = match transaction.fate {
            Fate::Committed => shown.missing > 0,
            Fate::Aborted | Fate::AbortedAfterError => shown.visible > 0,
            Fate::Unknown => shown.visible > 0 && shown.missing > 0,
        };
        if torn {
            bench.violated(Witness {
                process: transaction.process,
                record: if transaction.fate.is_aborted() {
                    shown.one_visible
                } else {
                    shown.one_missing
                },
                transaction: Some(super::super::identity::TransactionId(place as u32)),
                ..Witness::default()
            });
        } else if shown.undecided && transaction.fate == Fate::Committed {
            bench.undecided();
        } else {
            bench.held();
        }
    }
}

/// An input of a transfer, with what came of it.
pub(super) struct Input {
    pub(super) slot: Slot,
    /// Places at which the input stands in the final log of committed records.
    pub(super) copies: u32,
    /// Places at which outputs of it stand there.
    pub(super) outputs: u32,
}

/// The inputs of all transfers: every record of the topics that some output's input was sent to.
pub(super) fn inputs(ledger: &Ledger<'_>) -> Vec<Input> {
    let names = &ledger.history.names;
    let mut outputs = vec![0; ledger.entries.len()];
    let mut topics: Vec<TopicId> = Vec::new();
    for entry in &ledger.entries {
        let RecordId::Derived(derived) = entry.record else {
            continue;
        };
        let (_, input) = names.derived_parts(derived);
        let Some(input) = ledger.find(input) else { continue };
        outputs[input.index()] += entry.committed_copies;
        let topic = ledger.entry(input).sent.map(|sent| sent.topic);
        topics.extend(topic.filter(|topic| !topics.contains(topic)));
    }
    if topics.is_empty() {
        return Vec::new();
    }
    let of_topic = |entry: &Entry| entry.sent.is_some_and(|sent| topics.contains(&sent.topic));
    let inputs = ledger.slots().filter(|(_, entry)| of_topic(entry));
    let input = |(slot, entry): (Slot, &Entry)| Input {
        slot,
        copies: entry.committed_copies,
        outputs: outputs[slot.index()],
    };
    inputs.map(input).collect()
}

/// By partition, the highest offset that was committed inside transactions.
fn committed_up_to(ledger: &Ledger<'_>) -> Vec<Option<Offset>> {
    let mut up_to = vec![None; ledger.history.names.partitions()];
    for event in ledger.history.events() {
        let Operation::Committed { offsets, .. } = &event.operation else {
            continue;
        };
        for (partition, offset) in offsets {
            let known = &mut up_to[partition.index()];
            *known = (*known).max(Some(*offset));
        }
    }
    up_to
}

/// TXN-7: counts places of inputs for which there is no output.
///
/// An input that the committed offsets have not passed may still be waiting: it is undecided.
pub(super) fn inputs_without_output(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    let up_to = committed_up_to(ledger);
    let told = up_to.iter().any(Option::is_some);
    for input in inputs(ledger) {
        let waits = ledger
            .entry(input.slot)
            .landed
            .is_some_and(|(partition, offset)| {
                told && up_to[partition.index()].is_none_or(|up_to| offset >= up_to)
            });
        match input.copies.saturating_sub(input.outputs) {
            missing if missing > 0 && waits => bench.undecided(),
            missing => judge_input(ledger, bench, &input, missing),
        }
    }
}

/// TXN-7: counts outputs beyond one for each place of their input.
pub(super) fn inputs_counted_twice(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    for input in inputs(ledger) {
        judge_input(ledger, bench, &input, input.outputs.saturating_sub(input.copies));
    }
}

fn judge_input(ledger: &Ledger<'_>, bench: &mut Bench<'_>, input: &Input, wrong: u32) {
    let entry = ledger.entry(input.slot);
    if wrong == 0 {
        return bench.held();
    }
    for _ in 0..wrong {
        bench.violated(Witness {
            process: entry.sent.map(|sent| sent.process),
            record: Some(entry.record),
            partition: entry.landed.map(|(partition, _)| partition),
            offset: entry.landed.map(|(_, offset)| offset),
            time: entry.sent.map(|sent| sent.time),
            ..Witness::default()
        });
    }
}
