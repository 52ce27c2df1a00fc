//! The script's entries carried out, and taken back.

use ktrial_models::kafka::{Kafka, Signal};
use ktrial_sim::{Duration, NodeId, Simulation, Status};

use super::{Culprit, Fired, Harm, Stage, TrialDirector, UNDO, Undo};
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
        self.undos.push((number, undo));
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
                let by = Culprit::Entry(number);
                for node in &whom {
                    self.harms.add(by, *node, Harm::Down, simulation);
                }
                self.later(number, Undo::Start(whom.clone()), simulation);
            }
            Action::Start(_) => {
                self.idle.retain(|node| !whom.contains(node));
                for node in &whom {
                    self.harms.lift_all(*node, Harm::Down);
                }
                self.start(&whom, simulation);
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
                let by = Culprit::Entry(number);
                for node in &whom {
                    simulation.pause(*node);
                    self.harms.add(by, *node, Harm::Paused, simulation);
                }
                self.later(number, Undo::Resume(whom.clone()), simulation);
            }
            Action::Resume(_) => {
                for node in &whom {
                    self.harms.lift_all(*node, Harm::Paused);
                }
                self.resume(&whom, simulation);
            }
            Action::Stall { by, .. } => {
                whom.iter()
                    .for_each(|node| simulation.signal(*node, Signal::Stall(by.0)));
            }
            Action::ElectUnclean => simulation.signal(Layout::OPERATOR, Signal::ElectUncleanLeaders),
            Action::ElectPreferred => simulation.signal(Layout::OPERATOR, Signal::ElectPreferredLeaders),
            Action::Skew { .. }
            | Action::Drift { .. }
            | Action::SlowDisk { .. }
            | Action::FillDisk(_)
            | Action::FailDisk(_)
            | Action::OpenCut { .. } => {
                let clocks = matches!(action, Action::Skew { .. } | Action::Drift { .. });
                if clocks {
                    self.disturb(&whom, simulation);
                }
                for node in &whom {
                    let harm = crate::damage::harm(action, *node).expect("it harms machines");
                    self.harms.add(Culprit::Entry(number), *node, harm, simulation);
                }
                let nodes = whom.clone();
                self.later(number, Undo::Lift { nodes, clocks }, simulation);
            }
            _ => {
                let others = action
                    .roles()
                    .get(1)
                    .map_or(Vec::new(), |role| role.resolve(self));
                if let Some(undo) = crate::damage::network(action, &whom, &others, self, simulation) {
                    self.later(number, undo, simulation);
                }
            }
        }
        whom
    }

    pub(crate) fn take_back(&mut self, by: Culprit, undo: Undo, simulation: &mut Simulation<Kafka>) {
        match undo {
            Undo::Start(nodes) => {
                self.harms.lift(by, &nodes, simulation);
                self.start(&nodes, simulation);
            }
            Undo::Resume(nodes) => {
                self.harms.lift(by, &nodes, simulation);
                self.resume(&nodes, simulation);
            }
            Undo::Lift { nodes, clocks } => {
                if clocks {
                    self.disturb(&nodes, simulation);
                }
                self.harms.lift(by, &nodes, simulation);
            }
            undo => crate::damage::repair(undo, simulation),
        }
    }

    /// Starts those of these processes that are meant to run and that nobody keeps down.
    pub(super) fn start(&mut self, nodes: &[NodeId], simulation: &mut Simulation<Kafka>) {
        for node in nodes {
            if self.is_to_start(*node, simulation) {
                self.story.tell(simulation.now(), Told::Started(*node));
                simulation.start(*node);
            }
        }
    }

    /// Whether a process does not run, is meant to, and is kept down by nobody.
    pub(super) fn is_to_start(&self, node: NodeId, simulation: &Simulation<Kafka>) -> bool {
        let down = matches!(simulation.status(node), Status::Down | Status::Off);
        down && !self.idle.contains(&node) && !self.harms.has(node, Harm::Down)
    }

    /// Lets those of these processes go on that nobody lets stand still.
    fn resume(&mut self, nodes: &[NodeId], simulation: &mut Simulation<Kafka>) {
        for node in nodes {
            if simulation.status(*node) == Status::Paused && !self.harms.has(*node, Harm::Paused) {
                self.disturb(&[*node], simulation);
                self.story.tell(simulation.now(), Told::Resumed(*node));
                simulation.resume(*node);
            }
        }
    }

    /// The judges give clients whose time is not the trial's, or is not to be any more, their time anew.
    pub(super) fn disturb(&mut self, nodes: &[NodeId], simulation: &mut Simulation<Kafka>) {
        let now = simulation.now();
        if let Some(judges) = &mut self.judges {
            for node in nodes {
                judges.disturbed(now, *node, simulation.clock_mut(*node).wall_lead(now));
            }
        }
    }
}
