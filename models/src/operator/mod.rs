//! Who creates the topics and starts elections: an admin client (`KafkaAdminClient`) and the person at it.
//!
//! One request at a time, to the least loaded node; a broker forwards it to the active controller. A request that got
//! no answer is sent again after `retry.backoff.ms`: CreateTopics then finds the topic there. While there are fewer
//! brokers than replicas (INVALID_REPLICATION_FACTOR) the person tries again as often.

use std::collections::VecDeque;
use std::sync::Arc;

use ktrial_sim::{Context, Duration, Input, Time, TimerSlot};

use crate::client::{
    ClientSettings, Completed, Environment, Metadata, NetworkClient, Node, Outcome, SocketEvent, draw,
};
use crate::kafka::{Kafka, Signal, site};
use crate::protocol::{ElectLeadersRequest, ElectionType, ErrorCode, Message, Request, Response};
use crate::specification::ClusterSpecification;

const CLIENT: TimerSlot = TimerSlot(0);
const STARTED: u32 = 0;

/// An operator's process.
pub struct Operator {
    cluster: Arc<ClusterSpecification>,
    started: bool,
    metadata: Metadata,
    network: NetworkClient<()>,
    inbox: VecDeque<SocketEvent>,
    /// The number of the next topic to create.
    next_topic: u16,
    elections: VecDeque<Election>,
    node: Option<Node>,
    in_flight: bool,
    /// No request before this monotonic reading.
    not_before: Time,
}

#[derive(Clone, Copy, Debug)]
struct Election {
    kind: ElectionType,
    /// It needs metadata newer than this.
    version: u32,
}

impl Operator {
    /// An operator that has not started.
    pub fn new(cluster: Arc<ClusterSpecification>) -> Self {
        let settings = ClientSettings::default();
        Operator {
            metadata: metadata(&cluster, settings),
            cluster,
            started: false,
            network: NetworkClient::new(settings),
            inbox: VecDeque::new(),
            next_topic: 0,
            elections: VecDeque::new(),
            node: None,
            in_flight: false,
            not_before: Time::ZERO,
        }
    }

    /// Whether every topic of the specification has been created.
    pub fn topics_created(&self) -> bool {
        usize::from(self.next_topic) == self.cluster.topics.len()
    }

    /// The process starts: all topics of the specification are to be created.
    pub fn boot(&mut self, context: &mut Context<'_, Kafka>) {
        *self = Operator::new(Arc::clone(&self.cluster));
        let (least, most) = self.cluster.capacity.client_start;
        let spread = most.saturating_sub(least).0;
        let after = Duration(least.0 + draw(context, site::PROCESS_START, 0, spread + 1));
        context.alarm(STARTED, after);
    }

    /// Works through one input.
    pub fn handle(&mut self, input: Input<Kafka>, context: &mut Context<'_, Kafka>) {
        match input {
            Input::Alarm(STARTED) => self.started = true,
            Input::Timer(CLIENT) => {}
            Input::Connected(connection) => self.inbox.push_back(SocketEvent::Connected(connection)),
            Input::Closed(connection, _) => self.inbox.push_back(SocketEvent::Closed(connection)),
            Input::Message(connection, Message::Response(correlation, response)) => self
                .inbox
                .push_back(SocketEvent::Received(connection, correlation, response)),
            Input::Signal(Signal::ElectUncleanLeaders) => self.elect(ElectionType::Unclean),
            Input::Signal(Signal::ElectPreferredLeaders) => self.elect(ElectionType::Preferred),
            Input::Signal(Signal::Terminate) => return Context::exit(context),
            _ => return,
        }
        if self.started {
            self.run(context);
        }
    }

    fn elect(&mut self, kind: ElectionType) {
        self.metadata.request_update(true);
        let version = self.metadata.version();
        self.elections.push_back(Election { kind, version });
    }

    fn run(&mut self, environment: &mut impl Environment) {
        loop {
            let mut completed = self
                .network
                .after_select(&mut self.inbox, &mut self.metadata, environment);
            for Completed { outcome, .. } in completed.drain(..) {
                self.in_flight = false;
                if !self.answered(&outcome) {
                    self.not_before = environment.monotonic() + Duration::millis(100);
                }
            }
            self.network.recycle(completed);
            let now = environment.wall();
            let wait = self.maybe_send(now, environment);
            let wait = self
                .network
                .before_select(wait, &mut self.metadata, now, environment);
            if !self.network.has_unreported_sends() && self.inbox.is_empty() {
                environment.set_timer(CLIENT, wait);
                return;
            }
        }
    }

    fn request(&self) -> Option<Request> {
        if !self.topics_created() {
            return Some(Request::CreateTopic(self.next_topic));
        }
        let election = self.elections.front()?;
        let partitions = self.metadata.all_partitions();
        (self.metadata.version() > election.version).then(|| {
            Request::ElectLeaders(Box::new(ElectLeadersRequest {
                kind: election.kind,
                partitions: partitions.map(|cached| cached.partition).collect(),
            }))
        })
    }

    /// Sends what is to be done next; how long to wait if that is not possible now.
    fn maybe_send(&mut self, now: Time, environment: &mut impl Environment) -> Option<Duration> {
        if self.in_flight {
            return None;
        }
        let request = self.request()?;
        let pause = self.not_before.since(environment.monotonic());
        if pause > Duration::ZERO {
            return Some(pause);
        }
        let chosen = self.node.take();
        let node = match chosen {
            Some(node) if !self.network.connection_failed(node) => node,
            _ => match self.network.least_loaded_node(&self.metadata, now, environment) {
                Some(node) => node,
                None => return Some(Duration::millis(50)),
            },
        };
        if self.network.ready(node, &mut self.metadata, now, environment) {
            self.network.send(node, (), request, true, now, environment);
            self.in_flight = true;
            return None;
        }
        self.node = Some(node);
        self.network.poll_delay(node, now)
    }

    /// Whether what was asked is done.
    fn answered(&mut self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Response(Response::CreateTopic(error)) => {
                let there = matches!(error, ErrorCode::None | ErrorCode::TopicAlreadyExists);
                self.next_topic += u16::from(there);
                there
            }
            Outcome::Response(Response::ElectLeaders(error, _)) => {
                let done = *error == ErrorCode::None;
                if done {
                    self.elections.pop_front();
                }
                done
            }
            _ => false,
        }
    }
}

fn metadata(cluster: &ClusterSpecification, settings: ClientSettings) -> Metadata {
    let brokers = cluster.servers.iter().filter(|server| server.broker);
    Metadata::new(settings, brokers.map(|server| server.id).collect(), true)
}
