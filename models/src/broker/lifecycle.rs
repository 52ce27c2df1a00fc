//! A broker's life in the eyes of the controller (`BrokerLifecycleManager`).
//!
//! | state | entered when | heartbeats |
//! |---|---|---|
//! | Starting | the process starts | registration until it succeeds (again after one heartbeat interval), then every 10 ms |
//! | Recovery | the controller says that the broker has caught up with its registration | every `broker.heartbeat.interval.ms`, asking for the fence until the first publication is done, then not |
//! | Running | the controller says that the fence is gone | every interval |
//! | PendingControlledShutdown | `SIGTERM` while Running | at once, after 50 ms, then every interval, wanting to shut down |
//! | ShuttingDown | the controller agrees, or the process stops for another reason | none |
//!
//! One request in flight. Any error, STALE_BROKER_EPOCH and BROKER_ID_NOT_REGISTERED included, only means the next
//! heartbeat after one interval: a registered process never registers again by itself, and a fenced one stays
//! Running and is unfenced by its next heartbeat. All waits are monotonic.

use ktrial_sim::{Context, Duration};

use crate::broker::controller_channel::{ControllerChannel, ControllerLine, ControllerSender, Outcome};
use crate::broker::slots;
use crate::ids::{BrokerEpoch, IncarnationId, Offset};
use crate::kafka::Kafka;
use crate::protocol::{
    BrokerHeartbeatRequest, BrokerIdentity, BrokerRegistrationRequest, HeartbeatState, Request, Response,
};
use crate::specification::ClusterSpecification;

/// The heartbeat interval of a broker that still has to catch up.
const CATCHING_UP: Duration = Duration::millis(10);
/// From the first answer to a wish to shut down to the next heartbeat.
const SHUTTING_DOWN_SOON: Duration = Duration::millis(50);

/// `BrokerState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BrokerState {
    /// Registering and catching up.
    Starting,
    /// Caught up; logs may still be loading; fenced.
    Recovery,
    /// Unfenced at least once.
    Running,
    /// Wants to shut down.
    PendingControlledShutdown,
    /// Sends nothing any more.
    ShuttingDown,
}

/// What the rest of the broker must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// The controller knows that this broker has applied its registration.
    CaughtUp,
    /// The broker is unfenced for the first time.
    Unfenced,
    /// The controller lets it go.
    MayShutDown,
    /// No registration within `initial.broker.registration.timeout.ms`.
    RegistrationTimedOut,
}

/// See the module.
pub struct Lifecycle {
    state: BrokerState,
    registration: BrokerRegistrationRequest,
    epoch: Option<BrokerEpoch>,
    interval: Duration,
    /// The offset of the last metadata record that is published.
    published: Offset,
    ready_to_unfence: bool,
    in_flight: bool,
    immediately: bool,
    got_shutdown_answer: bool,
    channel: ControllerChannel<()>,
    events: Vec<LifecycleEvent>,
}

impl Lifecycle {
    /// The lifecycle of a process that is about to start; `registration` is what it will say of itself.
    pub fn new(registration: BrokerRegistrationRequest, specification: &ClusterSpecification) -> Self {
        let settings = &specification.broker;
        Lifecycle {
            state: BrokerState::Starting,
            registration,
            epoch: None,
            interval: settings.broker_heartbeat_interval_ms,
            published: Offset(0),
            ready_to_unfence: false,
            in_flight: false,
            immediately: false,
            got_shutdown_answer: false,
            channel: ControllerChannel::new(
                slots::HEARTBEAT_CHANNEL,
                settings.broker_heartbeat_interval_ms,
                settings,
            ),
            events: Vec::new(),
        }
    }

    /// The process starts: the first registration goes out.
    pub fn start(&mut self, timeout: Duration, context: &mut Context<'_, Kafka>) {
        context.set_timer(slots::REGISTRATION, timeout);
        self.communicate(context);
    }

    /// Where it stands.
    pub fn state(&self) -> BrokerState {
        self.state
    }

    /// Its broker epoch, once registered.
    pub fn epoch(&self) -> Option<BrokerEpoch> {
        self.epoch
    }

    /// Which process this is.
    pub fn incarnation(&self) -> IncarnationId {
        self.registration.incarnation
    }

    /// Whether there is something to tell the rest of the broker.
    #[inline]
    pub fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// The next thing to tell the rest of the broker.
    pub fn take_event(&mut self) -> Option<LifecycleEvent> {
        (!self.events.is_empty()).then(|| self.events.remove(0))
    }

    /// Metadata up to this record is published here.
    pub fn metadata_published(&mut self, last: Offset) {
        self.published = last;
    }

    /// The first publication is done: the broker can serve.
    pub fn ready_to_unfence(&mut self, context: &mut Context<'_, Kafka>) {
        self.ready_to_unfence = true;
        self.communicate(context);
    }

    /// `SIGTERM`. False if the broker was not Running: it stops without asking.
    pub fn begin_controlled_shutdown(&mut self, context: &mut Context<'_, Kafka>) -> bool {
        if self.state != BrokerState::Running {
            return false;
        }
        self.state = BrokerState::PendingControlledShutdown;
        self.communicate(context);
        true
    }

    /// Nothing is sent from here on.
    pub fn shut_down(&mut self, context: &mut Context<'_, Kafka>) {
        self.state = BrokerState::ShuttingDown;
        context.clear_timer(slots::COMMUNICATION);
        context.clear_timer(slots::REGISTRATION);
        self.channel.shut_down(context);
    }

    /// The wait for the next heartbeat or registration is over.
    pub fn communicate(&mut self, context: &mut Context<'_, Kafka>) {
        if self.state == BrokerState::ShuttingDown {
            return;
        }
        context.clear_timer(slots::COMMUNICATION);
        if self.in_flight {
            self.immediately = true;
            return;
        }
        let request = match self.epoch {
            Some(epoch) => Request::BrokerHeartbeat(Box::new(BrokerHeartbeatRequest {
                identity: BrokerIdentity {
                    broker: self.registration.broker,
                    epoch,
                },
                metadata_offset: self.published,
                want_fence: !self.ready_to_unfence,
                want_shut_down: self.state == BrokerState::PendingControlledShutdown,
                // A broker with one log directory does not outlive it.
                directory_offline: false,
            })),
            None => Request::BrokerRegistration(Box::new(self.registration.clone())),
        };
        self.in_flight = true;
        self.channel.send((), request, context);
        self.settle(context);
    }

    /// `initial.broker.registration.timeout.ms` has passed.
    pub fn registration_timed_out(&mut self) {
        if self.epoch.is_none() {
            self.events.push(LifecycleEvent::RegistrationTimedOut);
        }
    }

    fn heartbeat_answered(&mut self, answer: HeartbeatState, context: &mut Context<'_, Kafka>) {
        match self.state {
            BrokerState::Starting => {
                if answer.caught_up {
                    self.state = BrokerState::Recovery;
                    self.events.push(LifecycleEvent::CaughtUp);
                }
                self.schedule(CATCHING_UP, context);
            }
            BrokerState::Recovery => {
                if !answer.fenced {
                    self.state = BrokerState::Running;
                    self.events.push(LifecycleEvent::Unfenced);
                }
                self.schedule(self.interval, context);
            }
            BrokerState::Running => self.schedule(self.interval, context),
            BrokerState::PendingControlledShutdown => {
                let first = !std::mem::replace(&mut self.got_shutdown_answer, true);
                if answer.should_shut_down {
                    self.events.push(LifecycleEvent::MayShutDown);
                } else if first {
                    self.schedule(SHUTTING_DOWN_SOON, context);
                } else {
                    self.schedule(self.interval, context);
                }
            }
            BrokerState::ShuttingDown => {}
        }
    }

    fn schedule(&mut self, after: Duration, context: &mut Context<'_, Kafka>) {
        let after = if std::mem::take(&mut self.immediately) {
            Duration::ZERO
        } else {
            after
        };
        context.set_timer(slots::COMMUNICATION, after);
    }
}

impl ControllerSender for Lifecycle {
    fn line(&mut self) -> &mut dyn ControllerLine {
        &mut self.channel
    }

    fn settle(&mut self, context: &mut Context<'_, Kafka>) {
        while let Some(outcome) = self.channel.take_outcome() {
            self.in_flight = false;
            match outcome {
                Outcome::Answered((), Response::BrokerRegistration(Ok(epoch))) => {
                    self.epoch = Some(epoch);
                    self.schedule(Duration::ZERO, context);
                }
                Outcome::Answered((), Response::BrokerHeartbeat(Ok(answer))) => {
                    self.heartbeat_answered(answer, context);
                }
                Outcome::Answered((), _) | Outcome::TimedOut(()) => {
                    self.immediately = false;
                    self.schedule(self.interval, context);
                }
            }
        }
    }
}
