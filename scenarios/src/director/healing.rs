//! How long everything may take to converge when the faults are over, and what it means if it did not.

use ktrial_models::invariants::{Convergence, convergence_excuse, time_to_converge};
use ktrial_models::kafka::Kafka;
use ktrial_sim::{Duration, Simulation};

use super::{Fired, Stage, TrialDirector};
use crate::script::Action;

/// The least time for healing where a scenario does not say how long.
const LEAST_HEAL: Duration = Duration::secs(180);

impl TrialDirector {
    /// How long everything may take to converge: what `heal:` says, or else three minutes, and longer if what happened
    /// may take longer, so that a trial that stalls can be judged.
    pub(super) fn time_to_heal(&self) -> Duration {
        let needed = || self.needed().max(LEAST_HEAL);
        self.resolved.heal.unwrap_or_else(needed)
    }

    /// How long what happened in this trial may take to heal.
    fn needed(&self) -> Duration {
        let resolved = &self.resolved;
        let producers: Vec<_> = resolved
            .producers
            .iter()
            .map(|(producer, _)| producer.clone())
            .collect();
        let entry = |fired: &Fired| &self.script.entries[fired.entry].action;
        let replaced = self
            .fired
            .iter()
            .any(|fired| matches!(entry(fired), Action::LoseDisk(_)));
        let records = self.ledger.sends().iter().map(Vec::len).sum::<usize>() as u64;
        let stalls = self.fired.iter().filter_map(|fired| match entry(fired) {
            Action::Stall { by, .. } => Some(by.0),
            _ => None,
        });
        let groups = (&*resolved.consumers, records);
        time_to_converge(&resolved.cluster, &producers, &resolved.readers, groups, replaced)
            .saturating_add(stalls.max().unwrap_or_default())
    }

    /// Whether everything converged, for the judges.
    pub(crate) fn convergence(&self, simulation: &Simulation<Kafka>) -> Convergence {
        let needed = self.needed();
        let link = self.resolved.link;
        let one_way = link.latency.saturating_add(link.spread);
        let excuse = convergence_excuse(&self.resolved.cluster, one_way.saturating_mul(2));
        match (self.stage, self.resolved.heal) {
            (Stage::WarmUp, _) => Convergence::Missed(excuse),
            _ if self.converged => Convergence::Reached,
            _ if self.only_poison_is_left(simulation) => Convergence::Unpromised,
            (_, Some(heal)) if heal < needed => Convergence::TooShort(heal, needed),
            _ if self.pending_but_groups(simulation, 1).is_empty() => Convergence::Unread(excuse),
            _ => Convergence::Missed(excuse),
        }
    }
}
