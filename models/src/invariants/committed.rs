//! The committed log of a partition, and what was taken out of it again.
//!
//! It is fixed when the high watermark of a leader that no later one has followed moves, and forked when a leader
//! begins that lacks a part of it: that part is *removed*, with what is needed to say whether that was allowed.

use ktrial_sim::Time;

use super::facts::ServerSet;
use super::replica_log::same;
use super::sends::{Landing, Sends};
use super::witness::{Detail, Ground, Place, Witnesses};
use crate::ids::{LeaderEpoch, Offset, PartitionId, RecordId};
use crate::invariants::{Exposure, Invariant};
use crate::records::{Batch, Contents, Numbering};

/// A high watermark that moved: who had everything below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Commit {
    /// The leader's epoch.
    pub(super) epoch: LeaderEpoch,
    /// The leader and its maximal ISR.
    pub(super) isr: ServerSet,
    /// min.insync.replicas as it counted.
    pub(super) min_isr: u32,
}

/// A batch that was committed once and that a leader began without.
#[derive(Clone, Copy, Debug)]
pub(super) struct Removed {
    pub(super) batch: Batch,
    pub(super) commit: Commit,
    /// The epoch of the leader that lacked it.
    pub(super) epoch: LeaderEpoch,
    pub(super) at: Time,
    /// How many of those that had it had lost it by crashes.
    pub(super) lost: u32,
    /// The leader had lost it by a crash.
    pub(super) leader_lost: bool,
    /// The leader holds what it wrote before its broker had registered.
    pub(super) led_unregistered: bool,
}

/// What the sequence numbers of one idempotent producer have come to.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    producer: crate::ids::ProducerId,
    epoch: u16,
    next: u32,
    /// Where its last batch begins.
    last: Offset,
}

/// The newest record of a producer so far.
#[derive(Clone, Copy, Debug)]
struct Newest {
    number: u32,
    numbering: Option<Numbering>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct CommittedLog {
    batches: Vec<(Batch, u32)>,
    pub(super) commits: Vec<Commit>,
    pub(super) removed: Vec<Removed>,
    sequences: Vec<Sequence>,
    newest: Vec<Option<Newest>>,
}

/// What the committed log tells about while it grows.
pub(super) struct Scene<'a> {
    pub(super) partition: PartitionId,
    pub(super) sends: &'a mut Sends,
    pub(super) witnesses: &'a mut Witnesses,
    pub(super) contents: &'a Contents,
    pub(super) producer_id_expiration: ktrial_sim::Duration,
    /// The leader knows nothing of producers that wrote before this offset only.
    pub(super) forgotten: Option<Offset>,
}

impl Scene<'_> {
    /// Whether the leader knows nothing of a producer whose last batch begins here.
    fn has_forgotten(&self, last: Offset) -> bool {
        self.forgotten.is_some_and(|at| last < at)
    }
}

/// Sequence numbers wrap behind the largest `int`.
const LARGEST_SEQUENCE: u32 = i32::MAX as u32;

impl CommittedLog {
    pub(super) fn reset(&mut self) {
        self.batches.clear();
        self.commits.clear();
        self.removed.clear();
        self.sequences.clear();
        self.newest.clear();
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.batches.len()
    }

    #[inline]
    pub(super) fn get(&self, place: usize) -> Option<&Batch> {
        self.batches.get(place).map(|(batch, _)| batch)
    }

    /// How many batches end at or before an offset.
    pub(super) fn before(&self, offset: Offset) -> usize {
        self.batches
            .partition_point(|(batch, _)| batch.next_offset() <= offset)
    }

    /// Whether a record stands in `from..to`.
    pub(super) fn has_records(&self, from: Offset, to: Offset) -> bool {
        let next = self.batches.get(self.before(from));
        next.is_some_and(|(batch, _)| batch.base_offset < to)
    }

    /// The number of a commit with these particulars.
    pub(super) fn commit(&mut self, commit: Commit) -> u32 {
        if self.commits.last() != Some(&commit) {
            self.commits.push(commit);
        }
        self.commits.len() as u32 - 1
    }

    /// Takes in a batch that is committed from now on; judges copies, order and sequence numbers.
    pub(super) fn push(&mut self, batch: Batch, commit: u32, scene: &mut Scene<'_>) {
        if let Some(numbering) = batch.numbering {
            self.check_sequence(numbering, &batch, scene);
        }
        let records = scene.contents.records(batch.records);
        self.newest.resize(scene.sends.producers(), None);
        let producer = records.first().and_then(|first| scene.sends.producer(first.id));
        if let Some(producer) = producer {
            for (record, place) in records.iter().zip(0..) {
                let landing = Landing {
                    partition: scene.partition,
                    offset: batch.base_offset.plus(u64::from(place)),
                    slot: batch.records.start + place,
                };
                self.land((producer, record.id), landing, &batch, commit, scene);
            }
        }
        self.batches.push((batch, commit));
    }

    #[inline]
    fn land(
        &mut self,
        (producer, id): (usize, RecordId),
        landing: Landing,
        batch: &Batch,
        commit: u32,
        scene: &mut Scene<'_>,
    ) {
        let at = scene.witnesses.at;
        let Some(send) = scene.sends.of(producer).get_mut(id.number as usize) else {
            return;
        };
        send.copies += 1;
        let (copies, before) = (send.copies, send.committed_at);
        send.committed = Some((landing, commit));
        send.committed_at = at;
        if copies > 1 {
            let late = at.since(before) >= scene.producer_id_expiration;
            let ground = self.duplicate_ground(id, batch, late, scene);
            let place = Place::record(scene.partition, id, landing.offset);
            let detail = Detail::Between(u64::from(copies), "copies, the last at offset", landing.offset.0);
            scene
                .witnesses
                .add(Invariant::DuplicateRecord, place, ground, detail);
            return;
        }
        match self.newest[producer] {
            Some(newest) if newest.number > id.number => {
                let later = RecordId {
                    number: newest.number,
                    ..id
                };
                let ground = match order_ground(newest.numbering, batch.numbering) {
                    Some(exposure) => Ground::Exposed(exposure),
                    None => Ground::Order(id, later),
                };
                let place = Place::record(scene.partition, id, landing.offset);
                let detail = Detail::Between(
                    u64::from(id.number),
                    "stands behind send",
                    u64::from(newest.number),
                );
                scene
                    .witnesses
                    .add(Invariant::NonmonotonicSend, place, ground, detail);
            }
            _ => {
                self.newest[producer] = Some(Newest {
                    number: id.number,
                    numbering: batch.numbering,
                });
            }
        }
    }

    #[cold]
    fn duplicate_ground(&self, id: RecordId, batch: &Batch, late: bool, scene: &Scene<'_>) -> Ground {
        if scene
            .sends
            .client(id.producer)
            .is_none_or(|client| !client.idempotent)
        {
            return Ground::Exposed(Exposure::NotIdempotent);
        }
        let has = |other: &Batch| {
            scene
                .contents
                .records(other.records)
                .iter()
                .any(|record| record.id == id)
        };
        let earlier = self
            .batches
            .iter()
            .rev()
            .map(|(batch, _)| batch)
            .find(|other| has(other));
        match earlier.and_then(|earlier| order_ground(earlier.numbering, batch.numbering)) {
            Some(exposure) => Ground::Exposed(exposure),
            None if earlier.is_some_and(|earlier| scene.has_forgotten(earlier.base_offset)) => {
                Ground::Exposed(Exposure::ProducerStateLost)
            }
            None if late => Ground::Exposed(Exposure::ProducerIdExpired),
            None => Ground::Quorum,
        }
    }

    #[inline]
    fn check_sequence(&mut self, numbering: Numbering, batch: &Batch, scene: &mut Scene<'_>) {
        let next = (numbering.base_sequence + batch.records.count) & LARGEST_SEQUENCE;
        let known = self
            .sequences
            .iter_mut()
            .find(|known| known.producer == numbering.producer);
        let Some(known) = known else {
            self.sequences.push(Sequence {
                producer: numbering.producer,
                epoch: numbering.epoch,
                next,
                last: batch.base_offset,
            });
            return;
        };
        let expected = match numbering.epoch > known.epoch {
            true => 0,
            false => known.next,
        };
        let follows = numbering.epoch >= known.epoch && numbering.base_sequence == expected;
        let forgotten = scene.has_forgotten(known.last);
        (known.epoch, known.next) = (numbering.epoch.max(known.epoch), next);
        known.last = batch.base_offset;
        if !follows {
            let first = scene.contents.records(batch.records)[0].id;
            let told = scene.sends.get(first).map_or(Time::ZERO, |send| send.sent);
            let ground = match scene.witnesses.at.since(told) >= scene.producer_id_expiration {
                _ if forgotten => Ground::Exposed(Exposure::ProducerStateLost),
                true => Ground::Exposed(Exposure::ProducerIdExpired),
                false => Ground::Quorum,
            };
            let place = Place::record(scene.partition, first, batch.base_offset);
            let (found, expected) = (u64::from(numbering.base_sequence), u64::from(expected));
            let detail = Detail::Between(
                found,
                "is the sequence where its producer's next one is",
                expected,
            );
            scene
                .witnesses
                .add(Invariant::DuplicateRecord, place, ground, detail);
        }
    }

    /// A leader begins that has only the first `kept` batches: the others are handed out, and not committed any
    /// more.
    #[cold]
    pub(super) fn fork(
        &mut self,
        kept: usize,
        scene: &mut Scene<'_>,
        mut removed: impl FnMut(Batch, Commit) -> Removed,
    ) {
        for (batch, commit) in self.batches.drain(kept..) {
            self.removed.push(removed(batch, self.commits[commit as usize]));
            for record in scene.contents.records(batch.records) {
                if let Some(send) = scene.sends.get_mut(record.id) {
                    send.copies = send.copies.saturating_sub(1);
                }
            }
        }
        self.recount(scene);
    }

    /// Sequences and newest records as the remaining batches leave them.
    fn recount(&mut self, scene: &Scene<'_>) {
        self.sequences.clear();
        self.newest.fill(None);
        for (batch, _) in &self.batches {
            if let Some(numbering) = batch.numbering {
                let sequence = Sequence {
                    producer: numbering.producer,
                    epoch: numbering.epoch,
                    next: (numbering.base_sequence + batch.records.count) & LARGEST_SEQUENCE,
                    last: batch.base_offset,
                };
                let known = self.sequences.iter_mut();
                match known
                    .into_iter()
                    .find(|known| known.producer == numbering.producer)
                {
                    Some(known) => *known = sequence,
                    None => self.sequences.push(sequence),
                }
            }
            for record in scene.contents.records(batch.records) {
                let Some(producer) = scene.sends.producer(record.id) else {
                    continue;
                };
                let newest = &mut self.newest[producer];
                if newest.is_none_or(|newest| newest.number < record.id.number) {
                    *newest = Some(Newest {
                        number: record.id.number,
                        numbering: batch.numbering,
                    });
                }
            }
        }
    }

    /// The number of the last removal of a batch.
    pub(super) fn removal_of(&self, batch: &Batch) -> Option<usize> {
        self.removed
            .iter()
            .rposition(|removed| same(&removed.batch, batch))
    }

    /// The number of the last removal of a record, by its place in the arena.
    pub(super) fn removal_of_slot(&self, slot: u32) -> Option<usize> {
        self.removed.iter().rposition(|removed| {
            let records = removed.batch.records;
            slot >= records.start && slot - records.start < records.count
        })
    }
}

/// Why two batches of an idempotent producer need not stand in order, nor hold different records.
fn order_ground(one: Option<Numbering>, other: Option<Numbering>) -> Option<Exposure> {
    let (one, other) = (one?, other?);
    if one.producer != other.producer {
        return Some(Exposure::ProducerRestarted);
    }
    (one.epoch != other.epoch).then_some(Exposure::ProducerEpochBump)
}
