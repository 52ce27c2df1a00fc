//! From a scenario file to a scenario: every part is checked, and every error has its place.

mod applications;
mod clients;
mod cluster;
mod faults;
mod names;
mod settings;

use std::path::Path;
use std::sync::Arc;

use ktrial_models::config::{ConfigError, nearest};
use ktrial_models::mutation::Mutations;
use ktrial_sim::Duration;

use super::{Overrides, Scenario, Sources};
use crate::assertion;
use crate::file::{ScenarioFile, Text};
use crate::places::Places;
use crate::span::{Span, parse_duration, parse_span};
use crate::workload::Workload;

/// Records a scenario can send, over all producers.
const MOST_RECORDS: u64 = 50_000_000;
/// The longest scenario.
const LONGEST: Duration = Duration::secs(7 * 86_400);

/// Reads one file, and goes on behind what is wrong to find the rest of it.
pub(super) struct Reader {
    pub(super) places: Places,
    pub(super) errors: Vec<ConfigError>,
    pub(super) sources: Sources,
    /// How long the clients work while faults happen.
    pub(super) duration: Duration,
}

impl Reader {
    fn refuse<T>(&mut self, value: &serde_saphyr::Spanned<T>, message: impl Into<String>, remedy: &str) {
        self.errors.push(self.places.error(value, message, remedy));
    }

    fn read<T>(
        &mut self,
        text: &Option<Text>,
        default: T,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(text) = text else { return default };
        match read(&text.value) {
            Ok(value) => value,
            Err(message) => {
                self.refuse(text, message, "");
                default
            }
        }
    }

    pub(super) fn scenario(
        mut self,
        file: ScenarioFile,
        directory: &Path,
        overrides: &Overrides,
    ) -> Result<Scenario, Vec<ConfigError>> {
        let servers = self.servers(&file);
        let racks = file.cluster.racks.clone();
        let features = self.features(&file);
        let topic_names: Vec<String> = file.topics.keys().cloned().collect();
        let topics = self.topics(&file);
        let producers = self.producers(&file, &topic_names);
        let readers = self.readers(&file, &topic_names, &racks);
        let consumers = self.consumers(
            &file,
            &file.conduct(overrides.arm.as_deref()),
            &topic_names,
            &racks,
        );
        self.names(&file, &servers, &consumers);
        let capacity = self.capacity(&file);
        let link = self.link(&file);
        let duration = self.read(&Some(file.duration.clone()), Duration::ZERO, parse_duration);
        if duration > LONGEST {
            self.refuse(&file.duration, "longer than a week", "give a shorter duration");
        }
        self.duration = duration;
        let idle = self.read(&file.cluster.idle, Span::exactly(Duration::ZERO), parse_span);
        let quiesce = self.read(&file.quiesce, Duration::ZERO, parse_duration);
        let given = self.read(&file.heal, Duration::ZERO, parse_duration);
        let heal = file.heal.is_some().then_some(given);
        for (text, length) in [
            (&file.quiesce, quiesce),
            (&file.heal, given),
            (&file.cluster.idle, idle.most),
        ] {
            if let Some(text) = text.as_ref().filter(|_| length > LONGEST) {
                self.refuse(text, "longer than a week", "give a shorter length of time");
            }
        }
        self.check_amount(&file, &producers, duration);
        let faults = self.faults(&file.faults, &file.random);
        let settings = self.settings(&file, features, directory, overrides, &topic_names);
        let shows = self.shows(&file.shows);
        let place = self.places.of(&file.scenario);
        let assertions = assertion::read(
            file.assert.as_ref(),
            &place,
            &consumers,
            &self.places,
            &mut self.errors,
        );
        let counter = self.counter(&file, &faults, &consumers, &settings);
        if let Some(otherwise) = counter.as_ref().and_then(|counter| counter.consumers.as_ref()) {
            self.names(&file, &servers, otherwise);
        }
        let arms = self.arms(&file, overrides.arm.as_deref());
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let names = arms.iter().map(|(name, _)| name.clone()).collect();
        let mut scenario = Scenario {
            name: file.scenario.value,
            place,
            about: file.about.trim().to_owned(),
            claim: file.claim,
            shows,
            counter,
            arms: names,
            vary: file.vary.into_iter().map(|text| text.value).collect(),
            assertions,
            duration,
            idle,
            quiesce,
            heal,
            servers,
            racks,
            features,
            capacity,
            link,
            topics,
            producers,
            readers,
            consumers,
            faults: Arc::new(faults),
            settings,
            mutations: Mutations::default(),
            sources: self.sources,
        };
        scenario.check_mentions()?;
        scenario.as_counter_arm().check_mentions()?;
        for (name, faults) in arms {
            let Some(faults) = faults else { continue };
            let before = std::mem::replace(&mut scenario.faults, Arc::new(faults));
            scenario.check_mentions()?;
            if overrides.arm.as_deref() != Some(name.as_str()) {
                scenario.faults = before;
            }
        }
        Ok(scenario)
    }

    fn topic_number(&mut self, text: &Text, topics: &[String]) -> u16 {
        if let Some(number) = topics.iter().position(|name| *name == text.value) {
            return number as u16;
        }
        let hint = nearest(&text.value, topics.iter().map(String::as_str))
            .map_or(String::new(), |name| format!("did you mean {name}?"));
        self.refuse(text, format!("no topic {}", text.value), &hint);
        0
    }

    fn check_amount(
        &mut self,
        file: &ScenarioFile,
        producers: &[(String, u16, Workload)],
        duration: Duration,
    ) {
        let records: u64 = producers
            .iter()
            .map(|(_, _, workload)| {
                (duration.0 / workload.interval.0.max(1)).min(workload.count.map_or(u64::MAX, u64::from))
            })
            .sum();
        if records > MOST_RECORDS {
            self.refuse(
                &file.duration,
                format!("{records} records"),
                "a trial can send at most 50000000: give lower rates or a shorter duration",
            );
        }
    }
}
