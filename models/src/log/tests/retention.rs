use super::*;
use crate::config::CleanupPolicy;
use crate::config::testing::topic;

/// One batch of ten bytes a second from second 0 on, two to a segment, all committed; then the clock is set.
fn filled(settings: &str, count: u64, now: u64, bench: &mut Bench) -> Log {
    let settings = TopicSettings {
        internal_segment_bytes: Some(20),
        ..topic(settings)
    };
    let mut log = bench.load_with(settings, false);
    for second in 0..count {
        bench.now = ktrial_sim::Time(second * 1_000_000_000);
        let batch = bench.batch(1);
        log.append_as_leader(&batch, LeaderEpoch(0), bench)
            .expect("an ordinary batch");
    }
    log.maybe_increment_high_watermark(Offset(count));
    bench.now = ktrial_sim::Time(now * 1_000_000_000);
    log
}

/// Where the log starts and ends after a run of retention, and how many batches are on the disk.
fn left(log: &mut Log, bench: &mut Bench) -> (u64, u64, usize) {
    log.delete_old_segments(bench).expect("the disk is well");
    (log.start().0, log.end().0, log.batches(bench).count())
}

#[test]
fn segments_go_whole_oldest_first_up_to_the_first_that_stays() {
    let mut bench = Bench::default();
    let mut log = filled("retention.ms=5000", 7, 8, &mut bench);
    // Those of seconds 0 and 1 and of 2 and 3 end before second 3; the newest record of the next is from second 5.
    assert_eq!(left(&mut log, &mut bench), (2, 7, 5));
    bench.now = ktrial_sim::Time(9_000_000_000);
    assert_eq!(left(&mut log, &mut bench), (4, 7, 3));
    assert_eq!(
        read(&log, 3, 100, 7, &mut bench),
        Err(ErrorCode::OffsetOutOfRange)
    );
    assert_eq!(read(&log, 4, 100, 7, &mut bench), Ok(vec![4, 5]));
    let deleted: Vec<(u64, usize)> = notes(&mut bench)
        .into_iter()
        .filter_map(|note| match note {
            LogNote::SegmentsDeleted { below, batches, .. } => Some((below.0, batches.len())),
            _ => None,
        })
        .collect();
    assert_eq!(deleted, [(2, 2), (4, 2)]);
}

#[test]
fn the_active_segment_goes_too_and_an_empty_one_begins_at_the_end() {
    let mut bench = Bench::default();
    let mut log = filled("retention.ms=5000", 3, 60, &mut bench);
    let deleted = log.delete_old_segments(&mut bench).expect("the disk is well");
    assert_eq!(deleted.rolled, Some(Offset(3)));
    assert_eq!(left(&mut log, &mut bench), (3, 3, 0));
    assert_eq!(log.segments().count(), 1);
    let batch = bench.batch(1);
    let appended = log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).unwrap();
    assert_eq!(appended.base_offset, Offset(3));
}

#[test]
fn nothing_goes_that_reaches_beyond_the_high_watermark() {
    let mut bench = Bench::default();
    let mut log = filled("retention.ms=5000", 6, 60, &mut bench);
    log.update_high_watermark(Offset(3), &mut bench);
    assert_eq!(left(&mut log, &mut bench), (2, 6, 4));
}

#[test]
fn a_record_from_the_future_keeps_its_segment_and_all_behind_it() {
    let mut bench = Bench::default();
    let mut log = filled("retention.ms=5000", 2, 3_600, &mut bench);
    let late = bench.batch(1);
    log.append_as_leader(&late, LeaderEpoch(0), &mut bench).unwrap();
    log.maybe_increment_high_watermark(Offset(3));
    bench.now = ktrial_sim::Time(60_000_000_000);
    assert_eq!(left(&mut log, &mut bench), (2, 3, 1));
    bench.now = ktrial_sim::Time(3_606_000_000_000);
    assert_eq!(left(&mut log, &mut bench), (3, 3, 0));
}

#[test]
fn without_the_policy_delete_only_segments_below_the_logs_start_go() {
    let mut bench = Bench::default();
    let mut log = filled("retention.ms=5000\nretention.bytes=0", 6, 60, &mut bench);
    log.update_settings(TopicSettings {
        cleanup_policy: CleanupPolicy {
            delete: false,
            compact: false,
        },
        ..*log.settings()
    });
    log.maybe_increment_log_start(Offset(3), &mut bench).unwrap();
    assert_eq!(left(&mut log, &mut bench), (3, 6, 4));
}

#[test]
fn a_log_whose_segments_went_starts_and_ends_after_a_kill_where_it_did_before() {
    for (count, now, expected) in [(7, 8, (2, 7)), (7, 60, (7, 7))] {
        let mut bench = Bench::default();
        let mut log = filled("retention.ms=5000", count, now, &mut bench);
        left(&mut log, &mut bench);
        let settings = *log.settings();
        let again = bench.load_with(settings, false);
        assert_eq!((again.start().0, again.end().0), expected);
        assert_eq!(again.segments().first_base(), log.segments().first_base());
    }
}

#[test]
fn the_epochs_of_deleted_records_are_merged_into_one_at_the_new_start() {
    let mut bench = Bench::default();
    let mut log = bench.load_with(
        TopicSettings {
            internal_segment_bytes: Some(20),
            ..topic("retention.bytes=20")
        },
        false,
    );
    for epoch in [0, 1, 2, 2, 3] {
        let batch = bench.batch(1);
        log.append_as_leader(&batch, LeaderEpoch(epoch), &mut bench)
            .unwrap();
    }
    log.maybe_increment_high_watermark(Offset(5));
    assert_eq!(left(&mut log, &mut bench), (2, 5, 3));
    let entries = [(LeaderEpoch(2), Offset(2)), (LeaderEpoch(3), Offset(4))];
    assert_eq!(log.epochs().entries().as_slice(), entries);
    assert!(log.has_unwritten_epochs());
}

#[test]
fn snapshots_of_producers_go_with_the_segments_at_whose_bases_they_stand() {
    let mut bench = Bench::default();
    let settings = TopicSettings {
        internal_segment_bytes: Some(20),
        ..topic("retention.bytes=20")
    };
    let mut log = bench.load_with(settings, false);
    for sequence in 0..5 {
        let batch = bench.numbered(7, 0, sequence, 1);
        log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).unwrap();
    }
    log.maybe_increment_high_watermark(Offset(5));
    let snapshots = |bench: &Bench| match bench
        .disk
        .document(crate::kafka::document::producer_snapshot(PARTITION))
    {
        Some(crate::documents::Document::Producers(files)) => {
            files.0.iter().map(|file| file.offset.0).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(snapshots(&bench), [2, 4]);
    assert_eq!(left(&mut log, &mut bench), (2, 5, 3));
    assert_eq!(
        snapshots(&bench),
        [2, 4],
        "it stands at the base of the first that is left"
    );
    log.update_settings(TopicSettings {
        retention_bytes: Some(10),
        ..settings
    });
    assert_eq!(left(&mut log, &mut bench), (4, 5, 1));
    assert_eq!(snapshots(&bench), [4]);
}
