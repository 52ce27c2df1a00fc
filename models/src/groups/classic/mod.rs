//! A group of the classic protocol (`ClassicGroup`, and what `GroupMetadataManager` does with one).
//!
//! | state | becomes | when |
//! |---|---|---|
//! | Empty | PreparingRebalance | a member joins; waits `group.initial.rebalance.delay.ms`, again and again while members come, up to the rebalance timeout in all |
//! | PreparingRebalance | CompletingRebalance, generation + 1 | all members have joined again, or the rebalance timeout (the longest of the members') ran out: dynamic members that have not joined are removed |
//! | PreparingRebalance | Empty, generation + 1 | the same, and nobody is left; a record is written |
//! | CompletingRebalance | Stable | the leader's assignment is committed |
//! | CompletingRebalance, Stable | PreparingRebalance | a member joins, leaves, or expires; the leader joins again; metadata of a member changed; not all have synced within the rebalance timeout |
//! | any | Dead | the coordinator is unloaded |
//!
//! | timer | set | what it does |
//! |---|---|---|
//! | heartbeat of a member | id given out, heartbeat, commit, join completed, assignment told: session timeout. Joining as a new member: five minutes | removes the member, unless it waits for an answer |
//! | join | rebalance begins | completes the join |
//! | sync | join completed: rebalance timeout | removes who has not synced and rebalances |
//!
//! All run on the monotonic clock (`SystemTimer`).
//!
//! | request | refused with |
//! |---|---|
//! | JoinGroup | MEMBER_ID_REQUIRED (a new dynamic member: its id comes along), UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, INCONSISTENT_GROUP_PROTOCOL, GROUP_MAX_SIZE_REACHED, COORDINATOR_NOT_AVAILABLE (Dead) |
//! | SyncGroup | UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL, REBALANCE_IN_PROGRESS |
//! | Heartbeat | UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS (and the session goes on) |
//! | LeaveGroup | each member: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID |
//! | OffsetCommit | UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS (while CompletingRebalance) |
//!
//! Where Kafka walks through a hash map of members (who leads next, the leader's list of members) this walks in order
//! of member ids, which are random anyway.

mod group;
mod join;
mod leave;
mod member;
mod migration;
mod rebalance;
mod sync;
#[cfg(test)]
mod tests;

pub use group::{ClassicGroup, GroupState};
pub use join::StaticReplacement;
pub use member::ClassicGroupMember;
pub(in crate::groups) use rebalance::join_error;
pub use sync::Assigning;
pub(in crate::groups) use sync::sync_error;
