//! How long everything may take to converge when the faults are over, and what it means if it did not.

use ktrial_models::ids::RecordId;
use ktrial_models::invariants::{Convergence, MemberAtWork, convergence_excuse, time_to_converge};
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
    /// may take longer, so that a trial that stalls can be judged; but at most a day.
    pub(super) fn time_to_heal(&self, simulation: &Simulation<Kafka>) -> Duration {
        self.given(|| self.needed(simulation))
    }

    fn given(&self, needed: impl FnOnce() -> Duration) -> Duration {
        let of_itself = || needed().clamp(LEAST_HEAL, MOST_HEAL);
        self.resolved.heal.unwrap_or_else(of_itself)
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
        let start = resolved.cluster.capacity.client_start.1;
        let members = resolved.consumers.iter().map(|told| MemberAtWork {
            told,
            work: told.longest_work(self.sent_records(), start, simulation.chance()),
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
    pub(super) fn sent_records(&self) -> impl Iterator<Item = RecordId> {
        let producers = self.layout.producers().zip(self.ledger.sends());
        producers.flat_map(|(producer, sends)| {
            (0..sends.len() as u32).map(move |number| RecordId { producer, number })
        })
    }

    /// Whether everything converged, for the judges.
    pub(crate) fn convergence(&self, simulation: &Simulation<Kafka>) -> Convergence {
        if self.converged {
            return Convergence::Reached;
        }
        let link = self.resolved.link;
        let one_way = link.latency.saturating_add(link.spread);
        let excuse = convergence_excuse(&self.resolved.cluster, one_way.saturating_mul(2));
        if self.stage == Stage::WarmUp {
            return Convergence::Missed(excuse);
        }
        if self.only_stuck_groups_are_left(simulation) {
            return Convergence::Unpromised;
        }
        let needed = self.needed(simulation);
        let given = self.given(|| needed);
        if given < needed {
            return Convergence::TooShort(given, needed);
        }
        match self.pending_but_groups(simulation, 1).is_empty() {
            true => Convergence::Unread(excuse),
            false => Convergence::Missed(excuse),
        }
    }
}
