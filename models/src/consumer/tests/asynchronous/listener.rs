//! An application whose listener commits in onPartitionsRevoked, above `AsyncKafkaConsumer`.

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
