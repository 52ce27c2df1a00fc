//! Producer id, epoch and sequences: the rows of clients.md 2.3 that are about them, T04 to T06 of the hazards.

use super::*;
use crate::producer::partition_for_key;

fn settings() -> ProducerSettings {
    ProducerSettings::default()
}

fn short() -> ProducerSettings {
    ProducerSettings {
        delivery_timeout_ms: Duration::secs(1),
        ..settings()
    }
}

#[test]
fn a_producer_id_is_asked_for_again_after_a_retriable_error() {
    let mut bench = Bench::new(settings(), 1, sends(&[0]));
    bench.producer_ids = vec![Err(ErrorCode::CoordinatorLoadInProgress), Ok((ProducerId(8), 0))];
    bench.pass(90);
    assert!(bench.produces.is_empty());
    bench.pass(30);
    let batch = bench.take_produce().request.batches[0].1;
    assert_eq!(
        batch.numbering.map(|numbering| numbering.producer),
        Some(ProducerId(8))
    );
}

#[test]
fn without_a_producer_id_for_good_every_send_fails() {
    let mut bench = Bench::new(settings(), 1, sends(&[0, 500]));
    bench.producer_ids = vec![Err(ErrorCode::InvalidRequest)];
    bench.pass(1_000);
    let failed = bench.failed();
    let expected = |number| (number, "KafkaException", FailureClass::Definite);
    assert_eq!(failed, [expected(0), expected(1)]);
}

#[test]
fn out_of_order_at_the_next_sequence_proves_a_gap_and_bumps_the_epoch() {
    let mut bench = Bench::new(settings(), 1, sends(&[0]));
    bench.pass(10);
    let first = bench.take_produce();
    bench.refuse(&first, ErrorCode::OutOfOrderSequenceNumber);
    bench.pass(150);
    assert_eq!(bench.take_produce().sequence(), (1, 0));
}

#[test]
fn out_of_order_behind_a_batch_that_is_retried_is_retried_too() {
    let mut bench = Bench::new(settings(), 1, sends(&[0, 20]));
    bench.pass(40);
    let (first, second) = (bench.take_produce(), bench.take_produce());
    bench.refuse(&first, ErrorCode::NotEnoughReplicas);
    bench.refuse(&second, ErrorCode::OutOfOrderSequenceNumber);
    bench.pass(150);
    let first = bench.take_produce();
    assert_eq!(first.sequence(), (0, 0));
    bench.accept(&first, 0);
    bench.pass(10);
    assert_eq!(bench.take_produce().sequence(), (0, 1));
}

#[test]
fn an_unknown_producer_id_bumps_the_epoch_and_retries() {
    let mut bench = Bench::new(settings(), 1, sends(&[0]));
    bench.pass(10);
    let first = bench.take_produce();
    bench.refuse(&first, ErrorCode::UnknownProducerId);
    bench.pass(150);
    assert_eq!(bench.take_produce().sequence(), (1, 0));
}

#[test]
fn an_invalid_epoch_fails_the_batch_and_bumps_for_the_next() {
    let mut bench = Bench::new(settings(), 1, sends(&[0, 50]));
    bench.pass(10);
    let first = bench.take_produce();
    bench.refuse(&first, ErrorCode::InvalidProducerEpoch);
    assert_eq!(
        bench.failed(),
        [(0, "INVALID_PRODUCER_EPOCH", FailureClass::Unknown)]
    );
    bench.pass(100);
    assert_eq!(bench.take_produce().sequence(), (1, 0));
}

#[test]
fn a_bump_renumbers_what_is_in_flight_of_the_partition() {
    let mut bench = Bench::new(settings(), 1, sends(&[0, 20, 40]));
    bench.pass(60);
    let (first, second) = (bench.take_produce(), bench.take_produce());
    bench.produces.clear();
    bench.refuse(&first, ErrorCode::MessageTooLarge);
    assert_eq!(bench.failed().len(), 1);
    bench.pass(1);
    // The second is still on its way as (0, 1); if it is lost it comes back under another name: a duplicate that
    // no broker can see.
    bench.lose(second.connection);
    bench.pass(1_000);
    assert_eq!(bench.take_produce().sequence(), (1, 0));
}

#[test]
fn partitions_without_the_failed_batch_start_anew_when_nothing_of_them_is_in_flight() {
    let elsewhere = (1..100).find(|key| partition_for_key(*key, 2) != partition_for_key(0, 2));
    let mut workload = sends(&[0, 30, 60, 200]);
    for late in [1, 3] {
        workload[late].key = elsewhere;
    }
    let mut bench = Bench::new(settings(), 2, workload);
    bench.pass(50);
    let (first, other) = (bench.take_produce(), bench.take_produce());
    bench.refuse(&first, ErrorCode::MessageTooLarge);
    bench.pass(50);
    assert_eq!(bench.take_produce().sequence(), (1, 0));
    bench.pass(200);
    assert!(
        bench.produces.is_empty(),
        "the other partition has an older epoch in flight"
    );
    bench.accept(&other, 0);
    bench.pass(10);
    assert_eq!(bench.take_produce().sequence(), (1, 0));
}

#[test]
fn a_partition_that_must_wait_ends_the_round_of_its_node() {
    let low = (0..100).find(|key| partition_for_key(*key, 2) == 0);
    let high = (0..100).find(|key| partition_for_key(*key, 2) == 1);
    let mut workload = sends(&[0, 30, 100, 200, 300]);
    for (operation, key) in workload.iter_mut().zip([high, low, low, high, high]) {
        operation.key = key;
    }
    let mut bench = Bench::new(settings(), 2, workload);
    bench.pass(50);
    let (failing, in_flight) = (bench.take_produce(), bench.take_produce());
    bench.refuse(&failing, ErrorCode::MessageTooLarge);
    bench.pass(500);
    // Partition 0 waits for its batch of the older epoch; partition 1 could go, but the round ends before it.
    assert!(bench.produces.is_empty());
    bench.accept(&in_flight, 0);
    bench.pass(1);
    let mut sent: Vec<u32> = bench
        .produces
        .iter()
        .flat_map(|produce| produce.numbers(&bench))
        .collect();
    sent.sort();
    assert_eq!(sent, [2, 3, 4]);
}

#[test]
fn a_batch_that_expires_after_a_retry_costs_an_epoch() {
    let mut bench = Bench::new(short(), 1, sends(&[0, 1_100]));
    bench.pass(10);
    let first = bench.take_produce();
    bench.refuse(&first, ErrorCode::NotEnoughReplicas);
    bench.pass(1_080);
    assert_eq!(bench.failed(), [(0, "REQUEST_TIMED_OUT", FailureClass::Unknown)]);
    bench.produces.clear();
    bench.pass(50);
    assert_eq!(bench.take_produce().sequence(), (1, 0));
}

#[test]
fn a_batch_that_expires_in_its_first_flight_marks_nothing() {
    let mut bench = Bench::new(short(), 1, sends(&[0, 1_100]));
    bench.pass(1_050);
    assert_eq!(bench.failed().len(), 1);
    bench.produces.clear();
    bench.pass(100);
    assert_eq!(bench.take_produce().sequence(), (0, 1));
}

#[test]
fn while_a_sequence_is_unresolved_nothing_new_is_numbered_until_nothing_is_in_flight() {
    let mut bench = Bench::new(short(), 1, sends(&[0, 40, 1_003]));
    bench.pass(950);
    let (first, second) = (bench.take_produce(), bench.take_produce());
    bench.refuse(&first, ErrorCode::NotEnoughReplicas);
    bench.pass(75);
    assert_eq!(
        bench.failed().len(),
        1,
        "the first has expired while it backed off"
    );
    bench.pass(10);
    assert!(bench.produces.is_empty());
    // The second was appended behind the first: so the first is there too.
    bench.accept(&second, 1);
    bench.pass(1);
    assert_eq!(bench.take_produce().sequence(), (0, 2));
}

#[test]
fn behind_the_last_epoch_comes_another_producer_id() {
    let last = i16::MAX as u16;
    let mut bench = Bench::new(settings(), 2, sends_to(2, &[(0, 1), (10, 0), (30, 0), (100, 0)]));
    // Server 2 is there to be asked for an id while server 1 still owes an answer.
    bench.leaders[1].0 = Some(2);
    bench.producer_ids = vec![Ok((ProducerId(7), last)), Ok((ProducerId(8), 0))];
    bench.pass(9);
    let elsewhere = bench.take_produce();
    bench.answer_with(
        &elsewhere,
        ProducedPartition {
            partition: PartitionId(1),
            error: ErrorCode::None,
            base_offset: Some(Offset(0)),
            log_start: Offset(0),
            current_leader: None,
        },
    );
    bench.pass(31);
    let (first, second) = (bench.take_produce(), bench.take_produce());
    assert_eq!((first.sequence(), second.sequence()), ((last, 0), (last, 1)));
    bench.refuse(&first, ErrorCode::InvalidProducerEpoch);
    bench.pass(10);
    assert!(bench.producer_ids.is_empty(), "it was asked for");
    // What is in flight of the partition was renumbered while there was no id: sent again, it carries none, and no
    // broker can tell that it has it already.
    bench.lose(second.connection);
    bench.pass(300);
    let again = bench.take_produce();
    assert_eq!(again.numbers(&bench), [2]);
    assert_eq!(again.request.batches[0].1.numbering, None);
    bench.accept(&again, 0);
    bench.pass(10);
    let third = bench.take_produce();
    let numbering = third.request.batches[0].1.numbering.expect("it is idempotent");
    assert_eq!(
        (numbering.producer, numbering.epoch, numbering.base_sequence),
        (ProducerId(8), 0, 0)
    );
}

#[test]
fn a_node_that_does_not_take_up_the_connection_is_given_up_for_another_to_ask_for_an_id() {
    let mut bench = Bench::new(
        ProducerSettings {
            socket_connection_setup_timeout_ms: Duration::secs(1),
            socket_connection_setup_timeout_max_ms: Duration::secs(1),
            ..settings()
        },
        1,
        sends(&[0]),
    );
    bench.producer_ids = vec![Err(ErrorCode::CoordinatorLoadInProgress)];
    // Only the bootstrap connection comes up, over which the first answer arrives.
    bench.connections = 1;
    bench.pass(900);
    assert_eq!((bench.desk.opened.len(), bench.desk.closed.len()), (2, 0));
    bench.pass(200);
    assert_eq!(bench.desk.closed, [ConnectionId(1)]);
    bench.connections = usize::MAX;
    bench.told = 2;
    bench.pass(400);
    assert_eq!(bench.take_produce().numbers(&bench), [0]);
}

#[test]
fn sequences_wrap_to_zero() {
    use crate::producer::transactions::increment_sequence;
    assert_eq!(increment_sequence(i32::MAX as u32 - 1, 1), i32::MAX as u32);
    assert_eq!(increment_sequence(i32::MAX as u32 - 1, 3), 1);
}
