//! Groups on a whole cluster: where they are kept, what survives, what is lost.

mod support;

use ktrial_models::config::Acks;
use ktrial_models::ids::{PartitionId, ServerId};
use ktrial_models::notes::{GroupNote, Note};
use ktrial_models::protocol::{CoordinatorKey, ErrorCode, Request, Response};
use ktrial_models::specification::{CONSUMER_OFFSETS, ClusterSpecification};
use ktrial_sim::{Crash, Duration, PowerLoss};
use support::groups::{GROUP, join_request, with_group};
use support::{Cluster, specification, topic};

/// The partition whose offsets are committed.
const P: PartitionId = PartitionId(0);

fn three_brokers() -> ClusterSpecification {
    let mut specification = specification(1, 3);
    specification.topics = vec![topic("orders", &[&[2, 3, 4]], 1)];
    with_group(specification)
}

fn running() -> (Cluster, ServerId) {
    let mut cluster = Cluster::running(three_brokers(), 1);
    let coordinator = cluster.coordinator();
    // Every broker knows the new topic.
    cluster.run_for(Duration::secs(1));
    (cluster, coordinator)
}

/// Nobody copies what a broker appends any more; its session with the controller goes on.
fn cut_off_from_followers(cluster: &mut Cluster, leader: ServerId) {
    for other in cluster.brokers().into_iter().filter(|id| *id != leader) {
        cluster.simulation.cut(other.node(), leader.node());
        // A fetch that waits at the leader would still be answered.
        cluster.simulation.cut(leader.node(), other.node());
    }
}

/// How often a note about the group was told.
fn told(cluster: &Cluster, which: impl Fn(&GroupNote) -> bool) -> usize {
    let notes = cluster.told.iter().filter_map(|told| match &told.note {
        Note::Group(GROUP, note) => Some(note),
        _ => None,
    });
    notes.filter(|note| which(note)).count()
}

#[test]
fn the_topic_of_the_groups_comes_to_be_when_somebody_looks_for_a_coordinator() {
    let mut cluster = Cluster::running(three_brokers(), 1);
    let broker = cluster.brokers()[0];
    let is_there = |cluster: &Cluster| {
        cluster
            .broker(broker)
            .metadata()
            .topic_of(CONSUMER_OFFSETS)
            .is_some()
    };
    cluster.run_for(Duration::secs(30));
    assert!(!is_there(&cluster));
    let find = Request::FindCoordinator(CoordinatorKey::Group(GROUP));
    let first = cluster.ask(broker, find.clone());
    assert_eq!(
        first,
        Some(Ok(Response::FindCoordinator(Err(
            ErrorCode::CoordinatorNotAvailable
        ))))
    );
    cluster.run_for(Duration::secs(1));
    assert!(is_there(&cluster));
    assert_eq!(cluster.broker(broker).metadata().partition_numbers(), 51);
    let leader = cluster.leader(cluster.offsets_partition(broker));
    let then = cluster.ask(broker, find);
    assert_eq!(
        then,
        Some(Ok(Response::FindCoordinator(Ok(leader.expect("it is led")))))
    );
}

#[test]
fn a_controller_that_lost_its_disk_gives_no_topic_the_number_of_a_former_one() {
    let mut specification = three_brokers();
    specification.features.kraft = 0;
    let mut cluster = Cluster::running(specification, 1);
    let partitions = cluster
        .broker(cluster.brokers()[0])
        .metadata()
        .partition_numbers();
    assert_eq!(partitions, 1, "orders-0");
    cluster.simulation.crash(ServerId(1).node(), Crash::Disk);
    for broker in cluster.brokers() {
        cluster.kill(broker);
    }
    for server in (1..=4).map(ServerId) {
        cluster.simulation.start(server.node());
    }
    cluster.run_for(Duration::secs(60));
    let broker = cluster.brokers()[0];
    cluster.ask(broker, Request::FindCoordinator(CoordinatorKey::Group(GROUP)));
    cluster.run_for(Duration::secs(5));
    let metadata = cluster.broker(broker).metadata();
    let topic = metadata.topic_of(CONSUMER_OFFSETS).expect("it was created");
    let kept_in = &metadata.topic(topic).expect("it is there").partitions;
    assert!(kept_in.iter().all(|id| id.0 >= partitions), "{kept_in:?}");
    assert_eq!(metadata.partition(P), None, "nobody has created orders again");
}

#[test]
fn with_too_few_brokers_for_its_replicas_there_is_no_coordinator() {
    let mut specification = specification(1, 2);
    specification.topics = vec![topic("orders", &[&[2, 3]], 1)];
    let mut cluster = Cluster::running(with_group(specification), 1);
    for _ in 0..5 {
        let found = cluster.ask(
            ServerId(2),
            Request::FindCoordinator(CoordinatorKey::Group(GROUP)),
        );
        assert_eq!(
            found,
            Some(Ok(Response::FindCoordinator(Err(
                ErrorCode::CoordinatorNotAvailable
            ))))
        );
        cluster.run_for(Duration::secs(1));
    }
}

#[test]
fn a_broker_that_does_not_lead_the_groups_partition_is_not_its_coordinator() {
    let (mut cluster, coordinator) = running();
    let other = cluster
        .brokers()
        .into_iter()
        .find(|id| *id != coordinator)
        .unwrap();
    assert_eq!(cluster.commit(other, None, P, 7), ErrorCode::NotCoordinator);
    assert_eq!(cluster.committed(other, P, false).0, ErrorCode::NotCoordinator);
    assert_eq!(
        cluster.join(other, join_request(None)).error,
        ErrorCode::NotCoordinator
    );
}

#[test]
fn a_commit_is_answered_once_the_followers_have_it() {
    let (mut cluster, coordinator) = running();
    assert_eq!(cluster.commit(coordinator, None, P, 7), ErrorCode::None);
    assert_eq!(
        cluster.committed(coordinator, P, false),
        (ErrorCode::None, Some(7))
    );
    cut_off_from_followers(&mut cluster, coordinator);
    let commit = cluster.send_commit(coordinator, None, P, 8);
    cluster.run_for(Duration::secs(2));
    assert_eq!(cluster.commit_answer(commit), None);
    assert_eq!(
        told(&cluster, |note| matches!(note, GroupNote::CommitApplied { .. })),
        2
    );
    cluster.use_probe(1);
    assert_eq!(
        cluster.committed(coordinator, P, false),
        (ErrorCode::None, Some(7)),
        "what is committed"
    );
    cluster.use_probe(0);
    cluster.simulation.mend_all();
    cluster.run_for(Duration::secs(2));
    assert_eq!(cluster.commit_answer(commit), Some(ErrorCode::None));
    assert_eq!(
        told(&cluster, |note| matches!(note, GroupNote::CommitDurable { .. })),
        2
    );
    assert_eq!(
        cluster.committed(coordinator, P, true),
        (ErrorCode::None, Some(8))
    );
}

#[test]
fn a_commit_that_times_out_is_not_taken_back() {
    let (mut cluster, coordinator) = running();
    cut_off_from_followers(&mut cluster, coordinator);
    let asked = cluster.simulation.now();
    assert_eq!(
        cluster.commit(coordinator, None, P, 8),
        ErrorCode::CoordinatorNotAvailable
    );
    let waited = cluster.simulation.now() - asked;
    assert!(
        waited >= Duration::secs(5) && waited < Duration::millis(5_100),
        "{waited}"
    );
    cluster.simulation.mend_all();
    cluster.run_for(Duration::secs(3));
    assert_eq!(
        cluster.committed(coordinator, P, true),
        (ErrorCode::None, Some(8))
    );
}

#[test]
fn a_new_coordinator_knows_what_was_committed_and_who_is_in_the_group() {
    let (mut cluster, coordinator) = running();
    let member = cluster.stable_group(coordinator);
    assert_eq!(
        cluster.commit(coordinator, Some((member, 1)), P, 7),
        ErrorCode::None
    );
    cluster.kill(coordinator);
    let next = cluster.coordinator();
    assert_ne!(next, coordinator);
    assert_eq!(cluster.committed(next, P, true), (ErrorCode::None, Some(7)));
    assert_eq!(cluster.heartbeat(next, member, 1), ErrorCode::None);
    assert_eq!(cluster.commit(next, Some((member, 1)), P, 8), ErrorCode::None);
    assert_eq!(
        cluster.commit(next, Some((member, 0)), P, 9),
        ErrorCode::IllegalGeneration
    );
}

#[test]
fn a_commit_that_no_follower_has_goes_with_its_coordinator() {
    let (mut cluster, coordinator) = running();
    assert_eq!(cluster.commit(coordinator, None, P, 7), ErrorCode::None);
    cut_off_from_followers(&mut cluster, coordinator);
    let lost = cluster.send_commit(coordinator, None, P, 8);
    cluster.run_for(Duration::secs(1));
    assert_eq!(cluster.commit_answer(lost), None);
    // What waits in the sockets of a process that was killed would still be sent.
    let crash = Crash::Power(PowerLoss::EverythingUnflushed);
    cluster.simulation.crash(coordinator.node(), crash);
    cluster.simulation.mend_all();
    let next = cluster.coordinator();
    assert_eq!(cluster.committed(next, P, true), (ErrorCode::None, Some(7)));
}

#[test]
fn what_a_coordinator_wrote_and_nobody_committed_counts_for_the_one_that_has_it() {
    let (mut cluster, coordinator) = running();
    let partition = cluster.offsets_partition(coordinator);
    let replicas = cluster
        .broker(coordinator)
        .partition(partition)
        .unwrap()
        .replicas()
        .clone();
    let (second, third) = (replicas[1], replicas[2]);
    // The high watermark waits for the third replica, the second one has everything.
    cluster.simulation.cut(third.node(), coordinator.node());
    let commit = cluster.send_commit(coordinator, None, P, 8);
    cluster.run_for(Duration::secs(1));
    assert_eq!(cluster.commit_answer(commit), None);
    assert_eq!(
        cluster.ends(second, partition).0,
        cluster.ends(coordinator, partition).0
    );
    cluster.kill(coordinator);
    cluster.simulation.mend_all();
    let next = cluster.coordinator();
    assert_eq!(next, second);
    assert_eq!(cluster.committed(next, P, true), (ErrorCode::None, Some(8)));
}

#[test]
fn committed_offsets_are_lost_with_the_page_caches_of_all_replicas() {
    let (mut cluster, coordinator) = running();
    assert_eq!(cluster.commit(coordinator, None, P, 7), ErrorCode::None);
    for broker in cluster.brokers() {
        cluster
            .simulation
            .crash(broker.node(), Crash::Power(PowerLoss::EverythingUnflushed));
    }
    for broker in cluster.brokers() {
        cluster.restart(broker);
    }
    let all_run = |cluster: &Cluster| cluster.brokers().into_iter().all(|id| cluster.runs(id));
    assert!(cluster.run_until(Duration::secs(60), all_run));
    let next = cluster.coordinator();
    assert_eq!(cluster.committed(next, P, true), (ErrorCode::None, None));
}

#[test]
fn a_leader_that_hands_over_sends_its_groups_members_away() {
    let (mut cluster, coordinator) = running();
    let refused = cluster.join(coordinator, join_request(None));
    let waiting = cluster.send_join(coordinator, join_request(refused.member));
    cluster.run_for(Duration::millis(500));
    assert_eq!(cluster.answer(waiting), None, "the initial delay");
    cluster.terminate(coordinator);
    match cluster.await_answer(waiting) {
        Some(Ok(Response::JoinGroup(response))) => assert_eq!(response.error, ErrorCode::NotCoordinator),
        other => panic!("{other:?}"),
    }
    cluster.use_probe(1);
    assert_ne!(cluster.coordinator(), coordinator);
}

#[test]
fn the_coordinator_does_not_ask_for_min_insync_replicas_but_its_answers_wait_for_them() {
    let mut specification = three_brokers();
    specification.groups.offsets_topic.settings.min_insync_replicas = 2;
    specification.groups.offsets_topic.min_insync_replicas = Some(2);
    let mut cluster = Cluster::running(specification, 1);
    let coordinator = cluster.coordinator();
    cluster.run_for(Duration::secs(1));
    let partition = cluster.offsets_partition(coordinator);
    for other in cluster.brokers().into_iter().filter(|id| *id != coordinator) {
        cluster.kill(other);
    }
    let alone = |cluster: &Cluster| cluster.isr(partition).len() == 1;
    assert!(cluster.run_until(Duration::secs(30), alone));
    let before = cluster.ends(coordinator, partition).0;
    assert_eq!(
        cluster.commit(coordinator, None, P, 7),
        ErrorCode::CoordinatorNotAvailable
    );
    assert_eq!(
        cluster.ends(coordinator, partition).0,
        before.plus(1),
        "appended all the same"
    );
    let refused = cluster.write(P, Acks::All, 1).0;
    assert_eq!(refused, ErrorCode::None, "orders needs one replica only");
}

#[test]
fn a_member_that_stays_silent_is_removed_and_the_last_one_leaves_an_empty_group() {
    let (mut cluster, coordinator) = running();
    let member = cluster.stable_group(coordinator);
    cluster.run_for(Duration::secs(44));
    assert_eq!(cluster.heartbeat(coordinator, member, 1), ErrorCode::None);
    cluster.run_for(Duration::secs(46));
    assert_eq!(
        cluster.heartbeat(coordinator, member, 1),
        ErrorCode::UnknownMemberId
    );
    let emptied = told(
        &cluster,
        |note| matches!(note, GroupNote::State { members, generation, .. } if members.is_empty() && generation.0 == 2),
    );
    assert_eq!(emptied, 1);
}

#[test]
fn offsets_of_a_partition_that_is_not_there_are_refused() {
    let (mut cluster, coordinator) = running();
    let unknown = cluster.commit(coordinator, None, PartitionId(999), 7);
    assert_eq!(unknown, ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn a_full_disk_under_the_coordinator_answers_no_commit() {
    let (mut cluster, coordinator) = running();
    cluster.simulation.disk_mut(coordinator.node()).health.refuses = Some(ktrial_sim::DiskError::Full);
    let commit = cluster.send_commit(coordinator, None, P, 7);
    cluster.run_for(Duration::secs(1));
    let answered = cluster.answer(commit).expect("the process ends");
    assert!(
        !matches!(&answered, Ok(Response::OffsetCommit(answer)) if answer.partitions[0].1 == ErrorCode::None)
    );
    let next = cluster.coordinator();
    assert_ne!(next, coordinator);
    assert_eq!(cluster.committed(next, P, true), (ErrorCode::None, None));
}
