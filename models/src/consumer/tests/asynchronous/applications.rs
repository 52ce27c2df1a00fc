//! What applications do with a member of the consumer protocol: `seek`, one commit for each record, commits of members
//! that are none any more.

use ktrial_sim::Duration;

use super::*;
use crate::ids::{GroupId, Offset, PartitionId};
use crate::notes::ClientNote;
use crate::protocol::{CommittedOffset, ErrorCode, OffsetCommitRequest};
use crate::specification::{Failures, OnFailure, Sink, SinkKind};

fn at(offset: u64) -> CommittedOffset {
    CommittedOffset {
        offset: Offset(offset),
        leader_epoch: None,
    }
}

fn with_sink(kind: SinkKind) -> ApplicationSpecification {
    ApplicationSpecification {
        sink: Some(Sink {
            kind,
            applying: (Duration::ZERO, Duration::ZERO),
            fenced: false,
        }),
        ..application()
    }
}

/// Partitions and offsets of the records that were processed, in order.
fn processed(bench: &Bench) -> Vec<(u32, u64)> {
    let notes = bench.desk.notes.iter();
    let each = notes.filter_map(|note| match note {
        ClientNote::Processed {
            partition,
            from,
            count,
            ..
        } => Some((0..u64::from(*count)).map(|number| (partition.0, from.0 + number))),
        _ => None,
    });
    each.flatten().collect()
}

fn sought(bench: &Bench) -> Vec<(u32, u64)> {
    let notes = bench.desk.notes.iter();
    let each = notes.filter_map(|note| match note {
        ClientNote::Sought { partition, to } => Some((partition.0, to.0)),
        _ => None,
    });
    each.collect()
}

fn commit_requests(bench: &mut Bench) -> Vec<OffsetCommitRequest> {
    let commit = |(_, request): (Duration, Request)| match request {
        Request::OffsetCommit(request) => *request,
        other => panic!("{other:?} is no commit"),
    };
    bench.take("OffsetCommit").into_iter().map(commit).collect()
}

#[test]
fn a_sink_with_offsets_of_its_own_decides_where_its_application_goes_on() {
    let mut bench = modern_of("enable.auto.commit=false", with_sink(SinkKind::OwnOffsets));
    bench.batches = 3;
    bench.target = vec![0, 1];
    bench.committed.push((PartitionId(0), at(5)));
    let outside = &mut bench.desk.contents.outside;
    outside.keep_offset(GroupId(0), PartitionId(0), at(20));
    bench.pass(Duration::secs(2));
    assert_eq!(sought(&bench), [(0, 20)]);
    let of = |wanted| {
        processed(&bench)
            .into_iter()
            .filter(move |(partition, _)| *partition == wanted)
    };
    let mine: Vec<u64> = of(0).map(|(_, offset)| offset).collect();
    assert_eq!(mine, (20..30).collect::<Vec<u64>>(), "not where the group stands");
    assert_eq!(of(1).count(), 30);
    assert!(commits(&mut bench).is_empty());
}

#[test]
fn records_that_an_application_goes_back_to_are_fetched_again_and_finished_with_once() {
    let mut once = application();
    once.failures = Failures {
        failing: Some(1),
        times: 1,
        then: OnFailure::Seek,
        backoff: Duration::millis(10),
        ..Failures::default()
    };
    let mut bench = modern_of("", once);
    bench.batches = 1;
    bench.target = vec![0];
    bench.pass(Duration::secs(5));
    // All batches of the bench hold the same ten records.
    let each: Vec<(u32, u64)> = (0..10).map(|offset| (0, offset)).collect();
    assert_eq!(sought(&bench), each);
    assert_eq!(processed(&bench), each);
}

#[test]
fn an_application_that_polls_one_record_at_a_time_commits_each() {
    let settings = "enable.auto.commit=false\nmax.poll.records=1";
    let mut bench = modern_of(settings, committing(CommitStyle::After));
    bench.batches = 1;
    bench.target = vec![0];
    bench.pass(Duration::secs(3));
    let offsets: Vec<u64> = commit_requests(&mut bench)
        .iter()
        .map(|request| request.partitions[0].committed.offset.0)
        .collect();
    assert_eq!(offsets, (1..=10).collect::<Vec<u64>>());
}

/// `CommitRequestManager.onMemberEpochUpdated`: who was fenced names no epoch, but its id.
#[test]
fn a_fenced_member_whose_application_has_not_noticed_commits_without_an_epoch() {
    let after = ApplicationSpecification {
        commit: CommitStyle::After,
        ..listening(working(Duration::secs(1)))
    };
    let mut bench = modern_of("enable.auto.commit=false\nmax.poll.records=10", after);
    bench.batches = 1;
    bench.target = vec![0];
    let mut bench = bench.joined();
    let fenced = member_refused(ErrorCode::FencedMemberEpoch);
    bench.script.push(("ConsumerGroupHeartbeat", fenced));
    bench.pass(Duration::secs(12));
    let commits = commit_requests(&mut bench);
    assert_eq!(commits.len(), 1);
    assert_eq!(commits[0].generation, crate::ids::GenerationId::NONE);
    assert!(commits[0].member.is_some());
}

#[test]
fn every_answer_to_a_commit_counts_for_its_latency_and_silence_does_not() {
    let mut bench = modern("auto.commit.interval.ms=1000");
    bench.batches = 1;
    let mut bench = bench.joined();
    let answered = |bench: &mut Bench| {
        let notes = std::mem::take(&mut bench.desk.notes).into_iter();
        let latencies = notes.filter_map(|note| match note {
            ClientNote::CommitAnswered(latency) => Some(latency),
            _ => None,
        });
        latencies.collect::<Vec<_>>()
    };
    bench.pass(Duration::secs(5));
    let good = answered(&mut bench).len();
    assert!((4..=5).contains(&good), "{good}");
    bench.seen.clear();
    let refused = commit_answer(&[0, 1, 2, 3], ErrorCode::CoordinatorLoadInProgress);
    bench.script.push(("OffsetCommit", Reply::Answer(refused)));
    bench.pass(Duration::secs(5));
    assert_eq!(answered(&mut bench).len(), commits(&mut bench).len());
    bench.deaf_to.push("OffsetCommit");
    bench.pass(Duration::secs(5));
    assert_eq!(answered(&mut bench).len(), 0);
}
