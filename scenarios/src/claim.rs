//! What the arms of a claim's scenario are to show, and whether they do.

use std::fmt;
use std::sync::Arc;

use ktrial_models::invariants::Invariant;
use ktrial_sim::Duration;

use crate::assertion::{Bound, InTrials, Measure};
use crate::claim_trials::OnTrial;
use crate::consumers::DeclaredConsumers;
use crate::fault::Faults;
use crate::span::parse_duration;
use crate::suite::TestedTrial;
use crate::sweep::ArmSummary;

/// The arm beside the one that puts a claim on trial: one setting, one fault or one trait of an application apart,
/// something else is seen.
#[derive(Clone, Debug, PartialEq)]
pub struct CounterArm {
    /// The setting that differs, as `--set` takes it.
    pub assignment: Option<String>,
    /// All faults of the counter-arm, where it is a fault that differs.
    pub faults: Option<Arc<Faults>>,
    /// All consumers of the counter-arm, where it is an application that differs.
    pub(crate) consumers: Option<Vec<DeclaredConsumers>>,
    /// What is seen.
    pub shows: Vec<Shows>,
}

/// Something an arm shows over its trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// `holds`: no trial violates anything, and in none was there nothing to violate.
    Holds,
    /// `DUR-2`: at least one trial violates this invariant.
    Violates(Invariant),
    /// `no ORD-1`: no trial violates this invariant, whatever else is violated.
    Never(Invariant),
    /// `latency p99 > 1s`: what was measured lies above or below a bound.
    Measures(Metric, Side, Duration),
    /// `lost > 0 in at least one trial`: what is measured of each trial keeps a bound, as under `assert`.
    Trials(Measure, Bound),
}

/// What can be measured of an arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The shortest time without writes of all trials.
    UnwritableLeast,
    /// The median over the trials of the time without writes.
    UnwritableMedian,
    /// The longest time without writes of all trials.
    UnwritableMost,
    /// Half of the acknowledgements came within this time.
    LatencyP50,
    /// 99 % of the acknowledgements came within this time.
    LatencyP99,
    /// The longest rebalance of any member in any trial; none without groups.
    RebalanceMost,
}

/// On which side of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Less.
    Below,
    /// More.
    Above,
}

impl Metric {
    const NAMES: [(&'static str, Metric); 6] = [
        ("unwritable least", Metric::UnwritableLeast),
        ("unwritable median", Metric::UnwritableMedian),
        ("unwritable most", Metric::UnwritableMost),
        ("latency p50", Metric::LatencyP50),
        ("latency p99", Metric::LatencyP99),
        ("rebalance most", Metric::RebalanceMost),
    ];

    /// What it comes to in an arm.
    pub fn of(self, arm: &ArmSummary) -> Duration {
        let quantile = |quantile| Duration::micros(arm.latencies.value_at_quantile(quantile));
        match self {
            Metric::UnwritableLeast => arm.unwritable.least,
            Metric::UnwritableMedian => arm.unwritable.median,
            Metric::UnwritableMost => arm.unwritable.most,
            Metric::LatencyP50 => quantile(0.5),
            Metric::LatencyP99 => quantile(0.99),
            Metric::RebalanceMost => {
                let most = arm.groups.as_ref().map(|groups| groups.counts.rebalance_max_ns);
                Duration(most.unwrap_or_default())
            }
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Metric::NAMES.iter().find(|(_, metric)| metric == self);
        f.write_str(known.expect("all metrics have names").0)
    }
}

impl fmt::Display for Shows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shows::Holds => f.write_str("holds"),
            Shows::Violates(invariant) => f.write_str(invariant.id()),
            Shows::Never(invariant) => write!(f, "no {}", invariant.id()),
            Shows::Measures(metric, side, bound) => {
                let side = if *side == Side::Below { '<' } else { '>' };
                write!(f, "{metric} {side} {bound}")
            }
            Shows::Trials(measure, bound) => write!(f, "{measure} {bound}"),
        }
    }
}

impl Shows {
    /// Reads `holds`, an invariant, `no` and an invariant, or a metric or measure with a bound.
    ///
    /// # Errors
    /// What is wrong and what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "holds" {
            return Ok(Shows::Holds);
        }
        if let Some(invariant) = Invariant::find(text) {
            return Ok(Shows::Violates(invariant));
        }
        if let Some(invariant) = text.strip_prefix("no ").and_then(Invariant::find) {
            return Ok(Shows::Never(invariant));
        }
        let (name, bound) = text.split_once(' ').unwrap_or((text, ""));
        if let Some(measure) = Measure::find(name)
            && !bound.is_empty()
            && !Metric::NAMES.iter().any(|(metric, _)| text.starts_with(metric))
        {
            return match Bound::parse_all(measure, bound)?.as_slice() {
                [bound] => Ok(Shows::Trials(measure, *bound)),
                _ => Err(format!(
                    "`{text}` has several bounds: give each a line of its own"
                )),
            };
        }
        let measured = [('<', Side::Below), ('>', Side::Above)]
            .into_iter()
            .find_map(|(sign, side)| text.split_once(sign).map(|(metric, bound)| (metric, side, bound)));
        let known = measured.and_then(|(name, side, bound)| {
            let known = Metric::NAMES.iter().find(|(known, _)| *known == name.trim());
            known.map(|(_, metric)| (*metric, side, bound))
        });
        let (metric, side, bound) = known.ok_or_else(|| {
            let metrics = Metric::NAMES.map(|(name, _)| name).join(", ");
            format!(
                "`{text}` is nothing an arm can show: expected `holds`, an invariant (see `ktrial list invariants`), \
                 `no` and an invariant, a bound like `latency p99 > 1s` (metrics: {metrics}), or one of each trial \
                 like `lost > 0 in at least one trial` (the measures of `assert`)"
            )
        })?;
        Ok(Shows::Measures(metric, side, parse_duration(bound)?))
    }

    /// Whether it is one of several words that each stand for some of the trials: a trial shows one of them.
    pub fn is_alternative(self) -> bool {
        matches!(self, Shows::Trials(measure, bound)
            if measure.words().is_some() && bound.trials == InTrials::One)
    }

    /// Whether an arm shows it; if not, what it shows instead.
    ///
    /// # Errors
    /// What is seen instead, in words.
    pub fn check(self, on_trial: &OnTrial) -> Result<(), String> {
        let arm = &on_trial.summary;
        let seen = match self {
            Shows::Holds => {
                let violated: Vec<String> = Invariant::ALL
                    .iter()
                    .filter(|invariant| trials_violating(arm, **invariant) > 0)
                    .map(|invariant| {
                        format!(
                            "{} trials violate {}",
                            trials_violating(arm, *invariant),
                            invariant.id()
                        )
                    })
                    .collect();
                if violated.is_empty() && arm.vacuous == 0 {
                    return Ok(());
                }
                format!("{}; {} were vacuous", violated.join(", "), arm.vacuous)
            }
            Shows::Violates(invariant) => {
                if trials_violating(arm, invariant) > 0 {
                    return Ok(());
                }
                "none of the trials does".to_owned()
            }
            Shows::Never(invariant) => {
                let trials = trials_violating(arm, invariant);
                let exercised = arm.exercised.contains_key(&invariant);
                match (trials, exercised) {
                    (0, true) => return Ok(()),
                    (0, false) => "no trial put it to the test".to_owned(),
                    _ => format!("{trials} trials violate it"),
                }
            }
            Shows::Measures(metric, side, bound) => {
                let value = metric.of(arm);
                let inside = match side {
                    Side::Below => value < bound,
                    Side::Above => value > bound,
                };
                if inside && arm.counts.acknowledged > 0 {
                    return Ok(());
                }
                format!("{metric} is {value}")
            }
            Shows::Trials(measure, bound) => {
                let kept = |trial: &&TestedTrial| bound.is_kept(trial.measured(measure), trial.counts.sent);
                let (k, n) = (on_trial.trials.iter().filter(kept).count(), on_trial.trials.len());
                if bound.trials.is_reached(k as u64, n as u64) {
                    return Ok(());
                }
                let other = on_trial.trials.iter().find(|trial| !kept(trial));
                let seed =
                    other.map(|trial| format!(", not seed {}: {:?}", trial.seed, trial.measured(measure)));
                format!("{k} trials keep it{}", seed.unwrap_or_default())
            }
        };
        Err(format!("expected `{self}`: {seen} (of {})", arm.with_loss.n))
    }
}

/// How many trials of an arm violate an invariant: by its judge or, for the three that outcomes and final logs alone
/// can tell of, by the counts.
fn trials_violating(arm: &ArmSummary, invariant: Invariant) -> u64 {
    let counted = match invariant {
        Invariant::LostWrite => arm.with_loss.k,
        Invariant::DuplicateRecord => arm.with_duplicates.k,
        Invariant::NonmonotonicSend => arm.with_reordering.k,
        _ => 0,
    };
    let judged = arm.violations.iter().filter(|((_, of), _)| *of == invariant);
    counted.max(judged.map(|(_, violation)| violation.trials).max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_arm_shows_is_read_as_it_is_written() {
        for text in [
            "holds",
            "DUR-2",
            "no ORD-1",
            "latency p99 > 1s",
            "unwritable most < 15s",
            "unwritable <= 15s in 95% of trials",
            "lost > 0 in at least one trial",
            "lost = 0",
            "ending converged",
        ] {
            assert_eq!(Shows::parse(text).unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "lost",
            "no holds",
            "latency > 1s",
            "latency p99 = 1s",
            "unwritable most < 15",
            "lost > 0 and < 5",
            "lost > 0 in one trial",
        ] {
            assert!(Shows::parse(wrong).is_err(), "{wrong}");
        }
    }
}
