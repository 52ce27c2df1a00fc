//! Lengths of time as scenarios write them: `250ms`, `3s`, `2min`, and ranges to draw from: `3s..6s`.

use ktrial_sim::{Duration, Sequence};
use serde::{Deserialize, Serialize};

/// A length of time, or a range to draw one from (both ends included).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The least.
    pub least: Duration,
    /// The most; equal to the least where nothing is drawn.
    pub most: Duration,
}

impl Span {
    /// Exactly this long.
    pub const fn exactly(length: Duration) -> Self {
        Span {
            least: length,
            most: length,
        }
    }

    /// Draws a length, to the millisecond. Always takes one draw, so that what follows does not depend on whether
    /// a range was given.
    pub fn draw(self, draws: &mut Sequence) -> Duration {
        let bits = draws.bits();
        let choices = self.most.as_millis() - self.least.as_millis() + 1;
        if self.least == self.most {
            return self.least;
        }
        let step = (u128::from(bits) * u128::from(choices)) >> 64;
        Duration(self.least.0 + step as u64 * 1_000_000)
    }
}

/// Reads one length of time.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let expected =
        || format!("`{text}` is not a length of time: expected a number and a unit, like 250ms, 3s or 2min");
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let nanos: u64 = match unit.trim() {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(expected()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 9 {
        return Err(expected());
    }
    let whole: u64 = whole.parse().map_err(|_| expected())?;
    let mut total = whole.checked_mul(nanos).ok_or_else(expected)?;
    if !fraction.is_empty() {
        let parts: u64 = fraction.parse().map_err(|_| expected())?;
        let part = u128::from(parts) * u128::from(nanos) / 10u128.pow(fraction.len() as u32);
        total = total.checked_add(part as u64).ok_or_else(expected)?;
    }
    Ok(Duration(total))
}

/// Reads a length of time or a range of them.
pub fn parse_span(text: &str) -> Result<Span, String> {
    let Some((least, most)) = text.split_once("..") else {
        return parse_duration(text).map(Span::exactly);
    };
    let (least, most) = (parse_duration(least)?, parse_duration(most)?);
    if least > most {
        return Err(format!("`{text}` is empty: {least} is more than {most}"));
    }
    Ok(Span { least, most })
}

/// A length of time in files: written as people read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(pub Duration);

impl Serialize for Length {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text)
            .map(Length)
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_to_the_nanosecond() {
        assert_eq!(parse_duration("1.5s"), Ok(Duration::millis(1_500)));
        assert_eq!(parse_duration("2min"), Ok(Duration::secs(120)));
        assert_eq!(parse_duration("7ns"), Ok(Duration(7)));
        for wrong in ["", "3", "s", "-1s", "1.s2", "9999999999999h", "three s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_empty_range_is_refused() {
        assert!(parse_span("5s..3s").is_err());
    }

    #[test]
    fn a_drawn_length_lies_in_its_range_and_takes_one_draw_whatever_the_range() {
        let chance = ktrial_sim::Chance::new(1);
        let (mut one, mut other) = (chance.sequence(0), chance.sequence(0));
        let range = parse_span("3s..6s").unwrap();
        let drawn = range.draw(&mut one);
        assert!(range.least <= drawn && drawn <= range.most);
        Span::exactly(Duration::secs(1)).draw(&mut other);
        assert_eq!(one.bits(), other.bits());
    }
}
