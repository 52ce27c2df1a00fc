//! A scenario with a group, run once.

use std::path::Path;

use ktrial_models::history::{History, Operation, RecordId};
use ktrial_models::notes::{ClientNote, Note};
use ktrial_scenarios::{Arm, Bench, Detailed, Ending, GroupCounts, Keep, Overrides, Scenario, Told, history};
use ktrial_sim::{Duration, Time};

/// What the scenarios have in common: a topic and its producer.
pub const HEAD: &str = "
scenario: test
topics:
  orders: {partitions: 4, replication.factor: 3, config: {min.insync.replicas: 2}}
producers:
  p1: {topic: orders, rate: 40, keys: 16}
";

/// A trial that has converged.
pub struct Trial {
    arm: Arm,
    pub detailed: Detailed,
}

impl Trial {
    /// Of the scenario with this besides its topic and its producer.
    pub fn of(rest: &str, seed: u64) -> Trial {
        let text = format!("{HEAD}{rest}");
        let scenario = Scenario::read("test.yaml", &text, Path::new("."), &Overrides::default());
        let scenario = scenario.unwrap_or_else(|errors| panic!("{errors:?}"));
        let arm = scenario.arm(&[]).unwrap_or_else(|errors| panic!("{errors:?}"));
        let keep = Keep {
            story: true,
            ..Keep::default()
        };
        let detailed = Bench::default().run(&arm.resolved, seed, keep);
        assert_eq!(
            detailed.trial.ending,
            Ending::Converged,
            "{:?}",
            detailed.trial.pending
        );
        Trial { arm, detailed }
    }

    /// What a client told, with the time since the clients' start.
    pub fn told<T>(&self, client: &str, wanted: impl Fn(&ClientNote) -> Option<T>) -> Vec<(Duration, T)> {
        let node = self
            .detailed
            .layout
            .node(client)
            .expect("a client of the scenario");
        let start = self.clients_start();
        let notes = self
            .detailed
            .story
            .told()
            .iter()
            .filter_map(|(at, told)| match told {
                Told::Note(other, _, Note::Client(note)) if *other == node => {
                    Some((at.since(start), wanted(note)?))
                }
                _ => None,
            });
        notes.collect()
    }

    fn clients_start(&self) -> Time {
        let told = self.detailed.story.told().iter();
        let start = told.clone().find(|(_, told)| matches!(told, Told::ClientsStart));
        start.expect("clients start").0
    }

    /// How many partitions a member had after each assignment.
    pub fn assignments(&self, client: &str) -> Vec<(Duration, usize)> {
        self.told(client, |note| match note {
            ClientNote::Assigned { all, .. } => Some(all.len()),
            _ => None,
        })
    }

    /// What its groups did with records.
    pub fn counts(&self) -> GroupCounts {
        self.detailed.trial.groups.expect("the scenario has a group")
    }

    /// What its clients saw.
    pub fn history(&self) -> History {
        history(&self.arm, &self.detailed)
    }
}

/// How often each record was processed, in the order of the sends.
pub fn processed(history: &History) -> Vec<(RecordId, usize)> {
    let mut counts: Vec<(RecordId, usize)> = Vec::new();
    for event in history.events() {
        match &event.operation {
            Operation::Send { record, .. } => counts.push((*record, 0)),
            Operation::Processed { record, .. } => {
                let sent = counts.iter_mut().find(|(sent, _)| sent == record);
                sent.expect("what is processed was sent").1 += 1;
            }
            _ => {}
        }
    }
    counts
}
