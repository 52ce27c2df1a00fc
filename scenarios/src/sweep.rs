//! Many trials on all cores: the same results whatever the number of threads.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hdrhistogram::Histogram;
use ktrial_models::invariants::{Invariant, Verdict};
use ktrial_sim::Duration;

use crate::ledger::{Counts, Ledger, Outcome};
use crate::resolved::Resolved;
use crate::statistics::Share;
use crate::trial::{Bench, Ending, Keep, Trial};

/// Latencies in microseconds up to an hour, to three digits.
pub type Latencies = Histogram<u32>;

fn latencies() -> Latencies {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("the bounds are constants")
}

/// One arm over all its seeds.
#[derive(Clone, Debug)]
pub struct ArmSummary {
    /// Sums over all trials.
    pub counts: Counts,
    /// Trials that lost an acknowledged record.
    pub with_loss: Share,
    /// Trials with a duplicate.
    pub with_duplicates: Share,
    /// Trials with reordering.
    pub with_reordering: Share,
    /// How long nothing could be written: least, median and most over the trials.
    pub unwritable: Spread,
    /// From send to acknowledgement, of the acknowledged.
    pub latencies: Latencies,
    /// How many trials ended how.
    pub endings: BTreeMap<&'static str, u64>,
    /// Trials in which an invariant was violated, by verdict; the first seed that shows it.
    pub violations: BTreeMap<(Verdict, Invariant), Violation>,
    /// Trials in which nothing was acknowledged or no fault of the script happened.
    pub vacuous: u64,
    /// Error names with how many sends ended in them.
    pub errors: BTreeMap<&'static str, u64>,
    /// Events and messages, summed.
    pub events: u64,
    /// See `events`.
    pub delivered: u64,
    /// Simulated time, summed.
    pub simulated: Duration,
}

/// How often and where an invariant was violated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Violation {
    /// In how many trials.
    pub trials: u64,
    /// How many witnesses over all trials, at most 32 of each.
    pub witnesses: u64,
    /// The first seed that shows it.
    pub seed: u64,
}

/// Least, median and most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// The least.
    pub least: Duration,
    /// The median (the lower one of two).
    pub median: Duration,
    /// The most.
    pub most: Duration,
}

impl Spread {
    /// Of these values.
    pub fn of(mut values: Vec<Duration>) -> Self {
        values.sort_unstable();
        match (values.first(), values.last()) {
            (Some(least), Some(most)) => Spread {
                least: *least,
                median: values[(values.len() - 1) / 2],
                most: *most,
            },
            _ => Spread::default(),
        }
    }
}

/// What an arm comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ArmVerdict {
    /// Nothing was violated.
    Holds,
    /// Nothing was exercised.
    Vacuous,
    /// Something that Kafka does not promise with these settings was violated.
    Exposed,
    /// Something Kafka promises was violated.
    Broken,
}

impl ArmSummary {
    /// What the arm comes to.
    pub fn verdict(&self) -> ArmVerdict {
        if self
            .violations
            .keys()
            .any(|(verdict, _)| *verdict == Verdict::Broken)
        {
            ArmVerdict::Broken
        } else if !self.violations.is_empty() {
            ArmVerdict::Exposed
        } else if self.vacuous == self.with_loss.n {
            ArmVerdict::Vacuous
        } else {
            ArmVerdict::Holds
        }
    }
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
    let summaries = merged
        .into_iter()
        .enumerate()
        .map(|(arm, latencies)| summarise(rows.iter().filter(|row| row.arm == arm), latencies));
    let summaries = summaries.collect();
    (rows, summaries)
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

fn summarise<'a>(rows: impl Iterator<Item = &'a Row>, latencies: Latencies) -> ArmSummary {
    let mut summary = ArmSummary {
        counts: Counts::default(),
        with_loss: Share::default(),
        with_duplicates: Share::default(),
        with_reordering: Share::default(),
        unwritable: Spread::default(),
        latencies,
        endings: BTreeMap::new(),
        violations: BTreeMap::new(),
        vacuous: 0,
        errors: BTreeMap::new(),
        events: 0,
        delivered: 0,
        simulated: Duration::ZERO,
    };
    let mut unwritable = Vec::new();
    for row in rows {
        let trial = &row.trial;
        summary.counts.add(&trial.counts);
        for (share, shown) in [
            (&mut summary.with_loss, trial.counts.lost > 0),
            (&mut summary.with_duplicates, trial.counts.duplicates > 0),
            (&mut summary.with_reordering, trial.counts.reordered > 0),
        ] {
            share.n += 1;
            share.k += u64::from(shown);
        }
        unwritable.push(trial.unwritable);
        *summary.endings.entry(trial.ending.name()).or_insert(0) += 1;
        let mut seen = Vec::new();
        for finding in &trial.findings {
            let key = (finding.verdict, finding.invariant);
            let violation = summary.violations.entry(key).or_insert(Violation {
                seed: trial.seed,
                ..Violation::default()
            });
            violation.witnesses += 1;
            if !seen.contains(&key) {
                violation.trials += 1;
                seen.push(key);
            }
        }
        summary.vacuous += u64::from(trial.is_vacuous());
        for (error, count) in &row.errors {
            *summary.errors.entry(error).or_insert(0) += count;
        }
        summary.events += trial.counters.events;
        summary.delivered += trial.counters.delivered;
        summary.simulated = summary.simulated.saturating_add(Duration(trial.ended.0));
    }
    summary.unwritable = Spread::of(unwritable);
    summary
}

impl Trial {
    /// Whether nothing was put on trial: nothing acknowledged, or a script of which nothing happened.
    pub fn is_vacuous(&self) -> bool {
        self.counts.acknowledged == 0
            || self.ending == Ending::NeverReady
            || (!self.script.entries.is_empty() && self.fired.iter().all(|fired| fired.nodes.is_empty()))
    }
}
