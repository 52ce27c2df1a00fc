//! Bounds as scenarios write them: `0`, `<= 15s`, `at least 100`, `<= 0.5%`, `<= 200ms in 95% of trials`,
//! `> 0 in at least one trial`.

use std::fmt;

use ktrial_sim::Duration;

use super::measure::{Measure, Measured};
use crate::span::parse_duration;

/// One bound on a measure, in so many of the trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// How a value is to stand to the limit.
    pub relation: Relation,
    /// The limit.
    pub limit: Limit,
    /// In how many of the trials: all of them, unless a share is given or one is enough.
    pub trials: InTrials,
}

/// How a value stands to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `=`
    Equal,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

/// What a measure is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many records.
    Count(u64),
    /// This part of the records that were sent.
    OfSent(Portion),
    /// So long.
    Time(Duration),
    /// One of the words that a measure has.
    Word(Measured, &'static str),
}

/// In how many trials a bound is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InTrials {
    /// In at least one.
    One,
    /// In at least this part of them.
    Portion(Portion),
}

impl InTrials {
    /// In all of them.
    pub const ALL: InTrials = InTrials::Portion(Portion::ALL);

    /// Whether `k` of `n` are enough.
    pub fn is_reached(self, k: u64, n: u64) -> bool {
        match self {
            InTrials::One => k > 0,
            InTrials::Portion(portion) => portion.is_reached(k, n),
        }
    }

    /// Reads what stands behind `in`.
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "every trial" | "all trials" => return Ok(InTrials::ALL),
            "at least one trial" => return Ok(InTrials::One),
            _ => {}
        }
        let portion = text.strip_suffix("of trials").and_then(Portion::parse);
        portion.map(InTrials::Portion).ok_or_else(|| {
            format!(
                "`in {text}` names no part of the trials: expected `in 95% of trials` or `in at least one trial`"
            )
        })
    }
}

impl fmt::Display for InTrials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InTrials::One => f.write_str("at least one trial"),
            InTrials::Portion(portion) => write!(f, "{portion} of trials"),
        }
    }
}

/// A part of a whole, in millionths: at most all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Portion(u32);

const MILLION: u32 = 1_000_000;

impl Portion {
    /// All of it.
    pub const ALL: Portion = Portion(MILLION);

    /// Whether `k` of `n` are at least this part.
    pub fn is_reached(self, k: u64, n: u64) -> bool {
        u128::from(k) * u128::from(MILLION) >= u128::from(n) * u128::from(self.0)
    }

    /// Reads `95%` or `99.9 %`: up to four digits behind the point.
    fn parse(text: &str) -> Option<Self> {
        let number = text.trim().strip_suffix('%')?.trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.chars().all(|digit| digit.is_ascii_digit());
        if whole.is_empty() || whole.len() > 3 || fraction.len() > 4 || !digits(whole) || !digits(fraction) {
            return None;
        }
        let whole: u32 = whole.parse().ok()?;
        let parts: u32 = format!("{fraction:0<4}").parse().ok()?;
        let portion = whole * 10_000 + parts;
        (portion <= MILLION).then_some(Portion(portion))
    }
}

impl fmt::Display for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, parts) = (self.0 / 10_000, self.0 % 10_000);
        if parts == 0 {
            return write!(f, "{whole}%");
        }
        write!(f, "{whole}.{}%", format!("{parts:04}").trim_end_matches('0'))
    }
}

/// The signs and words of relations. What begins like another comes first.
const RELATIONS: [(&str, Relation); 10] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("==", Relation::Equal),
    ("<", Relation::Below),
    (">", Relation::Above),
    ("=", Relation::Equal),
    ("at most", Relation::AtMost),
    ("at least", Relation::AtLeast),
    ("less than", Relation::Below),
    ("more than", Relation::Above),
];

impl Relation {
    /// Whether a value stands like this to a limit.
    pub fn holds<T: Ord>(self, value: T, limit: T) -> bool {
        match self {
            Relation::Equal => value == limit,
            Relation::Below => value < limit,
            Relation::AtMost => value <= limit,
            Relation::Above => value > limit,
            Relation::AtLeast => value >= limit,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Relation::Equal => "=",
            Relation::Below => "<",
            Relation::AtMost => "<=",
            Relation::Above => ">",
            Relation::AtLeast => ">=",
        })
    }
}

impl Bound {
    /// Reads all bounds on a measure: one, or several with `and` between them.
    ///
    /// # Errors
    /// What is wrong and what was expected.
    pub fn parse_all(measure: Measure, text: &str) -> Result<Vec<Self>, String> {
        text.split(" and ")
            .map(|bound| Bound::parse(measure, bound))
            .collect()
    }

    fn parse(measure: Measure, text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (compared, trials) = match text.split_once(" in ") {
            Some((compared, trials)) => (compared, Some(trials.trim())),
            None => (text, None),
        };
        let trials = trials.map_or(Ok(InTrials::ALL), InTrials::parse)?;
        let found = RELATIONS
            .iter()
            .find_map(|(sign, relation)| Some((*relation, compared.strip_prefix(sign)?)));
        let (relation, limit) = found.unwrap_or((Relation::Equal, compared));
        let limit = Limit::parse(measure, limit.trim())?;
        if let Limit::Word(_, word) = limit
            && relation != Relation::Equal
        {
            return Err(format!(
                "there is no order among them: expected `{measure}: {word}`"
            ));
        }
        Ok(Bound {
            relation,
            limit,
            trials,
        })
    }

    /// Whether a value keeps the bound, of a trial in which so many records were sent. What was not measured keeps
    /// no bound.
    pub fn is_kept(&self, value: Option<Measured>, sent: u64) -> bool {
        match (self.limit, value) {
            (Limit::Count(limit), Some(Measured::Count(count))) => self.relation.holds(count, limit),
            (Limit::OfSent(Portion(limit)), Some(Measured::Count(count))) => self.relation.holds(
                u128::from(count) * u128::from(MILLION),
                u128::from(sent) * u128::from(limit),
            ),
            (Limit::Time(limit), Some(Measured::Time(time))) => self.relation.holds(time, limit),
            (Limit::Word(limit, _), Some(value)) => value == limit,
            _ => false,
        }
    }
}

impl Limit {
    fn parse(measure: Measure, text: &str) -> Result<Self, String> {
        if measure.is_time() {
            return parse_duration(text).map(Limit::Time);
        }
        if let Some(words) = measure.words() {
            let known = words.iter().find(|(word, _)| *word == text);
            return known
                .map(|(word, value)| Limit::Word(*value, word))
                .ok_or_else(|| {
                    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                    let (last, first) = words.split_last().expect("there are several");
                    format!(
                        "`{text}` is no {measure}: expected {} or {last}",
                        first.join(", ")
                    )
                });
        }
        let digits = !text.is_empty() && text.chars().all(|digit| digit.is_ascii_digit());
        let count = text.parse().ok().filter(|_| digits).map(Limit::Count);
        let limit = count.or_else(|| Portion::parse(text).map(Limit::OfSent));
        limit.ok_or_else(|| {
            format!(
                "`{text}` is no number of records: expected one like 0 or 100, or a part of what was sent, like 0.5%"
            )
        })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            Limit::Word(_, word) => f.write_str(word)?,
            Limit::Count(limit) => write!(f, "{} {limit}", self.relation)?,
            Limit::OfSent(limit) => write!(f, "{} {limit} of the sent", self.relation)?,
            Limit::Time(limit) => write!(f, "{} {limit}", self.relation)?,
        }
        if self.trials != InTrials::ALL {
            write!(f, " in {}", self.trials)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assertion::Quantile;

    const P99: Measure = Measure::Latency(Quantile::P99);

    fn shown(measure: Measure, text: &str) -> String {
        let bounds = Bound::parse_all(measure, text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
        let bounds: Vec<String> = bounds.iter().map(ToString::to_string).collect();
        bounds.join(" and ")
    }

    #[test]
    fn bounds_are_read_by_signs_and_by_words() {
        assert_eq!(shown(Measure::Lost, "0"), "= 0");
        assert_eq!(shown(Measure::Acknowledged, "at least 100"), ">= 100");
        assert_eq!(shown(Measure::Failed, "<=0.5%"), "<= 0.5% of the sent");
        assert_eq!(shown(Measure::Ending, "converged"), "converged");
        assert_eq!(
            shown(P99, "<= 200ms in 95% of trials and less than 2s"),
            "<= 200ms in 95% of trials and < 2s"
        );
        let one = shown(Measure::Lost, "more than 0 in at least one trial");
        assert_eq!(one, "> 0 in at least one trial");
    }

    #[test]
    fn a_bound_of_another_unit_or_form_is_refused() {
        for (measure, wrong) in [
            (Measure::Lost, "15s"),
            (Measure::Lost, "-1"),
            (Measure::Lost, "+1"),
            (Measure::Lost, ""),
            (Measure::Lost, "101%"),
            (Measure::Unwritable, "15"),
            (Measure::Unwritable, "<= 5%"),
            (P99, "<= 200ms in 95 of trials"),
            (P99, "<= 200ms in 95%"),
            (Measure::Ending, "healed"),
            (Measure::Ending, "< converged"),
        ] {
            assert!(Bound::parse_all(measure, wrong).is_err(), "{measure}: {wrong}");
        }
    }

    #[test]
    fn a_part_of_the_sent_is_compared_without_rounding() {
        let bound = Bound::parse_all(Measure::Failed, "<= 0.5%").unwrap()[0];
        assert!(bound.is_kept(Some(Measured::Count(5)), 1_000));
        assert!(!bound.is_kept(Some(Measured::Count(6)), 1_000));
        assert!(!bound.is_kept(Some(Measured::Count(5)), 999));
    }

    #[test]
    fn what_was_not_measured_keeps_no_bound() {
        let bound = Bound::parse_all(P99, "<= 200ms").unwrap()[0];
        assert!(!bound.is_kept(None, 10));
    }

    #[test]
    fn a_part_is_reached_by_exactly_so_many() {
        let most = Portion::parse("95%").unwrap();
        assert!(most.is_reached(95, 100) && !most.is_reached(94, 100));
        assert!(Portion::ALL.is_reached(3, 3) && !Portion::ALL.is_reached(2, 3));
        assert!(InTrials::One.is_reached(1, 100) && !InTrials::One.is_reached(0, 100));
    }
}
