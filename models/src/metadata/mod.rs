//! The records of the metadata log (KIP-631), as far as the models use them.

mod image;

pub use image::{BrokerRegistration, CONTRADICTORY_LOG, MetadataImage, TopicImage};

use smallvec::SmallVec;

use crate::ids::{
    BrokerEpoch, DirectoryId, IncarnationId, LeaderEpoch, PartitionEpoch, PartitionId, ServerId, Servers,
    TopicId,
};
use crate::notes::{ChangeReason, Election};

/// Whether a partition's leader was elected uncleanly and has not yet said that it recovered (KIP-704).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeaderRecoveryState {
    /// Nothing to recover from.
    #[default]
    Recovered,
    /// Elected uncleanly.
    Recovering,
}

/// Everything the metadata says of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRegistration {
    /// The topic it belongs to.
    pub topic: TopicId,
    /// Its number in the topic, from 0.
    pub index: u32,
    /// Its replicas in order of preference.
    pub replicas: Servers,
    /// In which log directory each of them is, in the same order (KIP-858).
    pub directories: SmallVec<[DirectoryId; 3]>,
    /// The in-sync replicas, sorted.
    pub isr: Servers,
    /// The eligible leader replicas (KIP-966), sorted; disjoint from the ISR.
    pub elr: Servers,
    /// The leader before the partition lost its last eligible one (at most one; KIP-966).
    pub last_known_elr: Option<ServerId>,
    /// The leader, if there is one.
    pub leader: Option<ServerId>,
    /// Counts leaders.
    pub leader_epoch: LeaderEpoch,
    /// Counts changes.
    pub partition_epoch: PartitionEpoch,
    /// Whether the leader was elected uncleanly.
    pub recovery: LeaderRecoveryState,
}

/// What changes of a partition; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionChange {
    /// The new ISR.
    pub isr: Option<Servers>,
    /// The new ELR.
    pub elr: Option<Servers>,
    /// The new last known leader.
    pub last_known_elr: Option<Option<ServerId>>,
    /// The new leader (or none). Writing it bumps the leader epoch, even if it is the same.
    pub leader: Option<Option<ServerId>>,
    /// The new recovery state.
    pub recovery: Option<LeaderRecoveryState>,
    /// In which directory a replica is.
    pub directory: Option<(ServerId, DirectoryId)>,
    /// A deviation from Kafka, only under [`crate::mutation::Mutation::KeepLeaderEpoch`]: the new leader gets the
    /// epoch of the one before.
    pub keeps_leader_epoch: bool,
    /// Why the controller wrote this. No server reads it: it travels with the record so that whoever sees the
    /// commit, a later controller too, can tell the reason.
    pub reason: Option<ChangeReason>,
    /// How the leader was elected, if one was. No server reads it.
    pub election: Option<Election>,
}

impl PartitionChange {
    /// Whether nothing would change (`PartitionChangeBuilder.changeRecordIsNoOp`).
    pub fn is_no_op(&self) -> bool {
        self.isr.is_none()
            && self.elr.is_none()
            && self.last_known_elr.is_none()
            && self.leader.is_none()
            && self.recovery.is_none()
            && self.directory.is_none()
    }
}

impl PartitionRegistration {
    /// The partition after `change`: as `PartitionRegistration.merge`.
    pub fn merge(&mut self, change: &PartitionChange) {
        if let Some(isr) = &change.isr {
            self.isr.clone_from(isr);
        }
        if let Some(elr) = &change.elr {
            self.elr.clone_from(elr);
        }
        if let Some(last_known) = change.last_known_elr {
            self.last_known_elr = last_known;
        }
        if let Some(leader) = change.leader {
            self.leader = leader;
            if !change.keeps_leader_epoch {
                self.leader_epoch = self.leader_epoch.next();
            }
        }
        if let Some(recovery) = change.recovery {
            self.recovery = recovery;
        }
        if let Some((replica, directory)) = change.directory
            && let Some(index) = self.replicas.iter().position(|known| *known == replica)
        {
            self.directories[index] = directory;
        }
        self.partition_epoch.0 += 1;
    }

    /// In which log directory a replica is; none if it is no replica.
    pub fn directory(&self, replica: ServerId) -> Option<DirectoryId> {
        let index = self.replicas.iter().position(|known| *known == replica)?;
        self.directories.get(index).copied()
    }
}

/// Finalized features that change what the models do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// `metadata.version`, by its level number.
    MetadataVersion,
    /// `eligible.leader.replicas.version`.
    EligibleLeaderReplicasVersion,
    /// `transaction.version`.
    TransactionVersion,
    /// `group.version`.
    GroupVersion,
    /// `kraft.version`.
    KRaftVersion,
}

/// Settings that live in the metadata log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DynamicSetting {
    /// `min.insync.replicas`.
    MinInsyncReplicas,
    /// `unclean.leader.election.enable`: 0 or 1.
    UncleanLeaderElectionEnable,
}

/// What a dynamic setting applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigResource {
    /// All brokers: the cluster-wide dynamic default.
    Cluster,
    /// One broker.
    Broker(ServerId),
    /// One topic.
    Topic(TopicId),
}

/// A record of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataRecord {
    /// A broker registered. Comes last in its batch, behind what cleans up after the broker's former process.
    RegisterBroker {
        /// The broker.
        broker: ServerId,
        /// Which process of it.
        incarnation: IncarnationId,
        /// The offset of the first record of its batch (`QuorumController.registerBroker` takes the next write
        /// offset): smaller than this record's own if other records come first.
        epoch: BrokerEpoch,
        /// Its rack, by number.
        rack: Option<u16>,
        /// Its log directory.
        directory: DirectoryId,
        /// Whether it starts fenced.
        fenced: bool,
        /// Whether it is shutting down.
        in_controlled_shutdown: bool,
        /// Whether it proved that its last stop was clean (KIP-966). No server reads it.
        clean: bool,
    },
    /// Something of a broker's registration changed.
    BrokerRegistrationChange {
        /// The broker.
        broker: ServerId,
        /// The registration this is about.
        epoch: BrokerEpoch,
        /// Fenced or unfenced.
        fenced: Option<bool>,
        /// Entered controlled shutdown.
        in_controlled_shutdown: Option<bool>,
        /// Its log directory went offline (true) or is back.
        directory_offline: Option<bool>,
    },
    /// An operator removed a broker.
    UnregisterBroker {
        /// The broker.
        broker: ServerId,
        /// The registration this is about.
        epoch: BrokerEpoch,
    },
    /// A topic was created.
    Topic {
        /// Its id.
        topic: TopicId,
        /// Which topic of the cluster's specification it is.
        specification: u16,
    },
    /// A partition was created.
    Partition {
        /// Its number in the cluster.
        partition: PartitionId,
        /// Its first state.
        registration: Box<PartitionRegistration>,
    },
    /// A partition changed.
    PartitionChange {
        /// Its number in the cluster.
        partition: PartitionId,
        /// What changed.
        change: Box<PartitionChange>,
    },
    /// A dynamic setting was set, or deleted.
    Config {
        /// What it applies to.
        resource: ConfigResource,
        /// Which setting.
        setting: DynamicSetting,
        /// Its value; `None` deletes it.
        value: Option<u32>,
    },
    /// A feature was finalized at a level.
    FeatureLevel {
        /// Which.
        feature: Feature,
        /// At which level.
        level: u16,
    },
    /// A block of producer ids was given to a broker.
    ProducerIds {
        /// The broker.
        broker: ServerId,
        /// Its epoch.
        epoch: BrokerEpoch,
        /// The first id of the next block.
        next: u64,
    },
    /// Nothing: lets brokers see that the log moves (KIP-835).
    NoOp,
    /// Control record: a leader of the quorum begins its epoch.
    LeaderChange {
        /// The leader.
        leader: ServerId,
    },
}
