//! Consumer groups: the protocol of KIP-848 (`ConsumerGroup`, `ConsumerGroupMember` and their part of
//! `GroupMetadataManager`).
//!
//! Members say in heartbeats what they subscribe to and what they own; the coordinator keeps three things apart, each
//! with an epoch, and each follows the one before it:
//!
//! | what | epoch | moves when | code |
//! |---|---|---|---|
//! | the group | [`crate::ids::GroupEpoch`] | a member comes, goes or subscribes to other topics; a topic it subscribes to is created or gets other partitions or racks (noticed by the next heartbeat) | `heartbeat`, `leave` |
//! | the target assignment | the group's epoch it was made for | a heartbeat finds it behind, `group.consumer.assignment.interval.ms` after the last one (wall clock) at the earliest | `target` |
//! | each member | [`crate::ids::MemberEpoch`] | the member's own heartbeats, below | `reconcile` |
//!
//! | state of a member ([`MemberState`]) | it has | until |
//! |---|---|---|
//! | STABLE | all of its target of its epoch | the target's epoch moves |
//! | UNREVOKED_PARTITIONS | what it keeps; it is asked to give up the rest and stays in its epoch | a heartbeat says that it does not own the rest any more |
//! | UNRELEASED_PARTITIONS | what is free of its target | the other owners have given up the rest |
//!
//! UNKNOWN, for states that a later release wrote, does not come up: all brokers run one release.
//!
//! | timer (monotonic) | set by | runs out |
//! |---|---|---|
//! | session, `group.consumer.session.timeout.ms` | every heartbeat; for all members when the log is loaded | the member is removed, a static one that has left for a while too |
//! | rebalance, the member's `max.poll.interval.ms` | entering UNREVOKED_PARTITIONS; when the log is loaded | the member is removed if its epoch is still the same |
//!
//! A removal that cannot be written is tried again after 500 ms.
//!
//! | error | when |
//! |---|---|
//! | UNSUPPORTED_VERSION | `group.coordinator.rebalance.protocols` or `group.version` do not allow the protocol |
//! | INVALID_REQUEST, UNSUPPORTED_ASSIGNOR | of what a joining member must say, something is missing; an assignor not in `group.consumer.assignors` |
//! | GROUP_ID_NOT_FOUND | no consumer group, and it does not join; or it is a classic group that is not to be upgraded (`migration`) |
//! | GROUP_MAX_SIZE_REACHED | `group.consumer.max.size` |
//! | UNKNOWN_MEMBER_ID | no member, and it does not join |
//! | FENCED_MEMBER_EPOCH | another epoch than the member's, but for the one before it if the member owns nothing beyond what it was assigned since |
//! | UNRELEASED_INSTANCE_ID, FENCED_INSTANCE_ID | another member of the consumer protocol has the instance id and has not left; has taken it over |
//! | STALE_MEMBER_EPOCH | a commit of a later epoch, or of one before the partition was assigned (KIP-1251); an OffsetFetch of another epoch |
//!
//! Everything is in records and is rolled back with them. Members of the classic protocol are members too
//! (`classic_members`). Not here: subscriptions by regular expression.

mod classic_members;
mod group;
mod heartbeat;
mod leave;
mod member;
mod migration;
mod offsets;
mod reconcile;
mod shard;
mod steps;
mod target;

#[cfg(test)]
mod tests;

pub use classic_members::ClassicMemberAnswer;
pub use group::{ConsumerGroup, ConsumerGroupState};
pub use member::{ConsumerGroupMember, MemberState};

pub use shard::Changed;

pub(super) use group::ConsumerGroupUndo;
pub(super) use offsets::{CommitCheck, validate_fetch};
