//! The metadata quorum: `KafkaRaftClient` on one server.
//!
//! Replicas of the metadata log are voters (servers with the controller's role) or observers (brokers). All of
//! them fetch from the leader, which counts how far each voter has come.
//!
//! | state | leaves it when | its timer (wall clock) |
//! |---|---|---|
//! | Unattached | election timer: Prospective; learns of a leader: Follower | election timeout + random; an observer's never ends |
//! | Prospective | majority promises: Candidate; refused or timer: back to Follower or Unattached | election timeout + random |
//! | Candidate | majority votes: Leader; timer: Prospective | election timeout + random |
//! | Leader | no majority has fetched for 1.5 x fetch timeout, or asked to: Resigned | check-quorum, begin-quorum, append linger |
//! | Follower | no successful fetch for the fetch timeout: Prospective (voters only) | fetch timeout |
//! | Resigned | election timer: Unattached in the next epoch | election timeout + random |
//!
//! In any state a larger epoch in a request or response makes the replica Follower (if it names a leader) or
//! Unattached. The Raft thread works through one message at a time and is blocked while it flushes; what comes
//! meanwhile waits. Timers are read on the wall clock through `Timer`, parked fetches expire on the
//! monotonic one.
//!
//! Errors: what Kafka takes for a broken invariant (a second leader in one epoch, a cut below the high watermark,
//! a metadata log directory that refuses) ends the process.
//!
//! Not modelled: changes of the voter set (AddVoter, RemoveVoter, UpdateVoter and the records they write),
//! snapshots, the ApiVersions exchange on new connections, and the time that a recovery of the metadata log and
//! the writing of `quorum-state` take.
//! Where Kafka asks again at once after an answer that taught it nothing (no leader known there either, a voter
//! with another directory), the model waits for controller.quorum.retry.backoff.ms: the loop as fast as the network
//! allows would change nothing but the number of messages.

mod accumulator;
mod leader;
mod log;
mod peers;
mod poll;
mod purgatory;
mod requests;
mod responses;
mod state;
mod thread;
mod timer;
mod transitions;
mod voters;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use ktrial_sim::{Closure, ConnectionId, Context, Duration, TimerSlot};

use crate::ids::{DirectoryId, Offset, QuorumEpoch, ServerId};
use crate::kafka::{Kafka, slot};
use crate::metadata::MetadataRecord;
use crate::protocol::{Correlation, Request, Response, Voter};
use crate::specification::ClusterSpecification;

use log::MetadataLog;
pub use peers::PeerPlace;
use peers::Peers;
use purgatory::Purgatory;
use state::State;
use thread::{Flushing, Inbound, Rest};
use timer::{Timer, wall};
use voters::VoterSet;

/// The Raft thread's next wake-up.
const POLL: TimerSlot = TimerSlot(slot::RAFT);
/// The next parked fetch that has waited long enough.
const PARKED: TimerSlot = TimerSlot(slot::RAFT + 1);
/// The end of a flush.
const FLUSHED: TimerSlot = TimerSlot(slot::RAFT + 2);

/// How long an orderly stop of the Raft thread may take (`KafkaRaftClientDriver.shutdown`).
const SHUTDOWN_TIMEOUT: Duration = Duration::secs(5);

/// What the quorum tells the rest of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaftEvent {
    /// This voter leads the epoch and its log is committed up to its start: the controller can become active
    /// (`handleLeaderChange`). The high watermark that covers the start has been told before.
    Leads(QuorumEpoch),
    /// It leads no longer; the epoch it led. Told when the next epoch or its leader is known, as in Kafka: between
    /// stepping down and that, [`Raft::append`] returns `None` and the controller finds out by it.
    Resigned(QuorumEpoch),
    /// The committed end of the metadata log, as known here, moved. Only ever grows in one process.
    HighWatermark(Offset),
    /// Another server leads now (possibly this one), or nobody known.
    LeaderChanged(Option<ServerId>),
}

/// What the rest of the server has been told.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    leader: Option<ServerId>,
    leads: Option<QuorumEpoch>,
    high_watermark: Offset,
}

/// `controller.quorum.*` as this server reads it: from the controllers' file if it is one. What only voters need
/// comes from there in any case.
#[derive(Clone, Copy, Debug)]
struct QuorumSettings {
    election_timeout: Duration,
    fetch_timeout: Duration,
    election_backoff_max: Duration,
    append_linger: Duration,
    request_timeout: Duration,
    retry_backoff: Duration,
    /// For a connection: at first, and at most.
    setup_timeout: (Duration, Duration),
    fetch_max_bytes: u32,
}

impl QuorumSettings {
    fn of(specification: &ClusterSpecification, controller: bool) -> Self {
        let (own, broker) = (&specification.controller, &specification.broker);
        let settings = QuorumSettings {
            election_timeout: own.controller_quorum_election_timeout_ms,
            fetch_timeout: own.controller_quorum_fetch_timeout_ms,
            election_backoff_max: own.controller_quorum_election_backoff_max_ms,
            append_linger: own.controller_quorum_append_linger_ms,
            request_timeout: own.controller_quorum_request_timeout_ms,
            retry_backoff: own.controller_quorum_retry_backoff_ms,
            setup_timeout: (
                own.socket_connection_setup_timeout_ms,
                own.socket_connection_setup_timeout_max_ms,
            ),
            fetch_max_bytes: own.controller_quorum_fetch_max_bytes,
        };
        if controller {
            return settings;
        }
        QuorumSettings {
            fetch_timeout: broker.controller_quorum_fetch_timeout_ms,
            request_timeout: broker.controller_quorum_request_timeout_ms,
            retry_backoff: broker.controller_quorum_retry_backoff_ms,
            setup_timeout: (
                broker.socket_connection_setup_timeout_ms,
                broker.socket_connection_setup_timeout_max_ms,
            ),
            fetch_max_bytes: broker.controller_quorum_fetch_max_bytes,
            ..settings
        }
    }
}

/// One server's part in the quorum.
pub struct Raft {
    own: Voter,
    /// Whether it can vote at all: it has the controller's role.
    controller: bool,
    specification: Arc<ClusterSpecification>,
    settings: QuorumSettings,
    voters: VoterSet,
    /// The voters know this replica by the directory it has.
    voter: bool,
    log: MetadataLog,
    epoch: QuorumEpoch,
    state: State,
    /// Of the present state: a new leader knows none before it has committed a record of its epoch.
    high_watermark: Option<Offset>,
    peers: Peers,
    purgatory: Purgatory,
    flushing: Option<Flushing>,
    inbox: VecDeque<Inbound>,
    events: VecDeque<RaftEvent>,
    told: Told,
    /// Counts draws of this process.
    draws: u64,
    closing: Option<Timer>,
    stopped: bool,
    rest: Rest,
}

impl Raft {
    /// A voter if the server is a controller, an observer otherwise.
    pub fn new(id: ServerId, specification: Arc<ClusterSpecification>) -> Self {
        let controller = specification.servers[usize::from(id.0) - 1].controller;
        let settings = QuorumSettings::of(&specification, controller);
        let peers = Peers::new(settings.retry_backoff, settings.request_timeout);
        let own = Voter {
            server: id,
            directory: Some(DirectoryId::formatted(id, 0)),
        };
        let voters = VoterSet::new(&specification);
        Raft {
            own,
            controller,
            voter: voters.contains(own),
            voters,
            specification,
            settings,
            log: MetadataLog::default(),
            epoch: QuorumEpoch(0),
            state: State::Unattached {
                voted: None,
                election: Timer::new(ktrial_sim::Time::ZERO, Duration::FOREVER),
            },
            high_watermark: None,
            peers,
            purgatory: Purgatory::default(),
            flushing: None,
            inbox: VecDeque::new(),
            events: VecDeque::new(),
            told: Told::default(),
            draws: 0,
            closing: None,
            stopped: false,
            rest: Rest::default(),
        }
    }

    /// The process starts; everything comes from the disk. An empty disk is formatted first: its `meta.properties`
    /// gets the directory id of this disk, so one that was replaced has another id than the voters know.
    pub fn start(&mut self, context: &mut Context<'_, Kafka>) {
        self.initialize(context);
        self.work(context);
    }

    /// A timer of this component ran out.
    pub fn timer(&mut self, timer: TimerSlot, context: &mut Context<'_, Kafka>) {
        match timer {
            PARKED => {
                self.expire_parked(context);
                self.look_again(context);
            }
            FLUSHED => {
                self.flushed(context);
                self.work(context);
            }
            _ => self.work(context),
        }
    }

    /// An alarm of this component went off: it sets none.
    pub fn alarm(&mut self, _token: u32, _context: &mut Context<'_, Kafka>) {}

    /// To whom a connection leads that this server opened, if it is the quorum's.
    pub fn owner(&self, connection: ConnectionId) -> Option<PeerPlace> {
        self.peers.owner(connection)
    }

    /// A connection is up. False if it is not the quorum's.
    pub fn connected(&mut self, connection: ConnectionId, context: &mut Context<'_, Kafka>) -> bool {
        let own = self.peers.connected(connection);
        if own {
            self.work(context);
        }
        own
    }

    /// A connection, opened or accepted, is gone. True if it was one the quorum opened. Answers to requests that
    /// came over an accepted one are dropped when they are sent.
    pub fn closed(&mut self, connection: ConnectionId, _: Closure, context: &mut Context<'_, Kafka>) -> bool {
        let own = self.peers.closed(connection, context);
        if own {
            self.work(context);
        }
        own
    }

    /// A request of the quorum's protocol arrived: it is taken up at once if the thread is free.
    pub fn request(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        request: Request,
        context: &mut Context<'_, Kafka>,
    ) {
        if self.flushing.is_some() {
            self.inbox
                .push_back(Inbound::Request(connection, correlation, request));
        } else if !self.stopped && self.handle_request(connection, correlation, request, context) {
            self.work(context);
        } else {
            self.look_again(context);
        }
    }

    /// An answer arrived from another voter, on a connection the quorum opened.
    pub fn response(
        &mut self,
        from: PeerPlace,
        connection: ConnectionId,
        correlation: Correlation,
        response: Response,
        context: &mut Context<'_, Kafka>,
    ) {
        if let Some(number) = self.peers.answered(from, connection, correlation) {
            self.take_up(Inbound::Response(from, number, response), context);
        }
        self.work(context);
    }

    /// Appends records as the leader of `epoch`, all or none of them, and returns the offset of the last; `None`
    /// if this voter does not lead that epoch (`NotLeaderException`). The first one gets the offset that
    /// [`Raft::end_offset`] told before. They are written after controller.quorum.append.linger.ms, in one batch
    /// with what else is appended until then, and committed once [`RaftEvent::HighWatermark`] passes them.
    pub fn append(
        &mut self,
        epoch: QuorumEpoch,
        records: &[MetadataRecord],
        context: &mut Context<'_, Kafka>,
    ) -> Option<Offset> {
        let now = wall(context);
        let State::Leader(leader) = &mut self.state else {
            return None;
        };
        if self.epoch != epoch {
            return None;
        }
        let last = leader.accumulator.append(records, now);
        self.work(context);
        Some(last)
    }

    /// Steps down if this voter leads `epoch` (`RaftClient.resign`): a controller that cannot go on.
    pub fn resign(&mut self, epoch: QuorumEpoch, context: &mut Context<'_, Kafka>) {
        if let State::Leader(leader) = &mut self.state
            && self.epoch == epoch
        {
            leader.resign_requested = true;
            self.work(context);
        }
    }

    /// The offset the next appended record will get: behind what lingers, if this voter leads.
    pub fn end_offset(&self) -> Offset {
        match &self.state {
            State::Leader(leader) => leader.accumulator.next_offset(),
            _ => self.log.end(),
        }
    }

    /// The committed end of the log as known here: of a new leader none, before it has committed a record of its
    /// own epoch.
    pub fn high_watermark(&self) -> Option<Offset> {
        self.high_watermark
    }

    /// Who leads, as known here.
    pub fn leader(&self) -> Option<ServerId> {
        self.state.leader(self.own.server)
    }

    /// The newest epoch known here.
    pub fn epoch(&self) -> QuorumEpoch {
        self.epoch
    }

    /// Whether this replica votes: not an observer.
    pub fn is_voter(&self) -> bool {
        self.voter
    }

    /// Whether there is something to tell the rest of the server.
    #[inline]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// The next thing to tell the rest of the server.
    pub fn take_event(&mut self) -> Option<RaftEvent> {
        self.events.pop_front()
    }

    /// The process shuts down in an orderly way; a leader steps down and waits until somebody else leads, at most
    /// five seconds. It is over when [`Raft::has_stopped`] says so.
    pub fn shut_down(&mut self, context: &mut Context<'_, Kafka>) {
        if self.closing.is_none() {
            self.closing = Some(Timer::new(wall(context), SHUTDOWN_TIMEOUT));
            self.work(context);
        }
    }

    /// Whether an orderly stop has come to its end.
    pub fn has_stopped(&self) -> bool {
        self.stopped
    }
}
