//! Where the application's thread keeps the coordinator's lock over several selects (`synchronized` in
//! `AbstractCoordinator`): the heartbeat thread waits for all of them.

use ktrial_sim::Duration;

use super::bench::*;
use crate::protocol::ErrorCode;
use crate::specification::{ApplicationSpecification, CommitStyle};

/// `JoinGroupResponseHandler` calls `onLeaderElected` with the lock, and that does not come back without metadata.
#[test]
fn a_leader_that_waits_for_metadata_sends_no_heartbeats_and_its_poll_does_not_return() {
    let settings = format!("{COOPERATIVE} metadata.max.age.ms=1000 max.poll.records=1");
    let slow = ApplicationSpecification {
        processing: (Duration::millis(300), Duration::millis(300)),
        ..application()
    };
    let mut bench = bench_of(&settings, slow).joined();
    bench.batches = 1;
    bench.pass(Duration::secs(1));
    // Forty records take 12 s; it has all of them.
    bench.deaf_to.push("Metadata");
    bench.pass(Duration::secs(2));
    let rebalance = heartbeat(ErrorCode::RebalanceInProgress);
    bench.script.push(("Heartbeat", rebalance));
    bench.pass(Duration::secs(4));
    assert!(bench.names().contains(&"JoinGroup"));
    bench.seen.clear();
    bench.desk.notes.clear();
    bench.pass(Duration::secs(10));
    assert_eq!(bench.names(), Vec::<&str>::new());
    assert_eq!(bench.processed(), 0);
    bench.deaf_to.clear();
    bench.pass(Duration::secs(40));
    assert!(bench.names().contains(&"SyncGroup") && bench.names().contains(&"Heartbeat"));
    assert!(bench.processed() > 0);
}

/// `ensureCoordinatorReady` waits with the lock: the heartbeat thread cannot give the question up and ask anew.
#[test]
fn while_an_application_waits_for_the_coordinator_nobody_else_asks_for_it() {
    let after = ApplicationSpecification {
        commit: CommitStyle::After,
        ..application()
    };
    let mut bench = bench_of("enable.auto.commit=false", after).joined();
    bench.deaf_to.push("FindCoordinator");
    let refused = commit_answer(&[0], ErrorCode::NotCoordinator);
    bench.script.push(("OffsetCommit", Reply::Answer(refused)));
    bench.batches = 1;
    // commitSync looks for the coordinator, and is not answered within request.timeout.ms.
    bench.pass(Duration::secs(20));
    assert_eq!(bench.take("FindCoordinator").len(), 1);
}
