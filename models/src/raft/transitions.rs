//! From one state to another (`QuorumState`, and what `KafkaRaftClient` does on the way).

use ktrial_sim::{Context, Duration};

use super::Raft;
use crate::documents::{Document, QuorumStateDocument};
use crate::ids::{DirectoryId, Offset, QuorumEpoch, ServerId, Servers};
use crate::kafka::{Kafka, METADATA_LOG, document, site};
use crate::metadata::MetadataRecord;
use crate::notes::{Note, QuorumNote};
use crate::protocol::{ErrorCode, Voter};
use crate::raft::leader::Leadership;
use crate::raft::log::MetadataLog;
use crate::raft::state::State;
use crate::raft::timer::{Timer, wall};
use crate::raft::voters::Votes;

impl Raft {
    /// Everything from the disk (`QuorumState.initialize`). A leader of before starts as resigned: it must not
    /// vote in its epoch, and not write in it, because unflushed records of it may be lost. Who voted for itself
    /// starts as a candidate, also if it lost and followed the winner: 4.3 looks at the vote first.
    pub(super) fn initialize(&mut self, context: &mut Context<'_, Kafka>) {
        self.format(context);
        self.high_watermark = None;
        self.purgatory.clear();
        self.flushing = None;
        self.inbox.clear();
        self.events.clear();
        self.told = super::Told::default();
        self.draws = 0;
        self.closing = None;
        self.stopped = false;
        let own = self.own.server;
        let others = self.voters.as_slice().iter().map(|voter| voter.server);
        let setup_timeout = self.settings.setup_timeout;
        self.peers
            .start(others.filter(|server| *server != own), setup_timeout, context);
        self.log = MetadataLog::default();
        if let Some(from) = self.log.load(context.disk().file(METADATA_LOG)) {
            let to = self.log.end();
            context.note(Note::Quorum(QuorumNote::Truncated { to, from }));
        }
        let stored = match context.disk().document(document::QUORUM_STATE) {
            Some(Document::QuorumState(stored)) => *stored,
            _ => QuorumStateDocument::default(),
        };
        let now = wall(context);
        self.epoch = stored.epoch;
        let voted = stored
            .voted
            .map(|(server, directory)| Voter { server, directory });
        let election = Timer::new(now, self.election_timeout(context));
        self.state = if stored.epoch < self.log.last_epoch() {
            self.epoch = self.log.last_epoch();
            State::Unattached {
                voted: None,
                election,
            }
        } else if stored.leader == Some(own) {
            State::Resigned {
                unacknowledged: (1 << self.peers.len()) - 1,
                successors: Servers::new(),
                election,
            }
        } else if voted.is_some_and(|voted| super::voters::matches(voted, self.own)) {
            State::Candidate {
                votes: self.own_vote(),
                election,
            }
        } else if let Some(leader) = stored.leader {
            State::Follower {
                leader,
                voted,
                fetched: false,
                fetch: Timer::new(now, self.settings.fetch_timeout),
            }
        } else {
            State::Unattached { voted, election }
        };
        self.persist(context);
        if self.is_only_voter() && !self.stopped {
            self.become_prospective(context);
        }
    }

    /// What `kafka-storage format` does to an empty disk before the first start.
    fn format(&mut self, context: &mut Context<'_, Kafka>) {
        let server = self.own.server;
        let disk = context.disk();
        let directory = match disk.document(document::META_PROPERTIES) {
            Some(Document::MetaProperties(directory)) => *directory,
            _ => {
                let directory = DirectoryId::formatted(server, disk.generation());
                disk.write_document(document::META_PROPERTIES, Document::MetaProperties(directory));
                directory
            }
        };
        self.own.directory = Some(directory);
        self.voter = self.voters.contains(self.own);
    }

    fn own_vote(&self) -> Votes {
        let own = self.voters.index_of(self.own.server);
        Votes::of_its_own(
            self.voters.as_slice().len(),
            own.expect("only voters stand for election"),
        )
    }

    pub(super) fn is_only_voter(&self) -> bool {
        self.is_voter() && self.voters.as_slice().len() == 1
    }

    /// The election timeout and as much again at random.
    pub(super) fn election_timeout(&mut self, context: &mut Context<'_, Kafka>) -> Duration {
        let least = self.settings.election_timeout.as_millis();
        if least == 0 {
            return Duration::ZERO;
        }
        let who = self.draw_identity(context);
        Duration::millis(least + context.draw_below(site::QUORUM_ELECTION, who, least))
    }

    /// Writes `quorum-state` and waits until it is on the platter. With kraft.version 0 the file has no place for
    /// the directory of the one it voted for.
    pub(super) fn persist(&mut self, context: &mut Context<'_, Kafka>) {
        if self.disk_refuses(context) {
            return;
        }
        let by_directory = self.specification.features.kraft > 0;
        let voted = self.state.voted(self.own);
        let content = QuorumStateDocument {
            epoch: self.epoch,
            voted: voted.map(|voted| (voted.server, voted.directory.filter(|_| by_directory))),
            leader: self.leader(),
        };
        let disk = context.disk();
        disk.write_document(document::QUORUM_STATE, Document::QuorumState(content));
    }

    fn leave(&mut self, context: &mut Context<'_, Kafka>) {
        if matches!(self.state, State::Leader(_)) {
            context.note(Note::Quorum(QuorumNote::Resigned(self.epoch)));
        }
    }

    /// `transitionToUnattached`. An election timer that runs already runs on.
    pub(super) fn become_unattached(&mut self, epoch: QuorumEpoch, context: &mut Context<'_, Kafka>) {
        self.leave(context);
        let now = wall(context);
        let timeout = match self.state.remaining_election(now) {
            _ if !self.is_voter() => Duration::FOREVER,
            Some(remaining) => remaining,
            None => self.election_timeout(context),
        };
        let voted = self.state.voted(self.own).filter(|_| epoch == self.epoch);
        self.epoch = epoch;
        self.state = State::Unattached {
            voted,
            election: Timer::new(now, timeout),
        };
        self.persist(context);
        self.peers.reset_all();
    }

    /// `transitionToFollower`. A vote given in the same epoch is kept.
    pub(super) fn become_follower(
        &mut self,
        epoch: QuorumEpoch,
        leader: ServerId,
        context: &mut Context<'_, Kafka>,
    ) {
        self.leave(context);
        let voted = self.state.voted(self.own).filter(|_| epoch == self.epoch);
        self.epoch = epoch;
        self.state = State::Follower {
            leader,
            voted,
            fetched: false,
            fetch: Timer::new(wall(context), self.settings.fetch_timeout),
        };
        self.persist(context);
        self.peers.reset_all();
        self.refuse_parked(ErrorCode::NotLeaderOrFollower, context);
    }

    /// `transitionToProspective`: nothing is written, the epoch stays. A single voter goes on to lead at once.
    pub(super) fn become_prospective(&mut self, context: &mut Context<'_, Kafka>) {
        self.state = State::Prospective {
            leader: self.leader(),
            voted: self.state.voted(self.own),
            votes: self.own_vote(),
            election: Timer::new(wall(context), self.election_timeout(context)),
        };
        self.peers.reset_all();
        self.count_votes(context);
    }

    /// `transitionToCandidate`: the next epoch, and its own vote in it.
    fn become_candidate(&mut self, context: &mut Context<'_, Kafka>) {
        self.epoch = self.epoch.next();
        self.state = State::Candidate {
            votes: self.own_vote(),
            election: Timer::new(wall(context), self.election_timeout(context)),
        };
        self.persist(context);
        if self.stopped {
            return;
        }
        context.note(Note::Quorum(QuorumNote::Voted(self.epoch, self.own.server)));
        self.peers.reset_all();
        self.count_votes(context);
    }

    /// `transitionToLeader`. The high watermark is forgotten: only a committed record of the new epoch shows that
    /// it cannot go back.
    fn become_leader(&mut self, context: &mut Context<'_, Kafka>) {
        let mut leadership = Leadership::new(
            self.own.server,
            &self.voters,
            self.log.end(),
            self.settings.append_linger,
            self.settings.fetch_timeout,
            wall(context),
        );
        let leader = self.own.server;
        leadership
            .accumulator
            .force(MetadataRecord::LeaderChange { leader });
        self.state = State::Leader(Box::new(leadership));
        self.high_watermark = None;
        self.persist(context);
        if self.stopped {
            return;
        }
        self.log.start_epoch(self.epoch);
        self.peers.reset_all();
        context.note(Note::Quorum(QuorumNote::Leads(self.epoch)));
    }

    /// `transitionToResigned`: written nowhere, because a leader starts like this anyway.
    pub(super) fn become_resigned(&mut self, context: &mut Context<'_, Kafka>) {
        let State::Leader(leader) = &self.state else {
            return;
        };
        let successors = leader.successors();
        self.leave(context);
        self.refuse_parked(ErrorCode::NotLeaderOrFollower, context);
        self.state = State::Resigned {
            unacknowledged: (1 << self.peers.len()) - 1,
            successors,
            election: Timer::new(wall(context), self.election_timeout(context)),
        };
        self.high_watermark = None;
        self.peers.reset_all();
    }

    /// Goes on if the votes are enough, and back if there cannot be enough.
    pub(super) fn count_votes(&mut self, context: &mut Context<'_, Kafka>) {
        match &self.state {
            State::Prospective { votes, .. } if votes.is_won() => self.become_candidate(context),
            State::Prospective { votes, .. } if votes.is_lost() => self.lose_pre_vote(context),
            State::Candidate { votes, .. } if votes.is_won() => self.become_leader(context),
            // A candidate that has lost waits until its timer runs out.
            _ => {}
        }
    }

    /// `prospectiveTransitionAfterElectionLoss`.
    pub(super) fn lose_pre_vote(&mut self, context: &mut Context<'_, Kafka>) {
        match self.leader() {
            Some(leader) => self.become_follower(self.epoch, leader, context),
            None => self.become_unattached(self.epoch, context),
        }
    }

    /// Remembers a vote before it is given. Having voted, it gives the candidate time.
    pub(super) fn record_vote(&mut self, candidate: Voter, context: &mut Context<'_, Kafka>) {
        let timer = Timer::new(wall(context), self.election_timeout(context));
        match &mut self.state {
            State::Unattached { voted, election } => {
                *voted = Some(candidate);
                *election = timer;
            }
            State::Prospective {
                voted,
                votes,
                election,
                ..
            } => {
                *voted = Some(candidate);
                *election = timer;
                *votes = Votes::of_its_own(
                    self.voters.as_slice().len(),
                    self.voters
                        .index_of(self.own.server)
                        .expect("a prospective votes"),
                );
            }
            _ => unreachable!("others grant no votes"),
        }
        self.persist(context);
    }

    /// The log reaches `to` less than before.
    pub(super) fn truncate(&mut self, to: Offset, context: &mut Context<'_, Kafka>) {
        let from = self.log.end();
        self.log.truncate(to, context.disk().file(METADATA_LOG));
        let to = self.log.end();
        if to < from {
            context.note(Note::Quorum(QuorumNote::Truncated { to, from }));
        }
    }
}
