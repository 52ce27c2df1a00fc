//! Processes that are shut down and started again, one after the other.

use ktrial_models::kafka::{Kafka, Signal};
use ktrial_sim::{Duration, NodeId, Simulation, Status};

use super::{Culprit, Harm, RESTART, TrialDirector, Undo};

/// Processes that are shut down and started one after the other.
#[derive(Clone, Debug)]
pub(super) struct Rolling {
    pub(super) nodes: Vec<NodeId>,
    pub(super) position: usize,
    pub(super) down: Duration,
    pub(super) between: Duration,
    /// The one in hand has stopped and waits for its start.
    pub(super) stopped: bool,
}

impl TrialDirector {
    /// Shuts processes down and starts them, one after the other.
    pub(super) fn roll(
        &mut self,
        nodes: Vec<NodeId>,
        down: Duration,
        between: Duration,
        simulation: &mut Simulation<Kafka>,
    ) {
        let first = nodes.first().copied();
        self.rolling.push(Rolling {
            nodes,
            position: 0,
            down,
            between,
            stopped: false,
        });
        if let Some(first) = first {
            simulation.signal(first, Signal::Terminate);
            self.notice_stop(first, simulation);
        }
    }

    /// Those that are to run.
    pub(super) fn meant_to_run(&self, nodes: &[NodeId]) -> Vec<NodeId> {
        let run = nodes.iter().filter(|node| !self.idle.contains(node));
        run.copied().collect()
    }

    /// The first `running` of these run from now on, and the others do not.
    pub(super) fn scale(&mut self, nodes: &[NodeId], running: usize, simulation: &mut Simulation<Kafka>) {
        let (run, rest) = nodes.split_at(running.min(nodes.len()));
        self.idle.retain(|node| !run.contains(node));
        self.start(run, simulation);
        for node in rest {
            if !self.idle.contains(node) {
                self.idle.push(*node);
                simulation.signal(*node, Signal::Terminate);
            }
        }
    }

    /// A consumer's process has ended: if its application ended itself, its supervisor starts it again.
    pub(super) fn supervise(&mut self, node: NodeId, simulation: &mut Simulation<Kafka>) {
        let Some(place) = self.dying.iter().position(|dying| *dying == node) else {
            return;
        };
        self.dying.remove(place);
        let index = self.layout.consumer_index(node);
        let consumer = index.and_then(|index| self.resolved.consumers.get(index));
        if let Some(after) = consumer.and_then(|consumer| consumer.application.restart) {
            let number = self.rolling.len() as u32;
            self.rolling.push(Rolling {
                nodes: vec![node],
                position: 0,
                down: after,
                between: Duration::ZERO,
                stopped: true,
            });
            self.harms
                .add(Culprit::Restarts(number as usize), node, Harm::Down, simulation);
            simulation.schedule(simulation.now() + after, RESTART | number);
        }
    }

    /// A process that ended, whether by shutdown or otherwise: what was to follow, follows.
    pub(super) fn notice_stop(&mut self, node: NodeId, simulation: &mut Simulation<Kafka>) {
        if simulation.status(node) == Status::Up {
            return;
        }
        for (number, rolling) in self.rolling.iter_mut().enumerate() {
            if rolling.nodes.get(rolling.position) == Some(&node) && !rolling.stopped {
                rolling.stopped = true;
                self.harms
                    .add(Culprit::Restarts(number), node, Harm::Down, simulation);
                if rolling.down != Duration::FOREVER {
                    simulation.schedule(simulation.now() + rolling.down, RESTART | number as u32);
                }
            }
        }
    }

    /// Goes on with the restarts of `number`: starts what is down, or shuts the next one down.
    pub(super) fn restart(&mut self, number: usize, simulation: &mut Simulation<Kafka>) {
        let Some(rolling) = self.rolling.get_mut(number) else {
            return;
        };
        let Some(node) = rolling.nodes.get(rolling.position).copied() else {
            return;
        };
        if rolling.stopped {
            rolling.stopped = false;
            rolling.position += 1;
            self.take_back(Culprit::Restarts(number), Undo::Start(vec![node]), simulation);
        } else {
            simulation.signal(node, Signal::Terminate);
            self.notice_stop(node, simulation);
        }
    }

    /// A server runs: the next one of a rolling restart is due.
    pub(super) fn notice_running(&mut self, node: NodeId, simulation: &mut Simulation<Kafka>) {
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
}
