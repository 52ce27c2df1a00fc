//! Contents of a server's small files.

use smallvec::SmallVec;

use crate::ids::{BrokerEpoch, DirectoryId, LeaderEpoch, Offset, PartitionId, QuorumEpoch, ServerId};
use crate::log::ProducerSnapshots;

/// What a small file holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// `meta.properties`.
    MetaProperties(DirectoryId),
    /// `quorum-state`.
    QuorumState(QuorumStateDocument),
    /// `.kafka_cleanshutdown`.
    CleanShutdown(BrokerEpoch),
    /// A checkpoint of one offset for each partition, sorted by partition.
    Offsets(Vec<(PartitionId, Offset)>),
    /// A `leader-epoch-checkpoint`: epochs and their start offsets.
    LeaderEpochs(SmallVec<[(LeaderEpoch, Offset); 4]>),
    /// A partition's producer state snapshots.
    Producers(ProducerSnapshots),
}

/// What a voter must not forget (`QuorumStateData`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuorumStateDocument {
    /// The newest epoch it has been in.
    pub epoch: QuorumEpoch,
    /// Whom it voted for in that epoch.
    pub voted: Option<(ServerId, Option<DirectoryId>)>,
    /// Who leads that epoch, as far as it knows.
    pub leader: Option<ServerId>,
}
