//! Which seeds: `200`, or `1001..2000`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Seeds from one number up to and including another: at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Seeds {
    /// The first seed.
    pub first: u64,
    /// The last seed.
    pub last: u64,
}

impl Seeds {
    /// How many.
    pub fn count(self) -> u64 {
        self.last - self.first + 1
    }

    /// All of them in order.
    pub fn all(self) -> RangeInclusive<u64> {
        self.first..=self.last
    }

    /// The `index`-th of `count` parts of nearly equal size, from 1 on; none if there are fewer seeds than parts.
    pub fn part(self, index: u64, count: u64) -> Option<Seeds> {
        let cut = |parts: u64| (u128::from(self.count()) * u128::from(parts) / u128::from(count)) as u64;
        let (from, to) = (cut(index - 1), cut(index));
        (from < to).then(|| Seeds {
            first: self.first + from,
            last: self.first + to - 1,
        })
    }
}

/// What is wrong with a text for seeds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeedsError {
    /// It has another form.
    #[error("expected a number of seeds such as 200, or the first and the last one such as 1001..2000")]
    Form,
    /// There is none in it.
    #[error(
        "there is no seed in it: the first one must not be behind the last one, and a number is at least 1"
    )]
    Empty,
    /// There are more than can be counted.
    #[error("these are too many: at most 2^63 seeds")]
    TooMany,
}

impl FromStr for Seeds {
    type Err = SeedsError;

    fn from_str(text: &str) -> Result<Self, SeedsError> {
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| SeedsError::Form);
        let (first, last) = match text.split_once("..") {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (1, number(text)?),
        };
        if first > last {
            return Err(SeedsError::Empty);
        }
        if last - first >= 1 << 63 {
            return Err(SeedsError::TooMany);
        }
        Ok(Seeds { first, last })
    }
}

impl TryFrom<String> for Seeds {
    type Error = SeedsError;

    fn try_from(text: String) -> Result<Self, SeedsError> {
        text.parse()
    }
}

impl From<Seeds> for String {
    fn from(seeds: Seeds) -> Self {
        seeds.to_string()
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_counts_from_one_and_a_range_has_both_its_ends() {
        assert_eq!("200".parse(), Ok(Seeds { first: 1, last: 200 }));
        let range: Seeds = "7..9".parse().unwrap();
        assert_eq!(range.all().collect::<Vec<_>>(), [7, 8, 9]);
        assert_eq!("9..7".parse::<Seeds>(), Err(SeedsError::Empty));
        assert_eq!("0".parse::<Seeds>(), Err(SeedsError::Empty));
        assert_eq!("1..x".parse::<Seeds>(), Err(SeedsError::Form));
        assert_eq!(
            "0..18446744073709551615".parse::<Seeds>(),
            Err(SeedsError::TooMany)
        );
    }

    #[test]
    fn parts_follow_each_other_without_gap_or_overlap() {
        let all = Seeds { first: 11, last: 27 };
        for count in [1, 2, 3, 16, 17, 40] {
            let parts = (1..=count).filter_map(|index| all.part(index, count));
            let together: Vec<u64> = parts.flat_map(Seeds::all).collect();
            assert_eq!(together, all.all().collect::<Vec<_>>(), "in {count} parts");
        }
    }
}
