//! Which epochs members may come with, and what is taken back.

use super::*;

#[test]
fn a_member_may_come_with_the_epoch_before_its_own_if_it_owns_nothing_beyond_its_assignment() {
    let mut bench = Bench::new();
    bench.join(1);
    bench.join(2);
    bench.owns(1, 2, &[0, 1, 2]).unwrap();
    assert_eq!(bench.owns(1, 2, &[0, 1]), Ok((3, None)));
    // The answer was lost.
    assert_eq!(bench.stays(1, 2), Err(ErrorCode::FencedMemberEpoch));
    assert_eq!(bench.owns(1, 2, &[0, 1, 2]), Err(ErrorCode::FencedMemberEpoch));
    assert_eq!(bench.owns(1, 2, &[0, 1]), Ok((3, None)));
    assert_eq!(bench.owns(1, 2, &[1]), Ok((3, None)));
    assert_eq!(
        bench.stays(1, 4),
        Err(ErrorCode::FencedMemberEpoch),
        "of the future"
    );
    assert_eq!(
        bench.owns(1, 1, &[]),
        Err(ErrorCode::FencedMemberEpoch),
        "too old"
    );
}

#[test]
fn who_asks_about_all_is_told_all() {
    let mut bench = Bench::new();
    bench.join(1);
    let full = ConsumerGroupHeartbeatRequest {
        member_epoch: MemberEpoch(2),
        owned: Some(partitions(&[0])),
        ..join_request(1)
    };
    assert_eq!(bench.beat(full), Ok((2, all(&[0, 1, 2]))));
}

#[test]
fn a_member_that_was_fenced_joins_again_by_its_id_and_gets_back_what_it_has() {
    let mut bench = Bench::new();
    bench.join(1);
    assert_eq!(bench.stays(1, 7), Err(ErrorCode::FencedMemberEpoch));
    let log = bench.log.len();
    assert_eq!(bench.join(1), (2, all(&[0, 1, 2])));
    assert_eq!(bench.log.len(), log, "nothing changed");
}

#[test]
fn heartbeats_to_a_group_that_is_not_there_are_refused_unless_the_member_joins() {
    let mut bench = Bench::new();
    assert_eq!(bench.stays(1, 3), Err(ErrorCode::GroupIdNotFound));
    assert_eq!(bench.stays(1, -1), Err(ErrorCode::GroupIdNotFound));
    bench.join(1);
    assert_eq!(bench.stays(2, 3), Err(ErrorCode::UnknownMemberId));
    assert_eq!(bench.stays(2, -1), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn what_cannot_be_appended_is_taken_back_and_told_to_nobody() {
    let mut bench = Bench::new();
    bench.join(1);
    let before = (bench.current(1), bench.group().epoch(), bench.notes.len());
    let join = GroupRequest::ConsumerGroupHeartbeat(Box::new(join_request(2)));
    let refused = bench.ask_and(join, Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(refused, Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(bench.members(), [1]);
    assert_eq!(
        (bench.current(1), bench.group().epoch(), bench.notes.len()),
        before
    );
    assert_eq!(bench.group().target(MemberId(1)), partitions(&[0, 1, 2]));
    assert_eq!(bench.join(2), (3, all(&[])), "as if nothing had been");
}

#[test]
fn the_whole_group_goes_if_its_first_records_cannot_be_appended() {
    let mut bench = Bench::new();
    let join = GroupRequest::ConsumerGroupHeartbeat(Box::new(join_request(1)));
    bench
        .ask_and(join, Err(ErrorCode::NotEnoughReplicas))
        .expect_err("it is refused");
    assert!(bench.shard.consumer_group(GROUP).is_none());
}

#[test]
fn assignments_follow_each_other_after_the_interval_by_the_wall_clock() {
    let mut bench = Bench::new();
    bench.settings.group_consumer_assignment_interval_ms = Duration::secs(1);
    assert_eq!(
        bench.join(1),
        (2, all(&[0, 1, 2])),
        "the first one is made at once"
    );
    assert_eq!(
        bench.join(2),
        (2, all(&[])),
        "2 is of the group, not of the assignment"
    );
    assert_eq!(bench.group().state(), ConsumerGroupState::Assigning);
    bench.pass(Duration::millis(999));
    assert_eq!(bench.stays(1, 2), Ok((2, None)));
    bench.pass(Duration::millis(1));
    assert_eq!(bench.stays(1, 2), Ok((2, all(&[0, 1]))));
    assert_eq!(bench.stays(2, 2), Ok((3, None)));
}

#[test]
fn those_who_watch_are_told_of_a_change_too_that_was_not_committed_in_time() {
    let mut bench = Bench::new();
    bench.join(1);
    bench.notes.clear();
    let join = GroupRequest::ConsumerGroupHeartbeat(Box::new(join_request(2)));
    bench.ask_and(join, Err(ErrorCode::RequestTimedOut)).unwrap_err();
    assert_eq!(bench.stays(2, 3), Ok((3, None)), "its membership stands");
    let members = vec![MemberId(1), MemberId(2)];
    let epoch = GroupEpoch(3);
    assert_eq!(bench.notes[0], GroupNote::Epoch { epoch, members });
}

#[test]
fn those_who_watch_are_told_of_epochs_and_of_what_everybody_has() {
    let mut bench = Bench::new();
    bench.join(1);
    bench.join(2);
    bench.notes.clear();
    bench.stays(1, 2).unwrap();
    let revoking = GroupNote::Reconciled {
        member: MemberId(1),
        epoch: MemberEpoch(2),
        state: MemberState::UnrevokedPartitions,
        assigned: partitions(&[0, 1]),
        revoking: partitions(&[2]),
    };
    let has = |member: u64, has: &[u32]| (MemberId(member), Some(partitions(has)));
    let everybody = GroupNote::Assigned {
        generation: GenerationId(3),
        assignment: vec![has(1, &[0, 1, 2]), has(2, &[])],
    };
    assert_eq!(bench.notes, [revoking, everybody]);
    bench.notes.clear();
    bench.stays(2, -1).unwrap();
    let epoch = GroupNote::Epoch {
        epoch: GroupEpoch(4),
        members: vec![MemberId(1)],
    };
    let left = GroupNote::Removed {
        member: MemberId(2),
        why: MemberRemoval::Left,
    };
    assert_eq!(bench.notes[..2], [left, epoch]);
}
