//! `NetworkClient`: connections, requests in flight, time-outs, metadata updates.

use std::collections::VecDeque;

use ktrial_sim::{ConnectionId, Duration, Time};
use smallvec::SmallVec;

use super::connection::{ConnectionState, InFlight, NodeConnection, What};
use super::{ClientSettings, Environment, Metadata, Node, draw};
use crate::kafka::site;
use crate::protocol::{Correlation, Message, Request, Response};

/// What a select found.
#[derive(Debug)]
pub enum SocketEvent {
    /// A connection is up.
    Connected(ConnectionId),
    /// A connection is gone.
    Closed(ConnectionId),
    /// An answer was read.
    Received(ConnectionId, Correlation, Response),
}

impl SocketEvent {
    fn connection(&self) -> ConnectionId {
        match self {
            SocketEvent::Connected(connection)
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

#[derive(Clone, Copy, Debug)]
struct MetadataInProgress {
    partial: bool,
    request_version: u32,
}

/// The network of one client.
#[derive(Debug)]
pub struct NetworkClient<T> {
    settings: ClientSettings,
    connections: Vec<NodeConnection<T>>,
    in_progress: Option<MetadataInProgress>,
    /// When asking for metadata began without success since, by the wall clock.
    attempt_start: Option<Time>,
    next_correlation: u32,
    choices: u64,
    completed: Vec<Completed<T>>,
}

impl<T: Copy> NetworkClient<T> {
    /// A client without connections.
    pub fn new(settings: ClientSettings) -> Self {
        NetworkClient {
            settings,
            connections: Vec::new(),
            in_progress: None,
            attempt_start: None,
            next_correlation: 0,
            choices: 0,
            completed: Vec::new(),
        }
    }

    fn find(&self, node: Node) -> Option<usize> {
        self.connections.iter().position(|one| one.node == node)
    }

    fn get(&self, node: Node) -> Option<&NodeConnection<T>> {
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

    fn can_send(&self, node: Node) -> bool {
        self.get(node).is_some_and(|one| one.can_send(&self.settings))
    }

    fn can_connect(&self, node: Node, now: Time) -> bool {
        self.get(node).is_none_or(|one| one.can_connect(now))
    }

    /// While metadata are due and not asked for, nothing else goes first.
    fn update_is_due(&self, metadata: &mut Metadata, now: Time) -> bool {
        self.in_progress.is_none() && metadata.time_to_next_update(now) == Duration::ZERO
    }

    /// Whether a request can be sent to a node now.
    pub fn is_ready(&self, node: Node, metadata: &mut Metadata, now: Time) -> bool {
        self.can_send(node) && !self.update_is_due(metadata, now)
    }

    /// Like [`NetworkClient::is_ready`]; starts connecting if that is possible and needed.
    pub fn ready(
        &mut self,
        node: Node,
        metadata: &mut Metadata,
        now: Time,
        environment: &mut impl Environment,
    ) -> bool {
        if self.is_ready(node, metadata, now) {
            return true;
        }
        if self.can_connect(node, now) {
            self.connect(node, environment);
        }
        false
    }

    fn connect(&mut self, node: Node, environment: &mut impl Environment) {
        match self.find(node) {
            Some(index) => self.connections[index].reconnect(environment),
            None => self
                .connections
                .push(NodeConnection::connect(node, &self.settings, environment)),
        }
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

    /// Sends a request; the node must be ready.
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
        self.do_send(
            node,
            What::Request(token),
            request,
            expects_response,
            now,
            environment,
        );
    }

    fn do_send(
        &mut self,
        node: Node,
        what: What<T>,
        request: Request,
        expects_response: bool,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let correlation = Correlation(self.next_correlation);
        self.next_correlation += 1;
        let index = self.find(node).expect("a ready node has a connection");
        let one = &mut self.connections[index];
        one.in_flight.push_back(InFlight {
            correlation,
            what,
            sent: now,
            expects_response,
            written: false,
        });
        one.last_traffic = environment.monotonic();
        let connection = one.connection.expect("a ready node has a connection");
        environment.send(connection, Message::Request(correlation, request));
    }

    /// The node to ask what any node can answer, and whether some connection is ready (`leastLoadedNode`).
    pub fn least_loaded_node(
        &mut self,
        metadata: &Metadata,
        now: Time,
        environment: &mut impl Environment,
    ) -> Option<Node> {
        let nodes = metadata.nodes();
        if nodes.is_empty() {
            return None;
        }
        self.choices += 1;
        let offset = draw(environment, site::LEAST_LOADED, self.choices, nodes.len() as u64) as usize;
        let (mut ready, mut connecting, mut connectable) = (None, None, None::<(Node, Time)>);
        let mut least = usize::MAX;
        for index in 0..nodes.len() {
            let node = nodes[(offset + index) % nodes.len()];
            let one = self.get(node);
            if self.can_send(node) {
                let in_flight = one.map_or(0, |one| one.in_flight.len());
                if in_flight == 0 {
                    return Some(node);
                }
                if in_flight < least {
                    least = in_flight;
                    ready = Some(node);
                }
            } else if matches!(
                one.map(|one| one.state),
                Some(ConnectionState::Connecting | ConnectionState::CheckingApiVersions)
            ) {
                connecting = Some(node);
            } else if self.can_connect(node, now) {
                let attempt = one.map_or(Time::ZERO, |one| one.last_attempt);
                if connectable.is_none_or(|(_, oldest)| oldest > attempt) {
                    connectable = Some((node, attempt));
                }
            }
        }
        ready.or(connecting).or(connectable.map(|(node, _)| node))
    }

    fn has_ready_connection(&self, metadata: &Metadata) -> bool {
        let ready = |node: &Node| self.state(*node) == Some(ConnectionState::Ready);
        metadata.nodes().iter().any(ready)
    }

    /// What comes before the select: asks for metadata if they are due. Returns how long the select may last.
    pub fn before_select(
        &mut self,
        timeout: Option<Duration>,
        metadata: &mut Metadata,
        now: Time,
        environment: &mut impl Environment,
    ) -> Duration {
        let longest = self.settings.request_timeout.saturating_add(Duration::millis(1));
        let metadata_timeout = self.maybe_update(metadata, now, environment);
        [timeout, metadata_timeout]
            .into_iter()
            .flatten()
            .fold(longest, Duration::min)
    }

    /// `DefaultMetadataUpdater.maybeUpdate`.
    fn maybe_update(
        &mut self,
        metadata: &mut Metadata,
        now: Time,
        environment: &mut impl Environment,
    ) -> Option<Duration> {
        let next = metadata.time_to_next_update(now);
        if self.in_progress.is_some() {
            return Some(next.max(self.settings.request_timeout.saturating_add(Duration::millis(1))));
        }
        if next > Duration::ZERO {
            return Some(next);
        }
        self.attempt_start.get_or_insert(now);
        let mut node = self.least_loaded_node(metadata, now, environment);
        if self.settings.rebootstrap && node.is_none() && !self.has_ready_connection(metadata) {
            metadata.rebootstrap();
            self.attempt_start = Some(now);
            node = self.least_loaded_node(metadata, now, environment);
        }
        let Some(node) = node else {
            return Some(self.settings.reconnect_backoff);
        };
        if self.can_send(node) {
            let (request, partial, request_version) = metadata.request(now);
            self.do_send(
                node,
                What::Metadata,
                Request::Metadata(Box::new(request)),
                true,
                now,
                environment,
            );
            self.in_progress = Some(MetadataInProgress {
                partial,
                request_version,
            });
            return None;
        }
        let connecting = |node: &Node| self.state(*node) == Some(ConnectionState::Connecting);
        if metadata.nodes().iter().any(connecting) {
            return Some(self.settings.reconnect_backoff);
        }
        if self.can_connect(node, now) {
            self.connect(node, environment);
            return Some(self.settings.reconnect_backoff);
        }
        None
    }

    /// What comes after the select, in Kafka's order. At most one answer of a connection is taken from `events`;
    /// what is left belongs to the next poll. What ended is in the order in which callbacks run.
    pub fn after_select(
        &mut self,
        events: &mut VecDeque<SocketEvent>,
        metadata: &mut Metadata,
        environment: &mut impl Environment,
    ) -> Vec<Completed<T>> {
        let now = environment.wall();
        self.completed_sends();
        if !events.is_empty() {
            self.completed_receives(events, metadata, now, environment);
        }
        self.close_idle(metadata, now, environment);
        // Most polls found an answer or nothing, and these look for rarer things.
        if !events.is_empty() {
            self.disconnections(events, metadata, now, environment);
            self.connections_up(events, now, environment);
        }
        self.time_outs(metadata, now, environment);
        self.maybe_rebootstrap(metadata, now, environment);
        std::mem::take(&mut self.completed)
    }

    /// Gives the memory of what [`NetworkClient::after_select`] returned back.
    pub fn recycle(&mut self, mut completed: Vec<Completed<T>>) {
        completed.clear();
        self.completed = completed;
    }

    fn completed_sends(&mut self) {
        for one in &mut self.connections {
            let Some(newest) = one.in_flight.back_mut() else {
                continue;
            };
            newest.written = true;
            if newest.expects_response {
                continue;
            }
            let sent = one.in_flight.pop_back().expect("there is a newest");
            if let What::Request(token) = sent.what {
                self.completed.push(Completed {
                    token,
                    node: one.node,
                    outcome: Outcome::Written,
                });
            }
        }
    }

    fn completed_receives(
        &mut self,
        events: &mut VecDeque<SocketEvent>,
        metadata: &mut Metadata,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let mut served: SmallVec<[ConnectionId; 8]> = SmallVec::new();
        let mut index = 0;
        while index < events.len() {
            let connection = events[index].connection();
            if served.contains(&connection) || !matches!(events[index], SocketEvent::Received(..)) {
                index += 1;
                continue;
            }
            let Some(SocketEvent::Received(_, correlation, response)) = events.remove(index) else {
                unreachable!("just looked at")
            };
            served.push(connection);
            self.received(connection, correlation, response, metadata, now, environment);
        }
    }

    fn received(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        response: Response,
        metadata: &mut Metadata,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let Some(one) = self
            .connections
            .iter_mut()
            .find(|one| one.connection == Some(connection))
        else {
            return;
        };
        one.last_traffic = environment.monotonic();
        let request = one.in_flight.pop_front().expect("answers belong to requests");
        assert_eq!(
            request.correlation, correlation,
            "answers come in order of their requests"
        );
        match (request.what, response) {
            (What::ApiVersions, _) => one.ready(),
            (What::Metadata, Response::Metadata(response)) => {
                let asked = self.in_progress.take().expect("metadata were asked for");
                if response.brokers.is_empty() {
                    metadata.failed_update(now, environment);
                } else {
                    metadata.update(&response, asked.partial, asked.request_version, now, environment);
                    self.attempt_start = None;
                }
            }
            (What::Metadata, other) => panic!("metadata were asked for, {other:?} came"),
            (What::Request(token), response) => self.completed.push(Completed {
                token,
                node: one.node,
                outcome: Outcome::Response(response),
            }),
        }
    }

    /// `Selector.maybeCloseOldestConnection`: one per poll.
    fn close_idle(&mut self, metadata: &mut Metadata, now: Time, environment: &mut impl Environment) {
        let Some(limit) = self.settings.max_idle else {
            return;
        };
        let monotonic = environment.monotonic();
        let idle = self
            .connections
            .iter()
            .enumerate()
            .filter(|(_, one)| one.connection.is_some() && monotonic.since(one.last_traffic) > limit)
            .min_by_key(|(_, one)| one.last_traffic)
            .map(|(index, _)| index);
        if let Some(index) = idle {
            self.close(index, false, metadata, now, environment);
        }
    }

    fn disconnections(
        &mut self,
        events: &mut VecDeque<SocketEvent>,
        metadata: &mut Metadata,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let mut index = 0;
        while index < events.len() {
            let connection = events[index].connection();
            let closed = matches!(events[index], SocketEvent::Closed(_));
            let first = events
                .iter()
                .take(index)
                .all(|earlier| earlier.connection() != connection);
            if !closed || !first {
                index += 1;
                continue;
            }
            events.remove(index);
            let owner = self
                .connections
                .iter()
                .position(|one| one.connection == Some(connection));
            if let Some(owner) = owner {
                self.process_disconnection(owner, false, metadata, now, environment);
            }
        }
    }

    fn connections_up(
        &mut self,
        events: &mut VecDeque<SocketEvent>,
        now: Time,
        environment: &mut impl Environment,
    ) {
        while let Some(index) = events
            .iter()
            .position(|event| matches!(event, SocketEvent::Connected(_)))
        {
            let Some(SocketEvent::Connected(connection)) = events.remove(index) else {
                unreachable!("just found")
            };
            let owner = self
                .connections
                .iter_mut()
                .find(|one| one.connection == Some(connection));
            if let Some(owner) = owner {
                owner.state = ConnectionState::CheckingApiVersions;
                let node = owner.node;
                self.do_send(
                    node,
                    What::ApiVersions,
                    Request::ApiVersions,
                    true,
                    now,
                    environment,
                );
            }
        }
    }

    fn time_outs(&mut self, metadata: &mut Metadata, now: Time, environment: &mut impl Environment) {
        for index in 0..self.connections.len() {
            if self.connections[index].setup_timed_out(now) {
                self.close(index, true, metadata, now, environment);
            }
        }
        for index in 0..self.connections.len() {
            if self.connections[index].request_timed_out(now, &self.settings) {
                self.close(index, true, metadata, now, environment);
            }
        }
    }

    fn close(
        &mut self,
        index: usize,
        timed_out: bool,
        metadata: &mut Metadata,
        now: Time,
        environment: &mut impl Environment,
    ) {
        if let Some(connection) = self.connections[index].connection {
            environment.close(connection);
        }
        self.process_disconnection(index, timed_out, metadata, now, environment);
    }

    /// `NetworkClient.processDisconnection`: all requests of the connection fail, oldest first.
    fn process_disconnection(
        &mut self,
        index: usize,
        timed_out: bool,
        metadata: &mut Metadata,
        now: Time,
        environment: &mut impl Environment,
    ) {
        let one = &mut self.connections[index];
        one.disconnected(now, &self.settings, environment);
        let node = one.node;
        while let Some(request) = self.connections[index].in_flight.pop_front() {
            match request.what {
                What::ApiVersions => {}
                What::Metadata => {
                    metadata.failed_update(now, environment);
                    self.in_progress = None;
                }
                What::Request(token) => self.completed.push(Completed {
                    token,
                    node,
                    outcome: match timed_out {
                        true => Outcome::TimedOut,
                        false => Outcome::Disconnected,
                    },
                }),
            }
        }
        if self.update_is_due(metadata, now) {
            metadata.failed_update(now, environment);
        }
        metadata.request_update(false);
    }

    fn maybe_rebootstrap(&mut self, metadata: &mut Metadata, now: Time, environment: &mut impl Environment) {
        let late = |start: Time| now.since(start) > self.settings.rebootstrap_trigger;
        if !self.settings.rebootstrap || !self.attempt_start.is_some_and(late) {
            return;
        }
        for index in 0..self.connections.len() {
            let known = metadata.nodes().contains(&self.connections[index].node);
            if known && self.connections[index].connection.is_some() {
                self.close(index, false, metadata, now, environment);
            }
        }
        metadata.rebootstrap();
        self.attempt_start = Some(now);
    }

    /// How long until a request or a handshake in hand is given up, for a thread that does not wait at all.
    pub fn next_time_out(&self, now: Time) -> Option<Duration> {
        let limit = self.settings.request_timeout.saturating_add(Duration::millis(1));
        let oldest = self.connections.iter().filter_map(|one| one.in_flight.front());
        oldest.map(|request| (request.sent + limit).since(now)).min()
    }

    /// Whether something was written that the next select will report.
    pub fn has_unreported_sends(&self) -> bool {
        let newest = |one: &NodeConnection<T>| one.in_flight.back().is_some_and(|newest| !newest.written);
        self.connections.iter().any(newest)
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
