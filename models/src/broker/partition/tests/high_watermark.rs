use super::*;

#[test]
fn the_high_watermark_waits_for_every_member_of_the_isr() {
    let mut host = Host::new(1).leading(&[1, 2, 3]);
    host.append(2, Acks::All).unwrap();
    host.fetch(TWO, 2);
    assert_eq!(host.high_watermark(), 0);
    host.fetch(THREE, 2);
    assert_eq!(host.high_watermark(), 2);
}

#[test]
fn a_leader_alone_in_the_isr_commits_what_it_appends() {
    let mut host = Host::new(1).leading(&[1]);
    host.append(3, Acks::All).unwrap();
    assert_eq!(host.high_watermark(), 3);
}

#[test]
fn a_member_whose_log_end_is_unknown_holds_the_high_watermark() {
    let mut host = Host::new(1).leading(&[1, 2, 3]);
    host.append(1, Acks::All).unwrap();
    host.fetch(TWO, 1);
    assert_eq!(
        (host.partition.remotes()[1].log_end, host.high_watermark()),
        (None, 0)
    );
}

#[test]
fn the_high_watermark_never_goes_back() {
    let mut host = Host::new(1).leading(&[1, 2]);
    host.append(3, Acks::All).unwrap();
    host.fetch(TWO, 3);
    host.fetch(TWO, 1);
    assert_eq!(host.high_watermark(), 3);
}

#[test]
fn the_high_watermark_stands_while_the_isr_is_smaller_than_min_insync_replicas() {
    let mut host = Host::new(2).leading(&[1]);
    host.append(1, Acks::Leader).unwrap();
    assert_eq!(host.high_watermark(), 0);
    let mut mutant = Host::mutant(2, Mutation::HighWatermarkBelowMinIsr).leading(&[1]);
    mutant.append(1, Acks::Leader).unwrap();
    assert_eq!(mutant.high_watermark(), 1);
}

#[test]
fn no_more_than_the_replication_factor_counts_as_min_insync_replicas() {
    let mut host = Host::new(5).leading(&[1, 2, 3]);
    assert_eq!(host.partition.effective_min_isr(), 3);
    assert_eq!(host.append(1, Acks::All), Ok(0));
}

#[test]
fn a_caught_up_replica_that_may_join_holds_the_high_watermark_back() {
    let mut host = Host::new(1).leading(&[1, 2]);
    host.append(1, Acks::Leader).unwrap();
    host.fetch(TWO, 1);
    // It is at the log's end, but something else is proposed just now, so it cannot join.
    host.wait(LAG.as_millis() + 1);
    host.append(1, Acks::Leader).unwrap();
    host.shrink().expect("2 lags");
    host.fetch(THREE, 2);
    host.append(1, Acks::Leader).unwrap();
    host.fetch(TWO, 3);
    assert_eq!(host.high_watermark(), 2);
    host.fetch(THREE, 3);
    assert_eq!(host.high_watermark(), 3);
}

#[test]
fn a_caught_up_replica_that_is_fenced_holds_nothing_back() {
    let mut host = Host::new(1).leading(&[1, 2]);
    host.append(1, Acks::Leader).unwrap();
    host.view.of(THREE).fenced = true;
    host.fetch(THREE, 1);
    host.append(1, Acks::Leader).unwrap();
    host.fetch(TWO, 2);
    assert_eq!(host.high_watermark(), 2);
}

#[test]
fn a_member_whose_leaving_is_only_proposed_still_counts() {
    let mut host = Host::new(1).leading(&[1, 2, 3]);
    host.append(1, Acks::All).unwrap();
    host.wait(LAG.as_millis() + 1);
    host.fetch(TWO, 1);
    let proposal = host.shrink().expect("3 lags");
    assert_eq!((members(&proposal), host.high_watermark()), (vec![1, 2], 0));
    host.complete(&proposal, Ok(&granted(&proposal)));
    assert_eq!(host.high_watermark(), 1);
}

#[test]
fn a_member_whose_joining_is_only_proposed_counts_at_once() {
    let commits = |mut host: Host| {
        host.append(1, Acks::All).unwrap();
        host.fetch(TWO, 1).expect("it has caught up");
        host.wait(LAG.as_millis() + 1);
        host.append(1, Acks::All).unwrap();
        host.high_watermark()
    };
    assert_eq!(commits(Host::new(1).leading(&[1])), 1);
    let mutant = Host::mutant(1, Mutation::HighWatermarkFromCommittedIsr);
    assert_eq!(commits(mutant.leading(&[1])), 2);
}

#[test]
fn a_high_watermark_that_moves_names_the_fetches_that_moved_it() {
    let mut host = Host::new(1).leading(&[1, 2, 3]);
    for (event, follower) in [(7, None), (8, Some(TWO)), (9, Some(THREE))] {
        host.bench.event = EventId(event);
        match follower {
            None => assert_eq!(host.append(1, Acks::All), Ok(0)),
            Some(follower) => assert!(host.fetch(follower, 1).is_none()),
        }
    }
    let told = host.bench.notes.iter().find_map(|note| match note {
        Note::Leader(_, LeaderNote::HighWatermark(moved)) => {
            Some((moved.to.0, moved.log_ends.to_vec(), moved.because.to_vec()))
        }
        _ => None,
    });
    let ends = vec![(TWO, Some(Offset(1))), (THREE, Some(Offset(1)))];
    assert_eq!(told, Some((1, ends, vec![EventId(8), EventId(9)])));
    assert_eq!(host.bench.causes, [EventId(8)]);
}

#[test]
fn acks_all_is_refused_before_the_append_and_acks_1_is_not() {
    let mut host = Host::new(2).leading(&[1]);
    assert_eq!(host.append(1, Acks::All), Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(host.end(), 0);
    assert_eq!(host.append(1, Acks::Leader), Ok(0));
    let mut mutant = Host::mutant(2, Mutation::AppendRefused).leading(&[1]);
    assert_eq!(mutant.append(1, Acks::All), Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(mutant.end(), 1);
}

#[test]
fn a_duplicate_is_refused_too_while_the_isr_is_too_small() {
    let mut host = Host::new(2).leading(&[1, 2]);
    let batch = host.bench.numbered(1, 0, 0, 1);
    let send = |host: &mut Host| {
        let (view, bench) = (&host.view, &mut host.bench);
        let sent = host
            .partition
            .append_records_to_leader(&batch, Acks::All, view, bench);
        sent.map(|sent| sent.appended.duplicate)
    };
    assert_eq!(send(&mut host), Ok(false));
    assert_eq!(send(&mut host), Ok(true));
    host.lead(1, 2, &[1]);
    assert_eq!(send(&mut host), Err(ErrorCode::NotEnoughReplicas));
}

#[test]
fn only_the_leader_appends() {
    let mut host = Host::new(1);
    assert_eq!(host.append(1, Acks::None), Err(ErrorCode::NotLeaderOrFollower));
    host.follow(2, 1, 1);
    assert_eq!(host.append(1, Acks::Leader), Err(ErrorCode::NotLeaderOrFollower));
}

#[test]
fn acks_all_is_answered_when_the_high_watermark_has_reached_the_batch() {
    let mut host = Host::new(1).leading(&[1, 2]);
    host.append(2, Acks::All).unwrap();
    let reached = |host: &Host| host.partition.check_enough_replicas_reach_offset(Offset(2));
    assert_eq!(reached(&host), None);
    host.fetch(TWO, 2);
    assert_eq!(reached(&host), Some(ErrorCode::None));
    host.follow(2, 2, 2);
    assert_eq!(reached(&host), Some(ErrorCode::NotLeaderOrFollower));
    let mut mutant = Host::mutant(1, Mutation::AcknowledgeAfterAppend).leading(&[1, 2]);
    mutant.append(2, Acks::All).unwrap();
    assert_eq!(reached(&mutant), Some(ErrorCode::None));
}

#[test]
fn acks_all_fails_after_the_append_if_the_maximal_isr_has_become_too_small() {
    let mut host = Host::new(2).leading(&[1, 2]);
    host.append(1, Acks::All).unwrap();
    host.fetch(TWO, 1);
    host.lead(1, 2, &[1]);
    let reached = |host: &Host| host.partition.check_enough_replicas_reach_offset(Offset(1));
    assert_eq!(reached(&host), Some(ErrorCode::NotEnoughReplicasAfterAppend));
    host.fetch(TWO, 1)
        .expect("it has caught up, so it is proposed and counts");
    assert_eq!(reached(&host), Some(ErrorCode::None));
}
