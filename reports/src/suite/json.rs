//! Tests as JSON Lines: a line for each scenario, and below it one for each check. Schema `ktrial.test/1`, described
//! in the README of this room.

use ktrial_scenarios::{
    Check, CheckStatus, Checked, ENGINE, Failure, InternalError, Measured, Reason, ScenarioReport,
    SuiteReport, TestOutcome, Tested,
};
use serde_json::{Value, json};

use super::words;

const SCHEMA: &str = "ktrial.test/1";

/// What tests showed, as JSON Lines: the same bytes for the same results.
pub fn suite_lines(suite: &SuiteReport) -> String {
    let mut text = String::new();
    for report in &suite.scenarios {
        let mut put = |line: Value| {
            text.push_str(&line.to_string());
            text.push('\n');
        };
        put(scenario(suite, report));
        if let TestOutcome::Ran(tested) = &report.outcome {
            for line in &tested.checks {
                put(check(report, tested, line));
            }
        }
    }
    text
}

fn scenario(suite: &SuiteReport, report: &ScenarioReport) -> Value {
    let mut line = json!({
        "schema": SCHEMA,
        "line": "scenario",
        "engine": ENGINE,
        "kafka": "4.3",
        "scenario": report.label(),
        "file": report.shown,
        "status": match (&report.outcome, report.status()) {
            (TestOutcome::Refused(_), _) => "REFUSED",
            (_, status) => words::status(status),
        },
        "profile": suite.profile,
        "seeds": suite.seeds.to_string(),
        "interrupted": suite.interrupted,
    });
    match &report.outcome {
        TestOutcome::Wrong(errors) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            line["errors"] = json!(errors);
        }
        TestOutcome::Refused(reasons) => line["errors"] = json!(reasons),
        TestOutcome::Ran(tested) => {
            line["trials"] = trials(tested);
            line["internal_errors"] = tested
                .panics
                .iter()
                .map(|InternalError { seed, message }| {
                    json!({"seed": seed.to_string(), "message": message, "reproduce": report.again(*seed)})
                })
                .collect();
            line["keep"] = json!(words::keep(report));
        }
    }
    line
}

fn trials(tested: &Tested) -> Value {
    let vacuous = tested
        .trials
        .iter()
        .filter(|trial| trial.vacuous.is_some())
        .count();
    let regression: Vec<String> = tested.regression.iter().map(u64::to_string).collect();
    json!({
        "planned": tested.planned,
        "ran": tested.trials.len(),
        "vacuous": vacuous,
        "regression_seeds": regression,
        "never_fired": tested.never_fired(),
    })
}

fn check(report: &ScenarioReport, tested: &Tested, check: &Check) -> Value {
    let (code, bounds, least, most) = match &check.checked {
        Checked::Invariant(invariant) => (invariant.id(), None, None, None),
        Checked::Threshold(threshold, extremes) => (
            threshold.measure.name(),
            Some(words::bounds(&threshold.bounds)),
            extremes.map(|(least, _)| value(least)),
            extremes.map(|(_, most)| value(most)),
        ),
    };
    let failures: Vec<Value> = check
        .failures
        .iter()
        .map(|failure| failed(report, tested, check, failure))
        .collect();
    let mut line = json!({
        "schema": SCHEMA,
        "line": "check",
        "scenario": report.label(),
        "check": code,
        "name": words::name(check),
        "asserted": check.place.is_some(),
        "status": match check.status {
            CheckStatus::Held => "held",
            CheckStatus::Unjudged => "VACUOUS",
            CheckStatus::Told => "told",
            CheckStatus::Failed => "FAILED",
            CheckStatus::Broken => "BROKEN",
        },
        "failures": failures,
    });
    if let Some(not_judged) = &check.unjudged {
        line["unjudged"] = json!(words::not_judged(tested, not_judged));
    }
    if let Some(place) = &check.place {
        line["line_number"] = json!(place.line);
    }
    if let Some(bounds) = bounds {
        line["bounds"] = json!(bounds);
        line["least"] = json!(least);
        line["most"] = json!(most);
    }
    line
}

fn failed(report: &ScenarioReport, tested: &Tested, check: &Check, failure: &Failure) -> Value {
    let measured = match &failure.because {
        Reason::Bounds(_, measured) => measured.map(value),
        _ => None,
    };
    let seeds: Vec<String> = failure
        .seeds
        .iter()
        .take(words::MOST_SEEDS)
        .map(u64::to_string)
        .collect();
    let witness = failure.witness.as_ref().map(|witness| {
        let at = i128::from(witness.at.0) - i128::from(witness.clients_started.0);
        json!({"at_ns": at as i64, "says": witness.says})
    });
    json!({
        "fingerprint": failure.fingerprint.to_string(),
        "kind": words::kind(failure),
        "says": words::failure(tested, check, failure),
        "trials": {"k": failure.trials.k, "n": failure.trials.n},
        "seeds": seeds,
        "measured": measured,
        "witness": witness,
        "reproduce": report.again(failure.seeds[0]),
    })
}

/// A value: a number of records, nanoseconds, or the name of an ending.
fn value(measured: Measured) -> Value {
    match measured {
        Measured::Count(count) => json!(count),
        Measured::Time(time) => json!(time.0),
        Measured::Ending(ending) => json!(ending.name()),
        Measured::Delivery(delivery) => json!(delivery.name()),
    }
}
