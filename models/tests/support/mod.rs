//! Clusters for tests: brokers, controllers, an operator, and probes that speak to servers by hand.
#![allow(dead_code)]

use std::sync::Arc;

use ktrial_models::broker::Broker;
use ktrial_models::config::{Acks, BrokerSettings, ControllerSettings, TopicSettings};
use ktrial_models::ids::{Offset, PartitionId, ServerId, Servers};
use ktrial_models::kafka::{Kafka, KafkaNode, Signal};
use ktrial_models::mutation::Mutations;
use ktrial_models::notes::Note;
use ktrial_models::operator::Operator;
use ktrial_models::probe::{Ask, Probe};
use ktrial_models::protocol::{BROKER_PORT, Correlation, ErrorCode, Request, Response};
use ktrial_models::server::Server;
use ktrial_models::specification::{
    Capacity, ClusterSpecification, FeatureLevels, ServerSpecification, TopicSpecification,
};
use ktrial_sim::{Closure, Crash, Director, Duration, EventId, Link, NodeId, Simulation, Time};

/// A specification of `controllers` dedicated controllers (ids from 1) and `brokers` brokers behind them, without
/// topics; with Kafka's defaults.
pub fn specification(controllers: u16, brokers: u16) -> ClusterSpecification {
    let server = |id: u16| ServerSpecification {
        id: ServerId(id),
        broker: id > controllers,
        controller: id <= controllers,
        rack: None,
    };
    ClusterSpecification {
        servers: (1..=controllers + brokers).map(server).collect(),
        topics: Vec::new(),
        features: FeatureLevels::default(),
        broker: BrokerSettings::default(),
        controller: ControllerSettings::default(),
        capacity: Capacity::default(),
        mutations: Mutations::default(),
    }
}

/// A topic with these replicas for each of its partitions, in this order.
pub fn topic(name: &str, assignment: &[&[u16]], min_insync_replicas: u32) -> TopicSpecification {
    let replicas = |ids: &&[u16]| ids.iter().map(|id| ServerId(*id)).collect::<Servers>();
    TopicSpecification {
        name: name.to_string(),
        partitions: assignment.len() as u32,
        replication_factor: assignment[0].len() as u16,
        assignment: Some(assignment.iter().map(replicas).collect()),
        settings: TopicSettings {
            min_insync_replicas,
            ..TopicSettings::default()
        },
        min_insync_replicas: Some(min_insync_replicas),
        unclean_leader_election_enable: None,
    }
}

/// A note with when and by whom.
#[derive(Clone, Debug)]
pub struct Told {
    pub at: Time,
    pub by: NodeId,
    pub note: Note,
}

struct Listening(Vec<Told>);

impl Director<Kafka> for Listening {
    fn note(&mut self, by: NodeId, _: EventId, note: &Note, simulation: &mut Simulation<Kafka>) {
        self.0.push(Told {
            at: simulation.now(),
            by,
            note: note.clone(),
        });
    }
    fn scripted(&mut self, _: u32, _: &mut Simulation<Kafka>) {}
}

/// A running cluster: node 0 is the operator, servers follow by id, then probes.
pub struct Cluster {
    pub simulation: Simulation<Kafka>,
    pub specification: Arc<ClusterSpecification>,
    pub told: Vec<Told>,
    /// The probe that this module's functions speak through.
    pub probe: NodeId,
}

impl Cluster {
    /// Starts every server. The operator stays down: tests create topics by hand, or start it themselves.
    pub fn start(specification: ClusterSpecification, seed: u64) -> Cluster {
        let mut cluster = Cluster::prepare(specification, seed);
        for server in cluster.servers() {
            cluster.simulation.start(server.node());
        }
        cluster
    }

    /// Servers that have not been started, and a probe that has.
    pub fn prepare(specification: ClusterSpecification, seed: u64) -> Cluster {
        let specification = Arc::new(specification);
        let operator = Operator::new(Arc::clone(&specification));
        let mut nodes = vec![KafkaNode::Operator(Box::new(operator))];
        for server in &specification.servers {
            let server = Server::new(server.id, Arc::clone(&specification));
            nodes.push(KafkaNode::Server(Box::new(server)));
        }
        let probe = NodeId(nodes.len() as u16);
        nodes.push(KafkaNode::Probe(Box::default()));
        let mut simulation = Simulation::default();
        simulation.reset(seed, nodes, Link::default());
        simulation.start(probe);
        Cluster {
            simulation,
            specification,
            told: Vec::new(),
            probe,
        }
    }

    /// A cluster whose brokers all run, with the topics of the specification created.
    pub fn running(specification: ClusterSpecification, seed: u64) -> Cluster {
        let mut cluster = Cluster::start(specification, seed);
        let brokers = cluster.brokers();
        let all_run = |cluster: &Cluster| brokers.iter().all(|id| cluster.runs(*id));
        assert!(
            cluster.run_until(Duration::secs(60), all_run),
            "not all brokers run: {:?}",
            cluster.told
        );
        for number in 0..cluster.specification.topics.len() as u16 {
            let broker = brokers[0];
            let answer = cluster.ask(broker, Request::CreateTopic(number));
            assert_eq!(answer, Some(Ok(Response::CreateTopic(ErrorCode::None))));
        }
        let partitions: u32 = cluster.specification.topics.iter().map(|t| t.partitions).sum();
        let all_led = |cluster: &Cluster| {
            let led = |partition| cluster.leader(PartitionId(partition)).is_some();
            (0..partitions).all(led)
        };
        assert!(
            cluster.run_until(Duration::secs(10), all_led),
            "not all partitions are led: {:?}",
            cluster.told
        );
        cluster
    }

    pub fn servers(&self) -> Vec<ServerId> {
        self.specification
            .servers
            .iter()
            .map(|server| server.id)
            .collect()
    }

    pub fn brokers(&self) -> Vec<ServerId> {
        let servers = self.specification.servers.iter();
        servers
            .filter(|server| server.broker)
            .map(|server| server.id)
            .collect()
    }

    pub fn server(&self, id: ServerId) -> &Server {
        match self.simulation.node(id.node()) {
            KafkaNode::Server(server) => server,
            _ => panic!("{id} is no server"),
        }
    }

    pub fn broker(&self, id: ServerId) -> &Broker {
        self.server(id).broker().expect("a broker")
    }

    /// Whether the broker's process is up and serves.
    pub fn runs(&self, id: ServerId) -> bool {
        self.simulation.status(id.node()) == ktrial_sim::Status::Up && self.broker(id).is_running()
    }

    /// The broker that leads a partition in its own eyes, with the highest epoch if there are several.
    pub fn leader(&self, partition: PartitionId) -> Option<ServerId> {
        let leads = |id: &ServerId| {
            let up = self.simulation.status(id.node()) == ktrial_sim::Status::Up;
            up.then(|| self.broker(*id).leads(partition)).flatten()
        };
        let leaders = self
            .brokers()
            .into_iter()
            .filter_map(|id| Some((leads(&id)?, id)));
        leaders.max().map(|(_, id)| id)
    }

    pub fn run_for(&mut self, span: Duration) {
        let until = self.simulation.now() + span;
        let mut listening = Listening(std::mem::take(&mut self.told));
        self.simulation.run(until, &mut listening);
        self.told = listening.0;
    }

    /// Runs in steps of a millisecond until `reached`, or for `limit`. Returns whether it was reached.
    pub fn run_until(&mut self, limit: Duration, reached: impl Fn(&Cluster) -> bool) -> bool {
        let deadline = self.simulation.now() + limit;
        while !reached(self) {
            if self.simulation.now() >= deadline {
                return false;
            }
            self.run_for(Duration::millis(1));
        }
        true
    }

    fn probe_mut(&mut self) -> &mut Probe {
        match self.simulation.node_mut(self.probe) {
            KafkaNode::Probe(probe) => probe,
            _ => panic!("not a probe"),
        }
    }

    /// Sends something to a broker, without waiting.
    pub fn send(&mut self, to: ServerId, ask: Ask) -> Correlation {
        let correlation = self.probe_mut().tell(to, BROKER_PORT, ask);
        self.simulation.signal(self.probe, Signal::Quiesce);
        correlation
    }

    /// The answer to something sent, if there is one by now.
    pub fn answer(&self, correlation: Correlation) -> Option<Result<Response, Closure>> {
        match self.simulation.node(self.probe) {
            KafkaNode::Probe(probe) => probe.answer(correlation).cloned(),
            _ => panic!("not a probe"),
        }
    }

    /// Waits for the answer to something sent, at most a minute.
    pub fn await_answer(&mut self, correlation: Correlation) -> Option<Result<Response, Closure>> {
        self.run_until(Duration::secs(60), |cluster| {
            cluster.answer(correlation).is_some()
        });
        self.answer(correlation)
    }

    /// Asks a broker and waits for the answer.
    pub fn ask(&mut self, to: ServerId, request: Request) -> Option<Result<Response, Closure>> {
        let correlation = self.send(to, Ask::Request(request));
        self.await_answer(correlation)
    }

    /// Writes `records` new records in one batch, without waiting.
    pub fn produce(&mut self, to: ServerId, partition: PartitionId, acks: Acks, records: u32) -> Correlation {
        let ask = Ask::Produce {
            partition,
            acks,
            records,
            numbering: None,
            timeout: Duration::secs(30),
        };
        self.send(to, ask)
    }

    /// Writes `records` new records in one batch to the leader and waits for the answer: error and base offset.
    pub fn write(&mut self, partition: PartitionId, acks: Acks, records: u32) -> (ErrorCode, Option<Offset>) {
        let leader = self.leader(partition).expect("the partition is led");
        let correlation = self.produce(leader, partition, acks, records);
        match self.await_answer(correlation) {
            Some(Ok(Response::Produce(response))) => {
                let answer = response.partitions[0];
                (answer.error, answer.base_offset)
            }
            other => panic!("no answer to the produce request: {other:?}"),
        }
    }

    pub fn kill(&mut self, id: ServerId) {
        self.simulation.crash(id.node(), Crash::Process);
    }

    pub fn restart(&mut self, id: ServerId) {
        self.simulation.start(id.node());
    }

    pub fn terminate(&mut self, id: ServerId) {
        self.simulation.signal(id.node(), Signal::Terminate);
    }

    /// What one server told since a time.
    pub fn notes_of(&self, id: ServerId, since: Time) -> impl Iterator<Item = &Note> {
        let told = self.told.iter();
        told.filter(move |told| told.by == id.node() && told.at >= since)
            .map(|told| &told.note)
    }
}
