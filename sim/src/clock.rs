//! The clocks of one machine: a wall clock that can be wrong and a monotonic one that only drifts.

use crate::time::{Duration, Time};

const MILLION: i128 = 1_000_000;

/// What one node reads when it asks for the time. Both clocks run on while its process is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// How fast this clock runs against the engine's, in parts per million beyond 1.
    drift_ppm: i32,
    /// The engine's time and the monotonic reading when the drift last changed.
    anchor: (Time, Time),
    /// How far the wall clock is wrong, in nanoseconds.
    wall_offset: i64,
}

impl Default for Clock {
    fn default() -> Self {
        Clock {
            drift_ppm: 0,
            anchor: (Time::ZERO, Time::ZERO),
            wall_offset: 0,
        }
    }
}

impl Clock {
    /// What a wall clock that is right shows when a trial begins: the first of January 2026, counted from 1970 as
    /// machines do. Far enough from zero for a clock that is wrong by years to go on.
    pub const EPOCH: Time = Time(1_767_225_600 * 1_000_000_000);

    /// The drift a clock can have either way: half its speed.
    pub const MAX_DRIFT_PPM: i32 = 500_000;

    /// The monotonic reading at engine time `now`.
    #[inline]
    pub fn monotonic(&self, now: Time) -> Time {
        if self.drift_ppm == 0 {
            return Time(self.anchor.1.0 + (now.0 - self.anchor.0.0));
        }
        let elapsed = i128::from(now.0 - self.anchor.0.0) * (MILLION + i128::from(self.drift_ppm)) / MILLION;
        Time(self.anchor.1.0 + elapsed as u64)
    }

    /// The wall reading at engine time `now`.
    #[inline]
    pub fn wall(&self, now: Time) -> Time {
        self.both(now).1
    }

    /// The monotonic and the wall reading at engine time `now`.
    #[inline]
    pub fn both(&self, now: Time) -> (Time, Time) {
        let monotonic = self.monotonic(now);
        let right = Clock::EPOCH.0 + monotonic.0;
        (monotonic, Time(right.saturating_add_signed(self.wall_offset)))
    }

    /// Whether both clocks show the engine's time.
    pub fn is_right(&self, now: Time) -> bool {
        self.wall_offset == 0 && self.monotonic(now) == now
    }

    /// How far the wall clock is ahead of the true time.
    pub fn wall_lead(&self, now: Time) -> Duration {
        self.wall(now).since(Time(Clock::EPOCH.0 + now.0))
    }

    /// The engine time at which the monotonic clock will have advanced by `span`.
    #[inline]
    pub fn after(&self, now: Time, span: Duration) -> Time {
        if self.drift_ppm == 0 {
            return now + span;
        }
        if span == Duration::FOREVER {
            return Time::NEVER;
        }
        let rate = MILLION + i128::from(self.drift_ppm);
        let engine = (i128::from(span.0) * MILLION + rate - 1) / rate;
        now + Duration(u64::try_from(engine).unwrap_or(u64::MAX))
    }

    /// Moves the wall clock by `nanos`, forward or back.
    pub fn step_wall(&mut self, nanos: i64) {
        self.wall_offset = self.wall_offset.saturating_add(nanos);
    }

    /// Puts the wall clock `nanos` ahead of (or behind) what it would show if it were right.
    pub fn set_wall_offset(&mut self, nanos: i64) {
        self.wall_offset = nanos;
    }

    /// How fast the clocks run, in parts per million beyond the engine's.
    pub fn drift_ppm(&self) -> i32 {
        self.drift_ppm
    }

    /// Lets both clocks run `ppm` parts per million faster (or slower) than the engine's from `now` on.
    /// Clamped to ±[`Clock::MAX_DRIFT_PPM`].
    pub(crate) fn set_drift(&mut self, now: Time, ppm: i32) {
        self.anchor = (now, self.monotonic(now));
        self.drift_ppm = ppm.clamp(-Self::MAX_DRIFT_PPM, Self::MAX_DRIFT_PPM);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_moves_the_wall_clock_and_not_the_monotonic_one() {
        let mut clock = Clock::default();
        clock.step_wall(-3);
        let wall = Time(Clock::EPOCH.0 + 7);
        assert_eq!(
            (clock.wall(Time(10)), clock.monotonic(Time(10))),
            (wall, Time(10))
        );
    }

    #[test]
    fn a_wall_clock_that_is_set_back_by_more_than_the_trial_has_lasted_goes_on() {
        let mut clock = Clock::default();
        clock.set_wall_offset(-3_600_000_000_000);
        assert_eq!(clock.wall(Time(20)).since(clock.wall(Time(10))), Duration(10));
    }

    #[test]
    fn a_drifting_clock_neither_jumps_nor_forgets_when_its_drift_changes() {
        let mut clock = Clock::default();
        clock.set_drift(Time(0), 100_000);
        assert_eq!(clock.monotonic(Time(1_000)), Time(1_100));
        clock.set_drift(Time(1_000), -100_000);
        assert_eq!(clock.monotonic(Time(1_000)), Time(1_100));
        assert_eq!(clock.monotonic(Time(2_000)), Time(2_000));
    }

    #[test]
    fn a_timer_on_a_drifting_clock_never_fires_early() {
        let mut clock = Clock::default();
        for ppm in [-333_333, -1, 7, 499_999] {
            clock.set_drift(Time(0), ppm);
            clock.anchor = (Time(0), Time(0));
            for span in [1, 2, 999, 1_000_003] {
                assert!(
                    clock.monotonic(clock.after(Time(0), Duration(span))) >= Time(span),
                    "{ppm} ppm, {span}"
                );
            }
        }
    }
}
