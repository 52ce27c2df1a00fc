//! What becomes of one partition: its ELR, its leader, its ISR, in Kafka's order (`PartitionChangeBuilder`).
//!
//! | step | rule (KIP-966 and before) |
//! |---|---|
//! | ELR | if the ISR has min.insync.replicas members: none. Else everybody who was in ELR or ISR, without the new ISR and without who stopped uncleanly |
//! | election | the leader stays if it is valid; else the first valid replica; else the last known leader; else, if unclean election is allowed, the first acceptable replica; else none |
//! | leader epoch | grows whenever the leader field is written (since metadata.version 3.6 not for a smaller ISR) |
//! | last known leader | kept from the change that leaves the partition without leader to the one that gives it one |
//!
//! Valid is who is acceptable (active, its directory online) and in the ISR, or in the ELR while the ISR is empty.

use crate::ids::{DirectoryId, ServerId, Servers};
use crate::metadata::{LeaderRecoveryState, PartitionChange, PartitionRegistration};
use crate::notes::{ChangeReason, Election};

/// Which leaders may be elected (`PartitionChangeBuilder.Election`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionKind {
    /// The first replica if it is valid, else as [`ElectionKind::Online`].
    Preferred,
    /// Only who is valid, or the last known leader.
    Online,
    /// If there is nobody else: any acceptable replica.
    Unclean,
}

/// Turns what is wanted of a partition into a change record.
pub struct PartitionChangeBuilder<'a> {
    partition: &'a PartitionRegistration,
    /// Who may lead as far as brokers and directories go (`LeaderAcceptor`).
    is_acceptable_leader: &'a dyn Fn(ServerId) -> bool,
    /// min.insync.replicas, capped by the number of replicas.
    min_isr: u32,
    eligible_leader_replicas: bool,
    kind: ElectionKind,
    unclean_shutdown: Option<ServerId>,
    target_isr: Servers,
    target_elr: Servers,
    target_recovery: LeaderRecoveryState,
    directory: Option<(ServerId, DirectoryId)>,
}

impl<'a> PartitionChangeBuilder<'a> {
    /// Wants nothing yet but a leader, by [`ElectionKind::Online`].
    pub fn new(
        partition: &'a PartitionRegistration,
        is_acceptable_leader: &'a dyn Fn(ServerId) -> bool,
        min_isr: u32,
        eligible_leader_replicas: bool,
    ) -> Self {
        PartitionChangeBuilder {
            partition,
            is_acceptable_leader,
            min_isr,
            eligible_leader_replicas,
            kind: ElectionKind::Online,
            unclean_shutdown: None,
            target_isr: partition.isr.clone(),
            target_elr: partition.elr.clone(),
            target_recovery: partition.recovery,
            directory: None,
        }
    }

    /// In which directory a replica is from now on. Whether it may lead is still asked of the directory before.
    pub fn directory(mut self, replica: ServerId, directory: DirectoryId) -> Self {
        self.directory = Some((replica, directory));
        self
    }

    /// Which leaders may be elected.
    pub fn election(mut self, kind: ElectionKind) -> Self {
        self.kind = kind;
        self
    }

    /// The wanted ISR, in any order.
    pub fn target_isr(mut self, mut isr: Servers) -> Self {
        isr.sort_unstable();
        self.target_isr = isr;
        self
    }

    /// The wanted recovery state.
    pub fn target_recovery(mut self, recovery: LeaderRecoveryState) -> Self {
        self.target_recovery = recovery;
        self
    }

    /// A replica whose log may have lost records: it cannot be in the ELR.
    pub fn unclean_shutdown(mut self, replica: Option<ServerId>) -> Self {
        self.unclean_shutdown = replica;
        self
    }

    /// The change, if there is anything to change.
    pub fn build(mut self, reason: ChangeReason) -> Option<PartitionChange> {
        let mut change = PartitionChange::default();
        self.populate_target_elr();
        self.try_election(&mut change);
        self.update_elr(&mut change);
        // Without ELR an ISR never becomes empty: its last member stays, fenced or dead.
        let allowed = !self.target_isr.is_empty() || self.eligible_leader_replicas;
        if change.isr.is_none() && allowed && self.target_isr != self.partition.isr {
            change.isr = Some(self.target_isr.clone());
        }
        self.update_last_known_leader(&mut change);
        if self.target_recovery != self.partition.recovery {
            change.recovery = Some(self.target_recovery);
        }
        change.directory = self.directory.filter(|(replica, directory)| {
            self.partition
                .directory(*replica)
                .is_some_and(|known| known != *directory)
        });
        change.reason = Some(reason);
        (!change.is_no_op()).then_some(change)
    }

    fn populate_target_elr(&mut self) {
        if !self.eligible_leader_replicas {
            return;
        }
        if self.target_isr.len() as u32 >= self.min_isr {
            self.target_elr.clear();
            return;
        }
        for replica in &self.partition.isr {
            if !self.target_elr.contains(replica) {
                self.target_elr.push(*replica);
            }
        }
        let (isr, unclean) = (&self.target_isr, self.unclean_shutdown);
        self.target_elr
            .retain(|replica| !isr.contains(replica) && unclean != Some(*replica));
        self.target_elr.sort_unstable();
    }

    fn try_election(&mut self, change: &mut PartitionChange) {
        let (elected, how) = self.elect();
        if elected == self.partition.leader {
            return;
        }
        change.leader = Some(elected);
        change.election = elected.map(|_| how);
        let Some(leader) = elected else { return };
        let only: Servers = [leader].into_iter().collect();
        if self.target_elr.contains(&leader) {
            self.target_isr = only.clone();
            self.target_elr.retain(|replica| *replica != leader);
            if how == Election::FromIsr {
                change.election = Some(Election::FromElr);
            }
        }
        if matches!(how, Election::LastKnownLeader | Election::Unclean) {
            change.isr = Some(only);
            if self.partition.recovery != LeaderRecoveryState::Recovering {
                change.recovery = Some(LeaderRecoveryState::Recovering);
            }
        }
    }

    /// The leader to be, and whether it comes from the ISR (or ELR), or from nowhere safe.
    fn elect(&self) -> (Option<ServerId>, Election) {
        let replicas = &self.partition.replicas;
        let leader = self.partition.leader.filter(|leader| self.is_valid(*leader));
        let preferred = (self.kind == ElectionKind::Preferred)
            .then(|| replicas.first().copied())
            .flatten()
            .filter(|replica| self.is_valid(*replica));
        let online = || replicas.iter().copied().find(|replica| self.is_valid(*replica));
        if let Some(valid) = preferred.or(leader).or_else(online) {
            return (Some(valid), Election::FromIsr);
        }
        if let Some(last_known) = self.last_known_leader() {
            return (Some(last_known), Election::LastKnownLeader);
        }
        if self.kind == ElectionKind::Unclean {
            let any = replicas
                .iter()
                .find(|replica| (self.is_acceptable_leader)(**replica));
            return (any.copied(), Election::Unclean);
        }
        (None, Election::FromIsr)
    }

    fn is_valid(&self, replica: ServerId) -> bool {
        let eligible = self.target_isr.contains(&replica)
            || self.target_isr.is_empty() && self.target_elr.contains(&replica);
        eligible && (self.is_acceptable_leader)(replica)
    }

    /// The stored last known leader, if ISR and ELR are empty by now and it may lead.
    fn last_known_leader(&self) -> Option<ServerId> {
        let nobody_else = self.target_isr.is_empty() && self.target_elr.is_empty();
        self.partition.last_known_elr.filter(|last_known| {
            self.eligible_leader_replicas && nobody_else && (self.is_acceptable_leader)(*last_known)
        })
    }

    fn update_elr(&mut self, change: &mut PartitionChange) {
        let unclean = change.isr.is_some();
        if unclean || !self.eligible_leader_replicas {
            self.target_elr.clear();
        }
        if self.target_elr != self.partition.elr {
            change.elr = Some(self.target_elr.clone());
        }
    }

    fn update_last_known_leader(&self, change: &mut PartitionChange) {
        if !self.eligible_leader_replicas {
            return;
        }
        match change.leader {
            Some(None) if self.partition.last_known_elr.is_none() => {
                change.last_known_elr = Some(self.partition.leader);
            }
            Some(Some(_)) if self.partition.last_known_elr.is_some() => change.last_known_elr = Some(None),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
