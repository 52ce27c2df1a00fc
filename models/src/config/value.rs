//! From text to a value, as `ConfigDef.parseType` and the validators do it.

use super::catalogue::{Kind, Setting, Valid};
use super::offset_reset::OffsetReset;

/// A parsed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Java's null: a default that says nothing.
    Null,
    /// BOOLEAN.
    Boolean(bool),
    /// INT, LONG or SHORT.
    Whole(i64),
    /// DOUBLE, in millionths and rounded down; saturates at the ends of the range.
    Millionths(i64),
    /// STRING, CLASS or PASSWORD, trimmed.
    Text(String),
    /// LIST, each element trimmed, each once.
    List(Vec<String>),
}

/// Why a text is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// Kafka refuses it; the message is what its exception means.
    Kafka(String),
    /// Java would take it, ktrial cannot.
    Here(String),
}

/// As `String.trim`: everything up to the blank goes, at both ends.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// Parses and validates.
///
/// # Errors
/// What Kafka refuses, with its reason, and the few texts that only Java understands.
pub fn parse(setting: &Setting, raw: &str) -> Result<Value, Invalid> {
    let text = trim(raw);
    let refuse = |why: &str| {
        Invalid::Kafka(format!(
            "Invalid value {raw} for configuration {}: {why}",
            setting.name
        ))
    };
    let whole = |least: i64, most: i64| match text.parse::<i64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(Value::Whole(number)),
        _ => Err(refuse(&format!("Not a number of type {}", setting.kind.word()))),
    };
    let value = match setting.kind {
        Kind::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" => Value::Boolean(true),
            "false" => Value::Boolean(false),
            _ => return Err(refuse("Expected value to be either true or false")),
        },
        Kind::Int => whole(i64::from(i32::MIN), i64::from(i32::MAX))?,
        Kind::Short => whole(i64::from(i16::MIN), i64::from(i16::MAX))?,
        Kind::Long => whole(i64::MIN, i64::MAX)?,
        Kind::Double => Value::Millionths(millionths(text).map_err(|error| match error {
            NotMillionths::NoNumber => refuse("Not a number of type DOUBLE"),
            NotMillionths::OnlyJavas => Invalid::Here(format!(
                "{}={raw}: write a plain decimal number; ktrial reads no NaN, Infinity or hexadecimal",
                setting.name
            )),
        })?),
        Kind::List => Value::List(elements(text)),
        Kind::String | Kind::Password | Kind::Class => Value::Text(text.to_string()),
    };
    validate(setting, &value).map_err(|why| match why {
        Why::Reason(why) => refuse(&why),
        Why::Sentence(sentence) => Invalid::Kafka(sentence),
    })?;
    Ok(value)
}

/// `\s*,\s*`, the same element only once (`ConfigDef.parseValue` drops the others with a warning).
fn elements(text: &str) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    if text.is_empty() {
        return list;
    }
    for part in text.split(',') {
        let part = part.trim_matches(|c: char| matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r'));
        if !list.iter().any(|known| known == part) {
            list.push(part.to_string());
        }
    }
    list
}

/// Why a text is no number of millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMillionths {
    /// Java's `Double.parseDouble` refuses it too.
    NoNumber,
    /// NaN, Infinity, or a hexadecimal number.
    OnlyJavas,
}

/// A decimal number in millionths, rounded towards zero, saturating; an exponent and one of the suffixes
/// `dDfF` are allowed as in `Double.parseDouble`.
///
/// # Errors
/// See [`NotMillionths`].
pub fn millionths(text: &str) -> Result<i64, NotMillionths> {
    let (negative, body) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let hexadecimal = body.starts_with("0x") || body.starts_with("0X");
    if matches!(body, "NaN" | "Infinity") || hexadecimal && body.contains(['p', 'P']) {
        return Err(NotMillionths::OnlyJavas);
    }
    let body = body.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(body);
    let (number, exponent) = match body.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent_of(exponent)?),
        None => (body, 0),
    };
    let (before, after) = number.split_once('.').unwrap_or((number, ""));
    let digits = || before.bytes().chain(after.bytes());
    if digits().next().is_none() || !digits().all(|digit| digit.is_ascii_digit()) {
        return Err(NotMillionths::NoNumber);
    }
    // Digit k (from 0) of the digits weighs 10^(places - 1 - k), with the point moved by 6.
    let places = before.len() as i64 + exponent + 6;
    let mut amount: i64 = 0;
    let mut nothing_yet = true;
    for (k, digit) in digits().enumerate() {
        if k as i64 >= places {
            break;
        }
        nothing_yet &= digit == b'0';
        amount = amount.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
    }
    let missing = places - (before.len() + after.len()) as i64;
    if !nothing_yet {
        for _ in 0..missing.clamp(0, 20) {
            amount = amount.saturating_mul(10);
        }
    }
    Ok(if negative { -amount } else { amount })
}

fn exponent_of(text: &str) -> Result<i64, NotMillionths> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(NotMillionths::NoNumber);
    }
    let size = digits
        .bytes()
        .fold(0i64, |n, digit| (n * 10 + i64::from(digit - b'0')).min(1_000_000));
    Ok(if text.starts_with('-') { -size } else { size })
}

enum Why {
    /// To be put behind "Invalid value ... for configuration ...".
    Reason(String),
    /// Stands alone.
    Sentence(String),
}

fn validate(setting: &Setting, value: &Value) -> Result<(), Why> {
    let name = setting.name;
    match (&setting.valid, value) {
        (Valid::Range(least, most), Value::Whole(number) | Value::Millionths(number)) => {
            let show = |bound: i64| match value {
                Value::Millionths(_) => decimal(bound),
                _ => bound.to_string(),
            };
            if let Some(least) = least.filter(|least| number < least) {
                return Err(Why::Reason(format!("Value must be at least {}", show(least))));
            }
            if let Some(most) = most.filter(|most| number > most) {
                return Err(Why::Reason(format!("Value must be no more than {}", show(most))));
            }
            Ok(())
        }
        (Valid::ValueOrRange(one, least, most), Value::Whole(number)) => {
            if number == one || (least..=most).contains(&number) {
                return Ok(());
            }
            Err(Why::Reason(format!(
                "Value must be between {least} and {most} or equal to {one}"
            )))
        }
        (Valid::In(all), Value::Text(text)) => among(all, all.contains(&text.as_str())),
        (Valid::InAnyCase(all), Value::Text(text)) => {
            among(all, all.iter().any(|one| one.eq_ignore_ascii_case(text)))
        }
        (Valid::List { empty, of }, Value::List(list)) => list_is_valid(name, *empty, of, list),
        (Valid::NotEmpty, Value::Text(text)) if text.is_empty() => {
            Err(Why::Reason("String must be non-empty".to_string()))
        }
        (Valid::Voters, Value::List(list)) => match list.iter().find(|entry| !is_voter(entry)) {
            Some(entry) => Err(Why::Reason(format!("`{entry}` is not of the form id@host:port"))),
            None => Ok(()),
        },
        (Valid::HostPorts, Value::List(list)) => match list.iter().find(|entry| !is_host_port(entry)) {
            Some(entry) => Err(Why::Reason(format!("`{entry}` is not of the form host:port"))),
            None => Ok(()),
        },
        (Valid::ThrottledReplicas, Value::List(list)) => {
            if list.len() == 1 && list[0] == "*" || list.iter().all(|entry| is_throttled_replica(entry)) {
                return Ok(());
            }
            Err(Why::Reason("must be * or a list of partition:broker".to_string()))
        }
        (Valid::OffsetReset, Value::Text(text)) => match OffsetReset::parse(text) {
            Some(_) => Ok(()),
            None => Err(Why::Reason(
                "must be earliest, latest, none or by_duration:PnDTnHnMn.nS".to_string(),
            )),
        },
        _ => Ok(()),
    }
}

fn among(all: &[&str], found: bool) -> Result<(), Why> {
    if found {
        Ok(())
    } else {
        Err(Why::Reason(format!("String must be one of: {}", all.join(", "))))
    }
}

fn list_is_valid(name: &str, empty: bool, of: &[&str], list: &[String]) -> Result<(), Why> {
    if list.is_empty() && !empty {
        let valid = if of.is_empty() {
            "any non-empty value".to_string()
        } else {
            format!("[{}]", of.join(", "))
        };
        return Err(Why::Sentence(format!(
            "Configuration '{name}' must not be empty. Valid values include: {valid}"
        )));
    }
    for element in list {
        if element.is_empty() {
            return Err(Why::Sentence(format!(
                "Configuration '{name}' values must not be empty"
            )));
        }
        if !of.is_empty() && !of.contains(&element.as_str()) {
            return Err(Why::Sentence(format!(
                "Invalid value {element} for configuration {name}: String must be one of: {}",
                of.join(", ")
            )));
        }
    }
    Ok(())
}

fn is_host_port(entry: &str) -> bool {
    let of_host = |c: char| c.is_ascii_alphanumeric() || "-._%:[]".contains(c);
    entry.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && host.chars().all(of_host) && port.parse::<u16>().is_ok()
    })
}

fn is_voter(entry: &str) -> bool {
    entry
        .split_once('@')
        .is_some_and(|(id, at)| id.parse::<i32>().is_ok() && is_host_port(at))
}

fn is_throttled_replica(entry: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    entry.is_empty() || entry.split_once(':').is_some_and(|(p, b)| digits(p) && digits(b))
}

/// Millionths as people write them: `500000` is `0.5`.
pub fn decimal(millionths: i64) -> String {
    let sign = if millionths < 0 { "-" } else { "" };
    let (whole, part) = (
        millionths.unsigned_abs() / 1_000_000,
        millionths.unsigned_abs() % 1_000_000,
    );
    if part == 0 {
        return format!("{sign}{whole}");
    }
    let part = format!("{part:06}");
    format!("{sign}{whole}.{}", part.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::catalogue::Scope;

    fn server(name: &str, text: &str) -> Result<Value, Invalid> {
        parse(Scope::Broker.setting(name).expect("known"), text)
    }

    fn refused(name: &str, text: &str) -> String {
        match server(name, text) {
            Err(Invalid::Kafka(reason)) => reason,
            other => panic!("{name}={text}: {other:?}"),
        }
    }

    #[test]
    fn blanks_around_a_value_are_trimmed() {
        assert_eq!(server("min.insync.replicas", " 2\t"), Ok(Value::Whole(2)));
        assert_eq!(
            server("controlled.shutdown.enable", " TRUE "),
            Ok(Value::Boolean(true))
        );
        assert_eq!(server("min.insync.replicas", "+2"), Ok(Value::Whole(2)));
    }

    #[test]
    fn a_trailing_comment_is_no_number() {
        let reason = refused("min.insync.replicas", "2 # two");
        assert_eq!(
            reason,
            "Invalid value 2 # two for configuration min.insync.replicas: Not a number of type INT"
        );
    }

    #[test]
    fn numbers_outside_type_or_range_are_refused() {
        assert!(refused("min.insync.replicas", "0").ends_with("Value must be at least 1"));
        assert!(refused("min.insync.replicas", "2147483648").ends_with("Not a number of type INT"));
        assert!(refused("offsets.topic.replication.factor", "40000").ends_with("type SHORT"));
        assert!(refused("log.cleaner.min.cleanable.ratio", "1.01").ends_with("no more than 1"));
        assert!(refused("compression.gzip.level", "0").contains("between 1 and 9"));
        assert_eq!(server("compression.gzip.level", "-1"), Ok(Value::Whole(-1)));
        assert!(refused("controlled.shutdown.enable", "yes").ends_with("either true or false"));
    }

    #[test]
    fn lists_drop_the_second_of_equals_and_refuse_strangers() {
        let list = |words: &[&str]| Ok(Value::List(words.iter().map(|w| w.to_string()).collect()));
        assert_eq!(
            server("log.cleanup.policy", "delete , compact,delete"),
            list(&["delete", "compact"])
        );
        assert!(refused("log.cleanup.policy", "delete,shrink").contains("one of: compact, delete"));
        assert!(refused("log.cleanup.policy", "delete,").contains("must not be empty"));
        assert!(refused("process.roles", "").contains("must not be empty"));
        assert_eq!(server("log.cleanup.policy", ""), list(&[]));
    }

    #[test]
    fn strings_are_compared_as_kafka_compares_them() {
        let producer = |name: &str, text: &str| parse(Scope::Producer.setting(name).expect("known"), text);
        assert!(producer("acks", "All").is_err());
        assert!(producer("acks", "2").is_err());
        assert_eq!(
            producer("security.protocol", "ssl"),
            Ok(Value::Text("ssl".into()))
        );
        assert!(producer("transactional.id", " ").is_err());
    }

    #[test]
    fn doubles_become_millionths() {
        for (text, expected) in [
            ("0.5", 500_000),
            (".5", 500_000),
            ("5.", 5_000_000),
            ("-0.25", -250_000),
            ("5e-1", 500_000),
            ("1E3", 1_000_000_000),
            ("0.5f", 500_000),
            ("0.0000019", 1),
            ("1.7976931348623157E308", i64::MAX),
            ("0e400", 0),
            ("1e-400", 0),
        ] {
            assert_eq!(millionths(text), Ok(expected), "{text}");
        }
        for text in ["", ".", "-", "e5", "1e", "1_0", "half", "1.2.3"] {
            assert_eq!(millionths(text), Err(NotMillionths::NoNumber), "{text}");
        }
        assert_eq!(millionths("0x10"), Err(NotMillionths::NoNumber));
        for text in ["NaN", "-Infinity", "0x1p3"] {
            assert_eq!(millionths(text), Err(NotMillionths::OnlyJavas), "{text}");
        }
        assert_eq!(decimal(500_000), "0.5");
        assert_eq!(decimal(-2_000_000), "-2");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_value_panic(text in "\\PC{0,24}", number in "[-+0-9eE.fd]{0,12}") {
            for setting in Scope::ALL.into_iter().flat_map(Scope::settings) {
                let _ = parse(setting, &text);
                let _ = parse(setting, &number);
            }
        }
    }
}
