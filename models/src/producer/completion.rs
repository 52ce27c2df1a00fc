//! How requests and batches of a producer end: `Sender.handleProduceResponse`, `Sender.completeBatch`,
//! `Sender.failBatch`.
//!
//! | answer | sent again | metadata | else |
//! |---|---|---|---|
//! | none | | | acknowledged |
//! | MESSAGE_TOO_LARGE, several records | in parts, no attempt charged | | |
//! | any other `RetriableException`, time not up, attempts left | after the back-off | if it is an `InvalidMetadataException` | the error |
//! | OUT_OF_ORDER_SEQUENCE_NUMBER, UNKNOWN_PRODUCER_ID, idempotent | the same, perhaps with a new epoch | | the error, new epoch |
//! | DUPLICATE_SEQUENCE_NUMBER | | | acknowledged without offset |
//! | other | | | the error; idempotent: new epoch |
//!
//! A disconnection is NETWORK_EXCEPTION, a time-out of the client REQUEST_TIMED_OUT for every batch of the connection.

use ktrial_sim::Time;
use smallvec::SmallVec;

use super::batch::BatchId;
use super::core::Core;
use crate::client::{Environment, Outcome, is_invalid_metadata, is_retriable};
use crate::ids::{Offset, PartitionId};
use crate::mutation::Mutation;
use crate::notes::{ClientNote, FailureClass, Note};
use crate::protocol::{CurrentLeader, ErrorCode, ProducedPartition, Response};

impl Core {
    /// A Produce has ended.
    pub(super) fn produced(&mut self, request: u32, outcome: Outcome, environment: &mut impl Environment) {
        let batches = std::mem::take(&mut self.requests[request as usize]);
        self.free_requests.push(request);
        let now = environment.wall();
        let mut hints: SmallVec<[(PartitionId, CurrentLeader); 2]> = SmallVec::new();
        let error = match outcome {
            Outcome::Response(Response::Produce(response)) => {
                for answer in &response.partitions {
                    let of = |id: &&BatchId| self.accumulator.batches.get(**id).partition == answer.partition;
                    let batch = *batches.iter().find(of).expect("answers belong to batches");
                    self.complete_batch(batch, answer, now, Some(&mut hints), environment);
                }
                for (partition, hint) in hints {
                    self.metadata.update_partition_leadership(partition, hint);
                }
                return;
            }
            Outcome::Response(other) => panic!("records were sent, {other:?} came"),
            Outcome::Written => ErrorCode::None,
            Outcome::Disconnected => ErrorCode::NetworkException,
            Outcome::TimedOut => ErrorCode::RequestTimedOut,
        };
        for batch in batches {
            let answer = ProducedPartition {
                partition: self.accumulator.batches.get(batch).partition,
                error,
                base_offset: None,
                log_start: Offset(0),
                current_leader: None,
            };
            self.complete_batch(batch, &answer, now, None, environment);
        }
    }

    fn complete_batch(
        &mut self,
        id: BatchId,
        answer: &ProducedPartition,
        now: Time,
        hints: Option<&mut SmallVec<[(PartitionId, CurrentLeader); 2]>>,
        environment: &mut impl Environment,
    ) {
        let error = answer.error;
        let batch = self.accumulator.batches.get_mut(id);
        batch.in_flight = false;
        let index = batch.index;
        if error != ErrorCode::None {
            batch.note_attempt(error);
        }
        if error == ErrorCode::MessageTooLarge && batch.count() > 1 && !batch.done {
            if let Some(transactions) = &mut self.transactions {
                transactions.remove_in_flight(id, &self.accumulator.batches);
            }
            self.accumulator.split(id, self.transactions.as_mut());
            self.remove_in_flight(id);
            self.accumulator.deallocate(id);
            self.accumulator.batches.remove(id);
        } else if matches!(error, ErrorCode::None | ErrorCode::DuplicateSequenceNumber) {
            self.succeed(id, answer.base_offset, environment);
        } else {
            if self.can_retry(id, answer, now) {
                self.put_back(id, now, environment);
            } else {
                let adjust = self.accumulator.batches.get(id).attempts < self.settings.retries;
                self.fail_answered(id, error, adjust, environment);
            }
            if is_invalid_metadata(error) {
                let hinted = matches!(
                    error,
                    ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch
                );
                if let (true, Some(hints), Some(hint)) = (hinted, hints, answer.current_leader) {
                    hints.push((answer.partition, hint));
                }
                self.metadata.request_update(false);
            }
        }
        if self.guarantees_order() {
            self.accumulator.queue(index).muted = false;
        }
    }

    fn can_retry(&mut self, id: BatchId, answer: &ProducedPartition, now: Time) -> bool {
        let batch = self.accumulator.batches.get(id);
        if self.accumulator.has_expired(id, now) || batch.attempts >= self.settings.retries || batch.done {
            return false;
        }
        let by_sequence = self
            .transactions
            .as_mut()
            .and_then(|transactions| transactions.can_retry(id, answer, &self.accumulator.batches));
        by_sequence.unwrap_or(is_retriable(answer.error))
    }

    fn put_back(&mut self, id: BatchId, now: Time, environment: &mut impl Environment) {
        let idempotent = self.transactions.is_some();
        let at_tail = self.mutations.has(Mutation::RetryAtTail);
        self.accumulator
            .reenqueue(id, idempotent, at_tail, now, environment);
        self.remove_in_flight(id);
    }

    fn succeed(&mut self, id: BatchId, base_offset: Option<Offset>, environment: &mut impl Environment) {
        if let Some(transactions) = &mut self.transactions {
            transactions.completed(id, &self.accumulator.batches);
        }
        let batch = self.accumulator.batches.get_mut(id);
        if !std::mem::replace(&mut batch.done, true) {
            environment.note(Note::Client(ClientNote::Acknowledged {
                records: batch.stored.expect("it was sent"),
                partition: batch.partition,
                base_offset,
            }));
            self.pending -= batch.count();
            self.remove_in_flight(id);
        }
        self.accumulator.deallocate(id);
        self.accumulator.batches.remove(id);
    }

    /// An answer (or its absence) ends the batch.
    fn fail_answered(
        &mut self,
        id: BatchId,
        error: ErrorCode,
        adjust_sequences: bool,
        environment: &mut impl Environment,
    ) {
        if !self.accumulator.batches.get(id).done {
            self.call_back(id, error.name(), environment);
            if let Some(transactions) = &mut self.transactions {
                transactions.failed(id, Some(error), adjust_sequences, &self.accumulator.batches);
            }
            self.remove_in_flight(id);
        }
        self.accumulator.deallocate(id);
        self.accumulator.batches.remove(id);
    }

    fn call_back(&mut self, id: BatchId, error: &'static str, environment: &mut impl Environment) {
        let batch = self.accumulator.batches.get_mut(id);
        batch.done = true;
        self.pending -= batch.count();
        let class = match batch.indefinite || batch.in_flight {
            true => FailureClass::Unknown,
            false => FailureClass::Definite,
        };
        for record in &batch.records {
            environment.note(Note::Client(ClientNote::Failed {
                record: record.id,
                error,
                class,
                partition: Some(batch.partition),
            }));
        }
    }

    /// Batches whose `delivery.timeout.ms` is over. What is in flight keeps its memory until its request ends
    /// (KAFKA-19012).
    pub(super) fn fail_expired(
        &mut self,
        expired: &[BatchId],
        queued: bool,
        environment: &mut impl Environment,
    ) {
        for id in expired {
            if self.mutations.has(Mutation::DropExpired) {
                self.accumulator.batches.get_mut(*id).done = true;
            } else {
                if !queued {
                    self.accumulator.batches.get_mut(*id).indefinite = true;
                }
                self.call_back(*id, "REQUEST_TIMED_OUT", environment);
            }
            let retried = self.accumulator.batches.get(*id).retry;
            if let Some(transactions) = &mut self.transactions {
                transactions.failed(*id, None, false, &self.accumulator.batches);
                if retried {
                    transactions.mark_unresolved(*id, &self.accumulator.batches);
                }
            }
            if queued {
                self.accumulator.deallocate(*id);
                self.accumulator.batches.remove(*id);
            }
        }
    }

    /// A fatal error fails everything that has no outcome (`RecordAccumulator.abortBatches`).
    pub(super) fn abort_batches(&mut self, error: &'static str, environment: &mut impl Environment) {
        for index in 0..self.accumulator.queues.len() {
            while let Some(id) = self.accumulator.queues[index].batches.pop_front() {
                self.call_back(id, error, environment);
                self.accumulator.deallocate(id);
                self.accumulator.batches.remove(id);
            }
        }
        for index in 0..self.in_flight.len() {
            while let Some(id) = self.in_flight[index].pop_front() {
                self.call_back(id, error, environment);
            }
        }
    }
}
