//! The script's entries carried out, and taken back.

use ktrial_models::kafka::{Kafka, Signal};
use ktrial_sim::{Duration, NodeId, Simulation, Status};

use super::{Fired, Stage, TrialDirector, UNDO, Undo};
use crate::resolved::Layout;
use crate::script::Action;
use crate::story::Told;

impl TrialDirector {
    pub(super) fn fire(&mut self, number: usize, simulation: &mut Simulation<Kafka>) {
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
    pub(super) fn later(&mut self, number: usize, undo: Undo, simulation: &mut Simulation<Kafka>) {
        let at = self.undos.len() as u32;
        self.undos.push(undo);
        self.undo_entries.push(number);
        if let Some(lasting) = self.script.entries[number].lasting {
            simulation.schedule(simulation.now() + lasting.0, UNDO | at);
        }
    }

    /// Does what an entry says and returns the nodes it meant.
    pub(super) fn carry_out(
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
            Action::Start(_) => {
                self.idle.retain(|node| !whom.contains(node));
                self.take_back(Undo::Start(whom.clone()), simulation);
            }
            Action::Stop(_) => {
                let down = self.script.entries[number].lasting;
                let down = down.map_or(Duration::FOREVER, |length| length.0);
                for node in &whom {
                    self.roll(vec![*node], down, Duration::ZERO, simulation);
                }
            }
            Action::RollingRestart { down, between, .. }
            | Action::Redeploy {
                rolling: true,
                down,
                between,
                ..
            } => self.roll(self.meant_to_run(&whom), down.0, between.0, simulation),
            Action::Redeploy { down, .. } => {
                for node in self.meant_to_run(&whom) {
                    self.roll(vec![node], down.0, Duration::ZERO, simulation);
                }
            }
            Action::Scale { to, .. } => self.scale(&whom, *to as usize, simulation),
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
                for node in self.meant_to_run(&nodes) {
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
    pub(super) fn disturb(&mut self, nodes: &[NodeId], simulation: &Simulation<Kafka>) {
        if let Some(judges) = &mut self.judges {
            nodes
                .iter()
                .for_each(|node| judges.disturbed(simulation.now(), *node));
        }
    }
}
