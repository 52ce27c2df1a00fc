//! A cluster of servers without clients, and an eye on its quorum that fails the test when a promise breaks.

#![allow(dead_code)] // each test file uses a part of it

use std::collections::BTreeMap;
use std::sync::Arc;

use ktrial_models::config::ControllerSettings;
use ktrial_models::ids::{Offset, QuorumEpoch, ServerId};
use ktrial_models::kafka::{Kafka, KafkaNode, METADATA_LOG};
use ktrial_models::mutation::Mutations;
use ktrial_models::notes::{Note, Phase, QuorumNote};
use ktrial_models::operator::Operator;
use ktrial_models::raft::Raft;
use ktrial_models::records::{LogEntry, MetadataBatch};
use ktrial_models::server::Server;
use ktrial_models::specification::{ClusterSpecification, FeatureLevels, ServerSpecification};
use ktrial_sim::{Director, Duration, EventId, Link, NodeId, Simulation, Status, Time};

/// Servers by their roles: `c` a controller, `b` a broker, `x` both. Server n is the nth.
pub fn specification(roles: &str) -> ClusterSpecification {
    let server = |(index, role)| ServerSpecification {
        id: ServerId(index as u16 + 1),
        broker: role != 'c',
        controller: role != 'b',
        rack: None,
    };
    ClusterSpecification {
        servers: roles.chars().enumerate().map(server).collect(),
        topics: Vec::new(),
        groups: Default::default(),
        features: FeatureLevels::default(),
        broker: Default::default(),
        // No no-op records: with a log that stands still, servers that agree know the same high watermark.
        controller: ControllerSettings {
            metadata_max_idle_interval_ms: Duration::ZERO,
            ..ControllerSettings::default()
        },
        capacity: Default::default(),
        mutations: Mutations::default(),
    }
}

/// The same with a record every half second, so that logs can differ.
pub fn with_records(mut specification: ClusterSpecification) -> ClusterSpecification {
    specification.controller.metadata_max_idle_interval_ms = Duration::millis(500);
    specification
}

/// The one way in which a voter of 4.3 ends itself although no disk was lost: it stood for election, lost, followed
/// the winner, and was restarted. `quorum-state` then names it as voted for, so it starts as a candidate of that
/// epoch although its log has records of it, and a voter that has not heard of the winner refuses such a request.
pub const CANDIDATE_AGAIN: &str = "INVALID_REQUEST in a response of the quorum";

/// A broker that found no active controller for too long.
pub const NOT_REGISTERED: &str = "no registration within initial.broker.registration.timeout.ms";

/// What the quorum did, and which promises broke.
#[derive(Default)]
pub struct Watch {
    /// Who led which epoch; more than one breaks the first promise of Raft.
    pub leaders: BTreeMap<QuorumEpoch, Vec<ServerId>>,
    /// Who resigned from which epoch, and when.
    pub resigned: Vec<(Time, ServerId, QuorumEpoch)>,
    /// Who became leader when.
    pub led: Vec<(Time, ServerId, QuorumEpoch)>,
    /// All votes: who, in which epoch, for whom.
    pub votes: Vec<(ServerId, QuorumEpoch, ServerId)>,
    /// Processes that ended themselves.
    pub exited: Vec<(Time, ServerId, &'static str)>,
    /// Orderly stops.
    pub stopped: Vec<(Time, ServerId)>,
    /// Batches appended, by whom and when.
    pub appended: Vec<(Time, ServerId, Offset)>,
    /// Cuts of logs: to, from.
    pub truncated: Vec<(ServerId, Offset, Offset)>,
    /// The committed log, as the first one to commit it had it.
    pub committed: Vec<MetadataBatch>,
    /// Commits that differ from what was committed before.
    pub contradictions: Vec<(Time, ServerId, Offset)>,
}

impl Watch {
    /// Epochs with two leaders.
    pub fn divided(&self) -> Vec<QuorumEpoch> {
        let divided = self.leaders.iter().filter(|(_, leaders)| leaders.len() > 1);
        divided.map(|(epoch, _)| *epoch).collect()
    }

    /// Votes of one server for two candidates in one epoch.
    pub fn double_votes(&self) -> usize {
        let differ = |(place, a): (usize, &(ServerId, QuorumEpoch, ServerId))| {
            let others = &self.votes[..place];
            others.iter().any(|b| (a.0, a.1) == (b.0, b.1) && a.2 != b.2)
        };
        self.votes.iter().enumerate().filter(|vote| differ(*vote)).count()
    }

    /// Fails unless every promise of the quorum was kept.
    pub fn assert_safe(&self, seed: u64) {
        assert_eq!(
            self.divided(),
            [],
            "seed {seed}: two leaders in an epoch: {:?}",
            self.leaders
        );
        assert_eq!(self.double_votes(), 0, "seed {seed}: {:?}", self.votes);
        assert_eq!(self.contradictions, [], "seed {seed}: committed twice");
        let allowed = [CANDIDATE_AGAIN, NOT_REGISTERED];
        let exits = self.exited.iter().filter(|(_, _, why)| !allowed.contains(why));
        assert_eq!(exits.count(), 0, "seed {seed}: {:?}", self.exited);
    }

    fn compare(&mut self, server: ServerId, to: Offset, simulation: &Simulation<Kafka>) {
        let file = simulation.disk(server.node()).existing(METADATA_LOG);
        let log = file
            .map_or(&[][..], |file| file.entries())
            .iter()
            .map(LogEntry::metadata);
        let committed = log.take_while(|batch| batch.next_offset() <= to);
        for (place, batch) in committed.enumerate() {
            match self.committed.get(place) {
                None => self.committed.push(*batch),
                Some(known) if known == batch => {}
                Some(_) => {
                    self.contradictions
                        .push((simulation.now(), server, batch.base_offset));
                    return;
                }
            }
        }
    }
}

impl Director<Kafka> for Watch {
    fn note(&mut self, node: NodeId, _: EventId, note: &Note, simulation: &mut Simulation<Kafka>) {
        let (server, now) = (ServerId::from(node), simulation.now());
        match note {
            Note::Quorum(QuorumNote::Leads(epoch)) => {
                self.led.push((now, server, *epoch));
                let leaders = self.leaders.entry(*epoch).or_default();
                if !leaders.contains(&server) {
                    leaders.push(server);
                }
            }
            Note::Quorum(QuorumNote::Resigned(epoch)) => self.resigned.push((now, server, *epoch)),
            Note::Quorum(QuorumNote::Voted(epoch, whom)) => self.votes.push((server, *epoch, *whom)),
            Note::Quorum(QuorumNote::HighWatermark { to, .. }) => self.compare(server, *to, simulation),
            Note::Quorum(QuorumNote::Appended(base, _, _)) => self.appended.push((now, server, *base)),
            Note::Quorum(QuorumNote::Truncated { to, from }) => self.truncated.push((server, *to, *from)),
            Note::Phase(Phase::Exited(why)) => self.exited.push((now, server, why)),
            Note::Phase(Phase::Stopped) => self.stopped.push((now, server)),
            _ => {}
        }
    }

    fn scripted(&mut self, _: u32, _: &mut Simulation<Kafka>) {}
}

/// A cluster under test.
pub struct Cluster {
    pub simulation: Simulation<Kafka>,
    pub watch: Watch,
    servers: u16,
}

impl Cluster {
    /// All servers have been started at time 0.
    pub fn start(seed: u64, specification: ClusterSpecification) -> Self {
        let mut cluster = Self::prepare(seed, specification);
        for server in cluster.servers() {
            cluster.simulation.start(server);
        }
        cluster
    }

    /// Nothing has been started yet.
    pub fn prepare(seed: u64, specification: ClusterSpecification) -> Self {
        let specification = Arc::new(specification);
        let mut nodes = vec![KafkaNode::Operator(Box::new(Operator::new(Arc::clone(
            &specification,
        ))))];
        nodes.extend(specification.servers.iter().map(|server| {
            let server = Server::new(server.id, Arc::clone(&specification));
            KafkaNode::Server(Box::new(server))
        }));
        let mut simulation = Simulation::default();
        let servers = nodes.len() as u16 - 1;
        simulation.reset(seed, nodes, Link::default());
        Cluster {
            simulation,
            watch: Watch::default(),
            servers,
        }
    }

    /// Lets this much time pass.
    pub fn run(&mut self, span: Duration) {
        let until = self.simulation.now() + span;
        self.simulation.run(until, &mut self.watch);
    }

    /// All servers.
    pub fn servers(&self) -> impl Iterator<Item = NodeId> + use<> {
        (1..=self.servers).map(NodeId)
    }

    /// The quorum as one server knows it.
    pub fn raft(&self, server: NodeId) -> &Raft {
        match self.simulation.node(server) {
            KafkaNode::Server(server) => server.raft(),
            _ => panic!("servers only"),
        }
    }

    /// The server that leads the newest epoch, if its process runs.
    pub fn leader(&self) -> Option<NodeId> {
        let (_, leaders) = self.watch.leaders.last_key_value()?;
        let leader = leaders.last()?.node();
        let leads = self.raft(leader).leader() == Some(ServerId::from(leader))
            && self.simulation.status(leader) == Status::Up
            && self.raft(leader).high_watermark().is_some();
        leads.then_some(leader)
    }

    /// Runs until a leader has committed the start of its epoch; at most half a minute.
    pub fn await_leader(&mut self) -> NodeId {
        for _ in 0..300 {
            if let Some(leader) = self.leader() {
                return leader;
            }
            self.run(Duration::millis(100));
        }
        panic!("no leader after 30 s: {:?}", self.watch.leaders);
    }

    /// Cuts everything between two servers, or mends it.
    pub fn cut(&mut self, one: NodeId, other: NodeId) {
        self.simulation.cut(one, other);
        self.simulation.cut(other, one);
    }

    /// Takes back [`Cluster::cut`].
    pub fn mend(&mut self, one: NodeId, other: NodeId) {
        self.simulation.mend(one, other);
        self.simulation.mend(other, one);
    }

    /// Cuts one server off from all others, or mends that.
    pub fn isolate(&mut self, server: NodeId) {
        for other in self.servers().filter(|other| *other != server) {
            self.cut(server, other);
        }
    }

    /// Takes back [`Cluster::isolate`].
    pub fn rejoin(&mut self, server: NodeId) {
        for other in self.servers().filter(|other| *other != server) {
            self.mend(server, other);
        }
    }

    /// Fails unless all servers that run follow one leader and learn what it has committed. Gives processes that
    /// have just been started the time to come up.
    pub fn assert_agreed(&mut self, seed: u64) {
        self.run(Duration::secs(6));
        let leader = self.await_leader();
        let end = self.raft(leader).high_watermark();
        let log = self.simulation.disk(leader).existing(METADATA_LOG);
        let log = log.expect("it leads").entries().iter().map(LogEntry::metadata);
        assert!(
            log.take(self.watch.committed.len()).eq(&self.watch.committed),
            "seed {seed}: a committed record is gone"
        );
        self.run(Duration::secs(3));
        for server in self.servers() {
            if self.simulation.status(server) == Status::Up {
                let raft = self.raft(server);
                assert_eq!(
                    raft.leader(),
                    Some(ServerId::from(leader)),
                    "seed {seed}, server {server:?}"
                );
                let known = raft.high_watermark();
                assert!(
                    known >= end,
                    "seed {seed}, server {server:?}: {known:?}, not {end:?}"
                );
            }
        }
    }
}

/// Numbers for the choice of faults: a multiplicative congruential generator, enough for that.
pub struct Dice(pub u64);

impl Dice {
    /// A number in `0..bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
