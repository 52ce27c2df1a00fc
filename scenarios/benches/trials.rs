//! What whole trials cost, and the judges in them: `cargo bench --package ktrial-scenarios`.

use std::path::Path;
use std::sync::Arc;

use divan::Bencher;
use ktrial_models::invariants::{Convergence, Judges};
use ktrial_scenarios::{Bench, Keep, Layout, Overrides, Resolved, Scenario, Source, Told};

fn main() {
    divan::main();
}

const GROUPS: &str = "
scenario: groups
topics:
  orders: {partitions: 3}
producers:
  p1: {topic: orders, rate: 1000, count: 1000, keys: 16}
consumers:
  member: {group: billing, topics: [orders], count: 3}
duration: 20s
faults:
  - {at: 5s, kill: coordinator of group billing, for: 10s}
";

fn read(scenario: Result<Scenario, Vec<ktrial_models::config::ConfigError>>) -> Arc<Resolved> {
    let arm = scenario.and_then(|scenario| scenario.arm(&[]));
    arm.expect("a good scenario").resolved
}

fn built_in(name: &str) -> Arc<Resolved> {
    let source = Source::parse(name).expect("it comes with ktrial");
    read(source.read(&Overrides::default()))
}

fn groups() -> Arc<Resolved> {
    read(Scenario::read(
        "groups",
        GROUPS,
        Path::new("."),
        &Overrides::default(),
    ))
}

/// Trials of one scenario, one seed after the other, in memory used again.
fn trials(bencher: Bencher, resolved: &Arc<Resolved>, keep: Keep) {
    let mut bench = Bench::default();
    let mut seed = 0;
    bencher.bench_local(|| {
        seed = seed % 8 + 1;
        bench.run(resolved, seed, keep).trial.digest
    });
}

#[divan::bench]
fn trial_t0(bencher: Bencher) {
    trials(bencher, &built_in("@t0"), Keep::default());
}

#[divan::bench]
fn trial_t0_without_judges(bencher: Bencher) {
    let keep = Keep {
        unjudged: true,
        ..Keep::default()
    };
    trials(bencher, &built_in("@t0"), keep);
}

#[divan::bench]
fn trial_t0_with_its_story_and_causes(bencher: Bencher) {
    let keep = Keep {
        story: true,
        causes: true,
        ..Keep::default()
    };
    trials(bencher, &built_in("@t0"), keep);
}

#[divan::bench]
fn trial_leader_loss(bencher: Bencher) {
    trials(bencher, &built_in("@leader-loss"), Keep::default());
}

/// Three consumers of a group whose coordinator is killed, a thousand records.
#[divan::bench]
fn trial_with_a_group(bencher: Bencher) {
    trials(bencher, &groups(), Keep::default());
}

/// All that was told in a trial T0, judged once more.
#[divan::bench]
fn judges_of_t0(bencher: Bencher) {
    let resolved = built_in("@t0");
    let keep = Keep {
        story: true,
        ..Keep::default()
    };
    let detailed = Bench::default().run(&resolved, 1, keep);
    let producers: Vec<_> = resolved
        .producers
        .iter()
        .map(|(producer, _)| producer.clone())
        .collect();
    let first = detailed.layout.everything().nth(resolved.cluster.servers.len());
    let mut judges = Judges::default();
    bencher.bench_local(|| {
        judges.reset(
            &resolved.cluster,
            &producers,
            resolved.readers.len(),
            &resolved.consumers,
            first.unwrap_or(Layout::OPERATOR),
        );
        for (at, told) in detailed.story.told() {
            if let Told::Note(node, event, note) = told {
                judges.note(*at, *node, *event, note, &detailed.contents);
            }
        }
        let convergence = Convergence::Reached;
        let (end, finals) = (detailed.trial.ended, &detailed.finals);
        judges.finish(
            end,
            finals,
            &detailed.unread,
            convergence,
            &[],
            &detailed.contents,
        )
    });
}

/// A scenario's text, its settings and their refusals.
#[divan::bench]
fn reading_a_scenario() -> Arc<Resolved> {
    built_in("@t0")
}
