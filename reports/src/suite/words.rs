//! What all reports of tests say in the same words.

use std::collections::BTreeMap;

use ktrial_scenarios::{
    Bound, Check, Checked, Ending, Failure, InTrials, InternalError, Measure, Measured, NotJudged, Reason,
    ScenarioReport, Share, Status, TestOutcome, Tested, Vacuity, Witnessed,
};
use ktrial_sim::Duration;

use crate::numbers::percent;
use crate::quoted;
use crate::story::Moment;

/// The name of a check as it is written in scenarios: without bounds, so that it stays the same when they change.
pub(super) fn name(check: &Check) -> String {
    match &check.checked {
        Checked::Invariant(invariant) => invariant.to_string(),
        Checked::Threshold(threshold, _) => threshold.measure.to_string(),
    }
}

/// The name of a check with its bounds.
pub(super) fn title(check: &Check) -> String {
    match &check.checked {
        Checked::Invariant(invariant) => invariant.to_string(),
        Checked::Threshold(threshold, _) => {
            format!("{} {}", threshold.measure, bounds(&threshold.bounds))
        }
    }
}

pub(super) fn bounds(bounds: &[Bound]) -> String {
    let bounds: Vec<String> = bounds.iter().map(ToString::to_string).collect();
    bounds.join(" and ")
}

/// What a scenario comes to.
pub(super) fn status(status: Status) -> &'static str {
    match status {
        Status::Held => "held",
        Status::Vacuous => "VACUOUS",
        Status::Failed => "FAILED",
        Status::Wrong => "ERROR",
        Status::Broken => "BROKEN",
        Status::Panicked => "INTERNAL ERROR",
    }
}

/// The kind of a failure.
pub(super) fn kind(failure: &Failure) -> &'static str {
    match &failure.because {
        Reason::Broken => "BROKEN",
        Reason::Exposed(_) => "EXPOSED",
        Reason::Bounds(..) => "threshold",
    }
}

/// A value to the millisecond, or to the microsecond below a second: never rounded onto a bound it misses.
pub(super) fn value(measured: Measured) -> String {
    match measured {
        Measured::Count(count) => count.to_string(),
        Measured::Ending(ending) => ending.name().to_owned(),
        Measured::Delivery(delivery) => delivery.name().to_owned(),
        Measured::Time(Duration(nanos)) if nanos < 1_000_000_000 => {
            format!("{}.{:03}ms", nanos / 1_000_000, nanos / 1_000 % 1_000)
        }
        Measured::Time(Duration(nanos)) => {
            format!("{}.{:03}s", nanos / 1_000_000_000, nanos / 1_000_000 % 1_000)
        }
    }
}

/// What failed, in a line.
pub(super) fn failure(tested: &Tested, check: &Check, failure: &Failure) -> String {
    match &failure.because {
        Reason::Broken => format!(
            "BROKEN in {}: Kafka promises this with these settings and faults; please report the seed",
            share(failure.trials, tested.regression.is_empty())
        ),
        Reason::Exposed(exposure) => format!(
            "EXPOSED in {}: {exposure}",
            share(failure.trials, tested.regression.is_empty())
        ),
        Reason::Bounds(missed, measured) => {
            let seed = failure.seeds[0];
            let measured = match measured {
                Some(measured) => format!("{} with seed {seed}", value(*measured)),
                None => format!("with seed {seed} nothing was acknowledged"),
            };
            let beside = match &check.checked {
                Checked::Threshold(threshold, _) => beside(tested, threshold.measure),
                Checked::Invariant(_) => String::new(),
            };
            let fair = tested.regression.is_empty() || missed.iter().any(is_share);
            let trials = share(failure.trials, fair);
            format!("{} is missed in {trials}: {measured}{beside}", bounds(missed))
        }
    }
}

/// How many trials did not come to an end, and which was the first; none if all did.
pub(super) fn stalled(tested: &Tested) -> Option<String> {
    let stalled = tested
        .trials
        .iter()
        .filter(|trial| trial.ending != Ending::Converged);
    let first = stalled.clone().next()?;
    let trials = Share {
        k: stalled.count() as u64,
        n: tested.trials.len() as u64,
    };
    Some(format!(
        "{} had not converged when the time to heal was up, first with seed {}",
        share(trials, tested.regression.is_empty()),
        first.seed
    ))
}

/// In which trials something could not be judged, and why not.
pub(super) fn not_judged(tested: &Tested, not_judged: &NotJudged) -> String {
    let NotJudged {
        trials,
        seed,
        because,
    } = not_judged;
    let trials = share(*trials, tested.regression.is_empty());
    format!("not judged in {trials}, first with seed {seed}: {because}")
}

/// Whether a bound is about a share of the trials, which leaves out regression seeds.
fn is_share(bound: &Bound) -> bool {
    bound.trials != InTrials::ALL
}

/// `12 of 200 trials (3.5 to 10 %)`; without the interval where some of the seeds were chosen.
fn share(share: Share, fair: bool) -> String {
    let counted = format!("{} of {} trials", share.k, share.n);
    if !fair {
        return counted;
    }
    let (low, high) = share.interval();
    if share.k == share.n {
        return format!("{counted} (at least {} %)", percent(low));
    }
    format!("{counted} ({} to {} %)", percent(low), percent(high))
}

/// Percentiles never stand without how many were refused or failed.
pub(super) fn beside(tested: &Tested, measure: Measure) -> String {
    if !matches!(measure, Measure::Latency(_)) {
        return String::new();
    }
    let sum = |count: fn(&ktrial_scenarios::Counts) -> u64| -> u64 {
        tested.trials.iter().map(|trial| count(&trial.counts)).sum()
    };
    format!(
        " ({} acknowledged; {} refused or failed)",
        sum(|counts| counts.acknowledged),
        sum(|counts| counts.failed + counts.unknown)
    )
}

/// When after the clients' start, and what.
pub(super) fn witness(witness: &Witnessed) -> String {
    let at = Moment::of(witness.at, witness.clients_started);
    format!("{at}: {}", witness.says)
}

/// The lines that keep the first seeds of what failed, to be pasted: one for each seed that is not kept yet.
pub(super) fn keep(report: &ScenarioReport) -> Vec<String> {
    let (Some(file), TestOutcome::Ran(tested)) = (&report.regression_file, &report.outcome) else {
        return Vec::new();
    };
    let mut found: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    // A share of the trials is counted without regression seeds: none of them can show again that it is missed.
    let shown_by_a_seed = |failure: &Failure| match &failure.because {
        Reason::Bounds(missed, _) => !missed.iter().all(is_share),
        _ => true,
    };
    for (_, failure) in failures(tested).filter(|(_, failure)| shown_by_a_seed(failure)) {
        let kept = failure.seeds.iter().any(|seed| tested.regression.contains(seed));
        if let Some(seed) = failure.seeds.first().filter(|_| !kept) {
            found
                .entry(*seed)
                .or_default()
                .push(failure.fingerprint.to_string());
        }
    }
    for InternalError { seed, .. } in &tested.panics {
        if !tested.regression.contains(seed) {
            found.entry(*seed).or_default().push("internal error".to_owned());
        }
    }
    let file = quoted(&file.display().to_string());
    let line = |(seed, what): (u64, Vec<String>)| format!("echo '{seed}  # {}' >> {file}", what.join(", "));
    found.into_iter().map(line).collect()
}

/// What failed: asserted, or promised by Kafka.
pub(super) fn failures(tested: &Tested) -> impl Iterator<Item = (&Check, &Failure)> {
    all(tested).filter(|(check, failure)| check.fails(failure))
}

/// What is exposed and not asserted.
pub(super) fn told(tested: &Tested) -> impl Iterator<Item = (&Check, &Failure)> {
    all(tested).filter(|(check, failure)| !check.fails(failure))
}

fn all(tested: &Tested) -> impl Iterator<Item = (&Check, &Failure)> {
    let checks = tested.checks.iter();
    checks.flat_map(|check| check.failures.iter().map(move |failure| (check, failure)))
}

/// Why a scenario is vacuous, in words.
pub(super) fn vacuous(tested: &Tested) -> String {
    if tested.trials.is_empty() {
        return "no trial was run".to_owned();
    }
    let counted = Vacuity::ALL.into_iter().filter_map(|why| {
        let with = tested
            .trials
            .iter()
            .filter(|trial| trial.vacuous == Some(why))
            .count();
        (with > 0).then_some((why, with))
    });
    let counted: Vec<_> = counted.collect();
    match &counted[..] {
        [(why, _)] => why.says().to_owned(),
        several => {
            let each = several
                .iter()
                .map(|(why, with)| format!("{} in {with} trials", why.says()));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

/// `203 trials: 3 regression seeds, seeds 1..200`, or how many of them were run.
pub(super) fn trials(tested: &Tested) -> String {
    let ran = tested.trials.len() + tested.panics.len();
    let plural = if ran == 1 { "" } else { "s" };
    let regression = match tested.regression.len() {
        0 => String::new(),
        1 => ", 1 regression seed first".to_owned(),
        more => format!(", {more} regression seeds first"),
    };
    if tested.is_cut_short() {
        format!("{ran} of {} trials{regression}", tested.planned)
    } else {
        format!("{ran} trial{plural}{regression}")
    }
}

/// How many seeds of a failure are listed.
pub(super) const MOST_SEEDS: usize = 32;

/// The seeds of a failure, the first of them.
pub(super) fn seeds(failure: &Failure) -> String {
    let shown: Vec<String> = failure
        .seeds
        .iter()
        .take(MOST_SEEDS)
        .map(u64::to_string)
        .collect();
    let more = failure.seeds.len() - shown.len();
    match more {
        0 => shown.join(", "),
        _ => format!("{}, and {more} more", shown.join(", ")),
    }
}
