//! A reader at a bench: the test plays the brokers and moves the clocks.

use ktrial_sim::{Closure, ConnectionId, Duration, Input, NodeId, Time, TimerSlot};
use smallvec::smallvec;

use crate::client::testing::{self, Desk};
use crate::config::testing::reader;
use crate::ids::{LeaderEpoch, Offset, PartitionId, RecordId, ServerId};
use crate::notes::ClientNote;
use crate::protocol::{
    Correlation, ErrorCode, FetchResponse, FetchedPartition, ListOffsetsTarget, Message, MetadataResponse,
    Request, Response,
};
use crate::reader::Reader;
use crate::records::{Batch, Record};
use crate::specification::ReaderSpecification;

pub(super) const P: PartitionId = PartitionId(0);

/// Until when, on which connection, which request, from which offset.
pub(super) type Parked = (Time, ConnectionId, Correlation, Offset);

pub(super) struct Bench {
    pub(super) desk: Desk,
    pub(super) reader: Reader,
    /// Whether brokers take up connections, and which have been told that they are up.
    pub(super) connects: bool,
    pub(super) told: usize,
    pub(super) leader: ServerId,
    pub(super) answers_metadata: bool,
    /// Connections on which a question stays without an answer, and all behind it.
    pub(super) stuck: Vec<ConnectionId>,
    /// A question for metadata costs the connection.
    pub(super) hangs_up: bool,
    /// When metadata were asked for.
    pub(super) asked: Vec<u64>,
    /// A batch of five records from this offset on is the partition's log.
    pub(super) log: Batch,
    pub(super) answers_fetches: bool,
    /// Fetches that found nothing, and when they are answered.
    pub(super) parked: Vec<Parked>,
    pub(super) fetches: u32,
}

impl Bench {
    pub(super) fn new(settings: &str) -> Self {
        let specification = ReaderSpecification {
            name: "reader".to_owned(),
            settings: reader(settings),
            rack: None,
            topics: vec![0],
            bootstrap: smallvec![ServerId(1)],
        };
        let mut desk = Desk::new();
        let now = desk.wall;
        let records = desk.contents.store((0..5).map(|number| Record {
            id: RecordId {
                producer: NodeId(8),
                number,
            },
            key: None,
            bytes: 100,
            timestamp: now,
        }));
        let log = Batch {
            base_offset: Offset(0),
            leader_epoch: LeaderEpoch(1),
            records,
            bytes: 561,
            numbering: None,
            max_timestamp: now,
            corrupt: false,
        };
        let mut reader = Reader::new(testing::cluster().into(), specification);
        reader.boot_in(&mut desk);
        Bench {
            desk,
            reader,
            connects: true,
            told: 0,
            leader: ServerId(1),
            answers_metadata: true,
            stuck: Vec::new(),
            hangs_up: false,
            asked: Vec::new(),
            log,
            answers_fetches: true,
            parked: Vec::new(),
            fetches: 0,
        }
    }

    fn respond(&mut self, connection: ConnectionId, correlation: Correlation, response: Response) {
        let input = Input::Message(connection, Message::Response(correlation, response));
        self.reader.handle_in(input, &mut self.desk);
    }

    fn metadata(&self) -> Response {
        Response::Metadata(Box::new(MetadataResponse {
            brokers: smallvec![(ServerId(1), None), (ServerId(2), None)],
            topics: vec![testing::one_partition(self.leader, 1)],
        }))
    }

    fn fetched(&self, from: Offset) -> Response {
        let end = self.log.next_offset();
        let batches = match from < end {
            true => smallvec![self.log],
            false => smallvec![],
        };
        Response::Fetch(Box::new(FetchResponse {
            error: ErrorCode::None,
            session: 0,
            partitions: smallvec![FetchedPartition {
                partition: P,
                error: ErrorCode::None,
                high_watermark: end,
                last_stable_offset: end,
                log_start: Offset(0),
                diverging: None,
                current_leader: None,
                preferred_read_replica: None,
                batches,
            }],
        }))
    }

    /// Connections come up and requests are answered; a fetch only if it finds something.
    fn serve(&mut self) {
        loop {
            if self.connects && self.told < self.desk.opened.len() {
                let connection = ConnectionId(self.told as u32);
                self.told += 1;
                self.reader
                    .handle_in(Input::Connected(connection), &mut self.desk);
                continue;
            }
            let sent = self.desk.take_sent();
            if sent.is_empty() {
                return;
            }
            for (connection, correlation, request) in sent {
                if self.stuck.contains(&connection) {
                    continue;
                }
                // Answers keep the order of requests: a parked fetch ends when something else is asked behind it.
                self.answer_parked(|(_, parked, ..)| *parked == connection);
                let response = match request {
                    Request::ApiVersions => Some(Response::ApiVersions),
                    Request::Metadata(_) => self.asked_for_metadata(connection),
                    Request::ListOffsets(request) => {
                        let (partition, _, target) = request.partitions[0];
                        let offset = match target {
                            ListOffsetsTarget::Earliest => Offset(0),
                            _ => self.log.next_offset(),
                        };
                        let listed = (partition, ErrorCode::None, offset, Some(LeaderEpoch(1)));
                        Some(Response::ListOffsets(vec![listed]))
                    }
                    Request::Fetch(request) => {
                        self.fetches += 1;
                        let from = request.partitions[0].fetch_offset;
                        let finds = self.answers_fetches && from < self.log.next_offset();
                        if self.answers_fetches && !finds {
                            let until = self.desk.monotonic + request.max_wait;
                            self.parked.push((until, connection, correlation, from));
                        }
                        finds.then(|| self.fetched(from))
                    }
                    other => panic!("a reader does not send {other:?}"),
                };
                if let Some(response) = response {
                    self.respond(connection, correlation, response);
                }
            }
        }
    }

    fn asked_for_metadata(&mut self, connection: ConnectionId) -> Option<Response> {
        self.asked.push(self.desk.monotonic.millis());
        if self.hangs_up {
            let closed = Input::Closed(connection, Closure::Reset);
            self.reader.handle_in(closed, &mut self.desk);
            return None;
        }
        if !self.answers_metadata {
            self.stuck.push(connection);
            return None;
        }
        Some(self.metadata())
    }

    /// Answers some of the fetches that found nothing.
    fn answer_parked(&mut self, which: impl Fn(&Parked) -> bool) {
        while let Some(index) = self.parked.iter().position(&which) {
            let (_, connection, correlation, from) = self.parked.remove(index);
            if !self.desk.closed.contains(&connection) && !self.stuck.contains(&connection) {
                let response = self.fetched(from);
                self.respond(connection, correlation, response);
            }
        }
    }

    /// Time goes on; timers and alarms go off in order, brokers answer.
    pub(super) fn pass(&mut self, millis: u64) {
        let until = self.desk.monotonic + Duration::millis(millis);
        self.serve();
        loop {
            let timers = self.desk.timers.iter().enumerate();
            let timer = timers.filter_map(|(slot, at)| Some(((*at)?, slot))).min();
            let alarm = self.desk.alarms.iter().map(|(token, at)| (*at, *token)).min();
            let parked = self.parked.iter().map(|(until, ..)| *until);
            let due = timer
                .map(|(at, _)| at)
                .into_iter()
                .chain(alarm.map(|(at, _)| at))
                .chain(parked)
                .min();
            let Some(due) = due.filter(|due| *due <= until) else {
                break;
            };
            let span = due.since(self.desk.monotonic);
            self.desk.pass(span);
            if let Some((_, token)) = alarm.filter(|(at, _)| *at == due) {
                self.desk.alarms.retain(|(other, _)| *other != token);
                self.reader.handle_in(Input::Alarm(token), &mut self.desk);
            } else if let Some((_, slot)) = timer.filter(|(at, _)| *at == due) {
                self.desk.timers[slot] = None;
                let input = Input::Timer(TimerSlot(slot as u16));
                self.reader.handle_in(input, &mut self.desk);
            }
            let now = self.desk.monotonic;
            self.answer_parked(|(until, ..)| *until <= now);
            self.serve();
        }
        let span = until.since(self.desk.monotonic);
        self.desk.pass(span);
    }

    /// Milliseconds from now until something holds; at most a minute.
    pub(super) fn millis_until(&mut self, holds: impl Fn(&Bench) -> bool) -> u64 {
        for millis in 0..60_000 {
            if holds(self) {
                return millis;
            }
            self.pass(1);
        }
        panic!("never: {:?}", self.desk.notes);
    }

    /// Base offset and number of records of what was handed out.
    pub(super) fn polled(&self) -> Vec<(u64, u32)> {
        let polled = |note: &ClientNote| match note {
            ClientNote::Polled { from, count, .. } => Some((from.0, *count)),
            _ => None,
        };
        self.desk.notes.iter().filter_map(polled).collect()
    }
}
