//! `NetworkClient`: connections, requests in flight, time-outs, metadata updates.

use ktrial_sim::{ConnectionId, Duration, Input, Time};

use super::connection::{ConnectionState, InFlight, NodeConnection, What};
use super::{ClientSettings, Environment, MetadataUpdater, Node};
use crate::kafka::Kafka;
use crate::protocol::{Correlation, Message, Request, Response};

/// What a select found.
#[derive(Debug)]
pub enum SocketEvent {
    /// A connection is up.
    Connected(ConnectionId),
    /// A socket that was full takes something more.
    Writable(ConnectionId),
    /// A connection is gone.
    Closed(ConnectionId),
    /// An answer was read.
    Received(ConnectionId, Correlation, Response),
}

impl SocketEvent {
    /// What a select finds of an input. What is none of the network's comes back.
    ///
    /// # Errors
    /// The input.
    pub fn of(input: Input<Kafka>) -> Result<Self, Input<Kafka>> {
        match input {
            Input::Connected(connection) => Ok(SocketEvent::Connected(connection)),
            Input::Room(connection) => Ok(SocketEvent::Writable(connection)),
            Input::Closed(connection, _) => Ok(SocketEvent::Closed(connection)),
            Input::Message(connection, Message::Response(correlation, response)) => {
                Ok(SocketEvent::Received(connection, correlation, response))
            }
            other => Err(other),
        }
    }

    pub(super) fn connection(&self) -> ConnectionId {
        match self {
            SocketEvent::Connected(connection)
            | SocketEvent::Writable(connection)
            | SocketEvent::Closed(connection)
            | SocketEvent::Received(connection, ..) => *connection,
        }
    }
}

/// How a request ended (`ClientResponse`).
#[derive(Debug)]
pub enum Outcome {
    /// It was answered.
    Response(Response),
    /// It is in the socket; no answer will come (acks=0).
    Written,
    /// Its connection is gone.
    Disconnected,
    /// It, or one beside it, waited too long; its connection was closed.
    TimedOut,
}

/// A request that has ended.
#[derive(Debug)]
pub struct Completed<T> {
    /// What the layer above called it.
    pub token: T,
    /// Whom it went to.
    pub node: Node,
    /// How it ended.
    pub outcome: Outcome,
}

/// Readings of two clocks up to which time alone changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Then requests and handshakes may be late.
    pub wall: Time,
    /// Then connections may have been idle for too long.
    pub monotonic: Time,
}

impl Limits {
    /// Time changes nothing.
    pub(super) const NONE: Limits = Limits {
        wall: Time::NEVER,
        monotonic: Time::NEVER,
    };

    /// The earlier ones of both.
    pub(super) fn earlier(self, other: Limits) -> Limits {
        Limits {
            wall: self.wall.min(other.wall),
            monotonic: self.monotonic.min(other.monotonic),
        }
    }
}

/// The network of one client.
#[derive(Debug)]
pub struct NetworkClient<T> {
    pub(super) settings: ClientSettings,
    pub(super) connections: Vec<NodeConnection<T>>,
    next_correlation: u32,
    pub(super) choices: u64,
    /// Something was written that the next select will report.
    pub(super) unreported: bool,
    /// Up to then nothing is given up or closed because it took too long.
    pub(super) in_time_until: Limits,
    /// Ended and not told yet, in the order in which callbacks run.
    pub(super) completed: Vec<Completed<T>>,
}

impl<T: Copy> NetworkClient<T> {
    /// A client without connections.
    pub fn new(settings: ClientSettings) -> Self {
        NetworkClient {
            settings,
            connections: Vec::new(),
            next_correlation: 0,
            choices: 0,
            unreported: false,
            in_time_until: Limits::NONE,
            completed: Vec::new(),
        }
    }

    fn find(&self, node: Node) -> Option<usize> {
        self.connections.iter().position(|one| one.node == node)
    }

    pub(super) fn get(&self, node: Node) -> Option<&NodeConnection<T>> {
        self.connections.iter().find(|one| one.node == node)
    }

    /// How far the connection to a node is; none if there never was one.
    pub fn state(&self, node: Node) -> Option<ConnectionState> {
        self.get(node).map(|one| one.state)
    }

    /// How many requests are unanswered.
    pub fn in_flight(&self) -> usize {
        self.connections.iter().map(|one| one.in_flight.len()).sum()
    }

    pub(super) fn can_send(&self, node: Node) -> bool {
        self.get(node).is_some_and(|one| one.can_send(&self.settings))
    }

    pub(super) fn can_connect(&self, node: Node, now: Time) -> bool {
        self.get(node).is_none_or(|one| one.can_connect(now))
    }

    /// Whether a request can be sent to a node now.
    pub fn is_ready(&self, node: Node, metadata: &mut impl MetadataUpdater, now: Time) -> bool {
        self.can_send(node) && !metadata.is_update_due(now)
    }

    /// Like [`NetworkClient::is_ready`]; starts connecting if that is possible and needed.
    pub fn ready(
        &mut self,
        node: Node,
        metadata: &mut impl MetadataUpdater,
        now: Time,
        environment: &mut impl Environment,
    ) -> bool {
        let Some(index) = self.find(node) else {
            self.connect(node, environment);
            return false;
        };
        let one = &mut self.connections[index];
        if one.can_send(&self.settings) && !metadata.is_update_due(now) {
            return true;
        }
        if one.can_connect(now) {
            one.reconnect(environment);
            self.connecting(index);
        }
        false
    }

    pub(super) fn connect(&mut self, node: Node, environment: &mut impl Environment) {
        let index = match self.find(node) {
            Some(index) => {
                self.connections[index].reconnect(environment);
                index
            }
            None => {
                let new = NodeConnection::connect(node, &self.settings, environment);
                self.connections.push(new);
                self.connections.len() - 1
            }
        };
        self.connecting(index);
    }

    fn connecting(&mut self, index: usize) {
        let own = self.connections[index].limits(&self.settings);
        self.in_time_until = self.in_time_until.earlier(own);
    }

    /// Whether the last connection to a node failed.
    pub fn connection_failed(&self, node: Node) -> bool {
        self.state(node) == Some(ConnectionState::Disconnected)
    }

    /// Whether a node cannot be connected to yet because of a failure (`ConsumerNetworkClient.isUnavailable`).
    pub fn is_unavailable(&self, node: Node, now: Time) -> bool {
        self.connection_failed(node) && !self.can_connect(node, now)
    }

    /// How long until the node may become usable without news from the network; none: only the network can tell.
    pub fn poll_delay(&self, node: Node, now: Time) -> Option<Duration> {
        match self.get(node) {
            None => Some(Duration::ZERO),
            Some(one) => one.delay(now),
        }
    }

    /// Sends a request; the node must be ready. Without `expects_response` it ends when it is written (acks=0).
    pub fn send(
        &mut self,
        node: Node,
        token: T,
        request: Request,
        expects_response: bool,
        now: Time,
        environment: &mut impl Environment,
    ) {
        assert!(self.can_send(node), "requests go to ready nodes");
        let timeout = self.settings.request_timeout;
        let sent = InFlight::new(What::Request(token), now, timeout);
        let sent = InFlight {
            expects_response,
            ..sent
        };
        self.do_send(node, sent, request, environment);
    }

    /// Sends a request that has a time-out of its own.
    pub fn send_within(
        &mut self,
        timeout: Duration,
        node: Node,
        token: T,
        request: Request,
        now: Time,
        environment: &mut impl Environment,
    ) {
        assert!(self.can_send(node), "requests go to ready nodes");
        let sent = InFlight::new(What::Request(token), now, timeout);
        self.do_send(node, sent, request, environment);
    }

    /// Sends a request of the network client itself or of the metadata updater (`sendInternalMetadataRequest`).
    pub(super) fn send_own(
        &mut self,
        node: Node,
        what: What<T>,
        request: Request,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let sent = InFlight::new(what, now, self.settings.request_timeout);
        self.do_send(node, sent, request, environment);
    }

    fn do_send(
        &mut self,
        node: Node,
        mut sent: InFlight<T>,
        request: Request,
        environment: &mut impl Environment,
    ) {
        let correlation = Correlation(self.next_correlation);
        self.next_correlation += 1;
        sent.correlation = correlation;
        let index = self.find(node).expect("a ready node has a connection");
        let one = &mut self.connections[index];
        one.in_flight.push_back(sent);
        self.in_time_until.wall = self.in_time_until.wall.min(sent.late_after());
        self.unreported = true;
        one.last_traffic = environment.monotonic();
        one.set_send(
            Message::Request(correlation, request),
            &self.settings,
            environment,
        );
    }

    /// Gives a connection up (`NetworkClient.disconnect`): its requests end in the next poll, and nobody asks for
    /// metadata because of it.
    pub fn disconnect(&mut self, node: Node, environment: &mut impl Environment) {
        let Some(one) = self.connections.iter_mut().find(|one| one.node == node) else {
            return;
        };
        let Some(connection) = one.connection else { return };
        environment.close(connection);
        for request in one.in_flight.drain(..) {
            if let What::Request(token) = request.what {
                self.completed.push(Completed {
                    token,
                    node,
                    outcome: Outcome::Disconnected,
                });
            }
        }
        let now = environment.wall();
        one.disconnected(now, &self.settings, environment);
        self.recount_unreported();
    }

    /// A connection is gone, perhaps with what nobody had told of yet.
    pub(super) fn recount_unreported(&mut self) {
        let newest = |one: &NodeConnection<T>| one.in_flight.back().is_some_and(|newest| !newest.written);
        self.unreported = self.connections.iter().any(newest);
    }

    /// Whether requests ended that no poll has told of yet.
    pub fn has_aborted_sends(&self) -> bool {
        !self.completed.is_empty()
    }

    /// How long until a request or a handshake in hand is given up, for a thread that does not wait at all.
    pub fn next_time_out(&self, now: Time) -> Option<Duration> {
        let oldest = self.connections.iter().filter_map(|one| one.in_flight.front());
        let given_up = |request: &InFlight<T>| request.sent + request.timeout + Duration::millis(1);
        oldest.map(|request| given_up(request).since(now)).min()
    }

    /// Up to when nothing is given up or closed because it took too long.
    pub fn in_time_until(&self) -> Limits {
        self.in_time_until
    }

    /// Whether something was written that the next select will report.
    pub fn has_unreported_sends(&self) -> bool {
        self.unreported
    }

    /// Whether requests to a node are unanswered.
    pub fn has_in_flight(&self, node: Node) -> bool {
        self.get(node).is_some_and(|one| !one.in_flight.is_empty())
    }

    /// Closes all connections.
    pub fn shut_down(&mut self, environment: &mut impl Environment) {
        for one in &mut self.connections {
            if let Some(connection) = one.connection.take() {
                environment.close(connection);
            }
        }
    }
}
