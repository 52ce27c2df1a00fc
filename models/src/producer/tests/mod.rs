//! A producer at a bench: the test plays the brokers and moves the clocks.

mod answers;
mod idempotence;
mod leaders;
mod partitioning;
mod sending;
mod settings;
mod still;

use std::sync::Arc;

use ktrial_sim::{Closure, ConnectionId, Duration, Input, Time};
use smallvec::smallvec;

use super::Producer;
use crate::client::testing::{self, Desk};
use crate::config::ProducerSettings;
use crate::ids::{LeaderEpoch, Offset, PartitionId, ProducerId, ServerId};
use crate::kafka::{Kafka, Signal};
use crate::mutation::Mutations;
use crate::notes::{ClientNote, FailureClass};
use crate::protocol::{
    Correlation, CurrentLeader, ErrorCode, Message, MetadataResponse, PartitionMetadata, ProduceRequest,
    ProduceResponse, ProducedPartition, Request, Response, TopicMetadata,
};
use crate::specification::{ClusterSpecification, ProducerSpecification, SendOperation};

/// A Produce that waits for the test's answer.
#[derive(Clone, Debug)]
struct Produce {
    connection: ConnectionId,
    correlation: Correlation,
    request: ProduceRequest,
}

impl Produce {
    fn numbers(&self, bench: &Bench) -> Vec<u32> {
        let batches = self.request.batches.iter();
        let records = batches.flat_map(|(_, batch)| bench.desk.contents.records(batch.records));
        records.map(|record| record.id.number).collect()
    }

    /// Indexes of the partitions in it, in its order.
    fn partitions(&self) -> Vec<u32> {
        let batches = self.request.batches.iter();
        batches.map(|(partition, _)| partition.0).collect()
    }

    fn sequence(&self) -> (u16, u32) {
        let numbering = self.request.batches[0].1.numbering.expect("it is idempotent");
        (numbering.epoch, numbering.base_sequence)
    }
}

struct Bench {
    desk: Desk,
    producer: Producer,
    /// The leader of each partition and its epoch.
    leaders: Vec<(Option<u16>, u32)>,
    /// Which connections have been told that they are up.
    told: usize,
    /// How many connections brokers take up.
    connections: usize,
    produces: Vec<Produce>,
    /// What is not answered by itself.
    answer_metadata: bool,
    answer_producer_ids: bool,
    producer_ids: Vec<Result<(ProducerId, u16), ErrorCode>>,
    metadata_requests: u32,
}

fn sends(times: &[u64]) -> Vec<SendOperation> {
    let operation = |after: &u64| SendOperation {
        after: Duration::millis(*after),
        key: Some(0),
        bytes: 100,
    };
    times.iter().map(operation).collect()
}

/// A record of 100 bytes for each of these times and partitions of `all`.
fn sends_to(all: u32, times_and_partitions: &[(u64, u32)]) -> Vec<SendOperation> {
    let operation = |(after, partition): &(u64, u32)| SendOperation {
        after: Duration::millis(*after),
        key: (0..1_000).find(|key| super::partition_for_key(*key, all) == *partition),
        bytes: 100,
    };
    times_and_partitions.iter().map(operation).collect()
}

impl Bench {
    fn new(settings: ProducerSettings, partitions: usize, workload: Vec<SendOperation>) -> Self {
        Bench::mutated(settings, partitions, workload, Mutations::default())
    }

    fn mutated(
        settings: ProducerSettings,
        partitions: usize,
        workload: Vec<SendOperation>,
        mutations: Mutations,
    ) -> Self {
        let cluster = ClusterSpecification {
            mutations,
            ..testing::cluster()
        };
        let specification = ProducerSpecification {
            name: "producer".to_owned(),
            settings,
            topic: 0,
            bootstrap: smallvec![ServerId(1)],
            workload: workload.into(),
        };
        let mut bench = Bench {
            desk: Desk::new(),
            producer: Producer::new(Arc::new(cluster), specification),
            leaders: vec![(Some(1), 1); partitions],
            told: 0,
            connections: usize::MAX,
            produces: Vec::new(),
            answer_metadata: true,
            answer_producer_ids: true,
            producer_ids: Vec::new(),
            metadata_requests: 0,
        };
        bench.producer.boot_in(&mut bench.desk);
        bench
    }

    fn give(&mut self, input: Input<Kafka>) {
        self.producer.handle_in(input, &mut self.desk);
    }

    fn respond(&mut self, connection: ConnectionId, correlation: Correlation, response: Response) {
        self.give(Input::Message(
            connection,
            Message::Response(correlation, response),
        ));
    }

    fn metadata(&self) -> Response {
        let partition = |(index, (leader, epoch)): (usize, &(Option<u16>, u32))| PartitionMetadata {
            partition: PartitionId(index as u32),
            error: match leader {
                Some(_) => ErrorCode::None,
                None => ErrorCode::LeaderNotAvailable,
            },
            leader: leader.map(ServerId),
            leader_epoch: LeaderEpoch(*epoch),
            replicas: smallvec![ServerId(1), ServerId(2)],
            isr: smallvec![ServerId(1), ServerId(2)],
        };
        Response::Metadata(Box::new(MetadataResponse {
            brokers: smallvec![(ServerId(1), None), (ServerId(2), None)],
            topics: vec![TopicMetadata {
                specification: 0,
                error: match self.leaders.is_empty() {
                    true => ErrorCode::UnknownTopicOrPartition,
                    false => ErrorCode::None,
                },
                partitions: self.leaders.iter().enumerate().map(partition).collect(),
            }],
        }))
    }

    /// Connections come up, and everything but records is answered.
    fn serve(&mut self) {
        loop {
            if self.told < self.desk.opened.len().min(self.connections) {
                self.told += 1;
                self.give(Input::Connected(ConnectionId(self.told as u32 - 1)));
                continue;
            }
            let sent = self.desk.take_sent();
            if sent.is_empty() {
                return;
            }
            for (connection, correlation, request) in sent {
                match request {
                    Request::ApiVersions => self.respond(connection, correlation, Response::ApiVersions),
                    Request::Metadata(_) => {
                        self.metadata_requests += 1;
                        if self.answer_metadata {
                            let metadata = self.metadata();
                            self.respond(connection, correlation, metadata);
                        }
                    }
                    Request::InitProducerId if !self.answer_producer_ids => {}
                    Request::InitProducerId => {
                        let answer = match self.producer_ids.is_empty() {
                            true => Ok((ProducerId(7), 0)),
                            false => self.producer_ids.remove(0),
                        };
                        self.respond(connection, correlation, Response::InitProducerId(answer));
                    }
                    Request::Produce(request) => self.produces.push(Produce {
                        connection,
                        correlation,
                        request: *request,
                    }),
                    other => panic!("a producer does not send {other:?}"),
                }
            }
        }
    }

    /// Time goes on; timers and alarms go off in order, brokers answer.
    fn pass(&mut self, millis: u64) {
        let until = self.desk.monotonic + Duration::millis(millis);
        self.serve();
        while let Some(input) = self.desk.next_due(until) {
            self.give(input);
            self.serve();
        }
    }

    fn take_produce(&mut self) -> Produce {
        assert!(!self.produces.is_empty(), "nothing was sent");
        self.produces.remove(0)
    }

    fn answer_with(&mut self, produce: &Produce, answer: ProducedPartition) {
        let partitions = produce
            .request
            .batches
            .iter()
            .map(|(partition, _)| ProducedPartition {
                partition: *partition,
                ..answer
            });
        let response = Response::Produce(Box::new(ProduceResponse {
            partitions: partitions.collect(),
        }));
        self.respond(produce.connection, produce.correlation, response);
        self.serve();
    }

    fn accept(&mut self, produce: &Produce, base_offset: u64) {
        self.answer_with(
            produce,
            ProducedPartition {
                partition: PartitionId(0),
                error: ErrorCode::None,
                base_offset: Some(Offset(base_offset)),
                log_start: Offset(0),
                current_leader: None,
            },
        );
    }

    fn refuse(&mut self, produce: &Produce, error: ErrorCode) {
        self.refuse_with_hint(produce, error, None);
    }

    fn refuse_with_hint(&mut self, produce: &Produce, error: ErrorCode, hint: Option<(u16, u32)>) {
        self.answer_with(
            produce,
            ProducedPartition {
                partition: PartitionId(0),
                error,
                base_offset: None,
                log_start: Offset(0),
                current_leader: hint.map(|(leader, epoch)| CurrentLeader {
                    leader: ServerId(leader),
                    epoch: LeaderEpoch(epoch),
                }),
            },
        );
    }

    fn lose(&mut self, connection: ConnectionId) {
        self.give(Input::Closed(connection, Closure::Reset));
        self.serve();
    }

    /// Record numbers acknowledged, in order of their callbacks.
    fn acknowledged(&self) -> Vec<u32> {
        let batches = self.desk.notes.iter().filter_map(|note| match note {
            ClientNote::Acknowledged { records, .. } => Some(self.desk.contents.records(*records)),
            _ => None,
        });
        batches.flatten().map(|record| record.id.number).collect()
    }

    fn failed(&self) -> Vec<(u32, &'static str, FailureClass)> {
        let failed = |note: &ClientNote| match note {
            ClientNote::Failed {
                record, error, class, ..
            } => Some((record.number, *error, *class)),
            _ => None,
        };
        self.desk.notes.iter().filter_map(failed).collect()
    }

    /// The server at the other end of the connection that a request came over.
    fn server_of(&self, produce: &Produce) -> u16 {
        self.desk.opened[produce.connection.0 as usize].0
    }

    fn now(&self) -> Time {
        self.desk.monotonic
    }
}
