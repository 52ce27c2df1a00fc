//! Changes of partitions in words.

use ktrial_models::ids::ServerId;
use ktrial_models::log::RetentionReason;
use ktrial_models::metadata::PartitionRegistration;
use ktrial_models::notes::{ChangeReason, Election, TruncationReason};

use super::words::View;

/// Why a partition changed.
pub fn reason(view: View<'_>, reason: ChangeReason) -> String {
    let server = |id| view.server(id);
    match reason {
        ChangeReason::Created => "created".to_owned(),
        ChangeReason::AlterPartition => "its leader asked for it: AlterPartition".to_owned(),
        ChangeReason::BrokerFenced(id) => format!("{} was fenced", server(id)),
        ChangeReason::BrokerUnfenced(id) => format!("{} was unfenced", server(id)),
        ChangeReason::UncleanRegistration(id) => {
            format!("{} registered after a stop that was not clean", server(id))
        }
        ChangeReason::Registration(id) => format!("{} registered", server(id)),
        ChangeReason::ControlledShutdown(id) => format!("{} shuts down", server(id)),
        ChangeReason::DirectoryOffline(id) => format!("a log directory of {} failed", server(id)),
        ChangeReason::DirectoryAssigned(id) => format!("{} told of its new log directory", server(id)),
        ChangeReason::PreferredElection => "leadership goes back to the preferred replica".to_owned(),
        ChangeReason::UncleanElection => "unclean.leader.election.enable=true".to_owned(),
        ChangeReason::Operator => "an operator asked for it".to_owned(),
    }
}

/// How a leader was elected.
pub fn elected(how: Election) -> &'static str {
    match how {
        Election::FromIsr => "from the ISR",
        Election::FromElr => "from the ELR",
        Election::LastKnownLeader => "as the last known leader, whatever its log holds",
        Election::Unclean => "uncleanly, from outside the ISR",
    }
}

/// Why a log was cut.
pub fn cut_because(reason: TruncationReason) -> &'static str {
    match reason {
        TruncationReason::Diverging => "the leader's log differs from there on",
        TruncationReason::HighWatermark => "to its high watermark",
        TruncationReason::OutOfRange => "the leader's log is shorter or starts later",
        TruncationReason::Corrupt => "recovery found a batch it cannot read",
    }
}

/// Why segments of a log were deleted.
pub fn deleted_because(why: RetentionReason) -> &'static str {
    match why {
        RetentionReason::LogStart => "where the log no longer begins",
        RetentionReason::Size => "more than retention.bytes",
        RetentionReason::Time => "older than retention.ms",
    }
}

/// What is different about a partition, piece by piece.
pub fn parts(
    view: View<'_>,
    before: &PartitionRegistration,
    now: &PartitionRegistration,
    election: Option<Election>,
) -> Vec<String> {
    let mut parts = Vec::new();
    match (before.leader, now.leader, election) {
        (_, Some(leader), Some(how)) => parts.push(format!(
            "{} is elected leader {} (epoch {})",
            view.server(leader),
            elected(how),
            now.leader_epoch
        )),
        (Some(_), None, _) => parts.push("has no leader any more".to_owned()),
        (before, Some(leader), None) if before != Some(leader) => {
            parts.push(format!(
                "{} leads (epoch {})",
                view.server(leader),
                now.leader_epoch
            ));
        }
        _ => {}
    }
    let servers = |list: &[ServerId]| view.servers(list);
    if before.isr != now.isr {
        parts.push(format!("ISR {} -> {}", servers(&before.isr), servers(&now.isr)));
    }
    if before.elr != now.elr {
        parts.push(format!("ELR {} -> {}", servers(&before.elr), servers(&now.elr)));
    }
    if before.last_known_elr != now.last_known_elr
        && let Some(last) = now.last_known_elr
    {
        parts.push(format!("last known leader {}", view.server(last)));
    }
    parts
}
