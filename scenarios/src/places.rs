//! Where things stand in a scenario file.

use std::sync::Arc;

use ktrial_models::config::{ConfigError, Place, nearest};
use serde::de::DeserializeOwned;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, Spanned};

/// How many values a file can have, aliases counted where they are used. What users write by hand has hundreds; this
/// bounds what a few lines of nested aliases can unfold to.
const MOST_VALUES: usize = 50_000;

/// A file, to point into.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    path: Arc<str>,
}

impl Places {
    pub(crate) fn new(path: &str) -> Self {
        Places { path: path.into() }
    }

    /// Where a value stands.
    pub(crate) fn of<T>(&self, value: &Spanned<T>) -> Place {
        let location = &value.referenced;
        Place {
            path: Arc::clone(&self.path),
            line: location.line() as u32,
            column: location.column() as u32,
        }
    }

    /// The top of the file.
    pub(crate) fn top(&self) -> Place {
        Place {
            path: Arc::clone(&self.path),
            line: 1,
            column: 1,
        }
    }

    /// An error about a value.
    pub(crate) fn error<T>(
        &self,
        value: &Spanned<T>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ConfigError {
        ConfigError::at(&self.of(value), message, remedy)
    }

    /// Reads YAML.
    ///
    /// # Errors
    /// What the YAML reader has to say: where, and its first line.
    pub(crate) fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, ConfigError> {
        let limits = serde_saphyr::budget! { max_nodes: MOST_VALUES };
        let options = serde_saphyr::options! { budget: limits };
        serde_saphyr::from_str_with_options(text, options).map_err(|error| self.syntax(&error, text))
    }

    fn syntax(&self, error: &Error, source: &str) -> ConfigError {
        let mut place = self.top();
        if let Some(location) = error.location() {
            place.line = location.line() as u32;
            place.column = location.column() as u32;
        }
        if let Error::Budget { breach, .. } = innermost(error) {
            let message = match breach {
                BudgetBreach::Nodes { .. } => {
                    format!("more than {MOST_VALUES} values, aliases counted where used")
                }
                BudgetBreach::Depth { depth } => format!("nested {depth} deep"),
                _ => "more than is read of one file".to_owned(),
            };
            return ConfigError::at(&place, message, "write less of it, and with fewer aliases");
        }
        if let Error::DuplicateMappingKey { key, .. } = innermost(error) {
            let key = key.as_deref().unwrap_or_default();
            return ConfigError::at(&place, format!("the key {key} stands twice"), "keep one of them");
        }
        if let Error::InvalidScalar { ty, .. } = innermost(error)
            && let Some(expected) = expected(ty)
        {
            let word = word_at(source, &place);
            return ConfigError::at(&place, format!("`{word}`: expected {expected}"), "");
        }
        let text = error.to_string();
        let message = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        let message = message
            .strip_prefix("line ")
            .and_then(|rest| rest.split_once(": "))
            .map_or(message, |(_, rest)| rest);
        ConfigError::at(&place, message, did_you_mean(message))
    }
}

/// What a scalar of a type must be.
fn expected(ty: &str) -> Option<String> {
    let most = match ty {
        "u8" => u64::from(u8::MAX),
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        "u64" => u64::MAX,
        "bool" => return Some("true or false".to_owned()),
        _ => return None,
    };
    Some(format!("a whole number from 0 to {most}"))
}

/// The scalar that begins at a place, as far as it stands in its line.
fn word_at<'a>(source: &'a str, place: &Place) -> &'a str {
    let line = source
        .lines()
        .nth(place.line.saturating_sub(1) as usize)
        .unwrap_or_default();
    let start = line.char_indices().nth(place.column.saturating_sub(1) as usize);
    let rest = start.map_or("", |(at, _)| &line[at..]);
    let end = rest.find([',', '}', ']', '#']).unwrap_or(rest.len());
    rest[..end].trim_end()
}

/// The error itself, without the aliases that led to it.
fn innermost(mut error: &Error) -> &Error {
    while let Error::AliasError { error: inner, .. } | Error::WithSnippet { error: inner, .. } = error {
        error = inner;
    }
    error
}

/// For a key that is not known the nearest one that is.
fn did_you_mean(message: &str) -> String {
    let parts = message.strip_prefix("unknown field `");
    let parts = parts.and_then(|rest| rest.split_once("`, expected "));
    let near = parts.and_then(|(key, known)| {
        let known = known.strip_prefix("one of ").unwrap_or(known);
        nearest(key, known.split(", ").map(|key| key.trim_matches('`')))
    });
    near.map_or(String::new(), |near| format!("did you mean {near}?"))
}
