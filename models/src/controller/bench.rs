//! Controllers with their quorum, and probes that send them hand-made requests.

use std::sync::Arc;

use ktrial_sim::{Crash, Director, Duration, EventId, Link, NodeId, Simulation, Status, Time};

use crate::controller::Controller;
use crate::ids::{BrokerEpoch, DirectoryId, IncarnationId, Offset, ServerId};
use crate::kafka::{Kafka, KafkaNode, Signal};
use crate::notes::{ClusterNote, Note};
use crate::probe::{Ask, Probe};
use crate::protocol::{
    BrokerHeartbeatRequest, BrokerIdentity, BrokerRegistrationRequest, CONTROLLER_PORT, Correlation,
    ErrorCode, Request, Response,
};
use crate::server::Server;
use crate::specification::ClusterSpecification;

/// What was told of the cluster: when, by whom, what.
#[derive(Default)]
pub(super) struct Told(pub(super) Vec<(Time, NodeId, ClusterNote)>);

impl Director<Kafka> for Told {
    fn note(&mut self, node: NodeId, _: EventId, note: &Note, simulation: &mut Simulation<Kafka>) {
        if let Note::Cluster(note) = note {
            self.0.push((simulation.now(), node, note.clone()));
        }
    }

    fn scripted(&mut self, _: u32, _: &mut Simulation<Kafka>) {}
}

/// So many requests can be open at once.
const PROBES: u16 = 24;

/// A request: which probe sent it, and how its answer is marked.
#[derive(Clone, Copy)]
pub(super) struct Call {
    probe: NodeId,
    correlation: Correlation,
}

/// Servers 1, 2, ... are controllers. Each open request has a probe of its own, so that none waits for another.
pub(super) struct Bench {
    pub(super) simulation: Simulation<Kafka>,
    pub(super) told: Told,
    controllers: u16,
    /// The last call of each probe.
    calls: Vec<Option<Call>>,
}

impl Bench {
    /// As many controllers as the specification has servers, one of them active.
    pub(super) fn start(seed: u64, mut specification: ClusterSpecification) -> Self {
        for server in &mut specification.servers {
            (server.broker, server.controller) = (false, true);
        }
        let specification = Arc::new(specification);
        let mut nodes = vec![KafkaNode::Probe(Box::default())];
        nodes.extend(specification.servers.iter().map(|server| {
            let server = Server::new(server.id, Arc::clone(&specification));
            KafkaNode::Server(Box::new(server))
        }));
        let controllers = nodes.len() as u16 - 1;
        nodes.extend((0..PROBES).map(|_| KafkaNode::Probe(Box::default())));
        let mut simulation = Simulation::default();
        simulation.reset(seed, nodes, Link::default());
        for node in 1..=controllers + PROBES {
            simulation.start(NodeId(node));
        }
        let mut bench = Bench {
            simulation,
            told: Told::default(),
            controllers,
            calls: vec![None; usize::from(PROBES)],
        };
        bench.await_active();
        bench
    }

    pub(super) fn run(&mut self, span: Duration) {
        let until = self.simulation.now() + span;
        self.simulation.run(until, &mut self.told);
    }

    pub(super) fn controllers(&self) -> impl Iterator<Item = NodeId> + use<> {
        (1..=self.controllers).map(NodeId)
    }

    pub(super) fn controller(&self, node: NodeId) -> &Controller {
        match self.simulation.node(node) {
            KafkaNode::Server(server) => server.controller().expect("all are controllers"),
            _ => panic!("servers only"),
        }
    }

    /// The active controllers, in their own view.
    pub(super) fn active(&self) -> Vec<NodeId> {
        let up = |node: &NodeId| self.simulation.status(*node) == Status::Up;
        let active = |node: &NodeId| self.controller(*node).is_active();
        self.controllers()
            .filter(|node| up(node) && active(node))
            .collect()
    }

    /// Runs until one controller is active, at most half a minute.
    pub(super) fn await_active(&mut self) -> NodeId {
        for _ in 0..30_000 {
            if let [active] = self.active()[..] {
                return active;
            }
            self.run(Duration::millis(1));
        }
        panic!("no active controller");
    }

    fn probe(&mut self, node: NodeId) -> &mut Probe {
        match self.simulation.node_mut(node) {
            KafkaNode::Probe(probe) => probe,
            _ => panic!("probes come after the controllers"),
        }
    }

    /// Sends a request.
    pub(super) fn ask(&mut self, server: NodeId, request: Request) -> Call {
        let free = |call: &Option<Call>| call.is_none_or(|call| self.answer(call).is_some());
        let index = self.calls.iter().position(free).expect("a probe is free");
        let probe = NodeId(self.controllers + 1 + index as u16);
        let ask = Ask::Request(request);
        let correlation = self.probe(probe).tell(server.into(), CONTROLLER_PORT, ask);
        self.simulation.signal(probe, Signal::Quiesce);
        let call = Call { probe, correlation };
        self.calls[index] = Some(call);
        call
    }

    /// Ends the process that sent a request, and its connections.
    pub(super) fn hang_up(&mut self, call: Call) {
        self.simulation.crash(call.probe, Crash::Process);
    }

    /// The answer to a request, if it has come.
    pub(super) fn answer(&self, call: Call) -> Option<Response> {
        match self.simulation.node(call.probe) {
            KafkaNode::Probe(probe) => probe.answer(call.correlation)?.clone().ok(),
            _ => panic!("probes come after the controllers"),
        }
    }

    /// Sends a request and waits for its answer, at most ten seconds.
    pub(super) fn call(&mut self, server: NodeId, request: Request) -> Response {
        let call = self.ask(server, request);
        for _ in 0..10_000 {
            self.run(Duration::millis(1));
            if let Some(answer) = self.answer(call) {
                return answer;
            }
        }
        panic!("no answer");
    }

    /// Registers a process of a broker with the active controller.
    pub(super) fn register(&mut self, broker: u16) -> Result<BrokerEpoch, ErrorCode> {
        let active = self.await_active();
        match self.call(active, registration(broker)) {
            Response::BrokerRegistration(result) => result,
            other => panic!("{other:?}"),
        }
    }

    /// Registers a broker and has it unfenced.
    pub(super) fn unfence(&mut self, broker: u16) -> BrokerIdentity {
        let epoch = self.register(broker).unwrap();
        let identity = BrokerIdentity {
            broker: ServerId(broker),
            epoch,
        };
        let active = self.await_active();
        self.call(active, heartbeat(identity));
        assert!(
            self.told
                .0
                .iter()
                .any(|(_, _, note)| *note == ClusterNote::Unfenced(ServerId(broker)))
        );
        identity
    }

    /// Lets time pass with a heartbeat of these brokers every second.
    pub(super) fn keep_alive(&mut self, span: Duration, brokers: &[BrokerIdentity]) {
        let until = self.simulation.now() + span;
        while self.simulation.now() < until {
            let active = self.await_active();
            for identity in brokers {
                self.ask(active, heartbeat(*identity));
            }
            self.run(Duration::secs(1));
        }
    }

    /// Cuts a controller off from the others, not from the caller; or mends that.
    pub(super) fn isolate(&mut self, node: NodeId, cut: bool) {
        for other in self.controllers().filter(|other| *other != node) {
            for (from, to) in [(node, other), (other, node)] {
                match cut {
                    true => self.simulation.cut(from, to),
                    false => self.simulation.mend(from, to),
                }
            }
        }
    }

    /// When something was told, counted from the start.
    pub(super) fn times_of(&self, wanted: &ClusterNote) -> Vec<Time> {
        let told = self.told.0.iter().filter(|(_, _, note)| note == wanted);
        told.map(|(time, _, _)| *time).collect()
    }
}

/// A process of a broker registers; always the same one.
pub(super) fn registration(broker: u16) -> Request {
    Request::BrokerRegistration(Box::new(BrokerRegistrationRequest {
        broker: ServerId(broker),
        incarnation: IncarnationId(1),
        rack: None,
        directory: DirectoryId(1),
        previous_epoch: None,
    }))
}

/// A broker that has applied everything is alive.
pub(super) fn heartbeat(identity: BrokerIdentity) -> Request {
    Request::BrokerHeartbeat(Box::new(BrokerHeartbeatRequest {
        identity,
        metadata_offset: Offset(u64::from(u32::MAX)),
        want_fence: false,
        want_shut_down: false,
        directory_offline: false,
    }))
}
