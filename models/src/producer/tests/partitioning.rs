//! Which partition a record without a key goes to, and in which order a node's partitions are drained.

use super::*;
use crate::cuts;

fn settings() -> ProducerSettings {
    ProducerSettings::default()
}

/// Lets the next draw of a partition be `random`.
fn draw(bench: &mut Bench, random: u64) {
    bench.desk.chance = random << 33;
}

/// How many batches wait in each partition.
fn queued(bench: &Bench) -> Vec<usize> {
    let queues = bench.producer.core.accumulator.queues.iter();
    queues.map(|queue| queue.batches.len()).collect()
}

fn unkeyed(after: u64, bytes: u32) -> SendOperation {
    SendOperation {
        after: Duration::millis(after),
        key: None,
        bytes,
    }
}

/// A batch holds one record, and one request is in flight.
fn one_record_a_batch() -> ProducerSettings {
    ProducerSettings {
        batch_size: 161,
        linger_ms: Duration::ZERO,
        max_in_flight_requests_per_connection: 1,
        enable_idempotence: false,
        ..settings()
    }
}

/// Three partitions of one node that does not answer: three batches wait in partition 0, one in partition 2. Where
/// the next record without a key goes.
fn next_after_queues(adaptive: bool, random: u64) -> usize {
    let mut workload = sends_to(
        3,
        &[(10, 0), (20, 1), (20, 2), (30, 0), (30, 0), (30, 0), (30, 2)],
    );
    workload.push(unkeyed(60, 100));
    let mut bench = Bench::new(
        ProducerSettings {
            partitioner_adaptive_partitioning_enable: adaptive,
            ..one_record_a_batch()
        },
        3,
        workload,
    );
    bench.pass(15);
    let first = bench.take_produce();
    bench.pass(10);
    bench.accept(&first, 0);
    assert_eq!(bench.produces[0].partitions().len(), 2, "they go together");
    bench.pass(25);
    assert_eq!(queued(&bench), [3, 0, 1]);
    draw(&mut bench, random);
    bench.pass(20);
    let grown = queued(&bench);
    let grew = |(index, before): (usize, usize)| (grown[index] > before).then_some(index);
    [3, 0, 1]
        .into_iter()
        .enumerate()
        .find_map(grew)
        .expect("it is queued")
}

#[test]
fn adaptive_partitioning_weighs_each_partition_by_how_much_shorter_its_queue_is_than_the_longest() {
    let chosen: Vec<usize> = (0..8).map(|random| next_after_queues(true, random)).collect();
    assert_eq!(chosen, [0, 1, 1, 1, 1, 2, 2, 2]);
}

#[test]
fn without_adaptive_partitioning_queues_do_not_matter() {
    let chosen: Vec<usize> = (0..6).map(|random| next_after_queues(false, random)).collect();
    assert_eq!(chosen, [0, 1, 2, 0, 1, 2]);
}

/// Partition 0 is led by server 1, which answers nothing from 20 ms on, partition 1 by server 2, which does. Where a
/// record goes that is sent at 200 ms, `random` being drawn.
fn next_beside_a_slow_leader(availability_timeout: u64, random: u64) -> u32 {
    let mut workload = sends_to(2, &[(10, 0), (10, 1), (15, 0), (20, 0)]);
    // Something to be sent makes the producer look whether its node is ready.
    workload.extend((3..20).flat_map(|turn| sends_to(2, &[(turn * 10, 1)])));
    workload.push(unkeyed(200, 100));
    let mut bench = Bench::new(
        ProducerSettings {
            partitioner_availability_timeout_ms: Duration::millis(availability_timeout),
            max_in_flight_requests_per_connection: 2,
            ..one_record_a_batch()
        },
        2,
        workload,
    );
    bench.leaders = vec![(Some(1), 1), (Some(2), 1)];
    let last = |bench: &Bench| {
        bench
            .desk
            .contents
            .records(bench.produces[0].request.batches[0].1.records)[0]
            .id
    };
    for turn in 0..25 {
        if turn == 19 {
            draw(&mut bench, random);
        }
        bench.pass(10);
        while let Some(place) = (bench.produces.iter()).position(|produce| bench.server_of(produce) == 2) {
            let produce = bench.produces.remove(place);
            bench.accept(&produce, turn);
            if produce.numbers(&bench) == [21] {
                return 1;
            }
        }
    }
    assert_eq!(last(&bench).number, 0, "the first is unanswered");
    0
}

#[test]
fn a_leader_that_is_not_ready_for_longer_than_partitioner_availability_timeout_gets_nothing() {
    // With one batch waiting for server 1 and none for server 2 the weights are 1 and 2.
    let chosen = |timeout| {
        (0..3)
            .map(|random| next_beside_a_slow_leader(timeout, random))
            .collect::<Vec<_>>()
    };
    assert_eq!(chosen(0), [0, 1, 1]);
    assert_eq!(chosen(500), [0, 1, 1]);
    assert_eq!(chosen(100), [1, 1, 1]);
}

#[test]
fn the_sticky_partition_changes_after_twice_the_batch_size_even_if_its_last_batch_is_not_full() {
    // Two records of 90 bytes leave 20 bytes of a batch of 261 unused: no batch is ever full when a record has been
    // added. Five records bring it over twice the size.
    let mut workload = vec![unkeyed(10, 90); 6];
    workload[5].after = Duration::millis(11);
    let mut bench = Bench::new(
        ProducerSettings {
            batch_size: 261,
            linger_ms: Duration::secs(10),
            max_in_flight_requests_per_connection: 1,
            ..settings()
        },
        3,
        workload,
    );
    draw(&mut bench, 0);
    bench.pass(9);
    draw(&mut bench, 2);
    bench.pass(2);
    let batches = &bench.producer.core.accumulator.batches;
    let in_partition = |index: usize| {
        let queued = bench.producer.core.accumulator.queues.get(index);
        queued.map_or(0, |queue| {
            queue.batches.iter().map(|id| batches.get(*id).count()).sum()
        })
    };
    let on_its_way = bench
        .produces
        .iter()
        .map(|produce| produce.numbers(&bench).len() as u32)
        .sum::<u32>();
    assert_eq!(
        on_its_way + in_partition(2),
        6,
        "the same draw chose the same partition twice"
    );
    assert_eq!(bench.producer.core.accumulator.sticky.choices(), 2);
}

/// Six partitions that `nodes` nodes lead by turns; one record for partition 0, and then five for each, of which two
/// fit into a request: the partitions in the requests.
fn rounds(nodes: u16) -> Vec<(u16, Vec<u32>)> {
    let mut workload = vec![(0, 0)];
    workload.extend((0..30).map(|number| (10, number % 6)));
    let mut bench = Bench::new(
        ProducerSettings {
            batch_size: 161,
            max_request_size: 400,
            max_in_flight_requests_per_connection: 5,
            ..settings()
        },
        6,
        sends_to(6, &workload),
    );
    for (index, leader) in bench.leaders.iter_mut().enumerate() {
        leader.0 = Some(index as u16 % nodes + 1);
    }
    // The sender's thread rests after its first round until all records are there.
    bench
        .desk
        .cuts
        .push((cuts::DRAIN_TO_EXPIRE, Duration::millis(20)));
    bench.pass(50);
    let produces = bench.produces.iter();
    produces
        .map(|produce| (bench.server_of(produce), produce.partitions()))
        .collect()
}

#[test]
fn a_nodes_round_begins_with_the_partition_that_did_not_fit_into_its_last_request() {
    let partitions: Vec<_> = rounds(1).into_iter().map(|(_, partitions)| partitions).collect();
    assert_eq!(partitions[0], [0], "it has looked at all six");
    assert_eq!(partitions[1..], [[5, 0], [1, 2], [3, 4], [5, 0]]);
}

#[test]
fn each_node_has_a_drain_index_of_its_own() {
    let rounds = rounds(2);
    let of = |server| {
        let own = rounds.iter().filter(move |(other, _)| *other == server);
        own.map(|(_, partitions)| partitions.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of(1)[0], [0]);
    assert_eq!(of(1)[1..], [[4, 0], [2, 4], [0, 2], [4, 0]]);
    assert_eq!(of(2), [[1, 3], [5, 1], [3, 5], [1, 3], [5, 1]]);
}

#[test]
fn a_round_that_took_everything_begins_next_time_where_it_ended() {
    let mut bench = Bench::new(
        settings(),
        3,
        sends_to(3, &[(10, 0), (10, 1), (10, 2), (50, 0), (50, 1), (50, 2)]),
    );
    bench.pass(30);
    assert_eq!(bench.take_produce().partitions(), [0, 1, 2]);
    bench.pass(40);
    assert_eq!(bench.take_produce().partitions(), [2, 0, 1]);
}

#[test]
fn a_partition_that_must_wait_does_not_delay_those_of_other_nodes() {
    let mut bench = Bench::new(settings(), 3, sends_to(3, &[(0, 1), (30, 0), (100, 0), (200, 2)]));
    bench.leaders[2].0 = Some(2);
    bench.pass(50);
    let (failing, _in_flight) = (bench.take_produce(), bench.take_produce());
    bench.refuse(&failing, ErrorCode::MessageTooLarge);
    bench.pass(154);
    assert!(
        bench.produces.is_empty(),
        "partition 0 waits for its batch of the older epoch, partition 2 lingers"
    );
    bench.pass(1);
    assert_eq!(bench.take_produce().partitions(), [2]);
}

#[test]
fn a_send_that_gets_its_memory_after_all_topics_were_forgotten_goes_where_it_was_to_go() {
    let mut workload = sends_to(1, &[(10, 0), (50, 0)]);
    workload[1].bytes = 16_300;
    let mut bench = Bench::new(
        ProducerSettings {
            buffer_memory: 16_384,
            delivery_timeout_ms: Duration::secs(40),
            reconnect_backoff_ms: Duration::secs(10),
            reconnect_backoff_max_ms: Duration::secs(10),
            ..settings()
        },
        1,
        workload,
    );
    bench.pass(30);
    let first = bench.take_produce();
    // No broker can be reached any more, not even to ask for metadata: it starts again from the bootstrap servers.
    bench.connections = 0;
    bench.answer_metadata = false;
    bench.pass(40);
    for connection in 0..bench.desk.opened.len() as u32 {
        bench.lose(ConnectionId(connection));
    }
    for _ in 0..4_000 {
        let opened = bench.desk.opened.len();
        bench.pass(10);
        for connection in opened..bench.desk.opened.len() {
            bench.lose(ConnectionId(connection as u32));
        }
    }
    assert_eq!(bench.producer.core.metadata.partitions(0), None);
    assert_eq!(
        bench.failed()[0].0,
        0,
        "its batch has expired and gives its memory back"
    );
    assert_eq!(queued(&bench), [1], "the record behind it is there");
    assert_eq!(first.numbers(&bench), [0]);
}
