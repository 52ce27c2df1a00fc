//! An operator at a bench: the test plays the brokers and moves the clocks.

use std::sync::Arc;

use ktrial_sim::{Closure, ConnectionId, Duration, Input};

use super::{Election, Operator};
use crate::client::testing::{self, Desk};
use crate::config::TopicSettings;
use crate::ids::{PartitionId, ServerId};
use crate::kafka::{Kafka, Signal};
use crate::protocol::{Correlation, ElectionType, ErrorCode, Message, MetadataResponse, Request, Response};
use crate::specification::{ClusterSpecification, ServerSpecification, TopicSpecification};

type Asked = (ConnectionId, Correlation, Request);

struct Bench {
    desk: Desk,
    operator: Operator,
    told: usize,
    brokers: Vec<u16>,
    /// What is not answered by itself.
    orders: Vec<Asked>,
    unanswered_metadata: Vec<Asked>,
    answer_metadata: bool,
    metadata_requests: u32,
    connect: bool,
    /// Whoever opens a connection to it is sent away.
    refuses: Option<ServerId>,
}

impl Bench {
    /// Three brokers; `topics` are to be created.
    fn new(topics: usize) -> Self {
        Bench::with_chance(topics, u64::MAX / 2)
    }

    /// The same; every draw is this share of its bound.
    fn with_chance(topics: usize, chance: u64) -> Self {
        let server = |id| ServerSpecification {
            id: ServerId(id),
            broker: true,
            controller: id == 1,
            rack: None,
        };
        let topic = TopicSpecification {
            name: "orders".to_owned(),
            partitions: 1,
            replication_factor: 3,
            assignment: None,
            settings: TopicSettings::default(),
            min_insync_replicas: None,
            unclean_leader_election_enable: None,
        };
        let cluster = ClusterSpecification {
            servers: [1, 2, 3].map(server).to_vec(),
            topics: vec![topic; topics],
            ..testing::cluster()
        };
        let mut bench = Bench {
            desk: Desk::new(),
            operator: Operator::new(Arc::new(cluster)),
            told: 0,
            brokers: vec![1, 2, 3],
            orders: Vec::new(),
            unanswered_metadata: Vec::new(),
            answer_metadata: true,
            metadata_requests: 0,
            connect: true,
            refuses: None,
        };
        bench.desk.chance = chance;
        bench.operator.boot_in(&mut bench.desk);
        bench.pass(0);
        bench
    }

    fn give(&mut self, input: Input<Kafka>) {
        self.operator.handle_in(input, &mut self.desk);
    }

    fn answer(&mut self, asked: &Asked, response: Response) {
        self.give(Input::Message(asked.0, Message::Response(asked.1, response)));
        self.serve();
    }

    fn metadata(&self) -> Response {
        let brokers = self.brokers.iter().map(|id| (ServerId(*id), None));
        Response::Metadata(Box::new(MetadataResponse {
            brokers: brokers.collect(),
            topics: Vec::new(),
        }))
    }

    fn serve(&mut self) {
        loop {
            if self.connect && self.told < self.desk.opened.len() {
                let (opened, to) = (ConnectionId(self.told as u32), self.desk.opened[self.told]);
                self.told += 1;
                self.give(match self.refuses == Some(to) {
                    true => Input::Closed(opened, Closure::Reset),
                    false => Input::Connected(opened),
                });
                continue;
            }
            let sent = self.desk.take_sent();
            if sent.is_empty() {
                return;
            }
            for asked in sent {
                match &asked.2 {
                    Request::ApiVersions => self.answer(&asked, Response::ApiVersions),
                    Request::Metadata(request) => {
                        assert!(request.topics.is_empty(), "only nodes are asked for");
                        self.metadata_requests += 1;
                        match self.answer_metadata {
                            true => self.answer(&asked, self.metadata()),
                            false => self.unanswered_metadata.push(asked),
                        }
                    }
                    _ => self.orders.push(asked),
                }
            }
        }
    }

    /// Time goes on; timers and alarms go off in order, brokers answer.
    fn pass(&mut self, millis: u64) {
        let until = self.desk.monotonic + Duration::millis(millis);
        self.serve();
        while let Some(input) = self.desk.next_due(until) {
            self.give(input);
            self.serve();
        }
    }

    fn take_order(&mut self) -> Asked {
        assert!(!self.orders.is_empty(), "nothing was ordered");
        self.orders.remove(0)
    }

    fn server_of(&self, asked: &Asked) -> ServerId {
        self.desk.opened[asked.0.0 as usize]
    }

    fn lose(&mut self, connection: ConnectionId) {
        self.give(Input::Closed(connection, Closure::Reset));
        self.serve();
    }

    fn elect(&mut self) {
        self.give(Input::Signal(Signal::ElectPreferredLeaders));
        self.serve();
    }
}

fn created(error: ErrorCode) -> Response {
    Response::CreateTopic(error)
}

#[test]
fn an_order_goes_to_the_broker_that_metadata_name_as_the_controller() {
    for chance in [0, u64::MAX / 2, u64::MAX] {
        let mut bench = Bench::with_chance(0, chance);
        bench.elect();
        let asked = bench.take_order();
        let named = [1, 2, 3][((u128::from(chance) * 3) >> 64) as usize];
        assert_eq!(bench.server_of(&asked), ServerId(named));
        assert_eq!(
            bench.metadata_requests, 2,
            "once for the topics, once by the command's own process"
        );
    }
}

#[test]
fn metadata_are_asked_for_once_a_back_off_while_no_broker_is_named() {
    let mut bench = Bench::new(0);
    bench.brokers.clear();
    bench.operator.admin.metadata.clear_controller();
    let before = bench.metadata_requests;
    bench.elect();
    bench.pass(1_000);
    let asked = bench.metadata_requests - before;
    assert!((8..=11).contains(&asked), "retry.backoff.ms apart: {asked}");
    assert!(bench.orders.is_empty());
    bench.brokers = vec![3];
    bench.pass(100);
    let asked = bench.take_order();
    assert_eq!(bench.server_of(&asked), ServerId(3));
}

#[test]
fn topics_are_created_one_after_the_other() {
    let mut bench = Bench::new(2);
    let first = bench.take_order();
    assert_eq!(first.2, Request::CreateTopic(0));
    assert!(bench.orders.is_empty());
    bench.answer(&first, created(ErrorCode::None));
    let second = bench.take_order();
    assert_eq!(second.2, Request::CreateTopic(1));
    assert!(!bench.operator.topics_created());
    bench.answer(&second, created(ErrorCode::TopicAlreadyExists));
    assert!(bench.operator.topics_created());
}

#[test]
fn a_topic_that_cannot_be_created_yet_is_ordered_again() {
    for error in [
        ErrorCode::InvalidReplicationFactor,
        ErrorCode::RequestTimedOut,
        ErrorCode::UnknownServerError,
    ] {
        let mut bench = Bench::new(1);
        let first = bench.take_order();
        bench.answer(&first, created(error));
        bench.pass(99);
        assert!(bench.orders.is_empty(), "{error}");
        bench.pass(1);
        assert_eq!(bench.take_order().2, Request::CreateTopic(0), "{error}");
    }
}

#[test]
fn not_controller_makes_the_client_look_for_another_broker() {
    let mut bench = Bench::new(1);
    let first = bench.take_order();
    bench.pass(500);
    let metadata = bench.metadata_requests;
    bench.desk.chance = u64::MAX;
    bench.answer(&first, created(ErrorCode::NotController));
    bench.pass(79);
    assert!(bench.orders.is_empty(), "the call backs off");
    bench.pass(200);
    assert_eq!(bench.metadata_requests, metadata + 1);
    let again = bench.take_order();
    assert_eq!(bench.server_of(&again), ServerId(3));
}

#[test]
fn a_lost_connection_is_tried_again_after_a_back_off_that_doubles() {
    let mut bench = Bench::new(1);
    for least in [80, 160, 320, 640, 800] {
        let order = bench.take_order();
        bench.lose(order.0);
        bench.pass(least - 1);
        assert!(bench.orders.is_empty(), "{least}");
        bench.pass(least / 2 + 102);
    }
    assert_eq!(bench.orders.len(), 1);
}

#[test]
fn an_answer_that_does_not_come_is_given_up_after_request_timeout() {
    let mut bench = Bench::new(1);
    let order = bench.take_order();
    bench.pass(29_999);
    assert!(bench.desk.closed.is_empty());
    bench.pass(200);
    assert_eq!(bench.desk.closed, [order.0]);
    assert_eq!(bench.take_order().2, Request::CreateTopic(0));
}

#[test]
fn a_node_that_does_not_become_ready_in_time_loses_its_calls() {
    let mut bench = Bench::new(0);
    bench.connect = false;
    bench.desk.chance = 0;
    bench.elect();
    let opened = bench.desk.opened.len();
    // Nobody takes the connection up; it is tried again and again, on the same node.
    bench.pass(29_000);
    assert!(bench.desk.opened.len() > opened, "the set-up time-out is shorter");
    assert!(bench.operator.elections().is_empty());
    bench.connect = true;
    bench.told = bench.desk.opened.len();
    bench.pass(30_000);
    assert_eq!(bench.orders.len(), 1, "it was ordered all the same");
}

#[test]
fn an_election_that_nobody_takes_up_fails_after_default_api_timeout() {
    let mut bench = Bench::new(0);
    bench.connect = false;
    bench.elect();
    bench.pass(60_000);
    assert!(bench.operator.elections().is_empty());
    bench.pass(2);
    let expected = (ElectionType::Preferred, Election::TimedOut);
    assert_eq!(bench.operator.elections(), [expected]);
    assert!(bench.orders.is_empty());
}

#[test]
fn an_order_in_flight_when_its_time_is_over_costs_the_connection() {
    let mut bench = Bench::new(0);
    bench.elect();
    let first = bench.take_order();
    bench.pass(29_000);
    // A second attempt, in flight when the whole time is over.
    bench.lose(first.0);
    bench.pass(1_000);
    let second = bench.take_order();
    bench.pass(29_000);
    assert!(bench.operator.elections().is_empty());
    bench.pass(1_002);
    assert!(bench.desk.closed.contains(&second.0));
    let expected = (ElectionType::Preferred, Election::TimedOut);
    assert_eq!(bench.operator.elections(), [expected]);
}

#[test]
fn every_answer_to_an_election_ends_it_whatever_the_error() {
    for error in [
        ErrorCode::None,
        ErrorCode::NotController,
        ErrorCode::RequestTimedOut,
        ErrorCode::UnknownServerError,
    ] {
        let mut bench = Bench::new(0);
        bench.elect();
        let order = bench.take_order();
        let Request::ElectLeaders(request) = &order.2 else {
            panic!("{order:?}");
        };
        assert_eq!(
            (request.kind, &request.partitions),
            (ElectionType::Preferred, &None)
        );
        let partitions = vec![(PartitionId(0), ErrorCode::PreferredLeaderNotAvailable)];
        bench.answer(&order, Response::ElectLeaders(error, partitions.clone()));
        bench.pass(5_000);
        assert!(bench.orders.is_empty(), "{error}");
        let expected = (ElectionType::Preferred, Election::Answered(error, partitions));
        assert_eq!(bench.operator.elections(), [expected]);
    }
}

#[test]
fn new_metadata_make_calls_that_are_not_sent_choose_anew() {
    let mut bench = Bench::with_chance(0, 0);
    bench.connect = false;
    bench.elect();
    assert_eq!(bench.desk.opened.last(), Some(&ServerId(1)));
    // Server 1 is gone from the metadata that its lost connection asks for.
    bench.brokers = vec![2, 3];
    bench.connect = true;
    bench.told = bench.desk.opened.len();
    let lost = ConnectionId(bench.told as u32 - 1);
    bench.pass(200);
    bench.lose(lost);
    bench.pass(500);
    let order = bench.take_order();
    assert_eq!(bench.server_of(&order), ServerId(2));
}

#[test]
fn without_any_node_to_ask_it_starts_again_from_the_bootstrap_servers() {
    let mut bench = Bench::new(0);
    // All that it is told of is one broker, and that refuses every connection.
    bench.brokers = vec![9];
    bench.refuses = Some(ServerId(9));
    let asked = bench.metadata_requests;
    bench.elect();
    assert_eq!(bench.metadata_requests, asked + 1);
    bench.pass(1_000);
    assert!(
        bench.metadata_requests > asked + 1,
        "over the connection to a bootstrap server"
    );
}

#[test]
fn metadata_are_asked_for_again_after_their_age_and_backed_off_for_after_a_failure() {
    let mut bench = Bench::new(0);
    bench.pass(299_000);
    assert_eq!(bench.metadata_requests, 1);
    bench.answer_metadata = false;
    bench.pass(1_500);
    assert_eq!(bench.metadata_requests, 2);
    let asked = bench.unanswered_metadata.remove(0);
    bench.lose(asked.0);
    bench.pass(79);
    assert_eq!(bench.metadata_requests, 2);
    bench.pass(200);
    assert_eq!(bench.metadata_requests, 3);
}
