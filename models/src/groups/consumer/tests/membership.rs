//! Who comes and goes.

use super::*;

fn static_member(member: u64, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    let request = match epoch {
        0 => join_request(member),
        epoch => heartbeat(member, epoch),
    };
    ConsumerGroupHeartbeatRequest {
        instance: Some(GroupInstanceId(7)),
        ..request
    }
}

#[test]
fn a_silent_member_is_removed_after_its_session_and_the_epoch_moves() {
    let mut bench = Bench::new();
    bench.join(1);
    bench.pass(Duration::secs(44));
    bench.stays(1, 2).unwrap();
    bench.pass(Duration::secs(44));
    assert_eq!(bench.members(), [1]);
    bench.pass(Duration::secs(1));
    assert_eq!(bench.removals(), [(1, MemberRemoval::SessionTimeout)]);
    assert_eq!(
        (bench.group().state(), bench.group().epoch()),
        (ConsumerGroupState::Empty, GroupEpoch(3))
    );
    assert_eq!(bench.stays(1, 2), Err(ErrorCode::UnknownMemberId));
    assert_eq!(bench.join(1), (4, all(&[0, 1, 2])));
}

#[test]
fn a_removal_that_cannot_be_written_is_tried_again_after_half_a_second() {
    let mut bench = Bench::new();
    bench.join(1);
    bench.pass_and(Duration::secs(45), Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(bench.members(), [1]);
    bench.pass(Duration::millis(499));
    assert_eq!(bench.members(), [1]);
    bench.pass(Duration::millis(1));
    assert!(bench.members().is_empty());
}

#[test]
fn sessions_begin_anew_when_the_log_is_loaded() {
    let mut bench = Bench::new();
    bench.join(1);
    bench.pass(Duration::secs(40));
    bench.fail_over();
    bench.pass(Duration::secs(44));
    assert_eq!(bench.members(), [1]);
    bench.pass(Duration::secs(1));
    assert!(bench.members().is_empty());
}

#[test]
fn a_full_group_takes_nobody_but_a_static_member_that_comes_back() {
    let mut bench = Bench::new();
    bench.settings.group_consumer_max_size = 1;
    bench.beat(static_member(1, 0)).unwrap();
    assert_eq!(bench.beat(join_request(2)), Err(ErrorCode::GroupMaxSizeReached));
    bench.beat(static_member(1, -2)).unwrap();
    assert_eq!(bench.beat(join_request(2)), Err(ErrorCode::GroupMaxSizeReached));
    assert_eq!(bench.beat(static_member(3, 0)), Ok((2, all(&[0, 1, 2]))));
}

#[test]
fn a_static_member_that_left_for_a_while_comes_back_to_what_it_had_without_a_rebalance() {
    let mut bench = Bench::new();
    bench.beat(static_member(1, 0)).unwrap();
    bench.join(2);
    bench.beat(static_member(1, 2)).unwrap();
    let owns = ConsumerGroupHeartbeatRequest {
        owned: Some(partitions(&[0, 1])),
        ..static_member(1, 2)
    };
    bench.beat(owns).unwrap();
    bench.stays(2, 3).unwrap();
    assert_eq!(bench.beat(static_member(1, -2)), Ok((-2, None)));
    assert_eq!(bench.stays(2, 3), Ok((3, None)), "2 gets nothing of it");
    bench.fail_over();
    assert_eq!(bench.beat(static_member(9, 0)), Ok((3, all(&[0, 1]))));
    assert_eq!(bench.members(), [2, 9]);
    assert_eq!(bench.group().epoch(), GroupEpoch(3));
    assert_eq!(bench.group().target(MemberId(9)), partitions(&[0, 1]));
    assert_eq!(bench.removals(), [(1, MemberRemoval::InstanceReplaced)]);
    assert_eq!(bench.beat(static_member(1, 3)), Err(ErrorCode::FencedInstanceId));
    // The session of the one that left runs out, and finds nobody.
    bench.pass(Duration::secs(40));
    bench.beat(static_member(9, 3)).unwrap();
    bench.stays(2, 3).unwrap();
    bench.pass(Duration::secs(10));
    assert_eq!(bench.members(), [2, 9]);
}

#[test]
fn a_static_member_that_does_not_come_back_is_removed_with_its_session() {
    let mut bench = Bench::new();
    bench.beat(static_member(1, 0)).unwrap();
    bench.pass(Duration::secs(20));
    bench.beat(static_member(1, -2)).unwrap();
    bench.pass(Duration::secs(24));
    assert_eq!(bench.members(), [1]);
    bench.pass(Duration::secs(1));
    assert_eq!(bench.removals(), [(1, MemberRemoval::SessionTimeout)]);
}

#[test]
fn an_instance_id_that_is_not_released_is_refused_to_another_member() {
    let mut bench = Bench::new();
    bench.beat(static_member(1, 0)).unwrap();
    assert_eq!(
        bench.beat(static_member(2, 0)),
        Err(ErrorCode::UnreleasedInstanceId)
    );
    assert_eq!(bench.beat(static_member(2, 2)), Err(ErrorCode::FencedInstanceId));
    assert_eq!(bench.beat(static_member(2, -1)), Err(ErrorCode::FencedInstanceId));
    assert_eq!(bench.beat(static_member(1, -1)), Ok((-1, None)), "for good");
    assert_eq!(bench.beat(static_member(1, 2)), Err(ErrorCode::UnknownMemberId));
    assert!(bench.members().is_empty());
    assert_eq!(bench.beat(static_member(2, 0)), Ok((4, all(&[0, 1, 2]))));
}

#[test]
fn a_static_member_that_joins_again_without_having_left_is_refused_even_by_its_own_id() {
    // Kafka compares the epoch of the one that is there only.
    let mut bench = Bench::new();
    bench.beat(static_member(1, 0)).unwrap();
    assert_eq!(
        bench.beat(static_member(1, 0)),
        Err(ErrorCode::UnreleasedInstanceId)
    );
}

#[test]
fn an_administrator_removes_members_with_one_change_of_the_epoch() {
    let mut bench = Bench::new();
    bench.beat(static_member(1, 0)).unwrap();
    bench.join(2);
    bench.join(3);
    let identity = |member: Option<u64>, instance: Option<u16>| MemberIdentity {
        member: member.map(MemberId),
        instance: instance.map(GroupInstanceId),
    };
    let request = LeaveGroupRequest {
        group: GROUP,
        members: smallvec![
            identity(None, Some(7)),
            identity(Some(8), None),
            identity(Some(2), None)
        ],
    };
    let answer = bench.ask(GroupRequest::Leave(Box::new(request))).unwrap();
    let Response::LeaveGroup(answer) = answer else {
        panic!("{answer:?}");
    };
    let errors: Vec<ErrorCode> = answer.members.iter().map(|(_, error)| *error).collect();
    assert_eq!(
        errors,
        [ErrorCode::None, ErrorCode::UnknownMemberId, ErrorCode::None]
    );
    assert_eq!((bench.members(), bench.group().epoch()), (vec![3], GroupEpoch(5)));
}

#[test]
fn most_members_decide_on_the_assignor_and_what_comes_anew_goes_first_if_they_are_as_many() {
    let mut bench = Bench::new();
    let wants = |member: u64, assignor| ConsumerGroupHeartbeatRequest {
        server_assignor: Some(assignor),
        ..join_request(member)
    };
    let (uniform, range) = (Some(ServerAssignor::Uniform), Some(ServerAssignor::Range));
    bench.join(1);
    assert_eq!(bench.group().preferred_assignor(None, None), None);
    assert_eq!(bench.group().preferred_assignor(None, range), range);
    bench.beat(wants(2, ServerAssignor::Range)).unwrap();
    assert_eq!(bench.group().preferred_assignor(None, None), range);
    assert_eq!(bench.group().preferred_assignor(None, uniform), uniform, "anew");
    bench.beat(wants(3, ServerAssignor::Uniform)).unwrap();
    assert_eq!(bench.group().preferred_assignor(None, None), uniform);
    // The one whose heartbeat it is stops wanting its own and wants it anew.
    assert_eq!(bench.group().preferred_assignor(range, range), range);
    assert_eq!(
        bench.group().preferred_assignor(None, range),
        range,
        "two of three"
    );
}

#[test]
fn an_empty_group_changes_its_protocol_whatever_the_policy_and_one_with_members_does_not() {
    let mut bench = Bench::new();
    bench.settings.group_consumer_migration_policy = DISABLED;
    bench.join(1);
    let join = || GroupRequest::Join(Box::new(classic_join(None)), MemberId(50));
    assert_eq!(bench.ask(join()), Err(ErrorCode::InconsistentGroupProtocol));
    bench.stays(1, -1).unwrap();
    bench.send(join(), Ok(())).unwrap();
    assert!(bench.shard.group(GROUP).is_some(), "a classic group now");
    bench.fail_over();
    assert!(bench.shard.group(GROUP).is_some(), "in the log too");
    assert_eq!(bench.join(1), (2, all(&[0, 1, 2])), "and back");
    bench.fail_over();
    assert_eq!(bench.members(), [1]);
}

#[test]
fn members_of_the_consumer_protocol_send_no_requests_of_the_classic_one() {
    let mut bench = Bench::new();
    bench.beat(static_member(1, 0)).unwrap();
    let heartbeat = |member: u64, instance: Option<u16>| {
        GroupRequest::Heartbeat(Box::new(HeartbeatRequest {
            group: GROUP,
            generation: GenerationId(2),
            member: MemberId(member),
            instance: instance.map(GroupInstanceId),
        }))
    };
    assert_eq!(bench.ask(heartbeat(1, None)), Err(ErrorCode::UnknownMemberId));
    assert_eq!(bench.ask(heartbeat(2, Some(7))), Err(ErrorCode::FencedInstanceId));
}
