//! Produce requests (`KafkaApis.handleProduceRequest`, `ReplicaManager.appendRecords`, `DelayedProduce`).
//!
//! For each partition: append (role, min ISR, log), the flush that `flush.messages` asks for, the high watermark.
//! While one append to a partition waits for the disk no other one begins ([`super::locks`]).
//! Then acks=0 and 1 are answered; acks=all waits until the high watermark has passed the batch, unless every
//! batch was refused. The answer to acks=all is what holds when the wait ends.

use ktrial_sim::{Context, Duration};
use smallvec::SmallVec;

use crate::broker::Broker;
use crate::broker::metadata_cache::{self, View};
use crate::broker::partition::Partition;
use crate::broker::purgatory::Ticket;
use crate::broker::work::{Progress, Step, Touched, Work};
use crate::config::Acks;
use crate::cuts;
use crate::ids::{Offset, PartitionId};
use crate::kafka::Kafka;
use crate::log::Appended;
use crate::notes::{LeaderNote, Note};
use crate::protocol::{
    CurrentLeader, ErrorCode, ProduceRequest, ProduceResponse, ProducedPartition, Response,
};
use crate::records::{Batch, Records};

/// A batch on its way to an acknowledgement (`ProducePartitionStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Produced {
    partition: PartitionId,
    records: Records,
    error: ErrorCode,
    base_offset: Option<Offset>,
    log_start: Offset,
    /// What the high watermark must reach.
    required: Offset,
    /// It was appended and its acknowledgement is open.
    pending: bool,
    /// What the leader saw when that was decided.
    seen: Option<Seen>,
}

/// What an acknowledgement rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    high_watermark: Offset,
    maximal_isr: u32,
    min_isr: u32,
}

impl Seen {
    fn of(partition: Option<&Partition>) -> Self {
        let leads = partition.filter(|partition| partition.is_leader());
        Seen {
            high_watermark: partition.map_or(Offset(0), |partition| partition.log().high_watermark()),
            maximal_isr: leads.map_or(0, |partition| partition.maximal_isr_len() as u32),
            min_isr: leads.map_or(0, |partition| partition.effective_min_isr() as u32),
        }
    }
}

/// A produce request.
#[derive(Debug)]
pub struct ProduceWork {
    acks: Acks,
    timeout: Duration,
    batches: SmallVec<[(PartitionId, Batch); 2]>,
    next: usize,
    /// It holds the lock of the partition in hand.
    holds_lock: bool,
    produced: SmallVec<[Produced; 2]>,
}

impl Default for ProduceWork {
    fn default() -> Self {
        ProduceWork {
            acks: Acks::All,
            timeout: Duration::ZERO,
            batches: SmallVec::new(),
            next: 0,
            holds_lock: false,
            produced: SmallVec::new(),
        }
    }
}

impl ProduceWork {
    fn all_refused(&self) -> bool {
        self.produced.iter().all(|produced| !produced.pending)
    }
}

impl Broker {
    pub(super) fn begin_produce(work: &mut Work, request: &ProduceRequest) {
        work.step = Step::Append;
        work.bytes = request.batches.iter().map(|(_, batch)| batch.bytes).sum();
        work.produce.acks = request.acks;
        work.produce.timeout = request.timeout;
        work.produce.batches.clear();
        work.produce.batches.extend_from_slice(&request.batches);
        work.produce.next = 0;
        work.produce.holds_lock = false;
        work.produce.produced.clear();
    }

    pub(super) fn append(&mut self, work: &mut Work, context: &mut Context<'_, Kafka>) -> Progress {
        let produce = &mut work.produce;
        let Some((id, batch)) = produce.batches.get(produce.next) else {
            return Progress::Done;
        };
        if !produce.holds_lock && (self.role_waits(*id) || self.isr_waits(*id)) {
            return Progress::Locked(*id);
        }
        if self.locks.is_flushing(*id) {
            let id = *id;
            self.hold_lock(id, produce);
            return Progress::Locked(id);
        }
        let appended = match self.partitions.get_mut(*id) {
            _ if self.image.partition(*id).is_none() => Err(ErrorCode::UnknownTopicOrPartition),
            None => Err(ErrorCode::NotLeaderOrFollower),
            Some(partition) => partition.append_to_leader_log(batch, produce.acks, context),
        };
        let log = self.partitions.get(*id).map(|partition| partition.log());
        let mut produced = Produced {
            partition: *id,
            records: batch.records,
            error: ErrorCode::None,
            base_offset: None,
            log_start: log.map_or(Offset(0), |log| log.start()),
            required: Offset(0),
            pending: false,
            seen: None,
        };
        match appended {
            Ok(Appended {
                base_offset,
                next_offset,
                flush_due,
                rolled,
                ..
            }) => {
                produced.base_offset = Some(base_offset);
                produced.required = next_offset;
                produced.pending = true;
                produce.produced.push(produced);
                let id = *id;
                if let Some(below) = rolled {
                    self.flush_in_background(id, below, context);
                }
                if flush_due {
                    self.hold_lock(id, produce);
                    self.locks.begin_flush(id);
                    work.step = Step::Flushed;
                    return Progress::Wait(self.flush.draw(id, next_offset, context));
                }
                work.step = Step::HighWatermarkAfterAppend;
                let passage = work.passage(work.produce.next);
                match context.cut(cuts::PRODUCE_BEFORE_HIGH_WATERMARK, passage) {
                    Some(open) => {
                        self.hold_lock(id, &mut work.produce);
                        Progress::Wait(open)
                    }
                    None => Progress::Next,
                }
            }
            Err(error) => {
                produced.error = error;
                produce.produced.push(produced);
                let id = *id;
                if error == ErrorCode::KafkaStorageError {
                    self.disk_failed(context);
                }
                self.appended(id, work, context);
                Self::next_batch(work, context)
            }
        }
    }

    pub(super) fn flushed_after_append(
        &mut self,
        work: &mut Work,
        context: &mut Context<'_, Kafka>,
    ) -> Progress {
        let (id, _) = work.produce.batches[work.produce.next];
        work.step = Step::HighWatermarkAfterAppend;
        let produced = work.produce.produced.last_mut().expect("it was appended");
        let flushed = match self.partitions.get_mut(id) {
            Some(partition) => partition.log_mut().flush(produced.required, context),
            None => Ok(()),
        };
        self.locks.end_flush(id);
        self.wake_waiting(id, context);
        if flushed.is_err() {
            produced.error = ErrorCode::KafkaStorageError;
            produced.pending = false;
            self.disk_failed(context);
            self.appended(id, work, context);
            return Self::next_batch(work, context);
        }
        match context.cut(
            cuts::PRODUCE_BEFORE_HIGH_WATERMARK,
            work.passage(work.produce.next),
        ) {
            Some(open) => Progress::Wait(open),
            None => Progress::Next,
        }
    }

    pub(super) fn high_watermark_after_append(
        &mut self,
        work: &mut Work,
        context: &mut Context<'_, Kafka>,
    ) -> Progress {
        let (id, _) = work.produce.batches[work.produce.next];
        if self.high_watermark_waits(id) {
            self.hold_lock(id, &mut work.produce);
            return Progress::Locked(id);
        }
        let view = View {
            image: &self.image,
            own_epoch: self.lifecycle.epoch(),
        };
        if let Some(partition) = self.partitions.get_mut(id) {
            work.touched.push(Touched {
                partition: id,
                high_watermark_moved: partition.high_watermark_after_append(&view, context),
            });
        }
        self.appended(id, work, context);
        Self::next_batch(work, context)
    }

    fn next_batch(work: &mut Work, context: &mut Context<'_, Kafka>) -> Progress {
        work.produce.next += 1;
        work.step = Step::Append;
        if work.produce.next == work.produce.batches.len() {
            return Progress::Done;
        }
        match context.cut(cuts::PRODUCE_NEXT_PARTITION, work.passage(work.produce.next)) {
            Some(open) => Progress::Wait(open),
            None => Progress::Next,
        }
    }

    /// The lock on a partition is held from here on, unless it is already.
    fn hold_lock(&mut self, id: PartitionId, produce: &mut ProduceWork) {
        if !std::mem::replace(&mut produce.holds_lock, true) {
            self.locks.begin_append(id);
        }
    }

    fn appended(&mut self, id: PartitionId, work: &mut Work, context: &mut Context<'_, Kafka>) {
        if std::mem::take(&mut work.produce.holds_lock) {
            self.locks.end_append(id);
            self.lock_given_back(id, context);
        }
    }

    /// Who waits for a partition's lock goes on: a change of role at once, answers to proposals when the step in
    /// hand is over ([`Broker::settle_alter`]), handlers behind that.
    pub(super) fn lock_given_back(&mut self, id: PartitionId, context: &mut Context<'_, Kafka>) {
        self.role_lock_released(id, context);
        self.wake_waiting(id, context);
    }

    /// Whether the high watermark of a partition cannot be moved now: an append waits for the disk. Where the ISR is
    /// too small nothing is to be moved, and the log's lock not taken (`Partition.maybeIncrementLeaderHW`).
    pub(super) fn high_watermark_waits(&self, id: PartitionId) -> bool {
        let moves = |partition: &Partition| partition.is_leader() && !partition.is_under_min_isr();
        self.locks.is_flushing(id) && self.partition(id).is_some_and(moves)
    }

    /// The service time is over: the answer leaves, or the wait for acks=all begins.
    pub(super) fn finish_produce(&mut self, work: &mut Work, context: &mut Context<'_, Kafka>) -> Progress {
        if work.produce.acks == Acks::All && !work.produce.all_refused() {
            work.step = Step::Park;
            return match context.cut(cuts::PRODUCE_BEFORE_PARKING, work.identity) {
                Some(open) => Progress::Wait(open),
                None => Progress::Next,
            };
        }
        self.answer_produce(work, context);
        Progress::Done
    }

    /// Takes the work over if it has to wait.
    pub(super) fn park_produce(
        &mut self,
        mut work: Box<Work>,
        context: &mut Context<'_, Kafka>,
    ) -> Option<Box<Work>> {
        if self.try_complete_produce(&mut work) {
            self.answer_produce(&mut work, context);
            return Some(work);
        }
        let deadline = context.monotonic() + work.produce.timeout;
        let keys: SmallVec<[PartitionId; 2]> = work.produce.batches.iter().map(|(id, _)| *id).collect();
        self.parked_produce.park(work, keys.into_iter(), deadline);
        self.arm_purgatory(context);
        None
    }

    /// Looks at every batch whose acknowledgement is open. True if none is any more (`DelayedProduce.tryComplete`).
    fn try_complete_produce(&self, work: &mut Work) -> bool {
        let mut complete = true;
        for produced in work
            .produce
            .produced
            .iter_mut()
            .filter(|produced| produced.pending)
        {
            let checked = match self.partitions.get(produced.partition) {
                Some(partition) if partition.log().is_offline() => Some(ErrorCode::KafkaStorageError),
                Some(partition) => partition.check_enough_replicas_reach_offset(produced.required),
                None => Some(ErrorCode::NotLeaderOrFollower),
            };
            match checked {
                Some(error) => {
                    produced.error = error;
                    produced.pending = false;
                    produced.seen = Some(Seen::of(self.partitions.get(produced.partition).map(Box::as_ref)));
                }
                None => complete = false,
            }
        }
        complete
    }

    /// Something moved in a partition: completes parked produce requests.
    pub(super) fn complete_produce(&mut self, id: PartitionId, context: &mut Context<'_, Kafka>) {
        if self.parked_produce.is_empty() {
            return;
        }
        let mut tickets: Vec<Ticket> = std::mem::take(&mut self.tickets);
        self.parked_produce.watching(id, &mut tickets);
        for ticket in &tickets {
            let Some(mut work) = self.parked_produce.take(*ticket) else {
                continue;
            };
            if self.try_complete_produce(&mut work) {
                self.answer_produce(&mut work, context);
                self.spare.push(work);
            } else {
                self.parked_produce.put_back(*ticket, work);
            }
        }
        self.tickets = tickets;
    }

    /// What is still open counts as timed out.
    pub(super) fn expire_produce(&mut self, mut work: Box<Work>, context: &mut Context<'_, Kafka>) {
        for produced in work
            .produce
            .produced
            .iter_mut()
            .filter(|produced| produced.pending)
        {
            produced.error = ErrorCode::RequestTimedOut;
        }
        self.answer_produce(&mut work, context);
        self.spare.push(work);
    }

    fn answer_produce(&mut self, work: &mut Work, context: &mut Context<'_, Kafka>) {
        let acks = work.produce.acks;
        let mut failed = false;
        let mut partitions = SmallVec::new();
        for produced in &work.produce.produced {
            failed |= produced.error != ErrorCode::None;
            self.tell_answered(produced, acks, context);
            partitions.push(ProducedPartition {
                partition: produced.partition,
                error: produced.error,
                base_offset: produced.base_offset,
                log_start: produced.log_start,
                current_leader: (produced.error == ErrorCode::NotLeaderOrFollower)
                    .then(|| self.newest_leader(produced.partition))
                    .flatten(),
            });
        }
        if acks == Acks::None {
            if failed {
                self.accepted.closed(work.connection);
                context.close(work.connection);
            } else {
                self.read_on(work.connection, work.correlation, context);
            }
        } else {
            let response = Response::Produce(Box::new(ProduceResponse { partitions }));
            self.respond(work.connection, work.correlation, response, context);
        }
    }

    fn tell_answered(&self, produced: &Produced, acks: Acks, context: &mut Context<'_, Kafka>) {
        let now = || Seen::of(self.partitions.get(produced.partition).map(Box::as_ref));
        let seen = produced.seen.unwrap_or_else(now);
        context.note(Note::Leader(
            produced.partition,
            LeaderNote::Answered {
                records: produced.records,
                base_offset: produced.base_offset,
                error: produced.error,
                acks,
                high_watermark: seen.high_watermark,
                maximal_isr: seen.maximal_isr,
                min_isr: seen.min_isr,
            },
        ));
    }

    /// `KafkaApis.getCurrentLeader`: the replica's own view, else the metadata cache's.
    pub(super) fn newest_leader(&self, id: PartitionId) -> Option<CurrentLeader> {
        match self.partitions.get(id) {
            Some(partition) => metadata_cache::hint(partition.leader(), partition.leader_epoch()?),
            None => metadata_cache::current_leader(&self.image, id),
        }
    }
}
