//! Trials use memory again: a process that has run a thousand of them holds no more than after the first few.

#![cfg(target_os = "linux")]

mod support;

use ktrial_scenarios::{Bench, Keep};

/// Memory of this process that is in use, in kilobytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells what a process uses");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    kilobytes
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

#[test]
fn a_thousand_trials_take_no_more_memory_than_a_hundred() {
    let arm = support::arm(
        "
scenario: a leader killed, records read with and without a group
topics:
  orders: {partitions: 2, replication.factor: 3, config: {min.insync.replicas: 2}}
producers:
  p1: {topic: orders, rate: 100, settings: {linger.ms: 5}}
readers:
  r1: {topics: [orders]}
consumers:
  billing: {group: billing, topics: [orders]}
duration: 3s
faults:
  - {at: 1s, kill: leader of orders-0, for: 1s}
",
    );
    let mut bench = Bench::default();
    let mut run = |seeds: std::ops::RangeInclusive<u64>| {
        seeds.for_each(|seed| drop(bench.run(&arm.resolved, seed, Keep::default())));
        resident()
    };
    let after_a_hundred = run(1..=100);
    let after_a_thousand = run(101..=1_000);
    let grown = after_a_thousand.saturating_sub(after_a_hundred);
    assert!(grown < 1_000, "{grown} kB more after 900 further trials");
}
