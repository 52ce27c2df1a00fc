//! What faults do to machines for a while, each counted by itself: when one is over, the others go on.

use ktrial_models::kafka::Kafka;
use ktrial_sim::{ArmedCut, DiskError, NodeId, Simulation};

/// Something wrong with a machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Harm {
    /// The wall clock is so many nanoseconds ahead. Several add up.
    Skew(i64),
    /// The clocks run so many parts per million too fast. Several add up.
    Drift(i32),
    /// The disk takes so many times as long. Several multiply.
    SlowDisk(u32),
    /// The disk refuses writes. The latest says why.
    RefusingDisk(DiskError),
    /// A place between two steps is open.
    OpenCut(ArmedCut),
    /// The process is not to run: killed, without power, or shut down.
    Down,
    /// The process stands still.
    Paused,
}

impl Harm {
    fn is_like(&self, other: &Harm) -> bool {
        use Harm::{Drift, RefusingDisk, Skew, SlowDisk};
        matches!(
            (self, other),
            (Skew(_) | Drift(_), Skew(_) | Drift(_))
                | (SlowDisk(_) | RefusingDisk(_), SlowDisk(_) | RefusingDisk(_))
        )
    }
}

/// Who did it: an entry of the script, restarts in a row, or the plan of when a consumer starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Culprit {
    /// By its number.
    Entry(usize),
    /// By their number.
    Restarts(usize),
    /// By the consumer's number.
    LateStart(usize),
}

/// All that is wrong now.
#[derive(Debug, Default)]
pub(crate) struct Harms {
    harms: Vec<(Culprit, NodeId, Harm)>,
}

impl Harms {
    /// Another one.
    pub(crate) fn add(&mut self, by: Culprit, node: NodeId, harm: Harm, simulation: &mut Simulation<Kafka>) {
        self.harms.push((by, node, harm));
        self.apply(node, simulation);
    }

    /// What one did to these machines is over.
    pub(crate) fn lift(&mut self, by: Culprit, nodes: &[NodeId], simulation: &mut Simulation<Kafka>) {
        self.harms
            .retain(|(who, node, _)| *who != by || !nodes.contains(node));
        nodes.iter().for_each(|node| self.apply(*node, simulation));
    }

    /// Nothing is wrong any more.
    pub(crate) fn lift_every(&mut self, nodes: &[NodeId], simulation: &mut Simulation<Kafka>) {
        self.harms.clear();
        nodes.iter().for_each(|node| self.apply(*node, simulation));
    }

    /// Whoever does this to a machine does so no longer. Only for what [`Harms::apply`] leaves to others.
    pub(crate) fn lift_all(&mut self, node: NodeId, harm: Harm) {
        self.harms
            .retain(|(_, whom, what)| *whom != node || *what != harm);
    }

    /// Whether somebody does this to a machine.
    pub(crate) fn has(&self, node: NodeId, harm: Harm) -> bool {
        self.of(node).any(|known| known == harm)
    }

    /// Whether something else of the same sort stays wrong with these machines' clocks or disks when `by` is over.
    pub(crate) fn outlast(&self, by: Culprit, nodes: &[NodeId]) -> bool {
        let mut own = self
            .harms
            .iter()
            .filter(|(who, node, _)| *who == by && nodes.contains(node));
        own.any(|(_, node, harm)| {
            let mut others = self
                .harms
                .iter()
                .filter(|(who, whom, _)| *who != by && whom == node);
            others.any(|(.., other)| harm.is_like(other))
        })
    }

    fn of(&self, node: NodeId) -> impl Iterator<Item = Harm> {
        let on_node = self.harms.iter().filter(move |(_, whom, _)| *whom == node);
        on_node.map(|(.., harm)| *harm)
    }

    /// Lets a machine's clocks and disk, and all open cuts, be as they are said to be.
    fn apply(&self, node: NodeId, simulation: &mut Simulation<Kafka>) {
        let (mut skew, mut drift, mut slowness, mut refuses) = (0i64, 0i32, 1u32, None);
        for harm in self.of(node) {
            match harm {
                Harm::Skew(by) => skew = skew.saturating_add(by),
                Harm::Drift(by) => drift = drift.saturating_add(by),
                Harm::SlowDisk(times) => slowness = slowness.saturating_mul(times.max(1)),
                Harm::RefusingDisk(error) => refuses = Some(error),
                Harm::OpenCut(_) | Harm::Down | Harm::Paused => {}
            }
        }
        simulation.clock_mut(node).set_wall_offset(skew);
        if simulation.clock_mut(node).drift_ppm() != drift {
            simulation.set_drift(node, drift);
        }
        let health = &mut simulation.disk_mut(node).health;
        (health.slowness, health.refuses) = (slowness, refuses);
        simulation.disarm_cuts();
        for (.., harm) in &self.harms {
            if let Harm::OpenCut(cut) = harm {
                simulation.arm_cut(*cut);
            }
        }
    }
}
