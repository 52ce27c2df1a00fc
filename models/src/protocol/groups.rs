//! What group members and their coordinator say to each other: finding the coordinator, the classic group protocol,
//! the consumer protocol (KIP-848), committed offsets.
//!
//! Every message is named after its schema in Kafka's `clients/src/main/resources/common/message`; each field says
//! what stands for what. Topics and partitions appear by number as everywhere ([`PartitionId`] stands for the topic's
//! name, or id, and the index). Texts that nobody decides by (reasons, the metadata of a commit) are dropped.

use std::sync::Arc;

use ktrial_sim::Duration;
use smallvec::SmallVec;

use crate::ids::{
    ClientId, GenerationId, GroupId, GroupInstanceId, LeaderEpoch, MemberEpoch, MemberId, Offset, PartitionId,
};
use crate::protocol::ErrorCode;

/// Whose coordinator is looked for: `KeyType` and `Key` of `FindCoordinatorRequest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CoordinatorKey {
    /// `GROUP`: a leader of a partition of `__consumer_offsets`.
    Group(GroupId),
}

/// What a group is for: `ProtocolType` of `JoinGroupRequest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProtocolType {
    /// `consumer`.
    Consumer,
    /// `connect`: another application of the same requests, which may not share a group with consumers.
    Connect,
}

/// A protocol of the type `consumer`: a `ConsumerPartitionAssignor` by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Assignor {
    /// `range`.
    Range,
    /// `roundrobin`.
    RoundRobin,
    /// `sticky`.
    Sticky,
    /// `cooperative-sticky` (KIP-429).
    CooperativeSticky,
}

impl Assignor {
    /// Kafka's name of the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::RoundRobin => "roundrobin",
            Assignor::Sticky => "sticky",
            Assignor::CooperativeSticky => "cooperative-sticky",
        }
    }
}

/// `ConsumerProtocolSubscription`: what a member tells the group's leader through the coordinator, which only
/// compares it with what the member said before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// `Topics`: specification numbers, in order of the topics' names.
    pub topics: SmallVec<[u16; 4]>,
    /// `UserData` of the sticky assignors.
    pub user_data: Option<StickyUserData>,
    /// `OwnedPartitions`.
    pub owned: SmallVec<[PartitionId; 4]>,
    /// `GenerationId` in which they were owned; [`GenerationId::NONE`] before the first.
    pub generation: GenerationId,
    /// `RackId`, by number.
    pub rack: Option<u16>,
}

/// What the sticky assignors put behind a subscription (`StickyAssignor`, `CooperativeStickyAssignor`:
/// `subscriptionUserData`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StickyUserData {
    /// What the member was assigned (`sticky` only).
    pub previous: SmallVec<[PartitionId; 4]>,
    /// In which generation.
    pub generation: GenerationId,
}

/// `ConsumerProtocolAssignment`: the partitions of one member, in the order in which the leader listed them.
pub type Assignment = Arc<[PartitionId]>;

/// `JoinGroupRequest` (always of a version that knows MEMBER_ID_REQUIRED and instance ids).
#[derive(Clone, Debug, PartialEq)]
pub struct JoinGroupRequest {
    /// `GroupId`.
    pub group: GroupId,
    /// The request header's `client.id`: what a new member's id begins with.
    pub client: ClientId,
    /// `MemberId`; none: a new member (the empty id).
    pub member: Option<MemberId>,
    /// `GroupInstanceId` of a static member (KIP-345).
    pub instance: Option<GroupInstanceId>,
    /// `SessionTimeoutMs`.
    pub session_timeout: Duration,
    /// `RebalanceTimeoutMs`: the consumer's `max.poll.interval.ms`.
    pub rebalance_timeout: Duration,
    /// `ProtocolType`.
    pub protocol_type: ProtocolType,
    /// `Protocols` with their `Metadata`, the preferred one first.
    pub protocols: SmallVec<[(Assignor, Arc<Subscription>); 2]>,
}

/// `JoinGroupResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinGroupResponse {
    /// `ErrorCode`.
    pub error: ErrorCode,
    /// `GenerationId`; [`GenerationId::NONE`] with an error.
    pub generation: GenerationId,
    /// `ProtocolType`.
    pub protocol_type: Option<ProtocolType>,
    /// `ProtocolName`.
    pub protocol: Option<Assignor>,
    /// `Leader`.
    pub leader: Option<MemberId>,
    /// `SkipAssignment`: a static leader came back and the assignment stands (KIP-814).
    pub skip_assignment: bool,
    /// `MemberId`: with MEMBER_ID_REQUIRED the one to join with.
    pub member: Option<MemberId>,
    /// `Members`: told to the leader only.
    pub members: Vec<JoinedMember>,
}

/// A member as the group's leader is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinedMember {
    /// `MemberId`.
    pub member: MemberId,
    /// `GroupInstanceId`.
    pub instance: Option<GroupInstanceId>,
    /// `Metadata` of the protocol that was selected.
    pub metadata: Arc<Subscription>,
}

/// `SyncGroupRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncGroupRequest {
    /// `GroupId`.
    pub group: GroupId,
    /// `GenerationId`.
    pub generation: GenerationId,
    /// `MemberId`.
    pub member: MemberId,
    /// `GroupInstanceId`.
    pub instance: Option<GroupInstanceId>,
    /// `ProtocolType`.
    pub protocol_type: Option<ProtocolType>,
    /// `ProtocolName`.
    pub protocol: Option<Assignor>,
    /// `Assignments`: the leader's; others send none.
    pub assignments: Vec<(MemberId, Assignment)>,
}

/// `SyncGroupResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncGroupResponse {
    /// `ErrorCode`.
    pub error: ErrorCode,
    /// `ProtocolType`.
    pub protocol_type: Option<ProtocolType>,
    /// `ProtocolName`.
    pub protocol: Option<Assignor>,
    /// `Assignment`; none: no bytes, because of an error or because the leader named no assignment for this member.
    pub assignment: Option<Assignment>,
}

/// `HeartbeatRequest`; its response has but an error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatRequest {
    /// `GroupId`.
    pub group: GroupId,
    /// `GenerationId`.
    pub generation: GenerationId,
    /// `MemberId`.
    pub member: MemberId,
    /// `GroupInstanceId`.
    pub instance: Option<GroupInstanceId>,
}

/// Who leaves: `MemberIdentity`. An administrator names a static member by its instance id alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberIdentity {
    /// `MemberId`.
    pub member: Option<MemberId>,
    /// `GroupInstanceId`.
    pub instance: Option<GroupInstanceId>,
}

/// `LeaveGroupRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaveGroupRequest {
    /// `GroupId`.
    pub group: GroupId,
    /// `Members`.
    pub members: SmallVec<[MemberIdentity; 1]>,
}

/// `LeaveGroupResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaveGroupResponse {
    /// `ErrorCode` of the whole request.
    pub error: ErrorCode,
    /// `Members`: each with its own error.
    pub members: SmallVec<[(MemberIdentity, ErrorCode); 1]>,
}

/// An assignor that runs on the coordinator (`ConsumerGroupPartitionAssignor`), by its name in
/// `group.consumer.assignors` and `group.remote.assignor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerAssignor {
    /// `uniform`.
    Uniform,
    /// `range`.
    Range,
    /// A name that Kafka brings no assignor for.
    Unknown,
}

impl ServerAssignor {
    /// The assignor of a name.
    pub fn of_name(name: &str) -> ServerAssignor {
        match name {
            "uniform" => ServerAssignor::Uniform,
            "range" => ServerAssignor::Range,
            _ => ServerAssignor::Unknown,
        }
    }
}

/// `ConsumerGroupHeartbeatRequest` of version 1 (the member draws its own id). None: what it said last still holds.
/// Subscriptions by regular expression are not modelled.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerGroupHeartbeatRequest {
    /// `GroupId`.
    pub group: GroupId,
    /// The request header's `client.id`.
    pub client: ClientId,
    /// `MemberId`.
    pub member: MemberId,
    /// `MemberEpoch`, or that it joins or leaves.
    pub member_epoch: MemberEpoch,
    /// `InstanceId`.
    pub instance: Option<GroupInstanceId>,
    /// `RackId`, by number.
    pub rack: Option<u16>,
    /// `RebalanceTimeoutMs`: the consumer's `max.poll.interval.ms`.
    pub rebalance_timeout: Option<Duration>,
    /// `SubscribedTopicNames`: specification numbers, as in [`Subscription::topics`].
    pub subscribed_topics: Option<SmallVec<[u16; 4]>>,
    /// `ServerAssignor`.
    pub server_assignor: Option<ServerAssignor>,
    /// `TopicPartitions`: what the member owns.
    pub owned: Option<Assignment>,
}

/// `ConsumerGroupHeartbeatResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerGroupHeartbeatResponse {
    /// `ErrorCode`; with an error nothing else is told.
    pub error: ErrorCode,
    /// `MemberId`.
    pub member: Option<MemberId>,
    /// `MemberEpoch`.
    pub member_epoch: MemberEpoch,
    /// `HeartbeatIntervalMs`.
    pub heartbeat_interval: Duration,
    /// `Assignment`: what the member may use from now on; none: as before.
    pub assignment: Option<Assignment>,
}

impl ConsumerGroupHeartbeatResponse {
    /// The answer to a request that failed.
    pub fn failed(error: ErrorCode) -> Self {
        ConsumerGroupHeartbeatResponse {
            error,
            member: None,
            member_epoch: MemberEpoch(0),
            heartbeat_interval: Duration::ZERO,
            assignment: None,
        }
    }
}

/// A position that a group has committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// `CommittedOffset`: the next record to read.
    pub offset: Offset,
    /// `CommittedLeaderEpoch`: of the last record read (KIP-320).
    pub leader_epoch: Option<LeaderEpoch>,
}

/// `OffsetCommitRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetCommitRequest {
    /// `GroupId`.
    pub group: GroupId,
    /// `GenerationIdOrMemberEpoch`: with the consumer protocol [`MemberEpoch::generation`];
    /// [`GenerationId::NONE`]: from outside the group's membership.
    pub generation: GenerationId,
    /// `MemberId`.
    pub member: Option<MemberId>,
    /// `GroupInstanceId`.
    pub instance: Option<GroupInstanceId>,
    /// `Topics`.
    pub partitions: SmallVec<[OffsetCommitPartition; 2]>,
}

/// One position to commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetCommitPartition {
    /// `Name` (or `TopicId`) and `PartitionIndex`.
    pub partition: PartitionId,
    /// What is committed.
    pub committed: CommittedOffset,
    /// How long `CommittedMetadata` is, in characters. The text itself is not kept.
    pub metadata_length: u32,
}

/// `OffsetCommitResponse`: every partition of the request with its error.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetCommitResponse {
    /// `Topics`.
    pub partitions: SmallVec<[(PartitionId, ErrorCode); 2]>,
}

/// `OffsetFetchRequest` for one group.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetFetchRequest {
    /// `GroupId`.
    pub group: GroupId,
    /// `MemberId`: told with the new protocol only.
    pub member: Option<MemberId>,
    /// `MemberEpoch` ([`MemberEpoch::generation`]); [`GenerationId::NONE`] with the classic protocol.
    pub member_epoch: GenerationId,
    /// `Topics`; none: everything the group has committed.
    pub partitions: Option<SmallVec<[PartitionId; 2]>>,
    /// `RequireStable`: positions of open transactions are answered UNSTABLE_OFFSET_COMMIT (KIP-447).
    pub require_stable: bool,
}

/// `OffsetFetchResponse` for one group.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetFetchResponse {
    /// `ErrorCode` of the group.
    pub error: ErrorCode,
    /// `Topics`.
    pub partitions: Vec<FetchedOffset>,
}

/// What is committed for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchedOffset {
    /// Which.
    pub partition: PartitionId,
    /// None: nothing (offset -1).
    pub committed: Option<CommittedOffset>,
    /// `ErrorCode` of the partition.
    pub error: ErrorCode,
}
