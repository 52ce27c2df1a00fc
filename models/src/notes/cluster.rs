//! What the active controller tells: topics, partitions and brokers as the metadata log has them.

use crate::ids::{BrokerEpoch, PartitionId, ServerId, TopicId};
use crate::metadata::PartitionRegistration;
use crate::protocol::ErrorCode;

/// Why a partition changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeReason {
    /// It was created.
    Created,
    /// Its leader proposed another ISR.
    AlterPartition,
    /// A broker was fenced.
    BrokerFenced(ServerId),
    /// A broker was unfenced.
    BrokerUnfenced(ServerId),
    /// A broker registered after a stop that was not clean.
    UncleanRegistration(ServerId),
    /// A broker registered.
    Registration(ServerId),
    /// A broker shuts down.
    ControlledShutdown(ServerId),
    /// A broker's log directory failed.
    DirectoryOffline(ServerId),
    /// A broker said in which log directory its replicas are.
    DirectoryAssigned(ServerId),
    /// The periodic return of leaderships to preferred replicas.
    PreferredElection,
    /// The periodic look for unclean elections.
    UncleanElection,
    /// An operator.
    Operator,
}

/// How a leader was elected (`PartitionChangeBuilder.ElectionResult`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Election {
    /// From the ISR.
    FromIsr,
    /// From the ELR.
    FromElr,
    /// The last known leader, whatever its log holds.
    LastKnownLeader,
    /// Any live replica: unclean.leader.election.enable, or an operator.
    Unclean,
}

/// Committed: told by the active controller when it learns of the commit. Around a failover something can be told
/// twice, by the old and the new one; epochs tell what is older than known.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterNote {
    /// A topic is there: its number and that of its specification.
    TopicCreated(TopicId, u16),
    /// A broker had asked for an internal topic, and is told that it cannot be (`DefaultAutoTopicCreationManager`). Told
    /// by that broker.
    TopicRefused {
        /// Its specification number.
        topic: u16,
        /// Why.
        error: ErrorCode,
    },
    /// A partition was created or changed.
    Partition {
        /// Which.
        partition: PartitionId,
        /// Its state from now on.
        registration: Box<PartitionRegistration>,
        /// Why.
        reason: ChangeReason,
        /// If a leader was elected: how.
        election: Option<Election>,
    },
    /// A broker registered.
    Registered {
        /// Which.
        broker: ServerId,
        /// Its epoch.
        epoch: BrokerEpoch,
        /// Whether its last stop was clean.
        clean: bool,
    },
    /// A broker is fenced.
    Fenced(ServerId),
    /// A broker is not fenced any more.
    Unfenced(ServerId),
    /// A broker is shutting down.
    ControlledShutdown(ServerId),
}
