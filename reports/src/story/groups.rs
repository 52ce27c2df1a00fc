//! What groups of consumers went through, on the brokers that coordinated them.

use ktrial_models::groups::classic::GroupState;
use ktrial_models::ids::GroupId;
use ktrial_models::ids::PartitionId;
use ktrial_models::notes::{ClientNote, CoordinatorNote, FailureEnd, GroupNote, MemberRemoval};

use super::words::{View, plural};

/// A sentence about a group; none if there is nothing to tell.
pub(super) fn sentence(view: View<'_>, group: GroupId, note: &GroupNote) -> Option<String> {
    let names = &view.arm.resolved.cluster.groups.names;
    let name = &names[usize::from(group.0)];
    match note {
        GroupNote::State {
            state,
            generation,
            members,
            ..
        } => {
            let members = plural(members.len(), "member");
            Some(match state {
                GroupState::PreparingRebalance => format!("group {name} rebalances, with {members} so far"),
                GroupState::CompletingRebalance => {
                    format!("group {name} enters generation {generation} with {members}")
                }
                GroupState::Stable => format!("group {name} is stable in generation {generation}"),
                GroupState::Empty => format!("group {name} is empty"),
                GroupState::Dead => return None,
            })
        }
        GroupNote::Removed { why, .. } => {
            let why = match why {
                MemberRemoval::SessionTimeout => "was silent for its session.timeout.ms",
                MemberRemoval::RebalanceTimeout => "did not join again in time",
                MemberRemoval::SyncTimeout => "did not ask for its assignment in time",
                MemberRemoval::Left => "left",
                MemberRemoval::InstanceReplaced => "was replaced by another process of its group.instance.id",
                MemberRemoval::GroupIsFull => "found the group full",
            };
            Some(format!("a member of group {name} {why}"))
        }
        GroupNote::Epoch { epoch, members } => {
            let members = plural(members.len(), "member");
            Some(format!("group {name} enters epoch {epoch} with {members}"))
        }
        GroupNote::OffsetsExpired(partitions) => {
            let committed = plural(partitions.len(), "committed offset");
            Some(format!(
                "group {name} loses {committed}: offsets.retention.minutes is over"
            ))
        }
        GroupNote::Reconciled { .. }
        | GroupNote::Assigned { .. }
        | GroupNote::CommitApplied { .. }
        | GroupNote::CommitDurable { .. } => None,
    }
}

/// What a member of a group met; none if there is nothing to tell.
pub(super) fn client(view: View<'_>, note: &ClientNote) -> Option<String> {
    let list = |partitions: &[PartitionId]| match partitions {
        [] => "nothing".to_owned(),
        partitions => {
            let names: Vec<String> = partitions.iter().map(|one| view.partition(*one)).collect();
            names.join(", ")
        }
    };
    match note {
        ClientNote::Assigned { generation, all, .. } => {
            Some(format!("owns {} in generation {generation}", list(all)))
        }
        ClientNote::Revoked(partitions) if !partitions.is_empty() => {
            Some(format!("gives up {}", list(partitions)))
        }
        ClientNote::Lost(partitions) => Some(format!(
            "learns that it does not own {} any more",
            list(partitions)
        )),
        ClientNote::PollTimeout => {
            Some("leaves its group: the application has not polled for max.poll.interval.ms".to_owned())
        }
        ClientNote::CommitFailed { error, .. } => Some(format!("cannot commit: {error}")),
        ClientNote::Died(error) => Some(format!("ends: poll threw {error}")),
        ClientNote::Exited(error) => Some(format!("exits without closing its client: {error}")),
        ClientNote::ProcessingFailed {
            partition,
            offset,
            end,
            ..
        } => {
            let end = match end {
                FailureEnd::TriedAgain => return None,
                FailureEnd::LeftOut => "and is left out",
                FailureEnd::SentOn => "and sends it on",
                FailureEnd::SoughtBack => "and it goes back to it",
                FailureEnd::Died => "and that is the end of it",
                FailureEnd::Closed => "and closes its client",
            };
            let partition = view.partition(*partition);
            Some(format!("cannot process offset {offset} of {partition}, {end}"))
        }
        ClientNote::ApplyRefused { partition, offset } => Some(format!(
            "is refused by its sink from offset {offset} of {} on: it is not the owner any more",
            view.partition(*partition)
        )),
        _ => None,
    }
}

/// What became of a coordinator; none if it is business as usual.
pub(super) fn coordinator(note: CoordinatorNote) -> Option<String> {
    match note {
        CoordinatorNote::Failed => Some("could not read it: its groups have no coordinator".to_owned()),
        CoordinatorNote::RolledBack { to, error } => Some(format!(
            "could not append to it ({error}): groups go back to offset {to}"
        )),
        CoordinatorNote::Loading(_) | CoordinatorNote::Active { .. } | CoordinatorNote::Unloaded => None,
    }
}
