//! Members of both protocols in one group, and groups that change their protocol.

use super::offsets::commit;
use super::*;
use crate::groups::classic::GroupState;
use crate::groups::testing::sync_request;

type Joined = (ErrorCode, i32, Option<u64>);

impl Bench {
    fn joins(&mut self, request: JoinGroupRequest, new_id: u64) -> Option<Joined> {
        let answer = self.send(GroupRequest::Join(Box::new(request), MemberId(new_id)), Ok(()));
        match answer {
            Ok(answer) => answer.map(joined),
            Err(error) => Some((error, -1, None)),
        }
    }

    /// A member of the classic protocol with an id joins.
    fn classic(&mut self, member: u64) -> Option<Joined> {
        self.joins(classic_join(Some(member)), 0)
    }

    fn syncs(
        &mut self,
        member: u64,
        generation: i32,
        of: &[(u64, &[u32])],
    ) -> Result<Option<Vec<u32>>, ErrorCode> {
        let of = of.iter().map(|(member, of)| (*member, partitions(of)));
        let request = sync_request(member, generation, of);
        match self.send(GroupRequest::Sync(Box::new(request)), Ok(()))? {
            None => Ok(None),
            Some(Response::SyncGroup(synced)) => match synced.error {
                ErrorCode::None => {
                    let assigned = synced.assignment.expect("something or an empty list");
                    Ok(Some(assigned.iter().map(|id| id.0).collect()))
                }
                error => Err(error),
            },
            Some(other) => panic!("{other:?}"),
        }
    }

    fn classic_state(&self) -> (GroupState, i32) {
        let group = self.shard.group(GROUP).expect("there is a classic group");
        (group.state(), group.generation().0)
    }

    /// What the request asked as the `number`th last was answered later.
    fn later(&mut self, number: u64) -> Option<Response> {
        let id = ResponseId(self.asked - number);
        self.take(id)
    }
}

fn joined(response: Response) -> Joined {
    match response {
        Response::JoinGroup(joined) => (
            joined.error,
            joined.generation.0,
            joined.member.map(|member| member.0),
        ),
        other => panic!("{other:?}"),
    }
}

fn ok(generation: i32, member: u64) -> Option<Joined> {
    Some((ErrorCode::None, generation, Some(member)))
}

/// A stable group of members 1 (0 and 1, the leader) and 2 (2) of the classic protocol, in generation 1.
fn classic_pair() -> Bench {
    let mut bench = Bench::new();
    for member in [1, 2] {
        assert_eq!(
            bench.joins(classic_join(None), member),
            Some((ErrorCode::MemberIdRequired, -1, Some(member)))
        );
        assert_eq!(bench.classic(member), None);
    }
    bench.pass(Duration::secs(6));
    assert_eq!(bench.syncs(2, 1, &[]), Ok(None));
    assert_eq!(
        bench.syncs(1, 1, &[(1, &[0, 1]), (2, &[2])]),
        Ok(Some(vec![0, 1]))
    );
    assert_eq!(bench.classic_state(), (GroupState::Stable, 1));
    bench.notes.clear();
    bench
}

/// The pair, and a member 3 of the consumer protocol; all have one partition, in epoch 2.
fn mixed() -> Bench {
    let mut bench = classic_pair();
    assert_eq!(bench.join(3), (2, all(&[])));
    assert_eq!(bench.classic(2), ok(2, 2));
    assert_eq!(bench.syncs(2, 2, &[]), Ok(Some(vec![2])));
    assert_eq!(bench.classic(1), ok(2, 1));
    assert_eq!(bench.syncs(1, 2, &[]), Ok(Some(vec![0])));
    assert_eq!(bench.stays(3, 2), Ok((2, all(&[1]))));
    assert_eq!(bench.group().state(), ConsumerGroupState::Stable);
    bench
}

#[test]
fn a_classic_group_becomes_a_consumer_group_with_the_first_member_of_that_protocol() {
    let mut bench = classic_pair();
    assert_eq!(bench.join(3), (2, all(&[])), "what it is to have is 1's still");
    assert_eq!(bench.current(1), (1, MemberState::Stable, vec![0, 1], vec![]));
    assert_eq!(bench.current(2), (1, MemberState::Stable, vec![2], vec![]));
    assert_eq!(bench.heartbeat(1, 1), ErrorCode::RebalanceInProgress);
    assert_eq!(bench.syncs(1, 1, &[]), Err(ErrorCode::RebalanceInProgress));
    assert_eq!(bench.classic(1), ok(2, 1), "it owns nothing: it has given 1 up");
    assert_eq!(bench.heartbeat(1, 2), ErrorCode::None);
    assert_eq!(bench.syncs(1, 2, &[]), Ok(Some(vec![0])));
    assert_eq!(bench.stays(3, 2), Ok((2, all(&[1]))));
}

#[test]
fn a_member_of_the_classic_protocol_that_still_owns_what_it_is_to_give_up_joins_twice() {
    let mut bench = classic_pair();
    bench.join(3);
    let mut request = classic_join(Some(1));
    std::sync::Arc::make_mut(&mut request.protocols[0].1).owned = smallvec![PartitionId(0), PartitionId(1)];
    assert_eq!(bench.joins(request, 0), ok(1, 1), "it stays in its epoch");
    assert_eq!(
        bench.syncs(1, 1, &[]),
        Ok(Some(vec![0])),
        "and is told what it keeps"
    );
    assert_eq!(
        bench.current(1),
        (1, MemberState::UnrevokedPartitions, vec![0], vec![1])
    );
    assert_eq!(bench.heartbeat(1, 1), ErrorCode::RebalanceInProgress);
    assert_eq!(bench.classic(1), ok(2, 1));
    assert_eq!(bench.syncs(1, 2, &[]), Ok(Some(vec![0])));
}

#[test]
fn a_member_of_the_classic_protocol_is_told_to_join_when_what_it_waits_for_is_free() {
    let mut bench = Bench::new();
    bench.join(3);
    assert_eq!(bench.classic(1), ok(3, 1));
    assert_eq!(bench.syncs(1, 3, &[]), Ok(Some(vec![])));
    assert_eq!(bench.heartbeat(1, 3), ErrorCode::None, "3 still has it");
    bench.owns(3, 2, &[0, 1, 2]).unwrap();
    bench.owns(3, 2, &[0, 1]).unwrap();
    assert_eq!(bench.heartbeat(1, 3), ErrorCode::RebalanceInProgress);
    assert_eq!(bench.classic(1), ok(3, 1));
    assert_eq!(bench.syncs(1, 3, &[]), Ok(Some(vec![2])));
}

#[test]
fn whoever_waits_for_a_classic_group_that_becomes_a_consumer_group_is_told_to_join_again() {
    let mut bench = classic_pair();
    let again = JoinGroupRequest {
        rebalance_timeout: Duration::secs(200),
        ..classic_join(Some(1))
    };
    assert_eq!(bench.joins(again, 0), None, "the leader rebalances");
    bench.join(3);
    let told = bench.later(1).map(joined);
    assert_eq!(told, Some((ErrorCode::RebalanceInProgress, -1, Some(1))));
    assert_eq!(bench.current(1), (1, MemberState::Stable, vec![0, 1], vec![]));
}

#[test]
fn before_its_first_generation_a_classic_group_cannot_become_a_consumer_group() {
    // Kafka asks for the name of the protocol, of which there is none, and fails after it has told who waits.
    let mut bench = Bench::new();
    bench.joins(classic_join(None), 1);
    assert_eq!(bench.classic(1), None);
    assert_eq!(bench.beat(join_request(3)), Err(ErrorCode::UnknownServerError));
    let told = bench.later(1).map(joined);
    assert_eq!(told, Some((ErrorCode::RebalanceInProgress, -1, Some(1))));
    assert_eq!(bench.classic_state(), (GroupState::PreparingRebalance, 0));
}

#[test]
fn a_group_becomes_a_classic_one_when_its_last_member_of_the_consumer_protocol_goes() {
    let mut bench = mixed();
    assert_eq!(bench.stays(3, -1), Ok((-1, None)));
    assert_eq!(bench.classic_state(), (GroupState::PreparingRebalance, 2));
    assert_eq!(bench.heartbeat(1, 2), ErrorCode::RebalanceInProgress);
    assert_eq!(bench.classic(1), None);
    let first = bench.classic(2);
    assert_eq!(first, ok(3, 2));
    assert_eq!(bench.later(1).map(joined), ok(3, 1));
    assert_eq!(
        bench.syncs(1, 3, &[(1, &[0, 1]), (2, &[2])]),
        Ok(Some(vec![0, 1]))
    );
    assert_eq!(bench.classic_state(), (GroupState::Stable, 3));
    bench.fail_over();
    assert_eq!(bench.classic_state(), (GroupState::Stable, 3));
}

#[test]
fn the_records_of_a_downgrade_are_a_classic_group_with_what_its_members_were_to_have() {
    let mut bench = mixed();
    bench.stays(3, -1).unwrap();
    bench.fail_over();
    assert_eq!(
        bench.classic_state(),
        (GroupState::Stable, 2),
        "the rebalance is in no record"
    );
    let group = bench.shard.group(GROUP).unwrap();
    let assigned: Vec<Option<Assignment>> = group.members().map(|member| member.assignment.clone()).collect();
    assert_eq!(assigned, [Some(partitions(&[0])), Some(partitions(&[2]))]);
}

#[test]
fn a_downgrade_that_cannot_be_appended_leaves_the_consumer_group_as_it_was() {
    let mut bench = mixed();
    let leaves = GroupRequest::ConsumerGroupHeartbeat(Box::new(heartbeat(3, -1)));
    let refused = bench.ask_and(leaves, Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(refused, Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(bench.members(), [1, 2, 3]);
    assert_eq!(bench.heartbeat(1, 2), ErrorCode::None);
    assert_eq!(bench.stays(3, 2), Ok((2, None)));
}

#[test]
fn an_upgrade_that_cannot_be_appended_leaves_the_classic_group_as_it_was() {
    let mut bench = classic_pair();
    let joins = GroupRequest::ConsumerGroupHeartbeat(Box::new(join_request(3)));
    let refused = bench.ask_and(joins, Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(refused, Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(bench.classic_state(), (GroupState::Stable, 1));
    assert_eq!(bench.heartbeat(1, 1), ErrorCode::None);
    // The sessions that were set for the consumer group find none.
    bench.pass(Duration::secs(44));
    bench.heartbeat(1, 1);
    bench.heartbeat(2, 1);
    bench.pass(Duration::secs(2));
    assert_eq!(bench.classic_state(), (GroupState::Stable, 1));
}

#[test]
fn the_migration_policy_decides_which_way_groups_go_and_who_may_join() {
    let policy = |upgrade, downgrade| MigrationPolicy { upgrade, downgrade };
    for (policy, upgrades) in [
        (policy(true, true), true),
        (policy(true, false), true),
        (policy(false, true), false),
        (DISABLED, false),
    ] {
        let mut bench = classic_pair();
        bench.settings.group_consumer_migration_policy = policy;
        let told = match upgrades {
            true => Ok((2, all(&[]))),
            false => Err(ErrorCode::GroupIdNotFound),
        };
        assert_eq!(bench.beat(join_request(3)), told, "{policy:?}");

        let mut bench = mixed();
        bench.settings.group_consumer_migration_policy = policy;
        let told = match policy == DISABLED {
            true => (ErrorCode::InconsistentGroupProtocol, -1, None),
            false => (ErrorCode::None, 3, Some(4)),
        };
        assert_eq!(bench.classic(4), Some(told), "{policy:?}");
        bench.stays(3, -1).unwrap();
        assert_eq!(bench.shard.group(GROUP).is_some(), policy.downgrade, "{policy:?}");
    }
}

#[test]
fn groups_do_not_become_larger_than_the_other_protocol_allows() {
    let mut bench = classic_pair();
    bench.settings.group_consumer_max_size = 1;
    assert_eq!(bench.beat(join_request(3)), Err(ErrorCode::GroupIdNotFound));
    bench.settings.group_consumer_max_size = 2;
    assert_eq!(bench.beat(join_request(3)), Err(ErrorCode::GroupMaxSizeReached));
    let mut bench = mixed();
    bench.settings.group_max_size = 1;
    bench.stays(3, -1).unwrap();
    assert_eq!(bench.members(), [1, 2], "a consumer group still");
}

#[test]
fn a_member_of_the_classic_protocol_that_does_not_join_or_sync_in_time_is_removed() {
    let alive = |bench: &mut Bench, member: u64, epoch: i32| {
        for _ in 0..9 {
            bench.pass(Duration::secs(33));
            bench.heartbeat(member, epoch);
            let own = bench.group().member(MemberId(3)).expect("it stays").epoch().0;
            bench.stays(3, own).unwrap();
        }
        bench.pass(Duration::secs(3));
    };
    let mut bench = mixed();
    bench.settings.group_consumer_assignment_interval_ms = Duration::secs(1_000);
    bench.classic(2);
    alive(&mut bench, 2, 2);
    assert!(bench.removals().contains(&(2, MemberRemoval::SyncTimeout)));

    let mut bench = classic_pair();
    bench.join(3);
    assert_eq!(bench.heartbeat(1, 1), ErrorCode::RebalanceInProgress);
    alive(&mut bench, 1, 1);
    assert!(bench.removals().contains(&(1, MemberRemoval::RebalanceTimeout)));
    assert!(bench.removals().contains(&(2, MemberRemoval::SessionTimeout)));
}

#[test]
fn a_static_member_is_replaced_by_one_of_the_other_protocol_without_having_left() {
    let fixed = |request: ConsumerGroupHeartbeatRequest| ConsumerGroupHeartbeatRequest {
        instance: Some(GroupInstanceId(7)),
        ..request
    };
    let mut bench = Bench::new();
    bench.join(9);
    let classic = JoinGroupRequest {
        instance: Some(GroupInstanceId(7)),
        ..classic_join(None)
    };
    assert_eq!(
        bench.joins(classic.clone(), 1),
        ok(3, 1),
        "no id of its own is asked for"
    );
    assert_eq!(bench.beat(fixed(join_request(2))), Ok((3, all(&[]))));
    assert_eq!(bench.members(), [2, 9]);
    assert_eq!(bench.joins(classic, 4), ok(3, 4), "and back");
    assert_eq!(bench.members(), [4, 9]);
}

#[test]
fn a_static_member_that_comes_back_with_the_classic_protocol_makes_the_group_a_classic_one() {
    let mut bench = Bench::new();
    let fixed = |epoch| ConsumerGroupHeartbeatRequest {
        instance: Some(GroupInstanceId(7)),
        ..match epoch {
            0 => join_request(1),
            epoch => heartbeat(1, epoch),
        }
    };
    bench.beat(fixed(0)).unwrap();
    bench.beat(fixed(-2)).unwrap();
    let classic = JoinGroupRequest {
        instance: Some(GroupInstanceId(7)),
        ..classic_join(None)
    };
    assert_eq!(bench.joins(classic, 4), ok(2, 4));
    assert_eq!(
        bench.classic_state(),
        (GroupState::Stable, 2),
        "nothing is to be assigned anew"
    );
    assert_eq!(bench.syncs(4, 2, &[]), Ok(Some(vec![0, 1, 2])));
    bench.fail_over();
    assert_eq!(bench.classic_state(), (GroupState::Stable, 2));
}

#[test]
fn a_commit_of_another_generation_is_refused_to_a_member_in_the_words_of_its_protocol() {
    let mut bench = mixed();
    assert_eq!(
        bench.ask(commit(Some(1), 3, &[0])),
        Err(ErrorCode::IllegalGeneration)
    );
    assert_eq!(
        bench.ask(commit(Some(1), 1, &[1])),
        Err(ErrorCode::IllegalGeneration)
    );
    assert_eq!(
        bench.ask(commit(Some(3), 3, &[1])),
        Err(ErrorCode::StaleMemberEpoch)
    );
    assert!(
        bench.ask(commit(Some(1), 1, &[0])).is_ok(),
        "it has had 0 since then"
    );
}
