//! A Java reader of 4.3 and the application above it: `KafkaConsumer` with `assign`, without a group.
//!
//! One lane: `poll` does everything on the application's thread (`ClassicKafkaConsumer`). The application polls for
//! 100 ms, again and again; `poll` returns earlier with records. After an exception the application waits as long, but
//! one for a partition without a position and without a policy for it (`NoOffsetForPartitionException`) ends it: the next
//! `poll` would throw it again.
//!
//! | timer | clock | starts | ends |
//! |---|---|---|---|
//! | `poll` | wall | the call | records are there |
//! | `retry.backoff.ms` | wall | a position could not be found or checked | the next try |
//! | `request.timeout.ms` of a position request | wall | it is asked | another try is allowed |
//! | preferred replica | wall | it is told | `metadata.max.age.ms`, a new leader, a failed fetch |
//!
//! Time-outs of requests and connections are [`crate::client`]'s; errors of fetches are a table in [`collect`].

pub(crate) mod collect;
pub(crate) mod core;
mod fetching;
mod positions;
mod session;
pub(crate) mod subscription;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ktrial_sim::{Context, Duration, Input, Time, TimerSlot};

use self::collect::Collected;
use self::core::Core;
use crate::client::{Environment, Limits, SocketEvent, draw};
use crate::ids::{Offset, PartitionId};
use crate::kafka::{Kafka, Signal, site};
use crate::notes::{ClientNote, Note};
use crate::specification::{ClusterSpecification, ReaderSpecification};

pub use subscription::Position;

const POLL: TimerSlot = TimerSlot(0);
const STARTED: u32 = 0;
const GATHERED: u32 = 1;

/// How long each `poll` of the application may last.
const POLL_TIMEOUT: Duration = Duration::millis(100);

/// What `poll` threw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thrown {
    /// What a fetch was answered cannot be used.
    ByFetch,
    /// A partition has no position, and `auto.offset.reset=none`.
    NoOffset,
    /// A position is gone with what was truncated, and there is no policy.
    Truncated,
}

/// A reader's process.
pub struct Reader {
    cluster: Arc<ClusterSpecification>,
    specification: ReaderSpecification,
    core: Core,
    started: bool,
    /// When the poll in hand returns empty, by the wall clock.
    poll_until: Time,
    /// When the select ends by itself, on the monotonic clock.
    select_until: Time,
    /// Up to when the thread finds nothing to do unless something arrives; none if it may.
    idle_until: Option<Limits>,
    gathering: bool,
    /// The application waits after an exception, until then on the monotonic clock.
    resting_until: Option<Time>,
}

impl Reader {
    /// A reader that has not started.
    pub fn new(cluster: Arc<ClusterSpecification>, specification: ReaderSpecification) -> Self {
        Reader {
            core: Core::new(&specification, cluster.mutations),
            cluster,
            specification,
            started: false,
            poll_until: Time::ZERO,
            select_until: Time::NEVER,
            idle_until: None,
            gathering: false,
            resting_until: None,
        }
    }

    /// The next offset to hand out of a partition; none if there is no position.
    pub fn position(&self, partition: PartitionId) -> Option<Offset> {
        let index = self.core.index_of(partition)?;
        self.core.assigned[index].position.map(|position| position.offset)
    }

    /// The partitions it reads, with their positions.
    pub fn positions(&self) -> impl Iterator<Item = (PartitionId, Option<Offset>)> {
        self.core.assigned.iter().map(|assigned| {
            let offset = assigned.position.map(|position| position.offset);
            (assigned.partition, offset)
        })
    }

    /// The process starts.
    pub fn boot(&mut self, context: &mut Context<'_, Kafka>) {
        self.boot_in(context);
    }

    /// Works through one input.
    pub fn handle(&mut self, input: Input<Kafka>, context: &mut Context<'_, Kafka>) {
        self.handle_in(input, context);
    }

    fn boot_in(&mut self, environment: &mut impl Environment) {
        *self = Reader::new(Arc::clone(&self.cluster), self.specification.clone());
        environment.note(Note::Client(ClientNote::Started));
        let (least, most) = self.cluster.capacity.client_start;
        let spread = most.saturating_sub(least).0;
        let after = Duration(least.0 + draw(environment, site::PROCESS_START, 0, spread + 1));
        environment.alarm(STARTED, after);
    }

    fn handle_in(&mut self, input: Input<Kafka>, environment: &mut impl Environment) {
        if !self.started {
            match input {
                Input::Alarm(STARTED) => {
                    self.started = true;
                    environment.note(Note::Client(ClientNote::Runs));
                    self.poll_until = environment.wall() + POLL_TIMEOUT;
                }
                Input::Signal(Signal::Terminate) => {
                    environment.note(Note::Client(ClientNote::Closed));
                    return environment.exit();
                }
                _ => return,
            }
        }
        match SocketEvent::of(input) {
            Ok(event) => self.core.inbox.push_back(event),
            Err(Input::Alarm(GATHERED)) => self.gathering = false,
            Err(Input::Alarm(STARTED) | Input::Timer(POLL)) => {}
            Err(Input::Signal(Signal::Terminate)) => {
                environment.note(Note::Client(ClientNote::Closes));
                self.core.shut_down(environment);
                environment.note(Note::Client(ClientNote::Closed));
                return environment.exit();
            }
            Err(_) => return,
        }
        if self.is_late(environment) || self.rests(environment) {
            return;
        }
        match self.is_idle(environment) {
            true => self.poll_idly(environment),
            false => self.poll(environment),
        }
    }

    /// Whether the poll in hand has nothing to look at, and neither has the next one unless something arrives.
    fn is_idle(&self, environment: &mut impl Environment) -> bool {
        let is_before = |until: Limits| {
            environment.wall() + POLL_TIMEOUT < until.wall
                && environment.monotonic() + POLL_TIMEOUT < until.monotonic
        };
        self.core.inbox.is_empty() && self.idle_until.is_some_and(is_before)
    }

    /// Whether the thread should have run earlier (the process was paused): then it finds everything that happened
    /// meanwhile in one select.
    fn is_late(&mut self, environment: &mut impl Environment) -> bool {
        let late = environment.monotonic() > self.select_until + Duration::millis(1);
        if late && !self.gathering {
            self.gathering = true;
            self.select_until = Time::NEVER;
            environment.alarm(GATHERED, Duration::ZERO);
        }
        self.gathering
    }

    fn rests(&mut self, environment: &mut impl Environment) -> bool {
        if self
            .resting_until
            .is_some_and(|until| environment.monotonic() < until)
        {
            return true;
        }
        self.resting_until = None;
        false
    }

    fn rest(&mut self, environment: &mut impl Environment) {
        self.resting_until = Some(environment.monotonic() + POLL_TIMEOUT);
        self.select_until = Time::NEVER;
        self.idle_until = None;
        environment.set_timer(POLL, POLL_TIMEOUT);
    }

    /// From the end of one select to the beginning of the next (`ClassicKafkaConsumer.poll`, over and over).
    fn poll(&mut self, environment: &mut impl Environment) {
        loop {
            self.core.after_select(environment);
            let wait = match self.between_selects(environment) {
                Ok(wait) => wait,
                Err(Thrown::ByFetch) => return self.rest(environment),
                Err(Thrown::NoOffset) => return self.dies("NoOffsetForPartitionException", environment),
                Err(Thrown::Truncated) => return self.dies("LogTruncationException", environment),
            };
            let at_once = self.core.has_unreported_sends() || !self.core.inbox.is_empty();
            if wait > Duration::ZERO && !at_once {
                self.idle_until = self.core.idle_until();
                return self.select(wait, environment);
            }
        }
    }

    /// What [`Reader::poll`] comes to when nothing has changed: the application calls it again when its time is up.
    fn poll_idly(&mut self, environment: &mut impl Environment) {
        let left = self.rest_of_poll(environment.wall());
        let wait = left.min(self.core.network.longest_select());
        self.select(wait, environment);
    }

    fn select(&mut self, wait: Duration, environment: &mut impl Environment) {
        self.select_until = environment.monotonic() + wait;
        environment.set_timer(POLL, wait);
    }

    /// How long the `poll` in hand may last, or the next one if it is over.
    fn rest_of_poll(&mut self, now: Time) -> Duration {
        if now >= self.poll_until || self.poll_until > now + POLL_TIMEOUT {
            self.poll_until = now + POLL_TIMEOUT;
        }
        self.poll_until.since(now)
    }

    /// The exception leaves the application's loop, and the client is closed.
    fn dies(&mut self, exception: &'static str, environment: &mut impl Environment) {
        environment.note(Note::Client(ClientNote::Died(exception)));
        self.core.shut_down(environment);
        environment.note(Note::Client(ClientNote::Closed));
        environment.exit();
    }

    /// Hands out what there is and asks for more. How long the next select lasts.
    fn between_selects(&mut self, environment: &mut impl Environment) -> Result<Duration, Thrown> {
        loop {
            match self.core.collect(environment) {
                Collected::Exception => return Err(Thrown::ByFetch),
                Collected::Records(0) => break,
                Collected::Records(_) | Collected::Moved => {
                    // Before it returns records poll sends the next fetches; the application calls it again.
                    self.core.validate_on_metadata_change();
                    self.core.send_fetches(environment);
                    self.poll_until = environment.wall() + POLL_TIMEOUT;
                }
            }
        }
        let now = environment.wall();
        let mut most = self.rest_of_poll(now);
        self.core.assign();
        if self.core.throw_truncation().is_err() {
            return Err(Thrown::Truncated);
        }
        if !self.core.update_positions(environment) {
            return Err(Thrown::NoOffset);
        }
        self.core.send_fetches(environment);
        if !self.core.has_all_positions() {
            most = most.min(self.core.client.retry_backoff);
        }
        if self.core.has_available() {
            most = Duration::ZERO;
        }
        Ok(self.core.before_select(most, environment))
    }
}

#[cfg(test)]
mod settings_tests;
