//! Requests. Kafka's names; only fields the models use.

use ktrial_sim::Duration;
use smallvec::SmallVec;

use crate::ids::{
    BrokerEpoch, DirectoryId, IncarnationId, LeaderEpoch, Offset, PartitionEpoch, PartitionId, QuorumEpoch,
    ServerId, Servers,
};
use crate::metadata::LeaderRecoveryState;
use crate::protocol::{
    ConsumerGroupHeartbeatRequest, CoordinatorKey, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};
use crate::records::Batch;

/// What is asked. Boxed: a request is handed on many times on its way, and is read in place.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Which versions of which requests the server knows; the first on every client's connection.
    ApiVersions,
    /// Where partitions are led.
    Metadata(Box<MetadataRequest>),
    /// Append batches.
    Produce(Box<ProduceRequest>),
    /// Read batches, as a consumer or a follower.
    Fetch(Box<FetchRequest>),
    /// Where a log starts or ends.
    ListOffsets(Box<ListOffsetsRequest>),
    /// Where a leader epoch ends (KIP-320).
    OffsetForLeaderEpoch(Box<OffsetForLeaderEpochRequest>),
    /// A producer id for an idempotent producer.
    InitProducerId,
    /// A block of producer ids for a broker.
    AllocateProducerIds(BrokerIdentity),
    /// Create the topic of this number in the cluster's specification. A broker forwards it to the controller.
    CreateTopic(u16),
    /// Elect leaders on an operator's word (KIP-460).
    ElectLeaders(Box<ElectLeadersRequest>),
    /// Who coordinates a group.
    FindCoordinator(CoordinatorKey),
    /// Become or stay a member of a classic group.
    JoinGroup(Box<JoinGroupRequest>),
    /// Hand out (the leader) and learn what a generation's members are assigned.
    SyncGroup(Box<SyncGroupRequest>),
    /// A member of a classic group is alive.
    Heartbeat(Box<HeartbeatRequest>),
    /// Members leave a classic group.
    LeaveGroup(Box<LeaveGroupRequest>),
    /// Become, stay and cease to be a member of a consumer group, and learn what to read (KIP-848).
    ConsumerGroupHeartbeat(Box<ConsumerGroupHeartbeatRequest>),
    /// Commit positions of a group.
    OffsetCommit(Box<OffsetCommitRequest>),
    /// Which positions a group has committed.
    OffsetFetch(Box<OffsetFetchRequest>),
    /// A broker's process introduces itself to the controller.
    BrokerRegistration(Box<BrokerRegistrationRequest>),
    /// A broker's process is alive.
    BrokerHeartbeat(Box<BrokerHeartbeatRequest>),
    /// A broker says in which log directory its replicas are (KIP-858).
    AssignReplicasToDirs(Box<AssignReplicasToDirsRequest>),
    /// A leader proposes ISRs.
    AlterPartition(Box<AlterPartitionRequest>),
    /// A candidate asks for a vote, or for the promise of one (KIP-996).
    Vote(Box<VoteRequest>),
    /// A new leader of the quorum makes itself known.
    BeginQuorumEpoch(Box<BeginQuorumEpochRequest>),
    /// A leader of the quorum steps down.
    EndQuorumEpoch(Box<EndQuorumEpochRequest>),
    /// Read the metadata log.
    QuorumFetch(Box<QuorumFetchRequest>),
}

/// A broker's process as the controller knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerIdentity {
    /// Its id.
    pub broker: ServerId,
    /// Its epoch.
    pub epoch: BrokerEpoch,
}

/// Which partitions a client wants to know about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataRequest {
    /// Specification numbers of the topics. None: only the brokers are asked for.
    pub topics: SmallVec<[u16; 4]>,
}

impl MetadataRequest {
    /// Asks for the brokers only, as admin clients do.
    pub fn nodes_only() -> Self {
        MetadataRequest {
            topics: SmallVec::new(),
        }
    }
}

/// `acks` of a producer.
pub use crate::config::Acks;

/// Append batches to partitions.
#[derive(Clone, Debug, PartialEq)]
pub struct ProduceRequest {
    /// Which acknowledgement is asked for.
    pub acks: Acks,
    /// How long the broker may wait for replication.
    pub timeout: Duration,
    /// One batch a partition.
    pub batches: SmallVec<[(PartitionId, Batch); 2]>,
}

/// Which records a reader may see.
pub use crate::config::IsolationLevel;

/// Read from partitions. In a session (KIP-227) only what changed is named.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchRequest {
    /// The follower and its broker epoch (KIP-903); none: a consumer.
    pub replica: Option<BrokerIdentity>,
    /// How long to wait for `min_bytes`.
    pub max_wait: Duration,
    /// How much makes an answer worth sending.
    pub min_bytes: u32,
    /// How much the answer may hold.
    pub max_bytes: u32,
    /// Which records may be seen.
    pub isolation: IsolationLevel,
    /// The session; 0: none yet.
    pub session: u32,
    /// The how manieth request of the session; 0 opens one, -1 closes it and asks for a full answer.
    pub session_epoch: i32,
    /// New or changed partitions.
    pub partitions: SmallVec<[FetchPartition; 2]>,
    /// Partitions that leave the session.
    pub forgotten: SmallVec<[PartitionId; 2]>,
    /// The consumer's rack, by number.
    pub rack: Option<u16>,
}

/// What to read of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// The partition.
    pub partition: PartitionId,
    /// The leader epoch the reader believes in.
    pub current_leader_epoch: Option<LeaderEpoch>,
    /// Where to read from.
    pub fetch_offset: Offset,
    /// The epoch of the last record the reader has (KIP-595 truncation on fetch; followers).
    pub last_fetched_epoch: Option<LeaderEpoch>,
    /// Where the follower's log starts.
    pub log_start: Offset,
    /// How much to read.
    pub max_bytes: u32,
}

/// Which end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListOffsetsTarget {
    /// The start of the log.
    Earliest,
    /// The high watermark (or last stable offset); for a follower the log end.
    Latest,
}

/// Where logs start or end.
#[derive(Clone, Debug, PartialEq)]
pub struct ListOffsetsRequest {
    /// The follower that asks; none: a consumer.
    pub replica: Option<ServerId>,
    /// Which records the consumer may see.
    pub isolation: IsolationLevel,
    /// Partition, the leader epoch the asker believes in, what is asked.
    pub partitions: SmallVec<[(PartitionId, Option<LeaderEpoch>, ListOffsetsTarget); 2]>,
}

/// Where leader epochs end.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetForLeaderEpochRequest {
    /// The follower that asks; none: a consumer.
    pub replica: Option<ServerId>,
    /// Partition, current leader epoch, epoch asked for.
    pub partitions: SmallVec<[(PartitionId, Option<LeaderEpoch>, LeaderEpoch); 2]>,
}

/// Kinds of elections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionType {
    /// Of the first replica, if it is in sync.
    Preferred,
    /// Of any live replica, whatever it has.
    Unclean,
}

/// An operator's election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectLeadersRequest {
    /// Which kind.
    pub kind: ElectionType,
    /// For which partitions; none: for all there are.
    pub partitions: Option<SmallVec<[PartitionId; 4]>>,
}

/// A broker's process introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistrationRequest {
    /// Its id.
    pub broker: ServerId,
    /// Which process of it.
    pub incarnation: IncarnationId,
    /// Its rack, by number.
    pub rack: Option<u16>,
    /// Its log directory.
    pub directory: DirectoryId,
    /// The epoch in the clean-shutdown file (KIP-966); none if there is no such file.
    pub previous_epoch: Option<BrokerEpoch>,
}

/// A broker's process is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerHeartbeatRequest {
    /// Who.
    pub identity: BrokerIdentity,
    /// Offset of the last metadata record it has applied (0 if none); not the end behind it.
    pub metadata_offset: Offset,
    /// It wants to stay or become fenced.
    pub want_fence: bool,
    /// It wants to shut down.
    pub want_shut_down: bool,
    /// Its log directory failed.
    pub directory_offline: bool,
}

/// ISRs a leader proposes.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterPartitionRequest {
    /// Who.
    pub identity: BrokerIdentity,
    /// For which partitions.
    pub partitions: SmallVec<[AlterPartitionProposal; 1]>,
}

/// One proposed ISR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterPartitionProposal {
    /// The partition.
    pub partition: PartitionId,
    /// The proposer's leader epoch.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch it builds on.
    pub partition_epoch: PartitionEpoch,
    /// The ISR with the broker epoch of each member as the leader knows it (KIP-903).
    pub isr: SmallVec<[(ServerId, Option<BrokerEpoch>); 5]>,
    /// The recovery state to be in.
    pub recovery: LeaderRecoveryState,
}

/// In which log directory replicas of a broker are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignReplicasToDirsRequest {
    /// Whose.
    pub identity: BrokerIdentity,
    /// In this one.
    pub directory: DirectoryId,
    /// These replicas.
    pub partitions: Vec<PartitionId>,
}

/// A voter of the quorum: id and directory (KIP-853); with kraft.version 0 the directory is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Voter {
    /// Its id.
    pub server: ServerId,
    /// Its metadata log directory.
    pub directory: Option<DirectoryId>,
}

/// A candidate asks for a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteRequest {
    /// Who asks.
    pub candidate: Voter,
    /// Whom it asks.
    pub voter: Voter,
    /// The epoch it wants to lead (for a pre-vote: its present one).
    pub epoch: QuorumEpoch,
    /// The epoch of the last entry of its log.
    pub last_epoch: QuorumEpoch,
    /// The end of its log.
    pub last_offset: Offset,
    /// Only asks whether it would get the vote (KIP-996).
    pub pre_vote: bool,
}

/// A new leader of the quorum makes itself known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeginQuorumEpochRequest {
    /// The leader.
    pub leader: ServerId,
    /// Its epoch.
    pub epoch: QuorumEpoch,
    /// Whom it tells.
    pub voter: Voter,
}

/// A leader of the quorum steps down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndQuorumEpochRequest {
    /// The leader.
    pub leader: ServerId,
    /// Its epoch.
    pub epoch: QuorumEpoch,
    /// The other voters, those with the longest logs first.
    pub preferred_successors: Servers,
}

/// Read the metadata log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumFetchRequest {
    /// Who reads; its directory tells a voter from one that lost its disk (kraft.version 1).
    pub replica: Voter,
    /// The epoch the reader is in.
    pub epoch: QuorumEpoch,
    /// Where to read from.
    pub fetch_offset: Offset,
    /// The epoch of the last entry the reader has.
    pub last_fetched_epoch: QuorumEpoch,
    /// How long the leader may wait for something new.
    pub max_wait: Duration,
    /// How much it may answer, but for the first batch.
    pub max_bytes: u32,
    /// The high watermark the reader knows (KIP-1166): an answer may be sent just because it moved.
    pub high_watermark: Option<Offset>,
}
