//! Answers of other replicas (`KafkaRaftClient.handleResponse`).

use ktrial_sim::{Context, Time};

use super::Raft;
use crate::ids::{Offset, QuorumEpoch, ServerId};
use crate::kafka::Kafka;
use crate::protocol::{ErrorCode, QuorumFetchResponse, QuorumState, Response, VoteResponse};
use crate::raft::peers::PeerPlace;
use crate::raft::state::State;
use crate::raft::timer::wall;

impl Raft {
    /// Whether the voter may be asked again at once.
    pub(super) fn handle_response(
        &mut self,
        voter: PeerPlace,
        response: Response,
        context: &mut Context<'_, Kafka>,
    ) -> bool {
        let state = match &response {
            Response::Vote(vote) => vote.state,
            Response::BeginQuorumEpoch(state) | Response::EndQuorumEpoch(state) => *state,
            Response::QuorumFetch(fetch) => fetch.state,
            _ => unreachable!("the quorum asks nothing else"),
        };
        let handled = self.handle_common(state, context);
        if handled.is_none() {
            match &response {
                Response::Vote(vote) => {
                    let server = self.peers.server(voter);
                    self.handle_vote_response(server, *vote, context);
                }
                Response::BeginQuorumEpoch(_) => {}
                Response::EndQuorumEpoch(_) => self.acknowledge_resignation(voter),
                Response::QuorumFetch(fetch) => self.handle_fetch_response(fetch, context),
                _ => unreachable!("the quorum asks nothing else"),
            }
        }
        if let Response::QuorumFetch(fetch) = response {
            context.arena().quorum_answers.take_back(fetch);
        }
        handled.unwrap_or(true)
    }

    /// What every response can tell (`maybeHandleCommonResponse`). `None`: the response itself is still of use.
    fn handle_common(&mut self, state: QuorumState, context: &mut Context<'_, Kafka>) -> Option<bool> {
        let before: (QuorumEpoch, Option<ServerId>) = (self.epoch, self.leader());
        if state.epoch < self.epoch || state.error == ErrorCode::UnknownLeaderEpoch {
            return Some(state.error == ErrorCode::None);
        }
        let stale = matches!(
            state.error,
            ErrorCode::FencedLeaderEpoch | ErrorCode::NotLeaderOrFollower
        );
        if state.epoch > self.epoch || stale {
            self.learn_leader(state.leader, state.epoch, context);
            // Having learnt something it asks on at once.
            return Some(before != (self.epoch, self.leader()));
        }
        if let Some(leader) = state.leader
            && self.leader().is_none()
        {
            self.learn_leader(Some(leader), state.epoch, context);
            return (state.error != ErrorCode::None).then_some(true);
        }
        match state.error {
            ErrorCode::None => None,
            ErrorCode::InvalidRequest => {
                self.fail("INVALID_REQUEST in a response of the quorum", context);
                Some(false)
            }
            _ => Some(false),
        }
    }

    fn handle_vote_response(
        &mut self,
        server: ServerId,
        vote: VoteResponse,
        context: &mut Context<'_, Kafka>,
    ) {
        let place = self.voters.index_of(server).expect("only voters are asked");
        match &mut self.state {
            State::Prospective { votes, .. } | State::Candidate { votes, .. } => {
                votes.record(place, vote.granted);
                self.count_votes(context);
            }
            _ => {}
        }
    }

    fn acknowledge_resignation(&mut self, voter: PeerPlace) {
        if let State::Resigned { unacknowledged, .. } = &mut self.state {
            *unacknowledged &= !voter.bit();
        }
    }

    fn handle_fetch_response(&mut self, fetch: &QuorumFetchResponse, context: &mut Context<'_, Kafka>) {
        let now = wall(context);
        if !matches!(self.state, State::Follower { .. }) {
            return self.fail("a fetch was answered to a replica that does not follow", context);
        }
        if let Some((epoch, end)) = fetch.diverging {
            let to = self.log.truncation_point(epoch, end);
            // The log itself remembers what was committed, whatever state this replica has been in since.
            let committed = self.told.high_watermark;
            if to < committed || self.high_watermark.is_some_and(|known| end < known) {
                return self.fail("the leader asks to truncate below the high watermark", context);
            }
            self.truncate(to, context);
            return self.fetch_succeeded(now);
        }
        let readable = fetch.batches.iter().take_while(|batch| !batch.corrupt);
        let mut appended = false;
        for batch in readable {
            if batch.base_offset != self.log.end() || self.disk_refuses(context) {
                return self.fail("the fetched batches do not fit the log", context);
            }
            self.append_batch(*batch, context);
            appended = true;
        }
        if appended && self.controller {
            // A voter has on the platter what its next fetch says that it has; brokers need not.
            self.flush(Some((fetch.high_watermark, now)), context);
        } else {
            self.fetched(fetch.high_watermark, now, context);
        }
    }

    /// What was fetched is appended (and flushed): takes over the leader's high watermark.
    pub(super) fn fetched(
        &mut self,
        high_watermark: Option<Offset>,
        since: Time,
        context: &mut Context<'_, Kafka>,
    ) {
        if let Some(leaders) = high_watermark {
            let to = leaders.min(self.log.end());
            match self.high_watermark {
                Some(known) if to < known => {
                    return self.fail("the high watermark of the quorum went back", context);
                }
                Some(known) if to == known => {}
                _ => self.move_high_watermark(to, context),
            }
        }
        self.fetch_succeeded(since);
    }

    /// The fetch timer starts anew, from when the response was taken up.
    fn fetch_succeeded(&mut self, since: Time) {
        let timeout = self.settings.fetch_timeout;
        if let State::Follower { fetched, fetch, .. } = &mut self.state {
            *fetched = true;
            fetch.update(since);
            fetch.reset(timeout);
        }
    }
}
