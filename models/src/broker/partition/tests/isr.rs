use super::*;
use crate::broker::partition::AlterPartitionOutcome;

#[test]
fn a_follower_joins_when_it_has_reached_the_high_watermark_and_the_start_of_the_epoch() {
    let mut host = Host::new(1).leading(&[1]);
    host.append(2, Acks::Leader).unwrap();
    assert!(host.fetch(TWO, 1).is_none());
    let proposal = host.fetch(TWO, 2).expect("it has reached the high watermark");
    assert_eq!(members(&proposal), [1, 2]);
    assert_eq!(proposal.isr[0].1, Some(BrokerEpoch(10)));
    assert_eq!(proposal.isr[1].1, Some(BrokerEpoch(20)));
}

#[test]
fn a_follower_below_the_start_of_the_epoch_does_not_join_even_at_the_high_watermark() {
    let joins = |mut host: Host| {
        host.append(2, Acks::Leader).unwrap();
        host.lead(2, 2, &[1]);
        assert_eq!(
            (host.high_watermark(), host.partition.leader_epoch_start()),
            (0, Some(Offset(2)))
        );
        host.fetch(TWO, 1).is_some()
    };
    // Below min.insync.replicas the high watermark stays at 0.
    assert!(!joins(Host::new(2).leading(&[1])));
    assert!(joins(
        Host::mutant(2, Mutation::JoinIsrBelowEpochStart).leading(&[1])
    ));
}

#[test]
fn who_is_fenced_or_shutting_down_or_another_incarnation_does_not_join() {
    let joins = |change: fn(&mut BrokerState)| {
        let mut host = Host::new(1).leading(&[1]);
        let (fetch, _) = host.read_both(TWO, &request(Some(LeaderEpoch(1)), 0)).unwrap();
        let (view, bench) = (&host.view, &mut host.bench);
        host.partition
            .update_follower_fetch_state(&fetch, view, bench)
            .unwrap();
        change(host.view.of(TWO));
        let proposal = host
            .partition
            .maybe_expand_isr(fetch.replica, &host.view, &mut host.bench);
        proposal.is_some()
    };
    assert!(joins(|_| ()));
    assert!(!joins(|broker| broker.fenced = true));
    assert!(!joins(|broker| broker.in_controlled_shutdown = true));
    assert!(!joins(|broker| broker.epoch = BrokerEpoch(21)));
}

#[test]
fn a_fetch_of_a_replaced_incarnation_is_refused_and_changes_nothing() {
    let mut host = Host::new(1).leading(&[1]);
    let (fetch, _) = host.read_both(TWO, &request(Some(LeaderEpoch(1)), 0)).unwrap();
    host.view.of(TWO).epoch = BrokerEpoch(21);
    let refused = host
        .partition
        .update_follower_fetch_state(&fetch, &host.view, &mut host.bench);
    assert_eq!(refused, Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(host.partition.remotes()[0].log_end, None);
}

#[test]
fn only_one_proposal_is_on_its_way() {
    let mut host = Host::new(1).leading(&[1]);
    assert!(host.fetch(TWO, 0).is_some());
    assert!(host.fetch(THREE, 0).is_none());
    host.wait(LAG.as_millis() + 1);
    assert!(host.shrink().is_none());
}

#[test]
fn a_follower_at_the_log_end_never_lags_and_one_behind_it_leaves_after_the_lag_time() {
    let mut host = Host::new(1).leading(&[1, 2, 3]);
    host.append(1, Acks::Leader).unwrap();
    host.fetch(TWO, 1);
    host.fetch(THREE, 0);
    host.wait(LAG.as_millis());
    assert!(host.shrink().is_none());
    host.wait(1);
    let proposal = host.shrink().expect("3 has not caught up since the epoch began");
    assert_eq!(members(&proposal), [1, 2]);
}

#[test]
fn a_follower_that_reaches_the_end_of_its_fetch_before_counts_as_caught_up_at_that_fetch() {
    let mut host = Host::new(1).leading(&[1, 2]);
    host.wait(1_000);
    host.append(1, Acks::Leader).unwrap();
    host.fetch(TWO, 0);
    let fetched_at = host.bench.now;
    host.wait(1_000);
    host.append(1, Acks::Leader).unwrap();
    host.fetch(TWO, 1);
    assert_eq!(host.partition.remotes()[0].last_caught_up_time, Some(fetched_at));
}

#[test]
fn the_leaders_wall_clock_alone_expels_followers() {
    let mut host = Host::new(1).leading(&[1, 2]);
    host.append(1, Acks::Leader).unwrap();
    // A clock that is stepped back makes everybody look caught up.
    host.bench.now = Time(1);
    assert!(host.shrink().is_none());
    host.bench.now = Time(60_000_000_000) + LAG + Duration::millis(1);
    assert!(host.shrink().is_some());
}

#[test]
fn a_granted_proposal_is_the_state_from_then_on() {
    let mut host = Host::new(1).leading(&[1]);
    let proposal = host.fetch(TWO, 0).unwrap();
    let outcome = host.complete(&proposal, Ok(&granted(&proposal)));
    assert!(matches!(outcome, AlterPartitionOutcome::Committed { .. }));
    assert_eq!(host.partition.isr(), &servers(&[1, 2]));
    assert_eq!(host.partition.partition_epoch(), Some(PartitionEpoch(2)));
    assert!(host.partition.pending().is_none());
}

#[test]
fn an_ineligible_member_puts_the_committed_state_back() {
    let mut host = Host::new(1).leading(&[1]);
    let proposal = host.fetch(TWO, 0).unwrap();
    assert_eq!(host.partition.maximal_isr(), servers(&[1, 2]));
    let outcome = host.complete(&proposal, Err(ErrorCode::IneligibleReplica));
    assert_eq!(outcome, AlterPartitionOutcome::Rejected);
    assert_eq!(host.partition.maximal_isr(), servers(&[1]));
    assert!(host.fetch(TWO, 0).is_some());
}

#[test]
fn a_leader_whose_state_is_out_of_date_proposes_nothing_before_metadata_arrives() {
    let stale = [
        ErrorCode::FencedLeaderEpoch,
        ErrorCode::InvalidUpdateVersion,
        ErrorCode::InvalidRequest,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicId,
        ErrorCode::NewLeaderElected,
    ];
    for error in stale {
        let mut host = Host::new(1).leading(&[1]);
        let proposal = host.fetch(TWO, 0).unwrap();
        let refused = AlterPartitionResult {
            error,
            ..granted(&proposal)
        };
        let outcome = host.complete(&proposal, Ok(&refused));
        assert_eq!(outcome, AlterPartitionOutcome::AwaitsMetadata);
        assert!(host.fetch(TWO, 0).is_none());
        host.lead(1, 2, &[1]);
        assert!(host.fetch(TWO, 0).is_some());
    }
}

#[test]
fn any_other_error_sends_the_same_proposal_again() {
    let mut host = Host::new(1).leading(&[1]);
    let proposal = host.fetch(TWO, 0).unwrap();
    for error in [
        ErrorCode::NotController,
        ErrorCode::RequestTimedOut,
        ErrorCode::UnknownServerError,
    ] {
        let outcome = host.complete(&proposal, Err(error));
        assert_eq!(outcome, AlterPartitionOutcome::Retry);
        assert_eq!(host.partition.pending(), Some(&proposal));
    }
}

#[test]
fn an_answer_that_metadata_has_overtaken_is_ignored() {
    let mut host = Host::new(1).leading(&[1]);
    let proposal = host.fetch(TWO, 0).unwrap();
    host.lead(1, 2, &[1, 2]);
    let outcome = host.complete(&proposal, Ok(&granted(&proposal)));
    assert_eq!(outcome, AlterPartitionOutcome::Ignored);
    let outcome = host.complete(&proposal, Err(ErrorCode::IneligibleReplica));
    assert_eq!(outcome, AlterPartitionOutcome::Ignored);
    assert_eq!(host.partition.isr(), &servers(&[1, 2]));
}

#[test]
fn an_answer_of_another_leader_epoch_or_an_older_partition_epoch_is_ignored() {
    let mut host = Host::new(1).leading(&[1]);
    let proposal = host.fetch(TWO, 0).unwrap();
    let foreign = AlterPartitionResult {
        leader_epoch: LeaderEpoch(2),
        ..granted(&proposal)
    };
    let older = AlterPartitionResult {
        partition_epoch: PartitionEpoch(0),
        ..granted(&proposal)
    };
    for answer in [foreign, older] {
        let outcome = host.complete(&proposal, Ok(&answer));
        assert_eq!(outcome, AlterPartitionOutcome::Ignored);
        assert_eq!(host.partition.isr(), &servers(&[1]));
    }
}
