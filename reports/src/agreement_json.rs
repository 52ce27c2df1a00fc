//! A recorded run beside its simulation as one JSON object: the same bytes on every run.

use ktrial_models::history::Verdict;
use ktrial_scenarios::{Among, Amount, Range, Standing};
use ktrial_sim::Duration;
use serde::Serialize;
use serde_json::{Value, json};

use crate::agreement::{ToldAgreement, reason, verdict, word};

/// The comparison. Times are integer nanoseconds, seeds strings (JavaScript's numbers end at 2^53). Schema
/// `ktrial.agree/1`, documented in the README of this room.
pub fn agreement_json(told: &ToldAgreement<'_>) -> Value {
    let agreement = told.agreement;
    let faults = agreement.faults.iter().map(|row| {
        json!({
            "fault": row.fault,
            "real_ns": row.real.map(|real| real.0),
            "simulated_ns": row.simulated.map(lengths),
            "standing": stands(&row.standing),
        })
    });
    let phases = agreement.phases.iter().map(|phase| {
        json!({
            "after": phase.after,
            "real": {"sent": phase.real_sent, "length_ns": phase.real_length.0},
            "simulated": {"sent": range(phase.simulated_sent), "length_ns": lengths(phase.simulated_length)},
        })
    });
    let verdicts = agreement.verdicts.iter().map(|row| {
        let simulated = row.simulated.iter().map(|(told, in_seeds)| {
            let mut value = said(told);
            value["seeds"] = among(*in_seeds);
            value
        });
        json!({
            "invariant": row.invariant.code(),
            "name": row.invariant.name(),
            "real": said(&row.real),
            "simulated": simulated.collect::<Vec<_>>(),
            "standing": stands(&row.standing),
        })
    });
    let counts = agreement.counts.iter().map(|row| {
        json!({
            "name": row.name,
            "real": row.real,
            "simulated": range(row.simulated),
            "any": among(row.with),
            "scaled": {"least": row.scaled.0, "most": row.scaled.1},
            "standing": stands(&row.standing),
        })
    });
    let groups = agreement.groups.iter().map(|row| {
        let of = |amount: Amount| match amount {
            Amount::Count(count) => count,
            Amount::Time(time) => time.0,
        };
        let unit = match row.real {
            Amount::Count(_) => "",
            Amount::Time(_) => "_ns",
        };
        let simulated = row.simulated;
        let mut value = json!({"name": row.name, "standing": stands(&row.standing)});
        value[format!("real{unit}")] = json!(of(row.real));
        value[format!("simulated{unit}")] =
            json!({"least": of(simulated.least), "median": of(simulated.median), "most": of(simulated.most)});
        value
    });
    let courses = agreement.courses.iter().map(|row| {
        json!({
            "partition": row.partition,
            "states": row.states,
            "taken": among(row.taken),
            "first_seed": row.first_seed.map(|seed| seed.to_string()),
            "furthest": row.furthest,
            "standing": stands(&row.standing),
        })
    });
    let times = agreement.times.iter().map(|row| {
        json!({
            "partition": row.partition,
            "fault": row.fault,
            "state": row.step + 1,
            "change": row.change,
            "real_ns": row.real,
            "simulated_ns": row.simulated.map(range),
            "seeds": row.of,
            "standing": stands(&row.standing),
        })
    });
    json!({
        "schema": "ktrial.agree/1",
        "engine": env!("CARGO_PKG_VERSION"),
        "kafka": "4.3",
        "history": told.history,
        "source": agreement.source,
        "scenario": told.scenario,
        "seeds": {"first": agreement.first_seed.to_string(), "count": agreement.seeds},
        "interrupted": told.interrupted,
        "agrees": agreement.disagreements().is_empty(),
        "disagrees_in": agreement.disagreements(),
        "explained": agreement.explained(),
        "open": agreement.open(),
        "faults": faults.collect::<Vec<_>>(),
        "phases": phases.collect::<Vec<_>>(),
        "verdicts": verdicts.collect::<Vec<_>>(),
        "counts": counts.collect::<Vec<_>>(),
        "groups": groups.collect::<Vec<_>>(),
        "courses": courses.collect::<Vec<_>>(),
        "times": times.collect::<Vec<_>>(),
    })
}

fn among(among: Among) -> Value {
    json!({"k": among.k, "n": among.n})
}

fn range<T: Serialize>(range: Range<T>) -> Value {
    json!({"least": range.least, "median": range.median, "most": range.most})
}

fn lengths(lengths: Range<Duration>) -> Value {
    json!({"least": lengths.least.0, "median": lengths.median.0, "most": lengths.most.0})
}

fn said(told: &Verdict) -> Value {
    let mut value = json!({"verdict": verdict(told)});
    if let Verdict::Exposed(reasons) = told {
        value["reasons"] = json!(reasons);
    }
    value
}

fn stands(standing: &Standing) -> Value {
    json!({"word": word(standing).to_lowercase(), "reason": reason(standing)})
}
