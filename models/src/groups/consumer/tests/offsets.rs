//! Commits and OffsetFetches of members.

use super::*;

/// An OffsetCommit of these partitions.
pub(super) fn commit(member: Option<u64>, epoch: i32, partitions: &[u32]) -> GroupRequest {
    let position = |partition: &u32| OffsetCommitPartition {
        partition: PartitionId(*partition),
        committed: CommittedOffset {
            offset: Offset(10),
            leader_epoch: None,
        },
        metadata_length: 0,
    };
    GroupRequest::OffsetCommit(Box::new(OffsetCommitRequest {
        group: GROUP,
        generation: GenerationId(epoch),
        member: member.map(MemberId),
        instance: None,
        partitions: partitions.iter().map(position).collect(),
    }))
}

fn fetch(member: Option<u64>, epoch: i32) -> OffsetFetchRequest {
    OffsetFetchRequest {
        group: GROUP,
        member: member.map(MemberId),
        member_epoch: GenerationId(epoch),
        partitions: Some(smallvec![PartitionId(0)]),
        require_stable: true,
    }
}

fn error_of(answer: Response) -> ErrorCode {
    match answer {
        Response::OffsetFetch(answer) => answer.error,
        other => panic!("{other:?}"),
    }
}

/// 1 has 0 and 1 since epoch 2, 2 has 2 since epoch 3; both are in epoch 3.
fn pair() -> Bench {
    let mut bench = Bench::new();
    bench.join(1);
    bench.join(2);
    bench.owns(1, 2, &[0, 1, 2]).unwrap();
    bench.owns(1, 2, &[0, 1]).unwrap();
    bench.stays(2, 3).unwrap();
    bench
}

#[test]
fn a_commit_of_an_older_epoch_counts_for_what_the_member_has_had_since_then() {
    let mut bench = pair();
    assert!(bench.ask(commit(Some(1), 3, &[0, 1])).is_ok());
    assert!(bench.ask(commit(Some(1), 2, &[0, 1])).is_ok());
    assert_eq!(
        bench.ask(commit(Some(1), 1, &[0])),
        Err(ErrorCode::StaleMemberEpoch)
    );
    assert_eq!(
        bench.ask(commit(Some(1), 2, &[0, 2])),
        Err(ErrorCode::StaleMemberEpoch),
        "all of it, because 2 is another's by now"
    );
    assert_eq!(
        bench.ask(commit(Some(2), 2, &[2])),
        Err(ErrorCode::StaleMemberEpoch),
        "it was not its own then"
    );
    assert_eq!(
        bench.ask(commit(Some(1), 4, &[0])),
        Err(ErrorCode::StaleMemberEpoch)
    );
    assert!(
        bench.ask(commit(Some(1), 3, &[2])).is_ok(),
        "with its own epoch it may commit what it likes"
    );
}

#[test]
fn what_a_member_is_asked_to_give_up_it_may_still_commit() {
    let mut bench = Bench::new();
    bench.create_topic(1, 1);
    let both = ConsumerGroupHeartbeatRequest {
        subscribed_topics: Some(smallvec![0, 1]),
        ..join_request(1)
    };
    bench.beat(both).unwrap();
    // A change of the group that leaves the member what it has, and moves its epoch.
    bench.create_partitions(TopicId(1), 1..2);
    bench.shard.topics_changed(&[1]);
    assert_eq!(bench.stays(1, 2), Ok((3, all(&[0, 1, 2, 3, 4]))));
    bench.join(2);
    let (_, _, _, revoking) = {
        bench.stays(1, 3).unwrap();
        bench.current(1)
    };
    assert_eq!(revoking, [1, 2]);
    assert!(bench.ask(commit(Some(1), 2, &revoking)).is_ok());
    assert_eq!(
        bench.ask(commit(Some(1), 1, &revoking)),
        Err(ErrorCode::StaleMemberEpoch)
    );
}

#[test]
fn from_outside_commits_count_while_nobody_is_in_the_group() {
    let mut bench = pair();
    assert_eq!(bench.ask(commit(None, -1, &[0])), Err(ErrorCode::UnknownMemberId));
    assert_eq!(
        bench.ask(commit(Some(9), 3, &[0])),
        Err(ErrorCode::UnknownMemberId)
    );
    bench.stays(1, -1).unwrap();
    bench.stays(2, -1).unwrap();
    assert!(bench.ask(commit(None, -1, &[0])).is_ok());
}

#[test]
fn positions_are_told_to_members_of_the_right_epoch_and_to_those_who_name_none() {
    let mut bench = pair();
    bench.ask(commit(Some(1), 3, &[0])).unwrap();
    let mut asked = |member, epoch| {
        let request = GroupRequest::OffsetFetch(Box::new(fetch(member, epoch)));
        error_of(bench.ask(request).unwrap())
    };
    assert_eq!(asked(Some(1), 3), ErrorCode::None);
    assert_eq!(asked(None, -1), ErrorCode::None);
    assert_eq!(asked(Some(1), 2), ErrorCode::StaleMemberEpoch);
    assert_eq!(asked(Some(9), 3), ErrorCode::UnknownMemberId);
}

#[test]
fn a_reader_of_what_is_committed_is_compared_with_the_epoch_that_is_committed() {
    let mut bench = Bench::new();
    bench.join(1);
    let committed = Offset(bench.log.len() as u64);
    let join = GroupRequest::ConsumerGroupHeartbeat(Box::new(join_request(2)));
    let written = bench.act(|shard, around| shard.write(join, ResponseId(0), around));
    let now = bench.now;
    let records = written.unwrap().records;
    records.iter().for_each(|record| bench.shard.replay(record, now));
    let read = |bench: &Bench, member| error_of(bench.shard.read(&fetch(Some(member), 3), committed));
    assert_eq!(
        read(&bench, 2),
        ErrorCode::UnknownMemberId,
        "its coming is not committed"
    );
    bench.shard.snapshot(committed.plus(records.len() as u64));
    bench.shard.committed(committed.plus(records.len() as u64));
    let now_committed = committed.plus(records.len() as u64);
    let error = error_of(bench.shard.read(&fetch(Some(2), 3), now_committed));
    assert_eq!(error, ErrorCode::None);
}

#[test]
fn offsets_and_the_empty_group_go_after_their_retention_but_not_while_somebody_subscribes() {
    let mut bench = Bench::new();
    bench.settings.group_consumer_session_timeout_ms = Duration::secs(1_000_000_000);
    bench.fail_over();
    bench.join(1);
    bench.ask(commit(Some(1), 2, &[0])).unwrap();
    bench.pass(Duration::secs(8 * 24 * 3_600));
    assert!(bench.shard.committed_offset(GROUP, PartitionId(0)).is_some());
    bench.stays(1, -1).unwrap();
    bench.pass(Duration::secs(1_200));
    assert!(bench.shard.committed_offset(GROUP, PartitionId(0)).is_none());
    assert!(bench.shard.consumer_group(GROUP).is_none());
    bench.fail_over();
    assert!(
        bench.shard.consumer_group(GROUP).is_none(),
        "its records are gone"
    );
}
