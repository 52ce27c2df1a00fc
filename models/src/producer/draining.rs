//! What can be sent, and what of it goes to a node in one request (`RecordAccumulator.ready`, `RecordAccumulator.drain`).
//!
//! Ready is a node of which some unmuted partition with a leader has a first batch that is full, has waited
//! `linger.ms`, is followed by another, or somebody waits for memory, or the producer closes; and that does not back
//! off. A ready node takes the first batch of each of its partitions along, lingered or not, beginning where its last
//! round ended.

use ktrial_sim::{Duration, Time};
use smallvec::SmallVec;

use super::accumulator::Accumulator;
use super::batch::BatchId;
use super::transactions::TransactionManager;
use crate::client::Metadata;
use crate::ids::ServerId;

/// What is kept of a node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NodeState {
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

impl Accumulator {
    fn node(&mut self, server: ServerId) -> &mut NodeState {
        let index = usize::from(server.0);
        if index >= self.nodes.len() {
            self.nodes.resize(index + 1, NodeState::default());
        }
        &mut self.nodes[index]
    }

    /// Which nodes have something to be sent to.
    pub(super) fn ready(&mut self, metadata: &Metadata, now: Time) -> Ready {
        let mut ready = Ready::default();
        let Some(partitions) = metadata.partitions(self.topic) else {
            self.sticky.forget_load();
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

    /// How long until a node that cannot be sent to is too slow for the partitioner.
    pub(super) fn next_slow_node(&self, now: Time) -> Option<Duration> {
        if self.availability_timeout == Duration::ZERO {
            return None;
        }
        let waiting = self.nodes.iter().filter_map(|state| state.latency);
        let waiting = waiting.filter(|(drained, ready)| drained < ready);
        let slow = waiting.map(|(drained, _)| drained + self.availability_timeout + Duration::millis(1));
        slow.filter(|slow| *slow > now).map(|slow| slow.since(now)).min()
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
}
