//! Where acknowledged records went that are in no log any more.

use std::collections::{BTreeMap, BTreeSet};

use ktrial_models::config::Acks;
use ktrial_models::ids::{Offset, PartitionId, RecordId};
use ktrial_models::invariants::Unread;
use ktrial_models::notes::Election;
use ktrial_scenarios::Outcome;
use ktrial_sim::{NodeId, Time};
use serde::Serialize;

use super::changes::elected as elected_how;
use super::course::{Answer, Course, Elected, in_force};
use super::logs::{Gone, Loss};
use super::timeline::list;
use super::words::{View, length, offsets};

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

/// Acknowledged records that are not in the log of their partition, neither in the final log nor where no reader gets
/// them so far, although no retention deleted them.
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
            let stands =
                kept.binary_search(&record).is_ok() || Unread::has(&view.detailed.unread, partition, record);
            if !stands && !sent.deleted {
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
            elected_how(elected.how),
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
        Acks::All if answer.maximal_isr <= 1 && view.replicas(partition).len() > 1 => {
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
        Some(Election::LastKnownLeader) => {
            let replicas = view.replicas(partition).len();
            let minimum = min_insync_replicas(view, partition);
            settings.push(last_known_leader(minimum, replicas));
        }
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

/// What would have kept a copy eligible where the ISR and the ELR had run empty, for a topic with these settings.
fn last_known_leader(minimum: u32, replicas: usize) -> String {
    let advice = match (minimum, replicas) {
        (_, 0 | 1) => {
            "replication.factor=1 leaves no other copy; 3, with min.insync.replicas=2, keeps another one eligible"
                .to_owned()
        }
        (0 | 1, _) => "with min.insync.replicas=2 another copy stays eligible".to_owned(),
        (minimum, replicas) => {
            let eligible = (minimum as usize).min(replicas);
            format!(
                "min.insync.replicas={minimum} keeps {eligible} copies eligible, and each of them had lost data; \
                 replicas that do not fail together (racks, power zones) would have kept one"
            )
        }
    };
    format!(
        "the ISR and the ELR had run empty, and the last known leader was elected although it had lost data: {advice}"
    )
}

fn min_insync_replicas(view: View<'_>, partition: PartitionId) -> u32 {
    let topics = &view.arm.resolved.cluster.topics;
    let name = view.partition_name(partition);
    let topic = name.and_then(|name| topics.iter().find(|topic| topic.name == name.topic));
    topic.map_or(1, |topic| topic.settings.min_insync_replicas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_advised_to_set_what_the_topic_has() {
        assert!(last_known_leader(1, 3).contains("with min.insync.replicas=2"));
        let has_it = last_known_leader(2, 3);
        assert!(
            has_it.contains("min.insync.replicas=2 keeps 2 copies eligible"),
            "{has_it}"
        );
        assert!(has_it.contains("do not fail together"));
        assert!(last_known_leader(1, 1).contains("replication.factor=1"));
        assert!(
            last_known_leader(3, 2).contains("keeps 2 copies"),
            "no more than there are"
        );
    }
}
