//! What committed records mean to those who watch.

use crate::controller::state::ClusterState;
use crate::metadata::MetadataRecord;
use crate::notes::{ChangeReason, ClusterNote};

/// What to tell once `record` is committed. `before` is the committed state without it.
pub(super) fn before_applying(record: &MetadataRecord, before: &ClusterState) -> Option<ClusterNote> {
    match record {
        MetadataRecord::Topic { topic, specification } => {
            Some(ClusterNote::TopicCreated(*topic, *specification))
        }
        MetadataRecord::Partition {
            partition,
            registration,
        } => Some(ClusterNote::Partition {
            partition: *partition,
            registration: registration.clone(),
            reason: ChangeReason::Created,
            election: None,
        }),
        MetadataRecord::PartitionChange { partition, change } => {
            let registration = before.image.partition(*partition);
            let mut after = registration.expect("only what was created changes").clone();
            after.merge(change);
            Some(ClusterNote::Partition {
                partition: *partition,
                registration: Box::new(after),
                reason: change.reason.expect("every change has a reason"),
                election: change.election,
            })
        }
        MetadataRecord::RegisterBroker {
            broker, epoch, clean, ..
        } => {
            let existing = before.image.broker(*broker);
            let amended = existing.is_some_and(|existing| existing.epoch == *epoch);
            (!amended).then_some(ClusterNote::Registered {
                broker: *broker,
                epoch: *epoch,
                clean: *clean,
            })
        }
        MetadataRecord::BrokerRegistrationChange {
            broker,
            fenced,
            in_controlled_shutdown,
            ..
        } => {
            let registration = before.image.broker(*broker)?;
            match (fenced, in_controlled_shutdown) {
                (Some(true), _) if !registration.fenced => Some(ClusterNote::Fenced(*broker)),
                (Some(false), _) if registration.fenced => Some(ClusterNote::Unfenced(*broker)),
                (None, Some(true)) => Some(ClusterNote::ControlledShutdown(*broker)),
                _ => None,
            }
        }
        _ => None,
    }
}
