//! Clients that start while not all of their bootstrap servers answer.

mod support;

use ktrial_scenarios::{Bench, Keep};

/// In how many of 60 trials a producer that starts beside a silent broker cannot send within `max.block.ms`.
fn trials_with_failures(settings: &str) -> usize {
    let text = format!(
        "
scenario: one of three is silent
topics:
  orders: {{partitions: 1, replication.factor: 2, assignment: [[1, 2]]}}
producers:
  p1: {{topic: orders, rate: 20, settings: {{max.block.ms: 5000, {settings}}}}}
duration: 30s
faults:
  - {{at: 5s, cut: b3, for: 40s}}
  - {{at: 7s, kill: p1, for: 1s}}
"
    );
    let arm = support::arm(&text);
    let mut bench = Bench::default();
    let mut failed = |seed| {
        bench
            .run(&arm.resolved, seed, Keep::default())
            .trial
            .counts
            .failed
            > 0
    };
    (1..=60).filter(|seed| failed(*seed)).count()
}

/// An idempotent producer looks for a node to ask for its id, and polls before it connects (`NetworkClientUtils.isReady`):
/// metadata are asked for over a connection of their own. Both have to meet the silent one.
#[test]
fn an_idempotent_producer_gets_metadata_although_the_node_for_its_id_is_silent() {
    let alone = trials_with_failures("acks: 1, enable.idempotence: false");
    assert!((10..=30).contains(&alone), "a third: {alone}");
    let idempotent = trials_with_failures("acks: all");
    assert!(idempotent <= 14, "a ninth: {idempotent}");
}
