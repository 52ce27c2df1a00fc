//! The metadata quorum: `KafkaRaftClient` on one server.

use std::sync::Arc;

use ktrial_sim::{Closure, ConnectionId, Context, TimerSlot};

use crate::ids::{Offset, QuorumEpoch, ServerId};
use crate::kafka::Kafka;
use crate::metadata::MetadataRecord;
use crate::protocol::{Correlation, Request, Response};
use crate::specification::ClusterSpecification;

/// What the quorum tells the rest of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaftEvent {
    /// This voter leads the epoch and its log is committed up to its start: the controller can become active.
    Leads(QuorumEpoch),
    /// It leads no longer; the epoch it led.
    Resigned(QuorumEpoch),
    /// The committed end of the metadata log, as known here, moved.
    HighWatermark(Offset),
    /// Another server leads now, or nobody known.
    LeaderChanged(Option<ServerId>),
}

/// One server's part in the quorum.
pub struct Raft {
    id: ServerId,
    specification: Arc<ClusterSpecification>,
}

impl Raft {
    /// A voter if the server is a controller, an observer otherwise.
    pub fn new(id: ServerId, specification: Arc<ClusterSpecification>) -> Self {
        Raft { id, specification }
    }

    /// The process starts; everything comes from the disk.
    pub fn start(&mut self, _context: &mut Context<'_, Kafka>) {
        let _ = (self.id, &self.specification);
    }

    /// A timer of this component ran out.
    pub fn timer(&mut self, _timer: TimerSlot, _context: &mut Context<'_, Kafka>) {}

    /// An alarm of this component went off.
    pub fn alarm(&mut self, _token: u32, _context: &mut Context<'_, Kafka>) {}

    /// Whether a connection that this server opened is the quorum's.
    pub fn owns(&self, _connection: ConnectionId) -> bool {
        false
    }

    /// A connection is up. False if it is not the quorum's.
    pub fn connected(&mut self, _connection: ConnectionId, _context: &mut Context<'_, Kafka>) -> bool {
        false
    }

    /// A connection, opened or accepted, is gone. True if it was one the quorum opened.
    pub fn closed(&mut self, _: ConnectionId, _: Closure, _: &mut Context<'_, Kafka>) -> bool {
        false
    }

    /// A request of the quorum's protocol arrived.
    pub fn request(&mut self, _: ConnectionId, _: Correlation, _: Request, _: &mut Context<'_, Kafka>) {}

    /// An answer arrived on a connection the quorum opened.
    pub fn response(&mut self, _: ConnectionId, _: Correlation, _: Response, _: &mut Context<'_, Kafka>) {}

    /// Appends one batch as the leader of `epoch` and returns the offset of its last record; `None` if this voter
    /// does not lead that epoch. Committed once [`RaftEvent::HighWatermark`] passes it.
    pub fn append(
        &mut self,
        _epoch: QuorumEpoch,
        _records: &[MetadataRecord],
        _context: &mut Context<'_, Kafka>,
    ) -> Option<Offset> {
        None
    }

    /// The offset the next appended record will get.
    pub fn end_offset(&self) -> Offset {
        Offset(0)
    }

    /// The committed end of the log as known here.
    pub fn high_watermark(&self) -> Option<Offset> {
        None
    }

    /// Who leads, as known here.
    pub fn leader(&self) -> Option<ServerId> {
        None
    }

    /// The newest epoch known here.
    pub fn epoch(&self) -> QuorumEpoch {
        QuorumEpoch(0)
    }

    /// The next thing to tell the rest of the server.
    pub fn take_event(&mut self) -> Option<RaftEvent> {
        None
    }

    /// The process shuts down in an orderly way; a leader steps down.
    pub fn shut_down(&mut self, _context: &mut Context<'_, Kafka>) {}
}
