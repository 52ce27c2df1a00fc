use ktrial_sim::Duration;

use super::bench::*;
use crate::ids::{GroupId, LeaderEpoch, Offset, PartitionId};
use crate::notes::ClientNote;
use crate::protocol::{CommittedOffset, ErrorCode, FetchedOffset, OffsetFetchResponse, Response};
use crate::specification::{ApplicationSpecification, Failures, OnFailure, Sink, SinkKind};

const MOMENT: Duration = Duration::millis(700);

fn at(offset: u64, epoch: Option<u32>) -> CommittedOffset {
    CommittedOffset {
        offset: Offset(offset),
        leader_epoch: epoch.map(LeaderEpoch),
    }
}

fn refused(error: ErrorCode) -> Reply {
    Reply::Answer(Response::OffsetFetch(Box::new(OffsetFetchResponse {
        error,
        partitions: Vec::new(),
    })))
}

fn positions(bench: &Bench) -> Vec<Option<u64>> {
    let positions = bench.consumer.positions();
    positions
        .map(|(_, offset)| offset.map(|offset| offset.0))
        .collect()
}

#[test]
fn a_member_goes_on_where_its_group_has_committed_and_elsewhere_by_policy() {
    let mut bench = bench("");
    bench.batches = 1;
    bench.committed.push((PartitionId(1), at(10, None)));
    bench.pass(MOMENT);
    assert_eq!(bench.processed(), 30);
    assert_eq!(positions(&bench), [Some(10); 4]);
}

#[test]
fn a_committed_position_with_an_epoch_is_checked_before_it_is_used() {
    let mut bench = bench("");
    bench.batches = 1;
    bench.partitions = 1;
    bench.committed.push((PartitionId(0), at(10, Some(1))));
    bench.pass(MOMENT);
    assert!(bench.names().contains(&"OffsetForLeaderEpoch"));
    let mut ahead = bench_with_lost_records();
    ahead.pass(MOMENT);
    assert_eq!(positions(&ahead), [Some(10)], "the log ends there");
}

fn bench_with_lost_records() -> Bench {
    let mut bench = bench("");
    bench.batches = 1;
    bench.partitions = 1;
    bench.committed.push((PartitionId(0), at(17, Some(1))));
    bench
}

#[test]
fn without_a_policy_a_group_without_positions_ends_the_application() {
    let mut bench = bench("auto.offset.reset=none");
    bench.pass(MOMENT);
    assert_eq!(bench.died(), Some("NoOffsetForPartitionException"));
}

/// `SubscriptionState.maybeCompleteValidation`, `PositionsValidator.maybeThrowError`.
#[test]
fn without_a_policy_a_group_whose_log_was_truncated_ends_the_application() {
    let mut bench = bench("auto.offset.reset=none");
    bench.batches = 1;
    bench.partitions = 1;
    bench.committed.push((PartitionId(0), at(17, Some(1))));
    bench.pass(MOMENT);
    assert_eq!(bench.died(), Some("LogTruncationException"));
}

#[test]
fn positions_are_asked_for_again_where_that_can_help() {
    let cases = [
        (ErrorCode::CoordinatorLoadInProgress, 1),
        (ErrorCode::NotCoordinator, 2),
        (ErrorCode::CoordinatorNotAvailable, 2),
    ];
    for (error, lookups) in cases {
        let mut bench = bench("");
        bench.script.push(("OffsetFetch", refused(error)));
        bench.pass(Duration::secs(2));
        assert_eq!(bench.take("OffsetFetch").len(), 2, "{error:?}");
        let asked = bench.take("FindCoordinator").len();
        assert!(
            (lookups..=lookups * lookups).contains(&asked),
            "{error:?}: {asked}"
        );
        assert_eq!(positions(&bench), [Some(0); 4], "{error:?}");
    }
}

#[test]
fn a_position_of_an_open_transaction_is_waited_for() {
    let mut bench = bench("");
    bench.partitions = 1;
    let unstable = Response::OffsetFetch(Box::new(OffsetFetchResponse {
        error: ErrorCode::None,
        partitions: vec![FetchedOffset {
            partition: PartitionId(0),
            committed: None,
            error: ErrorCode::UnstableOffsetCommit,
        }],
    }));
    bench.script.push(("OffsetFetch", Reply::Answer(unstable)));
    bench.pass(Duration::secs(1));
    assert_eq!(bench.take("OffsetFetch").len(), 2);
    assert_eq!(positions(&bench), [Some(0)]);
}

#[test]
fn other_errors_end_the_application() {
    let mut bench = bench("");
    bench
        .script
        .push(("OffsetFetch", refused(ErrorCode::UnknownServerError)));
    bench.pass(MOMENT);
    assert_eq!(bench.died(), Some("UNKNOWN_SERVER_ERROR"));
}

#[test]
fn a_cooperative_member_keeps_the_positions_of_what_it_keeps() {
    let mut bench = bench(COOPERATIVE);
    bench.batches = 1;
    bench.follower_gets = assignment(&[0, 1]);
    let mut bench = bench.joined();
    bench.follower_gets = assignment(&[0, 2]);
    bench
        .script
        .push(("Heartbeat", heartbeat(ErrorCode::RebalanceInProgress)));
    bench.pass(Duration::secs(4));
    let asked = bench.take("OffsetFetch");
    assert_eq!(asked.len(), 1);
    let crate::protocol::Request::OffsetFetch(request) = &asked[0].1 else {
        panic!()
    };
    let partitions = request.partitions.as_ref().map(|all| all.to_vec());
    assert_eq!(partitions, Some(vec![PartitionId(2)]));
}

#[test]
fn an_application_with_offsets_of_its_own_goes_on_where_its_sink_stands_whatever_is_committed() {
    let sink = Sink {
        kind: SinkKind::OwnOffsets,
        applying: (Duration::ZERO, Duration::ZERO),
        fenced: false,
    };
    let own = ApplicationSpecification {
        sink: Some(sink),
        ..application()
    };
    let mut bench = bench_of("enable.auto.commit=false", own);
    bench.batches = 3;
    bench.committed.push((PartitionId(2), at(10, None)));
    let outside = &mut bench.desk.contents.outside;
    outside.keep_offset(GroupId(0), PartitionId(2), at(25, None));
    bench.pass(MOMENT);
    let applied = bench.desk.notes.iter().filter_map(|note| match note {
        ClientNote::Applied {
            partition, offset, ..
        } if partition.0 == 2 => Some(offset.0),
        _ => None,
    });
    assert_eq!(applied.collect::<Vec<_>>(), [25, 26, 27, 28, 29]);
    assert_eq!(positions(&bench), [Some(30); 4]);
}

#[test]
fn a_position_that_was_sought_is_where_the_next_records_come_from() {
    let seeks = ApplicationSpecification {
        failures: Failures {
            failing: Some(1),
            times: 1,
            then: OnFailure::Seek,
            ..Failures::default()
        },
        ..application()
    };
    let mut bench = bench_of("", seeks);
    bench.partitions = 1;
    bench.batches = 1;
    // Each of the ten records fails once, and a second passes each time.
    bench.pass(Duration::secs(12));
    assert_eq!(bench.processed(), 10);
    assert_eq!(positions(&bench), [Some(10)]);
}
