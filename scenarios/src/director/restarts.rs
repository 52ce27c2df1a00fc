//! Processes that are shut down and started again, one after the other.

use ktrial_models::kafka::{Kafka, Signal};
use ktrial_sim::{Duration, NodeId, Simulation, Status};

use super::{RESTART, TrialDirector, Undo};

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
    /// A process that ended, whether by shutdown or otherwise: what was to follow, follows.
    pub(super) fn notice_stop(&mut self, node: NodeId, simulation: &mut Simulation<Kafka>) {
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
            self.take_back(Undo::Start(vec![node]), simulation);
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
