//! The director of a trial: carries out the script, keeps what nodes tell, decides when a phase is over.

use std::collections::BTreeMap;
use std::sync::Arc;

use ktrial_models::groups::partition_of;
use ktrial_models::ids::{Offset, PartitionId, PartitionMap, ServerId};
use ktrial_models::invariants::Judges;
use ktrial_models::kafka::{Kafka, KafkaNode, Signal};
use ktrial_models::metadata::PartitionRegistration;
use ktrial_models::notes::{ClientNote, ClusterNote, Note, Phase, QuorumNote};
use ktrial_models::specification::ConsumerSpecification;
use ktrial_sim::{Director, Duration, EventId, HoldId, NodeId, Simulation, Status, Time};

use crate::ledger::Ledger;
use crate::resolved::{Layout, Resolved};
use crate::role::{PartitionName, RoleView};
use crate::script::{Action, Happening, PhaseName, Script, Trigger};
use crate::story::{Story, Told};

/// Names the sequence that draws how long the cluster stands idle.
const IDLE_DRAWS: u64 = 0x4944_4c45_0000;
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

/// How to take back what was done.
#[derive(Clone, Debug)]
pub(crate) enum Undo {
    Start(Vec<NodeId>),
    Resume(Vec<NodeId>),
    Mend(Vec<(NodeId, NodeId)>),
    Quicken(Vec<(NodeId, NodeId)>, Duration),
    Release(HoldId),
    SetClocksRight(Vec<NodeId>),
    HealDisks(Vec<NodeId>),
    DisarmCuts,
}

/// Processes that are shut down and started one after the other.
#[derive(Clone, Debug)]
struct Rolling {
    nodes: Vec<NodeId>,
    position: usize,
    down: Duration,
    between: Duration,
    /// The one in hand has stopped and waits for its start.
    stopped: bool,
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
    healing_since: Time,
    pub(crate) converged: bool,
    pub(crate) fired: Vec<Fired>,
    pub(crate) ledger: Ledger,
    pub(crate) story: Story,
    /// Who judges; none if the trial goes unjudged.
    pub(crate) judges: Option<Judges>,
    pub(crate) registrations: PartitionMap<PartitionRegistration>,
    topics: Vec<u16>,
    active_controller: Option<(u32, NodeId)>,
    bound: BTreeMap<String, Vec<NodeId>>,
    happened: BTreeMap<usize, u32>,
    pub(crate) undos: Vec<Undo>,
    /// The script's entry that each of `undos` takes back.
    undo_entries: Vec<usize>,
    rolling: Vec<Rolling>,
    phases: Vec<Option<Phase>>,
}

impl TrialDirector {
    /// The director of one trial.
    pub fn new(resolved: Arc<Resolved>, script: Script, keep_story: bool, judges: Option<Judges>) -> Self {
        let layout = Layout::new(&resolved);
        let mut ledger = Ledger::default();
        ledger.reset(resolved.producers.len());
        TrialDirector {
            phases: vec![None; layout.len()],
            layout,
            resolved,
            script,
            stage: Stage::WarmUp,
            clients_started: Time::ZERO,
            faults_ended: Time::ZERO,
            healing_since: Time::ZERO,
            converged: false,
            fired: Vec::new(),
            ledger,
            story: Story::new(keep_story),
            judges,
            registrations: PartitionMap::default(),
            topics: Vec::new(),
            active_controller: None,
            bound: BTreeMap::new(),
            happened: BTreeMap::new(),
            undos: Vec::new(),
            undo_entries: Vec::new(),
            rolling: Vec::new(),
        }
    }

    /// Starts the servers and the operator.
    pub fn begin(&mut self, simulation: &mut Simulation<Kafka>) {
        simulation.start(Layout::OPERATOR);
        for server in self.layout.servers() {
            simulation.start(server);
        }
        simulation.schedule(simulation.now() + POLL, POLLED);
    }

    /// The name of a partition.
    pub fn partition_name(&self, partition: PartitionId) -> Option<PartitionName> {
        let registration = self.registrations.get(partition)?;
        let specification = *self.topics.get(usize::from(registration.topic.0))?;
        let topic = self.resolved.cluster.topic(specification).name.clone();
        Some(PartitionName {
            topic,
            index: registration.index,
        })
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
                if simulation.now() > self.healing_since + self.resolved.heal {
                    simulation.stop();
                    return;
                }
            }
        }
        simulation.schedule(simulation.now() + POLL, POLLED);
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
            simulation.start(client);
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
        self.healing_since = simulation.now();
        self.story.tell(simulation.now(), Told::Healing);
        self.rolling.clear();
        for undo in std::mem::take(&mut self.undos) {
            self.take_back(undo, simulation);
        }
        simulation.mend_all();
        simulation.disarm_cuts();
        let nodes: Vec<NodeId> = self.layout.everything().collect();
        for node in nodes {
            let now = simulation.now();
            if simulation.status(node) == Status::Paused || simulation.clock_mut(node).wall(now) != now {
                self.disturb(&[node], simulation);
            }
            simulation.resume(node);
            simulation.clock_mut(node).set_wall_offset(0);
            simulation.set_drift(node, 0);
            simulation.disk_mut(node).health = Default::default();
        }
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
        for node in nodes {
            if matches!(simulation.status(node), Status::Down | Status::Off) {
                self.story.tell(simulation.now(), Told::Started(node));
                simulation.start(node);
                if self.layout.producer_index(node).is_some() {
                    simulation.signal(node, Signal::Quiesce);
                }
            }
        }
    }

    /// What has not converged, in words; at most `most` of it.
    pub fn pending(&self, simulation: &Simulation<Kafka>, most: usize) -> Vec<String> {
        let mut pending = Vec::new();
        let mut add = |text: String| {
            if pending.len() < most {
                pending.push(text);
            }
        };
        for (id, registration) in self.registrations.iter() {
            let Some(name) = self.partition_name(id) else {
                continue;
            };
            match registration.leader {
                None => add(format!("{name} has no leader")),
                Some(_) if registration.isr.len() < registration.replicas.len() => {
                    add(format!(
                        "{name} has {} of {} replicas in sync",
                        registration.isr.len(),
                        registration.replicas.len()
                    ));
                }
                Some(leader) => {
                    if let Some(behind) = self.behind(id, leader, simulation) {
                        add(behind);
                    }
                }
            }
        }
        for server in self.layout.servers() {
            let KafkaNode::Server(process) = simulation.node(server) else {
                continue;
            };
            if process.broker().is_some() && self.phases[usize::from(server.0)] != Some(Phase::Running) {
                add(format!("{} is not running", self.layout.name(server)));
            }
        }
        for producer in self.layout.producers() {
            let KafkaNode::Producer(process) = simulation.node(producer) else {
                continue;
            };
            let waiting = process.pending();
            if waiting > 0 {
                add(format!(
                    "{} waits for the outcome of {waiting} sends",
                    self.layout.name(producer)
                ));
            }
        }
        pending
    }

    /// What is not yet replicated or read of a partition.
    fn behind(&self, id: PartitionId, leader: ServerId, simulation: &Simulation<Kafka>) -> Option<String> {
        let name = self.partition_name(id)?;
        let KafkaNode::Server(process) = simulation.node(leader.node()) else {
            return None;
        };
        let log = process.broker().and_then(|broker| broker.partition(id));
        let Some(partition) = log.filter(|partition| partition.is_leader()) else {
            return Some(format!(
                "{} does not lead {name} yet",
                self.layout.name(leader.node())
            ));
        };
        let limit = partition.log().high_watermark();
        if limit < partition.log().end() {
            return Some(format!("{name} is not committed up to its end"));
        }
        let registration = self.registrations.get(id)?;
        let specification = self.topics[usize::from(registration.topic.0)];
        for (reader, told) in self.layout.readers().zip(&self.resolved.readers) {
            let KafkaNode::Reader(process) = simulation.node(reader) else {
                continue;
            };
            if !told.topics.contains(&specification) {
                continue;
            }
            if process.position(id).is_none_or(|position| position < limit) {
                return Some(format!(
                    "{} has not read {name} to its end",
                    self.layout.name(reader)
                ));
            }
        }
        self.not_read_by_groups(specification, id, limit, simulation)
    }

    /// Which group has no member that has read a partition to its end.
    fn not_read_by_groups(
        &self,
        topic: u16,
        id: PartitionId,
        limit: Offset,
        simulation: &Simulation<Kafka>,
    ) -> Option<String> {
        for (number, group) in self.resolved.cluster.groups.names.iter().enumerate() {
            let of_group = |told: &ConsumerSpecification| {
                usize::from(told.group.0) == number && told.reader.topics.contains(&topic)
            };
            let each = self.layout.consumers().zip(&self.resolved.consumers);
            let mut members = each.filter(|(_, told)| of_group(told)).peekable();
            if members.peek().is_none() {
                continue;
            }
            let has_read = members.any(|(node, _)| match simulation.node(node) {
                KafkaNode::Consumer(process) => {
                    let mut positions = process.positions();
                    process.is_settled()
                        && process.is_idle()
                        && positions.any(|(one, at)| one == id && at.is_some_and(|at| at >= limit))
                }
                _ => false,
            });
            if !has_read {
                let name = self.partition_name(id)?;
                return Some(format!("group {group} has not read {name} to its end"));
            }
        }
        None
    }

    fn fire(&mut self, number: usize, simulation: &mut Simulation<Kafka>) {
        if self.stage != Stage::Faults {
            return;
        }
        let entry = self.script.entries[number].clone();
        let nodes = self.carry_out(number, &entry.action, simulation);
        self.fired.push(Fired {
            entry: number,
            at: simulation.now(),
            nodes: nodes.clone(),
            undone: false,
        });
        self.story
            .tell(simulation.now(), Told::Fault { entry: number, nodes });
    }

    /// Plans to take something back, after `lasting` or at the end of the faults.
    fn later(&mut self, number: usize, undo: Undo, simulation: &mut Simulation<Kafka>) {
        let at = self.undos.len() as u32;
        self.undos.push(undo);
        self.undo_entries.push(number);
        if let Some(lasting) = self.script.entries[number].lasting {
            simulation.schedule(simulation.now() + lasting.0, UNDO | at);
        }
    }

    /// Does what an entry says and returns the nodes it meant.
    fn carry_out(
        &mut self,
        number: usize,
        action: &Action,
        simulation: &mut Simulation<Kafka>,
    ) -> Vec<NodeId> {
        let whom: Vec<NodeId> = action
            .roles()
            .first()
            .map_or(Vec::new(), |role| role.resolve(self));
        match action {
            Action::Bind { name, .. } => {
                self.bound.insert(name.clone(), whom.clone());
            }
            Action::Kill(_) | Action::PowerOff { .. } | Action::LoseDisk(_) => {
                let (crash, fate) = crate::damage::crash(action);
                for node in &whom {
                    simulation.crash(*node, crash);
                    if let Some(judges) = &mut self.judges {
                        judges.fate(simulation.now(), *node, fate);
                    }
                }
                self.later(number, Undo::Start(whom.clone()), simulation);
            }
            Action::Start(_) => self.take_back(Undo::Start(whom.clone()), simulation),
            Action::Stop(_) => {
                let down = self.script.entries[number].lasting;
                for node in &whom {
                    let rolling = Rolling {
                        nodes: vec![*node],
                        position: 0,
                        down: down.map_or(Duration::FOREVER, |length| length.0),
                        between: Duration::ZERO,
                        stopped: false,
                    };
                    self.rolling.push(rolling);
                    simulation.signal(*node, Signal::Terminate);
                    self.notice_stop(*node, simulation);
                }
            }
            Action::RollingRestart { down, between, .. } => {
                let first = whom.first().copied();
                self.rolling.push(Rolling {
                    nodes: whom.clone(),
                    position: 0,
                    down: down.0,
                    between: between.0,
                    stopped: false,
                });
                if let Some(first) = first {
                    simulation.signal(first, Signal::Terminate);
                    self.notice_stop(first, simulation);
                }
            }
            Action::Pause(_) => {
                self.disturb(&whom, simulation);
                whom.iter().for_each(|node| simulation.pause(*node));
                self.later(number, Undo::Resume(whom.clone()), simulation);
            }
            Action::Resume(_) => self.take_back(Undo::Resume(whom.clone()), simulation),
            Action::Stall { by, .. } => {
                whom.iter()
                    .for_each(|node| simulation.signal(*node, Signal::Stall(by.0)));
            }
            Action::ElectUnclean => simulation.signal(Layout::OPERATOR, Signal::ElectUncleanLeaders),
            Action::ElectPreferred => simulation.signal(Layout::OPERATOR, Signal::ElectPreferredLeaders),
            _ => {
                if matches!(action, Action::Skew { .. } | Action::Drift { .. }) {
                    self.disturb(&whom, simulation);
                }
                let others = action
                    .roles()
                    .get(1)
                    .map_or(Vec::new(), |role| role.resolve(self));
                if let Some(undo) = crate::damage::environment(action, &whom, &others, self, simulation) {
                    self.later(number, undo, simulation);
                }
            }
        }
        whom
    }

    pub(crate) fn take_back(&mut self, undo: Undo, simulation: &mut Simulation<Kafka>) {
        match undo {
            Undo::Start(nodes) => {
                for node in nodes {
                    if matches!(simulation.status(node), Status::Down | Status::Off) {
                        self.story.tell(simulation.now(), Told::Started(node));
                    }
                    simulation.start(node);
                }
            }
            Undo::Resume(nodes) => {
                self.disturb(&nodes, simulation);
                for node in nodes {
                    if simulation.status(node) == Status::Paused {
                        self.story.tell(simulation.now(), Told::Resumed(node));
                    }
                    simulation.resume(node);
                }
            }
            undo => {
                if let Undo::SetClocksRight(nodes) = &undo {
                    self.disturb(nodes, simulation);
                }
                crate::damage::repair(undo, simulation);
            }
        }
    }

    /// The judges give clients whose time is not the trial's their time anew.
    fn disturb(&mut self, nodes: &[NodeId], simulation: &Simulation<Kafka>) {
        if let Some(judges) = &mut self.judges {
            nodes
                .iter()
                .for_each(|node| judges.disturbed(simulation.now(), *node));
        }
    }

    /// A process that ended, whether by shutdown or otherwise: what was to follow, follows.
    fn notice_stop(&mut self, node: NodeId, simulation: &mut Simulation<Kafka>) {
        if simulation.status(node) == Status::Up {
            return;
        }
        for (number, rolling) in self.rolling.iter_mut().enumerate() {
            if rolling.nodes.get(rolling.position) == Some(&node) && !rolling.stopped {
                rolling.stopped = true;
                if rolling.down != Duration::FOREVER {
                    simulation.schedule(simulation.now() + rolling.down, RESTART | number as u32);
                }
            }
        }
    }

    /// Goes on with the restarts of `number`: starts what is down, or shuts the next one down.
    fn restart(&mut self, number: usize, simulation: &mut Simulation<Kafka>) {
        let Some(rolling) = self.rolling.get_mut(number) else {
            return;
        };
        let Some(node) = rolling.nodes.get(rolling.position).copied() else {
            return;
        };
        if rolling.stopped {
            rolling.stopped = false;
            rolling.position += 1;
            self.take_back(Undo::Start(vec![node]), simulation);
        } else {
            simulation.signal(node, Signal::Terminate);
            self.notice_stop(node, simulation);
        }
    }

    /// A server runs: the next one of a rolling restart is due.
    fn notice_running(&mut self, node: NodeId, simulation: &mut Simulation<Kafka>) {
        for (number, rolling) in self.rolling.iter().enumerate() {
            let before = rolling
                .position
                .checked_sub(1)
                .and_then(|before| rolling.nodes.get(before));
            if before == Some(&node) && !rolling.stopped && rolling.position < rolling.nodes.len() {
                simulation.schedule(simulation.now() + rolling.between, RESTART | number as u32);
            }
        }
    }

    /// Counts a happening for every trigger that waits for it.
    fn happens(&mut self, is: impl Fn(&Happening, &Self) -> bool, simulation: &mut Simulation<Kafka>) {
        if self.stage != Stage::Faults {
            return;
        }
        for number in 0..self.script.entries.len() {
            let Trigger::On {
                happening,
                nth,
                after,
            } = &self.script.entries[number].trigger
            else {
                continue;
            };
            if !is(happening, self) {
                continue;
            }
            let (nth, after) = (*nth, after.0);
            let count = self.happened.entry(number).or_insert(0);
            *count += 1;
            if *count == nth {
                simulation.schedule(simulation.now() + after, number as u32);
            }
        }
    }

    fn cluster_note(&mut self, note: &ClusterNote, simulation: &mut Simulation<Kafka>) {
        match note {
            ClusterNote::TopicCreated(specification) => self.topics.push(*specification),
            ClusterNote::Partition {
                partition,
                registration,
                election,
                ..
            } => {
                let before = self.registrations.insert(*partition, (**registration).clone());
                let Some(name) = self.partition_name(*partition) else {
                    return;
                };
                let members = registration.isr.len();
                if election.is_some() {
                    self.happens(
                        |it, _| matches!(it, Happening::ElectionOf(_)) && it.concerns(&name),
                        simulation,
                    );
                }
                if before.as_ref().is_some_and(|before| members < before.isr.len()) {
                    self.happens(
                        |it, _| matches!(it, Happening::IsrShrinkOf(_)) && it.concerns(&name),
                        simulation,
                    );
                }
                if before.as_ref().is_some_and(|before| members > before.isr.len()) {
                    self.happens(
                        |it, _| matches!(it, Happening::IsrExpansionOf(_)) && it.concerns(&name),
                        simulation,
                    );
                }
            }
            ClusterNote::Fenced(broker) => {
                let node = broker.node();
                self.happens(
                    |it, this| matches!(it, Happening::FencingOf(role) if role.resolve(this).contains(&node)),
                    simulation,
                );
            }
            _ => {}
        }
    }

    fn phase_note(&mut self, node: NodeId, phase: Phase, simulation: &mut Simulation<Kafka>) {
        self.phases[usize::from(node.0)] = Some(phase);
        let name = match phase {
            Phase::Starting => PhaseName::Starting,
            Phase::CatchingUp => PhaseName::CatchingUp,
            Phase::Recovering => PhaseName::Recovering,
            Phase::Running => {
                self.notice_running(node, simulation);
                PhaseName::Running
            }
            Phase::ShuttingDown => PhaseName::ShuttingDown,
            Phase::Stopped | Phase::Exited(_) => return self.notice_stop(node, simulation),
        };
        self.phase_begins(node, name, simulation);
    }

    fn client_note(&mut self, node: NodeId, note: &ClientNote, simulation: &mut Simulation<Kafka>) {
        self.ledger.note(&self.layout, simulation.now(), note);
        let name = match note {
            ClientNote::Started => PhaseName::Starting,
            ClientNote::Runs => {
                self.notice_running(node, simulation);
                PhaseName::Running
            }
            ClientNote::Closes => PhaseName::ShuttingDown,
            ClientNote::Closed => return self.notice_stop(node, simulation),
            _ => return,
        };
        self.phase_begins(node, name, simulation);
    }

    fn phase_begins(&mut self, node: NodeId, name: PhaseName, simulation: &mut Simulation<Kafka>) {
        self.happens(
            |it, this| matches!(it, Happening::PhaseOf(role, of) if *of == name && role.resolve(this).contains(&node)),
            simulation,
        );
    }
}

impl Director<Kafka> for TrialDirector {
    fn note(&mut self, node: NodeId, event: EventId, note: &Note, simulation: &mut Simulation<Kafka>) {
        let now = simulation.now();
        if let Some(judges) = &mut self.judges {
            judges.note(now, node, event, note, simulation.arena());
        }
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
            Note::Log(partition, ktrial_models::notes::LogNote::Truncated { .. }) => {
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
                if let Some(undo) = self.undos.get_mut((number & !UNDO) as usize) {
                    let undo = std::mem::replace(undo, Undo::Start(Vec::new()));
                    if !matches!(undo, Undo::Start(_) | Undo::Resume(_)) {
                        let entry = self.undo_entries[(number & !UNDO) as usize];
                        self.story.tell(simulation.now(), Told::TakenBack { entry });
                    }
                    self.take_back(undo, simulation);
                }
            }
            restart if restart & RESTART != 0 => self.restart((restart & !RESTART) as usize, simulation),
            number => self.fire(number as usize, simulation),
        }
    }
}

impl RoleView for TrialDirector {
    fn node(&self, name: &str) -> Option<NodeId> {
        self.layout.node(name)
    }
    fn bound(&self, name: &str) -> Vec<NodeId> {
        self.bound.get(name).cloned().unwrap_or_default()
    }
    fn leader(&self, partition: &PartitionName) -> Option<NodeId> {
        self.registration(partition)?.leader.map(ServerId::node)
    }
    fn replicas(&self, partition: &PartitionName) -> Vec<NodeId> {
        let replicas = self
            .registration(partition)
            .map(|registration| &registration.replicas);
        replicas
            .into_iter()
            .flatten()
            .map(|replica| replica.node())
            .collect()
    }
    fn active_controller(&self) -> Option<NodeId> {
        self.active_controller.map(|(_, node)| node)
    }
    fn controllers(&self) -> Vec<NodeId> {
        let servers = self.resolved.cluster.servers.iter();
        servers
            .filter(|server| server.controller)
            .map(|server| server.id.node())
            .collect()
    }
    fn brokers(&self) -> Vec<NodeId> {
        let servers = self.resolved.cluster.servers.iter();
        servers
            .filter(|server| server.broker)
            .map(|server| server.id.node())
            .collect()
    }
    fn rack(&self, name: &str) -> Vec<NodeId> {
        let number = self.resolved.racks.iter().position(|known| known == name);
        let servers = self.resolved.cluster.servers.iter();
        servers
            .filter(|server| server.rack.map(usize::from) == number && number.is_some())
            .map(|server| server.id.node())
            .collect()
    }
    fn producers(&self) -> Vec<NodeId> {
        self.layout.producers().collect()
    }
    fn readers(&self) -> Vec<NodeId> {
        self.layout.readers().collect()
    }
    fn consumers(&self, group: Option<&str>) -> Vec<NodeId> {
        let names = &self.resolved.cluster.groups.names;
        let number = group.map(|group| names.iter().position(|known| known == group));
        let each = self.layout.consumers().zip(&self.resolved.consumers);
        each.filter(|(_, told)| number.is_none_or(|number| number == Some(usize::from(told.group.0))))
            .map(|(node, _)| node)
            .collect()
    }
    fn coordinator(&self, group: &str) -> Option<NodeId> {
        let topic = &self.resolved.cluster.groups.offsets_topic;
        self.leader(&PartitionName {
            topic: topic.name.clone(),
            index: partition_of(group, topic.partitions),
        })
    }
    fn everything(&self) -> Vec<NodeId> {
        self.layout.everything().collect()
    }
}
