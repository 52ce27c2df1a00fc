//! How many records of a history came to what, by when they were sent.

use std::cell::RefCell;
use std::collections::BTreeMap;

use ktrial_models::history::{
    History, Invariant, Ledger, Outcome, Promises, Report, SettingsAndFaults, Standing, Witness, judge_with,
};
use ktrial_sim::Time;

/// The counts that judges make, by their names in reports.
pub(super) const JUDGED: [(&str, Invariant); 8] = [
    ("acknowledged but lost", Invariant::LostWrite),
    ("at two offsets", Invariant::Duplicate),
    ("out of order", Invariant::NonmonotonicSend),
    ("offsets with two records", Invariant::InconsistentOffset),
    ("read twice", Invariant::ReadTwice),
    ("read, then gone", Invariant::ReadThenGone),
    ("refused but in the log", Invariant::FailedWriteVisible),
    ("error but in the log", Invariant::ErrorButInTheLog),
];

/// Counts that need no judge, in the order of reports, before the judged ones.
pub(super) const TOLD: [&str; 3] = ["sent", "acknowledged", "without outcome"];

/// What the judges found, and how many records of each phase came to what.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) report: Report,
    /// By name, for each phase.
    pub(super) counts: BTreeMap<String, Vec<u64>>,
    /// When the first and the last record were sent.
    pub(super) sends: Option<(Time, Time)>,
}

impl Tally {
    /// Judges a history. Its phases begin at the first send and at each of the boundaries.
    pub(super) fn of(history: &History, boundaries: &[Time]) -> Tally {
        let ledger = Ledger::new(history);
        let judged = Judged {
            promises: SettingsAndFaults::new(&ledger),
            ledger: &ledger,
            boundaries,
            counts: RefCell::new(BTreeMap::new()),
        };
        let report = judge_with(&ledger, &judged);
        let mut counts = judged.counts.into_inner();
        let mut sends: Option<(Time, Time)> = None;
        for entry in &ledger.entries {
            let Some(sent) = entry.sent else { continue };
            sends = Some(sends.map_or((sent.time, sent.time), |(first, last)| {
                (first.min(sent.time), last.max(sent.time))
            }));
            let mut count = |name: &str| add(&mut counts, name, boundaries, sent.time);
            count("sent");
            match entry.outcome {
                Outcome::Acknowledged => count("acknowledged"),
                Outcome::Pending => count("without outcome"),
                Outcome::Failed | Outcome::Unknown => {}
            }
            if let Some((error, _)) = entry.error {
                count(history.names.error_name(error));
            }
        }
        Tally {
            report,
            counts,
            sends,
        }
    }

    /// One count over all phases.
    pub(super) fn total(&self, name: &str) -> u64 {
        self.counts.get(name).map_or(0, |phases| phases.iter().sum())
    }

    /// One count in one phase.
    pub(super) fn in_phase(&self, name: &str, phase: usize) -> u64 {
        self.counts.get(name).map_or(0, |phases| phases[phase])
    }
}

fn add(counts: &mut BTreeMap<String, Vec<u64>>, name: &str, boundaries: &[Time], sent: Time) {
    if !counts.contains_key(name) {
        counts.insert(name.to_owned(), vec![0; boundaries.len() + 1]);
    }
    let phase = boundaries.partition_point(|boundary| *boundary <= sent);
    counts.get_mut(name).expect("it is there now")[phase] += 1;
}

/// Whoever judges asks of every violation whether it was promised that it cannot happen: the place to count them all.
struct Judged<'l, 'h> {
    promises: SettingsAndFaults<'l, 'h>,
    ledger: &'l Ledger<'h>,
    boundaries: &'l [Time],
    counts: RefCell<BTreeMap<String, Vec<u64>>>,
}

impl Promises for Judged<'_, '_> {
    fn standing(&self, invariant: Invariant, witness: &Witness) -> Standing<'_> {
        if let Some((name, _)) = JUDGED.iter().find(|(_, judged)| *judged == invariant) {
            let sent = witness
                .record
                .and_then(|record| self.ledger.find(record))
                .and_then(|slot| self.ledger.entry(slot).sent);
            let at = sent.map(|sent| sent.time).or(witness.time).unwrap_or_default();
            add(&mut self.counts.borrow_mut(), name, self.boundaries, at);
        }
        self.promises.standing(invariant, witness)
    }
}
