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

/// What a member is told that comes with another epoch.
fn other_epoch(is_classic: bool) -> ErrorCode {
    match is_classic {
        true => ErrorCode::IllegalGeneration,
        false => ErrorCode::StaleMemberEpoch,
    }
}

impl CommitCheck<'_> {
    /// Checks a partition.
    ///
    /// # Errors
    /// STALE_MEMBER_EPOCH (told to the classic protocol: ILLEGAL_GENERATION), for the whole request.
    pub(in crate::groups) fn check(&self, partition: PartitionId) -> Result<(), ErrorCode> {
        match self {
            CommitCheck::Passed => Ok(()),
            CommitCheck::AssignedBy(member, epoch) => match member.assigned_in(partition) {
                Some(assigned) if assigned <= *epoch => Ok(()),
                _ => Err(other_epoch(member.is_classic())),
            },
        }
    }
}

impl ConsumerGroup {
    /// Checks a commit.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH, ILLEGAL_GENERATION.
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
            Err(other_epoch(member.is_classic()))
        } else {
            Ok(CommitCheck::AssignedBy(member, epoch))
        }
    }
}

/// Checks an OffsetFetch against its member and whether that uses the classic protocol; none: there is no such member.
///
/// # Errors
/// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH, ILLEGAL_GENERATION.
pub(in crate::groups) fn validate_fetch(
    generation: GenerationId,
    known: Option<(MemberEpoch, bool)>,
) -> Result<(), ErrorCode> {
    match known {
        None => Err(ErrorCode::UnknownMemberId),
        Some((epoch, is_classic)) if epoch != generation.member_epoch() => Err(other_epoch(is_classic)),
        Some(_) => Ok(()),
    }
}
