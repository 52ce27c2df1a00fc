//! Many scenarios with many seeds on all cores. The results do not depend on the number of threads.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::trial::TestedTrial;
use crate::resolved::Resolved;
use crate::sweep::{Progress, Seeds};
use crate::trial::{Bench, Keep};

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
pub type Finished = Result<TestedTrial, (u64, String)>;

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
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let finished: Mutex<Vec<(usize, usize, Finished)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1).min(jobs.len()) {
            scope.spawn(|| {
                let mut bench = Bench::default();
                while let Some((place, candidate)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if stop() {
                        break;
                    }
                    let of = &candidates[*candidate];
                    let outcome = attempt(&mut bench, &of.resolved, of.seeds[*place], trial);
                    finished
                        .lock()
                        .expect("no thread panics while it holds the results")
                        .push((*candidate, *place, outcome));
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1);
                }
            });
        }
    });
    let mut finished = finished.into_inner().expect("all threads have ended");
    finished.sort_unstable_by_key(|(candidate, place, _)| (*candidate, *place));
    let mut results: Vec<Vec<Finished>> = candidates.iter().map(|_| Vec::new()).collect();
    for (candidate, _, outcome) in finished {
        results[candidate].push(outcome);
    }
    results
}

/// Runs a trial. If ktrial itself fails in it, the others go on: that is a result like any other, and the memory it
/// was found in is not used again.
fn attempt(bench: &mut Bench, resolved: &Arc<Resolved>, seed: u64, trial: &RunTrial) -> Finished {
    catch_unwind(AssertUnwindSafe(|| trial(bench, resolved, seed))).map_err(|payload| {
        *bench = Bench::default();
        (seed, message(&*payload))
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

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
        let (seed, message) = results[0][1].as_ref().unwrap_err();
        assert!(*seed == 2 && message.contains("the second one"), "{message}");
        assert!(results[0][0].is_ok() && results[0][2].is_ok());
    }
}
