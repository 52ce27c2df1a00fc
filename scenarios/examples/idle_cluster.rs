//! What a cluster does when nobody uses it: events and messages by kind, and how fast a simulated day goes by.
//!
//! `idle_cluster [HOURS] [SCENARIO] [ASSIGNMENT ...]` runs the scenario (without one: three controllers, three brokers,
//! a topic, no clients) for an hour and for an hour and HOURS more (24), and prints the difference as one JSON object:
//! hours in which nothing happens but what Kafka's timers make happen. Causes are kept for counting, so time is
//! measured in a third run without them.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use ktrial_models::protocol::api;
use ktrial_scenarios::{Bench, Keep, Overrides, Resolved, Scenario};
use ktrial_sim::Duration;
use serde_json::{Value, json};
use support::{TICKS_PER_SECOND, processor_ticks, resolve};

const IDLE: &str = "
scenario: idle
cluster: {brokers: 3, controllers: 3}
topics:
  orders: {partitions: 3, replication.factor: 3}
duration: 1h
";

/// What happened in a run, by kind.
#[derive(Default)]
struct Counted {
    events: BTreeMap<String, u64>,
    messages: BTreeMap<String, u64>,
    timers: BTreeMap<String, u64>,
    all_events: u64,
}

fn lasting(resolved: &Resolved, hours: u64) -> Arc<Resolved> {
    Arc::new(Resolved {
        duration: Duration::secs(hours * 3_600),
        ..resolved.clone()
    })
}

fn count(resolved: &Resolved, hours: u64) -> Counted {
    let keep = Keep {
        causes: true,
        ..Keep::default()
    };
    let mut bench = Bench::default();
    let detailed = bench.run(&lasting(resolved, hours), 1, keep);
    let Some(trace) = bench.trace() else {
        return Counted::default();
    };
    let mut counted = Counted {
        all_events: detailed.trial.counters.events,
        ..Counted::default()
    };
    for (name, count) in trace.events() {
        *counted.events.entry(name.to_owned()).or_default() += count;
    }
    for (kind, count) in trace.messages() {
        let of = usize::from(kind % api::RESPONSE);
        let way = if *kind < api::RESPONSE {
            "request"
        } else {
            "response"
        };
        let name = format!("{} {way}", api::NAMES[of]);
        *counted.messages.entry(name).or_default() += count;
    }
    for ((node, slot), count) in trace.timers() {
        let name = format!("{} slot {}", detailed.layout.name(node), slot.0);
        *counted.timers.entry(name).or_default() += count;
    }
    counted
}

fn difference(less: &BTreeMap<String, u64>, more: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let grown = more.iter().map(|(name, count)| {
        let before = less.get(name).copied().unwrap_or(0);
        (name.clone(), count.saturating_sub(before))
    });
    grown.filter(|(_, count)| *count > 0).collect()
}

fn measure(hours: u64, resolved: &Resolved) -> Value {
    let (less, more) = (count(resolved, 1), count(resolved, 1 + hours));
    let before = processor_ticks();
    Bench::default().run(&lasting(resolved, hours), 1, Keep::default());
    let ticks = before
        .zip(processor_ticks())
        .map(|(before, after)| u64::max(after - before, 1));
    json!({
        "hours": hours,
        "events": more.all_events - less.all_events,
        "events_by_kind": difference(&less.events, &more.events),
        "messages": difference(&less.messages, &more.messages),
        "timers": difference(&less.timers, &more.timers),
        "cpu_milliseconds": ticks.map(|ticks| ticks * 1_000 / TICKS_PER_SECOND),
        "simulated_seconds_per_cpu_second": ticks.map(|ticks| hours * 3_600 * TICKS_PER_SECOND / ticks),
    })
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let hours = arguments.next().map_or(Ok(24), |text| text.parse());
    let source = arguments.next();
    let assignments: Vec<String> = arguments.collect();
    let resolved = match &source {
        Some(source) => resolve(source, &assignments).map(|(_, resolved)| resolved),
        None => Scenario::read("idle", IDLE, Path::new("."), &Overrides::default())
            .and_then(|scenario| scenario.arm(&assignments))
            .map(|arm| arm.resolved)
            .map_err(|errors| {
                errors
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("\n")
            }),
    };
    match (hours, resolved) {
        (Ok(hours @ 1..=160), Ok(resolved)) => {
            println!("{:#}", measure(hours, &resolved));
            ExitCode::SUCCESS
        }
        (_, Err(message)) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
        _ => {
            eprintln!("usage: idle_cluster [HOURS, 1 to 160] [SCENARIO] [ASSIGNMENT ...]");
            ExitCode::from(2)
        }
    }
}
