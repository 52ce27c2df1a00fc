//! `TransactionManager`, the half of it that makes a producer idempotent: producer id, epoch, sequence numbers.
//!
//! States: uninitialized → initializing (InitProducerId) → ready; fatal error. A sequence number is given at the first
//! drain, once. An epoch bump (KIP-360) renumbers the batches in flight of the partitions it was asked for; the others
//! start at 0 when nothing of them is in flight any more. A batch that expires after a retry leaves the sequence of its
//! partition unresolved: nothing new is numbered there until nothing is in flight.

use crate::ids::ProducerId;
use crate::protocol::{ErrorCode, ProducedPartition};
use crate::records::Numbering;

use super::batch::{BatchId, Batches};

/// A producer id and its epoch.
pub(super) type Identity = (ProducerId, u16);

/// What batches are numbered with while there is no producer id: they go to the broker as if without one.
pub(super) const NO_PRODUCER_ID: ProducerId = ProducerId(u64::MAX);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransactionState {
    Uninitialized,
    Initializing,
    Ready,
    Fatal(&'static str),
}

/// What is kept of one partition (`TxnPartitionEntry`).
#[derive(Clone, Debug, Default)]
pub(super) struct PartitionEntry {
    identity: Option<Identity>,
    next_sequence: u32,
    last_acked_sequence: Option<u32>,
    /// In order of producer id, epoch, sequence.
    in_flight: Vec<BatchId>,
    /// The sequence behind a batch that expired after a retry.
    unresolved: Option<u32>,
}

/// Producer id, epoch and sequences.
#[derive(Debug)]
pub(super) struct TransactionManager {
    pub(super) state: TransactionState,
    identity: Option<Identity>,
    entries: Vec<PartitionEntry>,
    rewrite: Vec<u32>,
    bump_required: bool,
    unresolved: u32,
    /// An InitProducerId is to be sent.
    pub(super) pending: bool,
    /// It has been tried before.
    pub(super) pending_is_retry: bool,
    /// It is on its way.
    pub(super) in_flight: bool,
}

/// `DefaultRecordBatch.incrementSequence`.
pub(super) fn increment_sequence(sequence: u32, by: u32) -> u32 {
    (sequence + by) & 0x7fff_ffff
}

impl TransactionManager {
    pub(super) fn new() -> Self {
        TransactionManager {
            state: TransactionState::Uninitialized,
            identity: None,
            entries: Vec::new(),
            rewrite: Vec::new(),
            bump_required: false,
            unresolved: 0,
            pending: false,
            pending_is_retry: false,
            in_flight: false,
        }
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    fn entry(&mut self, index: u32) -> &mut PartitionEntry {
        let index = index as usize;
        if index >= self.entries.len() {
            self.entries.resize_with(index + 1, PartitionEntry::default);
        }
        &mut self.entries[index]
    }

    fn has_in_flight(&self, index: u32) -> bool {
        self.entries
            .get(index as usize)
            .is_some_and(|entry| !entry.in_flight.is_empty())
    }

    fn has_unresolved(&self, index: u32) -> bool {
        self.entries
            .get(index as usize)
            .is_some_and(|entry| entry.unresolved.is_some())
    }

    fn is_stale(&mut self, index: u32) -> bool {
        let identity = self.identity;
        self.entry(index).identity != identity
    }

    /// Whether the first batch of a partition has to wait (`RecordAccumulator.shouldStopDrainBatchesForPartition`).
    pub(super) fn must_wait(&mut self, batch: BatchId, batches: &Batches) -> bool {
        let (index, sequence) = (batches.get(batch).index, batches.get(batch).base_sequence());
        if self.identity.is_none() || matches!(self.state, TransactionState::Fatal(_)) {
            return true;
        }
        match sequence {
            None => self.has_in_flight(index) && self.is_stale(index) || self.has_unresolved(index),
            Some(sequence) => {
                let entry = self.entry(index);
                let first = entry.in_flight.first();
                first.is_some_and(|first| batches.get(*first).base_sequence() != Some(sequence))
            }
        }
    }

    /// Gives a batch its sequence number if it has none.
    pub(super) fn number(&mut self, batch: BatchId, batches: &mut Batches) {
        if batches.get(batch).numbering.is_some() {
            return;
        }
        let index = batches.get(batch).index;
        if self.is_stale(index) && !self.has_in_flight(index) {
            self.start_at_beginning(index, batches);
        }
        let (producer, epoch) = self.identity.expect("nothing is drained without a producer id");
        let entry = self.entry(index);
        let numbered = batches.get_mut(batch);
        numbered.numbering = Some(Numbering {
            producer,
            epoch,
            base_sequence: entry.next_sequence,
        });
        entry.next_sequence = increment_sequence(entry.next_sequence, numbered.count());
        self.add_in_flight(batch, batches);
    }

    /// Tracks a numbered batch as in flight.
    pub(super) fn add_in_flight(&mut self, batch: BatchId, batches: &Batches) {
        let key = |id: BatchId| {
            let numbering = batches.get(id).numbering.expect("tracked batches are numbered");
            (numbering.producer, numbering.epoch, numbering.base_sequence)
        };
        let entry = self.entry(batches.get(batch).index);
        let place = entry.in_flight.partition_point(|other| key(*other) <= key(batch));
        entry.in_flight.insert(place, batch);
    }

    pub(super) fn remove_in_flight(&mut self, batch: BatchId, batches: &Batches) {
        self.entry(batches.get(batch).index)
            .in_flight
            .retain(|other| *other != batch);
    }

    /// Numbers the batches in flight of a partition anew, from 0, under the producer's identity of now.
    fn start_at_beginning(&mut self, index: u32, batches: &mut Batches) {
        let identity = self.identity;
        let entry = self.entry(index);
        let mut sequence = 0;
        for id in &entry.in_flight {
            let batch = batches.get_mut(*id);
            let (producer, epoch) = identity.unwrap_or((NO_PRODUCER_ID, u16::MAX));
            batch.numbering = Some(Numbering {
                producer,
                epoch,
                base_sequence: sequence,
            });
            batch.reopened = true;
            sequence = increment_sequence(sequence, batch.count());
        }
        entry.identity = identity;
        entry.next_sequence = sequence;
        entry.last_acked_sequence = None;
    }

    fn request_bump(&mut self, index: u32) {
        self.bump_required = true;
        if !self.rewrite.contains(&index) {
            self.rewrite.push(index);
        }
    }

    fn resolve(&mut self, index: u32) {
        if self.entry(index).unresolved.take().is_some() {
            self.unresolved -= 1;
        }
    }

    /// Where nothing is in flight any more, an unresolved sequence is decided.
    pub(super) fn maybe_resolve_sequences(&mut self) {
        if self.unresolved == 0 {
            return;
        }
        for index in 0..self.entries.len() as u32 {
            if self.has_unresolved(index) && !self.has_in_flight(index) {
                let next = self.entry(index).next_sequence;
                if !self.is_next(index, next) {
                    self.request_bump(index);
                }
                self.resolve(index);
            }
        }
    }

    /// `bumpIdempotentEpochAndResetIdIfNeeded`. Whether the identity changed.
    pub(super) fn maybe_bump(&mut self, batches: &mut Batches) -> bool {
        let bump = std::mem::take(&mut self.bump_required);
        if bump {
            self.identity = match self.identity {
                Some((producer, epoch)) if epoch < i16::MAX as u16 => Some((producer, epoch + 1)),
                _ => {
                    self.state = TransactionState::Uninitialized;
                    None
                }
            };
            for index in std::mem::take(&mut self.rewrite) {
                self.start_at_beginning(index, batches);
                self.resolve(index);
            }
        }
        if self.state != TransactionState::Initializing && self.identity.is_none() {
            self.state = TransactionState::Initializing;
            self.pending = true;
            self.pending_is_retry = false;
        }
        bump && self.identity.is_some()
    }

    /// Whether a turn of the sender's loop finds nothing to decide here (`maybeResolveSequences`,
    /// `bumpIdempotentEpochAndResetIdIfNeeded`), nothing to fail and nothing to ask.
    pub(super) fn is_settled(&self) -> bool {
        let known = self.identity.is_some() || self.state == TransactionState::Initializing;
        let fatal = matches!(self.state, TransactionState::Fatal(_));
        known && !fatal && !self.bump_required && self.unresolved == 0 && !self.pending
    }

    /// InitProducerId was answered.
    pub(super) fn initialized(&mut self, identity: Identity) {
        self.in_flight = false;
        self.identity = Some(identity);
        self.state = TransactionState::Ready;
    }

    /// InitProducerId is to be sent again.
    pub(super) fn retry(&mut self) {
        self.in_flight = false;
        self.pending = true;
        self.pending_is_retry = true;
    }

    pub(super) fn fail(&mut self, error: &'static str) {
        self.in_flight = false;
        self.state = TransactionState::Fatal(error);
    }

    fn is_next(&mut self, index: u32, sequence: u32) -> bool {
        let last = self.entry(index).last_acked_sequence;
        i64::from(sequence) - last.map_or(-1, i64::from) == 1
    }

    /// A batch succeeded, even one whose callbacks have run.
    pub(super) fn completed(&mut self, batch: BatchId, batches: &Batches) {
        let done = batches.get(batch);
        let last_sequence = done.last_sequence().expect("idempotent batches are numbered") as u32;
        let entry = self.entry(done.index);
        entry.last_acked_sequence = entry.last_acked_sequence.max(Some(last_sequence));
        self.remove_in_flight(batch, batches);
    }

    /// A batch failed for good; `error` is none for a time-out or an abort.
    pub(super) fn failed(
        &mut self,
        batch: BatchId,
        error: Option<ErrorCode>,
        adjust_sequences: bool,
        batches: &Batches,
    ) {
        self.remove_in_flight(batch, batches);
        if matches!(self.state, TransactionState::Fatal(_)) {
            return;
        }
        let index = batches.get(batch).index;
        match error {
            Some(ErrorCode::OutOfOrderSequenceNumber) => self.request_bump(index),
            Some(ErrorCode::UnknownProducerId) => {
                self.resolve(index);
                *self.entry(index) = PartitionEntry::default();
            }
            _ if adjust_sequences => self.request_bump(index),
            _ => {}
        }
    }

    /// A batch expired after a retry.
    pub(super) fn mark_unresolved(&mut self, batch: BatchId, batches: &Batches) {
        let Some(last) = batches.get(batch).last_sequence() else {
            return;
        };
        let next = increment_sequence(last as u32, 1);
        let entry = self.entry(batches.get(batch).index);
        let known = entry.unresolved.replace(next);
        entry.unresolved = entry.unresolved.max(known);
        self.unresolved += u32::from(known.is_none());
    }

    /// Whether a failed batch is sent again, as far as sequences have a say (`TransactionManager.canRetry`); none: the
    /// error decides.
    pub(super) fn can_retry(
        &mut self,
        batch: BatchId,
        answer: &ProducedPartition,
        batches: &Batches,
    ) -> Option<bool> {
        let failed = batches.get(batch);
        let index = failed.index;
        match answer.error {
            ErrorCode::UnknownProducerId => {
                if !failed.reopened {
                    self.request_bump(index);
                }
                Some(true)
            }
            ErrorCode::OutOfOrderSequenceNumber => {
                let sequence = failed.base_sequence().expect("idempotent batches are numbered");
                let unresolved = self.entry(index).unresolved;
                let waits_for_earlier =
                    unresolved.is_none() && (failed.reopened || !self.is_next(index, sequence));
                if !waits_for_earlier && unresolved.is_none_or(|next| next == sequence) {
                    self.request_bump(index);
                }
                Some(true)
            }
            _ => None,
        }
    }
}
