use ktrial_sim::Duration;

use crate::controller::fixture::{Fixture, P0, specification};
use crate::ids::{PartitionId, ServerId, TopicId};
use crate::metadata::{ConfigResource, DynamicSetting, MetadataRecord};
use crate::mutation::{Mutation, Mutations};
use crate::notes::ChangeReason;
use crate::protocol::{ElectionType, ErrorCode};

fn elect(fixture: &mut Fixture, kind: ElectionType) -> ErrorCode {
    fixture.run(|changes, _, _| changes.elect(P0, kind, ChangeReason::Operator))
}

#[test]
fn the_last_replica_comes_back_with_an_empty_disk_and_leads() {
    let mut fixture = Fixture::with_topic(specification(true, 1));
    fixture.kill(&[2, 3]);
    assert_eq!(fixture.describe(), "L1 isr1 elr- lk-");
    fixture.kill(&[1]);
    assert_eq!(fixture.describe(), "L- isr- elr1 lk1");
    fixture.start(2, None).unwrap();
    fixture.start(3, None).unwrap();
    assert_eq!(fixture.describe(), "L- isr- elr1 lk1");
    fixture.register(1, None).unwrap();
    assert_eq!(fixture.describe(), "L- isr- elr- lk1");
    fixture.beat(1, |_| {}).unwrap();
    assert_eq!(fixture.describe(), "L1 isr1 elr- lk-");
}

#[test]
fn without_elr_the_last_replica_keeps_its_place_whatever_happened_to_its_disk() {
    let mut fixture = Fixture::with_topic(specification(false, 1));
    fixture.kill(&[2, 3]);
    fixture.kill(&[1]);
    assert_eq!(fixture.describe(), "L- isr1 elr- lk-");
    fixture.start(2, None).unwrap();
    fixture.register(1, None).unwrap();
    assert_eq!(fixture.describe(), "L- isr1 elr- lk-");
    fixture.beat(1, |_| {}).unwrap();
    assert_eq!(fixture.describe(), "L1 isr1 elr- lk-");
}

#[test]
fn below_min_isr_who_leaves_is_eligible_and_stays_so_if_it_stopped_cleanly() {
    for clean in [false, true] {
        let mut fixture = Fixture::with_topic(specification(true, 2));
        let previous = clean.then_some(fixture.broker(3).epoch);
        fixture.kill(&[2]);
        assert_eq!(fixture.describe(), "L1 isr13 elr- lk-");
        fixture.kill(&[3]);
        assert_eq!(fixture.describe(), "L1 isr1 elr3 lk-");
        fixture.register(3, previous).unwrap();
        let after = if clean {
            "L1 isr1 elr3 lk-"
        } else {
            "L1 isr1 elr- lk-"
        };
        assert_eq!(fixture.describe(), after);
    }
}

#[test]
fn with_all_replicas_gone_the_one_that_stopped_cleanly_leads_when_it_is_unfenced() {
    let mut fixture = Fixture::with_topic(specification(true, 2));
    fixture.kill(&[2]);
    fixture.kill(&[3]);
    fixture.kill(&[1]);
    assert_eq!(fixture.describe(), "L- isr- elr13 lk1");
    let before = fixture.partition().leader_epoch;
    fixture.start(1, None).unwrap();
    assert_eq!(fixture.describe(), "L- isr- elr3 lk1");
    let clean = fixture.broker(3).epoch;
    fixture.start(3, Some(clean)).unwrap();
    assert_eq!(fixture.describe(), "L3 isr3 elr- lk-");
    assert_eq!(fixture.partition().leader_epoch, before.next());
}

#[test]
fn sessions_that_expire_together_are_ended_one_event_after_the_other() {
    let mut fixture = Fixture::with_topic(specification(false, 1));
    let identity = fixture.identity(3);
    fixture.now += Duration::secs(9);
    fixture.heartbeats.note_contact(identity, fixture.now);
    assert!(fixture.check_sessions(Duration(1)));
    assert_eq!(fixture.describe(), "L2 isr23 elr- lk-");
    assert!(fixture.check_sessions(Duration::ZERO));
    assert_eq!(fixture.describe(), "L3 isr3 elr- lk-");
    assert!(!fixture.check_sessions(Duration::ZERO));
}

#[test]
fn a_failed_directory_takes_the_replicas_out_and_the_broker_stays() {
    let mut fixture = Fixture::with_topic(specification(true, 1));
    fixture
        .beat(1, |request| request.directory_offline = true)
        .unwrap();
    assert_eq!(fixture.describe(), "L2 isr23 elr- lk-");
    assert!(!fixture.broker(1).fenced && fixture.broker(1).directory_offline);
    let written = fixture.state.end;
    fixture
        .beat(1, |request| request.directory_offline = true)
        .unwrap();
    assert_eq!(fixture.state.end, written);
    fixture.kill(&[2, 3]);
    assert_eq!(fixture.partition().leader, None);
}

#[test]
fn min_isr_comes_from_the_topic_then_the_cluster_then_the_controllers_own_file() {
    let min_isr = |fixture: &mut Fixture| fixture.run(|changes, _, _| changes.min_isr(P0));
    let set = |fixture: &mut Fixture, resource, value| {
        fixture.run(|changes, _, _| {
            changes.records.push(MetadataRecord::Config {
                resource,
                setting: DynamicSetting::MinInsyncReplicas,
                value: Some(value),
            });
        });
    };
    let mut fixture = Fixture::with_topic(specification(false, 2));
    assert_eq!(min_isr(&mut fixture), 2);
    set(&mut fixture, ConfigResource::Cluster, 5);
    assert_eq!(min_isr(&mut fixture), 3, "there are no more replicas");
    set(&mut fixture, ConfigResource::Topic(TopicId(0)), 1);
    assert_eq!(min_isr(&mut fixture), 1);
}

#[test]
fn an_operator_is_told_why_there_was_no_election() {
    let mut fixture = Fixture::with_topic(specification(true, 1));
    assert_eq!(
        elect(&mut fixture, ElectionType::Preferred),
        ErrorCode::ElectionNotNeeded
    );
    assert_eq!(
        elect(&mut fixture, ElectionType::Unclean),
        ErrorCode::ElectionNotNeeded
    );
    fixture.kill(&[1]);
    assert_eq!(
        elect(&mut fixture, ElectionType::Preferred),
        ErrorCode::PreferredLeaderNotAvailable
    );
    fixture.kill(&[2, 3]);
    assert_eq!(
        elect(&mut fixture, ElectionType::Unclean),
        ErrorCode::EligibleLeadersNotAvailable
    );
    let unknown = PartitionId(7);
    let error =
        fixture.run(|changes, _, _| changes.elect(unknown, ElectionType::Preferred, ChangeReason::Operator));
    assert_eq!(error, ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn an_operator_elects_any_live_replica_whatever_the_topic_says() {
    let mut fixture = Fixture::with_topic(specification(true, 1));
    fixture.kill(&[2, 3]);
    fixture.kill(&[1]);
    fixture.start(3, None).unwrap();
    assert_eq!(fixture.describe(), "L- isr- elr1 lk1");
    assert_eq!(elect(&mut fixture, ElectionType::Unclean), ErrorCode::None);
    assert_eq!(fixture.describe(), "L3 isr3 elr- lk-");
}

#[test]
fn the_periodic_unclean_election_asks_the_topics_setting() {
    for allowed in [false, true] {
        let mut fixture = Fixture::with_topic(specification(true, 1));
        fixture.kill(&[2, 3]);
        fixture.kill(&[1]);
        fixture.start(3, None).unwrap();
        fixture.run(|changes, _, _| {
            changes.records.push(MetadataRecord::Config {
                resource: ConfigResource::Topic(TopicId(0)),
                setting: DynamicSetting::UncleanLeaderElectionEnable,
                value: Some(u32::from(allowed)),
            });
        });
        assert!(!fixture.run(|changes, _, _| changes.elect_unclean_leaders()));
        assert_eq!(fixture.partition().leader, allowed.then_some(ServerId(3)));
    }
}

#[test]
fn the_periodic_preferred_election_returns_the_leadership() {
    let mut fixture = Fixture::with_topic(specification(true, 1));
    fixture.kill(&[1]);
    assert_eq!(fixture.partition().leader, Some(ServerId(2)));
    fixture.start(1, None).unwrap();
    assert!(!fixture.run(|changes, _, _| changes.elect_preferred_leaders()));
    assert_eq!(
        fixture.partition().leader,
        Some(ServerId(2)),
        "it is not in sync yet"
    );
    fixture.kill(&[2]);
    assert_eq!(fixture.describe(), "L3 isr3 elr- lk-");
}

#[test]
fn mutants_keep_the_fenced_elect_anybody_and_keep_the_epoch() {
    let with = |mutation| {
        let mut specification = specification(true, 1);
        specification.mutations = Mutations::only(mutation);
        Fixture::with_topic(specification)
    };
    let mut keeps = with(Mutation::KeepFencedInIsr);
    keeps.kill(&[1]);
    assert_eq!(keeps.describe(), "L2 isr123 elr- lk-");

    let mut elects = with(Mutation::ElectAnyReplica);
    elects.kill(&[2, 3]);
    elects.start(2, None).unwrap();
    elects.kill(&[1]);
    assert_eq!(elects.describe(), "L2 isr2 elr- lk-");

    let mut stays = with(Mutation::KeepLeaderEpoch);
    stays.kill(&[1]);
    assert_eq!(
        (stays.describe().as_str(), stays.partition().leader_epoch.0),
        ("L2 isr23 elr- lk-", 0)
    );
}
