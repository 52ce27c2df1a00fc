//! Methods of the client that wait, on the application's thread: `ClassicKafkaConsumer.poll`, `commitSync`, `close` and
//! what they call.
//!
//! A call that waits is put aside and goes on where it was: a stack of these is the thread's.

use ktrial_sim::Duration;

use super::commits::{Commit, CommitFor};
use super::exception::Exception;
use super::member::{Future, HeartbeatThread, InListener, Member, Pending};
use super::rebalance::Joining;
use super::timer::Timer;
use crate::application::{Callback, Returned};
use crate::client::{Environment, Node};
use crate::reader::collect::Collected;

/// What the thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The network, at most this long.
    Select(Duration),
    /// Nothing: it sleeps.
    Sleep(Duration),
}

/// A call, and where it is.
#[derive(Debug)]
enum Call {
    Poll(PollAt),
    EnsureCoordinator(u32, EnsureAt),
    FetchCommitted(u32, CommittedAt),
    CommitSync(Commit, u32, CommitAt),
    Close(CloseAt),
    /// What the listener has called stands above this; the timer is that of the call below.
    Listener(Timer),
}

#[derive(Clone, Copy, Debug)]
enum PollAt {
    Iterate,
    Coordinated,
    /// onPartitionsAssigned has returned; how far the rebalance has come.
    CalledBack(Result<Joining, Exception>),
    /// onPartitionsRevoked or onPartitionsLost has returned.
    Listened,
    Committed,
    Selected,
}

#[derive(Clone, Copy, Debug)]
enum EnsureAt {
    Start,
    /// By this request; none: there is nobody to ask.
    Asked(Option<u64>),
    Slept,
    Unavailable,
    /// Metadata newer than this version are awaited.
    Metadata(u32),
}

#[derive(Clone, Copy, Debug)]
enum CommittedAt {
    Start,
    Loop,
    Coordinated,
    Asked,
    Slept,
}

#[derive(Clone, Copy, Debug)]
enum CommitAt {
    Start,
    Loop,
    Coordinated,
    Asked,
    Slept,
    /// Nothing to commit: asynchronous commits are waited for.
    Others,
}

#[derive(Clone, Copy, Debug)]
enum CloseAt {
    Start,
    Committed,
    Others,
    Leave,
    /// The listener has returned; whether the partitions were lost.
    Listened(bool),
    Drain,
}

/// What a step of a call leads to.
enum Step {
    /// On at another place.
    On(Call),
    /// Another call first; then on.
    First(Call, Call),
    Wait(Call, Wait),
    /// The application's listener first.
    CallBack(Call, Callback),
    Return(Returned),
}

/// How far the thread comes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Waits(Wait),
    /// The application's listener is to be called.
    CallsBack(Callback),
    Returned(Returned),
}

/// The calls the application's thread is in, the innermost last.
#[derive(Debug)]
pub(super) struct Calls {
    stack: Vec<Call>,
    returned: Option<Returned>,
    /// Of the call the application made.
    timer: Timer,
    /// `cachedSubscriptionHasAllFetchPositions`.
    all_positions: bool,
}

impl Calls {
    pub(super) fn new(timer: Timer) -> Self {
        Calls {
            stack: Vec::new(),
            returned: None,
            timer,
            all_positions: false,
        }
    }

    /// `KafkaConsumer.poll`.
    pub(super) fn poll(&mut self, timer: Timer) {
        self.timer = timer;
        self.stack.push(Call::Poll(PollAt::Iterate));
    }

    /// `KafkaConsumer.commitSync`, maybe in a listener that another call has called.
    pub(super) fn commit_sync(&mut self, commit: Commit, timer: Timer) {
        if !self.stack.is_empty() {
            self.stack.push(Call::Listener(self.timer));
        }
        self.timer = timer;
        self.stack.push(Call::CommitSync(commit, 0, CommitAt::Start));
    }

    /// `KafkaConsumer.close`.
    pub(super) fn close(&mut self, timer: Timer) {
        self.timer = timer;
        self.stack.push(Call::Close(CloseAt::Start));
    }

    /// Runs until the thread waits or the application's call returns.
    pub(super) fn run(&mut self, member: &mut Member, environment: &mut impl Environment) -> Progress {
        loop {
            self.timer.update(environment.wall());
            let call = match self.stack.pop() {
                Some(Call::Listener(timer)) => {
                    self.timer = timer;
                    None
                }
                call => call,
            };
            let Some(call) = call else {
                return Progress::Returned(self.returned.take().expect("a call has ended"));
            };
            match self.step(call, member, environment) {
                Step::On(call) => self.stack.push(call),
                Step::First(call, callee) => self.stack.extend([call, callee]),
                Step::Return(returned) => self.returned = Some(returned),
                Step::CallBack(call, callback) => {
                    self.stack.push(call);
                    return Progress::CallsBack(callback);
                }
                Step::Wait(call, wait) => {
                    self.stack.push(call);
                    return Progress::Waits(wait);
                }
            }
        }
    }

    fn step(&mut self, call: Call, member: &mut Member, environment: &mut impl Environment) -> Step {
        let returned = match call {
            Call::Poll(PollAt::Coordinated | PollAt::Committed)
            | Call::FetchCommitted(_, CommittedAt::Coordinated)
            | Call::CommitSync(_, _, CommitAt::Coordinated)
            | Call::Close(CloseAt::Committed) => self.returned.take(),
            _ => None,
        };
        if let Some(Err(exception)) = returned
            && !matches!(call, Call::Close(_))
        {
            return Step::Return(Err(exception));
        }
        let fine = matches!(returned, Some(Ok(true)));
        let step = match call {
            Call::Poll(at) => self.poll_step(at, fine, member, environment),
            Call::EnsureCoordinator(attempts, at) => Ok(self.ensure_step(attempts, at, member, environment)),
            Call::FetchCommitted(attempts, at) => {
                self.committed_step(attempts, at, fine, member, environment)
            }
            Call::CommitSync(commit, attempts, at) => {
                self.commit_step(commit, attempts, at, fine, member, environment)
            }
            Call::Close(at) => self.close_step(at, member, environment),
            Call::Listener(_) => unreachable!("it only ends what stands above it"),
        };
        step.unwrap_or_else(|exception| Step::Return(Err(exception)))
    }

    fn ensure() -> Call {
        Call::EnsureCoordinator(0, EnsureAt::Start)
    }

    fn poll_step(
        &mut self,
        at: PollAt,
        fine: bool,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Result<Step, Exception> {
        match at {
            PollAt::Iterate => {
                member.update_snapshot();
                member.call_back(environment)?;
                member.poll_heartbeat(self.timer.now())?;
                if member.known_coordinator(environment).is_none() {
                    return Ok(Step::First(Call::Poll(PollAt::Coordinated), Calls::ensure()));
                }
                self.poll_as_member(member, environment)
            }
            PollAt::Coordinated if fine => self.poll_as_member(member, environment),
            PollAt::CalledBack(joining) => self.joined(joining, member, environment),
            PollAt::Listened => self.poll_as_member(member, environment),
            PollAt::Committed if fine => {
                if !member.core.reset_initializing() {
                    return Err(Exception::Position);
                }
                member.core.reset(environment.wall());
                self.poll_for_fetches(member, environment)
            }
            PollAt::Coordinated | PollAt::Committed => self.poll_for_fetches(member, environment),
            PollAt::Selected => {
                if self.collect(member, environment)? {
                    return Ok(Step::Return(Ok(true)));
                }
                Ok(match self.timer.is_expired() {
                    true => Step::Return(Ok(false)),
                    false => Step::On(Call::Poll(PollAt::Iterate)),
                })
            }
        }
    }

    /// The coordinator is known: joins if need be, commits, looks for positions.
    fn poll_as_member(
        &mut self,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Result<Step, Exception> {
        let joining = match member.rejoin_needed_or_pending() {
            true => member.ensure_active_group(environment),
            false => Ok(Joining::Member),
        };
        if !member.added.is_empty() {
            let call = Call::Poll(PollAt::CalledBack(joining));
            return Ok(Step::CallBack(call, Callback::Assigned));
        }
        self.joined(joining, member, environment)
    }

    /// The listener knows what is assigned, if this is a member with an assignment.
    fn joined(
        &mut self,
        joining: Result<Joining, Exception>,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Result<Step, Exception> {
        match joining? {
            Joining::Member => {}
            Joining::NotYet => {
                self.timer.update(environment.wall());
                return self.poll_for_fetches(member, environment);
            }
            Joining::CallsBack => {
                let callback = match member.in_listener {
                    Some(InListener::Preparing { lost: true }) => Callback::Lost,
                    _ => Callback::Revoked,
                };
                return Ok(Step::CallBack(Call::Poll(PollAt::Listened), callback));
            }
        }
        member.commit_periodically(self.timer.now(), environment)?;
        member.core.validate_positions(environment);
        self.all_positions = member.core.has_all_positions();
        if self.all_positions {
            return self.poll_for_fetches(member, environment);
        }
        let fetch = Call::FetchCommitted(0, CommittedAt::Start);
        Ok(Step::First(Call::Poll(PollAt::Committed), fetch))
    }

    fn poll_for_fetches(
        &mut self,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Result<Step, Exception> {
        let mut timeout = member
            .time_to_next_poll(self.timer.now())?
            .min(self.timer.remaining());
        if self.collect(member, environment)? {
            return Ok(Step::Return(Ok(true)));
        }
        member.core.validate_on_metadata_change();
        member.core.send_fetches(environment.wall());
        if !self.all_positions {
            timeout = timeout.min(member.core.client.retry_backoff);
        }
        if member.core.has_available() {
            timeout = Duration::ZERO;
        }
        Ok(Step::Wait(Call::Poll(PollAt::Selected), Wait::Select(timeout)))
    }

    /// Whether there is something to return; then the next fetches are sent first.
    fn collect(
        &mut self,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Result<bool, Exception> {
        match member.core.collect(environment) {
            Collected::Exception => Err(Exception::Position),
            Collected::Records(0) => Ok(false),
            Collected::Records(_) | Collected::Moved => {
                member.core.validate_on_metadata_change();
                member.core.send_fetches(environment.wall());
                member.core.before_select(Duration::ZERO, environment);
                Ok(true)
            }
        }
    }

    /// `AbstractCoordinator.ensureCoordinatorReady`.
    fn ensure_step(
        &mut self,
        attempts: u32,
        at: EnsureAt,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Step {
        let call = |at| Call::EnsureCoordinator(attempts, at);
        match at {
            EnsureAt::Start => {
                if member.known_coordinator(environment).is_some() {
                    return Step::Return(Ok(true));
                }
                let asked = match member.look_up_coordinator(environment) {
                    true => member.find.as_ref().map(|future| future.number),
                    false => None,
                };
                let most = match member.lookup_state(asked) {
                    Pending::Waiting => self.timer.remaining(),
                    _ => Duration::ZERO,
                };
                Step::Wait(call(EnsureAt::Asked(asked)), Wait::Select(most))
            }
            EnsureAt::Asked(asked) => {
                match member.lookup_state(asked) {
                    Pending::Waiting if self.timer.is_expired() => {
                        Step::Return(Ok(member.known_coordinator(environment).is_some()))
                    }
                    Pending::Waiting => Step::Wait(call(at), Wait::Select(self.timer.remaining())),
                    // Found, and it cannot be connected to yet: again after a back-off.
                    Pending::Done(()) if member.known_coordinator(environment).is_none() => {
                        let backoff = member.backoff(attempts, environment);
                        let rest = self.timer.remaining().min(backoff);
                        Step::Wait(call(EnsureAt::Unavailable), Wait::Sleep(rest))
                    }
                    Pending::Done(()) => {
                        member.find = None;
                        Step::Return(Ok(true))
                    }
                    Pending::Failed(_) => {
                        let backoff = member.backoff(attempts, environment);
                        let rest = self.timer.remaining().min(backoff);
                        Step::Wait(call(EnsureAt::Slept), Wait::Sleep(rest))
                    }
                }
            }
            EnsureAt::Slept => {
                member.core.metadata.request_update(false);
                let version = member.core.metadata.version();
                let wait = Wait::Select(self.timer.remaining());
                Step::Wait(call(EnsureAt::Metadata(version)), wait)
            }
            EnsureAt::Metadata(version) => {
                let same = member.core.metadata.version() == version;
                if same && !self.timer.is_expired() {
                    return Step::Wait(call(at), Wait::Select(self.timer.remaining()));
                }
                Step::On(call(EnsureAt::Unavailable))
            }
            EnsureAt::Unavailable => {
                member.find = None;
                match self.timer.is_expired() {
                    true => Step::Return(Ok(member.known_coordinator(environment).is_some())),
                    false => Step::On(Call::EnsureCoordinator(attempts + 1, EnsureAt::Start)),
                }
            }
        }
    }

    /// `initWithCommittedOffsetsIfNeeded`.
    fn committed_step(
        &mut self,
        attempts: u32,
        at: CommittedAt,
        fine: bool,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Result<Step, Exception> {
        let call = |at| Call::FetchCommitted(attempts, at);
        let remaining = self.timer.remaining();
        Ok(match at {
            CommittedAt::Start => {
                let partitions = member.initializing();
                if partitions.is_empty() {
                    return Ok(Step::Return(Ok(true)));
                }
                member.keep_same_request(&partitions);
                Step::On(call(CommittedAt::Loop))
            }
            CommittedAt::Loop => Step::First(call(CommittedAt::Coordinated), Calls::ensure()),
            CommittedAt::Coordinated if !fine => Step::Return(Ok(false)),
            CommittedAt::Coordinated => {
                if member.committed_request.is_none() {
                    let partitions = member.initializing();
                    member.send_offset_fetch(&partitions, environment);
                }
                Step::Wait(call(CommittedAt::Asked), Wait::Select(remaining))
            }
            CommittedAt::Asked => {
                let answer = member
                    .committed_request
                    .as_ref()
                    .and_then(|one| one.answer.as_ref());
                match answer.map(|future| future.state.clone()) {
                    Some(Pending::Done(offsets)) => {
                        let request = member.committed_request.take();
                        let by = request.and_then(|request| request.coordinator);
                        member.take_committed(&offsets, by, environment);
                        Step::Return(Ok(true))
                    }
                    Some(Pending::Failed(exception)) => {
                        member.committed_request = None;
                        if !exception.is_retriable() {
                            return Err(exception);
                        }
                        let backoff = member.backoff(attempts, environment).min(remaining);
                        Step::Wait(call(CommittedAt::Slept), Wait::Sleep(backoff))
                    }
                    _ if self.timer.is_expired() => Step::Return(Ok(false)),
                    _ => Step::Wait(call(at), Wait::Select(remaining)),
                }
            }
            CommittedAt::Slept if self.timer.is_expired() => Step::Return(Ok(false)),
            CommittedAt::Slept => Step::On(Call::FetchCommitted(attempts + 1, CommittedAt::Loop)),
        })
    }

    /// `ConsumerCoordinator.commitOffsetsSync`.
    fn commit_step(
        &mut self,
        commit: Commit,
        attempts: u32,
        at: CommitAt,
        fine: bool,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Result<Step, Exception> {
        let remaining = self.timer.remaining();
        let call = |at| Call::CommitSync(commit.clone(), attempts, at);
        Ok(match at {
            CommitAt::Start => {
                member.call_back(environment)?;
                match commit.offsets.is_empty() {
                    true => Step::On(call(CommitAt::Others)),
                    false => Step::On(call(CommitAt::Loop)),
                }
            }
            CommitAt::Loop => Step::First(call(CommitAt::Coordinated), Calls::ensure()),
            CommitAt::Coordinated if !fine => Step::Return(Ok(false)),
            CommitAt::Coordinated => {
                member.sync_commit = Some(Future {
                    number: commit.number,
                    state: Pending::Waiting,
                });
                member.send_commit(commit.clone(), environment);
                Step::Wait(call(CommitAt::Asked), Wait::Select(remaining))
            }
            CommitAt::Asked => {
                let state = member.sync_commit.as_ref().map(|future| future.state.clone());
                if state == Some(Pending::Waiting) && !self.timer.is_expired() {
                    return Ok(Step::Wait(call(at), Wait::Select(remaining)));
                }
                member.sync_commit = None;
                member.call_back(environment)?;
                match state {
                    Some(Pending::Done(())) => Step::Return(Ok(true)),
                    Some(Pending::Failed(exception)) if !exception.is_retriable() => return Err(exception),
                    _ => {
                        let backoff = member.backoff(attempts, environment).min(remaining);
                        Step::Wait(call(CommitAt::Slept), Wait::Sleep(backoff))
                    }
                }
            }
            CommitAt::Slept if self.timer.is_expired() => Step::Return(Ok(false)),
            CommitAt::Slept => {
                // Another request: the answer to the one before is nobody's any more.
                let again = member.commit(commit.offsets, commit.by);
                Step::On(Call::CommitSync(again, attempts + 1, CommitAt::Loop))
            }
            CommitAt::Others => {
                member.call_back(environment)?;
                if member.async_in_flight == 0 || self.timer.is_expired() {
                    return Ok(Step::Return(Ok(member.async_in_flight == 0)));
                }
                Step::Wait(call(at), Wait::Select(remaining))
            }
        })
    }

    /// `ConsumerCoordinator.close`.
    fn close_step(
        &mut self,
        at: CloseAt,
        member: &mut Member,
        environment: &mut impl Environment,
    ) -> Result<Step, Exception> {
        Ok(match at {
            CloseAt::Start if member.specification.member.enable_auto_commit => {
                let commit = member.commit(member.all_consumed(), CommitFor::Close);
                let first = Call::CommitSync(commit, 0, CommitAt::Start);
                Step::First(Call::Close(CloseAt::Committed), first)
            }
            CloseAt::Start | CloseAt::Committed => Step::On(Call::Close(CloseAt::Others)),
            CloseAt::Others => {
                let called_back = member.call_back(environment);
                match called_back.is_err() || member.async_waiting.is_empty() || self.timer.is_expired() {
                    true => Step::On(Call::Close(CloseAt::Leave)),
                    false => Step::Wait(Call::Close(at), Wait::Select(self.timer.remaining())),
                }
            }
            CloseAt::Leave => {
                member.thread = HeartbeatThread::default();
                let lost = member.leaves_as_lost();
                match member.calls_back_on_leaving() {
                    true if lost => Step::CallBack(Call::Close(CloseAt::Listened(lost)), Callback::Lost),
                    true => Step::CallBack(Call::Close(CloseAt::Listened(lost)), Callback::Revoked),
                    false => Step::On(Call::Close(CloseAt::Listened(lost))),
                }
            }
            CloseAt::Listened(lost) => {
                // Where the listener threw, the member does not even leave its group.
                member.leave_prepared(lost, environment)?;
                member.maybe_leave(environment);
                member.poll_now(environment);
                Step::On(Call::Close(CloseAt::Drain))
            }
            CloseAt::Drain => {
                let coordinator = member.known_coordinator(environment).map(Node::Coordinator);
                let waits = coordinator.is_some_and(|node| member.core.has_pending_requests(node));
                match waits && !self.timer.is_expired() {
                    true => Step::Wait(Call::Close(at), Wait::Select(self.timer.remaining())),
                    false => Step::Return(Ok(true)),
                }
            }
        })
    }
}
