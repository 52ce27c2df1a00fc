//! The controller: `QuorumController` on one server, active while it leads the metadata quorum.

use std::sync::Arc;

use ktrial_sim::{ConnectionId, Context, TimerSlot};

use crate::ids::ServerId;
use crate::kafka::Kafka;
use crate::protocol::{Correlation, Request};
use crate::raft::{Raft, RaftEvent};
use crate::specification::ClusterSpecification;

/// A controller, active or standing by.
pub struct Controller {
    id: ServerId,
    specification: Arc<ClusterSpecification>,
}

impl Controller {
    /// A controller that has read nothing yet.
    pub fn new(id: ServerId, specification: Arc<ClusterSpecification>) -> Self {
        Controller { id, specification }
    }

    /// The process starts; everything will come from the metadata log.
    pub fn start(&mut self, _context: &mut Context<'_, Kafka>) {
        let _ = (self.id, &self.specification);
    }

    /// A timer of this component ran out.
    pub fn timer(&mut self, _timer: TimerSlot, _raft: &mut Raft, _context: &mut Context<'_, Kafka>) {}

    /// An alarm of this component went off.
    pub fn alarm(&mut self, _token: u32, _raft: &mut Raft, _context: &mut Context<'_, Kafka>) {}

    /// A request arrived on the controller's listener.
    pub fn request(
        &mut self,
        _connection: ConnectionId,
        _correlation: Correlation,
        _request: Request,
        _raft: &mut Raft,
        _context: &mut Context<'_, Kafka>,
    ) {
    }

    /// A connection is gone; answers waiting for it are dropped.
    pub fn closed(&mut self, _connection: ConnectionId) {}

    /// Something happened in the quorum.
    pub fn quorum(&mut self, _event: RaftEvent, _raft: &mut Raft, _context: &mut Context<'_, Kafka>) {}
}
