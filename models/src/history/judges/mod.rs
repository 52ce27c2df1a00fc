//! The judges: pure functions from the books of a history to findings.

mod counts;
mod durability;
mod ordering;
mod polling;
mod resolution;
mod transactions;

pub use counts::Counts;

use super::event::History;
use super::finding::{Finding, Invariant, Witness};
use super::ledger::Ledger;
use super::promise::{Promises, SettingsAndFaults, Standing};

/// Everything the judges found in a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How much happened, whatever was found.
    pub counts: Counts,
    /// One for each invariant, in the order of [`Invariant::ALL`].
    pub findings: Vec<Finding>,
}

impl Report {
    /// What was found of one invariant.
    pub fn finding(&self, invariant: Invariant) -> &Finding {
        let found = self
            .findings
            .iter()
            .find(|finding| finding.invariant == invariant);
        found.expect("a report has a finding for every invariant")
    }
}

/// Judges a history by itself: promises follow from its header and its faults.
pub fn judge(history: &History) -> Report {
    let ledger = Ledger::new(history);
    judge_with(&ledger, &SettingsAndFaults::new(&ledger))
}

/// Judges a history under promises that somebody else knows better.
pub fn judge_with(ledger: &Ledger<'_>, promises: &dyn Promises) -> Report {
    let findings = Invariant::ALL.map(|invariant| {
        let mut bench = Bench::new(invariant, promises);
        match invariant {
            Invariant::LostWrite => durability::lost_writes(ledger, &mut bench),
            Invariant::InconsistentOffset => durability::inconsistent_offsets(ledger, &mut bench),
            Invariant::ReadThenGone => durability::read_then_gone(ledger, &mut bench),
            Invariant::FailedWriteVisible => durability::failed_writes_visible(ledger, &mut bench),
            Invariant::ErrorButInTheLog => durability::errors_in_the_log(ledger, &mut bench),
            Invariant::Duplicate => ordering::duplicates(ledger, &mut bench),
            Invariant::NonmonotonicSend => ordering::nonmonotonic_sends(ledger, &mut bench),
            Invariant::NonmonotonicPoll => polling::nonmonotonic_polls(ledger, &mut bench),
            Invariant::PollSkip => polling::poll_skips(ledger, &mut bench),
            Invariant::ReadTwice => polling::read_twice(ledger, &mut bench),
            Invariant::SendResolves => resolution::unresolved_sends(ledger, &mut bench),
            Invariant::FinalUnreadable => resolution::unreadable_finals(ledger, &mut bench),
            Invariant::AbortedRead => transactions::aborted_reads(ledger, &mut bench),
            Invariant::TornTransaction => transactions::torn(ledger, &mut bench),
            Invariant::InputWithoutOutput => transactions::inputs_without_output(ledger, &mut bench),
            Invariant::InputCountedTwice => transactions::inputs_counted_twice(ledger, &mut bench),
        }
        bench.finding()
    });
    Report {
        counts: Counts::of(ledger),
        findings: findings.into(),
    }
}

/// Where a judge puts what it finds.
struct Bench<'p> {
    finding: Finding,
    released: Vec<Witness>,
    promises: &'p dyn Promises,
}

impl<'p> Bench<'p> {
    fn new(invariant: Invariant, promises: &'p dyn Promises) -> Self {
        let finding = Finding {
            invariant,
            exercised: 0,
            undecided: 0,
            violations: 0,
            promised: 0,
            reasons: Vec::new(),
            witnesses: Vec::new(),
        };
        Bench {
            finding,
            released: Vec::new(),
            promises,
        }
    }

    /// The invariant could have been violated here, and was not.
    fn held(&mut self) {
        self.finding.exercised += 1;
    }

    /// Whether it was violated cannot be told.
    fn undecided(&mut self) {
        self.finding.undecided += 1;
    }

    /// It was violated.
    fn violated(&mut self, witness: Witness) {
        self.finding.exercised += 1;
        self.finding.violations += 1;
        match self.promises.standing(self.finding.invariant, &witness) {
            Standing::Promised => {
                self.finding.promised += 1;
                if self.finding.witnesses.len() < Finding::WITNESSES {
                    self.finding.witnesses.push(witness);
                }
            }
            Standing::Released(reason) => {
                match self.finding.reasons.iter_mut().find(|(known, _)| known == reason) {
                    Some((_, count)) => *count += 1,
                    None => self.finding.reasons.push((reason.to_owned(), 1)),
                }
                if self.released.len() < Finding::WITNESSES {
                    self.released.push(witness);
                }
            }
        }
    }

    fn finding(mut self) -> Finding {
        let room = Finding::WITNESSES - self.finding.witnesses.len();
        self.finding
            .witnesses
            .extend(self.released.into_iter().take(room));
        self.finding
    }
}
