use ktrial_sim::{Duration, Time};

use super::*;
use crate::documents::Document;
use crate::kafka::document;
use crate::log::EpochCache;
use crate::notes::TruncationReason;

fn cut(log: &mut Log, to: u64, bench: &mut Bench) -> bool {
    log.truncate_to(Offset(to), LeaderEpoch(9), TruncationReason::Diverging, bench)
        .expect("the disk is well")
}

#[test]
fn cutting_takes_batches_epochs_high_watermark_and_recovery_point_back() {
    let mut bench = Bench::default();
    let mut log = written(&[(1, 2), (1, 2), (3, 2)], &mut bench);
    log.maybe_increment_high_watermark(Offset(6));
    log.flush(Offset(6), &mut bench).unwrap();
    assert!(cut(&mut log, 2, &mut bench));
    assert_eq!(batches(&log, &mut bench), [(0, 1, 2)]);
    assert_eq!(
        (log.end(), log.high_watermark(), log.recovery_point()),
        (Offset(2), Offset(2), Offset(2))
    );
    assert_eq!(log.latest_epoch(), Some(LeaderEpoch(1)));
}

#[test]
fn cutting_at_the_end_changes_nothing_but_an_epoch_without_records() {
    let mut bench = Bench::default();
    let mut log = written(&[(1, 2)], &mut bench);
    log.assign_epoch_start(LeaderEpoch(2), Offset(2), &mut bench)
        .unwrap();
    assert!(!cut(&mut log, 5, &mut bench));
    assert_eq!((log.end(), log.latest_epoch()), (Offset(2), Some(LeaderEpoch(1))));
}

#[test]
fn cutting_inside_a_batch_takes_the_batch_and_leaves_a_gap() {
    let mut bench = Bench::default();
    let mut log = written(&[(0, 2), (0, 4)], &mut bench);
    cut(&mut log, 4, &mut bench);
    assert_eq!(batches(&log, &mut bench), [(0, 0, 2)]);
    assert_eq!(log.end(), Offset(4));
}

#[test]
fn the_epoch_file_holds_too_much_until_a_background_task_writes_it() {
    let mut bench = Bench::default();
    let mut log = written(&[(1, 1), (2, 1)], &mut bench);
    cut(&mut log, 1, &mut bench);
    let on_disk = |bench: &Bench| match bench.disk.document(document::leader_epochs(PARTITION)) {
        Some(Document::LeaderEpochs(epochs)) => epochs.len(),
        _ => panic!("no epoch file"),
    };
    assert!(log.has_unwritten_epochs());
    assert_eq!((log.epochs().entries().len(), on_disk(&bench)), (1, 2));
    log.write_epochs(&mut bench);
    assert_eq!(on_disk(&bench), 1);
    assert!(!log.has_unwritten_epochs());
}

#[test]
fn cutting_forgets_the_batches_of_producers_that_were_cut() {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    for sequence in 0..3 {
        let batch = bench.numbered(1, 0, sequence, 1);
        log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).unwrap();
    }
    cut(&mut log, 1, &mut bench);
    let next = bench.numbered(1, 0, 1, 1);
    let appended = log.append_as_leader(&next, LeaderEpoch(0), &mut bench).unwrap();
    assert_eq!((appended.base_offset, appended.duplicate), (Offset(1), false));
}

#[test]
fn cutting_everything_begins_anew_without_epochs_and_producers() {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    let batch = bench.numbered(1, 0, 0, 2);
    log.append_as_leader(&batch, LeaderEpoch(1), &mut bench).unwrap();
    let reason = TruncationReason::OutOfRange;
    log.truncate_fully_and_start_at(Offset(40), LeaderEpoch(1), reason, &mut bench)
        .unwrap();
    assert_eq!(
        (log.start(), log.end(), log.high_watermark()),
        (Offset(40), Offset(40), Offset(40))
    );
    assert!(log.epochs().entries().is_empty() && log.producers().entries().is_empty());
    let reloaded = bench.load(false);
    assert_eq!((reloaded.start(), reloaded.end()), (Offset(40), Offset(40)));
}

#[test]
fn the_log_start_moves_forward_up_to_the_high_watermark_and_merges_epochs() {
    let mut bench = Bench::default();
    let mut log = written(&[(1, 2), (2, 2), (4, 2)], &mut bench);
    log.maybe_increment_high_watermark(Offset(5));
    let beyond = log.maybe_increment_log_start(Offset(6), &mut bench);
    assert_eq!(beyond, Err(ErrorCode::OffsetOutOfRange));
    assert_eq!(log.maybe_increment_log_start(Offset(3), &mut bench), Ok(true));
    assert_eq!(log.maybe_increment_log_start(Offset(1), &mut bench), Ok(false));
    assert_eq!(log.start(), Offset(3));
    assert_eq!(
        log.epochs().entries().as_slice(),
        [(LeaderEpoch(2), Offset(3)), (LeaderEpoch(4), Offset(4))]
    );
    assert_eq!(
        read(&log, 2, 100, 5, &mut bench),
        Err(ErrorCode::OffsetOutOfRange)
    );
}

#[test]
fn a_full_segment_rolls_and_the_flush_behind_it_moves_the_recovery_point_to_the_new_base() {
    let mut bench = Bench::default();
    let mut log = bench.load_with(segments_of(50), false);
    let mut rolled = None;
    for _ in 0..3 {
        let batch = bench.batch(2);
        rolled = log
            .append_as_leader(&batch, LeaderEpoch(0), &mut bench)
            .unwrap()
            .rolled;
    }
    assert_eq!(rolled, Some(Offset(4)));
    log.flush(Offset(4), &mut bench).unwrap();
    assert_eq!(log.recovery_point(), Offset(4));
    let file = crate::kafka::partition_log(PARTITION);
    assert_eq!(bench.disk.file(file).flushed(), 2);
}

#[test]
fn flush_messages_says_when_the_appending_thread_must_flush() {
    let mut bench = Bench::default();
    let settings = TopicSettings {
        flush_messages: 3,
        ..TopicSettings::default()
    };
    let mut log = bench.load_with(settings, false);
    let append = |bench: &mut Bench, log: &mut Log| {
        let batch = bench.batch(2);
        log.append_as_leader(&batch, LeaderEpoch(0), bench)
            .unwrap()
            .flush_due
    };
    assert!(!append(&mut bench, &mut log));
    assert!(append(&mut bench, &mut log));
    log.flush(log.end(), &mut bench).unwrap();
    assert!(!append(&mut bench, &mut log));
}

#[test]
fn only_a_flush_that_has_something_to_do_restarts_the_clock_of_flush_ms() {
    let mut bench = Bench::default();
    bench.now = Time(1_000_000_000);
    let mut log = bench.load(false);
    assert_eq!(log.last_flush(), bench.now, "made now");
    bench.now = Time(2_000_000_000);
    log.flush(log.end(), &mut bench).unwrap();
    assert_eq!(log.last_flush(), Time(1_000_000_000), "nothing was there");
    let batch = bench.batch(1);
    log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).unwrap();
    log.flush(log.end(), &mut bench).unwrap();
    assert_eq!(log.last_flush(), bench.now);
}

/// How many producers a log knows from whose end a batch was cut, a day after the one in front of it was written.
fn known_after_a_cut(looked_after_before: bool) -> usize {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    let batch = bench.numbered(1, 0, 0, 1);
    log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).unwrap();
    let batch = bench.batch(1);
    log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).unwrap();
    bench.now = Time::ZERO + Duration::secs(86_400);
    if looked_after_before {
        log.remove_expired_producers(&mut bench);
    }
    cut(&mut log, 1, &mut bench);
    log.producers().entries().len()
}

#[test]
fn a_truncation_brings_no_expired_producer_back() {
    assert_eq!(known_after_a_cut(true), 0);
    // Who was not looked after yet is read again with the batches that stay.
    assert_eq!(known_after_a_cut(false), 1);
}

#[test]
fn cutting_below_the_log_start_takes_the_log_start_along() {
    let mut bench = Bench::default();
    let mut log = written(&[(1, 2), (1, 2), (1, 2)], &mut bench);
    log.maybe_increment_high_watermark(Offset(6));
    log.maybe_increment_log_start(Offset(4), &mut bench).unwrap();
    cut(&mut log, 2, &mut bench);
    assert_eq!((log.start(), log.end()), (Offset(2), Offset(2)));
}

#[test]
fn loading_producers_anew_leaves_snapshots_at_the_newest_segments_and_at_the_end() {
    let mut bench = Bench::default();
    let mut log = bench.load_with(segments_of(30), false);
    for sequence in 0..7 {
        let batch = bench.numbered(1, 0, sequence, 1);
        log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).unwrap();
    }
    let files = |bench: &Bench| match bench.disk.document(document::producer_snapshot(PARTITION)) {
        Some(Document::Producers(files)) => files.0.iter().map(|file| file.offset.0).collect(),
        _ => Vec::new(),
    };
    assert_eq!(files(&bench), [3, 6]);
    bench.disk.delete_document(document::producer_snapshot(PARTITION));
    cut(&mut log, 5, &mut bench);
    assert_eq!(files(&bench), [3, 5]);
}

#[test]
fn a_snapshot_beyond_the_cut_is_not_used() {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    for sequence in 0..3 {
        let batch = bench.numbered(1, 0, sequence, 1);
        log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).unwrap();
    }
    let mut log = bench.load(false);
    cut(&mut log, 1, &mut bench);
    let next = bench.numbered(1, 0, 1, 1);
    let appended = log.append_as_leader(&next, LeaderEpoch(0), &mut bench).unwrap();
    assert_eq!((appended.base_offset, appended.duplicate), (Offset(1), false));
}

#[test]
fn a_segment_rolls_when_its_first_batch_is_older_than_segment_ms_by_the_timestamps() {
    let settings = TopicSettings {
        segment_ms: Duration::millis(100),
        ..TopicSettings::default()
    };
    let mut bench = Bench::default();
    let mut log = bench.load_with(settings, false);
    let mut append_at = |millis: u64| {
        bench.now = Time(millis * 1_000_000);
        let batch = bench.batch(1);
        log.append_as_leader(&batch, LeaderEpoch(0), &mut bench)
            .unwrap()
            .rolled
    };
    assert_eq!(append_at(1_000), None);
    assert_eq!(append_at(1_100), None);
    assert_eq!(append_at(1_101), Some(Offset(2)));
    assert_eq!(append_at(1_200), None);
}

#[test]
fn an_epoch_may_turn_out_to_start_earlier_and_never_later() {
    let mut cache = EpochCache::default();
    assert!(cache.assign(LeaderEpoch(1), Offset(5)));
    assert!(!cache.assign(LeaderEpoch(1), Offset(7)));
    assert!(cache.assign(LeaderEpoch(1), Offset(3)));
    assert_eq!(cache.entries().as_slice(), [(LeaderEpoch(1), Offset(3))]);
}
