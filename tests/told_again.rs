//! A trial's history is judged like a recording of a real cluster, and comes to the same; a trial run again is the
//! same trial.

use std::collections::BTreeMap;

use ktrial_models::history::{self, History, Verdict, judge};
use ktrial_models::invariants;
use ktrial_scenarios::{Arm, Bench, Detailed, Keep, LIBRARY, Overrides, Source, check_determinism, history};

/// Every built-in scenario as it is; those of the leader's loss also with weaker settings.
fn arms() -> Vec<(String, Arm)> {
    let mut arms = Vec::new();
    for (name, text) in LIBRARY {
        let scenario = Source::BuiltIn(name, text).read(&Overrides::default()).unwrap();
        let variants: &[&[&str]] = match *name {
            "leader-loss" => &[&[], &["acks=1"], &["acks=0"], &["min.insync.replicas=3"]],
            _ => &[&[]],
        };
        for variant in variants {
            let settings: Vec<String> = variant.iter().map(|text| (*text).to_owned()).collect();
            arms.push((format!("{name} {settings:?}"), scenario.arm(&settings).unwrap()));
        }
    }
    arms
}

fn run(bench: &mut Bench, arm: &Arm, seed: u64) -> Detailed {
    let keep = Keep {
        story: true,
        ..Keep::default()
    };
    bench.run(&arm.resolved, seed, keep)
}

/// Records that stand more than once in the final logs.
fn doubled(detailed: &Detailed) -> u64 {
    let mut copies = BTreeMap::new();
    for (_, record) in detailed.finals.iter().flat_map(|log| &log.records) {
        *copies.entry(*record).or_insert(0) += 1;
    }
    copies.values().filter(|copies| **copies > 1).count() as u64
}

#[test]
fn a_history_comes_to_what_its_trial_came_to() {
    let mut bench = Bench::default();
    for (name, arm) in arms() {
        for seed in 1..=3 {
            let detailed = run(&mut bench, &arm, seed);
            let told = history(&arm, &detailed);
            let mut bytes = Vec::new();
            told.write(&mut bytes).unwrap();
            let read = History::read(bytes.as_slice()).unwrap();
            let report = judge(&read);
            let counts = &detailed.trial.counts;
            let place = format!("{name} seed {seed}");
            let judged = &report.counts;
            assert_eq!(judged.sent, counts.sent, "{place}");
            assert_eq!(judged.acknowledged, counts.acknowledged, "{place}");
            assert_eq!(judged.failed, counts.failed, "{place}");
            assert_eq!(judged.unknown + judged.pending, counts.unknown, "{place}");
            let violations = |invariant| {
                let findings = &report.findings;
                let found = findings.iter().find(|finding| finding.invariant == invariant);
                found.map_or(0, |finding| finding.violations)
            };
            assert_eq!(violations(history::Invariant::LostWrite), counts.lost, "{place}");
            assert_eq!(
                violations(history::Invariant::Duplicate),
                doubled(&detailed),
                "{place}"
            );
            if counts.duplicates == 0 {
                assert_eq!(
                    violations(history::Invariant::NonmonotonicSend),
                    counts.reordered,
                    "{place}"
                );
            }
        }
    }
}

#[test]
fn a_history_breaks_no_promise_that_its_trial_kept() {
    let mut bench = Bench::default();
    for (name, arm) in arms() {
        for seed in 1..=2 {
            let detailed = run(&mut bench, &arm, seed);
            let report = judge(&history(&arm, &detailed));
            for finding in report.findings {
                let broken_there = detailed.trial.findings.iter().any(|known| {
                    known.verdict == invariants::Verdict::Broken
                        && Some(known.invariant.id()) == finding.invariant.code()
                });
                assert!(
                    finding.verdict() != Verdict::Broken || broken_there,
                    "{name} seed {seed}: {finding:?}"
                );
            }
        }
    }
}

#[test]
fn a_trial_run_again_in_any_way_is_the_same() {
    for (name, arm) in arms() {
        let same = check_determinism(&arm.resolved, 1);
        assert!(same.is_ok(), "{name}: {same:?}");
    }
}
