//! Clusters for tests: brokers, controllers, an operator, and probes that speak to servers by hand.
#![allow(dead_code)]

pub mod groups;

use std::sync::Arc;

use ktrial_models::broker::Broker;
use ktrial_models::config::{Acks, BrokerSettings, ControllerSettings, IsolationLevel, TopicSettings};
use ktrial_models::ids::{Offset, PartitionId, ServerId, Servers};
use ktrial_models::kafka::{Kafka, KafkaNode, Signal};
use ktrial_models::mutation::Mutations;
use ktrial_models::notes::{Note, Phase};
use ktrial_models::operator::Operator;
use ktrial_models::probe::{Ask, Probe};
use ktrial_models::protocol::{
    BROKER_PORT, Correlation, ErrorCode, FetchPartition, FetchRequest, FetchedPartition, Request, Response,
};
use ktrial_models::server::Server;
use ktrial_models::specification::{
    Capacity, ClusterSpecification, FeatureLevels, ServerSpecification, TopicSpecification,
};
use smallvec::smallvec;

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
        groups: Default::default(),
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

const PROBES: u16 = 4;

/// A note with when and by whom.
#[derive(Clone, Debug)]
pub struct Told {
    pub at: Time,
    pub by: NodeId,
    pub note: Note,
}

struct Listening {
    told: Vec<Told>,
    phases: Vec<Option<Phase>>,
}

impl Director<Kafka> for Listening {
    fn note(&mut self, by: NodeId, _: EventId, note: &Note, simulation: &mut Simulation<Kafka>) {
        if let Note::Phase(phase) = note {
            self.phases[usize::from(by.0)] = Some(*phase);
        }
        self.told.push(Told {
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
    /// The newest phase of each node's process.
    phases: Vec<Option<Phase>>,
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
        Cluster::prepare_with(specification, seed, |_| Vec::new())
    }

    /// The same with more machines behind the probes, from [`Cluster::others`] on.
    pub fn prepare_with(
        specification: ClusterSpecification,
        seed: u64,
        others: impl FnOnce(&Arc<ClusterSpecification>) -> Vec<KafkaNode>,
    ) -> Cluster {
        let specification = Arc::new(specification);
        let operator = Operator::new(Arc::clone(&specification));
        let mut nodes = vec![KafkaNode::Operator(Box::new(operator))];
        for server in &specification.servers {
            let server = Server::new(server.id, Arc::clone(&specification));
            nodes.push(KafkaNode::Server(Box::new(server)));
        }
        let probe = NodeId(nodes.len() as u16);
        nodes.extend((0..PROBES).map(|_| KafkaNode::Probe(Box::default())));
        nodes.extend(others(&specification));
        let mut simulation = Simulation::default();
        let phases = vec![None; nodes.len()];
        simulation.reset(seed, nodes, Link::default());
        (0..PROBES).for_each(|number| simulation.start(NodeId(probe.0 + number)));
        Cluster {
            simulation,
            specification,
            told: Vec::new(),
            phases,
            probe,
        }
    }

    /// Lets this module's functions speak through another probe, numbered from 0: a connection carries one request
    /// at a time.
    pub fn use_probe(&mut self, number: u16) {
        assert!(number < PROBES);
        self.probe = NodeId(self.specification.servers.len() as u16 + 1 + number);
    }

    /// The first machine behind the probes.
    pub fn others(&self) -> NodeId {
        NodeId(self.specification.servers.len() as u16 + 1 + PROBES)
    }

    /// A cluster whose brokers all run, with the topics of the specification created.
    pub fn running(specification: ClusterSpecification, seed: u64) -> Cluster {
        Cluster::start(specification, seed).settled()
    }

    /// Waits until all brokers run, creates the topics and waits for their leaders.
    pub fn settled(self) -> Cluster {
        let topics = self.specification.topics.len();
        self.settled_with(topics)
    }

    /// The same with the first topics only.
    pub fn settled_with(self, topics: usize) -> Cluster {
        let mut cluster = self;
        let brokers = cluster.brokers();
        let all_run = |cluster: &Cluster| brokers.iter().all(|id| cluster.runs(*id));
        assert!(
            cluster.run_until(Duration::secs(60), all_run),
            "not all brokers run: {:?}",
            cluster.told
        );
        for number in 0..topics as u16 {
            let broker = brokers[0];
            let answer = cluster.ask(broker, Request::CreateTopic(number));
            assert_eq!(answer, Some(Ok(Response::CreateTopic(ErrorCode::None))));
        }
        let created = &cluster.specification.topics[..topics];
        let partitions: u32 = created.iter().map(|topic| topic.partitions).sum();
        let all_led = |cluster: &Cluster| {
            let led = |partition| cluster.leader(PartitionId(partition)).is_some();
            (0..partitions).all(led)
        };
        assert!(
            cluster.run_until(Duration::secs(10), all_led),
            "not all partitions are led: {:?}",
            cluster.told
        );
        // Every other broker publishes that metadata too.
        cluster.run_for(Duration::millis(600));
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
        let up = self.simulation.status(id.node()) == ktrial_sim::Status::Up;
        up && self.phases[usize::from(id.0)] == Some(Phase::Running)
    }

    /// The broker that leads a partition in its own eyes, with the highest epoch if there are several.
    pub fn leader(&self, partition: PartitionId) -> Option<ServerId> {
        let leads = |id: &ServerId| {
            let up = self.simulation.status(id.node()) == ktrial_sim::Status::Up;
            let starting = self.phases[usize::from(id.0)] == Some(Phase::Starting);
            (up && !starting)
                .then(|| self.broker(*id).leads(partition))
                .flatten()
        };
        let leaders = self
            .brokers()
            .into_iter()
            .filter_map(|id| Some((leads(&id)?, id)));
        leaders.max().map(|(_, id)| id)
    }

    pub fn run_for(&mut self, span: Duration) {
        let until = self.simulation.now() + span;
        let mut listening = Listening {
            told: std::mem::take(&mut self.told),
            phases: std::mem::take(&mut self.phases),
        };
        self.simulation.run(until, &mut listening);
        self.told = listening.told;
        self.phases = listening.phases;
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

    /// Writes new records to two partitions of one leader in one request, with acks=all.
    pub fn write_both(&mut self, partitions: [PartitionId; 2], records: u32) -> [ErrorCode; 2] {
        let leader = self.leader(partitions[0]).expect("the partition is led");
        let asked = self.send(leader, Ask::ProduceTo(partitions, records));
        match self.await_answer(asked) {
            Some(Ok(Response::Produce(answer))) => [answer.partitions[0].error, answer.partitions[1].error],
            other => panic!("no answer to the produce request: {other:?}"),
        }
    }

    /// A consumer's fetch of one partition outside of any session.
    pub fn fetch_request(partition: PartitionId, from: Offset, max_wait: Duration) -> FetchRequest {
        FetchRequest {
            replica: None,
            max_wait,
            min_bytes: 1,
            max_bytes: 1 << 20,
            isolation: IsolationLevel::ReadUncommitted,
            session: 0,
            session_epoch: -1,
            partitions: smallvec![FetchPartition {
                partition,
                current_leader_epoch: None,
                fetch_offset: from,
                last_fetched_epoch: None,
                log_start: Offset(0),
                max_bytes: 1 << 20,
            }],
            forgotten: smallvec![],
            rack: None,
        }
    }

    /// Reads one partition as a consumer, waiting at most `max_wait` for something to be there.
    pub fn consume(
        &mut self,
        from: ServerId,
        partition: PartitionId,
        offset: Offset,
        max_wait: Duration,
    ) -> FetchedPartition {
        let request = Request::Fetch(Box::new(Cluster::fetch_request(partition, offset, max_wait)));
        match self.ask(from, request) {
            Some(Ok(Response::Fetch(answer))) => answer.partitions[0].clone(),
            other => panic!("no answer to the fetch: {other:?}"),
        }
    }

    /// Where a replica's log ends, and its high watermark.
    pub fn ends(&self, id: ServerId, partition: PartitionId) -> (Offset, Offset) {
        let log = self.broker(id).partition(partition).expect("a replica").log();
        (log.end(), log.high_watermark())
    }

    /// The committed ISR in the eyes of the leader.
    pub fn isr(&self, partition: PartitionId) -> Vec<u16> {
        let leader = self.leader(partition).expect("the partition is led");
        let isr = self.broker(leader).partition(partition).expect("it leads").isr();
        isr.iter().map(|id| id.0).collect()
    }

    pub fn kill(&mut self, id: ServerId) {
        self.simulation.crash(id.node(), Crash::Process);
    }

    pub fn restart(&mut self, id: ServerId) {
        self.simulation.start(id.node());
        self.phases[usize::from(id.0)] = Some(Phase::Starting);
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
