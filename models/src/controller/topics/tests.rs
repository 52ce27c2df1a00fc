use crate::controller::fixture::{Fixture, P0, servers, specification};
use crate::ids::{PartitionId, TopicId};
use crate::metadata::{ConfigResource, DynamicSetting};
use crate::protocol::ErrorCode;

#[test]
fn a_topic_is_created_once_with_its_partitions_numbered_densely() {
    let mut specification = specification(true, 1);
    specification.topics[0].assignment = Some(vec![servers(&[1, 2]), servers(&[2, 3])]);
    let mut fixture = Fixture::with_topic(specification);
    assert_eq!(fixture.create_topic(), Err(ErrorCode::TopicAlreadyExists));
    let image = &fixture.state.image;
    assert_eq!(image.topic(TopicId(0)).unwrap().partitions, [P0, PartitionId(1)]);
    let second = image.partition(PartitionId(1)).unwrap();
    assert_eq!((second.index, &second.replicas), (1, &servers(&[2, 3])));
    assert_eq!(second.leader, Some(second.replicas[0]));
}

#[test]
fn replicas_that_are_fenced_at_birth_are_not_in_sync_and_do_not_lead() {
    let mut fixture = Fixture::new(specification(true, 1));
    fixture.register(1, None).unwrap();
    fixture.start(2, None).unwrap();
    fixture.start(3, None).unwrap();
    fixture.create_topic().unwrap();
    assert_eq!(fixture.describe(), "L2 isr23 elr- lk-");
}

#[test]
fn given_replicas_must_be_registered_distinct_equally_many_and_one_of_them_active() {
    let refused = |assignment: Vec<&[u16]>, start: bool| {
        let mut specification = specification(true, 1);
        let assignment = assignment.into_iter().map(servers).collect();
        specification.topics[0].assignment = Some(assignment);
        let mut fixture = Fixture::new(specification);
        fixture.register(1, None).unwrap();
        fixture.register(2, None).unwrap();
        if start {
            fixture.beat(2, |_| {}).unwrap();
        }
        fixture.create_topic().err()
    };
    let invalid = Some(ErrorCode::InvalidReplicaAssignment);
    assert_eq!(refused(vec![&[1, 2]], true), None);
    assert_eq!(refused(vec![&[1, 3]], true), invalid);
    assert_eq!(refused(vec![&[2, 2]], true), invalid);
    assert_eq!(refused(vec![&[1, 2], &[2]], true), invalid);
    assert_eq!(refused(vec![&[]], true), invalid);
    assert_eq!(refused(vec![&[1, 2]], false), invalid);
}

#[test]
fn a_replication_factor_above_the_usable_brokers_is_refused() {
    let mut specification = specification(true, 1);
    specification.topics[0].assignment = None;
    let mut fixture = Fixture::new(specification);
    let refused = Err(ErrorCode::InvalidReplicationFactor);
    fixture.start(1, None).unwrap();
    fixture.start(2, None).unwrap();
    assert_eq!(fixture.create_topic(), refused);
    fixture.start(3, None).unwrap();
    fixture.create_topic().unwrap();
    assert_eq!(fixture.describe(), "L1 isr123 elr- lk-");
}

#[test]
fn overrides_of_a_topic_are_dynamic_settings_of_it() {
    let mut specification = specification(true, 1);
    specification.topics[0].min_insync_replicas = Some(2);
    specification.topics[0].unclean_leader_election_enable = Some(true);
    let fixture = Fixture::with_topic(specification);
    let value = |setting| {
        let image = &fixture.state.image;
        image.setting(ConfigResource::Topic(TopicId(0)), setting)
    };
    assert_eq!(value(DynamicSetting::MinInsyncReplicas), Some(2));
    assert_eq!(value(DynamicSetting::UncleanLeaderElectionEnable), Some(1));
}

#[test]
fn the_first_controller_writes_min_isr_for_the_cluster_from_its_own_file_only_with_elr() {
    for (elr, written) in [(false, None), (true, Some(2))] {
        let fixture = Fixture::new(specification(elr, 2));
        let image = &fixture.state.image;
        assert_eq!(
            image.setting(ConfigResource::Cluster, DynamicSetting::MinInsyncReplicas),
            written
        );
        assert_eq!(image.eligible_leader_replicas(), elr);
        assert!(image.is_bootstrapped());
    }
}
