//! Requests that only the active controller can answer (`ForwardingManagerImpl`), and producer id blocks, which
//! take the same channel.
//!
//! One request in flight; what is not answered within a minute (wall) is answered REQUEST_TIMED_OUT.

use ktrial_sim::{ConnectionId, Context, Duration};

use crate::broker::controller_channel::{ControllerChannel, Outcome};
use crate::broker::slots;
use crate::ids::ServerId;
use crate::kafka::Kafka;
use crate::protocol::{Correlation, ErrorCode, Request, Response};
use crate::specification::{CONSUMER_OFFSETS, ClusterSpecification};

/// How long a forwarded request is tried (`BrokerServer`: the channel "forwarding").
const RETRY_TIMEOUT: Duration = Duration::secs(60);

/// Who waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    /// A client's request, by its kind's answer to a time-out.
    CreateTopic(ConnectionId, Correlation),
    ElectLeaders(ConnectionId, Correlation),
    /// The broker's own producer ids.
    ProducerIds,
    /// `__consumer_offsets`, for the broker itself.
    OffsetsTopic,
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub enum Forwarded {
    /// The answer to a client.
    Answer(ConnectionId, Correlation, Response),
    /// A block of producer ids, or why there is none.
    ProducerIds(Result<(u64, u32), ErrorCode>),
    /// `__consumer_offsets` was created, or was not.
    OffsetsTopic,
}

/// See the module.
pub struct Forwarding {
    channel: ControllerChannel<Asker>,
}

impl Forwarding {
    /// Nothing to forward yet.
    pub fn new(specification: &ClusterSpecification) -> Self {
        let settings = &specification.broker;
        Forwarding {
            channel: ControllerChannel::new(
                slots::FORWARD_CHANNEL,
                RETRY_TIMEOUT,
                settings.controller_socket_timeout_ms,
                (
                    settings.socket_connection_setup_timeout_ms,
                    settings.socket_connection_setup_timeout_max_ms,
                ),
            ),
        }
    }

    /// Forwards a client's request. False if it is none that is forwarded.
    pub fn forward(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        request: Request,
        context: &mut Context<'_, Kafka>,
    ) -> bool {
        let asker = match request {
            Request::CreateTopic(_) => Asker::CreateTopic(connection, correlation),
            Request::ElectLeaders(_) => Asker::ElectLeaders(connection, correlation),
            _ => return false,
        };
        self.channel.send(asker, request, context);
        true
    }

    /// Asks for a block of producer ids.
    pub fn allocate(&mut self, request: Request, context: &mut Context<'_, Kafka>) {
        self.channel.send(Asker::ProducerIds, request, context);
    }

    /// Asks for `__consumer_offsets` (`AutoTopicCreationManager`).
    pub fn create_offsets_topic(&mut self, context: &mut Context<'_, Kafka>) {
        let request = Request::CreateTopic(CONSUMER_OFFSETS);
        self.channel.send(Asker::OffsetsTopic, request, context);
    }

    /// The next thing that came back.
    pub fn take(&mut self) -> Option<Forwarded> {
        Some(match self.channel.take_outcome()? {
            Outcome::Answered(Asker::ProducerIds, Response::AllocateProducerIds(answer)) => {
                Forwarded::ProducerIds(answer)
            }
            Outcome::Answered(Asker::ProducerIds, _) | Outcome::TimedOut(Asker::ProducerIds) => {
                Forwarded::ProducerIds(Err(ErrorCode::RequestTimedOut))
            }
            Outcome::Answered(Asker::OffsetsTopic, _) | Outcome::TimedOut(Asker::OffsetsTopic) => {
                Forwarded::OffsetsTopic
            }
            Outcome::Answered(
                Asker::CreateTopic(connection, correlation) | Asker::ElectLeaders(connection, correlation),
                response,
            ) => Forwarded::Answer(connection, correlation, response),
            Outcome::TimedOut(Asker::CreateTopic(connection, correlation)) => {
                let response = Response::CreateTopic(ErrorCode::RequestTimedOut);
                Forwarded::Answer(connection, correlation, response)
            }
            Outcome::TimedOut(Asker::ElectLeaders(connection, correlation)) => {
                let response = Response::ElectLeaders(ErrorCode::RequestTimedOut, Vec::new());
                Forwarded::Answer(connection, correlation, response)
            }
        })
    }

    /// Another controller is active.
    pub fn controller_changed(&mut self, active: Option<ServerId>) {
        self.channel.controller_changed(active);
    }

    /// The channel's timer ran out.
    pub fn channel_timer(&mut self, context: &mut Context<'_, Kafka>) {
        self.channel.timer(context);
    }

    /// A connection is up. False if it is not the channel's.
    pub fn connected(&mut self, connection: ConnectionId, context: &mut Context<'_, Kafka>) -> bool {
        self.channel.connected(connection, context)
    }

    /// A connection is gone. False if it is not the channel's.
    pub fn closed(&mut self, connection: ConnectionId, context: &mut Context<'_, Kafka>) -> bool {
        self.channel.closed(connection, context)
    }

    /// Whether a connection is the channel's.
    pub fn owns(&self, connection: ConnectionId) -> bool {
        self.channel.owns(connection)
    }

    /// An answer arrived.
    pub fn response(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        response: Response,
        context: &mut Context<'_, Kafka>,
    ) {
        self.channel.response(connection, correlation, response, context);
    }

    /// Sends nothing any more.
    pub fn shut_down(&mut self, context: &mut Context<'_, Kafka>) {
        self.channel.shut_down(context);
    }
}
