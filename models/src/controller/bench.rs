//! Controllers with their quorum, and a caller who sends them hand-made requests.

use std::sync::Arc;

use ktrial_sim::{
    ConnectionId, Context, Director, Duration, EventId, Input, Link, NodeId, Simulation, Status, Time,
};

use crate::controller::Controller;
use crate::ids::{BrokerEpoch, DirectoryId, IncarnationId, Offset, ServerId};
use crate::kafka::{Kafka, KafkaNode, Signal};
use crate::notes::{ClusterNote, Note};
use crate::protocol::{
    BrokerHeartbeatRequest, BrokerIdentity, BrokerRegistrationRequest, CONTROLLER_PORT, Correlation,
    ErrorCode, Message, Request, Response,
};
use crate::server::Server;
use crate::specification::ClusterSpecification;

/// A request, on a connection of its own, and what became of it.
struct Call {
    server: NodeId,
    request: Request,
    connection: Option<ConnectionId>,
    answer: Option<Response>,
}

/// Sends what it is given.
#[derive(Default)]
pub struct HandMade {
    calls: Vec<Call>,
    /// Connections to be closed.
    hang_up: Vec<usize>,
}

impl HandMade {
    pub(crate) fn handle(&mut self, input: Input<Kafka>, context: &mut Context<'_, Kafka>) {
        match input {
            Input::Signal(_) => {
                for call in self.calls.iter_mut().filter(|call| call.connection.is_none()) {
                    call.connection = Some(context.connect(call.server, CONTROLLER_PORT));
                }
                for call in self.hang_up.drain(..) {
                    let connection = self.calls[call].connection.expect("it was called");
                    context.close(connection);
                }
            }
            Input::Connected(connection) => {
                let mut calls = self.calls.iter();
                let index = calls.position(|call| call.connection == Some(connection));
                let index = index.expect("only what was opened is connected");
                let request = self.calls[index].request.clone();
                context.send(connection, Message::Request(Correlation(index as u32), request));
            }
            Input::Message(_, Message::Response(correlation, response)) => {
                self.calls[correlation.0 as usize].answer = Some(response);
            }
            _ => {}
        }
    }
}

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

/// Servers 1, 2, ... are controllers; node 0 calls.
pub(super) struct Bench {
    pub(super) simulation: Simulation<Kafka>,
    pub(super) told: Told,
    controllers: u16,
}

impl Bench {
    /// As many controllers as the specification has servers, one of them active.
    pub(super) fn start(seed: u64, mut specification: ClusterSpecification) -> Self {
        for server in &mut specification.servers {
            (server.broker, server.controller) = (false, true);
        }
        let specification = Arc::new(specification);
        let mut nodes = vec![KafkaNode::Caller(Box::default())];
        nodes.extend(specification.servers.iter().map(|server| {
            let server = Server::new(server.id, Arc::clone(&specification));
            KafkaNode::Server(Box::new(server))
        }));
        let controllers = nodes.len() as u16 - 1;
        let mut simulation = Simulation::default();
        simulation.reset(seed, nodes, Link::default());
        for node in 0..=controllers {
            simulation.start(NodeId(node));
        }
        let mut bench = Bench {
            simulation,
            told: Told::default(),
            controllers,
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

    fn caller(&mut self) -> &mut HandMade {
        match self.simulation.node_mut(NodeId(0)) {
            KafkaNode::Caller(caller) => caller,
            _ => panic!("node 0 calls"),
        }
    }

    /// Sends a request; the number names it.
    pub(super) fn ask(&mut self, server: NodeId, request: Request) -> usize {
        let calls = &mut self.caller().calls;
        calls.push(Call {
            server,
            request,
            connection: None,
            answer: None,
        });
        let number = calls.len() - 1;
        self.simulation.signal(NodeId(0), Signal::Quiesce);
        number
    }

    /// Closes the connection of a request.
    pub(super) fn hang_up(&mut self, call: usize) {
        self.caller().hang_up.push(call);
        self.simulation.signal(NodeId(0), Signal::Quiesce);
    }

    /// The answer to a request, if it has come.
    pub(super) fn answer(&mut self, call: usize) -> Option<Response> {
        self.caller().calls[call].answer.clone()
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
    Request::BrokerRegistration(BrokerRegistrationRequest {
        broker: ServerId(broker),
        incarnation: IncarnationId(1),
        rack: None,
        directory: DirectoryId(1),
        previous_epoch: None,
    })
}

/// A broker that has applied everything is alive.
pub(super) fn heartbeat(identity: BrokerIdentity) -> Request {
    Request::BrokerHeartbeat(BrokerHeartbeatRequest {
        identity,
        metadata_offset: Offset(u64::from(u32::MAX)),
        want_fence: false,
        want_shut_down: false,
        directory_offline: false,
    })
}
