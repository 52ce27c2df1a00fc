//! When Kafka's own metrics, by their names, would have paged somebody. The README has the rules as a table.

use std::collections::{BTreeMap, BTreeSet};

use ktrial_models::ids::{PartitionId, PartitionMap, ServerId};
use ktrial_models::metadata::{LeaderRecoveryState, PartitionRegistration};
use ktrial_models::notes::{ClusterNote, Election, LogNote, Note, Phase, QuorumNote};
use ktrial_scenarios::{Action, Told};
use ktrial_sim::{Duration, NodeId, Time};
use serde::Serialize;

use super::words::{Moment, View};

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// The value is above zero.
    AboveZero,
    /// The value is not one.
    NotOne,
    /// The count rises.
    Rises,
}

/// A rule: a metric pages when its condition has held for so long.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The metric's name.
    pub metric: &'static str,
    /// Its MBean without the name.
    pub bean: &'static str,
    condition: Condition,
    /// For how long.
    pub lasting: Duration,
}

/// All rules, in the order of the README's table.
pub const RULES: [Rule; 8] = [
    rule(
        "OfflinePartitionsCount",
        "kafka.controller:type=KafkaController",
        Condition::AboveZero,
        0,
    ),
    rule(
        "UnderMinIsrPartitionCount",
        "kafka.server:type=ReplicaManager",
        Condition::AboveZero,
        0,
    ),
    rule(
        "UnderReplicatedPartitions",
        "kafka.server:type=ReplicaManager",
        Condition::AboveZero,
        30,
    ),
    rule(
        "FencedBrokerCount",
        "kafka.controller:type=KafkaController",
        Condition::AboveZero,
        30,
    ),
    rule(
        "ActiveControllerCount",
        "kafka.controller:type=KafkaController",
        Condition::NotOne,
        10,
    ),
    rule(
        "OfflineLogDirectoryCount",
        "kafka.log:type=LogManager",
        Condition::AboveZero,
        0,
    ),
    rule(
        "UncleanLeaderElectionsPerSec",
        "kafka.controller:type=ControllerStats",
        Condition::Rises,
        0,
    ),
    rule(
        "ElectionFromEligibleLeaderReplicasPerSec",
        "kafka.controller:type=ControllerStats",
        Condition::Rises,
        0,
    ),
];

const fn rule(metric: &'static str, bean: &'static str, condition: Condition, seconds: u64) -> Rule {
    Rule {
        metric,
        bean,
        condition,
        lasting: Duration::secs(seconds),
    }
}

impl Rule {
    /// The rule in words: `> 0 for 30 s`.
    pub fn condition(&self) -> String {
        let what = match self.condition {
            Condition::AboveZero => "> 0",
            Condition::NotOne => "summed over controllers, is not 1",
            Condition::Rises => return "counts an election".to_owned(),
        };
        match self.lasting {
            Duration::ZERO => what.to_owned(),
            lasting => format!("{what} for {lasting}"),
        }
    }

    fn is_bad(&self, value: u64) -> bool {
        match self.condition {
            Condition::AboveZero => value > 0,
            Condition::NotOne => value != 1,
            Condition::Rises => false,
        }
    }
}

/// A metric that would have paged somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page {
    /// Its name.
    pub metric: &'static str,
    /// Its MBean without the name.
    pub bean: &'static str,
    /// The rule.
    pub rule: String,
    /// When it would have paged, in microseconds since the clients' start.
    #[serde(rename = "fired_us")]
    pub fired: Moment,
    /// When it was over; nothing if it never was, or for counts.
    #[serde(rename = "cleared_us")]
    pub cleared: Option<Moment>,
    /// The largest value meanwhile; of a count: by how much it rose.
    pub most: u64,
}

/// What decides the metrics' values.
struct Gauges<'a> {
    view: View<'a>,
    registrations: PartitionMap<PartitionRegistration>,
    /// Servers whose process runs: nobody else can be asked for a metric.
    up: BTreeSet<NodeId>,
    fenced: BTreeSet<ServerId>,
    active: BTreeSet<NodeId>,
    offline: BTreeSet<(NodeId, PartitionId)>,
}

impl<'a> Gauges<'a> {
    fn new(view: View<'a>) -> Self {
        Gauges {
            view,
            registrations: PartitionMap::default(),
            up: view.detailed.layout.servers().collect(),
            fenced: BTreeSet::new(),
            active: BTreeSet::new(),
            offline: BTreeSet::new(),
        }
    }

    /// Takes in what was told; the election metrics that count it.
    fn told(&mut self, told: &Told) -> Option<&'static str> {
        match told {
            Told::Fault { entry, nodes } => {
                let action = &self.view.detailed.trial.script.entries[*entry].action;
                if matches!(
                    action,
                    Action::Kill(_) | Action::PowerOff { .. } | Action::LoseDisk(_)
                ) {
                    nodes.iter().for_each(|node| self.ends(*node));
                }
            }
            Told::Started(node) => {
                self.up.insert(*node);
            }
            Told::Note(node, _, Note::Phase(Phase::Stopped | Phase::Exited(_))) => self.ends(*node),
            Told::Note(node, _, Note::Quorum(QuorumNote::Leads(_))) => {
                self.active.insert(*node);
            }
            Told::Note(node, _, Note::Quorum(QuorumNote::Resigned(_))) => {
                self.active.remove(node);
            }
            Told::Note(node, _, Note::Log(partition, LogNote::Offline)) => {
                self.offline.insert((*node, *partition));
            }
            Told::Note(_, _, Note::Cluster(note)) => return self.cluster(note),
            _ => {}
        }
        None
    }

    fn ends(&mut self, node: NodeId) {
        self.up.remove(&node);
        self.active.remove(&node);
        self.offline.retain(|(of, _)| *of != node);
    }

    fn cluster(&mut self, note: &ClusterNote) -> Option<&'static str> {
        match note {
            // A broker registers fenced, and is unfenced when it has caught up.
            ClusterNote::Fenced(broker) | ClusterNote::Registered { broker, .. } => {
                self.fenced.insert(*broker);
            }
            ClusterNote::Unfenced(broker) => {
                self.fenced.remove(broker);
            }
            ClusterNote::Partition {
                partition,
                registration,
                election,
                ..
            } => {
                let known = self.registrations.get(*partition);
                if known.is_some_and(|known| known.partition_epoch >= registration.partition_epoch) {
                    return None;
                }
                self.registrations.insert(*partition, (**registration).clone());
                return match election {
                    Some(Election::FromElr) => Some("ElectionFromEligibleLeaderReplicasPerSec"),
                    // The meter counts changes to RECOVERING, the last known leader's among them.
                    Some(Election::Unclean | Election::LastKnownLeader)
                        if registration.recovery == LeaderRecoveryState::Recovering =>
                    {
                        Some("UncleanLeaderElectionsPerSec")
                    }
                    _ => None,
                };
            }
            ClusterNote::TopicCreated(..)
            | ClusterNote::TopicRefused { .. }
            | ClusterNote::ControlledShutdown(_) => {}
        }
        None
    }

    fn value(&self, metric: &str) -> u64 {
        let count = |bad: &dyn Fn(PartitionId, &PartitionRegistration) -> bool| {
            let partitions = self.registrations.iter();
            partitions
                .filter(|(id, registration)| bad(*id, registration))
                .count() as u64
        };
        // A leaderless partition counts nowhere, nor does one whose leader cannot be asked.
        let led = |registration: &PartitionRegistration| {
            registration
                .leader
                .is_some_and(|leader| self.up.contains(&leader.node()))
        };
        match metric {
            "OfflinePartitionsCount" | "FencedBrokerCount" if !self.a_controller_runs() => 0,
            "OfflinePartitionsCount" => count(&|_, registration| registration.leader.is_none()),
            "UnderReplicatedPartitions" => count(&|_, registration| {
                led(registration) && registration.isr.len() < registration.replicas.len()
            }),
            "UnderMinIsrPartitionCount" => count(&|id, registration| {
                led(registration) && (registration.isr.len() as u32) < self.min_isr(id, registration)
            }),
            "FencedBrokerCount" => self.fenced.len() as u64,
            "ActiveControllerCount" => self.active.len() as u64,
            "OfflineLogDirectoryCount" => {
                let nodes: BTreeSet<NodeId> = self.offline.iter().map(|(node, _)| *node).collect();
                nodes.len() as u64
            }
            _ => 0,
        }
    }

    /// Every controller tells what is in the metadata, active or not (`ControllerMetadataMetricsPublisher`).
    fn a_controller_runs(&self) -> bool {
        let servers = self.view.arm.resolved.cluster.servers.iter();
        let mut controllers = servers.filter(|server| server.controller);
        controllers.any(|server| self.up.contains(&server.id.node()))
    }

    /// `min.insync.replicas`, or the replication factor if that is less (`Partition.effectiveMinIsr`).
    fn min_isr(&self, partition: PartitionId, registration: &PartitionRegistration) -> u32 {
        let topics = &self.view.arm.resolved.cluster.topics;
        let name = self.view.partition_name(partition);
        let topic = name.and_then(|name| topics.iter().find(|topic| topic.name == name.topic));
        let minimum = topic.map_or(1, |topic| topic.settings.min_insync_replicas);
        minimum.min(registration.replicas.len() as u32)
    }
}

/// A condition that holds.
#[derive(Clone, Copy, Default)]
struct Holding {
    since: Option<Time>,
    most: u64,
}

/// Every page of a trial from the clients' start on, in order of time.
pub fn pages(view: View<'_>) -> Vec<Page> {
    let trial = &view.detailed.trial;
    let mut gauges = Gauges::new(view);
    let mut holding = [Holding::default(); RULES.len()];
    let mut counted: BTreeMap<&'static str, (Time, Time, u64)> = BTreeMap::new();
    let mut pages = Vec::new();
    let told = view.detailed.story.told();
    for (position, (at, what)) in told.iter().enumerate() {
        let counts = gauges.told(what);
        if *at < trial.clients_started {
            continue;
        }
        if let Some(metric) = counts {
            let entry = counted.entry(metric).or_insert((*at, *at, 0));
            entry.1 = *at;
            entry.2 += 1;
        }
        let changes = !matches!(
            what,
            Told::Note(_, _, Note::Client(_) | Note::Leader(..) | Note::Log(..))
        ) || matches!(what, Told::Note(_, _, Note::Log(_, LogNote::Offline)));
        // Values are looked at when everything of an instant has happened.
        let more = told.get(position + 1).is_some_and(|(next, _)| next == at);
        if !changes && !matches!(what, Told::ClientsStart) || more {
            continue;
        }
        for (rule, holding) in RULES.iter().zip(&mut holding) {
            let value = gauges.value(rule.metric);
            if rule.is_bad(value) {
                holding.since.get_or_insert(*at);
                holding.most = holding.most.max(value);
            } else {
                let held = std::mem::take(holding);
                if let Some(since) = held.since {
                    pages.extend(page(view, rule, since, Some(*at), held.most));
                }
            }
        }
    }
    for (rule, holding) in RULES.iter().zip(holding) {
        if let Some(since) = holding.since {
            pages.extend(page(view, rule, since, None, holding.most));
        }
        if let Some((first, _, most)) = counted.get(rule.metric) {
            pages.extend(page(view, rule, *first, None, *most));
        }
    }
    pages.sort_by_key(|page| page.fired);
    pages
}

/// The page of a condition that held from `since` to `until`, if it held long enough.
fn page(view: View<'_>, rule: &Rule, since: Time, until: Option<Time>, most: u64) -> Option<Page> {
    let fired = since + rule.lasting;
    if fired > until.unwrap_or(view.detailed.trial.ended) {
        return None;
    }
    Some(Page {
        metric: rule.metric,
        bean: rule.bean,
        rule: rule.condition(),
        fired: view.moment(fired),
        cleared: until.map(|until| view.moment(until)),
        most,
    })
}

impl Page {
    /// Whether the metric only counts, so that nothing clears it.
    pub fn counts(&self) -> bool {
        RULES
            .iter()
            .any(|rule| rule.metric == self.metric && rule.condition == Condition::Rises)
    }
}
