//! `ktrial list`: what ktrial knows.

use ktrial_models::config::catalogue::{Fallback, Reach, Scope, Treatment};
use ktrial_models::invariants::Invariant;
use ktrial_reports::table::{Align, Table};
use ktrial_scenarios::{FaultKind, LIBRARY, Overrides, Role, Source};

use crate::arguments::{ListArguments, Listed};
use crate::commands::print;
use crate::exit::{Exit, Outcome};

/// Runs the command.
pub fn run(arguments: &ListArguments) -> Outcome {
    print(&match arguments.what {
        Listed::Scenarios => scenarios(),
        Listed::Invariants => invariants(),
        Listed::Settings => settings(),
        Listed::Faults => faults(),
    })?;
    Ok(Exit::Held)
}

fn scenarios() -> String {
    let mut table = Table::new([
        ("scenario", Align::Left),
        ("claim", Align::Left),
        ("about", Align::Left),
    ]);
    for (name, text) in LIBRARY {
        let scenario = Source::BuiltIn(name, text)
            .read(&Overrides::default())
            .expect("a test reads them all");
        let claim = scenario
            .claim
            .as_ref()
            .map_or(String::new(), |claim| claim.id.clone());
        let about = scenario
            .about
            .split_once(['.', '\n'])
            .map_or(scenario.about.as_str(), |(first, _)| first);
        table.row([format!("@{name}"), claim, about.to_owned()]);
    }
    table.render()
}

fn invariants() -> String {
    let mut table = Table::new([("id", Align::Left), ("name", Align::Left), ("says", Align::Left)]);
    for invariant in Invariant::ALL {
        table.row([
            invariant.id().to_owned(),
            invariant.name().to_owned(),
            invariant.about().to_owned(),
        ]);
    }
    table.render()
}

fn settings() -> String {
    let mut table = Table::new([
        ("scope", Align::Left),
        ("setting", Align::Left),
        ("default", Align::Left),
        ("here", Align::Left),
    ]);
    for scope in Scope::ALL {
        for setting in scope.settings() {
            let default = match setting.default {
                Fallback::Required => "(required)",
                Fallback::Null => "null",
                Fallback::Text(text) => text,
            };
            table.row([
                scope.word().to_owned(),
                setting.name.to_owned(),
                default.to_owned(),
                treatment(setting.treatment_for(scope)),
            ]);
        }
    }
    table.render()
}

fn treatment((treatment, reach): (Treatment, Option<Reach>)) -> String {
    match treatment {
        Treatment::Modelled { test, with: None } => format!("modelled (test {test})"),
        Treatment::Modelled {
            test,
            with: Some(with),
        } => {
            format!(
                "modelled (test {test}), inert without {}",
                with.word().replace('_', " ")
            )
        }
        Treatment::Inert { without } => format!("inert without {}", without.word().replace('_', " ")),
        Treatment::Neutral { reason } => format!("neutral: {reason}"),
        Treatment::Replaced { by } => format!("replaced: {by}"),
        Treatment::Unmodelled => match reach {
            None => "unmodelled: setting it stops the run".to_owned(),
            Some(Reach { limit, reason }) => {
                format!("unmodelled: a value below {limit} stops the run; else {reason}")
            }
        },
    }
}

const ACTIONS: [(&str, &str); 24] = [
    (
        "let: {NAME: ROLE}",
        "gives the nodes a role means now a name, used as $NAME",
    ),
    ("kill: ROLE", "kills processes; page caches survive"),
    (
        "power_off: ROLE",
        "takes the power; `unflushed: drawn` (default) or `lost`",
    ),
    ("lose_disk: ROLE", "destroys disks; processes start on empty ones"),
    ("start: ROLE", "starts processes that do not run"),
    ("stop: ROLE", "orderly shutdown (SIGTERM: controlled shutdown)"),
    (
        "rolling_restart: ROLE",
        "one after the other; `down: 1s`, `between: 5s`",
    ),
    (
        "pause: ROLE",
        "stops processes where they stand (SIGSTOP, a long garbage collection)",
    ),
    ("resume: ROLE", "lets paused processes go on"),
    (
        "cut: ROLE",
        "`from: ROLE` (default: everything else), `way: both|out|in`; TCP retransmits",
    ),
    ("mend: ROLE", "takes cuts back; `from`, `way` as for cut"),
    ("mend_all: true", "takes all cuts back"),
    ("reset: ROLE", "resets the connections to `from: ROLE`"),
    ("slow: ROLE", "adds `latency: 100ms` to the links to `from: ROLE`"),
    (
        "hold: [KINDS]",
        "stalls connections that carry these messages; `from: ROLE`, `to: ROLE`",
    ),
    ("skew: ROLE", "moves wall clocks; `by: 60s` or `by: -60s`"),
    ("drift: ROLE", "lets clocks run fast or slow; `by: 200ppm`"),
    ("slow_disk: ROLE", "makes disks `times: 10` slower"),
    ("fill_disk, fail_disk: ROLE", "lets writes fail"),
    (
        "open_cut: NAME",
        "lets other threads in between two steps; `on: ROLE`, `one_in: 1`, `longest: 100ms`",
    ),
    (
        "scale: ROLE",
        "closes consumers, or starts them, until the first `to: NUMBER` of them run",
    ),
    (
        "redeploy: ROLE",
        "closes processes and starts them again; `how: rolling` (or all at once), `down: 1s`, `between: 5s`",
    ),
    (
        "stall: ROLE",
        "keeps the applications of groups' consumers busy; `by: 6m`; heartbeats go on",
    ),
    (
        "elect_unclean, elect_preferred: true",
        "what an operator does with kafka-leader-election",
    ),
];

fn faults() -> String {
    let mut text = String::from(
        "Faults, each with `at: 3s`, `at: 3s..6s` or `when: second election of orders-0` (and `after: 1s`),\nand most with `for: 2s..5s`, after which they are taken back:\n\n",
    );
    let mut table = Table::new([("fault", Align::Left), ("what it does", Align::Left)]);
    for (fault, about) in ACTIONS {
        table.row([fault.to_owned(), about.to_owned()]);
    }
    text.push_str(&table.render());
    text.push_str("\nRoles, resolved when the fault happens: ");
    text.push_str(&Role::forms().join(", "));
    text.push_str(", or a node's name (b1, c1, a client).\n\nFaults that `random` can draw: ");
    let kinds: Vec<&str> = FaultKind::NAMES.iter().map(|(name, _)| *name).collect();
    text.push_str(&kinds.join(", "));
    text.push_str(".\n");
    text
}
