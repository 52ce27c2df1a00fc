//! The broker: `BrokerServer` on one server.

pub mod partition;

use std::sync::Arc;

use ktrial_sim::{Closure, ConnectionId, Context, TimerSlot};

use crate::ids::{Offset, ServerId};
use crate::kafka::Kafka;
use crate::protocol::{Correlation, Request, Response};
use crate::specification::ClusterSpecification;

/// A broker.
pub struct Broker {
    id: ServerId,
    specification: Arc<ClusterSpecification>,
}

impl Broker {
    /// A broker that has not started.
    pub fn new(id: ServerId, specification: Arc<ClusterSpecification>) -> Self {
        Broker { id, specification }
    }

    /// The process starts; everything comes from the disk and the metadata log.
    pub fn start(&mut self, _context: &mut Context<'_, Kafka>) {
        let _ = (self.id, &self.specification);
    }

    /// A timer of this component ran out.
    pub fn timer(&mut self, _timer: TimerSlot, _context: &mut Context<'_, Kafka>) {}

    /// An alarm of this component went off.
    pub fn alarm(&mut self, _token: u32, _context: &mut Context<'_, Kafka>) {}

    /// A connection this broker opened is up.
    pub fn connected(&mut self, _connection: ConnectionId, _context: &mut Context<'_, Kafka>) {}

    /// A client or follower opened a connection.
    pub fn accepted(&mut self, _connection: ConnectionId, _context: &mut Context<'_, Kafka>) {}

    /// A connection, opened or accepted, is gone.
    pub fn closed(&mut self, _: ConnectionId, _: Closure, _: &mut Context<'_, Kafka>) {}

    /// A request arrived on the broker's listener.
    pub fn request(&mut self, _: ConnectionId, _: Correlation, _: Request, _: &mut Context<'_, Kafka>) {}

    /// An answer arrived on a connection this broker opened.
    pub fn response(&mut self, _: ConnectionId, _: Correlation, _: Response, _: &mut Context<'_, Kafka>) {}

    /// The metadata log is committed up to here, as known on this server.
    pub fn metadata_committed(&mut self, _to: Offset, _context: &mut Context<'_, Kafka>) {}

    /// Another controller is active, or none is known.
    pub fn controller_changed(&mut self, _leader: Option<ServerId>, _context: &mut Context<'_, Kafka>) {}

    /// `SIGTERM`: controlled shutdown begins.
    pub fn terminate(&mut self, _context: &mut Context<'_, Kafka>) {}

    /// Whether an orderly stop has come to its end.
    pub fn has_stopped(&self) -> bool {
        true
    }
}
