//! How partitions go from one member to another.

use super::*;
use MemberState::{Stable, UnreleasedPartitions, UnrevokedPartitions};

#[test]
fn the_first_member_is_told_everything_at_once() {
    let mut bench = Bench::new();
    assert_eq!(bench.join(1), (2, all(&[0, 1, 2])));
    assert_eq!(bench.current(1), (2, Stable, vec![0, 1, 2], vec![]));
    assert_eq!(bench.group().state(), ConsumerGroupState::Stable);
    assert_eq!(bench.stays(1, 2), Ok((2, None)), "nothing new");
}

#[test]
fn a_partition_is_given_to_a_second_member_only_once_the_first_says_that_it_gave_it_up() {
    let mut bench = Bench::new();
    bench.join(1);
    // Two members, three partitions: 1 keeps two of them.
    assert_eq!(bench.join(2), (3, all(&[])));
    assert_eq!(bench.current(2), (3, UnreleasedPartitions, vec![], vec![]));
    assert_eq!(bench.group().state(), ConsumerGroupState::Reconciling);
    assert_eq!(bench.stays(2, 3), Ok((3, None)), "2 waits");
    assert_eq!(
        bench.stays(1, 2),
        Ok((2, all(&[0, 1]))),
        "1 is asked to give up 2"
    );
    assert_eq!(bench.current(1), (2, UnrevokedPartitions, vec![0, 1], vec![2]));
    assert_eq!(
        bench.stays(1, 2),
        Ok((2, None)),
        "it says nothing of what it owns"
    );
    assert_eq!(bench.owns(1, 2, &[0, 1, 2]), Ok((2, None)), "it still owns 2");
    assert_eq!(bench.stays(2, 3), Ok((3, None)), "2 waits");
    assert_eq!(bench.owns(1, 2, &[0, 1]), Ok((3, None)));
    assert_eq!(bench.current(1), (3, Stable, vec![0, 1], vec![]));
    assert_eq!(bench.stays(2, 3), Ok((3, all(&[2]))));
    assert_eq!(bench.current(2), (3, Stable, vec![2], vec![]));
    assert_eq!(bench.group().state(), ConsumerGroupState::Stable);
}

#[test]
fn a_member_that_gives_up_some_and_waits_for_others_does_one_after_the_other() {
    let mut bench = Bench::new();
    bench.create_topic(1, 1);
    // 1 has the partitions 0, 1, 2 of the first topic, 2 the partition 3 of the second.
    bench.join(1);
    let second = ConsumerGroupHeartbeatRequest {
        subscribed_topics: Some(smallvec![1]),
        ..join_request(2)
    };
    assert_eq!(bench.beat(second), Ok((3, all(&[3]))));
    bench.stays(1, 2).unwrap();
    // They change places.
    let other_topic = |member: u64, topic: u16, owned: &[u32]| ConsumerGroupHeartbeatRequest {
        subscribed_topics: Some(smallvec![topic]),
        owned: Some(partitions(owned)),
        ..heartbeat(member, 3)
    };
    assert_eq!(bench.beat(other_topic(1, 1, &[0, 1, 2])), Ok((3, all(&[]))));
    assert_eq!(bench.current(1), (3, UnrevokedPartitions, vec![], vec![0, 1, 2]));
    assert_eq!(bench.beat(other_topic(2, 0, &[3])), Ok((3, all(&[]))));
    assert_eq!(bench.current(2), (3, UnrevokedPartitions, vec![], vec![3]));
    assert_eq!(bench.owns(1, 3, &[]), Ok((5, None)));
    assert_eq!(bench.current(1), (5, UnreleasedPartitions, vec![], vec![]));
    assert_eq!(bench.owns(2, 3, &[]), Ok((5, all(&[0, 1, 2]))));
    assert_eq!(bench.owns(1, 5, &[]), Ok((5, all(&[3]))));
    assert_eq!(bench.group().state(), ConsumerGroupState::Stable);
}

#[test]
fn a_member_takes_back_what_it_was_to_give_up_if_the_other_one_leaves_first() {
    let mut bench = Bench::new();
    bench.join(1);
    bench.join(2);
    bench.stays(1, 2).unwrap();
    assert_eq!(bench.current(1), (2, UnrevokedPartitions, vec![0, 1], vec![2]));
    bench.stays(2, -1).unwrap();
    assert_eq!(
        bench.stays(1, 2),
        Ok((2, None)),
        "who says nothing of what it owns goes nowhere"
    );
    assert_eq!(bench.owns(1, 2, &[0, 1]), Ok((4, all(&[0, 1, 2]))));
    let epochs: Vec<i32> = bench
        .group()
        .member(MemberId(1))
        .unwrap()
        .current
        .assigned
        .iter()
        .map(|(_, epoch)| epoch.0)
        .collect();
    assert_eq!(epochs, [2, 2, 4], "it was assigned 2 anew");
}

#[test]
fn who_unsubscribes_is_asked_to_give_the_topic_up_before_the_next_assignment_is_due() {
    let mut bench = Bench::new();
    bench.create_topic(1, 1);
    bench.settings.group_consumer_assignment_interval_ms = Duration::secs(10);
    let both = ConsumerGroupHeartbeatRequest {
        subscribed_topics: Some(smallvec![0, 1]),
        ..join_request(1)
    };
    assert_eq!(bench.beat(both), Ok((2, all(&[0, 1, 2, 3]))));
    let less = ConsumerGroupHeartbeatRequest {
        subscribed_topics: Some(smallvec![0]),
        ..heartbeat(1, 2)
    };
    assert_eq!(bench.beat(less), Ok((2, all(&[0, 1, 2]))));
    assert_eq!(bench.current(1), (2, UnrevokedPartitions, vec![0, 1, 2], vec![3]));
    assert_eq!(bench.group().state(), ConsumerGroupState::Assigning);
    bench.now += Duration::secs(10);
    assert_eq!(bench.owns(1, 2, &[0, 1, 2]), Ok((3, None)));
    assert_eq!(bench.group().state(), ConsumerGroupState::Stable);
}

#[test]
fn who_does_not_give_up_within_its_rebalance_timeout_is_removed() {
    let mut bench = Bench::new();
    bench.join(1);
    bench.join(2);
    bench.stays(1, 2).unwrap();
    for _ in 0..9 {
        bench.pass(Duration::secs(30));
        assert_eq!(bench.owns(1, 2, &[0, 1, 2]), Ok((2, None)));
        assert_eq!(bench.stays(2, 3), Ok((3, None)));
    }
    bench.pass(Duration::secs(29));
    assert_eq!(bench.members(), [1, 2]);
    bench.pass(Duration::secs(1));
    assert_eq!(bench.members(), [2]);
    assert_eq!(bench.removals(), [(1, MemberRemoval::RebalanceTimeout)]);
    assert_eq!(bench.stays(2, 3), Ok((4, all(&[0, 1, 2]))));
    assert_eq!(bench.owns(1, 2, &[0, 1, 2]), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn a_member_that_has_given_up_in_time_has_no_rebalance_timeout() {
    let mut bench = Bench::new();
    bench.join(1);
    bench.join(2);
    bench.stays(1, 2).unwrap();
    let rebalance = |bench: &Bench| {
        let mut timers = bench.timers.iter().map(|(timer, ..)| *timer);
        timers.any(|timer| timer == GroupTimer::Rebalance(GROUP, MemberId(1)))
    };
    assert!(rebalance(&bench));
    bench.owns(1, 2, &[0, 1]).unwrap();
    assert!(!rebalance(&bench));
}

#[test]
fn a_reconciliation_goes_on_with_the_next_coordinator_and_its_time_begins_again() {
    let mut bench = Bench::new();
    bench.join(1);
    bench.join(2);
    bench.stays(1, 2).unwrap();
    bench.pass(Duration::secs(40));
    bench.fail_over();
    assert_eq!(bench.current(1), (2, UnrevokedPartitions, vec![0, 1], vec![2]));
    assert_eq!(bench.current(2), (3, UnreleasedPartitions, vec![], vec![]));
    for _ in 0..9 {
        bench.pass(Duration::secs(33));
        assert_eq!(bench.owns(1, 2, &[0, 1, 2]), Ok((2, None)));
        assert_eq!(bench.stays(2, 3), Ok((3, None)));
    }
    assert_eq!(
        bench.owns(1, 2, &[0, 1]),
        Ok((3, None)),
        "297 s after it was loaded"
    );
    assert_eq!(bench.stays(2, 3), Ok((3, all(&[2]))));
    bench.fail_over();
    assert_eq!(bench.current(1), (3, Stable, vec![0, 1], vec![]));
    assert_eq!(bench.current(2), (3, Stable, vec![2], vec![]));
}

#[test]
fn who_unsubscribes_from_everything_while_it_has_nothing_may_not_come_with_an_older_epoch_any_more() {
    // Kafka writes such a member again, and its epoch becomes the one before as well.
    let mut bench = Bench::new();
    bench.settings.group_consumer_assignment_interval_ms = Duration::secs(10);
    bench.join(1);
    assert_eq!(bench.join(2), (2, all(&[])));
    let previous = |bench: &Bench| bench.group().member(MemberId(2)).unwrap().current.previous_epoch;
    assert_eq!(previous(&bench), MemberEpoch(0));
    let nothing = ConsumerGroupHeartbeatRequest {
        subscribed_topics: Some(smallvec![]),
        ..heartbeat(2, 2)
    };
    assert_eq!(bench.beat(nothing), Ok((2, None)));
    assert_eq!(bench.current(2), (2, Stable, vec![], vec![]));
    assert_eq!(previous(&bench), MemberEpoch(2));
}

#[test]
fn range_asks_its_first_member_for_everybody_until_the_group_is_known_to_differ() {
    // A member that subscribes to nothing comes without moving the epoch, and whether members differ is looked at
    // when the epoch moves: the assignment that the other one's leaving is due is made as if all wanted the topic.
    let mut bench = Bench::new();
    let range = |member: u64| ConsumerGroupHeartbeatRequest {
        server_assignor: Some(ServerAssignor::Range),
        ..join_request(member)
    };
    bench.beat(range(1)).unwrap();
    bench.join(2);
    bench.stays(2, -1).unwrap();
    let nothing = ConsumerGroupHeartbeatRequest {
        subscribed_topics: Some(smallvec![]),
        ..join_request(3)
    };
    assert_eq!(bench.beat(nothing), Ok((4, all(&[]))));
    assert_eq!(bench.group().target(MemberId(1)), partitions(&[0, 1]));
    assert_eq!(bench.group().target(MemberId(3)), partitions(&[2]));
}
