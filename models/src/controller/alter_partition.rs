//! A leader proposes another ISR (`ReplicationControlManager.alterPartition`).
//!
//! | checked, in this order | answer |
//! |---|---|
//! | the sender is not the registered process of that broker | STALE_BROKER_EPOCH, for the whole request |
//! | no such topic (ids stand for topic instances, whose partitions all come at once) | UNKNOWN_TOPIC_ID |
//! | leader epoch, then partition epoch, larger than known here: this controller is behind | NOT_CONTROLLER |
//! | leader epoch smaller | FENCED_LEADER_EPOCH |
//! | the sender does not lead | INVALID_REQUEST |
//! | partition epoch smaller | INVALID_UPDATE_VERSION |
//! | the ISR has strangers or doubles, or lacks the leader | INVALID_REQUEST |
//! | RECOVERING with others in the ISR, or back to RECOVERING | INVALID_REQUEST |
//! | a member is not registered, shuts down, is fenced (KIP-841), or is another process than the one the leader measured (KIP-903) | INELIGIBLE_REPLICA |
//! | the change gave the partition another leader | NEW_LEADER_ELECTED, and the change stands |

use crate::controller::changes::Changes;
use crate::ids::{BrokerEpoch, ServerId, Servers};
use crate::metadata::{LeaderRecoveryState, PartitionChange, PartitionRegistration};
use crate::mutation::Mutation;
use crate::notes::ChangeReason;
use crate::protocol::{AlterPartitionProposal, AlterPartitionRequest, AlterPartitionResult, ErrorCode};

impl Changes<'_> {
    /// Answers a request and collects the changes it leads to.
    ///
    /// # Errors
    /// STALE_BROKER_EPOCH for the request as a whole.
    pub(super) fn alter_partitions(
        &mut self,
        request: &AlterPartitionRequest,
    ) -> Result<Vec<AlterPartitionResult>, ErrorCode> {
        let sender = request.identity;
        self.state.check_broker_epoch(sender.broker, sender.epoch)?;
        let proposals = request.partitions.iter();
        Ok(proposals
            .map(|proposal| self.alter_partition(sender.broker, proposal))
            .collect())
    }

    fn alter_partition(
        &mut self,
        sender: ServerId,
        proposal: &AlterPartitionProposal,
    ) -> AlterPartitionResult {
        let Some(partition) = self.state.image.partition(proposal.partition) else {
            return refusal(proposal, ErrorCode::UnknownTopicId);
        };
        if let Err(error) = self.validate(sender, partition, proposal) {
            return refusal(proposal, error);
        }
        let mut after = partition.clone();
        let change = self.build_altered(partition, proposal);
        if let Some(change) = change {
            after.merge(&change);
            let another = matches!(change.leader, Some(leader) if leader != Some(sender));
            self.push(proposal.partition, change);
            if another {
                return refusal(proposal, ErrorCode::NewLeaderElected);
            }
        }
        AlterPartitionResult {
            partition: proposal.partition,
            error: ErrorCode::None,
            leader: after.leader,
            leader_epoch: after.leader_epoch,
            isr: after.isr,
            recovery: after.recovery,
            partition_epoch: after.partition_epoch,
        }
    }

    fn build_altered(
        &self,
        partition: &PartitionRegistration,
        proposal: &AlterPartitionProposal,
    ) -> Option<PartitionChange> {
        let isr: Servers = proposal.isr.iter().map(|(replica, _)| *replica).collect();
        let kind = self.election_kind(partition.topic);
        let is_active = |replica| self.state.image.is_active(replica);
        let reason = ChangeReason::AlterPartition;
        self.build(proposal.partition, partition, reason, &is_active, |builder| {
            builder
                .election(kind)
                .target_isr(isr)
                .target_recovery(proposal.recovery)
        })
    }

    fn validate(
        &self,
        sender: ServerId,
        partition: &PartitionRegistration,
        proposal: &AlterPartitionProposal,
    ) -> Result<(), ErrorCode> {
        if proposal.leader_epoch > partition.leader_epoch
            || proposal.partition_epoch > partition.partition_epoch
        {
            return Err(ErrorCode::NotController);
        }
        if proposal.leader_epoch < partition.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if partition.leader != Some(sender) {
            return Err(ErrorCode::InvalidRequest);
        }
        if proposal.partition_epoch < partition.partition_epoch {
            return Err(ErrorCode::InvalidUpdateVersion);
        }
        if !is_valid_isr(partition, proposal) || !has_valid_recovery(partition, proposal) {
            return Err(ErrorCode::InvalidRequest);
        }
        let mut members = proposal.isr.iter();
        match members.all(|(replica, epoch)| self.may_join(*replica, *epoch)) {
            true => Ok(()),
            false => Err(ErrorCode::IneligibleReplica),
        }
    }

    fn may_join(&self, replica: ServerId, measured: Option<BrokerEpoch>) -> bool {
        let Some(registration) = self.state.image.broker(replica) else {
            return false;
        };
        let same_process = measured.is_none_or(|epoch| epoch == registration.epoch)
            || self.specification.mutations.has(Mutation::IgnoreBrokerEpochs);
        registration.is_active() && same_process
    }
}

fn is_valid_isr(partition: &PartitionRegistration, proposal: &AlterPartitionProposal) -> bool {
    let isr = &proposal.isr;
    let is_member = |replica: ServerId| isr.iter().any(|(member, _)| *member == replica);
    let doubled = |index: usize| isr[..index].iter().any(|(member, _)| *member == isr[index].0);
    let mut members = isr.iter().enumerate();
    members.all(|(index, (member, _))| partition.replicas.contains(member) && !doubled(index))
        && partition.leader.is_some_and(is_member)
}

fn has_valid_recovery(partition: &PartitionRegistration, proposal: &AlterPartitionProposal) -> bool {
    proposal.recovery == LeaderRecoveryState::Recovered
        || proposal.isr.len() <= 1 && partition.recovery == LeaderRecoveryState::Recovering
}

fn refusal(proposal: &AlterPartitionProposal, error: ErrorCode) -> AlterPartitionResult {
    AlterPartitionResult {
        partition: proposal.partition,
        error,
        leader: None,
        leader_epoch: proposal.leader_epoch,
        isr: Servers::new(),
        recovery: proposal.recovery,
        partition_epoch: proposal.partition_epoch,
    }
}

#[cfg(test)]
mod tests;
