//! Events, threads and timers of a runtime.

use std::collections::{BTreeMap, VecDeque};

use ktrial_sim::{ConnectionId, Time};

use crate::broker::coordinator::accumulator::Accumulator;
use crate::broker::coordinator::context::{CoordinatorContext, CoordinatorState, OperationId};
use crate::broker::coordinator::timers::{Handle, Timers};
use crate::broker::coordinator::{Host, Shard};
use crate::groups::{Around, Effects, ResponseId, TimerChange};
use crate::ids::{LeaderEpoch, Offset, PartitionId, PartitionMap};
use crate::protocol::{Correlation, ErrorCode, Response};

/// Who waits for an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Asker {
    /// Its connection.
    pub connection: ConnectionId,
    /// The request's number there.
    pub correlation: Correlation,
    /// What it is told if the operation fails, but for the error.
    pub refusal: Response,
}

/// Something to be done for one partition.
pub(super) enum Event<S: Shard> {
    /// A request.
    Request(S::Request, ResponseId),
    /// A timer ran out.
    Timeout(S::Timer, S::Timeout, Handle),
    /// This broker was elected.
    Load(LeaderEpoch),
    /// The partition was read (or not).
    Loaded(bool),
    /// Another broker was elected.
    Unload(LeaderEpoch),
    /// The high watermark moved.
    HighWatermark,
    /// The batch of this number is to be appended.
    Flush(u32),
    /// An operation has waited for too long.
    TimedOut(OperationId),
}

/// What a deadline is for.
pub(super) enum Task<S: Shard> {
    Shard(PartitionId, S::Timer, S::Timeout),
    Operation(PartitionId, OperationId),
    /// `group.coordinator.append.linger.ms` of a batch.
    Linger(PartitionId, u32),
    /// The loader's thread has read a partition.
    Load(PartitionId, u32),
}

enum Thread<S: Shard> {
    Idle,
    Working(PartitionId, Event<S>),
    /// It waits for the disk.
    Flushing(PartitionId),
}

/// An operation whose end is not known yet (`CoordinatorWriteEvent` in the deferred event queue).
pub(super) struct Operation<S: Shard> {
    pub(super) asker: Option<ResponseId>,
    pub(super) response: Option<Response>,
    pub(super) append: Option<S::Append>,
    pub(super) timeout: Option<Handle>,
}

pub(super) type ShardEffects<S> = Effects<<S as Shard>::Timer, <S as Shard>::Timeout>;

/// See [`super`].
pub struct CoordinatorRuntime<S: Shard> {
    pub(super) contexts: PartitionMap<Box<CoordinatorContext<S>>>,
    pub(super) events: Accumulator<Event<S>>,
    threads: Vec<Thread<S>>,
    pub(super) timers: Timers<Task<S>>,
    armed: Option<Time>,
    pub(super) operations: Vec<(u32, Option<Operation<S>>)>,
    pub(super) free: Vec<u32>,
    pub(super) operation_count: u32,
    askers: BTreeMap<ResponseId, Asker>,
    next_response: u64,
    pub(super) effects: ShardEffects<S>,
    /// Partitions that wait for the loader's thread, and for which of their shards. The first one is being read.
    pub(super) loading: VecDeque<(PartitionId, u32)>,
    /// Counts loads.
    pub(super) loads: u32,
    /// The flush that the event at hand leaves to its thread.
    pub(super) flush: Option<ktrial_sim::Duration>,
    /// The event at hand has appended: the high watermark may have moved by that.
    pub(super) appended: bool,
    running: bool,
}

impl<S: Shard> CoordinatorRuntime<S> {
    /// A runtime with so many threads and no partition.
    pub fn new(threads: u32) -> Self {
        let mut idle = Vec::new();
        idle.resize_with(threads.max(1) as usize, || Thread::Idle);
        CoordinatorRuntime {
            contexts: PartitionMap::default(),
            events: Accumulator::default(),
            threads: idle,
            timers: Timers::default(),
            armed: None,
            operations: Vec::new(),
            free: Vec::new(),
            operation_count: 0,
            askers: BTreeMap::new(),
            next_response: 0,
            effects: Effects::default(),
            loading: VecDeque::new(),
            loads: 0,
            flush: None,
            appended: false,
            running: true,
        }
    }

    /// A partition's coordinator.
    pub fn coordinator(&self, partition: PartitionId) -> Option<&CoordinatorContext<S>> {
        self.contexts.get(partition).map(Box::as_ref)
    }

    /// Whether anything is looked after here.
    #[inline]
    pub fn has(&self, partition: PartitionId) -> bool {
        self.contexts.get(partition).is_some()
    }

    /// A request to the state machine of a partition. It is answered in any case.
    pub fn request(
        &mut self,
        partition: PartitionId,
        request: S::Request,
        asker: Asker,
        host: &mut impl Host,
    ) {
        if !self.running {
            let mut response = asker.refusal.clone();
            S::refuse(
                &mut response,
                ErrorCode::CoordinatorNotAvailable,
                !S::reads(&request),
            );
            host.answer(asker, response);
            return;
        }
        self.next_response += 1;
        let response = ResponseId(self.next_response);
        self.askers.insert(response, asker);
        self.events.add_last(partition, Event::Request(request, response));
        self.go_on(host);
    }

    /// This broker was elected leader of a partition.
    pub fn elected(&mut self, partition: PartitionId, epoch: LeaderEpoch, empty: bool, host: &mut impl Host) {
        if !self.running {
            return;
        }
        let context = self
            .contexts
            .get_or_insert_with(partition, || Box::new(CoordinatorContext::new()));
        if empty && context.state == CoordinatorState::Initial && context.epoch.is_none() {
            context.epoch = Some(epoch);
            context.state = CoordinatorState::Active;
            context.listening = true;
            let mut context = self.take(partition).expect("it was just put there");
            self.with_shard(partition, &mut context, host, |shard, around| {
                shard.loaded(around)
            });
            self.contexts.insert(partition, context);
            self.arm(host);
            return;
        }
        self.events.add_last(partition, Event::Load(epoch));
        self.go_on(host);
    }

    /// Another broker was elected, or none.
    pub fn resigned(&mut self, partition: PartitionId, epoch: LeaderEpoch, host: &mut impl Host) {
        if self.running && self.has(partition) {
            self.events.add_last(partition, Event::Unload(epoch));
            self.go_on(host);
        }
    }

    /// This broker follows from now on, or the partition failed: high watermarks are not this coordinator's any more
    /// (`ListenerAdapter`).
    pub fn stops_listening(&mut self, partition: PartitionId) {
        if let Some(context) = self.contexts.get_mut(partition) {
            context.listening = false;
        }
    }

    /// The high watermark of a partition may have moved.
    pub fn high_watermark(&mut self, partition: PartitionId, to: Offset, host: &mut impl Host) {
        self.heard_of(partition, to);
        self.go_on(host);
    }

    /// The metadata of these topics changed. The coordinators see the broker's own metadata: nothing is to be done in
    /// an event of its own, as Kafka does.
    pub fn topics_changed(&mut self, topics: &[u16]) {
        for (_, context) in self.contexts.iter_mut() {
            context.shard.topics_changed(topics);
        }
    }

    pub(super) fn heard_of(&mut self, partition: PartitionId, to: Offset) {
        let Some(context) = self
            .contexts
            .get_mut(partition)
            .filter(|context| context.listening)
        else {
            return;
        };
        let known = context.high_watermark.unwrap_or(context.committed);
        if to > known && context.high_watermark.replace(to).is_none() {
            self.events.add_first(partition, Event::HighWatermark);
        }
    }

    /// A thread's time is over.
    pub fn worked(&mut self, thread: u16, host: &mut impl Host) {
        let slot = &mut self.threads[usize::from(thread)];
        let partition = match std::mem::replace(slot, Thread::Idle) {
            Thread::Idle => return,
            Thread::Flushing(partition) => {
                host.finish_append(partition, true);
                self.heard_of(partition, host.high_watermark(partition));
                partition
            }
            Thread::Working(partition, event) => {
                self.run(partition, event, host);
                if let Some(wait) = self.flush.take() {
                    self.threads[usize::from(thread)] = Thread::Flushing(partition);
                    host.work(thread, Some(wait));
                    self.arm(host);
                    return;
                }
                partition
            }
        };
        self.events.done(partition);
        self.go_on(host);
    }

    /// The timer ran out.
    pub fn woke(&mut self, host: &mut impl Host) {
        self.armed = None;
        let now = host.monotonic();
        while let Some((handle, task)) = self.timers.due(now) {
            match task {
                Task::Shard(partition, timer, timeout) => {
                    self.events
                        .add_last(partition, Event::Timeout(timer, timeout, handle));
                }
                Task::Operation(partition, operation) => {
                    self.events.add_last(partition, Event::TimedOut(operation));
                }
                Task::Linger(partition, batch) => self.events.add_first(partition, Event::Flush(batch)),
                Task::Load(partition, load) => self.read(partition, load, host),
            }
        }
        self.go_on(host);
    }

    /// Nothing is done any more; who waits is not answered, its connection is gone.
    pub fn shut_down(&mut self) {
        let threads = self.threads.len() as u32;
        *self = CoordinatorRuntime::new(threads);
        self.running = false;
    }

    /// Idle threads take events.
    pub(super) fn go_on(&mut self, host: &mut impl Host) {
        for (number, thread) in self.threads.iter_mut().enumerate() {
            if self.events.available() == 0 {
                break;
            }
            if matches!(thread, Thread::Idle) {
                let choice = match self.events.available() {
                    1 => 0,
                    several => host.choose(several),
                };
                let (partition, event) = self.events.poll(choice);
                *thread = Thread::Working(partition, event);
                host.work(number as u16, None);
            }
        }
        self.arm(host);
    }

    fn arm(&mut self, host: &mut impl Host) {
        if let Some(next) = self.timers.next()
            && self.armed.is_none_or(|armed| next < armed)
        {
            self.armed = Some(next);
            host.wake(next);
        }
    }

    pub(super) fn take(&mut self, partition: PartitionId) -> Option<Box<CoordinatorContext<S>>> {
        self.contexts.remove(partition)
    }

    fn run(&mut self, partition: PartitionId, event: Event<S>, host: &mut impl Host) {
        let mut context = match (self.take(partition), &event) {
            (Some(context), _) => context,
            // Its forerunner was unloaded while this waited.
            (None, Event::Load(_)) => Box::new(CoordinatorContext::new()),
            (None, _) => {
                if let Event::Request(request, asker) = event {
                    self.fail(asker, ErrorCode::NotCoordinator, !S::reads(&request), host);
                }
                return;
            }
        };
        let mut stays = true;
        match event {
            Event::Request(request, asker) => {
                self.answer_request(partition, &mut context, request, asker, host)
            }
            Event::Timeout(timer, timeout, handle) => {
                self.timed_out(partition, &mut context, (timer, timeout, handle), host);
            }
            Event::Load(epoch) => self.load(partition, &mut context, epoch, host),
            Event::Loaded(read) => self.loaded(partition, &mut context, read, host),
            Event::Unload(epoch) if context.epoch < Some(epoch) => {
                self.unload(partition, &mut context, host);
                stays = false;
            }
            Event::Unload(_) => {}
            Event::HighWatermark => self.committed(partition, &mut context, host),
            Event::Flush(batch) => {
                if context.state == CoordinatorState::Active
                    && context.batch.is_some()
                    && context.batches == batch
                {
                    // Who waits for it has been told.
                    let _ = self.flush_batch(partition, &mut context, host);
                }
            }
            Event::TimedOut(operation) => {
                self.complete(
                    partition,
                    &mut context,
                    operation,
                    Err(ErrorCode::RequestTimedOut),
                    host,
                );
            }
        }
        if stays {
            self.contexts.insert(partition, context);
            if std::mem::take(&mut self.appended) {
                self.heard_of(partition, host.high_watermark(partition));
            }
        }
    }

    fn answer_request(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        request: S::Request,
        asker: ResponseId,
        host: &mut impl Host,
    ) {
        let reads = S::reads(&request);
        let refused = match context.state {
            CoordinatorState::Active => None,
            CoordinatorState::Loading => Some(ErrorCode::CoordinatorLoadInProgress),
            CoordinatorState::Initial | CoordinatorState::Failed => Some(ErrorCode::NotCoordinator),
        };
        if let Some(error) = refused {
            return self.fail(asker, error, !reads, host);
        }
        if reads {
            let response = context.shard.read(request, context.committed);
            return self.answer(asker, response, host);
        }
        let written = self.with_shard(partition, context, host, |shard, around| {
            shard.write(request, asker, around)
        });
        match written {
            Ok(written) => self.write(partition, context, Some(asker), written, host),
            Err(error) => self.fail(asker, error, true, host),
        }
    }

    fn timed_out(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        (timer, timeout, handle): (S::Timer, S::Timeout, Handle),
        host: &mut impl Host,
    ) {
        // Taken back or set anew while the event waited.
        if context.timers.get(&timer) != Some(&handle) || context.state != CoordinatorState::Active {
            return;
        }
        context.timers.remove(&timer);
        let written = self.with_shard(partition, context, host, |shard, around| {
            shard.timed_out(timer, timeout, around)
        });
        self.write(partition, context, None, written, host);
    }

    /// Lets the shard act, and does what it asks for.
    pub(super) fn with_shard<R>(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        host: &mut impl Host,
        act: impl FnOnce(&mut S, &mut Around<'_, S::Timer, S::Timeout>) -> R,
    ) -> R {
        let (settings, configs, image) = host.view();
        let mut around = Around {
            wall: host.wall(),
            settings,
            configs,
            image,
            mutations: host.mutations(),
            effects: &mut self.effects,
        };
        let result = act(&mut context.shard, &mut around);
        let mut effects = std::mem::take(&mut self.effects);
        let now = host.monotonic();
        for change in effects.timers.drain(..) {
            let (timer, set) = match change {
                TimerChange::ScheduleIfAbsent(timer, ..) if context.timers.contains_key(&timer) => continue,
                TimerChange::ScheduleIfAbsent(timer, after, timeout)
                | TimerChange::Schedule(timer, after, timeout) => (timer, Some((after, timeout))),
                TimerChange::Cancel(timer) => (timer, None),
            };
            if let Some(before) = context.timers.remove(&timer) {
                self.timers.cancel(before);
            }
            if let Some((after, timeout)) = set {
                let task = Task::Shard(partition, timer, timeout);
                context.timers.insert(timer, self.timers.add(now + after, task));
            }
        }
        effects.notes.drain(..).for_each(|note| host.note(note));
        for (asker, response) in effects.answers.drain(..) {
            self.answer(asker, response, host);
        }
        self.effects = effects;
        result
    }

    /// Answers a request, if it was not answered before.
    pub(super) fn answer(&mut self, asker: ResponseId, response: Response, host: &mut impl Host) {
        if let Some(asker) = self.askers.remove(&asker) {
            host.answer(asker, response);
        }
    }

    /// Answers a request with an error, if it was not answered before.
    pub(super) fn fail(
        &mut self,
        asker: ResponseId,
        error: ErrorCode,
        was_write: bool,
        host: &mut impl Host,
    ) {
        if let Some(asker) = self.askers.remove(&asker) {
            let mut response = asker.refusal.clone();
            S::refuse(&mut response, error, was_write);
            host.answer(asker, response);
        }
    }
}
