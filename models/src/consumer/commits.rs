//! Commits: `ConsumerCoordinator.commitOffsetsSync`, `commitOffsetsAsync` and the automatic ones.
//!
//! | answer | becomes |
//! |---|---|
//! | NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, REQUEST_TIMED_OUT | look for the coordinator; retriable |
//! | COORDINATOR_LOAD_IN_PROGRESS, UNKNOWN_TOPIC_OR_PARTITION | retriable |
//! | REBALANCE_IN_PROGRESS | join again; thrown |
//! | UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION | membership forgotten; CommitFailedException (RebalanceInProgress if it joins again already) |
//! | FENCED_INSTANCE_ID | thrown, by the next poll too |
//! | others | thrown |
//!
//! A member that is not stable does not even send: RebalanceInProgressException while it joins, else
//! CommitFailedException.
//!
//! | automatic commit | when |
//! |---|---|
//! | periodic | in a poll once `auto.commit.interval.ms` is over, asynchronously; not while joining or without a coordinator |
//! | before joining | see [`super::rebalance`] |
//! | close | synchronously, before the listener |
//! | failed | retriable: again after `retry.backoff.ms`; else not before the next interval |

use ktrial_sim::Time;

use super::exception::Exception;
use super::member::{Future, Generation, Member, MemberState, Pending, What};
use crate::application::Positions;
use crate::client::Environment;
use crate::ids::{Offset, PartitionId};
use crate::notes::{ClientNote, CommittedBy};
use crate::protocol::{
    CommittedOffset, ErrorCode, OffsetCommitPartition, OffsetCommitRequest, OffsetCommitResponse, Request,
};

/// Who commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommitFor {
    /// The application, and it waits.
    Sync,
    /// The application, and it does not wait.
    Async,
    /// The interval.
    Periodic,
    /// The member, before it joins again.
    Prepare,
    /// `close`, and it waits.
    Close,
}

/// A commit on its way.
#[derive(Clone, Debug)]
pub(super) struct Commit {
    pub(super) offsets: Positions,
    pub(super) by: CommitFor,
    /// Of the request, for who waits for it.
    pub(super) number: u64,
}

/// An asynchronous commit whose callback has to be called.
#[derive(Clone, Debug)]
pub(super) struct CommitDone {
    commit: Commit,
    result: Result<(), Exception>,
}

impl Commit {
    /// What is told of its end; nothing if it had nothing to commit.
    pub(super) fn outcome(&self, result: Result<(), Exception>) -> Option<ClientNote> {
        if self.offsets.is_empty() {
            return None;
        }
        let by = match self.by {
            CommitFor::Sync | CommitFor::Async => CommittedBy::Application,
            CommitFor::Periodic | CommitFor::Prepare | CommitFor::Close => CommittedBy::Itself,
        };
        let offsets: Box<[(PartitionId, Offset)]> = self
            .offsets
            .iter()
            .map(|(partition, committed)| (*partition, committed.offset))
            .collect();
        Some(match result {
            Ok(()) => ClientNote::Committed { offsets, by },
            Err(exception) => ClientNote::CommitFailed {
                offsets,
                by,
                error: exception.name(),
            },
        })
    }
}

impl Member {
    pub(super) fn all_consumed(&self) -> Positions {
        self.core.all_consumed().collect()
    }

    /// `maybeAutoCommitOffsetsAsync` in a poll.
    pub(super) fn commit_periodically(
        &mut self,
        now: Time,
        environment: &mut impl Environment,
    ) -> Result<(), Exception> {
        let settings = &self.specification.member;
        if !settings.enable_auto_commit {
            return Ok(());
        }
        self.next_auto_commit.update(now);
        if self.next_auto_commit.is_expired() {
            self.next_auto_commit.reset(settings.auto_commit_interval_ms);
            self.commit_automatically(CommitFor::Periodic, environment)?;
        }
        Ok(())
    }

    /// `autoCommitOffsetsAsync`.
    pub(super) fn commit_automatically(
        &mut self,
        by: CommitFor,
        environment: &mut impl Environment,
    ) -> Result<(), Exception> {
        let commit = self.commit(self.all_consumed(), by);
        self.commit_async(commit, environment)
    }

    pub(super) fn commit(&mut self, offsets: Positions, by: CommitFor) -> Commit {
        Commit {
            offsets,
            by,
            number: self.number(),
        }
    }

    /// `commitOffsetsAsync`.
    pub(super) fn commit_async(
        &mut self,
        commit: Commit,
        environment: &mut impl Environment,
    ) -> Result<(), Exception> {
        self.call_back(environment)?;
        if commit.offsets.is_empty() || self.ensure_coordinator_now(environment) {
            self.send_async_commit(commit, environment);
        } else if self.look_up_coordinator(environment) {
            self.async_waiting.push(commit);
        } else {
            self.async_commit_done(commit, Err(Exception::RetriableCommitFailed));
        }
        self.poll_now(environment);
        Ok(())
    }

    pub(super) fn send_async_commit(&mut self, commit: Commit, environment: &mut impl Environment) {
        if commit.by == CommitFor::Prepare {
            self.prepare_commit = Some(Future {
                number: commit.number,
                state: Pending::Waiting,
            });
        }
        self.async_in_flight += 1;
        self.send_commit(commit, environment);
    }

    /// `sendOffsetCommitRequest`.
    pub(super) fn send_commit(&mut self, commit: Commit, environment: &mut impl Environment) {
        if commit.offsets.is_empty() {
            return self.commit_ends(commit, Ok(()));
        }
        if self.known_coordinator(environment).is_none() {
            let unknown = Exception::Error(ErrorCode::CoordinatorNotAvailable);
            return self.commit_ends(commit, Err(unknown));
        }
        let Some(generation) = self.generation_if_stable() else {
            let exception = match self.rebalance_in_progress() {
                true => Exception::Error(ErrorCode::RebalanceInProgress),
                false => Exception::CommitFailed,
            };
            return self.commit_ends(commit, Err(exception));
        };
        let partition = |(partition, committed): &(PartitionId, CommittedOffset)| OffsetCommitPartition {
            partition: *partition,
            committed: *committed,
            metadata_length: 0,
        };
        let request = Request::OffsetCommit(Box::new(OffsetCommitRequest {
            group: self.specification.group,
            generation: generation.id,
            member: generation.member,
            instance: self.instance(),
            partitions: commit.offsets.iter().map(partition).collect(),
        }));
        self.send(What::OffsetCommit(commit), request, environment);
    }

    /// `OffsetCommitResponseHandler`: the first error decides.
    pub(super) fn commit_answered(
        &mut self,
        response: &OffsetCommitResponse,
        sent: Generation,
    ) -> Result<(), Exception> {
        let first = response
            .partitions
            .iter()
            .find(|(_, error)| *error != ErrorCode::None);
        let Some((_, error)) = first else { return Ok(()) };
        let rejoining = self.generation != sent && self.state == MemberState::PreparingRebalance;
        Err(match error {
            ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::OffsetMetadataTooLarge
            | ErrorCode::InvalidCommitOffsetSize => Exception::Error(*error),
            ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator | ErrorCode::RequestTimedOut => {
                self.mark_coordinator_unknown(false);
                Exception::Error(*error)
            }
            ErrorCode::FencedInstanceId if self.generation == sent => Exception::Error(*error),
            ErrorCode::FencedInstanceId | ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration
                if rejoining =>
            {
                Exception::Error(ErrorCode::RebalanceInProgress)
            }
            ErrorCode::FencedInstanceId => Exception::CommitFailed,
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => {
                self.reset_and_rejoin(*error != ErrorCode::IllegalGeneration);
                Exception::CommitFailed
            }
            ErrorCode::RebalanceInProgress => {
                self.rejoin_needed = true;
                Exception::Error(*error)
            }
            error => Exception::Unexpected(*error),
        })
    }

    pub(super) fn commit_ends(&mut self, commit: Commit, result: Result<(), Exception>) {
        match commit.by {
            CommitFor::Sync | CommitFor::Close => {
                return Future::ends(&mut self.sync_commit, commit.number, result);
            }
            CommitFor::Prepare => Future::ends(&mut self.prepare_commit, commit.number, result),
            CommitFor::Async | CommitFor::Periodic => {}
        }
        self.async_in_flight -= 1;
        let result = result.map_err(|exception| match exception.is_retriable() {
            true => Exception::RetriableCommitFailed,
            false => exception,
        });
        self.async_fenced |= result == Err(Exception::Error(ErrorCode::FencedInstanceId));
        self.async_commit_done(commit, result);
    }

    pub(super) fn async_commit_done(&mut self, commit: Commit, result: Result<(), Exception>) {
        self.commits_done.push_back(CommitDone { commit, result });
    }

    /// `invokeCompletedOffsetCommitCallbacks`.
    pub(super) fn call_back(&mut self, environment: &mut impl Environment) -> Result<(), Exception> {
        if self.async_fenced {
            return Err(Exception::Error(ErrorCode::FencedInstanceId));
        }
        while let Some(CommitDone { commit, result }) = self.commits_done.pop_front() {
            let automatic = commit.by != CommitFor::Async;
            if automatic && result == Err(Exception::RetriableCommitFailed) {
                let backoff = self.core.client.retry_backoff;
                self.next_auto_commit
                    .update_and_reset(environment.wall(), backoff);
            }
            self.tell_commit(&commit, result, environment);
        }
        Ok(())
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
