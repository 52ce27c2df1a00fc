//! The director of a trial: carries out the script, keeps what nodes tell, decides when a phase is over.

mod convergence;
mod deeds;
mod happenings;
mod harms;
mod healing;
mod restarts;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use ktrial_models::broker::Broker;
use ktrial_models::ids::{PartitionId, PartitionMap, TopicId};
use ktrial_models::invariants::Judges;
use ktrial_models::kafka::{Kafka, KafkaNode, Signal};
use ktrial_models::metadata::PartitionRegistration;
use ktrial_models::notes::{LogNote, Note, Phase, QuorumNote};
use ktrial_sim::{Director, Duration, EventId, HoldId, NodeId, Simulation, Status, Time};

pub(crate) use self::harms::{Culprit, Harm, Harms};
use self::restarts::Rolling;
use crate::groups::{GroupMetrics, Processing, TopicOf};
use crate::ledger::Ledger;
use crate::resolved::{Layout, Resolved};
use crate::role::PartitionName;
use crate::script::{Happening, Script, Trigger};
use crate::story::{Story, Told};

/// Names the sequence that draws how long the cluster stands idle.
const IDLE_DRAWS: u64 = 0x4944_4c45_0000;
/// Sequences that draw when consumers start begin here, one for each consumer.
const START_DRAWS: u64 = 0x5354_4152_0000;
/// How often a phase is asked whether it is over.
const POLL: Duration = Duration::millis(100);
/// The longest a cluster may take to form.
pub(crate) const LONGEST_WARM_UP: Duration = Duration::secs(180);

/// Which part of a trial is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The cluster forms; topics are created.
    WarmUp,
    /// Clients work, faults happen.
    Faults,
    /// Applications send nothing more; what they sent gets its outcome while faults last.
    Quiescing,
    /// Faults are over; everything converges.
    Healing,
}

/// A scripted entry that was carried out: when, and on whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// Its number in the script.
    pub entry: usize,
    /// When, since the trial's start.
    pub at: Time,
    /// The nodes its role meant then.
    pub nodes: Vec<NodeId>,
    /// Whether this took it back.
    pub undone: bool,
}

/// Entry numbers of the engine's scripted events.
const POLLED: u32 = u32::MAX;
const FAULTS_OVER: u32 = u32::MAX - 1;
const IDLED: u32 = u32::MAX - 2;
const UNDO: u32 = 1 << 30;
const RESTART: u32 = 1 << 29;
const LATE_START: u32 = 1 << 28;

/// How to take back what was done.
#[derive(Clone, Debug)]
pub(crate) enum Undo {
    /// They are kept down no longer by who did it: they start if nobody else keeps them down.
    Start(Vec<NodeId>),
    /// They stand still no longer because of who let them.
    Resume(Vec<NodeId>),
    Mend(Vec<(NodeId, NodeId)>),
    Quicken(Vec<(NodeId, NodeId)>, Duration),
    Release(HoldId),
    /// What was done to machines' disks, cuts or clocks.
    Lift {
        nodes: Vec<NodeId>,
        clocks: bool,
    },
}

/// See the module.
pub struct TrialDirector {
    pub(crate) layout: Layout,
    pub(crate) resolved: Arc<Resolved>,
    pub(crate) script: Script,
    pub(crate) stage: Stage,
    /// When the clients started.
    pub(crate) clients_started: Time,
    pub(crate) faults_ended: Time,
    /// When it is told what has not converged.
    healing_until: Time,
    pub(crate) converged: bool,
    pub(crate) fired: Vec<Fired>,
    pub(crate) ledger: Ledger,
    pub(crate) processing: Processing,
    pub(crate) metrics: GroupMetrics,
    pub(crate) story: Story,
    /// Who judges; none if the trial goes unjudged.
    pub(crate) judges: Option<Judges>,
    pub(crate) registrations: PartitionMap<PartitionRegistration>,
    /// The specification of each topic that was created.
    topics: BTreeMap<TopicId, u16>,
    active_controller: Option<(u32, NodeId)>,
    bound: BTreeMap<String, Vec<NodeId>>,
    happened: BTreeMap<usize, u32>,
    /// By the script's entry that did what they take back.
    undos: Vec<(usize, Undo)>,
    rolling: Vec<Rolling>,
    harms: Harms,
    /// Consumers that are not to run.
    idle: Vec<NodeId>,
    /// Consumers whose application ends itself.
    dying: Vec<NodeId>,
    /// Clients whose `poll` threw once, which ended their applications.
    threw: Vec<NodeId>,
    phases: Vec<Option<Phase>>,
}

impl TrialDirector {
    /// The director of one trial.
    pub fn new(
        resolved: Arc<Resolved>,
        layout: Layout,
        script: Script,
        keep_story: bool,
        judges: Option<Judges>,
    ) -> Self {
        let mut ledger = Ledger::default();
        ledger.reset(resolved.producers.len());
        let consumers: Vec<NodeId> = layout.consumers().collect();
        let idle = resolved.idle_consumers.iter();
        let idle = idle.map(|number| consumers[*number]).collect();
        TrialDirector {
            processing: Processing::new(&resolved),
            metrics: GroupMetrics::new(&resolved),
            phases: vec![None; layout.len()],
            layout,
            resolved,
            script,
            stage: Stage::WarmUp,
            clients_started: Time::ZERO,
            faults_ended: Time::ZERO,
            healing_until: Time::NEVER,
            converged: false,
            fired: Vec::new(),
            ledger,
            story: Story::new(keep_story),
            judges,
            registrations: PartitionMap::default(),
            topics: BTreeMap::new(),
            active_controller: None,
            bound: BTreeMap::new(),
            happened: BTreeMap::new(),
            undos: Vec::new(),
            rolling: Vec::new(),
            harms: Harms::default(),
            idle,
            dying: Vec::new(),
            threw: Vec::new(),
        }
    }

    /// Starts the servers.
    pub fn begin(&mut self, simulation: &mut Simulation<Kafka>) {
        for (number, producer) in self.layout.producers().enumerate() {
            if let KafkaNode::Producer(process) = simulation.node(producer) {
                self.ledger.expect(number, process.operations());
            }
        }
        for server in self.layout.servers() {
            simulation.start(server);
        }
        simulation.schedule(simulation.now() + POLL, POLLED);
    }

    /// The name of a partition.
    pub fn partition_name(&self, partition: PartitionId) -> Option<PartitionName> {
        let registration = self.registrations.get(partition)?;
        let specification = *self.topics.get(&registration.topic)?;
        let topic = self.resolved.cluster.topic(specification).name.clone();
        Some(PartitionName {
            topic,
            index: registration.index,
        })
    }

    /// The topic of each partition, by its number in the specification.
    pub(crate) fn topics(&self) -> TopicOf {
        let mut topics = TopicOf::default();
        for (id, registration) in self.registrations.iter() {
            if let Some(topic) = self.topics.get(&registration.topic) {
                topics.insert(id, *topic);
            }
        }
        topics
    }

    fn registration(&self, name: &PartitionName) -> Option<&PartitionRegistration> {
        let named = |id| self.partition_name(id).is_some_and(|known| known == *name);
        self.registrations
            .iter()
            .find(|(id, _)| named(*id))
            .map(|(_, registration)| registration)
    }

    fn poll(&mut self, simulation: &mut Simulation<Kafka>) {
        match self.stage {
            Stage::WarmUp => {
                if simulation.status(Layout::OPERATOR) == Status::Down && self.all_brokers_serve(simulation) {
                    simulation.start(Layout::OPERATOR);
                }
                if self.cluster_is_ready(simulation) {
                    let mut draws = simulation.chance().sequence(IDLE_DRAWS);
                    match self.resolved.idle.draw(&mut draws) {
                        Duration::ZERO => self.start_clients(simulation),
                        idle => simulation.schedule(simulation.now() + idle, IDLED),
                    }
                    return;
                }
                if simulation.now() > Time::ZERO + LONGEST_WARM_UP {
                    simulation.stop();
                    return;
                }
            }
            Stage::Faults => return,
            Stage::Quiescing => {
                let waited = simulation.now().since(self.faults_ended);
                if waited >= self.resolved.quiesce || self.undecided(simulation) == 0 {
                    self.heal(simulation);
                    return;
                }
            }
            Stage::Healing => {
                self.revive(simulation);
                if self.pending(simulation, 1).is_empty() {
                    self.converged = true;
                    simulation.stop();
                    return;
                }
                if simulation.now() > self.healing_until {
                    simulation.stop();
                    return;
                }
            }
        }
        simulation.schedule(simulation.now() + POLL, POLLED);
    }

    /// Whether every broker accepts connections: whoever sets a cluster up waits for that before creating topics, as
    /// those who recorded real clusters did.
    fn all_brokers_serve(&self, simulation: &Simulation<Kafka>) -> bool {
        let servers = self.resolved.cluster.servers.iter();
        let mut brokers = servers.filter(|server| server.broker);
        brokers.all(|server| match simulation.node(server.id.node()) {
            KafkaNode::Server(server) => server.broker().is_some_and(Broker::is_running),
            _ => unreachable!("servers' machines are servers"),
        })
    }

    fn cluster_is_ready(&self, simulation: &Simulation<Kafka>) -> bool {
        let KafkaNode::Operator(operator) = simulation.node(Layout::OPERATOR) else {
            unreachable!("machine 0 is the operator's");
        };
        let partitions: u32 = self
            .resolved
            .cluster
            .topics
            .iter()
            .map(|topic| topic.partitions)
            .sum();
        operator.topics_created()
            && self.registrations.iter().count() as u32 == partitions
            && self.registrations.iter().all(|(_, registration)| {
                registration.leader.is_some() && registration.isr.len() == registration.replicas.len()
            })
    }

    fn start_clients(&mut self, simulation: &mut Simulation<Kafka>) {
        self.stage = Stage::Faults;
        self.clients_started = simulation.now();
        self.story.tell(simulation.now(), Told::ClientsStart);
        for client in self.layout.clients() {
            if self.idle.contains(&client) {
                continue;
            }
            let consumer = self.layout.consumer_index(client);
            let start = consumer.and_then(|consumer| Some((consumer, self.resolved.starts[consumer]?)));
            let Some((consumer, start)) = start else {
                simulation.start(client);
                continue;
            };
            let mut draws = simulation.chance().sequence(START_DRAWS + consumer as u64);
            let at = self.clients_started + start.draw(&mut draws);
            self.harms
                .add(Culprit::LateStart(consumer), client, Harm::Down, simulation);
            simulation.schedule(at, LATE_START | consumer as u32);
        }
        for (number, entry) in self.script.entries.iter().enumerate() {
            if let Trigger::At(after) = &entry.trigger {
                simulation.schedule(self.clients_started + after.0, number as u32);
            }
        }
        simulation.schedule(self.clients_started + self.resolved.duration, FAULTS_OVER);
    }

    fn quiesce(&mut self, simulation: &mut Simulation<Kafka>) {
        self.stage = Stage::Quiescing;
        self.faults_ended = simulation.now();
        self.story.tell(simulation.now(), Told::Quiescing);
        for producer in self.layout.producers() {
            simulation.signal(producer, Signal::Quiesce);
        }
        self.poll(simulation);
    }

    /// Sends of running producers that have no outcome yet.
    fn undecided(&self, simulation: &Simulation<Kafka>) -> u32 {
        let waiting = |producer| match simulation.node(producer) {
            KafkaNode::Producer(process) if simulation.status(producer) == Status::Up => process.pending(),
            _ => 0,
        };
        self.layout.producers().map(waiting).sum()
    }

    fn heal(&mut self, simulation: &mut Simulation<Kafka>) {
        self.stage = Stage::Healing;
        self.healing_until = simulation.now() + self.time_to_heal(simulation);
        self.story.tell(simulation.now(), Told::Healing);
        self.rolling.clear();
        let nodes: Vec<NodeId> = self.layout.everything().collect();
        let now = simulation.now();
        for node in &nodes {
            let still = simulation.status(*node) == Status::Paused;
            if still || !simulation.clock_mut(*node).is_right(now) {
                self.disturb(&[*node], simulation);
            }
        }
        self.harms.lift_every(&nodes, simulation);
        for (entry, undo) in std::mem::take(&mut self.undos) {
            self.take_back(Culprit::Entry(entry), undo, simulation);
        }
        simulation.mend_all();
        nodes.iter().for_each(|node| simulation.resume(*node));
        for producer in self.layout.producers() {
            // One that was paused has not heard it yet.
            simulation.signal(producer, Signal::Quiesce);
        }
        self.revive(simulation);
        simulation.schedule(simulation.now() + POLL, POLLED);
    }

    /// Starts every process that does not run.
    fn revive(&mut self, simulation: &mut Simulation<Kafka>) {
        let nodes: Vec<NodeId> = self.layout.everything().collect();
        for node in self.meant_to_run(&nodes) {
            if matches!(simulation.status(node), Status::Down | Status::Off) {
                self.story.tell(simulation.now(), Told::Started(node));
                simulation.start(node);
                if self.layout.producer_index(node).is_some() {
                    simulation.signal(node, Signal::Quiesce);
                }
            }
        }
    }
}

impl Director<Kafka> for TrialDirector {
    fn note(&mut self, node: NodeId, event: EventId, note: &Note, simulation: &mut Simulation<Kafka>) {
        let now = simulation.now();
        if let Some(judges) = &mut self.judges {
            judges.note(now, node, event, note, simulation.arena());
        }
        self.metrics.note(&self.layout, now, node, note);
        match note {
            Note::Client(client) => self.client_note(node, client, simulation),
            Note::Cluster(cluster) => self.cluster_note(cluster, simulation),
            Note::Phase(phase) => self.phase_note(node, *phase, simulation),
            Note::Quorum(QuorumNote::Leads(epoch))
                if self.active_controller.is_none_or(|(newest, _)| epoch.0 > newest) =>
            {
                self.active_controller = Some((epoch.0, node));
                self.happens(|it, _| *it == Happening::ControllerElection, simulation);
            }
            Note::Log(_, LogNote::SegmentsDeleted { batches, .. }) => {
                self.ledger.deleted(&self.layout, batches, simulation.arena());
            }
            Note::Log(partition, LogNote::Truncated { .. }) => {
                if let Some(name) = self.partition_name(*partition) {
                    self.happens(
                        |it, _| matches!(it, Happening::TruncationOf(_)) && it.concerns(&name),
                        simulation,
                    );
                }
            }
            _ => {}
        }
        self.story.note(now, node, event, note);
    }

    fn scripted(&mut self, entry: u32, simulation: &mut Simulation<Kafka>) {
        match entry {
            POLLED => self.poll(simulation),
            FAULTS_OVER => self.quiesce(simulation),
            IDLED => self.start_clients(simulation),
            number if number & UNDO != 0 => {
                // Taken out in its place, so that the numbers of the others stay.
                if let Some((entry, undo)) = self.undos.get_mut((number & !UNDO) as usize) {
                    let (entry, undo) = (*entry, std::mem::replace(undo, Undo::Mend(Vec::new())));
                    let by = Culprit::Entry(entry);
                    let told = match &undo {
                        Undo::Start(_) | Undo::Resume(_) => false,
                        Undo::Lift { nodes, .. } => !self.harms.outlast(by, nodes),
                        _ => true,
                    };
                    if told {
                        self.story.tell(simulation.now(), Told::TakenBack { entry });
                    }
                    self.take_back(by, undo, simulation);
                }
            }
            late if late & LATE_START != 0 => {
                let consumer = (late & !LATE_START) as usize;
                let node = self.layout.consumers().nth(consumer);
                let node = node.expect("it is one of the layout's");
                self.harms.lift(Culprit::LateStart(consumer), &[node], simulation);
                if self.is_to_start(node, simulation) {
                    simulation.start(node);
                }
            }
            restart if restart & RESTART != 0 => self.restart((restart & !RESTART) as usize, simulation),
            number => self.fire(number as usize, simulation),
        }
    }
}
