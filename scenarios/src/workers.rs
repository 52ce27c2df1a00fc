//! Work on all cores: numbered jobs on threads, their results in the order of the numbers.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::trial::Bench;

/// Told to whoever shows progress, after each trial: how many are done.
pub type Progress<'a> = dyn Fn(usize) + Sync + 'a;

/// ktrial itself failed in a trial: a bug of ours, and no finding about Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalError {
    /// The seed of the trial.
    pub seed: u64,
    /// What it said.
    pub message: String,
}

impl fmt::Display for InternalError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            to,
            "ktrial itself failed in the trial of seed {}: {}",
            self.seed, self.message
        )
    }
}

/// Does jobs 0 to `jobs` - 1 on `threads` threads, each with a state of its own, and hands what came of them to
/// `each` in the order of their numbers, each as soon as all before have been. No job is begun once `stop` says so or
/// `each` has failed; those that were begun are finished, so that what is handed over has no gap. Returns the threads'
/// states.
///
/// # Errors
/// The first one of `each`.
pub(crate) fn in_order<State: Send, Output: Send, Error>(
    jobs: u64,
    threads: usize,
    stop: &(dyn Fn() -> bool + Sync),
    progress: &Progress<'_>,
    state: impl Fn() -> State + Sync,
    work: impl Fn(&mut State, u64) -> Output + Sync,
    mut each: impl FnMut(u64, Output) -> Result<(), Error>,
) -> Result<Vec<State>, Error> {
    let (next, done, failed) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let (finished, results) = std::sync::mpsc::channel();
    let run = |finished: std::sync::mpsc::Sender<(u64, Output)>| {
        let mut own = state();
        while !stop() && !failed.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= jobs {
                break;
            }
            let output = work(&mut own, number);
            // Nobody listens any more only if `each` has failed.
            let _ = finished.send((number, output));
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
        own
    };
    std::thread::scope(|scope| {
        let threads = 0..threads
            .max(1)
            .min(usize::try_from(jobs).unwrap_or(usize::MAX).max(1));
        let running: Vec<_> = threads
            .map(|_| {
                let finished = finished.clone();
                scope.spawn(|| run(finished))
            })
            .collect();
        drop(finished);
        let mut early = BTreeMap::new();
        let mut wanted = 0;
        for (number, output) in results {
            early.insert(number, output);
            while let Some(output) = early.remove(&wanted) {
                if let Err(error) = each(wanted, output) {
                    failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
                wanted += 1;
            }
        }
        let joined = running.into_iter().map(|thread| match thread.join() {
            Ok(state) => state,
            Err(payload) => std::panic::resume_unwind(payload),
        });
        Ok(joined.collect())
    })
}

/// Runs a trial. If ktrial itself fails in it, the others go on: that is a result like any other, and the memory it
/// was found in is not used again.
///
/// # Errors
/// What ktrial said when it failed.
pub(crate) fn attempt<T>(
    bench: &mut Bench,
    seed: u64,
    trial: impl FnOnce(&mut Bench) -> T,
) -> Result<T, InternalError> {
    catch_unwind(AssertUnwindSafe(|| trial(bench))).map_err(|payload| {
        *bench = Bench::default();
        let message = message(&*payload);
        InternalError { seed, message }
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// What is handed over of `jobs` jobs, each of which gives its number.
    fn numbers(jobs: u64, threads: usize, stop: &(dyn Fn() -> bool + Sync)) -> Vec<u64> {
        let mut handed = Vec::new();
        let done: Result<Vec<()>, Infallible> = in_order(
            jobs,
            threads,
            stop,
            &|_| {},
            || (),
            |(), number| number,
            |number, output| {
                assert_eq!(number, output);
                handed.push(output);
                Ok(())
            },
        );
        done.expect("nothing can fail");
        handed
    }

    #[test]
    fn results_come_in_the_order_of_numbers_whatever_the_number_of_threads() {
        let all: Vec<u64> = (0..100).collect();
        assert_eq!(numbers(100, 1, &|| false), all);
        assert_eq!(numbers(100, 4, &|| false), all);
        assert_eq!(numbers(0, 4, &|| false), Vec::<u64>::new());
    }

    #[test]
    fn what_is_handed_over_when_stopped_has_no_gap() {
        let asked = AtomicU64::new(0);
        let handed = numbers(1_000, 4, &|| asked.fetch_add(1, Ordering::Relaxed) >= 50);
        assert_eq!(handed, (0..50).collect::<Vec<u64>>());
    }

    #[test]
    fn no_job_is_begun_after_a_result_could_not_be_taken() {
        let begun = AtomicU64::new(0);
        let count = |(): &mut (), number| {
            begun.fetch_add(1, Ordering::Relaxed);
            number
        };
        let full = |number, _| if number == 3 { Err("disk full") } else { Ok(()) };
        let done = in_order(1_000_000, 2, &|| false, &|_| {}, || (), count, full);
        assert_eq!(done, Err("disk full"));
        assert!(begun.into_inner() < 1_000_000);
    }

    #[test]
    fn a_trial_in_which_ktrial_fails_is_told_with_its_seed() {
        let told = attempt(&mut Bench::default(), 7, |_| -> () { panic!("the {}th", 7) }).unwrap_err();
        assert_eq!(
            told.to_string(),
            "ktrial itself failed in the trial of seed 7: the 7th"
        );
    }
}
