//! The careful configuration (replication factor 3, min.insync.replicas 2, acks=all, idempotence, no unclean elections,
//! ELR on) under faults of every kind. Here 60 seeds; the long search has 10,000:
//!
//! ```text
//! KTRIAL_CAREFUL_SEEDS=10000 cargo test --package ktrial-scenarios --test careful
//! ```

use std::sync::atomic::AtomicBool;

use ktrial_scenarios::{ArmSummary, ArmVerdict, Overrides, Source, sweep};

fn trials(name: &str) -> ArmSummary {
    let given = std::env::var("KTRIAL_CAREFUL_SEEDS").ok();
    let seeds = given.map_or(60, |text| text.parse().expect("KTRIAL_CAREFUL_SEEDS is a number"));
    let scenario = Source::parse(name).unwrap().read(&Overrides::default()).unwrap();
    let arms = [scenario.arm(&[]).unwrap().resolved];
    let never = AtomicBool::new(false);
    let swept = sweep(&arms, 0..seeds, 1, &never, &|_| {});
    assert!(swept.errors.is_empty(), "{:?}", swept.errors);
    let mut summaries = swept.summaries;
    summaries.remove(0)
}

/// One trial of a million of `@careful-single` shows what claim C068_first is about, by seed 307429.
fn nothing_is_to_be_found_by(name: &str) {
    let arm = trials(name);
    assert_eq!(arm.verdict(), ArmVerdict::Holds, "{:?}", arm.violations);
    assert_eq!(
        (arm.counts.lost, arm.counts.duplicates, arm.counts.reordered),
        (0, 0, 0)
    );
    assert_eq!(arm.endings.keys().collect::<Vec<_>>(), [&"converged"]);
}

#[test]
fn a_single_fault_exposes_and_breaks_nothing() {
    nothing_is_to_be_found_by("@careful-single");
}

#[test]
fn faults_of_one_node_or_link_at_a_time_expose_and_break_nothing() {
    nothing_is_to_be_found_by("@careful");
}

#[test]
fn groups_of_either_protocol_process_everything_under_faults_of_one_node_or_link_at_a_time() {
    let arm = trials("@careful-groups");
    assert_ne!(arm.verdict(), ArmVerdict::Broken, "{:?}", arm.violations);
    assert_eq!(arm.endings.keys().collect::<Vec<_>>(), [&"converged"]);
    let groups = arm.groups.expect("there are groups");
    assert_eq!(groups.counts.unprocessed, 0);
}

#[test]
fn faults_of_several_nodes_break_nothing() {
    let arm = trials("@careful-many");
    assert!(arm.counts.acknowledged > 0);
    assert_ne!(arm.verdict(), ArmVerdict::Broken, "{:?}", arm.violations);
}
