use ktrial_sim::{DiskError, Duration, NodeId, Time};

use super::*;
use crate::config::{CleanupPolicy, TimestampType};
use crate::documents::Document;
use crate::ids::RecordId;
use crate::kafka::document;
use crate::log::FollowerAppendError;
use crate::mutation::{Mutation, Mutations};
use crate::records::Record;

#[test]
fn a_leader_numbers_batches_one_after_the_other_and_stamps_its_epoch() {
    let mut bench = Bench::default();
    let log = written(&[(3, 2), (3, 1), (5, 4)], &mut bench);
    assert_eq!(batches(&log, &mut bench), [(0, 3, 2), (2, 3, 1), (3, 5, 4)]);
    assert_eq!(log.end(), Offset(7));
}

#[test]
fn a_new_epoch_is_in_its_file_before_anything_is_flushed() {
    let mut bench = Bench::default();
    written(&[(3, 2), (5, 1)], &mut bench);
    let Some(Document::LeaderEpochs(epochs)) = bench.disk.document(document::leader_epochs(PARTITION)) else {
        panic!("no epoch file");
    };
    assert_eq!(
        epochs.as_slice(),
        [(LeaderEpoch(3), Offset(0)), (LeaderEpoch(5), Offset(2))]
    );
}

#[test]
fn a_batch_larger_than_max_message_bytes_is_refused() {
    let mut bench = Bench::default();
    let settings = TopicSettings {
        max_message_bytes: 30,
        ..TopicSettings::default()
    };
    let mut log = bench.load_with(settings, false);
    let (fits, too_large) = (bench.batch(3), bench.batch(4));
    assert!(log.append_as_leader(&fits, LeaderEpoch(0), &mut bench).is_ok());
    let refused = log.append_as_leader(&too_large, LeaderEpoch(0), &mut bench);
    assert_eq!(refused, Err(ErrorCode::MessageTooLarge));
    assert_eq!(log.end(), Offset(3));
}

#[test]
fn a_batch_larger_than_a_segment_is_refused_after_its_epoch_was_written() {
    let mut bench = Bench::default();
    let mut log = bench.load_with(segments_of(30), false);
    let batch = bench.batch(4);
    let refused = log.append_as_leader(&batch, LeaderEpoch(7), &mut bench);
    assert_eq!(refused, Err(ErrorCode::RecordListTooLarge));
    assert_eq!(log.latest_epoch(), Some(LeaderEpoch(7)));
}

#[test]
fn a_spoilt_batch_is_refused() {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    let mut batch = bench.batch(1);
    batch.corrupt = true;
    let refused = log.append_as_leader(&batch, LeaderEpoch(0), &mut bench);
    assert_eq!(refused, Err(ErrorCode::CorruptMessage));
}

#[test]
fn a_compacted_topic_refuses_records_without_a_key() {
    let mut bench = Bench::default();
    let compacted = TopicSettings {
        cleanup_policy: CleanupPolicy {
            delete: false,
            compact: true,
        },
        ..TopicSettings::default()
    };
    let mut log = bench.load_with(compacted, false);
    let batch = bench.batch(1);
    let refused = log.append_as_leader(&batch, LeaderEpoch(0), &mut bench);
    assert_eq!(refused, Err(ErrorCode::InvalidRecord));
}

#[test]
fn of_a_batch_with_two_faults_the_wrong_timestamp_is_told() {
    let mut bench = Bench::default();
    let settings = TopicSettings {
        cleanup_policy: CleanupPolicy {
            delete: false,
            compact: true,
        },
        message_timestamp_before_max_ms: Duration::millis(100),
        ..TopicSettings::default()
    };
    let mut log = bench.load_with(settings, false);
    let now = Time(5_000_000_000);
    let mut send = |second: Option<u32>| {
        // The first record has no key, the second one is too old.
        let record = |number: u32, key, timestamp| Record {
            id: RecordId {
                producer: NodeId(9),
                number,
            },
            key,
            bytes: 10,
            timestamp,
        };
        let records = [record(0, None, now), record(1, second, Time::ZERO)];
        let batch = Batch {
            records: bench.contents.store(records),
            ..bench.batch(2)
        };
        bench.now = now;
        let appended = log.append_as_leader(&batch, LeaderEpoch(0), &mut bench);
        appended.map(|_| ())
    };
    assert_eq!(send(Some(7)), Err(ErrorCode::InvalidTimestamp));
    // Of a record without its key the timestamp is not looked at.
    assert_eq!(send(None), Err(ErrorCode::InvalidRecord));
}

#[test]
fn timestamps_are_held_against_the_leaders_own_clock() {
    let limits = TopicSettings {
        message_timestamp_before_max_ms: Duration::millis(100),
        message_timestamp_after_max_ms: Duration::millis(10),
        ..TopicSettings::default()
    };
    let mut bench = Bench::default();
    bench.now = Time(5_000_000_000);
    let mut log = bench.load_with(limits, false);
    let batch = bench.batch(1);
    let mut at = |millis: u64| {
        bench.now = Time(millis * 1_000_000);
        log.append_as_leader(&batch, LeaderEpoch(0), &mut bench)
            .map(|_| ())
    };
    assert_eq!(at(5_100), Ok(()));
    assert_eq!(at(5_101), Err(ErrorCode::InvalidTimestamp));
    assert_eq!(at(4_990), Ok(()));
    assert_eq!(at(4_989), Err(ErrorCode::InvalidTimestamp));
}

#[test]
fn log_append_time_takes_the_leaders_clock_and_refuses_nothing() {
    let settings = TopicSettings {
        message_timestamp_type: TimestampType::LogAppendTime,
        message_timestamp_after_max_ms: Duration::ZERO,
        ..TopicSettings::default()
    };
    let mut bench = Bench::default();
    bench.now = Time(9_000_000_000);
    let mut log = bench.load_with(settings, false);
    let batch = bench.batch(1);
    bench.now = Time(2_000_000_000);
    assert!(log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).is_ok());
    let stamped = log
        .batches(&mut bench)
        .next()
        .expect("it was appended")
        .max_timestamp;
    assert_eq!(stamped, Time(2_000_000_000));
}

#[test]
fn a_batch_sent_again_gets_its_old_offset_and_is_not_appended_again() {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    let (first, second) = (bench.numbered(1, 0, 0, 2), bench.numbered(1, 0, 2, 3));
    for batch in [&first, &second] {
        assert!(
            !log.append_as_leader(batch, LeaderEpoch(0), &mut bench)
                .unwrap()
                .duplicate
        );
    }
    let again = log.append_as_leader(&first, LeaderEpoch(1), &mut bench).unwrap();
    assert!(again.duplicate);
    assert_eq!((again.base_offset, again.next_offset), (Offset(0), Offset(2)));
    assert_eq!(log.end(), Offset(5));
}

#[test]
fn without_deduplication_a_batch_sent_again_is_there_twice() {
    let mut bench = Bench::default();
    let mutations = Mutations::only(Mutation::NoDeduplication);
    let mut log = bench.loaded(TopicSettings::default(), mutations, false).log;
    let batch = bench.numbered(1, 0, 0, 2);
    for _ in 0..2 {
        log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).unwrap();
    }
    assert_eq!(log.end(), Offset(4));
}

#[test]
fn a_batch_older_than_the_window_is_out_of_order_and_not_a_duplicate() {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    let sent: Vec<_> = (0..6).map(|sequence| bench.numbered(1, 0, sequence, 1)).collect();
    for batch in &sent {
        log.append_as_leader(batch, LeaderEpoch(0), &mut bench).unwrap();
    }
    let again = log.append_as_leader(&sent[0], LeaderEpoch(0), &mut bench);
    assert_eq!(again, Err(ErrorCode::OutOfOrderSequenceNumber));
    assert!(
        log.append_as_leader(&sent[1], LeaderEpoch(0), &mut bench)
            .unwrap()
            .duplicate
    );
}

#[test]
fn an_unknown_producer_may_start_with_any_sequence() {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    let batch = bench.numbered(1, 0, 17, 1);
    assert!(log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).is_ok());
}

#[test]
fn an_older_producer_epoch_is_refused_and_a_newer_one_starts_at_zero() {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    let mut send = |epoch, sequence| {
        let batch = bench.numbered(1, epoch, sequence, 1);
        log.append_as_leader(&batch, LeaderEpoch(0), &mut bench)
            .map(|appended| appended.base_offset.0)
    };
    assert_eq!(send(3, 0), Ok(0));
    assert_eq!(send(2, 1), Err(ErrorCode::InvalidProducerEpoch));
    assert_eq!(send(4, 1), Err(ErrorCode::OutOfOrderSequenceNumber));
    assert_eq!(send(4, 0), Ok(1));
}

#[test]
fn sequence_numbers_wrap_to_zero() {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    for sequence in [i32::MAX as u32 - 1, 0] {
        let batch = bench.numbered(1, 0, sequence, 2);
        assert!(log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).is_ok());
    }
}

#[test]
fn a_refused_sequence_leaves_the_new_epoch_and_the_roll_behind() {
    let mut bench = Bench::default();
    let mut log = bench.load_with(segments_of(30), false);
    let (first, gap) = (bench.numbered(1, 0, 0, 2), bench.numbered(1, 0, 9, 2));
    log.append_as_leader(&first, LeaderEpoch(0), &mut bench).unwrap();
    let refused = log.append_as_leader(&gap, LeaderEpoch(4), &mut bench);
    assert_eq!(refused, Err(ErrorCode::OutOfOrderSequenceNumber));
    assert_eq!(
        (log.latest_epoch(), log.segments().count()),
        (Some(LeaderEpoch(4)), 2)
    );
}

#[test]
fn a_follower_takes_gaps_but_does_not_go_back() {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    let ahead = [bench.copied(0, 1, 2), bench.copied(7, 2, 1)];
    let appended = log
        .append_as_follower(&ahead, LeaderEpoch(2), &mut bench)
        .unwrap();
    assert_eq!((appended.bytes, appended.last_epoch), (30, Some(LeaderEpoch(2))));
    assert_eq!(log.end(), Offset(8));
    let behind = [bench.copied(7, 2, 3)];
    assert_eq!(
        log.append_as_follower(&behind, LeaderEpoch(2), &mut bench),
        Err(FollowerAppendError::Unexpected {
            first: Offset(7),
            last: Offset(9)
        })
    );
}

#[test]
fn a_follower_ignores_everything_from_the_first_batch_of_a_later_epoch_on() {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    let answer = [
        bench.copied(0, 4, 1),
        bench.copied(1, 6, 1),
        bench.copied(2, 4, 1),
    ];
    log.append_as_follower(&answer, LeaderEpoch(5), &mut bench)
        .unwrap();
    assert_eq!(batches(&log, &mut bench), [(0, 4, 1)]);
}

#[test]
fn a_follower_does_not_question_sequences() {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    let mut answer = [bench.numbered(1, 0, 5, 1), bench.numbered(1, 0, 3, 1)];
    answer[1].base_offset = Offset(1);
    assert!(
        log.append_as_follower(&answer, LeaderEpoch(0), &mut bench)
            .is_ok()
    );
    assert_eq!(log.end(), Offset(2));
}

#[test]
fn a_follower_refuses_spoilt_batches_and_offsets_out_of_order() {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    let mut spoilt = [bench.copied(0, 0, 1)];
    spoilt[0].corrupt = true;
    let refused = log.append_as_follower(&spoilt, LeaderEpoch(0), &mut bench);
    assert_eq!(refused, Err(FollowerAppendError::Corrupt));
    let disordered = [bench.copied(3, 0, 1), bench.copied(1, 0, 1)];
    let refused = log.append_as_follower(&disordered, LeaderEpoch(0), &mut bench);
    assert_eq!(refused, Err(FollowerAppendError::OutOfOrder));
}

#[test]
fn a_mutant_skips_a_batch_and_another_gives_one_offset_twice() {
    let mut bench = Bench::default();
    let skip = Mutations::only(Mutation::SkipBatchOnFollower);
    let mut log = bench.loaded(TopicSettings::default(), skip, false).log;
    let answer = [bench.copied(0, 0, 1), bench.copied(1, 0, 1)];
    log.append_as_follower(&answer, LeaderEpoch(0), &mut bench)
        .unwrap();
    assert_eq!(batches(&log, &mut bench), [(1, 0, 1)]);

    let mut bench = Bench::default();
    let reuse = Mutations::only(Mutation::ReuseOffset);
    let mut log = bench.loaded(TopicSettings::default(), reuse, false).log;
    for _ in 0..4 {
        let batch = bench.batch(1);
        log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).unwrap();
    }
    assert_eq!(
        batches(&log, &mut bench),
        [(0, 0, 1), (0, 0, 1), (1, 0, 1), (1, 0, 1)]
    );
}

#[test]
fn a_failing_disk_refuses_the_append_and_takes_the_log_offline_for_good() {
    let mut bench = Bench::default();
    let mut log = bench.load(false);
    let batch = bench.batch(1);
    bench.disk.health.refuses = Some(DiskError::Failing);
    for _ in 0..2 {
        let refused = log.append_as_leader(&batch, LeaderEpoch(0), &mut bench);
        assert_eq!(refused, Err(ErrorCode::KafkaStorageError));
    }
    bench.disk.health.refuses = None;
    let refused = log.append_as_leader(&batch, LeaderEpoch(0), &mut bench);
    assert_eq!(refused, Err(ErrorCode::KafkaStorageError));
    let offline = notes(&mut bench)
        .into_iter()
        .filter(|note| *note == LogNote::Offline);
    assert_eq!(offline.count(), 1);
}

#[test]
fn a_read_gives_whole_batches_up_to_the_limit_the_size_and_the_segments_end() {
    let mut bench = Bench::default();
    let mut log = bench.load_with(segments_of(60), false);
    for _ in 0..4 {
        let batch = bench.batch(2);
        log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).unwrap();
    }
    let mut read = |from, max, limit| read(&log, from, max, limit, &mut bench);
    assert_eq!(read(0, 1_000, 8), Ok(vec![0, 2, 4]));
    assert_eq!(read(6, 1_000, 8), Ok(vec![6]));
    assert_eq!(read(3, 1_000, 4), Ok(vec![2]));
    assert_eq!(read(0, 40, 8), Ok(vec![0, 2]));
    assert_eq!(read(0, 1, 8), Ok(vec![0]));
    assert_eq!(read(0, 1_000, 3), Ok(vec![0]));
    assert_eq!(read(5, 1_000, 4), Ok(vec![]));
    assert_eq!(read(9, 1_000, 8), Err(ErrorCode::OffsetOutOfRange));
}

#[test]
fn bytes_between_counts_what_a_parked_fetch_would_get() {
    let mut bench = Bench::default();
    let log = written(&[(0, 2), (0, 3), (0, 4)], &mut bench);
    assert_eq!(log.bytes_between(Offset(2), Offset(9), &mut bench), 70);
    assert_eq!(log.bytes_between(Offset(2), Offset(5), &mut bench), 30);
    assert_eq!(log.bytes_between(Offset(9), Offset(9), &mut bench), 0);
}
