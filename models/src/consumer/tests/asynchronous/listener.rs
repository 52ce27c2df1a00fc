//! What a listener is waited for above `AsyncKafkaConsumer`, one that commits in onPartitionsRevoked too, and that nobody
//! is without one.

use ktrial_sim::Duration;

use super::*;
use crate::kafka::Signal;
use crate::protocol::ErrorCode;
use crate::specification::OnRevoked;

/// A member that has processed ten records of each partition, and committed none of them.
fn worked(settings: &str, on_revoked: OnRevoked) -> Bench {
    let application = ApplicationSpecification {
        on_revoked,
        ..application()
    };
    let mut bench = modern_of(&format!("enable.auto.commit=false\n{settings}"), application);
    bench.batches = 1;
    bench.joined()
}

#[test]
fn what_is_revoked_is_committed_before_the_member_acknowledges() {
    let mut bench = worked("", OnRevoked::Commit);
    bench.target = vec![0, 1];
    bench.pass(Duration::secs(6));
    let requests = bench.names();
    let committed = requests.iter().position(|name| *name == "OffsetCommit");
    assert_eq!(
        committed,
        Some(1),
        "behind the heartbeat that told it: {requests:?}"
    );
    assert_eq!(
        bench.commits_and_callbacks(),
        ["committed", "revoked", "assigned"]
    );
    assert_eq!(bench.listener(), "-2,3 +");
    assert!(bench.committed.iter().all(|(_, at)| at.offset.0 == 10));
    assert_eq!(acknowledged(&mut bench), [vec![0, 1]]);
}

#[test]
fn without_a_listener_a_revocation_commits_nothing() {
    let mut bench = worked("", OnRevoked::Nothing);
    bench.target = vec![0, 1];
    bench.pass(Duration::secs(6));
    assert_eq!(bench.listener(), "-2,3 +");
    assert!(commits(&mut bench).is_empty());
}

#[test]
fn what_was_fenced_is_not_committed() {
    let mut bench = worked("", OnRevoked::Commit);
    let fenced = member_refused(ErrorCode::FencedMemberEpoch);
    bench.script.push(("ConsumerGroupHeartbeat", fenced));
    bench.pass(Duration::secs(6));
    assert_eq!(bench.commits_and_callbacks(), ["lost", "assigned"]);
    assert!(commits(&mut bench).is_empty());
}

#[test]
fn default_api_timeout_ms_is_how_long_a_revocation_holds_the_acknowledgement_up() {
    for seconds in [2_u64, 4] {
        let settings = format!("default.api.timeout.ms={seconds}000");
        let mut bench = worked(&settings, OnRevoked::Commit);
        bench.deaf_to.push("OffsetCommit");
        bench.target = vec![0, 1];
        bench.pass(Duration::secs(seconds + 6));
        let began = commits(&mut bench)[0];
        let acknowledged = heartbeats(&mut bench)
            .into_iter()
            .find(|(at, heartbeat)| *at > began && heartbeat.owned.is_some())
            .expect("it acknowledges");
        assert_eq!((acknowledged.0 - began) / 100, seconds * 10);
        assert_eq!(
            bench.commits_and_callbacks()[..2],
            ["TimeoutException", "revoked"]
        );
    }
}

#[test]
fn what_leaves_the_listener_leaves_poll_and_nothing_is_acknowledged() {
    let mut bench = worked("", OnRevoked::CommitUncaught);
    let refused = Reply::Answer(commit_answer(&[0], ErrorCode::UnknownMemberId));
    bench.script.push(("OffsetCommit", refused));
    bench.target = vec![0, 1];
    bench.pass(Duration::secs(6));
    assert_eq!(bench.died(), Some("CommitFailedException"));
    let acknowledged = acknowledged(&mut bench);
    assert!(!acknowledged.contains(&vec![0, 1]), "{acknowledged:?}");
}

#[test]
fn closing_commits_in_the_listener_before_the_member_leaves() {
    for on_revoked in [OnRevoked::Commit, OnRevoked::CommitUncaught] {
        let mut bench = worked("", on_revoked);
        let refused = Reply::Answer(commit_answer(&[0], ErrorCode::InvalidCommitOffsetSize));
        if on_revoked == OnRevoked::CommitUncaught {
            bench.script.push(("OffsetCommit", refused));
        }
        bench.signal(Signal::Terminate);
        bench.pass(Duration::secs(1));
        assert!(bench.desk.exited);
        // Unlike the classic consumer, it leaves even if the listener throws.
        assert_eq!(bench.names()[..1], ["OffsetCommit"]);
        assert_eq!(epochs(&mut bench), [-1]);
    }
}

/// `ConsumerMembershipManager.invokeOnPartitionsLostCallback`: there is nobody to be waited for.
#[test]
fn without_a_listener_a_fenced_member_has_let_go_and_joined_again_while_its_application_works() {
    let mut bench = modern_of("enable.auto.commit=false", working(Duration::secs(1))).joined();
    bench.batches = 1;
    let fenced = member_refused(ErrorCode::FencedMemberEpoch);
    bench.script.push(("ConsumerGroupHeartbeat", fenced));
    // Ten records or more take 10 s.
    bench.pass(Duration::secs(9));
    assert_eq!(bench.listener(), "!0,1,2,3");
    assert_eq!(epochs(&mut bench)[..2], [1, 0]);
    bench.pass(Duration::secs(40));
    assert_eq!(
        bench.listener(),
        "+0,1,2,3",
        "it takes up what it is given with its next poll"
    );
}

#[test]
fn without_a_listener_a_stale_member_has_let_go_before_the_poll_with_which_it_joins_again() {
    let settings = "max.poll.interval.ms=6000";
    let mut bench = modern_of(settings, working(Duration::secs(1))).joined();
    bench.batches = 1;
    bench.pass(Duration::secs(12));
    assert_eq!(epochs(&mut bench), [1, -1]);
    assert_eq!(bench.listener(), "!0,1,2,3");
    bench.pass(Duration::secs(40));
    assert!(bench.listener().starts_with("+0,1,2,3"));
    assert_eq!(epochs(&mut bench)[..2], [0, 2]);
}

/// `ConsumerMembershipManager.invokeOnPartitionsRevokedCallback`: with a listener one poll calls it, and the next one
/// applies the assignment.
#[test]
fn a_revocation_that_no_listener_hears_of_is_acknowledged_one_poll_earlier() {
    let acknowledged_after = |application| {
        let settings = "enable.auto.commit=false\nmax.poll.records=10";
        let mut bench = modern_of(settings, application).joined();
        // Twelve polls of 3 s each.
        bench.batches = 3;
        bench.pass(Duration::secs(1));
        bench.target = vec![2, 3];
        let began = bench.now().as_millis();
        bench.pass(Duration::secs(20));
        assert_eq!(bench.listener(), "-0,1 +");
        let heartbeats = heartbeats(&mut bench);
        let told = heartbeats.iter().find(|(_, heartbeat)| heartbeat.owned.is_some());
        told.expect("it acknowledges").0 - began
    };
    let work = working(Duration::millis(300));
    let with = acknowledged_after(listening(work));
    let without = acknowledged_after(work);
    assert_eq!(with - without, 3_000);
}

#[test]
fn a_listener_that_only_writes_down_what_is_revoked_commits_nothing() {
    let mut bench = worked("", OnRevoked::Note);
    bench.target = vec![0, 1];
    bench.pass(Duration::secs(6));
    assert_eq!(bench.listener(), "-2,3 +");
    assert!(commits(&mut bench).is_empty());
}

/// Whom nobody asked to let go takes up what waits for its poll, as `ApplyAssignmentEvent` does, and gives it up again.
#[test]
fn without_a_listener_an_assignment_that_was_lost_while_it_waited_is_taken_up_and_given_up_again() {
    let mut bench = modern_of("enable.auto.commit=false", working(Duration::secs(1)));
    bench.target = vec![0];
    let mut bench = bench.joined();
    bench.batches = 1;
    bench.pass(Duration::millis(600));
    // It works for 10 s. The heartbeat before adds a partition, the next one is refused, and then it owns another one.
    bench.target = vec![0, 1];
    bench.pass(Duration::millis(4_500));
    let fenced = member_refused(ErrorCode::FencedMemberEpoch);
    bench.script.push(("ConsumerGroupHeartbeat", fenced));
    bench.target = vec![2];
    bench.pass(Duration::secs(30));
    assert_eq!(bench.listener(), "!0 +1 -0,1 +2");
    assert!(bench.consumer.is_settled());
}
