//! What a controller knows of the cluster: the metadata image and where in the log it ends.

use crate::ids::{BrokerEpoch, Offset, PartitionId, ServerId};
use crate::metadata::{MetadataImage, MetadataRecord, PartitionRegistration};
use crate::protocol::ErrorCode;

/// The image after a prefix of the log, with the offsets of the brokers' registration records.
#[derive(Clone, Debug, Default)]
pub(super) struct ClusterState {
    pub(super) image: MetadataImage,
    /// The offset of the next record.
    pub(super) end: Offset,
    /// Where each broker's registration record is (`ClusterControlManager.registerBrokerRecordOffsets`): not the
    /// broker epoch, which is the start of that record's batch.
    registered_at: Vec<(ServerId, Offset)>,
}

impl ClusterState {
    pub(super) fn clear(&mut self) {
        self.image.clear();
        self.end = Offset(0);
        self.registered_at.clear();
    }

    /// Takes the next record in.
    pub(super) fn apply(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::RegisterBroker { broker, .. } => {
                self.registered_at.retain(|entry| entry.0 != *broker);
                self.registered_at.push((*broker, self.end));
            }
            MetadataRecord::UnregisterBroker { broker, .. } => {
                self.registered_at.retain(|entry| entry.0 != *broker);
            }
            _ => {}
        }
        self.image.apply(record);
        self.end = self.end.plus(1);
    }

    /// The offset of a broker's registration record.
    pub(super) fn registered_at(&self, broker: ServerId) -> Option<Offset> {
        let mut entries = self.registered_at.iter();
        Some(entries.find(|entry| entry.0 == broker)?.1)
    }

    /// Refuses who is not the registered process of a broker (`ClusterControlManager.checkBrokerEpoch`).
    pub(super) fn check_broker_epoch(&self, broker: ServerId, epoch: BrokerEpoch) -> Result<(), ErrorCode> {
        match self.image.broker(broker) {
            Some(registration) if registration.epoch == epoch => Ok(()),
            _ => Err(ErrorCode::StaleBrokerEpoch),
        }
    }

    /// Whether a broker leads anything (`BrokersToIsrs.hasLeaderships`).
    pub(super) fn has_leaderships(&self, broker: ServerId) -> bool {
        self.image
            .partitions()
            .any(|(_, partition)| partition.leader == Some(broker))
    }

    /// Partitions without leader, in order of their number.
    pub(super) fn leaderless(&self) -> impl Iterator<Item = (PartitionId, &PartitionRegistration)> {
        self.image
            .partitions()
            .filter(|(_, partition)| partition.leader.is_none())
    }
}
