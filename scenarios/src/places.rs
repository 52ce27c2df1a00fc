//! Where things stand in a scenario file.

use std::sync::Arc;

use ktrial_models::config::{ConfigError, Place, nearest};
use serde_saphyr::Spanned;

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

    /// What the YAML reader has to say: where, and its first line.
    pub(crate) fn syntax(&self, error: &serde_saphyr::Error) -> ConfigError {
        let mut place = self.top();
        if let Some(location) = error.location() {
            place.line = location.line() as u32;
            place.column = location.column() as u32;
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
