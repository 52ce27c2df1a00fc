//! Each setting of a reader, from its text to what it changes. The test plays the brokers and moves the clocks.

use ktrial_sim::{Closure, ConnectionId, Duration, Input, NodeId, Time, TimerSlot};
use smallvec::smallvec;

use super::Reader;
use crate::client::testing::Desk;
use crate::config::testing::reader;
use crate::config::{BrokerSettings, ControllerSettings};
use crate::ids::{LeaderEpoch, Offset, PartitionId, RecordId, ServerId};
use crate::mutation::Mutations;
use crate::notes::ClientNote;
use crate::protocol::{
    Correlation, ErrorCode, FetchResponse, FetchedPartition, ListOffsetsTarget, Message, MetadataResponse,
    PartitionMetadata, Request, Response, TopicMetadata,
};
use crate::records::{Batch, Record};
use crate::specification::{Capacity, ClusterSpecification, FeatureLevels, ReaderSpecification};

const P: PartitionId = PartitionId(0);

/// Until when, on which connection, which request, from which offset.
type Parked = (Time, ConnectionId, Correlation, Offset);

struct Bench {
    desk: Desk,
    reader: Reader,
    /// Whether brokers take up connections, and which have been told that they are up.
    connects: bool,
    told: usize,
    leader: ServerId,
    answers_metadata: bool,
    /// Connections on which a question stays without an answer, and all behind it.
    stuck: Vec<ConnectionId>,
    /// A question for metadata costs the connection.
    hangs_up: bool,
    /// When metadata were asked for.
    asked: Vec<u64>,
    /// A batch of five records from this offset on is the partition's log.
    log: Batch,
    answers_fetches: bool,
    /// Fetches that found nothing, and when they are answered.
    parked: Vec<Parked>,
    fetches: u32,
}

impl Bench {
    fn new(settings: &str) -> Self {
        let cluster = ClusterSpecification {
            servers: Vec::new(),
            topics: Vec::new(),
            features: FeatureLevels::default(),
            broker: BrokerSettings::default(),
            controller: ControllerSettings::default(),
            capacity: Capacity {
                client_start: (Duration::ZERO, Duration::ZERO),
                ..Capacity::default()
            },
            mutations: Mutations::default(),
        };
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
        let mut reader = Reader::new(cluster.into(), specification);
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
            topics: vec![TopicMetadata {
                specification: 0,
                error: ErrorCode::None,
                partitions: vec![PartitionMetadata {
                    partition: P,
                    error: ErrorCode::None,
                    leader: Some(self.leader),
                    leader_epoch: LeaderEpoch(1),
                    replicas: smallvec![self.leader],
                    isr: smallvec![self.leader],
                }],
            }],
        }))
    }

    fn fetched(&self, from: Offset) -> Response {
        let end = self.log.next_offset();
        let batches = match from < end {
            true => smallvec![self.log],
            false => smallvec![],
        };
        Response::Fetch(FetchResponse {
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
        })
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
                        Some(Response::ListOffsets(smallvec![listed]))
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
    fn pass(&mut self, millis: u64) {
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
    fn millis_until(&mut self, holds: impl Fn(&Bench) -> bool) -> u64 {
        for millis in 0..60_000 {
            if holds(self) {
                return millis;
            }
            self.pass(1);
        }
        panic!("never: {:?}", self.desk.notes);
    }

    /// Base offset and number of records of what was handed out.
    fn polled(&self) -> Vec<(u64, u32)> {
        let polled = |note: &ClientNote| match note {
            ClientNote::Polled { from, count, .. } => Some((from.0, *count)),
            _ => None,
        };
        self.desk.notes.iter().filter_map(polled).collect()
    }
}

#[test]
fn auto_offset_reset_says_where_a_reader_begins() {
    for (settings, polled) in [
        ("auto.offset.reset=earliest", vec![(0, 5)]),
        ("auto.offset.reset=latest", vec![]),
    ] {
        let mut bench = Bench::new(settings);
        bench.pass(1_000);
        assert_eq!(bench.polled(), polled, "{settings}");
        assert_eq!(bench.reader.position(P), Some(Offset(5)));
    }
    let mut bench = Bench::new("auto.offset.reset=none");
    bench.pass(1_000);
    assert_eq!(bench.reader.position(P), None);
}

#[test]
fn max_poll_records_is_what_one_poll_hands_out() {
    for (settings, polled) in [
        ("max.poll.records=2", vec![(0, 2), (2, 2), (4, 1)]),
        ("max.poll.records=500", vec![(0, 5)]),
    ] {
        let mut bench = Bench::new(&format!("{settings} auto.offset.reset=earliest"));
        bench.pass(1_000);
        assert_eq!(bench.polled(), polled, "{settings}");
    }
}

#[test]
fn check_crcs_keeps_spoilt_records_from_the_application() {
    for (settings, records) in [("check.crcs=true", 0), ("check.crcs=false", 1)] {
        let mut bench = Bench::new(&format!("{settings} auto.offset.reset=earliest"));
        bench.log.corrupt = true;
        bench.pass(1_000);
        assert_eq!(bench.polled().len(), records, "{settings}");
    }
}

#[test]
fn request_timeout_ms_closes_the_connection_of_a_fetch_without_answer() {
    for (settings, closes) in [
        ("request.timeout.ms=1000", 1_000),
        ("request.timeout.ms=2500", 2_500),
    ] {
        let mut bench = Bench::new(settings);
        bench.answers_fetches = false;
        bench.millis_until(|bench| bench.fetches > 0);
        let closed = bench.millis_until(|bench| !bench.desk.closed.is_empty());
        assert!((closes..closes + 110).contains(&closed), "{settings}: {closed}");
    }
}

/// Milliseconds between a reader's questions for metadata, each of which costs the connection.
fn pauses(settings: &str) -> Vec<u64> {
    let mut bench = Bench::new(&format!(
        "{settings} reconnect.backoff.ms=10 reconnect.backoff.max.ms=10"
    ));
    bench.hangs_up = true;
    bench.pass(8_000);
    bench.asked.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn retry_backoff_ms_is_the_first_pause_of_a_reader_that_gets_no_metadata() {
    let (short, long) = (
        pauses("retry.backoff.ms=100")[0],
        pauses("retry.backoff.ms=700")[0],
    );
    assert!((100..220).contains(&short), "{short}");
    assert!((700..820).contains(&long), "{long}");
}

#[test]
fn retry_backoff_max_ms_is_the_longest_pause_of_a_reader_that_gets_no_metadata() {
    let (short, long) = (
        pauses("retry.backoff.max.ms=200"),
        pauses("retry.backoff.max.ms=1000"),
    );
    assert!(short[4] < 320, "{short:?}");
    assert!(long[4] > 800, "{long:?}");
}

/// Milliseconds between a reader's attempts to connect to the only server it knows, which all fail at once.
fn attempts_to_connect(settings: &str) -> Vec<u64> {
    // Metadata that could not be asked for are asked for again after retry.backoff.ms.
    let mut bench = Bench::new(&format!("{settings} retry.backoff.ms=10 retry.backoff.max.ms=10"));
    bench.connects = false;
    let mut pauses = Vec::new();
    for attempt in 0..6 {
        pauses.push(bench.millis_until(|bench| bench.desk.opened.len() > attempt));
        let closed = Input::Closed(ConnectionId(attempt as u32), Closure::Reset);
        bench.reader.handle_in(closed, &mut bench.desk);
    }
    pauses.split_off(1)
}

#[test]
fn reconnect_backoff_ms_is_a_readers_first_pause_between_connections() {
    let (short, long) = (
        attempts_to_connect("reconnect.backoff.ms=50")[0],
        attempts_to_connect("reconnect.backoff.ms=500")[0],
    );
    assert!((50..170).contains(&short), "{short}");
    assert!((500..620).contains(&long), "{long}");
}

#[test]
fn reconnect_backoff_max_ms_is_a_readers_longest_pause_between_connections() {
    let (short, long) = (
        attempts_to_connect("reconnect.backoff.max.ms=100")[4],
        attempts_to_connect("reconnect.backoff.max.ms=1000")[4],
    );
    assert!(short < 220, "{short}");
    assert!(long > 600, "{long}");
}

/// Milliseconds until a reader gives up attempts to connect to which nothing answers, for the first two.
fn given_up_after(settings: &str) -> [u64; 2] {
    let mut bench = Bench::new(settings);
    bench.connects = false;
    [1, 2].map(|attempt| {
        bench.millis_until(|bench| bench.desk.opened.len() == attempt);
        bench.millis_until(|bench| bench.desk.closed.len() == attempt)
    })
}

#[test]
fn socket_connection_setup_timeout_ms_is_a_readers_first_patience_with_a_connection() {
    for timeout in [1_000, 3_000] {
        let first = given_up_after(&format!(
            "socket.connection.setup.timeout.ms={timeout} socket.connection.setup.timeout.max.ms={timeout}"
        ))[0];
        assert!((timeout..timeout + 110).contains(&first), "{first}");
    }
}

#[test]
fn socket_connection_setup_timeout_max_ms_is_a_readers_longest_patience_with_a_connection() {
    let second = |longest: u64| {
        given_up_after(&format!(
            "socket.connection.setup.timeout.ms=1000 socket.connection.setup.timeout.max.ms={longest}"
        ))[1]
    };
    assert!(second(9_000) > 1_500);
    assert!(second(1_000) < 1_500);
}

#[test]
fn connections_max_idle_ms_closes_a_readers_connection_without_traffic() {
    for (settings, closed) in [
        ("connections.max.idle.ms=5000", true),
        ("connections.max.idle.ms=540000", false),
    ] {
        let mut bench = Bench::new(settings);
        bench.pass(10_000);
        assert_eq!(!bench.desk.closed.is_empty(), closed, "{settings}");
    }
}

#[test]
fn metadata_max_age_ms_is_how_often_a_reader_asks_for_metadata() {
    for (settings, asked) in [("metadata.max.age.ms=1000", 10), ("metadata.max.age.ms=5000", 2)] {
        let mut bench = Bench::new(settings);
        bench.pass(500);
        let before = bench.asked.len();
        bench.pass(10_400);
        assert_eq!(bench.asked.len() - before, asked, "{settings}");
    }
}

/// Whether a reader whose questions for metadata nobody answers still knows more servers than those it was given
/// (server 1) after ten seconds.
fn remembers_other_servers(settings: &str) -> bool {
    let mut bench = Bench::new(&format!(
        "{settings} metadata.max.age.ms=1000 request.timeout.ms=500"
    ));
    bench.leader = ServerId(2);
    bench.pass(500);
    bench.answers_metadata = false;
    bench.pass(10_000);
    let opened = bench.desk.opened.len();
    bench.pass(10_000);
    bench.desk.opened[opened..].contains(&ServerId(2))
}

#[test]
fn metadata_recovery_strategy_says_whether_a_reader_starts_again_from_its_bootstrap_servers() {
    let trigger = "metadata.recovery.rebootstrap.trigger.ms=3000";
    assert!(!remembers_other_servers(&format!(
        "metadata.recovery.strategy=rebootstrap {trigger}"
    )));
    assert!(remembers_other_servers(&format!(
        "metadata.recovery.strategy=none {trigger}"
    )));
}

#[test]
fn metadata_recovery_rebootstrap_trigger_ms_says_after_how_long_a_reader_starts_again() {
    assert!(!remembers_other_servers(
        "metadata.recovery.rebootstrap.trigger.ms=3000"
    ));
    assert!(remembers_other_servers(
        "metadata.recovery.rebootstrap.trigger.ms=300000"
    ));
}
