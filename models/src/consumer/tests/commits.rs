use ktrial_sim::Duration;

use super::bench::*;
use crate::ids::{GenerationId, Offset};
use crate::notes::{ClientNote, CommittedBy};
use crate::protocol::{ErrorCode, Request};
use crate::specification::{ApplicationSpecification, CommitStyle};

fn commits(bench: &mut Bench) -> Vec<u64> {
    let taken = bench.take("OffsetCommit");
    taken.iter().map(|(at, _)| at.as_millis()).collect()
}

fn committing(commit: CommitStyle) -> ApplicationSpecification {
    ApplicationSpecification {
        commit,
        ..application()
    }
}

/// Errors of the application's commits.
fn failures(bench: &Bench) -> Vec<&'static str> {
    let failures = bench.desk.notes.iter().filter_map(|note| match note {
        ClientNote::CommitFailed {
            by: CommittedBy::Application,
            error,
            ..
        } => Some(*error),
        _ => None,
    });
    failures.collect()
}

const AFTER: &str = "enable.auto.commit=false";

#[test]
fn auto_commit_interval_ms_is_the_time_between_two_automatic_commits() {
    for interval in [1_000_u64, 5_000] {
        let mut bench = bench(&format!("auto.commit.interval.ms={interval}"));
        bench.batches = 1;
        let mut bench = bench.joined();
        bench.pass(Duration::millis(4 * interval));
        let times = commits(&mut bench);
        let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.len() >= 2, "{gaps:?}");
        assert!(gaps.iter().all(|gap| *gap == interval), "{gaps:?}");
    }
}

#[test]
fn enable_auto_commit_false_commits_nothing_by_itself() {
    let mut bench = bench("enable.auto.commit=false").joined();
    bench.batches = 1;
    bench.pass(Duration::secs(12));
    assert!(commits(&mut bench).is_empty());
}

#[test]
fn an_automatic_commit_holds_what_polls_have_returned_with_its_epoch() {
    let mut bench = bench("");
    bench.batches = 1;
    let mut bench = bench.joined();
    bench.pass(Duration::secs(6));
    let Request::OffsetCommit(commit) = bench.take("OffsetCommit").remove(0).1 else {
        panic!()
    };
    assert_eq!((commit.generation, commit.member), (GenerationId(1), Some(ME)));
    assert_eq!(commit.partitions.len(), 4);
    let committed = commit.partitions[0].committed;
    assert_eq!(committed.offset, Offset(10));
    assert!(committed.leader_epoch.is_some());
}

#[test]
fn an_automatic_commit_that_may_succeed_is_repeated_after_a_back_off_and_another_only_after_the_interval() {
    for (error, soon) in [
        (ErrorCode::CoordinatorLoadInProgress, true),
        (ErrorCode::InvalidCommitOffsetSize, false),
    ] {
        let mut bench = bench("");
        bench.batches = 1;
        let mut bench = bench.joined();
        bench
            .script
            .push(("OffsetCommit", Reply::Answer(commit_answer(&[0], error))));
        bench.pass(Duration::secs(11));
        let times = commits(&mut bench);
        let gap = times[1] - times[0];
        assert_eq!(gap < 500, soon, "{error:?}: {gap}");
        assert_eq!(gap == 5_000, !soon, "{error:?}: {gap}");
    }
}

#[test]
fn a_member_that_joins_again_commits_first_and_waits_for_the_answer() {
    let mut bench = bench("");
    bench.batches = 1;
    let mut bench = bench.joined();
    bench.script.push((
        "OffsetCommit",
        Reply::Answer(commit_answer(&[0], ErrorCode::CoordinatorLoadInProgress)),
    ));
    bench
        .script
        .push(("Heartbeat", heartbeat(ErrorCode::RebalanceInProgress)));
    bench.pass(Duration::secs(4));
    let names: Vec<_> = bench
        .names()
        .into_iter()
        .filter(|name| *name != "Heartbeat")
        .collect();
    assert_eq!(names[..3], ["OffsetCommit", "OffsetCommit", "JoinGroup"]);
}

#[test]
fn an_eager_member_hands_out_nothing_between_that_commit_and_the_join_and_a_cooperative_one_does() {
    for (settings, goes_on) in [("", false), (COOPERATIVE, true)] {
        let mut bench = bench(settings).joined();
        bench.deaf_to.push("OffsetCommit");
        bench
            .script
            .push(("Heartbeat", heartbeat(ErrorCode::RebalanceInProgress)));
        bench.pass(Duration::secs(4));
        bench.desk.notes.clear();
        bench.batches = 1;
        bench.pass(Duration::secs(2));
        assert_eq!(bench.processed() > 0, goes_on, "{settings}");
    }
}

#[test]
fn an_application_that_commits_after_processing_commits_each_poll() {
    let mut bench = bench_of(AFTER, committing(CommitStyle::After));
    bench.batches = 2;
    let mut bench = bench.joined();
    assert_eq!(bench.committed.len(), 4);
    assert!(
        bench
            .committed
            .iter()
            .all(|(_, committed)| committed.offset == Offset(20))
    );
    bench.pass(Duration::secs(1));
    assert!(commits(&mut bench).is_empty());
}

#[test]
fn what_cannot_be_committed_before_is_not_processed() {
    let mut bench = bench_of(AFTER, committing(CommitStyle::Before)).joined();
    let refused = commit_answer(&[0], ErrorCode::RebalanceInProgress);
    bench.script.push(("OffsetCommit", Reply::Answer(refused)));
    bench.follower_gets = assignment(&[]);
    bench.batches = 1;
    bench.pass(Duration::secs(1));
    assert_eq!(failures(&bench), ["REBALANCE_IN_PROGRESS"]);
    assert_eq!(bench.processed(), 0);
}

#[test]
fn what_is_committed_before_is_processed_afterwards() {
    let mut bench = bench_of(AFTER, committing(CommitStyle::Before)).joined();
    bench.batches = 1;
    bench.pass(Duration::secs(1));
    assert_eq!(bench.processed(), 40);
    let first = |wanted: fn(&ClientNote) -> bool| bench.desk.notes.iter().position(wanted);
    let committed = first(|note| matches!(note, ClientNote::Committed { .. }));
    let processed = first(|note| matches!(note, ClientNote::Processed { .. }));
    assert!(committed < processed);
}

#[test]
fn a_commit_that_waits_repeats_what_may_succeed() {
    let retriable = [
        (ErrorCode::CoordinatorLoadInProgress, 0),
        (ErrorCode::UnknownTopicOrPartition, 0),
        (ErrorCode::NotCoordinator, 1),
        (ErrorCode::CoordinatorNotAvailable, 1),
        (ErrorCode::RequestTimedOut, 1),
    ];
    for (error, lookups) in retriable {
        let mut bench = bench_of(AFTER, committing(CommitStyle::After)).joined();
        bench
            .script
            .push(("OffsetCommit", Reply::Answer(commit_answer(&[0], error))));
        bench.batches = 1;
        bench.pass(Duration::secs(2));
        assert_eq!(failures(&bench), Vec::<&str>::new(), "{error:?}");
        assert!(commits(&mut bench).len() >= 2, "{error:?}");
        let asked = bench.take("FindCoordinator").len();
        assert!((lookups..=2 * lookups).contains(&asked), "{error:?}: {asked}");
    }
}

#[test]
fn a_commit_of_a_member_that_is_none_any_more_fails_and_the_member_joins_anew() {
    for (error, keeps_id) in [
        (ErrorCode::UnknownMemberId, false),
        (ErrorCode::IllegalGeneration, true),
    ] {
        let mut bench = bench_of(AFTER, committing(CommitStyle::After)).joined();
        bench
            .script
            .push(("OffsetCommit", Reply::Answer(commit_answer(&[0], error))));
        bench.batches = 1;
        bench.pass(Duration::secs(1));
        assert_eq!(failures(&bench), ["CommitFailedException"]);
        let join = bench.take("JoinGroup").remove(0).1;
        assert_eq!(member_of(&join), keeps_id.then_some(ME), "{error:?}");
        assert!(bench.listener().starts_with("!0,1,2,3"));
    }
}

#[test]
fn a_commit_during_a_rebalance_fails_and_the_member_joins_again() {
    let mut bench = bench_of(AFTER, committing(CommitStyle::After)).joined();
    let refused = commit_answer(&[0], ErrorCode::RebalanceInProgress);
    bench.script.push(("OffsetCommit", Reply::Answer(refused)));
    bench.batches = 1;
    bench.pass(Duration::secs(1));
    assert_eq!(failures(&bench), ["REBALANCE_IN_PROGRESS"]);
    assert!(bench.listener().starts_with("-0,1,2,3 +"));
}

#[test]
fn a_fenced_commit_fails_and_asynchronously_the_next_poll_ends() {
    let fenced = || Reply::Answer(commit_answer(&[0], ErrorCode::FencedInstanceId));
    let mut bench = bench_of(AFTER, committing(CommitStyle::AfterAsync)).joined();
    bench.script.push(("OffsetCommit", fenced()));
    bench.batches = 1;
    bench.pass(Duration::secs(1));
    assert_eq!(bench.died(), Some("FENCED_INSTANCE_ID"));
    let mut waits = bench_of(AFTER, committing(CommitStyle::After)).joined();
    waits.script.push(("OffsetCommit", fenced()));
    waits.batches = 1;
    waits.pass(Duration::secs(1));
    assert_eq!(failures(&waits), ["FENCED_INSTANCE_ID"]);
}

#[test]
fn an_asynchronous_commit_is_not_repeated() {
    let mut bench = bench_of(AFTER, committing(CommitStyle::AfterAsync)).joined();
    let loads = commit_answer(&[0], ErrorCode::CoordinatorLoadInProgress);
    bench.script.push(("OffsetCommit", Reply::Answer(loads)));
    bench.batches = 1;
    bench.pass(Duration::secs(2));
    assert_eq!(failures(&bench), ["RetriableCommitFailedException"]);
}

#[test]
fn default_api_timeout_ms_ends_a_commit_that_is_never_answered() {
    for seconds in [5_u64, 10] {
        let settings = format!("{AFTER} default.api.timeout.ms={seconds}000");
        let mut bench = bench_of(&settings, committing(CommitStyle::After)).joined();
        bench.deaf_to.push("OffsetCommit");
        bench.batches = 1;
        bench.pass(Duration::secs(seconds - 1));
        assert_eq!(failures(&bench), Vec::<&str>::new());
        bench.pass(Duration::secs(2));
        assert_eq!(failures(&bench), ["TimeoutException"]);
    }
}

#[test]
fn a_member_that_was_thrown_out_while_it_worked_cannot_commit() {
    let mut slow = committing(CommitStyle::After);
    slow.processing = (Duration::secs(2), Duration::secs(2));
    let mut bench = bench_of(
        &format!("{AFTER} max.poll.interval.ms=10000 max.poll.records=10"),
        slow,
    )
    .joined();
    bench.batches = 1;
    bench.pass(Duration::secs(21));
    assert_eq!(failures(&bench), ["CommitFailedException"]);
    assert_eq!(bench.take("OffsetCommit").len(), 0, "it does not even ask");
}

/// `ConsumerNetworkClient.poll` does not block for an answer that is there already.
#[test]
fn a_commit_that_is_not_even_sent_fails_at_once() {
    let mut slow = committing(CommitStyle::After);
    slow.processing = (Duration::secs(2), Duration::secs(2));
    let settings = format!("{AFTER} max.poll.interval.ms=10000 max.poll.records=10");
    let mut bench = bench_of(&settings, slow).joined();
    // Nothing comes from the network that would end a select.
    bench.deaf_to.push("LeaveGroup");
    bench.batches = 1;
    let began = bench.now();
    bench.pass(Duration::secs(25));
    let joins = bench.take("JoinGroup")[0].0.saturating_sub(began).as_millis();
    // The first records come within 500 ms, and take 20 s.
    assert!((20_000..21_000).contains(&joins), "{joins}");
}
