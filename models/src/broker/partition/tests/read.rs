use super::*;
use crate::config::IsolationLevel::{self, ReadCommitted, ReadUncommitted};
use crate::protocol::ListOffsetsTarget::{Earliest, Latest};
use crate::records::Batch;

fn consume(
    host: &mut Host,
    epoch: Option<u32>,
    offset: u64,
    require_leader: bool,
) -> Result<Vec<u64>, ErrorCode> {
    let mut into = SmallVec::<[Batch; 1]>::new();
    host.partition.read_for_consumer(
        &request(epoch.map(LeaderEpoch), offset),
        ReadUncommitted,
        require_leader,
        1_000,
        true,
        &mut into,
        &mut host.bench,
    )?;
    Ok(into.iter().map(|batch| batch.base_offset.0).collect())
}

/// Leader of epoch 5 whose log holds epochs 1 (0..2), 3 (2..4) and 5 (4..6).
fn three_epochs(mutations: Mutations) -> Host {
    let mut host = Host::with(1, mutations);
    for (partition_epoch, epoch) in [1, 3, 5].into_iter().enumerate() {
        host.lead(epoch, partition_epoch as u32 + 1, &[1, 2]);
        host.append(2, Acks::Leader).unwrap();
    }
    host
}

fn diverging(host: &mut Host, offset: u64, last_fetched: u32) -> Result<Option<(u32, u64)>, ErrorCode> {
    let request = FetchPartition {
        last_fetched_epoch: Some(LeaderEpoch(last_fetched)),
        ..request(host.partition.leader_epoch(), offset)
    };
    let read = host.read(TWO, &request)?;
    Ok(read.diverging.map(|(epoch, end)| (epoch.0, end.0)))
}

#[test]
fn a_follower_of_another_leader_epoch_is_fenced_or_unknown() {
    let mut host = Host::new(1).leading(&[1, 2]);
    host.lead(3, 2, &[1, 2]);
    let mut read = |epoch| host.read(TWO, &request(Some(LeaderEpoch(epoch)), 0)).map(|_| ());
    assert_eq!(read(2), Err(ErrorCode::FencedLeaderEpoch));
    assert_eq!(read(4), Err(ErrorCode::UnknownLeaderEpoch));
    assert_eq!(read(3), Ok(()));
    let mut mutant = Host::mutant(1, Mutation::UnfencedFollowerFetch).leading(&[1, 2]);
    mutant.lead(3, 2, &[1, 2]);
    assert!(mutant.read(TWO, &request(Some(LeaderEpoch(2)), 0)).is_ok());
}

#[test]
fn a_follower_that_is_not_assigned_hears_of_an_unknown_leader_epoch() {
    let mut host = Host::new(1).leading(&[1]);
    let stranger = BrokerIdentity {
        broker: ServerId(4),
        epoch: BrokerEpoch(40),
    };
    let mut read = |epoch: Option<LeaderEpoch>| {
        let into = &mut SmallVec::new();
        let read =
            host.partition
                .read_for_follower(stranger, &request(epoch, 0), 1, true, into, &mut host.bench);
        read.map(|_| ())
    };
    assert_eq!(read(Some(LeaderEpoch(1))), Err(ErrorCode::UnknownLeaderEpoch));
    assert_eq!(read(None), Err(ErrorCode::NotLeaderOrFollower));
}

#[test]
fn a_follower_reads_up_to_the_log_end_and_a_consumer_up_to_the_high_watermark() {
    let mut host = Host::new(1).leading(&[1, 2]);
    host.append(1, Acks::Leader).unwrap();
    host.fetch(TWO, 1);
    host.append(1, Acks::Leader).unwrap();
    assert_eq!(
        host.read(TWO, &request(Some(LeaderEpoch(1)), 0)).unwrap().bytes,
        20
    );
    assert_eq!(consume(&mut host, None, 0, true), Ok(vec![0]));
    let mut mutant = Host::mutant(1, Mutation::ReadToLogEnd).leading(&[1, 2]);
    mutant.append(1, Acks::Leader).unwrap();
    assert_eq!(consume(&mut mutant, None, 0, true), Ok(vec![0]));
}

#[test]
fn a_consumer_may_read_from_a_follower_up_to_that_followers_high_watermark() {
    let mut host = Host::new(1).leading(&[1]);
    host.append(1, Acks::Leader).unwrap();
    host.follow(2, 2, 2);
    assert_eq!(consume(&mut host, Some(2), 0, false), Ok(vec![0]));
    assert_eq!(
        consume(&mut host, Some(2), 0, true),
        Err(ErrorCode::NotLeaderOrFollower)
    );
    assert_eq!(
        consume(&mut host, Some(1), 0, false),
        Err(ErrorCode::FencedLeaderEpoch)
    );
}

#[test]
fn a_consumer_beyond_the_log_is_out_of_range_and_one_beyond_the_high_watermark_waits() {
    let mut host = Host::new(1).leading(&[1, 2]);
    host.append(2, Acks::Leader).unwrap();
    assert_eq!(consume(&mut host, None, 2, true), Ok(vec![]));
    assert_eq!(
        consume(&mut host, None, 3, true),
        Err(ErrorCode::OffsetOutOfRange)
    );
}

#[test]
fn a_follower_whose_last_epoch_the_leader_has_up_to_there_does_not_diverge() {
    let mut host = three_epochs(Mutations::default());
    assert_eq!(diverging(&mut host, 2, 1), Ok(None));
    assert_eq!(diverging(&mut host, 1, 1), Ok(None));
    assert_eq!(diverging(&mut host, 6, 5), Ok(None));
}

#[test]
fn a_follower_with_more_of_an_epoch_or_an_epoch_the_leader_lacks_hears_where_to_cut() {
    let mut host = three_epochs(Mutations::default());
    assert_eq!(diverging(&mut host, 3, 1), Ok(Some((1, 2))));
    assert_eq!(diverging(&mut host, 3, 2), Ok(Some((1, 2))));
    assert_eq!(diverging(&mut host, 7, 5), Ok(Some((5, 6))));
    assert_eq!(diverging(&mut host, 4, 6), Err(ErrorCode::OffsetOutOfRange));
}

#[test]
fn before_kip_279_a_leader_named_no_epoch_and_missed_divergence_below_the_next_one() {
    let mut host = three_epochs(Mutations::only(Mutation::SingleStepDivergence));
    // Epoch 2 is not in this log: its records at 2 and 3 are another epoch's.
    assert_eq!(diverging(&mut host, 2, 2), Ok(None));
    let mut host = three_epochs(Mutations::default());
    assert_eq!(diverging(&mut host, 2, 2), Ok(Some((1, 2))));
}

#[test]
fn a_diverging_follower_does_not_change_the_leaders_view() {
    let mut host = three_epochs(Mutations::default());
    diverging(&mut host, 7, 5).unwrap();
    assert_eq!(host.partition.remotes()[0].log_end, None);
}

#[test]
fn the_latest_offset_is_not_available_before_the_high_watermark_reaches_the_epoch() {
    let mut host = Host::new(1).leading(&[1, 2]);
    host.append(2, Acks::Leader).unwrap();
    host.lead(2, 2, &[1, 2]);
    let list = |host: &Host, target, isolation: Option<IsolationLevel>| {
        let listed = host.partition.list_offsets(target, isolation, None, true);
        listed.map(|(offset, epoch)| (offset.0, epoch.map(|epoch| epoch.0)))
    };
    assert_eq!(
        list(&host, Latest, Some(ReadUncommitted)),
        Err(ErrorCode::OffsetNotAvailable)
    );
    assert_eq!(list(&host, Latest, None), Ok((2, Some(2))));
    assert_eq!(list(&host, Earliest, Some(ReadUncommitted)), Ok((0, Some(1))));
    host.fetch(TWO, 2);
    assert_eq!(list(&host, Latest, Some(ReadCommitted)), Ok((2, Some(2))));
}

#[test]
fn the_end_of_an_epoch_is_told_under_the_epoch_the_leader_has() {
    let host = three_epochs(Mutations::default());
    let ask = |epoch| {
        let answer =
            host.partition
                .last_offset_for_leader_epoch(Some(LeaderEpoch(5)), LeaderEpoch(epoch), true);
        answer.map(|answer| answer.map(|(epoch, end)| (epoch.0, end.0)))
    };
    assert_eq!(ask(0), Ok(Some((0, 0))));
    assert_eq!(ask(4), Ok(Some((3, 4))));
    assert_eq!(ask(5), Ok(Some((5, 6))));
    assert_eq!(ask(6), Ok(None));
    let stale = host
        .partition
        .last_offset_for_leader_epoch(Some(LeaderEpoch(4)), LeaderEpoch(1), true);
    assert_eq!(stale, Err(ErrorCode::FencedLeaderEpoch));
}

#[test]
fn a_follower_before_the_log_start_is_out_of_range_even_where_its_epoch_diverges() {
    let mut host = three_epochs(Mutations::default());
    host.fetch(TWO, 6);
    let moved = host
        .partition
        .log_mut()
        .maybe_increment_log_start(Offset(3), &mut host.bench);
    assert_eq!(moved, Ok(true));
    assert_eq!(diverging(&mut host, 2, 4), Err(ErrorCode::OffsetOutOfRange));
    assert_eq!(diverging(&mut host, 3, 4), Ok(Some((3, 4))));
}
