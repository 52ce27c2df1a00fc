//! ISR changes on their way to the controller (`DefaultAlterPartitionManager`).
//!
//! One proposal a partition, all of them in one request, one request in flight. An error of the whole request:
//! again after 50 ms (monotonic), for as long as it takes; there is no time-out but the connection's. A partition's
//! own result, good or bad, completes its proposal.

use std::collections::VecDeque;

use ktrial_sim::{Context, Duration};

use crate::broker::controller_channel::{ControllerChannel, ControllerLine, ControllerSender, Outcome};
use crate::broker::slots;
use crate::ids::PartitionId;
use crate::kafka::Kafka;
use crate::protocol::{
    AlterPartitionProposal, AlterPartitionRequest, AlterPartitionResult, BrokerIdentity, Request, Response,
};
use crate::specification::ClusterSpecification;

const RETRY: Duration = Duration::millis(50);

/// A proposal and what the controller said to it.
pub type Completion = (AlterPartitionProposal, AlterPartitionResult);

/// See the module.
pub struct AlterPartitions {
    channel: ControllerChannel<()>,
    /// Sorted by partition; what is in flight stays here until it is answered.
    unsent: Vec<AlterPartitionProposal>,
    /// Which proposals the request in flight carries.
    sent: Vec<AlterPartitionProposal>,
    in_flight: bool,
    completions: VecDeque<Completion>,
}

impl AlterPartitions {
    /// Nothing to propose yet.
    pub fn new(specification: &ClusterSpecification) -> Self {
        let settings = &specification.broker;
        AlterPartitions {
            channel: ControllerChannel::new(slots::ALTER_CHANNEL, Duration::FOREVER, settings),
            unsent: Vec::new(),
            sent: Vec::new(),
            in_flight: false,
            completions: VecDeque::new(),
        }
    }

    /// Takes a proposal. False if one of this partition is still on its way (OPERATION_NOT_ATTEMPTED).
    pub fn submit(
        &mut self,
        proposal: AlterPartitionProposal,
        identity: BrokerIdentity,
        context: &mut Context<'_, Kafka>,
    ) -> bool {
        match self.position(proposal.partition) {
            Ok(_) => return false,
            Err(index) => self.unsent.insert(index, proposal),
        }
        self.propagate(identity, context);
        true
    }

    /// The partition of the next completed proposal.
    pub fn next_completion(&self) -> Option<PartitionId> {
        Some(self.completions.front()?.0.partition)
    }

    /// The next completed proposal.
    pub fn take_completion(&mut self) -> Option<Completion> {
        self.completions.pop_front()
    }

    /// Sends everything unless a request is in flight: after a completed one, or 50 ms after a failed one.
    pub fn propagate(&mut self, identity: BrokerIdentity, context: &mut Context<'_, Kafka>) {
        if self.in_flight || self.unsent.is_empty() {
            return;
        }
        self.in_flight = true;
        self.sent.clone_from(&self.unsent);
        let request = AlterPartitionRequest {
            identity,
            partitions: self.sent.iter().cloned().collect(),
        };
        self.channel
            .send((), Request::AlterPartition(Box::new(request)), context);
    }

    /// Sends nothing any more.
    pub fn shut_down(&mut self, context: &mut Context<'_, Kafka>) {
        self.unsent.clear();
        self.channel.shut_down(context);
        context.clear_timer(slots::ALTER_RETRY);
    }

    fn complete(&mut self, results: &[AlterPartitionResult]) {
        for proposal in std::mem::take(&mut self.sent) {
            let Some(result) = results
                .iter()
                .find(|result| result.partition == proposal.partition)
            else {
                continue;
            };
            if let Ok(index) = self.position(proposal.partition) {
                self.unsent.remove(index);
            }
            self.completions.push_back((proposal, result.clone()));
        }
    }

    fn position(&self, partition: PartitionId) -> Result<usize, usize> {
        self.unsent
            .binary_search_by_key(&partition, |unsent| unsent.partition)
    }
}

impl ControllerSender for AlterPartitions {
    fn line(&mut self) -> &mut dyn ControllerLine {
        &mut self.channel
    }

    /// The caller takes the completions and then propagates what is left, if there were any.
    fn settle(&mut self, context: &mut Context<'_, Kafka>) {
        while let Some(outcome) = self.channel.take_outcome() {
            self.in_flight = false;
            match outcome {
                Outcome::Answered((), Response::AlterPartition(Ok(results))) => self.complete(&results),
                Outcome::Answered(..) | Outcome::TimedOut(()) => {
                    context.set_timer(slots::ALTER_RETRY, RETRY);
                }
            }
        }
    }
}
