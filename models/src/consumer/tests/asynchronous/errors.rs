use ktrial_sim::Duration;

use super::*;
use crate::protocol::ErrorCode;

#[test]
fn a_fenced_member_loses_what_it_owns_and_joins_again_under_the_same_id() {
    for error in [ErrorCode::FencedMemberEpoch, ErrorCode::UnknownMemberId] {
        let mut bench = modern("");
        bench.pass(Duration::millis(700));
        bench.listener();
        let id = heartbeats(&mut bench)[0].1.member;
        bench
            .script
            .push(("ConsumerGroupHeartbeat", member_refused(error)));
        bench.pass(Duration::secs(6));
        assert_eq!(bench.listener(), "!0,1,2,3 +0,1,2,3");
        let heartbeats = heartbeats(&mut bench);
        let (fenced, joins) = (&heartbeats[0], &heartbeats[1]);
        assert_eq!((joins.1.member_epoch.0, joins.1.member), (0, id));
        assert!(joins.1.subscribed_topics.is_some());
        assert!(joins.0 - fenced.0 < 250, "no back-off, only the next poll");
    }
}

#[test]
fn a_member_with_a_listener_that_is_fenced_while_it_works_lets_go_with_its_next_poll() {
    let mut bench = modern_of("", listening(working(Duration::secs(1)))).joined();
    bench.batches = 1;
    bench.script.push((
        "ConsumerGroupHeartbeat",
        member_refused(ErrorCode::FencedMemberEpoch),
    ));
    bench.pass(Duration::secs(9));
    assert_eq!(bench.listener(), "");
    assert_eq!(epochs(&mut bench), [1], "silent until it has let go");
    bench.pass(Duration::secs(40));
    assert!(bench.listener().starts_with("!0,1,2,3 +0,1,2,3"));
}

#[test]
fn a_coordinator_that_is_none_any_more_is_looked_up_and_told_everything_at_once() {
    for error in [ErrorCode::NotCoordinator, ErrorCode::CoordinatorNotAvailable] {
        let mut bench = modern("").joined();
        bench
            .script
            .push(("ConsumerGroupHeartbeat", member_refused(error)));
        bench.pass(Duration::secs(6));
        assert_eq!(bench.take("FindCoordinator").len(), 1);
        let heartbeats = heartbeats(&mut bench);
        let gap = heartbeats[1].0 - heartbeats[0].0;
        // The broker that is asked for the coordinator answers a fetch first.
        assert!(gap <= 500, "{error:?}: {gap}");
        assert_eq!(heartbeats[1].1.member_epoch.0, 1);
        assert!(heartbeats[1].1.subscribed_topics.is_some() && heartbeats[1].1.owned.is_some());
        assert_eq!(bench.listener(), "", "it owns what it owned");
    }
}

#[test]
fn a_coordinator_that_loads_is_asked_again_after_a_back_off() {
    let mut bench = modern("").joined();
    for _ in 0..2 {
        let loads = member_refused(ErrorCode::CoordinatorLoadInProgress);
        bench.script.push(("ConsumerGroupHeartbeat", loads));
    }
    bench.pass(Duration::secs(6));
    assert_eq!(bench.take("FindCoordinator").len(), 0);
    let times: Vec<u64> = heartbeats(&mut bench).iter().map(|(at, _)| *at).collect();
    let gaps = gaps(&times);
    assert!((80..=125).contains(&gaps[0]), "{gaps:?}");
    assert!((160..=245).contains(&gaps[1]), "{gaps:?}");
}

#[test]
fn a_lost_connection_makes_the_coordinator_unknown() {
    let mut bench = modern("").joined();
    bench.script.push(("ConsumerGroupHeartbeat", Reply::HangUp));
    bench.pass(Duration::secs(7));
    assert_eq!(bench.take("FindCoordinator").len(), 1);
    assert_eq!(epochs(&mut bench), [1, 1]);
    assert_eq!(bench.listener(), "");
}

#[test]
fn other_errors_are_thrown_by_poll_and_end_the_membership() {
    for error in [
        ErrorCode::UnreleasedInstanceId,
        ErrorCode::FencedInstanceId,
        ErrorCode::UnsupportedAssignor,
        ErrorCode::GroupMaxSizeReached,
        ErrorCode::UnsupportedVersion,
        ErrorCode::GroupIdNotFound,
    ] {
        let mut bench = modern("enable.auto.commit=false").joined();
        bench
            .script
            .push(("ConsumerGroupHeartbeat", member_refused(error)));
        bench.pass(Duration::secs(7));
        assert_eq!(bench.died(), Some(error.name()));
        assert_eq!(epochs(&mut bench), [1], "{error:?}: it says nothing more");
        assert!(bench.desk.exited);
    }
}

#[test]
fn a_coordinator_that_cannot_be_found_is_looked_for_until_it_is() {
    let mut bench = modern("");
    for _ in 0..3 {
        let none = crate::protocol::Response::FindCoordinator(Err(ErrorCode::CoordinatorNotAvailable));
        bench.script.push(("FindCoordinator", Reply::Answer(none)));
    }
    bench.pass(Duration::secs(3));
    let times: Vec<u64> = bench
        .take("FindCoordinator")
        .iter()
        .map(|(at, _)| at.as_millis())
        .collect();
    let gaps = gaps(&times);
    assert_eq!(gaps.len(), 3);
    assert!(gaps[0] < gaps[1] && gaps[1] < gaps[2], "{gaps:?}");
    assert!(bench.consumer.is_settled());
}
