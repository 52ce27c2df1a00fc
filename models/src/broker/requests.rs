//! Requests on their way through the handlers (`KafkaApis`), and those that take one step.

use ktrial_sim::{ConnectionId, Context, Duration};
use smallvec::SmallVec;

use crate::broker::Broker;
use crate::broker::forwarding::Forwarded;
use crate::broker::handlers::{Arrived, Unwritten};
use crate::broker::metadata_cache;
use crate::broker::slots;
use crate::broker::work::{Plain, Progress, Step, Work};
use crate::ids::PartitionId;
use crate::kafka::Kafka;
use crate::notes::{ClusterNote, Note};
use crate::protocol::{
    BrokerIdentity, Correlation, ErrorCode, ListOffsetsRequest, OffsetForLeaderEpochRequest, Request,
    Response,
};
use crate::server;
use crate::specification::CONSUMER_OFFSETS;

impl Broker {
    /// A request was read from a connection.
    pub(super) fn arrived(&mut self, arrived: Arrived, context: &mut Context<'_, Kafka>) {
        if let Some((handler, arrived)) = self.handlers.arrived(arrived) {
            self.take_up(handler, arrived, context);
        }
    }

    fn take_up(&mut self, handler: u16, arrived: Arrived, context: &mut Context<'_, Kafka>) {
        let mut work = self.spare.pop().unwrap_or_else(Work::new);
        work.connection = arrived.connection;
        work.correlation = arrived.correlation;
        work.identity =
            context.connection_identity(arrived.connection) ^ u64::from(arrived.correlation.0) << 40;
        work.bytes = 0;
        work.served = false;
        work.is_fetch = matches!(arrived.request, Request::Fetch(_));
        work.plain = Plain::Neither;
        work.touched.clear();
        work.step = Step::Finish;
        match arrived.request {
            Request::Produce(request) => Self::begin_produce(&mut work, &request),
            Request::Fetch(request) => {
                self.begin_fetch(&mut work, &request, context);
                context.arena().fetches.take_back(request);
            }
            request => work.plain = self.plain(request, context),
        }
        self.go_on(handler, work, context);
    }

    /// A request of one step.
    fn plain(&mut self, request: Request, context: &mut Context<'_, Kafka>) -> Plain {
        Plain::Answer(match request {
            Request::ApiVersions => Response::ApiVersions,
            Request::Metadata(request) => {
                Response::Metadata(Box::new(metadata_cache::describe(&self.image, &request)))
            }
            Request::ListOffsets(request) => self.list_offsets(&request),
            Request::OffsetForLeaderEpoch(request) => self.end_of_epochs(&request),
            Request::InitProducerId => {
                let id = self.producer_ids.generate();
                if self.producer_ids.must_ask(context.wall()) {
                    let request = Request::AllocateProducerIds(self.identity());
                    self.forwarding.allocate(request, context);
                    self.settle_forwarding(context);
                }
                Response::InitProducerId(id.map(|id| (id, 0)))
            }
            Request::FindCoordinator(key) => Response::FindCoordinator(self.find_coordinator(key, context)),
            request @ (Request::JoinGroup(_)
            | Request::SyncGroup(_)
            | Request::Heartbeat(_)
            | Request::LeaveGroup(_)
            | Request::ConsumerGroupHeartbeat(_)
            | Request::OffsetCommit(_)
            | Request::OffsetFetch(_)) => return Plain::Coordinate(request),
            request @ (Request::CreateTopic(_) | Request::ElectLeaders(_)) => {
                return Plain::Forward(request);
            }
            request => unreachable!("no broker is asked {request:?}"),
        })
    }

    /// A handler's wait is over: for the service time, the disk, or an open cut.
    pub(super) fn handler_woke(&mut self, handler: u16, context: &mut Context<'_, Kafka>) {
        let work = self.in_hand[usize::from(handler)].take();
        self.go_on(handler, work.expect("a busy handler has work"), context);
    }

    /// Takes steps until one waits, or the request is done with.
    fn go_on(&mut self, handler: u16, mut work: Box<Work>, context: &mut Context<'_, Kafka>) {
        loop {
            let finishing = matches!(work.step, Step::Finish | Step::Park);
            let progress = match work.step {
                Step::Append => self.append(&mut work, context),
                Step::Flushed => self.flushed_after_append(&mut work, context),
                Step::HighWatermarkAfterAppend => self.high_watermark_after_append(&mut work, context),
                Step::Read => self.read(&mut work, context),
                Step::FollowerState => self.update_follower(&mut work, context),
                Step::ExpandIsr => self.expand_isr(&mut work, context),
                Step::HighWatermarkAfterFetch => self.high_watermark_after_fetch(&mut work, context),
                // Every request's first step may be its last: then it has been served all the same.
                Step::Finish if !work.served => Progress::Done,
                Step::Finish => self.finish(&mut work, context),
                Step::Park => {
                    self.park(handler, work, context);
                    return;
                }
            };
            let wait = match progress {
                Progress::Next => continue,
                Progress::Wait(wait) => wait,
                Progress::Locked(id) => {
                    self.in_hand[usize::from(handler)] = Some(work);
                    self.locks.wait(id, handler);
                    return;
                }
                Progress::Done if finishing && work.served => {
                    self.done(handler, Some(work), context);
                    return;
                }
                Progress::Done => {
                    work.step = Step::Finish;
                    work.served = true;
                    self.service_time(work.bytes)
                }
            };
            self.in_hand[usize::from(handler)] = Some(work);
            context.alarm(slots::HANDLER | u32::from(handler), wait);
            return;
        }
    }

    /// A lock on a partition was given back: who waits for it tries again, behind the step in hand.
    pub(super) fn wake_waiting(&mut self, id: PartitionId, context: &mut Context<'_, Kafka>) {
        while let Some(handler) = self.locks.next_waiting(id) {
            context.alarm(slots::HANDLER | u32::from(handler), Duration::ZERO);
        }
    }

    fn service_time(&self, bytes: u32) -> Duration {
        let capacity = &self.specification.capacity;
        let per_kib = capacity.request_service_per_kib.0 * u64::from(bytes) / 1024;
        Duration(capacity.request_service.0 + per_kib)
    }

    fn finish(&mut self, work: &mut Work, context: &mut Context<'_, Kafka>) -> Progress {
        match std::mem::take(&mut work.plain) {
            Plain::Answer(response) => {
                self.respond(work.connection, work.correlation, response, context);
                Progress::Done
            }
            Plain::Forward(request) => {
                self.forwarding
                    .forward(work.connection, work.correlation, request, context);
                self.settle_forwarding(context);
                Progress::Done
            }
            Plain::Coordinate(request) => {
                self.coordinate(work.connection, work.correlation, request, context);
                Progress::Done
            }
            Plain::Neither if work.is_fetch => self.finish_fetch(work, context),
            Plain::Neither => self.finish_produce(work, context),
        }
    }

    fn park(&mut self, handler: u16, mut work: Box<Work>, context: &mut Context<'_, Kafka>) {
        let touched = std::mem::take(&mut work.touched);
        let left = match work.is_fetch {
            true => self.park_fetch(work, context),
            false => self.park_produce(work, context),
        };
        self.look_after(&touched, context);
        self.done(handler, left, context);
    }

    /// The handler is free; what the request moved is looked after (`tryCompleteActions`).
    fn done(&mut self, handler: u16, work: Option<Box<Work>>, context: &mut Context<'_, Kafka>) {
        if let Some(work) = work {
            self.look_after(&work.touched, context);
            self.spare.push(work);
        }
        let next = self.handlers.done(handler);
        while let Some(Unwritten {
            connection,
            correlation,
            response,
        }) = self.handlers.take_unwritten()
        {
            match response {
                Some(response) => server::respond(connection, correlation, response, context),
                None => context.unmute(connection),
            }
        }
        if let Some(arrived) = next {
            self.take_up(handler, arrived, context);
        }
        self.handlers_idle(context);
    }

    fn look_after(
        &mut self,
        touched: &SmallVec<[crate::broker::work::Touched; 2]>,
        context: &mut Context<'_, Kafka>,
    ) {
        for touched in touched {
            if touched.high_watermark_moved {
                self.complete_delayed(touched.partition, context);
            } else {
                self.complete_fetches(touched.partition, context);
            }
        }
    }

    /// Answers, as soon as the network thread can write.
    pub(super) fn respond(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        response: Response,
        context: &mut Context<'_, Kafka>,
    ) {
        self.accepted.used(connection, context.monotonic());
        if self.handlers.stands_still(connection) {
            self.handlers.keep(Unwritten {
                connection,
                correlation,
                response: Some(response),
            });
        } else {
            server::respond(connection, correlation, response, context);
        }
    }

    /// Reads on without an answer (acks=0).
    pub(super) fn read_on(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        context: &mut Context<'_, Kafka>,
    ) {
        if self.handlers.stands_still(connection) {
            self.handlers.keep(Unwritten {
                connection,
                correlation,
                response: None,
            });
        } else {
            context.unmute(connection);
        }
    }

    /// Relays what the controller answered.
    pub(super) fn settle_forwarding(&mut self, context: &mut Context<'_, Kafka>) {
        while let Some(forwarded) = self.forwarding.take() {
            match forwarded {
                Forwarded::Answer(connection, correlation, response) => {
                    self.respond(connection, correlation, response, context);
                }
                Forwarded::ProducerIds(answer) => self.producer_ids.answered(answer, context.wall()),
                Forwarded::OffsetsTopic(error) => {
                    self.creating_offsets_topic = false;
                    if error == ErrorCode::InvalidReplicationFactor {
                        let topic = CONSUMER_OFFSETS;
                        context.note(Note::Cluster(ClusterNote::TopicRefused { topic, error }));
                    }
                }
            }
        }
    }

    /// Who this broker is to others; epoch 0 before it is registered.
    pub(super) fn identity(&self) -> BrokerIdentity {
        BrokerIdentity {
            broker: self.id,
            epoch: self.lifecycle.epoch().unwrap_or_default(),
        }
    }

    fn list_offsets(&self, request: &ListOffsetsRequest) -> Response {
        let isolation = request.replica.is_none().then_some(request.isolation);
        let answers = request.partitions.iter().map(|(id, epoch, target)| {
            let listed = match self.partitions.get(*id) {
                _ if self.image.partition(*id).is_none() => Err(ErrorCode::UnknownTopicOrPartition),
                None => Err(ErrorCode::NotLeaderOrFollower),
                Some(partition) => partition.list_offsets(*target, isolation, *epoch, true),
            };
            match listed {
                Ok((offset, epoch)) => (*id, ErrorCode::None, offset, epoch),
                Err(error) => (*id, error, Default::default(), None),
            }
        });
        Response::ListOffsets(answers.collect())
    }

    fn end_of_epochs(&self, request: &OffsetForLeaderEpochRequest) -> Response {
        let answers = request.partitions.iter().map(|(id, current, asked)| {
            let found = match self.partitions.get(*id) {
                _ if self.image.partition(*id).is_none() => Err(ErrorCode::UnknownTopicOrPartition),
                None => Err(ErrorCode::NotLeaderOrFollower),
                Some(partition) => partition.last_offset_for_leader_epoch(*current, *asked, true),
            };
            match found {
                Ok(found) => (*id, ErrorCode::None, found),
                Err(error) => (*id, error, None),
            }
        });
        Response::OffsetForLeaderEpoch(answers.collect())
    }
}
