//! From `send` to the socket: clients.md 2.1, 2.2 and the timers of 2.5.

use super::*;
use crate::config::{Acks, Partitioner};
use crate::cuts;
use crate::producer::partition_for_key;

fn settings() -> ProducerSettings {
    ProducerSettings::default()
}

#[test]
fn a_record_waits_for_metadata_a_producer_id_and_linger() {
    let mut bench = Bench::new(settings(), 1, sends(&[0]));
    bench.pass(4);
    assert!(bench.produces.is_empty());
    bench.pass(2);
    let produce = bench.take_produce();
    assert_eq!(produce.sequence(), (0, 0));
    bench.accept(&produce, 40);
    assert!(bench.desk.notes.contains(&ClientNote::Acknowledged {
        records: produce.request.batches[0].1.records,
        partition: PartitionId(0),
        base_offset: Some(Offset(40)),
    }));
    assert_eq!(bench.acknowledged(), [0]);
    assert!(bench.producer.is_drained());
}

#[test]
fn records_of_one_linger_share_a_batch() {
    let mut bench = Bench::new(settings(), 1, sends(&[10, 12, 14, 17]));
    bench.pass(16);
    assert_eq!(bench.take_produce().numbers(&bench), [0, 1, 2]);
    bench.pass(10);
    assert_eq!(bench.take_produce().numbers(&bench), [3]);
}

#[test]
fn a_full_batch_leaves_before_linger_is_over() {
    let mut bench = Bench::new(
        ProducerSettings {
            batch_size: 61 + 200,
            linger_ms: Duration::secs(10),
            ..settings()
        },
        1,
        sends(&[10, 10, 11]),
    );
    bench.pass(10);
    assert_eq!(bench.take_produce().numbers(&bench), [0, 1]);
}

#[test]
fn sequences_count_records_in_order_of_draining() {
    let mut bench = Bench::new(settings(), 1, sends(&[0, 0, 20, 40]));
    bench.pass(60);
    let sequences: Vec<_> = bench.produces.iter().map(Produce::sequence).collect();
    assert_eq!(sequences, [(0, 0), (0, 2), (0, 3)]);
}

#[test]
fn no_more_than_max_in_flight_requests_are_unanswered() {
    let times: Vec<u64> = (0..10).map(|number| number * 20).collect();
    let mut bench = Bench::new(settings(), 1, sends(&times));
    bench.pass(500);
    assert_eq!(bench.produces.len(), 5);
    let first = bench.take_produce();
    bench.accept(&first, 0);
    bench.pass(1);
    assert_eq!(bench.produces.len(), 5);
    assert_eq!(bench.produces[4].numbers(&bench), [5, 6, 7, 8, 9]);
}

#[test]
fn one_request_in_flight_mutes_its_partitions() {
    let mut bench = Bench::new(
        ProducerSettings {
            max_in_flight_requests_per_connection: 1,
            enable_idempotence: false,
            ..settings()
        },
        1,
        sends(&[0, 20]),
    );
    bench.pass(100);
    assert_eq!(bench.produces.len(), 1);
    let first = bench.take_produce();
    bench.refuse(&first, ErrorCode::NotEnoughReplicas);
    bench.pass(500);
    let again = bench.take_produce();
    assert_eq!(again.numbers(&bench), [0]);
    assert!(bench.produces.is_empty());
}

#[test]
fn a_ready_node_takes_batches_along_that_have_not_lingered() {
    let mut workload = sends(&[10, 13]);
    let elsewhere = |key: &u32| partition_for_key(*key, 4) != partition_for_key(0, 4);
    workload[1].key = (1..100).find(elsewhere);
    let mut bench = Bench::new(settings(), 4, workload);
    bench.pass(15);
    let mut numbers = bench.take_produce().numbers(&bench);
    numbers.sort();
    assert_eq!(numbers, [0, 1]);
}

#[test]
fn without_metadata_a_send_fails_after_max_block() {
    let mut bench = Bench::new(settings(), 0, sends(&[0, 1]));
    bench.pass(59_999);
    assert!(bench.failed().is_empty());
    bench.pass(2);
    assert_eq!(bench.failed(), [(0, "REQUEST_TIMED_OUT", FailureClass::Definite)]);
}

#[test]
fn a_send_that_waits_delays_those_behind_it() {
    let mut bench = Bench::new(settings(), 0, sends(&[0, 1]));
    bench.pass(500);
    let sent = |note: &&ClientNote| matches!(note, ClientNote::Sent { .. });
    assert_eq!(bench.desk.notes.iter().filter(sent).count(), 1);
    bench.leaders = vec![(Some(1), 1)];
    bench.pass(2_000);
    assert_eq!(bench.take_produce().numbers(&bench), [0, 1]);
}

#[test]
fn a_send_waits_for_memory_and_then_fails() {
    let mut bench = Bench::new(
        ProducerSettings {
            buffer_memory: 16384,
            batch_size: 16384,
            max_block_ms: Duration::millis(700),
            ..settings()
        },
        2,
        vec![
            SendOperation {
                after: Duration::ZERO,
                key: Some(0),
                bytes: 100,
            },
            SendOperation {
                after: Duration::ZERO,
                key: Some(1),
                bytes: 16300,
            },
            SendOperation {
                after: Duration::ZERO,
                key: Some(0),
                bytes: 16300,
            },
        ],
    );
    bench.pass(699);
    assert!(bench.failed().is_empty());
    bench.pass(1);
    assert_eq!(
        bench.failed()[0],
        (1, "REQUEST_TIMED_OUT", FailureClass::Definite)
    );
    let first = bench.take_produce();
    bench.accept(&first, 0);
    bench.pass(10);
    assert_eq!(bench.take_produce().numbers(&bench), [2]);
}

#[test]
fn a_record_larger_than_a_request_is_refused() {
    let mut workload = sends(&[0]);
    workload[0].bytes = 1_048_576;
    let mut bench = Bench::new(settings(), 1, workload);
    bench.pass(10);
    assert_eq!(bench.failed(), [(0, "MESSAGE_TOO_LARGE", FailureClass::Definite)]);
}

#[test]
fn round_robin_takes_the_partitions_in_turn() {
    let mut bench = Bench::new(
        ProducerSettings {
            partitioner_class: Partitioner::RoundRobin,
            ..settings()
        },
        3,
        sends(&[10, 10, 10]),
    );
    bench.pass(20);
    let produce = bench.take_produce();
    let partitions: Vec<u32> = produce.request.batches.iter().map(|(p, _)| p.0).collect();
    assert_eq!(partitions, [0, 1, 2]);
}

#[test]
fn records_without_a_key_stick_to_one_partition_until_it_got_a_batch_full() {
    let mut workload = sends(&[10; 6]);
    for operation in &mut workload {
        operation.key = None;
    }
    let mut bench = Bench::new(
        ProducerSettings {
            batch_size: 61 + 300,
            linger_ms: Duration::secs(1),
            ..settings()
        },
        3,
        workload,
    );
    bench.desk.chance = 0;
    bench.pass(10);
    let first = bench.take_produce();
    assert_eq!(first.numbers(&bench), [0, 1, 2]);
}

#[test]
fn acks_0_is_acknowledged_when_written() {
    let mut bench = Bench::new(
        ProducerSettings {
            acks: Acks::None,
            enable_idempotence: false,
            ..settings()
        },
        1,
        sends(&[0]),
    );
    bench.pass(10);
    assert_eq!(bench.acknowledged(), [0]);
    assert!(bench.desk.notes.iter().any(|note| matches!(
        note,
        ClientNote::Acknowledged {
            base_offset: None,
            ..
        }
    )));
}

/// A producer with acks=0 whose second record comes at 100 ms, when its socket is full.
fn before_a_full_socket() -> (Bench, ConnectionId) {
    let settings = ProducerSettings {
        acks: Acks::None,
        enable_idempotence: false,
        ..settings()
    };
    let mut bench = Bench::new(settings, 1, sends(&[0, 100, 200]));
    bench.pass(50);
    let connection = bench.take_produce().connection;
    bench.desk.unacknowledged = u64::MAX;
    bench.pass(1_000);
    (bench, connection)
}

#[test]
fn acks_0_is_not_acknowledged_before_the_socket_takes_it() {
    let (mut bench, connection) = before_a_full_socket();
    assert_eq!(bench.acknowledged(), [0]);
    assert!(bench.produces.is_empty());
    assert!(bench.desk.awaited.contains(&connection));

    bench.desk.unacknowledged = 0;
    bench.give(Input::Room(connection));
    bench.pass(10);
    assert_eq!(bench.take_produce().numbers(&bench), [1]);
    assert_eq!(bench.take_produce().numbers(&bench), [2]);
    assert_eq!(bench.acknowledged(), [0, 1, 2]);
}

#[test]
fn a_socket_that_stays_full_is_closed_after_the_request_timeout_and_nothing_that_waited_is_lost() {
    let (mut bench, connection) = before_a_full_socket();
    bench.pass(29_000);
    assert_eq!(bench.desk.closed, []);
    bench.pass(200);
    assert_eq!(bench.desk.closed, [connection]);

    bench.desk.unacknowledged = 0;
    bench.pass(1_000);
    let mut acknowledged = bench.acknowledged();
    acknowledged.sort();
    assert_eq!(acknowledged, [0, 1, 2]);
}

#[test]
fn while_metadata_are_due_nothing_else_is_sent() {
    let mut bench = Bench::new(settings(), 1, sends(&[0, 300_000, 301_000]));
    bench.pass(10);
    let first = bench.take_produce();
    bench.accept(&first, 0);
    bench.answer_metadata = false;
    let asked = bench.metadata_requests;
    bench.pass(302_000);
    assert!(bench.metadata_requests > asked, "max.age has passed");
    assert!(
        !bench.produces.is_empty(),
        "once they are asked for, records go on"
    );
}

#[test]
fn a_batch_appended_in_the_cut_before_the_wake_up_is_sent_with_the_next_wake_up() {
    let mut bench = Bench::new(settings(), 1, sends(&[50]));
    bench.pass(40);
    bench
        .desk
        .cuts
        .push((cuts::APPEND_TO_WAKEUP, Duration::millis(30)));
    bench.pass(30);
    assert!(bench.produces.is_empty(), "nobody told the sender");
    bench.pass(20);
    assert_eq!(bench.take_produce().numbers(&bench), [0]);
}

#[test]
fn what_is_appended_between_draining_and_expiring_goes_with_the_next_request() {
    let mut bench = Bench::new(settings(), 1, sends(&[50, 60]));
    bench.pass(45);
    bench
        .desk
        .cuts
        .push((cuts::DRAIN_TO_EXPIRE, Duration::millis(30)));
    bench.pass(35);
    assert!(bench.produces.is_empty());
    bench.pass(20);
    assert_eq!(bench.take_produce().numbers(&bench), [0]);
    assert_eq!(bench.take_produce().numbers(&bench), [1]);
}

#[test]
fn after_a_clock_step_a_batch_is_drained_expired_and_sent_all_the_same() {
    let mut bench = Bench::new(settings(), 1, sends(&[10]));
    bench.pass(12);
    bench.desk.wall += Duration::secs(200);
    bench.pass(10);
    assert_eq!(bench.failed(), [(0, "REQUEST_TIMED_OUT", FailureClass::Unknown)]);
    assert_eq!(bench.take_produce().numbers(&bench), [0]);
}

#[test]
fn a_new_process_goes_on_with_the_next_operation() {
    let mut bench = Bench::new(settings(), 1, sends(&[0, 100]));
    bench.pass(50);
    bench.desk.timers.clear();
    bench.producer.boot_in(&mut bench.desk);
    bench.produces.clear();
    bench.pass(200);
    assert_eq!(bench.take_produce().numbers(&bench), [1]);
    assert!(bench.now() > Time::ZERO);
}

#[test]
fn a_quiet_producer_sends_nothing_more_and_closes_when_all_is_answered() {
    let mut bench = Bench::new(settings(), 1, sends(&[0, 100, 200]));
    bench.pass(110);
    bench.give(Input::Signal(Signal::Quiesce));
    bench.pass(300);
    let (first, second) = (bench.take_produce(), bench.take_produce());
    assert!(bench.produces.is_empty() && !bench.producer.is_drained());
    bench.give(Input::Signal(Signal::Terminate));
    bench.accept(&first, 0);
    assert!(!bench.desk.exited);
    bench.accept(&second, 1);
    assert!(bench.producer.is_drained() && bench.desk.exited);
}

#[test]
fn a_send_waits_its_time_while_no_server_can_be_reached() {
    let mut bench = Bench::new(settings(), 1, sends(&[0]));
    bench.told = usize::MAX;
    for _ in 0..61_000 {
        let opened = bench.desk.opened.len();
        bench.pass(1);
        if bench.desk.opened.len() > opened {
            bench.lose(ConnectionId(opened as u32));
        }
    }
    assert!(bench.desk.opened.len() > 50, "it goes on trying");
    assert_eq!(bench.failed(), [(0, "REQUEST_TIMED_OUT", FailureClass::Definite)]);
}
