//! What nodes tell those who watch: judges, stories, metrics, triggers. Telling changes nothing.

mod client;
mod cluster;
mod group;
mod replica;

pub use client::{ClientNote, CommittedBy, FailureClass, FailureEnd, RebalanceStep};
pub use cluster::{ChangeReason, ClusterNote, Election};
pub use group::{CoordinatorNote, GroupNote, MemberRemoval};
pub use replica::{HighWatermarkMoved, LeaderNote, LogNote, TruncationReason};

use crate::ids::{GroupId, Offset, PartitionId, QuorumEpoch, ServerId};

/// Something that happened on the node that tells it.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// A server went from one phase of its life to another.
    Phase(Phase),
    /// The metadata quorum.
    Quorum(QuorumNote),
    /// The active controller committed a change.
    Cluster(ClusterNote),
    /// A replica's log.
    Log(PartitionId, LogNote),
    /// A leader of a partition.
    Leader(PartitionId, LeaderNote),
    /// A client.
    Client(ClientNote),
    /// A coordinator of an internal topic's partition.
    Coordinator(PartitionId, CoordinatorNote),
    /// A group, on the broker that coordinates it.
    Group(GroupId, Box<GroupNote>),
}

// Notes are moved more often than anything but messages: what is larger goes into a box.
const _: () = assert!(size_of::<Note>() <= 96);

/// Phases of a server's life (`BrokerState`, and what comes before and after). A dedicated controller catches up until
/// it knows what is committed (`ControllerServer.startup` waits for that), and recovers nothing of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The process has just been started.
    Starting,
    /// The broker reads metadata and registers; a controller reads metadata.
    CatchingUp,
    /// The broker loads and recovers its logs.
    Recovering,
    /// It serves.
    Running,
    /// Its orderly stop has begun: a broker's controlled shutdown, a controller's resignation.
    ShuttingDown,
    /// It stopped in an orderly way.
    Stopped,
    /// It ended itself; why.
    Exited(&'static str),
}

/// Of the metadata quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuorumNote {
    /// This controller leads an epoch of the quorum.
    Leads(QuorumEpoch),
    /// It no longer does.
    Resigned(QuorumEpoch),
    /// It gave its vote (not a pre-vote).
    Voted(QuorumEpoch, ServerId),
    /// The high watermark it knows moved.
    HighWatermark {
        /// The new value.
        to: Offset,
        /// Whether this voter leads.
        leads: bool,
    },
    /// Its log was cut.
    Truncated {
        /// To this end.
        to: Offset,
        /// From this end.
        from: Offset,
    },
    /// It appended a batch: base offset, next offset, epoch.
    Appended(Offset, Offset, QuorumEpoch),
}
