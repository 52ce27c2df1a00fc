//! `Timer` of Kafka's utilities: a deadline on a clock that may jump.

use ktrial_sim::{Context, Duration, Time};

use crate::kafka::Kafka;

/// The wall clock as Kafka reads it (`Time.milliseconds`): whole milliseconds.
pub(super) fn wall(context: &Context<'_, Kafka>) -> Time {
    Time(context.wall().millis() * 1_000_000)
}

/// Runs out when the wall clock reaches its deadline, and never goes back: a forward step of the clock expires it
/// at once, a backward step freezes it until the clock has caught up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timer {
    current: Time,
    deadline: Time,
}

impl Timer {
    /// Runs out `timeout` after `now`.
    pub(super) fn new(now: Time, timeout: Duration) -> Self {
        Timer {
            current: now,
            deadline: now + timeout,
        }
    }

    /// Looks at the clock.
    pub(super) fn update(&mut self, now: Time) {
        self.current = self.current.max(now);
    }

    /// Starts anew from the latest time it has seen.
    pub(super) fn reset(&mut self, timeout: Duration) {
        self.deadline = self.current + timeout;
    }

    /// What is left; zero if it ran out.
    pub(super) fn remaining(&mut self, now: Time) -> Duration {
        self.update(now);
        self.deadline.since(self.current)
    }

    /// Whether it ran out.
    pub(super) fn is_expired(&mut self, now: Time) -> bool {
        self.remaining(now) == Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_step_expires_a_timer_and_a_backward_step_freezes_it() {
        let mut timer = Timer::new(Time(100), Duration(50));
        assert_eq!(timer.remaining(Time(120)), Duration(30));
        assert_eq!(timer.remaining(Time(10)), Duration(30));
        assert!(timer.is_expired(Time(1_000)));
        assert!(timer.is_expired(Time(100)), "it never goes back");
    }
}
