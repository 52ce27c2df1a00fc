//! `Heartbeat`: the three timers of a membership.

use ktrial_sim::{Duration, Time};

use super::timer::Timer;
use crate::config::MemberSettings;

/// When to send a heartbeat, when the session is over, when the application has been away for too long.
#[derive(Clone, Debug)]
pub(super) struct Heartbeat {
    interval: Duration,
    session: Duration,
    poll_interval: Duration,
    heartbeat_timer: Timer,
    session_timer: Timer,
    poll_timer: Timer,
    /// Failures in a row.
    pub(super) attempts: u32,
}

impl Heartbeat {
    pub(super) fn new(settings: &MemberSettings, now: Time) -> Self {
        Heartbeat {
            interval: settings.heartbeat_interval_ms,
            session: settings.session_timeout_ms,
            poll_interval: settings.max_poll_interval_ms,
            heartbeat_timer: Timer::new(now, settings.heartbeat_interval_ms),
            session_timer: Timer::new(now, settings.session_timeout_ms),
            poll_timer: Timer::new(now, settings.max_poll_interval_ms),
            attempts: 0,
        }
    }

    fn update(&mut self, now: Time) {
        self.heartbeat_timer.update(now);
        self.session_timer.update(now);
        self.poll_timer.update(now);
    }

    /// The application called `poll`.
    pub(super) fn poll(&mut self, now: Time) {
        self.update(now);
        self.poll_timer.reset(self.poll_interval);
    }

    pub(super) fn sent(&mut self, now: Time) {
        self.update(now);
        self.heartbeat_timer.reset(self.interval);
    }

    /// No answer, or a bad one: again after a back-off.
    pub(super) fn failed(&mut self, now: Time, backoff: Duration) {
        self.update(now);
        self.attempts += 1;
        self.heartbeat_timer.reset(backoff);
    }

    pub(super) fn received(&mut self, now: Time) {
        self.update(now);
        self.attempts = 0;
        self.session_timer.reset(self.session);
    }

    pub(super) fn is_due(&mut self, now: Time) -> bool {
        self.update(now);
        self.heartbeat_timer.is_expired()
    }

    pub(super) fn time_to_next(&mut self, now: Time) -> Duration {
        self.update(now);
        self.heartbeat_timer.remaining()
    }

    pub(super) fn session_expired(&mut self, now: Time) -> bool {
        self.update(now);
        self.session_timer.is_expired()
    }

    pub(super) fn poll_expired(&mut self, now: Time) -> bool {
        self.update(now);
        self.poll_timer.is_expired()
    }

    /// The heartbeat thread starts to work.
    pub(super) fn reset_timeouts(&mut self, now: Time) {
        self.update(now);
        self.session_timer.reset(self.session);
        self.poll_timer.reset(self.poll_interval);
        self.heartbeat_timer.reset(self.interval);
    }

    /// A coordinator was found.
    pub(super) fn reset_session(&mut self, now: Time) {
        self.update(now);
        self.session_timer.reset(self.session);
    }
}
