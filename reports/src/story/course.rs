//! What explains the fate of some records: answers, elections, crashes, attempts, and every copy that ceased to be.

use std::collections::{BTreeMap, BTreeSet};

use ktrial_models::config::Acks;
use ktrial_models::ids::{LeaderEpoch, Offset, PartitionId, RecordId, ServerId};
use ktrial_models::notes::{ClientNote, ClusterNote, Election, LeaderNote, Note};
use ktrial_models::protocol::ErrorCode;
use ktrial_scenarios::{Action, Told};
use ktrial_sim::{NodeId, Time};

use super::logs::{Gone, Logs};
use super::timeline::list;
use super::words::View;

/// The answer that a producer's acknowledgement rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When.
    pub at: Time,
    /// The leader that gave it.
    pub by: NodeId,
    /// Who had the record then.
    pub holders: Vec<NodeId>,
    /// What the producer had asked for.
    pub acks: Acks,
    /// Members of the maximal ISR then.
    pub maximal_isr: u32,
}

/// A leader that was elected.
#[derive(Clone, Copy, Debug)]
pub struct Elected {
    /// When.
    pub at: Time,
    /// Of which partition.
    pub partition: PartitionId,
    /// Who.
    pub leader: ServerId,
    /// Its epoch.
    pub epoch: LeaderEpoch,
    /// How.
    pub how: Election,
    /// Where its log ended then.
    pub end: Offset,
}

/// Everything that explains what became of the records of interest.
pub struct Course {
    /// The answer for each record, if a broker gave one.
    pub answers: BTreeMap<RecordId, Answer>,
    /// Copies that ceased to be.
    pub gone: BTreeMap<RecordId, Vec<Gone>>,
    /// All elections of leaders.
    pub elections: Vec<Elected>,
    /// Ends of processes: when, whose, how.
    pub deaths: Vec<(Time, NodeId, &'static str)>,
    /// When each record was sent to whom.
    pub attempts: BTreeMap<RecordId, Vec<(Time, ServerId)>>,
    /// All logs at the end.
    pub logs: Logs,
}

impl Course {
    /// Follows the story of these records.
    pub fn of(view: View<'_>, interest: &BTreeSet<RecordId>) -> Self {
        let mut course = Course {
            answers: BTreeMap::new(),
            gone: BTreeMap::new(),
            elections: Vec::new(),
            deaths: Vec::new(),
            attempts: BTreeMap::new(),
            logs: Logs::default(),
        };
        for (at, told) in view.detailed.story.told() {
            match told {
                Told::Fault { entry, nodes } => {
                    let action = &view.detailed.trial.script.entries[*entry].action;
                    course.fault(*at, nodes, action, interest);
                }
                Told::Note(node, _, note) => course.note(view, *at, *node, note, interest),
                _ => {}
            }
        }
        course
    }

    fn fault(&mut self, at: Time, nodes: &[NodeId], action: &Action, interest: &BTreeSet<RecordId>) {
        let how = match action {
            Action::Kill(_) => "was killed",
            Action::PowerOff { .. } => "lost power",
            Action::LoseDisk(_) => "lost its disk",
            _ => return,
        };
        for node in nodes {
            self.deaths.push((at, *node, how));
            let gone = self.logs.fault(at, *node, action);
            self.keep(gone, interest);
        }
    }

    fn keep(&mut self, gone: Vec<(RecordId, Gone)>, interest: &BTreeSet<RecordId>) {
        for (record, gone) in gone {
            if interest.contains(&record) {
                self.gone.entry(record).or_default().push(gone);
            }
        }
    }

    fn note(&mut self, view: View<'_>, at: Time, node: NodeId, note: &Note, interest: &BTreeSet<RecordId>) {
        let contents = &view.detailed.contents;
        match note {
            Note::Log(partition, note) => {
                let gone = self.logs.note(at, node, *partition, note, contents);
                self.keep(gone, interest);
            }
            Note::Leader(
                partition,
                LeaderNote::Answered {
                    records,
                    error: ErrorCode::None,
                    acks,
                    maximal_isr,
                    ..
                },
            ) => {
                for record in contents.records(*records) {
                    if !interest.contains(&record.id) {
                        continue;
                    }
                    let holders = self.logs.holders(*partition, record.id);
                    let answer = Answer {
                        at,
                        by: node,
                        holders: holders.into_iter().map(|(node, _)| node).collect(),
                        acks: *acks,
                        maximal_isr: *maximal_isr,
                    };
                    self.answers.insert(record.id, answer);
                }
            }
            Note::Cluster(ClusterNote::Partition {
                partition,
                registration,
                election: Some(how),
                ..
            }) => {
                let Some(leader) = registration.leader else { return };
                let known = |elected: &Elected| {
                    elected.partition == *partition && elected.epoch == registration.leader_epoch
                };
                if !self.elections.iter().any(known) {
                    self.elections.push(Elected {
                        at,
                        partition: *partition,
                        leader,
                        epoch: registration.leader_epoch,
                        how: *how,
                        end: self.logs.end(leader.node(), *partition),
                    });
                }
            }
            Note::Client(ClientNote::Attempt { records, to, .. }) => {
                for record in contents.records(*records) {
                    if interest.contains(&record.id) {
                        self.attempts.entry(record.id).or_default().push((at, *to));
                    }
                }
            }
            _ => {}
        }
    }
}

/// Faults that were in force at an instant and touched these machines, in words.
pub fn in_force(view: View<'_>, at: Time, nodes: &[NodeId]) -> Vec<String> {
    let script = &view.detailed.trial.script;
    let mut active: Vec<(Time, usize, Vec<NodeId>)> = Vec::new();
    let mut bound = BTreeMap::new();
    let told = view.detailed.story.told().iter();
    for (when, told) in told.take_while(|(when, _)| *when <= at) {
        match told {
            Told::Fault { entry, nodes: whom } => match &script.entries[*entry].action {
                Action::Bind { name, who } => {
                    bound.insert(name.clone(), format!("{who} at {}", view.moment(*when)));
                }
                Action::Kill(_)
                | Action::PowerOff { .. }
                | Action::LoseDisk(_)
                | Action::Pause(_)
                | Action::Cut { .. }
                | Action::Slow { .. }
                | Action::Hold { .. }
                | Action::SlowDisk { .. } => active.push((*when, *entry, whom.clone())),
                Action::MendAll => active
                    .retain(|(_, entry, _)| !matches!(script.entries[*entry].action, Action::Cut { .. })),
                _ => {}
            },
            Told::TakenBack { entry } => active.retain(|(_, known, _)| known != entry),
            Told::Started(node) | Told::Resumed(node) => {
                for (_, entry, whom) in &mut active {
                    let action = &script.entries[*entry].action;
                    if !matches!(action, Action::Cut { .. } | Action::Slow { .. }) {
                        whom.retain(|other| other != node);
                    }
                }
                active.retain(|(_, _, whom)| !whom.is_empty());
            }
            Told::Healing => active.clear(),
            _ => {}
        }
    }
    active
        .into_iter()
        .filter(|(_, _, whom)| whom.iter().any(|node| nodes.contains(node)))
        .map(|(since, entry, whom)| {
            let names: Vec<&str> = whom.iter().map(|node| view.name(*node)).collect();
            let sentence = super::actions::sentence(&script.entries[entry], &list(&names), &bound);
            format!("meanwhile, since {}: {sentence}", view.moment(since))
        })
        .collect()
}
