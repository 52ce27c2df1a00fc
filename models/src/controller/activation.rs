//! What the first active controller of a cluster writes before anything else (`ActivationRecordsGenerator`).

use crate::metadata::{ConfigResource, DynamicSetting, Feature, MetadataRecord};
use crate::specification::ClusterSpecification;

/// The level of `metadata.version` 4.3-IV0 (`MetadataVersion`).
const METADATA_VERSION_4_3: u16 = 30;

/// The bootstrap records: feature levels, and with eligible leader replicas the cluster-wide
/// `min.insync.replicas` from this controller's own file. In Kafka they stand in a metadata transaction
/// (KIP-868), here in one batch. `kraft.version` is no feature record: the quorum has its own.
pub(super) fn bootstrap_records(specification: &ClusterSpecification) -> Vec<MetadataRecord> {
    let features = [
        (Feature::MetadataVersion, METADATA_VERSION_4_3),
        (
            Feature::EligibleLeaderReplicasVersion,
            specification.features.eligible_leader_replicas,
        ),
        (Feature::TransactionVersion, specification.features.transaction),
    ];
    let raised = features.into_iter().filter(|(_, level)| *level > 0);
    let mut records: Vec<_> = raised
        .map(|(feature, level)| MetadataRecord::FeatureLevel { feature, level })
        .collect();
    if specification.features.eligible_leader_replicas > 0 {
        records.push(MetadataRecord::Config {
            resource: ConfigResource::Cluster,
            setting: DynamicSetting::MinInsyncReplicas,
            value: Some(specification.controller.min_insync_replicas),
        });
    }
    records
}
