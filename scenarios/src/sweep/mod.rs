//! Many trials on all cores: the same results whatever the number of threads.
//!
//! [`sweep`] keeps everything in memory, for comparisons; [`run_in_order`] hands over one trial after the other in
//! the order of seeds, for results files that outlive this process ([`Journal`], [`Parts`]).

mod header;
mod journal;
mod line;
mod merge;
mod results;
mod seeds;
mod shard;
mod summary;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hdrhistogram::Histogram;
use ktrial_models::invariants::Invariant;

use crate::ledger::{Ledger, Outcome};
use crate::resolved::Resolved;
use crate::trial::{Bench, Ending, Keep, Trial};
use crate::workers::{InternalError, Progress, attempt, in_order};

pub use header::{SWEEP_SCHEMA, SweepHeader};
pub use journal::{Journal, JournalError};
pub use line::{FindingLine, TRIAL_SCHEMA, TrialLine, VerdictWord};
pub use merge::{MergeError, Parts};
pub use results::{Results, ResultsError, TRIALS_FILE};
pub use seeds::{Seeds, SeedsError};
pub use shard::{Shard, ShardError};
pub use summary::{ArmSummary, ArmVerdict, GroupSummary, Spread, Tally, Violation};

/// Latencies in microseconds up to an hour, to three digits.
pub type Latencies = Histogram<u32>;

pub(crate) fn latencies() -> Latencies {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("the bounds are constants")
}

/// One trial as sweeps keep it.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which arm.
    pub arm: usize,
    /// What it showed.
    pub trial: Trial,
    /// Error names with how many sends ended in them.
    pub errors: BTreeMap<&'static str, u64>,
}

/// What came of a sweep.
#[derive(Debug)]
pub struct Swept {
    /// The trials, in the order of arms and seeds.
    pub rows: Vec<Row>,
    /// One for each arm.
    pub summaries: Vec<ArmSummary>,
    /// Trials in which ktrial itself failed, with their arms; they are in no summary.
    pub errors: Vec<(usize, InternalError)>,
}

/// Runs every arm with every seed on `threads` threads. `interrupted` ends the sweep early; trials not run are left out.
pub fn sweep(
    arms: &[Arc<Resolved>],
    seeds: Range<u64>,
    threads: usize,
    interrupted: &AtomicBool,
    progress: &Progress<'_>,
) -> Swept {
    let jobs = arms.len() as u64 * (seeds.end - seeds.start);
    // Seeds change slowest, so that an interrupted sweep has all arms of the seeds it has.
    let job = |number: u64| {
        let arms = arms.len() as u64;
        ((number % arms) as usize, seeds.start + number / arms)
    };
    let mut rows = Vec::new();
    let mut errors = Vec::new();
    let states: Result<Vec<(Bench, Vec<Latencies>)>, Infallible> = in_order(
        jobs,
        threads,
        &|| interrupted.load(Ordering::Relaxed),
        progress,
        || {
            let latencies: Vec<Latencies> = arms.iter().map(|_| latencies()).collect();
            (Bench::default(), latencies)
        },
        |(bench, latencies), number| {
            let (arm, seed) = job(number);
            attempt(bench, seed, |bench| {
                Row::run(bench, &arms[arm], arm, seed, &mut latencies[arm])
            })
        },
        |number, outcome| {
            match outcome {
                Ok(row) => rows.push(row),
                Err(error) => errors.push((job(number).0, error)),
            }
            Ok(())
        },
    );
    let states = states.unwrap_or_else(|never| match never {});
    rows.sort_by_key(|row| row.arm);
    let summaries = summaries(&rows, arms.len(), &states);
    Swept {
        rows,
        summaries,
        errors,
    }
}

fn summaries(rows: &[Row], arms: usize, states: &[(Bench, Vec<Latencies>)]) -> Vec<ArmSummary> {
    let mut tallies: Vec<Tally> = (0..arms).map(|_| Tally::default()).collect();
    for row in rows {
        tallies[row.arm].add(&TrialLine::of(row, BTreeMap::new()));
    }
    let summary = |(arm, tally): (usize, Tally)| {
        let mut merged = latencies();
        for (_, own) in states {
            merged
                .add(&own[arm])
                .expect("all histograms have the same bounds");
        }
        tally.finish(Some(merged))
    };
    tallies.into_iter().enumerate().map(summary).collect()
}

/// Runs one arm with these seeds on `threads` threads and hands its trials over in the order of seeds, as soon as
/// all before have been. `interrupted` ends it early; so does an error of `each`, which is returned.
///
/// # Errors
/// Those of `each`.
pub fn run_in_order<E>(
    arm: &Arc<Resolved>,
    seeds: Seeds,
    threads: usize,
    interrupted: &AtomicBool,
    mut each: impl FnMut(Result<Row, InternalError>) -> Result<(), E>,
) -> Result<(), E> {
    in_order(
        seeds.count(),
        threads,
        &|| interrupted.load(Ordering::Relaxed),
        &|_| {},
        || (Bench::default(), latencies()),
        |(bench, unused), number| {
            let seed = seeds.first + number;
            attempt(bench, seed, |bench| Row::run(bench, arm, 0, seed, unused))
        },
        |_, outcome| each(outcome),
    )
    .map(|_| ())
}

impl Row {
    /// Runs a trial and records its acknowledgement latencies.
    fn run(
        bench: &mut Bench,
        resolved: &Arc<Resolved>,
        arm: usize,
        seed: u64,
        latencies: &mut Latencies,
    ) -> Row {
        let detailed = bench.run(resolved, seed, Keep::default());
        Row {
            arm,
            errors: take_outcomes(&detailed.ledger, latencies),
            trial: detailed.trial,
        }
    }
}

/// Records acknowledgement latencies and counts errors.
pub(crate) fn take_outcomes(ledger: &Ledger, latencies: &mut Latencies) -> BTreeMap<&'static str, u64> {
    let mut errors = BTreeMap::new();
    for sent in ledger.sends().iter().flatten() {
        if sent.outcome == Outcome::Acknowledged {
            latencies.saturating_record((sent.told.since(sent.at).0 / 1_000).max(1));
        }
        if let Some(error) = sent.error {
            *errors.entry(error).or_insert(0) += 1;
        }
    }
    errors
}

/// Why nothing was put on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vacuity {
    /// The cluster never became ready.
    NeverReady,
    /// No record was acknowledged.
    NothingAcknowledged,
    /// There is a script, and nothing of it met anybody.
    NothingHappened,
}

impl Vacuity {
    /// All of them.
    pub const ALL: [Vacuity; 3] = [
        Vacuity::NeverReady,
        Vacuity::NothingAcknowledged,
        Vacuity::NothingHappened,
    ];

    /// In words.
    pub fn says(self) -> &'static str {
        match self {
            Vacuity::NeverReady => "the cluster never became ready",
            Vacuity::NothingAcknowledged => "nothing was acknowledged",
            Vacuity::NothingHappened => "no fault of the script happened",
        }
    }
}

impl Trial {
    /// Whether something put an invariant to the test, and it could be judged or was violated.
    pub fn has_judged(&self, invariant: Invariant) -> bool {
        let unjudged = self.unjudged.iter().any(|known| known.invariant == invariant);
        let violated = self.findings.iter().any(|found| found.invariant == invariant);
        violated || (self.exercised.count(invariant) > 0 && !unjudged)
    }

    /// Why nothing was put on trial; none if something was.
    pub fn vacuity(&self) -> Option<Vacuity> {
        let nobody = || self.fired.iter().all(|fired| fired.nodes.is_empty());
        if self.ending == Ending::NeverReady {
            Some(Vacuity::NeverReady)
        } else if self.counts.acknowledged == 0 {
            Some(Vacuity::NothingAcknowledged)
        } else if !self.script.entries.is_empty() && nobody() {
            Some(Vacuity::NothingHappened)
        } else {
            None
        }
    }

    /// Whether nothing was put on trial.
    pub fn is_vacuous(&self) -> bool {
        self.vacuity().is_some()
    }

    /// What of the script never happened, in words.
    pub fn never_fired(&self) -> Vec<String> {
        let entries = self.script.entries.iter().enumerate();
        let unfired = entries.filter(|(number, _)| !self.fired.iter().any(|fired| fired.entry == *number));
        unfired.map(|(_, entry)| entry.words()).collect()
    }
}
