//! What must come to an end: sends, and the reading of every partition.

use super::super::event::Operation;
use super::super::finding::Witness;
use super::super::identity::PartitionId;
use super::super::ledger::Ledger;
use super::super::outcome::Outcome;
use super::Bench;

/// LIV-1: counts sends without an outcome, except those of processes that died.
pub(super) fn unresolved_sends(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    let history = ledger.history;
    let mut died = vec![None; history.names.processes()];
    for event in history.events() {
        if let Operation::Died { process, .. } = event.operation {
            died[process.index()] = Some(event.time);
        }
    }
    for entry in &ledger.entries {
        let Some(sent) = entry.sent else { continue };
        if entry.outcome != Outcome::Pending {
            bench.held();
        } else if died[sent.process.index()].is_some_and(|death| death >= sent.time) {
            bench.undecided();
        } else {
            bench.violated(Witness {
                process: Some(sent.process),
                record: Some(entry.record),
                time: Some(sent.time),
                transaction: entry.transaction,
                ..Witness::default()
            });
        }
    }
}

/// LIV-2 as clients see it: counts final reads that failed, gave up, or are missing beside others of their topic.
pub(super) fn unreadable_finals(ledger: &Ledger<'_>, bench: &mut Bench<'_>) {
    let history = ledger.history;
    let mut read = vec![false; history.names.partitions()];
    for event in history.events() {
        let Operation::Final(tried) = &event.operation else {
            continue;
        };
        read[tried.partition.index()] = true;
        match tried.extent {
            Ok(extent) if extent.reached >= extent.end => bench.held(),
            other => bench.violated(Witness {
                partition: Some(tried.partition),
                offset: other.ok().map(|extent| extent.reached),
                other_offset: other.ok().map(|extent| extent.end),
                time: Some(event.time),
                ..Witness::default()
            }),
        }
    }
    if !read.contains(&true) {
        return;
    }
    for (partition, _) in read.iter().enumerate().filter(|(_, read)| !**read) {
        bench.violated(Witness {
            partition: Some(PartitionId(partition as u32)),
            ..Witness::default()
        });
    }
}
