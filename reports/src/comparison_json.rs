//! A comparison as one JSON object, and its trials as JSON Lines: the same bytes on every run.

use std::collections::BTreeMap;

use ktrial_models::invariants::Verdict;
use ktrial_scenarios::{ArmSummary, ArmVerdict, Row, Share, TrialLine};
use serde_json::{Value, json};

use crate::comparison::{ArmOutcome, ComparedArm, Comparison};

/// The comparison. Times are integer nanoseconds, seeds and digests strings (JavaScript's numbers end at 2^53),
/// shares come with their 95 % interval. Schema `ktrial.compare/1`, documented in the README of this room.
pub fn comparison_json(comparison: &Comparison) -> Value {
    json!({
        "schema": "ktrial.compare/1",
        "engine": env!("CARGO_PKG_VERSION"),
        "kafka": "4.3",
        "scenario": comparison.scenario,
        "seeds": {"first": comparison.seeds.0.to_string(), "count": comparison.seeds.1},
        "interrupted": comparison.interrupted,
        "latencies": "uncalibrated",
        "arms": comparison.arms.iter().map(|compared| arm(comparison, compared)).collect::<Vec<_>>(),
    })
}

fn settings(arm: &ComparedArm) -> BTreeMap<String, String> {
    let pairs = arm
        .settings
        .iter()
        .filter_map(|assignment| assignment.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn share(share: Share) -> Value {
    let (low, high) = share.interval();
    json!({"k": share.k, "n": share.n, "low": low, "high": high})
}

fn arm(comparison: &Comparison, arm: &ComparedArm) -> Value {
    match &arm.outcome {
        ArmOutcome::Refused(reasons) => {
            json!({"arm": arm.name, "settings": settings(arm), "verdict": "REFUSED", "refusals": reasons})
        }
        ArmOutcome::Ran(summary) => {
            let mut value = ran(arm, summary);
            if let Some(command) = comparison.reproduce(arm) {
                value["reproduce"] = command.into();
            }
            value
        }
    }
}

fn ran(arm: &ComparedArm, summary: &ArmSummary) -> Value {
    let counts = &summary.counts;
    let verdict = match summary.verdict() {
        ArmVerdict::Holds => "holds",
        ArmVerdict::Vacuous => "VACUOUS",
        ArmVerdict::Exposed => "EXPOSED",
        ArmVerdict::Broken => "BROKEN",
    };
    let violations = summary
        .violations
        .iter()
        .map(|((verdict, invariant), violation)| {
            let (verdict, reason) = match verdict {
                Verdict::Broken => ("BROKEN", None),
                Verdict::Exposed(exposure) => ("EXPOSED", Some(exposure.reason())),
            };
            json!({
                "invariant": invariant.id(),
                "name": invariant.name(),
                "verdict": verdict,
                "reason": reason,
                "trials": violation.trials,
                "witnesses": violation.witnesses,
                "seed": violation.seed.to_string(),
            })
        });
    let quantile =
        |q: f64| (!summary.latencies.is_empty()).then(|| summary.latencies.value_at_quantile(q) * 1_000);
    let mut value = json!({
        "arm": arm.name,
        "settings": settings(arm),
        "verdict": verdict,
        "violations": violations.collect::<Vec<_>>(),
        "vacuous": summary.vacuous_invariants().iter().map(|invariant| invariant.id()).collect::<Vec<_>>(),
        "records": {
            "sent": counts.sent,
            "acknowledged": counts.acknowledged,
            "failed": counts.failed,
            "unknown": counts.unknown,
            "lost": counts.lost,
            "deleted": counts.deleted,
            "duplicates": counts.duplicates,
            "reordered": counts.reordered,
        },
        "trials": {
            "with_loss": share(summary.with_loss),
            "with_duplicates": share(summary.with_duplicates),
            "with_reordering": share(summary.with_reordering),
            "vacuous": summary.vacuous,
            "endings": summary.endings,
        },
        "errors": summary.errors,
        "unwritable_ns": {
            "least": summary.unwritable.least.0,
            "median": summary.unwritable.median.0,
            "most": summary.unwritable.most.0,
        },
        "acknowledgement_latency_ns": {
            "p50": quantile(0.5),
            "p99": quantile(0.99),
            "p999": quantile(0.999),
            "of": counts.acknowledged,
            "refused_or_failed": counts.failed + counts.unknown,
        },
    });
    if let Some(groups) = &summary.groups {
        value["groups"] = json!({
            "records": groups.counts,
            "trials": {
                "with_unprocessed": share(groups.with_unprocessed),
                "with_processed_twice": share(groups.with_twice),
                "with_processed_together": share(groups.with_together),
                "with_processed_reordered": share(groups.with_reordered),
            },
        });
    }
    value
}

/// One line for each trial, in the order of arms and seeds. Schema `ktrial.trial/1`.
pub fn trial_lines(comparison: &Comparison, rows: &[Row]) -> String {
    let ran: Vec<&ComparedArm> = comparison
        .arms
        .iter()
        .filter(|arm| matches!(arm.outcome, ArmOutcome::Ran(_)))
        .collect();
    let lines = rows.iter().map(|row| {
        let compared = ran[row.arm];
        let arm = compared.name.clone();
        let line = TrialLine::of(row, settings(compared));
        TrialLine { arm, ..line }.to_text()
    });
    lines.collect()
}
