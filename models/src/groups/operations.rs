//! What a shard of groups is asked, waits for and does once its records are committed.

use ktrial_sim::Duration;
use smallvec::SmallVec;

use crate::groups::classic::{Assigning, StaticReplacement};
use crate::groups::consumer::{Changed, ClassicMemberAnswer};
use crate::groups::{Around, ResponseId, Written};
use crate::ids::{GenerationId, GroupId, MemberEpoch, MemberId, PartitionId};
use crate::protocol::{
    CommittedOffset, ConsumerGroupHeartbeatRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};

/// A request to a group.
#[derive(Clone, Debug)]
pub enum GroupRequest {
    /// JoinGroup, with the id to give out if the member has none.
    Join(Box<JoinGroupRequest>, MemberId),
    /// SyncGroup.
    Sync(Box<SyncGroupRequest>),
    /// Heartbeat.
    Heartbeat(Box<HeartbeatRequest>),
    /// LeaveGroup.
    Leave(Box<LeaveGroupRequest>),
    /// ConsumerGroupHeartbeat.
    ConsumerGroupHeartbeat(Box<ConsumerGroupHeartbeatRequest>),
    /// OffsetCommit.
    OffsetCommit(Box<OffsetCommitRequest>),
    /// OffsetFetch.
    OffsetFetch(Box<OffsetFetchRequest>),
}

/// A timer of the shard, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupTimer {
    /// The next heartbeat of a member.
    Heartbeat(GroupId, MemberId),
    /// The end of a join.
    Join(GroupId),
    /// All members' SyncGroups.
    Sync(GroupId),
    /// The look for offsets whose retention is over.
    Expiration,
    /// The next heartbeat of a member of a consumer group.
    Session(GroupId, MemberId),
    /// The giving up of partitions by a member of a consumer group.
    Rebalance(GroupId, MemberId),
    /// The next JoinGroup of a member of a consumer group that uses the classic protocol.
    MemberJoin(GroupId, MemberId),
    /// Its SyncGroup behind it.
    MemberSync(GroupId, MemberId),
}

/// What happens when a timer runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupTimeout {
    /// The member is removed.
    Heartbeat,
    /// The join is completed.
    CompleteJoin,
    /// The initial rebalance may be delayed again.
    InitialRebalance {
        /// How long this delay was.
        delay: Duration,
        /// How much of the rebalance timeout is left.
        remaining: Duration,
    },
    /// Who has not synced in this generation is removed.
    PendingSync(GenerationId),
    /// Offsets are looked at.
    Expiration,
    /// The member of a consumer group is removed.
    Session,
    /// It is removed if it is still in this epoch.
    Rebalance(MemberEpoch),
    /// It has not joined again.
    MemberJoin,
    /// It has not synced.
    MemberSync,
}

/// What is done when records are committed or could not be appended (`appendFuture`).
#[derive(Debug)]
pub enum Append {
    /// Nothing: whoever must know is told by other means.
    Nothing,
    /// The first record of a new group; its member may be waiting.
    NewGroup(ResponseId),
    /// A leader's assignment.
    Assignment(GroupId, Box<Assigning>),
    /// A static member came back.
    StaticReplacement(GroupId, Box<StaticReplacement>),
    /// Offsets: told to those who watch.
    Offsets(GroupId, Box<SmallVec<[(PartitionId, CommittedOffset); 2]>>),
    /// A consumer group changed.
    Consumer(GroupId, Box<Changed>),
    /// A member of a consumer group that uses the classic protocol joined or synced.
    ClassicMember(GroupId, Box<ClassicMemberAnswer>),
}

/// What operations of groups look at and ask for.
pub type GroupAround<'a> = Around<'a, GroupTimer, GroupTimeout>;
/// What operations of groups write.
pub type GroupWritten = Written<Append>;
