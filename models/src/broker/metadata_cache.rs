//! What a broker tells of the cluster, from the metadata it has published (`KRaftMetadataCache`).

use crate::broker::partition::{BrokerState, ClusterView};
use crate::ids::{BrokerEpoch, LeaderEpoch, PartitionId, ServerId};
use crate::metadata::{MetadataImage, PartitionRegistration};
use crate::protocol::{
    CurrentLeader, ErrorCode, MetadataRequest, MetadataResponse, PartitionMetadata, TopicMetadata,
};

/// The published metadata as partitions look at it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The metadata.
    pub image: &'a MetadataImage,
    /// This broker's own epoch.
    pub own_epoch: Option<BrokerEpoch>,
}

impl ClusterView for View<'_> {
    #[inline]
    fn broker(&self, server: ServerId) -> Option<BrokerState> {
        let registration = self.image.broker(server)?;
        Some(BrokerState {
            epoch: registration.epoch,
            fenced: registration.fenced,
            in_controlled_shutdown: registration.in_controlled_shutdown,
        })
    }

    #[inline]
    fn own_epoch(&self) -> Option<BrokerEpoch> {
        self.own_epoch
    }
}

/// Answers a Metadata request.
pub fn describe(image: &MetadataImage, request: &MetadataRequest) -> MetadataResponse {
    let brokers = image.brokers().filter(|(_, registration)| !registration.fenced);
    let topics = request.topics.iter();
    MetadataResponse {
        brokers: brokers
            .map(|(id, registration)| (id, registration.rack))
            .collect(),
        topics: topics.map(|specification| topic(image, *specification)).collect(),
    }
}

fn topic(image: &MetadataImage, specification: u16) -> TopicMetadata {
    let found = image.topic_of(specification).and_then(|id| image.topic(id));
    let Some(topic) = found else {
        return TopicMetadata {
            specification,
            error: ErrorCode::UnknownTopicOrPartition,
            partitions: Vec::new(),
        };
    };
    let described = topic.partitions.iter().filter_map(|id| {
        let registration = image.partition(*id)?;
        Some(partition(image, *id, registration))
    });
    TopicMetadata {
        specification,
        error: ErrorCode::None,
        partitions: described.collect(),
    }
}

/// A leader is shown if it is registered, fenced or not.
fn partition(
    image: &MetadataImage,
    partition: PartitionId,
    registration: &PartitionRegistration,
) -> PartitionMetadata {
    let leader = registration
        .leader
        .filter(|leader| image.broker(*leader).is_some());
    PartitionMetadata {
        partition,
        error: if leader.is_some() {
            ErrorCode::None
        } else {
            ErrorCode::LeaderNotAvailable
        },
        leader,
        leader_epoch: registration.leader_epoch,
        replicas: registration.replicas.clone(),
        isr: registration.isr.clone(),
    }
}

/// Who leads a partition in the published metadata (KIP-951).
pub fn current_leader(image: &MetadataImage, partition: PartitionId) -> Option<CurrentLeader> {
    let registration = image.partition(partition)?;
    hint(registration.leader, registration.leader_epoch)
}

/// A hint that names a leader, if there is one.
pub fn hint(leader: Option<ServerId>, epoch: LeaderEpoch) -> Option<CurrentLeader> {
    leader.map(|leader| CurrentLeader { leader, epoch })
}
