//! ISR changes between partitions and the controller, and the periodic look for followers that lag
//! (`ReplicaManager.maybeShrinkIsr`, `Partition.submitAlterPartition`).

use ktrial_sim::{Context, Duration};

use crate::broker::metadata_cache::View;
use crate::broker::partition::AlterPartitionOutcome;
use crate::broker::{Broker, slots};
use crate::cuts;
use crate::ids::PartitionId;
use crate::kafka::Kafka;
use crate::protocol::{AlterPartitionProposal, ErrorCode};

impl Broker {
    /// Sends a partition's proposal to the controller.
    pub(super) fn propose(&mut self, proposal: AlterPartitionProposal, context: &mut Context<'_, Kafka>) {
        let (id, identity) = (proposal.partition, self.identity());
        if self.alter.submit(proposal.clone(), identity, context) {
            return;
        }
        // OPERATION_NOT_ATTEMPTED: an older proposal is still on its way; like a rejection.
        let view = View {
            image: &self.image,
            own_epoch: self.lifecycle.epoch(),
        };
        if let Some(partition) = self.partitions.get_mut(id) {
            partition.complete_alter_partition(&proposal, Err(ErrorCode::IneligibleReplica), &view, context);
        }
    }

    /// Whether what the controller answered waits for a partition's lock.
    pub(super) fn isr_waits(&self, id: PartitionId) -> bool {
        let next = self.alter.next_completion();
        next == Some(id) && self.locks.is_appending(id)
    }

    /// Completes what the controller answered. Kafka does so under the partition's lock: the thread of the channel
    /// waits for an append that holds it, and what comes behind waits too.
    pub(super) fn settle_alter(&mut self, context: &mut Context<'_, Kafka>) {
        let mut any = false;
        loop {
            if self
                .alter
                .next_completion()
                .is_some_and(|id| self.locks.is_appending(id))
            {
                return;
            }
            let Some((proposal, result)) = self.alter.take_completion() else {
                break;
            };
            any = true;
            let id = proposal.partition;
            let view = View {
                image: &self.image,
                own_epoch: self.lifecycle.epoch(),
            };
            let Some(partition) = self.partitions.get_mut(id) else {
                continue;
            };
            match partition.complete_alter_partition(&proposal, Ok(&result), &view, context) {
                AlterPartitionOutcome::Committed {
                    high_watermark_moved: true,
                } => self.complete_delayed(id, context),
                AlterPartitionOutcome::Retry => self.propose(proposal, context),
                AlterPartitionOutcome::Committed { .. }
                | AlterPartitionOutcome::Ignored
                | AlterPartitionOutcome::Rejected
                | AlterPartitionOutcome::AwaitsMetadata => {}
            }
        }
        if any {
            self.alter.propagate(self.identity(), context);
        }
    }

    /// `isr-expiration`, every half `replica.lag.time.max.ms`.
    pub(super) fn isr_expiration(&mut self, context: &mut Context<'_, Kafka>) {
        let half = Duration::millis(self.specification.broker.replica_lag_time_max_ms.as_millis() / 2);
        Self::again(slots::ISR_EXPIRATION, half, context);
        self.shrink_isrs(0, context);
    }

    /// Looks at the ISRs from partition number `from` on.
    pub(super) fn shrink_isrs(&mut self, from: u32, context: &mut Context<'_, Kafka>) {
        for index in from..self.image.partition_numbers() {
            let view = View {
                image: &self.image,
                own_epoch: self.lifecycle.epoch(),
            };
            let Some(partition) = self.partitions.get_mut(PartitionId(index)) else {
                continue;
            };
            let proposal = (!partition.log().is_offline())
                .then(|| partition.maybe_shrink_isr(&view, context))
                .flatten();
            if let Some(proposal) = proposal {
                self.propose(proposal, context);
            }
            let passage = u64::from(self.id.0) << 48 | context.monotonic().millis() << 16 | u64::from(index);
            if let Some(open) = context.cut(cuts::SHRINK_NEXT_PARTITION, passage) {
                context.alarm(slots::SHRINK | (index + 1), open);
                return;
            }
        }
    }
}
