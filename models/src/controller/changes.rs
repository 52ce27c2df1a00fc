//! Which records follow from what happened to brokers and partitions (`ReplicationControlManager`).
//!
//! Everything here only reads the state; records are collected and applied together afterwards, so two changes
//! of one event both start from the state before it. That is why one session expires per event (KAFKA-13173).

use crate::controller::partition_change::{ElectionKind, PartitionChangeBuilder};
use crate::controller::state::ClusterState;
use crate::ids::{BrokerEpoch, PartitionId, ServerId, Servers, TopicId};
use crate::metadata::{DynamicSetting, MetadataRecord, PartitionChange, PartitionRegistration};
use crate::mutation::Mutation;
use crate::notes::ChangeReason;
use crate::protocol::{AssignReplicasToDirsRequest, ElectLeadersRequest, ElectionType, ErrorCode};
use crate::specification::ClusterSpecification;

/// The most elections of one periodic event (`ReplicationControlManager.MAX_ELECTIONS_PER_IMBALANCE`).
const MAX_ELECTIONS_PER_EVENT: usize = 1_000;

/// What happens to one broker, as the partitions it is in see it.
#[derive(Clone, Copy, Debug, Default)]
struct BrokerMove {
    /// Leaves all ISRs and leads nothing.
    removed: Option<ServerId>,
    /// Counts as active although the state still says that it is fenced.
    added: Option<ServerId>,
    /// Leaves ISR and ELR and leads nothing.
    unclean: Option<ServerId>,
}

/// Collects the records of one event.
pub(super) struct Changes<'a> {
    pub(super) state: &'a ClusterState,
    pub(super) specification: &'a ClusterSpecification,
    /// This controller: a dynamic value of its own id counts for it.
    pub(super) me: ServerId,
    pub(super) records: Vec<MetadataRecord>,
}

impl<'a> Changes<'a> {
    pub(super) fn new(
        state: &'a ClusterState,
        specification: &'a ClusterSpecification,
        me: ServerId,
    ) -> Self {
        Changes {
            state,
            specification,
            me,
            records: Vec::new(),
        }
    }

    /// `min.insync.replicas` of a partition: topic, cluster-wide dynamic value, or this controller's own file;
    /// never more than there are replicas (`getTopicEffectiveMinIsr`).
    fn min_isr(&self, partition: PartitionId) -> u32 {
        let file = self.specification.controller.min_insync_replicas;
        self.state.image.effective_min_isr(partition, Some(self.me), file)
    }

    /// Whether a topic allows unclean elections, resolved in the same way.
    fn is_unclean_election_enabled(&self, topic: TopicId) -> bool {
        let file = u32::from(self.specification.controller.unclean_leader_election_enable);
        let setting = DynamicSetting::UncleanLeaderElectionEnable;
        self.state.image.resolve(setting, topic, Some(self.me), file) == 1
    }

    pub(super) fn election_kind(&self, topic: TopicId) -> ElectionKind {
        let any = self.specification.mutations.has(Mutation::ElectAnyReplica);
        match any || self.is_unclean_election_enabled(topic) {
            true => ElectionKind::Unclean,
            false => ElectionKind::Online,
        }
    }

    /// Whether the log directory of a replica is online (`LeaderAcceptor`): not one that its broker no longer has.
    fn has_online_directory(&self, partition: &PartitionRegistration, replica: ServerId) -> bool {
        let registered = self.state.image.broker(replica).zip(partition.directory(replica));
        registered.is_some_and(|(broker, directory)| broker.has_online_directory(directory))
    }

    /// Builds a change of one partition; `shape` says what is wanted.
    pub(super) fn build(
        &self,
        partition: PartitionId,
        registration: &PartitionRegistration,
        reason: ChangeReason,
        is_active: &dyn Fn(ServerId) -> bool,
        shape: impl FnOnce(PartitionChangeBuilder<'_>) -> PartitionChangeBuilder<'_>,
    ) -> Option<PartitionChange> {
        let acceptable = |replica| is_active(replica) && self.has_online_directory(registration, replica);
        let eligible_leader_replicas = self.state.image.eligible_leader_replicas();
        let min_isr = self.min_isr(partition);
        let builder =
            PartitionChangeBuilder::new(registration, &acceptable, min_isr, eligible_leader_replicas);
        let mut change = shape(builder).build(reason)?;
        change.keeps_leader_epoch = self.specification.mutations.has(Mutation::KeepLeaderEpoch);
        Some(change)
    }

    /// Adds a change of one partition.
    pub(super) fn push(&mut self, partition: PartitionId, change: PartitionChange) {
        self.records.push(MetadataRecord::PartitionChange {
            partition,
            change: Box::new(change),
        });
    }

    /// `generateLeaderAndIsrUpdates`: removes a broker from ISRs, and elects where there is no valid leader.
    fn update_leaders_and_isrs(
        &mut self,
        moved: BrokerMove,
        reason: ChangeReason,
        concerns: impl Fn(PartitionId, &PartitionRegistration) -> bool,
    ) {
        let image = &self.state.image;
        let leaving = |replica| Some(replica) == moved.removed || Some(replica) == moved.unclean;
        let is_active =
            |replica| !leaving(replica) && (Some(replica) == moved.added || image.is_active(replica));
        let stays = matches!(reason, ChangeReason::BrokerFenced(_))
            && self.specification.mutations.has(Mutation::KeepFencedInIsr);
        for (id, partition) in image
            .partitions()
            .filter(|(id, partition)| concerns(*id, partition))
        {
            let isr = partition.isr.iter().copied();
            let target_isr: Servers = isr.filter(|replica| stays || !leaving(*replica)).collect();
            let kind = self.election_kind(partition.topic);
            let change = self.build(id, partition, reason, &is_active, |builder| {
                builder
                    .election(kind)
                    .unclean_shutdown(moved.unclean)
                    .target_isr(target_isr)
            });
            if let Some(change) = change {
                self.push(id, change);
            }
        }
    }

    fn remove_from_isrs(&mut self, broker: ServerId, reason: ChangeReason) {
        let moved = BrokerMove {
            removed: Some(broker),
            ..BrokerMove::default()
        };
        self.update_leaders_and_isrs(moved, reason, |_, partition| partition.isr.contains(&broker));
    }

    fn epoch_of(&self, broker: ServerId) -> BrokerEpoch {
        let registration = self.state.image.broker(broker);
        registration.expect("only registered brokers change").epoch
    }

    /// `handleBrokerFenced`: out of the ISRs first, fenced then.
    pub(super) fn fence(&mut self, broker: ServerId, reason: ChangeReason) {
        self.remove_from_isrs(broker, reason);
        self.records.push(MetadataRecord::BrokerRegistrationChange {
            broker,
            epoch: self.epoch_of(broker),
            fenced: Some(true),
            in_controlled_shutdown: None,
            directory_offline: None,
        });
    }

    /// `handleBrokerUnfenced`: unfenced first, then an election for every partition without leader.
    pub(super) fn unfence(&mut self, broker: ServerId) {
        self.records.push(MetadataRecord::BrokerRegistrationChange {
            broker,
            epoch: self.epoch_of(broker),
            fenced: Some(false),
            in_controlled_shutdown: None,
            directory_offline: None,
        });
        let moved = BrokerMove {
            added: Some(broker),
            ..BrokerMove::default()
        };
        let reason = ChangeReason::BrokerUnfenced(broker);
        self.update_leaders_and_isrs(moved, reason, |_, partition| partition.leader.is_none());
    }

    /// `handleBrokerInControlledShutdown`: marked first, then out of the ISRs and leaderships.
    pub(super) fn enter_controlled_shutdown(&mut self, broker: ServerId) {
        let registration = self.state.image.broker(broker);
        if !registration.is_some_and(|registration| registration.in_controlled_shutdown) {
            self.records.push(MetadataRecord::BrokerRegistrationChange {
                broker,
                epoch: self.epoch_of(broker),
                fenced: None,
                in_controlled_shutdown: Some(true),
                directory_offline: None,
            });
        }
        self.remove_from_isrs(broker, ChangeReason::ControlledShutdown(broker));
    }

    /// `handleBrokerShutdown`, as a new process of a broker registers: with ELR, one that cannot prove a clean
    /// stop loses its place in ISRs and ELRs; else it is treated as fenced.
    pub(super) fn clean_up_before_registration(&mut self, broker: ServerId, clean: bool) {
        if clean || !self.state.image.eligible_leader_replicas() {
            self.remove_from_isrs(broker, ChangeReason::Registration(broker));
            return;
        }
        let moved = BrokerMove {
            unclean: Some(broker),
            ..BrokerMove::default()
        };
        let reason = ChangeReason::UncleanRegistration(broker);
        self.update_leaders_and_isrs(moved, reason, |_, partition| partition.isr.contains(&broker));
        self.update_leaders_and_isrs(moved, reason, |_, partition| partition.elr.contains(&broker));
    }

    /// `handleDirectoriesOffline`: the broker's only directory failed, and with it all replicas in it.
    pub(super) fn directory_offline(&mut self, broker: ServerId) {
        let registered = self.state.image.broker(broker);
        let Some(failed) = registered.filter(|registered| !registered.directory_offline) else {
            return;
        };
        let failed = failed.directory;
        self.lose_replicas(broker, ChangeReason::DirectoryOffline(broker), |_, partition| {
            partition.directory(broker) == Some(failed)
        });
        self.records.push(MetadataRecord::BrokerRegistrationChange {
            broker,
            epoch: self.epoch_of(broker),
            fenced: None,
            in_controlled_shutdown: None,
            directory_offline: Some(true),
        });
    }

    /// `electLeaders`: what became of each partition. If all are meant, those that need no election are not named.
    pub(super) fn elect_leaders(&mut self, request: &ElectLeadersRequest) -> Vec<(PartitionId, ErrorCode)> {
        let all;
        let partitions = match &request.partitions {
            Some(partitions) => partitions,
            None => {
                all = self.state.image.partitions().map(|(id, _)| id).collect();
                &all
            }
        };
        let named = request.partitions.is_some();
        let mut results = Vec::with_capacity(partitions.len());
        for id in partitions {
            let error = self.elect(*id, request.kind, ChangeReason::Operator);
            if named || error != ErrorCode::ElectionNotNeeded {
                results.push((*id, error));
            }
        }
        results
    }

    /// Replicas of a broker are gone, though the broker is there.
    fn lose_replicas(
        &mut self,
        broker: ServerId,
        reason: ChangeReason,
        concerns: impl Fn(PartitionId, &PartitionRegistration) -> bool,
    ) {
        let moved = BrokerMove {
            removed: Some(broker),
            ..BrokerMove::default()
        };
        self.update_leaders_and_isrs(moved, reason, concerns);
    }

    /// `handleAssignReplicasToDirs`: a broker says in which directory its replicas are. Those in a directory that the
    /// registered process does not have are gone.
    ///
    /// # Errors
    /// STALE_BROKER_EPOCH if this is not the registered process.
    pub(super) fn assign_replicas(
        &mut self,
        request: &AssignReplicasToDirsRequest,
    ) -> Result<Vec<(PartitionId, ErrorCode)>, ErrorCode> {
        let broker = request.identity.broker;
        self.state.check_broker_epoch(broker, request.identity.epoch)?;
        let reason = ChangeReason::DirectoryAssigned(broker);
        let is_active = |replica| self.state.image.is_active(replica);
        let mut results = Vec::with_capacity(request.partitions.len());
        for id in &request.partitions {
            let error = match self.state.image.partition(*id) {
                None => ErrorCode::UnknownTopicOrPartition,
                Some(partition) if !partition.replicas.contains(&broker) => ErrorCode::NotLeaderOrFollower,
                Some(partition) => {
                    let change = self.build(*id, partition, reason, &is_active, |builder| {
                        builder.directory(broker, request.directory)
                    });
                    if let Some(change) = change {
                        self.push(*id, change);
                    }
                    ErrorCode::None
                }
            };
            results.push((*id, error));
        }
        let registered = self.state.image.broker(broker);
        if !registered.is_some_and(|registered| registered.has_online_directory(request.directory)) {
            self.lose_replicas(broker, reason, |id, _| results.contains(&(id, ErrorCode::None)));
        }
        Ok(results)
    }

    /// `electLeader`: an election that somebody asked for, whatever the topic's setting.
    pub(super) fn elect(&mut self, id: PartitionId, kind: ElectionType, reason: ChangeReason) -> ErrorCode {
        let Some(partition) = self.state.image.partition(id) else {
            return ErrorCode::UnknownTopicOrPartition;
        };
        let (needless, kind, failed) = match kind {
            ElectionType::Preferred => (
                partition.leader == partition.replicas.first().copied(),
                ElectionKind::Preferred,
                ErrorCode::PreferredLeaderNotAvailable,
            ),
            ElectionType::Unclean => (
                partition.leader.is_some(),
                ElectionKind::Unclean,
                ErrorCode::EligibleLeadersNotAvailable,
            ),
        };
        if needless {
            return ErrorCode::ElectionNotNeeded;
        }
        let is_active = |replica| self.state.image.is_active(replica);
        match self.build(id, partition, reason, &is_active, |builder| {
            builder.election(kind)
        }) {
            Some(change) => {
                self.push(id, change);
                ErrorCode::None
            }
            None => failed,
        }
    }

    /// `maybeBalancePartitionLeaders`. True if there may be more to elect.
    pub(super) fn elect_preferred_leaders(&mut self) -> bool {
        let partitions = self.state.image.partitions();
        for (id, _) in partitions {
            if self.records.len() >= MAX_ELECTIONS_PER_EVENT {
                return true;
            }
            self.elect(id, ElectionType::Preferred, ChangeReason::PreferredElection);
        }
        false
    }

    /// `maybeElectUncleanLeaders`. True if there may be more to elect.
    pub(super) fn elect_unclean_leaders(&mut self) -> bool {
        for (id, partition) in self.state.leaderless() {
            if self.records.len() >= MAX_ELECTIONS_PER_EVENT {
                return true;
            }
            if self.is_unclean_election_enabled(partition.topic) {
                self.elect(id, ElectionType::Unclean, ChangeReason::UncleanElection);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
