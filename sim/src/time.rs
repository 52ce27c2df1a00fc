//! Time: unsigned nanoseconds on the engine's clock, and spans between two instants.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// An instant in nanoseconds since the start of the trial, on one clock.
///
/// Which clock depends on who asks: the engine orders events by its own; a node only ever sees
/// the readings of its local clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

/// A span in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub u64);

impl Time {
    /// The start of the trial.
    pub const ZERO: Time = Time(0);
    /// Later than anything that happens.
    pub const NEVER: Time = Time(u64::MAX);

    /// The span since `earlier`, or zero if `earlier` is in fact later (a clock that was stepped back).
    #[inline]
    pub fn since(self, earlier: Time) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }

    /// Whole milliseconds since the start, rounded down: the resolution of most of Kafka's clocks.
    #[inline]
    pub fn millis(self) -> u64 {
        self.0 / 1_000_000
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Duration = Duration(0);
    /// Longer than any trial.
    pub const FOREVER: Duration = Duration(u64::MAX);

    /// `n` nanoseconds.
    pub const fn nanos(n: u64) -> Self {
        Duration(n)
    }
    /// `n` microseconds.
    pub const fn micros(n: u64) -> Self {
        Duration(n.saturating_mul(1_000))
    }
    /// `n` milliseconds; saturates, so that Kafka's `Long.MAX_VALUE` means for ever.
    pub const fn millis(n: u64) -> Self {
        Duration(n.saturating_mul(1_000_000))
    }
    /// `n` seconds; saturates.
    pub const fn secs(n: u64) -> Self {
        Duration(n.saturating_mul(1_000_000_000))
    }
    /// This span in whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
    /// The sum, or [`Duration::FOREVER`] where it does not fit.
    pub const fn saturating_add(self, other: Duration) -> Duration {
        Duration(self.0.saturating_add(other.0))
    }
    /// `self` times `n`, or [`Duration::FOREVER`] where it does not fit.
    pub const fn saturating_mul(self, n: u64) -> Duration {
        Duration(self.0.saturating_mul(n))
    }
    /// `self` minus `other`, or zero.
    pub const fn saturating_sub(self, other: Duration) -> Duration {
        Duration(self.0.saturating_sub(other.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    /// Saturates at [`Time::NEVER`].
    #[inline]
    fn add(self, span: Duration) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Duration> for Time {
    #[inline]
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub<Time> for Time {
    type Output = Duration;
    #[inline]
    fn sub(self, earlier: Time) -> Duration {
        debug_assert!(self >= earlier, "{self} is before {earlier}");
        Duration(self.0 - earlier.0)
    }
}

impl fmt::Display for Time {
    /// Seconds with three decimals, as stories print them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}s", self.0 / 1_000_000_000, self.0 / 1_000_000 % 1_000)
    }
}

impl fmt::Display for Duration {
    /// The largest unit that loses nothing: `9s`, `250ms`, `40us`, `7ns`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            u64::MAX => write!(f, "for ever"),
            n if n % 1_000_000_000 == 0 => write!(f, "{}s", n / 1_000_000_000),
            n if n % 1_000_000 == 0 => write!(f, "{}ms", n / 1_000_000),
            n if n % 1_000 == 0 => write!(f, "{}us", n / 1_000),
            n => write!(f, "{n}ns"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_stepped_back_has_elapsed_nothing() {
        assert_eq!(Time(5).since(Time(9)), Duration::ZERO);
    }

    #[test]
    fn long_max_milliseconds_means_for_ever() {
        assert_eq!(Duration::millis(i64::MAX as u64), Duration::FOREVER);
    }
}
