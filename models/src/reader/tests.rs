//! A reader at a bench: the test plays the broker.

use std::sync::Arc;

use ktrial_sim::{Closure, ConnectionId, Duration, Input, NodeId, Time};
use smallvec::{SmallVec, smallvec};

use super::Reader;
use crate::client::testing::{self, Desk};
use crate::config::{OffsetReset, ReaderSettings};
use crate::ids::{LeaderEpoch, Offset, PartitionId, RecordId, ServerId};
use crate::kafka::Kafka;
use crate::notes::ClientNote;
use crate::protocol::{
    Correlation, CurrentLeader, ErrorCode, FetchRequest, FetchResponse, FetchedPartition, ListOffsetsTarget,
    Message, MetadataResponse, Request, Response,
};
use crate::records::{Batch, Record};
use crate::specification::ReaderSpecification;

#[derive(Clone, Debug)]
struct Fetch {
    connection: ConnectionId,
    correlation: Correlation,
    request: FetchRequest,
}

struct Bench {
    desk: Desk,
    reader: Reader,
    leader: (u16, u32),
    told: usize,
    fetches: Vec<Fetch>,
    /// What ListOffsets finds: start and end.
    log: (u64, u64),
    /// What OffsetForLeaderEpoch finds.
    epoch_end: Option<(u32, u64)>,
    validations: u32,
    resets: Vec<ListOffsetsTarget>,
    metadata_requests: u32,
}

fn earliest() -> ReaderSettings {
    ReaderSettings {
        auto_offset_reset: OffsetReset::Earliest,
        ..ReaderSettings::default()
    }
}

impl Bench {
    fn new(settings: ReaderSettings) -> Self {
        let specification = ReaderSpecification {
            name: "reader".to_owned(),
            settings,
            rack: Some(1),
            topics: vec![0],
            bootstrap: smallvec![ServerId(1)],
        };
        let mut bench = Bench {
            desk: Desk::new(),
            reader: Reader::new(Arc::new(testing::cluster()), specification),
            leader: (1, 1),
            told: 0,
            fetches: Vec::new(),
            log: (0, 10),
            epoch_end: None,
            validations: 0,
            resets: Vec::new(),
            metadata_requests: 0,
        };
        bench.reader.boot_in(&mut bench.desk);
        bench
    }

    fn give(&mut self, input: Input<Kafka>) {
        self.reader.handle_in(input, &mut self.desk);
    }

    fn respond(&mut self, connection: ConnectionId, correlation: Correlation, response: Response) {
        self.give(Input::Message(
            connection,
            Message::Response(correlation, response),
        ));
    }

    fn answer(&mut self, request: Request) -> Result<Response, Box<FetchRequest>> {
        match request {
            Request::ApiVersions => Ok(Response::ApiVersions),
            Request::Metadata(_) => {
                self.metadata_requests += 1;
                Ok(Response::Metadata(Box::new(MetadataResponse {
                    brokers: smallvec![(ServerId(1), Some(0)), (ServerId(2), Some(1))],
                    topics: vec![testing::one_partition(ServerId(self.leader.0), self.leader.1)],
                })))
            }
            Request::ListOffsets(list) => {
                let (partition, _, target) = list.partitions[0];
                self.resets.push(target);
                let offset = match target {
                    ListOffsetsTarget::Earliest => self.log.0,
                    ListOffsetsTarget::Latest => self.log.1,
                };
                let answer = (partition, ErrorCode::None, Offset(offset), None);
                Ok(Response::ListOffsets(vec![answer]))
            }
            Request::OffsetForLeaderEpoch(ask) => {
                self.validations += 1;
                let (partition, _, _) = ask.partitions[0];
                let end = self
                    .epoch_end
                    .map(|(epoch, end)| (LeaderEpoch(epoch), Offset(end)));
                Ok(Response::OffsetForLeaderEpoch(vec![(
                    partition,
                    ErrorCode::None,
                    end,
                )]))
            }
            Request::Fetch(fetch) => Err(fetch),
            other => panic!("a reader does not send {other:?}"),
        }
    }

    fn serve(&mut self) {
        loop {
            if self.told < self.desk.opened.len() {
                self.told += 1;
                self.give(Input::Connected(ConnectionId(self.told as u32 - 1)));
                continue;
            }
            let sent = self.desk.take_sent();
            if sent.is_empty() {
                return;
            }
            for (connection, correlation, request) in sent {
                match self.answer(request) {
                    Ok(response) => self.respond(connection, correlation, response),
                    Err(request) => self.fetches.push(Fetch {
                        connection,
                        correlation,
                        request: *request,
                    }),
                }
            }
        }
    }

    fn pass(&mut self, millis: u64) {
        let until = self.desk.monotonic + Duration::millis(millis);
        self.serve();
        loop {
            let timer = self.desk.timers.iter().flatten().min().copied();
            let alarm = self.desk.alarms.iter().map(|(_, at)| *at).min();
            let next = timer.into_iter().chain(alarm).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                break;
            };
            let span = next.since(self.desk.monotonic);
            self.desk.pass(span);
            if alarm == Some(next) {
                let place = self.desk.alarms.iter().position(|(_, at)| *at == next);
                let (token, _) = self.desk.alarms.remove(place.expect("just found"));
                self.give(Input::Alarm(token));
            } else {
                self.desk.timers[0] = None;
                self.give(Input::Timer(super::POLL));
            }
            self.serve();
        }
        let span = until.since(self.desk.monotonic);
        self.desk.pass(span);
    }

    fn take_fetch(&mut self) -> Fetch {
        assert!(!self.fetches.is_empty(), "nothing is fetched");
        self.fetches.remove(0)
    }

    fn batch(&mut self, base: u64, count: u32, epoch: u32) -> Batch {
        let record = |number| Record {
            id: RecordId {
                producer: NodeId(7),
                number,
            },
            key: None,
            bytes: 10,
            timestamp: Time::ZERO,
        };
        Batch {
            base_offset: Offset(base),
            leader_epoch: LeaderEpoch(epoch),
            records: self.desk.contents.store((0..count).map(record)),
            bytes: 61 + 10 * count,
            numbering: None,
            max_timestamp: Time::ZERO,
            corrupt: false,
        }
    }

    fn answer_with(&mut self, fetch: &Fetch, data: FetchedPartition) {
        let response = FetchResponse {
            error: ErrorCode::None,
            session: 5,
            partitions: smallvec![data],
        };
        self.respond(
            fetch.connection,
            fetch.correlation,
            Response::Fetch(Box::new(response)),
        );
        self.serve();
    }

    fn records(&mut self, fetch: &Fetch, batches: &[Batch], high_watermark: u64) {
        let mut data = fetched(ErrorCode::None, high_watermark);
        data.batches = SmallVec::from_slice(batches);
        self.answer_with(fetch, data);
    }

    fn refuse(&mut self, fetch: &Fetch, error: ErrorCode) {
        self.answer_with(fetch, fetched(error, 0));
    }

    /// First offset and number of records of each piece that polls returned.
    fn polled(&self) -> Vec<(u64, u32)> {
        let polled = |note: &ClientNote| match note {
            ClientNote::Polled { from, count, .. } => Some((from.0, *count)),
            _ => None,
        };
        self.desk.notes.iter().filter_map(polled).collect()
    }

    fn reset_positions(&self) -> Vec<(u64, u64)> {
        let reset = |note: &ClientNote| match note {
            ClientNote::PositionReset { from, to, .. } => Some((from.0, to.0)),
            _ => None,
        };
        self.desk.notes.iter().filter_map(reset).collect()
    }

    fn position(&self) -> Option<u64> {
        self.reader.position(PartitionId(0)).map(|offset| offset.0)
    }
}

fn fetched(error: ErrorCode, high_watermark: u64) -> FetchedPartition {
    FetchedPartition {
        partition: PartitionId(0),
        error,
        high_watermark: Offset(high_watermark),
        last_stable_offset: Offset(high_watermark),
        log_start: Offset(0),
        diverging: None,
        current_leader: None,
        preferred_read_replica: None,
        batches: smallvec![],
    }
}

fn fetch_offset(fetch: &Fetch) -> u64 {
    fetch.request.partitions[0].fetch_offset.0
}

#[test]
fn without_a_policy_a_reader_without_positions_ends() {
    let mut bench = Bench::new(ReaderSettings {
        auto_offset_reset: OffsetReset::None,
        ..ReaderSettings::default()
    });
    bench.pass(2_000);
    let died = ClientNote::Died("NoOffsetForPartitionException");
    assert!(
        bench.desk.exited && bench.desk.notes.contains(&died),
        "{:?}",
        bench.desk.notes
    );
}

#[test]
fn a_reader_starts_where_the_policy_says() {
    for (policy, target, offset) in [
        (OffsetReset::Earliest, ListOffsetsTarget::Earliest, 3),
        (OffsetReset::Latest, ListOffsetsTarget::Latest, 10),
    ] {
        let mut bench = Bench::new(ReaderSettings {
            auto_offset_reset: policy,
            ..earliest()
        });
        bench.log = (3, 10);
        bench.pass(200);
        assert_eq!(bench.resets, [target]);
        assert_eq!(fetch_offset(&bench.take_fetch()), offset);
        assert!(bench.reset_positions().is_empty(), "it had no position before");
    }
}

#[test]
fn without_a_policy_a_reader_without_position_reads_nothing() {
    let mut bench = Bench::new(ReaderSettings {
        auto_offset_reset: OffsetReset::None,
        ..earliest()
    });
    bench.pass(2_000);
    assert!(bench.fetches.is_empty() && bench.resets.is_empty());
}

#[test]
fn records_are_handed_out_and_the_next_fetch_follows_them() {
    let mut bench = Bench::new(earliest());
    bench.pass(200);
    let first = bench.take_fetch();
    let batches = [bench.batch(0, 3, 1), bench.batch(3, 2, 1)];
    bench.records(&first, &batches, 5);
    assert_eq!(bench.polled(), [(0, 3), (3, 2)]);
    assert_eq!(bench.position(), Some(5));
    let next = bench.take_fetch();
    assert_eq!(
        (
            fetch_offset(&next),
            next.request.session,
            next.request.session_epoch
        ),
        (5, 5, 1)
    );
    let caught_up = |note: &ClientNote| matches!(note, ClientNote::CaughtUp { end: Offset(5), .. });
    assert!(bench.desk.notes.iter().any(caught_up));
}

#[test]
fn max_poll_records_cuts_a_batch_and_nothing_is_fetched_while_the_rest_is_buffered() {
    let mut bench = Bench::new(ReaderSettings {
        max_poll_records: 2,
        ..earliest()
    });
    bench.pass(200);
    let first = bench.take_fetch();
    let batch = bench.batch(0, 5, 1);
    bench.records(&first, &[batch], 5);
    assert_eq!(bench.polled(), [(0, 2), (2, 2), (4, 1)]);
    assert_eq!(fetch_offset(&bench.take_fetch()), 5);
}

#[test]
fn records_before_the_position_are_skipped() {
    let mut bench = Bench::new(earliest());
    bench.log = (2, 10);
    bench.pass(200);
    let first = bench.take_fetch();
    let batch = bench.batch(0, 5, 1);
    bench.records(&first, &[batch], 5);
    assert_eq!(bench.polled(), [(2, 3)]);
}

#[test]
fn errors_that_need_metadata_ask_for_them_and_others_do_not() {
    use ErrorCode as E;
    for (error, asks) in [
        (E::NotLeaderOrFollower, true),
        (E::ReplicaNotAvailable, true),
        (E::KafkaStorageError, true),
        (E::FencedLeaderEpoch, true),
        (E::OffsetNotAvailable, true),
        (E::UnknownTopicOrPartition, true),
        (E::UnknownTopicId, true),
        (E::UnknownLeaderEpoch, false),
        (E::UnknownServerError, false),
    ] {
        let mut bench = Bench::new(earliest());
        bench.pass(200);
        let first = bench.take_fetch();
        let asked = bench.metadata_requests;
        bench.refuse(&first, error);
        bench.pass(300);
        assert_eq!(bench.metadata_requests > asked, asks, "{error}");
        assert_eq!(bench.position(), Some(0), "{error}");
        assert!(!bench.fetches.is_empty(), "{error} is tried again");
    }
}

#[test]
fn a_position_out_of_range_is_reset_by_policy() {
    let mut bench = Bench::new(earliest());
    bench.log = (4, 10);
    bench.pass(200);
    let first = bench.take_fetch();
    bench.log = (7, 10);
    bench.refuse(&first, ErrorCode::OffsetOutOfRange);
    bench.pass(10);
    assert_eq!(bench.reset_positions(), [(4, 7)]);
    assert_eq!(fetch_offset(&bench.take_fetch()), 7);
}

#[test]
fn a_new_leader_epoch_is_checked_and_a_truncated_log_takes_the_position_back() {
    let mut bench = Bench::new(earliest());
    bench.pass(200);
    let first = bench.take_fetch();
    let batch = bench.batch(0, 8, 1);
    bench.records(&first, &[batch], 8);
    let second = bench.take_fetch();
    bench.leader = (2, 2);
    bench.epoch_end = Some((1, 5));
    bench.refuse(&second, ErrorCode::NotLeaderOrFollower);
    bench.pass(500);
    assert_eq!(bench.validations, 1);
    assert_eq!(bench.reset_positions(), [(8, 5)]);
    assert_eq!(bench.fetches.last().map(fetch_offset), Some(5));
}

#[test]
fn a_hint_of_a_new_leader_is_checked_at_once() {
    let mut bench = Bench::new(earliest());
    bench.pass(200);
    let first = bench.take_fetch();
    let batch = bench.batch(0, 8, 1);
    bench.records(&first, &[batch], 8);
    let second = bench.take_fetch();
    bench.leader = (2, 2);
    bench.epoch_end = Some((1, 8));
    let mut data = fetched(ErrorCode::NotLeaderOrFollower, 0);
    data.current_leader = Some(CurrentLeader {
        leader: ServerId(2),
        epoch: LeaderEpoch(2),
    });
    bench.answer_with(&second, data);
    bench.pass(200);
    assert_eq!(bench.validations, 1);
    let next = bench.take_fetch();
    assert_eq!(bench.desk.opened[next.connection.0 as usize], ServerId(2));
    assert_eq!(bench.position(), Some(8));
}

#[test]
fn a_preferred_replica_is_read_from_until_it_fails() {
    let mut bench = Bench::new(earliest());
    bench.pass(200);
    let first = bench.take_fetch();
    assert_eq!(first.request.rack, Some(1));
    let mut data = fetched(ErrorCode::None, 10);
    data.preferred_read_replica = Some(ServerId(2));
    bench.answer_with(&first, data);
    bench.pass(100);
    let second = bench.take_fetch();
    assert_eq!(bench.desk.opened[second.connection.0 as usize], ServerId(2));
    bench.refuse(&second, ErrorCode::OffsetOutOfRange);
    bench.pass(100);
    assert!(bench.reset_positions().is_empty(), "the leader is asked first");
    let third = bench.take_fetch();
    assert_eq!(bench.desk.opened[third.connection.0 as usize], ServerId(1));
}

#[test]
fn a_lost_connection_ends_the_preference_and_the_session() {
    let mut bench = Bench::new(earliest());
    bench.pass(200);
    let first = bench.take_fetch();
    let mut data = fetched(ErrorCode::None, 10);
    data.preferred_read_replica = Some(ServerId(2));
    bench.answer_with(&first, data);
    bench.pass(100);
    let second = bench.take_fetch();
    bench.give(Input::Closed(second.connection, Closure::Reset));
    bench.pass(300);
    let third = bench.take_fetch();
    assert_eq!(bench.desk.opened[third.connection.0 as usize], ServerId(1));
}

#[test]
fn a_corrupt_batch_stops_the_reader_where_it_is() {
    for (check, polled) in [(true, vec![(0, 3)]), (false, vec![(0, 3), (3, 2)])] {
        let mut bench = Bench::new(ReaderSettings {
            check_crcs: check,
            ..earliest()
        });
        bench.pass(200);
        let first = bench.take_fetch();
        let mut batches = [bench.batch(0, 3, 1), bench.batch(3, 2, 1)];
        batches[1].corrupt = true;
        bench.records(&first, &batches, 5);
        bench.pass(1_000);
        assert_eq!(bench.polled(), polled);
    }
}

#[test]
fn a_fetch_without_answer_is_given_up_after_the_request_timeout() {
    let mut bench = Bench::new(earliest());
    bench.pass(200);
    let first = bench.take_fetch();
    bench.pass(30_200);
    assert_eq!(bench.desk.closed, [first.connection]);
    let again = bench.take_fetch();
    assert_eq!((again.request.session_epoch, fetch_offset(&again)), (0, 0));
}
