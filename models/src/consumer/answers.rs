//! What members make of the coordinator's answers (`AbstractCoordinator`'s response handlers).
//!
//! | error | JoinGroup | SyncGroup | Heartbeat |
//! |---|---|---|---|
//! | COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR | look for the coordinator, again | the same | the same |
//! | COORDINATOR_LOAD_IN_PROGRESS | again | thrown | again after a back-off |
//! | UNKNOWN_MEMBER_ID | member id and generation forgotten, again | the same | the same |
//! | ILLEGAL_GENERATION | thrown | generation forgotten, again | the same |
//! | REBALANCE_IN_PROGRESS | again | again | join again if stable |
//! | MEMBER_ID_REQUIRED | again with the id told | | |
//! | FENCED_INSTANCE_ID | thrown | thrown | thrown by the next poll |
//! | others | thrown | thrown | again after a back-off |
//!
//! A lost connection makes the coordinator unknown. Answers to an older generation forget nothing.

use super::exception::Exception;
use super::member::{Future, Generation, Member, MemberState, Pending, Sent, What};
use crate::client::{Environment, Node};
use crate::ids::ServerId;
use crate::notes::{ClientNote, RebalanceStep};
use crate::protocol::{Assignment, ProtocolType};
use crate::protocol::{ErrorCode, JoinGroupResponse, Request, Response, SyncGroupRequest, SyncGroupResponse};
use crate::reader::core::GroupOutcome;

impl Member {
    /// What follows a select.
    pub(super) fn after_select(&mut self, environment: &mut impl Environment) {
        self.core.after_select(environment);
        while !self.core.group_completed.is_empty() {
            for (number, outcome) in std::mem::take(&mut self.core.group_completed) {
                let sent = self.sent.take(number);
                self.answered(sent, outcome, environment);
            }
        }
        self.assign_when_metadata_are_fresh(environment);
    }

    /// A poll of the network that does not wait.
    pub(super) fn poll_now(&mut self, environment: &mut impl Environment) {
        self.core.before_select(ktrial_sim::Duration::ZERO, environment);
        self.after_select(environment);
    }

    fn answered(&mut self, sent: Sent, outcome: GroupOutcome, environment: &mut impl Environment) {
        let Sent {
            what,
            generation,
            created,
        } = sent;
        let answer = match outcome {
            GroupOutcome::Response(response) => Ok(response),
            GroupOutcome::Disconnected => {
                if !matches!(what, What::FindCoordinator(_)) {
                    self.mark_coordinator_unknown(true);
                }
                Err(Exception::Disconnected)
            }
            GroupOutcome::Expired => Err(Exception::TimedOut),
        };
        match (what, answer) {
            (What::FindCoordinator(number), Ok(Response::FindCoordinator(found))) => {
                self.found(number, found.map_err(Exception::Error), environment);
            }
            (What::FindCoordinator(number), Err(exception)) => {
                self.found(number, Err(exception), environment);
            }
            (What::JoinGroup(number), Ok(Response::JoinGroup(response))) => {
                self.join_answered(number, response, generation, environment);
            }
            (What::SyncGroup(number), Ok(Response::SyncGroup(response))) => {
                let result = self.sync_answered(*response, generation);
                if self.state == MemberState::Stable && std::mem::take(&mut self.rebalances) {
                    self.tell(ClientNote::Rebalance(RebalanceStep::Ends), environment);
                }
                self.join_ends(number, result);
            }
            (What::JoinGroup(number) | What::SyncGroup(number), Err(exception)) => {
                self.join_ends(number, Err(exception));
            }
            (What::Heartbeat, Ok(Response::Heartbeat(error))) => {
                self.heartbeat_answered(error, generation, environment);
            }
            (What::Heartbeat, Err(_)) => self.heartbeat_failed(environment),
            (What::LeaveGroup, _) => {}
            (What::OffsetCommit(commit), Ok(Response::OffsetCommit(response))) => {
                let latency = environment.wall().since(created);
                self.tell(ClientNote::CommitAnswered(latency), environment);
                let result = self.commit_answered(&response, generation);
                self.commit_ends(commit, result);
            }
            (What::OffsetCommit(commit), Err(exception)) => self.commit_ends(commit, Err(exception)),
            (What::OffsetFetch(number), Ok(Response::OffsetFetch(response))) => {
                let result = self.committed_answered(*response);
                self.committed_ends(number, result);
            }
            (What::OffsetFetch(number), Err(exception)) => self.committed_ends(number, Err(exception)),
            (what, Ok(response)) => panic!("{what:?} was sent, {response:?} came"),
        }
    }

    fn found(&mut self, number: u64, found: Result<ServerId, Exception>, environment: &mut impl Environment) {
        let result = match found {
            Ok(server) => {
                self.coordinator = Some(server);
                let now = environment.wall();
                let core = &mut self.core;
                core.network
                    .ready(Node::Coordinator(server), &mut core.metadata, now, environment);
                self.heartbeat.reset_session(now);
                Ok(())
            }
            Err(exception) => Err(exception),
        };
        Future::ends(&mut self.find, number, result);
        self.last_found = Some(Future {
            number,
            state: match result {
                Ok(()) => Pending::Done(()),
                Err(exception) => Pending::Failed(exception),
            },
        });
        for commit in std::mem::take(&mut self.async_waiting) {
            match result {
                Ok(()) => self.send_async_commit(commit, environment),
                Err(_) => self.async_commit_done(commit, Err(Exception::RetriableCommitFailed)),
            }
        }
    }

    pub(super) fn join_ends(&mut self, number: u64, result: Result<Assignment, Exception>) {
        Future::ends(&mut self.join, number, result);
    }

    fn join_answered(
        &mut self,
        number: u64,
        response: Box<JoinGroupResponse>,
        sent: Generation,
        environment: &mut impl Environment,
    ) {
        match response.error {
            ErrorCode::None if self.state != MemberState::PreparingRebalance => {
                self.join_ends(number, Err(Exception::Unjoined));
            }
            ErrorCode::None => self.joined(number, response, environment),
            error => {
                match error {
                    ErrorCode::UnknownMemberId if self.generation == sent => self.reset_and_rejoin(true),
                    ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => {
                        self.mark_coordinator_unknown(false);
                    }
                    ErrorCode::MemberIdRequired => {
                        self.generation = Generation {
                            member: response.member,
                            ..Generation::NONE
                        };
                        self.rejoin_needed = true;
                    }
                    _ => {}
                }
                self.join_ends(number, Err(join_exception(error)));
            }
        }
    }

    fn joined(&mut self, number: u64, response: Box<JoinGroupResponse>, environment: &mut impl Environment) {
        self.state = MemberState::CompletingRebalance;
        self.enable_heartbeats(environment);
        self.generation = Generation {
            id: response.generation,
            member: response.member,
            protocol: response.protocol,
        };
        if let Some(member) = response.member {
            self.tell(ClientNote::IsMember(member), environment);
        }
        if response.leader.is_some() && response.leader == response.member {
            self.elected_leader(number, response, environment);
        } else {
            self.send_sync(number, Vec::new(), environment);
        }
    }

    /// SyncGroup: a leader's with the assignments, others' with none.
    pub(super) fn send_sync(
        &mut self,
        number: u64,
        assignments: Vec<(crate::ids::MemberId, Assignment)>,
        environment: &mut impl Environment,
    ) {
        if self.known_coordinator(environment).is_none() {
            return self.join_ends(number, Err(Exception::Error(ErrorCode::CoordinatorNotAvailable)));
        }
        let request = Request::SyncGroup(Box::new(SyncGroupRequest {
            group: self.specification.group,
            generation: self.generation.id,
            member: self.generation.member.expect("it has joined"),
            instance: self.instance(),
            protocol_type: Some(ProtocolType::Consumer),
            protocol: self.generation.protocol,
            assignments,
        }));
        self.send(What::SyncGroup(number), request, environment);
    }

    fn sync_answered(
        &mut self,
        response: SyncGroupResponse,
        sent: Generation,
    ) -> Result<Assignment, Exception> {
        match response.error {
            ErrorCode::None => {
                if self.generation.was_reset() || self.state != MemberState::CompletingRebalance {
                    return Err(Exception::Error(ErrorCode::IllegalGeneration));
                }
                if response.protocol.is_some() && response.protocol != self.generation.protocol {
                    return Err(Exception::Error(ErrorCode::InconsistentGroupProtocol));
                }
                self.state = MemberState::Stable;
                self.rejoin_needed = false;
                // No bytes at all: the leader named nothing for this member (IllegalStateException).
                response.assignment.ok_or(Exception::Assignor)
            }
            error @ (ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration) => {
                if self.generation == sent {
                    self.reset_and_rejoin(error != ErrorCode::IllegalGeneration);
                }
                Err(Exception::Error(error))
            }
            error @ (ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator) => {
                self.mark_coordinator_unknown(false);
                Err(Exception::Error(error))
            }
            error @ (ErrorCode::RebalanceInProgress | ErrorCode::FencedInstanceId) => {
                Err(Exception::Error(error))
            }
            error => Err(Exception::Unexpected(error)),
        }
    }

    fn heartbeat_answered(&mut self, error: ErrorCode, sent: Generation, environment: &mut impl Environment) {
        let now = environment.wall();
        match error {
            ErrorCode::None => self.heartbeat.received(now),
            ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => {
                self.mark_coordinator_unknown(false);
                self.heartbeat_failed(environment);
            }
            ErrorCode::RebalanceInProgress => {
                if self.state == MemberState::Stable {
                    self.rejoin_needed = true;
                }
                self.heartbeat.received(now);
            }
            ErrorCode::IllegalGeneration | ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => {
                if self.generation != sent {
                    return self.heartbeat.received(now);
                }
                self.reset_and_rejoin(error != ErrorCode::IllegalGeneration);
                match error {
                    ErrorCode::FencedInstanceId => self.thread.failed = Some(Exception::Error(error)),
                    _ => self.heartbeat_failed(environment),
                }
            }
            _ => self.heartbeat_failed(environment),
        }
    }

    fn heartbeat_failed(&mut self, environment: &mut impl Environment) {
        let backoff = self.backoff(self.heartbeat.attempts, environment);
        self.heartbeat.failed(environment.wall(), backoff);
        self.notify();
    }
}

fn join_exception(error: ErrorCode) -> Exception {
    match error {
        ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::UnknownMemberId
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator
        | ErrorCode::FencedInstanceId
        | ErrorCode::InconsistentGroupProtocol
        | ErrorCode::InvalidSessionTimeout
        | ErrorCode::InvalidGroupId
        | ErrorCode::GroupMaxSizeReached
        | ErrorCode::MemberIdRequired
        | ErrorCode::RebalanceInProgress => Exception::Error(error),
        error => Exception::Unexpected(error),
    }
}

/// Errors after which a member joins again at once.
pub(super) fn joins_again_at_once(exception: Exception) -> bool {
    matches!(
        exception,
        Exception::Error(
            ErrorCode::UnknownMemberId
                | ErrorCode::IllegalGeneration
                | ErrorCode::RebalanceInProgress
                | ErrorCode::MemberIdRequired
        )
    )
}
