//! Gathering what was said.

use super::{Resolution, Work};
use crate::config::assignment::{Assignment, Target};
use crate::config::catalogue::{Machinery, Scope};
use crate::config::features::Features;
use crate::config::nearest::nearest;
use crate::config::place::Place;
use crate::config::problem::ConfigError;
use crate::config::properties::PropertiesFile;
use crate::config::refusal::Findings;
use crate::config::value;

/// What the scenario says about the cluster, as far as settings depend on it.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Whether one process is broker and controller.
    pub combined: bool,
    /// The finalized features.
    pub features: Features,
    /// Machinery that something in the scenario uses.
    pub reaches: Vec<Machinery>,
    /// Names of the topics.
    pub topics: Vec<String>,
    /// Names of the producers; none: one without a name.
    pub producers: Vec<String>,
    /// Names of the readers; none: one without a name.
    pub consumers: Vec<String>,
    /// Names of the groups.
    pub groups: Vec<String>,
}

/// Gathers what was said; [`SettingsBuilder::resolve`] decides what counts. Cloned for each arm of a
/// comparison.
#[derive(Clone, Debug, Default)]
pub struct SettingsBuilder {
    pub(super) cluster: Cluster,
    pub(super) files: Vec<(Scope, PropertiesFile)>,
    pub(super) inline: Vec<Inline>,
    pub(super) assignments: Vec<Assignment>,
    pub(super) accepted: Vec<String>,
}

/// A value written in the scenario.
#[derive(Clone, Debug)]
pub(super) struct Inline {
    pub(super) scope: Scope,
    pub(super) instance: Option<String>,
    pub(super) name: String,
    pub(super) value: String,
    pub(super) place: Place,
}

impl SettingsBuilder {
    /// For a cluster as the scenario describes it.
    pub fn new(cluster: Cluster) -> Self {
        SettingsBuilder {
            cluster,
            ..SettingsBuilder::default()
        }
    }

    /// The file of every node, topic or client of a scope.
    ///
    /// # Errors
    /// There is one already, or its `process.roles` says that it is for the other role.
    pub fn file(&mut self, scope: Scope, file: PropertiesFile) -> Result<&mut Self, ConfigError> {
        let word = scope.word();
        if let Some((_, first)) = self.files.iter().find(|(known, _)| *known == scope) {
            let message = format!("a second {word} file, {} after {}", file.path, first.path);
            return Err(ConfigError::anywhere(
                message,
                format!("give one file for each {word}"),
            ));
        }
        let roles = file.effective().find(|entry| entry.key == "process.roles");
        if let Some(roles) = roles.filter(|_| matches!(scope, Scope::Broker | Scope::Controller))
            && !roles.value.split(',').any(|role| value::trim(role) == word)
        {
            return Err(ConfigError::at(
                &roles.value_place,
                format!(
                    "process.roles={}: this file is not for a {word}",
                    value::trim(&roles.value)
                ),
                "give the file of the right role",
            ));
        }
        self.files.push((scope, file));
        Ok(self)
    }

    /// A value written in the scenario, for all of a scope or for one topic or client.
    pub fn inline(
        &mut self,
        scope: Scope,
        instance: Option<&str>,
        name: &str,
        value: &str,
        place: Place,
    ) -> &mut Self {
        let instance = instance.map(str::to_string);
        self.inline.push(Inline {
            scope,
            instance,
            name: name.to_string(),
            value: value.to_string(),
            place,
        });
        self
    }

    /// `--set NAME=VALUE`; stronger than everything else, and among themselves the narrower, then the later.
    ///
    /// # Errors
    /// See [`Assignment::parse`]; also a topic or client that the scenario does not have.
    pub fn set(&mut self, text: &str) -> Result<&mut Self, ConfigError> {
        let assignment = Assignment::parse(text)?;
        if let Target::Instance(scope, name) = &assignment.target {
            self.known_instance(*scope, name)?;
        }
        self.assignments.push(assignment);
        Ok(self)
    }

    /// `--allow-unmodelled NAME`.
    pub fn allow_unmodelled(&mut self, name: &str) -> &mut Self {
        self.accepted.push(name.to_string());
        self
    }

    pub(super) fn known_instance(&self, scope: Scope, name: &str) -> Result<(), ConfigError> {
        let known = match scope {
            Scope::Topic => &self.cluster.topics,
            Scope::Producer => &self.cluster.producers,
            Scope::Consumer => &self.cluster.consumers,
            Scope::Group => &self.cluster.groups,
            Scope::Broker | Scope::Controller => return Ok(()),
        };
        if known.iter().any(|one| one == name) {
            return Ok(());
        }
        let message = format!("no {} {name} in the scenario", scope.word());
        let remedy = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("the scenario has {}", listed(known)),
        };
        Err(ConfigError::anywhere(message, remedy))
    }

    /// Decides.
    ///
    /// # Errors
    /// All bad input at once: unknown names, trailing comments, values that ktrial cannot run, settings
    /// that are not modelled and not accepted. What Kafka refuses is no error but in
    /// [`Resolution::refusals`].
    pub fn resolve(&self) -> Result<Resolution, Vec<ConfigError>> {
        let mut work = Work {
            builder: self,
            errors: Vec::new(),
            findings: Findings::none(),
            noted: Vec::new(),
        };
        let resolution = work.resolve();
        if work.errors.is_empty() {
            return Ok(resolution);
        }
        // What one file says wrong, every role and every topic that reads it finds.
        let mut errors: Vec<ConfigError> = Vec::new();
        for error in work.errors {
            if !errors.contains(&error) {
                errors.push(error);
            }
        }
        Err(errors)
    }
}

/// Names, the first of them if there are many.
fn listed(names: &[String]) -> String {
    const MOST: usize = 8;
    match names.len().checked_sub(MOST) {
        None | Some(0) if names.is_empty() => "none".to_owned(),
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..MOST].join(", ")),
    }
}
