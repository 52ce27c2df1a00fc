use ktrial_sim::Duration;

use super::*;
use crate::ids::{LeaderEpoch, Offset, PartitionId};
use crate::notes::{ClientNote, CommittedBy};
use crate::protocol::{CommittedOffset, ErrorCode, OffsetFetchResponse, Response};

fn refused(error: ErrorCode) -> (&'static str, Reply) {
    ("OffsetCommit", Reply::Answer(commit_answer(&[0], error)))
}

/// Errors of commits, by who wanted them.
fn failures(bench: &Bench, who: CommittedBy) -> Vec<&'static str> {
    let failures = bench.desk.notes.iter().filter_map(|note| match note {
        ClientNote::CommitFailed { by, error, .. } if *by == who => Some(*error),
        _ => None,
    });
    failures.collect()
}

#[test]
fn auto_commit_interval_ms_is_the_time_between_two_automatic_commits() {
    for interval in [1_000_u64, 5_000] {
        let mut bench = modern(&format!("auto.commit.interval.ms={interval}"));
        bench.batches = 1;
        let mut bench = bench.joined();
        bench.pass(Duration::millis(4 * interval));
        let gaps = gaps(&commits(&mut bench));
        assert!(gaps.len() >= 2, "{gaps:?}");
        assert!(gaps.iter().all(|gap| *gap == interval), "{gaps:?}");
    }
}

#[test]
fn enable_auto_commit_false_commits_nothing_by_itself() {
    let mut bench = modern("enable.auto.commit=false").joined();
    bench.batches = 1;
    bench.pass(Duration::secs(12));
    assert!(commits(&mut bench).is_empty());
}

#[test]
fn an_application_that_does_not_poll_commits_nothing_automatically() {
    let mut bench = modern_of("auto.commit.interval.ms=1000", working(Duration::secs(2))).joined();
    bench.batches = 1;
    bench.pass(Duration::secs(1));
    assert!(bench.processed() == 0 && !commits(&mut bench).is_empty());
    bench.pass(Duration::secs(15));
    assert!(commits(&mut bench).is_empty());
}

#[test]
fn no_automatic_commit_is_made_while_one_is_in_flight() {
    let mut bench = modern("auto.commit.interval.ms=1000");
    bench.batches = 1;
    let mut bench = bench.joined();
    bench.script.push(("OffsetCommit", Reply::Silence));
    bench.pass(Duration::secs(20));
    assert_eq!(commits(&mut bench).len(), 1);
}

#[test]
fn a_failed_automatic_commit_is_not_repeated_before_the_next_interval() {
    for error in [
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::InvalidCommitOffsetSize,
    ] {
        let mut bench = modern("");
        bench.batches = 1;
        let mut bench = bench.joined();
        bench.script.push(refused(error));
        bench.pass(Duration::secs(11));
        let times = commits(&mut bench);
        assert_eq!(times[1] - times[0], 5_000, "{error:?}");
    }
}

#[test]
fn the_commit_before_a_reconciliation_is_repeated_with_what_is_consumed_by_then() {
    for error in [ErrorCode::CoordinatorLoadInProgress, ErrorCode::StaleMemberEpoch] {
        let mut bench = modern(RARELY).joined();
        bench.target = vec![0, 1];
        bench.script.push(refused(error));
        bench.batches = 1;
        bench.pass(Duration::secs(6));
        let epochs = commit_epochs(&mut bench);
        assert_eq!(epochs[..2], [2, 2], "{error:?}");
        assert_eq!(bench.listener(), "-2,3 +");
    }
}

#[test]
fn a_reconciliation_goes_on_when_its_commit_fails() {
    for error in [
        ErrorCode::UnknownMemberId,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::InvalidCommitOffsetSize,
    ] {
        let mut bench = modern(RARELY);
        bench.batches = 1;
        let mut bench = bench.joined();
        bench.target = vec![0, 1];
        bench.script.push(refused(error));
        bench.pass(Duration::millis(4_800));
        assert_eq!(bench.listener(), "-2,3 +", "{error:?}");
        assert_eq!(commits(&mut bench).len(), 1);
    }
}

#[test]
fn a_commit_carries_the_newest_member_epoch() {
    let mut bench = modern_of("enable.auto.commit=false", committing(CommitStyle::After));
    bench.batches = 1;
    let mut bench = bench.joined();
    bench.target = vec![0, 1, 2];
    bench.pass(Duration::secs(6));
    bench.batches = 2;
    bench.pass(Duration::secs(1));
    let epochs = commit_epochs(&mut bench);
    assert!(
        !epochs.is_empty() && epochs.iter().all(|epoch| *epoch == 2),
        "{epochs:?}"
    );
}

#[test]
fn commit_sync_repeats_what_may_succeed_and_throws_what_cannot() {
    for (error, tries, thrown) in [
        (ErrorCode::CoordinatorLoadInProgress, 2, None),
        (ErrorCode::NotCoordinator, 2, None),
        (ErrorCode::UnknownTopicOrPartition, 2, None),
        (ErrorCode::StaleMemberEpoch, 1, Some("CommitFailedException")),
        (ErrorCode::UnknownMemberId, 1, Some("CommitFailedException")),
        (
            ErrorCode::OffsetMetadataTooLarge,
            1,
            Some("OFFSET_METADATA_TOO_LARGE"),
        ),
    ] {
        let mut bench = modern_of("enable.auto.commit=false", committing(CommitStyle::After)).joined();
        bench.script.push(refused(error));
        bench.batches = 1;
        bench.pass(Duration::secs(1));
        let failures = failures(&bench, CommittedBy::Application);
        assert_eq!(failures.first().copied(), thrown, "{error:?}");
        assert_eq!(bench.take("OffsetCommit").len(), tries, "{error:?}");
    }
}

#[test]
fn commit_async_is_not_repeated() {
    for (error, told) in [
        (
            ErrorCode::CoordinatorLoadInProgress,
            "RetriableCommitFailedException",
        ),
        (ErrorCode::StaleMemberEpoch, "STALE_MEMBER_EPOCH"),
    ] {
        let application = committing(CommitStyle::AfterAsync);
        let mut bench = modern_of("enable.auto.commit=false", application).joined();
        bench.script.push(refused(error));
        bench.batches = 1;
        bench.pass(Duration::secs(1));
        assert_eq!(failures(&bench, CommittedBy::Application), [told]);
        assert_eq!(bench.take("OffsetCommit").len(), 1);
    }
}

#[test]
fn default_api_timeout_ms_ends_a_commit_that_is_never_answered() {
    for timeout in [3_000, 9_000] {
        let settings = format!("enable.auto.commit=false\ndefault.api.timeout.ms={timeout}");
        let mut bench = modern_of(&settings, committing(CommitStyle::After)).joined();
        bench.deaf_to.push("OffsetCommit");
        bench.batches = 1;
        bench.pass(Duration::millis(timeout));
        assert_eq!(failures(&bench, CommittedBy::Application), [""; 0]);
        bench.pass(Duration::millis(700));
        assert_eq!(failures(&bench, CommittedBy::Application), ["TimeoutException"]);
    }
}

#[test]
fn a_committed_position_is_where_a_member_begins() {
    let mut bench = modern("");
    bench.batches = 2;
    let at = CommittedOffset {
        offset: Offset(10),
        leader_epoch: Some(LeaderEpoch(1)),
    };
    bench.committed.push((PartitionId(0), at));
    bench.pass(Duration::secs(1));
    assert_eq!(bench.processed(), 10 + 3 * 20);
}

#[test]
fn an_unstable_position_is_asked_for_again_as_a_member() {
    let mut bench = modern("");
    bench.batches = 1;
    let unstable = OffsetFetchResponse {
        error: ErrorCode::None,
        partitions: (0..4)
            .map(|number| crate::protocol::FetchedOffset {
                partition: PartitionId(number),
                committed: None,
                error: ErrorCode::UnstableOffsetCommit,
            })
            .collect(),
    };
    let unstable = Reply::Answer(Response::OffsetFetch(Box::new(unstable)));
    bench.script.push(("OffsetFetch", unstable));
    bench.pass(Duration::secs(1));
    let fetches = bench.take("OffsetFetch");
    assert_eq!(fetches.len(), 2);
    for (_, request) in fetches {
        let Request::OffsetFetch(request) = request else {
            panic!()
        };
        assert!(request.member.is_some() && request.require_stable);
        assert_eq!(request.member_epoch.0, 1);
    }
    assert_eq!(bench.processed(), 40);
}

#[test]
fn without_a_policy_a_member_without_a_position_dies() {
    let mut bench = modern("auto.offset.reset=none");
    bench.pass(Duration::secs(2));
    assert_eq!(bench.died(), Some("NoOffsetForPartitionException"));
}

#[test]
fn without_a_policy_a_member_whose_log_was_truncated_dies() {
    let mut bench = modern("auto.offset.reset=none");
    bench.batches = 1;
    bench.target = vec![0];
    let gone = crate::protocol::CommittedOffset {
        offset: crate::ids::Offset(17),
        leader_epoch: Some(crate::ids::LeaderEpoch(1)),
    };
    bench.committed.push((PartitionId(0), gone));
    bench.pass(Duration::secs(2));
    assert_eq!(bench.died(), Some("LogTruncationException"));
}
