//! What the active controller does by itself (`PeriodicTaskControlManager`), timed on the monotonic clock from
//! the end of its activation.
//!
//! | task | period | again at once (after 10 ms) |
//! |---|---|---|
//! | fence one broker whose session expired | an eighth of `broker.session.timeout.ms` | if a session was forgotten |
//! | no-op record (KIP-835) | `metadata.max.idle.interval.ms` | never |
//! | preferred leaders | `leader.imbalance.check.interval.seconds` | after 1,000 elections |
//! | unclean leaders | `unclean.leader.election.interval.ms` | after 1,000 elections |

use ktrial_sim::{Context, Duration, Time, TimerSlot};

use crate::config::ControllerSettings;
use crate::controller::heartbeats::Heartbeats;
use crate::kafka::{Kafka, slot};

/// `PeriodicTask.DEFAULT_IMMEDIATE_PERIOD_NS`.
const IMMEDIATELY: Duration = Duration::millis(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    FenceStaleBroker,
    NoOp,
    ElectPreferred,
    ElectUnclean,
}

impl Task {
    const ALL: [Task; 4] = [
        Task::FenceStaleBroker,
        Task::NoOp,
        Task::ElectPreferred,
        Task::ElectUnclean,
    ];

    fn slot(self) -> TimerSlot {
        TimerSlot(slot::CONTROLLER + self as u16)
    }

    pub(super) fn of(timer: TimerSlot) -> Task {
        Task::ALL[usize::from(timer.0 - slot::CONTROLLER)]
    }

    /// None: never.
    fn period(self, settings: &ControllerSettings) -> Option<Duration> {
        match self {
            Task::FenceStaleBroker => {
                Some(Duration(settings.broker_session_timeout_ms.0 / 8).max(Duration::millis(1)))
            }
            Task::NoOp => Some(settings.metadata_max_idle_interval_ms).filter(|period| period.0 > 0),
            Task::ElectPreferred => settings
                .auto_leader_rebalance_enable
                .then_some(settings.leader_imbalance_check_interval_seconds),
            Task::ElectUnclean => Some(settings.unclean_leader_election_interval_ms),
        }
    }
}

/// When the session check is due. Kafka looks at every tick; the model wakes only for the first tick after the
/// earliest expiry, since the others find nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Periodic {
    /// The next tick that Kafka would take.
    next_session_check: Time,
}

impl Periodic {
    /// Starts all tasks.
    pub(super) fn activate(settings: &ControllerSettings, context: &mut Context<'_, Kafka>) -> Self {
        for task in [Task::NoOp, Task::ElectPreferred, Task::ElectUnclean] {
            if let Some(period) = task.period(settings) {
                context.set_timer(task.slot(), period);
            }
        }
        let period = Task::FenceStaleBroker.period(settings).expect("always");
        Periodic {
            next_session_check: context.monotonic() + period,
        }
    }

    /// Stops all tasks.
    pub(super) fn deactivate(context: &mut Context<'_, Kafka>) {
        for task in Task::ALL {
            context.clear_timer(task.slot());
        }
    }

    /// A task has run; `again` if it left something to do.
    pub(super) fn ran(
        &mut self,
        task: Task,
        again: bool,
        settings: &ControllerSettings,
        context: &mut Context<'_, Kafka>,
    ) {
        let period = task.period(settings).expect("only what has a period runs");
        let after = if again { IMMEDIATELY } else { period };
        match task {
            Task::FenceStaleBroker => self.next_session_check = context.monotonic() + after,
            _ => context.set_timer(task.slot(), after),
        }
    }

    /// Sets the timer of the session check for the first tick after the earliest expiry, unless one is set: a
    /// contact noted later only moves expiries away.
    pub(super) fn watch_sessions(
        &self,
        heartbeats: &Heartbeats,
        settings: &ControllerSettings,
        context: &mut Context<'_, Kafka>,
    ) {
        let slot = Task::FenceStaleBroker.slot();
        if context.timer_is_set(slot) {
            return;
        }
        if let Some(expiry) = heartbeats.earliest_expiry() {
            let period = Task::FenceStaleBroker.period(settings).expect("always");
            context.set_timer_at(slot, tick_after(self.next_session_check, period, expiry));
        }
    }
}

/// The first of `first`, `first + period`, ... that is later than `expiry`.
fn tick_after(first: Time, period: Duration, expiry: Time) -> Time {
    if first > expiry {
        return first;
    }
    let ticks = expiry.since(first).0 / period.0 + 1;
    first + period.saturating_mul(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_looked_at_on_the_first_tick_after_it_expired_and_not_at_its_expiry() {
        let tick = |expiry| tick_after(Time(10), Duration(4), Time(expiry)).0;
        assert_eq!([9, 10, 13, 14, 15].map(tick), [10, 14, 14, 18, 18]);
    }
}
