//! A comparison for people.

use std::fmt::Write;

use ktrial_models::invariants::Verdict;
use ktrial_scenarios::{ArmSummary, ArmVerdict, Ending, Share, Vacuity};
use ktrial_sim::Duration;

use crate::comparison::{ArmOutcome, ComparedArm, Comparison};
use crate::numbers::{count, percent, time};
use crate::table::{Align, Table};

/// The comparison as text.
pub fn comparison_text(comparison: &Comparison) -> String {
    let mut text = String::new();
    let (first, seeds) = comparison.seeds;
    let last = first + seeds.saturating_sub(1);
    let shared = match comparison.arms.len() {
        1 => format!("seeds {first} to {last}"),
        arms => format!("{arms} arms, seeds {first} to {last} shared by all"),
    };
    writeln!(text, "{}: {shared}, Kafka 4.3\n", comparison.scenario).expect("writing to a string");
    let ran = || {
        comparison.arms.iter().filter_map(|arm| match &arm.outcome {
            ArmOutcome::Ran(summary) => Some((arm, &**summary)),
            ArmOutcome::Refused(_) => None,
        })
    };
    if ran().next().is_some() {
        text.push_str("What became of the records\n\n");
        text.push_str(&records(ran()));
        if let Some(groups) = groups(ran()) {
            text.push_str("\nWhat groups did with the records\n\n");
            text.push_str(&groups);
            text.push_str("\nHow groups came along\n\n");
            text.push_str(&rebalances(ran()));
        }
        if let Some(workers) = workers(ran()) {
            text.push_str("\nWhat worker threads had in hand\n\n");
            text.push_str(&workers);
        }
        if let Some(sinks) = sinks(ran()) {
            text.push_str("\nWhat their sinks took effect of\n\n");
            text.push_str(&sinks);
        }
        text.push_str("\nHow writing went\n\n");
        text.push_str(&writing(ran()));
        text.push('\n');
    }
    text.push_str("Verdicts\n\n");
    text.push_str(&verdicts(comparison));
    if !comparison.remarks.is_empty() {
        text.push('\n');
    }
    for remark in &comparison.remarks {
        writeln!(text, "note: {remark}").expect("writing to a string");
    }
    text.push_str(
        "\nPercentages are about this fault model, not about your data centre. Latencies are uncalibrated: they\n\
         follow from the capacity figures of the scenario, and compare arms with each other only.\n",
    );
    if comparison.interrupted {
        text.push_str("Interrupted: the arms have only the seeds that were finished.\n");
    }
    text
}

fn records<'a>(arms: impl Iterator<Item = (&'a ComparedArm, &'a ArmSummary)> + Clone) -> String {
    let deleted = arms.clone().any(|(_, summary)| summary.counts.deleted > 0);
    let mut columns = vec![
        ("arm", Align::Left),
        ("sent", Align::Right),
        ("acknowledged", Align::Right),
        ("failed", Align::Right),
        ("unknown", Align::Right),
        ("acknowledged and lost", Align::Right),
        ("trials with loss", Align::Left),
        ("duplicates", Align::Right),
        ("reordered", Align::Right),
    ];
    if deleted {
        columns.push(("deleted by retention", Align::Right));
    }
    let mut table = Table::new(columns);
    for (arm, summary) in arms {
        let counts = &summary.counts;
        let mut row = vec![
            arm.label(),
            count(counts.sent),
            count(counts.acknowledged),
            count(counts.failed),
            count(counts.unknown),
            count(counts.lost),
            share(summary.with_loss),
            count(counts.duplicates),
            count(counts.reordered),
        ];
        if deleted {
            row.push(count(counts.deleted));
        }
        table.row(row);
    }
    table.render()
}

/// None if no arm has groups.
fn groups<'a>(arms: impl Iterator<Item = (&'a ComparedArm, &'a ArmSummary)> + Clone) -> Option<String> {
    let mut counts = arms.clone().filter_map(|(_, summary)| summary.groups.as_ref());
    let deleted = counts.any(|groups| groups.counts.unprocessed_deleted > 0);
    let mut columns = vec![
        ("arm", Align::Left),
        ("processed", Align::Right),
        ("by nobody", Align::Right),
        ("trials with", Align::Left),
        ("twice", Align::Right),
        ("trials with", Align::Left),
        ("most often", Align::Right),
        ("at two members at once", Align::Right),
        ("out of order by key", Align::Right),
    ];
    if deleted {
        columns.insert(4, ("deleted by retention unread", Align::Right));
    }
    let mut table = Table::new(columns);
    let mut any = false;
    for (arm, summary) in arms {
        let Some(groups) = &summary.groups else { continue };
        any = true;
        let counts = &groups.counts;
        let mut row = vec![
            arm.label(),
            count(counts.processed),
            count(counts.unprocessed),
            share(groups.with_unprocessed),
            count(counts.processed_twice),
            share(groups.with_twice),
            count(counts.processed_most),
            count(counts.processed_together),
            count(counts.processed_reordered),
        ];
        if deleted {
            row.insert(4, count(counts.unprocessed_deleted));
        }
        table.row(row);
    }
    any.then(|| table.render())
}

/// None if no arm has worker threads.
fn workers<'a>(arms: impl Iterator<Item = (&'a ComparedArm, &'a ArmSummary)>) -> Option<String> {
    let mut table = Table::new([("arm", Align::Left), ("most records at once", Align::Right)]);
    let mut any = false;
    for (arm, summary) in arms {
        let groups = summary.groups.as_ref();
        if let Some(most) = groups.and_then(|groups| groups.counts.in_hand_most) {
            any = true;
            table.row([arm.label(), count(most)]);
        }
    }
    any.then(|| table.render())
}

/// None if no arm has sinks.
fn sinks<'a>(arms: impl Iterator<Item = (&'a ComparedArm, &'a ArmSummary)>) -> Option<String> {
    let mut table = Table::new([
        ("arm", Align::Left),
        ("records", Align::Right),
        ("missing", Align::Right),
        ("effects repeated", Align::Right),
        ("out of order by key", Align::Right),
        ("keys left stale", Align::Right),
    ]);
    let mut any = false;
    for (arm, summary) in arms {
        let Some(sink) = summary.groups.as_ref().and_then(|groups| groups.counts.sink) else {
            continue;
        };
        any = true;
        table.row([
            arm.label(),
            count(sink.applied),
            count(sink.missing),
            count(sink.repeated),
            count(sink.reordered),
            count(sink.stale),
        ]);
    }
    any.then(|| table.render())
}

/// Of arms with groups.
fn rebalances<'a>(arms: impl Iterator<Item = (&'a ComparedArm, &'a ArmSummary)>) -> String {
    let mut table = Table::new([
        ("arm", Align::Left),
        ("rebalances", Align::Right),
        ("failed", Align::Right),
        ("mean", Align::Right),
        ("longest", Align::Right),
        ("commits", Align::Right),
        ("answered: mean", Align::Right),
        ("longest", Align::Right),
        ("partitions moved", Align::Right),
        ("longest unread", Align::Right),
        ("largest lag: committed", Align::Right),
        ("read", Align::Right),
    ]);
    for (arm, summary) in arms {
        if let Some(groups) = &summary.groups {
            let counts = &groups.counts;
            table.row([
                arm.label(),
                count(counts.rebalances),
                count(counts.rebalances_failed),
                time(counts.rebalance_mean()),
                time(Duration(counts.rebalance_max_ns)),
                count(counts.commits),
                time(counts.commit_mean()),
                time(Duration(counts.commit_max_ns)),
                count(counts.partitions_moved),
                time(Duration(counts.unread_max_ns)),
                match counts.commits {
                    0 => "none".to_owned(),
                    _ => count(counts.lag_max),
                },
                count(counts.records_lag_max),
            ]);
        }
    }
    table.render()
}

/// `12 of 200 (3.5 to 10 %)`; for none and for all the bound that they allow.
pub(crate) fn share(share: Share) -> String {
    let (low, high) = share.interval();
    if share.k == 0 {
        return format!("0 of {}, at most {} %", share.n, percent(high));
    }
    if share.k == share.n {
        return format!("{} of {}, at least {} %", share.k, share.n, percent(low));
    }
    format!(
        "{} of {} ({} to {} %)",
        share.k,
        share.n,
        percent(low),
        percent(high)
    )
}

fn writing<'a>(arms: impl Iterator<Item = (&'a ComparedArm, &'a ArmSummary)> + Clone) -> String {
    let timed = arms.clone().any(|(_, summary)| !summary.latencies.is_empty());
    if !timed {
        return waiting(arms);
    }
    let mut table = Table::new([
        ("arm", Align::Left),
        ("not writable: median", Align::Right),
        ("longest", Align::Right),
        ("latency p50", Align::Right),
        ("p99", Align::Right),
        ("p999", Align::Right),
        ("of", Align::Right),
        ("refused or failed", Align::Right),
    ]);
    for (arm, summary) in arms {
        let quantile = |q: f64| {
            let micros = summary.latencies.value_at_quantile(q);
            if summary.latencies.is_empty() {
                "-".to_owned()
            } else {
                time(Duration::micros(micros))
            }
        };
        table.row([
            arm.label(),
            time(summary.unwritable.median),
            time(summary.unwritable.most),
            quantile(0.5),
            quantile(0.99),
            quantile(0.999),
            count(summary.counts.acknowledged),
            count(summary.counts.failed + summary.counts.unknown),
        ]);
    }
    table.render()
}

/// Of results files, which keep no latencies.
fn waiting<'a>(arms: impl Iterator<Item = (&'a ComparedArm, &'a ArmSummary)>) -> String {
    let mut table = Table::new([
        ("arm", Align::Left),
        ("not writable: median", Align::Right),
        ("longest", Align::Right),
        ("refused or failed", Align::Right),
    ]);
    for (arm, summary) in arms {
        table.row([
            arm.label(),
            time(summary.unwritable.median),
            time(summary.unwritable.most),
            count(summary.counts.failed + summary.counts.unknown),
        ]);
    }
    table.render()
}

fn verdicts(comparison: &Comparison) -> String {
    let width = comparison
        .arms
        .iter()
        .map(|arm| arm.label().chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for arm in &comparison.arms {
        let label = arm.label();
        let lines = verdict_lines(&arm.outcome);
        for (number, line) in lines.iter().enumerate() {
            let label = if number == 0 { label.as_str() } else { "" };
            writeln!(text, "{label:width$}  {line}").expect("writing to a string");
        }
        if let Some(command) = comparison.reproduce(arm) {
            writeln!(text, "{:width$}  again:   {command}", "").expect("writing to a string");
        }
    }
    text
}

/// The verdict of an arm, and below it what it rests on.
pub(crate) fn verdict_lines(outcome: &ArmOutcome) -> Vec<String> {
    let summary = match outcome {
        ArmOutcome::Refused(reasons) => {
            return reasons
                .iter()
                .map(|reason| format!("REFUSED  {reason}"))
                .collect();
        }
        ArmOutcome::Ran(summary) => summary,
    };
    let mut lines = Vec::new();
    match summary.verdict() {
        ArmVerdict::Holds => lines.push(format!("holds    {}", held(summary))),
        ArmVerdict::Vacuous => lines.push(format!("VACUOUS  {}", vacuity(summary).says())),
        ArmVerdict::Exposed | ArmVerdict::Broken => {}
    }
    for ((verdict, invariant), violation) in &summary.violations {
        let of = format!(
            "{} of {} trials, first seed {}",
            violation.trials, summary.with_loss.n, violation.seed
        );
        lines.push(match verdict {
            Verdict::Broken => {
                format!("BROKEN   {invariant} ({of}): Kafka promises this; please report the seed")
            }
            Verdict::Exposed(exposure) => format!("EXPOSED  {invariant} ({of}): {exposure}"),
        });
    }
    let vacuous = summary.vacuous_invariants();
    if !vacuous.is_empty() && summary.verdict() != ArmVerdict::Vacuous {
        let ids: Vec<&str> = vacuous.iter().map(|invariant| invariant.id()).collect();
        lines.push(format!(
            "VACUOUS  {}: no trial put them to the test",
            ids.join(", ")
        ));
    }
    if let Some(stalled) = summary.endings.get("stalled") {
        lines.push(format!(
            "STALLED  {stalled} of {} trials had not converged when the time to heal was up",
            summary.with_loss.n
        ));
    }
    lines
}

/// Why all trials of an arm were vacuous. What was acknowledged in spite of that was so in trials without faults.
fn vacuity(summary: &ArmSummary) -> Vacuity {
    let never_ready = summary.endings.get(Ending::NeverReady.name());
    if never_ready == Some(&summary.with_loss.n) {
        Vacuity::NeverReady
    } else if summary.counts.acknowledged == 0 {
        Vacuity::NothingAcknowledged
    } else {
        Vacuity::NothingHappened
    }
}

fn held(summary: &ArmSummary) -> String {
    let which = match summary.vacuous_invariants().is_empty() {
        true => "every invariant",
        false => "every invariant that was put to the test",
    };
    format!("{which}, in {} trials", summary.with_loss.n)
}
