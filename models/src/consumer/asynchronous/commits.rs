//! Commits: `CommitRequestManager`; what it asks for is in [`super::committed`].
//!
//! A request carries the newest member epoch at the time it is built. A failed one waits for its own back-off, which
//! doubles.
//!
//! A member that was fenced and whose application has not noticed names no epoch, but its id. That is refused with
//! UNKNOWN_MEMBER_ID, except in a group without members, which takes commits without an epoch from anybody
//! (`ConsumerGroup.validateOffsetCommit`): what others have committed meanwhile can go back by it.
//!
//! | answer to a commit | commitSync | commitAsync | before a reconciliation |
//! |---|---|---|---|
//! | NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, REQUEST_TIMED_OUT, a lost connection | look for the coordinator; again | RetriableCommitFailedException | again, with what is consumed by then |
//! | COORDINATOR_LOAD_IN_PROGRESS, other retriable ones | again | the same | again; UNKNOWN_TOPIC_OR_PARTITION ends it |
//! | STALE_MEMBER_EPOCH | CommitFailedException | thrown | again if it is a member |
//! | UNKNOWN_MEMBER_ID | CommitFailedException | the same | ends |
//! | others | thrown | thrown | ends |
//!
//! | automatic commit | when |
//! |---|---|
//! | periodic | a poll after `auto.commit.interval.ms`, if none is in flight; a failed one is not repeated before the next interval (`maybeResetTimerWithBackoff` waits for an exception that never comes) |
//! | before a reconciliation | retried up to `max.poll.interval.ms`; the reconciliation goes on either way |
//! | close | as `commitSync` |

use std::collections::VecDeque;

use ktrial_sim::{Duration, Time};

use super::background::Background;
use super::committed::OffsetFetch;
use super::request_state::RequestState;
use super::requests::What;
use crate::application::Positions;
use crate::client::Environment;
use crate::config::MemberSettings;
use crate::consumer::commits::{Commit, CommitFor};
use crate::consumer::exception::Exception;
use crate::consumer::member::Future;
use crate::consumer::timer::Timer;
use crate::ids::{GenerationId, MemberEpoch, PartitionId};
use crate::notes::ClientNote;
use crate::protocol::{
    CommittedOffset, ErrorCode, OffsetCommitPartition, OffsetCommitRequest, OffsetCommitResponse, Request,
};

/// `AutoCommitState`.
#[derive(Clone, Debug)]
struct AutoCommit {
    timer: Timer,
    interval: Duration,
    in_flight: bool,
}

/// `OffsetCommitRequestState`.
#[derive(Debug)]
pub(super) struct CommitRequest {
    commit: Commit,
    state: RequestState,
    /// By the wall clock; none: it is not repeated.
    deadline: Option<Time>,
}

/// Requests that were not sent yet, and when to commit automatically.
#[derive(Debug)]
pub(super) struct Commits {
    automatic: Option<AutoCommit>,
    unsent: VecDeque<CommitRequest>,
    pub(super) unsent_fetches: Vec<OffsetFetch>,
    pub(super) fetches_in_flight: Vec<(u64, Vec<PartitionId>)>,
    /// The consumer is closing: what there is is sent once.
    pub(super) closing: bool,
}

impl Commits {
    pub(super) fn new(settings: &MemberSettings, now: Time) -> Self {
        let interval = settings.auto_commit_interval_ms;
        Commits {
            automatic: settings.enable_auto_commit.then(|| AutoCommit {
                timer: Timer::new(now, interval),
                interval,
                in_flight: false,
            }),
            unsent: VecDeque::new(),
            unsent_fetches: Vec::new(),
            fetches_in_flight: Vec::new(),
            closing: false,
        }
    }

    /// `resetAutoCommitTimer`.
    pub(super) fn reset_timer(&mut self, now: Time) {
        if let Some(automatic) = &mut self.automatic {
            automatic.timer.update_and_reset(now, automatic.interval);
        }
    }

    /// `maximumTimeToWait`.
    pub(super) fn wants(&mut self, now: Time) -> Duration {
        let Some(automatic) = &mut self.automatic else {
            return Duration::FOREVER;
        };
        automatic.timer.update(now);
        match automatic.timer.is_expired() && automatic.in_flight {
            true => automatic.interval,
            false => automatic.timer.remaining(),
        }
    }

    fn set_in_flight(&mut self, in_flight: bool) {
        if let Some(automatic) = &mut self.automatic {
            automatic.in_flight = in_flight;
        }
    }
}

impl Background {
    /// `CommitRequestManager.poll`.
    pub(super) fn poll_commits(&mut self, now: Time, environment: &mut impl Environment) -> Duration {
        if self.coordinator.node().is_none() {
            if let Some(exception) = self.coordinator.fatal {
                self.fail_unsent(exception, environment);
            }
            if self.commits.closing {
                self.commits.unsent_fetches.clear();
                self.fail_unsent(Exception::CommitFailed, environment);
            }
            return Duration::FOREVER;
        }
        if self.commits.closing {
            self.commits.unsent_fetches.clear();
            for request in std::mem::take(&mut self.commits.unsent) {
                self.send_commit(request, now);
            }
            return Duration::FOREVER;
        }
        for mut request in std::mem::take(&mut self.commits.unsent) {
            let late = request.deadline.is_some_and(|deadline| now >= deadline);
            if request.state.attempts() > 0 && late {
                self.commit_ends(request, Err(Exception::TimedOut), environment);
            } else if request.state.can_send(now) {
                request.state.sent();
                self.send_commit(request, now);
            } else {
                self.commits.unsent.push_back(request);
            }
        }
        for mut fetch in std::mem::take(&mut self.commits.unsent_fetches) {
            if fetch.state.can_send(now) {
                fetch.state.sent();
                self.send_offset_fetch(fetch, environment);
            } else {
                self.commits.unsent_fetches.push(fetch);
            }
        }
        let commits = self.commits.unsent.iter().map(|request| &request.state);
        let fetches = self.commits.unsent_fetches.iter().map(|fetch| &fetch.state);
        let waits = commits.chain(fetches).map(|state| state.remaining_backoff(now));
        waits.min().unwrap_or(Duration::FOREVER)
    }

    fn fail_unsent(&mut self, exception: Exception, environment: &mut impl Environment) {
        for request in std::mem::take(&mut self.commits.unsent) {
            self.commit_ends(request, Err(exception), environment);
        }
        for fetch in std::mem::take(&mut self.commits.unsent_fetches) {
            self.tell(ClientNote::AskedInVain(fetch.number), environment);
            self.offset_fetch_ends(fetch.number, Err(exception), environment);
        }
    }

    fn send_commit(&mut self, request: CommitRequest, now: Time) {
        let partition = |(partition, committed): &(PartitionId, CommittedOffset)| OffsetCommitPartition {
            partition: *partition,
            committed: *committed,
            metadata_length: 0,
        };
        let epoch = self.commit_epoch();
        let message = Request::OffsetCommit(Box::new(OffsetCommitRequest {
            group: self.specification.group,
            generation: epoch.map_or(GenerationId::NONE, MemberEpoch::generation),
            member: Some(self.membership.member),
            instance: self.specification.instance,
            partitions: request.commit.offsets.iter().map(partition).collect(),
        }));
        self.send_to_coordinator(What::OffsetCommit(Box::new(request)), message, now);
    }

    pub(super) fn all_consumed(&self) -> Positions {
        self.core.all_consumed().collect()
    }

    /// `updateTimerAndMaybeCommit`: the application polled at this time.
    pub(super) fn commit_periodically(&mut self, polled: Time, environment: &mut impl Environment) {
        let Some(automatic) = &mut self.commits.automatic else {
            return;
        };
        automatic.timer.update(polled);
        if !automatic.timer.is_expired() || automatic.in_flight {
            return;
        }
        automatic.timer.reset(automatic.interval);
        self.commit_automatically(CommitFor::Periodic, None, RequestState::default(), environment);
    }

    /// `maybeAutoCommitSyncBeforeRebalance`; goes on with the reconciliation when it is over.
    pub(super) fn commit_before_reconciliation(&mut self, environment: &mut impl Environment) {
        if self.commits.automatic.is_none() {
            return self.committed_before_reconciliation();
        }
        let deadline = environment.wall() + self.specification.member.max_poll_interval_ms;
        let fresh = RequestState::default();
        self.commit_automatically(CommitFor::Prepare, Some(deadline), fresh, environment);
    }

    /// `requestAutoCommit` of what is consumed now.
    fn commit_automatically(
        &mut self,
        by: CommitFor,
        deadline: Option<Time>,
        state: RequestState,
        environment: &mut impl Environment,
    ) {
        let commit = Commit {
            offsets: self.all_consumed(),
            by,
            number: 0,
        };
        let request = CommitRequest {
            commit,
            state,
            deadline,
        };
        if request.commit.offsets.is_empty() {
            return self.commit_is_over(request, Ok(()), environment);
        }
        self.commits.set_in_flight(true);
        self.commits.unsent.push_back(request);
    }

    /// `CommitRequestManager.commitAsync` and `commitSync` for the application.
    pub(super) fn commit_for_application(
        &mut self,
        commit: Commit,
        deadline: Option<Time>,
        environment: &mut impl Environment,
    ) {
        let request = CommitRequest {
            commit,
            state: RequestState::default(),
            deadline,
        };
        if request.commit.offsets.is_empty() {
            return self.commit_is_over(request, Ok(()), environment);
        }
        for (partition, committed) in &request.commit.offsets {
            if let Some(epoch) = committed.leader_epoch {
                self.core
                    .metadata
                    .update_last_seen_epoch_if_newer(*partition, epoch);
            }
        }
        self.commits.unsent.push_back(request);
    }

    /// `OffsetCommitRequestState.onResponse`: the first error decides.
    pub(super) fn commit_answered(
        &mut self,
        mut request: CommitRequest,
        response: &OffsetCommitResponse,
        environment: &mut impl Environment,
    ) {
        let errors = response.partitions.iter().map(|(_, error)| *error);
        let Some(error) = errors.into_iter().find(|error| *error != ErrorCode::None) else {
            return self.commit_ends(request, Ok(()), environment);
        };
        request
            .state
            .failed(environment.wall(), &mut self.backoffs, environment);
        let exception = match error {
            ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator | ErrorCode::RequestTimedOut => {
                self.coordinator.forget();
                Exception::Error(error)
            }
            ErrorCode::OffsetMetadataTooLarge
            | ErrorCode::InvalidCommitOffsetSize
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::StaleMemberEpoch => Exception::Error(error),
            ErrorCode::UnknownMemberId => Exception::CommitFailed,
            error => Exception::Unexpected(error),
        };
        self.commit_ends(request, Err(exception), environment);
    }

    /// No answer.
    pub(super) fn commit_unanswered(
        &mut self,
        mut request: CommitRequest,
        exception: Exception,
        environment: &mut impl Environment,
    ) {
        request
            .state
            .failed(environment.wall(), &mut self.backoffs, environment);
        self.coordinator.disconnected(exception);
        self.commit_ends(request, Err(exception), environment);
    }

    /// An attempt is over: another one, or the end.
    fn commit_ends(
        &mut self,
        request: CommitRequest,
        result: Result<(), Exception>,
        environment: &mut impl Environment,
    ) {
        let by = request.commit.by;
        if matches!(by, CommitFor::Periodic | CommitFor::Prepare) {
            self.commits.set_in_flight(false);
        }
        let Err(exception) = result else {
            return self.commit_is_over(request, Ok(()), environment);
        };
        let late = request
            .deadline
            .is_some_and(|deadline| environment.wall() >= deadline);
        let stale = exception == Exception::Error(ErrorCode::StaleMemberEpoch);
        let result = match by {
            CommitFor::Sync | CommitFor::Close if exception.is_retriable() && !late => {
                return self.commits.unsent.push_back(request);
            }
            CommitFor::Sync | CommitFor::Close if exception.is_retriable() => Exception::TimedOut,
            CommitFor::Sync | CommitFor::Close if stale => Exception::CommitFailed,
            CommitFor::Prepare if exception.is_retriable() || stale && self.commit_epoch().is_some() => {
                if late {
                    Exception::TimedOut
                } else if exception == Exception::Error(ErrorCode::UnknownTopicOrPartition) {
                    exception
                } else {
                    let CommitRequest { state, deadline, .. } = request;
                    return self.commit_automatically(by, deadline, state, environment);
                }
            }
            CommitFor::Async if exception.is_retriable() => Exception::RetriableCommitFailed,
            _ => exception,
        };
        self.commit_is_over(request, Err(result), environment);
    }

    /// Nothing more happens to a commit.
    fn commit_is_over(
        &mut self,
        request: CommitRequest,
        result: Result<(), Exception>,
        environment: &mut impl Environment,
    ) {
        let commit = request.commit;
        match commit.by {
            CommitFor::Sync | CommitFor::Close => {
                if commit.by == CommitFor::Close {
                    self.tell_commit(&commit, result, environment);
                }
                Future::ends(&mut self.hand_over.sync_commit, commit.number, result);
            }
            CommitFor::Async => {
                self.hand_over
                    .async_pending
                    .retain(|number| *number != commit.number);
                self.hand_over.commits_done.push_back((commit, result));
            }
            CommitFor::Periodic => self.tell_commit(&commit, result, environment),
            CommitFor::Prepare => {
                self.tell_commit(&commit, result, environment);
                self.committed_before_reconciliation();
            }
        }
    }

    pub(super) fn tell_commit(
        &mut self,
        commit: &Commit,
        result: Result<(), Exception>,
        environment: &mut impl Environment,
    ) {
        if let Some(note) = commit.outcome(result) {
            self.tell(note, environment);
        }
    }
}
