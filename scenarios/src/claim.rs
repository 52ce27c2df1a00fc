//! What the arms of a claim's scenario are to show, and whether they do.

use std::fmt;
use std::sync::Arc;

use ktrial_models::invariants::Invariant;
use ktrial_sim::Duration;

use crate::assertion::{Measure, Measured};
use crate::consumers::DeclaredConsumers;
use crate::fault::Faults;
use crate::span::parse_duration;
use crate::sweep::ArmSummary;

/// The arm beside the one that puts a claim on trial: one setting or one fault apart, something else is seen.
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
    /// `processed.twice > 0`: what all trials count together (or the most of them, of what is a most) lies above or
    /// below a bound, or is the bound.
    Counts(Measure, Side, u64),
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
}

/// On which side of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Less.
    Below,
    /// More.
    Above,
    /// Neither; of counts only.
    Equal,
}

impl Side {
    const SIGNS: [(char, Side); 3] = [('<', Side::Below), ('>', Side::Above), ('=', Side::Equal)];

    fn sign(self) -> char {
        let known = Side::SIGNS.iter().find(|(_, side)| *side == self);
        known.expect("all sides have signs").0
    }

    fn is_kept<T: Ord>(self, value: T, bound: T) -> bool {
        match self {
            Side::Below => value < bound,
            Side::Above => value > bound,
            Side::Equal => value == bound,
        }
    }
}

impl Metric {
    const NAMES: [(&'static str, Metric); 5] = [
        ("unwritable least", Metric::UnwritableLeast),
        ("unwritable median", Metric::UnwritableMedian),
        ("unwritable most", Metric::UnwritableMost),
        ("latency p50", Metric::LatencyP50),
        ("latency p99", Metric::LatencyP99),
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
                write!(f, "{metric} {} {bound}", side.sign())
            }
            Shows::Counts(measure, side, bound) => write!(f, "{measure} {} {bound}", side.sign()),
        }
    }
}

impl Shows {
    /// Reads `holds`, an invariant, `no` and an invariant, or a metric or count with a bound.
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
        let measured = Side::SIGNS.into_iter().find_map(|(sign, side)| {
            text.split_once(sign)
                .map(|(name, bound)| (name.trim(), side, bound))
        });
        if let Some((name, side, bound)) = measured {
            let metric = Metric::NAMES.iter().find(|(known, _)| *known == name);
            if let Some((_, metric)) = metric.filter(|_| side != Side::Equal) {
                return Ok(Shows::Measures(*metric, side, parse_duration(bound)?));
            }
            if let Some(measure) = Measure::find(name).filter(|measure| measure.is_count()) {
                let bound = bound.trim().parse();
                let bound = bound.map_err(|_| format!("`{text}`: expected a whole number"))?;
                return Ok(Shows::Counts(measure, side, bound));
            }
        }
        let metrics = Metric::NAMES.map(|(name, _)| name).join(", ");
        let counts = Measure::NAMES.iter().filter(|(_, measure)| measure.is_count());
        let counts: Vec<&str> = counts.map(|(name, _)| *name).collect();
        Err(format!(
            "`{text}` is nothing an arm can show: expected `holds`, an invariant (see `ktrial list invariants`), \
             `no` and an invariant, a bound like `latency p99 > 1s` (metrics: {metrics}), or one like \
             `processed.twice > 0` (counts: {})",
            counts.join(", ")
        ))
    }

    /// Whether an arm shows it; if not, what it shows instead.
    ///
    /// # Errors
    /// What is seen instead, in words.
    pub fn check(self, arm: &ArmSummary) -> Result<(), String> {
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
                if side.is_kept(value, bound) && arm.counts.acknowledged > 0 {
                    return Ok(());
                }
                format!("{metric} is {value}")
            }
            Shows::Counts(measure, side, bound) => match counted(measure, arm) {
                Some(value) if side.is_kept(value, bound) => return Ok(()),
                Some(value) => format!("{measure} is {value}"),
                None => "there was nothing to count".to_owned(),
            },
        };
        Err(format!("expected `{self}`: {seen} (of {})", arm.with_loss.n))
    }
}

/// What all trials of an arm count together; none if nothing was put to the test.
fn counted(measure: Measure, arm: &ArmSummary) -> Option<u64> {
    let counts = &arm.counts;
    if counts.acknowledged == 0 {
        return None;
    }
    Some(match measure {
        Measure::Sent => counts.sent,
        Measure::Acknowledged => counts.acknowledged,
        Measure::Failed => counts.failed,
        Measure::Unknown => counts.unknown,
        Measure::Lost => counts.lost,
        Measure::Duplicates => counts.duplicates,
        Measure::Reordered => counts.reordered,
        Measure::Group(measure) => match arm.groups.as_ref()?.counts.measured(measure) {
            Measured::Count(count) => count,
            Measured::Time(_) | Measured::Ending(_) => return None,
        },
        Measure::Unwritable | Measure::Latency(_) | Measure::Ending => return None,
    })
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
            "processed.twice > 0",
            "unprocessed = 0",
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
            "unwritable > 1",
            "unprocessed = none",
            "ending = converged",
        ] {
            assert!(Shows::parse(wrong).is_err(), "{wrong}");
        }
    }
}
