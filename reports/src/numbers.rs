//! Numbers as people read them, without a locale.

use ktrial_sim::Duration;

/// A count: exact up to five digits, then in thousands or millions.
pub fn count(n: u64) -> String {
    match n {
        0..=99_999 => n.to_string(),
        100_000..=9_999_999 => format!("{}.{}k", n / 1_000, n % 1_000 / 100),
        _ => format!("{}.{}M", n / 1_000_000, n % 1_000_000 / 100_000),
    }
}

/// A length of time with three significant digits.
pub fn time(length: Duration) -> String {
    let nanos = length.0;
    let digits = |unit: u64, name: &str| {
        let whole = nanos / unit;
        match whole {
            0..=9 => format!("{whole}.{:02}{name}", nanos % unit * 100 / unit),
            10..=99 => format!("{whole}.{}{name}", nanos % unit * 10 / unit),
            _ => format!("{whole}{name}"),
        }
    };
    match nanos {
        0 => "0".to_owned(),
        1..=999_999 => digits(1_000, "us"),
        1_000_000..=999_999_999 => digits(1_000_000, "ms"),
        1_000_000_000..=599_999_999_999 => digits(1_000_000_000, "s"),
        600_000_000_000..=7_199_999_999_999 => digits(60_000_000_000, "min"),
        _ => digits(3_600_000_000_000, "h"),
    }
}

/// A share in percent, with as many digits as it deserves.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 || percent == 100.0 {
        format!("{percent:.0}")
    } else if percent < 0.01 {
        let decimals = -percent.log10().floor() as usize + 1;
        format!("{percent:.decimals$}")
    } else if percent < 1.0 {
        format!("{percent:.2}")
    } else if percent < 10.0 {
        format!("{percent:.1}")
    } else {
        format!("{percent:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_times_have_few_digits() {
        assert_eq!(
            [count(0), count(99_999), count(123_456), count(12_345_678)],
            ["0", "99999", "123.4k", "12.3M"]
        );
        let millis = |n| time(Duration::millis(n));
        assert_eq!(
            [
                millis(0),
                millis(7),
                millis(1_234),
                millis(91_000),
                millis(700_000),
                millis(7_200_000),
                millis(36_000_000)
            ],
            ["0", "7.00ms", "1.23s", "91.0s", "11.6min", "2.00h", "10.0h"]
        );
    }

    #[test]
    fn a_share_that_is_not_nothing_never_reads_as_nothing() {
        assert_eq!(
            [0.0, 0.000_003, 0.000_96, 0.004, 0.5, 1.0].map(percent),
            ["0", "0.00030", "0.10", "0.40", "50", "100"]
        );
    }
}
