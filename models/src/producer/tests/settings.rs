//! Each setting of a producer, from its text to what it changes.

use super::*;
use crate::config::Acks;
use crate::config::testing::producer;

/// A producer with these settings at a bench with one partition.
fn bench(settings: &str, workload: Vec<SendOperation>) -> Bench {
    Bench::new(producer(settings), 1, workload)
}

/// The same, but no broker ever takes up a connection.
fn bench_without_brokers(settings: &str) -> Bench {
    let mut bench = bench(settings, sends(&[0]));
    bench.told = usize::MAX;
    bench
}

/// A producer whose first record has been acknowledged.
fn settled(settings: &str, workload: Vec<SendOperation>) -> Bench {
    let mut bench = bench(settings, workload);
    bench.millis_until(|bench| !bench.produces.is_empty());
    let produce = bench.take_produce();
    bench.accept(&produce, 0);
    bench
}

impl Bench {
    /// Milliseconds from now until something holds; at most a minute.
    fn millis_until(&mut self, holds: impl Fn(&Bench) -> bool) -> u64 {
        for millis in 0..60_000 {
            if holds(self) {
                return millis;
            }
            self.pass(1);
        }
        panic!("never: {:?}", self.desk.notes);
    }
}

#[test]
fn linger_ms_is_how_long_a_record_waits_for_others() {
    for (settings, waits) in [("linger.ms=0", 0), ("linger.ms=5", 5), ("linger.ms=30", 30)] {
        let mut bench = bench(settings, sends(&[100]));
        bench.pass(100);
        assert_eq!(
            bench.millis_until(|bench| !bench.produces.is_empty()),
            waits,
            "{settings}"
        );
    }
}

#[test]
fn a_record_that_is_larger_than_a_batch_waits_for_linger_ms_too() {
    let mut bench = bench("batch.size=0\nlinger.ms=30", sends(&[100]));
    bench.pass(100);
    assert_eq!(bench.millis_until(|bench| !bench.produces.is_empty()), 30);
}

#[test]
fn without_memory_for_one_batch_every_send_fails_at_once() {
    let mut bench = bench("buffer.memory=10000", sends(&[0, 10]));
    bench.pass(20);
    let failed = bench.failed().into_iter().map(|(_, error, class)| (error, class));
    let refused = ("IllegalArgumentException", FailureClass::Definite);
    assert_eq!(failed.collect::<Vec<_>>(), [refused; 2]);
}

#[test]
fn batch_size_ends_a_batch() {
    for (settings, first) in [
        ("batch.size=261", 2),
        ("batch.size=361", 3),
        ("batch.size=16384", 4),
    ] {
        let mut bench = bench(settings, sends(&[10; 4]));
        bench.pass(20);
        assert_eq!(bench.take_produce().numbers(&bench).len(), first, "{settings}");
    }
}

#[test]
fn buffer_memory_holds_back_what_has_no_room() {
    for (settings, sent) in [("buffer.memory=16384", 1), ("buffer.memory=32768", 2)] {
        let mut workload = sends(&[0, 0]);
        for operation in &mut workload {
            operation.bytes = 16_000;
        }
        let mut bench = bench(settings, workload);
        bench.pass(50);
        let records = bench.produces.iter().map(|produce| produce.numbers(&bench).len());
        assert_eq!(records.sum::<usize>(), sent, "{settings}");
    }
}

#[test]
fn max_block_ms_ends_a_send_that_waits_for_metadata() {
    for (settings, waits) in [("max.block.ms=1000", 1_000), ("max.block.ms=3000", 3_000)] {
        let mut bench = Bench::new(producer(settings), 0, sends(&[0]));
        assert_eq!(
            bench.millis_until(|bench| !bench.failed().is_empty()),
            waits,
            "{settings}"
        );
    }
}

#[test]
fn max_request_size_refuses_a_record_that_is_larger() {
    // Of 100 bytes 95 are key, value and their lengths; Kafka counts 21 beside them, and 61 for the batch.
    for (settings, refused) in [("max.request.size=176", 1), ("max.request.size=177", 0)] {
        let mut bench = bench(settings, sends(&[0]));
        bench.pass(10);
        assert_eq!(bench.failed().len(), refused, "{settings}");
    }
}

#[test]
fn send_buffer_bytes_is_three_quarters_of_what_a_socket_holds_unacknowledged() {
    for (settings, acknowledged) in [
        ("send.buffer.bytes=131072", vec![0]),
        ("send.buffer.bytes=132000", vec![0, 1]),
        ("send.buffer.bytes=-1", vec![0, 1]),
    ] {
        let settings = format!("acks=0 enable.idempotence=false {settings}");
        let mut bench = bench(&settings, sends(&[0, 100]));
        bench.pass(50);
        bench.desk.unacknowledged = 131_072 * 4 / 3 - 200;
        bench.pass(100);
        assert_eq!(bench.acknowledged(), acknowledged, "{settings}");
    }
}

#[test]
fn acks_says_whose_answer_a_record_waits_for() {
    for (settings, asked, acknowledged) in [
        ("acks=0", Acks::None, 1),
        ("acks=1", Acks::Leader, 0),
        ("acks=all", Acks::All, 0),
    ] {
        let mut bench = bench(settings, sends(&[0]));
        bench.pass(10);
        assert_eq!(bench.take_produce().request.acks, asked);
        assert_eq!(bench.acknowledged().len(), acknowledged, "{settings}");
    }
}

#[test]
fn enable_idempotence_keeps_the_order_over_a_lost_connection() {
    for (settings, again) in [
        ("enable.idempotence=false", vec![2, 1, 0]),
        ("enable.idempotence=true", vec![0]),
    ] {
        let mut bench = bench(settings, sends(&[0, 20, 40]));
        bench.pass(60);
        let lost = bench.take_produce().connection;
        bench.produces.clear();
        bench.lose(lost);
        bench.pass(1_000);
        let order = bench.produces.iter().flat_map(|produce| produce.numbers(&bench));
        assert_eq!(order.collect::<Vec<_>>(), again, "{settings}");
    }
}

#[test]
fn retries_counts_what_follows_the_first_attempt() {
    for (settings, attempts) in [("retries=1", 2), ("retries=3", 4)] {
        let mut bench = bench(settings, sends(&[0]));
        let mut made = 0;
        while bench.failed().is_empty() {
            bench.millis_until(|bench| !bench.produces.is_empty());
            let produce = bench.take_produce();
            bench.refuse(&produce, ErrorCode::NotEnoughReplicas);
            made += 1;
        }
        assert_eq!(made, attempts, "{settings}");
    }
}

#[test]
fn max_in_flight_requests_per_connection_is_how_many_may_be_unanswered() {
    for (settings, unanswered) in [
        ("max.in.flight.requests.per.connection=1", 1),
        ("max.in.flight.requests.per.connection=3", 3),
        (
            "max.in.flight.requests.per.connection=7 enable.idempotence=false",
            7,
        ),
    ] {
        let times: Vec<u64> = (0..10).map(|number| number * 20).collect();
        let mut bench = bench(settings, sends(&times));
        bench.pass(500);
        assert_eq!(bench.produces.len(), unanswered, "{settings}");
    }
}

#[test]
fn delivery_timeout_ms_ends_a_record_whatever_was_tried() {
    for (settings, fails) in [
        ("delivery.timeout.ms=3000 request.timeout.ms=1000", 3_000),
        ("delivery.timeout.ms=7000 request.timeout.ms=1000", 7_000),
    ] {
        let mut bench = bench(settings, sends(&[0]));
        assert_eq!(
            bench.millis_until(|bench| !bench.failed().is_empty()),
            fails,
            "{settings}"
        );
    }
}

#[test]
fn request_timeout_ms_closes_the_connection_of_an_unanswered_request() {
    for (settings, closes) in [
        ("request.timeout.ms=1000", 1_001),
        ("request.timeout.ms=2500", 2_501),
    ] {
        let mut bench = bench(settings, sends(&[0]));
        bench.millis_until(|bench| !bench.produces.is_empty());
        assert_eq!(
            bench.millis_until(|bench| !bench.desk.closed.is_empty()),
            closes,
            "{settings}"
        );
    }
}

/// Milliseconds from the answer that refuses a record to the next attempt, for each of the first attempts.
fn pauses(settings: &str) -> [u64; 3] {
    let mut bench = bench(settings, sends(&[0]));
    bench.millis_until(|bench| !bench.produces.is_empty());
    [(); 3].map(|()| {
        let produce = bench.take_produce();
        bench.refuse(&produce, ErrorCode::NotEnoughReplicas);
        bench.millis_until(|bench| !bench.produces.is_empty())
    })
}

#[test]
fn retry_backoff_ms_is_the_pause_before_the_first_retry() {
    assert_eq!(pauses("retry.backoff.ms=100")[0], 100);
    assert_eq!(pauses("retry.backoff.ms=400")[0], 400);
}

#[test]
fn retry_backoff_max_ms_ends_the_doubling() {
    assert_eq!(pauses("retry.backoff.max.ms=1000"), [100, 200, 400]);
    assert_eq!(pauses("retry.backoff.max.ms=200"), [100, 200, 200]);
}

/// Milliseconds between attempts to connect to the only server known, each of which is refused at once.
fn attempts_to_connect(settings: &str) -> [u64; 5] {
    // Metadata that could not be asked for are asked for again after retry.backoff.ms.
    let mut bench = bench_without_brokers(&format!("{settings} retry.backoff.ms=10 retry.backoff.max.ms=10"));
    bench.pass(0);
    let mut opened = 0;
    [(); 5].map(|()| {
        assert!(bench.desk.opened.len() > opened);
        opened = bench.desk.opened.len();
        bench.lose(ConnectionId(opened as u32 - 1));
        bench.millis_until(|bench| bench.desk.opened.len() > opened)
    })
}

#[test]
fn reconnect_backoff_ms_is_the_pause_before_connecting_again() {
    assert_eq!(attempts_to_connect("reconnect.backoff.ms=50")[0], 50);
    assert_eq!(attempts_to_connect("reconnect.backoff.ms=500")[0], 500);
}

#[test]
fn reconnect_backoff_max_ms_ends_the_doubling() {
    assert!(attempts_to_connect("reconnect.backoff.max.ms=1000")[4] > 600);
    assert!(attempts_to_connect("reconnect.backoff.max.ms=100")[4] < 200);
}

/// Milliseconds until an attempt to connect is given up to which nothing answers, for the first two attempts.
fn given_up_after(settings: &str) -> [u64; 2] {
    let mut bench = bench_without_brokers(settings);
    [1, 2].map(|attempt| {
        bench.millis_until(|bench| bench.desk.opened.len() == attempt);
        bench.millis_until(|bench| bench.desk.closed.len() == attempt)
    })
}

#[test]
fn socket_connection_setup_timeout_ms_gives_up_a_first_attempt() {
    let settings = "socket.connection.setup.timeout.ms=1000 socket.connection.setup.timeout.max.ms=1000";
    assert!((1_001..1_101).contains(&given_up_after(settings)[0]));
    let settings = "socket.connection.setup.timeout.ms=3000 socket.connection.setup.timeout.max.ms=3000";
    assert!((3_001..3_101).contains(&given_up_after(settings)[0]));
}

#[test]
fn socket_connection_setup_timeout_max_ms_ends_the_doubling() {
    let settings = "socket.connection.setup.timeout.ms=1000 socket.connection.setup.timeout.max.ms=9000";
    assert!(given_up_after(settings)[1] > 1_500);
    let settings = "socket.connection.setup.timeout.ms=1000 socket.connection.setup.timeout.max.ms=1000";
    assert!(given_up_after(settings)[1] < 1_500);
}

#[test]
fn connections_max_idle_ms_closes_a_connection_without_traffic() {
    for (settings, closed) in [
        ("connections.max.idle.ms=5000", true),
        ("connections.max.idle.ms=540000", false),
    ] {
        let mut bench = settled(settings, sends(&[0, 10_000]));
        bench.pass(10_100);
        assert_eq!(!bench.desk.closed.is_empty(), closed, "{settings}");
    }
}

#[test]
fn metadata_max_age_ms_is_how_often_metadata_are_asked_for() {
    for (settings, asked) in [("metadata.max.age.ms=1000", 11), ("metadata.max.age.ms=5000", 3)] {
        let mut bench = settled(settings, sends(&[0]));
        bench.pass(10_500);
        assert_eq!(bench.metadata_requests, asked, "{settings}");
    }
}

#[test]
fn metadata_max_idle_ms_forgets_a_topic_that_is_not_sent_to() {
    for (settings, forgotten) in [
        ("metadata.max.idle.ms=5000", true),
        ("metadata.max.idle.ms=300000", false),
    ] {
        let settings = format!("{settings} metadata.max.age.ms=6000");
        let mut bench = settled(&settings, sends(&[0, 8_000]));
        bench.pass(7_000);
        bench.answer_metadata = false;
        bench.pass(2_000);
        assert_eq!(bench.produces.is_empty(), forgotten, "{settings}");
    }
}

/// Whether a producer whose questions for metadata nobody answers for ten seconds still knows more servers than
/// those it was given (server 1).
fn remembers_other_servers(settings: &str) -> bool {
    let settings = format!("{settings} metadata.max.age.ms=1000 request.timeout.ms=500");
    let mut bench = settled(&settings, sends(&[0]));
    bench.answer_metadata = false;
    bench.pass(10_000);
    let opened = bench.desk.opened.len();
    bench.pass(10_000);
    bench.desk.opened[opened..].contains(&ServerId(2))
}

#[test]
fn metadata_recovery_strategy_says_whether_a_client_starts_again_from_its_bootstrap_servers() {
    let trigger = "metadata.recovery.rebootstrap.trigger.ms=3000";
    assert!(!remembers_other_servers(&format!(
        "metadata.recovery.strategy=rebootstrap {trigger}"
    )));
    assert!(remembers_other_servers(&format!(
        "metadata.recovery.strategy=none {trigger}"
    )));
}

#[test]
fn metadata_recovery_rebootstrap_trigger_ms_says_after_how_long() {
    assert!(!remembers_other_servers(
        "metadata.recovery.rebootstrap.trigger.ms=3000"
    ));
    assert!(remembers_other_servers(
        "metadata.recovery.rebootstrap.trigger.ms=300000"
    ));
}

/// How many partitions of three get records, sent at once with different keys.
fn partitions_used(settings: &str) -> usize {
    let mut workload = sends(&[10; 6]);
    for (key, operation) in workload.iter_mut().enumerate() {
        operation.key = Some(key as u32);
    }
    let mut bench = Bench::new(producer(settings), 3, workload);
    bench.pass(30);
    let batches = bench.produces.iter().flat_map(|produce| &produce.request.batches);
    let mut partitions: Vec<PartitionId> = batches.map(|(partition, _)| *partition).collect();
    partitions.sort();
    partitions.dedup();
    partitions.len()
}

#[test]
fn partitioner_ignore_keys_sends_records_with_keys_where_those_without_go() {
    assert_eq!(partitions_used("partitioner.ignore.keys=false"), 3);
    assert_eq!(partitions_used("partitioner.ignore.keys=true"), 1);
}

#[test]
fn partitioner_class_round_robin_takes_every_partition_in_turn() {
    let one_key = |settings: &str| {
        let mut bench = Bench::new(producer(settings), 3, sends(&[10, 10, 10]));
        bench.pass(20);
        bench.take_produce().request.batches.len()
    };
    assert_eq!(one_key(""), 1);
    let round_robin = "partitioner.class=org.apache.kafka.clients.producer.RoundRobinPartitioner";
    assert_eq!(one_key(round_robin), 3);
}

/// Of 60 records without a key, how many go to the partition of two whose leader does not answer.
fn sent_to_the_slow(settings: &str) -> usize {
    let times: Vec<u64> = (0..60).map(|number| 10 + number * 20).collect();
    let mut workload = sends(&times);
    for operation in &mut workload {
        operation.key = None;
    }
    let settings = format!("{settings} linger.ms=0 batch.size=161 max.in.flight.requests.per.connection=2");
    let mut bench = Bench::new(producer(&settings), 2, workload);
    bench.leaders = vec![(Some(1), 1), (Some(2), 1)];
    let mut answered = 0;
    for number in 0..150_u64 {
        bench.desk.chance = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bench.pass(10);
        let slow = |produce: &Produce| produce.request.batches[0].0 == PartitionId(0);
        while let Some(fast) = bench.produces.iter().position(|produce| !slow(produce)) {
            let produce = bench.produces.remove(fast);
            answered += produce.numbers(&bench).len();
            bench.accept(&produce, answered as u64);
        }
    }
    60 - answered
}

#[test]
fn partitioner_adaptive_partitioning_enable_spares_a_leader_that_does_not_answer() {
    let uniform = sent_to_the_slow("partitioner.adaptive.partitioning.enable=false");
    let adaptive = sent_to_the_slow("partitioner.adaptive.partitioning.enable=true");
    assert!(adaptive * 2 < uniform, "{adaptive} and {uniform}");
}

#[test]
fn partitioner_availability_timeout_ms_leaves_out_a_leader_that_is_not_ready_for_so_long() {
    let patient = sent_to_the_slow("partitioner.availability.timeout.ms=0");
    let impatient = sent_to_the_slow("partitioner.availability.timeout.ms=50");
    assert!(impatient < patient, "{impatient} and {patient}");
}
