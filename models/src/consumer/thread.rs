//! The client's threads: the application's in its calls, and the turns of the heartbeat thread.

use std::sync::Arc;

use ktrial_sim::{Duration, Input, Time, TimerSlot};

use super::calls::{Calls, Progress, Wait};
use super::commits::CommitFor;
use super::exception::Exception;
use super::member::{Member, MemberState};
use super::timer::Timer;
use crate::application::{Callback, ConsumerClient, Event, Positions, Returned, Woken};
use crate::client::{Environment, SocketEvent};
use crate::ids::{GenerationId, PartitionId};
use crate::kafka::Kafka;
use crate::protocol::CommittedOffset;
use crate::reader::core::Handed;
use crate::reader::subscription::Position;
use crate::specification::{ClusterSpecification, ConsumerSpecification};

/// The application's thread: a select ends, or a sleep, or it comes back.
const APPLICATION: TimerSlot = TimerSlot(0);
/// The heartbeat thread's `wait` ends.
const HEARTBEAT: TimerSlot = TimerSlot(1);
const GATHERED: u32 = 1;

/// Polls that do not wait take time all the same; so many in one instant count as this.
const POLLS_IN_AN_INSTANT: u32 = 16;
const POLL_COST: Duration = Duration::micros(100);

/// Where the application's thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thread {
    /// In a select, which ends by itself at this time of the monotonic clock.
    Selects(Time),
    /// It sleeps in a call.
    Sleeps,
    /// Not in a call of this client.
    Away,
}

/// A member of a classic group with its threads (`ClassicKafkaConsumer`).
#[derive(Debug)]
pub struct ClassicConsumer {
    member: Member,
    calls: Calls,
    thread: Thread,
    gathering: bool,
    instant: (Time, u32),
    /// What the application's `commitSync` commits.
    committing: Option<Positions>,
}

impl ConsumerClient for ClassicConsumer {
    fn new(
        cluster: &Arc<ClusterSpecification>,
        specification: &Arc<ConsumerSpecification>,
        now: Time,
    ) -> Self {
        ClassicConsumer {
            member: Member::new(Arc::clone(cluster), Arc::clone(specification), now),
            calls: Calls::new(Timer::new(Time::ZERO, Duration::ZERO)),
            thread: Thread::Away,
            gathering: false,
            instant: (Time::ZERO, 0),
            committing: None,
        }
    }

    fn poll(&mut self, timeout: Duration, environment: &mut impl Environment) {
        self.calls.poll(Timer::new(environment.wall(), timeout));
    }

    fn commit_sync(&mut self, offsets: &Positions, environment: &mut impl Environment) {
        let commit = self.member.commit(offsets.clone(), CommitFor::Sync);
        let timeout = self.member.core.settings.default_api_timeout_ms;
        self.committing = Some(offsets.clone());
        self.calls
            .commit_sync(commit, Timer::new(environment.wall(), timeout));
    }

    /// No longer than `request.timeout.ms` (`ClassicKafkaConsumer.createTimerForRequest`).
    fn close(&mut self, timeout: Duration, environment: &mut impl Environment) {
        let timeout = timeout.min(self.member.core.client.request_timeout);
        self.calls.close(Timer::new(environment.wall(), timeout));
    }

    fn run(&mut self, environment: &mut impl Environment) -> Option<Event> {
        loop {
            let waits = match self.calls.run(&mut self.member, environment) {
                Progress::Waits(Wait::Select(most)) => self.select(most, environment),
                Progress::Waits(Wait::Sleep(span)) => self.leave(Thread::Sleeps, span, environment),
                Progress::Returned(returned) => {
                    self.tell_commit(returned, environment);
                    return Some(Event::Returned(returned));
                }
                Progress::CallsBack(callback) => return Some(Event::CallsBack(callback)),
            };
            if waits {
                return None;
            }
        }
    }

    fn commit_async(
        &mut self,
        offsets: &Positions,
        environment: &mut impl Environment,
    ) -> Result<(), Exception> {
        let commit = self.member.commit(offsets.clone(), CommitFor::Async);
        self.member.commit_async(commit, environment)
    }

    fn take_records(&mut self, records: &mut Vec<Handed>) {
        let handed = self.member.core.handed.as_mut();
        records.append(handed.expect("what is handed out is kept"));
    }

    fn take_told(&mut self, callback: Callback, partitions: &mut Vec<PartitionId>) {
        partitions.append(match callback {
            Callback::Assigned => &mut self.member.added,
            Callback::Revoked | Callback::Lost => &mut self.member.removed,
        });
    }

    fn listener_threw(&mut self, exception: Exception) {
        self.member.listener_threw = Some(exception);
    }

    fn seek(&mut self, partition: PartitionId, to: CommittedOffset) {
        self.member.core.seek(partition, to);
    }

    fn pause(&mut self, partition: PartitionId) {
        self.member.core.set_paused(partition, true);
    }

    fn resume(&mut self, partition: PartitionId) {
        self.member.core.set_paused(partition, false);
    }

    fn paused(&self) -> impl Iterator<Item = PartitionId> {
        self.member.core.paused()
    }

    fn generation(&self) -> GenerationId {
        self.member.generation.id
    }

    fn position(&self, partition: PartitionId) -> Option<CommittedOffset> {
        self.member.core.position(partition).map(Position::to_commit)
    }

    fn assignment(&self) -> impl Iterator<Item = PartitionId> {
        self.member
            .core
            .assigned
            .iter()
            .map(|assigned| assigned.partition)
    }

    fn away(&mut self, span: Duration, environment: &mut impl Environment) -> bool {
        self.leave(Thread::Away, span, environment)
    }

    fn handle(&mut self, input: Input<Kafka>, environment: &mut impl Environment) -> Woken {
        match SocketEvent::of(input) {
            Ok(event) => self.member.core.inbox.push_back(event),
            Err(Input::Alarm(GATHERED)) => self.gathering = false,
            Err(Input::Timer(APPLICATION)) => match self.thread {
                Thread::Selects(_) => {}
                Thread::Sleeps => return Woken::InCall,
                Thread::Away => return Woken::Back,
            },
            Err(Input::Timer(HEARTBEAT)) if !matches!(self.thread, Thread::Selects(_)) => {
                self.heartbeat_turn(environment);
                self.wake_heartbeat_thread(environment);
                return Woken::No;
            }
            Err(_) => return Woken::No,
        }
        if let Thread::Selects(until) = self.thread
            && !self.is_late(until, environment)
        {
            self.after_select(environment);
            return Woken::InCall;
        }
        Woken::No
    }

    fn shut_down(&mut self, environment: &mut impl Environment) {
        self.member.core.shut_down(environment);
    }

    fn is_settled(&self) -> bool {
        self.member.state == MemberState::Stable && !self.member.rejoin_needed
    }
}

impl ClassicConsumer {
    /// Whether the thread should have run earlier (the process was paused): then it finds everything that happened
    /// meanwhile in one select.
    fn is_late(&mut self, until: Time, environment: &mut impl Environment) -> bool {
        let late = environment.monotonic() > until + Duration::millis(1);
        if late && !self.gathering {
            self.gathering = true;
            self.thread = Thread::Selects(Time::NEVER);
            environment.alarm(GATHERED, Duration::ZERO);
        }
        self.gathering
    }

    fn after_select(&mut self, environment: &mut impl Environment) {
        self.member.after_select(environment);
        self.heartbeat_turn(environment);
    }

    /// The heartbeat thread gets the network between two of the application's selects, if it can have the lock.
    fn heartbeat_turn(&mut self, environment: &mut impl Environment) {
        if self.calls.keeps_the_lock(&self.member) {
            return;
        }
        if self.member.heartbeat_thread_runs(environment.monotonic()) {
            self.member.run_heartbeat_thread(environment);
        }
    }

    fn wake_heartbeat_thread(&mut self, environment: &mut impl Environment) {
        match self.member.thread.wakes {
            Some(_) if self.calls.keeps_the_lock(&self.member) => environment.clear_timer(HEARTBEAT),
            Some(wakes) => environment.set_timer(HEARTBEAT, wakes.since(environment.monotonic())),
            None => environment.clear_timer(HEARTBEAT),
        }
    }

    /// Whether the select waits.
    fn select(&mut self, most: Duration, environment: &mut impl Environment) -> bool {
        self.heartbeat_turn(environment);
        let core = &mut self.member.core;
        let mut wait = core.before_select(most, environment);
        let now = environment.monotonic();
        let at_once =
            core.has_unreported_sends() || !core.inbox.is_empty() || !core.group_completed.is_empty();
        self.instant = match self.instant {
            (instant, polls) if instant == now => (now, polls + 1),
            _ => (now, 0),
        };
        if self.instant.1 > POLLS_IN_AN_INSTANT {
            wait = wait.max(POLL_COST);
        } else if wait == Duration::ZERO || at_once {
            self.after_select(environment);
            return false;
        }
        self.thread = Thread::Selects(now + wait);
        environment.set_timer(APPLICATION, wait);
        environment.clear_timer(HEARTBEAT);
        true
    }

    /// The application's thread leaves the network to the other one. Whether it does.
    fn leave(&mut self, to: Thread, span: Duration, environment: &mut impl Environment) -> bool {
        self.heartbeat_turn(environment);
        if span == Duration::ZERO {
            return false;
        }
        self.thread = to;
        environment.set_timer(APPLICATION, span);
        self.wake_heartbeat_thread(environment);
        true
    }

    /// A `commitSync` ends, if it is one.
    fn tell_commit(&mut self, returned: Returned, environment: &mut impl Environment) {
        if let Some(offsets) = self.committing.take() {
            let result = match returned {
                Ok(true) => Ok(()),
                Ok(false) => Err(Exception::TimedOut),
                Err(exception) => Err(exception),
            };
            let commit = self.member.commit(offsets, CommitFor::Sync);
            self.member.tell_commit(&commit, result, environment);
        }
    }
}
