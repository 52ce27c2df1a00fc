//! The application above a client that the test plays: one partition with ten records in one batch.

use std::sync::Arc;

use ktrial_sim::{Duration, Input, NodeId, Time, TimerSlot};
use smallvec::smallvec;

use super::*;
use crate::client::Environment;
use crate::client::testing::{Desk, cluster};
use crate::config::testing::member;
use crate::consumer::Exception;
use crate::ids::{ClientId, GenerationId, GroupId, LeaderEpoch, Offset, PartitionId, RecordId, ServerId};
use crate::kafka::{Kafka, Signal, site};
use crate::notes::{ClientNote, FailureEnd};
use crate::protocol::CommittedOffset;
use crate::reader::core::Handed;
use crate::records::{Batch, Record, Records};
use crate::specification::{
    ApplicationSpecification, ClusterSpecification, CommitStyle, ConsumerSpecification, Failures, GivenUp,
    HandOver, OnFailure, PauseStyle, ReaderSpecification, Sink, SinkKind,
};

const PARTITION: PartitionId = PartitionId(0);
const GROUP: GroupId = GroupId(0);
const RECORDS: u64 = 10;
const PRODUCER: NodeId = NodeId(8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InCall {
    Poll(Duration),
    Waits,
    Ends,
}

/// A client that fetches in no time, five records a poll, and starts where the group stands: at the beginning.
struct Played {
    position: u64,
    call: InCall,
    away: bool,
    handed: Vec<Handed>,
    added: Vec<PartitionId>,
    listener: bool,
    paused: bool,
    removed: Vec<PartitionId>,
    hears_removals: bool,
    /// How often it was polled.
    polls: u32,
}

fn committed(offset: u64) -> CommittedOffset {
    CommittedOffset {
        offset: Offset(offset),
        leader_epoch: None,
    }
}

impl ConsumerClient for Played {
    fn new(_: &Arc<ClusterSpecification>, specification: &Arc<ConsumerSpecification>, _: Time) -> Self {
        Played {
            position: 0,
            call: InCall::Ends,
            away: false,
            handed: Vec::new(),
            added: vec![PARTITION],
            listener: specification.application.hears_assignments(),
            paused: false,
            removed: Vec::new(),
            hears_removals: specification.application.hears_removals(),
            polls: 0,
        }
    }

    fn poll(&mut self, timeout: Duration, _: &mut impl Environment) {
        self.call = InCall::Poll(timeout);
        self.polls += 1;
    }

    fn commit_sync(&mut self, offsets: &Positions, environment: &mut impl Environment) {
        self.call = InCall::Ends;
        let offsets = offsets.iter().map(|(partition, at)| (*partition, at.offset));
        environment.note(crate::notes::Note::Client(ClientNote::Committed {
            offsets: offsets.collect(),
            by: crate::notes::CommittedBy::Application,
        }));
    }

    fn close(&mut self, _: Duration, _: &mut impl Environment) {
        self.call = InCall::Ends;
    }

    fn run(&mut self, environment: &mut impl Environment) -> Option<Event> {
        let returned = |records| Some(Event::Returned(Ok(records)));
        match self.call {
            InCall::Ends => returned(true),
            InCall::Poll(_) if self.listener && !self.added.is_empty() => {
                Some(Event::CallsBack(Callback::Assigned))
            }
            InCall::Poll(_) | InCall::Waits if self.hears_removals && !self.removed.is_empty() => {
                Some(Event::CallsBack(Callback::Revoked))
            }
            InCall::Poll(_) if self.position < RECORDS && !self.paused => {
                let count = (RECORDS - self.position).min(5) as u32;
                let records = Records { start: 0, count: 10 };
                let batch = Batch {
                    base_offset: Offset(0),
                    leader_epoch: LeaderEpoch(1),
                    records,
                    bytes: 1061,
                    numbering: None,
                    max_timestamp: Time::ZERO,
                    corrupt: false,
                };
                self.handed.push(Handed {
                    partition: PARTITION,
                    from: Offset(self.position),
                    batch,
                    first: self.position as u32,
                    count,
                });
                self.position += u64::from(count);
                returned(true)
            }
            InCall::Poll(timeout) => {
                self.call = InCall::Waits;
                environment.set_timer(TimerSlot(0), timeout);
                None
            }
            InCall::Waits => returned(false),
        }
    }

    fn commit_async(
        &mut self,
        offsets: &Positions,
        environment: &mut impl Environment,
    ) -> Result<(), Exception> {
        self.commit_sync(offsets, environment);
        Ok(())
    }

    fn take_records(&mut self, records: &mut Vec<Handed>) {
        records.append(&mut self.handed);
    }

    fn take_told(&mut self, callback: Callback, partitions: &mut Vec<PartitionId>) {
        partitions.append(match callback {
            Callback::Assigned => &mut self.added,
            Callback::Revoked | Callback::Lost => &mut self.removed,
        });
    }

    fn listener_threw(&mut self, exception: Exception) {
        unreachable!("this listener does not throw {exception:?}");
    }

    fn seek(&mut self, _: PartitionId, to: CommittedOffset) {
        self.position = to.offset.0;
    }

    fn pause(&mut self, _: PartitionId) {
        self.paused = true;
    }

    fn resume(&mut self, _: PartitionId) {
        self.paused = false;
    }

    fn paused(&self) -> impl Iterator<Item = PartitionId> {
        self.paused.then_some(PARTITION).into_iter()
    }

    fn generation(&self) -> GenerationId {
        GenerationId(1)
    }

    fn position(&self, _: PartitionId) -> Option<CommittedOffset> {
        Some(committed(self.position))
    }

    fn assignment(&self) -> impl Iterator<Item = PartitionId> {
        [PARTITION].into_iter()
    }

    fn away(&mut self, span: Duration, environment: &mut impl Environment) -> bool {
        if span == Duration::ZERO {
            return false;
        }
        self.away = true;
        environment.set_timer(TimerSlot(0), span);
        true
    }

    fn handle(&mut self, _: Input<Kafka>, _: &mut impl Environment) -> Woken {
        match std::mem::take(&mut self.away) {
            true => Woken::Back,
            false => Woken::InCall,
        }
    }

    fn shut_down(&mut self, _: &mut impl Environment) {}

    fn is_settled(&self) -> bool {
        true
    }
}

struct Table {
    desk: Desk,
    process: Process<Played>,
}

/// A process that starts at once. It commits what each poll returned behind its work.
fn table(application: ApplicationSpecification) -> Table {
    let (membership, settings) = member("group.id=g");
    let specification = ConsumerSpecification {
        reader: ReaderSpecification {
            name: "c".to_owned(),
            settings,
            rack: None,
            topics: vec![0],
            bootstrap: smallvec![ServerId(1)],
        },
        group: GROUP,
        client: ClientId(0),
        instance: None,
        member: membership,
        application: ApplicationSpecification {
            commit: match application.hears_assignments() {
                true => CommitStyle::Auto,
                false => CommitStyle::After,
            },
            ..application
        },
        letters: None,
    };
    let mut desk = Desk::new();
    let timestamp = desk.wall;
    desk.contents.store((0..10).map(|number| Record {
        id: RecordId {
            producer: PRODUCER,
            number,
        },
        key: None,
        bytes: 100,
        timestamp,
    }));
    let mut process = Process::new(Arc::new(cluster()), Arc::new(specification));
    process.boot_in(&mut desk);
    Table { desk, process }
}

impl Table {
    fn pass(&mut self, span: Duration) {
        let end = self.desk.monotonic + span;
        while !self.desk.exited {
            let Some(input) = self.desk.next_due(end) else {
                return;
            };
            self.process.handle_in(input, &mut self.desk);
        }
    }

    /// The process is killed, and started again.
    fn crash(&mut self) {
        self.desk.timers.clear();
        self.desk.alarms.clear();
        self.process.boot_in(&mut self.desk);
    }

    fn told<T>(&self, wanted: impl Fn(&ClientNote) -> Option<T>) -> Vec<T> {
        self.desk.notes.iter().filter_map(wanted).collect()
    }

    /// Offsets of the records that were processed, in order.
    fn processed(&self) -> Vec<u64> {
        let told = self.told(|note| match note {
            ClientNote::Processed { from, count, .. } => Some(from.0..from.0 + u64::from(*count)),
            _ => None,
        });
        told.into_iter().flatten().collect()
    }

    /// Offsets of the records that a sink took effect of, in order.
    fn applied(&self) -> Vec<u64> {
        self.told(|note| match note {
            ClientNote::Applied { offset, .. } => Some(offset.0),
            _ => None,
        })
    }

    fn committed(&self) -> Vec<u64> {
        self.told(|note| match note {
            ClientNote::Committed { offsets, .. } => Some(offsets[0].1.0),
            _ => None,
        })
    }

    fn failures(&self) -> Vec<FailureEnd> {
        self.told(|note| match note {
            ClientNote::ProcessingFailed { end, .. } => Some(*end),
            _ => None,
        })
    }
}

/// An application whose record 3 fails: always, or so often.
fn record_3_fails(times: Option<u32>, then: OnFailure, retries: u32) -> Table {
    let failures = Failures {
        poison: times.is_none().then_some(1_000),
        failing: times.map(|_| 1_000),
        times: times.unwrap_or(0),
        retries,
        then,
        ..Failures::default()
    };
    let mut table = table(ApplicationSpecification {
        failures,
        ..ApplicationSpecification::default()
    });
    let record = u64::from(PRODUCER.0) << 32 | 3;
    table.desk.given = vec![(site::POISON, record, 0), (site::FAILING, record, 0)];
    table.pass(Duration::secs(5));
    table
}

#[test]
fn without_failures_every_poll_is_committed_behind_its_work() {
    let mut table = table(ApplicationSpecification::default());
    table.pass(Duration::secs(1));
    assert_eq!(table.processed(), (0..10).collect::<Vec<_>>());
    assert_eq!(table.committed(), [5, 10]);
}

/// An application that commits behind every so-manieth poll.
fn commits_every(polls: u32) -> Table {
    let mut table = table(ApplicationSpecification {
        commit_every: polls,
        ..ApplicationSpecification::default()
    });
    table.pass(Duration::secs(1));
    assert_eq!(table.processed(), (0..10).collect::<Vec<_>>());
    table
}

#[test]
fn who_commits_behind_every_second_poll_commits_what_two_polls_returned() {
    assert_eq!(commits_every(2).committed(), [10]);
}

#[test]
fn a_poll_that_returns_nothing_counts_and_what_is_committed_already_is_not_committed_again() {
    // The third poll waits 200 ms for nothing; the sixth and the ones behind it bring nothing new.
    let mut table = commits_every(3);
    assert_eq!(table.committed(), [10]);
    table.pass(Duration::secs(5));
    assert_eq!(table.committed(), [10]);
}

#[test]
fn who_dies_before_the_poll_behind_which_it_commits_has_committed_nothing() {
    let mut table = commits_every(30);
    assert!(table.committed().is_empty());
    table.crash();
    table.pass(Duration::secs(1));
    assert_eq!(table.processed().len(), 20, "all of it again");
}

#[test]
fn a_record_that_always_fails_blocks_who_retries_it_where_it_stands() {
    let table = record_3_fails(None, OnFailure::Retry, 0);
    assert_eq!(table.processed(), [0, 1, 2]);
    assert!(table.committed().is_empty());
    // At once, and again after each second.
    assert_eq!(table.failures(), [FailureEnd::TriedAgain; 6]);
}

#[test]
fn a_record_that_always_fails_is_passed_by_who_skips_it() {
    let table = record_3_fails(None, OnFailure::Skip, 0);
    assert_eq!(table.processed(), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    assert_eq!(table.committed(), [5, 10]);
}

#[test]
fn tries_in_place_come_before_anything_else_is_done() {
    let table = record_3_fails(None, OnFailure::Skip, 2);
    use FailureEnd::{LeftOut, TriedAgain};
    assert_eq!(table.failures(), [TriedAgain, TriedAgain, LeftOut]);
}

/// C105: nothing brings the record back, and the next commit passes it.
#[test]
fn who_leaves_out_a_commit_and_goes_on_loses_the_record_with_the_commit_of_the_next_poll() {
    let table = record_3_fails(Some(1), OnFailure::Continue, 0);
    assert_eq!(table.processed(), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    assert_eq!(table.committed(), [10]);
}

#[test]
fn who_seeks_back_to_a_record_gets_it_again_and_what_came_behind_it() {
    let table = record_3_fails(Some(1), OnFailure::Seek, 0);
    assert_eq!(table.processed(), (0..10).collect::<Vec<_>>());
    assert_eq!(table.committed(), [3, 8, 10]);
}

#[test]
fn who_dies_of_a_record_closes_nothing_and_commits_nothing() {
    let mut table = record_3_fails(None, OnFailure::Die, 0);
    assert!(table.desk.exited);
    assert_eq!(table.processed(), [0, 1, 2]);
    let exited = table.told(|note| matches!(note, ClientNote::Exited(_)).then_some(()));
    let closed = table.told(|note| matches!(note, ClientNote::Closes).then_some(()));
    assert_eq!((exited.len(), closed.len()), (1, 0));
    table.desk.exited = false;
    table.crash();
    table.pass(Duration::secs(1));
    assert!(table.desk.exited, "it comes back to the same record");
    assert_eq!(table.processed(), [0, 1, 2, 0, 1, 2]);
}

/// H11: what is closed has given out the whole poll, and a client that commits by itself commits that.
#[test]
fn who_closes_because_of_a_record_stands_behind_all_that_the_poll_returned() {
    let table = record_3_fails(None, OnFailure::Close, 0);
    assert!(table.desk.exited);
    assert_eq!(table.processed(), [0, 1, 2]);
    assert_eq!(table.failures(), [FailureEnd::Closed]);
    let closed = table.told(|note| matches!(note, ClientNote::Closes).then_some(()));
    assert_eq!(closed.len(), 1);
}

#[test]
fn how_often_a_record_failed_outlives_the_process() {
    let mut table = record_3_fails(Some(1), OnFailure::Die, 0);
    table.desk.exited = false;
    table.crash();
    table.pass(Duration::secs(1));
    assert_eq!(table.processed().last(), Some(&9));
}

/// A sink whose calls take 10 ms, with the effect after 5 ms.
fn sink(kind: SinkKind, fenced: bool) -> Table {
    table(ApplicationSpecification {
        sink: Some(Sink {
            kind,
            applying: (Duration::millis(10), Duration::millis(10)),
            fenced,
        }),
        ..ApplicationSpecification::default()
    })
}

#[test]
fn an_effect_can_happen_that_its_application_never_learns_of() {
    let mut table = sink(SinkKind::Plain, false);
    // The third record has its effect at 25 ms; the answer would come at 30 ms.
    table.pass(Duration::millis(27));
    assert_eq!((table.applied(), table.processed()), (vec![0, 1, 2], vec![0, 1]));
    table.crash();
    table.pass(Duration::secs(1));
    assert_eq!(
        table.applied()[3..],
        (0..10).collect::<Vec<_>>(),
        "all of it again"
    );
}

#[test]
fn a_process_that_dies_before_the_effect_leaves_none() {
    let mut table = sink(SinkKind::Plain, false);
    table.pass(Duration::millis(24));
    assert_eq!(table.applied(), [0, 1]);
    table.crash();
    assert_eq!(table.applied(), [0, 1]);
}

#[test]
fn a_store_of_effects_and_offsets_goes_on_behind_the_last_effect() {
    let mut table = sink(SinkKind::OwnOffsets, false);
    table.pass(Duration::millis(27));
    assert_eq!(table.processed(), [0, 1]);
    table.crash();
    table.pass(Duration::secs(1));
    assert_eq!(table.applied(), (0..10).collect::<Vec<_>>(), "each effect once");
    assert!(table.committed().is_empty());
}

#[test]
fn a_fence_refuses_who_was_the_owner_before() {
    let mut table = sink(SinkKind::Plain, true);
    table.pass(Duration::millis(22));
    let outside = &mut table.desk.contents.outside;
    assert!(
        outside.pass_fence(GROUP, PARTITION, GenerationId(2)),
        "the new owner"
    );
    table.pass(Duration::secs(1));
    assert_eq!(table.applied(), [0, 1]);
    let refused = table.told(|note| match note {
        ClientNote::ApplyRefused { offset, .. } => Some(offset.0),
        _ => None,
    });
    assert_eq!(
        refused,
        [2, 5],
        "once for each poll: what stands behind is dropped"
    );
}

#[test]
fn an_owner_that_is_none_any_more_has_its_effects_all_the_same_without_a_fence() {
    let mut table = sink(SinkKind::Plain, false);
    table.pass(Duration::millis(22));
    let outside = &mut table.desk.contents.outside;
    assert!(outside.pass_fence(GROUP, PARTITION, GenerationId(2)));
    table.pass(Duration::secs(1));
    assert_eq!(table.applied(), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_record_is_not_worked_on_before_it_is_old_enough() {
    let mut table = table(ApplicationSpecification {
        delay: Duration::secs(3),
        ..ApplicationSpecification::default()
    });
    table.pass(Duration::millis(2_999));
    assert!(table.processed().is_empty());
    table.pass(Duration::millis(1));
    assert_eq!(table.processed(), (0..10).collect::<Vec<_>>());
}

/// A worker that takes a second for each record, with a buffer of five.
fn with_worker(pause: PauseStyle, given_up: GivenUp) -> Table {
    table(ApplicationSpecification {
        processing: (Duration::secs(1), Duration::secs(1)),
        hand_over: Some(HandOver {
            buffer: 5,
            pause,
            given_up,
        }),
        ..ApplicationSpecification::default()
    })
}

impl Table {
    /// How many records polls have returned.
    fn returned(&self) -> u64 {
        self.process.client.position
    }
}

#[test]
fn a_full_buffer_is_paused_until_half_of_it_is_left_and_polls_go_on() {
    let mut table = with_worker(PauseStyle::EachPoll, GivenUp::Drop);
    table.pass(Duration::millis(2_900));
    assert_eq!(table.processed(), [0, 1]);
    assert!(table.process.client.paused);
    assert_eq!((table.returned(), table.process.client.polls), (5, 16));
    // Two are in hand after three seconds, and the next poll shows it.
    table.pass(Duration::millis(400));
    assert_eq!(table.returned(), 10);
    table.pass(Duration::secs(10));
    assert_eq!(table.processed(), (0..10).collect::<Vec<_>>());
    assert!(!table.process.client.paused && table.process.is_idle());
}

#[test]
fn without_a_pause_the_buffer_takes_whatever_polls_return() {
    let mut table = with_worker(PauseStyle::Never, GivenUp::Drop);
    table.pass(Duration::millis(10));
    assert_eq!(table.returned(), 10);
}

#[test]
fn what_is_committed_is_what_the_worker_has_finished_with_and_not_what_polls_returned() {
    let mut table = with_worker(PauseStyle::EachPoll, GivenUp::Drop);
    table.pass(Duration::millis(4_500));
    assert_eq!(table.committed(), [1, 2, 3, 4]);
}

#[test]
fn of_partitions_that_are_given_up_the_listener_drops_all_but_the_record_at_hand() {
    let mut table = with_worker(PauseStyle::EachPoll, GivenUp::Drop);
    table.pass(Duration::millis(2_500));
    table.process.client.removed.push(PARTITION);
    table.pass(Duration::secs(3));
    assert_eq!(table.processed(), [0, 1, 2, 5, 6]);
    assert_eq!(
        table.committed(),
        [1, 2, 6, 7],
        "nothing that was finished too late"
    );
}

#[test]
fn without_a_listener_the_worker_goes_on_and_commits_as_if_nothing_had_happened() {
    let mut table = with_worker(PauseStyle::EachPoll, GivenUp::Finish);
    table.pass(Duration::millis(2_500));
    table.process.client.removed.push(PARTITION);
    table.pass(Duration::secs(3));
    assert_eq!(table.processed(), [0, 1, 2, 3, 4]);
    assert_eq!(table.committed(), [1, 2, 3, 4, 5]);
}

#[test]
fn who_pauses_once_does_not_pause_again_what_a_rebalance_brings_back() {
    let position = |pause| {
        let mut table = with_worker(pause, GivenUp::Finish);
        table.pass(Duration::millis(500));
        // As an eager rebalance leaves it.
        table.process.client.paused = false;
        table.pass(Duration::millis(300));
        (table.returned(), table.process.client.paused)
    };
    assert_eq!(position(PauseStyle::Once), (10, false));
    assert_eq!(position(PauseStyle::EachPoll), (5, true));
}

#[test]
fn an_application_that_ends_finishes_the_record_at_hand_and_commits_it() {
    let mut table = with_worker(PauseStyle::EachPoll, GivenUp::Drop);
    table.pass(Duration::millis(2_500));
    table
        .process
        .handle_in(Input::Signal(Signal::Terminate), &mut table.desk);
    table.pass(Duration::secs(5));
    assert!(table.desk.exited);
    assert_eq!(table.processed(), [0, 1, 2]);
    assert_eq!(table.committed(), [1, 2, 3]);
}

#[test]
fn a_crash_forgets_the_buffer_and_the_worker() {
    let mut table = with_worker(PauseStyle::EachPoll, GivenUp::Drop);
    table.pass(Duration::millis(2_500));
    table.crash();
    table.pass(Duration::millis(1_500));
    assert_eq!(table.processed(), [0, 1, 0]);
}

#[test]
fn a_stall_holds_the_worker_up_and_not_the_polls() {
    let mut table = with_worker(PauseStyle::EachPoll, GivenUp::Drop);
    let stall = Input::Signal(Signal::Stall(Duration::secs(60)));
    table.process.handle_in(stall, &mut table.desk);
    table.pass(Duration::secs(50));
    assert!(table.processed().is_empty());
    assert!(table.process.client.polls > 200);
    table.pass(Duration::millis(11_500));
    assert_eq!(table.processed(), [0]);
}
