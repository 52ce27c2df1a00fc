use ktrial_sim::{Duration, Time};

use super::*;
use crate::kafka::partition_log;
use crate::mutation::Mutations;

#[test]
fn a_killed_process_finds_every_batch_again_and_the_high_watermark_of_its_last_checkpoint() {
    let mut bench = Bench::default();
    let mut log = written(&[(1, 2), (2, 3)], &mut bench);
    log.maybe_increment_high_watermark(Offset(2));
    checkpoint(&log, &mut bench);
    log.maybe_increment_high_watermark(Offset(5));
    let log = bench.load(false);
    assert_eq!(batches(&log, &mut bench), [(0, 1, 2), (2, 2, 3)]);
    assert_eq!(
        (log.end(), log.high_watermark(), log.recovery_point()),
        (Offset(5), Offset(2), Offset(0))
    );
    assert_eq!(log.latest_epoch(), Some(LeaderEpoch(2)));
}

#[test]
fn without_a_checkpoint_the_high_watermark_is_the_log_start() {
    let mut bench = Bench::default();
    let mut log = written(&[(1, 2)], &mut bench);
    log.maybe_increment_high_watermark(Offset(2));
    assert_eq!(bench.load(false).high_watermark(), Offset(0));
}

#[test]
fn recovery_cuts_at_the_first_batch_it_cannot_read_whatever_comes_behind_it() {
    let mut bench = Bench::default();
    let mut log = written(&[(1, 2), (1, 1), (2, 1), (3, 2)], &mut bench);
    log.maybe_increment_high_watermark(Offset(6));
    checkpoint(&log, &mut bench);
    bench.disk.file(partition_log(PARTITION)).corrupt(1);
    bench.notes.clear();
    let log = bench.load(false);
    assert_eq!(batches(&log, &mut bench), [(0, 1, 2)]);
    assert_eq!((log.end(), log.high_watermark()), (Offset(2), Offset(2)));
    assert_eq!(log.latest_epoch(), Some(LeaderEpoch(1)));
    let cut = notes(&mut bench).into_iter().find_map(|note| match note {
        LogNote::Truncated { to, from, .. } => Some((to.0, from.0)),
        _ => None,
    });
    assert_eq!(cut, Some((2, 6)));
}

#[test]
fn a_clean_stop_is_trusted_and_nothing_is_read() {
    let mut bench = Bench::default();
    let mut log = written(&[(1, 2), (1, 1)], &mut bench);
    log.close(&mut bench).unwrap();
    checkpoint(&log, &mut bench);
    let loaded = bench.loaded(TopicSettings::default(), Mutations::default(), true);
    assert_eq!(loaded.bytes_read, 0);
    assert_eq!(
        (loaded.log.end(), loaded.log.recovery_point()),
        (Offset(3), Offset(3))
    );
}

#[test]
fn recovery_reads_from_the_segment_that_holds_the_recovery_point_and_trusts_those_below() {
    let mut bench = Bench::default();
    let mut log = bench.load_with(segments_of(40), false);
    for _ in 0..5 {
        let batch = bench.batch(2);
        log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).unwrap();
    }
    log.flush(Offset(6), &mut bench).unwrap();
    checkpoint(&log, &mut bench);
    bench.disk.file(partition_log(PARTITION)).corrupt(0);
    let loaded = bench.loaded(segments_of(40), Mutations::default(), false);
    assert_eq!(loaded.log.segments().count(), 3);
    assert_eq!(loaded.log.end(), Offset(10));
    assert_eq!(loaded.bytes_read, 60);
}

#[test]
fn an_epoch_whose_file_was_lost_is_found_in_the_batches() {
    let mut bench = Bench::default();
    written(&[(1, 2), (4, 2)], &mut bench);
    bench
        .disk
        .delete_document(crate::kafka::document::leader_epochs(PARTITION));
    let log = bench.load(false);
    assert_eq!(
        log.epochs().entries().as_slice(),
        [(LeaderEpoch(1), Offset(0)), (LeaderEpoch(4), Offset(2))]
    );
}

#[test]
fn an_epoch_without_records_is_dropped_by_a_restart() {
    let mut bench = Bench::default();
    let mut log = written(&[(1, 2)], &mut bench);
    log.assign_epoch_start(LeaderEpoch(5), Offset(2), &mut bench)
        .unwrap();
    assert_eq!(log.latest_epoch(), Some(LeaderEpoch(5)));
    assert_eq!(bench.load(false).latest_epoch(), Some(LeaderEpoch(1)));
}

#[test]
fn after_a_restart_only_the_last_batch_of_a_producer_is_known() {
    for clean in [false, true] {
        let mut bench = Bench::default();
        let mut log = bench.load(false);
        let sent: Vec<_> = (0..3).map(|sequence| bench.numbered(1, 0, sequence, 1)).collect();
        for batch in &sent {
            log.append_as_leader(batch, LeaderEpoch(0), &mut bench).unwrap();
        }
        if clean {
            log.close(&mut bench).unwrap();
        }
        let mut log = bench.load(clean);
        let mut send = |batch| {
            let appended = log.append_as_leader(batch, LeaderEpoch(1), &mut bench);
            appended.map(|appended| appended.duplicate)
        };
        assert_eq!(send(&sent[2]), Ok(true), "clean: {clean}");
        assert_eq!(
            send(&sent[1]),
            Err(ErrorCode::OutOfOrderSequenceNumber),
            "clean: {clean}"
        );
    }
}

#[test]
fn a_follower_that_never_restarted_knows_five_batches_of_a_producer() {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    let sent: Vec<_> = (0..5).map(|sequence| bench.numbered(1, 0, sequence, 1)).collect();
    let copied = |(offset, batch): (usize, &Batch)| Batch {
        base_offset: Offset(offset as u64),
        ..*batch
    };
    let answer: Vec<Batch> = sent.iter().enumerate().map(copied).collect();
    log.append_as_follower(&answer, LeaderEpoch(0), &mut bench)
        .unwrap();
    assert!(
        log.append_as_leader(&sent[0], LeaderEpoch(1), &mut bench)
            .unwrap()
            .duplicate
    );
}

#[test]
fn a_producer_whose_last_batch_is_too_old_is_forgotten_and_not_taken_from_a_snapshot() {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    let batch = bench.numbered(1, 0, 0, 1);
    log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).unwrap();
    bench.now = Time::ZERO + Duration::secs(86_400);
    let reloaded = bench.load(false);
    assert!(reloaded.producers().entries().is_empty());
    bench.now = Time(bench.now.0 - 1_000_000);
    log.remove_expired_producers(&mut bench);
    assert_eq!(log.producers().entries().len(), 1);
    bench.now = Time(bench.now.0 + 1_000_000);
    log.remove_expired_producers(&mut bench);
    assert!(log.producers().entries().is_empty());
}

#[test]
fn a_log_shorter_than_its_checkpointed_start_begins_anew_there() {
    let mut bench = Bench::default();
    let mut log = written(&[(1, 2), (1, 2)], &mut bench);
    log.maybe_increment_high_watermark(Offset(4));
    log.maybe_increment_log_start(Offset(3), &mut bench).unwrap();
    crate::log::checkpoint_log_starts(std::iter::once(&log), &mut bench).unwrap();
    bench.disk.file(partition_log(PARTITION)).truncate(1);
    let log = bench.load(false);
    assert_eq!(
        (log.start(), log.end(), log.high_watermark()),
        (Offset(3), Offset(3), Offset(3))
    );
    assert!(log.epochs().entries().is_empty());
}

#[test]
fn the_recovery_point_stays_where_it_was_after_an_unclean_stop() {
    let mut bench = Bench::default();
    let mut log = written(&[(1, 2), (1, 2)], &mut bench);
    log.flush(Offset(2), &mut bench).unwrap();
    checkpoint(&log, &mut bench);
    assert_eq!(bench.load(false).recovery_point(), Offset(2));
}

#[test]
fn epochs_below_the_log_start_are_merged_by_a_restart_whose_epoch_file_was_not_written_yet() {
    let mut bench = Bench::default();
    let mut log = written(&[(1, 2), (2, 2), (4, 2)], &mut bench);
    log.maybe_increment_high_watermark(Offset(6));
    log.maybe_increment_log_start(Offset(3), &mut bench).unwrap();
    crate::log::checkpoint_log_starts(std::iter::once(&log), &mut bench).unwrap();
    let log = bench.load(false);
    assert!(log.has_unwritten_epochs());
    assert_eq!(
        log.epochs().entries().as_slice(),
        [(LeaderEpoch(2), Offset(3)), (LeaderEpoch(4), Offset(4))]
    );
}
