use super::bench::*;
use crate::ids::{GenerationId, GroupId};
use crate::kafka::Signal;
use crate::notes::ClientNote;
use crate::protocol::{Assignor, CoordinatorKey, ErrorCode, Request, Response};
use ktrial_sim::Duration;

const MOMENT: Duration = Duration::millis(700);

#[test]
fn a_new_member_looks_for_the_coordinator_gets_an_id_joins_with_it_and_asks_for_its_assignment() {
    let mut bench = bench("");
    bench.pass(MOMENT);
    let expected = [
        "FindCoordinator",
        "JoinGroup",
        "JoinGroup",
        "SyncGroup",
        "OffsetFetch",
        "ListOffsets",
    ];
    assert_eq!(bench.names(), expected);
    let joins = bench.take("JoinGroup");
    assert_eq!((member_of(&joins[0].1), member_of(&joins[1].1)), (None, Some(ME)));
    assert_eq!(bench.listener(), "+0,1,2,3");
}

#[test]
fn group_id_is_whose_coordinator_is_looked_for() {
    let mut bench = bench("");
    bench.pass(MOMENT);
    let asked = Request::FindCoordinator(CoordinatorKey::Group(GroupId(0)));
    assert_eq!(bench.take("FindCoordinator")[0].1, asked);
}

#[test]
fn group_protocol_classic_joins_and_syncs() {
    let mut bench = bench("group.protocol=classic");
    bench.pass(MOMENT);
    assert!(bench.names().contains(&"SyncGroup"));
}

#[test]
fn partition_assignment_strategy_is_what_a_member_offers() {
    let mut usual = bench("");
    usual.pass(MOMENT);
    let offers = protocols_of(&usual.take("JoinGroup")[1].1);
    assert_eq!(offers, [Assignor::Range, Assignor::CooperativeSticky]);
    let mut other = bench(COOPERATIVE);
    other.pass(MOMENT);
    let offers = protocols_of(&other.take("JoinGroup")[1].1);
    assert_eq!(offers, [Assignor::CooperativeSticky]);
}

#[test]
fn after_unknown_member_id_a_member_joins_as_a_new_one() {
    let mut bench = bench("");
    bench
        .script
        .push(("JoinGroup", join_refused(ErrorCode::UnknownMemberId)));
    bench.pass(MOMENT);
    let joins = bench.take("JoinGroup");
    let ids: Vec<_> = joins.iter().map(|(_, join)| member_of(join)).collect();
    assert_eq!(ids, [None, None, Some(ME)]);
    assert!(bench.consumer.is_settled());
}

#[test]
fn a_coordinator_that_is_none_any_more_is_looked_for_again() {
    for error in [ErrorCode::NotCoordinator, ErrorCode::CoordinatorNotAvailable] {
        let mut bench = bench("");
        bench.script.push(("JoinGroup", join_refused(error)));
        bench.pass(Duration::secs(2));
        assert!(bench.take("FindCoordinator").len() >= 2, "{error:?}");
        assert!(bench.consumer.is_settled(), "{error:?}");
    }
}

#[test]
fn a_coordinator_that_loads_is_asked_again() {
    let mut bench = bench("");
    for _ in 0..3 {
        let loads = join_refused(ErrorCode::CoordinatorLoadInProgress);
        bench.script.push(("JoinGroup", loads));
    }
    bench.pass(Duration::secs(2));
    assert_eq!(bench.take("FindCoordinator").len(), 1);
    assert_eq!(bench.take("JoinGroup").len(), 5);
    assert!(bench.consumer.is_settled());
}

#[test]
fn a_lost_connection_makes_the_coordinator_unknown() {
    let mut bench = bench("");
    bench.script.push(("SyncGroup", Reply::HangUp));
    bench.pass(Duration::secs(2));
    assert!(bench.take("FindCoordinator").len() >= 2);
    assert!(bench.consumer.is_settled());
}

#[test]
fn errors_that_nothing_can_be_done_about_end_the_application() {
    let fatal = [
        ErrorCode::FencedInstanceId,
        ErrorCode::InconsistentGroupProtocol,
        ErrorCode::GroupMaxSizeReached,
        ErrorCode::InvalidSessionTimeout,
        ErrorCode::UnknownServerError,
    ];
    for error in fatal {
        let mut bench = bench("");
        bench.script.push(("JoinGroup", join_refused(error)));
        bench.pass(MOMENT);
        assert_eq!(bench.died(), Some(error.name()));
        assert!(bench.desk.exited);
    }
}

#[test]
fn a_rebalance_that_begins_before_the_assignment_makes_a_member_join_again_with_its_id() {
    let mut bench = bench("");
    bench
        .script
        .push(("SyncGroup", sync_refused(ErrorCode::RebalanceInProgress)));
    bench.pass(MOMENT);
    let ids: Vec<_> = bench
        .take("JoinGroup")
        .iter()
        .map(|(_, join)| member_of(join))
        .collect();
    assert_eq!(ids, [None, Some(ME), Some(ME)]);
}

#[test]
fn an_illegal_generation_in_sync_forgets_the_generation_and_keeps_the_id() {
    let mut bench = bench("");
    bench
        .script
        .push(("SyncGroup", sync_refused(ErrorCode::IllegalGeneration)));
    bench.pass(MOMENT);
    let ids: Vec<_> = bench
        .take("JoinGroup")
        .iter()
        .map(|(_, join)| member_of(join))
        .collect();
    assert_eq!(ids, [None, Some(ME), Some(ME)]);
}

#[test]
fn an_eager_member_gives_everything_up_before_it_joins_again() {
    let mut bench = bench("").joined();
    bench
        .script
        .push(("Heartbeat", heartbeat(ErrorCode::RebalanceInProgress)));
    bench.pass(Duration::secs(4));
    assert_eq!(bench.listener(), "-0,1,2,3 +0,1,2,3");
    let owned: Vec<_> = bench
        .take("JoinGroup")
        .into_iter()
        .map(|(_, join)| match join {
            Request::JoinGroup(join) => (join.protocols[0].1.owned.len(), join.protocols[0].1.generation),
            _ => unreachable!(),
        })
        .collect();
    assert_eq!(owned, [(0, GenerationId(1))]);
}

#[test]
fn a_cooperative_member_keeps_everything_until_the_assignment_and_joins_again_if_something_went_away() {
    let mut bench = bench(COOPERATIVE);
    bench.follower_gets = assignment(&[0, 1, 2, 3]);
    let mut bench = bench.joined();
    bench.follower_gets = assignment(&[0, 1]);
    bench
        .script
        .push(("Heartbeat", heartbeat(ErrorCode::RebalanceInProgress)));
    bench.pass(Duration::secs(4));
    assert_eq!(bench.listener(), "-2,3 + +");
    let owned: Vec<_> = bench
        .take("JoinGroup")
        .into_iter()
        .map(|(_, join)| match join {
            Request::JoinGroup(join) => join.protocols[0].1.owned.len(),
            _ => unreachable!(),
        })
        .collect();
    assert_eq!(owned, [4, 2]);
}

#[test]
fn the_leader_joins_again_when_its_topics_have_other_partitions() {
    let mut bench = bench("metadata.max.age.ms=2000").joined();
    bench.partitions = 6;
    bench.pass(Duration::secs(3));
    assert_eq!(bench.listener(), "-0,1,2,3 +0,1,2,3,4,5");
}

#[test]
fn a_follower_does_not_care_how_many_partitions_there_are() {
    let mut bench = bench("metadata.max.age.ms=2000");
    bench.follower_gets = assignment(&[0]);
    let mut bench = bench.joined();
    bench.partitions = 6;
    bench.pass(Duration::secs(3));
    assert_eq!(bench.take("JoinGroup").len(), 0);
}

#[test]
fn a_join_is_waited_for_as_long_as_a_rebalance_may_take() {
    let mut bench = bench("max.poll.interval.ms=40000");
    bench.script.push(("JoinGroup", Reply::Silence));
    bench.pass(Duration::secs(44));
    assert_eq!(bench.take("JoinGroup").len(), 1);
    bench.pass(Duration::secs(4));
    assert!(bench.consumer.is_settled(), "{:?}", bench.names());
}

#[test]
fn closing_commits_gives_up_and_leaves_in_this_order() {
    let mut bench = bench("");
    bench.batches = 1;
    let mut bench = bench.joined();
    bench.signal(Signal::Terminate);
    bench.pass(MOMENT);
    assert!(bench.desk.exited);
    assert_eq!(bench.names(), ["OffsetCommit", "LeaveGroup"]);
    let notes: Vec<_> = bench
        .desk
        .notes
        .iter()
        .filter(|note| {
            matches!(
                note,
                ClientNote::Committed { .. } | ClientNote::Revoked(_) | ClientNote::Closed
            )
        })
        .collect();
    assert!(
        matches!(notes[..], [.., ClientNote::Revoked(_), ClientNote::Closed]),
        "{notes:?}"
    );
}

/// `ClassicKafkaConsumer.createTimerForRequest`.
#[test]
fn a_close_whose_commit_is_not_answered_takes_request_timeout_ms() {
    let mut bench = bench("request.timeout.ms=7000");
    bench.batches = 1;
    let mut bench = bench.joined();
    bench.deaf_to.push("OffsetCommit");
    bench.signal(Signal::Terminate);
    let began = bench.now();
    bench.pass(Duration::secs(40));
    assert!(bench.desk.exited);
    let took = bench.now().saturating_sub(began).as_millis();
    assert!((6_900..7_600).contains(&took), "{took}");
}

#[test]
fn group_instance_id_keeps_the_membership_over_a_close() {
    let mut bench = bench("group.instance.id=i").joined();
    bench.signal(Signal::Terminate);
    bench.pass(MOMENT);
    assert!(bench.desk.exited);
    assert_eq!(bench.take("LeaveGroup").len(), 0);
}

#[test]
fn a_leader_whose_assignment_names_nothing_for_a_member_fails_that_member() {
    let mut bench = bench("");
    let empty = Reply::Answer(Response::SyncGroup(Box::new(
        crate::protocol::SyncGroupResponse {
            error: ErrorCode::None,
            protocol_type: None,
            protocol: None,
            assignment: None,
        },
    )));
    bench.script.push(("SyncGroup", empty));
    bench.pass(MOMENT);
    assert_eq!(bench.died(), Some("IllegalStateException"));
    assert_eq!(bench.consumer.positions().count(), 0);
}

/// `JoinGroupResponseHandler`: whatever happened while the leader waited for metadata, its join ends.
#[test]
fn a_leader_that_is_thrown_out_while_it_waits_for_metadata_is_a_member_again_in_the_end() {
    let mut bench = bench("metadata.max.age.ms=1000 request.timeout.ms=10000").joined();
    bench.deaf_to.push("Metadata");
    bench.pass(Duration::secs(2));
    for error in [ErrorCode::RebalanceInProgress, ErrorCode::UnknownMemberId] {
        bench.script.push(("Heartbeat", heartbeat(error)));
    }
    bench.pass(Duration::secs(7));
    assert!(bench.names().contains(&"JoinGroup"));
    assert!(!bench.names().contains(&"SyncGroup"), "{:?}", bench.names());
    bench.deaf_to.clear();
    bench.pass(Duration::secs(40));
    assert!(bench.consumer.is_settled(), "{:?}", bench.names());
}
