//! `ExponentialBackoff`: doubling pauses with jitter.

use ktrial_sim::{Duration, Identity, Site};

use super::Environment;

/// A pause that doubles with each failure up to a maximum, a fifth more or less (KIP-580).
///
/// Kafka's accumulator and metadata draw new jitter each time they look; here it is drawn once per failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExponentialBackoff {
    initial: Duration,
    longest: Duration,
}

impl ExponentialBackoff {
    /// From `initial` to `longest`; constant and without jitter if `longest` is not longer.
    pub fn new(initial: Duration, longest: Duration) -> Self {
        ExponentialBackoff {
            initial: initial.min(longest),
            longest,
        }
    }

    /// The pause after `failures` failures before this one, drawn for `what` at `site`.
    pub fn draw(&self, failures: u32, site: Site, what: u64, environment: &mut impl Environment) -> Duration {
        if self.initial >= self.longest {
            return self.initial;
        }
        let doubled = self.initial.saturating_mul(1 << failures.min(40));
        let term = doubled.min(self.longest).0;
        let jitter = draw(environment, site, what, term / 5 * 2 + 1);
        Duration((term - term / 5 + jitter).min(self.longest.0))
    }
}

/// Draws for `what` of this process.
pub(crate) fn draw(environment: &mut impl Environment, site: Site, what: u64, bound: u64) -> u64 {
    let process = u64::from(environment.me().0) << 32 | u64::from(environment.incarnation());
    environment.draw_below(site, Identity(process, what), bound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::Desk;
    use crate::kafka::site;

    fn spread(backoff: ExponentialBackoff, failures: u32) -> (Duration, Duration) {
        let mut desk = Desk::new();
        desk.chance = 0;
        let least = backoff.draw(failures, site::RETRY, 0, &mut desk);
        desk.chance = u64::MAX;
        (least, backoff.draw(failures, site::RETRY, 0, &mut desk))
    }

    #[test]
    fn a_back_off_doubles_and_varies_by_a_fifth() {
        let backoff = ExponentialBackoff::new(Duration::millis(100), Duration::secs(1));
        assert_eq!(spread(backoff, 0), (Duration::millis(80), Duration::millis(120)));
        assert_eq!(spread(backoff, 2), (Duration::millis(320), Duration::millis(480)));
    }

    #[test]
    fn a_back_off_never_exceeds_its_maximum() {
        let backoff = ExponentialBackoff::new(Duration::millis(100), Duration::secs(1));
        assert_eq!(spread(backoff, 60), (Duration::millis(800), Duration::secs(1)));
    }

    #[test]
    fn without_a_larger_maximum_the_pause_is_constant() {
        let backoff = ExponentialBackoff::new(Duration::millis(70), Duration::millis(70));
        assert_eq!(spread(backoff, 5), (Duration::millis(70), Duration::millis(70)));
    }
}
