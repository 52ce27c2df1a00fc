//! What befell the nodes.

use ktrial_models::history::Operation;
use ktrial_models::notes::{ClusterNote, Note, Phase};
use ktrial_sim::{NodeId, Time};

use super::Writer;
use crate::script::{Action, Way};
use crate::story::Told;

impl Writer<'_> {
    fn fault(&mut self, at: Time, what: &str, who: &str) {
        let (what, who) = (self.history.names.text(what), self.history.names.text(who));
        self.history.push(at, Operation::Fault { what, who });
    }

    /// A history begins with the start of its nodes, so that it names them all.
    pub(super) fn servers_start(&mut self) {
        for server in self.detailed.layout.servers() {
            let name = self.name(server);
            self.fault(Time::ZERO, "start", &name);
        }
    }

    pub(super) fn told(&mut self, at: Time, told: &Told) {
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
