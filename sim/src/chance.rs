//! Chance: named draws that depend on what they mean, never on how many came before.
//!
//! A seed is expanded by ChaCha8 into one 128-bit key per [`Site`]. A draw folds the site's key with the
//! identity of the thing drawn for, so that taking away one fault or one message leaves every causally
//! unrelated draw as it was.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A place in the code that draws. Sites are numbered by whoever defines them; the engine keeps the first
/// [`Site::ENGINE`] numbers for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site(pub u16);

impl Site {
    /// Sites below this number belong to the engine.
    pub const ENGINE: u16 = 16;
    /// Latency of a segment on a connection.
    pub(crate) const SEGMENT_LATENCY: Site = Site(0);
    /// Latency of a datagram.
    pub(crate) const DATAGRAM_LATENCY: Site = Site(1);
    /// Whether a datagram is lost.
    pub(crate) const DATAGRAM_LOSS: Site = Site(2);
    /// Latency of a handshake or a reset.
    pub(crate) const HANDSHAKE_LATENCY: Site = Site(3);
    /// What of the unflushed writes a power loss leaves on the platter.
    pub(crate) const POWER_LOSS: Site = Site(4);
    /// Whether and for how long an armed cut opens.
    pub(crate) const CUT: Site = Site(5);
    /// How long a machine takes to tear a killed process down.
    pub(crate) const TEAR_DOWN: Site = Site(6);
    /// How long TCP waits for an acknowledgement before it sends again.
    pub(crate) const RETRANSMISSION: Site = Site(7);
}

/// What a draw is for: two words that name the thing, for instance a connection and a request number on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(pub u64, pub u64);

const SITES: usize = 128;

/// All chance of a trial: a pure function of its seed.
#[derive(Clone)]
pub struct Chance {
    seed: u64,
    keys: [[u64; 2]; SITES],
}

impl Chance {
    /// Expands `seed` into one key per site.
    pub fn new(seed: u64) -> Self {
        let mut stream = stream(seed, 0);
        let mut keys = [[0; 2]; SITES];
        for key in &mut keys {
            *key = [stream.next_u64(), stream.next_u64()];
        }
        Chance { seed, keys }
    }

    /// The seed everything is drawn from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Sixty-four uniform bits for `identity` at `site`; the same every time it is asked.
    #[inline]
    pub fn draw(&self, site: Site, identity: Identity) -> u64 {
        let [a, b] = self.keys[site.0 as usize];
        let once = fold_multiply(identity.0 ^ a, identity.1.rotate_left(32) ^ b);
        fold_multiply(once ^ b, identity.1 ^ a.rotate_left(23) ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// A uniform number in `0..bound`; `bound` must not be zero.
    #[inline]
    pub fn below(&self, site: Site, identity: Identity, bound: u64) -> u64 {
        debug_assert!(bound > 0, "nothing lies below zero");
        scale(self.draw(site, identity), bound)
    }

    /// True with probability `numerator / denominator`.
    #[inline]
    pub fn chance(&self, site: Site, identity: Identity, numerator: u64, denominator: u64) -> bool {
        self.below(site, identity, denominator) < numerator
    }

    /// A sequence of draws for expanding a script before the trial starts; `purpose` tells sequences apart.
    pub fn sequence(&self, purpose: u64) -> Sequence {
        Sequence(stream(self.seed, purpose.wrapping_add(1)))
    }
}

/// Draws in a row, for what is expanded before a trial starts.
pub struct Sequence(ChaCha8Rng);

impl Sequence {
    /// The next sixty-four uniform bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// The next uniform number in `0..bound`; `bound` must not be zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "nothing lies below zero");
        scale(self.bits(), bound)
    }

    /// The next uniform number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "{low}..={high} is empty");
        match (high - low).checked_add(1) {
            Some(width) => low + self.below(width),
            None => self.bits(),
        }
    }
}

fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

/// Maps sixty-four uniform bits to `0..bound` by the high half of the product (bias below 2^-32 for every
/// bound a trial uses).
#[inline]
fn scale(bits: u64, bound: u64) -> u64 {
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

/// The two halves of the 128-bit product, folded.
#[inline(always)]
pub(crate) fn fold_multiply(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Site = Site(20);
    const THERE: Site = Site(21);

    #[test]
    fn a_draw_depends_on_nothing_but_seed_site_and_identity() {
        let chance = Chance::new(7);
        let first = chance.draw(HERE, Identity(1, 2));
        chance.draw(THERE, Identity(1, 2));
        assert_eq!(first, chance.draw(HERE, Identity(1, 2)));
        assert_eq!(first, Chance::new(7).draw(HERE, Identity(1, 2)));
        assert_ne!(first, Chance::new(8).draw(HERE, Identity(1, 2)));
        assert_ne!(first, chance.draw(THERE, Identity(1, 2)));
        assert_ne!(first, chance.draw(HERE, Identity(2, 1)));
    }

    /// Chi-squared over 64 cells with consecutive identities, the worst case for a weak mix.
    #[test]
    fn draws_for_consecutive_identities_are_uniform() {
        for (low, high) in [(true, false), (false, true), (true, true)] {
            let chance = Chance::new(3);
            let mut cells = [0i64; 64];
            let draws = 64 * 1_000;
            for i in 0..draws {
                let identity = Identity(if high { i } else { 9 }, if low { i } else { 9 });
                cells[chance.below(HERE, identity, 64) as usize] += 1;
            }
            let chi_squared: i64 = cells.iter().map(|n| (n - 1_000).pow(2)).sum::<i64>() / 1_000;
            assert!(
                (25..=115).contains(&chi_squared),
                "63 degrees of freedom gave {chi_squared}"
            );
        }
    }

    /// Neighbouring identities, and the same identity at two sites, agree in half of their bits.
    #[test]
    fn draws_of_neighbours_are_independent() {
        let chance = Chance::new(11);
        let (mut neighbours, mut sites) = (0u64, 0u64);
        for i in 0..10_000u64 {
            let draw = chance.draw(HERE, Identity(4, i));
            neighbours += u64::from((draw ^ chance.draw(HERE, Identity(4, i + 1))).count_ones());
            sites += u64::from((draw ^ chance.draw(THERE, Identity(4, i))).count_ones());
        }
        for differing in [neighbours, sites] {
            assert!(
                (318_000..=322_000).contains(&differing),
                "320000 expected, {differing} differ"
            );
        }
    }

    #[test]
    fn golden_draws_stay_as_they_are() {
        let chance = Chance::new(42);
        assert_eq!(
            [
                chance.draw(HERE, Identity(0, 0)),
                chance.draw(HERE, Identity(1, 0)),
                chance.sequence(5).bits()
            ],
            [13800317660774926871, 11114673558962769792, 6634014504447066308]
        );
    }
}
