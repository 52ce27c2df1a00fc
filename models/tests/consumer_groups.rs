//! Groups of the consumer protocol (KIP-848) on a whole cluster: what survives a coordinator, and what is lost.

mod support;

use ktrial_models::groups::consumer::{ConsumerGroupState, MemberState};
use ktrial_models::ids::{MemberId, PartitionId, ServerId};
use ktrial_models::notes::{GroupNote, MemberRemoval, Note};
use ktrial_models::protocol::{ErrorCode, Request, Response};
use ktrial_models::specification::ClusterSpecification;
use ktrial_sim::{Crash, Duration, PowerLoss};
use support::groups::{GROUP, consumer_heartbeat, consumer_join, consumer_owns, with_group};
use support::{Cluster, specification, topic};

const THREE: [&[u16]; 3] = [&[2, 3, 4], &[3, 4, 2], &[4, 2, 3]];

/// A topic of three partitions.
fn three_brokers() -> ClusterSpecification {
    let mut specification = specification(1, 3);
    specification.topics = vec![topic("orders", &THREE, 1)];
    specification.broker.group_consumer_assignment_interval_ms = Duration::ZERO;
    with_group(specification)
}

fn running(specification: ClusterSpecification) -> (Cluster, ServerId) {
    let mut cluster = Cluster::running(specification, 1);
    let coordinator = cluster.coordinator();
    // Every broker knows the new topic.
    cluster.run_for(Duration::secs(1));
    (cluster, coordinator)
}

/// 1 has been asked to give up the partition that 2 waits for.
fn between_two(cluster: &mut Cluster, coordinator: ServerId) {
    assert_eq!(
        cluster.beat(coordinator, consumer_join(1, &[0])),
        Ok((2, Some(vec![0, 1, 2])))
    );
    assert_eq!(
        cluster.beat(coordinator, consumer_join(2, &[0])),
        Ok((3, Some(vec![])))
    );
    let asked = cluster.beat(coordinator, consumer_owns(1, 2, &[0, 1, 2]));
    assert_eq!(asked, Ok((2, Some(vec![0, 1]))));
}

fn state(cluster: &Cluster, coordinator: ServerId, member: u64) -> (i32, MemberState) {
    let context = cluster.broker(coordinator).group_coordinator(GROUP).unwrap();
    let group = context.shard().consumer_group(GROUP).expect("a consumer group");
    let member = group.member(MemberId(member)).expect("a member");
    (member.epoch().0, member.current.state)
}

/// Nobody copies what a broker appends any more; its session with the controller goes on.
fn cut_off_from_followers(cluster: &mut Cluster, leader: ServerId) {
    for other in cluster.brokers().into_iter().filter(|id| *id != leader) {
        cluster.simulation.cut(other.node(), leader.node());
        cluster.simulation.cut(leader.node(), other.node());
    }
}

/// Every time that was told what all members have, no partition was had by two.
fn nothing_was_had_twice(cluster: &Cluster) {
    let mut times = 0;
    for told in &cluster.told {
        let Note::Group(GROUP, note) = &told.note else {
            continue;
        };
        if let GroupNote::Assigned { assignment, .. } = &**note {
            let mut had: Vec<PartitionId> = Vec::new();
            for partitions in assignment
                .iter()
                .filter_map(|(_, partitions)| partitions.as_ref())
            {
                had.extend(partitions.iter());
            }
            let all = had.len();
            had.sort_unstable();
            had.dedup();
            assert_eq!(had.len(), all, "{assignment:?}");
            times += 1;
        }
    }
    assert!(times > 0);
}

#[test]
fn without_the_feature_members_of_the_consumer_protocol_are_refused() {
    let mut specification = three_brokers();
    specification.features.group = 0;
    let (mut cluster, coordinator) = running(specification);
    assert_eq!(
        cluster.beat(coordinator, consumer_join(1, &[0])),
        Err(ErrorCode::UnsupportedVersion)
    );
}

#[test]
fn what_a_joining_member_must_say_is_asked_for_before_the_coordinator_is() {
    let (mut cluster, coordinator) = running(three_brokers());
    let other = cluster
        .brokers()
        .into_iter()
        .find(|id| *id != coordinator)
        .unwrap();
    for broken in [
        consumer_heartbeat(1, 0),
        consumer_heartbeat(1, -2),
        consumer_heartbeat(1, -3),
        {
            let mut owning = consumer_join(1, &[0]);
            owning.owned = Some([PartitionId(0)].into());
            owning
        },
    ] {
        assert_eq!(cluster.beat(other, broken), Err(ErrorCode::InvalidRequest));
    }
    assert_eq!(
        cluster.beat(other, consumer_join(1, &[0])),
        Err(ErrorCode::NotCoordinator)
    );
}

/// Goes on where `between_two` ended, with whoever coordinates now.
fn one_gives_up_what_two_waits_for(cluster: &mut Cluster, coordinator: ServerId) {
    assert_eq!(
        state(cluster, coordinator, 1),
        (2, MemberState::UnrevokedPartitions)
    );
    assert_eq!(
        cluster.beat(coordinator, consumer_heartbeat(2, 3)),
        Ok((3, None)),
        "2 waits"
    );
    assert_eq!(
        cluster.beat(coordinator, consumer_owns(1, 2, &[0, 1])),
        Ok((3, None))
    );
    assert_eq!(
        cluster.beat(coordinator, consumer_heartbeat(2, 3)),
        Ok((3, Some(vec![2])))
    );
}

#[test]
fn the_next_coordinator_goes_on_in_the_middle_of_a_reconciliation() {
    let (mut cluster, coordinator) = running(three_brokers());
    between_two(&mut cluster, coordinator);
    cluster.kill(coordinator);
    let next = cluster.coordinator();
    assert_ne!(next, coordinator);
    assert_eq!(state(&cluster, next, 2), (3, MemberState::UnreleasedPartitions));
    one_gives_up_what_two_waits_for(&mut cluster, next);
    let context = cluster.broker(next).group_coordinator(GROUP).unwrap();
    let group = context.shard().consumer_group(GROUP).unwrap();
    assert_eq!(group.state(), ConsumerGroupState::Stable);
    nothing_was_had_twice(&cluster);
}

#[test]
fn a_heartbeat_that_gave_partitions_up_and_was_lost_with_its_coordinator_is_sent_again() {
    let (mut cluster, coordinator) = running(three_brokers());
    between_two(&mut cluster, coordinator);
    cut_off_from_followers(&mut cluster, coordinator);
    let lost = cluster.send_beat(coordinator, consumer_owns(1, 2, &[0, 1]));
    cluster.use_probe(1);
    let waits = cluster.send_beat(coordinator, consumer_heartbeat(2, 3));
    cluster.run_for(Duration::secs(1));
    assert_eq!(state(&cluster, coordinator, 1).0, 3, "applied, but not committed");
    assert_eq!(cluster.answer(lost), None);
    assert_eq!(
        cluster.answer(waits),
        None,
        "nor is 2 told that the partition is its own"
    );
    // What waits in the sockets of a process that was killed would still be sent.
    let crash = Crash::Power(PowerLoss::EverythingUnflushed);
    cluster.simulation.crash(coordinator.node(), crash);
    cluster.simulation.mend_all();
    cluster.use_probe(0);
    let next = cluster.coordinator();
    one_gives_up_what_two_waits_for(&mut cluster, next);
    nothing_was_had_twice(&cluster);
}

#[test]
fn an_answer_that_was_lost_with_its_coordinator_lets_the_member_come_with_the_epoch_before() {
    let (mut cluster, coordinator) = running(three_brokers());
    between_two(&mut cluster, coordinator);
    cluster.beat(coordinator, consumer_owns(1, 2, &[0, 1])).unwrap();
    cluster.kill(coordinator);
    let next = cluster.coordinator();
    assert_eq!(
        cluster.beat(next, consumer_heartbeat(1, 2)),
        Err(ErrorCode::FencedMemberEpoch),
        "it must say what it owns"
    );
    assert_eq!(cluster.beat(next, consumer_owns(1, 2, &[0, 1])), Ok((3, None)));
}

#[test]
fn a_silent_member_is_removed_and_what_it_had_goes_to_the_others() {
    let (mut cluster, coordinator) = running(three_brokers());
    between_two(&mut cluster, coordinator);
    for _ in 0..10 {
        cluster.run_for(Duration::secs(5));
        cluster.beat(coordinator, consumer_heartbeat(2, 3)).ok();
    }
    let removed = |told: &support::Told| match &told.note {
        Note::Group(GROUP, note) => matches!(
            &**note,
            GroupNote::Removed {
                member: MemberId(1),
                why: MemberRemoval::SessionTimeout
            }
        ),
        _ => false,
    };
    assert_eq!(cluster.told.iter().filter(|told| removed(told)).count(), 1);
    assert_eq!(state(&cluster, coordinator, 2), (4, MemberState::Stable));
    assert_eq!(
        cluster.beat(coordinator, consumer_owns(1, 2, &[0, 1])),
        Err(ErrorCode::UnknownMemberId)
    );
    nothing_was_had_twice(&cluster);
}

#[test]
fn a_commit_of_a_member_that_has_lost_the_partition_is_refused() {
    let (mut cluster, coordinator) = running(three_brokers());
    between_two(&mut cluster, coordinator);
    let lost = PartitionId(2);
    let commit = |cluster: &mut Cluster, member: u64, epoch: i32, offset: u64| {
        cluster.commit(coordinator, Some((MemberId(member), epoch)), lost, offset)
    };
    assert_eq!(
        commit(&mut cluster, 1, 2, 7),
        ErrorCode::None,
        "before it gives it up"
    );
    cluster.beat(coordinator, consumer_owns(1, 2, &[0, 1])).unwrap();
    cluster.beat(coordinator, consumer_heartbeat(2, 3)).unwrap();
    assert_eq!(commit(&mut cluster, 1, 2, 9), ErrorCode::StaleMemberEpoch);
    assert_eq!(commit(&mut cluster, 2, 3, 8), ErrorCode::None);
    assert_eq!(
        cluster.committed(coordinator, lost, true),
        (ErrorCode::None, Some(8))
    );
}

#[test]
fn a_topic_that_comes_to_be_later_is_assigned_with_the_next_heartbeat() {
    let mut specification = three_brokers();
    specification.topics.push(topic("payments", &[&[2, 3, 4]], 1));
    let mut cluster = Cluster::start(specification, 1).settled_with(1);
    let coordinator = cluster.coordinator();
    cluster.run_for(Duration::secs(1));
    let joined = cluster.beat(coordinator, consumer_join(1, &[0, 1])).unwrap();
    assert_eq!(joined.1.map(|assigned| assigned.len()), Some(3));
    assert_eq!(
        cluster.ask(coordinator, Request::CreateTopic(1)),
        Some(Ok(Response::CreateTopic(ErrorCode::None)))
    );
    cluster.run_for(Duration::secs(1));
    let (epoch, assigned) = cluster.beat(coordinator, consumer_heartbeat(1, 2)).unwrap();
    assert_eq!((epoch, assigned.map(|assigned| assigned.len())), (3, Some(4)));
}
