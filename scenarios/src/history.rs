//! A trial as the history that its clients would have written (`ktrial.history/1`).

use std::collections::BTreeSet;

use ktrial_models::config::catalogue::Scope;
use ktrial_models::config::{Origin, Values};
use ktrial_models::history::{
    Extent, FinalRead, Header, History, Isolation, KnownOutcome, NodeId as HistoryNode, Operation,
    PartitionState, Placed, RecordId as HistoryRecord, Settings,
};
use ktrial_models::ids::{Offset, PartitionId, RecordId, ServerId};
use ktrial_models::metadata::PartitionRegistration;
use ktrial_models::notes::{ClientNote, ClusterNote, CommittedBy, FailureClass, Note, Phase};
use ktrial_models::specification::TopicSpecification;
use ktrial_sim::{NodeId, Time};

use crate::record::ENGINE;
use crate::scenario::Arm;
use crate::script::{Action, Way};
use crate::story::Told;
use crate::trial::{Detailed, Ending};

/// What the clients of a trial saw, from the story that was kept of it.
pub fn history(arm: &Arm, detailed: &Detailed) -> History {
    write(arm, detailed, false)
}

/// The same as a recorder of a real cluster would have written it: of a send that failed it knows the last error, and
/// not what became of every attempt.
pub(crate) fn recorded_history(arm: &Arm, detailed: &Detailed) -> History {
    write(arm, detailed, true)
}

fn write(arm: &Arm, detailed: &Detailed, recorded: bool) -> History {
    let mut writer = Writer {
        history: History::new(header(arm)),
        arm,
        detailed,
        recorded,
        healed: false,
        down: BTreeSet::new(),
        dead: BTreeSet::new(),
        rolling: BTreeSet::new(),
        known: Vec::new(),
    };
    writer.servers_start();
    for (at, told) in detailed.story.told() {
        writer.told(*at, told);
    }
    writer.clients_end();
    for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
        writer.finals(isolation);
    }
    writer.history
}

/// Settings that somebody gave, and those that decide promises whether given or not.
fn given(values: &Values, always: &[&str]) -> Settings {
    values
        .iter()
        .filter(|effective| {
            always.contains(&effective.setting.name)
                || !matches!(effective.origin, Origin::Default { .. } | Origin::Replaced { .. })
        })
        .filter(|effective| effective.text.is_some())
        .map(|effective| (effective.setting.name.to_owned(), effective.shown().to_owned()))
        .collect()
}

/// How many partitions a topic has, and how many replicas its first partition.
pub(crate) fn shape(topic: &TopicSpecification) -> (usize, usize) {
    match &topic.assignment {
        Some(assignment) => {
            let first = assignment.first().map_or(0, |replicas| replicas.as_slice().len());
            (assignment.len(), first)
        }
        None => (topic.partitions as usize, usize::from(topic.replication_factor)),
    }
}

/// What a producer's promises rest on: the header tells these even where they are Kafka's defaults.
const PROMISED_BY: [&str; 5] = [
    "acks",
    "delivery.timeout.ms",
    "enable.idempotence",
    "max.in.flight.requests.per.connection",
    "retries",
];

fn header(arm: &Arm) -> Header {
    let resolved = &arm.resolved;
    let of = |scope: Scope| {
        arm.settings
            .values
            .iter()
            .filter(move |values| values.scope == scope)
    };
    let mut header = Header {
        source: ENGINE.to_owned(),
        ..Header::default()
    };
    for topic in &resolved.cluster.topics {
        let values = of(Scope::Topic).find(|values| values.instance.as_deref() == Some(&*topic.name));
        let mut settings: Settings = values
            .into_iter()
            .flat_map(|values| values.iter())
            .filter(|effective| matches!(effective.origin, Origin::TopicOverride(_)))
            .map(|effective| (effective.setting.name.to_owned(), effective.shown().to_owned()))
            .collect();
        let (partitions, replicas) = shape(topic);
        settings.insert("partitions".to_owned(), partitions.to_string());
        settings.insert("replication.factor".to_owned(), replicas.to_string());
        header.topics.insert(topic.name.clone(), settings);
    }
    header.features = arm
        .settings
        .features
        .levels()
        .iter()
        .map(|(name, level)| ((*name).to_owned(), level.to_string()))
        .collect();
    let broker = of(Scope::Broker).next();
    header.broker = broker.map_or_else(Settings::new, |values| given(values, &[]));
    if let Some(minimum) = arm.settings.cluster_min_insync_replicas {
        header
            .broker
            .insert("min.insync.replicas".to_owned(), minimum.to_string());
    }
    header.producer = weakest_producer(arm).map_or_else(Settings::new, |values| given(values, &PROMISED_BY));
    let consumer = of(Scope::Consumer).next();
    header.consumer = consumer.map_or_else(Settings::new, |values| given(values, &[]));
    header.clients = [
        ("producers", resolved.producers.len().to_string()),
        ("readers", resolved.readers.len().to_string()),
        ("consumers", resolved.consumers.len().to_string()),
    ]
    .into_iter()
    .filter(|(name, count)| *name != "consumers" || count != "0")
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    header
}

/// A header has room for the settings of one producer: those of the one that was promised least.
fn weakest_producer(arm: &Arm) -> Option<&Values> {
    let producers = arm
        .settings
        .values
        .iter()
        .filter(|values| values.scope == Scope::Producer);
    let promised = |values: &&Values| {
        let shown = |name| values.find(name).map_or("", |effective| effective.shown());
        let acks = match shown("acks") {
            "0" => 0,
            "1" => 1,
            _ => 2,
        };
        (acks, shown("enable.idempotence") == "true")
    };
    producers.min_by_key(promised)
}

struct Writer<'a> {
    history: History,
    arm: &'a Arm,
    detailed: &'a Detailed,
    /// Only what a recorder of a real cluster knows is written.
    recorded: bool,
    /// The faults are over.
    healed: bool,
    /// Clients whose process was ended.
    down: BTreeSet<NodeId>,
    /// Nodes whose process was killed.
    dead: BTreeSet<NodeId>,
    /// Servers that are to be shut down one after the other.
    rolling: BTreeSet<NodeId>,
    /// By partition: the last state told, so that what a second controller repeats is not told twice.
    known: Vec<Option<PartitionRegistration>>,
}

impl Writer<'_> {
    fn fault(&mut self, at: Time, what: &str, who: &str) {
        let (what, who) = (self.history.names.text(what), self.history.names.text(who));
        self.history.push(at, Operation::Fault { what, who });
    }

    fn name(&self, node: NodeId) -> String {
        self.detailed.layout.name(node).to_owned()
    }

    /// A history begins with the start of its nodes, so that it names them all.
    fn servers_start(&mut self) {
        for server in self.detailed.layout.servers() {
            let name = self.name(server);
            self.fault(Time::ZERO, "start", &name);
        }
    }

    fn told(&mut self, at: Time, told: &Told) {
        match told {
            Told::Fault { entry, nodes } => {
                let action = &self.detailed.trial.script.entries[*entry].action;
                let what = fault_name(action);
                if matches!(
                    action,
                    Action::Kill(_) | Action::PowerOff { .. } | Action::LoseDisk(_)
                ) {
                    self.clients_die(at, nodes, what);
                }
                match action {
                    Action::Bind { .. } => {}
                    // Those that are down start with a line of their own.
                    Action::Start(_) | Action::Resume(_) => {}
                    // Each is shut down when its turn comes.
                    Action::RollingRestart { .. } => self.rolling.extend(nodes),
                    Action::MendAll | Action::ElectUnclean | Action::ElectPreferred => {
                        self.fault(at, what, "all");
                    }
                    _ => {
                        for node in nodes {
                            let name = self.name(*node);
                            match action {
                                Action::LoseDisk(_) => {
                                    // A machine loses its disk while its process does not run.
                                    if self.dead.insert(*node) {
                                        self.fault(at, "kill", &name);
                                    }
                                    self.fault(at, what, &name);
                                }
                                Action::Skew { by_ms, .. } => {
                                    self.fault(at, what, &format!("{name} {}", ahead(*by_ms)));
                                }
                                Action::Kill(_) => {
                                    self.dead.insert(*node);
                                    self.fault(at, what, &name);
                                }
                                _ => self.fault(at, what, &name),
                            }
                        }
                    }
                }
            }
            Told::Note(node, _, Note::Phase(Phase::ShuttingDown)) if self.rolling.contains(node) => {
                let name = self.name(*node);
                self.fault(at, "stop", &name);
            }
            Told::TakenBack { entry } => {
                let script = &self.detailed.trial.script.entries[*entry];
                let (what, right) = match script.action {
                    Action::Cut { .. } => ("mend", ""),
                    Action::Skew { .. } => ("skew", " +0"),
                    _ => return,
                };
                let nodes = self.meant(*entry);
                for node in nodes {
                    let name = self.name(node);
                    self.fault(at, what, &format!("{name}{right}"));
                }
            }
            Told::Started(node) => {
                self.down.remove(node);
                self.dead.remove(node);
                let name = self.name(*node);
                self.fault(at, "start", &name);
            }
            // The end of all faults has said it already.
            Told::Resumed(_) if self.healed => {}
            Told::Resumed(node) => {
                let name = self.name(*node);
                self.fault(at, "resume", &name);
            }
            Told::Healing => {
                self.healed = true;
                self.fault(at, "heal", "all");
            }
            Told::Note(node, _, Note::Client(note)) => self.client(at, *node, note),
            Told::Note(
                _,
                _,
                Note::Cluster(ClusterNote::Partition {
                    partition,
                    registration,
                    ..
                }),
            ) => self.state(at, *partition, registration),
            Told::ClientsStart | Told::Quiescing | Told::Note(..) => {}
        }
    }

    fn meant(&self, entry: usize) -> Vec<NodeId> {
        let fired = self.detailed.trial.fired.iter();
        fired
            .filter(|fired| fired.entry == entry)
            .flat_map(|fired| fired.nodes.clone())
            .collect()
    }

    fn clients_die(&mut self, at: Time, nodes: &[NodeId], what: &str) {
        for node in nodes {
            let layout = &self.detailed.layout;
            let client = layout.producer_index(*node).is_some() || layout.reader_index(*node).is_some();
            if client && self.down.insert(*node) {
                let process = self.history.names.process(layout.name(*node));
                let error = self.history.names.error("Killed");
                let message = Some(self.history.names.text(what));
                let died = Operation::Died {
                    process,
                    error,
                    message,
                };
                self.history.push(at, died);
            }
        }
    }

    fn record(&mut self, record: RecordId) -> HistoryRecord {
        let name = self.detailed.layout.name(record.producer);
        HistoryRecord::Counted {
            process: self.history.names.process(name),
            number: record.number,
        }
    }

    fn partition(&mut self, partition: PartitionId) -> Option<ktrial_models::history::PartitionId> {
        let name = self.detailed.partitions.get(partition)?;
        // What groups keep in their own topic no client is shown.
        if name.topic == self.arm.resolved.cluster.groups.offsets_topic.name {
            return None;
        }
        let topic = self.history.names.topic(&name.topic);
        Some(self.history.names.partition(topic, name.index))
    }

    fn partitions(&mut self, partitions: &[PartitionId]) -> Box<[ktrial_models::history::PartitionId]> {
        let mut named = Vec::new();
        for partition in partitions {
            named.extend(self.partition(*partition));
        }
        named.into()
    }

    fn offsets(&mut self, offsets: &[(PartitionId, Offset)]) -> ktrial_models::history::Offsets {
        let mut named = Vec::new();
        for (partition, offset) in offsets {
            named.extend(self.partition(*partition).map(|partition| (partition, *offset)));
        }
        named.into()
    }

    fn client(&mut self, at: Time, node: NodeId, note: &ClientNote) {
        let process = self.history.names.process(self.detailed.layout.name(node));
        let operation = match note {
            ClientNote::Started => {
                let consumer = self.detailed.layout.consumer_index(node);
                let group = consumer.map(|consumer| self.arm.resolved.consumers[consumer].group);
                let names = &self.arm.resolved.cluster.groups.names;
                let group = group.map(|group| self.history.names.text(&names[usize::from(group.0)]));
                Operation::Start { process, group }
            }
            ClientNote::Sent { record, key } => {
                let Some(producer) = self.detailed.layout.producer_index(record.producer) else {
                    return;
                };
                let topic = usize::from(self.arm.resolved.producers[producer].0.topic);
                let topic = &self.arm.resolved.cluster.topics[topic].name;
                Operation::Send {
                    process,
                    record: self.record(*record),
                    topic: self.history.names.topic(topic),
                    key: key.map(|key| self.history.names.key(&format!("k{key}"))),
                }
            }
            ClientNote::Acknowledged {
                record,
                partition,
                offset,
            } => {
                let index = self.detailed.partitions.get(*partition).map(|name| name.index);
                Operation::Ok {
                    record: self.record(*record),
                    partition: index.unwrap_or_default(),
                    offset: *offset,
                }
            }
            ClientNote::Failed {
                record, error, class, ..
            } => Operation::Error {
                record: self.record(*record),
                error: self.history.names.error(error),
                message: None,
                outcome: (!self.recorded).then_some(match class {
                    FailureClass::Definite => KnownOutcome::Failed,
                    FailureClass::Unknown => KnownOutcome::Unknown,
                }),
            },
            ClientNote::Polled {
                partition,
                from,
                batch,
                first,
                count,
                ..
            } => {
                let Some(partition) = self.partition(*partition) else {
                    return;
                };
                let records = self.detailed.contents.records(batch.records);
                let records = &records[*first as usize..][..*count as usize];
                let records: Vec<RecordId> = records.iter().map(|record| record.id).collect();
                let placed: Vec<Placed> = records
                    .into_iter()
                    .enumerate()
                    .map(|(number, record)| Placed {
                        partition,
                        offset: from.plus(number as u64),
                        record: self.record(record),
                    })
                    .collect();
                let records = self.history.keep(placed);
                Operation::Poll { process, records }
            }
            ClientNote::Processed {
                batch, first, count, ..
            } => {
                let records = self.detailed.contents.records(batch.records);
                let records = &records[*first as usize..][..*count as usize];
                let records: Vec<RecordId> = records.iter().map(|record| record.id).collect();
                for record in records {
                    let record = self.record(record);
                    self.history.push(at, Operation::Processed { process, record });
                }
                return;
            }
            ClientNote::Committed {
                offsets,
                by: CommittedBy::Application,
            } => Operation::Commit {
                process,
                offsets: self.offsets(offsets),
            },
            ClientNote::CommitFailed {
                offsets,
                by: CommittedBy::Application,
                error,
            } => Operation::CommitError {
                process,
                offsets: self.offsets(offsets),
                error: self.history.names.error(error),
                message: None,
            },
            // A listener that is told of no partitions has nothing to tell.
            ClientNote::Assigned {
                added: partitions, ..
            }
            | ClientNote::Revoked(partitions)
            | ClientNote::Lost(partitions)
                if partitions.is_empty() =>
            {
                return;
            }
            ClientNote::Assigned { added, .. } => Operation::Assigned {
                process,
                partitions: self.partitions(added),
            },
            ClientNote::Revoked(partitions) => Operation::Revoked {
                process,
                partitions: self.partitions(partitions),
            },
            ClientNote::Lost(partitions) => Operation::Lost {
                process,
                partitions: self.partitions(partitions),
            },
            ClientNote::Sought { partition, .. } => Operation::Seek {
                process,
                partitions: self.partitions(&[*partition]),
            },
            ClientNote::Died(error) | ClientNote::Exited(error) => Operation::Died {
                process,
                error: self.history.names.error(error),
                message: None,
            },
            // Commits of the client itself are not seen by its application.
            ClientNote::Committed { .. }
            | ClientNote::CommitFailed { .. }
            | ClientNote::PollTimeout
            | ClientNote::Attempt { .. }
            | ClientNote::ProducerId(..)
            | ClientNote::PositionReset { .. }
            | ClientNote::ProcessingFailed { .. }
            | ClientNote::Applied { .. }
            | ClientNote::ApplyRefused { .. }
            | ClientNote::CaughtUp { .. }
            | ClientNote::Runs
            | ClientNote::Closes
            | ClientNote::Rebalance(_)
            | ClientNote::IsMember(_)
            | ClientNote::AsksForPositions(_)
            | ClientNote::AskedInVain(_)
            | ClientNote::CommitAnswered(_)
            | ClientNote::ToldPositions { .. }
            | ClientNote::Closed => return,
        };
        self.history.push(at, operation);
    }

    fn state(&mut self, at: Time, partition: PartitionId, registration: &PartitionRegistration) {
        let index = partition.0 as usize;
        if self.known.len() <= index {
            self.known.resize(index + 1, None);
        }
        let newer = self.known[index]
            .as_ref()
            .is_none_or(|known| known.partition_epoch < registration.partition_epoch);
        let Some(named) = self.partition(partition).filter(|_| newer) else {
            return;
        };
        self.known[index] = Some(registration.clone());
        let node = |server: &ServerId| HistoryNode(i32::from(server.0));
        let state = PartitionState {
            partition: named,
            leader: registration.leader.as_ref().map(node),
            isr: registration.isr.iter().map(node).collect(),
            elr: registration.elr.iter().map(node).collect(),
            last_known_elr: registration.last_known_elr.iter().map(node).collect(),
        };
        self.history.push(at, Operation::State(Box::new(state)));
    }

    /// Producers that have the outcome of every send end as they should.
    fn clients_end(&mut self) {
        if self.detailed.trial.ending != Ending::Converged {
            return;
        }
        for client in self.detailed.layout.clients() {
            let process = self.history.names.process(self.detailed.layout.name(client));
            self.history
                .push(self.detailed.trial.ended, Operation::End { process });
        }
    }

    fn finals(&mut self, isolation: Isolation) {
        let at = self.detailed.trial.ended;
        let partitions: Vec<PartitionId> = self.detailed.partitions.iter().map(|(id, _)| id).collect();
        for partition in partitions {
            let Some(named) = self.partition(partition) else {
                continue;
            };
            let log = self.detailed.finals.iter().find(|log| log.partition == partition);
            let (extent, records) = match log {
                None => (Err(self.history.names.error("LEADER_NOT_AVAILABLE")), Vec::new()),
                Some(log) => {
                    let placed = log.records.iter().map(|(offset, record)| Placed {
                        partition: named,
                        offset: *offset,
                        record: self.record(*record),
                    });
                    let placed: Vec<Placed> = placed.collect();
                    let (start, end) = self.detailed.extents.get(partition).copied().unwrap_or_default();
                    let extent = Extent {
                        start,
                        end,
                        reached: end,
                    };
                    (Ok(extent), placed)
                }
            };
            let records = self.history.keep(records);
            let read = FinalRead {
                partition: named,
                isolation,
                extent,
                message: None,
                records,
            };
            self.history.push(at, Operation::Final(Box::new(read)));
        }
    }
}

/// What histories call an action.
fn fault_name(action: &Action) -> &'static str {
    match action {
        Action::Cut { way: Way::Both, .. } => "cut",
        Action::Cut { .. } => "cut_one_way",
        Action::MendAll => "mend",
        action => action.name(),
    }
}

/// By how many seconds a clock is moved: `+60`, `-0.5`.
fn ahead(by_ms: i64) -> String {
    let (sign, seconds, rest) = (
        if by_ms < 0 { '-' } else { '+' },
        by_ms.unsigned_abs() / 1_000,
        by_ms.unsigned_abs() % 1_000,
    );
    match rest {
        0 => format!("{sign}{seconds}"),
        _ => format!("{sign}{seconds}.{rest:03}"),
    }
}
