//! A recorded run beside its simulation, as reports take it, and the words that all of them use.

use ktrial_models::history::Verdict;
use ktrial_scenarios::{Agreement, Among, Amount, Range, Standing};

/// What was set beside what.
#[derive(Clone, Copy, Debug)]
pub struct ToldAgreement<'a> {
    /// The history as the user named it.
    pub history: &'a str,
    /// The scenario as the user named it.
    pub scenario: &'a str,
    /// What came of it.
    pub agreement: &'a Agreement,
    /// Whether seeds are missing because it was interrupted.
    pub interrupted: bool,
}

/// A verdict in a word.
pub(crate) fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "holds",
        Verdict::Vacuous => "not exercised",
        Verdict::Exposed(_) => "EXPOSED",
        Verdict::Broken => "BROKEN",
    }
}

/// A standing in a word.
pub(crate) fn word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Agrees => "agrees",
        Standing::Explained(_) => "explained",
        Standing::Disagrees(_) => "DISAGREES",
        Standing::Open(_) => "open",
    }
}

/// What a standing rests on.
pub(crate) fn reason(standing: &Standing) -> Option<&str> {
    match standing {
        Standing::Agrees => None,
        Standing::Explained(reason) | Standing::Disagrees(reason) | Standing::Open(reason) => Some(reason),
    }
}

/// A standing with its reason.
pub(crate) fn standing(standing: &Standing) -> String {
    match reason(standing) {
        None => word(standing).to_owned(),
        Some(reason) => format!("{}: {reason}", word(standing)),
    }
}

/// `40 of 200`.
pub(crate) fn among(among: Among) -> String {
    format!("{} of {}", among.k, among.n)
}

/// `12..15`, or one number where both ends are equal.
pub(crate) fn range(range: &Range<u64>) -> String {
    if range.least == range.most {
        range.least.to_string()
    } else {
        format!("{}..{}", range.least, range.most)
    }
}

/// A number, or seconds.
pub(crate) fn amount(amount: Amount) -> String {
    match amount {
        Amount::Count(count) => count.to_string(),
        Amount::Time(time) => format!("{} s", seconds(time.0 as i64)),
    }
}

/// `12..15`, or one amount where both ends are equal.
pub(crate) fn amounts(range: &Range<Amount>) -> String {
    match (range.least, range.most) {
        (least, most) if least == most => amount(least),
        (Amount::Time(least), Amount::Time(_)) => {
            format!("{}..{}", seconds(least.0 as i64), amount(range.most))
        }
        (least, most) => format!("{}..{}", amount(least), amount(most)),
    }
}

/// Nanoseconds as seconds with two decimals, rounded to the nearest.
pub(crate) fn seconds(nanos: i64) -> String {
    let hundredths = (nanos.unsigned_abs() + 5_000_000) / 10_000_000;
    let sign = if nanos < 0 && hundredths > 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_decimals_and_a_sign_only_where_it_counts() {
        let told = [0, 9_994_999_999, 9_995_000_000, -1_250_000_000, -1_000].map(seconds);
        assert_eq!(told, ["0.00", "9.99", "10.00", "-1.25", "0.00"]);
    }

    #[test]
    fn a_range_of_one_number_is_that_number() {
        let of = |values: [u64; 3]| range(&Range::of(values).expect("there are values"));
        assert_eq!([of([3, 3, 3]), of([5, 1, 9])], ["3", "1..9"]);
    }
}
