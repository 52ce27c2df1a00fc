//! Row by row: ELR, election, epochs, last known leader, with and without eligible leader replicas.

use smallvec::smallvec;

use super::*;
use crate::controller::fixture::{partition, servers};

const REASON: ChangeReason = ChangeReason::Operator;

/// What a change makes of a partition, as the fixture describes it, and the change.
struct Outcome {
    after: PartitionRegistration,
    change: Option<PartitionChange>,
}

fn build(
    before: &PartitionRegistration,
    active: &[u16],
    min_isr: u32,
    eligible: bool,
    shape: impl FnOnce(PartitionChangeBuilder<'_>) -> PartitionChangeBuilder<'_>,
) -> Outcome {
    let is_active = |replica: ServerId| active.contains(&replica.0);
    let change = shape(PartitionChangeBuilder::new(before, &is_active, min_isr, eligible)).build(REASON);
    let mut after = before.clone();
    if let Some(change) = &change {
        after.merge(change);
    }
    Outcome { after, change }
}

fn shrunk(before: &PartitionRegistration, isr: &[u16], active: &[u16], min_isr: u32, elr: bool) -> Outcome {
    build(before, active, min_isr, elr, |builder| {
        builder.target_isr(servers(isr))
    })
}

#[test]
fn nothing_to_change_is_no_record() {
    let before = partition(&[1, 2, 3], &[1, 2, 3], 1);
    for elr in [false, true] {
        assert_eq!(build(&before, &[1, 2, 3], 2, elr, |builder| builder).change, None);
    }
}

#[test]
fn a_smaller_isr_changes_the_partition_epoch_and_not_the_leader_epoch() {
    let before = partition(&[1, 2, 3], &[1, 2, 3], 1);
    let after = shrunk(&before, &[1, 2], &[1, 2, 3], 2, true).after;
    assert_eq!(
        (after.isr.as_slice(), after.leader),
        (&servers(&[1, 2])[..], before.leader)
    );
    assert_eq!((after.leader_epoch.0, after.partition_epoch.0), (3, 6));
}

#[test]
fn a_valid_leader_stays_although_another_replica_is_preferred() {
    let before = partition(&[1, 2, 3], &[1, 2, 3], 2);
    let after = shrunk(&before, &[1, 2], &[1, 2, 3], 1, true).after;
    assert_eq!((after.leader, after.leader_epoch.0), (Some(ServerId(2)), 3));
}

#[test]
fn the_first_valid_replica_of_the_assignment_leads_next_in_a_new_epoch() {
    let before = partition(&[3, 2, 1], &[1, 2, 3], 3);
    let outcome = shrunk(&before, &[1, 2], &[1, 2], 1, true);
    assert_eq!(
        (outcome.after.leader, outcome.after.leader_epoch.0),
        (Some(ServerId(2)), 4)
    );
    assert_eq!(outcome.change.unwrap().election, Some(Election::FromIsr));
}

#[test]
fn a_live_replica_outside_the_isr_is_not_elected() {
    let before = partition(&[1, 2, 3], &[1], 1);
    for elr in [false, true] {
        let after = shrunk(&before, &[], &[2, 3], 1, elr).after;
        assert_eq!(after.leader, None);
    }
}

#[test]
fn without_elr_the_last_member_of_the_isr_stays_and_leads_no_more() {
    let before = partition(&[1, 2, 3], &[1], 1);
    let after = shrunk(&before, &[], &[2, 3], 1, false).after;
    assert_eq!((after.isr, after.leader), (servers(&[1]), None));
    assert_eq!((after.elr, after.last_known_elr), (smallvec![], None));
    assert_eq!(after.leader_epoch.0, 4);
}

#[test]
fn with_elr_the_isr_becomes_empty_its_member_eligible_and_its_leader_the_last_known_one() {
    let before = partition(&[1, 2, 3], &[1], 1);
    let after = shrunk(&before, &[], &[2, 3], 1, true).after;
    assert_eq!((after.isr, after.leader), (smallvec![], None));
    assert_eq!(
        (after.elr, after.last_known_elr),
        (servers(&[1]), Some(ServerId(1)))
    );
}

#[test]
fn who_leaves_an_isr_that_is_then_below_min_isr_is_eligible() {
    let before = partition(&[1, 2, 3], &[1, 2, 3], 1);
    assert_eq!(shrunk(&before, &[1, 2], &[1, 2], 2, true).after.elr, servers(&[]));
    let after = shrunk(&before, &[1], &[1], 2, true).after;
    assert_eq!(after.elr, servers(&[2, 3]));
    let without = shrunk(&before, &[1], &[1], 2, false).after;
    assert_eq!(without.elr, servers(&[]));
}

#[test]
fn eligible_replicas_stay_eligible_until_they_return_or_the_isr_is_large_enough() {
    let mut before = partition(&[1, 2, 3], &[1], 1);
    before.elr = servers(&[2, 3]);
    assert_eq!(
        shrunk(&before, &[1, 2], &[1, 2], 3, true).after.elr,
        servers(&[3])
    );
    assert_eq!(shrunk(&before, &[1, 2], &[1, 2], 2, true).after.elr, servers(&[]));
}

#[test]
fn who_stopped_uncleanly_is_neither_in_sync_nor_eligible() {
    let mut before = partition(&[1, 2, 3], &[1], 1);
    before.elr = servers(&[2]);
    let after = build(&before, &[2, 3], 2, true, |builder| {
        builder
            .target_isr(servers(&[]))
            .unclean_shutdown(Some(ServerId(1)))
    })
    .after;
    assert_eq!((after.isr, after.elr), (servers(&[2]), servers(&[])));
    assert_eq!(after.leader, Some(ServerId(2)));
}

#[test]
fn with_an_empty_isr_an_eligible_replica_is_elected_cleanly_and_is_the_isr() {
    let mut before = partition(&[1, 2, 3], &[], 0);
    before.elr = servers(&[1, 2]);
    before.last_known_elr = Some(ServerId(1));
    let outcome = build(&before, &[2, 3], 2, true, |builder| builder);
    let after = outcome.after;
    assert_eq!((after.leader, after.isr), (Some(ServerId(2)), servers(&[2])));
    assert_eq!((after.elr, after.last_known_elr), (servers(&[1]), None));
    assert_eq!(after.recovery, LeaderRecoveryState::Recovered);
    assert_eq!(outcome.change.unwrap().election, Some(Election::FromElr));
}

#[test]
fn an_eligible_replica_is_not_elected_while_the_isr_has_a_member() {
    let mut before = partition(&[1, 2, 3], &[1], 1);
    before.elr = servers(&[2]);
    let after = build(&before, &[2, 3], 2, true, |builder| builder).after;
    assert_eq!((after.leader, after.isr), (None, servers(&[1])));
}

#[test]
fn the_last_known_leader_is_elected_uncleanly_when_isr_and_elr_are_empty_and_no_setting_asks_for_it() {
    let mut before = partition(&[1, 2, 3], &[], 0);
    before.last_known_elr = Some(ServerId(2));
    let outcome = build(&before, &[1, 2, 3], 1, true, |builder| builder);
    let after = outcome.after;
    assert_eq!((after.leader, after.isr), (Some(ServerId(2)), servers(&[2])));
    assert_eq!(
        (after.last_known_elr, after.recovery),
        (None, LeaderRecoveryState::Recovering)
    );
    assert_eq!(outcome.change.unwrap().election, Some(Election::LastKnownLeader));
}

#[test]
fn a_last_known_leader_that_is_fenced_is_not_elected() {
    let mut before = partition(&[1, 2, 3], &[], 0);
    before.last_known_elr = Some(ServerId(2));
    assert_eq!(build(&before, &[1, 3], 1, true, |builder| builder).change, None);
}

#[test]
fn there_is_no_last_known_leader_without_elr() {
    let mut before = partition(&[1, 2, 3], &[], 0);
    before.last_known_elr = Some(ServerId(2));
    let after = build(&before, &[1, 2, 3], 1, false, |builder| builder).after;
    assert_eq!(after.leader, None);
}

#[test]
fn an_unclean_election_takes_the_first_active_replica_alone_and_marks_it() {
    let before = partition(&[1, 2, 3], &[1], 1);
    for elr in [false, true] {
        let outcome = build(&before, &[2, 3], 1, elr, |builder| {
            builder.election(ElectionKind::Unclean).target_isr(servers(&[]))
        });
        let after = outcome.after;
        let eligible = elr.then_some(Election::Unclean);
        assert_eq!((after.leader, after.isr), (Some(ServerId(2)), servers(&[2])));
        assert_eq!(
            (after.elr, after.recovery),
            (servers(&[]), LeaderRecoveryState::Recovering)
        );
        assert_eq!(
            outcome.change.unwrap().election,
            eligible.or(Some(Election::Unclean))
        );
    }
}

#[test]
fn an_unclean_election_prefers_who_is_eligible_and_then_the_last_known_leader() {
    let mut before = partition(&[1, 2, 3], &[], 0);
    before.elr = servers(&[3]);
    before.last_known_elr = Some(ServerId(2));
    let unclean = |before: &_, active: &[u16]| {
        build(before, active, 1, true, |builder| {
            builder.election(ElectionKind::Unclean)
        })
        .change
        .unwrap()
    };
    assert_eq!(unclean(&before, &[1, 2, 3]).leader, Some(Some(ServerId(3))));
    before.elr.clear();
    let change = unclean(&before, &[1, 2, 3]);
    assert_eq!(
        (change.leader, change.election),
        (Some(Some(ServerId(2))), Some(Election::LastKnownLeader))
    );
    let change = unclean(&before, &[3]);
    assert_eq!(
        (change.leader, change.election),
        (Some(Some(ServerId(3))), Some(Election::Unclean))
    );
}

#[test]
fn the_last_known_leader_stays_while_there_is_no_leader_and_goes_with_the_next_one() {
    let mut before = partition(&[1, 2, 3], &[], 0);
    before.elr = servers(&[1, 2]);
    before.last_known_elr = Some(ServerId(1));
    let after = build(&before, &[], 2, true, |builder| {
        builder.unclean_shutdown(Some(ServerId(1)))
    })
    .after;
    assert_eq!(
        (after.elr.clone(), after.last_known_elr),
        (servers(&[2]), Some(ServerId(1)))
    );
    let after = build(&after, &[2], 2, true, |builder| builder).after;
    assert_eq!((after.leader, after.last_known_elr), (Some(ServerId(2)), None));
}

#[test]
fn a_preferred_election_moves_the_leadership_if_the_first_replica_is_valid() {
    let before = partition(&[1, 2, 3], &[1, 2, 3], 2);
    let preferred = |before: &_, active: &[u16]| {
        build(before, active, 1, true, |builder| {
            builder.election(ElectionKind::Preferred)
        })
    };
    assert_eq!(preferred(&before, &[1, 2, 3]).after.leader, Some(ServerId(1)));
    assert_eq!(preferred(&before, &[2, 3]).change, None);
    assert_eq!(preferred(&before, &[3]).after.leader, Some(ServerId(3)));
    let behind = partition(&[1, 2, 3], &[2, 3], 2);
    assert_eq!(preferred(&behind, &[1, 2, 3]).change, None);
}

#[test]
fn a_preferred_election_may_take_the_last_known_leader_and_nobody_else_uncleanly() {
    let mut before = partition(&[1, 2, 3], &[], 0);
    before.last_known_elr = Some(ServerId(3));
    let preferred = |active: &[u16]| {
        build(&before, active, 1, true, |builder| {
            builder.election(ElectionKind::Preferred)
        })
        .after
    };
    assert_eq!(preferred(&[1, 2, 3]).leader, Some(ServerId(3)));
    assert_eq!(preferred(&[1, 2]).leader, None);
}

#[test]
fn a_leader_that_has_recovered_says_so_without_a_new_epoch() {
    let mut before = partition(&[1, 2, 3], &[2], 2);
    before.recovery = LeaderRecoveryState::Recovering;
    let after = build(&before, &[1, 2, 3], 1, true, |builder| {
        builder
            .target_isr(servers(&[2, 3]))
            .target_recovery(LeaderRecoveryState::Recovered)
    })
    .after;
    assert_eq!(
        (after.recovery, after.isr),
        (LeaderRecoveryState::Recovered, servers(&[2, 3]))
    );
    assert_eq!(after.leader_epoch, before.leader_epoch);
}
