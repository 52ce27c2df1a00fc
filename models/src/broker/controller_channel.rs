//! A broker's channel to the active controller (`NodeToControllerChannelManagerImpl`,
//! `NodeToControllerRequestThread`).
//!
//! | state | what happens |
//! |---|---|
//! | no controller known | looked up every 100 ms while something waits; what waits longer than the retry time-out (wall) is given up |
//! | controller known | one request in flight; connecting, with 50 ms (monotonic) between attempts |
//! | disconnected, or no answer in time (wall) | the controller is forgotten, the request goes back to the head |
//! | NOT_CONTROLLER anywhere in the answer | the same, and the connection is closed |
//! | any other answer | goes to whoever asked |
//!
//! A controller once found is kept until one of these happens, whoever the quorum elects meanwhile.

use std::collections::VecDeque;

use ktrial_sim::{ConnectionId, Context, Duration, Time, TimerSlot};

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

/// One channel; each sender in the broker has its own.
pub struct ControllerChannel<T> {
    channel: Channel,
    timer: TimerSlot,
    retry_timeout: Duration,
    /// Who leads the quorum, as far as this server knows.
    active: Option<ServerId>,
    /// Whom this channel takes for the active controller.
    controller: Option<ServerId>,
    waiting: VecDeque<Waiting<T>>,
    in_flight: Option<Waiting<T>>,
    outcomes: VecDeque<Outcome<T>>,
    armed: bool,
}

impl<T: Copy> ControllerChannel<T> {
    /// A channel that has found nobody. Requests without an answer for `retry_timeout` are given up.
    pub fn new(
        timer: TimerSlot,
        retry_timeout: Duration,
        socket_timeout: Duration,
        (setup_timeout, setup_timeout_max): (Duration, Duration),
    ) -> Self {
        let settings = ChannelSettings {
            request_timeout: socket_timeout.min(retry_timeout),
            reconnect_backoff: RECONNECT,
            reconnect_backoff_max: RECONNECT,
            setup_timeout,
            setup_timeout_max,
            site: site::RECONNECT,
        };
        ControllerChannel {
            channel: Channel::new(CONTROLLER_PORT, settings),
            timer,
            retry_timeout,
            active: None,
            controller: None,
            waiting: VecDeque::new(),
            in_flight: None,
            outcomes: VecDeque::new(),
            armed: false,
        }
    }

    /// The quorum has another leader, or none that is known.
    pub fn controller_changed(&mut self, active: Option<ServerId>) {
        self.active = active;
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

    /// What became of the next request that is done.
    pub fn take_outcome(&mut self) -> Option<Outcome<T>> {
        self.outcomes.pop_front()
    }

    /// The channel's timer ran out.
    pub fn timer(&mut self, context: &mut Context<'_, Kafka>) {
        self.armed = false;
        self.poll(context);
    }

    /// A connection is up. False if it is not this channel's.
    pub fn connected(&mut self, connection: ConnectionId, context: &mut Context<'_, Kafka>) -> bool {
        let own = self.channel.connected(connection);
        if own {
            self.poll(context);
        }
        own
    }

    /// A connection is gone. False if it is not this channel's.
    pub fn closed(&mut self, connection: ConnectionId, context: &mut Context<'_, Kafka>) -> bool {
        let own = self.channel.closed(connection, context).is_some();
        if own {
            self.disconnected();
            self.poll(context);
        }
        own
    }

    /// Whether a connection is this channel's.
    pub fn owns(&self, connection: ConnectionId) -> bool {
        self.channel.owns(connection)
    }

    /// An answer arrived on this channel's connection.
    pub fn response(
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
            self.controller = None;
            self.waiting.push_front(request);
        } else {
            self.outcomes.push_back(Outcome::Answered(request.tag, response));
        }
        self.poll(context);
    }

    /// Closes the connection and forgets what waits; nothing is told any more.
    pub fn shut_down(&mut self, context: &mut Context<'_, Kafka>) {
        self.channel.close(context);
        self.waiting.clear();
        self.in_flight = None;
        self.outcomes.clear();
        self.arm(context);
    }

    fn disconnected(&mut self) {
        self.controller = None;
        if let Some(request) = self.in_flight.take() {
            self.waiting.push_front(request);
        }
    }

    fn poll(&mut self, context: &mut Context<'_, Kafka>) {
        if self.channel.expire(context).is_some() {
            self.disconnected();
        }
        let now = context.wall();
        while let Some(first) = self.waiting.front()
            && now.since(first.created) >= self.retry_timeout
        {
            self.outcomes.push_back(Outcome::TimedOut(first.tag));
            self.waiting.pop_front();
        }
        if self.in_flight.is_none() && !self.waiting.is_empty() {
            if self.controller.is_none() && self.active.is_some() {
                self.controller = self.active;
                self.channel.turn_to(self.active, context);
            }
            if self.controller.is_some()
                && self.channel.prepare(context)
                && let Some(request) = self.waiting.pop_front()
            {
                self.channel.send(request.request.clone(), context);
                self.in_flight = Some(request);
            }
        }
        self.arm(context);
    }

    fn arm(&mut self, context: &mut Context<'_, Kafka>) {
        let wait = if self.in_flight.is_some() {
            self.channel.next_wait(context)
        } else if let Some(first) = self.waiting.front() {
            let until = (first.created + self.retry_timeout).since(context.wall());
            let next = if self.controller.is_some() {
                self.channel.next_wait(context).unwrap_or(Duration::FOREVER)
            } else {
                LOOK_AGAIN
            };
            Some(until.min(next))
        } else {
            None
        };
        match wait {
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

/// Whether any part of an answer says NOT_CONTROLLER: a proposal from a leader that is ahead of the controller
/// does so too, for its partition alone (`AbstractResponse.errorCounts`).
fn is_from_no_controller(response: &Response) -> bool {
    const NOT: ErrorCode = ErrorCode::NotController;
    match response {
        Response::AllocateProducerIds(Err(error))
        | Response::BrokerRegistration(Err(error))
        | Response::BrokerHeartbeat(Err(error))
        | Response::AlterPartition(Err(error))
        | Response::CreateTopic(error) => *error == NOT,
        Response::AlterPartition(Ok(partitions)) => partitions.iter().any(|result| result.error == NOT),
        Response::ElectLeaders(error, partitions) => {
            *error == NOT || partitions.iter().any(|(_, error)| *error == NOT)
        }
        _ => false,
    }
}
