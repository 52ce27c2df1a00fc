//! Which commits and OffsetFetches a group accepts (`validateOffsetCommit`, `validateOffsetFetch`).

use super::group::ConsumerGroup;
use super::member::ConsumerGroupMember;
use crate::ids::{GenerationId, MemberEpoch, MemberId, PartitionId};
use crate::protocol::ErrorCode;

/// What is still to be asked of each partition of a commit (`CommitPartitionValidator`).
#[derive(Clone, Copy, Debug)]
pub(in crate::groups) enum CommitCheck<'a> {
    /// Nothing.
    Passed,
    /// An older epoch: it counts for partitions that the member has had since then (KIP-1251).
    AssignedBy(&'a ConsumerGroupMember, MemberEpoch),
}

impl CommitCheck<'_> {
    /// Checks a partition.
    ///
    /// # Errors
    /// STALE_MEMBER_EPOCH, for the whole request.
    pub(in crate::groups) fn check(&self, partition: PartitionId) -> Result<(), ErrorCode> {
        match self {
            CommitCheck::Passed => Ok(()),
            CommitCheck::AssignedBy(member, epoch) => match member.assigned_in(partition) {
                Some(assigned) if assigned <= *epoch => Ok(()),
                _ => Err(ErrorCode::StaleMemberEpoch),
            },
        }
    }
}

impl ConsumerGroup {
    /// Checks a commit.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH.
    pub(in crate::groups) fn validate_commit(
        &self,
        member: Option<MemberId>,
        generation: GenerationId,
    ) -> Result<CommitCheck<'_>, ErrorCode> {
        let epoch = generation.member_epoch();
        if epoch < MemberEpoch(0) && self.size() == 0 {
            return Ok(CommitCheck::Passed);
        }
        let member = member
            .and_then(|member| self.member(member))
            .ok_or(ErrorCode::UnknownMemberId)?;
        if epoch == member.epoch() {
            Ok(CommitCheck::Passed)
        } else if epoch > member.epoch() {
            Err(ErrorCode::StaleMemberEpoch)
        } else {
            Ok(CommitCheck::AssignedBy(member, epoch))
        }
    }
}

/// Checks an OffsetFetch against the epoch of its member; none: there is no such member.
///
/// # Errors
/// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH.
pub(in crate::groups) fn validate_fetch(
    generation: GenerationId,
    known: Option<MemberEpoch>,
) -> Result<(), ErrorCode> {
    match known {
        None => Err(ErrorCode::UnknownMemberId),
        Some(known) if known != generation.member_epoch() => Err(ErrorCode::StaleMemberEpoch),
        Some(_) => Ok(()),
    }
}
