use ktrial_sim::Duration;

use crate::controller::fixture::{Fixture, SESSION, specification};
use crate::controller::heartbeats::{ControlState, Heartbeats};
use crate::ids::{BrokerEpoch, IncarnationId, Offset, ServerId};
use crate::protocol::{BrokerIdentity, ErrorCode};

fn running() -> Fixture {
    Fixture::with_topic(specification(true, 1))
}

#[test]
fn a_broker_epoch_is_the_end_of_the_log_before_the_records_that_clean_up() {
    let mut fixture = running();
    fixture.now += SESSION;
    fixture.now += Duration(1);
    let end = fixture.state.end;
    let epoch = fixture.register(1, None).unwrap();
    assert_eq!(epoch, BrokerEpoch(end.0));
    assert_eq!(fixture.state.registered_at(ServerId(1)), Some(end.plus(1)));
    assert_eq!(fixture.describe(), "L2 isr23 elr- lk-");
}

#[test]
fn another_process_is_refused_while_the_session_of_the_registered_one_lives() {
    let mut fixture = running();
    fixture.now += SESSION;
    let refused = Err(ErrorCode::DuplicateBrokerRegistration);
    assert_eq!(fixture.register(1, None), refused);
    let clean = Some(fixture.broker(1).epoch);
    assert_eq!(fixture.register(1, clean), refused);
    fixture.now += Duration(1);
    assert!(fixture.register(1, clean).is_ok());
}

#[test]
fn the_same_process_amends_its_registration_and_keeps_epoch_and_fencing() {
    let mut fixture = running();
    let before = fixture.broker(2);
    let epoch = fixture.register_as(2, before.incarnation, None);
    assert_eq!(epoch, Ok(before.epoch));
    assert_eq!(fixture.broker(2), before);
    assert_eq!(fixture.describe(), "L1 isr123 elr- lk-");
}

#[test]
fn a_new_process_starts_fenced_and_out_of_all_isrs() {
    let mut fixture = running();
    fixture.now += SESSION;
    fixture.now += Duration(1);
    let clean = Some(fixture.broker(3).epoch);
    fixture.register_as(3, IncarnationId(99), clean).unwrap();
    assert!(fixture.broker(3).fenced);
    assert_eq!(fixture.describe(), "L1 isr12 elr- lk-");
}

#[test]
fn a_fenced_broker_is_unfenced_when_it_has_applied_its_registration_and_wants_it() {
    let mut fixture = running();
    fixture.kill(&[3]);
    fixture.register(3, None).unwrap();
    let registered_at = fixture.state.registered_at(ServerId(3)).unwrap();
    let behind = Offset(registered_at.0 - 1);
    let (state, next) = fixture
        .beat(3, |request| request.metadata_offset = behind)
        .unwrap();
    assert_eq!((state.caught_up, next), (false, ControlState::Fenced));
    let (state, next) = fixture.beat(3, |request| request.want_fence = true).unwrap();
    assert_eq!((state.caught_up, next), (true, ControlState::Fenced));
    let at = |request: &mut crate::protocol::BrokerHeartbeatRequest| request.metadata_offset = registered_at;
    let (state, next) = fixture.beat(3, at).unwrap();
    assert_eq!((state.fenced, next), (false, ControlState::Unfenced));
    assert!(!fixture.broker(3).fenced);
}

#[test]
fn a_fenced_broker_may_shut_down_at_once() {
    let mut fixture = running();
    fixture.kill(&[3]);
    let (state, next) = fixture.beat(3, |request| request.want_shut_down = true).unwrap();
    assert_eq!((state.should_shut_down, next), (true, ControlState::ShutdownNow));
}

#[test]
fn an_unfenced_broker_is_fenced_when_it_wants_it() {
    let mut fixture = running();
    let (state, next) = fixture.beat(1, |request| request.want_fence = true).unwrap();
    assert_eq!((state.fenced, next), (true, ControlState::Fenced));
    assert_eq!(fixture.describe(), "L2 isr23 elr- lk-");
    let both = |request: &mut crate::protocol::BrokerHeartbeatRequest| {
        (request.want_fence, request.want_shut_down) = (true, true);
    };
    assert_eq!(fixture.beat(2, both).unwrap().1, ControlState::ShutdownNow);
}

#[test]
fn a_follower_may_shut_down_at_once_and_leaves_the_isr() {
    let mut fixture = running();
    let (state, next) = fixture.beat(3, |request| request.want_shut_down = true).unwrap();
    assert_eq!((state.should_shut_down, next), (true, ControlState::ShutdownNow));
    assert_eq!(fixture.describe(), "L1 isr12 elr- lk-");
}

#[test]
fn a_leader_shuts_down_when_every_active_broker_has_applied_that_others_lead() {
    let mut fixture = running();
    let wants = |request: &mut crate::protocol::BrokerHeartbeatRequest| request.want_shut_down = true;
    let (state, next) = fixture.beat(1, wants).unwrap();
    assert_eq!(
        (state.should_shut_down, next),
        (false, ControlState::ControlledShutdown)
    );
    assert_eq!(fixture.describe(), "L2 isr23 elr- lk-");
    assert!(fixture.broker(1).in_controlled_shutdown && !fixture.broker(1).fenced);
    let moved = Offset(fixture.state.end.0 - 1);

    fixture.beat(2, |_| {}).unwrap();
    fixture
        .beat(3, |request| request.metadata_offset = Offset(moved.0 - 1))
        .unwrap();
    assert_eq!(
        fixture.beat(1, wants).unwrap().1,
        ControlState::ControlledShutdown
    );
    fixture.beat(3, |_| {}).unwrap();
    assert_eq!(fixture.beat(1, wants).unwrap().1, ControlState::ShutdownNow);
    assert!(fixture.broker(1).fenced);
}

#[test]
fn a_broker_that_was_just_unfenced_has_applied_nothing_until_its_next_heartbeat() {
    let mut fixture = running();
    fixture.kill(&[3]);
    let wants = |request: &mut crate::protocol::BrokerHeartbeatRequest| request.want_shut_down = true;
    fixture.beat(1, wants).unwrap();
    fixture.beat(2, |_| {}).unwrap();
    fixture.start(3, None).unwrap();
    assert_eq!(
        fixture.beat(1, wants).unwrap().1,
        ControlState::ControlledShutdown
    );
    fixture.beat(3, |_| {}).unwrap();
    assert_eq!(fixture.beat(1, wants).unwrap().1, ControlState::ShutdownNow);
}

#[test]
fn the_last_replica_may_shut_down_and_leaves_its_partition_without_leader() {
    let mut fixture = running();
    fixture.kill(&[2, 3]);
    let wants = |request: &mut crate::protocol::BrokerHeartbeatRequest| request.want_shut_down = true;
    assert_eq!(
        fixture.beat(1, wants).unwrap().1,
        ControlState::ControlledShutdown
    );
    assert_eq!(fixture.describe(), "L- isr- elr1 lk1");
    assert_eq!(fixture.beat(1, wants).unwrap().1, ControlState::ShutdownNow);
}

#[test]
fn a_heartbeat_of_a_former_process_is_refused() {
    let mut fixture = running();
    let stale = |request: &mut crate::protocol::BrokerHeartbeatRequest| request.identity.epoch.0 += 1;
    assert_eq!(
        fixture.beat(1, stale).map(|_| ()),
        Err(ErrorCode::StaleBrokerEpoch)
    );
    let asker = BrokerIdentity {
        broker: ServerId(1),
        epoch: BrokerEpoch(999),
    };
    let refused = fixture.run(|changes, _, _| changes.allocate_producer_ids(asker));
    assert_eq!(refused, Err(ErrorCode::StaleBrokerEpoch));
}

#[test]
fn a_session_of_a_former_process_ends_without_fencing_the_present_one() {
    let mut fixture = running();
    let stale = |request: &mut crate::protocol::BrokerHeartbeatRequest| request.identity.epoch.0 += 1;
    let _ = fixture.beat(1, stale);
    fixture.now += SESSION;
    for broker in 1..=3 {
        let identity = fixture.identity(broker);
        fixture.heartbeats.note_contact(identity, fixture.now);
    }
    assert!(fixture.check_sessions(Duration(1)));
    assert!(!fixture.broker(1).fenced);
    assert!(!fixture.check_sessions(Duration::ZERO));
}

#[test]
fn a_new_active_controller_opens_a_session_for_every_unfenced_broker() {
    let mut fixture = running();
    fixture.kill(&[3]);
    fixture.heartbeats = Heartbeats::activate(&fixture.state.image, SESSION, fixture.now);
    assert_eq!(fixture.heartbeats.earliest_expiry(), Some(fixture.now + SESSION));
    assert_eq!(
        fixture.register(2, None),
        Err(ErrorCode::DuplicateBrokerRegistration)
    );
    assert!(fixture.register(3, None).is_ok());
    fixture.kill(&[1, 2]);
    assert_eq!(fixture.partition().leader, None);
}

#[test]
fn producer_ids_come_in_blocks_of_a_thousand() {
    let mut fixture = running();
    let asker = fixture.identity(2);
    let mut block = || fixture.run(|changes, _, _| changes.allocate_producer_ids(asker));
    assert_eq!(block(), Ok((0, 1_000)));
    assert_eq!(block(), Ok((1_000, 1_000)));
}
