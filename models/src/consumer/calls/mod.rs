//! Methods of the client that wait, on the application's thread: `ClassicKafkaConsumer.poll`, `commitSync`, `close` and
//! what they call.
//!
//! A call that waits is put aside and goes on where it was: a stack of these is the thread's.

mod close;
mod commit;
mod committed;
mod coordinator;
mod poll;

use ktrial_sim::Duration;

use super::commits::Commit;
use super::member::{Future, Member};
use super::timer::Timer;
use crate::application::{Callback, Returned};
use crate::client::Environment;
use close::CloseAt;
use commit::CommitAt;
use committed::CommittedAt;
use coordinator::EnsureAt;
use poll::PollAt;

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

    /// Whether the thread keeps the coordinator's lock while it waits: the heartbeat thread has to wait, too.
    pub(super) fn keeps_the_lock(&self, member: &Member) -> bool {
        member.waits_as_leader() || matches!(self.stack.last(), Some(Call::EnsureCoordinator(..)))
    }

    /// Runs until the thread waits or the application's call returns.
    pub(super) fn run(&mut self, member: &mut Member, environment: &mut impl Environment) -> Progress {
        loop {
            self.timer.update(environment.wall());
            if member.waits_as_leader() {
                return Progress::Waits(Wait::Select(Duration::FOREVER));
            }
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

    /// `ConsumerNetworkClient.poll` for an answer: it does not block if that is there already, good or bad.
    fn select_for<T>(&self, future: Option<&Future<T>>) -> Wait {
        Wait::Select(match future.is_some_and(Future::is_done) {
            true => Duration::ZERO,
            false => self.timer.remaining(),
        })
    }

    fn ensure() -> Call {
        Call::EnsureCoordinator(0, EnsureAt::Start)
    }
}
