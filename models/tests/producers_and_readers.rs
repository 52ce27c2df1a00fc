//! Producers and readers against real brokers: what is sent, acknowledged, kept and read, with and without faults.

mod support;

use std::sync::Arc;

use ktrial_models::config::{Acks, OffsetReset, ProducerSettings, ReaderSettings};
use ktrial_models::ids::{PartitionId, ServerId};
use ktrial_models::kafka::{Kafka, KafkaNode, Signal};
use ktrial_models::notes::{ClientNote, FailureClass, Note};
use ktrial_models::operator::Operator;
use ktrial_models::producer::Producer;
use ktrial_models::reader::Reader;
use ktrial_models::server::Server;
use ktrial_models::specification::{
    ClusterSpecification, ProducerSpecification, ReaderSpecification, SendOperation,
};
use ktrial_sim::{Crash, Director, Duration, EventId, Link, NodeId, Simulation, Status, Time};
use support::{specification, topic};

const OPERATOR: NodeId = NodeId(0);
const PRODUCER: NodeId = NodeId(5);
const READER: NodeId = NodeId(6);

#[derive(Default)]
struct Ledger {
    sent: Vec<u32>,
    acknowledged: Vec<u32>,
    failed: Vec<(u32, &'static str, FailureClass)>,
    /// Record numbers in the order in which polls returned them, with their partition and offset.
    read: Vec<(u32, u64, u32)>,
}

impl Director<Kafka> for Ledger {
    fn note(&mut self, _: NodeId, _: EventId, note: &Note, simulation: &mut Simulation<Kafka>) {
        let Note::Client(note) = note else { return };
        match note {
            ClientNote::Sent { record, .. } => self.sent.push(record.number),
            ClientNote::Acknowledged { records, .. } => {
                let records = simulation.arena().records(*records).iter();
                self.acknowledged.extend(records.map(|record| record.id.number));
            }
            ClientNote::Failed {
                record, error, class, ..
            } => self.failed.push((record.number, error, *class)),
            ClientNote::Polled {
                partition,
                from,
                batch,
                first,
                count,
                ..
            } => {
                let records = simulation.arena().records(batch.records);
                let range = *first as usize..(first + count) as usize;
                for (record, offset) in records[range].iter().zip(from.0..) {
                    self.read.push((partition.0, offset, record.id.number));
                }
            }
            _ => {}
        }
    }
    fn scripted(&mut self, _: u32, _: &mut Simulation<Kafka>) {}
}

struct Trial {
    simulation: Simulation<Kafka>,
    ledger: Ledger,
}

/// `count` records, one each `every`, from the tenth second on, with ten keys.
fn workload(count: u32, every: Duration) -> Vec<SendOperation> {
    let operation = |number: u32| SendOperation {
        after: Duration(Duration::secs(10).0 + every.0 * u64::from(number)),
        key: Some(number % 10),
        bytes: 200,
    };
    (0..count).map(operation).collect()
}

impl Trial {
    /// One controller, three brokers, a topic with these partitions, a producer and a reader.
    fn new(
        seed: u64,
        assignment: &[&[u16]],
        settings: ProducerSettings,
        workload: Vec<SendOperation>,
    ) -> Trial {
        Trial::with(seed, assignment, settings, workload, |_| ())
    }

    /// The same with another cluster.
    fn with(
        seed: u64,
        assignment: &[&[u16]],
        settings: ProducerSettings,
        workload: Vec<SendOperation>,
        change: impl Fn(&mut ClusterSpecification),
    ) -> Trial {
        let mut cluster = specification(1, 3);
        cluster.topics = vec![topic("orders", assignment, 2)];
        change(&mut cluster);
        let cluster = Arc::new(cluster);
        let mut nodes = vec![KafkaNode::Operator(Box::new(Operator::new(Arc::clone(&cluster))))];
        for server in &cluster.servers {
            nodes.push(KafkaNode::Server(Box::new(Server::new(
                server.id,
                Arc::clone(&cluster),
            ))));
        }
        let bootstrap: ktrial_models::ids::Servers = [2, 3, 4].into_iter().map(ServerId).collect();
        nodes.push(KafkaNode::Producer(Box::new(Producer::new(
            Arc::clone(&cluster),
            ProducerSpecification {
                name: "writer".to_owned(),
                settings,
                topic: 0,
                bootstrap: bootstrap.clone(),
                workload: workload.into(),
            },
        ))));
        nodes.push(KafkaNode::Reader(Box::new(Reader::new(
            Arc::clone(&cluster),
            ReaderSpecification {
                name: "auditor".to_owned(),
                settings: ReaderSettings {
                    auto_offset_reset: OffsetReset::Earliest,
                    ..ReaderSettings::default()
                },
                rack: None,
                topics: vec![0],
                bootstrap,
            },
        ))));
        let mut simulation = Simulation::default();
        simulation.reset(seed, nodes, Link::default());
        for node in 0..=READER.0 {
            simulation.start(NodeId(node));
        }
        Trial {
            simulation,
            ledger: Ledger::default(),
        }
    }

    fn until(&mut self, seconds: u64) {
        let time = Time(Duration::secs(seconds).0);
        self.simulation.run(time, &mut self.ledger);
    }

    fn producer(&self) -> &Producer {
        match self.simulation.node(PRODUCER) {
            KafkaNode::Producer(producer) => producer,
            _ => panic!("not a producer"),
        }
    }

    fn leader(&self, partition: u32) -> NodeId {
        let leads = |id: u16| match self.simulation.node(NodeId(id)) {
            KafkaNode::Server(server) => server.broker()?.leads(PartitionId(partition)),
            _ => None,
        };
        let up = |id: &u16| self.simulation.status(NodeId(*id)) == Status::Up;
        let leader = (2..=4).filter(up).filter_map(|id| Some((leads(id)?, id))).max();
        NodeId(leader.expect("it is led").1)
    }

    fn read_numbers(&self) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.ledger.read.iter().map(|(_, _, number)| *number).collect();
        numbers.sort();
        numbers
    }

    /// Within a partition records of one producer are in order of sending.
    fn assert_order(&self) {
        for partition in 0..3 {
            let of = self.ledger.read.iter().filter(|(other, ..)| *other == partition);
            let numbers: Vec<u32> = of.map(|(_, _, number)| *number).collect();
            assert!(numbers.is_sorted(), "partition {partition}: {numbers:?}");
        }
    }

    fn assert_all_acknowledged_and_read_once(&self, count: u32) {
        let mut acknowledged = self.ledger.acknowledged.clone();
        acknowledged.sort();
        let all: Vec<u32> = (0..count).collect();
        assert_eq!(self.ledger.failed, []);
        assert_eq!(acknowledged, all);
        assert_eq!(self.read_numbers(), all);
        self.assert_order();
        assert!(self.producer().is_drained());
    }
}

const SPREAD: &[&[u16]] = &[&[2, 3, 4], &[3, 4, 2], &[4, 2, 3]];

#[test]
fn without_faults_every_record_is_acknowledged_and_read_once_in_order() {
    let mut trial = Trial::new(
        1,
        SPREAD,
        ProducerSettings::default(),
        workload(500, Duration::millis(10)),
    );
    trial.until(20);
    let KafkaNode::Operator(operator) = trial.simulation.node(OPERATOR) else {
        panic!("not an operator")
    };
    assert!(operator.topics_created());
    trial.assert_all_acknowledged_and_read_once(500);
}

#[test]
fn a_killed_leader_costs_an_idempotent_producer_nothing() {
    for seed in 0..5 {
        let mut trial = Trial::new(
            seed,
            SPREAD,
            ProducerSettings::default(),
            workload(500, Duration::millis(10)),
        );
        trial.until(12);
        let leader = trial.leader(0);
        trial.simulation.crash(leader, Crash::Process);
        trial.until(40);
        trial.simulation.start(leader);
        trial.until(60);
        trial.assert_all_acknowledged_and_read_once(500);
    }
}

/// How many records of a second each a producer with acks=0 takes for acknowledged while its leader does not read for
/// ten seconds, and how many of those are read in the end. Each request of one record takes 351 bytes.
fn taken_by_sockets(
    receive_buffer: u64,
    silence: impl Fn(&mut Simulation<Kafka>, NodeId, bool),
) -> [usize; 2] {
    let settings = ProducerSettings {
        acks: Acks::None,
        enable_idempotence: false,
        send_buffer_bytes: Some(50_000),
        linger_ms: Duration::ZERO,
        ..ProducerSettings::default()
    };
    let every = Duration::millis(10);
    let mut trial = Trial::with(1, &[&[2, 3, 4]], settings, workload(1_500, every), |cluster| {
        cluster.broker.socket_receive_buffer_bytes = Some(receive_buffer);
    });
    trial.until(12);
    let before = trial.ledger.acknowledged.len();
    let leader = trial.leader(0);
    silence(&mut trial.simulation, leader, true);
    trial.until(20);
    let taken = trial.ledger.acknowledged.len() - before;
    silence(&mut trial.simulation, leader, false);
    trial.until(60);
    [taken, trial.ledger.read.len()]
}

#[test]
fn behind_a_cut_a_producer_with_acks_0_writes_until_its_socket_is_full() {
    let cut = |simulation: &mut Simulation<Kafka>, leader: NodeId, begins: bool| match begins {
        true => simulation.cut(PRODUCER, leader),
        false => simulation.mend(PRODUCER, leader),
    };
    let [taken, read] = taken_by_sockets(100_000, cut);
    assert!(
        (160..=170).contains(&taken),
        "66,666 bytes, 8,320 of them bookkeeping: {taken}"
    );
    assert_eq!(read, 1_500, "what the socket held arrives in the end");
}

#[test]
fn socket_receive_buffer_bytes_is_what_a_leader_that_stands_still_takes_in() {
    let pause = |simulation: &mut Simulation<Kafka>, leader: NodeId, begins: bool| match begins {
        true => simulation.pause(leader),
        false => simulation.resume(leader),
    };
    let [small, large] = [10_000, 60_000].map(|bytes| taken_by_sockets(bytes, pause)[0]);
    assert!(
        (222..=232).contains(&(large - small)),
        "80,000 bytes more: {small} and {large}"
    );
}

#[test]
fn a_killed_leader_can_make_a_producer_without_idempotence_write_twice() {
    let twice = (0..10).any(|seed| {
        let settings = ProducerSettings {
            enable_idempotence: false,
            ..ProducerSettings::default()
        };
        let mut trial = Trial::new(
            seed,
            &[&[2, 3, 4]],
            settings,
            workload(2_000, Duration::millis(1)),
        );
        trial.until(11);
        let leader = trial.leader(0);
        trial.simulation.crash(leader, Crash::Process);
        trial.until(60);
        let read = trial.read_numbers();
        read.windows(2).any(|two| two[0] == two[1])
    });
    assert!(twice);
}

#[test]
fn a_client_cut_off_for_twenty_seconds_sends_everything_afterwards() {
    let mut trial = Trial::new(
        3,
        SPREAD,
        ProducerSettings::default(),
        workload(300, Duration::millis(50)),
    );
    trial.until(12);
    for server in 1..=4 {
        trial.simulation.cut(PRODUCER, NodeId(server));
        trial.simulation.cut(NodeId(server), PRODUCER);
    }
    trial.until(32);
    trial.simulation.mend_all();
    trial.until(110);
    trial.assert_all_acknowledged_and_read_once(300);
}

#[test]
fn a_client_paused_beyond_its_request_timeout_goes_on_without_duplicates() {
    let mut trial = Trial::new(
        4,
        SPREAD,
        ProducerSettings::default(),
        workload(300, Duration::millis(10)),
    );
    trial.until(11);
    trial.simulation.pause(PRODUCER);
    trial.until(51);
    trial.simulation.resume(PRODUCER);
    trial.until(120);
    trial.assert_all_acknowledged_and_read_once(300);
}

#[test]
fn a_paused_reader_reads_on_where_it_was() {
    let mut trial = Trial::new(
        5,
        SPREAD,
        ProducerSettings::default(),
        workload(300, Duration::millis(10)),
    );
    trial.until(11);
    trial.simulation.pause(READER);
    trial.until(51);
    trial.simulation.resume(READER);
    trial.until(60);
    trial.assert_all_acknowledged_and_read_once(300);
}

#[test]
fn a_killed_producer_goes_on_with_its_next_operation_and_what_it_had_buffered_has_no_outcome() {
    let mut trial = Trial::new(
        6,
        SPREAD,
        ProducerSettings {
            linger_ms: Duration::secs(1),
            ..ProducerSettings::default()
        },
        workload(300, Duration::millis(10)),
    );
    trial.until(11);
    trial.simulation.crash(PRODUCER, Crash::Process);
    trial.until(12);
    trial.simulation.start(PRODUCER);
    trial.until(40);
    assert_eq!(trial.ledger.sent, (0..300).collect::<Vec<u32>>());
    let outcomes = trial.ledger.acknowledged.len() + trial.ledger.failed.len();
    assert!(outcomes < 300 && trial.producer().is_drained());
}

#[test]
fn a_wall_clock_stepped_beyond_the_delivery_timeout_fails_what_waits_though_it_arrives() {
    let mut trial = Trial::new(
        7,
        SPREAD,
        ProducerSettings {
            linger_ms: Duration::secs(1),
            ..ProducerSettings::default()
        },
        workload(300, Duration::millis(10)),
    );
    trial.simulation.run(Time(11_500_000_000), &mut trial.ledger);
    trial.simulation.clock_mut(PRODUCER).step_wall(200_000_000_000);
    trial.until(30);
    // What was drained by the turn that failed it is sent all the same; what stayed behind is not.
    let read = trial.read_numbers();
    let failed = &trial.ledger.failed;
    assert!(failed.iter().any(|failed| failed.2 == FailureClass::Unknown));
    for (number, _, class) in failed {
        assert_eq!(read.contains(number), *class == FailureClass::Unknown, "{number}");
    }
}

#[test]
fn a_producer_that_is_told_to_close_sends_everything_first() {
    let mut trial = Trial::new(
        8,
        SPREAD,
        ProducerSettings {
            linger_ms: Duration::secs(5),
            ..ProducerSettings::default()
        },
        workload(100, Duration::millis(10)),
    );
    trial.until(11);
    trial.simulation.signal(PRODUCER, Signal::Terminate);
    trial.until(13);
    assert_eq!(trial.simulation.status(PRODUCER), Status::Down);
    assert_eq!(trial.ledger.acknowledged.len(), trial.ledger.sent.len());
}

#[test]
fn the_same_seed_gives_the_same_digest() {
    let run = || {
        let mut trial = Trial::new(
            9,
            SPREAD,
            ProducerSettings::default(),
            workload(200, Duration::millis(10)),
        );
        trial.until(20);
        trial.simulation.digest()
    };
    assert_eq!(run(), run());
}
