//! What must not be shown: passwords, and what may be one.

use super::assignment::{Assignment, Target};
use super::catalogue::{Kind, Scope};
use super::problem::ConfigError;
use super::properties;

/// What stands in place of a secret (`Password.HIDDEN`).
pub const HIDDEN: &str = "[hidden]";

/// Whether a value must not be shown: a password, also one of a single listener
/// (`listener.name.internal.ssl.key.password`), or the value of a name that nobody knows. Kafka's brokers decide so
/// too: what has no known type counts as sensitive (`KafkaConfig.maybeSensitive`, `KafkaConfig.configType`).
pub(super) fn is_secret(scope: Scope, name: &str) -> bool {
    let kind = |name: &str| scope.setting(name).map(|setting| setting.kind);
    let of_a_listener = || {
        let rest = name.strip_prefix("listener.name.")?;
        let mut suffixes = rest.match_indices('.').map(|(at, _)| &rest[at + 1..]);
        suffixes.find_map(kind)
    };
    kind(name)
        .or_else(of_a_listener)
        .is_none_or(|kind| kind == Kind::Password)
}

/// `NAME=VALUE` of the command line without its value if that is a secret.
pub fn assignment_without_secrets(text: &str) -> String {
    match Assignment::parse(text) {
        Ok(assignment) => assignment.text.to_string(),
        Err(_) => text.to_owned(),
    }
}

/// Whether the value of an assignment is a secret.
pub(super) fn assigns_secret(target: &Target, name: &str) -> bool {
    match target {
        Target::Everywhere => Scope::ALL
            .into_iter()
            .filter_map(|scope| scope.setting(name))
            .any(|setting| setting.kind == Kind::Password),
        Target::Scope(scope) | Target::Instance(scope, _) => is_secret(*scope, name),
    }
}

/// A property file's bytes with [`HIDDEN`] in place of secrets, and without what comments say: a password that is
/// commented out is one still. Every line stays where it is, so that places in messages stay true.
///
/// # Errors
/// As [`properties::read`].
pub fn file_without_secrets(scope: Scope, bytes: &[u8]) -> Result<Vec<u8>, ConfigError> {
    let file = properties::read(scope.word(), bytes)?;
    let secrets = file
        .entries
        .iter()
        .filter(|entry| !entry.value.is_empty() && is_secret(scope, &entry.key));
    let begins: Vec<(u32, u32)> = secrets
        .map(|entry| (entry.value_place.line, entry.value_place.column))
        .collect();
    let mut kept = Vec::with_capacity(bytes.len());
    let (mut continued, mut hiding) = (false, false);
    for (number, (line, end)) in (1..).zip(natural_lines(bytes)) {
        let comment = !continued && begins_comment(line);
        let goes_on = !comment && continues(line);
        let secret = begins.iter().find(|(begin, _)| *begin == number);
        match secret {
            Some((_, column)) => {
                kept.extend_from_slice(&line[..*column as usize - 1]);
                kept.extend_from_slice(HIDDEN.as_bytes());
                hiding = true;
            }
            None if comment => kept.push(b'#'),
            None if !hiding => kept.extend_from_slice(line),
            // Without anything in between, `\r` and `\n` would end one line instead of two.
            None => kept.push(b' '),
        }
        if hiding && goes_on {
            kept.push(b'\\');
        }
        kept.extend_from_slice(end);
        hiding &= goes_on;
        continued = goes_on;
    }
    Ok(kept)
}

/// Each line and what ends it.
fn natural_lines(bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = rest
            .iter()
            .position(|byte| matches!(byte, b'\r' | b'\n'))
            .unwrap_or(rest.len());
        let (line, behind) = rest.split_at(length);
        let ending = if behind.starts_with(b"\r\n") {
            2
        } else {
            behind.len().min(1)
        };
        let (end, next) = behind.split_at(ending);
        lines.push((line, end));
        rest = next;
    }
    lines
}

fn begins_comment(line: &[u8]) -> bool {
    let first = line.iter().find(|byte| !matches!(byte, b' ' | b'\t' | 0x0c));
    matches!(first, Some(b'#' | b'!'))
}

/// A backslash at the end that is not itself escaped.
fn continues(line: &[u8]) -> bool {
    line.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> String {
        let bytes = file_without_secrets(Scope::Broker, text.as_bytes()).expect("well formed");
        String::from_utf8(bytes).expect("no bytes of our own")
    }

    #[test]
    fn passwords_of_listeners_and_what_nobody_knows_are_secrets() {
        for secret in [
            "ssl.key.password",
            "sasl.jaas.config",
            "listener.name.internal.ssl.keystore.password",
            "listener.name.x.plain.sasl.jaas.config",
            "basic.auth.user.info",
        ] {
            assert!(is_secret(Scope::Broker, secret), "{secret}");
        }
        for open in [
            "min.insync.replicas",
            "listener.name.internal.ssl.keystore.location",
        ] {
            assert!(!is_secret(Scope::Broker, open), "{open}");
        }
    }

    #[test]
    fn a_file_without_its_secrets_has_every_other_entry_where_it_was() {
        let text = "# ssl.key.password=old\nssl.key.password=new\nsasl.jaas.config = one \\\n   password=\"two\";\r\n\
                    min.insync.replicas=2\nmy.token:three";
        let kept = hidden(text);
        for secret in ["old", "new", "one", "two", "three"] {
            assert!(!kept.contains(secret), "{secret} in {kept}");
        }
        let read = |text: &str| properties::read("f", text.as_bytes()).expect("well formed");
        let places = |file: &properties::PropertiesFile| {
            let each = file.entries.iter();
            let each = each.map(|entry| (entry.key.clone(), entry.value_place.clone()));
            each.collect::<Vec<_>>()
        };
        assert_eq!(places(&read(&kept)), places(&read(text)));
        let values: Vec<String> = read(&kept).entries.into_iter().map(|entry| entry.value).collect();
        assert_eq!(values, [HIDDEN, HIDDEN, "2", HIDDEN]);
    }

    #[test]
    fn a_password_of_the_command_line_is_not_told_again() {
        assert_eq!(
            assignment_without_secrets("broker.ssl.key.password=new"),
            "broker.ssl.key.password=[hidden]"
        );
        assert_eq!(assignment_without_secrets("acks=1"), "acks=1");
    }

    proptest::proptest! {
        #[test]
        fn hiding_neither_adds_nor_takes_entries(text in "[\\\\a# !=:\t\r\n]{0,40}") {
            if let Ok(before) = properties::read("f", text.as_bytes()) {
                let after = properties::read("f", hidden(&text).as_bytes()).expect("still well formed");
                let keys = |file: &properties::PropertiesFile| {
                    file.entries.iter().map(|entry| entry.key.clone()).collect::<Vec<_>>()
                };
                assert_eq!(keys(&before), keys(&after), "{:?}", hidden(&text));
            }
        }
    }
}
