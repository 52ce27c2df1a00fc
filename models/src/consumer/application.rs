//! A consumer's process: its threads' turns, and what the application does with records.
//!
//! Poll; commit, if it commits before; process each record for a drawn while; commit, if it commits after; and again. A
//! client that throws ends the application, which closes the client.

use std::sync::Arc;

use ktrial_sim::{Context, Duration, Input, Time, TimerSlot};

use super::calls::{Calls, Progress, Returned, Wait};
use super::commits::{CommitFor, Offsets};
use super::member::Member;
use super::timer::Timer;
use crate::client::{Environment, SocketEvent, draw};
use crate::ids::{Offset, PartitionId};
use crate::kafka::{Kafka, Signal, site};
use crate::notes::{ClientNote, Note};
use crate::protocol::{CommittedOffset, Message};
use crate::reader::core::Handed;
use crate::specification::{ClusterSpecification, CommitStyle, ConsumerSpecification};

/// The application's thread: a select ends, or a sleep, or work on a record.
const APPLICATION: TimerSlot = TimerSlot(0);
/// The heartbeat thread's `wait` ends.
const HEARTBEAT: TimerSlot = TimerSlot(1);
const STARTED: u32 = 0;
const GATHERED: u32 = 1;

/// `KafkaConsumer.close` without a time-out of its own.
const CLOSE_TIMEOUT: Duration = Duration::secs(30);
/// Polls that do not wait take time all the same; so many in one instant count as this.
const POLLS_IN_AN_INSTANT: u32 = 16;
const POLL_COST: Duration = Duration::micros(100);

/// Where the application's thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thread {
    /// In a select, which ends by itself at this time of the monotonic clock.
    Selects(Time),
    /// It sleeps, or works on a record.
    Busy,
}

/// What the application is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Starting,
    Polling,
    CommittingBefore,
    Processing,
    CommittingAfter,
    /// It stalls, with records or without.
    Stalling,
    Closing,
}

/// A consumer's process.
pub struct Consumer {
    cluster: Arc<ClusterSpecification>,
    specification: Arc<ConsumerSpecification>,
    member: Member,
    calls: Calls,
    thread: Thread,
    doing: Doing,
    gathering: bool,
    instant: (Time, u32),
    /// What the last poll returned, and which record of it comes next.
    records: Vec<Handed>,
    next: (usize, u32),
    /// Where the next poll goes on, of what the last one returned.
    ends: Offsets,
    /// How much longer the next thing takes.
    stall: Duration,
    ending: bool,
}

impl Consumer {
    /// A consumer that has not started.
    pub fn new(cluster: Arc<ClusterSpecification>, specification: Arc<ConsumerSpecification>) -> Self {
        Consumer {
            member: Member::new(Arc::clone(&cluster), Arc::clone(&specification), Time::ZERO),
            cluster,
            specification,
            calls: Calls::new(Timer::new(Time::ZERO, Duration::ZERO)),
            thread: Thread::Busy,
            doing: Doing::Starting,
            gathering: false,
            instant: (Time::ZERO, 0),
            records: Vec::new(),
            next: (0, 0),
            ends: Offsets::new(),
            stall: Duration::ZERO,
            ending: false,
        }
    }

    /// The partitions it owns, with their positions.
    pub fn positions(&self) -> impl Iterator<Item = (PartitionId, Option<Offset>)> {
        self.member.core.assigned.iter().map(|assigned| {
            let offset = assigned.position.map(|position| position.offset);
            (assigned.partition, offset)
        })
    }

    /// Whether it is a member with an assignment and nothing says that it should join again.
    pub fn is_settled(&self) -> bool {
        self.member.state == super::member::MemberState::Stable && !self.member.rejoin_needed
    }

    /// Whether its application has finished with all it was given.
    pub fn is_idle(&self) -> bool {
        self.doing == Doing::Polling
    }

    /// The process starts.
    pub fn boot(&mut self, context: &mut Context<'_, Kafka>) {
        self.boot_in(context);
    }

    /// Works through one input.
    pub fn handle(&mut self, input: Input<Kafka>, context: &mut Context<'_, Kafka>) {
        self.handle_in(input, context);
    }

    pub(super) fn boot_in(&mut self, environment: &mut impl Environment) {
        *self = Consumer::new(Arc::clone(&self.cluster), Arc::clone(&self.specification));
        environment.note(Note::Client(ClientNote::Started));
        let (least, most) = self.cluster.capacity.client_start;
        let spread = most.saturating_sub(least).0;
        let after = Duration(least.0 + draw(environment, site::PROCESS_START, 0, spread + 1));
        environment.alarm(STARTED, after);
    }

    pub(super) fn handle_in(&mut self, input: Input<Kafka>, environment: &mut impl Environment) {
        let inbox = &mut self.member.core.inbox;
        match input {
            Input::Alarm(STARTED) => return self.start(environment),
            Input::Signal(Signal::Terminate) if self.doing == Doing::Starting => {
                environment.note(Note::Client(ClientNote::Closed));
                return environment.exit();
            }
            Input::Signal(Signal::Terminate) => {
                self.ending = true;
                return;
            }
            Input::Signal(Signal::Stall(span)) => {
                self.stall = self.stall.saturating_add(span);
                return;
            }
            Input::Connected(connection) => inbox.push_back(SocketEvent::Connected(connection)),
            Input::Closed(connection, _) => inbox.push_back(SocketEvent::Closed(connection)),
            Input::Message(connection, Message::Response(correlation, response)) => {
                inbox.push_back(SocketEvent::Received(connection, correlation, response));
            }
            Input::Alarm(GATHERED) => self.gathering = false,
            Input::Timer(APPLICATION) if self.thread == Thread::Busy => return self.go_on(environment),
            Input::Timer(HEARTBEAT) if self.thread == Thread::Busy => {
                self.member.run_heartbeat_thread(environment);
                return self.wake_heartbeat_thread(environment);
            }
            Input::Timer(APPLICATION) => {}
            _ => return,
        }
        if let Thread::Selects(until) = self.thread
            && !self.is_late(until, environment)
        {
            self.after_select(environment);
            self.run(environment);
        }
    }

    fn start(&mut self, environment: &mut impl Environment) {
        environment.note(Note::Client(ClientNote::Runs));
        let (cluster, specification) = (Arc::clone(&self.cluster), Arc::clone(&self.specification));
        self.member = Member::new(cluster, specification, environment.wall());
        self.poll(environment);
        self.run(environment);
    }

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

    /// The heartbeat thread gets the network between two of the application's selects.
    fn heartbeat_turn(&mut self, environment: &mut impl Environment) {
        if self.member.heartbeat_thread_runs(environment.monotonic()) {
            self.member.run_heartbeat_thread(environment);
        }
    }

    fn wake_heartbeat_thread(&mut self, environment: &mut impl Environment) {
        match self.member.thread.wakes {
            Some(wakes) => environment.set_timer(HEARTBEAT, wakes.since(environment.monotonic())),
            None => environment.clear_timer(HEARTBEAT),
        }
    }

    /// Runs the application's thread until it waits.
    fn run(&mut self, environment: &mut impl Environment) {
        loop {
            let waits = match self.calls.run(&mut self.member, environment) {
                Progress::Waits(Wait::Select(most)) => self.select(most, environment),
                Progress::Waits(Wait::Sleep(span)) => self.is_busy(span, environment),
                Progress::Returned(returned) => self.returned(returned, environment),
            };
            if waits {
                return;
            }
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

    fn is_busy(&mut self, span: Duration, environment: &mut impl Environment) -> bool {
        self.heartbeat_turn(environment);
        if span == Duration::ZERO {
            return false;
        }
        self.thread = Thread::Busy;
        environment.set_timer(APPLICATION, span);
        self.wake_heartbeat_thread(environment);
        true
    }

    /// A sleep is over, or work.
    fn go_on(&mut self, environment: &mut impl Environment) {
        let waits = match self.doing {
            Doing::Processing => {
                self.finish_record(environment);
                self.process(environment)
            }
            Doing::Stalling => self.work(environment),
            _ => false,
        };
        if !waits {
            self.run(environment);
        }
    }

    fn poll(&mut self, environment: &mut impl Environment) {
        self.doing = Doing::Polling;
        let timeout = self.specification.application.poll_timeout;
        self.calls.poll(Timer::new(environment.wall(), timeout));
    }

    /// The application's call returned. Whether the thread waits.
    fn returned(&mut self, returned: Returned, environment: &mut impl Environment) -> bool {
        match (self.doing, returned) {
            (Doing::Closing, _) => {
                self.member.core.shut_down(environment);
                environment.note(Note::Client(ClientNote::Closed));
                environment.exit();
                true
            }
            (Doing::CommittingBefore | Doing::CommittingAfter, returned) => {
                self.committed(returned, environment)
            }
            (_, Err(exception)) => {
                environment.note(Note::Client(ClientNote::Died(exception.name())));
                self.close(environment);
                false
            }
            (_, Ok(_)) => {
                self.take_records();
                if self.stall > Duration::ZERO {
                    self.doing = Doing::Stalling;
                    let span = std::mem::take(&mut self.stall);
                    return self.is_busy(span, environment);
                }
                self.work(environment)
            }
        }
    }

    fn take_records(&mut self) {
        let core = &mut self.member.core;
        let handed = core.handed.as_mut().expect("what is handed out is kept");
        self.records.clear();
        self.records.append(handed);
        self.next = (0, 0);
        self.ends.clear();
        for handed in &self.records {
            let known = self
                .ends
                .iter()
                .any(|(partition, _)| *partition == handed.partition);
            let Some(index) = core.index_of(handed.partition).filter(|_| !known) else {
                continue;
            };
            if let Some(position) = core.assigned[index].position {
                let committed = CommittedOffset {
                    offset: position.offset,
                    leader_epoch: position.epoch,
                };
                self.ends.push((handed.partition, committed));
            }
        }
    }

    /// Begins with what a poll returned. Whether the thread waits.
    fn work(&mut self, environment: &mut impl Environment) -> bool {
        match self.specification.application.commit {
            CommitStyle::Before if !self.records.is_empty() => {
                self.commit_sync(Doing::CommittingBefore, environment);
                false
            }
            _ => self.process(environment),
        }
    }

    fn commit_sync(&mut self, doing: Doing, environment: &mut impl Environment) {
        self.doing = doing;
        let commit = self.member.commit(self.ends.clone(), CommitFor::Sync);
        let timeout = self.specification.reader.settings.default_api_timeout_ms;
        self.calls
            .commit_sync(commit, Timer::new(environment.wall(), timeout));
    }

    fn committed(&mut self, returned: Returned, environment: &mut impl Environment) -> bool {
        let result = match returned {
            Ok(true) => Ok(()),
            Ok(false) => Err(super::exception::Exception::TimedOut),
            Err(exception) => Err(exception),
        };
        let commit = self.member.commit(self.ends.clone(), CommitFor::Sync);
        self.member.tell_commit(&commit, result, environment);
        match (self.doing, result) {
            (Doing::CommittingBefore, Ok(())) => self.process(environment),
            _ => self.again(environment),
        }
    }

    /// Works on the next record. Whether the thread waits.
    fn process(&mut self, environment: &mut impl Environment) -> bool {
        self.doing = Doing::Processing;
        let (least, most) = self.specification.application.processing;
        while let Some(handed) = self.records.get(self.next.0) {
            if most == Duration::ZERO && self.stall == Duration::ZERO {
                let rest = handed.count - self.next.1;
                self.tell_processed(rest, environment);
                continue;
            }
            let offset = handed.from.0 + u64::from(self.next.1);
            let name = u64::from(handed.partition.0) << 40 | offset;
            let spread = most.saturating_sub(least).0 + 1;
            let takes = least.0 + draw(environment, site::PROCESSING, name, spread);
            let span = Duration(takes).saturating_add(std::mem::take(&mut self.stall));
            if self.is_busy(span, environment) {
                return true;
            }
            self.finish_record(environment);
        }
        self.processed(environment)
    }

    fn finish_record(&mut self, environment: &mut impl Environment) {
        self.tell_processed(1, environment);
    }

    /// The next `count` records of a batch are done with.
    fn tell_processed(&mut self, count: u32, environment: &mut impl Environment) {
        let handed = self.records[self.next.0];
        environment.note(Note::Client(ClientNote::Processed {
            partition: handed.partition,
            from: handed.from.plus(u64::from(self.next.1)),
            batch: handed.batch,
            first: handed.first + self.next.1,
            count,
        }));
        self.next.1 += count;
        if self.next.1 == handed.count {
            self.next = (self.next.0 + 1, 0);
        }
    }

    /// All records of the poll are processed.
    fn processed(&mut self, environment: &mut impl Environment) -> bool {
        let commit = self.specification.application.commit;
        if !self.ends.is_empty() && commit == CommitStyle::After {
            self.commit_sync(Doing::CommittingAfter, environment);
            return false;
        }
        if !self.ends.is_empty() && commit == CommitStyle::AfterAsync {
            let commit = self.member.commit(self.ends.clone(), CommitFor::Async);
            if let Err(exception) = self.member.commit_async(commit, environment) {
                environment.note(Note::Client(ClientNote::Died(exception.name())));
                self.ending = true;
            }
        }
        self.again(environment)
    }

    /// The next poll, or the end.
    fn again(&mut self, environment: &mut impl Environment) -> bool {
        match self.ending {
            true => self.close(environment),
            false => self.poll(environment),
        }
        false
    }

    fn close(&mut self, environment: &mut impl Environment) {
        environment.note(Note::Client(ClientNote::Closes));
        self.doing = Doing::Closing;
        self.calls.close(Timer::new(environment.wall(), CLOSE_TIMEOUT));
    }
}
