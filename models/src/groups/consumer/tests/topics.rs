//! Topics that come and change.

use super::*;

fn subscribed(member: u64, topics: &[u16]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        subscribed_topics: Some(topics.iter().copied().collect()),
        ..join_request(member)
    }
}

#[test]
fn a_topic_that_is_created_later_is_assigned_with_the_next_heartbeat() {
    let mut bench = Bench::new();
    assert_eq!(bench.beat(subscribed(1, &[1])), Ok((2, all(&[]))));
    assert_eq!(bench.stays(1, 2), Ok((2, None)));
    bench.create_topic(1, 2);
    assert_eq!(bench.stays(1, 2), Ok((3, all(&[3, 4]))));
    assert_eq!(bench.stays(1, 3), Ok((3, None)));
}

#[test]
fn partitions_that_are_added_are_assigned_with_the_next_heartbeat() {
    let mut bench = Bench::new();
    bench.join(1);
    bench.stays(1, 2).unwrap();
    bench.create_partitions(TopicId(0), 3..4);
    assert_eq!(
        bench.stays(1, 2),
        Ok((2, None)),
        "nobody has said so to the group"
    );
    bench.shard.topics_changed(&[0]);
    assert_eq!(bench.stays(1, 2), Ok((3, all(&[0, 1, 2, 3]))));
}

#[test]
fn metadata_are_compared_every_hour_in_any_case() {
    let mut bench = Bench::new();
    bench.settings.group_consumer_session_timeout_ms = Duration::secs(7_200);
    bench.join(1);
    bench.stays(1, 2).unwrap();
    bench.create_partitions(TopicId(0), 3..4);
    bench.pass(Duration::secs(3_599));
    assert_eq!(bench.stays(1, 2), Ok((2, None)));
    bench.pass(Duration::secs(1));
    assert_eq!(bench.stays(1, 2), Ok((3, all(&[0, 1, 2, 3]))));
}

#[test]
fn a_change_of_a_topic_that_changes_nothing_for_the_group_moves_no_epoch() {
    let mut bench = Bench::new();
    bench.join(1);
    bench.create_topic(1, 2);
    bench.shard.topics_changed(&[0, 1]);
    assert_eq!(bench.stays(1, 2), Ok((2, None)));
    assert_eq!(bench.group().epoch(), GroupEpoch(2));
}

#[test]
fn members_of_different_topics_get_what_they_subscribe_to() {
    let mut bench = Bench::new();
    bench.create_topic(1, 3);
    bench.beat(subscribed(1, &[0])).unwrap();
    assert_eq!(bench.beat(subscribed(2, &[0, 1])), Ok((3, all(&[3, 4, 5]))));
    assert_eq!(bench.stays(1, 2), Ok((3, None)), "both have three");
}
