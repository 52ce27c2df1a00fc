//! Trial T0, to say how many trials a second of processor time is worth.
//!
//! Three controllers, three brokers, a thousand records, a leader killed and brought back: the built-in scenario
//! `t0`. Trials run one after the other on one bench, seed by seed, and use memory again.
//!
//! `trial_t0 [TRIALS] [FIRST_SEED] [SCENARIO] [ASSIGNMENT ...]` prints one JSON object; another scenario
//! (`@leader-loss`) and settings (`acks=1`) can be measured in the same way. Processor time and peak memory are
//! Linux's figures for this process, and null elsewhere. `acked`, `delivered`, `wall_s` and `hash` are of all trials
//! together and have the names that workload W prints, so that what compares W with other simulators takes T0 too.

mod support;

use std::process::ExitCode;
use std::time::Instant;

use ktrial_scenarios::{Bench, Ending, Keep};
use serde_json::{Value, json};
use support::{TICKS_PER_SECOND, peak_kilobytes, processor_ticks, resolve};

fn measure(trials: u64, first: u64, source: &str, assignments: &[String]) -> Result<Value, String> {
    let (scenario, resolved) = resolve(source, assignments)?;
    let mut bench = Bench::default();
    let (mut events, mut delivered, mut draws) = (0, 0, 0);
    let (mut acknowledged, mut converged, mut simulated, mut digest) = (0, 0, 0, 0u64);
    let floor = peak_kilobytes();
    let (begin, before) = (Instant::now(), processor_ticks());
    for seed in first..first + trials {
        let trial = bench.run(&resolved, seed, Keep::default()).trial;
        events += trial.counters.events;
        delivered += trial.counters.delivered;
        draws += trial.counters.draws;
        acknowledged += trial.counts.acknowledged;
        converged += u64::from(trial.ending == Ending::Converged);
        simulated += trial.ended.0 / 1_000_000;
        digest = digest.rotate_left(1) ^ trial.digest;
    }
    let wall = begin.elapsed();
    let ticks = before
        .zip(processor_ticks())
        .map(|(before, after)| after - before);
    let rate = ticks
        .filter(|ticks| *ticks > 0)
        .map(|ticks| trials * TICKS_PER_SECOND * 10 / ticks);
    let nanoseconds = ticks.map(|ticks| ticks * (1_000_000_000 / TICKS_PER_SECOND));
    Ok(json!({
        "scenario": scenario.name,
        "trials": trials,
        "converged": converged,
        "trials_per_ten_cpu_seconds": rate,
        "cpu_ns_per_message": nanoseconds.map(|all| all / u64::max(delivered, 1)),
        "cpu_ns_per_event": nanoseconds.map(|all| all / u64::max(events, 1)),
        "events_per_trial": events / trials,
        "messages_per_trial": delivered / trials,
        "draws_per_trial": draws / trials,
        "acknowledged_per_trial": acknowledged / trials,
        "simulated_ms_per_trial": simulated / trials,
        "peak_rss_kilobytes": peak_kilobytes(),
        "peak_rss_kilobytes_before_the_first_trial": floor,
        "acked": acknowledged,
        "delivered": delivered,
        "wall_s": wall.as_secs_f64(),
        "hash": format!("{digest:016x}"),
    }))
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| match arguments.next() {
        None => Some(default),
        Some(text) => text.parse().ok(),
    };
    let (Some(trials @ 1..), Some(first)) = (number(200), number(1)) else {
        eprintln!("usage: trial_t0 [TRIALS] [FIRST_SEED] [SCENARIO] [ASSIGNMENT ...]");
        return ExitCode::from(2);
    };
    let source = arguments.next().unwrap_or_else(|| "@t0".to_owned());
    let assignments: Vec<String> = arguments.collect();
    match measure(trials, first, &source, &assignments) {
        Ok(measured) => {
            println!("{measured}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}
