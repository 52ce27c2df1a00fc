//! Where a consumer starts without a position.

/// `auto.offset.reset` (`AutoOffsetResetStrategy`, KIP-1106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    /// From the first offset there is.
    Earliest,
    /// From the end.
    Latest,
    /// Not at all: the application gets an exception.
    None,
    /// From the first record whose timestamp is younger than now less this many nanoseconds. Kafka takes it, the
    /// models cannot run it.
    ByDuration(u64),
}

impl OffsetReset {
    /// Reads Kafka's text; none if Kafka would refuse it.
    pub fn parse(text: &str) -> Option<OffsetReset> {
        match text {
            "earliest" => Some(OffsetReset::Earliest),
            "latest" => Some(OffsetReset::Latest),
            "none" => Some(OffsetReset::None),
            _ => iso_duration(text.strip_prefix("by_duration:")?).map(OffsetReset::ByDuration),
        }
    }
}

/// `java.time.Duration.parse` for durations that are not negative, in nanoseconds, saturating:
/// `PnDTnHnMn.nS` in either case, each part optional but one needed, and one after a `T`.
fn iso_duration(text: &str) -> Option<u64> {
    let text = text.to_ascii_uppercase();
    let (sign, body) = signed(&text);
    let body = body.strip_prefix('P')?;
    let (days, clock) = match body.split_once('T') {
        Some((_, "")) => return None,
        Some((days, clock)) => (days, clock),
        None => (body, ""),
    };
    if body.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    let mut rest = days;
    if let Some(number) = rest.strip_suffix('D') {
        total += part(number, false)?.checked_mul(86_400)?;
        rest = "";
    }
    if !rest.is_empty() {
        return None;
    }
    rest = clock;
    for (unit, seconds) in [('H', 3_600), ('M', 60), ('S', 1)] {
        if let Some((number, tail)) = rest.split_once(unit) {
            total += part(number, unit == 'S')?.checked_mul(seconds)?;
            rest = tail;
        }
    }
    let nanoseconds = total * sign;
    (rest.is_empty() && nanoseconds >= 0).then(|| u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

fn signed(text: &str) -> (i128, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    }
}

/// A number of nanoseconds per unit of one second; fractions of up to nine digits for seconds.
fn part(text: &str, fraction: bool) -> Option<i128> {
    let (sign, digits) = signed(text);
    let (whole, after) = match digits.split_once(['.', ',']) {
        Some((whole, after)) if fraction && after.len() <= 9 => (whole, after),
        Some(_) => return None,
        None => (digits, ""),
    };
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 18 || !plain(whole) || !plain(after) {
        return None;
    }
    let nanoseconds: i128 = format!("{after:0<9}").parse().ok()?;
    Some(sign * (whole.parse::<i128>().ok()? * 1_000_000_000 + nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_reset_takes_iso_durations() {
        let hour = 3_600_000_000_000;
        assert_eq!(
            OffsetReset::parse("by_duration:PT1H"),
            Some(OffsetReset::ByDuration(hour))
        );
        assert_eq!(
            OffsetReset::parse("by_duration:P1DT1H"),
            Some(OffsetReset::ByDuration(25 * hour))
        );
        assert_eq!(
            OffsetReset::parse("by_duration:pt0.5s"),
            Some(OffsetReset::ByDuration(500_000_000))
        );
        for text in [
            "by_duration",
            "by_duration:",
            "by_duration:P",
            "by_duration:PT",
            "Latest",
        ] {
            assert_eq!(OffsetReset::parse(text), None, "{text}");
        }
        assert_eq!(OffsetReset::parse("by_duration:-PT1H"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-+PTDHMS0-9.,]{0,24}") {
            let _ = OffsetReset::parse(&format!("by_duration:{text}"));
        }
    }
}
