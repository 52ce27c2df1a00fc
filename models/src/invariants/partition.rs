//! What the judges keep of one partition.

use crate::ids::{LeaderEpoch, Offset, PartitionId, RecordId, ServerId, TopicId};
use crate::metadata::PartitionRegistration;
use crate::notes::{ChangeReason, Election};

use super::committed::CommittedLog;
use super::replica_log::ReplicaLog;

/// A leader that the controller chose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elected {
    pub(super) epoch: LeaderEpoch,
    pub(super) leader: ServerId,
    pub(super) how: Option<Election>,
    pub(super) by_operator: bool,
    pub(super) topic: TopicId,
    /// It had been the only member of the ISR before.
    pub(super) alone: bool,
}

/// The record that an offset named first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) record: RecordId,
    pub(super) read: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Partition {
    pub(super) id: PartitionId,
    pub(super) registration: Option<PartitionRegistration>,
    /// By server id.
    pub(super) logs: Vec<ReplicaLog>,
    pub(super) committed: CommittedLog,
    pub(super) elections: Vec<Elected>,
    /// Who led in each epoch, by the brokers' own word and the controller's.
    pub(super) leaders: Vec<Option<ServerId>>,
    /// The newest epoch in which a broker has begun to lead.
    pub(super) leading: Option<(LeaderEpoch, ServerId)>,
    /// By offset.
    pub(super) names: Vec<Option<Name>>,
}

impl Partition {
    pub(super) fn reset(&mut self, id: PartitionId, servers: usize) {
        self.id = id;
        self.registration = None;
        self.logs.iter_mut().for_each(ReplicaLog::reset);
        self.logs.resize_with(servers + 1, ReplicaLog::default);
        self.committed.reset();
        self.elections.clear();
        self.leaders.clear();
        self.leading = None;
        self.names.clear();
    }

    #[inline]
    pub(super) fn log(&mut self, server: ServerId) -> &mut ReplicaLog {
        &mut self.logs[usize::from(server.0)]
    }

    /// Whether a leader of this epoch has been followed by a later one.
    #[inline]
    pub(super) fn is_stale(&self, epoch: LeaderEpoch) -> bool {
        self.leading.is_some_and(|(leading, _)| leading > epoch)
    }

    /// The election of an epoch, if the controller told of it.
    pub(super) fn election(&self, epoch: LeaderEpoch) -> Option<&Elected> {
        self.elections.iter().rev().find(|elected| elected.epoch == epoch)
    }

    /// Takes in a change that the controller told of. False if it is an old one.
    pub(super) fn register(
        &mut self,
        next: &PartitionRegistration,
        reason: ChangeReason,
        election: Option<Election>,
    ) -> bool {
        let before = self.registration.as_ref();
        if before.is_some_and(|before| before.partition_epoch >= next.partition_epoch) {
            return false;
        }
        let epoch = before.map(|before| before.leader_epoch);
        if let Some(leader) = next.leader
            && (epoch != Some(next.leader_epoch) || election.is_some())
        {
            self.elections.push(Elected {
                epoch: next.leader_epoch,
                leader,
                how: election,
                topic: next.topic,
                by_operator: reason == ChangeReason::Operator,
                alone: before.is_some_and(|before| before.isr.as_slice() == [leader]),
            });
        }
        match &mut self.registration {
            Some(known) => known.clone_from(next),
            None => self.registration = Some(next.clone()),
        }
        true
    }

    /// Moves on every log's agreement with the committed log from where it stood.
    #[inline]
    pub(super) fn agree(&mut self) {
        let committed = &self.committed;
        for log in &mut self.logs {
            while let (Some(batch), Some(held)) = (committed.get(log.good), log.at(log.good)) {
                if !super::replica_log::same(batch, held) {
                    break;
                }
                log.good += 1;
            }
            if log.lossy && log.loaded && log.good == committed.len() {
                log.lossy = false;
            }
        }
    }

    /// The names of so many offsets from this one on; of none, if no log of a trial reaches them: such nonsense is
    /// told of elsewhere.
    pub(super) fn names(&mut self, from: Offset, count: usize) -> &mut [Option<Name>] {
        let end = from.0.saturating_add(count as u64);
        if end > 1 << 28 {
            return &mut [];
        }
        let (first, end) = (from.0 as usize, end as usize);
        if end > self.names.len() {
            self.names.resize(end, None);
        }
        &mut self.names[first..end]
    }
}
