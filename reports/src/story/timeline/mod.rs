//! What happened, in order: faults, elections, changes of the ISR, truncations, what clients met.

mod repeats;
mod replicas;
mod servers;

use std::collections::BTreeMap;

use ktrial_models::ids::{BrokerEpoch, Offset, PartitionId, PartitionMap, ServerId};
use ktrial_models::metadata::PartitionRegistration;
use ktrial_models::notes::{ChangeReason, ClientNote, ClusterNote, Election, Note};
use ktrial_scenarios::{Action, Told};
use ktrial_sim::{NodeId, Time};
use serde::Serialize;

use super::logs::Logs;
use super::stale::StaleLeaders;
use super::words::{Moment, View, plural};
use super::{actions, changes, groups};

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// What was done to the cluster, and its end.
    Fault,
    /// The controllers and what they decide.
    Cluster,
    /// A broker and its logs.
    Broker,
    /// What clients met.
    Client,
    /// The trial itself.
    Trial,
}

/// A line of the story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When, in microseconds since the clients' start.
    #[serde(rename = "at_us")]
    pub at: Moment,
    /// About what.
    pub about: About,
    /// What happened.
    pub text: String,
}

/// How many partitions are told one by one when they change together.
const ONE_BY_ONE: usize = 4;

/// The lines of a trial, in order of time.
pub fn timeline(view: View<'_>) -> Vec<Line> {
    let mut chronicle = Chronicle::new(view);
    let told = view.detailed.story.told();
    let mut position = 0;
    while position < told.len() {
        position += chronicle.told(&told[position..]);
    }
    chronicle.end_changes();
    chronicle.lines.extend(chronicle.stale.lines(view));
    chronicle.lines.extend(super::clients::lines(view));
    chronicle.lines.sort_by_key(|line| line.at);
    repeats::told_once(chronicle.lines)
}

/// A partition's change that waits to be told together with others.
struct Change {
    at: Time,
    reason: ChangeReason,
    text: String,
}

struct Chronicle<'a> {
    view: View<'a>,
    lines: Vec<Line>,
    registrations: PartitionMap<PartitionRegistration>,
    logs: Logs,
    /// Up to where retention has deleted some replica's log.
    deleted: PartitionMap<Offset>,
    bound: BTreeMap<String, String>,
    changes: Vec<Change>,
    stale: StaleLeaders,
    active: Option<(u32, NodeId)>,
    /// The epoch in which each broker registered first with the disk it has.
    first_epochs: BTreeMap<ServerId, BrokerEpoch>,
    clients_run: bool,
}

impl<'a> Chronicle<'a> {
    fn new(view: View<'a>) -> Self {
        Chronicle {
            view,
            lines: Vec::new(),
            registrations: PartitionMap::default(),
            logs: Logs::default(),
            deleted: PartitionMap::default(),
            bound: BTreeMap::new(),
            changes: Vec::new(),
            stale: StaleLeaders::default(),
            active: None,
            first_epochs: BTreeMap::new(),
            clients_run: false,
        }
    }

    fn line(&mut self, at: Time, about: About, text: impl Into<String>) {
        if self.clients_run {
            let at = self.view.moment(at);
            let text = text.into();
            self.lines.push(Line { at, about, text });
        }
    }

    /// Takes in the first of what was told, and what belongs to it; how many these were.
    fn told(&mut self, told: &[(Time, Told)]) -> usize {
        let (at, first) = &told[0];
        let at = *at;
        match first {
            Told::Started(_) | Told::Resumed(_) => {
                let same = |other: &&(Time, Told)| {
                    other.0 == at && std::mem::discriminant(&other.1) == std::mem::discriminant(first)
                };
                let together: Vec<&str> = told
                    .iter()
                    .take_while(same)
                    .filter_map(|(_, told)| match told {
                        Told::Started(node) | Told::Resumed(node) => Some(self.view.name(*node)),
                        _ => None,
                    })
                    .collect();
                let names = list(&together);
                let verb = match (first, together.len()) {
                    (Told::Started(_), 1) => "is started again",
                    (Told::Started(_), _) => "are started again",
                    (_, 1) => "goes on",
                    _ => "go on",
                };
                self.line(at, About::Fault, format!("{names} {verb}"));
                return together.len();
            }
            Told::ClientsStart => self.clients_start(at),
            Told::Fault { entry, nodes } => self.fault(at, *entry, nodes),
            Told::TakenBack { entry } => {
                let fired = self.view.detailed.trial.fired.iter();
                let nodes = fired
                    .filter(|fired| fired.entry == *entry)
                    .flat_map(|fired| fired.nodes.clone());
                let names = self.names(&nodes.collect::<Vec<_>>());
                let action = &self.view.detailed.trial.script.entries[*entry].action;
                self.line(at, About::Fault, actions::taken_back(action, &names));
            }
            Told::Quiescing => {
                for words in self.view.detailed.trial.never_fired() {
                    self.line(at, About::Fault, format!("never happened: {words}"));
                }
                self.line(
                    at,
                    About::Trial,
                    "the applications send nothing more; what they sent may still get its outcome",
                );
            }
            Told::Healing => {
                self.line(
                    at,
                    About::Trial,
                    "the faults are over: whatever is still down, paused, cut or skewed is set right",
                );
            }
            Told::Note(node, _, note) => self.note(at, *node, note),
        }
        1
    }

    fn names(&self, nodes: &[NodeId]) -> String {
        list(&nodes.iter().map(|node| self.view.name(*node)).collect::<Vec<_>>())
    }

    fn clients_start(&mut self, at: Time) {
        self.end_changes();
        self.clients_run = true;
        let clients: Vec<NodeId> = {
            let layout = &self.view.detailed.layout;
            layout.clients().collect()
        };
        let mut text = format!("{} start", self.names(&clients));
        if clients.len() == 1 {
            text.push('s');
        }
        if let Some((_, node)) = self.active {
            text.push_str(&format!("; {} is the active controller", self.view.name(node)));
        }
        self.line(at, About::Trial, text);
        let states: Vec<String> = self
            .registrations
            .iter()
            .map(|(id, registration)| {
                format!(
                    "{} on {}, led by {}",
                    self.view.partition(id),
                    self.view.servers(&registration.replicas),
                    registration
                        .leader
                        .map_or("nobody", |leader| self.view.server(leader))
                )
            })
            .collect();
        let more = states.len().saturating_sub(ONE_BY_ONE);
        let mut text = states.into_iter().take(ONE_BY_ONE).collect::<Vec<_>>().join("; ");
        if more > 0 {
            text.push_str(&format!("; and {}", plural(more, "more partition")));
        }
        self.line(at, About::Cluster, text);
    }

    fn fault(&mut self, at: Time, entry: usize, nodes: &[NodeId]) {
        let names = self.names(nodes);
        let entry = &self.view.detailed.trial.script.entries[entry];
        if let Action::Bind { name, who } = &entry.action {
            let meaning = format!("{who} at {}", self.view.moment(at));
            self.bound.insert(name.clone(), meaning);
            return;
        }
        let text = actions::sentence(entry, &names, &self.bound);
        for node in nodes {
            self.logs.fault(at, *node, &entry.action);
            if let Action::LoseDisk(_) = &entry.action {
                self.first_epochs.retain(|broker, _| broker.node() != *node);
            }
        }
        if !text.is_empty() {
            self.line(at, About::Fault, text);
        }
    }

    fn note(&mut self, at: Time, node: NodeId, note: &Note) {
        match note {
            Note::Cluster(ClusterNote::Partition {
                partition,
                registration,
                reason,
                election,
            }) => {
                if self
                    .changes
                    .first()
                    .is_some_and(|first| first.reason != *reason || at.since(first.at).as_millis() > 20)
                {
                    self.end_changes();
                }
                self.changed(at, *partition, registration, *reason, *election);
            }
            Note::Cluster(note) => self.cluster(at, note),
            Note::Quorum(note) => self.quorum(at, node, *note),
            Note::Phase(phase) => self.phase(at, node, *phase),
            Note::Log(partition, note) => self.log(at, node, *partition, note),
            Note::Leader(partition, note) => {
                let registration = self.registrations.get(*partition);
                self.stale
                    .note(self.view, at, node, *partition, registration, note);
            }
            Note::Client(ClientNote::PositionReset { partition, from, to }) => {
                let (name, partition) = (self.view.name(node), self.view.partition(*partition));
                self.line(
                    at,
                    About::Client,
                    format!("{name} resets its position in {partition} from {from} to {to}"),
                );
            }
            Note::Client(note) => {
                if let Some(text) = groups::client(self.view, note) {
                    let name = self.view.name(node);
                    self.line(at, About::Client, format!("{name} {text}"));
                }
            }
            Note::Group(group, note) => {
                if let Some(text) = groups::sentence(self.view, *group, note) {
                    self.line(at, About::Cluster, text);
                }
            }
            Note::Coordinator(partition, note) => {
                if let Some(text) = groups::coordinator(*note) {
                    let (name, partition) = (self.view.name(node), self.view.partition(*partition));
                    self.line(
                        at,
                        About::Broker,
                        format!("{name}, coordinator of {partition}, {text}"),
                    );
                }
            }
        }
    }

    fn changed(
        &mut self,
        at: Time,
        partition: PartitionId,
        now: &PartitionRegistration,
        reason: ChangeReason,
        election: Option<Election>,
    ) {
        let before = self.registrations.get(partition).cloned();
        // Around a failover the old and the new controller may tell the same.
        if before
            .as_ref()
            .is_some_and(|before| before.partition_epoch >= now.partition_epoch)
        {
            return;
        }
        self.registrations.insert(partition, now.clone());
        let Some(before) = before else { return };
        let parts = changes::parts(self.view, &before, now, election);
        if parts.is_empty() {
            return;
        }
        let text = format!("{}: {}", self.view.partition(partition), parts.join(", "));
        self.changes.push(Change { at, reason, text });
    }

    /// Tells the changes that were made together.
    fn end_changes(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        let count = changes.len();
        let shown = if count <= ONE_BY_ONE {
            count
        } else {
            ONE_BY_ONE - 1
        };
        for change in &changes[..shown] {
            let text = format!("{} ({})", change.text, changes::reason(self.view, change.reason));
            self.line(change.at, About::Cluster, text);
        }
        if let Some(first) = changes.get(shown) {
            let text = format!(
                "and likewise {} ({})",
                plural(count - shown, "more partition"),
                changes::reason(self.view, first.reason)
            );
            self.line(first.at, About::Cluster, text);
        }
    }
}

/// `b1`, `b1 and b2`, `b1, b2 and b3`.
pub fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
