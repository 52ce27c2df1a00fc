//! `RecordAccumulator`: batches of each partition in a queue, until the sender drains them.
//!
//! What can be sent and what is taken is in [`super::draining`], what comes back after a failure in
//! [`super::reenqueueing`].

use std::collections::VecDeque;

use ktrial_sim::{Duration, Time};

use super::batch::{BATCH_OVERHEAD, BatchId, Batches, ProducerBatch, upper_bound};
use super::buffer_pool::BufferPool;
use super::draining::NodeState;
use super::partitioner::{StickyPartitioner, TopicView};
use crate::client::{Environment, ExponentialBackoff};
use crate::config::ProducerSettings;
use crate::records::Record;

/// The batches of one partition.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) batches: VecDeque<BatchId>,
    /// With one request in flight: a batch of it is on its way.
    pub(super) muted: bool,
    /// It had a batch once.
    pub(super) used: bool,
}

/// Whether what the application did wakes the sender's thread (`Sender.wakeup`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wakeup {
    /// It does not.
    None,
    /// It does, and a turn of the thread's loop can find something new.
    News,
    /// It does, because a queue holds more than one batch (`RecordAppendResult.batchIsFull`). No turn looks at the
    /// batch that the record is in before those in front of it are gone.
    NoNews,
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Append {
    /// The record is in a batch.
    Done(Wakeup),
    /// Nothing yet: it takes so many bytes of `buffer.memory`, of which there are not enough.
    Wait,
}

#[derive(Debug)]
pub(super) struct Accumulator {
    pub(super) batch_size: u32,
    pub(super) linger: Duration,
    delivery_timeout: Duration,
    pub(super) retry_backoff: ExponentialBackoff,
    pub(super) adaptive: bool,
    pub(super) availability_timeout: Duration,
    pub(super) topic: u16,
    pub(super) view: TopicView,
    pub(super) queues: Vec<Queue>,
    pub(super) batches: Batches,
    pub(super) pool: BufferPool,
    pub(super) sticky: StickyPartitioner,
    pub(super) nodes: Vec<NodeState>,
    pub(super) next_expiry: Option<Time>,
    pub(super) closed: bool,
    pub(super) loads: Vec<(u32, u32)>,
    pub(super) backoffs: u64,
}

impl Accumulator {
    pub(super) fn new(settings: &ProducerSettings, topic: u16) -> Self {
        Accumulator {
            batch_size: settings.batch_size,
            linger: settings.linger_ms,
            delivery_timeout: settings.delivery_timeout_ms,
            retry_backoff: ExponentialBackoff::new(settings.retry_backoff_ms, settings.retry_backoff_max_ms),
            adaptive: settings.partitioner_adaptive_partitioning_enable,
            availability_timeout: settings.partitioner_availability_timeout_ms,
            topic,
            view: TopicView::default(),
            queues: Vec::new(),
            batches: Batches::default(),
            pool: BufferPool::new(settings.buffer_memory),
            sticky: StickyPartitioner::new(settings.batch_size),
            nodes: Vec::new(),
            next_expiry: None,
            closed: false,
            loads: Vec::new(),
            backoffs: 0,
        }
    }

    pub(super) fn queue(&mut self, index: u32) -> &mut Queue {
        let index = index as usize;
        if index >= self.queues.len() {
            self.queues.resize_with(index + 1, Queue::default);
        }
        &mut self.queues[index]
    }

    /// The batch of a partition that takes records.
    #[inline]
    fn newest(&self, index: u32) -> Option<BatchId> {
        self.queues.get(index as usize)?.batches.back().copied()
    }

    /// What a new batch for the record takes of `buffer.memory`.
    pub(super) fn memory_for(&self, record: &Record) -> u64 {
        u64::from(self.batch_size.max(upper_bound(record)))
    }

    /// Whether the sticky partition was changed since it was looked up, or is to be changed now because its queue,
    /// which was not full when it had got enough, is full now. `newest`: the last batch of that queue.
    #[inline]
    fn partition_changed(
        &mut self,
        choice: Option<u64>,
        newest: Option<BatchId>,
        environment: &mut impl Environment,
    ) -> bool {
        let Some(choice) = choice else { return false };
        if self.sticky.changed_since(choice) {
            return true;
        }
        if newest.is_none_or(|newest| self.batches.get(newest).is_full()) {
            self.sticky.appended(0, true, &self.view, environment);
        }
        self.sticky.changed_since(choice)
    }

    /// Puts a record into the last batch of its partition or into a new one. `partition`: none lets the sticky
    /// partitioner choose. `granted`: memory for a new batch has been taken before.
    pub(super) fn append(
        &mut self,
        record: Record,
        partition: Option<u32>,
        mut granted: bool,
        environment: &mut impl Environment,
    ) -> Append {
        let mut now = environment.wall();
        loop {
            let (index, choice) = match partition {
                Some(index) => (index, None),
                None => {
                    let (index, choice) = self.sticky.peek(&self.view, environment);
                    (index, Some(choice))
                }
            };
            let newest = self.newest(index);
            if self.partition_changed(choice, newest, environment) {
                continue;
            }
            if let Some(newest) = newest {
                let batch = self.batches.get_mut(newest);
                if batch.try_append(record, now) {
                    let full = batch.is_full();
                    if granted {
                        self.pool.deallocate(self.memory_for(&record));
                    }
                    if choice.is_some() {
                        self.sticky.appended(record.bytes, full, &self.view, environment);
                    }
                    return Append::Done(match self.queues[index as usize].batches.len() > 1 {
                        true => Wakeup::NoNews,
                        false if full => Wakeup::News,
                        false => Wakeup::None,
                    });
                }
                batch.closed = true;
            }
            let memory = self.memory_for(&record);
            if !granted {
                if !self.pool.allocate(memory) {
                    return Append::Wait;
                }
                granted = true;
                now = environment.wall();
                if self.partition_changed(choice, newest, environment) {
                    continue;
                }
            }
            let partition = self.view.partitions[index as usize];
            let mut batch = ProducerBatch::new(partition, index, now, memory as u32);
            batch.buffer = memory;
            let id = self.batches.add(batch);
            let batch = self.batches.get_mut(id);
            assert!(batch.try_append(record, now), "the first record fits");
            let full = batch.is_full();
            let queue = self.queue(index);
            queue.used = true;
            queue.batches.push_back(id);
            if choice.is_some() {
                let bytes = BATCH_OVERHEAD + record.bytes;
                self.sticky.appended(bytes, full, &self.view, environment);
            }
            return Append::Done(Wakeup::News);
        }
    }

    /// Batches that waited too long, taken out of their queues in order of partition.
    pub(super) fn expired(&mut self, now: Time) -> Vec<BatchId> {
        let mut expired = Vec::new();
        for queue in &mut self.queues {
            while let Some(first) = queue.batches.front() {
                let batch = self.batches.get(*first);
                if !batch.has_reached(self.delivery_timeout, now) {
                    let expiry = batch.created + self.delivery_timeout;
                    self.next_expiry = Some(self.next_expiry.map_or(expiry, |next| next.min(expiry)));
                    break;
                }
                expired.extend(queue.batches.pop_front());
            }
        }
        expired
    }

    pub(super) fn has_expired(&self, batch: BatchId, now: Time) -> bool {
        self.batches.get(batch).has_reached(self.delivery_timeout, now)
    }

    pub(super) fn reset_next_expiry(&mut self) {
        self.next_expiry = None;
    }

    pub(super) fn update_next_expiry(&mut self, batch: BatchId) {
        let expiry = self.batches.get(batch).created + self.delivery_timeout;
        self.next_expiry = Some(self.next_expiry.map_or(expiry, |next| next.min(expiry)));
    }

    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.next_expiry
    }

    /// Gives the memory of a batch back.
    pub(super) fn deallocate(&mut self, id: BatchId) {
        let buffer = std::mem::take(&mut self.batches.get_mut(id).buffer);
        if buffer > 0 {
            self.pool.deallocate(buffer);
        }
    }

    pub(super) fn has_undrained(&self) -> bool {
        self.queues.iter().any(|queue| !queue.batches.is_empty())
    }
}
