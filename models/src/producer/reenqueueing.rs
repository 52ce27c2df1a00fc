//! Batches that come back after a failed attempt (`RecordAccumulator.reenqueue`, `splitAndReenqueue`).

use ktrial_sim::Time;
use smallvec::SmallVec;

use super::accumulator::Accumulator;
use super::batch::{BatchId, ProducerBatch, upper_bound};
use super::transactions::TransactionManager;
use crate::client::Environment;
use crate::kafka::site;

impl Accumulator {
    /// A failed batch comes back: in order of its sequence, without sequences at the head.
    pub(super) fn reenqueue(
        &mut self,
        id: BatchId,
        idempotent: bool,
        at_tail: bool,
        now: Time,
        environment: &mut impl Environment,
    ) {
        self.backoffs += 1;
        let failures = self.batches.get(id).attempts;
        let name = 3 << 56 | self.backoffs;
        let backoff = self.retry_backoff.draw(failures, site::RETRY, name, environment);
        self.batches.get_mut(id).reenqueued(now, backoff);
        if at_tail {
            let index = self.batches.get(id).index;
            self.queue(index).batches.push_back(id);
        } else {
            self.insert(id, idempotent);
        }
    }

    fn insert(&mut self, id: BatchId, idempotent: bool) {
        let (index, sequence) = (self.batches.get(id).index, self.batches.get(id).base_sequence());
        let queue = &mut self.queues[index as usize].batches;
        let lower = |other: &&BatchId| {
            let other = self.batches.get(**other).base_sequence();
            other.is_some_and(|other| Some(other) < sequence)
        };
        let place = match idempotent {
            true => queue.iter().take_while(lower).count(),
            false => 0,
        };
        queue.insert(place, id);
    }

    /// A batch that was too large for the broker comes back in parts (`splitAndReenqueue`).
    pub(super) fn split(&mut self, id: BatchId, mut transactions: Option<&mut TransactionManager>) {
        let big = self.batches.get(id).clone();
        let target = match big.split {
            true => big.largest_record.max(big.bytes / 2),
            false => self.batch_size,
        };
        let mut parts: SmallVec<[ProducerBatch; 4]> = SmallVec::new();
        let mut first = 0;
        for record in &big.records {
            let fits = parts
                .last_mut()
                .is_some_and(|part: &mut ProducerBatch| part.try_append(*record, big.last_append));
            if fits {
                first += 1;
                continue;
            }
            let limit = target.max(upper_bound(record));
            let mut part = ProducerBatch::new(big.partition, big.index, big.created, limit);
            part.split = true;
            part.indefinite = big.indefinite;
            part.numbering = big.numbering.map(|mut numbering| {
                numbering.base_sequence += first;
                numbering
            });
            part.stored = big.stored.map(|mut stored| {
                stored.start += first;
                stored
            });
            assert!(part.try_append(*record, big.created), "the first record fits");
            parts.push(part);
            first += 1;
        }
        for mut part in parts.into_iter().rev() {
            part.closed = true;
            if let Some(stored) = &mut part.stored {
                stored.count = part.records.len() as u32;
            }
            let part = self.batches.add(part);
            if let Some(transactions) = &mut transactions {
                transactions.add_in_flight(part, &self.batches);
            }
            self.insert(part, transactions.is_some());
        }
    }
}
