use ktrial_sim::Duration;

use super::*;
use crate::kafka::Signal;
use crate::notes::ClientNote;
use crate::protocol::{ErrorCode, ServerAssignor};

#[test]
fn a_member_joins_with_epoch_0_an_id_of_its_own_and_all_it_has_to_say() {
    let mut bench = modern("max.poll.interval.ms=70000");
    bench.pass(Duration::millis(700));
    let (_, joins) = heartbeats(&mut bench).swap_remove(0);
    assert_eq!(joins.member_epoch.0, 0);
    assert_ne!(joins.member.0, 0);
    assert_eq!(joins.rebalance_timeout, Some(Duration::secs(70)));
    assert_eq!(joins.subscribed_topics.as_deref(), Some(&[0][..]));
    assert_eq!(joins.owned.as_deref(), Some(&[][..]));
    assert_eq!((joins.instance, joins.server_assignor), (None, None));
}

#[test]
fn group_protocol_consumer_heartbeats_instead_of_joining_and_syncing() {
    let mut bench = modern("").joined();
    bench.pass(Duration::secs(20));
    let names = bench.names();
    assert!(names.contains(&"ConsumerGroupHeartbeat"));
    for classic in ["JoinGroup", "SyncGroup", "Heartbeat"] {
        assert!(!names.contains(&classic), "{names:?}");
    }
}

#[test]
fn group_remote_assignor_is_told_when_the_member_joins() {
    for (setting, told) in [
        ("", None),
        ("group.remote.assignor=range", Some(ServerAssignor::Range)),
        ("group.remote.assignor=uniform", Some(ServerAssignor::Uniform)),
    ] {
        let mut bench = modern(setting);
        bench.pass(Duration::secs(12));
        let assignors: Vec<_> = heartbeats(&mut bench)
            .into_iter()
            .map(|(_, heartbeat)| heartbeat.server_assignor)
            .collect();
        assert_eq!(assignors[0], told);
        assert!(assignors[1..].iter().all(Option::is_none), "{assignors:?}");
    }
}

#[test]
fn a_heartbeat_says_only_what_has_changed_and_comes_at_the_coordinators_interval() {
    let mut bench = modern("").joined();
    bench.pass(Duration::secs(21));
    let heartbeats = heartbeats(&mut bench);
    let times: Vec<u64> = heartbeats.iter().map(|(at, _)| *at).collect();
    assert!(times.len() >= 4, "{times:?}");
    assert!(gaps(&times).iter().all(|gap| *gap == 5_000), "{times:?}");
    for (_, heartbeat) in heartbeats {
        assert_eq!(heartbeat.member_epoch.0, 1);
        let said = (
            heartbeat.rebalance_timeout,
            heartbeat.subscribed_topics,
            heartbeat.owned,
        );
        assert_eq!(said, (None, None, None));
    }
}

#[test]
fn heartbeats_go_on_while_the_application_works() {
    let mut bench = modern_of("", working(Duration::secs(20)));
    bench.batches = 1;
    bench.pass(Duration::secs(19));
    let times: Vec<u64> = heartbeats(&mut bench).iter().map(|(at, _)| *at).collect();
    assert!(times.len() >= 4, "{times:?}");
    assert!(gaps(&times[2..]).iter().all(|gap| *gap == 5_000), "{times:?}");
}

#[test]
fn an_assignment_is_acknowledged_at_once_when_the_listener_has_returned() {
    let mut bench = modern("");
    bench.pass(Duration::millis(700));
    assert_eq!(bench.listener(), "+0,1,2,3");
    let heartbeats = heartbeats(&mut bench);
    assert_eq!(heartbeats.len(), 2);
    let (at, acknowledges) = &heartbeats[1];
    assert!(*at < 500, "{at}");
    assert_eq!(acknowledges.member_epoch.0, 1);
    assert_eq!(acknowledges.owned.as_deref().map(<[_]>::len), Some(4));
}

#[test]
fn a_revocation_commits_first_then_calls_the_listener_and_then_tells_what_is_left() {
    let mut bench = modern(RARELY);
    bench.batches = 1;
    let mut bench = bench.joined();
    bench.target = vec![2, 3];
    bench.pass(Duration::secs(6));
    assert_eq!(bench.listener(), "-0,1 +");
    let order: Vec<_> = bench.names();
    assert_eq!(
        order[..3],
        ["ConsumerGroupHeartbeat", "OffsetCommit", "ConsumerGroupHeartbeat"]
    );
    assert_eq!(acknowledged(&mut bench), [[2, 3]]);
}

#[test]
fn without_automatic_commits_a_revocation_commits_nothing() {
    let mut bench = modern("enable.auto.commit=false");
    bench.batches = 1;
    let mut bench = bench.joined();
    bench.target = vec![2, 3];
    bench.pass(Duration::secs(6));
    assert_eq!(bench.listener(), "-0,1 +");
    assert!(commits(&mut bench).is_empty());
}

#[test]
fn what_is_going_to_be_revoked_is_handed_out_no_more() {
    let mut bench = modern("").joined();
    bench.deaf_to.push("OffsetCommit");
    bench.batches = 1;
    bench.pass(Duration::millis(600));
    bench.target = vec![2, 3];
    bench.pass(Duration::millis(4_500));
    bench.desk.notes.clear();
    bench.batches = 2;
    bench.pass(Duration::secs(2));
    let mut polled: Vec<u32> = bench
        .desk
        .notes
        .iter()
        .filter_map(|note| match note {
            ClientNote::Polled { partition, .. } => Some(partition.0),
            _ => None,
        })
        .collect();
    polled.sort_unstable();
    assert_eq!(polled, [2, 3]);
}

#[test]
fn new_partitions_are_fetched_once_the_listener_has_returned() {
    let mut bench = modern("");
    bench.target = vec![0];
    let mut bench = bench.joined();
    bench.target = vec![0, 1];
    bench.batches = 1;
    bench.pass(Duration::millis(4_000));
    assert_eq!(bench.processed(), 10);
    bench.pass(Duration::millis(1_500));
    assert_eq!(bench.processed(), 20);
}

#[test]
fn an_application_that_works_keeps_what_it_shall_give_up_until_its_next_poll() {
    let mut bench = modern_of("", working(Duration::secs(2))).joined();
    bench.target = vec![];
    bench.batches = 1;
    // Ten records of one partition or more take 20 s.
    bench.pass(Duration::secs(12));
    assert_eq!(bench.listener(), "");
    bench.pass(Duration::secs(90));
    assert_eq!(bench.listener(), "-0,1,2,3 +");
}

#[test]
fn a_newer_target_waits_for_the_reconciliation_under_way() {
    let mut bench = modern_of("enable.auto.commit=false", working(Duration::millis(700))).joined();
    bench.batches = 1;
    bench.pass(Duration::millis(100));
    // The application works for 28 s; two heartbeats bring two targets.
    bench.target = vec![0, 1, 2];
    bench.pass(Duration::secs(6));
    bench.target = vec![0, 1];
    bench.pass(Duration::secs(6));
    bench.take("ConsumerGroupHeartbeat");
    bench.pass(Duration::secs(30));
    assert_eq!(bench.listener(), "-2,3 +");
    assert_eq!(acknowledged(&mut bench), [[0, 1]]);
}

#[test]
fn a_target_that_comes_during_a_reconciliation_is_reconciled_after_its_acknowledgement() {
    let mut bench = modern(RARELY);
    bench.batches = 1;
    let mut bench = bench.joined();
    bench.target = vec![0, 1, 2];
    // The commit before the revocation is repeated for longer than a heartbeat's interval.
    for _ in 0..10 {
        let loads = commit_answer(&[0], ErrorCode::CoordinatorLoadInProgress);
        bench.script.push(("OffsetCommit", Reply::Answer(loads)));
    }
    bench.pass(Duration::secs(6));
    bench.target = vec![0, 1];
    bench.pass(Duration::secs(20));
    assert_eq!(bench.listener(), "-3 + -2 +");
    assert_eq!(acknowledged(&mut bench), [vec![0, 1, 2], vec![0, 1]]);
}

#[test]
fn max_poll_interval_ms_without_a_poll_leaves_and_the_next_poll_joins_again() {
    for (settings, leaves) in [("", -1), ("group.instance.id=i", -2)] {
        let settings = format!("max.poll.interval.ms=6000\n{settings}");
        let mut bench = modern_of(&settings, listening(working(Duration::secs(1)))).joined();
        bench.batches = 1;
        // The background looks at that time when it wakes up for the next heartbeat.
        bench.pass(Duration::secs(12));
        assert_eq!(epochs(&mut bench), [1, leaves]);
        assert_eq!(bench.listener(), "", "it does not know yet");
        bench.pass(Duration::secs(40));
        assert_eq!(bench.listener(), "!0,1,2,3 +0,1,2,3");
        assert_eq!(epochs(&mut bench)[..2], [0, 2]);
    }
}

#[test]
fn a_longer_max_poll_interval_ms_keeps_the_membership() {
    let mut bench = modern_of("max.poll.interval.ms=60000", working(Duration::secs(1))).joined();
    bench.batches = 1;
    bench.pass(Duration::secs(45));
    assert!(epochs(&mut bench).iter().all(|epoch| *epoch == 1));
}

#[test]
fn close_commits_tells_the_listener_and_leaves() {
    let mut bench = modern("");
    bench.batches = 1;
    let mut bench = bench.joined();
    bench.signal(Signal::Terminate);
    bench.pass(Duration::secs(1));
    assert!(bench.desk.exited);
    assert_eq!(bench.names(), ["OffsetCommit", "ConsumerGroupHeartbeat"]);
    assert_eq!(epochs(&mut bench), [-1]);
    assert_eq!(bench.listener(), "-0,1,2,3");
}

#[test]
fn group_instance_id_leaves_with_epoch_minus_2() {
    let mut bench = modern("group.instance.id=i");
    bench.pass(Duration::millis(700));
    assert!(heartbeats(&mut bench)[0].1.instance.is_some());
    bench.signal(Signal::Terminate);
    bench.pass(Duration::secs(1));
    assert!(bench.desk.exited);
    assert_eq!(epochs(&mut bench), [-2]);
}

#[test]
fn leaving_is_tried_once() {
    for error in [ErrorCode::GroupIdNotFound, ErrorCode::CoordinatorLoadInProgress] {
        let mut bench = modern("enable.auto.commit=false").joined();
        bench
            .script
            .push(("ConsumerGroupHeartbeat", member_refused(error)));
        bench.signal(Signal::Terminate);
        bench.pass(Duration::secs(1));
        assert!(bench.desk.exited, "{error:?}");
        assert_eq!(epochs(&mut bench), [-1]);
    }
}

#[test]
fn a_close_without_answers_ends_when_the_background_wakes_up_after_request_timeout_ms() {
    let mut bench = modern("request.timeout.ms=7000").joined();
    bench.deaf_to.push("ConsumerGroupHeartbeat");
    bench.signal(Signal::Terminate);
    let begin = bench.now();
    bench.pass(Duration::secs(60));
    assert!(bench.desk.exited);
    let took = bench.now().saturating_sub(begin).as_millis();
    // It wakes up every 5 s.
    assert!((9_900..10_600).contains(&took), "{took}");
}
