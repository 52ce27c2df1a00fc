//! `AsyncKafkaConsumer.commitSync` and `close`.
//!
//! `commitSync` waits for asynchronous commits before its own answer. `close`, all of it within `request.timeout.ms`:
//! the automatic commit, waited for; onPartitionsRevoked (onPartitionsLost if the member has never had an epoch); the
//! heartbeat that leaves, whose answer the background gives up when it wakes up after the deadline; asynchronous
//! commits; what the background has not sent or got an answer to.

use ktrial_sim::Duration;

use super::background::Background;
use super::calls::{At, Calls, Step, Wait};
use super::events::ApplicationEvent;
use crate::application::{Callback, Positions};
use crate::client::Environment;
use crate::consumer::commits::{Commit, CommitFor};
use crate::consumer::exception::Exception;
use crate::consumer::member::{Future, Pending};
use crate::ids::PartitionId;
use crate::notes::ClientNote;

impl Calls {
    pub(super) fn begin_commit(
        &mut self,
        commit: Commit,
        background: &mut Background,
        environment: &mut impl Environment,
    ) {
        self.call_back(background, environment);
        let number = commit.number;
        self.at = At::CommitTaken;
        let all = commit.by == CommitFor::Close;
        background.hand_over.sync_commit = None;
        if all || !commit.offsets.is_empty() {
            background.hand_over.sync_commit = Some(Future {
                number,
                state: Pending::Waiting,
            });
            background.add_event(ApplicationEvent::CommitSync {
                number,
                offsets: (!all).then(|| commit.offsets.clone()),
                deadline: self.timer.now() + self.timer.remaining(),
            });
        } else {
            background.hand_over.commit_ready = number;
        }
        self.commit = Some(commit);
    }

    pub(super) fn await_async(&mut self, background: &Background) -> Step {
        let number = self.commit.as_ref().map_or(0, |commit| commit.number);
        let taken = Wait::CommitTaken(number);
        if !taken.is_over(background) && !self.timer.is_expired() {
            return Step::Wait(taken, self.timer.remaining());
        }
        self.at = At::AsyncAwaited;
        match self.last_async {
            Some(number) => Step::Wait(Wait::AsyncCommit(number), self.timer.remaining()),
            None => Step::On,
        }
    }

    pub(super) fn async_awaited(
        &mut self,
        background: &mut Background,
        environment: &mut impl Environment,
    ) -> Step {
        let awaited = self
            .last_async
            .is_none_or(|number| Wait::AsyncCommit(number).is_over(background));
        if awaited {
            self.last_async = None;
            self.call_back(background, environment);
        }
        self.at = At::Committed;
        match awaited {
            true => Step::Wait(Wait::SyncCommit, self.timer.remaining()),
            false => Step::On,
        }
    }

    pub(super) fn committed(
        &mut self,
        background: &mut Background,
        environment: &mut impl Environment,
    ) -> Step {
        let future = background.hand_over.sync_commit.take();
        let result = match future.map(|future| future.state) {
            None | Some(Pending::Done(())) => Ok(()),
            Some(Pending::Failed(exception)) => Err(exception),
            Some(Pending::Waiting) => Err(Exception::TimedOut),
        };
        let commit = self.commit.take().expect("it was begun");
        if commit.by == CommitFor::Close {
            return self.on(At::CloseListener);
        }
        background.tell_commit(&commit, result, environment);
        let step = self.returns(result.map(|()| true));
        if let Some((at, timer)) = self.around.take() {
            (self.at, self.timer) = (at, timer);
        }
        step
    }

    /// `AsyncKafkaConsumer.close`.
    pub(super) fn close_step(
        &mut self,
        background: &mut Background,
        environment: &mut impl Environment,
    ) -> Step {
        match self.at {
            At::CloseCommits if background.specification.member.enable_auto_commit => {
                let number = background.number();
                let commit = Commit {
                    offsets: Positions::new(),
                    by: CommitFor::Close,
                    number,
                };
                self.begin_commit(commit, background, environment);
                Step::On
            }
            At::CloseCommits => self.on(At::CloseListener),
            At::CloseListener => {
                background.add_event(ApplicationEvent::CommitOnClose);
                background.add_event(ApplicationEvent::StopFindingCoordinator);
                self.at = At::CloseListened;
                let owned = &background.hand_over.assignment;
                if owned.is_empty() || !background.specification.application.hears_removals() {
                    return self.close_listened(background, environment);
                }
                self.removed.clone_from(owned);
                Step::CallBack(match background.hand_over.known_epoch {
                    Some(_) => Callback::Revoked,
                    None => Callback::Lost,
                })
            }
            At::CloseListened => self.close_listened(background, environment),
            At::CloseLeaves => {
                self.at = At::CloseAwaits;
                match self.last_async {
                    Some(number) => Step::Wait(Wait::AsyncCommit(number), self.timer.remaining()),
                    None => Step::On,
                }
            }
            At::CloseAwaits => {
                self.call_back(background, environment);
                self.on(At::CloseEnds)
            }
            At::CloseEnds => {
                background.end(self.timer.now() + self.timer.remaining());
                self.at = At::Closed;
                Step::Wait(Wait::Ended, Duration::FOREVER)
            }
            _ => self.returns(Ok(true)),
        }
    }

    /// Behind the listener: the member leaves.
    fn close_listened(&mut self, background: &mut Background, environment: &mut impl Environment) -> Step {
        // What the listener threw is thrown in the end, and keeps nothing from being done.
        self.listener_threw = None;
        let owned: Box<[PartitionId]> = background.hand_over.assignment.as_slice().into();
        if !owned.is_empty() {
            let note = match background.hand_over.known_epoch {
                Some(_) => ClientNote::Revoked(owned),
                None => ClientNote::Lost(owned),
            };
            background.tell(note, environment);
        }
        let deadline = self.timer.now() + self.timer.remaining();
        background.add_event(ApplicationEvent::Leave(deadline));
        self.at = At::CloseLeaves;
        Step::Wait(Wait::Left, Duration::FOREVER)
    }
}
