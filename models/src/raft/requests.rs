//! Requests of other replicas (`KafkaRaftClient.handleRequest`).

use ktrial_sim::{ConnectionId, Context, Duration};
use smallvec::SmallVec;

use super::Raft;
use crate::ids::{Offset, QuorumEpoch, ServerId};
use crate::kafka::{Kafka, METADATA_LOG};
use crate::mutation::Mutation;
use crate::notes::{Note, QuorumNote};
use crate::protocol::{
    BeginQuorumEpochRequest, Correlation, EndQuorumEpochRequest, ErrorCode, QuorumFetchRequest,
    QuorumFetchResponse, QuorumState, Request, Response, VoteRequest, VoteResponse,
};
use crate::raft::log::MetadataLog;
use crate::raft::purgatory::Parked;
use crate::raft::state::State;
use crate::raft::timer::wall;
use crate::server::respond;

impl Raft {
    /// Deals with a request. Whether it can have changed what the thread finds when it looks at its state: a fetch
    /// mostly does not, it is refused, answered, or waits.
    pub(super) fn handle_request(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        request: Request,
        context: &mut Context<'_, Kafka>,
    ) -> bool {
        let response = match request {
            Request::Vote(vote) => Response::Vote(self.handle_vote(*vote, context)),
            Request::BeginQuorumEpoch(begin) => {
                Response::BeginQuorumEpoch(self.handle_begin(*begin, context))
            }
            Request::EndQuorumEpoch(end) => Response::EndQuorumEpoch(self.handle_end(&end, context)),
            Request::QuorumFetch(fetch) => {
                let before = self.high_watermark;
                self.handle_fetch(connection, correlation, fetch, context);
                return self.high_watermark != before;
            }
            _ => unreachable!("only requests of the quorum come here"),
        };
        if !self.stopped {
            respond(connection, correlation, response, context);
        }
        true
    }

    fn quorum_state(&self, error: ErrorCode) -> QuorumState {
        QuorumState {
            error,
            leader: self.leader(),
            epoch: self.epoch,
        }
    }

    fn handle_vote(&mut self, vote: VoteRequest, context: &mut Context<'_, Kafka>) -> VoteResponse {
        let refuse = |raft: &Self, error| VoteResponse {
            state: raft.quorum_state(error),
            granted: false,
        };
        // A candidate has never seen a leader of its epoch; a prospective may have.
        let illegal = if vote.pre_vote {
            vote.last_epoch > vote.epoch
        } else {
            vote.last_epoch >= vote.epoch
        };
        if illegal {
            return refuse(self, ErrorCode::InvalidRequest);
        }
        if vote.epoch < self.epoch {
            return refuse(self, ErrorCode::FencedLeaderEpoch);
        }
        if vote.epoch > self.epoch {
            self.become_unattached(vote.epoch, context);
        }
        if !self.is_meant(vote.voter) {
            return refuse(self, ErrorCode::InvalidVoterKey);
        }
        let own = (self.log.last_epoch(), self.log.end());
        let up_to_date = (vote.last_epoch, vote.last_offset) >= own;
        let twice = self.specification.mutations.has(Mutation::VoteTwice);
        let granted = self
            .state
            .can_grant(vote.candidate, up_to_date, vote.pre_vote, twice);
        if granted && !vote.pre_vote {
            if self.state.voted(self.own).is_none() {
                self.record_vote(vote.candidate, context);
            }
            context.note(Note::Quorum(QuorumNote::Voted(self.epoch, vote.candidate.server)));
        }
        VoteResponse {
            state: self.quorum_state(ErrorCode::None),
            granted,
        }
    }

    /// A leader makes itself known, or a request from one that says so (`maybeTransition`). Two leaders in one
    /// epoch are more than Kafka can bear.
    pub(super) fn learn_leader(
        &mut self,
        leader: Option<ServerId>,
        epoch: QuorumEpoch,
        context: &mut Context<'_, Kafka>,
    ) {
        let consistent = match leader {
            Some(leader) if leader == self.own.server => matches!(self.state, State::Leader(_)),
            Some(leader) => epoch != self.epoch || self.leader().is_none_or(|known| known == leader),
            None => true,
        };
        match leader {
            _ if !consistent => self.fail("another leader in the same epoch of the quorum", context),
            Some(leader) if epoch > self.epoch || (epoch == self.epoch && self.leader().is_none()) => {
                self.become_follower(epoch, leader, context);
            }
            None if epoch > self.epoch => self.become_unattached(epoch, context),
            _ => {}
        }
    }

    fn handle_begin(
        &mut self,
        begin: BeginQuorumEpochRequest,
        context: &mut Context<'_, Kafka>,
    ) -> QuorumState {
        if begin.epoch < self.epoch {
            return self.quorum_state(ErrorCode::FencedLeaderEpoch);
        }
        self.learn_leader(Some(begin.leader), begin.epoch, context);
        let meant = self.is_meant(begin.voter);
        self.quorum_state(if meant {
            ErrorCode::None
        } else {
            ErrorCode::InvalidVoterKey
        })
    }

    fn handle_end(&mut self, end: &EndQuorumEpochRequest, context: &mut Context<'_, Kafka>) -> QuorumState {
        if end.epoch < self.epoch {
            return self.quorum_state(ErrorCode::FencedLeaderEpoch);
        }
        self.learn_leader(Some(end.leader), end.epoch, context);
        let backoff = self.end_epoch_backoff(end);
        let now = wall(context);
        if let State::Follower { leader, fetch, .. } = &mut self.state
            && *leader == end.leader
        {
            fetch.update(now);
            fetch.reset(backoff);
        }
        self.quorum_state(ErrorCode::None)
    }

    /// How long a voter waits for the elections of those with longer logs: nothing for the first successor, then
    /// doubling up to controller.quorum.election.backoff.max.ms (`strictExponentialElectionBackoffMs`).
    fn end_epoch_backoff(&self, end: &EndQuorumEpochRequest) -> Duration {
        let successors = &end.preferred_successors;
        let own = successors.iter().position(|server| *server == self.own.server);
        let position = own.unwrap_or(successors.len());
        let most = self.settings.election_backoff_max.as_millis();
        if position == 0 {
            return Duration::ZERO;
        }
        if position >= successors.len() {
            return Duration::millis(most);
        }
        let base = most >> (successors.len() - 1);
        Duration::millis((base << (position - 1)).min(most))
    }

    fn handle_fetch(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        fetch: Box<QuorumFetchRequest>,
        context: &mut Context<'_, Kafka>,
    ) {
        let mut response = self.empty_response(context);
        self.try_fetch(&fetch, &mut response, context);
        let at_once = response.state.error != ErrorCode::None
            || !response.batches.is_empty()
            || fetch.max_wait == Duration::ZERO
            || response.diverging.is_some()
            || response.high_watermark > fetch.high_watermark;
        if at_once {
            context.arena().quorum_fetches.take_back(fetch);
            respond(connection, correlation, Response::QuorumFetch(response), context);
            return;
        }
        let deadline = context.monotonic() + fetch.max_wait;
        self.purgatory.park(Parked {
            connection,
            correlation,
            request: fetch,
            response,
            deadline,
        });
        self.watch_parked(context);
    }

    fn empty_response(&self, context: &mut Context<'_, Kafka>) -> Box<QuorumFetchResponse> {
        let state = self.quorum_state(ErrorCode::None);
        let mut response = context.arena().quorum_answers.reuse(|| QuorumFetchResponse {
            state,
            high_watermark: None,
            diverging: None,
            batches: SmallVec::new(),
        });
        response.state = state;
        response.high_watermark = None;
        response.diverging = None;
        response.batches.clear();
        response
    }

    /// `validateLeaderOnlyRequest`.
    fn refusal(&self, epoch: QuorumEpoch) -> Option<ErrorCode> {
        if epoch < self.epoch {
            Some(ErrorCode::FencedLeaderEpoch)
        } else if epoch > self.epoch {
            Some(ErrorCode::UnknownLeaderEpoch)
        } else if !matches!(self.state, State::Leader(_)) {
            Some(ErrorCode::NotLeaderOrFollower)
        } else {
            self.closing.map(|_| ErrorCode::BrokerNotAvailable)
        }
    }

    /// Puts what the log holds for a fetch into an empty response; notes how far the replica has come
    /// (`tryCompleteFetchRequest`).
    fn try_fetch(
        &mut self,
        fetch: &QuorumFetchRequest,
        response: &mut QuorumFetchResponse,
        context: &mut Context<'_, Kafka>,
    ) {
        if let Some(error) = self.refusal(fetch.epoch) {
            response.state = self.quorum_state(error);
            return;
        }
        response.state = self.quorum_state(ErrorCode::None);
        match self.log.validate(fetch.fetch_offset, fetch.last_fetched_epoch) {
            Err(diverging) => response.diverging = Some(diverging),
            Ok(()) => {
                let file = context.disk().file(METADATA_LOG);
                MetadataLog::read(file, fetch.fetch_offset, fetch.max_bytes, &mut response.batches);
                self.note_progress(fetch, context);
            }
        }
        response.high_watermark = self.high_watermark;
    }

    fn note_progress(&mut self, fetch: &QuorumFetchRequest, context: &mut Context<'_, Kafka>) {
        let now = wall(context);
        let State::Leader(leader) = &mut self.state else {
            unreachable!("only leaders are asked");
        };
        let voter = leader.fetched(fetch.replica, fetch.fetch_offset, now);
        // One that is no further than what is committed adds to no majority.
        if voter && self.high_watermark.is_none_or(|known| fetch.fetch_offset > known) {
            self.commit(context);
        }
    }

    /// Moves the high watermark if a majority has come further, and answers all fetches that wait, so that
    /// replicas hear of it (KIP-1166).
    pub(super) fn commit(&mut self, context: &mut Context<'_, Kafka>) {
        let State::Leader(leader) = &self.state else {
            unreachable!("only leaders commit");
        };
        let Some(committed) = leader.committed() else {
            return;
        };
        if self.high_watermark.is_none_or(|known: Offset| committed > known) {
            self.move_high_watermark(committed, context);
            self.complete_parked(context);
        }
    }

    /// Looks again at every fetch that waits, and answers it.
    pub(super) fn complete_parked(&mut self, context: &mut Context<'_, Kafka>) {
        let mut all = self.purgatory.take_all();
        for mut parked in all.drain(..) {
            // What waits was answered by nothing but a high watermark.
            parked.response.high_watermark = None;
            self.try_fetch(&parked.request, &mut parked.response, context);
            context.arena().quorum_fetches.take_back(parked.request);
            let response = Response::QuorumFetch(parked.response);
            respond(parked.connection, parked.correlation, response, context);
        }
        self.purgatory.recycle(all);
    }

    /// Answers every fetch that waits with an error.
    pub(super) fn refuse_parked(&mut self, error: ErrorCode, context: &mut Context<'_, Kafka>) {
        for mut parked in self.purgatory.take_all() {
            parked.response.state = self.quorum_state(error);
            parked.response.high_watermark = None;
            let response = Response::QuorumFetch(parked.response);
            respond(parked.connection, parked.correlation, response, context);
        }
    }
}
