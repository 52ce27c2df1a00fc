//! What can be wrong with settings: errors, refusals and warnings.

use std::fmt;

use super::catalogue::Scope;
use super::place::{Origin, Place};

/// Something that ktrial cannot run: bad input, with place and remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where it stands, if in a file.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// The setting that is not modelled, if accepting that is all it needs.
    pub acceptable: Option<String>,
}

impl ConfigError {
    /// An error at a place.
    pub fn at(place: &Place, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        ConfigError {
            place: Some(place.clone()),
            message: message.into(),
            remedy: remedy.into(),
            acceptable: None,
        }
    }

    /// An error of the command line, or of no place in particular.
    pub fn anywhere(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        ConfigError {
            place: None,
            message: message.into(),
            remedy: remedy.into(),
            acceptable: None,
        }
    }

    /// An error about a value, at the place its origin knows.
    pub fn about(origin: &Origin, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let message = message.into();
        match origin {
            Origin::SetOption(text) => ConfigError::anywhere(format!("--set {text}: {message}"), remedy),
            _ => ConfigError {
                place: origin.place().cloned(),
                message,
                remedy: remedy.into(),
                acceptable: None,
            },
        }
    }

    /// The same error, of a setting that is not modelled and that the user may accept by its name.
    #[must_use]
    pub fn acceptable(mut self, name: &str) -> Self {
        self.acceptable = Some(name.to_owned());
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}", self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Settings with which Kafka itself would not start, or would not create the topic: the outcome REFUSED.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Whose settings.
    pub scope: Scope,
    /// The topic or the client, if one in particular.
    pub instance: Option<String>,
    /// The exception Kafka throws, such as `ConfigException`.
    pub exception: &'static str,
    /// The Kafka class whose check it is.
    pub class: &'static str,
    /// Kafka's reason.
    pub reason: String,
    /// The settings that take part, with what they are and why.
    pub settings: Vec<(&'static str, String, Origin)>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.scope.word())?;
        if let Some(instance) = &self.instance {
            write!(f, " {instance}")?;
        }
        write!(f, ": {} ({}): {}", self.exception, self.class, self.reason)?;
        for (at, (name, value, origin)) in self.settings.iter().enumerate() {
            write!(
                f,
                "{}{name}={value} ({origin})",
                if at == 0 { " [" } else { ", " }
            )?;
        }
        if self.settings.is_empty() {
            Ok(())
        } else {
            write!(f, "]")
        }
    }
}

/// Something a user should know; the run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where it stands, if in a file.
    pub place: Option<Place>,
    /// What to know.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => write!(f, "{}", self.message),
        }
    }
}
