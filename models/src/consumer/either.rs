//! `KafkaConsumer`: one client or the other, by `group.protocol` (`ConsumerDelegateCreator`).

use std::sync::Arc;

use ktrial_sim::{Duration, Input, Time};

use super::{AsyncConsumer, ClassicConsumer, Exception};
use crate::application::{Callback, ConsumerClient, Event, Positions, Woken};
use crate::client::Environment;
use crate::config::GroupProtocol;
use crate::ids::{GenerationId, PartitionId};
use crate::kafka::Kafka;
use crate::protocol::CommittedOffset;
use crate::reader::core::Handed;
use crate::specification::{ClusterSpecification, ConsumerSpecification};

/// A consumer of a group of either protocol.
#[derive(Debug)]
pub enum KafkaConsumer {
    /// `group.protocol=classic`.
    Classic(Box<ClassicConsumer>),
    /// `group.protocol=consumer`.
    Async(Box<AsyncConsumer>),
}

/// The same call of either client.
macro_rules! either {
    ($client:expr, $name:ident($($argument:expr),*)) => {
        match $client {
            KafkaConsumer::Classic(client) => client.$name($($argument),*),
            KafkaConsumer::Async(client) => client.$name($($argument),*),
        }
    };
}

impl ConsumerClient for KafkaConsumer {
    fn new(
        cluster: &Arc<ClusterSpecification>,
        specification: &Arc<ConsumerSpecification>,
        now: Time,
    ) -> Self {
        match specification.member.group_protocol {
            GroupProtocol::Classic => {
                KafkaConsumer::Classic(Box::new(ClassicConsumer::new(cluster, specification, now)))
            }
            GroupProtocol::Consumer => {
                KafkaConsumer::Async(Box::new(AsyncConsumer::new(cluster, specification, now)))
            }
        }
    }

    fn poll(&mut self, timeout: Duration, environment: &mut impl Environment) {
        either!(self, poll(timeout, environment));
    }

    fn commit_sync(&mut self, offsets: &Positions, environment: &mut impl Environment) {
        either!(self, commit_sync(offsets, environment));
    }

    fn close(&mut self, timeout: Duration, environment: &mut impl Environment) {
        either!(self, close(timeout, environment));
    }

    fn run(&mut self, environment: &mut impl Environment) -> Option<Event> {
        either!(self, run(environment))
    }

    fn commit_async(
        &mut self,
        offsets: &Positions,
        environment: &mut impl Environment,
    ) -> Result<(), Exception> {
        either!(self, commit_async(offsets, environment))
    }

    fn take_records(&mut self, records: &mut Vec<Handed>) {
        either!(self, take_records(records));
    }

    fn take_told(&mut self, callback: Callback, partitions: &mut Vec<PartitionId>) {
        either!(self, take_told(callback, partitions));
    }

    fn listener_threw(&mut self, exception: Exception) {
        either!(self, listener_threw(exception));
    }

    fn seek(&mut self, partition: PartitionId, to: CommittedOffset) {
        either!(self, seek(partition, to));
    }

    fn pause(&mut self, partition: PartitionId) {
        either!(self, pause(partition));
    }

    fn resume(&mut self, partition: PartitionId) {
        either!(self, resume(partition));
    }

    fn paused(&self) -> impl Iterator<Item = PartitionId> {
        let (classic, asynchronous) = match self {
            KafkaConsumer::Classic(client) => (Some(client.paused()), None),
            KafkaConsumer::Async(client) => (None, Some(client.paused())),
        };
        let classic = classic.into_iter().flatten();
        classic.chain(asynchronous.into_iter().flatten())
    }

    fn generation(&self) -> GenerationId {
        either!(self, generation())
    }

    fn position(&self, partition: PartitionId) -> Option<CommittedOffset> {
        either!(self, position(partition))
    }

    fn assignment(&self) -> impl Iterator<Item = PartitionId> {
        let (classic, asynchronous) = match self {
            KafkaConsumer::Classic(client) => (Some(client.assignment()), None),
            KafkaConsumer::Async(client) => (None, Some(client.assignment())),
        };
        let classic = classic.into_iter().flatten();
        classic.chain(asynchronous.into_iter().flatten())
    }

    fn away(&mut self, span: Duration, environment: &mut impl Environment) -> bool {
        either!(self, away(span, environment))
    }

    fn handle(&mut self, input: Input<Kafka>, environment: &mut impl Environment) -> Woken {
        either!(self, handle(input, environment))
    }

    fn shut_down(&mut self, environment: &mut impl Environment) {
        either!(self, shut_down(environment));
    }

    fn is_settled(&self) -> bool {
        either!(self, is_settled())
    }
}
