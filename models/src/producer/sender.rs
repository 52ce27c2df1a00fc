//! The producer's I/O thread: `Sender.run`, `Sender.runOnce`, `Sender.sendProducerData`.

use ktrial_sim::{Duration, Time, TimerSlot};
use smallvec::SmallVec;

use super::batch::BatchId;
use super::core::{Core, Token};
use super::transactions::NO_PRODUCER_ID;
use crate::client::{Completed, Environment, Node};
use crate::config::Acks;
use crate::cuts;
use crate::ids::{LeaderEpoch, Offset, ServerId};
use crate::notes::{ClientNote, Note};
use crate::protocol::{ProduceRequest, Request};
use crate::records::Batch;

/// The sender's timer.
pub(super) const SENDER: TimerSlot = TimerSlot(1);
/// A cut of the sender's lane ends.
pub(super) const SENDER_CUT: u32 = 1;
/// Everything a late thread finds at once has been handed over.
pub(super) const GATHERED: u32 = 2;

/// What was drained: one request for each node.
pub(super) type Drained = SmallVec<[(ServerId, SmallVec<[BatchId; 2]>); 4]>;

/// Where the sender's thread stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// In the select of `NetworkClient.poll`.
    Selecting,
    /// In a select while it waits for a node to ask for a producer id (`NetworkClientUtils.awaitReady`).
    AwaitingNode(Node, Time),
    /// Asleep (`retry.backoff.ms`): to ask that node, or to begin again.
    Sleeping(Option<Node>),
    /// Between draining and expiring.
    Drained {
        batches: Drained,
        pause: Pause,
        now: Time,
    },
}

/// How long the loop may rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    /// Some node has something to be sent: Kafka's select returns at once (`pollTimeout` 0).
    node_is_ready: bool,
    /// When something changes with time alone; none: only something new can change it.
    until: Option<Duration>,
}

impl Pause {
    pub(super) fn until(until: Option<Duration>) -> Self {
        Pause {
            node_is_ready: false,
            until,
        }
    }

    fn select(self) -> Option<Duration> {
        match self.node_is_ready {
            true => Some(Duration::ZERO),
            false => self.until,
        }
    }
}

/// How a turn of the loop ends.
pub(super) enum Turn {
    /// In a select; whether it moved anything.
    Select { pause: Pause, moved: bool, now: Time },
    /// In something else: asleep, or another lane goes first.
    Busy,
}

impl Core {
    /// The select returns: something is in the inbox, the time is up, or somebody woke the thread.
    pub(super) fn wake(&mut self, environment: &mut impl Environment) {
        if self.ended || self.gathering {
            return;
        }
        match self.phase {
            Phase::Sleeping(_) | Phase::Drained { .. } => return,
            Phase::Selecting | Phase::AwaitingNode(..) => {}
        }
        self.finish_poll(environment);
        self.run(environment);
    }

    /// The timer went off: a select's time is up, or a sleep is over.
    pub(super) fn time_is_up(&mut self, environment: &mut impl Environment) {
        if let Phase::Sleeping(node) = self.phase {
            self.phase = Phase::Selecting;
            match node {
                Some(node) => self.ask_for_producer_id(node, environment),
                None => self.metadata.request_update(false),
            }
            self.run_from(node.is_some(), environment);
        } else {
            self.wake(environment);
        }
    }

    /// The cut between draining and expiring ends.
    pub(super) fn cut_is_over(&mut self, environment: &mut impl Environment) {
        let Phase::Drained { batches, pause, now } = std::mem::replace(&mut self.phase, Phase::Selecting)
        else {
            return;
        };
        let turn = self.expire_and_send(batches, pause, now, environment);
        self.settle(turn, environment);
    }

    fn run(&mut self, environment: &mut impl Environment) {
        self.run_from(false, environment);
    }

    /// Turns of the loop until the thread waits for something. `asked`: the turn in hand has just asked for an id.
    fn run_from(&mut self, asked: bool, environment: &mut impl Environment) {
        let turn = if asked {
            self.select_for_retry_backoff(environment)
        } else {
            self.run_once(environment)
        };
        self.settle(turn, environment);
    }

    fn settle(&mut self, mut turn: Turn, environment: &mut impl Environment) {
        self.still = None;
        loop {
            let Turn::Select { pause, moved, now } = turn else {
                return;
            };
            let mut wait = self
                .network
                .before_select(pause.select(), &mut self.metadata, now, environment);
            if wait == Duration::ZERO && !moved {
                wait = self.until_something_changes(pause, now);
            }
            if wait > Duration::ZERO && self.inbox.is_empty() && !self.network.has_unreported_sends() {
                self.rest(wait, environment);
                return;
            }
            self.finish_poll(environment);
            if self.ended {
                return;
            }
            turn = self.run_once(environment);
        }
    }

    /// The thread is in its select for so long.
    pub(super) fn rest(&mut self, wait: Duration, environment: &mut impl Environment) {
        self.select_until = environment.monotonic() + wait;
        environment.set_timer(SENDER, wait);
    }

    /// A node is ready of which nothing can be drained: the partition at its drain index must wait for a batch in
    /// flight (`RecordAccumulator.shouldStopDrainBatchesForPartition`). Kafka's loop spins until that changes; this one
    /// rests, and wakes for everything that a turn of it can find changed:
    ///
    /// * by what arrives, or by a record that makes a batch: the thread is woken for these anyway;
    /// * by the clock, on other nodes: lingering, back-offs and connections (`nextReadyCheckDelayMs`,
    ///   `notReadyTimeout`), time-outs of batches, requests and metadata, and a node that gets too slow for the
    ///   partitioner (`partitioner.availability.timeout.ms` compares times that every turn writes down).
    ///
    /// On the ready node itself time changes nothing: its round begins and ends with the partition that waits.
    fn until_something_changes(&mut self, pause: Pause, now: Time) -> Duration {
        let due = self.metadata.time_to_next_update(now);
        let waits = [
            pause.until,
            Some(due).filter(|due| *due > Duration::ZERO),
            self.network.next_time_out(now),
            self.accumulator.next_slow_node(now),
        ];
        let first = waits.into_iter().flatten().min();
        first
            .unwrap_or(self.settings.request_timeout_ms)
            .max(Duration::millis(1))
    }

    /// What `NetworkClient.poll` does after its select, and all callbacks.
    fn finish_poll(&mut self, environment: &mut impl Environment) {
        let mut completed = self
            .network
            .after_select(&mut self.inbox, &mut self.metadata, environment);
        for Completed { token, outcome, .. } in completed.drain(..) {
            match token {
                Token::Produce(request) => self.produced(request, outcome, environment),
                Token::InitProducerId => self.producer_id_answered(outcome, environment),
            }
        }
        self.network.recycle(completed);
    }

    /// `Sender.runOnce` up to its poll.
    fn run_once(&mut self, environment: &mut impl Environment) -> Turn {
        if self.closing && !self.accumulator.has_undrained() && self.network.in_flight() == 0 {
            self.network.shut_down(environment);
            self.ended = true;
            return Turn::Busy;
        }
        if let Some(turn) = self.run_transactions(environment) {
            return turn;
        }
        let now = environment.wall();
        self.send_producer_data(now, environment)
    }

    /// `Sender.sendProducerData` up to the draining.
    fn send_producer_data(&mut self, now: Time, environment: &mut impl Environment) -> Turn {
        let mut ready = self.accumulator.ready(&self.metadata, now);
        if ready.unknown_leaders {
            let expires = now + self.settings.metadata_max_idle_ms;
            self.metadata.add_topic(self.topic, Some(expires));
            self.metadata.request_update(false);
        }
        let mut not_ready = None;
        ready.nodes.retain(|server| {
            let node = Node::Broker(*server);
            let usable = self.network.ready(node, &mut self.metadata, now, environment);
            self.accumulator.update_latency(*server, now, usable);
            if !usable {
                not_ready = Core::earlier(not_ready, self.network.poll_delay(node, now));
            }
            usable
        });
        let mut batches = Drained::new();
        for server in &ready.nodes {
            let drained = self.accumulator.drain(
                *server,
                &self.metadata,
                self.transactions.as_mut(),
                self.settings.max_request_size,
                now,
            );
            for batch in &drained {
                let index = self.accumulator.batches.get(*batch).index;
                self.in_flight(index).push_back(*batch);
                if self.guarantees_order() {
                    self.accumulator.queue(index).muted = true;
                }
            }
            if !drained.is_empty() {
                batches.push((*server, drained));
            }
        }
        let pause = Pause {
            node_is_ready: !ready.nodes.is_empty(),
            until: Core::earlier(ready.next_check, not_ready),
        };
        if !batches.is_empty() {
            self.passages += 1;
            if let Some(delay) = environment.cut(cuts::DRAIN_TO_EXPIRE, self.passages) {
                self.phase = Phase::Drained { batches, pause, now };
                self.select_until = Time::NEVER;
                environment.alarm(SENDER_CUT, delay);
                return Turn::Busy;
            }
        }
        self.expire_and_send(batches, pause, now, environment)
    }

    /// The rest of `Sender.sendProducerData`: what was drained can expire now, and is sent all the same.
    fn expire_and_send(
        &mut self,
        batches: Drained,
        pause: Pause,
        now: Time,
        environment: &mut impl Environment,
    ) -> Turn {
        self.accumulator.reset_next_expiry();
        let expired_in_flight = self.expired_in_flight(now);
        let expired = self.accumulator.expired(now);
        self.fail_expired(&expired, true, environment);
        self.fail_expired(&expired_in_flight, false, environment);
        let expiry = self.accumulator.next_expiry().map(|expiry| expiry.since(now));
        let moved = !batches.is_empty();
        for (server, batches) in batches {
            self.send_produce_request(server, batches, now, environment);
        }
        let pause = Pause {
            until: Core::earlier(pause.until, expiry),
            ..pause
        };
        Turn::Select { pause, moved, now }
    }

    fn expired_in_flight(&mut self, now: Time) -> Vec<BatchId> {
        let mut expired = Vec::new();
        for batches in &mut self.in_flight {
            while let Some(first) = batches.front().copied() {
                if !self.accumulator.has_expired(first, now) {
                    self.accumulator.update_next_expiry(first);
                    break;
                }
                batches.pop_front();
                expired.push(first);
            }
        }
        expired
    }

    fn send_produce_request(
        &mut self,
        server: ServerId,
        drained: SmallVec<[BatchId; 2]>,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let mut batches = SmallVec::with_capacity(drained.len());
        for id in &drained {
            let batch = self.accumulator.batches.get_mut(*id);
            let records = *batch
                .stored
                .get_or_insert_with(|| environment.store(&batch.records));
            batch.in_flight = true;
            let newest = batch.records.iter().map(|record| record.timestamp).max();
            let wire = Batch {
                base_offset: Offset(0),
                leader_epoch: LeaderEpoch(0),
                records,
                bytes: batch.bytes,
                // Renumbered while there was no producer id, it goes as if it had none (`RecordBatch.NO_PRODUCER_ID`).
                numbering: batch
                    .numbering
                    .filter(|numbering| numbering.producer != NO_PRODUCER_ID),
                max_timestamp: newest.unwrap_or(Time::ZERO),
                corrupt: false,
            };
            batches.push((batch.partition, wire));
            environment.note(Note::Client(ClientNote::Attempt {
                partition: batch.partition,
                records,
                to: server,
                attempt: batch.attempts,
            }));
        }
        let request = Request::Produce(Box::new(ProduceRequest {
            acks: self.settings.acks,
            timeout: self.settings.request_timeout_ms,
            batches,
        }));
        let number = match self.free_requests.pop() {
            Some(number) => {
                self.requests[number as usize] = drained;
                number
            }
            None => {
                self.requests.push(drained);
                self.requests.len() as u32 - 1
            }
        };
        let answered = self.settings.acks != Acks::None;
        self.network.send(
            Node::Broker(server),
            Token::Produce(number),
            request,
            answered,
            now,
            environment,
        );
    }
}
