//! Connections, time-outs and metadata: the rows of clients.md 1.1 and 1.2.

use std::collections::VecDeque;

use ktrial_sim::{ConnectionId, Duration};
use smallvec::smallvec;

use super::testing::{self, Desk};
use super::{
    ClientSettings, Completed, ConnectionState, LeaderAndEpoch, Metadata, NetworkClient, Node, Outcome,
    SocketEvent,
};
use crate::ids::{LeaderEpoch, PartitionId, ServerId};
use crate::protocol::{Correlation, CurrentLeader, ErrorCode, MetadataResponse, Request, Response};

const ONE: Node = Node::Broker(ServerId(1));
const TWO: Node = Node::Broker(ServerId(2));

struct Wire {
    desk: Desk,
    metadata: Metadata,
    network: NetworkClient<u32>,
    told: usize,
    /// The epoch of the one partition and its leader.
    leader: (u16, u32),
    brokers: Vec<u16>,
    silent: bool,
}

impl Wire {
    fn new(settings: ClientSettings) -> Self {
        let mut metadata = Metadata::new(settings, smallvec![ServerId(1)]);
        metadata.add_topic(0, None);
        Wire {
            desk: Desk::new(),
            metadata,
            network: NetworkClient::new(settings),
            told: 0,
            leader: (1, 1),
            brokers: vec![1, 2],
            silent: false,
        }
    }

    /// Connected to the bootstrap server and told about the cluster.
    fn informed(settings: ClientSettings) -> Self {
        let mut wire = Wire::new(settings);
        wire.turn();
        wire.turn();
        assert!(wire.metadata.has_node(ServerId(1)));
        wire
    }

    fn answer(&self, request: &Request) -> Option<Response> {
        match request {
            Request::ApiVersions => Some(Response::ApiVersions),
            Request::Metadata(_) if !self.silent => Some(Response::Metadata(Box::new(MetadataResponse {
                brokers: self
                    .brokers
                    .iter()
                    .map(|broker| (ServerId(*broker), None))
                    .collect(),
                topics: vec![testing::one_partition(ServerId(self.leader.0), self.leader.1)],
            }))),
            _ => None,
        }
    }

    /// Polls until nothing more happens by itself.
    fn turn(&mut self) -> Vec<Completed<u32>> {
        self.turn_with(Vec::new())
    }

    fn turn_with(&mut self, events: Vec<SocketEvent>) -> Vec<Completed<u32>> {
        let mut events = VecDeque::from(events);
        let mut completed = Vec::new();
        loop {
            completed.extend(
                self.network
                    .after_select(&mut events, &mut self.metadata, &mut self.desk),
            );
            let now = self.desk.wall;
            self.network
                .before_select(None, &mut self.metadata, now, &mut self.desk);
            while self.told < self.desk.opened.len() {
                events.push_back(SocketEvent::Connected(ConnectionId(self.told as u32)));
                self.told += 1;
            }
            for (connection, correlation, request) in self.desk.take_sent() {
                if let Some(response) = self.answer(&request) {
                    events.push_back(SocketEvent::Received(connection, correlation, response));
                }
            }
            if events.is_empty() && !self.network.has_unreported_sends() {
                return completed;
            }
        }
    }

    fn ready(&mut self, node: Node) -> bool {
        let now = self.desk.wall;
        self.network.ready(node, &mut self.metadata, now, &mut self.desk)
    }

    fn connect(&mut self, node: Node) {
        self.ready(node);
        self.turn();
        assert!(self.ready(node));
    }

    fn send(&mut self, node: Node, token: u32) -> (ConnectionId, Correlation) {
        let now = self.desk.wall;
        self.network
            .send(node, token, Request::InitProducerId, true, now, &mut self.desk);
        let (connection, correlation, _) = self.desk.sent.pop().expect("it was sent");
        (connection, correlation)
    }
}

fn tokens(completed: &[Completed<u32>]) -> Vec<(u32, &'static str)> {
    let name = |outcome: &Outcome| match outcome {
        Outcome::Response(_) => "response",
        Outcome::Written => "written",
        Outcome::Disconnected => "disconnected",
        Outcome::TimedOut => "timed out",
    };
    completed
        .iter()
        .map(|one| (one.token, name(&one.outcome)))
        .collect()
}

fn producer() -> ClientSettings {
    ClientSettings::from(&crate::config::ProducerSettings::default())
}

#[test]
fn a_node_is_ready_after_connecting_and_asking_for_versions() {
    let mut wire = Wire::informed(producer());
    assert_eq!(
        wire.network.state(ONE),
        None,
        "the bootstrap server is another node"
    );
    wire.ready(ONE);
    assert_eq!(wire.network.state(ONE), Some(ConnectionState::Connecting));
    let connection = ConnectionId(wire.desk.opened.len() as u32 - 1);
    let mut events = VecDeque::from([SocketEvent::Connected(connection)]);
    wire.network
        .after_select(&mut events, &mut wire.metadata, &mut wire.desk);
    assert_eq!(
        wire.network.state(ONE),
        Some(ConnectionState::CheckingApiVersions)
    );
    assert!(!wire.ready(ONE));
    let (connection, correlation, request) = wire.desk.sent.pop().expect("versions are asked");
    assert_eq!(request, Request::ApiVersions);
    wire.turn_with(vec![SocketEvent::Received(
        connection,
        correlation,
        Response::ApiVersions,
    )]);
    assert_eq!(wire.network.state(ONE), Some(ConnectionState::Ready));
}

#[test]
fn the_next_request_waits_until_the_one_before_is_written_and_there_is_room() {
    let mut wire = Wire::informed(ClientSettings {
        max_in_flight: 2,
        ..producer()
    });
    wire.connect(ONE);
    wire.send(ONE, 1);
    assert!(!wire.ready(ONE), "not yet written");
    wire.turn();
    assert!(wire.ready(ONE));
    wire.send(ONE, 2);
    wire.turn();
    assert!(!wire.ready(ONE), "two are in flight");
}

#[test]
fn one_late_request_fails_all_of_its_node_oldest_first() {
    let mut wire = Wire::informed(producer());
    wire.connect(ONE);
    wire.connect(TWO);
    for token in [1, 2, 3] {
        wire.send(ONE, token);
        wire.turn();
        wire.desk.pass(Duration::secs(1));
    }
    wire.send(TWO, 4);
    wire.desk.pass(Duration::secs(27));
    assert!(wire.turn().is_empty(), "exactly 30 s are not late");
    wire.desk.pass(Duration::millis(1));
    wire.silent = true;
    let expected = [(1, "timed out"), (2, "timed out"), (3, "timed out")];
    assert_eq!(tokens(&wire.turn()), expected);
    assert_eq!(wire.network.state(ONE), Some(ConnectionState::Disconnected));
}

#[test]
fn of_one_connection_one_answer_is_read_in_a_poll() {
    let mut wire = Wire::informed(producer());
    wire.connect(ONE);
    let mut events = VecDeque::new();
    for token in [1, 2] {
        let (connection, correlation) = wire.send(ONE, token);
        wire.turn();
        let response = Response::InitProducerId(Err(ErrorCode::UnknownServerError));
        events.push_back(SocketEvent::Received(connection, correlation, response));
    }
    // Both came while the process was paused for too long: the second is too late.
    wire.desk.pass(Duration::secs(31));
    let completed = wire
        .network
        .after_select(&mut events, &mut wire.metadata, &mut wire.desk);
    assert_eq!(tokens(&completed), [(1, "response"), (2, "timed out")]);
}

#[test]
fn a_disconnection_asks_for_metadata_and_backs_off() {
    let mut wire = Wire::informed(producer());
    wire.connect(ONE);
    let (connection, _) = wire.send(ONE, 1);
    wire.turn();
    wire.desk.pass(Duration::secs(1));
    let version = wire.metadata.version();
    let completed = wire.turn_with(vec![SocketEvent::Closed(connection)]);
    assert_eq!(tokens(&completed), [(1, "disconnected")]);
    assert!(wire.metadata.version() > version);
    let opened = wire.desk.opened.len();
    wire.desk.pass(Duration::millis(39));
    wire.ready(ONE);
    assert_eq!(wire.desk.opened.len(), opened);
    wire.desk.pass(Duration::millis(21));
    wire.ready(ONE);
    assert_eq!(wire.desk.opened.len(), opened + 1);
}

#[test]
fn back_offs_grow_until_the_node_was_ready_again() {
    let mut wire = Wire::informed(producer());
    let mut delays = Vec::new();
    wire.brokers = vec![2];
    for _ in 0..4 {
        wire.ready(ONE);
        wire.told = wire.desk.opened.len();
        let connection = ConnectionId(wire.told as u32 - 1);
        wire.turn_with(vec![SocketEvent::Closed(connection)]);
        let delay = wire
            .network
            .poll_delay(ONE, wire.desk.wall)
            .expect("it backs off");
        delays.push(delay.as_millis());
        wire.desk.pass(delay);
    }
    assert_eq!(delays, [50, 100, 200, 400]);
    wire.connect(ONE);
    let connection = ConnectionId(wire.desk.opened.len() as u32 - 1);
    wire.turn_with(vec![SocketEvent::Closed(connection)]);
    let delay = wire.network.poll_delay(ONE, wire.desk.wall);
    assert_eq!(delay.map(Duration::as_millis), Some(50));
}

#[test]
fn a_handshake_that_takes_too_long_is_given_up() {
    let mut wire = Wire::informed(producer());
    wire.ready(ONE);
    wire.told = wire.desk.opened.len();
    wire.desk.pass(Duration::millis(9_999));
    wire.turn();
    assert_eq!(wire.network.state(ONE), Some(ConnectionState::Connecting));
    wire.desk.pass(Duration::millis(2));
    wire.turn();
    assert_eq!(wire.network.state(ONE), Some(ConnectionState::Disconnected));
}

#[test]
fn an_idle_connection_is_closed_after_connections_max_idle() {
    let mut wire = Wire::informed(producer());
    wire.connect(ONE);
    wire.desk.pass(Duration::secs(541));
    // One in each poll: the bootstrap connection is older.
    wire.network
        .after_select(&mut VecDeque::new(), &mut wire.metadata, &mut wire.desk);
    assert_eq!(wire.network.state(ONE), Some(ConnectionState::Ready));
    wire.network
        .after_select(&mut VecDeque::new(), &mut wire.metadata, &mut wire.desk);
    assert_eq!(wire.network.state(ONE), Some(ConnectionState::Disconnected));
}

#[test]
fn the_least_loaded_node_is_an_idle_one_before_a_busy_one_before_one_to_be_connected() {
    let mut wire = Wire::informed(producer());
    let choose = |wire: &mut Wire| {
        let now = wire.desk.wall;
        wire.network
            .least_loaded_node(&wire.metadata, now, &mut wire.desk)
    };
    wire.desk.chance = 0;
    wire.connect(TWO);
    assert_eq!(choose(&mut wire), Some(TWO));
    wire.send(TWO, 1);
    wire.turn();
    assert_eq!(choose(&mut wire), Some(TWO), "connected, though busy");
    wire.connect(ONE);
    assert_eq!(choose(&mut wire), Some(ONE));
}

#[test]
fn an_older_leader_epoch_is_ignored_and_a_newer_one_taken() {
    let mut wire = Wire::informed(producer());
    let current = |wire: &Wire| wire.metadata.current_leader(PartitionId(0));
    let leader = |leader, epoch| LeaderAndEpoch {
        leader: Some(ServerId(leader)),
        epoch: Some(LeaderEpoch(epoch)),
    };
    let mut learn = |told, epoch| {
        wire.leader = (told, epoch);
        wire.metadata.request_update(true);
        wire.desk.pass(Duration::secs(2));
        wire.turn();
        current(&wire)
    };
    assert_eq!(learn(2, 5), leader(2, 5));
    assert_eq!(learn(1, 4), leader(2, 5));
    assert_eq!(learn(1, 6), leader(1, 6));
}

#[test]
fn a_topic_of_which_only_older_epochs_are_told_is_as_unknown_as_any() {
    let mut wire = Wire::informed(producer());
    wire.metadata
        .update_last_seen_epoch_if_newer(PartitionId(0), LeaderEpoch(9));
    wire.metadata.rebootstrap();
    wire.metadata.request_update(true);
    wire.desk.pass(Duration::secs(2));
    wire.turn();
    assert!(wire.metadata.answers() > 0);
    assert_eq!(wire.metadata.partitions(0), None);
}

#[test]
fn an_epoch_learnt_elsewhere_makes_the_leader_unknown() {
    let mut wire = Wire::informed(producer());
    wire.metadata
        .update_last_seen_epoch_if_newer(PartitionId(0), LeaderEpoch(9));
    assert_eq!(wire.metadata.current_leader(PartitionId(0)).leader, None);
    assert_eq!(
        wire.metadata
            .time_to_next_update(wire.desk.wall + Duration::secs(1)),
        Duration::ZERO
    );
}

#[test]
fn a_hint_counts_if_it_is_newer_and_brings_its_node_along() {
    let mut wire = Wire::informed(producer());
    let mut hint = |leader, epoch| {
        wire.metadata.update_partition_leadership(
            PartitionId(0),
            CurrentLeader {
                leader: ServerId(leader),
                epoch: LeaderEpoch(epoch),
            },
        )
    };
    assert!(!hint(2, 1), "not newer");
    assert!(hint(3, 2));
    assert!(!hint(2, 2), "not newer than the hint before");
    let current = wire.metadata.current_leader(PartitionId(0));
    assert_eq!(
        (current.leader, current.epoch),
        (Some(ServerId(3)), Some(LeaderEpoch(2)))
    );
    assert_eq!(
        wire.metadata.nodes(),
        [1, 2, 3].map(|id| Node::Broker(ServerId(id)))
    );
}

#[test]
fn answers_without_news_back_off_longer_and_longer() {
    let mut wire = Wire::informed(producer());
    let mut waits = Vec::new();
    for _ in 0..4 {
        wire.metadata.request_update(false);
        let wait = wire.metadata.time_to_next_update(wire.desk.wall);
        waits.push(wait.as_millis());
        wire.desk.pass(wait);
        wire.turn();
    }
    assert_eq!(waits, [100, 100, 200, 400]);
}

#[test]
fn metadata_are_asked_for_again_after_max_age() {
    let mut wire = Wire::informed(producer());
    let version = wire.metadata.version();
    wire.desk.pass(Duration::millis(299_999));
    wire.turn();
    assert_eq!(wire.metadata.version(), version);
    wire.desk.pass(Duration::millis(1));
    wire.turn();
    assert!(wire.metadata.version() > version);
}

#[test]
fn while_metadata_are_due_no_node_is_ready_for_anything_else() {
    let mut wire = Wire::informed(producer());
    wire.connect(ONE);
    wire.desk.pass(Duration::secs(301));
    assert!(!wire.ready(ONE));
    wire.turn();
    assert!(wire.ready(ONE));
}

#[test]
fn without_any_node_to_ask_it_starts_from_the_bootstrap_servers() {
    let mut wire = Wire::informed(ClientSettings {
        reconnect: super::ExponentialBackoff::new(Duration::secs(10), Duration::secs(10)),
        ..producer()
    });
    wire.told = usize::MAX;
    for _ in 0..100 {
        for connection in 0..wire.desk.opened.len() as u32 {
            wire.turn_with(vec![SocketEvent::Closed(ConnectionId(connection))]);
        }
        wire.desk.pass(Duration::millis(10));
    }
    assert!(matches!(wire.metadata.nodes(), [Node::Bootstrap(0, ServerId(1))]));
}

#[test]
fn after_five_minutes_without_an_answer_it_starts_from_the_bootstrap_servers() {
    let mut wire = Wire::informed(ClientSettings {
        max_idle: None,
        ..producer()
    });
    wire.silent = true;
    wire.metadata.request_update(true);
    for _ in 0..301 {
        wire.desk.pass(Duration::secs(1));
        wire.turn();
    }
    assert!(!matches!(wire.metadata.nodes(), [Node::Bootstrap(..)]));
    wire.desk.pass(Duration::secs(1));
    wire.turn();
    assert!(matches!(wire.metadata.nodes(), [Node::Bootstrap(..)]));
}
