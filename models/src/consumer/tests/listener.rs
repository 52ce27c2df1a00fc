//! An application whose listener commits in onPartitionsRevoked, above `ClassicKafkaConsumer`.

use ktrial_sim::Duration;

use super::bench::*;
use crate::ids::GenerationId;
use crate::kafka::{Signal, site};
use crate::protocol::{ErrorCode, Request};
use crate::specification::{ApplicationSpecification, Failures, OnFailure, OnRevoked};

const MANUAL: &str = "enable.auto.commit=false";

fn listening(on_revoked: OnRevoked) -> ApplicationSpecification {
    ApplicationSpecification {
        on_revoked,
        ..application()
    }
}

/// A member that has processed ten records of each partition, and committed none of them.
fn worked(settings: &str, on_revoked: OnRevoked) -> Bench {
    let mut bench = bench_of(&format!("{MANUAL} {settings}"), listening(on_revoked));
    bench.batches = 1;
    bench.joined()
}

/// Its next heartbeat says this.
fn hears(bench: &mut Bench, error: ErrorCode) {
    bench.script.push(("Heartbeat", heartbeat(error)));
}

/// The group has it join again, and gives it these.
fn rebalances(bench: &mut Bench, gets: &[u32]) {
    bench.follower_gets = assignment(gets);
    hears(bench, ErrorCode::RebalanceInProgress);
}

fn refuses_the_commit(bench: &mut Bench, error: ErrorCode) {
    let refused = Reply::Answer(commit_answer(&[0], error));
    bench.script.push(("OffsetCommit", refused));
}

fn committed(bench: &Bench) -> Vec<u64> {
    let mut offsets: Vec<u64> = bench.committed.iter().map(|(_, at)| at.offset.0).collect();
    offsets.sort();
    offsets
}

#[test]
fn eager_revocation_commits_what_was_processed_before_the_member_joins_again() {
    let mut bench = worked("", OnRevoked::Commit);
    hears(&mut bench, ErrorCode::RebalanceInProgress);
    bench.pass(Duration::secs(3));
    assert_eq!(
        bench.names()[..4],
        ["Heartbeat", "OffsetCommit", "JoinGroup", "SyncGroup"]
    );
    assert_eq!(committed(&bench), [10; 4]);
    assert_eq!(
        bench.commits_and_callbacks(),
        ["committed", "revoked", "assigned"]
    );
}

#[test]
fn without_a_listener_a_revocation_commits_nothing() {
    let mut bench = worked("", OnRevoked::Nothing);
    hears(&mut bench, ErrorCode::RebalanceInProgress);
    bench.pass(Duration::secs(3));
    assert_eq!(bench.take("OffsetCommit").len(), 0);
    assert_eq!(bench.commits_and_callbacks(), ["revoked", "assigned"]);
}

#[test]
fn cooperative_revocation_commits_behind_the_sync_in_the_new_generation() {
    let mut bench = bench_of(&format!("{MANUAL} {COOPERATIVE}"), listening(OnRevoked::Commit));
    bench.follower_gets = assignment(&[0, 1, 2, 3]);
    bench.batches = 1;
    let mut bench = bench.joined();
    rebalances(&mut bench, &[0, 1]);
    bench.pass(Duration::secs(3));
    assert_eq!(
        bench.names()[..5],
        ["Heartbeat", "JoinGroup", "SyncGroup", "OffsetCommit", "JoinGroup"]
    );
    let (_, Request::OffsetCommit(commit)) = bench.take("OffsetCommit").remove(0) else {
        panic!()
    };
    assert_eq!(commit.generation, GenerationId(2));
    assert_eq!(bench.commits_and_callbacks()[..2], ["committed", "revoked"]);
    assert!(bench.listener().starts_with("-2,3 +"));
}

#[test]
fn what_is_lost_is_not_committed() {
    let mut bench = worked("", OnRevoked::Commit);
    hears(&mut bench, ErrorCode::UnknownMemberId);
    bench.pass(Duration::secs(3));
    assert_eq!(bench.take("OffsetCommit").len(), 0);
    assert_eq!(bench.commits_and_callbacks(), ["lost", "assigned"]);
    // What was processed before belongs to somebody else's generation: the next revocation has nothing of it.
    bench.batches = 0;
    hears(&mut bench, ErrorCode::RebalanceInProgress);
    bench.pass(Duration::secs(3));
    assert!(committed(&bench).iter().all(|offset| *offset == 10));
}

#[test]
fn default_api_timeout_ms_is_how_long_a_revocation_holds_the_member_up() {
    for seconds in [5_u64, 10] {
        let settings = format!("default.api.timeout.ms={seconds}000");
        let mut bench = worked(&settings, OnRevoked::Commit);
        bench.deaf_to.push("OffsetCommit");
        hears(&mut bench, ErrorCode::RebalanceInProgress);
        bench.pass(Duration::secs(seconds + 4));
        let began = bench.take("OffsetCommit").remove(0).0;
        let joined = bench.take("JoinGroup").remove(0).0;
        assert_eq!(joined.saturating_sub(began).as_millis() / 100, seconds * 10);
        assert_eq!(
            bench.commits_and_callbacks()[..2],
            ["TimeoutException", "revoked"]
        );
    }
}

#[test]
fn a_commit_that_fails_in_the_listener_keeps_nobody_from_joining_again() {
    let mut bench = worked("", OnRevoked::Commit);
    refuses_the_commit(&mut bench, ErrorCode::InvalidCommitOffsetSize);
    hears(&mut bench, ErrorCode::RebalanceInProgress);
    bench.pass(Duration::secs(3));
    assert_eq!(bench.died(), None);
    assert_eq!(bench.commits_and_callbacks()[1..], ["revoked", "assigned"]);
}

#[test]
fn what_leaves_the_listener_before_the_join_leaves_poll_as_a_kafka_exception() {
    let mut bench = worked("", OnRevoked::CommitUncaught);
    refuses_the_commit(&mut bench, ErrorCode::UnknownMemberId);
    hears(&mut bench, ErrorCode::RebalanceInProgress);
    bench.pass(Duration::secs(3));
    assert_eq!(bench.died(), Some("KafkaException"));
    assert_eq!(
        bench.commits_and_callbacks(),
        ["CommitFailedException", "revoked"]
    );
    assert_eq!(bench.take("JoinGroup").len(), 0);
}

#[test]
fn what_leaves_the_listener_behind_the_sync_leaves_poll_as_it_is() {
    let mut bench = bench_of(
        &format!("{MANUAL} {COOPERATIVE}"),
        listening(OnRevoked::CommitUncaught),
    );
    bench.follower_gets = assignment(&[0, 1, 2, 3]);
    bench.batches = 1;
    let mut bench = bench.joined();
    refuses_the_commit(&mut bench, ErrorCode::UnknownMemberId);
    rebalances(&mut bench, &[0, 1]);
    bench.pass(Duration::secs(3));
    assert_eq!(bench.died(), Some("CommitFailedException"));
}

#[test]
fn closing_commits_in_the_listener_before_the_member_leaves() {
    let mut bench = worked("", OnRevoked::Commit);
    bench.signal(Signal::Terminate);
    bench.pass(Duration::secs(1));
    assert!(bench.desk.exited);
    assert_eq!(bench.names(), ["OffsetCommit", "LeaveGroup"]);
    assert_eq!(committed(&bench), [10; 4]);
}

#[test]
fn a_member_whose_listener_throws_while_it_closes_does_not_leave_its_group() {
    let mut bench = worked("", OnRevoked::CommitUncaught);
    refuses_the_commit(&mut bench, ErrorCode::InvalidCommitOffsetSize);
    bench.signal(Signal::Terminate);
    bench.pass(Duration::secs(1));
    assert!(bench.desk.exited);
    assert_eq!(bench.names(), ["OffsetCommit"]);
}

#[test]
fn closing_in_the_middle_of_a_poll_commits_what_is_done_with_and_not_the_rest() {
    let failures = Failures {
        poison: Some(1_000),
        then: OnFailure::Close,
        ..Failures::default()
    };
    let application = ApplicationSpecification {
        failures,
        ..listening(OnRevoked::Commit)
    };
    let mut bench = bench_of(MANUAL, application).joined();
    bench.desk.given = vec![(site::POISON, 8 << 32 | 3, 0)];
    bench.batches = 1;
    bench.pass(Duration::secs(2));
    assert!(bench.desk.exited);
    assert_eq!(committed(&bench).last(), Some(&3), "record 3 has failed");
}
