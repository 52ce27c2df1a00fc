//! What members did with records.
//!
//! A record is in work at a member from the poll that returned it until its application has finished with it. Work
//! that ends with its process counts nowhere: nobody can say how far it came.
//!
//! Order per key: the first time a record is finished with is held against the records of the same key that stand
//! behind it in its partition. What is read again, by a member that goes back to the last commit or because it was
//! written twice, was in order the first time and does not count once more.

use std::collections::{BTreeMap, BTreeSet};

use ktrial_models::ids::{GroupId, LeaderEpoch, Offset, PartitionId, RecordId};
use ktrial_models::invariants::FinalLog;
use ktrial_models::notes::{ClientNote, FailureEnd};
use ktrial_models::records::Contents;
use ktrial_sim::{NodeId, Time};

use super::in_hand::InHand;
use super::sinks::Sink;
use super::{GroupCounts, GroupOutcome, TopicOf};
use crate::ledger::{Ledger, Outcome};
use crate::resolved::{Layout, Resolved};

/// One member's work on one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work {
    /// When a poll had returned it.
    pub from: Time,
    /// When the application had finished with it.
    pub to: Time,
    /// The member's machine.
    pub member: NodeId,
}

/// What members did with records: one trial at a time. Without groups it is empty.
#[derive(Clone, Debug, Default)]
pub struct Processing {
    members: Vec<Member>,
    groups: Vec<Done>,
    /// Whether some application sends records on.
    sends_on: bool,
}

/// A consumer.
#[derive(Clone, Debug)]
struct Member {
    group: GroupId,
    /// When its last poll returned records.
    polled: Time,
    /// What it has in hand, if it works beside its polls.
    in_hand: Option<InHand>,
}

/// Where a record stands. Behind a truncation offsets begin again, with another leader's epoch.
type LogPosition = (LeaderEpoch, Offset);

/// What one group did.
#[derive(Clone, Debug, Default)]
struct Done {
    topics: Vec<u16>,
    /// How often each record was finished with, by producer and number.
    times: Vec<Vec<u32>>,
    work: Vec<(RecordId, Work)>,
    /// How far each key of a partition has come.
    newest: BTreeMap<(PartitionId, u32), LogPosition>,
    sink: Option<Sink>,
    reordered: Vec<RecordId>,
}

impl Processing {
    /// For a trial.
    pub fn new(resolved: &Resolved) -> Self {
        let mut groups = vec![Done::default(); resolved.cluster.groups.names.len()];
        for consumer in &resolved.consumers {
            let topics = &mut groups[usize::from(consumer.group.0)].topics;
            topics.extend(&consumer.reader.topics);
            topics.sort_unstable();
            topics.dedup();
            if let Some(sink) = consumer.application.sink {
                groups[usize::from(consumer.group.0)].sink = Some(Sink::new(sink.kind));
            }
        }
        let members = resolved.consumers.iter();
        Processing {
            members: members
                .map(|member| Member {
                    group: member.group,
                    polled: Time::ZERO,
                    in_hand: member.application.given_up().map(InHand::new),
                })
                .collect(),
            groups,
            sends_on: resolved
                .consumers
                .iter()
                .any(|consumer| consumer.letters.is_some()),
        }
    }

    /// Takes in what a client told; of interest if it is a member.
    #[inline]
    pub fn note(&mut self, layout: &Layout, at: Time, node: NodeId, note: &ClientNote, contents: &Contents) {
        if layout.consumer_index(node).is_some() {
            self.member_note(layout, at, node, note, contents);
        }
    }

    fn member_note(
        &mut self,
        layout: &Layout,
        at: Time,
        node: NodeId,
        note: &ClientNote,
        contents: &Contents,
    ) {
        let (partition, from, batch, first, count) = match note {
            ClientNote::Polled {
                partition,
                from,
                count,
                ..
            } => {
                if let Some(member) = self.member(layout, node) {
                    member.polled = at;
                    if let Some(in_hand) = &mut member.in_hand {
                        in_hand.polled(*partition, *from, *count, at);
                    }
                }
                return;
            }
            ClientNote::Processed {
                partition,
                from,
                batch,
                first,
                count,
            } => (*partition, *from, batch, *first, *count),
            ClientNote::Applied { batch, number, .. } => {
                let record = &contents.records(batch.records)[*number as usize];
                let member = self.member(layout, node);
                let group = member.map(|member| usize::from(member.group.0));
                if let Some(sink) = group.and_then(|group| self.groups[group].sink.as_mut()) {
                    sink.called(contents.original(record.id), record.key);
                }
                return;
            }
            note => return self.no_more_in_hand(layout, node, note),
        };
        let Some(member) = self.member(layout, node) else {
            return;
        };
        let in_hand = member.in_hand.as_mut();
        let since = in_hand.and_then(|in_hand| in_hand.done_with(partition, from, count));
        let group = member.group;
        let work = Work {
            from: since.unwrap_or(member.polled),
            to: at,
            member: node,
        };
        let done = &mut self.groups[usize::from(group.0)];
        let records = &contents.records(batch.records)[first as usize..][..count as usize];
        for (record, place) in records.iter().zip(0..) {
            let original = contents.original(record.id);
            if let Some(producer) = layout.producer_index(original.producer) {
                done.finished(producer, original, work);
                // In another topic there is another order.
                if let Some(key) = record.key.filter(|_| original == record.id) {
                    let at = (batch.leader_epoch, from.plus(place));
                    done.in_order(producer, original, (partition, key), at);
                }
            }
        }
    }

    /// What else can take records out of an application's hand.
    fn no_more_in_hand(&mut self, layout: &Layout, node: NodeId, note: &ClientNote) {
        let ends = matches!(
            note,
            ClientNote::Started
                | ClientNote::Revoked(_)
                | ClientNote::Lost(_)
                | ClientNote::ProcessingFailed { .. }
        );
        let member = ends.then(|| self.member(layout, node)).flatten();
        let Some(in_hand) = member.and_then(|member| member.in_hand.as_mut()) else {
            return;
        };
        match note {
            ClientNote::Started => in_hand.forget(),
            ClientNote::Revoked(partitions) | ClientNote::Lost(partitions) => in_hand.given_up(partitions),
            ClientNote::ProcessingFailed {
                partition,
                offset,
                end: FailureEnd::LeftOut | FailureEnd::SentOn,
                ..
            } => {
                in_hand.done_with(*partition, *offset, 1);
            }
            _ => {}
        }
    }

    fn member(&mut self, layout: &Layout, node: NodeId) -> Option<&mut Member> {
        self.members.get_mut(layout.consumer_index(node)?)
    }

    /// What each group came to, by the final logs and by what producers were told.
    pub(crate) fn outcomes(
        &self,
        layout: &Layout,
        ledger: &Ledger,
        finals: &[FinalLog],
        topic_of: &TopicOf,
        contents: &Contents,
    ) -> Vec<GroupOutcome> {
        let ends = Ends {
            layout,
            ledger,
            finals,
            topic_of,
            contents,
        };
        let sent_on = match self.sends_on {
            true => ends.sent_on(),
            false => BTreeSet::new(),
        };
        let groups = self.groups.iter().zip(0..);
        let outcomes = groups.map(|(done, number)| {
            let mut outcome = GroupOutcome {
                group: GroupId(number),
                topics: done.topics.clone(),
                counts: GroupCounts::default(),
                unprocessed: Vec::new(),
                twice: Vec::new(),
                reordered: done.reordered.clone(),
            };
            let mut left = BTreeSet::new();
            let (mut wanted, mut letters) = (BTreeSet::new(), BTreeSet::new());
            ends.wanted(&outcome, |record| {
                if sent_on.contains(&record) {
                    letters.insert(record);
                } else if done.times(layout, record) == 0 {
                    left.insert(record);
                }
                if done.sink.is_some() {
                    wanted.insert(record);
                }
            });
            outcome.counts.sent_on = letters.len() as u64;
            let deleted = left.iter().filter(|record| ends.deleted(**record));
            outcome.counts.unprocessed_deleted = deleted.count() as u64;
            outcome.unprocessed = left.into_iter().collect();
            outcome.counts.sink = done.sink.as_ref().map(|sink| sink.count(&wanted));
            done.count(&mut outcome);
            let members = self.members.iter().filter(|member| member.group == outcome.group);
            let in_hand = members.filter_map(|member| member.in_hand.as_ref());
            outcome.counts.in_hand_most = in_hand.map(|in_hand| in_hand.most).max();
            outcome
        });
        outcomes.collect()
    }
}

/// What there is in the end to hold the work against.
struct Ends<'a> {
    layout: &'a Layout,
    ledger: &'a Ledger,
    finals: &'a [FinalLog],
    topic_of: &'a TopicOf,
    contents: &'a Contents,
}

impl Ends<'_> {
    /// What a group was to process: what was acknowledged, or stands in the final log, as what it is a copy of. A record
    /// can come twice.
    fn wanted(&self, outcome: &GroupOutcome, mut each: impl FnMut(RecordId)) {
        let logs = self.finals.iter();
        let logs = logs.filter(|log| outcome.subscribes(log.partition, self.topic_of));
        for (_, record) in logs.flat_map(|log| &log.records) {
            let original = self.contents.original(*record);
            if self.layout.producer_index(original.producer).is_some() {
                each(original);
            }
        }
        for (producer, sends) in self.layout.producers().zip(self.ledger.sends()) {
            for (sent, number) in sends.iter().zip(0..) {
                let subscribed = |partition| outcome.subscribes(partition, self.topic_of);
                if sent.outcome == Outcome::Acknowledged && sent.partition.is_some_and(subscribed) {
                    each(RecordId { producer, number });
                }
            }
        }
    }

    /// Whether retention deleted a record.
    fn deleted(&self, record: RecordId) -> bool {
        let producer = self.layout.producer_index(record.producer);
        let sends = producer.and_then(|producer| self.ledger.sends().get(producer));
        sends
            .and_then(|sends| sends.get(record.number as usize))
            .is_some_and(|sent| sent.deleted)
    }

    /// Records of which a copy stands in some log: somebody sent them on, and they are there.
    fn sent_on(&self) -> BTreeSet<RecordId> {
        let records = self.finals.iter().flat_map(|log| &log.records);
        let originals = records.filter_map(|(_, record)| {
            let original = self.contents.original(*record);
            (original != *record).then_some(original)
        });
        originals.collect()
    }
}

impl Done {
    fn times(&self, layout: &Layout, record: RecordId) -> u32 {
        let producer = layout.producer_index(record.producer);
        let times = producer.and_then(|producer| self.times.get(producer)?.get(record.number as usize));
        times.copied().unwrap_or(0)
    }

    fn finished(&mut self, producer: usize, record: RecordId, work: Work) {
        let number = record.number as usize;
        self.times
            .resize_with(self.times.len().max(producer + 1), Vec::new);
        let times = &mut self.times[producer];
        times.resize(times.len().max(number + 1), 0);
        times[number] += 1;
        self.work.push((record, work));
    }

    /// The record has just been finished with.
    fn in_order(&mut self, producer: usize, record: RecordId, key: (PartitionId, u32), at: LogPosition) {
        if self.times[producer][record.number as usize] > 1 {
            return;
        }
        let newest = self.newest.entry(key).or_insert(at);
        if at < *newest {
            self.reordered.push(record);
        }
        *newest = at.max(*newest);
    }

    fn count(&self, outcome: &mut GroupOutcome) {
        let mut work = self.work.clone();
        work.sort_unstable();
        let counts = &mut outcome.counts;
        counts.unprocessed = outcome.unprocessed.len() as u64;
        counts.processed_reordered = self.reordered.len() as u64;
        for of_record in work.chunk_by(|one, next| one.0 == next.0) {
            let times = of_record.len() as u64;
            counts.processed += 1;
            counts.processed_most = counts.processed_most.max(times);
            let places = places(of_record);
            counts.processed_places = counts.processed_places.max(places);
            counts.processed_together += u64::from(places > 1);
            if times > 1 {
                counts.processed_twice += 1;
                let each = of_record.iter().map(|(_, work)| *work);
                outcome.twice.push((of_record[0].0, each.collect()));
            }
        }
    }
}

/// How many members had a record in work at the same time, at most; `work` is in order of its beginnings.
fn places(work: &[(RecordId, Work)]) -> u64 {
    let at_beginning = work.iter().enumerate().map(|(number, (_, one))| {
        let before = work[..number].iter();
        let beside = before.filter(|(_, other)| other.member != one.member && other.to > one.from);
        1 + beside.count() as u64
    });
    at_beginning.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const P1: NodeId = NodeId(4);

    fn record(number: u32) -> RecordId {
        RecordId { producer: P1, number }
    }

    fn work(member: u16, from: u64, to: u64) -> Work {
        Work {
            from: Time(from),
            to: Time(to),
            member: NodeId(member),
        }
    }

    fn counted(done: &Done) -> GroupCounts {
        let mut outcome = GroupOutcome {
            group: GroupId(0),
            topics: Vec::new(),
            counts: GroupCounts::default(),
            unprocessed: Vec::new(),
            twice: Vec::new(),
            reordered: Vec::new(),
        };
        done.count(&mut outcome);
        outcome.counts
    }

    #[test]
    fn a_record_in_work_at_two_members_at_once_is_told_from_one_after_the_other() {
        let mut done = Done::default();
        done.finished(0, record(0), work(8, 10, 20));
        done.finished(0, record(0), work(9, 20, 30));
        done.finished(0, record(1), work(8, 10, 40));
        done.finished(0, record(1), work(9, 20, 30));
        done.finished(0, record(2), work(8, 10, 20));
        let counts = counted(&done);
        assert_eq!(counts.processed, 3);
        assert_eq!((counts.processed_twice, counts.processed_most), (2, 2));
        assert_eq!((counts.processed_together, counts.processed_places), (1, 2));
    }

    #[test]
    fn a_later_record_of_the_key_finished_with_first_is_out_of_order_and_reading_again_is_not() {
        let key = (PartitionId(0), 7);
        let mut done = Done::default();
        let mut finish = |number: u32, key, offset: u64| {
            done.finished(0, record(number), work(8, 0, 1));
            done.in_order(0, record(number), key, (LeaderEpoch(0), Offset(offset)));
        };
        finish(0, key, 0);
        finish(2, key, 2);
        // The earlier ones again, as a member does that goes back to the last commit: one of them was left out.
        finish(0, key, 0);
        finish(1, key, 1);
        finish(2, key, 2);
        // Another key goes its own way.
        finish(3, (PartitionId(0), 8), 1);
        // What another leader took once the log had been truncated.
        done.finished(0, record(4), work(8, 0, 1));
        done.in_order(0, record(4), key, (LeaderEpoch(1), Offset(1)));
        assert_eq!(done.reordered, [record(1)]);
        assert_eq!(counted(&done).processed_reordered, 1);
    }
}
