//! `RecordAccumulator`: batches of each partition in a queue, until the sender drains them.
//!
//! Ready is a node of which some unmuted partition with a leader has a first batch that is full, has waited
//! `linger.ms`, is followed by another, or somebody waits for memory, or the producer closes; and that does not back
//! off. A ready node takes the first batch of each of its partitions along, lingered or not.

use std::collections::VecDeque;

use ktrial_sim::{Duration, Time};
use smallvec::SmallVec;

use super::batch::{BATCH_OVERHEAD, BatchId, Batches, ProducerBatch};
use super::buffer_pool::BufferPool;
use super::partitioner::StickyPartitioner;
use super::transactions::TransactionManager;
use crate::client::{Environment, ExponentialBackoff, Metadata};
use crate::config::ProducerSettings;
use crate::ids::ServerId;
use crate::kafka::site;
use crate::records::Record;

/// The batches of one partition.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) batches: VecDeque<BatchId>,
    /// With one request in flight: a batch of it is on its way.
    pub(super) muted: bool,
    /// It had a batch once.
    used: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct NodeState {
    /// The partition to drain first.
    drain_index: usize,
    /// When it was last ready to be sent to, and when it last had something to send.
    latency: Option<(Time, Time)>,
}

/// What [`Accumulator::ready`] found.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) nodes: SmallVec<[ServerId; 8]>,
    /// When to look again; none: only something new can change it.
    pub(super) next_check: Option<Duration>,
    pub(super) unknown_leaders: bool,
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Append {
    /// The record is in a batch; whether the sender is to be woken.
    Done(bool),
    /// Nothing yet: it takes so many bytes of `buffer.memory`, of which there are not enough.
    Wait,
}

#[derive(Debug)]
pub(super) struct Accumulator {
    batch_size: u32,
    linger: Duration,
    delivery_timeout: Duration,
    retry_backoff: ExponentialBackoff,
    adaptive: bool,
    availability_timeout: Duration,
    pub(super) topic: u16,
    pub(super) queues: Vec<Queue>,
    pub(super) batches: Batches,
    pub(super) pool: BufferPool,
    pub(super) sticky: StickyPartitioner,
    nodes: Vec<NodeState>,
    next_expiry: Option<Time>,
    pub(super) closed: bool,
    loads: Vec<(u32, u32)>,
    backoffs: u64,
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

    fn node(&mut self, server: ServerId) -> &mut NodeState {
        let index = usize::from(server.0);
        if index >= self.nodes.len() {
            self.nodes.resize(index + 1, NodeState::default());
        }
        &mut self.nodes[index]
    }

    fn all_full(&mut self, index: u32) -> bool {
        let newest = self.queue(index).batches.back().copied();
        newest.is_none_or(|newest| self.batches.get(newest).is_full())
    }

    /// What a new batch for the record takes of `buffer.memory`.
    pub(super) fn memory_for(&self, record: &Record) -> u64 {
        u64::from(self.batch_size.max(BATCH_OVERHEAD + record.bytes))
    }

    /// Whether the sticky partition was changed since it was looked up, or is to be changed now because its queue,
    /// which was not full when it had got enough, is full now.
    fn partition_changed(
        &mut self,
        choice: Option<u64>,
        index: u32,
        metadata: &Metadata,
        environment: &mut impl Environment,
    ) -> bool {
        let Some(choice) = choice else { return false };
        if self.sticky.changed_since(choice) {
            return true;
        }
        if self.all_full(index) {
            self.sticky.appended(0, true, self.topic, metadata, environment);
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
        metadata: &Metadata,
        environment: &mut impl Environment,
    ) -> Append {
        let memory = self.memory_for(&record);
        let mut now = environment.wall();
        loop {
            let (index, choice) = match partition {
                Some(index) => (index, None),
                None => {
                    let (index, choice) = self.sticky.peek(self.topic, metadata, environment);
                    (index, Some(choice))
                }
            };
            if self.partition_changed(choice, index, metadata, environment) {
                continue;
            }
            if let Some(newest) = self.queue(index).batches.back().copied() {
                let batch = self.batches.get_mut(newest);
                if batch.try_append(record, now) {
                    let full = self.queue(index).batches.len() > 1 || self.batches.get(newest).is_full();
                    if granted {
                        self.pool.deallocate(memory);
                    }
                    self.sticky_appended(choice, index, record.bytes, metadata, environment);
                    return Append::Done(full);
                }
                batch.closed = true;
            }
            if !granted {
                if !self.pool.allocate(memory) {
                    return Append::Wait;
                }
                granted = true;
                now = environment.wall();
                if self.partition_changed(choice, index, metadata, environment) {
                    continue;
                }
            }
            let partition =
                metadata.partitions(self.topic).expect("the topic is known")[index as usize].partition;
            let mut batch = ProducerBatch::new(partition, index, now, memory as u32);
            batch.buffer = memory;
            let id = self.batches.add(batch);
            assert!(
                self.batches.get_mut(id).try_append(record, now),
                "the first record fits"
            );
            let queue = self.queue(index);
            queue.used = true;
            queue.batches.push_back(id);
            let bytes = BATCH_OVERHEAD + record.bytes;
            self.sticky_appended(choice, index, bytes, metadata, environment);
            return Append::Done(true);
        }
    }

    fn sticky_appended(
        &mut self,
        choice: Option<u64>,
        index: u32,
        bytes: u32,
        metadata: &Metadata,
        environment: &mut impl Environment,
    ) {
        if choice.is_some() {
            let may_switch = self.all_full(index);
            self.sticky
                .appended(bytes, may_switch, self.topic, metadata, environment);
        }
    }

    /// Which nodes have something to be sent to.
    pub(super) fn ready(&mut self, metadata: &Metadata, now: Time) -> Ready {
        let mut ready = Ready::default();
        let Some(partitions) = metadata.partitions(self.topic) else {
            ready.unknown_leaders = self.has_undrained();
            return ready;
        };
        let used = self.queues.iter().filter(|queue| queue.used).count();
        let statistics = self.adaptive && used >= partitions.len();
        self.loads.clear();
        let exhausted = self.pool.exhausted();
        for index in 0..self.queues.len() {
            if !self.queues[index].used {
                continue;
            }
            let cached = partitions.get(index);
            let leader = cached.and_then(|cached| metadata.leader_node(cached));
            let queue = &self.queues[index];
            let length = queue.batches.len() as u32;
            let slow = leader.is_some_and(|leader| self.is_slow(leader));
            if statistics && leader.is_some() && !(slow && length > 0) {
                self.loads.push((index as u32, length));
            }
            let Some(first) = queue.batches.front() else {
                continue;
            };
            let batch = self.batches.get_mut(*first);
            if let Some(cached) = cached {
                batch.maybe_update_leader_epoch(cached.epoch);
            }
            let Some(leader) = leader else {
                ready.unknown_leaders = true;
                continue;
            };
            if ready.nodes.contains(&leader) || queue.muted {
                continue;
            }
            let backs_off = batch.backs_off(now);
            let to_wait = if backs_off { batch.backoff } else { self.linger };
            let waited = batch.waited(now);
            let full = length > 1 || batch.is_full();
            if !backs_off && (full || waited >= to_wait || exhausted || self.closed) {
                ready.nodes.push(leader);
            } else {
                let left = to_wait.saturating_sub(waited);
                ready.next_check = Some(ready.next_check.map_or(left, |next| next.min(left)));
            }
        }
        if statistics {
            self.sticky.update_load(&self.loads, used);
        } else {
            self.sticky.forget_load();
        }
        ready
    }

    fn is_slow(&self, server: ServerId) -> bool {
        let state = self.nodes.get(usize::from(server.0));
        self.availability_timeout > Duration::ZERO
            && state
                .and_then(|state| state.latency)
                .is_some_and(|(drained, ready)| ready.since(drained) > self.availability_timeout)
    }

    /// A node had something ready; `can_drain`: and could be sent to.
    pub(super) fn update_latency(&mut self, server: ServerId, now: Time, can_drain: bool) {
        if self.availability_timeout > Duration::ZERO {
            let latency = &mut self.node(server).latency;
            let (drained, _) = latency.unwrap_or((now, now));
            *latency = Some((if can_drain { now } else { drained }, now));
        }
    }

    /// Takes what goes to one node in one request. A partition that must wait ends the round.
    pub(super) fn drain(
        &mut self,
        server: ServerId,
        metadata: &Metadata,
        mut transactions: Option<&mut TransactionManager>,
        max_request_size: u32,
        now: Time,
    ) -> SmallVec<[BatchId; 2]> {
        let mut drained = SmallVec::new();
        let partitions = metadata.partitions(self.topic).unwrap_or_default();
        let led: SmallVec<[u32; 16]> = (0..)
            .zip(partitions)
            .filter(|(_, cached)| metadata.leader_node(cached) == Some(server))
            .map(|(index, _)| index)
            .collect();
        if led.is_empty() {
            return drained;
        }
        let mut size = 0;
        let start = self.node(server).drain_index % led.len();
        for step in 0..led.len() {
            let place = (start + step) % led.len();
            let index = led[place];
            self.node(server).drain_index = place;
            let queue = self.queue(index);
            let Some(first) = queue.batches.front().copied().filter(|_| !queue.muted) else {
                continue;
            };
            let batch = self.batches.get_mut(first);
            batch.maybe_update_leader_epoch(partitions[index as usize].epoch);
            if batch.backs_off(now) {
                continue;
            }
            let bytes = batch.bytes;
            if size + bytes > max_request_size && !drained.is_empty() {
                break;
            }
            if let Some(transactions) = &mut transactions {
                if transactions.must_wait(first, &self.batches) {
                    break;
                }
                transactions.number(first, &mut self.batches);
            }
            self.queue(index).batches.pop_front();
            let batch = self.batches.get_mut(first);
            batch.closed = true;
            batch.reopened = false;
            size += bytes;
            drained.push(first);
        }
        drained
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
            let limit = target.max(BATCH_OVERHEAD + record.bytes);
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
