use crate::controller::fixture::{Fixture, P0, specification};
use crate::ids::{BrokerEpoch, LeaderEpoch, PartitionId, ServerId};
use crate::metadata::LeaderRecoveryState;
use crate::mutation::{Mutation, Mutations};
use crate::protocol::{AlterPartitionProposal, AlterPartitionRequest, AlterPartitionResult, ErrorCode};

/// ISR 1, leader 1, with 2 and 3 alive.
fn shrunk() -> Fixture {
    let mut fixture = Fixture::with_topic(specification(true, 2));
    let proposal = proposal(&fixture, &[1]);
    assert_eq!(alter(&mut fixture, 1, proposal).error, ErrorCode::None);
    assert_eq!(fixture.describe(), "L1 isr1 elr23 lk-");
    fixture
}

fn proposal(fixture: &Fixture, isr: &[u16]) -> AlterPartitionProposal {
    let partition = fixture.partition();
    let isr = isr.iter();
    AlterPartitionProposal {
        partition: P0,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        isr: isr
            .map(|id| {
                (
                    ServerId(*id),
                    fixture.state.image.broker(ServerId(*id)).map(|b| b.epoch),
                )
            })
            .collect(),
        recovery: partition.recovery,
    }
}

fn alter(fixture: &mut Fixture, sender: u16, proposal: AlterPartitionProposal) -> AlterPartitionResult {
    let request = AlterPartitionRequest {
        identity: fixture.identity(sender),
        partitions: [proposal].into_iter().collect(),
    };
    let results = fixture.run(|changes, _, _| changes.alter_partitions(&request));
    results.unwrap().remove(0)
}

fn refused(shape: impl FnOnce(&mut AlterPartitionProposal)) -> ErrorCode {
    let mut fixture = shrunk();
    let mut proposal = proposal(&fixture, &[1, 2]);
    shape(&mut proposal);
    let before = fixture.state.end;
    let error = alter(&mut fixture, 1, proposal).error;
    assert_eq!(fixture.state.end, before, "a refusal writes nothing");
    error
}

#[test]
fn an_isr_that_grows_is_answered_with_the_partition_as_it_is_then() {
    let mut fixture = shrunk();
    let proposal = proposal(&fixture, &[2, 1]);
    let result = alter(&mut fixture, 1, proposal);
    assert_eq!(result.error, ErrorCode::None);
    assert_eq!(
        (&result.isr, result.leader),
        (&fixture.partition().isr, Some(ServerId(1)))
    );
    assert_eq!(result.partition_epoch, fixture.partition().partition_epoch);
    assert_eq!(
        (result.leader_epoch, result.partition_epoch.0),
        (LeaderEpoch(0), 2)
    );
    assert_eq!(fixture.describe(), "L1 isr12 elr- lk-");
}

#[test]
fn the_isr_it_has_already_is_fine_and_writes_nothing() {
    let mut fixture = shrunk();
    let (proposal, before) = (proposal(&fixture, &[1]), fixture.state.end);
    let result = alter(&mut fixture, 1, proposal);
    assert_eq!((result.error, result.partition_epoch.0), (ErrorCode::None, 1));
    assert_eq!(fixture.state.end, before);
}

#[test]
fn a_former_process_of_the_leader_is_refused_as_a_whole() {
    let mut fixture = shrunk();
    let mut identity = fixture.identity(1);
    identity.epoch.0 += 1;
    let request = AlterPartitionRequest {
        identity,
        partitions: [proposal(&fixture, &[1, 2])].into_iter().collect(),
    };
    let result = fixture.run(|changes, _, _| changes.alter_partitions(&request));
    assert_eq!(result, Err(ErrorCode::StaleBrokerEpoch));
}

#[test]
fn a_partition_of_a_topic_that_is_not_known_is_refused() {
    assert_eq!(
        refused(|p| p.partition = PartitionId(9)),
        ErrorCode::UnknownTopicId
    );
}

#[test]
fn epochs_ahead_of_this_controller_tell_that_it_is_not_the_one_to_ask() {
    assert_eq!(refused(|p| p.leader_epoch.0 += 1), ErrorCode::NotController);
    assert_eq!(refused(|p| p.partition_epoch.0 += 1), ErrorCode::NotController);
}

#[test]
fn an_old_leader_epoch_is_fenced_before_the_sender_is_looked_at() {
    let mut fixture = shrunk();
    fixture.kill(&[1]);
    assert_eq!(fixture.describe(), "L2 isr2 elr13 lk-");
    let mut old = proposal(&fixture, &[1, 2]);
    old.leader_epoch = LeaderEpoch(0);
    assert_eq!(alter(&mut fixture, 1, old).error, ErrorCode::FencedLeaderEpoch);
    let new = proposal(&fixture, &[1, 2]);
    assert_eq!(alter(&mut fixture, 1, new).error, ErrorCode::InvalidRequest);
}

#[test]
fn an_old_partition_epoch_is_an_invalid_version() {
    assert_eq!(
        refused(|p| p.partition_epoch.0 -= 1),
        ErrorCode::InvalidUpdateVersion
    );
}

#[test]
fn an_isr_with_strangers_or_doubles_or_without_its_leader_is_invalid() {
    let member = |id: u16| (ServerId(id), None);
    let with = |isr: &[u16]| {
        let isr = isr.iter().map(|id| member(*id)).collect();
        refused(|p| p.isr = isr)
    };
    for isr in [&[1, 4][..], &[1, 2, 2], &[2, 3], &[]] {
        assert_eq!(with(isr), ErrorCode::InvalidRequest, "{isr:?}");
    }
}

#[test]
fn a_recovered_leader_does_not_recover_again() {
    assert_eq!(
        refused(|p| p.recovery = LeaderRecoveryState::Recovering),
        ErrorCode::InvalidRequest
    );
    let alone = refused(|p| {
        p.recovery = LeaderRecoveryState::Recovering;
        p.isr.truncate(1);
    });
    assert_eq!(alone, ErrorCode::InvalidRequest);
}

#[test]
fn a_leader_takes_nobody_in_before_it_has_recovered() {
    let mut fixture = Fixture::with_topic(specification(true, 1));
    fixture.kill(&[2, 3]);
    fixture.kill(&[1]);
    fixture.start(1, None).unwrap();
    assert_eq!(fixture.partition().recovery, LeaderRecoveryState::Recovering);
    fixture.start(2, None).unwrap();
    let mut recovering = proposal(&fixture, &[1, 2]);
    assert_eq!(
        alter(&mut fixture, 1, recovering.clone()).error,
        ErrorCode::InvalidRequest
    );
    recovering.recovery = LeaderRecoveryState::Recovered;
    let result = alter(&mut fixture, 1, recovering);
    assert_eq!(
        (result.error, result.recovery),
        (ErrorCode::None, LeaderRecoveryState::Recovered)
    );
    assert_eq!(fixture.describe(), "L1 isr12 elr- lk-");
}

#[test]
fn a_member_that_is_fenced_or_shutting_down_is_ineligible() {
    let mut fixture = shrunk();
    fixture.kill(&[2]);
    let with_fenced = proposal(&fixture, &[1, 2]);
    assert_eq!(
        alter(&mut fixture, 1, with_fenced).error,
        ErrorCode::IneligibleReplica
    );

    let mut fixture = Fixture::with_topic(specification(true, 2));
    fixture.beat(1, |request| request.want_shut_down = true).unwrap();
    assert_eq!(fixture.describe(), "L2 isr23 elr- lk-");
    let with_leaving = proposal(&fixture, &[1, 2, 3]);
    assert_eq!(
        alter(&mut fixture, 2, with_leaving).error,
        ErrorCode::IneligibleReplica
    );
}

#[test]
fn another_process_than_the_one_that_was_measured_is_ineligible() {
    let mut fixture = shrunk();
    let delayed = proposal(&fixture, &[1, 2]);
    fixture.kill(&[2]);
    fixture.start(2, Some(BrokerEpoch(0))).unwrap();
    let mut now = proposal(&fixture, &[1, 2]);
    now.isr = delayed.isr;
    assert_eq!(
        alter(&mut fixture, 1, now.clone()).error,
        ErrorCode::IneligibleReplica
    );
    now.isr[1].1 = None;
    assert_eq!(
        alter(&mut fixture, 1, now).error,
        ErrorCode::None,
        "an unknown epoch passes"
    );
}

#[test]
fn a_mutant_admits_any_process_of_a_broker() {
    let mut specification = specification(true, 2);
    specification.mutations = Mutations::only(Mutation::IgnoreBrokerEpochs);
    let mut fixture = Fixture::with_topic(specification);
    let mut proposal = proposal(&fixture, &[1, 2]);
    proposal.isr[1].1 = Some(BrokerEpoch(0));
    assert_eq!(alter(&mut fixture, 1, proposal).error, ErrorCode::None);
}
