//! `org.apache.kafka.common.utils.Timer`: reads the wall clock and never goes back.

use ktrial_sim::{Duration, Time};

/// A time-out that is told what time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timer {
    now: Time,
    deadline: Time,
}

impl Timer {
    pub(super) fn new(now: Time, timeout: Duration) -> Self {
        Timer {
            now,
            deadline: Time(now.0.saturating_add(timeout.0)),
        }
    }

    pub(super) fn update(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    pub(super) fn reset(&mut self, timeout: Duration) {
        self.deadline = Time(self.now.0.saturating_add(timeout.0));
    }

    pub(super) fn update_and_reset(&mut self, now: Time, timeout: Duration) {
        self.update(now);
        self.reset(timeout);
    }

    pub(super) fn is_expired(&self) -> bool {
        self.now >= self.deadline
    }

    pub(super) fn remaining(&self) -> Duration {
        self.deadline.since(self.now)
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time(seconds * 1_000_000_000)
    }

    #[test]
    fn a_step_of_the_clock_forwards_expires_a_timer_at_once() {
        let mut timer = Timer::new(at(100), Duration::secs(45));
        timer.update(at(4_000));
        assert!(timer.is_expired());
    }

    #[test]
    fn a_step_backwards_stops_a_timer_until_the_clock_has_caught_up() {
        let mut timer = Timer::new(at(100), Duration::secs(45));
        timer.update(at(110));
        timer.update(at(50));
        assert_eq!(timer.remaining(), Duration::secs(35));
        timer.update(at(145));
        assert!(timer.is_expired());
    }
}
