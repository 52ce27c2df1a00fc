use super::*;
use crate::broker::partition::{FetchStart, FollowerError};
use crate::protocol::FetchedPartition;
use crate::records::Batch;

fn answer(batches: &[Batch], high_watermark: u64) -> FetchedPartition {
    FetchedPartition {
        partition: PartitionId(0),
        error: ErrorCode::None,
        high_watermark: Offset(high_watermark),
        last_stable_offset: Offset(high_watermark),
        log_start: Offset(0),
        diverging: None,
        current_leader: None,
        preferred_read_replica: None,
        batches: batches.iter().copied().collect(),
    }
}

/// A follower of 2 in epoch 9 whose log holds these epochs, two records each.
fn following(epochs: &[u32], mutations: Mutations) -> Host {
    let mut host = Host::with(1, mutations);
    host.follow(2, 9, 9);
    for (number, epoch) in epochs.iter().enumerate() {
        let batch = host.bench.copied(2 * number as u64, *epoch, 2);
        take(&mut host, &answer(&[batch], 0)).expect("an ordinary answer");
    }
    host
}

fn take(host: &mut Host, answer: &FetchedPartition) -> Result<u64, FollowerError> {
    let end = host.partition.log().end();
    let taken = host
        .partition
        .process_fetched(end, LeaderEpoch(9), answer, &mut host.bench);
    taken.map(|taken| taken.next_offset.0)
}

fn diverges(host: &mut Host, epoch: u32, end: u64) -> (u64, Option<u32>) {
    let start = host
        .partition
        .truncate_on_divergence((LeaderEpoch(epoch), Offset(end)), &mut host.bench)
        .expect("the disk is well");
    (start.offset.0, start.last_fetched_epoch.map(|epoch| epoch.0))
}

#[test]
fn a_follower_appends_and_takes_over_the_high_watermark_as_far_as_its_log_reaches() {
    let mut host = following(&[], Mutations::default());
    let batch = host.bench.copied(0, 9, 3);
    assert_eq!(take(&mut host, &answer(&[batch], 10)), Ok(3));
    assert_eq!(host.high_watermark(), 3);
    assert_eq!(take(&mut host, &answer(&[], 2)), Ok(3));
    assert_eq!(host.high_watermark(), 2);
    let told = host.bench.notes.iter().filter_map(|note| match note {
        Note::Log(_, LogNote::FollowerHighWatermark(to)) => Some(to.0),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [3, 2]);
}

#[test]
fn a_follower_takes_over_the_leaders_log_start() {
    let mut host = following(&[9], Mutations::default());
    let mut news = answer(&[], 2);
    news.log_start = Offset(1);
    take(&mut host, &news).unwrap();
    assert_eq!(host.partition.log().start(), Offset(1));
    news.log_start = Offset(5);
    assert!(matches!(take(&mut host, &news), Err(FollowerError::Failed(_))));
}

#[test]
fn an_answer_to_another_offset_fails_the_partition() {
    let mut host = following(&[9], Mutations::default());
    let taken = host
        .partition
        .process_fetched(Offset(0), LeaderEpoch(9), &answer(&[], 0), &mut host.bench);
    assert!(matches!(taken, Err(FollowerError::Failed(_))));
}

#[test]
fn batches_of_a_later_epoch_than_the_requests_are_ignored() {
    let mut host = following(&[], Mutations::default());
    let batch = host.bench.copied(0, 10, 1);
    assert_eq!(take(&mut host, &answer(&[batch], 0)), Ok(0));
}

#[test]
fn a_spoilt_batch_is_fetched_again() {
    let mut host = following(&[], Mutations::default());
    let mut batch = host.bench.copied(0, 9, 1);
    batch.corrupt = true;
    assert_eq!(take(&mut host, &answer(&[batch], 0)), Err(FollowerError::Corrupt));
}

#[test]
fn an_empty_log_begins_anew_with_a_batch_that_begins_before_it() {
    let mut host = following(&[], Mutations::default());
    host.partition
        .restart_if_behind(Offset(5), &mut host.bench)
        .expect("the disk is well");
    let batch = host.bench.copied(3, 9, 4);
    assert_eq!(take(&mut host, &answer(&[batch], 5)), Ok(7));
    assert_eq!(host.partition.log().start(), Offset(3));
}

#[test]
fn a_follower_cuts_to_the_end_of_the_common_epoch_on_both_sides() {
    // The leader's epoch 3 ends before ours.
    assert_eq!(
        diverges(&mut following(&[1, 3], Mutations::default()), 3, 3),
        (3, Some(3))
    );
    // Ours ends before the leader's.
    assert_eq!(
        diverges(&mut following(&[1, 3, 4], Mutations::default()), 3, 5),
        (4, Some(3))
    );
}

#[test]
fn a_follower_without_the_leaders_epoch_cuts_to_its_largest_below_it_and_asks_again() {
    let mut host = following(&[1, 4], Mutations::default());
    assert_eq!(diverges(&mut host, 3, 8), (2, Some(1)));
}

#[test]
fn a_follower_without_any_such_epoch_cuts_to_where_the_leader_says() {
    let mut host = Host::new(1);
    host.follow(2, 9, 9);
    assert_eq!(diverges(&mut host, 3, 8), (0, None));
}

#[test]
fn a_follower_starts_at_its_log_end_with_its_newest_epoch() {
    let mut host = following(&[1, 4], Mutations::default());
    let start = host.partition.start_fetching(&mut host.bench).unwrap();
    let expected = FetchStart {
        offset: Offset(4),
        last_fetched_epoch: Some(LeaderEpoch(4)),
    };
    assert_eq!(start, expected);
}

#[test]
fn before_kip_101_a_follower_cut_its_log_to_its_own_high_watermark() {
    let mut host = following(&[1, 4], Mutations::only(Mutation::TruncateToHighWatermark));
    take(&mut host, &answer(&[], 2)).unwrap();
    let start = host.partition.start_fetching(&mut host.bench).unwrap();
    let expected = FetchStart {
        offset: Offset(2),
        last_fetched_epoch: None,
    };
    assert_eq!((start, host.end()), (expected, 2));
}

#[test]
fn out_of_range_cuts_to_a_shorter_leader_and_begins_anew_with_one_that_starts_later() {
    let mut host = following(&[9, 9], Mutations::default());
    let shorter = host
        .partition
        .truncate_if_beyond(Offset(2), &mut host.bench)
        .unwrap();
    assert_eq!(shorter.map(|start| start.offset), Some(Offset(2)));
    assert_eq!(
        host.partition.truncate_if_beyond(Offset(6), &mut host.bench),
        Ok(None)
    );
    let on = host
        .partition
        .restart_if_behind(Offset(1), &mut host.bench)
        .unwrap();
    assert_eq!((on.offset, host.end()), (Offset(2), 2));
    let anew = host
        .partition
        .restart_if_behind(Offset(4), &mut host.bench)
        .unwrap();
    assert_eq!(
        (anew.offset, host.partition.log().start()),
        (Offset(4), Offset(4))
    );
    assert_eq!(anew.last_fetched_epoch, None);
}
