//! What each state does when the Raft thread looks at it (`KafkaRaftClient.pollCurrentState`). Every function
//! returns how long until there is something to do again: zero means at once. What is rare stands apart from what every
//! turn does (`inline(never)`), which is quicker without what the rare keeps on the stack.

use ktrial_sim::{Context, Duration, Time};

use super::Raft;
use crate::ids::{QuorumEpoch, ServerId};
use crate::kafka::{Kafka, METADATA_LOG, site};
use crate::notes::{Note, QuorumNote};
use crate::protocol::{
    BeginQuorumEpochRequest, EndQuorumEpochRequest, QuorumFetchRequest, Request, VoteRequest, Voter,
};
use crate::raft::peers::PeerPlace;
use crate::raft::state::State;
use crate::raft::timer::wall;
use crate::records::MetadataBatch;

/// How long a leader may hold back a fetch (`MAX_FETCH_WAIT_MS`).
const FETCH_MAX_WAIT: Duration = Duration::millis(500);

impl Raft {
    pub(super) fn poll(&mut self, context: &mut Context<'_, Kafka>) -> Duration {
        if self.stopped || self.flushing.is_some() {
            return Duration::FOREVER;
        }
        let now = wall(context);
        if self.complete_shutdown(now) {
            let file = context.disk().file(METADATA_LOG);
            let entries = file.entries().len();
            file.flush(entries);
            return Duration::FOREVER;
        }
        match &self.state {
            State::Leader(_) => self.poll_leader(now, context),
            State::Candidate { .. } | State::Prospective { .. } => self.poll_nominee(now, context),
            State::Follower { leader, .. } => self.poll_follower(*leader, now, context),
            State::Unattached { .. } => self.poll_unattached(now, context),
            State::Resigned { .. } => self.poll_resigned(now, context),
        }
    }

    /// An orderly stop is over once it does not matter any more whether this replica goes on.
    fn complete_shutdown(&mut self, now: Time) -> bool {
        let late = match &mut self.closing {
            Some(closing) => closing.is_expired(now),
            None => return false,
        };
        let remote_leader = self.leader().is_some_and(|leader| leader != self.own.server);
        self.stopped = late || !self.is_voter() || self.is_only_voter() || remote_leader;
        self.stopped
    }

    fn closing_time(&mut self, now: Time) -> Option<Duration> {
        self.closing.as_mut().map(|closing| closing.remaining(now))
    }

    fn poll_leader(&mut self, now: Time, context: &mut Context<'_, Kafka>) -> Duration {
        let closing = self.closing.is_some();
        let State::Leader(leader) = &mut self.state else {
            unreachable!("it leads");
        };
        let check_quorum = leader.time_until_check_quorum(now);
        if closing || leader.resign_requested || check_quorum == Duration::ZERO {
            self.become_resigned(context);
            return Duration::ZERO;
        }
        if leader.accumulator.time_until_drain(now) == Duration::ZERO {
            self.write_gathered(context);
            // The thread is blocked by the flush now.
            return Duration::FOREVER;
        }
        let drain = leader.accumulator.time_until_drain(now);
        let begin_quorum = self.send_begin_quorum_epoch(now, context);
        drain.min(check_quorum).min(begin_quorum)
    }

    /// Appends what the accumulator holds, counts it as the leader's own, and only then flushes
    /// (`maybeAppendBatches`).
    #[inline(never)]
    fn write_gathered(&mut self, context: &mut Context<'_, Kafka>) {
        if self.disk_refuses(context) {
            return;
        }
        let State::Leader(leader) = &mut self.state else {
            unreachable!("it leads");
        };
        let records = context.arena().store_metadata(leader.accumulator.drain());
        let batch = MetadataBatch {
            base_offset: self.log.end(),
            epoch: self.epoch,
            records,
            corrupt: false,
        };
        self.append_batch(batch, context);
        let State::Leader(leader) = &mut self.state else {
            unreachable!("it leads");
        };
        leader.own_end(self.log.end());
        self.commit(context);
        self.complete_parked(context);
        self.flush(None, context);
    }

    pub(super) fn append_batch(&mut self, batch: MetadataBatch, context: &mut Context<'_, Kafka>) {
        self.log.append(batch, context.disk().file(METADATA_LOG));
        let (base, next) = (batch.base_offset, batch.next_offset());
        context.note(Note::Quorum(QuorumNote::Appended(base, next, batch.epoch)));
    }

    /// Tells voters that have not fetched lately who leads.
    #[inline(never)]
    fn send_begin_quorum_epoch(&mut self, now: Time, context: &mut Context<'_, Kafka>) -> Duration {
        let State::Leader(leader) = &mut self.state else {
            unreachable!("it leads");
        };
        let remaining = leader.begin_quorum.remaining(now);
        if remaining > Duration::ZERO {
            return remaining;
        }
        leader.reset_begin_quorum(now);
        // Kafka waits for answers alone, because the next message of any kind makes it look at this timer again.
        let mut wait = leader.begin_quorum.remaining(now);
        for place in 0..self.voters.as_slice().len() {
            let voter = self.voters.as_slice()[place];
            let State::Leader(leader) = &self.state else {
                unreachable!("it leads");
            };
            if leader.needs_begin_quorum(place, now) {
                let request = |raft: &Self, _: &mut Context<'_, Kafka>| {
                    Request::BeginQuorumEpoch(Box::new(BeginQuorumEpochRequest {
                        leader: raft.own.server,
                        epoch: raft.epoch,
                        voter,
                    }))
                };
                wait = wait.min(self.ask(voter.server, request, now, context));
            }
        }
        wait
    }

    /// Asks a voter unless it has been asked already or must be left alone for a while; how long until it can be
    /// asked again.
    fn ask(
        &mut self,
        server: ServerId,
        request: impl FnOnce(&Self, &mut Context<'_, Kafka>) -> Request,
        now: Time,
        context: &mut Context<'_, Kafka>,
    ) -> Duration {
        let place = self.peers.place_of(server);
        let wait = self.peers.wait(place, now);
        if wait > Duration::ZERO {
            return wait;
        }
        let request = request(self, context);
        self.peers.ask(place, || request, now, context)
    }

    #[inline(never)]
    fn poll_nominee(&mut self, now: Time, context: &mut Context<'_, Kafka>) -> Duration {
        let closing = self.closing_time(now);
        let (prospective, election) = match &mut self.state {
            State::Prospective { election, .. } => (true, election.remaining(now)),
            State::Candidate { election, .. } => (false, election.remaining(now)),
            _ => unreachable!("it stands for election"),
        };
        if closing.is_none() && election == Duration::ZERO {
            if prospective {
                self.lose_pre_vote(context);
            } else {
                self.become_prospective(context);
            }
            return Duration::ZERO;
        }
        self.send_votes(prospective, now, context)
            .min(closing.unwrap_or(election))
    }

    /// Asks everybody who has not answered, as long as the election can be won.
    fn send_votes(&mut self, pre_vote: bool, now: Time, context: &mut Context<'_, Kafka>) -> Duration {
        let mut wait = Duration::FOREVER;
        for place in 0..self.voters.as_slice().len() {
            let voter = self.voters.as_slice()[place];
            let open = match &self.state {
                State::Prospective { votes, .. } | State::Candidate { votes, .. } => {
                    !votes.is_lost() && votes.is_unrecorded(place)
                }
                _ => false,
            };
            if open {
                let request = |raft: &Self, _: &mut Context<'_, Kafka>| {
                    Request::Vote(Box::new(VoteRequest {
                        candidate: raft.own,
                        voter,
                        epoch: raft.epoch,
                        last_epoch: raft.log.last_epoch(),
                        last_offset: raft.log.end(),
                        pre_vote,
                    }))
                };
                wait = wait.min(self.ask(voter.server, request, now, context));
            }
        }
        wait
    }

    fn poll_follower(&mut self, leader: ServerId, now: Time, context: &mut Context<'_, Kafka>) -> Duration {
        let State::Follower { fetch, .. } = &mut self.state else {
            unreachable!("it follows");
        };
        let remaining = fetch.remaining(now);
        if !self.is_voter() {
            return self.fetch_from_best(leader, now, context);
        }
        if remaining == Duration::ZERO {
            self.become_prospective(context);
            return Duration::ZERO;
        }
        self.fetch_from_best(leader, now, context).min(remaining)
    }

    /// From the leader, or from anybody if the leader does not answer (`maybeSendFetchToBestNode`).
    fn fetch_from_best(&mut self, leader: ServerId, now: Time, context: &mut Context<'_, Kafka>) -> Duration {
        let place = self.peers.place_of(leader);
        if self.peers.is_out_of_reach(place, now) {
            return self.fetch_from_any(now, context);
        }
        match self.peers.look(now).in_flight {
            Some(wait) => wait,
            None => self.send_fetch(place, now, context),
        }
    }

    /// From any voter that can be asked, beginning at a random one (`maybeSendFetchToAnyBootstrap`). It never asks
    /// itself, which could teach it nothing.
    fn fetch_from_any(&mut self, now: Time, context: &mut Context<'_, Kafka>) -> Duration {
        let look = self.peers.look(now);
        if let Some(wait) = look.in_flight {
            return wait;
        }
        if look.wait_for_any > Duration::ZERO {
            return look.wait_for_any;
        }
        let who = self.draw_identity(context);
        let first = context.draw_below(site::QUORUM_BOOTSTRAP, who, self.peers.len() as u64) as usize;
        let place = self.peers.ready_from(first);
        self.send_fetch(place.expect("nobody is waited for"), now, context)
    }

    /// To somebody who can be asked.
    fn send_fetch(&mut self, place: PeerPlace, now: Time, context: &mut Context<'_, Kafka>) -> Duration {
        let fetch = context.arena().quorum_fetches.fill(|| QuorumFetchRequest {
            replica: self.own,
            epoch: self.epoch,
            fetch_offset: self.log.end(),
            last_fetched_epoch: self.log.last_epoch(),
            max_wait: FETCH_MAX_WAIT,
            max_bytes: self.settings.fetch_max_bytes,
            high_watermark: self.high_watermark,
        });
        self.peers
            .ask(place, || Request::QuorumFetch(fetch), now, context)
    }

    fn poll_unattached(&mut self, now: Time, context: &mut Context<'_, Kafka>) -> Duration {
        let voter = self.is_voter();
        if let Some(closing) = self.closing_time(now) {
            return closing;
        }
        let State::Unattached { election, .. } = &mut self.state else {
            unreachable!("it is unattached");
        };
        let remaining = election.remaining(now);
        if !voter {
            return self.fetch_from_any(now, context);
        }
        if remaining == Duration::ZERO {
            self.become_prospective(context);
            return Duration::ZERO;
        }
        self.fetch_from_any(now, context).min(remaining)
    }

    #[inline(never)]
    fn poll_resigned(&mut self, now: Time, context: &mut Context<'_, Kafka>) -> Duration {
        let told = self.send_end_quorum_epoch(now, context);
        if let Some(closing) = self.closing_time(now) {
            return told.min(closing);
        }
        let State::Resigned { election, .. } = &mut self.state else {
            unreachable!("it has resigned");
        };
        let remaining = election.remaining(now);
        if remaining == Duration::ZERO {
            // The epoch must grow: nobody may be told of this replica as its leader, itself included.
            let next = QuorumEpoch(self.epoch.0 + 1);
            self.become_unattached(next, context);
        }
        told.min(remaining)
    }

    fn send_end_quorum_epoch(&mut self, now: Time, context: &mut Context<'_, Kafka>) -> Duration {
        let mut wait = Duration::FOREVER;
        for place in self.peers.places() {
            let State::Resigned { unacknowledged, .. } = &self.state else {
                unreachable!("it has resigned");
            };
            if unacknowledged & place.bit() == 0 {
                continue;
            }
            let server = self.peers.server(place);
            wait = wait.min(self.ask(server, Self::end_request, now, context));
        }
        wait
    }

    fn end_request(&self, _: &mut Context<'_, Kafka>) -> Request {
        let State::Resigned { successors, .. } = &self.state else {
            unreachable!("it has resigned");
        };
        Request::EndQuorumEpoch(Box::new(EndQuorumEpochRequest {
            leader: self.own.server,
            epoch: self.epoch,
            preferred_successors: successors.clone(),
        }))
    }

    /// Whether a replica's key is this one's, or leaves open which directory it means (`isValidVoterKey`).
    pub(super) fn is_meant(&self, voter: Voter) -> bool {
        super::voters::matches(voter, self.own)
    }
}
