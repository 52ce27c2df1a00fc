//! A recorded run beside the simulation of its experiment.
//!
//! The scenario is simulated under many seeds, each trial is written as a recorder would have written it, and the same
//! judges read both. What the real run showed must then be something that the simulation shows too: the verdict of
//! each invariant, how many records were lost, refused or read twice, the course of each partition, and the time
//! from each fault to each change that follows it. What lies outside is a finding about the models.

mod comparable;
mod compare;
mod course;
mod faults;
mod grouped;
mod observe;
mod rows;
mod tally;

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use ktrial_models::history::History;

use crate::scenario::Arm;
use crate::trial::Bench;
use crate::workers::{Progress, in_order};

pub use comparable::comparable;
pub use rows::{
    Agreement, Among, Amount, CountRow, CourseRow, FaultRow, GroupRow, Phase, Range, Standing, TimeRow,
    VerdictRow,
};

use observe::{Observation, Recorded};

/// Which seeds are simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgreementSeeds {
    /// The first one.
    pub first: u64,
    /// How many are simulated in any case.
    pub count: u64,
    /// While something disagrees, more are simulated, up to this many: what the real run showed may be rare.
    pub most: u64,
}

/// How many seeds are added at a time while something disagrees.
const MORE: u64 = 20;

/// Simulates an experiment and sets the recorded run beside it. The history must be [`comparable`] with the arm.
/// The result does not depend on the number of threads; an interruption leaves out the seeds that were not simulated.
pub fn agree(
    history: &History,
    arm: &Arm,
    seeds: AgreementSeeds,
    threads: usize,
    interrupted: &AtomicBool,
    progress: &Progress<'_>,
) -> Agreement {
    let real = Recorded::new(history);
    let mut observed: Vec<Observation> = Vec::new();
    let mut from = seeds.first;
    let end = seeds.first.saturating_add(seeds.most.max(seeds.count));
    loop {
        let count = if from == seeds.first { seeds.count } else { MORE };
        let until = from.saturating_add(count).min(end);
        let before = observed.len();
        observed.extend(simulate(&real, arm, from..until, threads, interrupted, &|done| {
            progress(before + done);
        }));
        let agreement = compare::compare(&real, &observed, seeds.first);
        from = until;
        if from >= end || agreement.disagreements().is_empty() || interrupted.load(Ordering::Relaxed) {
            return agreement;
        }
    }
}

/// Observes every seed, in order.
fn simulate(
    real: &Recorded<'_>,
    arm: &Arm,
    seeds: std::ops::Range<u64>,
    threads: usize,
    interrupted: &AtomicBool,
    progress: &Progress<'_>,
) -> Vec<Observation> {
    let mut observed = Vec::new();
    let done: Result<Vec<Bench>, Infallible> = in_order(
        seeds.end - seeds.start,
        threads,
        &|| interrupted.load(Ordering::Relaxed),
        progress,
        Bench::default,
        |bench, number| real.observe(bench, arm, seeds.start + number),
        |_, observation| {
            observed.push(observation);
            Ok(())
        },
    );
    done.unwrap_or_else(|never| match never {});
    observed
}
