//! How long everything may take to converge when the faults are over, and what it means if it did not.

use ktrial_models::ids::RecordId;
use ktrial_models::invariants::{Convergence, Member, convergence_excuse, time_to_converge};
use ktrial_models::kafka::Kafka;
use ktrial_sim::{Duration, Simulation};

use super::{Fired, Stage, TrialDirector};
use crate::script::Action;

/// The least time for healing where a scenario does not say how long.
const LEAST_HEAL: Duration = Duration::secs(180);

/// The most: applications can be told to try a record for years.
const MOST_HEAL: Duration = Duration::secs(24 * 60 * 60);

impl TrialDirector {
    /// How long everything may take to converge: what `heal:` says, or else three minutes, and longer if what happened
    /// may take longer, so that a trial that stalls can be judged.
    pub(super) fn time_to_heal(&self, simulation: &Simulation<Kafka>) -> Duration {
        let needed = || self.needed(simulation).clamp(LEAST_HEAL, MOST_HEAL);
        self.resolved.heal.unwrap_or_else(needed)
    }

    /// How long what happened in this trial may take to heal.
    fn needed(&self, simulation: &Simulation<Kafka>) -> Duration {
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
        let stalls = self.fired.iter().filter_map(|fired| match entry(fired) {
            Action::Stall { by, .. } => Some(by.0),
            _ => None,
        });
        let start = resolved.cluster.capacity.process_start.1;
        let members = resolved.consumers.iter().map(|told| Member {
            told,
            work: told.work_on(self.sent_records(), start, simulation.chance()),
        });
        let members: Vec<_> = members.collect();
        time_to_converge(
            &resolved.cluster,
            &producers,
            &resolved.readers,
            &members,
            replaced,
        )
        .saturating_add(stalls.max().unwrap_or_default())
    }

    /// All records that producers were given to send.
    fn sent_records(&self) -> impl Iterator<Item = RecordId> {
        let producers = self.layout.producers().zip(self.ledger.sends());
        producers.flat_map(|(producer, sends)| {
            (0..sends.len() as u32).map(move |number| RecordId { producer, number })
        })
    }

    /// Whether everything converged, for the judges.
    pub(crate) fn convergence(&self, simulation: &Simulation<Kafka>) -> Convergence {
        let (needed, given) = (self.needed(simulation), self.time_to_heal(simulation));
        let link = self.resolved.link;
        let one_way = link.latency.saturating_add(link.spread);
        let excuse = convergence_excuse(&self.resolved.cluster, one_way.saturating_mul(2));
        match self.stage {
            Stage::WarmUp => Convergence::Missed(excuse),
            _ if self.converged => Convergence::Reached,
            _ if self.only_poison_is_left(simulation) => Convergence::Unpromised,
            _ if given < needed => Convergence::TooShort(given, needed),
            _ if self.pending_but_groups(simulation, 1).is_empty() => Convergence::Unread(excuse),
            _ => Convergence::Missed(excuse),
        }
    }
}
