//! Settings: property files, the scenario's own, the command line's.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use ktrial_models::config::catalogue::{Machinery, Scope};
use ktrial_models::config::{self, Cluster, ConfigError, Features, SettingsBuilder, nearest};

use super::Reader;
use crate::file::{ScenarioFile, SettingsMap};
use crate::input::read_file;
use crate::scenario::{Overrides, PropertyFile};

impl Reader {
    pub(super) fn settings(
        &mut self,
        file: &ScenarioFile,
        features: Features,
        directory: &Path,
        overrides: &Overrides,
        topics: &[String],
    ) -> SettingsBuilder {
        let of_consumers = file.consumers.values().map(|one| one.value.group.value.clone());
        let groups: Vec<String> = BTreeSet::from_iter(of_consumers).into_iter().collect();
        let mut builder = SettingsBuilder::new(Cluster {
            combined: file.cluster.combined,
            features,
            reaches: match file.consumers.is_empty() {
                true => Vec::new(),
                false => vec![Machinery::Groups],
            },
            topics: topics.to_vec(),
            producers: file
                .producers
                .keys()
                .cloned()
                .chain(file.letters().map(|(name, _)| name.clone()))
                .collect(),
            consumers: file
                .readers
                .keys()
                .chain(file.consumers.keys())
                .cloned()
                .collect(),
            groups: groups.clone(),
        });
        self.files(&mut builder, file, directory, overrides);
        let scopes: [(Scope, &SettingsMap); 5] = [
            (Scope::Broker, &file.settings.broker),
            (Scope::Controller, &file.settings.controller),
            (Scope::Producer, &file.settings.producer),
            (Scope::Consumer, &file.settings.consumer),
            (Scope::Topic, &file.settings.topic),
        ];
        for (scope, settings) in scopes {
            self.inline(&mut builder, scope, None, settings);
        }
        for (name, topic) in &file.topics {
            self.inline(&mut builder, Scope::Topic, Some(name), &topic.value.config);
        }
        for (name, producer) in &file.producers {
            self.inline(
                &mut builder,
                Scope::Producer,
                Some(name),
                &producer.value.settings,
            );
        }
        for (name, consumers) in file.letters() {
            self.inline(&mut builder, Scope::Producer, Some(name), &consumers.producer);
        }
        for (name, reader) in &file.readers {
            self.inline(&mut builder, Scope::Consumer, Some(name), &reader.value.settings);
        }
        for (name, consumers) in &file.consumers {
            let consumers = &consumers.value;
            self.inline(&mut builder, Scope::Consumer, Some(name), &consumers.settings);
            let group = &consumers.group;
            let place = self.places.of(group);
            builder.inline(Scope::Consumer, Some(name), "group.id", &group.value, place);
        }
        for (name, group) in &file.groups {
            if groups.contains(name) {
                self.inline(&mut builder, Scope::Group, Some(name), &group.value.config);
                continue;
            }
            let remedy = match nearest(name, groups.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "name the `group` of some `consumers`; they are in {}",
                    listed(&groups)
                ),
            };
            self.refuse(group, format!("no consumers are in group {name}"), &remedy);
        }
        for name in file.accept_unmodelled.iter().chain(&overrides.allow_unmodelled) {
            builder.allow_unmodelled(name);
        }
        for (name, arm) in &file.arms {
            let mut own = builder.clone();
            for assignment in &arm.value.set {
                if let Err(error) = own.set(&assignment.value) {
                    self.refuse(assignment, error.message, &error.remedy);
                }
            }
            if overrides.arm.as_deref() == Some(name) {
                builder = own;
            }
        }
        for assignment in &overrides.assignments {
            if let Err(error) = builder.set(assignment) {
                self.errors.push(error);
            }
        }
        builder
    }

    fn inline(
        &self,
        builder: &mut SettingsBuilder,
        scope: Scope,
        instance: Option<&str>,
        settings: &SettingsMap,
    ) {
        for (name, value) in settings.iter() {
            // What is wrong is the name if nobody knows it, else the value.
            let place = match scope.setting(&name.value) {
                Some(_) => self.places.of(value),
                None => self.places.of(name),
            };
            builder.inline(scope, instance, &name.value, &value.value, place);
        }
    }

    fn files(
        &mut self,
        builder: &mut SettingsBuilder,
        file: &ScenarioFile,
        directory: &Path,
        overrides: &Overrides,
    ) {
        let include = &file.include;
        let included = [
            (Scope::Broker, &include.broker),
            (Scope::Controller, &include.controller),
            (Scope::Producer, &include.producer),
            (Scope::Consumer, &include.consumer),
            (Scope::Topic, &include.topic),
        ];
        for (scope, text) in included {
            let given = overrides
                .files
                .iter()
                .find(|(known, _)| *known == scope)
                .map(|(_, path)| path.clone());
            let path = given
                .clone()
                .or_else(|| text.as_ref().map(|text| directory.join(&text.value)));
            let known = overrides.contents.iter().find(|(known, _)| *known == scope);
            if path.is_none() && known.is_none() {
                continue;
            }
            let path = path.unwrap_or_default();
            let shown = known.map_or_else(
                || seen(&path).display().to_string(),
                |(_, file)| file.path.clone(),
            );
            let bytes = known.map_or_else(|| read_file(&path), |(_, file)| Ok(file.bytes.clone()));
            let read = bytes.map_err(|error| {
                let message = format!("cannot read {shown}: {error}");
                match text {
                    Some(text) if given.is_none() => {
                        self.places
                            .error(text, message, "paths are relative to the scenario")
                    }
                    _ => ConfigError::anywhere(message, ""),
                }
            });
            let outcome = read
                .and_then(|bytes| {
                    let properties = config::properties::read(&shown, &bytes);
                    let path = shown.clone();
                    self.sources.files.push((scope, PropertyFile { path, bytes }));
                    properties
                })
                .and_then(|properties| builder.file(scope, properties).map(|_| ()));
            if let Err(error) = outcome {
                self.errors.push(error);
            }
        }
    }
}

fn listed(groups: &[String]) -> String {
    match groups {
        [] => "none".to_owned(),
        groups => groups.join(", "),
    }
}

/// A path as messages name it: `ktrial/../server.properties` is `server.properties`, which is what people look for and
/// what CI servers know.
fn seen(path: &Path) -> PathBuf {
    let mut seen = PathBuf::new();
    for component in path.components() {
        let up = component == Component::ParentDir;
        match seen.components().next_back() {
            Some(Component::Normal(_)) if up => {
                seen.pop();
            }
            _ => seen.push(component),
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_above_a_scenario_is_named_without_the_way_back() {
        for (path, expected) in [
            ("ktrial/../server.properties", "server.properties"),
            ("a/b/../../c/d.properties", "c/d.properties"),
            ("../d.properties", "../d.properties"),
            ("a/../../d.properties", "../d.properties"),
            ("./d.properties", "./d.properties"),
            ("/a/../d.properties", "/d.properties"),
        ] {
            assert_eq!(seen(Path::new(path)), Path::new(expected), "{path}");
        }
    }
}
