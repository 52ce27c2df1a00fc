//! Requests that only the active controller can answer (`ForwardingManagerImpl`), and producer id blocks, which
//! take the same channel.
//!
//! One request in flight; what is not answered within a minute (wall) is answered REQUEST_TIMED_OUT.

use ktrial_sim::{ConnectionId, Context, Duration};

use crate::broker::controller_channel::{ControllerChannel, ControllerLine, ControllerSender, Outcome};
use crate::broker::slots;
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
    /// `__consumer_offsets` was created, or was not; why not.
    OffsetsTopic(ErrorCode),
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
            channel: ControllerChannel::new(slots::FORWARD_CHANNEL, RETRY_TIMEOUT, settings),
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

    /// Whether something came back.
    #[inline]
    pub fn has_outcome(&self) -> bool {
        self.channel.has_outcome()
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
            Outcome::Answered(Asker::OffsetsTopic, Response::CreateTopic(error)) => {
                Forwarded::OffsetsTopic(error)
            }
            Outcome::Answered(Asker::OffsetsTopic, _) | Outcome::TimedOut(Asker::OffsetsTopic) => {
                Forwarded::OffsetsTopic(ErrorCode::RequestTimedOut)
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

    /// Sends nothing any more.
    pub fn shut_down(&mut self, context: &mut Context<'_, Kafka>) {
        self.channel.shut_down(context);
    }
}

impl ControllerSender for Forwarding {
    fn line(&mut self) -> &mut dyn ControllerLine {
        &mut self.channel
    }

    /// The broker takes what came back itself.
    fn settle(&mut self, _: &mut Context<'_, Kafka>) {}
}
