//! Many scenarios with many seeds on all cores. The results do not depend on the number of threads.

use std::convert::Infallible;
use std::sync::Arc;

use super::trial::TestedTrial;
use crate::resolved::Resolved;
use crate::sweep::Seeds;
use crate::trial::{Bench, Keep};
use crate::workers::{InternalError, Progress, attempt, in_order};

/// A scenario to be run.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The scenario.
    pub resolved: Arc<Resolved>,
    /// The seeds, in the order in which they are run.
    pub seeds: Vec<u64>,
}

impl Candidate {
    /// A scenario with its regression seeds first, and then the others of a range.
    pub fn new(resolved: Arc<Resolved>, regression: &[u64], range: Seeds) -> Self {
        let others = range.all().filter(|seed| !regression.contains(seed));
        Candidate {
            resolved,
            seeds: regression.iter().copied().chain(others).collect(),
        }
    }
}

/// What came of one seed: the trial, or what ktrial said when it failed itself.
pub type Finished = Result<TestedTrial, InternalError>;

/// How one trial is run.
type RunTrial = dyn Fn(&mut Bench, &Arc<Resolved>, u64) -> TestedTrial + Sync;

/// Runs a trial as tests do.
fn run_trial(bench: &mut Bench, resolved: &Arc<Resolved>, seed: u64) -> TestedTrial {
    TestedTrial::of(&bench.run(resolved, seed, Keep::default()))
}

/// Runs all candidates on `threads` threads and returns, for each, what came of its seeds in their order. All
/// candidates advance together, seed by seed, so that one that is cut short has as much of each as of the others.
/// No trial is begun once `stop` says so; seeds that were not run are left out at the end.
pub fn run_suite(
    candidates: &[Candidate],
    threads: usize,
    stop: &(dyn Fn() -> bool + Sync),
    progress: &Progress<'_>,
) -> Vec<Vec<Finished>> {
    run_with(candidates, threads, stop, progress, &run_trial)
}

fn run_with(
    candidates: &[Candidate],
    threads: usize,
    stop: &(dyn Fn() -> bool + Sync),
    progress: &Progress<'_>,
    trial: &RunTrial,
) -> Vec<Vec<Finished>> {
    let most = candidates.iter().map(|of| of.seeds.len()).max().unwrap_or(0);
    let jobs: Vec<(usize, usize)> = (0..most)
        .flat_map(|place| (0..candidates.len()).map(move |candidate| (place, candidate)))
        .filter(|(place, candidate)| *place < candidates[*candidate].seeds.len())
        .collect();
    let mut results: Vec<Vec<Finished>> = candidates.iter().map(|_| Vec::new()).collect();
    let done: Result<Vec<Bench>, Infallible> = in_order(
        jobs.len() as u64,
        threads,
        stop,
        progress,
        Bench::default,
        |bench, number| {
            let (place, candidate) = jobs[number as usize];
            let of = &candidates[candidate];
            let seed = of.seeds[place];
            attempt(bench, seed, |bench| trial(bench, &of.resolved, seed))
        },
        |number, finished| {
            results[jobs[number as usize].1].push(finished);
            Ok(())
        },
    );
    done.unwrap_or_else(|never| match never {});
    results
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::library::Source;
    use crate::scenario::Overrides;

    fn candidates(seeds: &[u64]) -> Vec<Candidate> {
        let resolved = |name: &str| {
            let scenario = Source::parse(name).unwrap().read(&Overrides::default()).unwrap();
            scenario.arm(&[]).unwrap().resolved
        };
        ["@t0", "@leader-loss"]
            .map(|name| Candidate {
                resolved: resolved(name),
                seeds: seeds.to_vec(),
            })
            .to_vec()
    }

    #[test]
    fn results_stand_in_the_order_of_seeds_whatever_the_number_of_threads() {
        let candidates = candidates(&[9, 1, 2]);
        let one = run_suite(&candidates, 1, &|| false, &|_| {});
        let four = run_suite(&candidates, 4, &|| false, &|_| {});
        assert_eq!(one, four);
        for results in &one {
            let seeds: Vec<u64> = results.iter().map(|ran| ran.as_ref().unwrap().seed).collect();
            assert_eq!(seeds, [9, 1, 2]);
        }
    }

    #[test]
    fn a_run_that_is_cut_short_has_as_much_of_every_scenario() {
        let candidates = candidates(&[1, 2, 3, 4]);
        let enough = AtomicBool::new(false);
        let results = run_suite(&candidates, 1, &|| enough.load(Ordering::Relaxed), &|done| {
            enough.store(done == 4, Ordering::Relaxed);
        });
        assert_eq!(results.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    }

    #[test]
    fn a_trial_in_which_ktrial_fails_is_told_and_the_others_are_run() {
        let fails = |bench: &mut Bench, resolved: &Arc<Resolved>, seed| {
            assert_ne!(seed, 2, "the second one");
            run_trial(bench, resolved, seed)
        };
        let results = run_with(&candidates(&[1, 2, 3]), 2, &|| false, &|_| {}, &fails);
        let error = results[0][1].as_ref().unwrap_err();
        assert!(
            error.seed == 2 && error.message.contains("the second one"),
            "{error}"
        );
        assert!(results[0][0].is_ok() && results[0][2].is_ok());
    }
}
