//! How much happened, whatever the invariants say.

use std::collections::BTreeMap;

use super::super::event::Operation;
use super::super::ledger::{Fate, Ledger};
use super::super::outcome::Outcome;

/// Counts of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that an application sent.
    pub sent: u64,
    /// Of these, acknowledged.
    pub acknowledged: u64,
    /// Of these, failed: refused before any append.
    pub failed: u64,
    /// Of these, unknown: they ended with an error and may be in the log.
    pub unknown: u64,
    /// Of these, without an outcome.
    pub pending: u64,
    /// Sends that ended with an error, by its name.
    pub errors: BTreeMap<String, u64>,
    /// Records that polls returned, each time they did.
    pub polled: u64,
    /// Transactions that began.
    pub transactions: u64,
    /// Of these, committed.
    pub committed: u64,
    /// Of these, aborted because the application wanted it.
    pub aborted: u64,
    /// Of these, aborted because something had failed.
    pub aborted_after_error: u64,
    /// Distinct inputs of transfers in the final logs of committed records.
    pub inputs: u64,
    /// Outcomes of records that nobody sent.
    pub strays: u64,
}

impl Counts {
    pub(super) fn of(ledger: &Ledger<'_>) -> Self {
        let names = &ledger.history.names;
        let mut counts = Counts {
            sent: ledger.sent() as u64,
            strays: ledger.strays,
            ..Counts::default()
        };
        let mut errors = BTreeMap::new();
        for entry in ledger.entries.iter().filter(|entry| entry.sent.is_some()) {
            match entry.outcome {
                Outcome::Acknowledged => counts.acknowledged += 1,
                Outcome::Failed => counts.failed += 1,
                Outcome::Unknown => counts.unknown += 1,
                Outcome::Pending => counts.pending += 1,
            }
            if let Some((error, _)) = entry.error {
                *errors.entry(error).or_insert(0) += 1;
            }
        }
        counts.errors = errors
            .into_iter()
            .map(|(error, count)| (names.error_name(error).to_owned(), count))
            .collect();
        for transaction in ledger
            .transactions
            .iter()
            .filter(|transaction| transaction.process.is_some())
        {
            counts.transactions += 1;
            match transaction.fate {
                Fate::Committed => counts.committed += 1,
                Fate::Aborted => counts.aborted += 1,
                Fate::AbortedAfterError => counts.aborted_after_error += 1,
                Fate::Unknown => {}
            }
        }
        for event in ledger.history.events() {
            if let Operation::Poll { records, .. } = event.operation {
                counts.polled += records.len() as u64;
            }
        }
        counts.inputs = super::transactions::inputs(ledger)
            .iter()
            .filter(|input| input.copies > 0)
            .count() as u64;
        counts
    }
}
