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
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hdrhistogram::Histogram;

use crate::ledger::{Ledger, Outcome};
use crate::resolved::Resolved;
use crate::trial::{Bench, Ending, Keep, Trial};

pub use header::{SWEEP_SCHEMA, SweepHeader};
pub use journal::{Journal, JournalError};
pub use line::{FindingLine, TRIAL_SCHEMA, TrialLine, VerdictWord};
pub use merge::{MergeError, Parts};
pub use results::{Results, ResultsError, TRIALS_FILE};
pub use seeds::{Seeds, SeedsError};
pub use shard::{Shard, ShardError};
pub use summary::{ArmSummary, ArmVerdict, Spread, Tally, Violation};

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

/// Told to whoever shows progress, after each trial: how many are done.
pub type Progress<'a> = dyn Fn(usize) + Sync + 'a;

/// Runs every arm with every seed on `threads` threads, and returns rows in the order of arms and seeds with one
/// summary for each arm. `interrupted` ends the sweep early; rows not run are left out.
pub fn sweep(
    arms: &[Arc<Resolved>],
    seeds: Range<u64>,
    threads: usize,
    interrupted: &AtomicBool,
    progress: &Progress<'_>,
) -> (Vec<Row>, Vec<ArmSummary>) {
    let per_arm = (seeds.end - seeds.start) as usize;
    let jobs = arms.len() * per_arm;
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let rows: Mutex<Vec<(usize, Row)>> = Mutex::new(Vec::with_capacity(jobs));
    let merged: Mutex<Vec<Latencies>> = Mutex::new(arms.iter().map(|_| latencies()).collect());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1).min(jobs.max(1)) {
            scope.spawn(|| {
                let mut bench = Bench::default();
                let mut own: Vec<Latencies> = arms.iter().map(|_| latencies()).collect();
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    if job >= jobs || interrupted.load(Ordering::Relaxed) {
                        break;
                    }
                    // Seeds change slowest, so that an interrupted sweep has all arms of the seeds it has.
                    let (arm, seed) = (job % arms.len(), seeds.start + (job / arms.len()) as u64);
                    let detailed = bench.run(&arms[arm], seed, Keep::default());
                    let errors = take_outcomes(&detailed.ledger, &mut own[arm]);
                    let row = Row {
                        arm,
                        trial: detailed.trial,
                        errors,
                    };
                    rows.lock()
                        .expect("no thread panics while it holds the rows")
                        .push((job, row));
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1);
                }
                let mut merged = merged.lock().expect("no thread panics while it merges");
                for (all, own) in merged.iter_mut().zip(&own) {
                    all.add(own).expect("all histograms have the same bounds");
                }
            });
        }
    });
    let mut rows = rows.into_inner().expect("all threads have ended");
    rows.sort_unstable_by_key(|(job, row)| (row.arm, *job));
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    let merged = merged.into_inner().expect("all threads have ended");
    let mut tallies: Vec<Tally> = arms.iter().map(|_| Tally::default()).collect();
    for row in &rows {
        tallies[row.arm].add(&TrialLine::of(row, BTreeMap::new()));
    }
    let summaries = tallies
        .into_iter()
        .zip(merged)
        .map(|(tally, latencies)| tally.finish(Some(latencies)));
    let summaries = summaries.collect();
    (rows, summaries)
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
    mut each: impl FnMut(&Row) -> Result<(), E>,
) -> Result<(), E> {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let (finished, rows) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let finished = finished.clone();
            let (next, stop) = (&next, &stop);
            scope.spawn(move || {
                let mut bench = Bench::default();
                let mut unused = latencies();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let over = interrupted.load(Ordering::Relaxed) || stop.load(Ordering::Relaxed);
                    if number >= seeds.count() || over {
                        break;
                    }
                    let detailed = bench.run(arm, seeds.first + number, Keep::default());
                    let errors = take_outcomes(&detailed.ledger, &mut unused);
                    let row = Row {
                        arm: 0,
                        trial: detailed.trial,
                        errors,
                    };
                    // Nobody listens any more only if the sweep is over.
                    let _ = finished.send((number, row));
                }
            });
        }
        drop(finished);
        let mut early: BTreeMap<u64, Row> = BTreeMap::new();
        let mut wanted = 0;
        for (number, row) in rows {
            early.insert(number, row);
            while let Some(row) = early.remove(&wanted) {
                wanted += 1;
                if let Err(error) = each(&row) {
                    stop.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(())
    })
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

impl Trial {
    /// Whether nothing was put on trial: nothing acknowledged, or a script of which nothing happened.
    pub fn is_vacuous(&self) -> bool {
        self.counts.acknowledged == 0
            || self.ending == Ending::NeverReady
            || (!self.script.entries.is_empty() && self.fired.iter().all(|fired| fired.nodes.is_empty()))
    }
}
