//! The application's thread in its calls, and `AsyncKafkaConsumer.poll`; `commitSync` and `close` are in
//! [`super::waiting_calls`].
//!
//! A poll submits an event, unless one is still on its way; runs callbacks of commits and listeners; takes records;
//! waits for the fetch buffer; takes records; and again. Before each step the background runs if it can: a thread that
//! is woken is there before the one that woke it has gone far. The named cuts are where it is not.
//!
//! A poll that would look again and again at once, because there is nothing to be fetched now, looks again when the
//! background has learnt something, or something is due: nobody could tell the difference, but for the processor's
//! load.

use std::collections::VecDeque;

use ktrial_sim::{Duration, Time};

use super::background::Background;
use super::events::{ApplicationEvent, BackgroundEvent, BufferWakeup, PollEvent, Purpose};
use crate::application::{Callback, Positions, Returned};
use crate::client::Environment;
use crate::consumer::commits::{Commit, CommitFor};
use crate::consumer::exception::Exception;
use crate::consumer::member::Future;
use crate::consumer::timer::Timer;
use crate::cuts;
use crate::ids::{GenerationId, MemberEpoch, PartitionId};
use crate::notes::ClientNote;
use crate::reader::collect::Collected;

/// The longest a poll waits where Kafka's would not, while something may become possible by itself.
const LOOK_AGAIN: Duration = Duration::millis(10);

/// What the thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// `FetchBuffer.awaitWakeup`.
    Buffer,
    /// Anything that the background does after this.
    Activity(u64),
    /// The first step of the poll event.
    ReconciliationCheck,
    /// The background applies the assignment.
    Applied,
    /// It has taken the offsets of this commit.
    CommitTaken(u64),
    /// This commit is done.
    AsyncCommit(u64),
    /// The commit of `commitSync` is done.
    SyncCommit,
    /// The member has left.
    Left,
    /// The background has ended.
    Ended,
    /// The other thread goes first.
    Cut,
}

impl Wait {
    /// Whether what is waited for is there.
    pub(super) fn is_over(self, background: &Background) -> bool {
        let hand_over = &background.hand_over;
        match self {
            Wait::Buffer => hand_over.buffer_wakeup.is_some(),
            Wait::Activity(seen) => {
                hand_over.activity != seen || hand_over.buffer_wakeup == Some(BufferWakeup::Data)
            }
            Wait::ReconciliationCheck => hand_over.poll.is_none_or(|poll| poll.reconciliation_checked),
            Wait::Applied => hand_over.applied,
            Wait::CommitTaken(number) => hand_over.commit_ready >= number,
            Wait::AsyncCommit(number) => !hand_over.async_pending.contains(&number),
            Wait::SyncCommit => hand_over.sync_commit.as_ref().is_none_or(Future::is_done),
            Wait::Left => hand_over.leave.is_some_and(|(_, done)| done),
            Wait::Ended => background.has_ended(),
            Wait::Cut => false,
        }
    }
}

/// Where in a call the thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Nowhere,
    /// The loop of `poll`; whether for the first time.
    Iterate(bool),
    Submitted,
    Events,
    Applied,
    /// onPartitionsAssigned has returned.
    Listened,
    /// onPartitionsRevoked or onPartitionsLost has returned.
    Removed,
    /// Before taking records; whether for the second time in this iteration.
    Collect(bool),
    /// The reconciliation check was waited for.
    Checked(bool),
    AwaitBuffer,
    Collected,
    Prefetch,
    Prefetched,

    CommitTaken,
    AsyncAwaited,
    Committed,

    CloseCommits,
    CloseListener,
    CloseListened,
    CloseLeaves,
    CloseAwaits,
    CloseEnds,
    Closed,
}

/// What a step leads to.
pub(super) enum Step {
    On,
    Wait(Wait, Duration),
    /// The application's listener first.
    CallBack(Callback),
    Return(Returned),
}

/// The call the application's thread is in.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) at: At,
    /// Of the call the application made.
    pub(super) timer: Timer,
    /// Whether this iteration of a poll has submitted its event.
    submitted: bool,
    polls: u64,
    events: VecDeque<BackgroundEvent>,
    first_error: Option<Exception>,
    /// The assignment that the background applies.
    applying: (Vec<PartitionId>, Vec<PartitionId>),
    /// What a listener that does something has still to be told of: added partitions.
    pub(super) added: Vec<PartitionId>,
    /// What a listener that does something is called about: revoked or lost partitions.
    pub(super) removed: Vec<PartitionId>,
    /// What the background has taken away, while the listener is called about it.
    removing: Option<(Purpose, Vec<PartitionId>)>,
    pub(super) listener_threw: Option<Exception>,
    /// Where the call goes on whose listener has called `commitSync`, and its timer.
    pub(super) around: Option<(At, Timer)>,
    pub(super) commit: Option<Commit>,
    pub(super) last_async: Option<u64>,
}

impl Calls {
    pub(super) fn new(now: Time) -> Self {
        Calls {
            at: At::Nowhere,
            timer: Timer::new(now, Duration::ZERO),
            submitted: false,
            polls: 0,
            events: VecDeque::new(),
            first_error: None,
            applying: (Vec::new(), Vec::new()),
            added: Vec::new(),
            removed: Vec::new(),
            removing: None,
            listener_threw: None,
            around: None,
            commit: None,
            last_async: None,
        }
    }

    /// `KafkaConsumer.poll`.
    pub(super) fn poll(&mut self, timer: Timer) {
        self.timer = timer;
        self.at = At::Iterate(true);
    }

    /// `KafkaConsumer.commitSync`, maybe in a listener that another call has called.
    pub(super) fn commit_sync(
        &mut self,
        offsets: &Positions,
        timer: Timer,
        background: &mut Background,
        environment: &mut impl Environment,
    ) {
        if self.at != At::Nowhere {
            self.around = Some((self.at, self.timer));
        }
        self.timer = timer;
        let number = background.number();
        let commit = Commit {
            offsets: offsets.clone(),
            by: CommitFor::Sync,
            number,
        };
        self.begin_commit(commit, background, environment);
    }

    /// `KafkaConsumer.commitAsync`.
    pub(super) fn commit_async(
        &mut self,
        offsets: &Positions,
        background: &mut Background,
        environment: &mut impl Environment,
    ) {
        self.call_back(background, environment);
        if offsets.is_empty() {
            return;
        }
        let number = background.number();
        let commit = Commit {
            offsets: offsets.clone(),
            by: CommitFor::Async,
            number,
        };
        self.last_async = Some(number);
        background.hand_over.async_pending.push(number);
        background.add_event(ApplicationEvent::CommitAsync(commit));
    }

    /// `KafkaConsumer.close`: no longer than `request.timeout.ms`.
    pub(super) fn close(&mut self, timer: Timer) {
        self.timer = timer;
        self.at = At::CloseCommits;
    }

    /// One step; how its call goes on.
    pub(super) fn step(&mut self, background: &mut Background, environment: &mut impl Environment) -> Step {
        self.timer.update(environment.wall());
        match self.at {
            At::Nowhere => unreachable!("the thread is in a call"),
            At::Iterate(first) => self.iterate(first, background),
            At::Submitted => {
                self.call_back(background, environment);
                self.events.append(&mut background.hand_over.to_application);
                self.on(At::Events)
            }
            At::Events => self.background_events(background, environment),
            At::Applied => self.assigned_listener(background, environment),
            At::Listened => self.listener_returned(background),
            At::Removed => self.removed(background, environment),
            At::Collect(second) => self.check_reconciliation(second, background),
            At::Checked(second) => self.collect(second, background, environment),
            At::AwaitBuffer => self.await_buffer(background),
            At::Collected => {
                self.at = At::Prefetch;
                match environment.cut(cuts::CONSUMER_COLLECTED_TO_RETURN, self.polls) {
                    Some(delay) => Step::Wait(Wait::Cut, delay),
                    None => Step::On,
                }
            }
            At::Prefetch => {
                background.add_event(ApplicationEvent::CreateFetches);
                self.on(At::Prefetched)
            }
            At::Prefetched => self.returns(Ok(true)),
            At::CommitTaken => self.await_async(background),
            At::AsyncAwaited => self.async_awaited(background, environment),
            At::Committed => self.committed(background, environment),
            _ => self.close_step(background, environment),
        }
    }

    pub(super) fn on(&mut self, at: At) -> Step {
        self.at = at;
        Step::On
    }

    pub(super) fn returns(&mut self, returned: Returned) -> Step {
        self.at = At::Nowhere;
        Step::Return(returned)
    }

    /// `checkInflightPoll` up to the background's turn.
    fn iterate(&mut self, first: bool, background: &mut Background) -> Step {
        let now = self.timer.now();
        // `FetchBuffer.isEmpty` does not look at the one that is in line.
        let mut buffer = background.core.buffer.iter();
        let empty = buffer.all(|fetch| fetch.initialized && !fetch.put_back);
        if let Some(poll) = background.hand_over.poll
            && (first || poll.complete)
        {
            if let Some(exception) = poll.error {
                background.hand_over.poll = None;
                return self.returns(Err(exception));
            }
            let late = now >= poll.deadline && poll.positions_validated;
            if poll.complete && empty || !poll.complete && late {
                background.hand_over.poll = None;
            }
        }
        self.submitted = background.hand_over.poll.is_none();
        if self.submitted {
            self.polls += 1;
            let poll = PollEvent {
                number: self.polls,
                time: now,
                deadline: now + self.timer.remaining(),
                reconciliation_checked: false,
                positions_validated: false,
                complete: false,
                error: None,
            };
            background.hand_over.poll = Some(poll);
            background.add_event(ApplicationEvent::Poll(poll));
        }
        self.on(At::Submitted)
    }

    /// `processBackgroundEvents`, and the end of `checkInflightPoll`.
    fn background_events(&mut self, background: &mut Background, environment: &mut impl Environment) -> Step {
        match self.events.pop_front() {
            Some(BackgroundEvent::Error(exception)) => {
                self.first_error.get_or_insert(exception);
                Step::On
            }
            Some(BackgroundEvent::Removed(purpose, partitions)) => {
                let callback = match purpose {
                    Purpose::Revoke => Callback::Revoked,
                    _ => Callback::Lost,
                };
                let listens = background.specification.application.hears_removals();
                if listens {
                    self.removed.clone_from(&partitions);
                }
                self.removing = Some((purpose, partitions));
                self.at = At::Removed;
                match listens {
                    true => Step::CallBack(callback),
                    false => self.removed(background, environment),
                }
            }
            Some(BackgroundEvent::Assigned { all, added }) => {
                self.applying = (all.clone(), added.clone());
                background.hand_over.applied = false;
                background.add_event(ApplicationEvent::ApplyAssignment { all, added });
                self.at = At::Applied;
                Step::Wait(Wait::Applied, Duration::FOREVER)
            }
            None => {
                if let Some(exception) = self.first_error.take() {
                    background.hand_over.poll = None;
                    return self.returns(Err(exception));
                }
                self.clear_poll(background, environment)
            }
        }
    }

    fn assigned_listener(&mut self, background: &mut Background, environment: &mut impl Environment) -> Step {
        let (all, added) = std::mem::take(&mut self.applying);
        let listens = background.specification.application.hears_assignments() && !added.is_empty();
        if listens {
            self.added.extend_from_slice(&added);
        }
        let epoch = background.hand_over.known_epoch;
        let note = ClientNote::Assigned {
            generation: epoch.map_or(GenerationId::NONE, MemberEpoch::generation),
            added: added.into(),
            all: all.into(),
        };
        background.tell(note, environment);
        if listens {
            self.at = At::Listened;
            return Step::CallBack(Callback::Assigned);
        }
        self.listener_returned(background)
    }

    fn listener_returned(&mut self, background: &mut Background) -> Step {
        background.add_event(ApplicationEvent::ListenerReturned {
            purpose: Purpose::Assign,
            failed: false,
        });
        self.on(At::Events)
    }

    /// The listener knows what was taken away. What it threw is kept if it is the first, and thrown behind all events.
    fn removed(&mut self, background: &mut Background, environment: &mut impl Environment) -> Step {
        let (purpose, partitions) = self.removing.take().expect("the listener was called about it");
        let note = match purpose {
            Purpose::Revoke => ClientNote::Revoked(partitions.into()),
            _ => ClientNote::Lost(partitions.into()),
        };
        background.tell(note, environment);
        let thrown = self.listener_threw.take();
        background.add_event(ApplicationEvent::ListenerReturned {
            purpose,
            failed: thrown.is_some(),
        });
        self.first_error = self.first_error.or(thrown);
        self.on(At::Events)
    }

    /// `maybeClearCurrentInflightPoll`.
    fn clear_poll(&mut self, background: &mut Background, environment: &mut impl Environment) -> Step {
        if let Some(poll) = background.hand_over.poll {
            let late = self.timer.now() >= poll.deadline && poll.positions_validated;
            if poll.complete || !self.submitted && late {
                background.hand_over.poll = None;
            }
            if let Some(exception) = poll.error {
                return self.returns(Err(exception));
            }
        }
        self.at = At::Collect(false);
        match environment.cut(cuts::CONSUMER_EVENTS_TO_COLLECT, self.polls) {
            Some(delay) => Step::Wait(Wait::Cut, delay),
            None => Step::On,
        }
    }

    /// `collectFetch` up to where it may have to wait.
    fn check_reconciliation(&mut self, second: bool, background: &Background) -> Step {
        let hand_over = &background.hand_over;
        let Some(poll) = hand_over
            .poll
            .filter(|poll| hand_over.reconciles && !poll.reconciliation_checked)
        else {
            return self.on(At::Checked(second));
        };
        let rest = poll.deadline.since(self.timer.now());
        self.at = At::Checked(second);
        match rest {
            Duration::ZERO => Step::On,
            rest => Step::Wait(Wait::ReconciliationCheck, rest),
        }
    }

    fn collect(
        &mut self,
        second: bool,
        background: &mut Background,
        environment: &mut impl Environment,
    ) -> Step {
        let core = &mut background.core;
        let hand_over = &background.hand_over;
        let checked = hand_over
            .poll
            .is_none_or(|poll| poll.reconciliation_checked || !hand_over.reconciles);
        // `PositionsValidator.canSkipUpdateFetchPositions`.
        if checked && let Err(truncation) = core.throw_truncation() {
            return self.returns(Err(truncation.into()));
        }
        let settled = core.validated_version == core.metadata.version() && core.has_all_positions();
        let may = settled || hand_over.poll.is_none_or(|poll| poll.positions_validated);
        let collected = match checked && may {
            true => core.collect(environment),
            false => Collected::Records(0),
        };
        match collected {
            Collected::Exception => self.returns(Err(Exception::Position)),
            Collected::Records(0) if !second => self.on(At::AwaitBuffer),
            Collected::Records(0) if self.timer.is_expired() => self.returns(Ok(false)),
            Collected::Records(0) => self.on(At::Iterate(false)),
            Collected::Records(_) | Collected::Moved => self.on(At::Collected),
        }
    }

    /// The wait of `pollForFetches`.
    fn await_buffer(&mut self, background: &mut Background) -> Step {
        self.at = At::Collect(true);
        let core = &background.core;
        let mut timeout = background.maximum_wait().min(self.timer.remaining());
        let missing = core.assigned.is_empty() || !core.has_all_positions();
        if missing {
            timeout = timeout.min(core.client.retry_backoff);
        }
        let poll = background.hand_over.poll;
        let done = self.submitted && poll.is_none_or(|poll| poll.complete);
        let all_paused = core.assigned.iter().all(|assigned| assigned.paused);
        let idle = !missing && done && (!core.pending_fetches.is_empty() || all_paused);
        // What was put back wakes whoever waits for the buffer.
        let put_back = core.buffer.iter().any(|fetch| fetch.put_back);
        match background.hand_over.buffer_wakeup.take() {
            Some(BufferWakeup::Data) => Step::On,
            Some(BufferWakeup::NothingToFetch) if !done => Step::On,
            None if put_back && !self.submitted && poll.is_none() => Step::On,
            None if timeout > Duration::ZERO && !put_back => Step::Wait(Wait::Buffer, timeout),
            // The loop of `poll` goes round and round.
            _ => {
                let due = background.commits.wants(self.timer.now());
                let rest = match idle {
                    true => due,
                    false => due.min(LOOK_AGAIN),
                };
                let seen = background.hand_over.activity;
                Step::Wait(Wait::Activity(seen), rest.min(self.timer.remaining()))
            }
        }
    }

    /// `OffsetCommitCallbackInvoker.executeCallbacks`.
    pub(super) fn call_back(&mut self, background: &mut Background, environment: &mut impl Environment) {
        while let Some((commit, result)) = background.hand_over.commits_done.pop_front() {
            background.tell_commit(&commit, result, environment);
        }
    }
}
