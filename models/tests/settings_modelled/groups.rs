//! Groups of consumers and the topic that keeps them.

use ktrial_models::config::TopicSettings;
use ktrial_models::ids::GenerationId;
use ktrial_models::ids::{MemberId, Offset};
use ktrial_models::protocol::{
    CommittedOffset, ConsumerGroupHeartbeatRequest, CoordinatorKey, ErrorCode, OffsetCommitPartition,
    OffsetCommitRequest, Request, Response, ServerAssignor,
};
use ktrial_models::specification::{CONSUMER_OFFSETS, Groups};
use smallvec::smallvec;

use super::support::groups::{GROUP, consumer_heartbeat, consumer_join, join_request};
use super::*;

/// Three brokers with a topic, and these settings of the brokers, with a coordinator.
fn with_coordinator(settings: &str) -> (Cluster, ServerId) {
    let mut cluster = Cluster::running(with_groups(settings), 1);
    let coordinator = cluster.coordinator();
    cluster.run_for(Duration::secs(1));
    (cluster, coordinator)
}

fn with_groups(settings: &str) -> ClusterSpecification {
    let mut builder = SettingsBuilder::new(config::Cluster {
        topics: vec!["orders".to_owned()],
        reaches: vec![config::catalogue::Machinery::Groups],
        groups: vec!["billing".to_owned()],
        ..config::Cluster::default()
    });
    for setting in settings.split_whitespace() {
        builder.set(setting).unwrap_or_else(|error| panic!("{error}"));
    }
    let resolution = builder.resolve().unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(resolution.refusals, [], "{settings}");
    let mut specification = specification(1, 3);
    specification.topics = vec![topic("orders", &[&[2, 3, 4]], 1)];
    specification.broker = resolution.broker;
    let topics: TopicSettings = resolution.other_topics.by_brokers;
    specification.groups = Groups::new(vec!["billing".to_owned()], &specification.broker, topics);
    let own = resolution.groups.iter().map(|group| (GROUP, group.settings));
    specification.groups.configs = own.collect();
    specification
}

#[test]
fn offsets_topic_settings_shape_the_topic_of_the_groups() {
    for (settings, partitions, replicas) in [
        ("", 50, 3),
        (
            "broker.offsets.topic.num.partitions=4 broker.offsets.topic.replication.factor=1",
            4,
            1,
        ),
    ] {
        let (cluster, coordinator) = with_coordinator(settings);
        let image = cluster.broker(coordinator).metadata();
        let topic = image.topic(image.topic_of(CONSUMER_OFFSETS).unwrap()).unwrap();
        assert_eq!(topic.partitions.len(), partitions);
        let first = image.partition(topic.partitions[0]).unwrap();
        assert_eq!(first.replicas.len(), replicas);
    }
}

#[test]
fn offsets_topic_segment_bytes_rolls_segments_of_the_topic_of_the_groups() {
    let flushed = |settings: &str| {
        let (mut cluster, coordinator) = with_coordinator(settings);
        let partition = cluster.offsets_partition(coordinator);
        for offset in 1..=5 {
            assert_eq!(cluster.commit(coordinator, None, P, offset), ErrorCode::None);
        }
        cluster.run_for(Duration::secs(1));
        // What lies before a rolled segment is flushed.
        cluster
            .broker(coordinator)
            .partition(partition)
            .unwrap()
            .log()
            .recovery_point()
    };
    assert_eq!(flushed(""), Offset(0));
    assert!(flushed("broker.offsets.topic.segment.bytes=300") > Offset(0));
}

#[test]
fn offset_metadata_max_bytes_refuses_longer_metadata() {
    for (settings, error) in [
        ("", ErrorCode::None),
        (
            "broker.offset.metadata.max.bytes=10",
            ErrorCode::OffsetMetadataTooLarge,
        ),
    ] {
        let (mut cluster, coordinator) = with_coordinator(settings);
        let request = OffsetCommitRequest {
            group: GROUP,
            generation: GenerationId::NONE,
            member: None,
            instance: None,
            partitions: smallvec![OffsetCommitPartition {
                partition: P,
                committed: CommittedOffset {
                    offset: Offset(1),
                    leader_epoch: None,
                },
                metadata_length: 11,
            }],
        };
        match cluster.ask(coordinator, Request::OffsetCommit(Box::new(request))) {
            Some(Ok(Response::OffsetCommit(response))) => assert_eq!(response.partitions[0].1, error),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn offsets_commit_timeout_ms_ends_the_wait_for_the_high_watermark() {
    let waited = |settings: &str| {
        let (mut cluster, coordinator) = with_coordinator(settings);
        for other in cluster.brokers().into_iter().filter(|id| *id != coordinator) {
            cluster.simulation.cut(other.node(), coordinator.node());
        }
        let asked = cluster.simulation.now();
        let error = cluster.commit(coordinator, None, P, 7);
        assert_eq!(error, ErrorCode::CoordinatorNotAvailable);
        cluster.simulation.now().since(asked).as_millis()
    };
    let (usual, shorter) = (waited(""), waited("broker.offsets.commit.timeout.ms=700"));
    assert!(
        (5_000..5_100).contains(&usual) && (700..800).contains(&shorter),
        "{usual} {shorter}"
    );
}

/// Whether an offset of a group without members is still there after this time.
fn stays(settings: &str, after: Duration) -> bool {
    let (mut cluster, coordinator) = with_coordinator(settings);
    assert_eq!(cluster.commit(coordinator, None, P, 7), ErrorCode::None);
    cluster.run_for(after);
    cluster.committed(coordinator, P, true).1.is_some()
}

#[test]
fn offsets_retention_minutes_and_check_interval_ms_remove_offsets_of_an_empty_group() {
    const MINUTE: &str = "broker.offsets.retention.minutes=1";
    const OFTEN: &str = "broker.offsets.retention.check.interval.ms=10000";
    let both = format!("{MINUTE} {OFTEN}");
    assert!(stays(&both, Duration::secs(50)));
    assert!(!stays(&both, Duration::secs(75)));
    assert!(stays(OFTEN, Duration::secs(75)), "kept for a week");
    assert!(stays(MINUTE, Duration::secs(75)), "looked at every ten minutes");
}

#[test]
fn group_initial_rebalance_delay_ms_is_how_long_a_new_group_waits_for_members() {
    let joined = |settings: &str| {
        let (mut cluster, coordinator) = with_coordinator(settings);
        let asked = cluster.simulation.now();
        assert_eq!(cluster.join_anew(coordinator).error, ErrorCode::None);
        cluster.simulation.now().since(asked).as_millis()
    };
    let (usual, none) = (joined(""), joined("broker.group.initial.rebalance.delay.ms=0"));
    assert!((3_000..3_100).contains(&usual) && none < 100, "{usual} {none}");
}

#[test]
fn group_session_timeout_bounds_refuse_members_outside_of_them() {
    let join = |settings: &str, timeout: Duration| {
        let (mut cluster, coordinator) = with_coordinator(settings);
        let mut request = join_request(None);
        request.session_timeout = timeout;
        cluster.join(coordinator, request).error
    };
    let (short, long) = (Duration::secs(5), Duration::secs(1_801));
    let usual = ErrorCode::MemberIdRequired;
    assert_eq!(join("", short), ErrorCode::InvalidSessionTimeout);
    assert_eq!(join("broker.group.min.session.timeout.ms=5000", short), usual);
    assert_eq!(join("", long), ErrorCode::InvalidSessionTimeout);
    assert_eq!(join("broker.group.max.session.timeout.ms=2000000", long), usual);
}

#[test]
fn group_max_size_refuses_the_next_member() {
    for (settings, error) in [
        ("", ErrorCode::MemberIdRequired),
        ("broker.group.max.size=1", ErrorCode::GroupMaxSizeReached),
    ] {
        let (mut cluster, coordinator) = with_coordinator(settings);
        let _: MemberId = cluster.stable_group(coordinator);
        assert_eq!(cluster.join(coordinator, join_request(None)).error, error);
    }
}

#[test]
fn group_coordinator_append_linger_ms_holds_records_back_before_the_append() {
    let appended = |settings: &str| {
        let (mut cluster, coordinator) = with_coordinator(settings);
        let partition = cluster.offsets_partition(coordinator);
        cluster.send_commit(coordinator, None, P, 7);
        cluster.run_for(Duration::millis(20));
        cluster.ends(coordinator, partition).0
    };
    assert_eq!(appended(""), Offset(1));
    assert_eq!(
        appended("broker.group.coordinator.append.linger.ms=40"),
        Offset(0)
    );
}

#[test]
fn group_coordinator_threads_work_on_partitions_at_the_same_time() {
    let busy = |settings: &str| {
        let mut specification = with_groups(settings);
        specification.groups = Groups::new(
            vec!["billing".to_owned(), "orders-app".to_owned()],
            &specification.broker,
            TopicSettings::default(),
        );
        specification.groups.offsets_topic.replication_factor = 1;
        // Both groups on one broker, each in a partition of its own.
        specification.groups.offsets_topic.partitions = 50;
        specification.groups.offsets_topic.assignment = Some(vec![smallvec![ServerId(2)]; 50]);
        // An event takes a second.
        specification.capacity.request_service = Duration::secs(1);
        let mut cluster = Cluster::running(specification, 1);
        let find = Request::FindCoordinator(CoordinatorKey::Group(GROUP));
        cluster.ask(ServerId(2), find);
        cluster.run_for(Duration::secs(10));
        let commit = |group: u16| {
            let request = OffsetCommitRequest {
                group: ktrial_models::ids::GroupId(group),
                generation: GenerationId::NONE,
                member: None,
                instance: None,
                partitions: smallvec![OffsetCommitPartition {
                    partition: P,
                    committed: CommittedOffset {
                        offset: Offset(1),
                        leader_epoch: None,
                    },
                    metadata_length: 0,
                }],
            };
            ktrial_models::probe::Ask::Request(Request::OffsetCommit(Box::new(request)))
        };
        cluster.send(ServerId(2), commit(0));
        cluster.use_probe(1);
        let second = cluster.send(ServerId(2), commit(1));
        let asked = cluster.simulation.now();
        cluster.await_answer(second);
        cluster.simulation.now().since(asked).as_millis()
    };
    let (four, one) = (busy(""), busy("broker.group.coordinator.threads=1"));
    assert!(four + 1_500 < one, "{four} and {one}");
}

#[test]
fn group_consumer_heartbeat_interval_ms_is_told_to_members() {
    for (settings, told) in [
        ("", 5_000),
        ("broker.group.consumer.heartbeat.interval.ms=7000", 7_000),
    ] {
        assert_eq!(heartbeat_interval(settings), Duration::millis(told));
    }
}

fn heartbeat_interval(settings: &str) -> Duration {
    let (mut cluster, coordinator) = with_coordinator(settings);
    let response = cluster.beat_in_full(coordinator, consumer_join(1, &[0]));
    response.heartbeat_interval
}

#[test]
fn consumer_heartbeat_interval_ms_of_a_group_counts_before_the_brokers() {
    let settings =
        "broker.group.consumer.heartbeat.interval.ms=7000 group.billing.consumer.heartbeat.interval.ms=9000";
    assert_eq!(heartbeat_interval(settings), Duration::millis(9_000));
}

/// What a member is told whose first heartbeat but one comes after 50 seconds.
fn after_50_seconds(settings: &str) -> Result<(i32, Option<Vec<u32>>), ErrorCode> {
    let (mut cluster, coordinator) = with_coordinator(settings);
    assert_eq!(
        cluster.beat(coordinator, consumer_join(1, &[0])),
        Ok((2, Some(vec![0])))
    );
    cluster.run_for(Duration::secs(50));
    cluster.beat(coordinator, consumer_heartbeat(1, 2))
}

#[test]
fn group_consumer_session_timeout_ms_is_how_long_a_member_may_be_silent() {
    assert_eq!(after_50_seconds(""), Err(ErrorCode::UnknownMemberId));
    assert_eq!(
        after_50_seconds("broker.group.consumer.session.timeout.ms=55000"),
        Ok((2, None))
    );
}

#[test]
fn consumer_session_timeout_ms_of_a_group_counts_before_the_brokers() {
    let for_all = "broker.group.consumer.session.timeout.ms=55000";
    assert_eq!(
        after_50_seconds(&format!(
            "{for_all} group.billing.consumer.session.timeout.ms=46000"
        )),
        Err(ErrorCode::UnknownMemberId)
    );
    assert_eq!(
        after_50_seconds("group.billing.consumer.session.timeout.ms=55000"),
        Ok((2, None))
    );
}

#[test]
fn group_consumer_max_size_refuses_the_next_member() {
    for (settings, second) in [
        ("", Ok((2, Some(vec![])))),
        (
            "broker.group.consumer.max.size=1",
            Err(ErrorCode::GroupMaxSizeReached),
        ),
    ] {
        let (mut cluster, coordinator) = with_coordinator(settings);
        cluster.beat(coordinator, consumer_join(1, &[0])).unwrap();
        assert_eq!(cluster.beat(coordinator, consumer_join(2, &[0])), second);
    }
}

#[test]
fn group_consumer_migration_policy_decides_whether_members_of_both_protocols_meet() {
    for (settings, upgraded, joined) in [
        ("", Ok(2), ErrorCode::None),
        (
            "broker.group.consumer.migration.policy=downgrade",
            Err(ErrorCode::GroupIdNotFound),
            ErrorCode::None,
        ),
        (
            "broker.group.consumer.migration.policy=disabled",
            Err(ErrorCode::GroupIdNotFound),
            ErrorCode::InconsistentGroupProtocol,
        ),
    ] {
        let (mut cluster, coordinator) = with_coordinator(settings);
        cluster.stable_group(coordinator);
        let told = cluster.beat(coordinator, consumer_join(1, &[0]));
        assert_eq!(told.map(|(epoch, _)| epoch), upgraded, "{settings}");

        let (mut cluster, coordinator) = with_coordinator(settings);
        cluster.beat(coordinator, consumer_join(1, &[0])).unwrap();
        let told = cluster.join(coordinator, join_request(Some(MemberId(7))));
        assert_eq!(told.error, joined, "{settings}");
    }
}

#[test]
fn group_consumer_assignment_interval_ms_holds_the_next_assignment_back() {
    for (settings, epoch) in [("", 2), ("broker.group.consumer.assignment.interval.ms=0", 3)] {
        assert_eq!(epoch_of_the_second_member(settings), epoch);
    }
}

/// Of the assignment that it follows as it joins.
fn epoch_of_the_second_member(settings: &str) -> i32 {
    let (mut cluster, coordinator) = with_coordinator(settings);
    cluster.beat(coordinator, consumer_join(1, &[0])).unwrap();
    cluster.beat(coordinator, consumer_join(2, &[0])).unwrap().0
}

#[test]
fn consumer_assignment_interval_ms_of_a_group_counts_before_the_brokers() {
    let at_once = "broker.group.consumer.assignment.interval.ms=0";
    for (own, epoch) in [("0", 3), ("1000", 2)] {
        let own = format!("group.billing.consumer.assignment.interval.ms={own}");
        assert_eq!(epoch_of_the_second_member(&own), epoch);
        assert_eq!(epoch_of_the_second_member(&format!("{at_once} {own}")), epoch);
    }
}

#[test]
fn group_consumer_assignors_decide_who_gets_what_and_what_members_may_want() {
    // Two topics of one partition each. Uniform: one partition for each member. Range: of each topic the first
    // member has the first partition.
    for (settings, uniform, second) in [
        ("", Ok(()), vec![vec![0], vec![1]]),
        (
            "broker.group.consumer.assignors=range",
            Err(ErrorCode::UnsupportedAssignor),
            vec![vec![0, 1]],
        ),
    ] {
        let mut specification = with_groups(settings);
        specification.topics.push(topic("payments", &[&[2, 3, 4]], 1));
        let mut cluster = Cluster::running(specification, 1);
        let coordinator = cluster.coordinator();
        cluster.run_for(Duration::secs(1));
        cluster.beat(coordinator, consumer_join(1, &[0, 1])).unwrap();
        cluster.run_for(Duration::secs(1));
        cluster.beat(coordinator, consumer_join(2, &[0, 1])).unwrap();
        let kept = cluster.beat(coordinator, consumer_heartbeat(1, 2)).unwrap().1;
        assert!(second.contains(&kept.unwrap_or(vec![0, 1])), "{settings}");
        let wants = ConsumerGroupHeartbeatRequest {
            server_assignor: Some(ServerAssignor::Uniform),
            ..consumer_join(3, &[0, 1])
        };
        assert_eq!(cluster.beat(coordinator, wants).map(|_| ()), uniform);
    }
}

#[test]
fn group_coordinator_rebalance_protocols_without_consumer_refuse_its_members() {
    for (settings, told) in [
        ("", Ok((2, Some(vec![0])))),
        (
            "broker.group.coordinator.rebalance.protocols=classic",
            Err(ErrorCode::UnsupportedVersion),
        ),
    ] {
        let (mut cluster, coordinator) = with_coordinator(settings);
        assert_eq!(cluster.beat(coordinator, consumer_join(1, &[0])), told);
    }
}
