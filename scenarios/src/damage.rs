//! What actions do to links, clocks and disks, and how that is taken back.

use ktrial_models::cuts;
use ktrial_models::invariants::Fate;
use ktrial_models::kafka::Kafka;
use ktrial_sim::{ArmedCut, Crash, DiskError, Duration, Hold, NodeId, PowerLoss, Simulation};

use crate::director::Undo;
use crate::role::RoleView;
use crate::script::{Action, Unflushed, Way, message_kinds};

/// How an action ends a process, and what goes with it.
pub(crate) fn crash(action: &Action) -> (Crash, Fate) {
    match action {
        Action::PowerOff {
            unflushed: Unflushed::Drawn,
            ..
        } => (Crash::Power(PowerLoss::Drawn), Fate::PageCacheLost),
        Action::PowerOff {
            unflushed: Unflushed::Lost,
            ..
        } => (Crash::Power(PowerLoss::EverythingUnflushed), Fate::PageCacheLost),
        Action::LoseDisk(_) => (Crash::Disk, Fate::DiskLost),
        _ => (Crash::Process, Fate::ProcessKilled),
    }
}

/// The directed pairs between two groups.
fn pairs(whom: &[NodeId], others: &[NodeId], way: Way) -> Vec<(NodeId, NodeId)> {
    let mut pairs = Vec::new();
    for one in whom {
        for other in others.iter().filter(|other| *other != one) {
            if way != Way::In {
                pairs.push((*one, *other));
            }
            if way != Way::Out {
                pairs.push((*other, *one));
            }
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// Does to the environment of `whom` (and `others`) what an action says; how to take it back, if it can be.
pub(crate) fn environment(
    action: &Action,
    whom: &[NodeId],
    others: &[NodeId],
    view: &impl RoleView,
    simulation: &mut Simulation<Kafka>,
) -> Option<Undo> {
    match action {
        Action::Cut { way, .. } => {
            let pairs = pairs(whom, others, *way);
            pairs.iter().for_each(|(from, to)| simulation.cut(*from, *to));
            Some(Undo::Mend(pairs))
        }
        Action::Mend { way, .. } => {
            repair(Undo::Mend(pairs(whom, others, *way)), simulation);
            None
        }
        Action::MendAll => {
            simulation.mend_all();
            None
        }
        Action::Reset { .. } => {
            pairs(whom, others, Way::Out)
                .iter()
                .for_each(|(one, other)| simulation.reset_connections(*one, *other));
            None
        }
        Action::Slow { way, latency, .. } => {
            let pairs = pairs(whom, others, *way);
            for (from, to) in &pairs {
                let link = simulation.link_mut(*from, *to);
                link.latency = link.latency.saturating_add(latency.0);
            }
            Some(Undo::Quicken(pairs, latency.0))
        }
        Action::Hold { kinds, from, to } => {
            let kinds = message_kinds(kinds).expect("checked when the scenario was read");
            let only = |role: &Option<crate::role::Role>| {
                role.as_ref().and_then(|role| role.resolve(view).first().copied())
            };
            Some(Undo::Release(simulation.hold(Hold {
                kinds,
                from: only(from),
                to: only(to),
            })))
        }
        Action::Skew { by_ms, .. } => {
            whom.iter().for_each(|node| {
                simulation
                    .clock_mut(*node)
                    .set_wall_offset(by_ms.saturating_mul(1_000_000))
            });
            Some(Undo::SetClocksRight(whom.to_vec()))
        }
        Action::Drift { by_ppm, .. } => {
            whom.iter().for_each(|node| simulation.set_drift(*node, *by_ppm));
            Some(Undo::SetClocksRight(whom.to_vec()))
        }
        Action::SlowDisk { times, .. } => {
            whom.iter()
                .for_each(|node| simulation.disk_mut(*node).health.slowness = (*times).max(1));
            Some(Undo::HealDisks(whom.to_vec()))
        }
        Action::FillDisk(_) | Action::FailDisk(_) => {
            let error = if matches!(action, Action::FillDisk(_)) {
                DiskError::Full
            } else {
                DiskError::Failing
            };
            whom.iter()
                .for_each(|node| simulation.disk_mut(*node).health.refuses = Some(error));
            Some(Undo::HealDisks(whom.to_vec()))
        }
        Action::OpenCut {
            cut, one_in, longest, ..
        } => {
            let number = cuts::number(cut).expect("checked when the scenario was read");
            for node in whom {
                simulation.arm_cut(ArmedCut {
                    cut: number,
                    node: Some(*node),
                    numerator: 1,
                    denominator: *one_in,
                    longest: longest.0,
                });
            }
            Some(Undo::DisarmCuts)
        }
        _ => unreachable!("{} is no action on an environment", action.name()),
    }
}

/// Takes something of the environment back.
pub(crate) fn repair(undo: Undo, simulation: &mut Simulation<Kafka>) {
    match undo {
        Undo::Mend(pairs) => pairs.iter().for_each(|(from, to)| simulation.mend(*from, *to)),
        Undo::Quicken(pairs, latency) => {
            for (from, to) in pairs {
                let link = simulation.link_mut(from, to);
                link.latency = Duration(link.latency.0.saturating_sub(latency.0));
            }
        }
        Undo::Release(hold) => simulation.release(hold),
        Undo::SetClocksRight(nodes) => {
            for node in nodes {
                simulation.clock_mut(node).set_wall_offset(0);
                simulation.set_drift(node, 0);
            }
        }
        Undo::HealDisks(nodes) => {
            nodes
                .iter()
                .for_each(|node| simulation.disk_mut(*node).health = Default::default());
        }
        Undo::DisarmCuts => simulation.disarm_cuts(),
        Undo::Start(_) | Undo::Resume(_) => unreachable!("processes are the director's"),
    }
}
