//! Creating topics (`ReplicationControlManager.createTopics`).

use crate::controller::changes::Changes;
use crate::controller::heartbeats::Heartbeats;
use crate::controller::placement::{Draw, place};
use crate::ids::{DirectoryId, LeaderEpoch, PartitionEpoch, PartitionId, ServerId, Servers, TopicId};
use crate::metadata::{
    ConfigResource, DynamicSetting, LeaderRecoveryState, MetadataRecord, PartitionRegistration,
};
use crate::protocol::ErrorCode;
use crate::specification::TopicSpecification;

impl Changes<'_> {
    /// Creates a topic of the cluster's specification: its record, its overrides, its partitions, all in one
    /// batch. `named`: its number and that of its first partition, the others' follow. How many partitions it has.
    ///
    /// # Errors
    /// TOPIC_ALREADY_EXISTS; INVALID_PARTITIONS; INVALID_REPLICATION_FACTOR if too few brokers are usable or
    /// none of a partition's is active; INVALID_REPLICA_ASSIGNMENT likewise for given replicas.
    pub(super) fn create_topic(
        &mut self,
        specification: u16,
        (topic, first): (TopicId, PartitionId),
        heartbeats: &Heartbeats,
        draw: Draw,
    ) -> Result<u32, ErrorCode> {
        let image = &self.state.image;
        if image.topic_of(specification).is_some() {
            return Err(ErrorCode::TopicAlreadyExists);
        }
        let wanted = self.specification.topic(specification);
        let (assignment, if_inactive) = match &wanted.assignment {
            Some(given) => {
                self.validate_assignment(given)?;
                (given.clone(), ErrorCode::InvalidReplicaAssignment)
            }
            None => {
                if wanted.partitions == 0 {
                    return Err(ErrorCode::InvalidPartitions);
                }
                let brokers: Vec<_> = heartbeats.usable_brokers(image).collect();
                let placed = place(&brokers, wanted.partitions, wanted.replication_factor, draw)?;
                (placed, ErrorCode::InvalidReplicationFactor)
            }
        };
        let mut partitions = Vec::with_capacity(assignment.len());
        for (index, replicas) in assignment.into_iter().enumerate() {
            let registration = self.registration(topic, index as u32, replicas);
            partitions.push(registration.ok_or(if_inactive)?);
        }
        self.records.push(MetadataRecord::Topic { topic, specification });
        self.push_overrides(topic, wanted);
        let count = partitions.len() as u32;
        for (partition, registration) in (first.0..).zip(partitions) {
            self.records.push(MetadataRecord::Partition {
                partition: PartitionId(partition),
                registration: Box::new(registration),
            });
        }
        Ok(count)
    }

    /// `validateManualPartitionAssignment`: registered brokers, each once, equally many for each partition.
    fn validate_assignment(&self, assignment: &[Servers]) -> Result<(), ErrorCode> {
        let factor = assignment.first().map_or(0, |replicas| replicas.len());
        let valid = |replicas: &Servers| {
            let doubled = |index: usize| replicas[..index].contains(&replicas[index]);
            let mut members = replicas.iter().enumerate();
            replicas.len() == factor
                && members
                    .all(|(index, replica)| self.state.image.broker(*replica).is_some() && !doubled(index))
        };
        match factor > 0 && assignment.iter().all(valid) {
            true => Ok(()),
            false => Err(ErrorCode::InvalidReplicaAssignment),
        }
    }

    /// A partition at birth: the active replicas are in sync, the first of them leads. None if none is active.
    fn registration(&self, topic: TopicId, index: u32, replicas: Servers) -> Option<PartitionRegistration> {
        let is_active = |replica| self.state.image.is_active(replica);
        let mut isr: Servers = replicas.iter().copied().filter(|id| is_active(*id)).collect();
        let leader = *isr.first()?;
        isr.sort_unstable();
        // ClusterControlManager.defaultDir: the only one of each.
        let directory = |broker: &ServerId| {
            let registered = self.state.image.broker(*broker);
            registered.map_or(DirectoryId::UNASSIGNED, |registered| registered.directory)
        };
        Some(PartitionRegistration {
            topic,
            index,
            directories: replicas.iter().map(directory).collect(),
            replicas,
            isr,
            elr: Servers::new(),
            last_known_elr: None,
            leader: Some(leader),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            recovery: LeaderRecoveryState::Recovered,
        })
    }

    fn push_overrides(&mut self, topic: TopicId, wanted: &TopicSpecification) {
        let overrides = [
            (DynamicSetting::MinInsyncReplicas, wanted.min_insync_replicas),
            (
                DynamicSetting::UncleanLeaderElectionEnable,
                wanted.unclean_leader_election_enable.map(u32::from),
            ),
        ];
        for (setting, value) in overrides {
            if value.is_some() {
                self.records.push(MetadataRecord::Config {
                    resource: ConfigResource::Topic(topic),
                    setting,
                    value,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
