//! What the coordinators of groups tell.

use smallvec::SmallVec;

use crate::groups::consumer::MemberState;
use crate::ids::{GenerationId, GroupEpoch, LeaderEpoch, MemberEpoch, MemberId, Offset, PartitionId};
use crate::protocol::{Assignment, CommittedOffset, ErrorCode};

/// A coordinator of an internal topic's partition (`CoordinatorRuntime`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinatorNote {
    /// It reads the partition.
    Loading(LeaderEpoch),
    /// It has read the partition and serves.
    Active {
        /// The end of what it read.
        written: Offset,
        /// What of it is committed.
        committed: Offset,
    },
    /// It could not read the partition, or found itself apart from it.
    Failed,
    /// Another broker coordinates.
    Unloaded,
    /// Its records could not be appended: its state went back to this end of the log.
    RolledBack {
        /// To here.
        to: Offset,
        /// Why.
        error: ErrorCode,
    },
}

/// Why a member is none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberRemoval {
    /// It was silent for its session timeout.
    SessionTimeout,
    /// It did not join again in time; of a consumer group: it did not give up in time what it was asked to.
    RebalanceTimeout,
    /// It did not ask for its assignment in time.
    SyncTimeout,
    /// It left, or was removed by an administrator.
    Left,
    /// Another process with its instance id took its place.
    InstanceReplaced,
    /// `group.max.size`.
    GroupIsFull,
}

/// A group, on the broker that coordinates it. Of a classic group, and of commits, all but what is called durable is
/// told before it is committed; of a consumer group all is told once it is committed.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupNote {
    /// It entered a state.
    State {
        /// Which.
        state: crate::groups::classic::GroupState,
        /// Its generation.
        generation: GenerationId,
        /// Its leader.
        leader: Option<MemberId>,
        /// Its members.
        members: Vec<MemberId>,
    },
    /// A member is none any more. A member of a consumer group may come back by the same id.
    Removed {
        /// Which.
        member: MemberId,
        /// Why.
        why: MemberRemoval,
    },
    /// The assignment of a generation is committed and told to the members. Of a consumer group: what its members
    /// have changed, or its coordinator has loaded it; the generation is the group's epoch, and what a member is asked
    /// to give up is still its own.
    Assigned {
        /// The generation.
        generation: GenerationId,
        /// What each member is assigned.
        assignment: Vec<(MemberId, Option<Assignment>)>,
    },
    /// The epoch of a consumer group moved, or its coordinator has loaded it.
    Epoch {
        /// To this one.
        epoch: GroupEpoch,
        /// Its members.
        members: Vec<MemberId>,
    },
    /// What a member of a consumer group has, and its epoch, changed.
    Reconciled {
        /// Which.
        member: MemberId,
        /// Its epoch; [`MemberEpoch::LEAVE_STATIC`]: it left and will come back.
        epoch: MemberEpoch,
        /// How far it has come.
        state: MemberState,
        /// What it may use.
        assigned: Assignment,
        /// What it is asked to give up.
        revoking: Assignment,
    },
    /// Offsets are accepted and about to be appended.
    CommitApplied {
        /// By whom.
        member: Option<MemberId>,
        /// In which generation.
        generation: GenerationId,
        /// The group has no members: who names no generation may commit.
        from_outside: bool,
        /// What.
        offsets: SmallVec<[(PartitionId, CommittedOffset); 2]>,
    },
    /// The retention of offsets is over: they are about to be taken away.
    OffsetsExpired(SmallVec<[PartitionId; 2]>),
    /// Offsets are committed in the log and the answer leaves. Of a commit that was answered before with an error,
    /// because time ran out, nothing is told here, whether it is committed later or not.
    CommitDurable {
        /// What.
        offsets: SmallVec<[(PartitionId, CommittedOffset); 2]>,
    },
}
