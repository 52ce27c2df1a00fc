//! A Java producer of 4.3 and the application above it.
//!
//! Two lanes: the application's thread ([`application`]) and the I/O thread ([`sender`]); they share the queues of
//! batches, the memory, the metadata and the sequence numbers, each under a lock of its own in Kafka. The cuts between
//! their steps are named in [`crate::cuts`].
//!
//! | timer | clock | starts | fires |
//! |---|---|---|---|
//! | `linger.ms` | wall | batch is created | the batch is ready |
//! | `retry.backoff.ms` | wall | batch is put back | it may be drained; at once if the leader epoch grew |
//! | `delivery.timeout.ms` | wall | batch is created | callbacks get REQUEST_TIMED_OUT; its request stays in flight |
//! | `max.block.ms` | wall (metadata), monotonic (memory) | `send` | REQUEST_TIMED_OUT |
//!
//! Time-outs of requests and connections are [`crate::client`]'s; how answers end batches is a table in [`completion`].

mod accumulator;
mod application;
mod batch;
mod buffer_pool;
mod completion;
mod core;
mod draining;
mod partitioner;
mod producer_id;
mod reenqueueing;
mod sender;
mod still;
#[cfg(test)]
mod tests;
mod transactions;

use std::sync::Arc;

use ktrial_sim::{Context, Duration, Input, Time};

use self::accumulator::Wakeup;
use self::application::{APPLICATION, APPLICATION_CUT, Application, Standing};
use self::core::Core;
use self::sender::{GATHERED, SENDER, SENDER_CUT};
use crate::client::{Environment, SocketEvent, draw};
use crate::kafka::{Kafka, Signal, site};
use crate::notes::{ClientNote, Note};
use crate::specification::{ClusterSpecification, ProducerSpecification, SendOperation};

pub use partitioner::{murmur2, partition_for_key};

const STARTED: u32 = 0;

/// A producer's process.
pub struct Producer {
    cluster: Arc<ClusterSpecification>,
    specification: ProducerSpecification,
    application: Application,
    core: Core,
    /// The process has come as far as its `main`.
    started: bool,
    /// Times of the workload count from the first start of the process.
    first_start: Option<Time>,
    quiesced: bool,
}

impl Producer {
    /// A producer that has not started.
    pub fn new(cluster: Arc<ClusterSpecification>, specification: ProducerSpecification) -> Self {
        Producer {
            core: Core::new(&specification, cluster.mutations),
            cluster,
            specification,
            application: Application {
                standing: Standing::Waiting,
                next: 0,
                origin: Time::ZERO,
            },
            started: false,
            first_start: None,
            quiesced: false,
        }
    }

    /// How many sends of this process have no outcome yet.
    pub fn pending(&self) -> u32 {
        self.core.pending
    }

    /// Whether nothing more will be sent and every send of this process has its outcome.
    pub fn is_drained(&self) -> bool {
        let over = self.application.next >= self.specification.workload.len();
        (self.quiesced || over) && self.core.pending == 0
    }

    /// How many operations of the workload were begun, over all processes.
    pub fn operations_begun(&self) -> usize {
        self.application.next
    }

    /// The process starts.
    pub fn boot(&mut self, context: &mut Context<'_, Kafka>) {
        self.boot_in(context);
    }

    /// Works through one input.
    pub fn handle(&mut self, input: Input<Kafka>, context: &mut Context<'_, Kafka>) {
        self.handle_in(input, context);
    }

    /// `new KafkaProducer(...)` in a process that does something else: it sends what it is told to, at once. What the
    /// process before did not come to send is forgotten.
    pub(crate) fn begin(&mut self, environment: &mut impl Environment) {
        self.core = Core::new(&self.specification, self.cluster.mutations);
        let begun = &self.specification.workload[..self.application.next];
        self.specification.workload = Arc::from(begun);
        self.application.standing = Standing::Waiting;
        self.application.origin = environment.monotonic();
        self.started = true;
        self.core.wake(environment);
        self.go_on(environment);
    }

    /// How many sends there were, over all processes.
    pub fn operations(&self) -> usize {
        self.specification.workload.len()
    }

    /// `send`, behind those that wait.
    pub(crate) fn send(&mut self, key: Option<u32>, bytes: u32, environment: &mut impl Environment) {
        let operation = SendOperation {
            after: Duration::ZERO,
            key,
            bytes,
        };
        let before = self.specification.workload.iter().copied();
        self.specification.workload = before.chain([operation]).collect();
        self.go_on(environment);
    }

    fn boot_in(&mut self, environment: &mut impl Environment) {
        self.core = Core::new(&self.specification, self.cluster.mutations);
        self.started = false;
        self.application.standing = match self.quiesced {
            true => Standing::Done,
            false => Standing::Waiting,
        };
        environment.note(Note::Client(ClientNote::Started));
        let (least, most) = self.cluster.capacity.client_start;
        let spread = most.saturating_sub(least).0;
        let after = Duration(least.0 + draw(environment, site::PROCESS_START, 0, spread + 1));
        environment.alarm(STARTED, after);
        self.application.origin = *self.first_start.get_or_insert(environment.monotonic());
    }

    pub(crate) fn handle_in(&mut self, input: Input<Kafka>, environment: &mut impl Environment) {
        if !self.started {
            match input {
                Input::Alarm(STARTED) => {
                    self.started = true;
                    environment.note(Note::Client(ClientNote::Runs));
                    self.core.wake(environment);
                }
                Input::Signal(Signal::Terminate) => {
                    environment.note(Note::Client(ClientNote::Closed));
                    return environment.exit();
                }
                Input::Signal(Signal::Quiesce) => self.quiesce(),
                _ => return,
            }
        } else {
            self.dispatch(input, environment);
        }
        if self.started {
            self.go_on(environment);
        }
    }

    fn dispatch(&mut self, input: Input<Kafka>, environment: &mut impl Environment) {
        match input {
            Input::Timer(APPLICATION) => self.step(environment),
            Input::Timer(SENDER) => self.sender_timer(environment),
            Input::Alarm(SENDER_CUT) => self.core.cut_is_over(environment),
            Input::Alarm(APPLICATION_CUT) => {
                self.application.cut_is_over();
                self.core.wake(environment);
            }
            Input::Alarm(GATHERED) => {
                self.core.gathering = false;
                self.core.time_is_up(environment);
            }
            Input::Signal(Signal::Terminate) => {
                environment.note(Note::Client(ClientNote::Closes));
                self.application_ends();
                self.core.closing = true;
                self.core.accumulator.closed = true;
                self.core.wake(environment);
            }
            Input::Signal(Signal::Quiesce) => self.quiesce(),
            other => {
                if let Ok(event) = SocketEvent::of(other) {
                    self.arrived(event, environment);
                }
            }
        }
    }

    fn quiesce(&mut self) {
        self.quiesced = true;
        self.application_ends();
    }

    /// What waits in `send` stays there.
    fn application_ends(&mut self) {
        if let Standing::Waiting = self.application.standing {
            self.application.standing = Standing::Done;
        }
    }

    fn arrived(&mut self, event: SocketEvent, environment: &mut impl Environment) {
        self.core.inbox.push_back(event);
        self.core.still = None;
        if !self.is_late(environment) {
            self.core.wake(environment);
        }
    }

    /// Whether the sender's thread should have run earlier (the process was paused): then it finds everything that
    /// happened meanwhile in one select.
    fn is_late(&mut self, environment: &mut impl Environment) -> bool {
        let late = environment.monotonic() > self.core.select_until + Duration::millis(1);
        if late && !self.core.gathering {
            self.core.gathering = true;
            self.core.select_until = Time::NEVER;
            environment.alarm(GATHERED, Duration::ZERO);
        }
        self.core.gathering
    }

    fn sender_timer(&mut self, environment: &mut impl Environment) {
        if !self.is_late(environment) {
            self.core.time_is_up(environment);
        }
    }

    /// The application goes on, and wakes the sender if it has to.
    fn step(&mut self, environment: &mut impl Environment) {
        let workload = &self.specification.workload;
        match self.application.step(&mut self.core, workload, environment) {
            Wakeup::None => {}
            Wakeup::News => self.core.wake(environment),
            Wakeup::NoNews => self.core.wake_without_news(environment),
        }
    }

    /// Lets the application do what the sender's step made possible, and the other way round.
    fn go_on(&mut self, environment: &mut impl Environment) {
        loop {
            if self.quiesced || self.core.closing {
                self.application_ends();
            }
            let now = environment.monotonic();
            if !self
                .application
                .can_go_on(&self.core, &self.specification.workload, now)
            {
                break;
            }
            self.step(environment);
        }
        if self.core.ended {
            environment.note(Note::Client(ClientNote::Closed));
            environment.exit();
        } else {
            self.application
                .schedule(&self.specification.workload, environment);
        }
    }
}
