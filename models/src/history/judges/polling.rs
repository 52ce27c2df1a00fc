//! What consumers are given, one record after the other.

use ktrial_sim::Time;

use super::super::event::{Event, Isolation, Operation};
use super::super::finding::Witness;
use super::super::identity::{Offset, PartitionId, ProcessId, TextId};
use super::super::ledger::{Fate, FinalLog, Ledger};
use super::super::record_index::Slot;
use super::super::settings;
use super::Bench;

/// Two records that a reader was given one after the other in one session of a partition.
struct Step {
    process: Option<ProcessId>,
    partition: PartitionId,
    time: Time,
    before: (Offset, Slot),
    after: (Offset, Slot),
    isolation: Isolation,
}

/// Where each session stands: a consumer's partition, from its assignment to its loss.
struct Sessions {
    /// By process, then by partition; processes that never polled have none.
    positions: Vec<Vec<Option<(Offset, Slot)>>>,
    partitions: usize,
}

impl Sessions {
    /// Puts a session behind what it was just given, and tells what it had been given before.
    fn move_to(
        &mut self,
        process: ProcessId,
        partition: PartitionId,
        to: (Offset, Slot),
    ) -> Option<(Offset, Slot)> {
        let positions = &mut self.positions[process.index()];
        if positions.is_empty() {
            positions.resize(self.partitions, None);
        }
        positions[partition.index()].replace(to)
    }

    /// What ends sessions: rebalances, a seek, the end of a process, and an application that goes back to its
    /// committed offsets because its transaction did not commit.
    fn follow(&mut self, ledger: &Ledger<'_>, event: &Event) {
        match &event.operation {
            Operation::Assigned { process, partitions }
            | Operation::Revoked { process, partitions }
            | Operation::Lost { process, partitions }
            | Operation::Seek { process, partitions } => {
                for partition in partitions {
                    if let Some(position) = self.positions[process.index()].get_mut(partition.index()) {
                        *position = None;
                    }
                }
            }
            Operation::Start { process, .. }
            | Operation::End { process }
            | Operation::Died { process, .. } => self.forget(*process),
            Operation::Aborted { transaction } | Operation::TransactionError { transaction, .. } => {
                if let Some(process) = ledger.transactions[transaction.index()].process {
                    self.forget(process);
                }
            }
            _ => {}
        }
    }

    fn forget(&mut self, process: ProcessId) {
        self.positions[process.index()].fill(None);
    }
}

/// Calls for every step of every session: of consumers, and of the final reads.
fn steps(ledger: &Ledger<'_>, mut step: impl FnMut(Step)) {
    let history = ledger.history;
    let isolation = match settings::consumers_read_committed(&history.header) {
        true => Isolation::ReadCommitted,
        false => Isolation::ReadUncommitted,
    };
    let names = &history.names;
    let mut sessions = Sessions {
        positions: vec![Vec::new(); names.processes()],
        partitions: names.partitions(),
    };
    for event in history.events() {
        let time = event.time;
        match &event.operation {
            Operation::Poll { process, records } => {
                for (placed, slot) in ledger.reads(*records) {
                    let after = (placed.offset, slot);
                    let before = sessions.move_to(*process, placed.partition, after);
                    let (process, partition) = (Some(*process), placed.partition);
                    if let Some(before) = before {
                        step(Step {
                            process,
                            partition,
                            time,
                            before,
                            after,
                            isolation,
                        });
                    }
                }
            }
            Operation::Final(read) => {
                let mut before = None;
                for (placed, slot) in ledger.reads(read.records) {
                    let after = (placed.offset, slot);
                    let (partition, isolation) = (read.partition, read.isolation);
                    if let Some(before) = before.replace(after) {
                        step(Step {
                            process: None,
                            partition,
                            time,
                            before,
                            after,
                            isolation,
                        });
                    }
                }
            }
            _ => sessions.follow(ledger, event),
        }
    }
}

/// ORD-3: counts records that were given at an offset that does not lie behind the one before.
pub(super) fn nonmonotonic_polls(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    steps(ledger, |step| {
        if step.after.0 > step.before.0 {
            return bench.held();
        }
        bench.violated(Witness {
            process: step.process,
            record: Some(ledger.entry(step.after.1).record),
            partition: Some(step.partition),
            offset: Some(step.after.0),
            time: Some(step.time),
            other: Some(ledger.entry(step.before.1).record),
            other_offset: Some(step.before.0),
            read: true,
            ..Witness::default()
        });
    });
}

/// ORD-4: counts records that were left out.
///
/// The final log tells what stood between two records only if both stand in it where they were read:
/// then, logs being equal up to an equal record, what lies between them lay there then.
pub(super) fn poll_skips(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    steps(ledger, |step| {
        let (before, after) = (step.before, step.after);
        if after.0 <= before.0 {
            return;
        }
        if after.0.0 == before.0.0 + 1 {
            return bench.held();
        }
        // A final read is held against what all readers see; against itself it could miss nothing.
        let log = match step.process {
            Some(_) => ledger.log(step.partition, step.isolation),
            None => ledger.log(step.partition, Isolation::ReadUncommitted),
        };
        if !log.holds(before.0, before.1) || !log.holds(after.0, after.1) {
            return bench.undecided();
        }
        let visible = |slot: Slot| match step.process {
            // What an aborted transaction wrote ought not to be shown: leaving it out is right.
            Some(_) if step.isolation == Isolation::ReadCommitted => !aborted(ledger, slot),
            Some(_) => true,
            None => committed(ledger, slot),
        };
        let skipped = between(log, before.0, after.0);
        let mut skipped = skipped.iter().filter(|(_, slot)| visible(*slot)).peekable();
        if skipped.peek().is_none() {
            return bench.held();
        }
        for (offset, slot) in skipped {
            bench.violated(Witness {
                process: step.process,
                record: Some(ledger.entry(*slot).record),
                partition: Some(step.partition),
                offset: Some(*offset),
                time: Some(step.time),
                other: Some(ledger.entry(before.1).record),
                other_offset: Some(before.0),
                read: true,
                ..Witness::default()
            });
        }
    });
    final_reads_miss(ledger, bench);
}

fn aborted(ledger: &Ledger<'_>, slot: Slot) -> bool {
    ledger.fate(ledger.entry(slot)).is_some_and(Fate::is_aborted)
}

fn committed(ledger: &Ledger<'_>, slot: Slot) -> bool {
    let entry = ledger.entry(slot);
    entry.sent.is_some() && matches!(ledger.fate(entry), None | Some(Fate::Committed))
}

fn between(log: &FinalLog, before: Offset, after: Offset) -> &[(Offset, Slot)] {
    &log.records[log.position(Offset(before.0 + 1))..log.position(after)]
}

/// What a final read of committed records misses before its first and after its last record.
fn final_reads_miss(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    for partition in (0..ledger.history.names.partitions() as u32).map(PartitionId) {
        let shown = ledger.log(partition, Isolation::ReadCommitted);
        let all = ledger.log(partition, Isolation::ReadUncommitted);
        let Some(extent) = shown.extent else { continue };
        let first = shown
            .records
            .first()
            .map_or(extent.reached, |(offset, _)| *offset);
        let last = shown.records.last().map_or(extent.reached, |(offset, _)| *offset);
        let outside = |offset: Offset| {
            (extent.start <= offset && offset < first) || (last < offset && offset < extent.reached)
        };
        for (offset, slot) in &all.records {
            if outside(*offset) && committed(ledger, *slot) {
                bench.violated(Witness {
                    record: Some(ledger.entry(*slot).record),
                    partition: Some(partition),
                    offset: Some(*offset),
                    read: true,
                    ..Witness::default()
                });
            }
        }
    }
}

/// Who shares what is read: a group, or a process without one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reader {
    Group(TextId),
    Shared,
    Process(ProcessId),
}

/// By process: its group by its own word, the recorder's one group if partitions were assigned to it, itself.
fn readers(ledger: &Ledger<'_>) -> Vec<Reader> {
    let names = &ledger.history.names;
    let shared = match names.find_text(settings::group(&ledger.history.header)) {
        Some(group) => Reader::Group(group),
        None => Reader::Shared,
    };
    let mut readers: Vec<Reader> = (0..names.processes() as u32)
        .map(|process| Reader::Process(ProcessId(process)))
        .collect();
    for event in ledger.history.events() {
        match &event.operation {
            Operation::Start {
                process,
                group: Some(group),
            } => {
                readers[process.index()] = Reader::Group(*group);
            }
            Operation::Assigned { process, .. } if matches!(readers[process.index()], Reader::Process(_)) => {
                readers[process.index()] = shared;
            }
            _ => {}
        }
    }
    readers
}

/// Counts how often a reader was given a record at an offset again.
pub(super) fn read_twice(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    let readers = readers(ledger);
    let mut given = vec![Vec::new(); ledger.history.names.partitions()];
    for event in ledger.history.events() {
        let Operation::Poll { process, records } = event.operation else {
            continue;
        };
        for (placed, slot) in ledger.reads(records) {
            let place = (readers[process.index()], placed.offset, slot);
            given[placed.partition.index()].push((place, event.time, process));
        }
    }
    for (partition, given) in given.iter_mut().enumerate() {
        given.sort_by_key(|(place, ..)| *place);
        for same in given.chunk_by(|a, b| a.0 == b.0) {
            bench.held();
            for &((_, offset, slot), time, process) in &same[1..] {
                bench.violated(Witness {
                    process: Some(process),
                    record: Some(ledger.entry(slot).record),
                    partition: Some(PartitionId(partition as u32)),
                    offset: Some(offset),
                    time: Some(time),
                    read: true,
                    ..Witness::default()
                });
            }
        }
    }
}
