//! When a request may be sent: `RequestState` and `HeartbeatRequestState`.

use ktrial_sim::{Duration, Time};

use crate::client::{Environment, ExponentialBackoff};
use crate::consumer::timer::Timer;
use crate::kafka::site;

/// `retry.backoff.ms` up to `retry.backoff.max.ms`, with the jitter of each request's own `ExponentialBackoff`.
#[derive(Debug)]
pub(super) struct Backoffs {
    backoff: ExponentialBackoff,
    drawn: u64,
}

impl Backoffs {
    pub(super) fn new(backoff: ExponentialBackoff) -> Self {
        Backoffs { backoff, drawn: 0 }
    }

    fn draw(&mut self, attempts: u32, environment: &mut impl Environment) -> Duration {
        self.drawn += 1;
        self.backoff
            .draw(attempts, site::RETRY, 4 << 56 | self.drawn, environment)
    }
}

/// One request in flight, and a pause after its answer (`RequestState`). After a good answer too: another cannot be
/// sent before the first back-off is over.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestState {
    in_flight: bool,
    /// By the wall clock.
    last_received: Option<Time>,
    attempts: u32,
    backoff: Duration,
}

impl RequestState {
    pub(super) fn in_flight(&self) -> bool {
        self.in_flight
    }

    /// Failures since the last good answer.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(super) fn can_send(&self, now: Time) -> bool {
        !self.in_flight && self.remaining_backoff(now) == Duration::ZERO
    }

    /// A wall clock that was set back makes it longer, as in Kafka.
    pub(super) fn remaining_backoff(&self, now: Time) -> Duration {
        match self.last_received {
            Some(last) => (last + self.backoff).since(now),
            None => Duration::ZERO,
        }
    }

    pub(super) fn sent(&mut self) {
        self.in_flight = true;
    }

    pub(super) fn succeeded(
        &mut self,
        now: Time,
        backoffs: &mut Backoffs,
        environment: &mut impl Environment,
    ) {
        self.in_flight = false;
        self.last_received = Some(now);
        self.backoff = backoffs.draw(0, environment);
        self.attempts = 0;
    }

    pub(super) fn failed(&mut self, now: Time, backoffs: &mut Backoffs, environment: &mut impl Environment) {
        self.in_flight = false;
        self.last_received = Some(now);
        self.backoff = backoffs.draw(self.attempts, environment);
        self.attempts += 1;
    }

    /// May be sent at once.
    pub(super) fn reset(&mut self) {
        *self = RequestState::default();
    }
}

/// Besides: once in an interval that the coordinator tells (`HeartbeatRequestState`).
#[derive(Clone, Debug)]
pub(super) struct HeartbeatState {
    pub(super) request: RequestState,
    timer: Timer,
    interval: Duration,
}

impl HeartbeatState {
    /// The interval is zero until the coordinator tells one.
    pub(super) fn new(now: Time) -> Self {
        HeartbeatState {
            request: RequestState::default(),
            timer: Timer::new(now, Duration::ZERO),
            interval: Duration::ZERO,
        }
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    pub(super) fn can_send(&mut self, now: Time) -> bool {
        self.timer.update(now);
        self.timer.is_expired() && self.request.can_send(now)
    }

    pub(super) fn sent(&mut self) {
        self.request.sent();
        self.timer.reset(self.interval);
    }

    /// `timeToNextHeartbeatMs`: zero also while a heartbeat is in flight that is overdue.
    pub(super) fn time_to_next(&self, now: Time) -> Duration {
        match self.timer.is_expired() {
            true => self.request.remaining_backoff(now),
            false => self.timer.remaining(),
        }
    }

    pub(super) fn failed(&mut self, now: Time, backoffs: &mut Backoffs, environment: &mut impl Environment) {
        self.timer.reset(Duration::ZERO);
        self.request.failed(now, backoffs, environment);
    }

    pub(super) fn update_interval(&mut self, now: Time, interval: Duration) {
        if self.interval != interval {
            self.interval = interval;
            self.timer.update_and_reset(now, interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::Desk;

    fn backoffs() -> Backoffs {
        Backoffs::new(ExponentialBackoff::new(Duration::millis(100), Duration::secs(1)))
    }

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::millis(1_000_000 + millis)
    }

    #[test]
    fn failures_in_a_row_double_the_pause() {
        let (mut state, mut backoffs, mut desk) = (RequestState::default(), backoffs(), Desk::new());
        let pauses: Vec<u64> = (0..5)
            .map(|_| {
                state.failed(at(0), &mut backoffs, &mut desk);
                state.remaining_backoff(at(0)).as_millis()
            })
            .collect();
        // The desk draws the middle of the jitter.
        assert_eq!(pauses, [100, 200, 400, 800, 1_000]);
        state.succeeded(at(0), &mut backoffs, &mut desk);
        assert_eq!(state.remaining_backoff(at(0)).as_millis(), 100);
    }

    #[test]
    fn nothing_is_sent_beside_a_request_in_flight_until_it_is_reset() {
        let mut state = RequestState::default();
        assert!(state.can_send(at(0)));
        state.sent();
        assert!(!state.can_send(at(60_000)));
        state.reset();
        assert!(state.can_send(at(60_000)));
    }

    #[test]
    fn a_heartbeat_waits_for_the_interval_that_the_coordinator_told_last() {
        let mut state = HeartbeatState::new(at(0));
        assert!(state.can_send(at(0)));
        state.sent();
        state.update_interval(at(10), Duration::secs(5));
        state.request.reset();
        assert!(!state.can_send(at(5_009)));
        assert!(state.can_send(at(5_010)));
    }

    #[test]
    fn a_failed_heartbeat_waits_for_its_pause_only() {
        let (mut state, mut desk) = (HeartbeatState::new(at(0)), Desk::new());
        state.update_interval(at(0), Duration::secs(5));
        state.failed(at(10), &mut backoffs(), &mut desk);
        assert!(!state.can_send(at(109)));
        assert!(state.can_send(at(110)));
    }
}
