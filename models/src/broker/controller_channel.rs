//! A broker's channel to the active controller (`NodeToControllerChannelManagerImpl`,
//! `NodeToControllerRequestThread`).
//!
//! | state | what happens |
//! |---|---|
//! | no controller known | looked up every 100 ms; what waits longer than the retry time-out (wall) is given up |
//! | controller known | the first request is handed to its connection; 50 ms (wall) between attempts to connect |
//! | not sent within the request time-out (wall), still connecting or not | the request goes back to the head |
//! | disconnected with a request handed over or in flight, or no answer in time (wall) | the same |
//! | NOT_CONTROLLER anywhere in the answer | the same, and the connection is closed |
//! | any other answer | goes to whoever asked |
//!
//! A request that goes back makes the channel look the controller up, at once: while the quorum still takes a dead one
//! for its leader, that is the answer again, and is kept. A controller once found is kept until the next request
//! comes back, whoever the quorum elects meanwhile; a connection that nobody waits for may close without that.
//! The retry time-out is compared only when a request is about to be handed over (`generateRequests`).
//!
//! Kafka compares the time of an unsent request strictly, at the end of polls that last as long as that very
//! time-out (`InterBrokerSendThread.failExpiredRequests`); the millisecond by which a poll overruns makes the
//! difference, and is taken here to be there.

use std::collections::VecDeque;

use ktrial_sim::{ConnectionId, Context, Duration, Time, TimerSlot};

use crate::config::BrokerSettings;
use crate::ids::ServerId;
use crate::kafka::{Kafka, site};
use crate::protocol::{CONTROLLER_PORT, Channel, ChannelSettings, Correlation, ErrorCode, Request, Response};

/// The pause between two looks for the active controller.
const LOOK_AGAIN: Duration = Duration::millis(100);
/// The pause before a connection to the same controller is tried again.
const RECONNECT: Duration = Duration::millis(50);

/// What became of a request; `T` tells the owner which.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<T> {
    /// The controller answered.
    Answered(T, Response),
    /// It was not sent, or not answered, within the retry time-out.
    TimedOut(T),
}

struct Waiting<T> {
    created: Time,
    request: Request,
    tag: T,
}

/// A request that waits for its connection (`UnsentRequests`).
struct Handed<T> {
    request: Waiting<T>,
    since: Time,
}

/// What belongs to the network in a channel, whatever is sent over it.
pub trait ControllerLine {
    /// The quorum has another leader, or none that is known.
    fn controller_changed(&mut self, active: Option<ServerId>);
    /// The channel's timer ran out.
    fn timer(&mut self, context: &mut Context<'_, Kafka>);
    /// A connection is up. False if it is not this channel's.
    fn connected(&mut self, connection: ConnectionId, context: &mut Context<'_, Kafka>) -> bool;
    /// A connection is gone. False if it is not this channel's.
    fn closed(&mut self, connection: ConnectionId, context: &mut Context<'_, Kafka>) -> bool;
    /// Whether a connection is this channel's.
    fn owns(&self, connection: ConnectionId) -> bool;
    /// An answer arrived on this channel's connection.
    fn response(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        response: Response,
        context: &mut Context<'_, Kafka>,
    );
}

/// Who sends to the controller: heartbeats, AlterPartition, forwarded requests, directories of replicas. Each has a
/// `NodeToControllerChannelManager` of its own.
pub trait ControllerSender {
    /// Its channel.
    fn line(&mut self) -> &mut dyn ControllerLine;
    /// Takes in what came of its requests.
    fn settle(&mut self, context: &mut Context<'_, Kafka>);
}

/// One channel; each sender in the broker has its own.
pub struct ControllerChannel<T> {
    channel: Channel,
    timer: TimerSlot,
    retry_timeout: Duration,
    /// How long a request may wait for its connection, and then for its answer.
    request_timeout: Duration,
    /// Who leads the quorum, as far as this server knows.
    active: Option<ServerId>,
    /// Whom this channel takes for the active controller.
    controller: Option<ServerId>,
    waiting: VecDeque<Waiting<T>>,
    handed: Option<Handed<T>>,
    in_flight: Option<Waiting<T>>,
    outcomes: VecDeque<Outcome<T>>,
    armed: bool,
}

impl<T: Copy> ControllerChannel<T> {
    /// A channel that has found nobody. Requests without an answer for `retry_timeout` are given up.
    pub fn new(timer: TimerSlot, retry_timeout: Duration, settings: &BrokerSettings) -> Self {
        let request_timeout = settings.controller_socket_timeout_ms.min(retry_timeout);
        let settings = ChannelSettings {
            request_timeout,
            reconnect_backoff: RECONNECT,
            reconnect_backoff_max: RECONNECT,
            setup_timeout: settings.socket_connection_setup_timeout_ms,
            setup_timeout_max: settings.socket_connection_setup_timeout_max_ms,
            site: site::RECONNECT,
        };
        ControllerChannel {
            channel: Channel::new(CONTROLLER_PORT, settings),
            timer,
            retry_timeout,
            request_timeout,
            active: None,
            controller: None,
            waiting: VecDeque::new(),
            handed: None,
            in_flight: None,
            outcomes: VecDeque::new(),
            armed: false,
        }
    }

    /// Sends a request as soon as it can be.
    pub fn send(&mut self, tag: T, request: Request, context: &mut Context<'_, Kafka>) {
        self.waiting.push_back(Waiting {
            created: context.wall(),
            request,
            tag,
        });
        self.poll(context);
    }

    /// Whether a request came to an end.
    #[inline]
    pub fn has_outcome(&self) -> bool {
        !self.outcomes.is_empty()
    }

    /// What became of the next request that is done.
    pub fn take_outcome(&mut self) -> Option<Outcome<T>> {
        self.outcomes.pop_front()
    }

    /// Closes the connection and forgets what waits; nothing is told any more.
    pub fn shut_down(&mut self, context: &mut Context<'_, Kafka>) {
        self.channel.close(context);
        self.waiting.clear();
        self.handed = None;
        self.in_flight = None;
        self.outcomes.clear();
        self.arm(context);
    }

    /// The connection is gone, and whatever was to go over it comes back.
    fn disconnected(&mut self) {
        let handed = self.handed.take().map(|handed| handed.request);
        if let Some(request) = self.in_flight.take().or(handed) {
            self.try_again(request);
        }
    }

    /// A request was not answered by the controller: the next one to try is whoever leads the quorum now.
    fn try_again(&mut self, request: Waiting<T>) {
        self.waiting.push_front(request);
        self.controller = self.active;
    }

    fn poll(&mut self, context: &mut Context<'_, Kafka>) {
        if self.channel.expire(context).is_some() {
            self.disconnected();
        }
        let now = context.wall();
        // One that is backing off counts as failed too (`checkDisconnects`).
        let failed = |handed: &mut Handed<T>| {
            now.since(handed.since) > self.request_timeout || self.channel.is_disconnected()
        };
        if let Some(handed) = self.handed.take_if(failed) {
            self.try_again(handed.request);
        }
        if self.controller.is_none() {
            self.controller = self.active;
        }
        self.hand_over(now, context);
        self.arm(context);
    }

    fn hand_over(&mut self, now: Time, context: &mut Context<'_, Kafka>) {
        if self.in_flight.is_some() {
            return;
        }
        if self.handed.is_none() {
            while let Some(first) = self.waiting.front()
                && now.since(first.created) >= self.retry_timeout
            {
                self.outcomes.push_back(Outcome::TimedOut(first.tag));
                self.waiting.pop_front();
            }
            if self.controller.is_some() {
                let next = self.waiting.pop_front();
                self.handed = next.map(|request| Handed { request, since: now });
            }
        }
        if self.handed.is_none() {
            return;
        }
        self.channel.turn_to(self.controller, context);
        if self.channel.prepare(context)
            && let Some(Handed { request, .. }) = self.handed.take()
        {
            self.channel.send(request.request.clone(), context);
            self.in_flight = Some(request);
        }
    }

    fn arm(&mut self, context: &mut Context<'_, Kafka>) {
        let now = context.wall();
        let handed = self.handed.as_ref().map(|handed| {
            let late = handed.since + self.request_timeout.saturating_add(Duration::millis(1));
            late.since(now)
        });
        // Looking for a controller, or behind another request: then there is no more than that to wait for.
        let waiting = self.waiting.front().filter(|_| self.controller.is_none());
        let waiting = waiting.map(|first| {
            let late = first.created + self.retry_timeout;
            late.since(now).min(LOOK_AGAIN)
        });
        let used = handed.is_some() || self.in_flight.is_some() || self.channel.is_connecting();
        let channel = self.channel.next_wait(context).filter(|_| used);
        match [handed, waiting, channel].into_iter().flatten().min() {
            Some(wait) if wait < Duration::FOREVER => {
                context.set_timer(self.timer, wait);
                self.armed = true;
            }
            _ if self.armed => {
                context.clear_timer(self.timer);
                self.armed = false;
            }
            _ => {}
        }
    }
}

impl<T: Copy> ControllerLine for ControllerChannel<T> {
    fn controller_changed(&mut self, active: Option<ServerId>) {
        self.active = active;
        // What waits has its own time to look (`arm`).
        if self.controller.is_none() && self.waiting.is_empty() {
            self.controller = active;
        }
    }

    fn timer(&mut self, context: &mut Context<'_, Kafka>) {
        self.armed = false;
        self.poll(context);
    }

    fn connected(&mut self, connection: ConnectionId, context: &mut Context<'_, Kafka>) -> bool {
        let own = self.channel.connected(connection);
        if own {
            self.poll(context);
        }
        own
    }

    fn closed(&mut self, connection: ConnectionId, context: &mut Context<'_, Kafka>) -> bool {
        let own = self.channel.closed(connection, context).is_some();
        if own {
            self.disconnected();
            self.poll(context);
        }
        own
    }

    fn owns(&self, connection: ConnectionId) -> bool {
        self.channel.owns(connection)
    }

    fn response(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        response: Response,
        context: &mut Context<'_, Kafka>,
    ) {
        if !self.channel.answered(connection, correlation) {
            return;
        }
        let request = self.in_flight.take().expect("the answer is to something");
        if is_from_no_controller(&response) {
            self.channel.close(context);
            self.try_again(request);
        } else {
            self.outcomes.push_back(Outcome::Answered(request.tag, response));
        }
        self.poll(context);
    }
}

/// Whether any part of an answer says NOT_CONTROLLER: a proposal from a leader that is ahead of the controller
/// does so too, for its partition alone (`AbstractResponse.errorCounts`).
fn is_from_no_controller(response: &Response) -> bool {
    const NOT: ErrorCode = ErrorCode::NotController;
    match response {
        Response::AllocateProducerIds(Err(error))
        | Response::BrokerRegistration(Err(error))
        | Response::BrokerHeartbeat(Err(error))
        | Response::AssignReplicasToDirs(Err(error))
        | Response::AlterPartition(Err(error))
        | Response::CreateTopic(error) => *error == NOT,
        Response::AlterPartition(Ok(partitions)) => partitions.iter().any(|result| result.error == NOT),
        Response::ElectLeaders(error, partitions) => {
            *error == NOT || partitions.iter().any(|(_, error)| *error == NOT)
        }
        _ => false,
    }
}
