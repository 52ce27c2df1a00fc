//! Honest statistics of counts: k of N with a 95 % interval.

use serde::Serialize;

/// So many trials of so many showed something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// How many showed it.
    pub k: u64,
    /// Of how many.
    pub n: u64,
}

/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

impl Share {
    /// Wilson's 95 % interval of the probability. For none and for all of N, where it is known on one side, the exact
    /// bound of the other side with 95 % confidence (Clopper and Pearson): 1 - 0.05^(1/N), which is 3/N for a large N.
    pub fn interval(self) -> (f64, f64) {
        if self.n == 0 {
            return (0.0, 1.0);
        }
        let (k, n) = (self.k as f64, self.n as f64);
        let bound = -(0.05_f64.ln() / n).exp_m1();
        if self.k == 0 {
            return (0.0, bound);
        }
        if self.k == self.n {
            return (1.0 - bound, 1.0);
        }
        let share = k / n;
        let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let middle = share + Z * Z / (2.0 * n);
        let scale = 1.0 + Z * Z / n;
        (
            ((middle - spread) / scale).max(0.0),
            ((middle + spread) / scale).min(1.0),
        )
    }
}

/// How two arms differ on the same seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Paired {
    /// Seeds on which only the first arm showed it.
    pub only_first: u64,
    /// Seeds on which only the second arm showed it.
    pub only_second: u64,
}

impl Paired {
    /// The probability of a difference at least this lopsided if the arms were equal (exact McNemar test).
    pub fn probability(self) -> f64 {
        let n = self.only_first + self.only_second;
        let least = self.only_first.min(self.only_second);
        if n == 0 {
            return 1.0;
        }
        // Sum of the binomial tail, term by term in logarithms of ratios to stay in range.
        let mut term = -(n as f64) * std::f64::consts::LN_2;
        let mut sum = term.exp();
        for k in 1..=least {
            term += ((n - k + 1) as f64).ln() - (k as f64).ln();
            sum += term.exp();
        }
        (2.0 * sum).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_interval_as_published() {
        // 10 of 100: 5.5 % to 17.4 %.
        let (low, high) = Share { k: 10, n: 100 }.interval();
        assert!(
            (low - 0.0552).abs() < 0.0002 && (high - 0.1744).abs() < 0.0002,
            "{low} {high}"
        );
    }

    #[test]
    fn nothing_of_two_hundred_is_at_most_three_in_two_hundred() {
        let (low, high) = Share { k: 0, n: 200 }.interval();
        assert_eq!(low, 0.0);
        assert!((high - 3.0 / 200.0).abs() < 0.0002, "{high}");
    }

    #[test]
    fn few_trials_bound_little_but_something() {
        // None of three would come about with probability 0.05 if each showed it with probability 0.632.
        for (n, most) in [(1, 0.95), (3, 0.6316), (10, 0.2589)] {
            let (_, high) = Share { k: 0, n }.interval();
            assert!((high - most).abs() < 0.0001, "{n}: {high}");
            let (low, _) = Share { k: n, n }.interval();
            assert!((low - (1.0 - most)).abs() < 0.0001, "{n}: {low}");
        }
        assert_eq!(Share { k: 0, n: 0 }.interval(), (0.0, 1.0));
    }

    #[test]
    fn mcnemar_as_published() {
        // 1 against 9: 0.0215.
        let paired = Paired {
            only_first: 1,
            only_second: 9,
        };
        assert!((paired.probability() - 0.0215).abs() < 0.0001);
        assert_eq!(Paired::default().probability(), 1.0);
    }
}
