//! Law 1: a trial is a pure function of its manifest. Law 6: judges only watch.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ktrial_models::mutation::{Mutation, Mutations};
use ktrial_scenarios::{
    Bench, FaultPlan, Keep, Overrides, Resolved, Scenario, Script, Source, check_determinism, sweep,
};

/// A short trial with every kind of random fault, so that a thousand of them are cheap.
const SHORT: &str = "
scenario: short
topics:
  orders: {partitions: 2, replication.factor: 3, config: {min.insync.replicas: 2}}
producers:
  p1: {topic: orders, rate: 20, keys: 4}
readers:
  r1: {topics: [orders]}
duration: 6s
random:
  - faults: 1..3
    of: [kill, power_off, pause, isolate, cut_one_way, reset, slow, skew, drift, slow_disk]
    on: everything
    within: 1s..5s
    for: 500ms..4s
";

fn resolved(text: &str) -> Arc<Resolved> {
    let scenario =
        Scenario::read("short.yaml", text, Path::new("."), &Overrides::default()).expect("it is good");
    scenario.arm(&[]).expect("it resolves").resolved
}

fn digests(resolved: &Arc<Resolved>, seeds: u64, threads: usize) -> Vec<(u64, u64, u64, u64)> {
    let swept = sweep(
        &[Arc::clone(resolved)],
        1..seeds + 1,
        threads,
        &AtomicBool::new(false),
        &|_| {},
    );
    assert!(swept.errors.is_empty(), "{:?}", swept.errors);
    swept
        .rows
        .iter()
        .map(|row| {
            (
                row.trial.seed,
                row.trial.digest,
                row.trial.counters.events,
                row.trial.counts.acknowledged,
            )
        })
        .collect()
}

#[test]
fn a_thousand_seeds_give_the_same_on_one_thread_and_on_two() {
    let short = resolved(SHORT);
    let one = digests(&short, 1_000, 1);
    let two = digests(&short, 1_000, 2);
    assert_eq!(one, two);
    let mut different: Vec<u64> = one.iter().map(|row| row.1).collect();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 1_000, "two seeds gave the same digest");
}

#[test]
fn a_thousand_seeds_give_the_same_however_they_are_run() {
    let short = resolved(SHORT);
    let halves = [1..=500, 501..=1_000];
    std::thread::scope(|scope| {
        for seeds in halves {
            let short = &short;
            scope.spawn(move || {
                for seed in seeds {
                    let checked = check_determinism(short, seed);
                    assert!(checked.is_ok(), "seed {seed}: {checked:?}");
                }
            });
        }
    });
}

#[test]
fn a_planted_source_of_nondeterminism_is_found_and_its_first_event_named() {
    let scenario =
        Scenario::read("short.yaml", SHORT, Path::new("."), &Overrides::default()).expect("it is good");
    let leaky = scenario.mutated(Mutations::only(Mutation::StartUpRemembersOtherTrials));
    let leaky = leaky.arm(&[]).expect("it resolves").resolved;
    let difference = check_determinism(&leaky, 1).expect_err("start-up depends on earlier trials");
    assert!(
        difference.what.contains("events alike: ") && difference.what.contains("Alarm"),
        "{}",
        difference.what
    );
}

#[test]
fn judging_and_keeping_stories_and_causes_changes_nothing() {
    let short = resolved(SHORT);
    let mut bench = Bench::default();
    for seed in 1..=40 {
        let plain = bench
            .run(
                &short,
                seed,
                Keep {
                    unjudged: true,
                    ..Keep::default()
                },
            )
            .trial;
        for keep in [
            Keep::default(),
            Keep {
                story: true,
                ..Keep::default()
            },
            Keep {
                causes: true,
                ..Keep::default()
            },
        ] {
            let kept = bench.run(&short, seed, keep).trial;
            assert_eq!(
                (plain.digest, plain.counters, plain.counts),
                (kept.digest, kept.counters, kept.counts)
            );
        }
    }
}

#[test]
fn a_trial_in_used_memory_equals_one_in_fresh_memory() {
    let short = resolved(SHORT);
    let mut used = Bench::default();
    for seed in 1..=20 {
        used.run(&short, seed, Keep::default());
        let again = used.run(&short, seed, Keep::default()).trial;
        let fresh = Bench::default().run(&short, seed, Keep::default()).trial;
        assert_eq!((again.digest, again.counters), (fresh.digest, fresh.counters));
    }
}

#[test]
fn a_script_written_down_gives_the_trial_it_was_drawn_for() {
    let short = resolved(SHORT);
    let mut bench = Bench::default();
    for seed in 1..=20 {
        let drawn = bench.run(&short, seed, Keep::default()).trial;
        let text = serde_json::to_string(&drawn.script).expect("scripts are data");
        let script: Script = serde_json::from_str(&text).expect("scripts are read as they are written");
        assert_eq!(script, drawn.script);
        let explicit = Arc::new(Resolved {
            faults: FaultPlan::Explicit(Arc::new(script)),
            ..Resolved::clone(&short)
        });
        let replayed = bench.run(&explicit, seed, Keep::default()).trial;
        assert_eq!((drawn.digest, drawn.counts), (replayed.digest, replayed.counts));
    }
}

/// What happens before the first fault is the same whether there are faults or not: nothing was drawn for them.
#[test]
fn taking_the_faults_away_leaves_everything_before_them_as_it_was() {
    let scenario = Source::parse("@leader-loss")
        .unwrap()
        .read(&Overrides::default())
        .unwrap();
    let with = scenario.arm(&[]).unwrap().resolved;
    let without = scenario.without_faults().arm(&[]).unwrap().resolved;
    let mut bench = Bench::default();
    for seed in 1..=5 {
        let with = bench.run(
            &with,
            seed,
            Keep {
                story: true,
                ..Keep::default()
            },
        );
        let without = bench.run(
            &without,
            seed,
            Keep {
                story: true,
                ..Keep::default()
            },
        );
        let first = with.trial.fired.first().expect("faults happen").at;
        let before = |told: &[_]| {
            told.iter()
                .take_while(|(at, _)| *at < first)
                .cloned()
                .collect::<Vec<_>>()
        };
        let (one, other) = (before(with.story.told()), before(without.story.told()));
        assert!(one.len() > 500, "there is something to compare: {}", one.len());
        // Event numbers differ, because scripted entries take some; instants and contents do not.
        let plain = |told: Vec<(ktrial_sim::Time, ktrial_scenarios::Told)>| -> Vec<String> {
            told.iter()
                .map(|(at, told)| format!("{at} {}", without_event_numbers(told)))
                .collect()
        };
        assert_eq!(plain(one), plain(other));
    }
}

fn without_event_numbers(told: &ktrial_scenarios::Told) -> String {
    let text = format!("{told:?}");
    let mut parts = text.split("EventId(");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once(')').map_or(part, |(_, rest)| rest));
    }
    plain
}
