//! The controller: `QuorumController` on one server, active while it leads the metadata quorum.
//!
//! | state | what it does |
//! |---|---|
//! | standby | applies committed batches as they become known; refuses requests with NOT_CONTROLLER |
//! | active | each event reads the speculative state, applies its records to it at once, appends them and answers at their commit |
//!
//! * One queue: events do not interleave. Only the contact of a heartbeat is noted outside of it.
//! * Timers: session check, no-op record, preferred and unclean elections, all on the monotonic clock; none while
//!   standing by.
//! * Losing the epoch, by the quorum's word or by a refused append, drops the speculative state and fails what
//!   waits with NOT_CONTROLLER. The records may be committed all the same, by the next controller.
//! * What is committed is told by the leader of the quorum as it learns of it. A new leader also tells what its
//!   predecessor may not have been able to tell.

mod activation;
mod active;
mod alter_partition;
#[cfg(test)]
mod bench;
mod brokers;
mod changes;
#[cfg(test)]
mod fixture;
mod heartbeats;
mod partition_change;
mod periodic;
mod placement;
mod state;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod timer_tests;
mod told;
mod topics;

use std::sync::Arc;

use ktrial_sim::{ConnectionId, Context, Identity, TimerSlot};

use self::activation::bootstrap_records;
use self::active::{Active, Caller, NoLonger, send};
use self::changes::Changes;
use self::heartbeats::{ControlState, Heartbeats};
use self::periodic::{Periodic, Task};
use self::state::ClusterState;
use crate::cuts;
use crate::ids::{Offset, QuorumEpoch, ServerId};
use crate::kafka::{Kafka, METADATA_LOG, alarm, site};
use crate::metadata::{CONTRADICTORY_LOG, MetadataImage, MetadataRecord};
use crate::notes::{Note, Phase};
use crate::protocol::{BrokerHeartbeatRequest, BrokerIdentity, Correlation, ErrorCode, Request, Response};
use crate::raft::{Raft, RaftEvent};
use crate::records::MetadataBatch;
use crate::specification::ClusterSpecification;

/// A request between its handler and the event queue.
struct Parked {
    /// None once its connection is gone: it is worked through all the same.
    caller: Option<Caller>,
    request: Request,
}

/// A controller, active or standing by.
pub struct Controller {
    id: ServerId,
    specification: Arc<ClusterSpecification>,
    /// After all batches known to be committed.
    committed: ClusterState,
    /// Which entry of the metadata log comes next.
    next_entry: usize,
    /// Up to here commits were told, or watched while another server led. Survives a restart of the process:
    /// it is not the process that tells but those who watch that know.
    told: Offset,
    active: Option<Box<Active>>,
    parked: Vec<Option<Parked>>,
}

impl Controller {
    /// A controller that has read nothing yet.
    pub fn new(id: ServerId, specification: Arc<ClusterSpecification>) -> Self {
        Controller {
            id,
            specification,
            committed: ClusterState::default(),
            next_entry: 0,
            told: Offset(0),
            active: None,
            parked: Vec::new(),
        }
    }

    /// Whether it is the active controller, in its own view.
    pub fn is_active(&self) -> bool {
        self.active.is_some()
    }

    /// The cluster as committed, as far as this controller knows.
    pub fn committed(&self) -> &MetadataImage {
        &self.committed.image
    }

    /// The process starts; everything will come from the metadata log.
    pub fn start(&mut self, context: &mut Context<'_, Kafka>) {
        self.committed.clear();
        self.next_entry = 0;
        self.active = None;
        self.parked.clear();
        if context.disk().file(METADATA_LOG).entries().is_empty() {
            self.told = Offset(0);
        }
    }

    /// A timer of this component ran out.
    pub fn timer(&mut self, timer: TimerSlot, raft: &mut Raft, context: &mut Context<'_, Kafka>) {
        if self.active.is_none() {
            return;
        }
        let task = Task::of(timer);
        let now = context.monotonic();
        let mut again = false;
        self.event(None, raft, context, |changes, heartbeats, context| {
            match task {
                Task::FenceStaleBroker => {
                    again = changes.fence_one_stale_broker(
                        heartbeats,
                        now,
                        |BrokerIdentity { broker, epoch }| {
                            context.draw(site::EXPIRED_SESSION, Identity(u64::from(broker.0), epoch.0))
                        },
                    );
                }
                Task::NoOp => changes.records.push(MetadataRecord::NoOp),
                Task::ElectPreferred => again = changes.elect_preferred_leaders(),
                Task::ElectUnclean => again = changes.elect_unclean_leaders(),
            }
            None
        });
        if let Some(active) = &mut self.active {
            let settings = &self.specification.controller;
            active.periodic.ran(task, again, settings, context);
        }
        self.watch_sessions(context);
    }

    /// An alarm of this component went off: a request comes out of a cut.
    pub fn alarm(&mut self, token: u32, raft: &mut Raft, context: &mut Context<'_, Kafka>) {
        let slot = (token & !alarm::COMPONENT) as usize;
        let parked = self.parked[slot]
            .take()
            .expect("an alarm for each parked request");
        self.work(parked.caller, parked.request, raft, context);
    }

    /// A request arrived on the controller's listener.
    pub fn request(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        request: Request,
        raft: &mut Raft,
        context: &mut Context<'_, Kafka>,
    ) {
        let caller = Caller {
            connection,
            correlation,
        };
        if let (Request::BrokerHeartbeat(heartbeat), Some(active)) = (&request, &mut self.active) {
            let now = context.monotonic();
            active.heartbeats.note_contact(heartbeat.identity, now);
            self.watch_sessions(context);
        }
        let who = context.connection_identity(connection) ^ u64::from(correlation.0);
        match context.cut(cuts::CONTROLLER_EVENT, who) {
            None => self.work(Some(caller), request, raft, context),
            Some(delay) => {
                let caller = Some(caller);
                let token = self.park(Parked { caller, request });
                context.alarm(alarm::CONTROLLER | token, delay);
            }
        }
    }

    fn park(&mut self, parked: Parked) -> u32 {
        let free = self.parked.iter().position(Option::is_none);
        let slot = free.unwrap_or_else(|| {
            self.parked.push(None);
            self.parked.len() - 1
        });
        self.parked[slot] = Some(parked);
        slot as u32
    }

    fn watch_sessions(&mut self, context: &mut Context<'_, Kafka>) {
        if let Some(active) = &self.active {
            let settings = &self.specification.controller;
            active
                .periodic
                .watch_sessions(&active.heartbeats, settings, context);
        }
    }

    /// A connection is gone; answers waiting for it are dropped.
    pub fn closed(&mut self, connection: ConnectionId) {
        if let Some(active) = &mut self.active {
            active.forget(connection);
        }
        for parked in self.parked.iter_mut().flatten() {
            parked.caller.take_if(|caller| caller.connection == connection);
        }
    }

    /// Something happened in the quorum.
    pub fn quorum(&mut self, event: RaftEvent, raft: &mut Raft, context: &mut Context<'_, Kafka>) {
        match event {
            RaftEvent::HighWatermark(to) => {
                self.commit(to, raft.leader() == Some(self.id), context);
                if let Some(active) = &mut self.active {
                    active.complete(to, context);
                }
            }
            RaftEvent::Leads(epoch) => self.claim(epoch, raft, context),
            RaftEvent::Resigned(epoch) => {
                if self.active.as_ref().is_some_and(|active| active.epoch == epoch) {
                    self.renounce(context);
                }
            }
            RaftEvent::LeaderChanged(_) => {}
        }
    }

    /// Applies what is committed below `to`, batch by batch (`QuorumMetaLogListener.handleCommit`).
    fn commit(&mut self, to: Offset, leads: bool, context: &mut Context<'_, Kafka>) {
        while let Some(batch) = entry(self.next_entry, context) {
            if batch.next_offset() > to {
                break;
            }
            assert_eq!(batch.base_offset, self.committed.end, "batches follow each other");
            self.next_entry += 1;
            for index in 0..batch.records.count as usize {
                let tells = leads && self.committed.end >= self.told;
                let record = &context.arena().metadata(batch.records)[index];
                if !self.committed.image.fits(record) {
                    return fail(context);
                }
                let note = tells.then(|| told::before_applying(record, &self.committed));
                self.committed.apply(record);
                if let Some(note) = note.flatten() {
                    context.note(Note::Cluster(note));
                }
            }
            self.told = self.told.max(self.committed.end);
        }
    }

    /// Becomes active (`QuorumController.claim`): the activation records come before anything else.
    fn claim(&mut self, epoch: QuorumEpoch, raft: &mut Raft, context: &mut Context<'_, Kafka>) {
        assert!(
            self.active.is_none(),
            "a controller resigns before it leads again"
        );
        if let Some(committed) = raft.high_watermark() {
            self.commit(committed, true, context);
        }
        let settings = &self.specification.controller;
        let now = context.monotonic();
        // Also what is not known to be committed: a leader's log is its state.
        let mut state = self.committed.clone();
        let mut index = self.next_entry;
        while let Some(batch) = entry(index, context) {
            for record in context.arena().metadata(batch.records) {
                if !state.image.fits(record) {
                    return fail(context);
                }
                state.apply(record);
            }
            index += 1;
        }
        let heartbeats = Heartbeats::activate(&state.image, settings.broker_session_timeout_ms, now);
        let periodic = Periodic::activate(settings, context);
        let bootstrapped = state.image.is_bootstrapped();
        let active = Active::new(epoch, state, heartbeats, periodic);
        self.active = Some(Box::new(active));
        self.event(None, raft, context, |changes, _, _| {
            if !bootstrapped {
                changes.records = bootstrap_records(changes.specification);
            }
            None
        });
        self.watch_sessions(context);
    }

    /// Goes back to the last committed state (`QuorumController.renounce`).
    fn renounce(&mut self, context: &mut Context<'_, Kafka>) {
        if let Some(mut active) = self.active.take() {
            active.fail_all(context);
            Periodic::deactivate(context);
        }
    }

    /// Runs one event of the active controller: what it decides, and the offset of its last record (or of the
    /// log's last one, if it wrote none).
    fn event(
        &mut self,
        caller: Option<Caller>,
        raft: &mut Raft,
        context: &mut Context<'_, Kafka>,
        decide: impl FnOnce(&mut Changes<'_>, &mut Heartbeats, &mut Context<'_, Kafka>) -> Option<Response>,
    ) -> Option<Offset> {
        let active = self.active.as_mut()?;
        let mut changes = Changes::new(&active.state, &self.specification, self.id);
        let response = decide(&mut changes, &mut active.heartbeats, context);
        let records = changes.records;
        match active.write(&records, caller.zip(response), raft, context) {
            Ok(offset) => Some(offset),
            Err(NoLonger) => {
                self.renounce(context);
                None
            }
        }
    }

    /// Works through a request when its turn has come.
    fn work(
        &mut self,
        caller: Option<Caller>,
        request: Request,
        raft: &mut Raft,
        context: &mut Context<'_, Kafka>,
    ) {
        let Some(refusal) = refusal(&request) else {
            // SocketServer: not a request this listener knows, or one that needs no controller.
            if let Some(caller) = caller {
                match request {
                    Request::ApiVersions => send(caller, Response::ApiVersions, context),
                    _ => context.close(caller.connection),
                }
            }
            return;
        };
        if self.active.is_none() {
            if let Some(caller) = caller {
                send(caller, refusal, context);
            }
            return;
        }
        if let Request::BrokerHeartbeat(heartbeat) = request {
            return self.heartbeat(caller, &heartbeat, raft, context);
        }
        let now = context.monotonic();
        self.event(caller, raft, context, |changes, heartbeats, context| {
            Some(match request {
                Request::BrokerRegistration(registration) => {
                    Response::BrokerRegistration(changes.register(&registration, heartbeats, now))
                }
                Request::AlterPartition(alter) => Response::AlterPartition(changes.alter_partitions(&alter)),
                Request::AssignReplicasToDirs(assign) => {
                    Response::AssignReplicasToDirs(changes.assign_replicas(&assign))
                }
                Request::AllocateProducerIds(asker) => {
                    Response::AllocateProducerIds(changes.allocate_producer_ids(asker))
                }
                Request::CreateTopic(topic) => {
                    let named = context.arena().next_topic();
                    let mut drawn = 0;
                    let mut draw = |bound| {
                        drawn += 1;
                        context.draw_below(site::PLACEMENT, Identity(u64::from(topic), drawn), bound)
                    };
                    let created = changes.create_topic(topic, named, heartbeats, &mut draw);
                    if let Ok(partitions) = created {
                        context.arena().name_topic(partitions);
                    }
                    Response::CreateTopic(created.err().unwrap_or(ErrorCode::None))
                }
                Request::ElectLeaders(elect) => {
                    Response::ElectLeaders(ErrorCode::None, changes.elect_leaders(&elect))
                }
                _ => unreachable!("what the controller does not know was refused before"),
            })
        });
    }

    fn heartbeat(
        &mut self,
        caller: Option<Caller>,
        request: &BrokerHeartbeatRequest,
        raft: &mut Raft,
        context: &mut Context<'_, Kafka>,
    ) {
        let mut leaving = false;
        let written = self.event(caller, raft, context, |changes, heartbeats, _| {
            let result = changes.heartbeat(request, heartbeats);
            leaving = matches!(result, Ok((_, ControlState::ControlledShutdown)));
            Some(Response::BrokerHeartbeat(result.map(|(state, _)| state)))
        });
        if let (true, Some(offset), Some(active)) = (leaving, written, &mut self.active) {
            let broker = request.identity.broker;
            active.heartbeats.enter_controlled_shutdown(broker, offset);
        }
    }
}

/// A controller that cannot apply its log ends its process (`ControllerServer`'s `fatalFaultHandler`).
fn fail(context: &mut Context<'_, Kafka>) {
    context.note(Note::Phase(Phase::Exited(CONTRADICTORY_LOG)));
    context.exit();
}

/// An entry of the metadata log on disk.
fn entry(index: usize, context: &mut Context<'_, Kafka>) -> Option<MetadataBatch> {
    let log = context.disk().existing(METADATA_LOG)?;
    Some(*log.entries().get(index)?.metadata())
}

/// What a controller that is not active answers; none to what does not need to be active.
fn refusal(request: &Request) -> Option<Response> {
    let error = ErrorCode::NotController;
    Some(match request {
        Request::AllocateProducerIds(_) => Response::AllocateProducerIds(Err(error)),
        Request::CreateTopic(_) => Response::CreateTopic(error),
        Request::ElectLeaders(_) => Response::ElectLeaders(error, Vec::new()),
        Request::BrokerRegistration(_) => Response::BrokerRegistration(Err(error)),
        Request::BrokerHeartbeat(_) => Response::BrokerHeartbeat(Err(error)),
        Request::AlterPartition(_) => Response::AlterPartition(Err(error)),
        Request::AssignReplicasToDirs(_) => Response::AssignReplicasToDirs(Err(error)),
        _ => return None,
    })
}
