//! Responses. Kafka's names; only fields the models use.

use smallvec::SmallVec;

use crate::ids::{
    BrokerEpoch, LeaderEpoch, Offset, PartitionEpoch, PartitionId, ProducerId, QuorumEpoch, ServerId, Servers,
};
use crate::metadata::LeaderRecoveryState;
use crate::protocol::{
    ConsumerGroupHeartbeatResponse, ErrorCode, JoinGroupResponse, LeaveGroupResponse, OffsetCommitResponse,
    OffsetFetchResponse, SyncGroupResponse,
};
use crate::records::{Batch, MetadataBatch};

/// What is answered. What is large is boxed, like requests.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// To ApiVersions.
    ApiVersions,
    /// To Metadata.
    Metadata(Box<MetadataResponse>),
    /// To Produce.
    Produce(Box<ProduceResponse>),
    /// To Fetch.
    Fetch(Box<FetchResponse>),
    /// To ListOffsets: partition, error, offset, the leader epoch of that offset.
    ListOffsets(Vec<ListedOffset>),
    /// To OffsetForLeaderEpoch: partition, error, the largest epoch not above the one asked for and its end.
    OffsetForLeaderEpoch(Vec<EpochEnd>),
    /// To InitProducerId: the id and its epoch.
    InitProducerId(Result<(ProducerId, u16), ErrorCode>),
    /// To AllocateProducerIds: first id and how many.
    AllocateProducerIds(Result<(u64, u32), ErrorCode>),
    /// To CreateTopic.
    CreateTopic(ErrorCode),
    /// To ElectLeaders: the whole request's error, then each partition's.
    ElectLeaders(ErrorCode, Vec<(PartitionId, ErrorCode)>),
    /// To FindCoordinator: the broker that coordinates.
    FindCoordinator(Result<ServerId, ErrorCode>),
    /// To JoinGroup.
    JoinGroup(Box<JoinGroupResponse>),
    /// To SyncGroup.
    SyncGroup(Box<SyncGroupResponse>),
    /// To Heartbeat.
    Heartbeat(ErrorCode),
    /// To LeaveGroup.
    LeaveGroup(Box<LeaveGroupResponse>),
    /// To ConsumerGroupHeartbeat.
    ConsumerGroupHeartbeat(Box<ConsumerGroupHeartbeatResponse>),
    /// To OffsetCommit.
    OffsetCommit(Box<OffsetCommitResponse>),
    /// To OffsetFetch.
    OffsetFetch(Box<OffsetFetchResponse>),
    /// To BrokerRegistration: the broker's epoch.
    BrokerRegistration(Result<BrokerEpoch, ErrorCode>),
    /// To BrokerHeartbeat.
    BrokerHeartbeat(Result<HeartbeatState, ErrorCode>),
    /// To AlterPartition: a request-level error, or each partition's state.
    AlterPartition(Result<Vec<AlterPartitionResult>, ErrorCode>),
    /// To AssignReplicasToDirs: a request-level error, or each replica's.
    AssignReplicasToDirs(Result<Vec<(PartitionId, ErrorCode)>, ErrorCode>),
    /// To Vote.
    Vote(VoteResponse),
    /// To BeginQuorumEpoch.
    BeginQuorumEpoch(QuorumState),
    /// To EndQuorumEpoch.
    EndQuorumEpoch(QuorumState),
    /// To QuorumFetch.
    QuorumFetch(Box<QuorumFetchResponse>),
}

/// What a broker tells of the cluster, from its metadata cache.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataResponse {
    /// Brokers that are alive in its view, with their racks.
    pub brokers: SmallVec<[(ServerId, Option<u16>); 8]>,
    /// The topics asked for.
    pub topics: Vec<TopicMetadata>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicMetadata {
    /// Its number in the cluster's specification.
    pub specification: u16,
    /// UNKNOWN_TOPIC_OR_PARTITION if it does not exist (yet) in this broker's view.
    pub error: ErrorCode,
    /// Its partitions in order of their index.
    pub partitions: Vec<PartitionMetadata>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Its number in the cluster.
    pub partition: PartitionId,
    /// LEADER_NOT_AVAILABLE if it has no leader or the leader is not alive.
    pub error: ErrorCode,
    /// Its leader.
    pub leader: Option<ServerId>,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// Its replicas.
    pub replicas: Servers,
    /// Its ISR.
    pub isr: Servers,
}

/// The newest leader a broker knows, told along with an error (KIP-951).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentLeader {
    /// The leader.
    pub leader: ServerId,
    /// Its epoch.
    pub epoch: LeaderEpoch,
}

/// What became of batches.
#[derive(Clone, Debug, PartialEq)]
pub struct ProduceResponse {
    /// One for each batch of the request.
    pub partitions: SmallVec<[ProducedPartition; 2]>,
}

/// What became of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducedPartition {
    /// The partition.
    pub partition: PartitionId,
    /// Why it failed.
    pub error: ErrorCode,
    /// The offset of its first record; none where the broker cannot tell (DUPLICATE_SEQUENCE_NUMBER).
    pub base_offset: Option<Offset>,
    /// Where the log starts.
    pub log_start: Offset,
    /// With NOT_LEADER_OR_FOLLOWER: who leads.
    pub current_leader: Option<CurrentLeader>,
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchResponse {
    /// An error of the whole request, of its session in most cases.
    pub error: ErrorCode,
    /// The session; 0: none.
    pub session: u32,
    /// Partitions with data, errors or news.
    pub partitions: SmallVec<[FetchedPartition; 1]>,
}

/// What was read of one partition.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchedPartition {
    /// The partition.
    pub partition: PartitionId,
    /// Why nothing was read.
    pub error: ErrorCode,
    /// The server's high watermark.
    pub high_watermark: Offset,
    /// The server's last stable offset.
    pub last_stable_offset: Offset,
    /// Where the server's log starts.
    pub log_start: Offset,
    /// The reader's log diverges: the largest epoch not above the reader's last and its end.
    pub diverging: Option<(LeaderEpoch, Offset)>,
    /// With NOT_LEADER_OR_FOLLOWER or FENCED_LEADER_EPOCH: who leads.
    pub current_leader: Option<CurrentLeader>,
    /// The replica this consumer should read from instead (KIP-392).
    pub preferred_read_replica: Option<ServerId>,
    /// What was read. The last batch may reach beyond what the reader may see; readers stop at the high watermark
    /// the server applied, never here.
    pub batches: SmallVec<[Batch; 1]>,
}

/// How the controller sees a broker that sent a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatState {
    /// It has applied its own registration.
    pub caught_up: bool,
    /// It is fenced.
    pub fenced: bool,
    /// It may shut down now.
    pub should_shut_down: bool,
}

/// A partition after an AlterPartition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterPartitionResult {
    /// The partition.
    pub partition: PartitionId,
    /// Why the proposal was refused.
    pub error: ErrorCode,
    /// The leader.
    pub leader: Option<ServerId>,
    /// The leader epoch.
    pub leader_epoch: LeaderEpoch,
    /// The ISR.
    pub isr: Servers,
    /// The recovery state.
    pub recovery: LeaderRecoveryState,
    /// The partition epoch.
    pub partition_epoch: PartitionEpoch,
}

/// Who leads the quorum, in the view of the one who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumState {
    /// NONE, or why the request was refused.
    pub error: ErrorCode,
    /// The leader, if known.
    pub leader: Option<ServerId>,
    /// The epoch.
    pub epoch: QuorumEpoch,
}

/// The answer of a voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteResponse {
    /// Who leads, in its view.
    pub state: QuorumState,
    /// Whether the vote was given.
    pub granted: bool,
}

/// Where a partition's log starts or ends, and the epoch of the record there.
pub type ListedOffset = (PartitionId, ErrorCode, Offset, Option<LeaderEpoch>);

/// The largest epoch of a partition's log not above the one asked for, and its end.
pub type EpochEnd = (PartitionId, ErrorCode, Option<(LeaderEpoch, Offset)>);

/// What was read of the metadata log.
#[derive(Clone, Debug, PartialEq)]
pub struct QuorumFetchResponse {
    /// Who leads, in the view of the one who answers.
    pub state: QuorumState,
    /// The quorum's high watermark, as far as the leader knows it.
    pub high_watermark: Option<Offset>,
    /// The reader's log diverges: the largest epoch not above the reader's last and its end.
    pub diverging: Option<(QuorumEpoch, Offset)>,
    /// What was read.
    pub batches: SmallVec<[MetadataBatch; 4]>,
}
