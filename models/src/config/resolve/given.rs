//! Who said what about one file, topic or client, the weakest first, and whether it can be read.

use std::borrow::Cow;
use std::sync::Arc;

use super::Work;
use crate::config::catalogue::{Kind, Scope};
use crate::config::effective::Values;
use crate::config::place::Origin;
use crate::config::problem::{ConfigError, Refusal};
use crate::config::properties::PropertiesFile;
use crate::config::report::{Note, Noted, classify};
use crate::config::secrets::{HIDDEN, is_secret};
use crate::config::unknown;
use crate::config::value::{self, Invalid};

/// One value that somebody gave.
pub(super) struct Given {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) origin: Origin,
}

impl Work<'_> {
    /// The file that serves a role: its own; in combined mode whichever there is; and a file for both
    /// roles also serves dedicated controllers.
    fn server_file(&self, scope: Scope) -> Option<&PropertiesFile> {
        let of = |scope| {
            self.builder
                .files
                .iter()
                .find(|(known, _)| *known == scope)
                .map(|(_, file)| file)
        };
        let other = match scope {
            Scope::Broker => Scope::Controller,
            _ => Scope::Broker,
        };
        of(scope).or_else(|| {
            of(other).filter(|file| {
                self.builder.cluster.combined
                    || file.effective().any(|entry| {
                        entry.key == "process.roles"
                            && entry
                                .value
                                .split(',')
                                .any(|role| value::trim(role) == scope.word())
                    })
            })
        })
    }

    /// Everything given for a scope (and a topic or client of it), the weakest first.
    pub(super) fn given(&self, scope: Scope, instance: Option<&str>) -> Vec<Given> {
        let both_roles = self.builder.cluster.combined && matches!(scope, Scope::Broker | Scope::Controller);
        let role = |wanted: Scope| {
            wanted == scope || both_roles && matches!(wanted, Scope::Broker | Scope::Controller)
        };
        let file = match scope {
            Scope::Broker | Scope::Controller => self.server_file(scope),
            _ => self
                .builder
                .files
                .iter()
                .find(|(known, _)| *known == scope)
                .map(|(_, file)| file),
        };
        let mut given = Vec::new();
        for entry in file.into_iter().flat_map(PropertiesFile::effective) {
            let origin = Origin::File(entry.value_place.clone());
            given.push(Given {
                name: entry.key.clone(),
                value: entry.value.clone(),
                origin,
            });
        }
        for for_one in [false, true] {
            for inline in &self.builder.inline {
                let fits = match &inline.instance {
                    None => !for_one,
                    Some(name) => for_one && instance == Some(name),
                };
                if role(inline.scope) && fits {
                    let origin = Origin::ScenarioInline(inline.place.clone());
                    given.push(Given {
                        name: inline.name.clone(),
                        value: inline.value.clone(),
                        origin,
                    });
                }
            }
        }
        for narrowness in 0..=2 {
            for set in self
                .builder
                .assignments
                .iter()
                .filter(|set| set.narrowness() == narrowness)
            {
                let other = if scope == Scope::Broker {
                    Scope::Controller
                } else {
                    Scope::Broker
                };
                if set.means(scope, instance) || both_roles && set.means(other, instance) {
                    let origin = Origin::SetOption(set.text.clone());
                    given.push(Given {
                        name: set.name.clone(),
                        value: set.value.clone(),
                        origin,
                    });
                }
            }
        }
        given
    }

    pub(super) fn fill(&mut self, scope: Scope, instance: Option<&str>, given: Vec<Given>) -> Values {
        let mut values = Values::defaults(scope);
        values.instance = instance.map(str::to_string);
        self.put_all(&mut values, given);
        values
    }

    pub(super) fn put_all(&mut self, values: &mut Values, given: Vec<Given>) {
        let providers = given
            .iter()
            .any(|given| given.name == "config.providers" && !value::trim(&given.value).is_empty());
        for given in given {
            let Some(setting) = values.scope.setting(&given.name) else {
                self.unknown_name(values, given);
                continue;
            };
            if let Some(error) = trailing_comment(setting.kind, &given) {
                self.errors.push(error);
                continue;
            }
            if providers && given.value.contains("${") && setting.kind != Kind::Password {
                self.errors.push(ConfigError::about(
                    &given.origin,
                    format!(
                        "{}={}: Kafka asks a config provider for this value",
                        given.name, given.value
                    ),
                    "write the value itself; ktrial runs no config providers",
                ));
                continue;
            }
            match value::parse(setting, &given.value) {
                Ok(parsed) => values.put(setting.name, Cow::Owned(given.value), parsed, given.origin),
                Err(Invalid::Here(message)) => {
                    self.errors.push(ConfigError::about(&given.origin, message, ""));
                }
                Err(Invalid::Kafka(reason)) => self.findings.refusals.push(Refusal {
                    scope: values.scope,
                    instance: values.instance.clone(),
                    exception: values.scope.exception(),
                    class: "ConfigDef",
                    reason,
                    settings: vec![(setting.name, value::trim(&given.value).to_string(), given.origin)],
                }),
            }
        }
    }

    fn unknown_name(&mut self, values: &Values, given: Given) {
        let note = match unknown::harmless(values.scope, &given.name) {
            Some(reason) => Note::Neutral(reason),
            None if self.builder.accepted.contains(&given.name) => Note::Accepted,
            None => {
                let (message, remedy) = unknown::explain(values.scope, &given.name);
                self.errors
                    .push(ConfigError::about(&given.origin, message, remedy));
                return;
            }
        };
        self.noted.push(Noted {
            scope: values.scope,
            instance: values.instance.clone(),
            value: match is_secret(values.scope, &given.name) {
                true => HIDDEN.to_owned(),
                false => value::trim(&given.value).to_string(),
            },
            name: given.name,
            origin: given.origin,
            note,
        });
    }

    /// Lists what was set and does not simply count; an unmodelled setting stops the run here.
    pub(super) fn note(&mut self, values: &Values) {
        let cluster = &self.builder.cluster;
        for entry in values.iter().filter(|entry| entry.origin.is_set()) {
            let name = entry.setting.name;
            let accepted = self.builder.accepted.iter().any(|accepted| accepted == name);
            let Some(note) = classify(values.scope, cluster.combined, entry, &cluster.reaches, accepted)
            else {
                continue;
            };
            if note == Note::Unmodelled {
                let error = ConfigError::about(
                    &entry.origin,
                    format!(
                        "{name}={} is not modelled: results would not show what it does",
                        entry.shown()
                    ),
                    format!("take it out, or accept that with --allow-unmodelled {name}"),
                );
                self.errors.push(error.acceptable(name));
                continue;
            }
            self.noted.push(Noted {
                scope: values.scope,
                instance: values.instance.clone(),
                name: name.to_string(),
                value: entry.shown().to_string(),
                origin: entry.origin.clone(),
                note,
            });
        }
    }
}

/// Java knows no comments behind a value.
fn trailing_comment(kind: Kind, given: &Given) -> Option<ConfigError> {
    let in_file = match &given.origin {
        Origin::TopicOverride(inner) => matches!(**inner, Origin::File(_)),
        origin => matches!(origin, Origin::File(_)),
    };
    if !in_file || kind == Kind::Password {
        return None;
    }
    let at = [" #", "\t#", " !", "\t!"]
        .into_iter()
        .filter_map(|mark| given.value.find(mark))
        .min()?;
    let comment: Arc<str> = given.value[at..].trim_start().into();
    let then = match kind {
        Kind::String | Kind::List | Kind::Class | Kind::Password => "Kafka would take it literally",
        _ => "Kafka would refuse the value",
    };
    let value = &given.value[..at];
    Some(ConfigError::about(
        &given.origin,
        format!(
            "{}: java.util.Properties makes \"{comment}\" part of the value, and {then}",
            given.name
        ),
        format!(
            "put the comment on a line of its own and leave {}={value}",
            given.name
        ),
    ))
}
