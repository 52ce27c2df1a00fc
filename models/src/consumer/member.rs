//! A member of a classic group without its thread of control: `AbstractCoordinator`'s and `ConsumerCoordinator`'s
//! fields, and the requests they send.
//!
//! | state | is |
//! |---|---|
//! | unjoined | not a member, or thrown out |
//! | preparing rebalance | JoinGroup is sent |
//! | completing rebalance | it is answered, SyncGroup is sent |
//! | stable | the assignment is there |

use std::collections::VecDeque;
use std::sync::Arc;

use ktrial_sim::{Duration, Time};
use smallvec::SmallVec;

use super::assignor::{Assignors, RebalanceProtocol, protocol_of};
use super::commits::{Commit, CommitDone};
use super::committed::CommittedRequest;
use super::exception::Exception;
use super::heartbeat::Heartbeat;
use super::metadata_snapshot::MetadataSnapshot;
use super::slots::Slots;
use super::timer::Timer;
use crate::client::{Environment, ExponentialBackoff, Node};
use crate::ids::{GenerationId, GroupInstanceId, MemberId, PartitionId, ServerId};
use crate::kafka::site;
use crate::notes::{ClientNote, Note};
use crate::protocol::{
    Assignment, Assignor, CoordinatorKey, ErrorCode, HeartbeatRequest, JoinGroupResponse, LeaveGroupRequest,
    MemberIdentity, Request,
};
use crate::reader::core::{Core, Token};
use crate::specification::{ClusterSpecification, ConsumerSpecification};

/// `AbstractCoordinator.MemberState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberState {
    Unjoined,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl MemberState {
    pub(super) fn has_not_joined(self) -> bool {
        matches!(self, MemberState::Unjoined | MemberState::PreparingRebalance)
    }
}

/// `AbstractCoordinator.Generation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    pub(super) id: GenerationId,
    pub(super) member: Option<MemberId>,
    pub(super) protocol: Option<Assignor>,
}

impl Generation {
    pub(super) const NONE: Generation = Generation {
        id: GenerationId::NONE,
        member: None,
        protocol: None,
    };

    /// `hasGenerationReset`.
    pub(super) fn was_reset(self) -> bool {
        self.id == GenerationId::NONE && self.protocol.is_none()
    }

    /// Whether ownership has ended: onPartitionsLost instead of onPartitionsRevoked.
    pub(super) fn lost(self) -> bool {
        self.id == GenerationId::NONE || self.member.is_none()
    }
}

/// What became of a request somebody waits for (`RequestFuture`).
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pending<T> {
    Waiting,
    Done(T),
    Failed(Exception),
}

/// Somebody waits for the answer to this request, and not to one like it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Future<T> {
    pub(super) number: u64,
    pub(super) state: Pending<T>,
}

impl<T> Future<T> {
    pub(super) fn is_done(&self) -> bool {
        !matches!(self.state, Pending::Waiting)
    }

    /// The answer to request `number` is there.
    pub(super) fn ends(future: &mut Option<Future<T>>, number: u64, result: Result<T, Exception>) {
        if let Some(future) = future
            && future.number == number
        {
            future.state = match result {
                Ok(value) => Pending::Done(value),
                Err(exception) => Pending::Failed(exception),
            };
        }
    }
}

/// The heartbeat thread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeartbeatThread {
    pub(super) started: bool,
    pub(super) enabled: bool,
    /// It ended with this.
    pub(super) failed: Option<Exception>,
    /// When `wait` ends by itself, on the monotonic clock; none: it waits to be notified.
    pub(super) wakes: Option<Time>,
}

/// A request of the group that is on its way.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) what: What,
    /// The generation it was sent in.
    pub(super) generation: Generation,
    /// When it was made, by the wall clock; for its node to be ready it may have waited.
    pub(super) created: Time,
}

/// Which request.
#[derive(Debug)]
pub(super) enum What {
    FindCoordinator(u64),
    JoinGroup(u64),
    SyncGroup(u64),
    Heartbeat,
    LeaveGroup,
    OffsetCommit(Commit),
    OffsetFetch(u64),
}

/// What the sticky assignors keep of the last assignment (`onAssignment`).
#[derive(Clone, Debug)]
pub(super) struct LastAssignment {
    /// None: there was none.
    pub(super) partitions: Option<SmallVec<[PartitionId; 4]>>,
    pub(super) generation: GenerationId,
}

/// Where in a rebalance the listener was called; it goes on behind that.
#[derive(Clone, Debug)]
pub(super) enum InListener {
    /// `onJoinPrepare`: everything is revoked, or was lost.
    Preparing { lost: bool },
    /// `onJoinComplete` with this assignment: what it lacks is revoked.
    Completing(Assignment),
}

/// A leader has to assign.
#[derive(Debug)]
pub(super) struct ToAssign {
    pub(super) response: Box<JoinGroupResponse>,
    /// Of its JoinGroup.
    pub(super) number: u64,
    /// Its metadata are asked for and must be newer than this.
    pub(super) beyond: Option<u32>,
}

/// A member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) cluster: Arc<ClusterSpecification>,
    pub(super) specification: Arc<ConsumerSpecification>,
    pub(super) core: Core,
    pub(super) retry_backoff: ExponentialBackoff,
    /// Counts draws and requests.
    numbers: u64,

    pub(super) state: MemberState,
    pub(super) generation: Generation,
    pub(super) coordinator: Option<ServerId>,
    pub(super) find: Option<Future<()>>,
    /// The last lookup that was answered: who waits for it may not be who has forgotten it since.
    pub(super) last_found: Option<Future<()>>,
    pub(super) join: Option<Future<Assignment>>,
    pub(super) rejoin_needed: bool,
    pub(super) needs_join_prepare: bool,
    /// A rebalance has begun and not ended, however often it failed.
    pub(super) rebalances: bool,
    pub(super) heartbeat: Heartbeat,
    pub(super) thread: HeartbeatThread,
    pub(super) sent: Slots<Sent>,

    pub(super) protocol: RebalanceProtocol,
    pub(super) assignors: Assignors,
    /// Of the sticky assignor and of the cooperative one.
    pub(super) last_assignment: [LastAssignment; 2],
    pub(super) is_leader: bool,
    /// The answer to a leader's JoinGroup until its metadata are fresh.
    pub(super) to_assign: Option<ToAssign>,
    pub(super) metadata_snapshot: MetadataSnapshot,
    pub(super) assignment_snapshot: Option<MetadataSnapshot>,
    pub(super) join_prepare_timer: Option<Timer>,
    /// The commit before giving partitions up.
    pub(super) prepare_commit: Option<Future<()>>,

    pub(super) next_auto_commit: Timer,
    /// The commit that `commitSync` waits for.
    pub(super) sync_commit: Option<Future<()>>,
    pub(super) commits_done: VecDeque<CommitDone>,
    pub(super) async_in_flight: u32,
    /// Asynchronous commits that wait for a coordinator.
    pub(super) async_waiting: Vec<Commit>,
    pub(super) async_fenced: bool,
    pub(super) committed_request: Option<CommittedRequest>,
    /// What a listener that does something has still to be told of: added partitions.
    pub(super) added: Vec<PartitionId>,
    /// What a listener that does something is called about: revoked or lost partitions.
    pub(super) removed: Vec<PartitionId>,
    /// A rebalance waits for the listener to return.
    pub(super) in_listener: Option<InListener>,
    /// What the listener has thrown.
    pub(super) listener_threw: Option<Exception>,
}

impl Member {
    pub(super) fn new(
        cluster: Arc<ClusterSpecification>,
        specification: Arc<ConsumerSpecification>,
        now: Time,
    ) -> Self {
        let settings = &specification.member;
        let core = Core::of_member(
            &specification.reader,
            cluster.mutations,
            settings.heartbeat_interval_ms,
        );
        let reader = &specification.reader.settings;
        Member {
            retry_backoff: ExponentialBackoff::new(reader.retry_backoff_ms, reader.retry_backoff_max_ms),
            numbers: 0,
            state: MemberState::Unjoined,
            generation: Generation::NONE,
            coordinator: None,
            find: None,
            last_found: None,
            join: None,
            rejoin_needed: true,
            needs_join_prepare: true,
            rebalances: false,
            heartbeat: Heartbeat::new(settings, now),
            thread: HeartbeatThread::default(),
            sent: Slots::new(),
            protocol: protocol_of(&settings.partition_assignment_strategy.0),
            assignors: Assignors::default(),
            last_assignment: Default::default(),
            is_leader: false,
            to_assign: None,
            metadata_snapshot: MetadataSnapshot::default(),
            assignment_snapshot: None,
            join_prepare_timer: None,
            prepare_commit: None,
            next_auto_commit: Timer::new(now, settings.auto_commit_interval_ms),
            sync_commit: None,
            commits_done: VecDeque::new(),
            async_in_flight: 0,
            async_waiting: Vec::new(),
            async_fenced: false,
            committed_request: None,
            added: Vec::new(),
            removed: Vec::new(),
            in_listener: None,
            listener_threw: None,
            cluster,
            specification,
            core,
        }
    }

    pub(super) fn instance(&self) -> Option<GroupInstanceId> {
        self.specification.instance
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// A request that somebody waits for.
    pub(super) fn future<T>(&mut self) -> Future<T> {
        Future {
            number: self.number(),
            state: Pending::Waiting,
        }
    }

    pub(super) fn backoff(&mut self, attempts: u32, environment: &mut impl Environment) -> Duration {
        let name = 3 << 56 | self.number();
        self.retry_backoff.draw(attempts, site::RETRY, name, environment)
    }

    pub(super) fn tell(&self, note: ClientNote, environment: &mut impl Environment) {
        environment.note(Note::Client(note));
    }

    /// `checkAndGetCoordinator`: one that cannot be connected to is forgotten.
    pub(super) fn known_coordinator(&mut self, environment: &mut impl Environment) -> Option<ServerId> {
        let server = self.coordinator?;
        let node = Node::Coordinator(server);
        if self.core.network.is_unavailable(node, environment.wall()) {
            self.coordinator = None;
        }
        self.coordinator
    }

    /// `markCoordinatorUnknown`. Unless its connection is gone already it is closed, and its requests fail.
    pub(super) fn mark_coordinator_unknown(&mut self, disconnected: bool) {
        if let Some(server) = self.coordinator.take()
            && !disconnected
        {
            self.core.disconnect_later(Node::Coordinator(server));
        }
    }

    /// `lookupCoordinator`. False: there is no broker to ask.
    pub(super) fn look_up_coordinator(&mut self, environment: &mut impl Environment) -> bool {
        if self.find.is_some() {
            return true;
        }
        let now = environment.wall();
        let core = &mut self.core;
        let Some(node) = core.network.least_loaded_node(&core.metadata, now, environment) else {
            return false;
        };
        let future = self.future();
        let what = What::FindCoordinator(future.number);
        self.find = Some(future);
        let request = Request::FindCoordinator(CoordinatorKey::Group(self.specification.group));
        self.send_to(node, what, request, None, environment);
        true
    }

    /// What became of a lookup; none: there was nobody to ask.
    pub(super) fn lookup_state(&self, number: Option<u64>) -> Pending<()> {
        let known = |future: &&Future<()>| Some(future.number) == number;
        match self.find.iter().chain(&self.last_found).find(known) {
            Some(future) => future.state.clone(),
            None if number.is_none() => Pending::Failed(Exception::Error(ErrorCode::CoordinatorNotAvailable)),
            None => Pending::Waiting,
        }
    }

    fn send_to(
        &mut self,
        node: Node,
        what: What,
        request: Request,
        timeout: Option<Duration>,
        environment: &mut impl Environment,
    ) {
        let sent = Sent {
            what,
            generation: self.generation,
            created: environment.wall(),
        };
        let timeout = timeout.unwrap_or(self.core.client.request_timeout);
        let token = Token::Group(self.sent.put(sent));
        self.core
            .enqueue_to(node, token, request, timeout, environment.wall());
    }

    /// Sends to the coordinator, which is known.
    pub(super) fn send(&mut self, what: What, request: Request, environment: &mut impl Environment) {
        self.send_within(what, request, None, environment);
    }

    pub(super) fn send_within(
        &mut self,
        what: What,
        request: Request,
        timeout: Option<Duration>,
        environment: &mut impl Environment,
    ) {
        let server = self.coordinator.expect("the coordinator is known");
        self.send_to(Node::Coordinator(server), what, request, timeout, environment);
    }

    pub(super) fn send_heartbeat(&mut self, environment: &mut impl Environment) {
        // The membership can end between the look at the timer and this; Kafka sends the empty id and is refused.
        let Some(member) = self.generation.member else {
            return;
        };
        let request = Request::Heartbeat(Box::new(HeartbeatRequest {
            group: self.specification.group,
            generation: self.generation.id,
            member,
            instance: self.instance(),
        }));
        self.send(What::Heartbeat, request, environment);
    }

    /// `maybeLeaveGroup`: a dynamic member says so; either way it is none any more. The request goes out with the next
    /// poll of the network.
    pub(super) fn maybe_leave(&mut self, environment: &mut impl Environment) {
        if self.known_coordinator(environment).is_some()
            && self.state != MemberState::Unjoined
            && self.instance().is_none()
            && let Some(member) = self.generation.member
        {
            let request = Request::LeaveGroup(Box::new(LeaveGroupRequest {
                group: self.specification.group,
                members: SmallVec::from_buf([MemberIdentity {
                    member: Some(member),
                    instance: None,
                }]),
            }));
            self.send(What::LeaveGroup, request, environment);
        }
        self.reset_and_rejoin(true);
    }

    /// `resetStateAndRejoin`.
    pub(super) fn reset_and_rejoin(&mut self, forget_member: bool) {
        self.state = MemberState::Unjoined;
        self.generation = Generation {
            member: self.generation.member.filter(|_| !forget_member),
            ..Generation::NONE
        };
        self.rejoin_needed = true;
        self.needs_join_prepare = true;
    }

    pub(super) fn generation_if_stable(&self) -> Option<Generation> {
        (self.state == MemberState::Stable).then_some(self.generation)
    }

    pub(super) fn rebalance_in_progress(&self) -> bool {
        matches!(
            self.state,
            MemberState::PreparingRebalance | MemberState::CompletingRebalance
        )
    }

    /// `pollHeartbeat`: the application is there.
    pub(super) fn poll_heartbeat(&mut self, now: Time) -> Result<(), Exception> {
        if !self.thread.started {
            return Ok(());
        }
        if let Some(cause) = self.thread.failed {
            self.thread = HeartbeatThread::default();
            return Err(cause);
        }
        if self.heartbeat.is_due(now) {
            self.notify();
        }
        self.heartbeat.poll(now);
        Ok(())
    }

    /// Whether `onLeaderElected` waits for metadata. `JoinGroupResponseHandler` keeps the coordinator's lock meanwhile, and
    /// does not come back: the application's call goes on behind it.
    pub(super) fn waits_as_leader(&self) -> bool {
        self.to_assign.is_some()
    }

    /// Wakes the heartbeat thread.
    pub(super) fn notify(&mut self) {
        if self.thread.started {
            self.thread.wakes = Some(Time::ZERO);
        }
    }

    pub(super) fn time_to_next_heartbeat(&mut self, now: Time) -> Result<Duration, Exception> {
        if self.state.has_not_joined() {
            return Ok(Duration::FOREVER);
        }
        match self.thread.failed {
            Some(cause) => Err(cause),
            None => Ok(self.heartbeat.time_to_next(now)),
        }
    }

    /// How long a poll may wait for records (`timeToNextPoll`).
    pub(super) fn time_to_next_poll(&mut self, now: Time) -> Result<Duration, Exception> {
        let heartbeat = self.time_to_next_heartbeat(now)?;
        Ok(match self.specification.member.enable_auto_commit {
            true => heartbeat.min(self.next_auto_commit.remaining()),
            false => heartbeat,
        })
    }

    pub(super) fn assigned(&self) -> Vec<PartitionId> {
        let mut partitions: Vec<PartitionId> = self
            .core
            .assigned
            .iter()
            .map(|assigned| assigned.partition)
            .collect();
        partitions.sort();
        partitions
    }
}
