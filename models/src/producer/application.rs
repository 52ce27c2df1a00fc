//! The thread that calls `send`: the application's workload, in order, and `KafkaProducer.doSend`.
//!
//! A send that waits (for metadata, for memory) delays the sends behind it. Both waits together last at most
//! `max.block.ms`: for metadata by the wall clock, for memory by the monotonic one.

use ktrial_sim::{Duration, Time, TimerSlot};

use super::accumulator::{Append, Wakeup};
use super::core::Core;
use super::partitioner::{partition_for_key, round_robin};
use crate::client::Environment;
use crate::config::Partitioner;
use crate::cuts;
use crate::ids::RecordId;
use crate::notes::{ClientNote, FailureClass, Note};
use crate::producer::batch::may_exceed;
use crate::records::Record;
use crate::specification::SendOperation;

/// The application's timer.
pub(super) const APPLICATION: TimerSlot = TimerSlot(0);
/// A cut of the application's lane ends.
pub(super) const APPLICATION_CUT: u32 = 3;

/// Where the application's thread stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Standing {
    /// Until the time of its next operation, if it has one.
    Waiting,
    /// In `KafkaProducer.waitOnMetadata`: since when (wall clock), for an answer beyond which, by when.
    AwaitingMetadata {
        record: Record,
        since: Time,
        answers: u32,
    },
    /// In `BufferPool.allocate`, until when (monotonic clock).
    AwaitingMemory {
        record: Record,
        partition: Option<u32>,
        until: Time,
    },
    /// Between appending and waking the sender.
    Appended,
    /// It will send nothing more.
    Done,
}

/// The application above a producer.
#[derive(Debug)]
pub(super) struct Application {
    pub(super) standing: Standing,
    /// Counts operations over all processes.
    pub(super) next: usize,
    /// The monotonic reading that the workload's times count from.
    pub(super) origin: Time,
}

impl Application {
    /// Does what can be done now.
    pub(super) fn step(
        &mut self,
        core: &mut Core,
        workload: &[SendOperation],
        environment: &mut impl Environment,
    ) -> Wakeup {
        match self.standing {
            Standing::Waiting => self.next_operation(core, workload, environment),
            Standing::AwaitingMetadata {
                record,
                since,
                answers,
            } => self.await_metadata(record, since, answers, core, environment),
            Standing::AwaitingMemory {
                record,
                partition,
                until,
            } => {
                if core.accumulator.pool.take_grant() {
                    self.append(record, partition, true, until, core, environment)
                } else if core.closing || environment.monotonic() >= until {
                    core.accumulator.pool.give_up();
                    // `BufferExhaustedException` is a `TimeoutException`, and goes by its error's name.
                    let error = match core.closing {
                        true => "KafkaException",
                        false => "REQUEST_TIMED_OUT",
                    };
                    self.fail(&record, error, core, environment);
                    Wakeup::None
                } else {
                    Wakeup::None
                }
            }
            Standing::Appended | Standing::Done => Wakeup::None,
        }
    }

    /// Whether [`Application::step`] has something to do.
    pub(super) fn can_go_on(&self, core: &Core, workload: &[SendOperation], now: Time) -> bool {
        match self.standing {
            Standing::Waiting => workload
                .get(self.next)
                .is_some_and(|operation| self.origin + operation.after <= now),
            Standing::AwaitingMetadata { answers, .. } => core.metadata.answers() > answers || core.ended,
            Standing::AwaitingMemory { .. } => core.accumulator.pool.is_granted() || core.closing,
            Standing::Appended | Standing::Done => false,
        }
    }

    /// The cut between appending and waking ends: the sender is to be woken.
    pub(super) fn cut_is_over(&mut self) {
        if let Standing::Appended = self.standing {
            self.standing = Standing::Waiting;
        }
    }

    /// Sets the timer for the next operation.
    pub(super) fn schedule(&self, workload: &[SendOperation], environment: &mut impl Environment) {
        if let (Standing::Waiting, Some(operation)) = (self.standing, workload.get(self.next)) {
            let due = self.origin + operation.after;
            environment.set_timer(APPLICATION, due.since(environment.monotonic()));
        }
    }

    fn next_operation(
        &mut self,
        core: &mut Core,
        workload: &[SendOperation],
        environment: &mut impl Environment,
    ) -> Wakeup {
        let Some(operation) = workload.get(self.next) else {
            return Wakeup::None;
        };
        if self.origin + operation.after > environment.monotonic() {
            return Wakeup::None;
        }
        let now = environment.wall();
        let record = Record {
            id: RecordId {
                producer: environment.me(),
                number: self.next as u32,
            },
            key: operation.key,
            bytes: operation.bytes,
            timestamp: now,
        };
        self.next += 1;
        core.pending += 1;
        environment.note(Note::Client(ClientNote::Sent {
            record: record.id,
            key: record.key,
        }));
        core.metadata
            .add_topic(core.topic, Some(now + core.settings.metadata_max_idle_ms));
        match core.accumulator.view.refresh(core.topic, &core.metadata) {
            true => self.place(record, core.settings.max_block_ms, core, environment),
            false => self.ask_for_metadata(record, now, core, environment),
        }
    }

    fn ask_for_metadata(
        &mut self,
        record: Record,
        since: Time,
        core: &mut Core,
        environment: &mut impl Environment,
    ) -> Wakeup {
        let answers = core.metadata.request_update_for_topic(core.topic);
        self.standing = Standing::AwaitingMetadata {
            record,
            since,
            answers,
        };
        let left = (since + core.settings.max_block_ms).since(environment.wall());
        environment.set_timer(APPLICATION, left);
        Wakeup::News
    }

    fn await_metadata(
        &mut self,
        record: Record,
        since: Time,
        answers: u32,
        core: &mut Core,
        environment: &mut impl Environment,
    ) -> Wakeup {
        let now = environment.wall();
        let waited = now.since(since);
        if core.ended {
            self.fail(&record, "KafkaException", core, environment);
            return Wakeup::None;
        }
        if waited >= core.settings.max_block_ms {
            self.fail(&record, "REQUEST_TIMED_OUT", core, environment);
            return Wakeup::None;
        }
        if core.metadata.answers() <= answers {
            let left = core.settings.max_block_ms.saturating_sub(waited);
            environment.set_timer(APPLICATION, left);
            return Wakeup::None;
        }
        if !core.accumulator.view.refresh(core.topic, &core.metadata) {
            let expires = now + core.settings.metadata_max_idle_ms;
            core.metadata.add_topic(core.topic, Some(expires));
            return self.ask_for_metadata(record, since, core, environment);
        }
        let record = Record {
            timestamp: now,
            ..record
        };
        let left = core.settings.max_block_ms.saturating_sub(waited);
        self.place(record, left, core, environment)
    }

    /// Chooses the partition among those that were just looked at, checks the size and appends.
    fn place(
        &mut self,
        record: Record,
        may_block: Duration,
        core: &mut Core,
        environment: &mut impl Environment,
    ) -> Wakeup {
        let view = &core.accumulator.view;
        let partitions = view.partitions.len() as u32;
        let partition = match (core.settings.partitioner_class, record.key) {
            (Partitioner::RoundRobin, _) => Some(round_robin(&mut core.round_robin, view)),
            (Partitioner::BuiltIn, Some(key)) if !core.settings.partitioner_ignore_keys => {
                Some(partition_for_key(key, partitions))
            }
            (Partitioner::BuiltIn, _) => None,
        };
        if core.accumulator.closed {
            // What waited for metadata while somebody else closed the producer.
            self.fail(&record, "KafkaException", core, environment);
            return Wakeup::None;
        }
        let most = u64::from(core.settings.max_request_size).min(core.settings.buffer_memory);
        if may_exceed(&record, most) {
            self.fail(&record, "MESSAGE_TOO_LARGE", core, environment);
            return Wakeup::None;
        }
        if u64::from(core.settings.batch_size) > core.settings.buffer_memory {
            // No batch is ever to be had (`BufferPool.allocate`).
            self.fail(&record, "IllegalArgumentException", core, environment);
            return Wakeup::None;
        }
        let until = environment.monotonic() + may_block;
        self.append(record, partition, false, until, core, environment)
    }

    fn append(
        &mut self,
        record: Record,
        partition: Option<u32>,
        granted: bool,
        until: Time,
        core: &mut Core,
        environment: &mut impl Environment,
    ) -> Wakeup {
        let appended = core.accumulator.append(record, partition, granted, environment);
        match appended {
            Append::Wait => {
                self.standing = Standing::AwaitingMemory {
                    record,
                    partition,
                    until,
                };
                let left = until.since(environment.monotonic());
                environment.set_timer(APPLICATION, left);
                // The sender is not woken: Kafka's would look the next time its select ends.
                Wakeup::None
            }
            Append::Done(Wakeup::None) => {
                self.standing = Standing::Waiting;
                Wakeup::None
            }
            Append::Done(wakeup) => {
                self.standing = Standing::Waiting;
                if let Some(delay) = environment.cut(cuts::APPEND_TO_WAKEUP, u64::from(record.id.number)) {
                    self.standing = Standing::Appended;
                    environment.alarm(APPLICATION_CUT, delay);
                    return Wakeup::None;
                }
                wakeup
            }
        }
    }

    /// The callback on the application's own thread: nothing of the record was ever sent.
    fn fail(
        &mut self,
        record: &Record,
        error: &'static str,
        core: &mut Core,
        environment: &mut impl Environment,
    ) {
        self.standing = Standing::Waiting;
        core.pending -= 1;
        environment.note(Note::Client(ClientNote::Failed {
            record: record.id,
            error,
            class: FailureClass::Definite,
            partition: None,
        }));
    }
}
