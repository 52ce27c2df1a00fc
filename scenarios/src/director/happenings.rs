//! What nodes tell, counted for the triggers that wait for it.

use ktrial_models::kafka::Kafka;
use ktrial_models::notes::{ClientNote, ClusterNote, Phase};
use ktrial_sim::{NodeId, Simulation};

use super::{Stage, TrialDirector};
use crate::script::{Happening, PhaseName, Trigger};

impl TrialDirector {
    /// Counts a happening for every trigger that waits for it.
    pub(super) fn happens(
        &mut self,
        is: impl Fn(&Happening, &Self) -> bool,
        simulation: &mut Simulation<Kafka>,
    ) {
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

    pub(super) fn cluster_note(&mut self, note: &ClusterNote, simulation: &mut Simulation<Kafka>) {
        match note {
            ClusterNote::TopicCreated(topic, specification) => {
                self.topics.insert(*topic, *specification);
            }
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

    pub(super) fn phase_note(&mut self, node: NodeId, phase: Phase, simulation: &mut Simulation<Kafka>) {
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

    pub(super) fn client_note(
        &mut self,
        node: NodeId,
        note: &ClientNote,
        simulation: &mut Simulation<Kafka>,
    ) {
        let (now, arena) = (simulation.now(), simulation.arena());
        self.ledger.note(&self.layout, now, note, arena);
        self.processing.note(&self.layout, now, node, note, arena);
        let name = match note {
            ClientNote::Started => PhaseName::Starting,
            ClientNote::Runs => {
                self.notice_running(node, simulation);
                PhaseName::Running
            }
            ClientNote::Closes => PhaseName::ShuttingDown,
            ClientNote::Died(_) => {
                if !self.threw.contains(&node) {
                    self.threw.push(node);
                }
                return self.dying.push(node);
            }
            ClientNote::Exited(_) => {
                self.dying.push(node);
                self.notice_stop(node, simulation);
                return self.supervise(node, simulation);
            }
            ClientNote::Closed => {
                self.notice_stop(node, simulation);
                return self.supervise(node, simulation);
            }
            _ => return,
        };
        self.phase_begins(node, name, simulation);
    }

    pub(super) fn phase_begins(&mut self, node: NodeId, name: PhaseName, simulation: &mut Simulation<Kafka>) {
        self.happens(
            |it, this| matches!(it, Happening::PhaseOf(role, of) if *of == name && role.resolve(this).contains(&node)),
            simulation,
        );
    }
}
