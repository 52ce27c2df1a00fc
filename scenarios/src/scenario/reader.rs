//! From a scenario file to a scenario: every part is checked, and every error has its place.

mod applications;
mod faults;
mod settings;

use std::path::Path;
use std::sync::Arc;

use ktrial_models::config::{self, ConfigError, Features, nearest};
use ktrial_models::ids::ServerId;
use ktrial_models::mutation::Mutations;
use ktrial_models::specification::{Capacity, ServerSpecification};
use ktrial_sim::{Duration, Link};

use super::{Overrides, Scenario, Sources, Topic};
use crate::assertion;
use crate::consumers::DeclaredConsumers;
use crate::fault::Faults;
use crate::file::{ApplicationFile, ProducerFile, ReaderFile, ScenarioFile, Text, TopicFile};
use crate::places::Places;
use crate::span::{Span, parse_duration, parse_span};
use crate::workload::Workload;

/// Consumers that one declaration can stand for.
const MOST_CONSUMERS: u32 = 100;
/// Servers a scenario can have, brokers and controllers together: what the judges keep in one word of bits.
const MOST_SERVERS: u16 = 127;
/// Partitions a scenario can have, over all topics.
const MOST_PARTITIONS: u32 = 100_000;
/// Records a scenario can send, over all producers.
const MOST_RECORDS: u64 = 50_000_000;
/// The longest scenario.
const LONGEST: Duration = Duration::secs(7 * 86_400);
/// More than a cluster takes until its clients start.
const WARM_UP: Duration = Duration::secs(600);

/// More bytes than the producers of a trial can leave in one partition: every record in a batch of its own, and
/// written four times.
fn most_bytes(producers: &[(String, u16, Workload)], duration: Duration) -> u64 {
    let of = |(_, _, workload): &(String, u16, Workload)| {
        let records =
            (duration.0 / workload.interval.0.max(1)).min(workload.count.map_or(u64::MAX, u64::from));
        records.saturating_mul(4 * (u64::from(workload.bytes) + 100))
    };
    producers.iter().map(of).fold(0, u64::saturating_add)
}

/// Reads one file, and goes on behind what is wrong to find the rest of it.
pub(super) struct Reader {
    pub(super) places: Places,
    pub(super) errors: Vec<ConfigError>,
    pub(super) sources: Sources,
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
            &file.applications(overrides.arm.as_deref()),
            &topic_names,
            &racks,
        );
        let capacity = self.capacity(&file);
        let link = self.link(&file);
        let duration = self.read(&Some(file.duration.clone()), Duration::ZERO, parse_duration);
        if duration > LONGEST {
            self.refuse(&file.duration, "longer than a week", "give a shorter duration");
        }
        let idle = self.read(&file.cluster.idle, Span::exactly(Duration::ZERO), parse_span);
        let quiesce = self.read(&file.quiesce, Duration::ZERO, parse_duration);
        let heal = self.read(&file.heal, Duration::secs(180), parse_duration);
        for (text, length) in [
            (&file.quiesce, quiesce),
            (&file.heal, heal),
            (&file.cluster.idle, idle.most),
        ] {
            if let Some(text) = text.as_ref().filter(|_| length > LONGEST) {
                self.refuse(text, "longer than a week", "give a shorter length of time");
            }
        }
        self.check_amount(&file, &producers, duration);
        let faults = self.faults(&file.faults, &file.random);
        let mut settings = self.settings(&file, features, directory, overrides, &topic_names);
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
        let other = counter.as_ref().and_then(|counter| counter.faults.as_deref());
        let arms = self.arms(&file, overrides.arm.as_deref());
        let others = arms.iter().filter_map(|(_, faults)| faults.as_ref()).chain(other);
        let lasts = match others.chain([&faults]).any(Faults::move_clocks) {
            true => LONGEST,
            false => WARM_UP
                .saturating_add(duration)
                .saturating_add(quiesce)
                .saturating_add(heal),
        };
        settings.trial(lasts, most_bytes(&producers, duration));
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
        let top = self.places.top();
        scenario.check_mentions(&top, "faults")?;
        scenario.as_counter_arm().check_mentions(&top, "faults")?;
        for (name, faults) in arms {
            let Some(faults) = faults else { continue };
            let before = std::mem::replace(&mut scenario.faults, Arc::new(faults));
            let place = self.places.of(&file.arms[&name]);
            scenario.check_mentions(&place, &format!("the faults of arm {name}"))?;
            if overrides.arm.as_deref() != Some(name.as_str()) {
                scenario.faults = before;
            }
        }
        Ok(scenario)
    }

    fn servers(&mut self, file: &ScenarioFile) -> Vec<ServerSpecification> {
        let cluster = &file.cluster;
        let (brokers, controllers) = (cluster.brokers.value, cluster.controllers.value);
        if brokers == 0 {
            self.refuse(&cluster.brokers, "a cluster without brokers", "give at least one");
        }
        if controllers == 0 {
            self.refuse(
                &cluster.controllers,
                "a cluster without controllers",
                "give at least one, or `combined: true` with as many of the brokers",
            );
        }
        if brokers.saturating_add(controllers) > MOST_SERVERS {
            let culprit = if brokers > controllers {
                &cluster.brokers
            } else {
                &cluster.controllers
            };
            self.refuse(
                culprit,
                format!("{} servers", culprit.value),
                "a scenario can have at most 127, brokers and controllers together",
            );
            return Vec::new();
        }
        if cluster.combined && controllers > brokers {
            self.refuse(
                &cluster.controllers,
                "more controllers than brokers in combined mode",
                "the first brokers are also the controllers",
            );
        }
        let dedicated = if cluster.combined { 0 } else { controllers };
        let racks = cluster.racks.len() as u16;
        (1..=brokers + dedicated)
            .map(|id| ServerSpecification {
                id: ServerId(id),
                broker: id <= brokers,
                controller: if cluster.combined {
                    id <= controllers
                } else {
                    id > brokers
                },
                rack: (racks > 0 && id <= brokers).then(|| (id - 1) % racks.max(1)),
            })
            .collect()
    }

    fn features(&mut self, file: &ScenarioFile) -> Features {
        let mut features = Features::default();
        if let Some(release) = file
            .cluster
            .release
            .as_ref()
            .filter(|release| release.value != config::RELEASE)
        {
            self.refuse(
                release,
                format!("brokers of release {} are not modelled", release.value),
                "only 4.3 is; a cluster that came from an older release is `profile: upgraded`",
            );
        }
        if let Some(profile) = &file.cluster.profile {
            match Features::profile(&profile.value) {
                Ok(profile) => features = profile,
                Err(error) => self.refuse(profile, error.message, &error.remedy),
            }
        }
        for (name, level) in file.cluster.features.iter() {
            if let Err(error) = features.set(&name.value, &level.value) {
                self.refuse(level, error.message, &error.remedy);
            }
        }
        features
    }

    fn topics(&mut self, file: &ScenarioFile) -> Vec<Topic> {
        let brokers = file.cluster.brokers.value;
        let mut total = 0u32;
        if file.topics.is_empty() {
            self.errors.push(ConfigError::at(
                &self.places.top(),
                "no topics",
                "declare at least one under `topics`",
            ));
        }
        let mut topics = Vec::new();
        for (name, topic) in &file.topics {
            let TopicFile {
                partitions,
                replication_factor,
                assignment,
                ..
            } = &topic.value;
            if partitions.value == 0 {
                self.refuse(
                    partitions,
                    format!("topic {name} with zero partitions"),
                    "Kafka refuses it (INVALID_PARTITIONS): give at least one",
                );
            }
            total = total.saturating_add(partitions.value);
            if total > MOST_PARTITIONS {
                self.refuse(
                    partitions,
                    "too many partitions",
                    "a scenario can have at most 100000",
                );
                return topics;
            }
            if replication_factor.value == 0 || replication_factor.value > brokers {
                let message = format!(
                    "topic {name}: replication.factor {} with {brokers} brokers",
                    replication_factor.value
                );
                self.refuse(
                    replication_factor,
                    message,
                    "Kafka refuses it (INVALID_REPLICATION_FACTOR): at least 1, at most one replica a broker",
                );
            }
            if let Some(assignment) = assignment {
                let fits = assignment.len() == partitions.value as usize
                    && assignment.iter().all(|replicas| {
                        let distinct = (1..replicas.len()).all(|at| !replicas[..at].contains(&replicas[at]));
                        distinct
                            && !replicas.is_empty()
                            && replicas.iter().all(|id| (1..=brokers).contains(id))
                    });
                if !fits {
                    self.refuse(
                        topic,
                        format!("topic {name}: the assignment does not fit"),
                        "give each partition a list of distinct broker ids",
                    );
                }
            }
            topics.push(Topic {
                name: name.clone(),
                partitions: partitions.value,
                replication_factor: replication_factor.value,
                assignment: assignment.as_ref().map(|partitions| {
                    partitions
                        .iter()
                        .map(|replicas| replicas.iter().map(|id| ServerId(*id)).collect())
                        .collect()
                }),
            });
        }
        topics
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

    fn client_library(&mut self, client: &Option<Text>) {
        let Some(client) = client else { return };
        if client.value != "java" {
            self.refuse(client, format!("the client {} is not modelled", client.value), "only Kafka's Java client of 4.3 is (`client: java`); librdkafka orders its retries in another way and will be a model of its own");
        }
    }

    fn producers(&mut self, file: &ScenarioFile, topics: &[String]) -> Vec<(String, u16, Workload)> {
        let mut producers = Vec::new();
        for (name, producer) in &file.producers {
            let ProducerFile {
                topic,
                client,
                rate,
                count,
                bytes,
                numbered,
                keys,
                ..
            } = &producer.value;
            self.client_library(client);
            if rate.value == 0 || rate.value > 1_000_000 {
                self.refuse(
                    rate,
                    format!("producer {name}: {} records a second", rate.value),
                    "give a rate from 1 to 1000000",
                );
            }
            let workload = Workload {
                interval: Duration(1_000_000_000 / u64::from(rate.value.max(1))),
                count: *count,
                bytes: *bytes,
                numbered: *numbered,
                keys: *keys,
            };
            producers.push((name.clone(), self.topic_number(topic, topics), workload));
        }
        producers
    }

    fn readers(
        &mut self,
        file: &ScenarioFile,
        topics: &[String],
        racks: &[String],
    ) -> Vec<(String, Vec<u16>, Option<u16>)> {
        let mut readers = Vec::new();
        for (name, reader) in &file.readers {
            let ReaderFile {
                topics: of,
                client,
                rack,
                ..
            } = &reader.value;
            self.client_library(client);
            let of = of.iter().map(|topic| self.topic_number(topic, topics)).collect();
            let rack = self.rack(rack, racks);
            readers.push((name.clone(), of, rack));
        }
        readers
    }

    fn consumers(
        &mut self,
        file: &ScenarioFile,
        otherwise: &ApplicationFile,
        topics: &[String],
        racks: &[String],
    ) -> Vec<DeclaredConsumers> {
        let mut consumers = Vec::new();
        for (name, declared) in &file.consumers {
            let declared = &declared.value;
            self.client_library(&declared.client);
            if declared.topics.is_empty() {
                self.refuse(&declared.group, "a consumer without topics", "name at least one");
            }
            if !(1..=MOST_CONSUMERS).contains(&declared.count.value) {
                let message = format!("{} consumers", declared.count.value);
                self.refuse(&declared.count, message, "give 1 to 100");
            }
            let running = declared.running.as_ref();
            if let Some(running) = running.filter(|running| running.value > declared.count.value) {
                let message = format!("{} of {} consumers run", running.value, declared.count.value);
                self.refuse(running, message, "give at most `count`");
            }
            let subscribed = declared.topics.iter();
            consumers.push(DeclaredConsumers {
                name: name.clone(),
                group: declared.group.value.clone(),
                topics: subscribed.map(|topic| self.topic_number(topic, topics)).collect(),
                count: declared.count.value,
                start: self.read(&declared.start, None, |text| parse_span(text).map(Some)),
                rack: self.rack(&declared.rack, racks),
                letters: declared
                    .dead_letter
                    .as_ref()
                    .map(|topic| self.topic_number(topic, topics)),
                running: running.map_or(declared.count.value, |running| running.value),
                application: self.application(otherwise, declared),
            });
            let sends_on = consumers.last().is_some_and(DeclaredConsumers::sends_on);
            let alone = file.arms.is_empty() && file.counter.is_none();
            if let Some(topic) = declared.dead_letter.as_ref().filter(|_| alone && !sends_on) {
                self.refuse(topic, "no record is sent there", "say `on_failure: dead_letter`");
            }
        }
        consumers
    }

    fn rack(&mut self, rack: &Option<Text>, racks: &[String]) -> Option<u16> {
        let rack = rack.as_ref()?;
        let number = racks.iter().position(|known| *known == rack.value);
        if number.is_none() {
            let message = format!("no rack {}", rack.value);
            self.refuse(rack, message, "name one of cluster.racks");
        }
        number.map(|number| number as u16)
    }

    fn capacity(&mut self, file: &ScenarioFile) -> Capacity {
        let default = Capacity::default();
        let mut range = |text: &Option<Text>, (least, most): (Duration, Duration)| {
            let span = self.read(text, Span { least, most }, parse_span);
            (span.least, span.most)
        };
        Capacity {
            process_start: range(&file.cluster.process_start, default.process_start),
            process_end: range(&file.cluster.process_end, default.process_end),
            flush: range(&file.cluster.flush, default.flush),
            client_start: range(&file.cluster.client_start, default.client_start),
            ..default
        }
    }

    fn link(&mut self, file: &ScenarioFile) -> Link {
        let default = Link::default();
        let most = Duration(default.latency.0 + default.spread.0);
        let latency = self.read(
            &file.network.latency,
            Span {
                least: default.latency,
                most,
            },
            parse_span,
        );
        let measured = &file.network.smoothed_round_trip;
        Link {
            smoothed_round_trip: self.read(measured, default.smoothed_round_trip, parse_duration),
            latency: latency.least,
            spread: Duration(latency.most.0 - latency.least.0),
            bytes_per_microsecond: file.network.bytes_per_microsecond,
            ..default
        }
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
