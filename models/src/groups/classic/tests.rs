//! Members of a group by hand: what a coordinator's shard answers, writes and waits for.

use std::sync::Arc;

use ktrial_sim::{Duration, Time};
use smallvec::smallvec;

use super::*;
use crate::groups::testing::{self, GROUP, GroupBench};
use crate::groups::{GroupRequest, GroupShard, ResponseId};
use crate::ids::{ClientId, GenerationId, GroupInstanceId, MemberId, Offset, PartitionId};
use crate::protocol::*;

/// A shard with a classic group.
struct Bench(GroupBench);

impl std::ops::Deref for Bench {
    type Target = GroupBench;

    fn deref(&self) -> &GroupBench {
        &self.0
    }
}

impl std::ops::DerefMut for Bench {
    fn deref_mut(&mut self) -> &mut GroupBench {
        &mut self.0
    }
}

impl Bench {
    fn new() -> Self {
        Bench(GroupBench::new())
    }

    /// Sends a request whose records are committed at once; its own answer, if it is there.
    fn ask(&mut self, request: GroupRequest) -> Result<Option<Response>, ErrorCode> {
        self.send(request, Ok(()))
    }

    fn state(&self) -> (GroupState, i32) {
        let group = self.shard.group(GROUP).expect("there is a group");
        (group.state(), group.generation().0)
    }

    fn members(&self) -> Vec<u64> {
        let group = self.shard.group(GROUP).expect("there is a group");
        group.members().map(|member| member.id.0).collect()
    }

    fn join(&mut self, member: Option<u64>, instance: Option<u16>, new_id: u64) -> Option<JoinGroupResponse> {
        self.join_with(member, instance, new_id, &[Assignor::Range])
    }

    fn join_with(
        &mut self,
        member: Option<u64>,
        instance: Option<u16>,
        new_id: u64,
        protocols: &[Assignor],
    ) -> Option<JoinGroupResponse> {
        let request = join_request(member, instance, protocols);
        let answer = self.ask(GroupRequest::Join(Box::new(request), MemberId(new_id)));
        answer.expect("a JoinGroup is answered by the group").map(joined)
    }

    fn sync(&mut self, member: u64, generation: i32, of: &[(u64, u32)]) -> Option<SyncGroupResponse> {
        let request = sync_request(member, generation, of);
        let answer = self.ask(GroupRequest::Sync(Box::new(request)));
        answer.expect("a SyncGroup is answered by the group").map(synced)
    }

    /// The answer to the request asked as the `number`th.
    fn answer(&mut self, number: u64) -> Option<Response> {
        self.take(ResponseId(number))
    }
}

fn subscription() -> Arc<Subscription> {
    Arc::new(Subscription {
        topics: smallvec![0],
        user_data: None,
        owned: smallvec![],
        generation: GenerationId::NONE,
        rack: None,
    })
}

fn join_request(member: Option<u64>, instance: Option<u16>, protocols: &[Assignor]) -> JoinGroupRequest {
    JoinGroupRequest {
        group: GROUP,
        client: ClientId(0),
        member: member.map(MemberId),
        instance: instance.map(GroupInstanceId),
        session_timeout: Duration::secs(45),
        rebalance_timeout: Duration::secs(250),
        protocol_type: ProtocolType::Consumer,
        protocols: protocols
            .iter()
            .map(|protocol| (*protocol, subscription()))
            .collect(),
    }
}

fn sync_request(member: u64, generation: i32, of: &[(u64, u32)]) -> SyncGroupRequest {
    let one = |(member, partition): &(u64, u32)| (*member, [PartitionId(*partition)].into());
    testing::sync_request(member, generation, of.iter().map(one))
}

fn joined(response: Response) -> JoinGroupResponse {
    match response {
        Response::JoinGroup(joined) => *joined,
        other => panic!("{other:?}"),
    }
}

fn synced(response: Response) -> SyncGroupResponse {
    match response {
        Response::SyncGroup(synced) => *synced,
        other => panic!("{other:?}"),
    }
}

/// A stable group of two dynamic members, 1 (the leader) and 2, in generation 1.
fn stable_pair() -> Bench {
    let mut bench = Bench::new();
    bench.join(None, None, 1);
    bench.join(None, None, 2);
    bench.join(Some(1), None, 0);
    bench.join(Some(2), None, 0);
    bench.pass(Duration::secs(6));
    bench.sync(2, 1, &[]);
    bench.sync(1, 1, &[(1, 0), (2, 1)]);
    assert_eq!(bench.state(), (GroupState::Stable, 1));
    bench.answers.clear();
    bench
}

#[test]
fn a_new_dynamic_member_is_given_an_id_and_must_join_with_it() {
    let mut bench = Bench::new();
    let refused = bench.join(None, None, 7).expect("answered at once");
    assert_eq!(
        (refused.error, refused.member),
        (ErrorCode::MemberIdRequired, Some(MemberId(7)))
    );
    assert_eq!(bench.members(), [0; 0]);
    assert_eq!(bench.join(Some(7), None, 0), None, "waits for the initial delay");
    assert_eq!(bench.members(), [7]);
}

#[test]
fn a_new_group_waits_three_seconds_for_more_members_and_again_while_they_come() {
    let mut bench = Bench::new();
    bench.join(None, None, 1);
    bench.join(Some(1), None, 0);
    bench.pass(Duration::secs(2));
    bench.join(None, None, 2);
    bench.join(Some(2), None, 0);
    bench.pass(Duration::secs(3));
    assert_eq!(
        bench.state(),
        (GroupState::PreparingRebalance, 0),
        "a member came: three seconds more"
    );
    bench.pass(Duration::secs(1));
    assert_eq!(bench.state(), (GroupState::CompletingRebalance, 1));
    let leader = joined(bench.answer(2).expect("1 has joined"));
    let follower = joined(bench.answer(4).expect("2 has joined"));
    assert_eq!((leader.leader, leader.members.len()), (Some(MemberId(1)), 2));
    assert_eq!((follower.leader, follower.members.len()), (Some(MemberId(1)), 0));
    assert_eq!(follower.protocol, Some(Assignor::Range));
}

#[test]
fn without_initial_delay_a_new_group_begins_at_once() {
    let mut bench = Bench::new();
    bench.settings.group_initial_rebalance_delay_ms = Duration::ZERO;
    bench.join(None, None, 1);
    bench.join(Some(1), None, 0);
    bench.pass(Duration::ZERO);
    assert_eq!(bench.state(), (GroupState::CompletingRebalance, 1));
}

#[test]
fn followers_wait_for_the_leaders_assignment_and_the_assignment_for_the_log() {
    let mut bench = Bench::new();
    for member in [1, 2] {
        bench.join(None, None, member);
        bench.join(Some(member), None, 0);
    }
    bench.pass(Duration::secs(6));
    assert_eq!(bench.sync(2, 1, &[]), None);
    let follower = bench.asked;
    let request = sync_request(1, 1, &[(1, 0), (2, 1)]);
    let written =
        bench.act(|shard, around| shard.write(GroupRequest::Sync(Box::new(request)), ResponseId(99), around));
    let written = written.expect("accepted");
    assert_eq!(written.records.len(), 1);
    assert_eq!(bench.state(), (GroupState::CompletingRebalance, 1));
    assert!(
        bench
            .answers
            .iter()
            .all(|(id, _)| *id != ResponseId(99) && *id != ResponseId(follower))
    );
    bench.settle(written, Ok(()));
    assert_eq!(bench.state(), (GroupState::Stable, 1));
    let assigned = synced(bench.answer(follower).expect("assigned")).assignment;
    assert_eq!(assigned.as_deref(), Some(&[PartitionId(1)][..]));
}

#[test]
fn an_assignment_that_cannot_be_written_sends_everybody_back_to_join() {
    let mut bench = Bench::new();
    for member in [1, 2] {
        bench.join(None, None, member);
        bench.join(Some(member), None, 0);
    }
    bench.pass(Duration::secs(6));
    bench.sync(2, 1, &[]);
    let follower = bench.asked;
    let request = sync_request(1, 1, &[(1, 0), (2, 1)]);
    let answer = bench.send(
        GroupRequest::Sync(Box::new(request)),
        Err(ErrorCode::NotLeaderOrFollower),
    );
    assert_eq!(
        synced(answer.unwrap().expect("answered")).error,
        ErrorCode::NotCoordinator
    );
    assert_eq!(
        synced(bench.answer(follower).unwrap()).error,
        ErrorCode::NotCoordinator
    );
    assert_eq!(bench.state(), (GroupState::PreparingRebalance, 1));
}

#[test]
fn a_silent_member_is_removed_after_its_session_and_the_others_join_again() {
    let mut bench = stable_pair();
    bench.pass(Duration::secs(40));
    assert_eq!(bench.heartbeat(1, 1), ErrorCode::None);
    bench.pass(Duration::secs(6));
    assert_eq!(bench.members(), [1]);
    assert_eq!(bench.state().0, GroupState::PreparingRebalance);
    assert_eq!(bench.heartbeat(1, 1), ErrorCode::RebalanceInProgress);
    assert_eq!(bench.heartbeat(2, 1), ErrorCode::UnknownMemberId);
    let again = bench.join(Some(1), None, 0).expect("nobody else is waited for");
    assert_eq!(again.generation, GenerationId(2));
}

#[test]
fn who_does_not_join_again_within_the_rebalance_timeout_is_removed() {
    let mut bench = stable_pair();
    bench.join(None, None, 3);
    bench.join(Some(3), None, 0);
    assert_eq!(bench.join(Some(1), None, 0), None, "2 is waited for");
    for _ in 0..8 {
        bench.pass(Duration::secs(29));
        assert_eq!(bench.heartbeat(2, 1), ErrorCode::RebalanceInProgress);
    }
    bench.pass(Duration::secs(19));
    assert_eq!(bench.state(), (GroupState::CompletingRebalance, 2));
    assert_eq!(bench.members(), [1, 3]);
}

#[test]
fn a_new_member_is_not_waited_with_for_longer_than_five_minutes() {
    let mut bench = stable_pair();
    bench.join(None, None, 3);
    let mut request = join_request(Some(3), None, &[Assignor::Range]);
    request.rebalance_timeout = Duration::secs(300);
    bench
        .ask(GroupRequest::Join(Box::new(request), MemberId(0)))
        .unwrap();
    let waiting = bench.asked;
    bench.join(Some(1), None, 0);
    for _ in 0..10 {
        bench.pass(Duration::secs(30));
        bench.heartbeat(2, 1);
    }
    // Its five minutes were set before those of the rebalance.
    assert_eq!(
        joined(bench.answer(waiting).unwrap()).error,
        ErrorCode::UnknownMemberId
    );
    assert_eq!(bench.members(), [1]);
}

#[test]
fn who_does_not_ask_for_its_assignment_within_the_rebalance_timeout_is_removed() {
    let mut bench = Bench::new();
    for member in [1, 2] {
        bench.join(None, None, member);
        bench.join(Some(member), None, 0);
    }
    bench.pass(Duration::secs(6));
    bench.sync(1, 1, &[(1, 0), (2, 1)]);
    assert_eq!(bench.state().0, GroupState::Stable);
    for _ in 0..10 {
        bench.pass(Duration::secs(30));
        bench.heartbeat(1, 1);
        bench.heartbeat(2, 1);
    }
    assert_eq!(bench.members(), [1], "2 sent heartbeats and nothing else");
}

#[test]
fn the_leader_rebalances_by_joining_and_a_follower_only_with_other_metadata() {
    let mut bench = stable_pair();
    let follower = bench.join(Some(2), None, 0).expect("nothing changed");
    assert_eq!(
        (follower.error, follower.generation),
        (ErrorCode::None, GenerationId(1))
    );
    assert_eq!(
        bench.join_with(Some(2), None, 0, &[Assignor::Range, Assignor::Sticky]),
        None
    );
    assert_eq!(bench.state().0, GroupState::PreparingRebalance);
    let mut bench = stable_pair();
    assert_eq!(bench.join(Some(1), None, 0), None);
    assert_eq!(bench.state().0, GroupState::PreparingRebalance);
}

#[test]
fn a_rebalance_sends_those_away_who_wait_for_an_assignment() {
    let mut bench = Bench::new();
    for member in [1, 2] {
        bench.join(None, None, member);
        bench.join(Some(member), None, 0);
    }
    bench.pass(Duration::secs(6));
    assert_eq!(bench.sync(2, 1, &[]), None);
    let waiting = bench.asked;
    bench.join(None, None, 3);
    bench.join(Some(3), None, 0);
    assert_eq!(
        synced(bench.answer(waiting).unwrap()).error,
        ErrorCode::RebalanceInProgress
    );
    assert_eq!(
        bench.sync(1, 1, &[]).unwrap().error,
        ErrorCode::RebalanceInProgress
    );
}

#[test]
fn the_protocol_is_the_one_most_members_prefer_among_those_that_all_know() {
    let mut bench = Bench::new();
    let all = [Assignor::CooperativeSticky, Assignor::Range];
    for (member, protocols) in [(1, &all[..]), (2, &all[..]), (3, &[Assignor::Range][..])] {
        bench.join(None, None, member);
        bench.join_with(Some(member), None, 0, protocols);
    }
    bench.pass(Duration::secs(6));
    let leader = joined(bench.answer(2).unwrap());
    assert_eq!(leader.protocol, Some(Assignor::Range), "3 knows no other");
    let refused = bench.join_with(None, None, 4, &[Assignor::Sticky]).unwrap();
    assert_eq!(refused.error, ErrorCode::InconsistentGroupProtocol);
}

#[test]
fn a_group_of_one_type_takes_no_member_of_another() {
    let mut bench = stable_pair();
    let mut request = join_request(None, None, &[Assignor::Range]);
    request.protocol_type = ProtocolType::Connect;
    let answer = bench.ask(GroupRequest::Join(Box::new(request), MemberId(3)));
    assert_eq!(
        joined(answer.unwrap().unwrap()).error,
        ErrorCode::InconsistentGroupProtocol
    );
}

#[test]
fn a_full_group_takes_nobody() {
    let mut bench = stable_pair();
    bench.settings.group_max_size = 2;
    let refused = bench.join(None, None, 3).unwrap();
    assert_eq!(refused.error, ErrorCode::GroupMaxSizeReached);
    assert_eq!(bench.state(), (GroupState::Stable, 1));
}

#[test]
fn a_static_member_comes_back_under_another_id_without_a_rebalance_and_its_forerunner_is_fenced() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.join(None, Some(5), 1),
        None,
        "a static member needs no second try"
    );
    bench.pass(Duration::secs(3));
    bench.sync(1, 1, &[(1, 0)]);
    assert_eq!(bench.state(), (GroupState::Stable, 1));
    let back = bench
        .join(None, Some(5), 2)
        .expect("answered once it is in the log");
    assert_eq!(
        (back.error, back.generation, back.member),
        (ErrorCode::None, GenerationId(1), Some(MemberId(2)))
    );
    assert_eq!((back.leader, back.skip_assignment), (Some(MemberId(2)), true));
    assert_eq!(bench.state(), (GroupState::Stable, 1));
    let fenced = bench.join(Some(1), Some(5), 0).unwrap();
    assert_eq!(fenced.error, ErrorCode::FencedInstanceId);
    let kept = bench.sync(2, 1, &[]).unwrap().assignment;
    assert_eq!(kept.as_deref(), Some(&[PartitionId(0)][..]));
}

#[test]
fn a_static_members_return_that_cannot_be_written_is_taken_back() {
    let mut bench = Bench::new();
    bench.join(None, Some(5), 1);
    bench.pass(Duration::secs(3));
    bench.sync(1, 1, &[(1, 0)]);
    let request = join_request(None, Some(5), &[Assignor::Range]);
    let answer = bench.send(
        GroupRequest::Join(Box::new(request), MemberId(2)),
        Err(ErrorCode::RequestTimedOut),
    );
    assert_eq!(
        joined(answer.unwrap().unwrap()).error,
        ErrorCode::CoordinatorNotAvailable
    );
    assert_eq!(bench.members(), [1]);
    assert_eq!(
        bench.join(Some(2), None, 0).unwrap().error,
        ErrorCode::UnknownMemberId
    );
}

#[test]
fn members_that_leave_are_not_waited_for_and_the_last_one_empties_the_group() {
    let mut bench = stable_pair();
    let leave = |member: u64| LeaveGroupRequest {
        group: GROUP,
        members: smallvec![MemberIdentity {
            member: Some(MemberId(member)),
            instance: None,
        }],
    };
    bench.ask(GroupRequest::Leave(Box::new(leave(2)))).unwrap();
    assert_eq!(
        (bench.state().0, bench.members()),
        (GroupState::PreparingRebalance, vec![1])
    );
    let unknown = bench.ask(GroupRequest::Leave(Box::new(leave(2)))).unwrap();
    let Some(Response::LeaveGroup(unknown)) = unknown else {
        panic!("{unknown:?}");
    };
    assert_eq!(unknown.members[0].1, ErrorCode::UnknownMemberId);
    bench.ask(GroupRequest::Leave(Box::new(leave(1)))).unwrap();
    assert_eq!(bench.state(), (GroupState::Empty, 2));
}

#[test]
fn a_commit_counts_from_a_member_of_the_generation_or_while_nobody_is_there() {
    let mut bench = stable_pair();
    let group = |bench: &Bench| bench.shard.group(GROUP).unwrap().clone();
    let commit = |bench: &Bench, member: Option<u64>, generation: i32| {
        group(bench).validate_offset_commit(member.map(MemberId), None, GenerationId(generation))
    };
    assert_eq!(commit(&bench, Some(1), 1), Ok(()));
    assert_eq!(commit(&bench, Some(1), 0), Err(ErrorCode::IllegalGeneration));
    assert_eq!(commit(&bench, Some(9), 1), Err(ErrorCode::UnknownMemberId));
    assert_eq!(
        commit(&bench, None, -1),
        Err(ErrorCode::UnknownMemberId),
        "somebody is there"
    );
    bench.join(Some(1), None, 0);
    assert_eq!(bench.state().0, GroupState::PreparingRebalance);
    assert_eq!(
        commit(&bench, Some(2), 1),
        Ok(()),
        "the last chance before it joins again"
    );
    bench.join(Some(2), None, 0);
    assert_eq!(bench.state(), (GroupState::CompletingRebalance, 2));
    assert_eq!(commit(&bench, Some(2), 2), Err(ErrorCode::RebalanceInProgress));
    let mut nobody = ClassicGroup::empty(GROUP, Time::ZERO);
    assert_eq!(
        nobody.validate_offset_commit(None, None, GenerationId::NONE),
        Ok(())
    );
    nobody.transition_to(GroupState::Dead, Time::ZERO);
    let dead = nobody.validate_offset_commit(None, None, GenerationId::NONE);
    assert_eq!(dead, Err(ErrorCode::CoordinatorNotAvailable));
}

#[test]
fn a_commit_to_a_group_that_is_not_there_makes_a_simple_group_unless_it_names_a_generation() {
    let mut bench = Bench::new();
    let commit = |generation: i32| OffsetCommitRequest {
        group: GROUP,
        generation: GenerationId(generation),
        member: None,
        instance: None,
        partitions: smallvec![],
    };
    let refused = bench.ask(GroupRequest::OffsetCommit(Box::new(commit(1))));
    assert_eq!(refused, Err(ErrorCode::GroupIdNotFound));
    assert!(
        bench
            .ask(GroupRequest::OffsetCommit(Box::new(commit(-1))))
            .is_ok()
    );
    assert_eq!(bench.state().0, GroupState::Empty);
}

#[test]
fn a_member_is_loaded_as_it_was_written_and_must_send_a_heartbeat_within_its_session() {
    let mut bench = stable_pair();
    let group = bench.shard.group(GROUP).unwrap();
    let record = group.record(|member| member.assignment.clone());
    bench.timers.clear();
    bench.shard = GroupShard::default();
    let now = bench.now;
    bench.shard.replay(&record, now);
    bench.shard.snapshot(Offset(1));
    bench.act(|shard, around| shard.loaded(around));
    assert_eq!(bench.state(), (GroupState::Stable, 1));
    assert_eq!(bench.heartbeat(1, 1), ErrorCode::None);
    bench.pass(Duration::secs(44));
    bench.heartbeat(1, 1);
    bench.pass(Duration::secs(2));
    assert_eq!(bench.members(), [1], "2 did not find the new coordinator");
}
