//! A runtime on a log by hand, with a state machine that keeps a number.

use std::collections::VecDeque;

use ktrial_sim::{ConnectionId, Duration, Time};

use super::*;
use crate::config::BrokerSettings;
use crate::groups::{Around, CoordinatorRecord, OffsetCommitValue, ResponseId, Written};
use crate::ids::{GroupId, LeaderEpoch, Offset, PartitionId};
use crate::metadata::MetadataImage;
use crate::mutation::Mutations;
use crate::notes::{CoordinatorNote, Note};
use crate::protocol::{CommittedOffset, Correlation, ErrorCode, Response};
use crate::specification::GroupConfigs;

const P: PartitionId = PartitionId(3);

/// Keeps the offset of the last OffsetCommit record, whatever it is about.
#[derive(Debug, Default)]
struct Number {
    value: u64,
    snapshots: Vec<(Offset, u64)>,
    told: Vec<Result<(), ErrorCode>>,
}

enum Ask {
    Set(u64),
    Wait,
    Read,
}

fn record(value: u64) -> CoordinatorRecord {
    let value = OffsetCommitValue {
        committed: CommittedOffset {
            offset: Offset(value),
            leader_epoch: None,
        },
        commit_timestamp: Time::ZERO,
    };
    CoordinatorRecord::OffsetCommit(GroupId(0), PartitionId(0), Some(value))
}

impl Shard for Number {
    type Request = Ask;
    type Timer = ();
    type Timeout = ();
    type Append = ();

    fn write(
        &mut self,
        ask: Ask,
        _: ResponseId,
        _: &mut Around<'_, (), ()>,
    ) -> Result<Written<()>, ErrorCode> {
        let Ask::Set(value) = ask else {
            return Ok(Written::answer(Response::Heartbeat(ErrorCode::None)));
        };
        Ok(Written {
            records: vec![record(value)],
            append: Some(()),
            ..Written::answer(Response::Heartbeat(ErrorCode::None))
        })
    }

    fn reads(ask: &Ask) -> bool {
        matches!(ask, Ask::Read)
    }

    fn read(&self, _: Ask, committed: Offset) -> Response {
        let seen = self.snapshots.iter().rev().find(|(at, _)| *at <= committed);
        Response::FindCoordinator(Ok(crate::ids::ServerId(
            seen.map_or(0, |(_, value)| *value as u16),
        )))
    }

    fn timed_out(&mut self, (): (), (): (), _: &mut Around<'_, (), ()>) -> Written<()> {
        Written::nothing()
    }

    fn appended(&mut self, (): (), result: Result<(), ErrorCode>, _: &mut Around<'_, (), ()>) {
        self.told.push(result);
    }

    fn replay(&mut self, record: &CoordinatorRecord, _: Time) {
        if let CoordinatorRecord::OffsetCommit(_, _, Some(value)) = record {
            self.value = value.committed.offset.0;
        }
    }

    fn snapshot(&mut self, at: Offset) {
        self.snapshots.push((at, self.value));
    }

    fn committed(&mut self, _: Offset) {}

    fn revert(&mut self, to: Offset) {
        self.snapshots.retain(|(at, _)| *at <= to);
        self.value = self.snapshots.last().map_or(0, |(_, value)| *value);
    }

    fn topics_changed(&mut self, _: &[u16]) {}

    fn loaded(&mut self, _: &mut Around<'_, (), ()>) {}

    fn unloaded(&mut self, _: &mut Around<'_, (), ()>) {}

    fn refuse(answer: &mut Response, error: ErrorCode, _: bool) {
        *answer = Response::Heartbeat(error);
    }
}

/// A broker with one partition.
struct Fake {
    settings: BrokerSettings,
    configs: GroupConfigs,
    image: MetadataImage,
    now: Time,
    log: Vec<LoadedBatch>,
    high_watermark: Offset,
    refuses: Option<ErrorCode>,
    leads: bool,
    work: VecDeque<(u16, Option<Duration>)>,
    answers: Vec<(u32, Response)>,
    notes: Vec<CoordinatorNote>,
}

impl Host for Fake {
    fn wall(&self) -> Time {
        self.now
    }
    fn monotonic(&self) -> Time {
        self.now
    }
    fn view(&self) -> (&BrokerSettings, &GroupConfigs, &MetadataImage) {
        (&self.settings, &self.configs, &self.image)
    }
    fn mutations(&self) -> Mutations {
        Mutations::default()
    }
    fn choose(&mut self, _: usize) -> usize {
        0
    }
    fn work(&mut self, thread: u16, wait: Option<Duration>) {
        self.work.push_back((thread, wait));
    }
    fn wake(&mut self, _: Time) {}
    fn append(&mut self, _: PartitionId, records: Vec<CoordinatorRecord>) -> Result<Appended, ErrorCode> {
        if let Some(error) = self.refuses {
            return Err(error);
        }
        let next = self.end().plus(records.len() as u64);
        self.log.push(LoadedBatch { next, records });
        Ok(Appended { next, flush: None })
    }
    fn finish_append(&mut self, _: PartitionId, _: bool) {}
    fn max_batch_bytes(&self, _: PartitionId) -> u32 {
        1 << 20
    }
    fn high_watermark(&self, _: PartitionId) -> Offset {
        self.high_watermark
    }
    fn load_time(&mut self, _: PartitionId) -> Duration {
        Duration::millis(10)
    }
    fn load(&mut self, _: PartitionId) -> Option<Vec<LoadedBatch>> {
        self.leads.then(|| self.log.clone())
    }
    fn answer(&mut self, to: Asker, response: Response) {
        self.answers.push((to.correlation.0, response));
    }
    fn note(&mut self, note: Note) {
        if let Note::Coordinator(_, note) = note {
            self.notes.push(note);
        }
    }
}

impl Fake {
    fn end(&self) -> Offset {
        self.log.last().map_or(Offset(0), |batch| batch.next)
    }
}

struct Bench {
    runtime: CoordinatorRuntime<Number>,
    fake: Fake,
    asked: u32,
}

impl Bench {
    /// A broker that was just elected for a partition with this log, committed up to an offset.
    fn elected(values: &[u64], high_watermark: u64) -> Bench {
        let batches = values.iter().enumerate().map(|(index, value)| LoadedBatch {
            next: Offset(index as u64 + 1),
            records: vec![record(*value)],
        });
        let mut bench = Bench {
            runtime: CoordinatorRuntime::new(2),
            fake: Fake {
                settings: BrokerSettings::default(),
                configs: GroupConfigs::new(),
                image: MetadataImage::default(),
                now: Time::ZERO,
                log: batches.collect(),
                high_watermark: Offset(high_watermark),
                refuses: None,
                leads: true,
                work: VecDeque::new(),
                answers: Vec::new(),
                notes: Vec::new(),
            },
            asked: 0,
        };
        bench
            .runtime
            .elected(P, LeaderEpoch(0), values.is_empty(), &mut bench.fake);
        bench
    }

    fn ask(&mut self, ask: Ask) -> u32 {
        self.asked += 1;
        let asker = Asker {
            connection: ConnectionId(0),
            correlation: Correlation(self.asked),
            refusal: Response::Heartbeat(ErrorCode::None),
        };
        self.runtime.request(P, ask, asker, &mut self.fake);
        self.asked
    }

    /// Threads work until they find nothing to do.
    fn work(&mut self) {
        while let Some((thread, _)) = self.fake.work.pop_front() {
            self.runtime.worked(thread, &mut self.fake);
        }
    }

    fn pass(&mut self, span: Duration) {
        self.work();
        self.fake.now += span;
        self.runtime.woke(&mut self.fake);
        self.work();
    }

    fn commit_up_to(&mut self, to: u64) {
        self.fake.high_watermark = Offset(to);
        self.runtime.high_watermark(P, Offset(to), &mut self.fake);
        self.work();
    }

    fn answer(&self, number: u32) -> Option<Response> {
        let found = self.fake.answers.iter().find(|(asked, _)| *asked == number);
        found.map(|(_, response)| response.clone())
    }

    fn value(&self) -> u64 {
        self.runtime.coordinator(P).unwrap().shard().value
    }
}

fn error(code: ErrorCode) -> Option<Response> {
    Some(Response::Heartbeat(code))
}

#[test]
fn a_write_is_answered_once_the_high_watermark_has_passed_its_records() {
    let mut bench = Bench::elected(&[], 0);
    let set = bench.ask(Ask::Set(7));
    bench.work();
    assert_eq!((bench.value(), bench.fake.end()), (7, Offset(1)));
    assert_eq!(bench.answer(set), None);
    bench.commit_up_to(1);
    assert_eq!(bench.answer(set), error(ErrorCode::None));
    assert_eq!(bench.runtime.coordinator(P).unwrap().shard().told, [Ok(())]);
}

#[test]
fn an_operation_without_records_waits_for_the_records_before_it() {
    let mut bench = Bench::elected(&[], 0);
    let first = bench.ask(Ask::Wait);
    bench.work();
    assert_eq!(
        bench.answer(first),
        error(ErrorCode::None),
        "nothing is on its way"
    );
    bench.ask(Ask::Set(7));
    let second = bench.ask(Ask::Wait);
    bench.work();
    assert_eq!(bench.answer(second), None);
    bench.commit_up_to(1);
    assert_eq!(bench.answer(second), error(ErrorCode::None));
}

#[test]
fn a_read_sees_what_is_committed_and_waits_for_nothing() {
    let read = |value: u16| Some(Response::FindCoordinator(Ok(crate::ids::ServerId(value))));
    let mut bench = Bench::elected(&[], 0);
    bench.ask(Ask::Set(7));
    bench.work();
    let before = bench.ask(Ask::Read);
    bench.work();
    bench.commit_up_to(1);
    let after = bench.ask(Ask::Read);
    bench.work();
    assert_eq!((bench.answer(before), bench.answer(after)), (read(0), read(7)));
}

#[test]
fn requests_that_come_together_are_appended_together() {
    let mut bench = Bench::elected(&[], 0);
    for value in 1..=5 {
        bench.ask(Ask::Set(value));
    }
    bench.work();
    assert_eq!(
        bench.fake.log.len(),
        1,
        "the first one's flush queued behind the others"
    );
    assert_eq!(bench.fake.end(), Offset(5));
}

#[test]
fn with_a_linger_of_zero_every_operation_is_appended_by_itself() {
    let mut bench = Bench::elected(&[], 0);
    bench.fake.settings.group_coordinator_append_linger_ms = Some(Duration::ZERO);
    for value in 1..=5 {
        bench.ask(Ask::Set(value));
    }
    bench.work();
    assert_eq!(bench.fake.log.len(), 5);
}

#[test]
fn with_a_linger_operations_wait_for_others_until_it_is_over() {
    let mut bench = Bench::elected(&[], 0);
    bench.fake.settings.group_coordinator_append_linger_ms = Some(Duration::millis(10));
    bench.ask(Ask::Set(1));
    bench.pass(Duration::millis(9));
    bench.ask(Ask::Set(2));
    bench.work();
    assert_eq!(bench.fake.log.len(), 0);
    bench.pass(Duration::millis(1));
    assert_eq!((bench.fake.log.len(), bench.fake.end()), (1, Offset(2)));
}

#[test]
fn records_that_cannot_be_appended_are_taken_back_and_their_operations_fail() {
    let mut bench = Bench::elected(&[], 0);
    bench.ask(Ask::Set(7));
    bench.work();
    bench.fake.refuses = Some(ErrorCode::NotLeaderOrFollower);
    let set = bench.ask(Ask::Set(8));
    bench.work();
    assert_eq!(bench.answer(set), error(ErrorCode::NotLeaderOrFollower));
    assert_eq!(bench.value(), 7, "what was appended stays");
    let told = &bench.runtime.coordinator(P).unwrap().shard().told;
    assert_eq!(told[..], [Err(ErrorCode::NotLeaderOrFollower)]);
    let to = Offset(1);
    let error = ErrorCode::NotLeaderOrFollower;
    assert_eq!(bench.fake.notes, [CoordinatorNote::RolledBack { to, error }]);
}

#[test]
fn an_operation_that_is_not_committed_in_time_fails_and_its_records_stay() {
    let mut bench = Bench::elected(&[], 0);
    let set = bench.ask(Ask::Set(7));
    bench.work();
    bench.pass(Duration::millis(4_999));
    assert_eq!(bench.answer(set), None);
    bench.pass(Duration::millis(1));
    assert_eq!(bench.answer(set), error(ErrorCode::RequestTimedOut));
    assert_eq!((bench.value(), bench.fake.end()), (7, Offset(1)));
    bench.commit_up_to(1);
    assert_eq!(bench.fake.answers.len(), 1, "answered once");
}

#[test]
fn an_elected_coordinator_reads_its_log_to_the_end_before_it_serves() {
    let mut bench = Bench::elected(&[4, 5, 6], 2);
    let early = bench.ask(Ask::Set(9));
    bench.work();
    assert_eq!(bench.answer(early), error(ErrorCode::CoordinatorLoadInProgress));
    bench.pass(Duration::millis(10));
    let context = bench.runtime.coordinator(P).unwrap();
    assert_eq!(context.state(), CoordinatorState::Active);
    assert_eq!((context.written(), context.committed()), (Offset(3), Offset(2)));
    assert_eq!(bench.value(), 6, "what is not committed yet counts too");
    let waits = bench.ask(Ask::Wait);
    bench.work();
    assert_eq!(bench.answer(waits), None, "until that is committed");
    bench.commit_up_to(3);
    assert_eq!(bench.answer(waits), error(ErrorCode::None));
}

#[test]
fn a_high_watermark_that_moves_between_reading_and_serving_is_missed_until_the_next_one() {
    let mut bench = Bench::elected(&[4], 0);
    bench.work();
    bench.fake.now += Duration::millis(10);
    bench.runtime.woke(&mut bench.fake);
    bench.commit_up_to(1);
    let context = bench.runtime.coordinator(P).unwrap();
    assert_eq!(
        (context.state(), context.committed()),
        (CoordinatorState::Active, Offset(0))
    );
    let waits = bench.ask(Ask::Wait);
    bench.work();
    assert_eq!(bench.answer(waits), None);
    bench.ask(Ask::Set(5));
    bench.work();
    bench.commit_up_to(2);
    assert_eq!(bench.answer(waits), error(ErrorCode::None));
}

#[test]
fn a_coordinator_that_lost_its_partition_while_reading_has_failed() {
    let mut bench = Bench::elected(&[4], 1);
    bench.work();
    bench.fake.leads = false;
    bench.pass(Duration::millis(10));
    let context = bench.runtime.coordinator(P).unwrap();
    assert_eq!(context.state(), CoordinatorState::Failed);
    let ask = bench.ask(Ask::Wait);
    bench.work();
    assert_eq!(bench.answer(ask), error(ErrorCode::NotCoordinator));
}

#[test]
fn a_coordinator_that_resigns_fails_who_waits_and_is_none_any_more() {
    let mut bench = Bench::elected(&[], 0);
    let set = bench.ask(Ask::Set(7));
    bench.work();
    bench.runtime.resigned(P, LeaderEpoch(0), &mut bench.fake);
    bench.work();
    assert!(
        bench.runtime.has(P),
        "an election that is not newer than its own changes nothing"
    );
    bench.runtime.resigned(P, LeaderEpoch(1), &mut bench.fake);
    bench.work();
    assert_eq!(bench.answer(set), error(ErrorCode::NotCoordinator));
    let late = bench.ask(Ask::Set(8));
    bench.work();
    assert_eq!(bench.answer(late), error(ErrorCode::NotCoordinator));
}

#[test]
fn a_broker_that_is_elected_again_before_it_has_given_a_partition_up_reads_it_anew() {
    let mut bench = Bench::elected(&[], 0);
    bench.ask(Ask::Set(7));
    bench.work();
    bench.runtime.resigned(P, LeaderEpoch(1), &mut bench.fake);
    bench.runtime.elected(P, LeaderEpoch(2), false, &mut bench.fake);
    bench.pass(Duration::millis(10));
    bench.pass(Duration::millis(10));
    let context = bench.runtime.coordinator(P).expect("it coordinates again");
    assert_eq!(context.state(), CoordinatorState::Active);
    assert_eq!(bench.value(), 7);
}

#[test]
fn a_coordinator_whose_log_is_not_where_it_believes_reads_it_anew() {
    let mut bench = Bench::elected(&[], 0);
    bench.fake.log.push(LoadedBatch {
        next: Offset(1),
        records: vec![record(99)],
    });
    let set = bench.ask(Ask::Set(7));
    bench.work();
    assert_eq!(bench.answer(set), error(ErrorCode::NotCoordinator));
    bench.pass(Duration::millis(10));
    let context = bench.runtime.coordinator(P).unwrap();
    assert_eq!(
        (context.state(), context.written()),
        (CoordinatorState::Active, Offset(2))
    );
    assert_eq!(bench.value(), 7, "the record was appended all the same");
}

#[test]
fn a_high_watermark_is_looked_at_before_other_events() {
    let mut bench = Bench::elected(&[], 0);
    let set = bench.ask(Ask::Set(1));
    bench.work();
    for value in 2..=9 {
        bench.ask(Ask::Set(value));
    }
    bench.fake.high_watermark = Offset(1);
    bench.runtime.high_watermark(P, Offset(1), &mut bench.fake);
    for _ in 0..2 {
        let (thread, _) = bench.fake.work.pop_front().expect("a thread works");
        bench.runtime.worked(thread, &mut bench.fake);
    }
    assert_eq!(
        bench.answer(set),
        error(ErrorCode::None),
        "second, behind the one in hand"
    );
}
