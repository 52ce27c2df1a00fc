//! Each setting of a log, as an override of a topic and in a broker's file, from its text to what it changes.

use ktrial_sim::Time;

use super::*;
use crate::config::testing::{topic, topic_on_brokers};

/// Both ways to give a log the same setting.
fn both(override_of_topic: &str, in_file: &str) -> [TopicSettings; 2] {
    [topic(override_of_topic), topic_on_brokers(in_file)]
}

/// A batch of one record with so many bytes and the timestamp `millis`, appended when the leader's clock shows `now`.
fn append(log: &mut Log, bench: &mut Bench, bytes: u32, millis: u64, now: u64) -> Result<bool, ErrorCode> {
    bench.now = Time(millis * 1_000_000);
    let batch = Batch {
        bytes,
        ..bench.batch(1)
    };
    bench.now = Time(now * 1_000_000);
    let appended = log.append_as_leader(&batch, LeaderEpoch(0), bench)?;
    Ok(appended.flush_due)
}

/// How many segments a log has after batches of so many bytes, one each second.
fn segments_after(settings: TopicSettings, sizes: &[u32]) -> usize {
    let mut bench = Bench::default();
    let mut log = bench.load_with(settings, false);
    let mut rolled = 1;
    for (bytes, second) in sizes.iter().zip(1_000..) {
        bench.now = Time(second * 1_000_000_000);
        let batch = Batch {
            bytes: *bytes,
            ..bench.batch(1)
        };
        let appended = log
            .append_as_leader(&batch, LeaderEpoch(0), &mut bench)
            .expect("it fits");
        rolled += usize::from(appended.rolled.is_some());
    }
    rolled
}

#[test]
fn max_message_bytes_refuses_a_batch_that_is_larger() {
    let limited = both("max.message.bytes=2000", "message.max.bytes=2000");
    for (settings, refused) in limited
        .map(|settings| (settings, true))
        .into_iter()
        .chain([(topic(""), false)])
    {
        let mut bench = Bench::default();
        let mut log = bench.load_with(settings, false);
        let result = append(&mut log, &mut bench, 2_001, 0, 0);
        assert_eq!(result == Err(ErrorCode::MessageTooLarge), refused);
    }
}

#[test]
fn flush_messages_is_after_how_many_records_a_log_is_flushed() {
    for (records, flushes) in [(1, [true; 4]), (2, [false, true, false, true]), (9, [false; 4])] {
        let both = both(
            &format!("flush.messages={records}"),
            &format!("log.flush.interval.messages={records}"),
        );
        for settings in both {
            let mut bench = Bench::default();
            let mut log = bench.load_with(settings, false);
            let flushed = [(); 4].map(|()| {
                let due = append(&mut log, &mut bench, 100, 0, 0).expect("it fits");
                if due {
                    log.flush(log.end(), &mut bench).expect("the disk is well");
                }
                due
            });
            assert_eq!(flushed, flushes, "{records}");
        }
    }
}

#[test]
fn segment_bytes_ends_a_segment() {
    let sizes = [600_000; 3];
    for settings in both("segment.bytes=1048576", "log.segment.bytes=1048576") {
        assert_eq!(segments_after(settings, &sizes), 3);
    }
    assert_eq!(segments_after(topic("segment.bytes=1500000"), &sizes), 2);
    assert_eq!(segments_after(topic("internal.segment.bytes=700000"), &sizes), 3);
}

#[test]
fn segment_ms_ends_a_segment() {
    let sizes = [100; 6];
    for settings in both("segment.ms=1500", "log.roll.ms=1500") {
        assert_eq!(segments_after(settings, &sizes), 3);
    }
    assert_eq!(segments_after(topic("segment.ms=3500"), &sizes), 2);
    assert_eq!(segments_after(topic_on_brokers("log.roll.hours=1"), &sizes), 1);
    assert_eq!(
        topic_on_brokers("log.roll.hours=1").segment_ms,
        topic("segment.ms=3600000").segment_ms
    );
}

/// What becomes of a record with the timestamp 1000 s when the leader's clock shows these seconds.
fn accepted(settings: TopicSettings, now: [u64; 3]) -> [bool; 3] {
    now.map(|now| {
        let mut bench = Bench::default();
        let mut log = bench.load_with(settings, false);
        append(&mut log, &mut bench, 100, 1_000_000, now * 1_000).is_ok()
    })
}

#[test]
fn message_timestamp_before_max_ms_refuses_records_that_are_older() {
    for settings in both(
        "message.timestamp.before.max.ms=10000",
        "log.message.timestamp.before.max.ms=10000",
    ) {
        assert_eq!(accepted(settings, [1_000, 1_010, 1_011]), [true, true, false]);
    }
    assert_eq!(accepted(topic(""), [1_000, 1_010, 1_011]), [true; 3]);
}

#[test]
fn message_timestamp_after_max_ms_refuses_records_from_the_future() {
    for settings in both(
        "message.timestamp.after.max.ms=10000",
        "log.message.timestamp.after.max.ms=10000",
    ) {
        assert_eq!(accepted(settings, [1_000, 990, 989]), [true, true, false]);
    }
    assert_eq!(accepted(topic(""), [1_000, 990, 989]), [true; 3]);
}

#[test]
fn message_timestamp_type_says_whose_clock_stamps_records() {
    for (kind, stamped) in [("CreateTime", 1_000), ("LogAppendTime", 1_005)] {
        for settings in both(
            &format!("message.timestamp.type={kind}"),
            &format!("log.message.timestamp.type={kind}"),
        ) {
            let mut bench = Bench::default();
            let mut log = bench.load_with(settings, false);
            append(&mut log, &mut bench, 100, 1_000_000, 1_005_000).expect("it fits");
            let batch = log.batches(&mut bench).next().expect("it was appended");
            assert_eq!(batch.max_timestamp.millis(), stamped * 1_000, "{kind}");
        }
    }
}

/// Where a log starts after retention at second 10,000, with records of so many bytes appended at these seconds, each a
/// segment of its own.
fn start_after(settings: TopicSettings, records: &[(u32, u64)]) -> u64 {
    let mut bench = Bench::default();
    let settings = TopicSettings {
        internal_segment_bytes: Some(1_000),
        ..settings
    };
    let mut log = bench.load_with(settings, false);
    for (bytes, second) in records {
        append(&mut log, &mut bench, *bytes, second * 1_000, second * 1_000).expect("it fits");
    }
    log.maybe_increment_high_watermark(log.end());
    bench.now = Time(10_000_000_000_000);
    log.delete_old_segments(&mut bench).expect("the disk is well");
    log.start().0
}

#[test]
fn retention_ms_deletes_segments_whose_newest_record_is_older() {
    let records = [(900, 1_000), (900, 4_000), (900, 6_400), (900, 9_999)];
    for settings in both("retention.ms=4000000", "log.retention.ms=4000000") {
        assert_eq!(start_after(settings, &records), 2);
    }
    let in_file = |text| start_after(topic_on_brokers(text), &records);
    assert_eq!(in_file("log.retention.minutes=59"), 3);
    assert_eq!(in_file("log.retention.hours=1"), 2);
    assert_eq!(in_file("log.retention.hours=2"), 1);
    assert_eq!(in_file("log.retention.ms=-1"), 0);
    assert_eq!(start_after(topic(""), &records), 0);
}

#[test]
fn retention_bytes_deletes_the_oldest_segments_until_one_more_would_leave_too_little() {
    let records = [(900, 9_000); 4];
    for settings in both("retention.bytes=1700", "log.retention.bytes=1700") {
        assert_eq!(start_after(settings, &records), 2);
    }
    let kept = |text| start_after(topic(text), &records);
    assert_eq!(
        (kept("retention.bytes=1800"), kept("retention.bytes=1801")),
        (2, 1)
    );
    assert_eq!((kept("retention.bytes=0"), kept("retention.bytes=-1")), (4, 0));
}
