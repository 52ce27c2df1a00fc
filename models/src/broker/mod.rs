//! The broker: `BrokerServer` on one server.
//!
//! | lane | file |
//! |---|---|
//! | lifecycle: registration, heartbeats | [`lifecycle`] |
//! | metadata publication and loading of logs | [`publisher`], [`storage`] |
//! | request handlers and network threads | `accepted`, [`handlers`], [`work`], [`produce`], [`fetch`], [`requests`] |
//! | purgatories | [`purgatory`] |
//! | replica fetchers | [`fetcher`], [`fetchers`] |
//! | AlterPartition and the ISR check | [`alter_partition`], [`isr`] |
//! | forwarding and producer ids | [`forwarding`], [`producer_ids`] |
//! | directories of replicas | [`assignments`] |
//! | scheduler: checkpoints, flushes | [`storage`] |
//! | group coordinator's threads, loader and timers | [`groups`], [`coordinator`] |
//! | orderly stop | [`shutdown`] |
//!
//! Phases: Starting (the process) → CatchingUp (metadata, registration) → Recovering (logs) → Running (unfenced,
//! the port is open) → ShuttingDown.

mod accepted;
pub mod alter_partition;
pub mod assignments;
pub mod controller_channel;
pub mod coordinator;
pub mod fetch;
pub mod fetch_session;
pub mod fetcher;
mod fetchers;
pub mod follower_session;
pub mod forwarding;
pub mod groups;
pub mod handlers;
mod isr;
pub mod lifecycle;
pub mod locks;
pub mod metadata_cache;
mod parked;
pub mod partition;
pub mod produce;
pub mod producer_ids;
pub mod publisher;
pub mod purgatory;
mod requests;
pub mod shutdown;
pub mod slots;
mod start;
pub mod storage;
pub mod work;

use std::sync::Arc;

use ktrial_sim::{Closure, ConnectionId, Context, Time, TimerSlot};

use crate::broker::accepted::Accepted;
use crate::broker::alter_partition::AlterPartitions;
use crate::broker::assignments::Assignments;
use crate::broker::controller_channel::ControllerSender;
use crate::broker::fetch_session::FetchSessions;
use crate::broker::fetcher::{Effects, Fetcher};
use crate::broker::forwarding::Forwarding;
use crate::broker::groups::GroupCoordinator;
use crate::broker::handlers::{Arrived, Handlers};
use crate::broker::lifecycle::{Lifecycle, LifecycleEvent};
use crate::broker::locks::Locks;
use crate::broker::partition::Partition;
use crate::broker::producer_ids::ProducerIds;
use crate::broker::publisher::Publisher;
use crate::broker::purgatory::{Purgatory, Ticket};
use crate::broker::shutdown::Stop;
use crate::broker::storage::FlushTimes;
use crate::broker::work::Work;
use crate::ids::{
    BrokerEpoch, DirectoryId, IncarnationId, LeaderEpoch, Offset, PartitionId, PartitionMap, ServerId,
};
use crate::kafka::{Kafka, slot};
use crate::log::Log;
use crate::metadata::MetadataImage;
use crate::notes::{Note, Phase};
use crate::protocol::{BROKER_PORT, BrokerRegistrationRequest, Correlation, Request, Response};
use crate::specification::ClusterSpecification;

/// A broker.
pub struct Broker {
    id: ServerId,
    specification: Arc<ClusterSpecification>,
    lifecycle: Lifecycle,
    /// The metadata cache.
    image: MetadataImage,
    publisher: Publisher,
    partitions: PartitionMap<Box<Partition>>,
    /// Logs that were loaded and have no role yet.
    loaded_logs: PartitionMap<Log>,
    handlers: Handlers,
    /// What each handler works on.
    in_hand: Vec<Option<Box<Work>>>,
    /// Memory of finished requests.
    #[expect(clippy::vec_box, reason = "the boxes themselves are what is used again")]
    spare: Vec<Box<Work>>,
    parked_produce: Purgatory<Box<Work>>,
    parked_fetches: Purgatory<Box<Work>>,
    tickets: Vec<Ticket>,
    /// When the purgatories' timer is set for.
    purgatory_armed: Option<Time>,
    locks: Locks,
    sessions: FetchSessions,
    fetchers: Vec<Option<Box<Fetcher>>>,
    effects: Effects,
    alter: AlterPartitions,
    forwarding: Forwarding,
    assignments: Assignments,
    producer_ids: ProducerIds,
    /// Coordinators of groups; not there while they act.
    groups: Option<Box<GroupCoordinator>>,
    /// Which partition of `__consumer_offsets` keeps each group.
    group_partitions: Vec<u32>,
    /// The controller is asked for `__consumer_offsets`.
    creating_offsets_topic: bool,
    flush: FlushTimes,
    /// Flushes by background tasks under way.
    flushes: Vec<Option<(PartitionId, Offset)>>,
    /// There was a clean-shutdown file.
    clean_start: bool,
    caught_up: bool,
    serving: bool,
    in_controlled_shutdown: bool,
    accepted: Accepted,
    stop: Stop,
    log_directory_failed: bool,
    /// The process ends itself after the input in hand; why.
    exits: Option<&'static str>,
    /// It has done so.
    gone: bool,
}

impl Broker {
    /// A broker that has not started.
    pub fn new(id: ServerId, specification: Arc<ClusterSpecification>) -> Self {
        let settings = &specification.broker;
        let registration = BrokerRegistrationRequest {
            broker: id,
            incarnation: IncarnationId(0),
            rack: None,
            directory: DirectoryId(0),
            previous_epoch: None,
        };
        let mut in_hand = Vec::new();
        in_hand.resize_with(settings.num_io_threads.max(1) as usize, || None);
        Broker {
            id,
            lifecycle: Lifecycle::new(registration, &specification),
            image: MetadataImage::default(),
            publisher: Publisher::default(),
            partitions: PartitionMap::default(),
            loaded_logs: PartitionMap::default(),
            handlers: Handlers::new(
                settings.num_io_threads,
                settings.queued_max_requests,
                settings.num_network_threads,
            ),
            in_hand,
            spare: Vec::new(),
            parked_produce: Purgatory::default(),
            parked_fetches: Purgatory::default(),
            tickets: Vec::new(),
            purgatory_armed: None,
            locks: Locks::default(),
            sessions: FetchSessions::new(settings.max_incremental_fetch_session_cache_slots),
            fetchers: Vec::new(),
            effects: Effects::default(),
            alter: AlterPartitions::new(&specification),
            forwarding: Forwarding::new(&specification),
            assignments: Assignments::new(&specification),
            producer_ids: ProducerIds::default(),
            groups: Some(Box::new(GroupCoordinator::new(
                settings.group_coordinator_threads,
            ))),
            group_partitions: groups::group_partitions(&specification),
            creating_offsets_topic: false,
            flush: FlushTimes::new(id, &specification),
            flushes: Vec::new(),
            clean_start: false,
            caught_up: false,
            serving: false,
            in_controlled_shutdown: false,
            accepted: Accepted::new(settings.connections_max_idle_ms),
            stop: Stop::None,
            log_directory_failed: false,
            exits: None,
            gone: false,
            specification,
        }
    }

    /// A timer of this component ran out.
    pub fn timer(&mut self, timer: TimerSlot, context: &mut Context<'_, Kafka>) {
        let settings = &self.specification.broker;
        match timer {
            slots::COMMUNICATION => self.lifecycle.communicate(context),
            slots::REGISTRATION => self.lifecycle.registration_timed_out(),
            slots::HEARTBEAT_CHANNEL => Self::channel_timer(&mut self.lifecycle, context),
            slots::ALTER_CHANNEL => Self::channel_timer(&mut self.alter, context),
            slots::ASSIGNMENTS_CHANNEL => Self::channel_timer(&mut self.assignments, context),
            slots::ASSIGNMENTS => self.assignments.send(&self.image, self.id, context),
            slots::ALTER_RETRY => self.alter.propagate(self.identity(), context),
            slots::FORWARD_CHANNEL => Self::channel_timer(&mut self.forwarding, context),
            slots::ISR_EXPIRATION => self.isr_expiration(context),
            slots::HIGH_WATERMARKS => {
                Self::again(
                    timer,
                    settings.replica_high_watermark_checkpoint_interval_ms,
                    context,
                );
                self.checkpoint_high_watermarks(context);
            }
            slots::RECOVERY_POINTS => {
                Self::again(timer, settings.log_flush_offset_checkpoint_interval_ms, context);
                self.checkpoint_recovery_points(context);
            }
            slots::LOG_STARTS => {
                Self::again(
                    timer,
                    settings.log_flush_start_offset_checkpoint_interval_ms,
                    context,
                );
                self.checkpoint_log_starts(context);
            }
            slots::RETENTION => {
                Self::again(timer, settings.log_retention_check_interval_ms, context);
                self.clean_up_logs(context);
            }
            slots::FLUSHER => {
                Self::again(timer, settings.log_flush_scheduler_interval_ms, context);
                self.flush_dirty_logs(context);
            }
            slots::PRODUCER_EXPIRATION => {
                Self::again(timer, settings.producer_id_expiration_check_interval_ms, context);
                self.expire_producers(context);
            }
            slots::PURGATORY => self.purgatory_woke(context),
            slots::COORDINATORS => self.coordinators_woke(context),
            slots::PUBLISHER => self.publisher_woke(context),
            slots::SHUTDOWN => self.drain(context),
            slots::IDLE => self.accepted.close_idle(context),
            slots::STOPPING => self.flushed_all(context),
            timer => {
                let number = usize::from(timer.0 - slot::FETCHER);
                self.with_fetcher(number, context, Fetcher::timer);
            }
        }
        self.settle(context);
    }

    /// An alarm of this component went off.
    pub fn alarm(&mut self, token: u32, context: &mut Context<'_, Kafka>) {
        let number = token & !(slots::PURPOSE);
        match token & slots::PURPOSE {
            slots::HANDLER => self.handler_woke(number as u16, context),
            slots::FLUSHED => self.flushed_in_background(number as usize, context),
            slots::EPOCHS => self.write_epochs(PartitionId(number), context),
            slots::SHRINK => self.shrink_isrs(number, context),
            slots::COORDINATOR => self.coordinator_worked(number as u16, context),
            slots::HALT => self.exits = Some("all log directories have failed"),
            purpose => unreachable!("no alarm of the broker: {purpose:x}"),
        }
        self.settle(context);
    }

    /// A connection this broker opened is up.
    pub fn connected(&mut self, connection: ConnectionId, context: &mut Context<'_, Kafka>) {
        if let Some(sender) = self.sender_of(connection) {
            sender.line().connected(connection, context);
            sender.settle(context);
        } else if let Some(number) = self.fetcher_of(connection) {
            self.with_fetcher(number, context, |fetcher, around, context| {
                fetcher.connected(connection, around, context);
            });
        }
        self.settle(context);
    }

    /// A client or follower opened a connection.
    pub fn accepted(&mut self, connection: ConnectionId, context: &mut Context<'_, Kafka>) {
        if self.stopping() {
            context.close(connection);
        } else {
            self.accepted.opened(connection, context);
        }
    }

    /// A connection, opened or accepted, is gone.
    pub fn closed(&mut self, connection: ConnectionId, _: Closure, context: &mut Context<'_, Kafka>) {
        if let Some(sender) = self.sender_of(connection) {
            sender.line().closed(connection, context);
            sender.settle(context);
            self.settle_forwarding(context);
        } else if let Some(number) = self.fetcher_of(connection) {
            self.with_fetcher(number, context, |fetcher, around, context| {
                fetcher.closed(connection, around, context);
            });
        } else {
            self.accepted.closed(connection);
        }
        self.settle(context);
    }

    /// A request arrived on the broker's listener.
    pub fn request(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        request: Request,
        context: &mut Context<'_, Kafka>,
    ) {
        self.accepted.used(connection, context.monotonic());
        let arrived = Arrived {
            connection,
            correlation,
            request,
        };
        self.arrived(arrived, context);
        self.settle(context);
    }

    /// An answer arrived on a connection this broker opened.
    pub fn response(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        response: Response,
        context: &mut Context<'_, Kafka>,
    ) {
        // The connection is one's only, and most answers are fetchers'.
        if let Some(number) = self.fetcher_of(connection) {
            self.with_fetcher(number, context, |fetcher, around, context| {
                fetcher.response(connection, correlation, response, around, context);
            });
        } else if let Some(sender) = self.sender_of(connection) {
            sender.line().response(connection, correlation, response, context);
            sender.settle(context);
        }
        self.settle(context);
    }

    /// Everybody here who sends to the controller.
    fn senders(&mut self) -> [&mut dyn ControllerSender; 4] {
        [
            &mut self.lifecycle,
            &mut self.alter,
            &mut self.forwarding,
            &mut self.assignments,
        ]
    }

    /// Who opened a connection to the controller.
    fn sender_of(&mut self, connection: ConnectionId) -> Option<&mut dyn ControllerSender> {
        let mut senders = self.senders();
        let number = senders
            .iter_mut()
            .position(|sender| sender.line().owns(connection))?;
        senders.into_iter().nth(number)
    }

    fn channel_timer(sender: &mut dyn ControllerSender, context: &mut Context<'_, Kafka>) {
        sender.line().timer(context);
        sender.settle(context);
    }

    /// The metadata log is committed up to here, as known on this server.
    pub fn metadata_committed(&mut self, to: Offset, context: &mut Context<'_, Kafka>) {
        if !self.gone {
            self.committed(to, context);
            self.settle(context);
        }
    }

    /// Another controller is active, or none is known.
    pub fn controller_changed(&mut self, leader: Option<ServerId>, _: &mut Context<'_, Kafka>) {
        for sender in self.senders() {
            sender.line().controller_changed(leader);
        }
    }

    /// `SIGTERM`: controlled shutdown begins.
    pub fn terminate(&mut self, context: &mut Context<'_, Kafka>) {
        self.begin_stop(context);
        self.settle(context);
    }

    /// Whether an orderly stop has come to its end.
    pub fn has_stopped(&self) -> bool {
        self.stop == Stop::Stopped
    }

    /// Looks after what the lanes left for each other, which mostly is nothing.
    #[inline]
    fn settle(&mut self, context: &mut Context<'_, Kafka>) {
        let is_settled = self.alter.next_completion().is_none()
            && !self.forwarding.has_outcome()
            && !self.lifecycle.has_event()
            && self.exits.is_none();
        if !is_settled {
            self.settle_lanes(context);
        }
    }

    #[inline(never)]
    fn settle_lanes(&mut self, context: &mut Context<'_, Kafka>) {
        self.settle_alter(context);
        self.settle_forwarding(context);
        while let Some(event) = self.lifecycle.take_event() {
            match event {
                LifecycleEvent::CaughtUp => {
                    self.caught_up = true;
                    self.maybe_ready(context);
                }
                LifecycleEvent::Unfenced => {
                    self.serving = true;
                    context.listen(BROKER_PORT);
                    context.note(Note::Phase(Phase::Running));
                }
                LifecycleEvent::MayShutDown => self.drain(context),
                LifecycleEvent::RegistrationTimedOut => {
                    self.exits = Some("no registration within initial.broker.registration.timeout.ms");
                }
            }
        }
        if let Some(why) = self.exits.take() {
            self.gone = true;
            context.note(Note::Phase(Phase::Exited(why)));
            context.exit();
        }
    }

    /// Whether it serves clients.
    pub fn is_running(&self) -> bool {
        self.serving && !self.stopping()
    }

    /// The metadata it has published.
    pub fn metadata(&self) -> &MetadataImage {
        &self.image
    }

    /// A replica on this broker.
    pub fn partition(&self, id: PartitionId) -> Option<&Partition> {
        self.partitions.get(id).map(Box::as_ref)
    }

    /// The leader epoch in which it leads a partition, in its own eyes.
    pub fn leads(&self, id: PartitionId) -> Option<LeaderEpoch> {
        let partition = self.partitions.get(id)?;
        partition.is_leader().then(|| partition.leader_epoch()).flatten()
    }

    /// How many replica fetchers it runs.
    pub fn fetcher_count(&self) -> usize {
        self.fetchers.iter().flatten().count()
    }

    /// Its registration's epoch.
    pub fn epoch(&self) -> Option<BrokerEpoch> {
        self.lifecycle.epoch()
    }
}
