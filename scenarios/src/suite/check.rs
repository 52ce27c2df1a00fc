//! What trials come to: one check for each invariant and for each threshold.

use std::collections::BTreeMap;

use ktrial_models::config::Place;
use ktrial_models::invariants::{Exposure, Invariant, Verdict};

use super::fingerprint::Fingerprint;
use super::trial::{TestedTrial, Witnessed};
use crate::assertion::{Assertions, Bound, InTrials, Measured, Threshold};
use crate::statistics::Share;

/// One thing that a scenario tests.
#[derive(Clone, Debug)]
pub struct Check {
    /// What it is.
    pub checked: Checked,
    /// Where the scenario asserts it, if it does.
    pub place: Option<Place>,
    /// What did not hold, a broken promise first, then what most trials showed.
    pub failures: Vec<Failure>,
    /// In which trials it could not be judged, if in any.
    pub unjudged: Option<NotJudged>,
    /// What it comes to.
    pub status: CheckStatus,
}

/// Trials in which something was put to the test and could not be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotJudged {
    /// How many, of those that count.
    pub trials: Share,
    /// The first of their seeds.
    pub seed: u64,
    /// Why not, with that seed.
    pub because: String,
}

impl Check {
    /// Whether a failure of it lets the scenario fail: beside a broken promise, what is merely exposed and not asserted
    /// is told.
    pub fn fails(&self, failure: &Failure) -> bool {
        self.place.is_some() || failure.because == Reason::Broken
    }
}

/// What is checked.
#[derive(Clone, Debug)]
pub enum Checked {
    /// An invariant. Each is checked in every scenario: a broken promise fails whatever is asserted.
    Invariant(Invariant),
    /// A threshold, and the least and the most that was measured in the trials that count.
    Threshold(Threshold, Option<(Measured, Measured)>),
}

/// What a check comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckStatus {
    /// It held.
    Held,
    /// It was not violated, and in some trials it could not be judged.
    Unjudged,
    /// It did not hold, Kafka does not promise it with these settings, and it is not asserted.
    Told,
    /// It is asserted, and did not hold.
    Failed,
    /// Kafka promises it, and it did not hold.
    Broken,
}

/// Everything that failed in the same way.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The name of that way.
    pub fingerprint: Fingerprint,
    /// What failed, in words.
    pub because: Reason,
    /// How many trials show it, of those that count.
    pub trials: Share,
    /// The seeds that show it, in the order in which they were run.
    pub seeds: Vec<u64>,
    /// The first witness of the first of these seeds.
    pub witness: Option<Witnessed>,
}

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Kafka promises it.
    Broken,
    /// Kafka does not promise it with these settings.
    Exposed(Exposure),
    /// These bounds are not kept; what was measured with the first of the seeds.
    Bounds(Vec<Bound>, Option<Measured>),
}

/// All checks of a scenario: invariants in the order of their ids, then thresholds in the order of the file.
/// `regression` are seeds that were chosen because of what they showed: they say nothing of how often something
/// happens, so that bounds on a share of the trials leave them out.
pub fn checks(assertions: &Assertions, trials: &[TestedTrial], regression: &[u64]) -> Vec<Check> {
    let invariants = Invariant::ALL.iter().map(|invariant| {
        let place = assertions.of(*invariant).cloned();
        let failures = violations(*invariant, trials);
        let broken = failures.iter().any(|failure| failure.because == Reason::Broken);
        let unjudged = not_judged(*invariant, trials);
        let status = match (broken, failures.is_empty(), place.is_some()) {
            (true, ..) => CheckStatus::Broken,
            (false, true, _) if unjudged.is_some() => CheckStatus::Unjudged,
            (false, true, _) => CheckStatus::Held,
            (false, false, true) => CheckStatus::Failed,
            (false, false, false) => CheckStatus::Told,
        };
        Check {
            checked: Checked::Invariant(*invariant),
            place,
            failures,
            unjudged,
            status,
        }
    });
    let thresholds = assertions.thresholds.iter();
    invariants
        .chain(thresholds.map(|threshold| check(threshold, trials, regression)))
        .collect()
}

fn not_judged(invariant: Invariant, trials: &[TestedTrial]) -> Option<NotJudged> {
    let mut found: Option<NotJudged> = None;
    for trial in trials {
        let known = trial.unjudged.iter().find(|known| known.invariant == invariant);
        let Some(known) = known else { continue };
        let found = found.get_or_insert_with(|| NotJudged {
            trials: Share {
                k: 0,
                n: trials.len() as u64,
            },
            seed: trial.seed,
            because: known.because.clone(),
        });
        found.trials.k += 1;
    }
    found
}

fn violations(invariant: Invariant, trials: &[TestedTrial]) -> Vec<Failure> {
    let mut found: BTreeMap<Verdict, Failure> = BTreeMap::new();
    for trial in trials {
        for violated in trial.violated.iter().filter(|known| known.invariant == invariant) {
            let failure = found.entry(violated.verdict).or_insert_with(|| Failure {
                fingerprint: Fingerprint::violation(invariant, violated.verdict),
                because: match violated.verdict {
                    Verdict::Broken => Reason::Broken,
                    Verdict::Exposed(exposure) => Reason::Exposed(exposure),
                },
                trials: Share {
                    k: 0,
                    n: trials.len() as u64,
                },
                seeds: Vec::new(),
                witness: Some(violated.first.clone()),
            });
            failure.trials.k += 1;
            failure.seeds.push(trial.seed);
        }
    }
    // Verdicts are in order: a broken promise first.
    let mut failures: Vec<Failure> = found.into_values().collect();
    failures.sort_by_key(|failure| {
        (
            failure.because != Reason::Broken,
            std::cmp::Reverse(failure.trials.k),
        )
    });
    failures
}

fn check(threshold: &Threshold, trials: &[TestedTrial], regression: &[u64]) -> Check {
    let failing: Vec<(Bound, Share, Vec<u64>)> = threshold
        .bounds
        .iter()
        .filter_map(|bound| not_kept(threshold, *bound, trials, regression))
        .collect();
    let values: Vec<Measured> = trials
        .iter()
        .filter_map(|trial| trial.measured(threshold.measure))
        .collect();
    let extremes = values.iter().min().copied().zip(values.iter().max().copied());
    let failures: Vec<Failure> = failing
        .iter()
        .max_by_key(|(_, share, _)| share.k)
        .map(|(_, share, seeds)| {
            let first = trials.iter().find(|trial| seeds.first() == Some(&trial.seed));
            let measured = first.and_then(|trial| trial.measured(threshold.measure));
            let bounds = failing.iter().map(|(bound, ..)| *bound).collect();
            Failure {
                fingerprint: Fingerprint::threshold(threshold.measure),
                because: Reason::Bounds(bounds, measured),
                trials: *share,
                seeds: seeds.clone(),
                witness: None,
            }
        })
        .into_iter()
        .collect();
    Check {
        status: match failures.is_empty() {
            true => CheckStatus::Held,
            false => CheckStatus::Failed,
        },
        checked: Checked::Threshold(threshold.clone(), extremes),
        place: Some(threshold.place.clone()),
        failures,
        unjudged: None,
    }
}

/// The trials in which a bound is not kept, if those are too many.
fn not_kept(
    threshold: &Threshold,
    bound: Bound,
    trials: &[TestedTrial],
    regression: &[u64],
) -> Option<(Bound, Share, Vec<u64>)> {
    let every = bound.trials == InTrials::ALL;
    let counted: Vec<&TestedTrial> = trials
        .iter()
        .filter(|trial| every || !regression.contains(&trial.seed))
        .collect();
    let beyond = counted
        .iter()
        .filter(|trial| !bound.is_kept(trial.measured(threshold.measure), trial.counts.sent));
    let seeds: Vec<u64> = beyond.map(|trial| trial.seed).collect();
    let (k, n) = (seeds.len() as u64, counted.len() as u64);
    (!bound.trials.is_reached(n - k, n)).then_some((bound, Share { k, n }, seeds))
}

#[cfg(test)]
mod tests {
    use ktrial_models::invariants::Unjudged;
    use ktrial_sim::{Duration, Time};

    use super::*;
    use crate::assertion::Measure;
    use crate::ledger::Counts;
    use crate::suite::trial::Violated;
    use crate::trial::Ending;

    fn trial(seed: u64, lost: u64, verdicts: &[Verdict]) -> TestedTrial {
        let violated = verdicts.iter().map(|verdict| Violated {
            invariant: Invariant::LostWrite,
            verdict: *verdict,
            witnesses: 1,
            first: Witnessed {
                at: Time(2),
                clients_started: Time(1),
                says: format!("seen with seed {seed}"),
            },
        });
        TestedTrial {
            seed,
            vacuous: None,
            never_fired: Vec::new(),
            ending: Ending::Converged,
            counts: Counts {
                sent: 10,
                lost,
                ..Counts::default()
            },
            groups: None,
            unwritable: Duration::ZERO,
            latencies: None,
            violated: violated.collect(),
            unjudged: Vec::new(),
        }
    }

    fn place() -> Place {
        Place {
            path: "mine.yaml".into(),
            line: 1,
            column: 1,
        }
    }

    const EXPOSED: Verdict = Verdict::Exposed(Exposure::AcksOne);

    #[test]
    fn failures_are_grouped_by_what_broke_with_the_first_witness_of_each() {
        let trials = [trial(7, 1, &[EXPOSED]), trial(8, 1, &[EXPOSED, Verdict::Broken])];
        let nothing = Assertions {
            invariants: Vec::new(),
            thresholds: Vec::new(),
        };
        let checks = checks(&nothing, &trials, &[]);
        assert_eq!(checks.len(), Invariant::ALL.len());
        let lost = checks
            .iter()
            .find(|check| check.status != CheckStatus::Held)
            .unwrap();
        assert_eq!(lost.status, CheckStatus::Broken, "although nobody asserts it");
        let [broken, exposed] = &lost.failures[..] else {
            panic!("two groups: {:?}", lost.failures)
        };
        assert_eq!(broken.fingerprint.to_string(), "DUR-2/broken");
        assert_eq!(
            (broken.seeds.as_slice(), broken.trials),
            (&[8][..], Share { k: 1, n: 2 })
        );
        assert!(
            lost.fails(broken) && !lost.fails(exposed),
            "what is exposed is told only"
        );
        assert_eq!(exposed.seeds, [7, 8]);
        assert_eq!(exposed.witness.as_ref().unwrap().says, "seen with seed 7");
    }

    #[test]
    fn what_some_trial_could_not_judge_has_not_held() {
        let mut stalled = trial(8, 0, &[]);
        stalled.unjudged.push(Unjudged {
            invariant: Invariant::Converges,
            because: "too short".to_owned(),
        });
        let nothing = Assertions {
            invariants: Vec::new(),
            thresholds: Vec::new(),
        };
        let checks = checks(&nothing, &[trial(7, 0, &[]), stalled], &[]);
        let unjudged = checks.iter().filter(|check| check.status != CheckStatus::Held);
        let [converges] = &unjudged.collect::<Vec<_>>()[..] else {
            panic!("one of them")
        };
        assert_eq!(converges.status, CheckStatus::Unjudged);
        let expected = NotJudged {
            trials: Share { k: 1, n: 2 },
            seed: 8,
            because: "too short".to_owned(),
        };
        assert_eq!(converges.unjudged, Some(expected));
    }

    #[test]
    fn a_share_of_the_trials_is_counted_without_regression_seeds() {
        let bounded = |text: &str| Assertions {
            invariants: Vec::new(),
            thresholds: vec![Threshold {
                measure: Measure::Lost,
                written: text.to_owned(),
                place: place(),
                bounds: Bound::parse_all(Measure::Lost, text).unwrap(),
            }],
        };
        let trials = [trial(99, 3, &[]), trial(1, 0, &[]), trial(2, 0, &[])];
        let of = |text: &str, regression: &[u64]| {
            let mut checks = checks(&bounded(text), &trials, regression);
            checks.pop().expect("thresholds come last")
        };
        assert_eq!(of("0 in 90% of trials", &[99]).status, CheckStatus::Held);
        assert_eq!(of("0 in 90% of trials", &[]).status, CheckStatus::Failed);
        let every = of("0", &[99]);
        assert_eq!(every.status, CheckStatus::Failed, "no trial may lose any");
        assert_eq!(every.failures[0].seeds, [99]);
        assert_eq!(
            every.failures[0].because,
            Reason::Bounds(
                Bound::parse_all(Measure::Lost, "0").unwrap(),
                Some(Measured::Count(3))
            )
        );
    }
}
