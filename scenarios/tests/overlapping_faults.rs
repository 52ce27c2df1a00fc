//! Faults on one machine at the same time: when one is over, the others go on.

mod support;

use ktrial_scenarios::{Bench, Detailed, Keep, Told};
use ktrial_sim::NodeId;

/// Three brokers, a producer, and these faults. The second broker's machine is `NodeId(2)`.
fn trial(faults: &str) -> Detailed {
    trial_with("", faults)
}

fn trial_with(consumers: &str, faults: &str) -> Detailed {
    let text = format!(
        "
scenario: one upon the other
topics:
  orders: {{partitions: 1, replication.factor: 3}}
producers:
  p1: {{topic: orders, rate: 50, settings: {{acks: all, linger.ms: 5}}}}
{consumers}
duration: 60s
faults: [{faults}]
"
    );
    let arm = support::arm(&text);
    let keep = Keep {
        story: true,
        ..Keep::default()
    };
    Bench::default().run(&arm.resolved, 1, keep)
}

/// When, counted from the start of the clients, something was told.
fn seconds(trial: &Detailed, of: impl Fn(&Told) -> bool) -> Vec<u64> {
    let told = trial.story.told();
    let started = told.iter().find(|(_, told)| *told == Told::ClientsStart);
    let started = started.expect("clients start").0;
    let of = told.iter().filter(|(_, told)| of(told));
    of.map(|(at, _)| at.since(started).as_millis() / 1_000).collect()
}

const SECOND: NodeId = NodeId(2);

fn starts(faults: &str) -> Vec<u64> {
    seconds(&trial(faults), |told| *told == Told::Started(SECOND))
}

fn taken_back(faults: &str) -> Vec<(u64, usize)> {
    let trial = trial(faults);
    let of = |entry| seconds(&trial, move |told| *told == Told::TakenBack { entry });
    let mut all: Vec<_> = (0..2)
        .flat_map(|entry| of(entry).into_iter().map(move |at| (at, entry)))
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn a_broker_that_is_killed_twice_starts_when_the_longer_of_both_is_over() {
    assert_eq!(
        starts("{at: 5s, kill: b2, for: 10s}, {at: 8s, kill: b2, for: 2s}"),
        [15]
    );
    assert_eq!(
        starts("{at: 5s, kill: b2, for: 10s}, {at: 8s, kill: b2, for: 20s}"),
        [28]
    );
}

#[test]
fn a_machine_without_power_is_not_started_by_the_end_of_a_kill() {
    assert_eq!(
        starts("{at: 5s, power_off: b2, for: 30s}, {at: 8s, kill: b2, for: 2s}"),
        [35]
    );
}

#[test]
fn a_broker_that_was_shut_down_waits_for_the_end_of_its_kill_too() {
    assert_eq!(
        starts("{at: 5s, stop: b2, for: 20s}, {at: 15s, kill: b2, for: 20s}"),
        [35]
    );
}

#[test]
fn an_explicit_start_ends_whatever_keeps_a_broker_down() {
    let faults = "{at: 5s, kill: b2, for: 30s}, {at: 8s, kill: b2, for: 20s}, {at: 10s, start: b2}";
    assert_eq!(starts(faults), [10]);
}

#[test]
fn a_pause_within_a_pause_does_not_end_it() {
    let trial = trial("{at: 5s, pause: b2, for: 30s}, {at: 8s, pause: b2, for: 4s}");
    assert_eq!(seconds(&trial, |told| *told == Told::Resumed(SECOND)), [35]);
}

#[test]
fn a_disk_that_refuses_goes_on_refusing_when_it_is_slow_no_longer() {
    let faults = "{at: 4s, slow_disk: b2, times: 5, for: 2s}, {at: 5s, fail_disk: b2, for: 20s}";
    assert_eq!(taken_back(faults), [(25, 1)]);
}

#[test]
fn a_clock_that_was_set_goes_on_being_wrong_when_it_runs_too_fast_no_longer() {
    let faults = "{at: 5s, skew: b2, by: 60s, for: 40s}, {at: 6s, drift: b2, by: 100ppm, for: 10s}";
    assert_eq!(taken_back(faults), [(45, 0)]);
}

#[test]
fn a_consumer_starts_when_it_is_time_and_its_kill_is_over() {
    let late = "consumers: {late: {group: billing, topics: [orders], start: 20s}}";
    let starts = |faults: &str| {
        let trial = trial_with(late, faults);
        let late = trial.layout.consumers().next().expect("a consumer");
        seconds(&trial, |told| *told == Told::Started(late))
    };
    assert_eq!(starts("{at: 5s, kill: late, for: 30s}"), [35]);
    let before_it_is_time = starts("{at: 5s, kill: late, for: 2s}");
    assert!(before_it_is_time.is_empty(), "{before_it_is_time:?}");
}
