//! What actions do to processes, links, clocks and disks, and how links are mended.

use ktrial_models::cuts;
use ktrial_models::invariants::Fate;
use ktrial_models::kafka::Kafka;
use ktrial_sim::{ArmedCut, Crash, DiskError, Duration, Hold, NodeId, PowerLoss, Simulation};

use crate::director::{Harm, Undo};
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

/// What an action does to a machine as long as it lasts.
pub(crate) fn harm(action: &Action, node: NodeId) -> Option<Harm> {
    Some(match action {
        Action::Skew { by_ms, .. } => Harm::Skew(by_ms.saturating_mul(1_000_000)),
        Action::Drift { by_ppm, .. } => Harm::Drift(*by_ppm),
        Action::SlowDisk { times, .. } => Harm::SlowDisk(*times),
        Action::FillDisk(_) => Harm::RefusingDisk(DiskError::Full),
        Action::FailDisk(_) => Harm::RefusingDisk(DiskError::Failing),
        Action::OpenCut {
            cut, one_in, longest, ..
        } => Harm::OpenCut(ArmedCut {
            cut: cuts::number(cut).expect("checked when the scenario was read"),
            node: Some(node),
            numerator: 1,
            denominator: *one_in,
            longest: longest.0,
        }),
        _ => return None,
    })
}

/// Does to the network of `whom` (and `others`) what an action says; how to take it back, if it can be.
pub(crate) fn network(
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
        _ => unreachable!("{} is no action on the network", action.name()),
    }
}

/// Takes something of the network back.
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
        Undo::Start(..) | Undo::Resume(..) | Undo::Lift { .. } => unreachable!("machines are the director's"),
    }
}
