//! What an admin client knows of the cluster: its nodes and a broker to give orders to (`AdminMetadataManager`).

use ktrial_sim::{Duration, Time};
use smallvec::SmallVec;

use crate::client::{ClientSettings, Environment, MetadataUpdater, NetworkClient, Node, draw};
use crate::ids::{ServerId, Servers};
use crate::kafka::site;
use crate::protocol::MetadataResponse;

/// Where an update stands (`AdminMetadataManager.State`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Quiescent,
    UpdateRequested,
    UpdatePending,
}

/// Nodes, the "controller", and when to ask again. Unlike other clients' metadata they are asked for by a call like
/// any other: the network client neither asks itself nor holds other requests back.
///
/// With KRaft the controller that a Metadata answer names is any live broker, drawn by the broker that answers
/// (`KRaftMetadataCache.getRandomAliveBrokerId`): it forwards what only the active controller can do. Here the asker
/// draws among the live brokers of the answer, which is the same.
#[derive(Debug)]
pub(super) struct AdminMetadata {
    refresh_backoff: Duration,
    max_age: Duration,
    bootstrap: Servers,
    nodes: SmallVec<[Node; 8]>,
    controller: Option<ServerId>,
    state: State,
    /// Readings of the wall clock; none: long ago.
    last_update: Option<Time>,
    last_attempt: Option<Time>,
    attempt_start: Option<Time>,
    answers: u64,
}

impl AdminMetadata {
    pub(super) fn new(settings: &ClientSettings, bootstrap: Servers) -> Self {
        let mut metadata = AdminMetadata {
            refresh_backoff: settings.retry_backoff,
            max_age: settings.metadata_max_age,
            bootstrap,
            nodes: SmallVec::new(),
            controller: None,
            state: State::Quiescent,
            last_update: None,
            last_attempt: None,
            attempt_start: None,
            answers: 0,
        };
        metadata.bootstrap();
        metadata
    }

    /// Whether all nodes are bootstrap servers: starting again finds no others.
    pub(super) fn knows_only_bootstrap_servers(&self) -> bool {
        matches!(self.nodes.first(), Some(Node::Bootstrap(..)))
    }

    fn bootstrap(&mut self) {
        let servers = self.bootstrap.iter().enumerate();
        self.nodes = servers
            .map(|(number, server)| Node::Bootstrap(number as u8, *server))
            .collect();
        self.controller = None;
        self.state = State::Quiescent;
        self.attempt_start = None;
    }

    /// The broker to give orders to; asks for metadata if none is known (`ControllerNodeProvider`).
    pub(super) fn controller(&mut self) -> Option<Node> {
        if self.controller.is_none() {
            self.request_update();
        }
        self.controller.map(Node::Broker)
    }

    /// The controller was not one.
    pub(super) fn clear_controller(&mut self) {
        self.controller = None;
    }

    /// An update is wanted, unless one is on its way.
    pub(super) fn request_update(&mut self) {
        if self.state == State::Quiescent {
            self.state = State::UpdateRequested;
        }
    }

    /// How long until metadata are to be asked for; none: that is being done.
    pub(super) fn fetch_delay(&self, now: Time) -> Option<Duration> {
        let until = |last: Option<Time>, span: Duration| {
            last.map_or(Duration::ZERO, |last| span.saturating_sub(now.since(last)))
        };
        let attempt = until(self.last_attempt, self.refresh_backoff);
        match self.state {
            State::Quiescent => Some(attempt.max(until(self.last_update, self.max_age))),
            State::UpdateRequested => Some(attempt),
            State::UpdatePending => None,
        }
    }

    /// Metadata are asked for now.
    pub(super) fn update_pending(&mut self, now: Time) {
        self.state = State::UpdatePending;
        self.last_attempt = Some(now);
        self.attempt_start.get_or_insert(now);
    }

    /// The call for metadata has failed for good.
    pub(super) fn update_failed(&mut self) {
        self.state = State::Quiescent;
    }

    /// Metadata are here.
    pub(super) fn update(
        &mut self,
        response: &MetadataResponse,
        now: Time,
        environment: &mut impl Environment,
    ) {
        self.last_update = Some(now);
        self.state = State::Quiescent;
        self.attempt_start = None;
        self.answers += 1;
        let brokers = &response.brokers;
        if brokers.is_empty() {
            return;
        }
        let drawn = draw(
            environment,
            site::CONTROLLER_NODE,
            self.answers,
            brokers.len() as u64,
        );
        self.controller = Some(brokers[drawn as usize].0);
        self.nodes = brokers.iter().map(|(server, _)| Node::Broker(*server)).collect();
        self.nodes.sort();
    }
}

impl MetadataUpdater for AdminMetadata {
    fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn is_update_due(&mut self, _: Time) -> bool {
        false
    }

    fn maybe_update<T: Copy>(
        &mut self,
        _: &mut NetworkClient<T>,
        _: Time,
        _: &mut impl Environment,
    ) -> Option<Duration> {
        None
    }

    fn answered(&mut self, _: &MetadataResponse, _: Time, _: &mut impl Environment) {}

    fn failed(&mut self, _: Time, _: &mut impl Environment) {}

    fn server_disconnected(&mut self, _: Time, _: &mut impl Environment) {
        self.request_update();
    }

    fn needs_rebootstrap(&self, now: Time, trigger: Duration) -> bool {
        self.attempt_start.is_some_and(|start| now.since(start) > trigger)
    }

    fn start_again(&mut self, now: Time) {
        self.bootstrap();
        self.attempt_start = Some(now);
    }
}
