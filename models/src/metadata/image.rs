//! What the metadata log adds up to (`MetadataImage`): the state after a prefix of its records.
//!
//! Controllers keep one that runs ahead of the commits, brokers one that lags behind them. Applying a record is
//! all-or-nothing for the caller: batches are applied whole.

use crate::ids::{BrokerEpoch, DirectoryId, IncarnationId, PartitionId, PartitionMap, ServerId, TopicId};
use crate::metadata::{ConfigResource, DynamicSetting, Feature, MetadataRecord, PartitionRegistration};

/// A registered broker (`BrokerRegistration`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerRegistration {
    /// Which process of it registered.
    pub incarnation: IncarnationId,
    /// Its epoch.
    pub epoch: BrokerEpoch,
    /// Its rack, by number.
    pub rack: Option<u16>,
    /// Its log directory.
    pub directory: DirectoryId,
    /// Whether its log directory is known to have failed.
    pub directory_offline: bool,
    /// Whether it is fenced.
    pub fenced: bool,
    /// Whether it is shutting down.
    pub in_controlled_shutdown: bool,
}

impl BrokerRegistration {
    /// Whether a replica in this directory can be read and written (`BrokerRegistration.hasOnlineDir`).
    pub fn has_online_directory(&self, directory: DirectoryId) -> bool {
        directory == DirectoryId::UNASSIGNED || directory == self.directory && !self.directory_offline
    }

    /// Whether it may lead and be in an ISR as far as its registration goes (`ClusterControlManager.isActive`).
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }
}

/// A topic that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicImage {
    /// Its number in the cluster's specification.
    pub specification: u16,
    /// Its partitions in order of their index.
    pub partitions: Vec<PartitionId>,
}

/// The state after a prefix of the metadata log.
#[derive(Clone, Debug, Default)]
pub struct MetadataImage {
    topics: Vec<Option<TopicImage>>,
    partitions: PartitionMap<PartitionRegistration>,
    brokers: Vec<Option<BrokerRegistration>>,
    /// Dynamic settings in order of resource and setting.
    settings: Vec<((ConfigResource, DynamicSetting), u32)>,
    /// Finalized features in order.
    features: Vec<(Feature, u16)>,
    next_producer_id: u64,
}

/// Why a process ends whose metadata log holds a record that does not fit ([`MetadataImage::fits`]).
pub const CONTRADICTORY_LOG: &str = "the metadata log contradicts itself";

impl MetadataImage {
    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.topics.clear();
        self.partitions.clear();
        self.brokers.clear();
        self.settings.clear();
        self.features.clear();
        self.next_producer_id = 0;
    }

    /// Whether a record can follow what came before. One that cannot is in a log whose beginning was lost with the
    /// disks of a majority and written anew in epochs that had been there already: nothing tells replicas so.
    pub fn fits(&self, record: &MetadataRecord) -> bool {
        let is_registered = |broker: &ServerId, epoch: &BrokerEpoch| {
            self.broker(*broker).is_some_and(|known| known.epoch == *epoch)
        };
        match record {
            MetadataRecord::BrokerRegistrationChange { broker, epoch, .. }
            | MetadataRecord::UnregisterBroker { broker, epoch } => is_registered(broker, epoch),
            MetadataRecord::Topic { topic, specification } => {
                self.topic(*topic).is_none() && self.topic_of(*specification).is_none()
            }
            MetadataRecord::Partition {
                partition,
                registration,
            } => {
                let follows = |topic: &TopicImage| topic.partitions.len() == registration.index as usize;
                self.partition(*partition).is_none() && self.topic(registration.topic).is_some_and(follows)
            }
            MetadataRecord::PartitionChange { partition, .. } => self.partition(*partition).is_some(),
            MetadataRecord::RegisterBroker { .. }
            | MetadataRecord::Config { .. }
            | MetadataRecord::FeatureLevel { .. }
            | MetadataRecord::ProducerIds { .. }
            | MetadataRecord::NoOp
            | MetadataRecord::LeaderChange { .. } => true,
        }
    }

    /// Takes the next record in.
    ///
    /// # Panics
    /// If the record does not fit what came before; see [`MetadataImage::fits`].
    pub fn apply(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::RegisterBroker {
                broker,
                incarnation,
                epoch,
                rack,
                directory,
                fenced,
                in_controlled_shutdown,
                clean: _,
            } => {
                let registration = BrokerRegistration {
                    incarnation: *incarnation,
                    epoch: *epoch,
                    rack: *rack,
                    directory: *directory,
                    directory_offline: false,
                    fenced: *fenced,
                    in_controlled_shutdown: *in_controlled_shutdown,
                };
                *self.broker_slot(*broker) = Some(registration);
            }
            MetadataRecord::BrokerRegistrationChange {
                broker,
                epoch,
                fenced,
                in_controlled_shutdown,
                directory_offline,
            } => {
                let registration = self.registered(*broker, *epoch);
                let fenced = fenced.unwrap_or(registration.fenced);
                let leaving = in_controlled_shutdown.unwrap_or(registration.in_controlled_shutdown);
                let offline = directory_offline.unwrap_or(registration.directory_offline);
                registration.fenced = fenced;
                registration.in_controlled_shutdown = leaving;
                registration.directory_offline = offline;
            }
            MetadataRecord::UnregisterBroker { broker, epoch } => {
                self.registered(*broker, *epoch);
                *self.broker_slot(*broker) = None;
            }
            MetadataRecord::Topic { topic, specification } => {
                let slot = usize::from(topic.0);
                if slot >= self.topics.len() {
                    self.topics.resize(slot + 1, None);
                }
                self.topics[slot] = Some(TopicImage {
                    specification: *specification,
                    partitions: Vec::new(),
                });
            }
            MetadataRecord::Partition {
                partition,
                registration,
            } => {
                let topic = self.topics[usize::from(registration.topic.0)].as_mut();
                let topic = topic.expect("a topic comes before its partitions");
                assert_eq!(registration.index as usize, topic.partitions.len());
                topic.partitions.push(*partition);
                self.partitions.insert(*partition, (**registration).clone());
            }
            MetadataRecord::PartitionChange { partition, change } => {
                let registration = self.partitions.get_mut(*partition);
                registration.expect("only what was created changes").merge(change);
            }
            MetadataRecord::Config {
                resource,
                setting,
                value,
            } => {
                put(&mut self.settings, (*resource, *setting), *value);
            }
            MetadataRecord::FeatureLevel { feature, level } => {
                put(&mut self.features, *feature, (*level > 0).then_some(*level));
            }
            MetadataRecord::ProducerIds { next, .. } => self.next_producer_id = *next,
            MetadataRecord::NoOp | MetadataRecord::LeaderChange { .. } => {}
        }
    }

    fn broker_slot(&mut self, broker: ServerId) -> &mut Option<BrokerRegistration> {
        let index = usize::from(broker.0);
        if index >= self.brokers.len() {
            self.brokers.resize(index + 1, None);
        }
        &mut self.brokers[index]
    }

    fn registered(&mut self, broker: ServerId, epoch: BrokerEpoch) -> &mut BrokerRegistration {
        let registration = self.broker_slot(broker).as_mut();
        let registration = registration.expect("only what was registered changes");
        assert_eq!(
            registration.epoch, epoch,
            "a change names the registration it is about"
        );
        registration
    }

    /// A broker's registration.
    #[inline]
    pub fn broker(&self, broker: ServerId) -> Option<&BrokerRegistration> {
        self.brokers.get(usize::from(broker.0))?.as_ref()
    }

    /// All registered brokers in order of their id.
    pub fn brokers(&self) -> impl Iterator<Item = (ServerId, &BrokerRegistration)> {
        let slots = self.brokers.iter().enumerate();
        slots.filter_map(|(index, slot)| Some((ServerId(index as u16), slot.as_ref()?)))
    }

    /// Whether a broker is registered, unfenced and not shutting down.
    #[inline]
    pub fn is_active(&self, broker: ServerId) -> bool {
        self.broker(broker).is_some_and(BrokerRegistration::is_active)
    }

    /// A partition's state.
    #[inline]
    pub fn partition(&self, partition: PartitionId) -> Option<&PartitionRegistration> {
        self.partitions.get(partition)
    }

    /// All partitions in order of their number.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionId, &PartitionRegistration)> {
        self.partitions.iter()
    }

    /// The number after that of the newest partition. Not every smaller one is that of a partition: see
    /// [`Contents::name_topic`](crate::records::Contents::name_topic).
    pub fn partition_numbers(&self) -> u32 {
        self.partitions.numbers()
    }

    /// A topic.
    pub fn topic(&self, topic: TopicId) -> Option<&TopicImage> {
        self.topics.get(usize::from(topic.0))?.as_ref()
    }

    /// All topics in order of their creation.
    pub fn topics(&self) -> impl Iterator<Item = (TopicId, &TopicImage)> {
        let topics = self.topics.iter().enumerate();
        topics.filter_map(|(index, topic)| Some((TopicId(index as u16), topic.as_ref()?)))
    }

    /// The topic created from this number of the cluster's specification.
    pub fn topic_of(&self, specification: u16) -> Option<TopicId> {
        let mut topics = self.topics();
        Some(topics.find(|(_, topic)| topic.specification == specification)?.0)
    }

    /// A dynamic setting of exactly this resource.
    pub fn setting(&self, resource: ConfigResource, setting: DynamicSetting) -> Option<u32> {
        let key = (resource, setting);
        let found = self.settings.binary_search_by_key(&key, |entry| entry.0);
        Some(self.settings[found.ok()?].1)
    }

    /// What a setting is for a topic on a node whose own file says `file`: the topic's override, else the
    /// dynamic value of `broker`, else the cluster-wide dynamic value, else the file.
    pub fn resolve(
        &self,
        setting: DynamicSetting,
        topic: TopicId,
        broker: Option<ServerId>,
        file: u32,
    ) -> u32 {
        self.setting(ConfigResource::Topic(topic), setting)
            .or_else(|| self.setting(ConfigResource::Broker(broker?), setting))
            .or_else(|| self.setting(ConfigResource::Cluster, setting))
            .unwrap_or(file)
    }

    /// How many replicas a partition's ISR must have: `min.insync.replicas` as [`MetadataImage::resolve`] finds
    /// it, or the number of replicas where that is less (`Partition.effectiveMinIsr`,
    /// `ReplicationControlManager.getTopicEffectiveMinIsr`). A partition that is not there needs what the file says.
    pub fn effective_min_isr(&self, partition: PartitionId, broker: Option<ServerId>, file: u32) -> u32 {
        let Some(registration) = self.partition(partition) else {
            return file;
        };
        self.resolve(
            DynamicSetting::MinInsyncReplicas,
            registration.topic,
            broker,
            file,
        )
        .min(registration.replicas.len() as u32)
    }

    /// The finalized level of a feature; 0 if it was never finalized.
    pub fn feature(&self, feature: Feature) -> u16 {
        let found = self.features.binary_search_by_key(&feature, |entry| entry.0);
        found.map_or(0, |index| self.features[index].1)
    }

    /// Whether any feature was finalized: false before the first controller's bootstrap records.
    pub fn is_bootstrapped(&self) -> bool {
        !self.features.is_empty()
    }

    /// Whether partitions keep eligible leader replicas (KIP-966).
    pub fn eligible_leader_replicas(&self) -> bool {
        self.feature(Feature::EligibleLeaderReplicasVersion) > 0
    }

    /// The first producer id that no broker was given yet.
    pub fn next_producer_id(&self) -> u64 {
        self.next_producer_id
    }
}

/// Sets or deletes an entry of a sorted table.
fn put<K: Ord + Copy, V>(table: &mut Vec<(K, V)>, key: K, value: Option<V>) {
    match (table.binary_search_by_key(&key, |entry| entry.0), value) {
        (Ok(index), Some(value)) => table[index].1 = value,
        (Ok(index), None) => drop(table.remove(index)),
        (Err(index), Some(value)) => table.insert(index, (key, value)),
        (Err(_), None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{LeaderEpoch, PartitionEpoch};
    use crate::metadata::{LeaderRecoveryState, PartitionChange};
    use smallvec::smallvec;

    fn image_of(records: &[MetadataRecord]) -> MetadataImage {
        let mut image = MetadataImage::default();
        records.iter().for_each(|record| image.apply(record));
        image
    }

    fn registered(broker: u16, epoch: u64) -> MetadataRecord {
        MetadataRecord::RegisterBroker {
            broker: ServerId(broker),
            incarnation: IncarnationId(9),
            epoch: BrokerEpoch(epoch),
            rack: None,
            directory: DirectoryId(1),
            fenced: true,
            in_controlled_shutdown: false,
            clean: false,
        }
    }

    fn changed(broker: u16, epoch: u64, fenced: Option<bool>, leaving: Option<bool>) -> MetadataRecord {
        MetadataRecord::BrokerRegistrationChange {
            broker: ServerId(broker),
            epoch: BrokerEpoch(epoch),
            fenced,
            in_controlled_shutdown: leaving,
            directory_offline: None,
        }
    }

    fn topic_of_one_partition() -> [MetadataRecord; 2] {
        let registration = PartitionRegistration {
            topic: TopicId(0),
            index: 0,
            replicas: smallvec![ServerId(1), ServerId(2)],
            directories: smallvec![DirectoryId(1), DirectoryId(1)],
            isr: smallvec![ServerId(1), ServerId(2)],
            elr: smallvec![],
            last_known_elr: None,
            leader: Some(ServerId(1)),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            recovery: LeaderRecoveryState::Recovered,
        };
        [
            MetadataRecord::Topic {
                topic: TopicId(0),
                specification: 4,
            },
            MetadataRecord::Partition {
                partition: PartitionId(0),
                registration: Box::new(registration),
            },
        ]
    }

    fn min_isr(resource: ConfigResource, value: Option<u32>) -> MetadataRecord {
        MetadataRecord::Config {
            resource,
            setting: DynamicSetting::MinInsyncReplicas,
            value,
        }
    }

    #[test]
    fn a_broker_is_active_from_its_unfencing_until_it_shuts_down() {
        let mut image = image_of(&[registered(2, 7)]);
        assert!(!image.is_active(ServerId(2)) && !image.is_active(ServerId(1)));
        image.apply(&changed(2, 7, Some(false), None));
        assert!(image.is_active(ServerId(2)));
        image.apply(&changed(2, 7, None, Some(true)));
        assert!(!image.is_active(ServerId(2)));
        image.apply(&MetadataRecord::UnregisterBroker {
            broker: ServerId(2),
            epoch: BrokerEpoch(7),
        });
        assert_eq!(image.broker(ServerId(2)), None);
    }

    #[test]
    fn a_record_of_another_history_of_the_cluster_does_not_fit() {
        let mut image = image_of(&topic_of_one_partition());
        let [topic, partition] = &topic_of_one_partition()[..] else {
            panic!("a topic and its partition");
        };
        assert!(!image.fits(topic) && !image.fits(partition));
        assert!(!image.fits(&changed(2, 7, Some(false), None)));
        image.apply(&registered(2, 7));
        assert!(image.fits(&changed(2, 7, Some(false), None)));
        assert!(!image.fits(&changed(2, 6, Some(false), None)));
        image.clear();
        assert!(image.fits(topic) && !image.fits(partition));
    }

    #[test]
    #[should_panic(expected = "the registration it is about")]
    fn a_change_of_an_older_registration_does_not_fit() {
        image_of(&[
            registered(2, 7),
            registered(2, 9),
            changed(2, 7, Some(false), None),
        ]);
    }

    #[test]
    fn a_change_without_leader_keeps_the_leader_epoch_and_one_with_the_same_leader_bumps_it() {
        let mut image = image_of(&topic_of_one_partition());
        assert_eq!(image.topic_of(4), Some(TopicId(0)));
        let mut change = |change| {
            image.apply(&MetadataRecord::PartitionChange {
                partition: PartitionId(0),
                change: Box::new(change),
            });
            let partition = image.partition(PartitionId(0)).unwrap();
            (partition.leader_epoch.0, partition.partition_epoch.0)
        };
        let isr = PartitionChange {
            isr: Some(smallvec![ServerId(1)]),
            ..PartitionChange::default()
        };
        assert_eq!(change(isr), (0, 1));
        let leader = PartitionChange {
            leader: Some(Some(ServerId(1))),
            ..PartitionChange::default()
        };
        assert_eq!(change(leader), (1, 2));
    }

    #[test]
    fn the_narrowest_min_isr_counts_and_never_more_than_there_are_replicas() {
        let mut image = image_of(&topic_of_one_partition());
        let effective = |image: &MetadataImage| image.effective_min_isr(PartitionId(0), Some(ServerId(1)), 1);
        assert_eq!(effective(&image), 1);
        image.apply(&min_isr(ConfigResource::Cluster, Some(3)));
        assert_eq!(effective(&image), 2);
        image.apply(&min_isr(ConfigResource::Broker(ServerId(1)), Some(1)));
        assert_eq!(effective(&image), 1);
        image.apply(&min_isr(ConfigResource::Topic(TopicId(0)), Some(2)));
        assert_eq!(effective(&image), 2);
        image.apply(&min_isr(ConfigResource::Topic(TopicId(0)), None));
        assert_eq!(effective(&image), 1);
    }
}
