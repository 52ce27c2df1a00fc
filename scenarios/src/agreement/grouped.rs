//! What the groups of a history went through: how often partitions changed hands, which commits were refused, and how
//! long commits and records waited.

use std::collections::BTreeMap;

use ktrial_models::history::{History, Operation};
use ktrial_sim::{Duration, Time};

use super::rows::Amount;

/// The names of the lengths of time; everything else is counted.
const COMMITS_APART: &str = "longest between two commits of a member";
const READS_APART: &str = "longest between two reads of a partition";

/// What groups went through, by name. What is not there did not happen.
#[derive(Clone, Debug, Default)]
pub(super) struct Grouped {
    amounts: BTreeMap<String, Amount>,
}

impl Grouped {
    /// Of a history; none if it has no groups.
    pub(super) fn of(history: &History) -> Option<Self> {
        let mut operations = history.events().iter().map(|event| &event.operation);
        if !operations.any(|operation| matches!(operation, Operation::Assigned { .. })) {
            return None;
        }
        let mut grouped = Grouped::default();
        let mut committed: BTreeMap<u32, Time> = BTreeMap::new();
        let mut read: BTreeMap<u32, Time> = BTreeMap::new();
        // Nothing is read after the last record, and how long everybody waits then is the recorder's affair.
        let mut sends = history
            .events()
            .iter()
            .filter(|event| matches!(event.operation, Operation::Send { .. }));
        let end = sends.next_back().map_or(Time::ZERO, |event| event.time);
        for event in history.events().iter().filter(|event| event.time <= end) {
            let time = event.time;
            match &event.operation {
                Operation::Assigned { partitions, .. } => grouped.count("assigned", partitions.len()),
                Operation::Revoked { partitions, .. } => grouped.count("revoked", partitions.len()),
                Operation::Lost { partitions, .. } => grouped.count("lost", partitions.len()),
                Operation::CommitError { error, .. } => {
                    grouped.count(
                        &format!("commits that failed: {}", history.names.error_name(*error)),
                        1,
                    );
                }
                Operation::Commit { process, .. } => {
                    if let Some(before) = committed.insert(process.0, time) {
                        grouped.lengthen(COMMITS_APART, time.since(before));
                    }
                }
                Operation::Poll { records, .. } => {
                    let mut partitions: Vec<u32> = history
                        .records(*records)
                        .iter()
                        .map(|placed| placed.partition.0)
                        .collect();
                    partitions.dedup();
                    for partition in partitions {
                        if let Some(before) = read.insert(partition, time) {
                            grouped.lengthen(READS_APART, time.since(before));
                        }
                    }
                }
                _ => {}
            }
        }
        Some(grouped)
    }

    fn count(&mut self, name: &str, more: usize) {
        let amount = self.amounts.entry(name.to_owned()).or_insert(Amount::Count(0));
        if let Amount::Count(count) = amount {
            *count += more as u64;
        }
    }

    fn lengthen(&mut self, name: &str, length: Duration) {
        let amount = self
            .amounts
            .entry(name.to_owned())
            .or_insert(Amount::Time(length));
        *amount = (*amount).max(Amount::Time(length));
    }

    /// The names of what happened.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.amounts.keys()
    }

    /// How much of something there was.
    pub(super) fn amount(&self, name: &str) -> Amount {
        let none = match name {
            COMMITS_APART | READS_APART => Amount::Time(Duration::ZERO),
            _ => Amount::Count(0),
        };
        self.amounts.get(name).copied().unwrap_or(none)
    }
}
