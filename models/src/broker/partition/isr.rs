//! The ISR: who joins, who leaves, and what becomes of proposals (AlterPartition, KIP-497).

use super::{ClusterView, Partition, Pending, Replica, ReplicaReference};
use crate::ids::{ServerId, Servers};
use crate::log::Machine;
use crate::mutation::Mutation;
use crate::notes::{LeaderNote, Note};
use crate::protocol::{AlterPartitionProposal, AlterPartitionResult, ErrorCode};

/// What became of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlterPartitionOutcome {
    /// It is not the current one any more, or metadata has overtaken the answer.
    Ignored,
    /// The answer is the state from now on.
    Committed {
        /// The high watermark moved: parked requests are looked at.
        high_watermark_moved: bool,
    },
    /// The controller does not want it: back to the committed state, free to propose again.
    Rejected,
    /// This leader's state is out of date: nothing is proposed before metadata arrives.
    AwaitsMetadata,
    /// The same proposal is to be sent again.
    Retry,
}

impl Partition {
    /// Proposes that a follower joins the ISR, if it has caught up: it has reached the high watermark and the
    /// start of the leader's epoch, may join, and no other proposal is on its way. It counts at once for the high
    /// watermark. Kafka checks under the read lock and again under the write lock; nothing can come between here.
    #[inline]
    pub fn maybe_expand_isr(
        &mut self,
        replica: ReplicaReference,
        view: &impl ClusterView,
        machine: &mut impl Machine,
    ) -> Option<AlterPartitionProposal> {
        if self.pending.is_some() || self.isr.contains(&replica.server) || !self.is_leader() {
            return None;
        }
        let state = self.replica_by(replica)?;
        if !state.is_isr_eligible(view) || !self.is_follower_in_sync(state) {
            return None;
        }
        let mut isr = self.isr.clone();
        isr.insert(
            isr.partition_point(|member| *member < replica.server),
            replica.server,
        );
        Some(self.propose(isr, Some(replica.server), view, machine))
    }

    fn is_follower_in_sync(&self, replica: &Replica) -> bool {
        let reached_epoch = self.mutations.has(Mutation::JoinIsrBelowEpochStart)
            || replica.log_end >= self.leader_epoch_start;
        replica.log_end >= Some(self.log.high_watermark()) && reached_epoch
    }

    /// Proposes that followers leave the ISR that have not caught up for `replica.lag.time.max.ms` by this
    /// leader's wall clock. They count until the controller has agreed.
    pub fn maybe_shrink_isr(
        &mut self,
        view: &impl ClusterView,
        machine: &mut impl Machine,
    ) -> Option<AlterPartitionProposal> {
        if self.pending.is_some() || !self.is_leader() {
            return None;
        }
        let (now, end) = (machine.wall(), self.log.end());
        let in_sync = |server: &ServerId| {
            *server == self.me
                || self
                    .replica(*server)
                    .is_some_and(|replica| replica.is_caught_up(end, now, self.replica_lag_time_max))
        };
        let isr: Servers = self
            .isr
            .iter()
            .filter(|server| in_sync(server))
            .copied()
            .collect();
        if isr.len() == self.isr.len() {
            return None;
        }
        Some(self.propose(isr, None, view, machine))
    }

    fn propose(
        &mut self,
        isr: Servers,
        joins: Option<ServerId>,
        view: &impl ClusterView,
        machine: &mut impl Machine,
    ) -> AlterPartitionProposal {
        let partition_epoch = self.partition_epoch.unwrap_or_default();
        let broker_epoch = |server: ServerId| match server == self.me {
            true => view.own_epoch(),
            false => self.replica(server).and_then(|replica| replica.broker_epoch),
        };
        let sent = AlterPartitionProposal {
            partition: self.id,
            leader_epoch: self.leader_epoch.unwrap_or_default(),
            partition_epoch,
            isr: isr
                .iter()
                .map(|server| (*server, broker_epoch(*server)))
                .collect(),
            recovery: self.recovery,
        };
        self.pending = Some(Pending {
            sent: sent.clone(),
            joins,
        });
        let proposed = LeaderNote::ProposedIsr { isr, partition_epoch };
        machine.tell(Note::Leader(self.id, proposed));
        sent
    }

    /// The controller answered a proposal, or the broker gave up sending it with an error. `sent` tells whether
    /// it is still the current one; Kafka compares the contents too.
    pub fn complete_alter_partition(
        &mut self,
        sent: &AlterPartitionProposal,
        answer: Result<&AlterPartitionResult, ErrorCode>,
        view: &impl ClusterView,
        machine: &mut impl Machine,
    ) -> AlterPartitionOutcome {
        if self.pending().is_none_or(|pending| pending != sent) {
            return AlterPartitionOutcome::Ignored;
        }
        let answer = answer.and_then(|answer| match answer.error {
            ErrorCode::None => Ok(answer),
            error => Err(error),
        });
        match answer {
            Ok(answer) => self.commit(answer, view, machine),
            Err(ErrorCode::IneligibleReplica) => {
                self.pending = None;
                AlterPartitionOutcome::Rejected
            }
            Err(
                ErrorCode::UnknownTopicOrPartition
                | ErrorCode::UnknownTopicId
                | ErrorCode::FencedLeaderEpoch
                | ErrorCode::InvalidUpdateVersion
                | ErrorCode::InvalidRequest
                | ErrorCode::NewLeaderElected,
            ) => AlterPartitionOutcome::AwaitsMetadata,
            Err(_) => AlterPartitionOutcome::Retry,
        }
    }

    fn commit(
        &mut self,
        answer: &AlterPartitionResult,
        view: &impl ClusterView,
        machine: &mut impl Machine,
    ) -> AlterPartitionOutcome {
        if Some(answer.leader_epoch) != self.leader_epoch
            || Some(answer.partition_epoch) < self.partition_epoch
        {
            return AlterPartitionOutcome::Ignored;
        }
        let committed = LeaderNote::IsrCommitted {
            isr: answer.isr.clone(),
            partition_epoch: answer.partition_epoch,
            shrunk: self.joining().is_none(),
        };
        machine.tell(Note::Leader(self.id, committed));
        self.isr.clone_from(&answer.isr);
        self.recovery = answer.recovery;
        self.partition_epoch = Some(answer.partition_epoch);
        self.pending = None;
        let now = machine.wall();
        let moved = self.is_leader() && self.maybe_increment_high_watermark(now, view, machine);
        AlterPartitionOutcome::Committed {
            high_watermark_moved: moved,
        }
    }
}
