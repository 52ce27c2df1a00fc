//! Whatever cluster, settings, clients and faults are drawn: ktrial does not fail, and Kafka breaks no promise.
//! Here 60 scenarios of two trials each; more of them, or those behind them:
//!
//! ```text
//! KTRIAL_SWARM=1000 cargo test --release --package ktrial-scenarios --test swarm
//! KTRIAL_SWARM=6001..12000 cargo test --release --package ktrial-scenarios --test swarm
//! ```

#[path = "swarm/drawn.rs"]
mod drawn;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use ktrial_scenarios::{ArmVerdict, Overrides, Scenario, sweep};

/// What is wrong with a scenario of the swarm.
fn wrong(seed: u64) -> Option<String> {
    let text = drawn::scenario(seed);
    let read = Scenario::read("drawn.yaml", &text, Path::new("."), &Overrides::default());
    let arm = match read.and_then(|scenario| scenario.arm(&[])) {
        Ok(arm) => arm,
        Err(errors) => return Some(format!("{errors:?}\n{text}")),
    };
    assert!(arm.refusals().is_empty(), "Kafka refuses to start:\n{text}");
    let swept = sweep(&[arm.resolved], 1..3, 1, &AtomicBool::new(false), &|_| {});
    if let Some((_, error)) = swept.errors.first() {
        return Some(format!("{error:?}\n{text}"));
    }
    let broken = swept.summaries[0].verdict() == ArmVerdict::Broken;
    broken.then(|| format!("{:?}\n{text}", swept.summaries[0].violations))
}

#[test]
fn no_promise_is_broken_in_any_cluster_that_is_drawn() {
    let given = std::env::var("KTRIAL_SWARM").unwrap_or_else(|_| "60".to_owned());
    let (first, last) = given.split_once("..").unwrap_or(("1", &given));
    let number = |text: &str| -> u64 { text.parse().expect("KTRIAL_SWARM is N or A..B") };
    let wrong: Vec<String> = (number(first)..=number(last)).filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
