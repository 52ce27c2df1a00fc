//! Where acknowledged records went that are in no log any more, and how records came to stand twice.

use std::collections::{BTreeMap, BTreeSet};

use ktrial_models::config::Acks;
use ktrial_models::ids::{LeaderEpoch, Offset, PartitionId, RecordId, ServerId};
use ktrial_models::notes::{ClientNote, ClusterNote, Election, LeaderNote, Note};
use ktrial_models::protocol::ErrorCode;
use ktrial_scenarios::{Action, Outcome, Told};
use ktrial_sim::{NodeId, Time};
use serde::Serialize;

use super::logs::{Gone, Logs, Loss};
use super::timeline::list;
use super::words::{View, length, offsets, plural};

/// Records with one fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// How many.
    pub count: usize,
    /// Which.
    pub records: String,
    /// In which partition.
    pub partition: String,
    /// What happened to them, step by step.
    pub steps: Vec<String>,
    /// Settings that would have changed it, where that follows from what happened.
    pub settings: Vec<String>,
}

/// The answer that a producer's acknowledgement rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    at: Time,
    by: NodeId,
    holders: Vec<NodeId>,
    acks: Acks,
    maximal_isr: u32,
}

/// A leader that was elected.
#[derive(Clone, Copy, Debug)]
struct Elected {
    at: Time,
    partition: PartitionId,
    leader: ServerId,
    epoch: LeaderEpoch,
    how: Election,
    /// Where its log ended then.
    end: Offset,
}

/// Everything that explains what became of the records of interest.
struct Course {
    answers: BTreeMap<RecordId, Answer>,
    gone: BTreeMap<RecordId, Vec<Gone>>,
    elections: Vec<Elected>,
    /// Ends of processes: when, whose, how.
    deaths: Vec<(Time, NodeId, &'static str)>,
    attempts: BTreeMap<RecordId, Vec<(Time, ServerId)>>,
    logs: Logs,
}

impl Course {
    fn of(view: View<'_>, interest: &BTreeSet<RecordId>) -> Self {
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

/// Acknowledged records that the final log of their partition does not hold, by partition.
fn lost(view: View<'_>) -> BTreeMap<PartitionId, Vec<RecordId>> {
    let mut lost: BTreeMap<PartitionId, Vec<RecordId>> = BTreeMap::new();
    let mut kept: Vec<RecordId> = view
        .detailed
        .finals
        .iter()
        .flat_map(|log| log.records.iter().map(|(_, record)| *record))
        .collect();
    kept.sort_unstable();
    let layout = &view.detailed.layout;
    for (producer, sends) in layout.producers().zip(view.detailed.ledger.sends()) {
        for (number, sent) in sends.iter().enumerate() {
            let number = number as u32;
            let record = RecordId { producer, number };
            let Some(partition) = sent.partition.filter(|_| sent.outcome == Outcome::Acknowledged) else {
                continue;
            };
            let readable = view.detailed.finals.iter().any(|log| log.partition == partition);
            if readable && kept.binary_search(&record).is_err() {
                lost.entry(partition).or_default().push(record);
            }
        }
    }
    lost
}

/// What happened to acknowledged records that are gone, those of one fate together.
pub fn losses(view: View<'_>) -> Vec<Explanation> {
    let lost = lost(view);
    let interest: BTreeSet<RecordId> = lost.values().flatten().copied().collect();
    if interest.is_empty() {
        return Vec::new();
    }
    let course = Course::of(view, &interest);
    let mut explanations = Vec::new();
    for (partition, records) in &lost {
        for group in groups(&course, records) {
            explanations.push(explain(view, &course, *partition, &group));
        }
    }
    explanations
}

/// What two records must have in common to be told together.
type Fate = (Option<(NodeId, Vec<NodeId>)>, Vec<(NodeId, Time, Loss)>);

fn groups(course: &Course, records: &[RecordId]) -> Vec<Vec<RecordId>> {
    let mut groups: Vec<(Fate, Vec<RecordId>)> = Vec::new();
    for record in records {
        let answer = course
            .answers
            .get(record)
            .map(|answer| (answer.by, answer.holders.clone()));
        let gone = course.gone.get(record).into_iter().flatten();
        let fate: Fate = (answer, gone.map(|gone| (gone.node, gone.at, gone.loss)).collect());
        match groups.iter_mut().find(|(known, _)| *known == fate) {
            Some((_, members)) => members.push(*record),
            None => groups.push((fate, vec![*record])),
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

fn explain(view: View<'_>, course: &Course, partition: PartitionId, records: &[RecordId]) -> Explanation {
    let (first, last) = (records[0], records[records.len() - 1]);
    let mut steps = Vec::new();
    let mut settings = Vec::new();
    let answer = course.answers.get(&last);
    let told: Vec<Time> = records
        .iter()
        .filter_map(|record| view.sent(*record))
        .map(|sent| sent.told)
        .collect();
    let (from, to) = (
        told.iter().min().copied().unwrap_or_default(),
        told.iter().max().copied().unwrap_or_default(),
    );
    let when = if from == to {
        format!("at {}", view.moment(from))
    } else {
        format!("from {} to {}", view.moment(from), view.moment(to))
    };
    let placed: Vec<Offset> = records
        .iter()
        .filter_map(|record| view.sent(*record)?.offset)
        .collect();
    let place = match (placed.iter().min(), placed.iter().max()) {
        (Some(least), Some(most)) => format!(" at {}", offsets(*least, *most)),
        _ => String::new(),
    };
    steps.push(match answer {
        Some(answer) => format!(
            "acknowledged {when}{place} by {} ({}); {}",
            view.name(answer.by),
            acks(answer.acks),
            holders(view, answer)
        ),
        None => format!("taken as acknowledged {when}: nobody had answered (acks=0)"),
    });
    let replicas: Vec<NodeId> = view.replicas(partition);
    steps.extend(in_force(view, from, &replicas));
    let answered = answer.map_or(to, |answer| answer.at);
    let answered_by = answer.map(|answer| answer.by);
    let death = course
        .deaths
        .iter()
        .find(|(at, node, _)| *at >= answered && Some(*node) == answered_by);
    if let Some((at, node, how)) = death {
        steps.push(format!(
            "{} {how} at {}, {} after it had answered for the last of them",
            view.name(*node),
            view.moment(*at),
            length(answered, *at)
        ));
    }
    let least = placed.iter().min().copied();
    let without = course.elections.iter().find(|elected| {
        elected.partition == partition
            && elected.at >= answer.map_or(from, |_| from)
            && Some(elected.leader.node()) != answered_by
            && least.is_none_or(|least| elected.end <= least)
    });
    if let Some(elected) = without {
        steps.push(format!(
            "{} was elected {} at {} (epoch {}); its log ended at {}",
            view.server(elected.leader),
            how(elected.how),
            view.moment(elected.at),
            elected.epoch,
            elected.end
        ));
    }
    let gone = course.gone.get(&first).map_or(&[][..], Vec::as_slice);
    for gone in gone {
        steps.push(vanished(view, gone));
    }
    for (node, offset) in course.logs.holders(partition, first) {
        steps.push(format!(
            "{} still has {} at offset {offset}, but does not lead",
            view.name(node),
            view.record(first)
        ));
    }
    advise(view, partition, answer, without, gone, &mut settings);
    Explanation {
        count: records.len(),
        records: view.records(records),
        partition: view.partition(partition),
        steps,
        settings,
    }
}

fn acks(acks: Acks) -> &'static str {
    match acks {
        Acks::None => "acks=0",
        Acks::Leader => "acks=1",
        Acks::All => "acks=all",
    }
}

fn how(how: Election) -> &'static str {
    match how {
        Election::FromIsr => "from the ISR",
        Election::FromElr => "from the ELR",
        Election::LastKnownLeader => "as the last known leader",
        Election::Unclean => "uncleanly",
    }
}

fn holders(view: View<'_>, answer: &Answer) -> String {
    let others: Vec<&str> = answer
        .holders
        .iter()
        .filter(|holder| **holder != answer.by)
        .map(|holder| view.name(*holder))
        .collect();
    if others.is_empty() {
        "no follower had them then".to_owned()
    } else {
        format!("{} had them too", list(&others))
    }
}

fn vanished(view: View<'_>, gone: &Gone) -> String {
    let (name, at) = (view.name(gone.node), view.moment(gone.at));
    match gone.loss {
        Loss::Cut { from, to, .. } => format!("{name} cut its log from {from} to {to} at {at}"),
        Loss::PageCache => {
            format!("{name} lost them at {at} with its page cache: they were not flushed")
        }
        Loss::Disk => format!("{name} lost them at {at} with its disk"),
        Loss::NotFound => format!("{name} did not find them when it loaded its log at {at}"),
    }
}

/// Settings that would have changed it, as far as that follows from the steps.
fn advise(
    view: View<'_>,
    partition: PartitionId,
    answer: Option<&Answer>,
    without: Option<&Elected>,
    gone: &[Gone],
    settings: &mut Vec<String>,
) {
    let Some(answer) = answer else {
        settings.push(
            "acks=0: the producer waits for no answer and never hears of the loss; acks=all waits for the ISR"
                .to_owned(),
        );
        return;
    };
    let leader = view.name(answer.by);
    match answer.acks {
        Acks::None => settings.push(
            "acks=0: the producer waits for no answer and never hears of the loss; acks=all waits for the ISR"
                .to_owned(),
        ),
        Acks::Leader if answer.holders.len() <= 1 => settings.push(format!(
            "acks=1: {leader} answered alone; with acks=all it answers only when the whole ISR has the record"
        )),
        Acks::Leader => settings.push(
            "acks=1: the answer says nothing about followers; acks=all waits for the whole ISR".to_owned(),
        ),
        Acks::All if answer.maximal_isr <= 1 => {
            let minimum = min_insync_replicas(view, partition);
            settings.push(format!(
                "min.insync.replicas={minimum}: the ISR was {leader} alone; with 2 it refuses \
                 (NOT_ENOUGH_REPLICAS) instead of acknowledging"
            ));
        }
        Acks::All => {}
    }
    match without.map(|elected| elected.how) {
        Some(Election::Unclean) => settings.push(
            "unclean.leader.election.enable=true (or an operator's unclean election): without it the \
             partition stays offline until a replica that has everything comes back"
                .to_owned(),
        ),
        Some(Election::LastKnownLeader) => settings.push(
            "the ISR and the ELR had run empty, and the last known leader was elected although it had lost data: \
             more replicas, or min.insync.replicas=2, keep another copy eligible"
                .to_owned(),
        ),
        _ => {}
    }
    if gone.iter().any(|gone| gone.loss == Loss::PageCache) {
        settings.push(
            "flush.messages: brokers answer before the record is on the disk; flush.messages=1 flushes first (slowly), \
             replicas in other power zones do it without"
                .to_owned(),
        );
    }
}

fn min_insync_replicas(view: View<'_>, partition: PartitionId) -> u32 {
    let topics = &view.arm.resolved.cluster.topics;
    let name = view.partition_name(partition);
    let topic = name.and_then(|name| topics.iter().find(|topic| topic.name == name.topic));
    topic.map_or(1, |topic| topic.settings.min_insync_replicas)
}

/// Records that stand more than once in the final logs, those with the same number of attempts together.
pub fn duplicates(view: View<'_>) -> Vec<Explanation> {
    let mut places: BTreeMap<RecordId, Vec<(PartitionId, Offset)>> = BTreeMap::new();
    for log in &view.detailed.finals {
        for (offset, record) in &log.records {
            places.entry(*record).or_default().push((log.partition, *offset));
        }
    }
    places.retain(|_, places| places.len() > 1);
    let interest: BTreeSet<RecordId> = places.keys().copied().collect();
    if interest.is_empty() {
        return Vec::new();
    }
    let course = Course::of(view, &interest);
    let mut records: Vec<RecordId> = places.keys().copied().collect();
    records.sort_unstable();
    // Records that were sent, and sent again, within a second of each other are told together.
    let second = |one: &RecordId, other: &RecordId| {
        let tries = |record| course.attempts.get(record).map_or(&[][..], Vec::as_slice);
        let (one_tries, other_tries) = (tries(one), tries(other));
        one.producer == other.producer
            && places[one][0].0 == places[other][0].0
            && one_tries.len() == other_tries.len()
            && one_tries
                .iter()
                .zip(other_tries)
                .all(|(one, other)| one.1 == other.1 && one.0.0.abs_diff(other.0.0) < 1_000_000_000)
    };
    let groups: Vec<&[RecordId]> = records.chunk_by(second).collect();
    let idempotent = |record: &RecordId| {
        let index = view.detailed.layout.producer_index(record.producer);
        index.is_some_and(|index| view.arm.resolved.producers[index].0.settings.enable_idempotence)
    };
    let explained = groups.into_iter().map(|records| {
        let first = records[0];
        let partition = places[&first][0].0;
        let at: Vec<String> = places[&first]
            .iter()
            .map(|(_, offset)| offset.to_string())
            .collect();
        let tries: Vec<String> = course
            .attempts
            .get(&first)
            .into_iter()
            .flatten()
            .map(|(at, to)| format!("to {} at {}", view.server(*to), view.moment(*at)))
            .collect();
        let steps = vec![
            format!("{} stands at offsets {}", view.record(first), at.join(" and ")),
            format!(
                "it was sent {}: {}",
                plural(tries.len(), "time"),
                tries.join(", ")
            ),
        ];
        let settings = match idempotent(&first) {
            true => Vec::new(),
            false => vec![
                "enable.idempotence=false: the broker cannot tell a retry from a new batch; with true it answers a \
                 retry with the first offset"
                    .to_owned(),
            ],
        };
        Explanation {
            count: records.len(),
            records: view.records(records),
            partition: view.partition(partition),
            steps,
            settings,
        }
    });
    explained.collect()
}

/// Faults that were in force at an instant and touched these machines, in words.
fn in_force(view: View<'_>, at: Time, nodes: &[NodeId]) -> Vec<String> {
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
